#!/usr/bin/env python3
"""What the control socket costs with a thousand processes: tests/bench/control_1000.py MUSTER [--deaf SECONDS]

Medians, of one run: `muster status`, one status request as a client sees it, and how long it held the server (its CPU
time, of many requests); then the same while 200 followers read events and logs. Ends with 1 where `muster status` takes
50 ms or more, or a request holds the server for 5 ms or more.

With --deaf: what others notice of a client that follows the events and a log and reads nothing of it for so long, while
processes die and a log says 20 KiB a second. As long as that, the same is first measured without it. Ends with 1 where the
server has had 4 MiB more than without it, a follower that reads was let go, or `muster status` takes 50 ms or more.
"""

import argparse
import http.client
import itertools
import json
import os
import pathlib
import re
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

PROCESSES, FOLLOWERS, TIMES, REQUESTS = 1000, 200, 21, 100
DEATHS = 20  # a second


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def get(connection, target):
    connection.request("GET", target)
    answer = connection.getresponse()
    return answer.status, answer.read()


def is_ready(path):
    try:
        return get(Unix(path), "/readyz")[0] == 200
    except OSError:
        return False


def cpu(connection):
    """Of the supervisor itself, in ms."""
    text = get(connection, "/metrics")[1].decode()
    return float(re.search(r"^process_cpu_seconds_total (\S+)", text, re.M)[1]) * 1000


def rss(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])


def figures(binary, path):
    commands = []
    for _ in range(TIMES):
        began = time.perf_counter()
        subprocess.run([binary, "-s", path, "status"], stdout=subprocess.DEVNULL, check=True)
        commands.append((time.perf_counter() - began) * 1000)
    connection = Unix(path)
    seen = []
    before = cpu(connection)
    for _ in range(REQUESTS):
        began = time.perf_counter()
        status, body = get(connection, "/v1/processes")
        seen.append((time.perf_counter() - began) * 1000)
        assert status == 200 and body.count(b'"RUNNING"') == PROCESSES + 1, body[:300]
    held = (cpu(connection) - before) / REQUESTS
    return statistics.median(commands), statistics.median(seen), held


def follow(path, target):
    one = socket.socket(socket.AF_UNIX)
    one.connect(path)
    one.sendall(f"GET {target}?follow=true HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return one


class Followers:
    """Half of events, half of a log; one thread reads them all."""

    def __init__(self, path):
        self.sockets = []
        self.bytes = [0] * FOLLOWERS
        self.lost = 0
        for number in range(FOLLOWERS):
            one = follow(path, "/v1/events" if number % 2 else "/v1/logs/talks")
            self.bytes[number] = len(one.recv(65536))  # it is served: before the next one comes
            self.sockets.append(one)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        import selectors
        with selectors.DefaultSelector() as all_of_them:
            for number, one in enumerate(self.sockets):
                all_of_them.register(one, selectors.EVENT_READ, number)
            while all_of_them.get_map():
                for key, _ in all_of_them.select():
                    text = key.fileobj.recv(65536)
                    self.bytes[key.data] += len(text)
                    if not text:
                        all_of_them.unregister(key.fileobj)
                        self.lost += 1


class Deaf:
    """One client, two connections, of which it reads nothing at all."""

    def __init__(self, path):
        self.began = time.monotonic()
        self.sockets = {name: follow(path, name) for name in ("/v1/events", "/v1/logs/talks")}
        self.let_go = {}

    def look(self):
        """Whether the server has closed one is seen without reading."""
        hang_up = select.poll()
        for name, one in self.sockets.items():
            if name not in self.let_go:
                hang_up.register(one, select.POLLRDHUP)
        for number, _ in hang_up.poll(0):
            name = next(name for name, one in self.sockets.items() if one.fileno() == number)
            self.let_go[name] = time.monotonic() - self.began

    def told(self):
        return "; ".join(f"{name} let go after {self.let_go[name]:.0f} s" if name in self.let_go else f"{name} kept"
                         for name in self.sockets)


def beside(binary, path, pid, seconds, turn, look):
    """What a client that comes each second sees, and the server's memory: at first, at last, at most."""
    commands, seen, memory = [], [], [rss(pid)]
    connection = Unix(path)
    for _ in range(seconds):
        next_one = time.monotonic() + 1
        began = time.perf_counter()
        done = subprocess.run([binary, "-s", path, "status"], stdout=subprocess.DEVNULL)
        commands.append((time.perf_counter() - began) * 1000)
        assert done.returncode in (0, 3)  # 3: some that have died are not back yet
        for _ in range(10):
            began = time.perf_counter()
            status, body = get(connection, "/v1/processes")
            seen.append((time.perf_counter() - began) * 1000)
            assert status == 200, body[:300]
        sleeps = [one for one in json.loads(body)["processes"] if one["id"].startswith("sleeps")]
        for number in itertools.islice(turn, DEATHS):
            if sleeps[number]["pid"]:
                os.kill(sleeps[number]["pid"], signal.SIGKILL)
        look()
        memory.append(rss(pid))
        time.sleep(max(0, next_one - time.monotonic()))
    return commands, seen, (memory[0], memory[-1], max(memory))


def with_a_deaf_client(binary, path, pid, seconds):
    """Whether it is as wanted."""
    turn = itertools.cycle(range(PROCESSES))
    followers = Followers(path)
    without = beside(binary, path, pid, seconds, turn, lambda: None)
    read = list(followers.bytes)
    client = Deaf(path)
    along = beside(binary, path, pid, seconds, turn, client.look)
    read = [(after - before) // 1024 for before, after in zip(read, followers.bytes)]
    print(f"{PROCESSES + 1} processes, {DEATHS} deaths a second, {FOLLOWERS} followers that read; ms, median and most; "
          f"load {os.getloadavg()[0]:.0f}")
    print(f"{'':24}{'muster status':>18}{'GET /v1/processes':>20}   RSS in KiB: first, last, most")
    for name, (commands, seen, memory) in ((f"{seconds} s without", without), (f"{seconds} s with a deaf client", along)):
        print(f"{name:24}{statistics.median(commands):11.1f}{max(commands):7.1f}{statistics.median(seen):12.2f}"
              f"{max(seen):8.2f}   {' '.join(map(str, memory))}")
    print(f"the deaf client: {client.told()}")
    print(f"meanwhile each of the others has read {min(read[1::2])} to {max(read[1::2])} KiB of events or "
          f"{min(read[::2])} to {max(read[::2])} KiB of the log; {followers.lost} were let go")
    return along[2][2] - without[2][2] < 4096 and not followers.lost and statistics.median(along[0]) < 50


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("muster")
    arguments.add_argument("--deaf", type=int, metavar="SECONDS")
    arguments = arguments.parse_args()
    binary = os.path.abspath(arguments.muster)
    says = "printf '%0400d\\\\n' 1" if arguments.deaf else "echo something to follow"
    with tempfile.TemporaryDirectory(prefix="control-") as folder:
        path = f"{folder}/s.sock"
        pathlib.Path(f"{folder}/m.toml").write_text(f"""\
[supervisor]
control = "{path}"
[program.sleeps]
command = "sleep 100000"
processes = {PROCESSES}
ready = {{ after = "0s" }}
[program.talks]
command = ["sh", "-c", "while {says}; do sleep 0.02; done"]
""")
        muster = subprocess.Popen([binary, "run", "-c", f"{folder}/m.toml"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL)
        try:
            while not is_ready(path):
                time.sleep(0.05)
            if arguments.deaf:
                sys.exit(0 if with_a_deaf_client(binary, path, muster.pid, arguments.deaf) else 1)
            alone = figures(binary, path)
            before = rss(muster.pid)
            followers = Followers(path)
            followed = figures(binary, path)
            after = rss(muster.pid)
        finally:
            muster.terminate()
            muster.wait()
    print(f"{PROCESSES + 1} processes; medians of {TIMES} commands and {REQUESTS} requests, ms")
    print(f"{'':24}{'muster status':>14}{'GET /v1/processes':>19}{'of it in the server':>21}")
    for name, one in (("alone", alone), (f"with {FOLLOWERS} followers", followed)):
        print(f"{name:24}{one[0]:14.1f}{one[1]:19.2f}{one[2]:21.2f}")
    print(f"{FOLLOWERS} followers: {after - before} KiB more")
    sys.exit(0 if alone[0] < 50 and max(alone[2], followed[2]) < 5 else 1)


if __name__ == "__main__":
    main()
