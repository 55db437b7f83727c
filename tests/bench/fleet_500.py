#!/usr/bin/env python3
"""What a fleet costs its one Redis: tests/bench/fleet_500.py BENCH_FLEET

Runs 100, 250 and 500 instances with 10 workers each on a private Redis, ten times as fast as in life (lease 9 s for
90 s, sweep 12 s for 120 s), and counts what Redis was asked, by its own INFO. Ends with 1 where the commands for an
instance are more than documented, not linear, or the sweeps are more than one an interval.
"""

import json
import subprocess
import sys
import tempfile
import time

import redis

FASTER = 10
LEASE, SWEEP, WORKERS, RUN = 90, 120, 10, 36  # seconds of life, but RUN: of ours
DOCUMENTED = 120 + 30  # commands an hour and instance: a renewal each third of the lease, one question a sweep


def counts(client):
    return {name.removeprefix("cmdstat_"): (one["calls"], one["usec"])
            for name, one in client.info("commandstats").items()}


def run(binary, instances):
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        socket = f"{folder}/redis.sock"
        server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder, "--maxclients",
             "4000"], stdout=subprocess.DEVNULL)
        try:
            client = redis.Redis(unix_socket_path=socket, decode_responses=True)
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.01)
            fleet = subprocess.Popen([binary, socket, str(instances), str(WORKERS), str(LEASE / FASTER),
                                      str(SWEEP / FASTER), str(RUN)], stdout=subprocess.PIPE, text=True)
            assert fleet.stdout.readline() == "all are there\n"
            client.config_set("slowlog-log-slower-than", 200)
            client.config_set("slowlog-max-len", 10_000)
            time.sleep(1)
            client.slowlog_reset()
            before, began, cpu = counts(client), time.monotonic(), client.info("cpu")["used_cpu_user"]
            time.sleep(RUN - 3)
            after, seconds = counts(client), time.monotonic() - began
            cpu = client.info("cpu")["used_cpu_user"] + client.info("cpu")["used_cpu_sys"] - cpu
            longest = max((one["duration"] for one in client.slowlog_get(10_000)), default=200) / 1000
            workers = client.scard("rq:workers")
            swept = json.loads(fleet.stdout.read())["sweeps"]
            fleet.wait()
        finally:
            server.terminate()
            server.wait()
    assert workers == instances * WORKERS, workers

    # What scripts call is counted under its own name, too.
    outer = [name for name in ("eval", "evalsha") if name in after]
    scripts = sum(after[name][0] - before.get(name, (0, 0))[0] for name in outer)
    usec = sum(after[name][1] - before.get(name, (0, 0))[1] for name in outer)
    return {"instances": instances, "scripts": scripts, "seconds": seconds, "usec": usec, "swept": swept,
            "longest": longest}


def main():
    binary = sys.argv[1]
    is_fine = True
    print(f"{'instances':>9}{'workers':>9}{'commands/s':>11}{'an hour and instance':>22}{'Redis busy':>12}"
          f"{'sweeps':>8}{'longest call':>14}    (scaled to a lease of {LEASE} s and a sweep each {SWEEP} s)")
    rates = []
    for instances in (100, 250, 500):
        one = run(binary, instances)
        rate = one["scripts"] / one["seconds"] / FASTER
        rates.append(rate / instances * 3600)
        intervals = (RUN + LEASE / FASTER / 3) * FASTER / SWEEP
        is_fine &= one["swept"] <= intervals * 1.25 + 1 and one["longest"] <= 5
        print(f"{instances:9}{instances * WORKERS:9}{rate:11.2f}{rates[-1]:22.1f}"
              f"{one['usec'] / one['seconds'] / 10_000 / FASTER:10.3f} %{one['swept']:8}{one['longest']:11.2f} ms")
    is_fine &= all(rate <= DOCUMENTED * 1.15 for rate in rates) and max(rates) <= 1.25 * min(rates)
    print(f"as documented ({DOCUMENTED} an hour and instance), linear, one sweep an interval, no call over 5 ms: {is_fine}")
    sys.exit(0 if is_fine else 1)


if __name__ == "__main__":
    main()
