"""Each example of conf/ does what it says."""

import pathlib
import subprocess

import pytest

from support import processes, rig
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
