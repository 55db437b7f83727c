"""Each example of conf/ does what it says."""

import os
import pathlib
import subprocess

import pytest

from support import job_systems, processes, rig
from support.eventually import eventually
from support.redis_server import free_port

CONF = pathlib.Path(__file__).resolve().parents[2] / "conf"


def test_the_demo(real_rq, muster, folder):
    place = folder / "demo"
    instance = muster(
        (CONF / "demo.toml").read_text(), folder=place, control=False, wait=False,
        env={"DEMO_FOLDER": str(place), "DEMO_REDIS_PORT": str(free_port()),
             "DEMO_RQ": str(real_rq.bin / "rq")})
    instance.control = place / "control" / "control.sock"
    instance.wait_until_up()
    old = instance.running("worker_00", "worker_01", "redis", seconds=30)[0]
    processes.kill(old["pid"])
    instance.running("worker_00", seconds=30, but=[old])
    assert instance.terminate() == 0
    eventually(2, lambda: not [pid for pid in processes.marked(instance.mark)])
    assert not (place / "dump.rdb").exists()


CHECKED = {  # and what the job system's defaults say in it
    "celery.toml": ['ready = { after = "5s" }', 'jobs = "leave"'],
    "sidekiq.toml": ['stop = ["TERM 25s", "KILL"]', 'ready = "registered"', 'jobs = "leave"'],
    "web-and-workers.toml": ['jobs = "hand-back"', 'after = ["migrate:succeeded"]'],
}


@pytest.mark.parametrize("name", CHECKED)
def test_an_example_is_right_and_has_the_defaults_of_its_job_system(name):
    done = subprocess.run([rig.BINARY, "check", "--print", "-c", CONF / name], text=True,
                          env=rig.environment("check"), capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in CHECKED[name]:
        assert line in done.stdout.splitlines()


def test_every_example_is_there():
    # A new one wants its test here.
    assert {one.name for one in CONF.glob("*.toml")} == {"demo.toml", *CHECKED}


def programs_of(folder, **texts):
    """A folder of programs that stand first in PATH."""
    place = folder / "bin"
    place.mkdir()
    for name, text in texts.items():
        (place / name).write_text(text)
        (place / name).chmod(0o755)
    return f"{place}{os.pathsep}{os.environ['PATH']}"


def test_a_web_server_and_its_workers(muster, redis_server, folder):
    """web-and-workers.toml: migrations first, then both; a dead one of each is replaced, and all end in order."""
    order, port = folder / "order", free_port()
    path = programs_of(
        folder,
        python=f'#!/bin/sh\necho "$*" >>{order}\n',
        gunicorn=f'#!/bin/sh\necho gunicorn >>{order}\nexec python3 -m http.server --bind 127.0.0.1 "$PORT"\n',
        rq=f'#!/bin/sh\necho rq >>{order}\n[ "$1 $2 $3 $4 $6" = "worker high default --url --name" ] || exit 9\n'
           f'exec {rig.STUB} --redis "$5" --queues "$2,$3" --name "$7"\n')
    instance = muster((CONF / "web-and-workers.toml").read_text(),
                      env={"PATH": path, "PORT": str(port), "REDIS_URL": redis_server.url})
    web, *workers = instance.running("web", "worker_00", "worker_01", seconds=20)
    assert instance.state("migrate") == "EXITED"
    assert order.read_text().splitlines()[0] == "manage.py migrate --noinput"
    eventually(5, lambda: redis_server.workers() == {one["name"] for one in workers})
    processes.kill(web["pid"])
    processes.kill(workers[0]["pid"])
    instance.running("web", "worker_00", "worker_01", seconds=20, but=[web, workers[0]])
    assert order.read_text().count("migrate") == 1
    assert instance.terminate() == 0
    assert redis_server.workers() == set()


@pytest.mark.skipif("celery" not in job_systems.FOUND, reason="no Celery here (MUSTER_TEST_JOB_SYSTEMS)")
def test_celery_workers_and_their_beat(muster, redis_server, folder):
    """celery.toml with real Celery: every queue is served, the scheduler runs, and all end in order."""
    instance = muster((CONF / "celery.toml").read_text(), env={
        "PATH": f"{job_systems.FOUND['celery'] / 'bin'}{os.pathsep}{os.environ['PATH']}", "CELERY_BROKER_URL": redis_server.url,
        "BROKER": redis_server.url, "CELERY_APP": "celery_app", "C_FORCE_ROOT": "1", "TMPDIR": str(folder)})
    instance.running("default_00", "default_01", "slow", "beat", seconds=60)
    celery = job_systems.Celery(redis_server, folder)
    eventually(20, lambda: len(celery.listed()) == 3, "each worker by a name of its own")
    for queue in ("default", "slow"):
        job = job_systems.Job(folder)
        job.let_finish()
        celery.ask(celery.place / "bin" / "python", "-c", "import celery_app, sys; "
                   "celery_app.until.apply_async(sys.argv[2:], queue=sys.argv[1])", queue, *job.arguments)
        eventually(20, lambda one=job: one.ends == 1, f"a task's end in the queue {queue}")
    assert instance.terminate() == 0


@pytest.mark.skipif("sidekiq" not in job_systems.FOUND, reason="no Sidekiq here (MUSTER_TEST_JOB_SYSTEMS)")
def test_two_sidekiq_processes(muster, redis_server, folder):
    """sidekiq.toml with real Sidekiq, and a `bundle exec` that brings an application along."""
    application = job_systems.IN_WORKER / "sidekiq_app.rb"
    path = programs_of(folder, bundle=f'#!/bin/sh\n[ "$1 $2" = "exec sidekiq" ] || exit 9\nshift 2\n'
                                      f'exec {job_systems.FOUND["sidekiq"]} -r {application} "$@"\n')
    instance = muster((CONF / "sidekiq.toml").read_text(), env={"PATH": path, "REDIS_URL": redis_server.url})
    instance.running("sidekiq_00", "sidekiq_01", seconds=60)
    sidekiq = job_systems.Sidekiq(redis_server, folder, queue="critical")
    assert len(sidekiq.listed()) == 2
    job = sidekiq.enqueue()
    job.let_finish()
    eventually(20, lambda: job.ends == 1, "a job's end")
    assert instance.terminate() == 0
    assert sidekiq.listed() == set()
