"""Stale registrations of nobody's own go after two looks; what lives stays, whatever it looks like."""

import json
import os
import signal
import subprocess
import time

import pytest

from support import processes, rig
from support.clock import clock
from support.cuttable import Cuttable
from support.eventually import always, eventually

LOOKS = "muster:looks:rq"


def looks_were_a_minute_earlier(client):
    """What a minute between two looks would do."""
    for member in client.hkeys(LOOKS):
        client.hincrby(LOOKS, member, -61_000)


def is_member(client, name, queue="jobs"):
    """Only set entries: what is left of a worker whose key has expired."""
    client.sadd("rq:workers", f"rq:worker:{name}")
    client.sadd(f"rq:workers:{queue}", f"rq:worker:{name}")


def settings(redis_server, *lines):
    return "\n".join(["[redis]", f'url = "{redis_server.url}"', 'lease = "1s"', *lines,
                      "[program.shap]", f'command = "{rig.STUB} --redis {redis_server.url} '
                      '--name {name} --queues other"', 'registry = "rq"', ""])


def sweep(redis_url, *arguments, timeout=60):
    return subprocess.run([rig.BINARY, "sweep", "--redis", redis_url, *arguments],
                          env=rig.environment("sweep"), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture
def foreign(folder, real_rq):
    """Real RQ workers that nobody supervises."""
    started = []

    def start(name, queue="jobs", url=None, before=()):
        process = subprocess.Popen(
            [*before, str(real_rq.bin / "rq"), "worker", "--url", url or real_rq.redis.url,
             "--name", name, queue],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=rig.environment(str(folder / "foreign")))
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    processes.end_marked(str(folder / "foreign"))


def test_I4_foreign_live_workers_survive_every_sweep_and_the_dead_go(
        real_rq, redis_server, muster, foreign):
    client = redis_server.client
    proxy = Cuttable(redis_server.port)
    an_hour_late = clock("-1h")
    foreign("idle")
    foreign("busy", "work")
    stopped = foreign("stopped")
    foreign("cut", url=f"redis://127.0.0.1:{proxy.port}/0")
    names = ["idle", "busy", "stopped", "cut"]
    if an_hour_late:
        foreign("late", before=an_hour_late)
        names.append("late")
    dead = foreign("dead")
    for name in [*names, "dead"]:
        eventually(30, lambda: client.pubsub_numsub(f"rq:pubsub:{name}")[0][1] == 1, f"{name} up")
        eventually(30, lambda: redis_server.worker(name).get("state") == "idle", f"{name} idle")
    job = real_rq.enqueue(queue="work")
    eventually(15, lambda: job.runs)
    if an_hour_late:
        births = [redis_server.worker(name)["birth"][:13] for name in ("idle", "late")]
        assert births[0] != births[1], births

    os.kill(stopped.pid, signal.SIGSTOP)
    client.delete("rq:worker:stopped")  # its time to live is over
    dead.kill()
    dead.wait()
    client.delete("rq:worker:dead")
    proxy.cut()
    instance = muster(settings(redis_server, 'sweep = "1s"'))
    own = instance.running("shap")["name"]

    eventually(10, lambda: client.hexists(LOOKS, "rq:worker:dead"), "a first look")
    always(1.3, lambda: "dead" in redis_server.workers(), "no removal before the second look")
    for _ in range(3):
        looks_were_a_minute_earlier(client)
        eventually(10, lambda: "dead" not in redis_server.workers(), "the dead one going")
        always(1.3, lambda: redis_server.workers() == {*names, own}, "the living staying")
    assert redis_server.traces_of("dead") == []
    assert not client.sismember("rq:workers:jobs", "rq:worker:dead")

    seen = {one["name"]: one for one in instance.get("/v1/workers")[1]["workers"]}
    assert seen["idle"]["state"] == seen["busy"]["state"] == seen[own]["state"] == "alive"
    assert seen[own]["owner"].endswith("/shap")
    assert seen["stopped"]["state"] == "unknown" and "listens" in seen["stopped"]["why"]
    assert seen["busy"]["activity"] == "busy"

    proxy.mend()
    os.kill(stopped.pid, signal.SIGCONT)
    job.let_finish()
    eventually(10, lambda: job.status == "finished")
    eventually(20, lambda: client.pubsub_numsub("rq:pubsub:cut")[0][1] == 1, "the cut one back")
    assert redis_server.workers() == {*names, own}
    proxy.close()


def test_five_supervisors_do_the_work_of_one(redis_server, muster):
    client = redis_server.client
    for number in range(2000):
        is_member(client, f"gone-{number}")
    instances = [muster(settings(redis_server, 'sweep = "1s"')) for _ in range(5)]
    names = {one.running("shap")["name"] for one in instances}
    eventually(10, lambda: client.hlen(LOOKS) == 2000, "all looked at")
    looks_were_a_minute_earlier(client)
    eventually(15, lambda: redis_server.workers() == names, "all removed")
    swept = lambda: sum(int(line.split("removed=")[1].split()[0])  # noqa: E731
                        for one in instances for line in one.log_lines(" swept "))
    eventually(5, lambda: swept() == 2000, "each removal being told once")
    assert client.smembers("rq:workers:jobs") == set()

    before = client.info("commandstats")["cmdstat_sscan"]["calls"]
    begin = time.monotonic()
    always(2, lambda: redis_server.workers() == names, "the living staying")
    sscans = client.info("commandstats")["cmdstat_sscan"]["calls"] - before
    # One sweep a second: the queues, and the sets. Five instances are not five times as many.
    sweeps = time.monotonic() - begin + 2
    assert sscans <= 6 * sweeps, (sscans, sweeps)


def test_a_redis_that_is_new_to_us_is_waited_for_without_an_alarm(redis_server, muster):
    client = redis_server.client
    is_member(client, "gone")
    instance = muster(settings(redis_server, 'sweep = "1s"').replace('lease = "1s"', 'lease = "4s"'))
    instance.running("shap")
    assert " INFO " in instance.logged(" sweep-waits ", "known to us for less than redis.lease")[0]
    eventually(15, lambda: client.hlen(LOOKS) == 1, "it is looked at once that is over")
    assert not instance.log_lines(" sweep-failed ")


@pytest.mark.parametrize("refused, word", [(("-pubsub",), "pubsub"), (("-client",), "client")])
def test_a_user_with_fewer_rights_degrades_with_one_line(redis_server, muster, refused, word):
    client = redis_server.client
    client.execute_command("ACL", "SETUSER", "narrow", "on", ">secret", "~*", "&*", "+@all",
                           *refused)
    is_member(client, "gone")
    instance = muster(settings(redis_server, 'sweep = "1s"').replace(
        f'url = "redis://', 'url = "redis://narrow:secret@', 1))
    own = instance.running("shap")["name"]
    eventually(10, lambda: client.hexists(LOOKS, "rq:worker:gone"))
    looks_were_a_minute_earlier(client)
    if word == "pubsub":  # nothing can veto, so nothing is removed
        eventually(10, lambda: instance.log_lines("sweep-is-blind"))
        always(2, lambda: redis_server.workers() == {own, "gone"}, "nothing removed")
        listed = instance.get("/v1/workers?stale=true")[1]["workers"]
        assert listed == []
    else:
        eventually(10, lambda: redis_server.workers() == {own}, "the subscribers alone decide")
    assert len(instance.logged("sweep-is-blind")) == 1, instance.log()
    assert f"+{word}" in instance.log()
    assert "secret" not in instance.log()


def test_sweep_works_alone_dry_by_default_and_writes_only_looks(redis_server, stub):
    client = redis_server.client
    stub("lives")
    eventually(5, lambda: redis_server.worker("lives").get("state") == "idle")
    is_member(client, "gone")
    before = redis_server.dump(own=True)
    first = sweep(redis_server.url)
    assert first.returncode == 0 and "run it again in 60 s" in first.stdout, first
    after = redis_server.dump(own=True)
    assert list(after.pop(LOOKS)) == ["rq:worker:gone"]
    assert after == before

    looks_were_a_minute_earlier(client)
    told = json.loads(sweep(redis_server.url, "--json").stdout)
    assert (told["applied"], told["due"], told["removed"]) == (False, 1, 0)
    assert [one["fate"] for one in told["entries"]] == ["due"]
    assert redis_server.workers() == {"lives", "gone"}

    told = json.loads(sweep(redis_server.url, "--json", "--apply").stdout)
    assert (told["applied"], told["removed"]) == (True, 1)
    assert redis_server.workers() == {"lives"}
    after = redis_server.dump(own=True)
    assert not [key for key in after if key.startswith("muster:")]
    assert "none is stale" in sweep(redis_server.unix_url, "--apply").stdout


def test_sweep_says_what_is_in_its_way(redis_server, folder):
    client = redis_server.client
    client.set("muster:sweeper", "somebody", px=60_000)
    busy = sweep(redis_server.url, "--apply")
    assert busy.returncode == 1 and "somebody sweeps this Redis" in busy.stderr
    client.delete("muster:sweeper")
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        replica = sweep(redis_server.url, "--apply")
        assert replica.returncode == 1 and "replica" in replica.stderr
    finally:
        client.execute_command("REPLICAOF", "NO", "ONE")
    nobody = sweep("redis://:hunter2@127.0.0.1:1/0")
    assert nobody.returncode == 1 and "refused" in nobody.stderr and "hunter2" not in nobody.stderr
    assert sweep("http://x").returncode == 2
    file = folder / "muster.toml"
    file.write_text(f'[redis]\nurl = "{redis_server.url}"\nprefix = "ours"\n'
                    '[program.a]\ncommand = "a"\n')
    is_member(client, "gone")
    done = subprocess.run([rig.BINARY, "sweep", "-c", str(file)], env=rig.environment("sweep"),
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert client.hkeys("ours:looks:rq") == ["rq:worker:gone"]


def test_ten_thousand_stale_entries_go_and_fifty_living_stay(redis_server, muster):
    client = redis_server.client
    with client.pipeline() as pipe:
        for number in range(10_000):
            is_member(pipe, f"gone-{number}")
        for number in range(50):
            is_member(pipe, f"lives-{number}")
            pipe.hset(f"rq:worker:lives-{number}", "pid", number)
        pipe.execute()
    living = {f"lives-{number}" for number in range(50)}
    instance = muster(settings(redis_server, 'sweep = "1h"'))
    own = instance.running("shap")["name"]
    # Nothing is decided within the first lease.
    eventually(10, lambda: instance.post("/v1/sweep")[0] == 200)
    status, told = instance.post("/v1/sweep?apply=true")
    assert status == 200 and told["waiting"] == 10_000 and told["more"] == 9_000, told

    done = instance.client("workers", "--stale", "--json")
    assert len(json.loads(done.stdout)["workers"]) == 10_000
    with client.pipeline() as pipe:
        for member in client.hkeys(LOOKS):
            pipe.hincrby(LOOKS, member, -61_000)
        pipe.execute()
    status, told = instance.post("/v1/sweep?apply=true")
    assert status == 200 and told["removed"] == 10_000, told
    assert redis_server.workers() == {*living, own}
    assert client.scard("rq:workers:jobs") == 50
    assert not client.exists(LOOKS)
    eventually(5, lambda: len(instance.log_lines(" swept ")) == 2)
    assert instance.client("workers").stdout.count("lives-") == 50


def test_a_supervisor_without_redis_says_so(muster):
    instance = muster('[program.a]\ncommand = "sleep 1000"\n')
    for path in ("/v1/workers", "/v1/fleet"):
        status, told = instance.get(path)
        assert status == 404 and told["error"]["code"] == "no_redis"
    assert instance.post("/v1/sweep")[0] == 404
    assert instance.client("workers").returncode == 1
