"""supervisord's own client, side by side: what it prints and how it exits must not tell the two servers apart."""

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import xmlrpc.client

import pytest

from support.eventually import PATIENCE, eventually
from support.rig import call, environment
from support.supervisord import HOME, Supervisord

SUPERVISORD = """\
[program:one]
command=sleep 1000
startsecs=0
[program:many]
command=sleep 1000
process_name=%(program_name)s_%(process_num)02d
numprocs=2
autostart=false
startsecs=0
[program:gone]
command=/nonexistent/command
autostart=false
[program:folder]
command=/tmp
autostart=false
[program:early]
command=sh -c 'exit 3'
autostart=false
startretries=0
[program:chatty]
command=sh -c 'trap "echo again" USR1; echo one; echo two >&2; while :; do sleep 0.1; done'
startsecs=0
priority=5
[program:filed]
command=sh -c 'trap "echo again" USR1; echo one; echo two >&2; while :; do sleep 0.1; done'
startsecs=0
redirect_stderr=true
stdout_logfile=%(here)s/filed.log
[program:mute]
command=sleep 1000
startsecs=0
stdout_logfile=NONE
stderr_logfile=NONE
[program:later]
command=sleep 1000
autostart=false
stdout_logfile=%(here)s/later.log
"""

MUSTER = """\
[program.one]
command = "sleep 1000"
ready = { after = "0s" }
[program.many]
command = "sleep 1000"
processes = 2
autostart = false
ready = { after = "0s" }
[program.gone]
command = "/nonexistent/command"
autostart = false
[program.folder]
command = "/tmp"
autostart = false
[program.early]
command = ["sh", "-c", "exit 3"]
autostart = false
start_limit = 1
on_fatal = "stay"
[program.chatty]
command = ["sh", "-c", 'trap "echo again" USR1; echo one; echo two >&2; while :; do sleep 0.1; done']
ready = { after = "0s" }
priority = 5
[program.filed]
command = ["sh", "-c", 'trap "echo again" USR1; echo one; echo two >&2; while :; do sleep 0.1; done']
ready = { after = "0s" }
stdout = "./filed.log"
stderr = "stdout"
[program.mute]
command = "sleep 1000"
ready = { after = "0s" }
stdout = "null"
stderr = "null"
[program.later]
command = "sleep 1000"
autostart = false
stdout = "./later.log"
"""

COMMANDS = [
    "version", "status", "status nosuch many:nosuch many:*", "start many:many_00", "start many:*",
    "start one gone folder nosuch nosuch:*", "status", "signal HUP nosuch", "signal FOO one",
    "signal CONT one", "signal 18 many:*", "pid one", "pid gone nosuch", "restart one", "stop one",
    "stop one nosuch nosuch:*", "stop many:*", "stop many:*", "start early", "status early until FATAL",
    "start one many:many_01", "stop all", "status", "frobnicate",
]


def ask(socket, command):
    done = subprocess.run([f"{HOME}/bin/supervisorctl", "-s", f"unix://{socket}", *command.split()],
                          capture_output=True, text=True, timeout=60, env=environment(socket.parent))
    return done.returncode, done.stdout, done.stderr


def same_for_both(text):
    text = re.sub(r"pid \d+, uptime \d:\d\d:\d\d", "pid N, uptime T", text)
    text = re.sub(r"[A-Z][a-z]{2} \d\d \d\d:\d\d [AP]M", "Mon DD HH:MM", text)
    text = re.sub(r"^\d+$", lambda m: "0" if m[0] == "0" else "N", text, flags=re.M)
    return sorted(text.splitlines())  # several that end at once come in either order


# Many commands in one interpreter: most of a supervisorctl's time is Python's start.
MANY = """
import contextlib, io, json, sys, time
from supervisor import supervisorctl
done = []
for command in json.load(sys.stdin):
    command, _, awaited = command.partition(" until ")  # a word in what it prints
    end = time.monotonic() + 15
    while True:
        out, err, code = io.StringIO(), io.StringIO(), None
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                supervisorctl.main(["-s", sys.argv[1], *command.split()])
            except SystemExit as exit:
                code = exit.code
        if awaited in out.getvalue() or time.monotonic() > end:
            break
    done.append((code, out.getvalue(), err.getvalue()))
json.dump(done, sys.stdout)
"""


def ask_all(socket, commands):
    done = subprocess.run([f"{HOME}/bin/python", "-c", MANY, f"unix://{socket}"], input=json.dumps(commands),
                          capture_output=True, text=True, timeout=120, env=environment(socket.parent))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def compare(theirs_at, ours_at, commands):
    with concurrent.futures.ThreadPoolExecutor() as both:
        theirs, ours = both.map(ask_all, (theirs_at, ours_at), (commands, commands))
    for command, them, us in zip(commands, theirs, ours, strict=True):
        assert us[0] == them[0], (command, us, them)
        assert same_for_both(us[1]) == same_for_both(them[1]), command
        assert bool(us[2]) == bool(them[2]), (command, us, them)


@pytest.fixture(scope="module")
def supervisord(tmp_path_factory):
    if not HOME:
        pytest.skip("no supervisord (MUSTER_TEST_SUPERVISOR)")
    server = Supervisord(tmp_path_factory.mktemp("s") / "d", SUPERVISORD)
    yield server
    server.end()


def rpc(socket, method, *parameters):
    """What a method answers, or its fault's code and text."""
    status, text = call(socket, "POST", "/RPC2", xmlrpc.client.dumps(parameters, method))
    assert status == 200, (method, parameters, status, text)
    try:
        return xmlrpc.client.loads(text)[0][0]
    except xmlrpc.client.Fault as fault:
        return fault.faultCode, fault.faultString


class Following:
    """A `supervisorctl tail -f` that goes on until it is interrupted, as by Ctrl-C."""

    def __init__(self, socket, command):
        self.process = subprocess.Popen(
            [f"{HOME}/bin/supervisorctl", "-s", f"unix://{socket}", *command.split()],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(socket.parent))
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = ""

    def has(self, wanted):
        self.text += (self.process.stdout.read() or b"").decode()
        return wanted in self.text

    def end(self):
        """Interrupts it, again where it has not heard: one that comes while it handles what it has read, it swallows."""
        try:
            for _ in range(4):
                self.process.send_signal(signal.SIGINT)
                try:
                    return self.process.wait(5 * PATIENCE)
                except subprocess.TimeoutExpired:
                    pass
            raise AssertionError(f"{self.process.args} does not end")
        finally:
            self.process.kill()
            self.process.stdout.close()


LOG_COMMANDS = [
    "tail chatty", "tail chatty stderr", "tail -5 chatty", "tail -2 chatty stderr", "tail filed",
    "tail filed stderr", "tail filed nosuch", "tail mute", "tail mute stderr", "tail nosuch",
    "tail later", "tail many:*", "tail", "tail -x chatty", "tail -f", "tail -f nosuch", "tail -f mute", "clear",
    "clear chatty filed nosuch", "tail chatty", "tail filed", "clear mute later", "clear all", "avail", "version",
    "maintail -x", "fg nosuch", "fg many:many_00", "fg", "shutdown now",
]

SLICES = [(0, 0), (0, 2), (2, 3), (3, 0), (100, 5), (-3, 0), (-100, 0), (0, -1), (-1, 1), (4, 1024),
          (0, 1024), (1024, 8), (7, 1), (8, 1), (0, 8), (-5, 3), ("0", "2")]


def test_logs_give_the_same_text_and_exit_code(supervisord, muster):
    instance = muster(MUSTER)
    sockets = supervisord.socket, instance.control
    for socket in sockets:
        eventually(15, lambda socket=socket: ask(socket, "tail filed") == (0, "one\ntwo\n\n", ""))
    for method in ("readProcessStdoutLog", "readProcessLog", "tailProcessStdoutLog",
                   "tailProcessLog", "readProcessStderrLog", "tailProcessStderrLog"):
        for name in ("chatty", "filed", "mute", "nosuch", "many:*"):
            for offset, length in SLICES if name in ("chatty", "filed") else SLICES[-6:]:
                theirs, ours = [rpc(socket, f"supervisor.{method}", name, offset, length)
                                for socket in sockets]
                assert ours == theirs, (method, name, offset, length)
    compare(*sockets, LOG_COMMANDS)
    for command in ("maintail", "maintail -10"):
        (theirs, _, _), (ours, text, errors) = [ask(socket, command) for socket in sockets]
        assert (ours, errors) == (theirs, "") and len(text) > 9, (command, ours, text, errors)
    for offset, length in SLICES:
        theirs, ours = [rpc(socket, "supervisor.readLog", offset, length) for socket in sockets]
        assert isinstance(ours, str) == isinstance(theirs, str), (offset, length, theirs, ours)
        assert isinstance(ours, str) or ours == theirs
    assert rpc(instance.control, "supervisor.clearLog") is True
    assert rpc(instance.control, "supervisor.readLog", 0, 0) == ""
    assert rpc(instance.control, "supervisor.sendProcessStdin", "one", "x") == (20, "NO_FILE: one")
    for stdin in (("nosuch", "x"), ("many:many_00", "x"), ("one", 5)):
        theirs, ours = [rpc(socket, "supervisor.sendProcessStdin", *stdin) for socket in sockets]
        assert ours == theirs, stdin
    theirs, ours = [rpc(socket, "supervisor.getAllConfigInfo") for socket in sockets]
    shapes = [[(one["name"], {key: type(one[key]) for key in one if key != "uid"})
               for one in all_infos] for all_infos in (theirs, ours)]
    assert shapes[0] == shapes[1]
    for one, other in zip(theirs, ours):
        for key in ("group", "autostart", "inuse", "exitcodes", "group_prio", "process_prio",
                    "redirect_stderr", "stopsignal", "directory", "uid"):
            assert one[key] == other[key], (one["name"], key)
    assert rpc(sockets[0], "system.listMethods") == rpc(sockets[1], "system.listMethods")
    for method in rpc(sockets[0], "system.listMethods"):
        theirs, ours = [rpc(socket, "system.methodSignature", method) for socket in sockets]
        assert ours == theirs, method


def test_daily_commands_give_the_same_text_and_exit_code(supervisord, muster):
    instance = muster(MUSTER)
    eventually(15, lambda: "RUNNING" in ask(supervisord.socket, "status one")[1])
    eventually(15, lambda: "RUNNING" in ask(instance.control, "status one")[1])
    compare(supervisord.socket, instance.control, COMMANDS)


def follow_over_clears_and_restarts(socket):
    """The exit codes of four followers, each of which has seen what it had to."""
    ask(socket, "restart chatty filed")
    eventually(15, lambda: "two" in ask(socket, "tail filed")[1])
    ask(socket, "clear all")
    chatty, filed, errors, main = [Following(socket, command) for command in (
        "tail -f chatty", "tail -f filed stdout", "tail -f chatty stderr", "maintail -f")]
    for one in (chatty, filed, errors, main):
        eventually(15, lambda one=one: one.has("==> Press Ctrl-C to exit <==\n"))
    for one in (chatty, filed):  # it may have asked, but not be served yet
        eventually(15, lambda one=one: ask(socket, "signal USR1 chatty filed") and one.has("again"))
    ask(socket, "clear filed")
    ask(socket, "restart chatty filed")
    for one, word in ((chatty, "one"), (filed, "two"), (errors, "two"), (main, "chatty")):
        eventually(15, lambda one=one, word=word: one.has(word), f"{word} from {socket}")
    return [one.end() for one in (chatty, filed, errors, main)]


def test_a_followed_log_goes_on_over_clears_and_restarts(supervisord, muster):
    instance = muster(MUSTER)
    with concurrent.futures.ThreadPoolExecutor() as both:
        assert list(both.map(follow_over_clears_and_restarts,
                             (supervisord.socket, instance.control))) == [[0, 0, 0, 0]] * 2


CHANGES = ["reread", "add new", "add nosuch", "remove many", "update", "status", "reread",
           "stop one", "remove one", "status", "add one", "remove one"]


def test_changes_of_the_file_give_the_same_text_and_exit_code(supervisord, muster):
    instance = muster(MUSTER)
    eventually(15, lambda: "RUNNING" in ask(instance.control, "status one")[1])
    ask(supervisord.socket, "start one many:* chatty filed mute")
    ask(instance.control, "start many:*")
    theirs = supervisord.file.read_text()
    cut = theirs.index("[program:gone]"), theirs.index("[program:folder]")
    supervisord.file.write_text(theirs[:cut[0]] + theirs[cut[1]:].replace("exit 3", "exit 4")
                                + "[program:new]\ncommand=sleep 1000\nstartsecs=0\n")
    cut = MUSTER.index("[program.gone]"), MUSTER.index("[program.folder]")
    instance.file.write_text((MUSTER[:cut[0]] + MUSTER[cut[1]:]).replace("exit 3", "exit 4")
                             + '[program.new]\ncommand = "sleep 1000"\nready = { after = "0s" }\n')
    compare(supervisord.socket, instance.control, CHANGES)
    instance.file.write_text("[program.x]\n")
    ours = ask(instance.control, "reread")
    assert ours[0] == 1 and ours[1].startswith("ERROR: CANT_REREAD: "), ours


def test_reload_begins_anew_in_the_same_process(supervisord, muster):
    instance = muster(MUSTER)
    before = instance.running("one")
    instance.file.write_text(instance.file.read_text() + "[program.x]\n")
    code, text, _ = ask(instance.control, "reload")
    assert code == 1 and "CANT_REREAD" in text, text
    assert instance.one("one")["pid"] == before["pid"]
    instance.file.write_text(instance.file.read_text().replace(
        "[program.x]\n", '[program.x]\ncommand = "sleep 1000"\n'))
    for socket in (supervisord.socket, instance.control):
        pid = ask(socket, "pid")
        one = ask(socket, "pid one")
        assert ask(socket, "reload") == (0, "Restarted supervisord\n", ""), socket
        eventually(20, lambda socket=socket, one=one: "RUNNING" in ask(socket, "status one")[1]
                   and ask(socket, "pid one") != one, f"{socket} back")
        assert ask(socket, "pid") == pid
    assert instance.running("x")["pid"]
    limits = [line for line in open(f"/proc/{instance.one('x')['pid']}/limits") if "open files" in line]
    assert limits == [line for line in open("/proc/self/limits") if "open files" in line]
    assert ask(instance.control, "reload")[0] == 0
    assert instance.terminate() == 0  # an end is an end, whatever was asked before


def test_pid_and_shutdown(supervisord, muster):
    instance = muster(MUSTER)
    assert ask(instance.control, "pid") == (0, f"{instance.process.pid}\n", "")
    assert ask(instance.control, "shutdown") == (0, "Shut down\n", "")
    assert instance.process.wait(20) == 0


SLOW = """\
[program.slow]
command = ["sh", "-c", "trap 'sleep 1.5; exit 0' TERM; echo up; while :; do sleep 0.1; done"]
stop = ["TERM 20s", "KILL"]
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_to_end_wins_over_a_restart_that_is_under_way(muster, number):
    instance = muster(SLOW)
    instance.logged("slow | up")
    assert rpc(instance.control, "supervisor.restart") is True
    instance.logged(" shutting-down ", "a restart was asked for")
    os.kill(instance.pid, number)
    assert instance.wait(40) == 0
    assert len(instance.log_lines(" supervising ")) == 1, instance.log()
    assert not instance.log_lines(" shutdown-hastened "), "it was the first signal"


def test_a_restart_does_not_undo_an_end(muster):
    instance = muster(SLOW)
    instance.logged("slow | up")
    os.kill(instance.pid, signal.SIGTERM)
    instance.logged(" shutting-down ", "cause=TERM")
    assert rpc(instance.control, "supervisor.restart") == (6, "SHUTDOWN_STATE")
    assert instance.wait(40) == 0
    assert len(instance.log_lines(" supervising ")) == 1, instance.log()
