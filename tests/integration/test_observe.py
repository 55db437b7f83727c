"""What can be seen of a running muster: its events, and why a process is as it is."""

import json
import socket
import subprocess

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
    assert instance.log_lines(seen[0]["time"], "exited", "status=signal:KILL")
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
