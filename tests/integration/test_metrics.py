"""/metrics: what it says, that Prometheus' own tool accepts it, and that the document is right."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
from support import processes, rig
from support.eventually import eventually

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
PROMTOOL = os.environ.get("MUSTER_TEST_PROMTOOL") or shutil.which("promtool")


def scrape(instance):
    status, text = instance.get("/metrics")
    assert status == 200, text
    return text


def samples(text):
    """{(name, labels): value}"""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = re.fullmatch(r"(\w+)(\{.*\})? (\S+)", line).groups()
        assert (name, labels) not in found, line
        found[name, labels or ""] = float(value)
    return found


def program(redis_server):
    return (f'[redis]\nurl = "{redis_server.url}"\n[program.shap]\ncommand = "{rig.STUB} --redis '
            f'{redis_server.url} --name {{name}}"\nregistry = "rq"\nprocesses = 2\n'
            '[program.bad]\ncommand = ["sh", "-c", "exit 3"]\nstart_limit = 0\n'
            'ready = { after = "1ms" }\nbackoff = { initial = "1h", max = "1h" }\n')


def settled(muster, redis_server):
    """With a death by a signal, one that was cleaned, and a process in BACKOFF."""
    instance = muster(program(redis_server))
    victim = instance.running("shap_00", "shap_01")[0]
    processes.kill(victim["pid"])
    instance.running("shap_00", but=[victim])
    eventually(10, lambda: instance.state("bad") == "BACKOFF")
    eventually(10, lambda: redis_server.traces_of(victim["name"]) == [])
    return instance


def test_metrics_tell_what_happened(redis_server, muster):
    instance = settled(muster, redis_server)
    seen = samples(scrape(instance))
    one = '{program="shap",process="shap_00"}'
    assert seen["muster_process_restarts_total", one] == 1
    assert seen["muster_process_state", one] == 20 and seen["muster_process_ready", one] == 1
    assert seen["muster_restarts_total", '{program="shap",reason="crashed"}'] == 1
    assert seen["muster_deaths_total", '{program="shap",kind="signal"}'] == 1
    assert seen["muster_deaths_total", '{program="bad",kind="exit"}'] >= 1
    assert seen["muster_processes", '{program="shap",state="RUNNING"}'] == 2
    assert seen["muster_processes", '{program="bad",state="BACKOFF"}'] == 1
    assert 0 < seen["muster_process_backoff_seconds", '{program="bad",process="bad"}'] < 5000
    assert seen["muster_family_processes", one] >= 1
    assert seen["muster_family_resident_memory_bytes", one] > 100_000
    assert seen["muster_redis_up", ""] == 1 and seen["muster_redis_debts", ""] == 0
    assert seen["muster_releases_total", '{verdict="removed"}'] == 1
    assert seen["muster_clean_seconds_count", ""] == 1
    assert 0 < seen["muster_clean_seconds_sum", ""] < 10
    assert seen["muster_loop_lag_seconds_count", ""] > 5
    assert seen["process_resident_memory_bytes", ""] > 1_000_000
    names = {worker["name"] for worker in instance.processes().values() if worker["name"]}
    assert not any(name in scrape(instance) for name in names)
    assert any(name == "muster_queue_depth" for name, _ in eventually(10, lambda: with_depths(instance)))
    redis_server.stop()
    eventually(10, lambda: samples(scrape(instance))["muster_redis_up", ""] == 0)
    assert not [name for name, _ in samples(scrape(instance)) if name.startswith("muster_queue_depth")]


def test_queues_have_their_depth_as_real_rq_keeps_them(redis_server, muster, real_rq):
    instance = muster(real_rq.program("processes = 1", queue="shap-jobs,mail"))
    instance.running("shap_00")
    job = real_rq.enqueue(queue="shap-jobs")  # the one worker has it
    eventually(10, lambda: job.starts == 1)
    for _ in range(3):
        real_rq.enqueue("note", queue="shap-jobs")
    seen = eventually(10, lambda: with_depths(instance))
    assert seen["muster_queue_depth", '{registry="rq",queue="shap-jobs"}'] == 3
    assert seen["muster_queue_depth", '{registry="rq",queue="mail"}'] == 0
    assert seen["muster_queues_left_out", ""] == 0
    calls = looks(redis_server)
    later = samples(scrape(instance))  # served from the same look
    assert looks(redis_server) == calls
    assert later["muster_queue_depth_age_seconds", ""] > seen["muster_queue_depth_age_seconds", ""]
    job.let_finish()


def with_depths(instance):
    """A scrape after a look at the queues."""
    seen = samples(scrape(instance))
    assert ("muster_queue_depth_age_seconds", "") in seen
    return seen


def looks(redis_server):
    """Calls of LLEN, all of them by our script."""
    return redis_server.client.info("commandstats").get("cmdstat_llen", {"calls": 0})["calls"]


def test_the_document_lists_exactly_what_there_is(redis_server, muster):
    instance = settled(muster, redis_server)
    eventually(10, lambda: with_depths(instance))
    text = scrape(instance)
    real = {}
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE):
        labels = set()
        for (sample, found), _ in samples(text).items():
            if re.fullmatch(name + (r"_(bucket|sum|count)" if kind == "histogram" else ""), sample):
                labels |= set(re.findall(r'(\w+)="', found)) - {"le"}
        real[name] = (kind, labels)
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*?) ?\| .+ \|$", DOCUMENT.read_text(),
                      re.MULTILINE)
    told = {name: (kind, set(filter(None, labels.split(", ")))) for name, kind, labels in rows}
    assert told == real


def test_promtool_accepts_it(redis_server, muster):
    if PROMTOOL is None:
        pytest.skip("no promtool: see MUSTER_TEST_PROMTOOL")
    text = scrape(settled(muster, redis_server))
    checked = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True,
                             text=True, check=False)
    assert checked.returncode == 0 and checked.stderr == "", checked


def test_many_scrapes_at_once_are_one_look(redis_server, muster):
    instance = muster(program(redis_server))
    instance.running("shap_00", "shap_01")
    first = samples(scrape(instance))
    again = samples(scrape(instance))
    key = ("muster_family_cpu_seconds_total", '{program="shap",process="shap_00"}')
    assert first[key] == again[key]  # kept for some seconds
    shared = [instance.get("/metrics")[0] for _ in range(20)]
    assert shared == [200] * 20
