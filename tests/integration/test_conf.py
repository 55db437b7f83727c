"""Each example of conf/ does what it says."""

import pathlib

from support import processes
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


def test_every_example_is_there():
    assert [one.name for one in CONF.glob("*.toml")] == ["demo.toml"]  # a new one wants its test here
