#!/usr/bin/env python3
"""What the control socket costs with a thousand processes: tests/bench/control_1000.py MUSTER

Medians, of one run: `muster status`, one status request as a client sees it, and how long it held the server (its CPU
time, of many requests); then the same while 200 followers read events and logs. Ends with 1 where `muster status` takes
50 ms or more, or a request holds the server for 5 ms or more.
"""

import http.client
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

PROCESSES, FOLLOWERS, TIMES, REQUESTS = 1000, 200, 21, 100


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


class Followers:
    """Half of events, half of a log; one thread reads them all."""

    def __init__(self, path):
        self.sockets = []
        self.bytes = [0] * FOLLOWERS
        for number in range(FOLLOWERS):
            one = socket.socket(socket.AF_UNIX)
            one.connect(path)
            target = "/v1/events?follow=true" if number % 2 else "/v1/logs/talks?follow=true"
            one.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
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


def main():
    binary = os.path.abspath(sys.argv[1])
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
command = ["sh", "-c", "while echo something to follow; do sleep 0.02; done"]
""")
        muster = subprocess.Popen([binary, "run", "-c", f"{folder}/m.toml"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL)
        try:
            while not is_ready(path):
                time.sleep(0.05)
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
