"""What becomes of a dead worker's job, by `jobs` and `poison`, as RQ's own API shows it."""

import re
import subprocess

from support import processes, rig
from support.eventually import always, eventually

REPORT = """
import sys, redis
from rq.job import Job
job = Job.fetch(sys.argv[2], connection=redis.Redis.from_url(sys.argv[1]))
print(job.get_status())
print(job.retries_left)
for result in job.results():
    print((result.exc_string or "").strip())
"""


def report(real_rq, job):
    done = subprocess.run([real_rq.bin / "python", "-c", REPORT, real_rq.redis.url, job.id],
                          env=rig.environment("report"), capture_output=True, text=True, check=True)
    return done.stdout


def dies_with(instance, job, worker, starts):
    eventually(20, lambda: job.starts == starts and job.runs)
    processes.kill(worker["pid"])
    return instance.running("shap", seconds=30, but=[worker])


def test_jobs_fail_fails_the_job_whatever_retries_it_has(real_rq, redis_server, muster):
    instance = muster(real_rq.program('jobs = "fail"'))
    worker = instance.running("shap", seconds=30)
    job = real_rq.enqueue(retries=3)
    dies_with(instance, job, worker, 1)
    eventually(10, lambda: job.status == "failed")
    always(0.5, lambda: job.starts == 1, "one run")
    assert redis_server.client.zrange("rq:failed:jobs", 0, -1) == [job.id]
    told = report(real_rq, job)
    assert "muster: the worker " + worker["name"] in told and 'jobs = "fail"' in told
    assert "signal 9" in told or "KILL" in told
    instance.logged(" released ", worker["name"], f"failed={job.id}")


def test_jobs_leave_leaves_it_to_RQ(real_rq, redis_server, muster):
    instance = muster(real_rq.program('jobs = "leave"'))
    worker = instance.running("shap", seconds=30)
    job = real_rq.enqueue(retries=3)
    dies_with(instance, job, worker, 1)
    assert job.status == "started"
    assert redis_server.client.zcard("rq:wip:jobs") == 1
    assert redis_server.traces_of(worker["name"]) == []


def test_a_job_without_retries_shows_how_its_worker_died(real_rq, redis_server, muster):
    instance = muster(real_rq.program())
    worker = instance.running("shap", seconds=30)
    job = real_rq.enqueue(retries=0)
    dies_with(instance, job, worker, 1)
    eventually(10, lambda: job.status == "failed")
    told = report(real_rq, job)
    assert re.search(f"muster: the worker {re.escape(worker['name'])} .pid {worker['pid']} on ", told), told


def test_a_job_that_kills_its_workers_is_failed_and_kept(real_rq, redis_server, muster):
    instance = muster(real_rq.program('poison = { deaths = 2, within = "1h" }',
                                      'backoff = { reset_after = "1ms" }'))
    worker = instance.running("shap", seconds=30)
    innocent = real_rq.enqueue("note")
    eventually(10, lambda: innocent.ends == 1)
    job = real_rq.enqueue(retries=9)
    worker = dies_with(instance, job, worker, 1)
    dies_with(instance, job, worker, 2)
    eventually(10, lambda: job.status == "failed")
    always(0.5, lambda: job.starts == 2, "no third run")
    assert "muster: this job was in hand at 2 deaths of workers within 1h" in report(real_rq, job)
    instance.logged(" released ", f"failed={job.id}", "poison")
    assert 0 < redis_server.client.pttl(f"muster:deaths:rq:{job.id}") <= 3_600_000


def test_an_operators_stop_is_not_held_against_the_job(real_rq, redis_server, muster):
    instance = muster(real_rq.program('poison = { deaths = 1 }', 'stop = ["TERM 200ms", "KILL"]'))
    instance.running("shap", seconds=30)
    job = real_rq.enqueue(retries=1)
    eventually(20, lambda: job.runs)
    status, body = instance.post("/v1/processes/shap/restart?wait=true")
    assert status == 200, body
    eventually(20, lambda: job.starts == 2)
    job.let_finish()
    eventually(10, lambda: job.status == "finished")
    assert redis_server.client.keys("muster:deaths:*") == []


def test_orphans_wait_keeps_RQ_from_counting_the_job_as_abandoned(real_rq, redis_server, muster):
    instance = muster(real_rq.program('orphans = "wait"'))
    worker = instance.running("shap", seconds=30)
    job = real_rq.enqueue(retries=1)
    eventually(20, lambda: job.runs)
    client = redis_server.client
    [member] = client.zrange("rq:wip:jobs", 0, -1)
    processes.kill(worker["pid"], 19)  # so that it does not refresh what we make old
    client.zadd("rq:wip:jobs", {member: 100})
    client.expire(f"rq:worker:{worker['name']}", 20)
    processes.kill(worker["pid"])
    eventually(5, lambda: client.zscore("rq:wip:jobs", member) > client.time()[0] + 60)
    assert client.ttl(f"rq:worker:{worker['name']}") > 60
    job.let_finish()
    instance.running("shap", seconds=30, but=[worker])
    assert (job.starts, job.ends) == (1, 1) and job.status == "finished"
    assert redis_server.traces_of(worker["name"]) == []


def test_a_cold_shutdown_hands_its_job_back(real_rq, redis_server, muster):
    """Exit 0, a registered death, and the job still in flight."""
    instance = muster(real_rq.program('stop = ["TERM 1500ms", "TERM 10s", "KILL"]'))
    instance.running("shap", seconds=30)
    job = real_rq.enqueue(retries=1)
    eventually(20, lambda: job.runs)
    status, body = instance.post("/v1/processes/shap/restart?wait=true")
    assert status == 200, body
    eventually(20, lambda: job.starts == 2)
    job.let_finish()
    eventually(10, lambda: job.status == "finished")
