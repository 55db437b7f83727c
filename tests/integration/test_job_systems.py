"""Workers of other job systems under muster, each killed with a job in hand: what their own API or keys then say."""

import json
import os
import signal
import socket

import pytest

from support import job_systems, processes
from support.eventually import always, eventually


def released(instance, name):
    """The event of that worker's release."""
    return eventually(5, lambda: instance.log_lines("released ", f"name={name} "))[0]


def kill_with_a_job(instance, system):
    old = instance.running("worker", seconds=30)
    job = system.enqueue()
    eventually(20, lambda: job.runs)
    processes.kill(old["pid"])
    return old, job


def stops_in_order(instance, job):
    """A graceful stop lets the job finish; the worker is gone then."""
    worker = instance.one("worker")
    status, body = instance.post("/v1/processes/worker/stop?wait=false")
    assert status in (200, 202), body
    eventually(5, lambda: instance.state("worker") == "STOPPING")
    always(0.5, lambda: job.runs, "the job going on")
    job.let_finish()
    eventually(20, lambda: instance.state("worker") == "STOPPED")
    assert job.ends == 1 and not processes.is_alive(worker["pid"])


def test_sidekiq_a_killed_process_leaves_the_dashboard_at_once(job_system, foreign, muster):
    elsewhere = job_system(job_systems.Sidekiq, queue="elsewhere")
    foreign(elsewhere)
    theirs = elsewhere.enqueue()
    eventually(20, lambda: theirs.runs)
    foreign_identity, = elsewhere.listed()
    system = job_system(job_systems.Sidekiq)
    instance = muster(system.program())
    old, job = kill_with_a_job(instance, system)
    assert old["name"].startswith(f"{socket.gethostname()}:{old['pid']}:")

    new = instance.running("worker", seconds=30, but=[old])
    assert "verdict=removed" in released(instance, old["name"])
    assert system.listed() == {new["name"], foreign_identity}
    assert not list(system.client.scan_iter(match=old["name"] + "*"))
    assert job.starts == 1 and not processes.is_alive(job.pid)  # lost: plain Sidekiq cannot

    second = system.enqueue()
    eventually(10, lambda: second.runs)
    stops_in_order(instance, second)
    assert system.listed() == {foreign_identity}
    assert theirs.runs and elsewhere.client.exists(foreign_identity)
    theirs.let_finish()
    eventually(10, lambda: theirs.ends == 1)


def test_sidekiq_pushes_back_what_does_not_end_in_time_before_it_would_be_killed(
        job_system, muster):
    system = job_system(job_systems.Sidekiq, timeout=1)
    instance = muster(system.program())
    instance.running("worker", seconds=30)
    job = system.enqueue()
    eventually(10, lambda: job.runs)
    status, body = instance.post("/v1/processes/worker/stop?wait=true")
    assert status == 200, body
    assert job.ends == 0 and system.client.llen("queue:jobs") == 1
    assert instance.one("worker")["last_exit"]["code"] == 0, instance.one("worker")
    instance.post("/v1/processes/worker/start?wait=true")
    eventually(10, lambda: job.starts == 2)
    job.let_finish()
    eventually(10, lambda: job.ends == 1)


def test_resque_prunes_a_killed_worker_and_fails_its_job_at_the_replacements_start(
        job_system, foreign, muster):
    elsewhere = job_system(job_systems.Resque, queue="elsewhere")
    other = foreign(elsewhere)
    theirs = elsewhere.enqueue()
    eventually(10, lambda: theirs.runs)
    foreign_id, = elsewhere.listed()
    system = job_system(job_systems.Resque)
    beat = system.client.hget("resque:workers:heartbeat", foreign_id)
    system.client.delete("resque:pruning_dead_workers_in_progress")  # as 60 s after its start
    instance = muster(system.program())
    old, job = kill_with_a_job(instance, system)
    assert old["name"] == f"{socket.gethostname()}:{old['pid']}:jobs"

    new = instance.running("worker", seconds=30, but=[old])
    assert "verdict=told" in released(instance, old["name"])
    eventually(5, lambda: system.client.llen("resque:failed") == 1)
    failure = json.loads(system.client.lindex("resque:failed", 0))
    assert failure["worker"] == old["name"] and failure["payload"]["args"] == job.arguments
    assert system.listed() == {new["name"], foreign_id}
    assert system.client.hget("resque:workers:heartbeat", foreign_id) == beat
    assert other.poll() is None and theirs.runs

    second = system.enqueue()
    eventually(10, lambda: second.runs)
    stops_in_order(instance, second)  # by QUIT, which it has as its default
    assert system.listed() == {foreign_id}


def test_celery_a_killed_worker_is_replaced_under_a_new_node_name_and_unacked_is_left(
        job_system, foreign, muster):
    system = job_system(job_systems.Celery)
    instance = muster(system.program())
    old, job = kill_with_a_job(instance, system)
    new = instance.running("worker", seconds=30, but=[old])
    line = released(instance, old["name"])
    assert "verdict=left-alone" in line and "unacked messages" in line
    assert not processes.is_alive(job.pid)
    assert system.client.hlen("unacked") == system.client.zcard("unacked_index") == 1
    other = foreign(system)
    eventually(20, lambda: system.listed() == {new["name"], other.name})
    other.terminate()
    other.wait(20)

    second = system.enqueue()
    eventually(10, lambda: second.runs)
    stops_in_order(instance, second)
    assert system.client.hlen("unacked") == 1 and job.starts == 1


def test_dramatiq_a_killed_master_takes_its_workers_along_and_acks_are_left(
        job_system, foreign, muster):
    system = job_system(job_systems.Dramatiq)
    instance = muster(system.program())
    old, job = kill_with_a_job(instance, system)
    assert job.pid != old["pid"]
    instance.running("worker", seconds=30, but=[old])
    assert not processes.is_alive(job.pid)  # by itself it would live on and take more jobs
    line = released(instance, old["name"])
    assert "verdict=left-alone" in line and "acks" in line
    acks = [key for key in system.client.scan_iter(match="dramatiq:__acks__.*")
            if system.client.scard(key)]
    assert len(acks) == 1

    second = system.enqueue()
    eventually(10, lambda: second.runs)
    stops_in_order(instance, second)
    assert job.starts == 1 and system.client.exists(acks[0])


def test_bullmq_a_killed_worker_is_replaced_and_its_job_stalls_and_runs_again(
        job_system, foreign, muster):
    system = job_system(job_systems.BullMQ)
    instance = muster(system.program())
    old, job = kill_with_a_job(instance, system)
    new = instance.running("worker", seconds=30, but=[old])
    line = released(instance, old["name"])
    assert "verdict=left-alone" in line and "stalled check" in line
    eventually(10, lambda: system.listed() == {new["name"]})
    eventually(20, lambda: job.starts == 2)  # by BullMQ's own rules, with lock and check at 1 s
    assert job.pid == new["pid"]
    other = foreign(system)
    eventually(10, lambda: system.listed() == {new["name"], other.name})
    stops_in_order(instance, job)
    eventually(10, lambda: system.listed() == {other.name})
    assert system.client.zrange("bull:jobs:completed", 0, -1) == [job.id]


def test_custom_a_killed_home_made_worker_loses_just_its_own_entries(job_system, foreign, muster):
    system = job_system(job_systems.HomeMade)
    other = foreign(system)
    eventually(10, lambda: system.listed() == {other.name})
    instance = muster(system.program())
    old = instance.running("worker", seconds=30)
    assert system.listed() == {old["name"], other.name}
    processes.kill(old["pid"])
    new = instance.running("worker", seconds=30, but=[old])
    assert "verdict=removed" in released(instance, old["name"])
    assert system.listed() == {new["name"], other.name}
    assert set(system.client.scan_iter(match="crew:*")) == {
        f"crew:{new['name']}", f"crew:{other.name}"}

    # Somebody else wrote into its hash: not ours any more.
    system.client.hset(f"crew:{new['name']}", "pid", "1")
    processes.kill(new["pid"])
    instance.running("worker", seconds=30, but=[new])
    assert "verdict=mismatch" in released(instance, new["name"])
    assert system.client.hget(f"crew:{new['name']}", "pid") == "1"
    assert new["name"] in system.listed()


def test_a_fixed_name_is_had_by_one_instance_at_a_time_also_where_no_registry_tells(
        job_system, muster):
    system = job_system(job_systems.HomeMade)
    config = system.program().replace('registry =', 'name = "crew-1"\nregistry =')
    first = muster(config)
    old = first.running("worker", seconds=30)
    assert old["name"] == "crew-1"
    second = muster(config)
    eventually(10, lambda: second.log_lines("name-not-claimed", "another supervisor"))
    assert second.one("worker")["pid"] is None
    processes.kill(old["pid"])  # the same instance may have its own name again
    new = first.running("worker", seconds=30, but=[old])
    assert new["name"] == "crew-1" and system.listed() == {"crew-1"}
    assert first.terminate() == 0
    second.running("worker", seconds=30)


def test_workers_of_several_systems_live_under_one_muster(job_system, muster):
    resque, home_made = job_system(job_systems.Resque), job_system(job_systems.HomeMade)
    other = home_made.program().replace("program.worker", "program.other").partition("[program")
    instance = muster(resque.program('health = { registry = { missing_after = "1s" } }') + other[1] + other[2])
    old = instance.running("worker", "other", seconds=30)
    assert (resque.listed(), home_made.listed()) == ({old[0]["name"]}, {old[1]["name"]})
    for one in old:
        processes.kill(one["pid"])
    new = instance.running("worker", "other", seconds=30, but=old)
    assert "verdict=told" in released(instance, old[0]["name"])
    assert "verdict=removed" in released(instance, old[1]["name"])
    eventually(5, lambda: resque.listed() == {new[0]["name"]})
    assert home_made.listed() == {new[1]["name"]}

    # Redis is emptied. What a home-made worker had written is its own affair: it is let be, and works on.
    resque.client.flushall()
    eventually(15, lambda: instance.log_lines(" put-back ", new[0]["name"]), "the look at who has fallen out")
    assert resque.listed() == {new[0]["name"]} and home_made.listed() == set()
    assert not instance.log_lines(" put-back ", new[1]["name"]) and not instance.log_lines(" unhealthy ")
    assert [instance.one(one["id"])["pid"] for one in new] == [one["pid"] for one in new]
    processes.kill(new[1]["pid"])
    instance.running("other", seconds=30, but=[new[1]])
    assert "verdict=nothing-there" in released(instance, new[1]["name"])


@pytest.mark.parametrize("kind", [job_systems.Sidekiq, job_systems.Resque, job_systems.Celery,
                                  job_systems.Dramatiq, job_systems.BullMQ])
def test_a_live_worker_is_there_again_after_Redis_was_emptied(kind, job_system, muster):
    """By itself, or put back by muster (Resque), and it works on."""
    system = job_system(kind)
    instance = muster(system.program('health = { registry = { missing_after = "1s" } }'))
    worker = instance.running("worker", seconds=30)
    eventually(10, system.listed)
    before = system.listed()
    system.client.flushall()
    eventually(15, lambda: system.listed() == before, "the same workers being seen again")
    if kind is job_systems.Resque:
        eventually(5, lambda: instance.log_lines(" put-back ", worker["name"]))  # once Redis has answered
    else:
        assert not instance.log_lines(" put-back ")
    job = system.enqueue()
    eventually(20, lambda: job.runs)
    stops_in_order(instance, job)
    assert not instance.log_lines(" unhealthy ") and instance.one("worker")["restarts"] == 0


def test_orphans_wait_holds_the_release_and_the_replacement_back_for_every_system(redis_server, folder, muster):
    """A stand-in leaves a child that works on, as a horse does; only its end lets muster go on."""
    kinds = ["sidekiq", "resque", "celery", "dramatiq", "bullmq", "custom"]
    work = f"(until [ -e {folder}/done ]; do sleep 0.1; done) & echo begun; exec sleep 1000"
    instance = muster(f'[redis]\nurl = "{redis_server.url}"\n' + "".join(
        f'[program.{kind}]\ncommand = ["sh", "-c", "{work}", "{{name}}"]\nregistry = "{kind}"\n'
        'orphans = "wait"\nready = { after = "0s" }\n' for kind in kinds)
        + '[program.custom.custom]\nset = "crew"\n')
    old = {one["id"]: one for one in instance.running(*kinds)}
    horses = {kind: eventually(5, lambda: [pid for pid in processes.descendants(old[kind]["pid"])
                                           if "sleep" not in processes.command_line(pid)][0]) for kind in kinds}
    for kind in kinds:
        processes.kill(old[kind]["pid"])
    eventually(5, lambda: all(instance.one(kind)["pid"] is None for kind in kinds))
    always(1, lambda: all(instance.one(kind)["pid"] is None and processes.is_alive(horses[kind]) for kind in kinds),
           "nobody being replaced beside what works on")
    assert not instance.log_lines(" released ")
    (folder / "done").touch()
    instance.running(*kinds, but=old.values())
    for kind in kinds:
        assert released(instance, old[kind]["name"])


def test_custom_what_a_life_left_that_was_killed_whole_goes_at_the_next_start(
        job_system, foreign, muster):
    system = job_system(job_systems.HomeMade)
    other = foreign(system)
    eventually(30, lambda: other.name in system.listed())
    instance = muster(system.program())
    old = instance.running("worker", seconds=30)
    os.kill(instance.pid, signal.SIGSTOP)  # it would see its worker die
    processes.kill(old["pid"])
    instance.kill()
    assert system.listed() == {old["name"], other.name}  # nobody has told
    instance.start()
    new = instance.running("worker", seconds=30)
    assert system.listed() == {new["name"], other.name}
    assert set(system.client.scan_iter(match="crew:*")) == {
        f"crew:{new['name']}", f"crew:{other.name}"}
    instance.logged(" settled ", old["name"], "verdict=removed")


@pytest.mark.parametrize("kind", [job_systems.Resque, job_systems.HomeMade])
def test_a_shutdown_leaves_nobody_registered(kind, job_system, muster):
    system = job_system(kind)
    instance = muster(system.program("stop = [\"QUIT 5s\", \"KILL\"]" if kind.kind == "resque" else ""))
    instance.running("worker", seconds=30)
    assert system.listed()
    assert instance.terminate() == 0
    assert not system.listed()
