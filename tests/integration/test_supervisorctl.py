"""supervisord's own client, side by side: what it prints and how it exits must not tell the two servers apart."""

import concurrent.futures
import os
import re
import subprocess

import pytest

from support.eventually import eventually
from support.rig import environment

HOME = os.environ.get("MUSTER_TEST_SUPERVISOR")  # a venv with supervisord

SUPERVISORD = """\
[supervisord]
logfile=%(here)s/main.log
pidfile=%(here)s/pid
[unix_http_server]
file=%(here)s/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
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
"""

COMMANDS = [
    "version", "status", "status nosuch many:nosuch many:*", "start many:many_00", "start many:*",
    "start one gone folder nosuch nosuch:*", "status", "signal HUP nosuch", "signal FOO one",
    "signal CONT one", "signal 18 many:*", "pid one", "pid gone nosuch", "restart one", "stop one",
    "stop one nosuch nosuch:*", "stop many:*", "stop many:*", "start early", "status early",
    "start one many:many_01", "stop all", "status", "frobnicate",
]


class Supervisord:
    def __init__(self, folder):
        folder.mkdir()
        self.socket = folder / "s.sock"
        (folder / "s.conf").write_text(SUPERVISORD)
        self.process = subprocess.Popen([f"{HOME}/bin/supervisord", "-n", "-c", folder / "s.conf"],
                                        env=environment(folder), cwd=folder,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(15, self.socket.exists)

    def end(self):
        self.process.terminate()
        self.process.wait(20)


def ask(socket, command):
    done = subprocess.run([f"{HOME}/bin/supervisorctl", "-s", f"unix://{socket}", *command.split()],
                          capture_output=True, text=True, timeout=60, env=environment(socket.parent))
    return done.returncode, done.stdout, done.stderr


def same_for_both(text):
    text = re.sub(r"pid \d+, uptime \d:\d\d:\d\d", "pid N, uptime T", text)
    text = re.sub(r"[A-Z][a-z]{2} \d\d \d\d:\d\d [AP]M", "Mon DD HH:MM", text)
    text = re.sub(r"^\d+$", lambda m: "0" if m[0] == "0" else "N", text, flags=re.M)
    return sorted(text.splitlines())  # several that end at once come in either order


def compare(theirs_at, ours_at, commands):
    sockets = (theirs_at, ours_at)
    for command in commands:
        with concurrent.futures.ThreadPoolExecutor() as both:
            theirs, ours = both.map(ask, sockets, (command, command))
        assert ours[0] == theirs[0], (command, ours, theirs)
        assert same_for_both(ours[1]) == same_for_both(theirs[1]), command
        assert bool(ours[2]) == bool(theirs[2]), (command, ours, theirs)


@pytest.fixture(scope="module")
def supervisord(tmp_path_factory):
    if not HOME:
        pytest.skip("no supervisord (MUSTER_TEST_SUPERVISOR)")
    server = Supervisord(tmp_path_factory.mktemp("s") / "d")
    yield server
    server.end()


def test_daily_commands_give_the_same_text_and_exit_code(supervisord, muster):
    instance = muster(MUSTER)
    eventually(15, lambda: "RUNNING" in ask(supervisord.socket, "status one")[1])
    eventually(15, lambda: "RUNNING" in ask(instance.control, "status one")[1])
    compare(supervisord.socket, instance.control, COMMANDS)


CHANGES = ["reread", "add new", "add nosuch", "remove many", "update", "status", "reread",
           "stop one", "remove one", "status", "add one", "remove one"]


def test_changes_of_the_file_give_the_same_text_and_exit_code(supervisord, muster):
    instance = muster(MUSTER)
    eventually(15, lambda: "RUNNING" in ask(instance.control, "status one")[1])
    ask(supervisord.socket, "start one many:*")
    ask(instance.control, "start many:*")
    theirs = supervisord.socket.parent / "s.conf"
    cut = SUPERVISORD.index("[program:gone]"), SUPERVISORD.index("[program:folder]")
    theirs.write_text(SUPERVISORD[:cut[0]] + SUPERVISORD[cut[1]:].replace("exit 3", "exit 4")
                      + "[program:new]\ncommand=sleep 1000\nstartsecs=0\n")
    cut = MUSTER.index("[program.gone]"), MUSTER.index("[program.folder]")
    instance.file.write_text((MUSTER[:cut[0]] + MUSTER[cut[1]:]).replace("exit 3", "exit 4")
                             + '[program.new]\ncommand = "sleep 1000"\nready = { after = "0s" }\n')
    compare(supervisord.socket, instance.control, CHANGES)
    instance.file.write_text("[program.x]\n")
    ours = ask(instance.control, "reread")
    assert ours[0] == 1 and ours[1].startswith("ERROR: CANT_REREAD: "), ours


def test_pid_and_shutdown(supervisord, muster):
    instance = muster(MUSTER)
    assert ask(instance.control, "pid") == (0, f"{instance.process.pid}\n", "")
    assert ask(instance.control, "shutdown") == (0, "Shut down\n", "")
    assert instance.process.wait(20) == 0
