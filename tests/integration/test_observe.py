"""What can be seen of a running muster: its events, and why a process is as it is."""

import json
import os
import pathlib
import pty
import socket
import subprocess
import sys

import pytest
from support import processes, rig
from support.eventually import PATIENCE, eventually

ONE = f'[program.web]\ncommand = "{rig.STUB}"\nready = {{ after = "10ms" }}\n'
FAILING = (f'[program.{"bad" * 30}]\ncommand = ["sh", "-c", "exit 3"]\nstart_limit = 0\n'
           'backoff = { initial = "1ms", max = "1ms", jitter = 0 }\n')


class Stream:
    """A request whose answer goes on, read when one likes."""

    def __init__(self, path, target, *headers, receive_buffer=None):
        self.socket = socket.socket(socket.AF_UNIX)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(20 * PATIENCE)
        self.socket.connect(str(path))
        # HTTP/1.0: a body without chunks, until the end.
        self.socket.sendall("\r\n".join([f"GET {target} HTTP/1.0", *headers, "", ""]).encode())
        self.lines = self.socket.makefile("r", encoding="utf-8")

    def head(self):
        return list(iter(lambda: self.lines.readline().strip(), ""))

    def until(self, claim):
        for line in self.lines:
            if claim(line):
                return line
        raise AssertionError("the stream has ended")

    def close(self):
        self.lines.close()
        self.socket.close()


def test_events_of_a_death_and_a_restart_in_order(muster):
    instance = muster(ONE)
    web = instance.running("web")
    stream = Stream(instance.control, "/v1/events?follow=true&tail=0")
    assert any("application/x-ndjson" in line for line in stream.head())
    processes.kill(web["pid"])
    seen = []
    stream.until(lambda line: seen.append(json.loads(line)) or seen[-1]["event"] == "started")
    stream.close()
    assert [one["event"] for one in seen] == ["exited", "starting", "started"]
    assert seen[0]["process"] == "web" and seen[0]["status"] == "signal:KILL"
    assert seen[0]["pid"] == str(web["pid"]) and seen[0]["level"] == "warn"
    numbers = [one["id"] for one in seen]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    # The same as in the log.
    instance.logged(seen[0]["time"], "exited", "status=signal:KILL")
    # Who comes back is told what it has missed.
    status, text = instance.get(f"/v1/events?after={numbers[0]}")
    assert status == 200
    assert [json.loads(line)["id"] for line in text.splitlines()] == numbers[1:]


def test_server_sent_events(muster):
    instance = muster(ONE)
    instance.running("web")
    stream = Stream(instance.control, "/v1/events", "Accept: text/event-stream", "Last-Event-ID: 1")
    assert any("text/event-stream" in line for line in stream.head())
    assert stream.lines.readline() == "id: 2\n"
    assert stream.lines.readline().startswith("data: {")
    assert stream.lines.readline() == "\n"
    instance.post("/v1/processes/web/restart?wait=true")
    stream.until(lambda line: line.startswith("data: ") and '"stopped"' in line
                 or '"starting"' in line)
    stream.close()


def test_a_follower_that_does_not_read_costs_nobody_anything(muster):
    instance = muster(FAILING + ONE)
    slow = Stream(instance.control, "/v1/events?follow=true", receive_buffer=2048)
    reader = Stream(instance.control, "/v1/events?follow=true")
    web = instance.running("web")
    reader.until(lambda line: '"id":1000,' in line)
    reader.close()
    assert instance.one("web")["pid"] == web["pid"]
    last = None
    for last in slow.lines:
        pass
    assert json.loads(last) == {"level": "warn", "event": "let-go",
                                "reason": "this client reads too slowly"}
    slow.close()


def test_the_verb_events(muster):
    instance = muster(ONE)
    web = instance.running("web")
    shown = instance.client("events")
    assert shown.returncode == 0 and " INFO  started program=web process=web " in shown.stdout
    assert len(instance.client("events", "-n", "1").stdout.splitlines()) == 1
    one = json.loads(instance.client("events", "-n", "1", "--json").stdout)
    assert one["event"] == "started"
    follower = subprocess.Popen(
        [rig.BINARY, "-s", str(instance.control), "events", "-f", "-n", "1"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=instance.env)
    try:
        assert " started " in follower.stdout.readline()
        processes.kill(web["pid"])
        line = follower.stdout.readline()
        assert "exited" in line and "status=signal:KILL" in line
        assert instance.client("shutdown").returncode == 0
        assert follower.wait(20 * PATIENCE) == 0
    finally:
        follower.kill()
        follower.wait()


def why(instance, process):
    status, body = instance.get(f"/v1/processes/{process}/why")
    assert status == 200, body
    return body


def test_why_a_process_died(muster):
    instance = muster('[program.web]\ncommand = ["sh", "-c", "echo first words; echo the last >&2; '
                      'sleep 0.4; exit 7"]\nready = { after = "1ms" }\n'
                      'backoff = { initial = "10ms", max = "10ms" }\n')
    told = eventually(10, lambda: len(why(instance, "web")["deaths"]) >= 2 and why(instance, "web"))
    assert told["process"]["id"] == "web"
    death = told["deaths"][-1]
    assert (death["code"], death["reason"], death["oom"]) == (7, "exit:7", "no")
    assert death["cause"] == "crashed" and death["next"] == "BACKOFF"
    assert death["incarnation"] == 1 and 0.2 < death["uptime"] < 20
    assert death["last_stdout"] == "first words\n" and death["last_stderr"] == "the last\n"
    assert death["peak_memory"] > 100_000 and death["cpu"] >= 0
    assert death["cleaned"] is None and death["jobs"] is None  # it has no registry
    assert told["deaths"][0]["incarnation"] > death["incarnation"]
    eventually(20, lambda: why(instance, "web")["deaths"][-1]["incarnation"] > 1)  # five are kept
    assert len(why(instance, "web")["deaths"]) == 5
    shown = instance.client("why", "web")
    assert shown.returncode == 0 and "exit:7 (crashed)" in shown.stdout
    assert "stderr   | the last\n" in shown.stdout
    assert len(json.loads(instance.client("why", "all", "--json").stdout)["processes"]) == 1
    assert instance.get("/v1/processes/nobody/why")[0] == 404
    assert instance.client("why", "nobody").returncode == 4


def test_why_tells_of_a_stop_and_of_what_could_not_be_started(muster):
    instance = muster(f'{ONE}[program.bad]\ncommand = "/nowhere/at-all"\nstart_limit = 1\n'
                      'on_fatal = "stay"\n')
    web = instance.running("web")
    assert why(instance, "web")["deaths"] == []
    assert instance.post("/v1/processes/web/stop?wait=true")[0] == 200
    (death,) = why(instance, "web")["deaths"]
    assert (death["cause"], death["next"], death["pid"]) == ("asked", "STOPPED", web["pid"])
    assert instance.post("/v1/processes/web/start?wait=true")[0] == 200
    assert instance.post("/v1/processes/web/restart?wait=true")[0] == 200
    assert why(instance, "web")["deaths"][0]["next"] == "STARTING"
    told = why(instance, "bad")
    assert told["deaths"] == [] and "/nowhere/at-all" in told["trouble"]
    assert "because: " in instance.client("why", "bad").stdout


def test_why_names_the_job_that_was_handed_back(real_rq, redis_server, muster):
    instance = muster(real_rq.program())
    old = instance.running("shap", seconds=30)
    job = real_rq.enqueue(retries=1)
    eventually(10, lambda: job.runs)
    processes.kill(old["pid"])
    death = eventually(20, lambda: why(instance, "shap")["deaths"]
                       and why(instance, "shap")["deaths"][0]["cleaned"]
                       and why(instance, "shap")["deaths"][0])
    assert death["jobs"] == [job.id] == death["cleaned"]["handed_back"]
    assert death["cleaned"]["verdict"] == "removed" and death["cleaned"]["after"] < 5
    assert death["name"] == old["name"]
    assert job.id in instance.client("why", "shap").stdout
    job.let_finish()


def memory_cgroup():
    """A memory cgroup of our own (v1 or v2) with a limit, or None where we may not make one."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            ours, limit = pathlib.Path("/sys/fs/cgroup/memory" + path), "memory.limit_in_bytes"
        elif controllers == "":
            ours, limit = pathlib.Path("/sys/fs/cgroup" + path), "memory.max"
        else:
            continue
        made = ours / f"muster-test-{os.getpid()}"
        try:
            made.mkdir()
        except OSError:
            continue
        try:
            (made / limit).write_text(str(96 << 20))
            if (made / "memory.swap.max").exists():
                (made / "memory.swap.max").write_text("0")
            return made
        except OSError:
            made.rmdir()
    return None


def test_why_finds_the_evidence_of_the_out_of_memory_killer(muster):
    if "ASAN_OPTIONS" in os.environ:
        pytest.skip("a sanitizer's build needs more memory for itself than the group has")
    place = memory_cgroup()
    if place is None:
        pytest.skip("no memory cgroup can be made here")
    try:
        instance = muster(
            '[program.fat]\ncommand = ["' + sys.executable + '", "-c", '
            '"x = bytearray(400 << 20)"]\nautostart = false\nrestart = "never"\n'
            f'[program.web]\ncommand = "{rig.STUB}"\nready = {{ after = "1ms" }}\n',
            before=["sh", "-c", f'echo $$ > {place}/cgroup.procs && exec "$@"', "sh"])
        web = instance.running("web")
        processes.kill(web["pid"])
        death = eventually(5, lambda: why(instance, "web")["deaths"])[0]
        assert death["signal"] == 9 and death["oom"] == "no"
        instance.post("/v1/processes/fat/start")
        death = eventually(20, lambda: why(instance, "fat")["deaths"])[0]
        assert death["signal"] == 9 and death["oom"] == "likely", death
        assert "out-of-memory killer" in death["oom_evidence"]
        assert death["peak_memory"] > 20 << 20
        assert "OOM      likely" in instance.client("why", "fat").stdout
        instance.close()
    finally:
        eventually(10, lambda: place.rmdir() or True, "the cgroup being empty")


def test_status_is_watched_on_a_terminal(muster):
    instance = muster(ONE)
    web = instance.running("web")
    piped = instance.client("status", "--watch")
    assert piped.returncode == 2 and "terminal" in piped.stderr
    ours, theirs = pty.openpty()
    watcher = subprocess.Popen([rig.BINARY, "-s", str(instance.control), "status", "--watch"],
                               stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE,
                               text=True, env=instance.env)
    os.close(theirs)
    seen = b""

    def shows(text):
        nonlocal seen
        seen += os.read(ours, 65536)
        return text.encode() in seen

    try:
        eventually(10, lambda: shows(f"RUNNING  {web['pid']}"))
        assert seen.startswith(b"\x1b[H")
        new = instance.post("/v1/processes/web/restart?wait=true") and instance.running("web")
        eventually(10, lambda: shows(f"RUNNING  {new['pid']}"))
        assert instance.client("shutdown").returncode == 0
        assert watcher.wait(20 * PATIENCE) == 5
        assert watcher.stderr.read()
    finally:
        watcher.kill()
        watcher.wait()
        os.close(ours)
