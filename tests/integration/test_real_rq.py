"""Each way in which a real RQ worker ends, under muster. Jobs run exactly as often as RQ's rules say."""

import re
import signal
import time

import pytest

from support import processes
from support.eventually import always, eventually


def rq_keys(redis_server):
    """Without muster's own: its roll goes on."""
    return {key: value for key, value in redis_server.dump().items()
            if not key.startswith("muster:")}


def test_an_idle_worker_that_is_killed_leaves_no_trace_and_is_replaced(
        real_rq, redis_server, muster, stub):
    stub("foreign")
    eventually(5, lambda: redis_server.worker("foreign").get("state") == "idle")
    instance = muster(real_rq.program())
    old = instance.running("shap", seconds=30)
    eventually(5, lambda: redis_server.worker(old["name"]).get("state") == "idle")
    before = rq_keys(redis_server)

    processes.kill(old["pid"])
    new = instance.running("shap", seconds=30, but=[old])
    eventually(5, lambda: redis_server.worker(new["name"]).get("state") == "idle")
    eventually(5, lambda: not redis_server.client.exists("rq:clean_registries:jobs"))
    after = rq_keys(redis_server)

    assert new["name"] != old["name"] and new["restarts"] == old["restarts"] + 1
    assert redis_server.traces_of(old["name"]) == []
    old_key, new_key = f"rq:worker:{old['name']}", f"rq:worker:{new['name']}"
    for members in ("rq:workers", "rq:workers:jobs"):
        assert before.pop(members) - {old_key} == after.pop(members) - {new_key}
    assert before.pop(old_key) and after.pop(new_key)
    assert after == before  # a foreign live worker on the same queue is untouched too


def test_I6_a_busy_worker_that_is_killed_runs_its_job_again_where_it_has_retries(
        real_rq, redis_server, muster, stub):
    stub("foreign", "other,jobs")
    instance = muster(real_rq.program())
    old = instance.running("shap", seconds=30)
    job = real_rq.enqueue(retries=2)
    eventually(10, lambda: job.runs)
    first_horse = job.horse
    foreign = redis_server.worker("foreign")

    processes.kill(old["pid"])
    eventually(30, lambda: job.starts == 2)
    assert not processes.is_alive(first_horse)
    assert redis_server.traces_of(old["name"]) == []
    job.let_finish()
    eventually(10, lambda: job.status == "finished")
    always(0.5, lambda: (job.starts, job.ends) == (2, 1), "two starts and one end")
    assert redis_server.client.zcard("rq:wip:jobs") == 0
    assert redis_server.client.lrange("rq:queue:jobs:intermediate", 0, -1) == []
    assert redis_server.worker("foreign") == foreign


def test_I6_a_busy_worker_that_is_killed_fails_its_job_where_it_has_no_retries(
        real_rq, redis_server, muster):
    instance = muster(real_rq.program())
    old = instance.running("shap", seconds=30)
    job = real_rq.enqueue(retries=0)
    eventually(10, lambda: job.runs)
    processes.kill(old["pid"])
    instance.running("shap", seconds=30, but=[old])
    eventually(10, lambda: job.status == "failed")
    assert redis_server.client.zrange("rq:failed:jobs", 0, -1) == [job.id]
    assert redis_server.client.zcard("rq:wip:jobs") == 0
    assert not processes.is_alive(job.horse)
    assert (job.starts, job.ends) == (1, 0)


def test_a_horse_that_is_killed_alone_is_the_workers_affair(real_rq, redis_server, muster):
    instance = muster(real_rq.program())
    worker = instance.running("shap", seconds=30)
    job = real_rq.enqueue(retries=1)
    eventually(10, lambda: job.runs)
    processes.kill(job.horse)
    eventually(10, lambda: job.starts == 2)
    job.let_finish()
    eventually(10, lambda: job.status == "finished")
    after = instance.one("shap")
    assert (after["pid"], after["name"], after["restarts"]) == (
        worker["pid"], worker["name"], worker["restarts"])
    assert (job.starts, job.ends) == (2, 1)


def test_orphans_wait_lets_the_horse_finish_and_the_job_runs_once(real_rq, redis_server, muster):
    instance = muster(real_rq.program('orphans = "wait"'))
    old = instance.running("shap", seconds=30)
    job = real_rq.enqueue(retries=1)
    eventually(10, lambda: job.runs)
    horse = job.horse
    processes.kill(old["pid"])
    always(1, lambda: processes.is_alive(horse) and job.starts == 1, "the horse goes on alone")
    assert redis_server.worker(old["name"])  # not yet: its horse still writes there
    job.let_finish()
    instance.running("shap", seconds=30, but=[old])
    eventually(5, lambda: redis_server.traces_of(old["name"]) == [])
    assert job.status == "finished"
    always(0.5, lambda: (job.starts, job.ends) == (1, 1), "one start and one end")


@pytest.mark.parametrize("end", ["TERM", "KILL"])  # of the scheduler: the lock is given back, or left
def test_a_worker_with_scheduler_takes_its_scheduler_along_and_the_replacement_schedules(
        real_rq, redis_server, muster, end):
    instance = muster(real_rq.program(extra=["--with-scheduler"]))
    old = instance.running("shap", seconds=30)
    lock = "rq:scheduler-lock:jobs"
    left = [redis_server.client.pttl(lock)]

    def is_refreshed():
        left.append(redis_server.client.pttl(lock))
        return left[-1] > left[-2] > 0

    eventually(30, is_refreshed, "the scheduler refreshing its lock")  # not only forked, but at work
    family = eventually(5, lambda: processes.descendants(old["pid"]))
    for pid in [old["pid"], *(family if end == "KILL" else [])]:
        processes.kill(pid)
    new = instance.running("shap", seconds=30, but=[old])
    assert [pid for pid in family if processes.is_alive(pid)] == []
    assert redis_server.traces_of(old["name"]) == []
    job = real_rq.enqueue("note", delay=1)
    eventually(75, lambda: job.ends == 1)
    assert job.starts == 1
    assert instance.one("shap")["pid"] == new["pid"]


def test_a_graceful_stop_lets_the_job_finish_and_sends_TERM_once(
        real_rq, redis_server, muster, folder):
    heard = folder / "signals"
    instance = muster(real_rq.program(
        'stop = ["TERM 30s", "KILL"]',
        extra=["--worker-class", "counting_worker.CountingWorker"]),
        env={"SIGNALS_HEARD": str(heard)})
    worker = instance.running("shap", seconds=30)
    job = real_rq.enqueue()
    eventually(10, lambda: job.runs)
    status, body = instance.post("/v1/processes/shap/stop?wait=false")
    assert status in (200, 202), body
    eventually(5, heard.exists)
    assert instance.state("shap") == "STOPPING"
    always(1.5, lambda: job.runs, "the job going on")  # RQ would take a second TERM for a cold stop
    job.let_finish()
    eventually(10, lambda: instance.state("shap") == "STOPPED")
    assert job.status == "finished" and (job.starts, job.ends) == (1, 1)
    assert heard.read_text().split() == [str(int(signal.SIGTERM))]
    assert not redis_server.client.sismember("rq:workers", f"rq:worker:{worker['name']}")


def test_I3_a_stop_that_takes_too_long_ends_all_and_hands_the_job_back(
        real_rq, redis_server, muster):
    instance = muster(real_rq.program('stop = ["TERM 1s", "KILL"]'))
    worker = instance.running("shap", seconds=30)
    job = real_rq.enqueue(retries=1)
    eventually(10, lambda: job.runs)
    begun = time.monotonic()
    status, body = instance.post("/v1/processes/shap/stop?wait=true")
    assert status == 200, body
    assert time.monotonic() - begun >= 1
    assert not processes.is_alive(job.horse) and not processes.is_alive(worker["pid"])
    assert redis_server.traces_of(worker["name"]) == []
    status, body = instance.post("/v1/processes/shap/start?wait=true")
    assert status == 200, body
    eventually(10, lambda: job.starts == 2)
    job.let_finish()
    eventually(10, lambda: job.status == "finished")


def test_eight_killed_at_once_run_each_job_exactly_once_more(real_rq, redis_server, muster):
    instance = muster(real_rq.program("processes = 8"))
    old = instance.running(seconds=60)
    assert [one["id"] for one in old] == [f"shap_{index:02}" for index in range(8)]
    jobs = [real_rq.enqueue(retries=1) for _ in old]
    eventually(20, lambda: all(job.runs for job in jobs))
    for one in old:
        processes.kill(one["pid"])
    new = instance.running(seconds=60, but=old)
    eventually(30, lambda: all(job.starts == 2 for job in jobs))
    for job in jobs:
        job.let_finish()
    eventually(30, lambda: all(job.status == "finished" for job in jobs))
    always(0.5, lambda: all((job.starts, job.ends) == (2, 1) for job in jobs), "twice each")
    names = {one["name"] for one in new}
    assert redis_server.workers() == names
    assert not names & {one["name"] for one in old}
    assert redis_server.client.zcard("rq:wip:jobs") == 0


def test_a_worker_that_chooses_its_own_name_is_found_and_released(real_rq, redis_server, muster):
    instance = muster(real_rq.program(name=None))
    old = instance.running("shap", seconds=30)
    assert re.fullmatch("[0-9a-f]{32}", old["name"])
    assert redis_server.worker(old["name"])["pid"] == str(old["pid"])
    processes.kill(old["pid"])
    instance.running("shap", seconds=30, but=[old])
    assert redis_server.traces_of(old["name"]) == []


def test_a_shutdown_ends_workers_in_order_and_leaves_nobody_registered(
        real_rq, redis_server, muster):
    instance = muster(real_rq.program("processes = 2"))
    workers = instance.running(seconds=30)
    assert instance.terminate() == 0
    assert redis_server.workers() == set()
    assert [one["pid"] for one in workers if processes.is_alive(one["pid"])] == []


def test_a_roll_of_workers_with_jobs_in_hand_loses_no_job(real_rq, redis_server, muster):
    """Each finishes its job first, longer than the stop steps alone would let it."""
    instance = muster(real_rq.program("processes = 3", 'stop = ["TERM 1s", "KILL"]'))
    old = instance.running(seconds=60)
    jobs = [real_rq.enqueue(retries=0) for _ in old]
    eventually(20, lambda: all(job.runs for job in jobs))
    status, body = instance.post("/v1/processes/shap/roll")
    assert status == 200, body
    eventually(5, lambda: instance.state("shap_00") == "STOPPING")
    always(1.5, lambda: all(job.runs for job in jobs), "jobs go on")
    for job in jobs:
        job.let_finish()
    new = instance.running(seconds=60, but=old)
    assert [job.status for job in jobs] == ["finished"] * 3
    assert [(job.starts, job.ends) for job in jobs] == [(1, 1)] * 3
    assert redis_server.workers() == {one["name"] for one in new}


def test_a_reload_replaces_just_the_workers_whose_command_changed(real_rq, redis_server, muster):
    def config(queue, *lines):
        other = real_rq.command("jobs").join(["[program.mail]\ncommand = ", '\nregistry = "rq"\n'])
        return real_rq.program("processes = 2", *lines, queue=queue) + other

    instance = muster(config("jobs"))
    old = {one["id"]: one for one in instance.running(seconds=60)}
    instance.write(config("jobs", "retsart = 1"))
    assert instance.client("reload").returncode == 2
    assert {one["name"] for one in old.values()} == redis_server.workers()
    instance.write(config("other"))
    done = instance.client("reload")
    assert done.returncode == 0, (done, instance.log())
    new = instance.processes()
    assert new["mail"]["pid"] == old["mail"]["pid"]
    for name in ("shap_00", "shap_01"):
        assert new[name]["pid"] != old[name]["pid"]
        assert redis_server.worker(new[name]["name"])["queues"] == "other"
        assert redis_server.traces_of(old[name]["name"]) == []
    assert redis_server.workers() == {one["name"] for one in new.values()}
    # Without a registry from here on: the old lives are released from the one they were in.
    instance.write(config("other").replace('registry = "rq"', 'ready = { after = "50ms" }'))
    done = instance.client("reload")
    assert done.returncode == 0, (done, instance.log())
    for one in new.values():
        assert redis_server.traces_of(one["name"]) == []


def test_idle_rq_workers_are_scaled_away_first(real_rq, redis_server, muster):
    instance = muster(real_rq.program("processes = 3"))
    workers = {one["name"]: one for one in instance.running(seconds=60)}
    job = real_rq.enqueue(retries=0)
    eventually(10, lambda: job.runs)
    busy = next(name for name in workers if redis_server.worker(name).get("state") == "busy")
    assert instance.client("scale", "shap=1").returncode == 0
    assert list(instance.processes()) == [workers[busy]["id"]]
    assert redis_server.workers() == {busy} and job.runs
    job.let_finish()
    eventually(10, lambda: job.status == "finished")
