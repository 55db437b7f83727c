"""The failure that muster was born from, and the same worker under muster."""

import signal
import subprocess
import time

import pytest

from support import processes
from support.eventually import eventually
from support.namespaces import UNSHARE, needs_namespaces
from support.rig import environment


def plain_worker(real_rq, name):
    return subprocess.Popen(
        [real_rq.bin / "rq", "worker", "--url", real_rq.redis.url, "--name", name, "jobs"],
        env=environment("plain"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)


def test_without_muster_a_fixed_name_is_refused_after_a_kill(real_rq, redis_server):
    first = plain_worker(real_rq, "simple-worker-65")
    try:
        eventually(20, lambda: redis_server.worker("simple-worker-65").get("pid"))
    finally:
        first.kill()
        first.communicate()
    second = plain_worker(real_rq, "simple-worker-65")
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert "There exists an active worker named 'simple-worker-65' already" in said


@needs_namespaces
def test_I7_under_muster_it_restarts_20_times_in_a_row_muster_killed_too(
        real_rq, redis_server, muster):
    """In a pid and uts namespace, as in a container that restarts: the same hostname, the same pids."""
    instance = muster(
        real_rq.program('backoff = { reset_after = "1ms" }'),
        before=[*UNSHARE, "sh", "-c", 'hostname worker-host && exec "$@"', "sh"])
    names, inner_pids = [], set()
    worker = instance.running("shap", seconds=30)
    for turn in range(20):
        names.append(worker["name"])
        inner_pids.add(worker["pid"])
        assert redis_server.worker(worker["name"])["hostname"] == "worker-host"
        if turn % 2:
            instance.kill()  # PID 1 of its namespace: all in there die with it
            instance.start()
            worker, expected = instance.running("shap", seconds=30), 1
        else:
            processes.kill(instance.host_pid("shap"), signal.SIGKILL)
            expected = worker["incarnation"] + 1
            worker = instance.running("shap", seconds=30, but=[worker])
        assert worker["incarnation"] == expected  # each start was the first to be tried, and good
    names.append(worker["name"])
    assert len(set(names)) == len(names)  # I7
    assert len(inner_pids) < len(names)   # the pids did come again: the names could not lean on them
    assert "There exists an active worker" not in instance.log()


def test_I5_the_entries_are_gone_and_the_job_runs_again_within_a_second(
        real_rq, redis_server, muster):
    instance = muster(real_rq.program('backoff = { reset_after = "1ms" }'))
    worker = instance.running("shap", seconds=30)
    took = []
    for _ in range(3):
        job = real_rq.enqueue(retries=1)
        eventually(10, lambda: job.runs)
        name = worker["name"]
        killed_at = time.time()
        processes.kill(worker["pid"])
        eventually(1, lambda: not redis_server.traces_of(name), "the dead worker's entries gone")
        worker = instance.running("shap", seconds=30, but=[worker])
        eventually(10, lambda: job.starts == 2)
        took.append(job.started_at(2) - killed_at)
        job.let_finish()
        eventually(10, lambda: job.status == "finished")
    print("killed, and running again after", [f"{one:.2f} s" for one in took])
    assert min(took) < 1.0, took
