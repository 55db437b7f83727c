"""worker_stub against real RQ's own eyes: what it claims to be, it is."""

import re
import signal
import subprocess

from support import processes, rig
from support.eventually import eventually


def stub(redis_server, *arguments):
    return subprocess.Popen([rig.STUB, "--redis", redis_server.url, *arguments],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env=rig.environment("stub"))


def end(process):
    process.kill()
    return process.communicate()


def fields_of(redis_server, name):
    return {key for key in redis_server.worker(name)}


def test_it_registers_as_rq_does(redis_server, real_rq, stub_name="stub-1"):
    theirs = subprocess.Popen(
        [real_rq.bin / "rq", "worker", "--url", redis_server.url, "--name", "real", "jobs", "low"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=rig.environment("stub"))
    ours = stub(redis_server, "--name", stub_name, "--queues", "jobs,low")
    try:
        for name in ("real", stub_name):
            eventually(20, lambda n=name: redis_server.worker(n).get("state") == "idle")
        real, copy = redis_server.worker("real"), redis_server.worker(stub_name)
        assert set(copy) <= set(real) | {"ip_address"}
        assert {"birth", "last_heartbeat", "queues", "pid", "hostname", "ip_address", "version",
                "python_version", "state"} <= set(copy)
        assert copy["hostname"] == real["hostname"] and copy["queues"] == real["queues"]
        shape = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
        for one in (real, copy):
            assert re.fullmatch(shape, one["birth"])
        for members in ("rq:workers", "rq:workers:jobs", "rq:workers:low"):
            assert redis_server.client.smembers(members) == {
                "rq:worker:real", f"rq:worker:{stub_name}"}
        times = [redis_server.client.ttl(f"rq:worker:{name}") for name in ("real", stub_name)]
        assert all(470 <= one <= 480 for one in times), times
        assert redis_server.client.pubsub_numsub(f"rq:pubsub:{stub_name}")[0][1] == 1
        listed = subprocess.run([real_rq.bin / "rq", "info", "--url", redis_server.url, "-W"],
                                capture_output=True, text=True, env=rig.environment("stub"),
                                check=True)
        assert stub_name in listed.stdout
    finally:
        theirs.kill()
        theirs.wait()
        end(ours)


def test_a_taken_name_is_refused(redis_server):
    first = stub(redis_server, "--name", "taken")
    try:
        eventually(5, lambda: redis_server.worker("taken").get("state") == "idle")
        second = stub(redis_server, "--name", "taken")
        _, said = second.communicate(timeout=10)
        assert second.returncode == 1
        assert "There exists an active worker named 'taken' already" in said
    finally:
        end(first)


def test_TERM_is_an_orderly_death(redis_server):
    process = stub(redis_server, "--name", "orderly")
    eventually(5, lambda: redis_server.worker("orderly").get("state") == "idle")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=10)
    assert process.returncode == 0 and said == "heard TERM\n"
    assert redis_server.workers() == set()
    assert redis_server.worker("orderly")["death"]
    assert 0 < redis_server.client.ttl("rq:worker:orderly") <= 60


def test_it_works_through_its_queue_and_takes_up_what_was_handed_back(redis_server):
    redis_server.client.hset("rq:job:j1", mapping={"retries_left": 1, "status": "queued"})
    redis_server.client.rpush("rq:queue:jobs", "j1")
    first = stub(redis_server, "--name", "one", "--queues", "jobs", "--work", "0")
    eventually(5, lambda: redis_server.worker("one").get("state") == "busy")
    member, _ = redis_server.client.zrange("rq:wip:jobs", 0, -1, withscores=True)[0]
    assert member.startswith("j1:")
    horse = eventually(5, lambda: processes.children(first.pid))[0]
    eventually(5, lambda: processes.stat(horse)["pgrp"] == horse)
    processes.kill(horse)
    eventually(5, lambda: redis_server.worker("one").get("state") == "idle")
    end(first)

    redis_server.client.hset("rq:job:j1", mapping={"status": "started", "worker_name": "one"})
    redis_server.client.zadd("rq:wip:jobs", {"j1:e1": 1})  # as after a hand-back
    second = stub(redis_server, "--name", "two", "--queues", "jobs", "--work", "0.1")
    eventually(5, lambda: redis_server.client.hget("rq:job:j1", "status") == "finished")
    assert redis_server.client.zcard("rq:wip:jobs") == 0
    assert redis_server.client.hget("rq:job:j1", "worker_name") == "two"
    end(second)


def test_without_a_redis_it_only_misbehaves():
    run = lambda *words: subprocess.run([rig.STUB, *words], capture_output=True, text=True,  # noqa
                                        timeout=20, check=False)
    assert run("--exit", "7").returncode == 7
    assert run("--crash-after", "0.05").returncode == -signal.SIGKILL
    flood = run("--flood-stdout", "1000", "--exit", "0").stdout.splitlines()
    assert flood == [f"line {number:09}" for number in range(1, 1001)]
    assert run("--queue", "x").returncode == 2
    assert run("--redis", "redis://127.0.0.1:1").returncode == 1
