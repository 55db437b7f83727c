"""[program.NAME.autoscale] with real RQ: as many workers as the queue needs, and never one less than are busy."""

import json
import subprocess

from support import rig
from support.eventually import always, eventually

SCALED = ("[program.shap.autoscale]", "min = 1", "max = 3", 'queues = ["jobs"]', "jobs_per_process = 1",
          'down_after = "1s"')


def scaled(instance):
    status, body = instance.get("/v1/status")
    assert status == 200 and "autoscale" in body, (status, body, instance.log())
    return body["autoscale"][0]


def staying(instance):
    return scaled(instance)["processes"]


def ids(instance):
    return sorted(instance.processes())


def why(instance):
    return scaled(instance)["why"]


def test_a_burst_makes_it_grow_and_it_shrinks_idle_first_and_keeps_the_busy_ones(real_rq, redis_server, muster):
    instance = muster(real_rq.program(*SCALED))
    instance.running("shap_00", seconds=30)
    assert ids(instance) == ["shap_00"]
    jobs = [real_rq.enqueue() for _ in range(6)]
    eventually(30, lambda: ids(instance) == ["shap_00", "shap_01", "shap_02"])  # its max
    eventually(30, lambda: sum(job.runs for job in jobs) == 3)
    grown = instance.log_lines(" autoscale ", "program=shap", "from=1")
    assert grown and "for each process" in grown[0] and "(1 to 3)" in grown[0], grown
    instance.logged(" scaled ", "program=shap", "from=1")
    events = [json.loads(line) for line in instance.get("/v1/events?tail=1000")[1].splitlines()]
    event = next(one for one in events if one["event"] == "autoscale")
    assert (event["program"], event["from"]) == ("shap", "1"), event
    assert " needed (1 to 3)" in event["reason"], event

    # All but one of the six are done: two are idle now, and one works on for as long as it likes.
    last = next(job for job in jobs if job.runs)
    for job in jobs:
        if job is not last:
            job.let_finish()
    eventually(60, lambda: all(job.ends for job in jobs if job is not last))
    eventually(30, lambda: len(ids(instance)) == 1)
    assert last.runs and last.starts == 1 and last.ends == 0
    kept = ids(instance)[0]
    assert instance.one(kept)["incarnation"] == 1
    name = instance.one(kept)["name"]
    assert redis_server.worker(name)["state"] == "busy"
    assert not instance.log_lines("signal:KILL") and not instance.log_lines("orphans")
    shrunk = instance.log_lines(" autoscale ", "to=1")
    assert shrunk and "1 busy" in shrunk[-1], shrunk

    # What operators see and may do.
    told = instance.client("status").stdout
    assert "shap: 1 process, 0 jobs wait, 1 for each process" in told, told
    assert "autoscale: 0 jobs wait" in instance.client("why", kept).stdout
    refused = instance.client("scale", "shap=3")
    assert refused.returncode == 1 and "shap scales itself, between 1 and 3" in refused.stderr, refused
    assert instance.post("/v1/programs/shap/scale", {"processes": 2})[0] == 409
    last.let_finish()
    eventually(20, lambda: last.ends == 1)


def test_while_redis_is_away_the_size_stays_and_a_reload_keeps_it(redis_server, muster, folder):
    stub = f"{rig.STUB} --redis {redis_server.url} --name {{name}} --queues jobs"
    config = (f'[redis]\nurl = "{redis_server.url}"\n[program.shap]\ncommand = "{stub}"\nregistry = "rq"\n' +
              "\n".join(SCALED) + "\n")
    instance = muster(config)
    instance.running("shap_00")
    redis_server.client.rpush("rq:queue:jobs", "a", "b", "c", "d")
    eventually(20, lambda: staying(instance) == 3)
    before = {one["id"]: one["incarnation"] for one in instance.running("shap_00", "shap_01", "shap_02")}
    redis_server.client.delete("rq:queue:jobs")
    redis_server.stop()
    eventually(10, lambda: "nobody knows how many jobs wait" in why(instance))
    # Longer than down_after, in which a known empty queue would have made it shrink.
    always(2.5, lambda: staying(instance) == 3, "the size stays")
    reload = instance.client("reload")
    assert reload.returncode == 0 and staying(instance) == 3, reload
    instance.file.write_text(instance.file.read_text().replace("max = 3", "max = 5"))
    changed = json.loads(instance.client("reload", "--json").stdout)
    assert changed["changed"][0]["live"] == ["autoscale"] and changed["changed"][0]["processes"] is None, changed
    assert staying(instance) == 3
    assert {one["id"]: one["incarnation"] for one in instance.processes().values()} == before
    redis_server.start()
    eventually(40, lambda: len(ids(instance)) == 1)  # Redis is back, and the queue is empty
    # A program that somebody has stopped is not started by its queue.
    assert instance.post("/v1/processes/shap/stop?wait=true")[0] == 200
    redis_server.client.rpush("rq:queue:jobs", "a", "b", "c", "d")
    eventually(10, lambda: "none of it is wanted now" in why(instance))
    assert [one["state"] for one in instance.processes().values()] == ["STOPPED"]


def test_what_cannot_be_is_told_with_the_place(folder):
    file = folder / "muster.toml"
    file.write_text('redis.url = "redis://127.0.0.1:1"\n[program.a]\ncommand = "x"\nregistry = "rq"\nprocesses = 2\n'
                    "[program.a.autoscale]\nmin = 4\nmax = 2\nqueues = [\"q\"]\n"
                    '[program.b]\ncommand = "x"\nautoscale = { max = 2, queues = ["q"] }\n')
    done = subprocess.run([rig.BINARY, "check", "-c", file], env=rig.environment(str(folder)), text=True,
                          capture_output=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert ":5:" in said and "program.a.processes: the program has autoscale" in said, said
    assert "min (4) is more than max (2)" in said and ":6:" in said, said
    assert "program.b.autoscale: needs a registry whose queues are known" in said, said
