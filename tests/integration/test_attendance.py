"""Live own workers: put back when they fell out of the registry, restarted when they stand still."""

import os
import signal

import pytest

from support import processes
from support.eventually import always, eventually

QUICK = 'health = { registry = { missing_after = "1s", heartbeat_timeout = "2s" } }'


def test_a_live_worker_is_put_back_whole_after_Redis_was_emptied(real_rq, redis_server, muster):
    instance = muster(real_rq.program(QUICK.replace('"2s"', '"10m"')))
    worker = instance.running("shap", seconds=30)
    eventually(5, lambda: redis_server.worker(worker["name"]).get("state") == "idle")
    before = redis_server.worker(worker["name"])
    redis_server.client.flushall()

    def is_back():
        seen = redis_server.worker(worker["name"])
        assert all(seen.get(key) == before[key]
                   for key in ("pid", "hostname", "birth", "queues", "version", "state")), seen
        key = f"rq:worker:{worker['name']}"
        assert 0 < redis_server.client.ttl(key) <= 480
        assert redis_server.client.sismember("rq:workers", key)
        return redis_server.client.sismember("rq:workers:jobs", key)

    eventually(10, is_back)
    eventually(5, lambda: instance.log_lines(" put-back ", worker["name"]))  # once Redis has answered
    job = real_rq.enqueue("note")
    eventually(10, lambda: job.status == "finished")
    assert instance.one("shap")["pid"] == worker["pid"]
    eventually(5, lambda: instance.one("shap")["health"] == "healthy")
    redis_server.client.srem("rq:workers", f"rq:worker:{worker['name']}")
    eventually(10, lambda: redis_server.client.sismember("rq:workers", f"rq:worker:{worker['name']}"))


@pytest.mark.parametrize("when", ["while it waits for jobs", "before it has written its first state"])
def test_an_idle_worker_that_stands_still_is_restarted(real_rq, redis_server, muster, when):
    instance = muster(real_rq.program(QUICK, 'stop = ["TERM 300ms", "KILL"]'))
    worker = instance.running("shap", seconds=30)
    eventually(5, lambda: redis_server.worker(worker["name"]).get("state") == "idle")
    os.kill(worker["pid"], signal.SIGSTOP)
    if when.startswith("before"):  # as between RQ's register_birth and its set_state
        assert redis_server.client.hdel(f"rq:worker:{worker['name']}", "state") == 1
    new = instance.running("shap", seconds=30, but=[worker])
    instance.logged(" unhealthy ", worker["name"], "heartbeat has stood still")
    assert not processes.is_alive(worker["pid"]) and new["pid"] != worker["pid"]
    assert redis_server.traces_of(worker["name"]) == []


def test_I13_nobody_is_judged_while_Redis_is_away(real_rq, redis_server, muster):
    instance = muster(real_rq.program(QUICK.replace('"2s"', '"10m"')))
    worker = instance.running("shap", seconds=30)
    os.kill(redis_server.process.pid, signal.SIGSTOP)
    try:
        always(3, lambda: instance.one("shap")["pid"] == worker["pid"], "the same worker")
    finally:
        os.kill(redis_server.process.pid, signal.SIGCONT)
    assert not instance.log_lines(" unhealthy ")


def test_a_busy_worker_with_a_long_job_is_never_hung_by_age(real_rq, redis_server, muster):
    instance = muster(real_rq.program(QUICK))
    worker = instance.running("shap", seconds=30)
    job = real_rq.enqueue()
    eventually(20, lambda: job.runs)
    always(6, lambda: instance.one("shap")["pid"] == worker["pid"], "the same worker")
    job.let_finish()
    eventually(10, lambda: job.status == "finished")
    assert (job.starts, job.ends) == (1, 1) and not instance.log_lines(" unhealthy ")
