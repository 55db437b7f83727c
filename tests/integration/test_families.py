"""Nothing of an incarnation outlives its stop, wherever it went."""

import re

import pytest

from support import processes, rig
from support.eventually import always, eventually


def orphan_of(instance, process):
    found = eventually(5, lambda: re.findall(rf"^{process} \| .*?orphan (\d+)$", instance.log(),
                                             re.MULTILINE))
    return int(found[-1])


@pytest.mark.parametrize("where", ["group", "session"])
@pytest.mark.parametrize("deaf", ["", "--orphan-ignores-term"])
def test_I3_an_orphan_is_ended_with_its_worker(muster, where, deaf):
    instance = muster(f'[program.shap]\ncommand = "{rig.STUB} --orphan {where} {deaf}"\n')
    worker = instance.running("shap")
    orphan = orphan_of(instance, "shap")
    assert processes.is_alive(orphan)
    processes.kill(worker["pid"])
    worker = instance.running("shap", but=[worker])
    assert not processes.is_alive(orphan)  # I1: before its replacement came
    orphan = orphan_of(instance, "shap")
    assert processes.is_alive(orphan)
    assert instance.post("/v1/processes/shap/stop?wait=true")[0] == 200
    assert not processes.is_alive(orphan) and not processes.is_alive(worker["pid"])
    assert [pid for pid in processes.marked(instance.mark) if pid != instance.pid] == []


def test_orphans_leave_lets_them_be(muster):
    instance = muster(f'[program.shap]\ncommand = "{rig.STUB} --orphan session"\norphans = "leave"\n')
    worker = instance.running("shap")
    orphan = orphan_of(instance, "shap")
    processes.kill(worker["pid"])
    instance.running("shap", but=[worker])
    always(1.5, lambda: processes.is_alive(orphan), "the orphan living on")


def test_a_worker_that_ignores_TERM_is_killed_after_its_time(muster):
    instance = muster(f'[program.deaf]\ncommand = "{rig.STUB} --ignore-term"\n'
                      'stop = ["TERM 500ms", "KILL"]\n')
    worker = instance.running("deaf")
    assert instance.post("/v1/processes/deaf/stop?wait=true")[0] == 200
    assert not processes.is_alive(worker["pid"])
    assert len(instance.logged("deaf | ", "heard TERM")) == 1


def test_I6_a_stub_with_a_horse_is_replaced_only_when_its_horse_is_gone(redis_server, muster):
    instance = muster(
        f'[redis]\nurl = "{redis_server.url}"\n[program.shap]\nregistry = "rq"\n'
        f'command = "{rig.STUB} --redis {redis_server.url} --name {{name}} --horse 0"\n'
        'stop = ["TERM 200ms"]\n')
    old = instance.running("shap")
    horse = eventually(5, lambda: processes.children(old["pid"]))[0]
    processes.kill(old["pid"])
    new = instance.running("shap", but=[old])
    assert not processes.is_alive(horse)
    assert redis_server.traces_of(old["name"]) == []
    eventually(5, lambda: redis_server.worker(new["name"]).get("state") == "busy")
    jobs = list(redis_server.client.scan_iter("rq:job:*"))
    assert len(jobs) == 1  # handed back: the replacement works on the very same one
    assert redis_server.client.hget(jobs[0], "worker_name") == new["name"]
