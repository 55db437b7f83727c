"""systemd's notify protocol: what a service manager hears of muster, over a path and an abstract name."""

import os
import signal
import socket

import pytest

from support import processes
from support.eventually import always, eventually


@pytest.fixture(params=["path", "abstract"])
def ear(request, folder):
    """A socket as systemd has it: (what goes into $NOTIFY_SOCKET, what was heard)."""
    name = str(folder / "notify") if request.param == "path" else f"@muster-test-{os.getpid()}"
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind("\0" + name[1:] if name.startswith("@") else name)
    heard.setblocking(False)
    messages = []

    def listen():
        while True:
            try:
                messages.append(heard.recv(4096).decode())
            except BlockingIOError:
                return messages

    yield name, listen
    heard.close()


NAP = '[program.nap]\ncommand = "sleep 1000"\nprocesses = 2\nready = { after = "10ms" }\n'


def test_a_service_manager_hears_of_start_reload_and_end(muster, folder, ear):
    name, listen = ear
    instance = muster(NAP, env={"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "200000"})
    eventually(5, lambda: "READY=1\n" in listen())
    instance.running()
    eventually(5, lambda: "STATUS=2 of 2 processes running\n" in listen())
    child = processes.environment(instance.one("nap_00")["pid"])
    assert "NOTIFY_SOCKET" not in child and "WATCHDOG_USEC" not in child

    listen().clear()
    eventually(5, lambda: listen().count("WATCHDOG=1\n") >= 3)
    os.kill(instance.pid, signal.SIGSTOP)  # a loop that does not turn
    listen().clear()
    always(0.5, lambda: listen() == [], "silence")
    os.kill(instance.pid, signal.SIGCONT)
    eventually(5, lambda: "WATCHDOG=1\n" in listen())

    listen().clear()
    os.kill(instance.pid, signal.SIGHUP)
    eventually(5, lambda: "READY=1\n" in listen())
    [reloading] = [one for one in listen() if one.startswith("RELOADING=1\n")]
    assert int(reloading.split("MONOTONIC_USEC=")[1]) > 0
    assert listen().index(reloading) < listen().index("READY=1\n")
    instance.write("nonsense = 1\n" + NAP)  # refused: what runs, runs on
    listen().clear()
    os.kill(instance.pid, signal.SIGHUP)
    eventually(5, lambda: "READY=1\n" in listen())

    listen().clear()
    # The watchdog's signal: it may wait for no loop.
    another = muster(NAP)
    os.kill(another.pid, signal.SIGSTOP)
    os.kill(another.pid, signal.SIGABRT)
    os.kill(another.pid, signal.SIGCONT)
    assert another.wait() == -signal.SIGABRT

    assert instance.terminate() == 0
    assert "STOPPING=1\n" in listen() and "READY=1\n" not in listen()


def test_a_watchdog_of_somebody_else_and_a_place_where_nobody_listens_are_no_harm(muster, folder):
    instance = muster(NAP, env={"NOTIFY_SOCKET": str(folder / "nobody"), "WATCHDOG_USEC": "1",
                                "WATCHDOG_PID": "1"})
    instance.running()
    assert instance.terminate() == 0
