#!/usr/bin/env python3
"""Finds the code that a muster at work runs, and writes it down for the linker: supervisor/hot_code.ld.

    meson setup build-hot --buildtype=release -Doptimization=2 -Dstatic=true && ninja -C build-hot supervisor/muster worker_stub/worker_stub tests/bench/bench_steps
    python3 tests/bench/hot_code.py build-hot > hot_code.ld && mv hot_code.ld supervisor/hot_code.ld

Some minutes. muster is started, lets go of the code of its start, and is stepped through every instruction of what it does
from then on: output into files and forwarded, deaths and restarts, requests; then RQ workers (the stub) with a redis-server. A
function belongs to a section of its own, in the libraries to an object; each that was run goes into the list, in the order of
its first run. The link map of the build tells which one an address is of.
"""
import argparse
import bisect
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

longest_name = 64
SECTION = re.compile(r"^ (\.text\S*)\s*(?:\n\s+)?\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)[ \t]+(\S.*)$", re.M)


def sections_of(build):
    """(address, size, name, file) of all code in the executable, by address."""
    with open(f"{build}/supervisor/muster.map") as f:
        text = f.read()
    found = [(int(m[2], 16), int(m[3], 16), m[1], m[4]) for m in SECTION.finditer(text[text.index("Linker script and memory map"):])]
    return sorted(one for one in found if one[0] and one[1])


def until(what, condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"hot_code: {what}: not in {seconds} s")
        time.sleep(0.05)


class Scenario:
    def __init__(self, build, programs):
        self.dir = tempfile.mkdtemp(prefix="muster-hot-")
        self.muster = os.path.abspath(f"{build}/supervisor/muster")
        text = f'[supervisor]\ncontrol = "{self.dir}/s"\n' + programs.replace("DIR", self.dir)
        with open(f"{self.dir}/m.toml", "w") as f:
            f.write(text)
        self.process = subprocess.Popen([self.muster, "run", "-c", f"{self.dir}/m.toml"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        time.sleep(5)  # by then it has let go of its start
        self.steps = subprocess.Popen([f"{build}/tests/bench/bench_steps", str(self.process.pid), "600"], stdout=subprocess.PIPE, text=True)

    def ask(self, path):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"{self.dir}/s")
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: muster\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while chunk := s.recv(1 << 16):
                answer += chunk
        return json.loads(answer.split(b"\r\n\r\n", 1)[1])

    def pids(self):
        return {one["pid"] for one in self.ask("/v1/processes")["processes"] if one["state"] == "RUNNING"}

    def kill_one(self):
        before = self.pids()
        os.kill(min(before), signal.SIGKILL)
        until("a restart", lambda: len(self.pids()) == len(before) and min(before) not in self.pids())

    def end(self):
        self.steps.terminate()
        places = [int(line, 16) for line in self.steps.communicate()[0].split()]
        self.process.kill()
        self.process.communicate()
        return places


COMMON = 'ready = { after = "0s" }\nbackoff = { initial = "0s", max = "0s" }\nstart_limit = 0\n'


def without_redis(build):
    waits = "until [ -e DIR/go ]; do sleep 0.2; done"
    text = ""
    for i in range(4):
        text += (f'[program.file{i}]\ncommand = ["sh", "-c", "{waits}; head -c 300000 /dev/zero | tr \'\\\\000\' \'\\\\n\'; echo end; exec sleep 1000"]\n'
                 f'{COMMON}stdout = "DIR/{i}.log"\nstderr = "null"\n')
    text += f'[program.forward]\ncommand = ["sh", "-c", "{waits}; echo one; sleep 0.2; echo two; exec sleep 1000"]\n{COMMON}'
    run = Scenario(build, text)
    open(f"{run.dir}/go", "w").close()
    until("output in files", lambda: all(os.path.getsize(f"{run.dir}/{i}.log") >= 300004 for i in range(4)))
    for _ in range(3):
        run.kill_one()
    run.ask("/readyz")
    return run.end()


def with_redis(build):
    stub = os.path.abspath(f"{build}/worker_stub/worker_stub")
    folder = tempfile.mkdtemp(prefix="muster-hot-")
    redis = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", f"{folder}/redis", "--save", ""], stdout=subprocess.DEVNULL)
    until("redis-server", lambda: os.path.exists(f"{folder}/redis"))
    run = Scenario(build, f'[redis]\nurl = "unix://{folder}/redis"\n[program.worker]\nregistry = "rq"\nprocesses = 3\n'
                          f'command = ["{stub}", "--url", "unix://{folder}/redis", "--name", "{{name}}", "--queues", "default"]\n')
    time.sleep(20)  # heartbeats, leases, what is looked at from time to time
    for _ in range(2):
        run.kill_one()
    time.sleep(20)
    places = run.end()
    redis.terminate()
    redis.wait()
    return places


def pattern(name, file):
    archive = re.search(r"(lib[^/]+\.a)\(([^)]+)\)$", file)
    if archive:
        return f"*{archive[1]}:{archive[2]}(.text .text.*)"
    if name == ".text":
        return None  # of the start of a C program: crt1.o
    # What the compiler makes of one function besides has a suffix: .constprop.0, .lto_priv.0. Of a long name, the beginning:
    # so it is right for other compilers and versions, too.
    whole = re.sub("3fmt[0-9]v[0-9]+", "3fmt*", name.split(".", 2)[2].split(".")[0])
    return f"*(.text.{whole} .text.{whole}.*)" if len(whole) <= longest_name else f"*(.text.{whole[:longest_name]}*)"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    build = parser.parse_args().build
    sections = sections_of(build)
    starts = [one[0] for one in sections]
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # each step is two switches: 10 times as fast on one processor
    patterns, size = {}, 0
    for place in without_redis(build) + with_redis(build):
        i = bisect.bisect_right(starts, place) - 1
        if i < 0 or place >= sections[i][0] + sections[i][1]:
            continue
        what = pattern(*sections[i][2:])
        if what and what not in patterns:
            patterns[what] = None
            size += sections[i][1]
    print("/* The code that a muster at work runs, side by side: by tests/bench/hot_code.py, which says more.")
    print(f"   {len(patterns)} functions and objects, {size // 1024} KiB. What is not there by such a name is passed over. */")
    print("SECTIONS\n{\n  .hot_code :\n  {")
    for one in patterns:
        print(f"    {one}")
    print("  }\n}\nINSERT BEFORE .text;")


main()
