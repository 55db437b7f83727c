"""What nobody saw die: muster and its workers killed at once; the next life, or another host, settles it."""

import json
import os
import signal
import subprocess
import time

import pytest

from support import processes
from support.eventually import always, eventually

needs_namespaces = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root here")


def elsewhere(host):
    """As on another host: other hostname, other pid namespace."""
    return ["unshare", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child",
            "sh", "-c", f'hostname {host} && exec "$@"', "sh"]


def instances(redis_server):
    return set(redis_server.client.zrange("muster:instances", 0, -1))


def roll(redis_server, instance):
    return {name: json.loads(entry)
            for name, entry in redis_server.client.hgetall(f"muster:roll:{instance}").items()}


def kill_all(instance, pids):
    """As a container's end: nobody has time to tell anybody."""
    os.kill(instance.pid, signal.SIGSTOP)  # it would see its workers die
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    instance.kill()


def age(redis_server, instance=None, seconds=61):
    """The server's time goes on: looks, leases and what has a TTL get older. Live workers would refresh theirs."""
    client = redis_server.client
    for name, first in client.hgetall("muster:looks:rq").items():
        client.hset("muster:looks:rq", name, int(first) - seconds * 1000)
    if instance:
        client.zadd("muster:instances", {instance: 1}, xx=True)
        client.delete(f"muster:settling:{instance}")


def test_the_roll_knows_a_worker_from_its_spawn_to_its_release(real_rq, redis_server, muster):
    instance = muster(real_rq.program("processes = 2"))
    workers = instance.running(seconds=30)
    [ours] = instances(redis_server)
    facts = redis_server.client.hgetall(f"muster:instance:{ours}")
    assert json.loads(facts["programs"]) == [["shap", "rq", 2]]

    def known():
        entries = roll(redis_server, ours)
        assert set(entries) == {one["name"] for one in workers}
        for one in workers:
            entry, seen = entries[one["name"]], redis_server.worker(one["name"])
            assert entry["pid"] == one["pid"] and entry["process"] == one["id"]
            assert (entry["registered_pid"], entry["host"], entry["birth"]) == (
                seen["pid"], seen["hostname"], seen["birth"])
            assert entry["queues"] == ["jobs"] and entry["version"] == seen["version"]
        return True

    eventually(5, known)
    processes.kill(workers[0]["pid"])
    new = instance.running(workers[0]["id"], seconds=30, but=[workers[0]])
    eventually(5, lambda: set(roll(redis_server, ours)) == {new["name"], workers[1]["name"]})
    assert instance.terminate() == 0
    assert not redis_server.client.keys("muster:instance*") + redis_server.client.keys("muster:roll:*")


def test_I6_the_next_life_settles_what_was_killed_at_once_before_its_first_worker(
        real_rq, redis_server, muster):
    config = real_rq.program("processes = 2")
    first = muster(config)
    workers = first.running(seconds=30)
    jobs = [real_rq.enqueue(retries=1) for _ in workers]
    eventually(20, lambda: all(job.runs for job in jobs))
    old = instances(redis_server)
    kill_all(first, [pid for one in workers for pid in [one["pid"], *processes.descendants(one["pid"])]])
    assert redis_server.workers() == {one["name"] for one in workers}  # nobody has told

    first.start()
    new = first.running(seconds=30)
    eventually(10, lambda: all(job.starts == 2 for job in jobs))
    for job in jobs:
        job.let_finish()
    eventually(10, lambda: all(job.status == "finished" for job in jobs))
    assert all((job.starts, job.ends) == (2, 1) for job in jobs)
    assert redis_server.workers() == {one["name"] for one in new}
    for one in workers:
        assert redis_server.traces_of(one["name"]) == []
        assert first.log_lines(" settled ", one["name"], "verdict=removed")
    assert not old & instances(redis_server)
    log = first.log()
    assert log.index(" settled ") < log.rindex(" starting program=shap process=shap_00")


def test_I6_nothing_is_handed_back_while_a_part_of_the_old_family_lives(
        real_rq, redis_server, muster):
    config = real_rq.program("processes = 1", 'orphans = "wait"')
    first = muster(config)
    [worker] = first.running(seconds=30)
    job = real_rq.enqueue(retries=1)
    eventually(20, lambda: job.runs)
    horse = job.horse
    kill_all(first, [worker["pid"]])
    assert processes.is_alive(horse)
    first.start()
    eventually(5, lambda: first.log_lines(" survivors-found "))
    always(1.5, lambda: processes.is_alive(horse) and job.starts == 1, "the horse going on alone")
    assert redis_server.worker(worker["name"])
    assert first.state("shap_00") == "STOPPED"  # the next life waits for it
    job.let_finish()
    first.running(seconds=30)
    assert redis_server.traces_of(worker["name"]) == []
    always(0.5, lambda: (job.starts, job.ends) == (1, 1), "one run")


def test_a_survivor_is_ended_by_its_stop_steps_and_its_job_handed_back(
        real_rq, redis_server, muster):
    config = real_rq.program('stop = ["TERM 1s", "KILL"]')
    first = muster(config)
    worker = first.running("shap", seconds=30)
    job = real_rq.enqueue(retries=1)
    eventually(20, lambda: job.runs)
    first.kill()  # the kernel sends TERM to the worker: RQ's warm stop, which waits for the job
    assert processes.is_alive(worker["pid"]) and job.runs
    first.start()
    first.running("shap", seconds=30)
    assert not processes.is_alive(worker["pid"])
    assert redis_server.traces_of(worker["name"]) == []
    eventually(10, lambda: job.starts == 2)
    job.let_finish()
    eventually(10, lambda: job.status == "finished")
    assert (job.starts, job.ends) == (2, 1)


def test_I4_a_sibling_in_the_same_place_is_no_earlier_life(real_rq, redis_server, muster):
    """The same service, host name and pid namespace; the one that starts later looks at the other."""
    config = real_rq.program()
    one = muster(config)
    worker = one.running("shap", seconds=30)
    eventually(5, lambda: redis_server.worker(worker["name"]).get("state") == "idle")
    before = redis_server.worker(worker["name"])
    two = muster(config)
    two.running("shap", seconds=30)
    two.kill()
    two.start()
    two.running("shap", seconds=30)
    after = redis_server.worker(worker["name"])
    assert (after["pid"], after["birth"]) == (before["pid"], before["birth"])
    assert redis_server.client.sismember("rq:workers", f"rq:worker:{worker['name']}")
    assert one.one("shap")["pid"] == worker["pid"]
    assert two.log_lines(" left ", "its supervisor lives")
