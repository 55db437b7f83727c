#!/usr/bin/env python3
"""Measures muster beside the floor (tests/bench/bare.cc), the floor with muster's duties (dutiful.cc) and, where they are installed, runit and s6, in one run.

    meson setup build-bench --buildtype=release -Doptimization=2 -Dstatic=true && ninja -C build-bench supervisor/muster tests/bench/bench_stamp tests/bench/bench_bare tests/bench/bench_dutiful
    python3 tests/bench/bench.py build-bench [--reps 3]

Only ratios of one run mean anything; the rows go through all contenders in turn, so that noise falls on all.
"""
import argparse
import os
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time


def now():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Run:
    """One contender with N children; each child's slot tells when its newest life began, and its pid."""

    def __init__(self, build, who, n, exit_code=None):
        self.dir = tempfile.mkdtemp(prefix="muster-bench-")
        self.slots = os.path.join(self.dir, "slots")
        self.n = n
        with open(self.slots, "wb") as f:
            f.write(bytes(16 * n))
        stamp = os.path.join(build, "tests/bench/bench_stamp")
        extra = [] if exit_code is None else [str(exit_code)]
        self.began = now()
        argv = getattr(self, who)(build, lambda i: [stamp, self.slots, str(i), *extra])
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        stdin=subprocess.DEVNULL)

    def muster(self, build, child):
        text = f'[supervisor]\ncontrol = "{self.dir}/s"\n'
        for i in range(self.n):
            words = ", ".join(f'"{w}"' for w in child(i))
            text += (f'[program.w{i}]\ncommand = [{words}]\nready = {{ after = "0s" }}\nstart_limit = 0\n'
                     'backoff = { initial = "0s", max = "0s" }\nstdout = "null"\nstderr = "null"\n')
        with open(f"{self.dir}/m.toml", "w") as f:
            f.write(text)
        return [f"{build}/supervisor/muster", "run", "-c", f"{self.dir}/m.toml"]

    def floor(self, program, child):
        words = child(0)
        words[2] = "%d"
        return [program, str(self.n), *words]

    def bare(self, build, child):
        return self.floor(f"{build}/tests/bench/bench_bare", child)

    def dutiful(self, build, child):
        return self.floor(f"{build}/tests/bench/bench_dutiful", child)

    def runit(self, build, child):
        for i in range(self.n):
            os.makedirs(f"{self.dir}/d/{i}")
            words = child(i)
            with open(f"{self.dir}/d/{i}/run", "w") as f:
                f.write("#!/bin/sh\nexec " + " ".join(words) + "\n")
            os.chmod(f"{self.dir}/d/{i}/run", 0o755)
        return ["runsvdir", "-P", f"{self.dir}/d"]

    def slot(self, i):
        with open(self.slots, "rb") as f:
            f.seek(16 * i)
            return struct.unpack("qq", f.read(16))

    def wait(self, i, after, seconds=15):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            began, pid = self.slot(i)
            if began > after:
                return began, pid
        raise TimeoutError(f"child {i} did not come up")

    def all_up(self):
        return max(self.wait(i, self.began)[0] for i in range(self.n)) - self.began

    def rss(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    def cpu_ns(self):
        total = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/schedstat") as f:
                total += int(f.read().split()[0])
        return total

    def restarts(self, kills):
        latencies = []
        for k in range(kills):
            i = k % self.n
            began, pid = self.slot(i)
            time.sleep(0.01)
            at = now()
            os.kill(pid, signal.SIGKILL)
            latencies.append(self.wait(i, at)[0] - at)
        return latencies

    def stop(self):
        at = now()
        self.process.send_signal(signal.SIGHUP if "runsvdir" in self.process.args[0] else signal.SIGTERM)
        self.process.wait(30)
        took = now() - at
        shutil.rmtree(self.dir, ignore_errors=True)
        return took


def one(build, who, n, kills):
    run = Run(build, who, n)
    start = run.all_up()
    time.sleep(0.3)
    rss = run.rss()
    cpu = run.cpu_ns()
    latencies = run.restarts(kills)
    cpu = (run.cpu_ns() - cpu) / kills
    stop = run.stop()
    return {"start ms": start / 1e6, "restart p50 ms": statistics.median(latencies) / 1e6, "CPU a restart us": cpu / 1e3,
            "stop ms": stop / 1e6, "RSS KiB": rss}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--sizes", default="1,100,1000")
    a = parser.parse_args()
    contenders = ["muster", "bare", "dutiful"] + (["runit"] if shutil.which("runsvdir") else [])
    print("| N | figure | " + " | ".join(contenders) + " | muster / bare | muster / dutiful |")
    print("|---:|---|" + "---:|" * (len(contenders) + 2))
    for n in map(int, a.sizes.split(",")):
        rows = {who: [] for who in contenders}
        for _ in range(a.reps):
            for who in contenders:
                if who == "runit" and n > 100:
                    continue
                # runsv sleeps a second before a restart of what lived for less: few kills tell it all
                rows[who].append(one(os.path.abspath(a.build), who, n, 5 if who == "runit" else 100))
        for figure in rows["muster"][0]:
            values = {w: statistics.median(r[figure] for r in rows[w]) if rows[w] else None for w in contenders}
            cells = [f"{values[w]:.3g}" if values[w] is not None else "" for w in contenders]
            ratios = [f"{values['muster'] / values[floor]:.2f}" for floor in ("bare", "dutiful")]
            print(f"| {n} | {figure} | " + " | ".join(cells + ratios) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
