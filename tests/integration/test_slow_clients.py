"""Clients that ask and never read: they cost their own bounded share, and nobody else anything."""

import os
import re
import pathlib
import signal
import socket
import threading
import time

from support.eventually import PATIENCE, eventually, patience
from support.rig import keeps_nothing_freed

FLOOD = """\
[program.flood]
command = ["sh", "-c", "while :; do head -c 30000 /dev/zero | tr '\\\\0' x; echo; sleep 0.05; done"]
stdout = "./flood.log"
log_rotate = { size = "1MB", keep = 1 }
[program.work]
command = "sleep 1000"
processes = 50
ready = { after = "0s" }
"""


def ask(instance, *targets):
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(10)
    one.connect(str(instance.control))
    one.sendall(b"".join(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for target in targets))
    return one


def rss(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1])


class Reader(threading.Thread):
    """Reads all the time."""

    def __init__(self, one):
        super().__init__(daemon=True)
        self.one, self.bytes, self.is_closed = one, 0, False
        self.start()

    def run(self):
        try:
            while piece := self.one.recv(1 << 20):
                self.bytes += len(piece)
        except OSError:
            pass
        self.is_closed = True

    def takes(self, size):
        goal = self.bytes + size
        eventually(20, lambda: self.bytes >= goal, "a reader's bytes")


def test_clients_that_never_read_cost_nobody_else_anything(muster):
    instance = muster(FLOOD, env=keeps_nothing_freed())
    instance.running("work_00", "work_49", "flood")
    reader = Reader(ask(instance, "/v1/logs/flood?follow=true"))
    reader.takes(200_000)
    before = rss(instance.pid)
    deaf = [ask(instance, "/v1/logs/flood?follow=true") for _ in range(10)]
    deaf += [ask(instance, "/v1/events?follow=true") for _ in range(5)]
    deaf += [ask(instance, *["/v1/status"] * 50) for _ in range(10)]  # pipelined: 10 MB of answers in all
    reader.takes(2_000_000)  # far more than any of them may have waiting
    assert rss(instance.pid) - before < 16 * 1024, "KiB"  # 10 of 256 KiB, 10 answers, allocator's slack
    began = time.monotonic()
    for _ in range(20):
        assert instance.get("/v1/status")[0] == 200
    assert time.monotonic() - began < 5 * patience()
    old = instance.one("work_00")
    os.kill(old["pid"], signal.SIGKILL)
    instance.running("work_00", but=[old])
    # A follower too slow for its log is let go, and told nothing more; who reads stays.
    eventually(10, lambda: is_closed(deaf[0]))
    reader.takes(100_000)
    assert not reader.is_closed
    for one in deaf:
        one.close()
    assert instance.terminate() == 0


def is_closed(one):
    one.settimeout(1)
    try:
        while one.recv(1 << 20):
            pass
    except ConnectionResetError:
        pass
    return True


def test_200_followers_that_come_at_once_all_follow_and_short_requests_are_served(muster):
    instance = muster('[program.work]\ncommand = "sleep 1000"\nready = { after = "0s" }\n')
    old = instance.running("work")
    crowd = [socket.socket(socket.AF_UNIX) for _ in range(200)]
    try:
        for one in crowd:  # all are connected before the first says a word
            one.settimeout(20 * PATIENCE)
            one.connect(str(instance.control))
        for one in crowd:
            one.sendall(b"GET /v1/events?follow=true&tail=0 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert instance.get("/livez")[0] == 200
        heads = [one.recv(4096) for one in crowd]
        assert all(head.startswith(b"HTTP/1.1 200 ") for head in heads), set(heads)
        os.kill(old["pid"], signal.SIGKILL)
        instance.running("work", but=[old])
        for one, text in zip(crowd, heads):
            while b"exited" not in text:
                piece = one.recv(4096)
                assert piece
                text += piece
    finally:
        for one in crowd:
            one.close()
    assert instance.get("/livez")[0] == 200
