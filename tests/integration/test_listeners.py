"""Event listeners: supervisord's protocol, listeners of our own that misbehave, and real superlance."""

import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import xmlrpc.client

import pytest

from support.eventually import eventually
from support.rig import BINARY, IN_WORKER, call, keeps_nothing_freed

HOME = os.environ.get("MUSTER_TEST_SUPERVISOR")  # a venv with supervisord and superlance


def listener(name, way, file, events, more=""):
    return f"""[program.{name}]
command = ["{sys.executable}", "{IN_WORKER}/listener.py", "{file}", "{way}"]
listener = {{ events = {json.dumps(events)}{more} }}
ready = {{ after = "0s" }}
"""


def heard(file):
    """What it was told: (event, payload, serial, poolserial)."""
    if not file.exists():
        return []
    notes = [json.loads(line) for line in file.read_text().splitlines()]
    return [(n["header"]["eventname"], n["payload"], int(n["header"]["serial"]),
             int(n["header"]["poolserial"])) for n in notes if "header" in n]


def environments(file):
    return [json.loads(line)["environment"] for line in file.read_text().splitlines()
            if '"environment"' in line]


def remote(instance, kind, data):
    body = xmlrpc.client.dumps((kind, data), "supervisor.sendRemoteCommEvent").encode()
    status, text = call(instance.control, "POST", "/RPC2", body)
    assert status == 200 and xmlrpc.client.loads(text)[0] == (True,), text


def test_a_listener_hears_what_happens_in_order(muster, folder):
    file = folder / "heard"
    trapped = folder / "trapped"
    # Ends when the listener has heard that it is being stopped, however slow the machine is.
    (folder / "web.sh").write_text(
        f"trap 'until grep -q \"from_state:RUNNING pid:$$\\\"\" {file}; do sleep 0.02; done; exit 0' TERM\n"
        f"echo $$ > {trapped}\n"
        "while :; do sleep 0.02; done\n")
    # A supervisord around muster is not the one to listen to.
    around = {"SUPERVISOR_SERVER_URL": "unix:///outer", "SUPERVISOR_PROCESS_NAME": "muster"}
    instance = muster(
        listener("ear", "ok", file, ["PROCESS_STATE", "SUPERVISOR_STATE_CHANGE", "REMOTE_COMMUNICATION",
                                     "PROCESS_GROUP"], ", buffer = 100")
        + f'[program.web]\ncommand = ["sh", "{folder}/web.sh"]\nstop = ["TERM 30s", "KILL"]\n'
          'autostart = false\nready = { after = "0s" }\n'
          '[group.site]\nprograms = ["web"]\n', env=around)
    instance.running("ear")
    assert instance.client("start", "web").returncode == 0
    pid = instance.one("web")["pid"]
    assert instance.client("stop", "web").returncode == 0
    assert instance.client("start", "web").returncode == 0
    killed = instance.one("web")["pid"]
    os.kill(killed, signal.SIGKILL)
    eventually(10, lambda: [e for e in heard(file) if e[0] == "PROCESS_STATE_EXITED"])
    remote(instance, "deploy", "für alle")
    eventually(10, lambda: [e for e in heard(file) if e[0] == "REMOTE_COMMUNICATION"])
    instance.file.write_text(instance.file.read_text() + '[program.late]\ncommand = "sleep 1000"\n')
    assert instance.client("reload").returncode == 0
    eventually(10, lambda: [e for e in heard(file) if e[1] == "groupname:late\n"])
    last = instance.running("web")["pid"]
    eventually(10, lambda: trapped.read_text() == f"{last}\n", "the trap of web's last life")
    assert instance.terminate() == 0

    told = heard(file)
    of_web = [(event, payload) for event, payload, _, _ in told if "processname:web " in payload]
    names = "processname:web groupname:site from_state:"
    for number, one in enumerate([
            ("PROCESS_STATE_STARTING", f"{names}STOPPED tries:0"),
            ("PROCESS_STATE_RUNNING", f"{names}STARTING pid:{pid}"),
            ("PROCESS_STATE_STOPPING", f"{names}RUNNING pid:{pid}"),
            ("PROCESS_STATE_STOPPED", f"{names}STOPPING pid:{pid}"),
            ("PROCESS_STATE_STARTING", f"{names}STOPPED tries:0"),
            ("PROCESS_STATE_RUNNING", f"{names}STARTING pid:{killed}"),
            ("PROCESS_STATE_EXITED", f"{names}RUNNING expected:0 pid:{killed}")]):
        assert of_web[number] == one, of_web
    # The listener goes last: it hears that the others are stopped.
    assert ("PROCESS_STATE_STOPPING", f"{names}RUNNING pid:{last}") in of_web, of_web
    assert of_web[-1][0] in ("PROCESS_STATE_STOPPING", "PROCESS_STATE_STOPPED"), of_web
    events = [(event, payload) for event, payload, _, _ in told]
    assert events.index(("SUPERVISOR_STATE_CHANGE_STOPPING", "")) < events.index(of_web[-1])
    for one in [("SUPERVISOR_STATE_CHANGE_RUNNING", ""), ("PROCESS_GROUP_ADDED", "groupname:site\n"),
                ("PROCESS_GROUP_ADDED", "groupname:late\n"),
                ("REMOTE_COMMUNICATION", "type:deploy\nfür alle")]:
        assert one in events, events
    assert [serial for _, _, _, serial in told] == list(range(len(told)))
    lines = [json.loads(line).get("line") for line in file.read_text().splitlines()]
    assert re.fullmatch(r"ver:3\.0 server:\S+ serial:0 pool:ear poolserial:0 "
                        r"eventname:PROCESS_GROUP_ADDED len:14\n", lines[1]), lines[1]
    assert environments(file)[0] == {
        "SUPERVISOR_ENABLED": "1", "SUPERVISOR_PROCESS_NAME": "ear", "SUPERVISOR_GROUP_NAME": "ear",
        "SUPERVISOR_SERVER_URL": f"unix://{instance.control}"}


def test_listeners_that_misbehave_cost_nobody_else_anything(muster, folder):
    files = {way: folder / way for way in ("ok", "reject", "dies", "deaf", "chatty")}
    instance = muster("".join(listener(way, way, file, ["REMOTE_COMMUNICATION"],
                                       ", buffer = 200" if way == "ok" else ", buffer = 5")
                              for way, file in files.items()), env=keeps_nothing_freed())
    instance.running()
    remote(instance, "a", "1")
    for way in ("ok", "reject", "dies"):
        eventually(10, lambda way=way: heard(files[way]), way)
    # Rejected, and in hand at a death: told again, the same serials, before what came later.
    remote(instance, "b", "2")
    for way in ("reject", "dies"):
        told = eventually(15, lambda way=way: [e for e in heard(files[way]) if e[1] == "type:b\n2"]
                          and heard(files[way]), way)
        assert told[0] == told[1] == ("REMOTE_COMMUNICATION", "type:a\n1", told[0][2], 0), told
        assert told[2][1] == "type:b\n2", told
    instance.logged("listener-confused", "process=chatty")
    # More than a pipe takes, to one that never reads: its buffer is full, and it is told that it was.
    before = rss(instance.pid)
    for number in range(100):
        remote(instance, "c", str(number) + "x" * 40_000)
    eventually(15, lambda: len(heard(files["ok"])) >= 102)
    instance.logged("event-dropped", "program=deaf", "event=REMOTE_COMMUNICATION")
    assert not heard(files["deaf"]) and not heard(files["chatty"])
    assert rss(instance.pid) - before < 8 << 20
    assert instance.state("deaf") == "RUNNING"
    # A new life may be told.
    assert instance.client("stop", "deaf", "chatty").returncode == 0
    assert instance.terminate() == 0


def rss(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024


class Refuses(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(503)

    def log_message(self, *_):
        pass


@pytest.fixture
def refusing():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def test_superlance_works_unchanged(muster, folder, refusing):
    if not HOME or not os.path.exists(f"{HOME}/bin/crashmail"):
        pytest.skip("no superlance (MUSTER_TEST_SUPERVISOR)")
    mail = folder / "mail"
    config = folder / "supervisord.conf"
    config.write_text(f"""\
[program:web]
command=sleep 1000
startsecs=0
[program:large]
command={sys.executable} -c "b = bytearray(80 << 20); import time; time.sleep(1000)"
startsecs=0
[program:slow]
command=sleep 1000
startsecs=0
[eventlistener:crashmail]
command={HOME}/bin/crashmail -a -s "cat >> {mail}" -m ops@example.org
events=PROCESS_STATE_EXITED
[eventlistener:memmon]
command={HOME}/bin/memmon -p large=40MB
events=TICK_5
[eventlistener:httpok]
command={HOME}/bin/httpok -p slow -t 2 {refusing}
events=TICK_5
""")
    out = folder / "imported.toml"
    made = subprocess.run([BINARY, "import", str(config), "-o", str(out)], capture_output=True,
                          text=True, timeout=30, check=False)
    assert made.returncode == 0 and "eventlistener" not in made.stderr, made
    instance = muster(out.read_text())
    ids = ("web", "large", "slow")
    before = instance.running("crashmail", "memmon", "httpok", *ids)[-3:]
    os.kill(before[0]["pid"], signal.SIGKILL)
    text = eventually(15, lambda: mail.exists() and mail.read_text())
    assert f"Process web in group web exited unexpectedly (pid {before[0]['pid']}) from state RUNNING" in text
    instance.running("large", "slow", seconds=25, but=before)  # restarted over /RPC2
    assert instance.one("web")["restarts"] == 1
    assert all(instance.state(one) == "RUNNING" for one in ("crashmail", "memmon", "httpok"))
