#!/usr/bin/env python3
"""Sweeps 100,000 stale members in two sets, beside 50 that live, and says how long that takes and for how long anybody
else is held up by it: tests/bench/sweep_100k.py MUSTER RQ-VENV [MEMBERS]

Beside muster runs RQ's own clean-up of the same data. A process that only sends PING, one after the other, feels the
stalls; Redis' SLOWLOG knows the longest call. Both are of the round that was disturbed least: on a busy machine the
kernel holds Redis up in the middle of any call. Ends with 1 where a call of muster's took more than 5 ms in every
round, or where it is slower than RQ.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

import redis

LONGEST_CALL = 5.0  # ms

RQ_CLEANS = """
import sys, time
from redis import Redis
from rq import Queue
from rq.worker_registration import clean_worker_registry
connection = Redis(unix_socket_path=sys.argv[1])
queue = Queue("jobs", connection=connection)
connection.ping()
began = time.perf_counter()
clean_worker_registry(queue)
print(time.perf_counter() - began)
"""


def probe(path, stop, worst):
    """PINGs without a pause; keeps the longest that one took, in ms."""
    connection = redis.Redis(unix_socket_path=path)
    connection.ping()
    longest = 0.0
    while not stop.is_set():
        began = time.perf_counter()
        connection.ping()
        longest = max(longest, time.perf_counter() - began)
        time.sleep(0.0005)
    worst.value = longest * 1000


class Server:
    def __init__(self, folder):
        self.socket = f"{folder}/redis.sock"
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no",
             "--dir", folder], stdout=subprocess.DEVNULL)
        self.client = redis.Redis(unix_socket_path=self.socket, decode_responses=True)
        while True:
            try:
                self.client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.01)

    def fill(self, members):
        self.client.flushall()
        pipe = self.client.pipeline(transaction=False)
        names = [f"rq:worker:gone-{number:06}-on-some-host-1234567890" for number in range(members)]
        names += [f"rq:worker:lives-{number}" for number in range(50)]
        for first in range(0, len(names), 1000):
            for key in ("rq:workers", "rq:workers:jobs"):
                pipe.sadd(key, *names[first:first + 1000])
            pipe.execute()
        self.client.sadd("rq:queues", "rq:queue:jobs")
        for number in range(50):
            self.client.hset(f"rq:worker:lives-{number}", "pid", number)

    def looks_were_a_minute_earlier(self):
        looks = self.client.hgetall("muster:looks:rq")
        names = list(looks)
        for first in range(0, len(names), 1000):
            part = names[first:first + 1000]
            self.client.hset("muster:looks:rq", mapping={name: int(looks[name]) - 61_000 for name in part})

    def measured(self, work):
        """(seconds as work() tells them, longest PING in ms, longest call in ms)"""
        self.client.config_set("slowlog-log-slower-than", 200)
        self.client.config_set("slowlog-max-len", 100_000)
        self.client.slowlog_reset()
        stop, worst = multiprocessing.Event(), multiprocessing.Value("d", 0.0)
        pinger = multiprocessing.Process(target=probe, args=(self.socket, stop, worst))
        pinger.start()
        time.sleep(0.2)
        seconds = work()
        stop.set()
        pinger.join()
        calls = [one["duration"] / 1000 for one in self.client.slowlog_get(100_000)]
        self.client.config_set("slowlog-log-slower-than", -1)
        assert self.client.scard("rq:workers") >= 50
        return seconds, worst.value, max(calls, default=0.2)


class Muster:
    def __init__(self, binary, folder, redis_socket):
        self.control = f"{folder}/control.sock"
        file = pathlib.Path(folder) / "muster.toml"
        file.write_text(f'[supervisor]\ncontrol = "{self.control}"\n[redis]\nurl = "unix://{redis_socket}"\nsweep = "24h"\nlease = "1s"\n'
                        '[program.a]\ncommand = "sleep 100000"\nregistry = "rq"\nready = { after = "0s" }\n')
        self.process = subprocess.Popen([binary, "run", "-c", str(file)], stdout=subprocess.DEVNULL)
        while True:
            if self.process.poll() is not None:
                sys.exit(f"muster ended with {self.process.returncode}")
            try:
                if self.ask("GET", "/v1/status")["redis"]["state"] == "connected":
                    break
            except OSError:
                pass
            time.sleep(0.02)

    def ask(self, method, target):
        connection = http.client.HTTPConnection("muster")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.control)
        connection.request(method, target)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def sweep(self, expected):
        """Within the first lease nothing is decided, and nothing looked at."""
        while True:
            began = time.perf_counter()
            told = self.ask("POST", "/v1/sweep?apply=true")
            seconds = time.perf_counter() - began
            if "nothing may be decided yet" not in told.get("error", {}).get("message", ""):
                break
            time.sleep(0.1)
        assert expected.items() <= told.items(), told
        return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("muster")
    parser.add_argument("rq", help="a virtual environment with RQ")
    parser.add_argument("members", nargs="?", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = {"RQ's clean_worker_registry": [], "muster, first look": [], "muster, second look: all go": [],
            "muster, nothing stale": []}
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        server = Server(folder)
        muster = None
        try:
            for _ in range(options.rounds):
                server.fill(options.members)
                rows["RQ's clean_worker_registry"].append(server.measured(lambda: float(subprocess.run(
                    [f"{options.rq}/bin/python", "-c", RQ_CLEANS, server.socket], check=True, capture_output=True,
                    text=True).stdout)))
                assert server.client.scard("rq:workers:jobs") == 50
                server.fill(options.members)
                muster = muster or Muster(options.muster, folder, server.socket)
                rows["muster, first look"].append(server.measured(
                    lambda: muster.sweep({"waiting": options.members})))
                server.looks_were_a_minute_earlier()
                rows["muster, second look: all go"].append(server.measured(
                    lambda: muster.sweep({"removed": options.members})))
                assert server.client.scard("rq:workers") == server.client.scard("rq:workers:jobs") == 50
                rows["muster, nothing stale"].append(server.measured(lambda: muster.sweep({"stale": 0})))
        finally:
            if muster:
                os.kill(muster.process.pid, signal.SIGTERM)
                muster.process.wait()
            server.process.terminate()
            server.process.wait()
    print(f"{options.members} stale members in two sets, 50 live; the best of {options.rounds} rounds")
    print(f"{'':30}{'whole':>10}{'longest call':>15}{'longest PING':>15}")
    best = {}
    for name, runs in rows.items():
        best[name] = min(run[0] for run in runs)
        print(f"{name:30}{best[name]:8.3f} s{min(run[2] for run in runs):12.2f} ms{min(run[1] for run in runs):12.2f} ms")
    slowest = max(min(run[2] for run in runs) for name, runs in rows.items() if name.startswith("muster"))
    is_fast = best["muster, second look: all go"] <= best["RQ's clean_worker_registry"]
    print(f"no call of muster's over {LONGEST_CALL:g} ms: {slowest <= LONGEST_CALL}; at least as fast as RQ: {is_fast}")
    sys.exit(0 if slowest <= LONGEST_CALL and is_fast else 1)


if __name__ == "__main__":
    main()
