#!/usr/bin/env python3
"""What a forwarded line costs: tests/bench/logs.py MUSTER [MIB]

One child writes MIB (256) MiB of lines of 100 bytes. CPU seconds of muster for a GiB of them, forwarded with a prefix
and as JSON into a pipe that somebody reads, beside s6-log's into its directory, where that is installed. The writer's
and the reader's CPU is not counted. In turns, three rounds, the least of each.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import threading

LINE = "0123456789" * 9 + "abcdefghi"


def writer(mib):
    return f"yes {LINE} | head -c {mib << 20}"


def drained(pipe, until):
    seen = 0
    while seen < until:
        part = pipe.read(1 << 20)
        if not part:
            raise SystemExit("the stream ended too early")
        seen += part.count(b"\n")


def cpu_of(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def muster_cpu(binary, mib, form, folder):
    config = os.path.join(folder, "m.toml")
    with open(config, "w") as file:
        file.write(f'[supervisor]\ncontrol = "{folder}/c/s"\nlog = {{ format = "{form}" }}\n[program.w]\n'
                   f'command = ["sh", "-c", "{writer(mib)}; exec sleep 1000"]\nready = {{ after = "0s" }}\n')
    process = subprocess.Popen([binary, "run", "-c", config], stdout=subprocess.PIPE, bufsize=0)
    reader = threading.Thread(target=drained, args=(process.stdout, (mib << 20) // (len(LINE) + 1)))
    reader.start()
    reader.join()
    used = cpu_of(process.pid)
    process.terminate()
    process.communicate()
    return used


def s6_cpu(mib, folder):
    process = subprocess.Popen(["s6-log", "-b", "n2", "s268435455", os.path.join(folder, "log")],
                               stdin=subprocess.PIPE)
    subprocess.run(["sh", "-c", writer(mib)], stdout=process.stdin, check=False)
    process.stdin.close()
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime


def main():
    binary, mib = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 256
    best = {}
    for _ in range(3):
        for name in ("text", "json", "s6-log"):
            if name == "s6-log" and not shutil.which("s6-log"):
                continue
            with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
                used = s6_cpu(mib, folder) if name == "s6-log" else muster_cpu(binary, mib, name, folder)
            best[name] = min(best.get(name, used), used)
    for name, used in best.items():
        ratio = f", {used / best['s6-log']:.2f} of s6-log" if "s6-log" in best else ""
        print(f"{name:8} {used * 1024 / mib:6.3f} CPU s/GiB{ratio}")


main()
