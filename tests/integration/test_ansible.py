"""Ansible's supervisorctl module, the real one, side by side: what it says must not tell the two servers apart."""

import concurrent.futures
import json
import os
import subprocess

import pytest

from support.eventually import PATIENCE, eventually
from support.redis_server import free_port
from support.rig import environment
from support.supervisord import HOME, Supervisord

ANSIBLE = os.environ.get("MUSTER_TEST_ANSIBLE")  # a venv with ansible-core and community.general

# Ansible itself takes its time: fifty runs of a module, each with some supervisorctls, are a minute of a processor, and took
# nearly three beside other work.
LONG = 540

pytestmark = [pytest.mark.works_for(LONG + 60),
              pytest.mark.skipif(not ANSIBLE, reason="no Ansible: see MUSTER_TEST_ANSIBLE"),
              pytest.mark.skipif(not HOME, reason="no supervisorctl: see MUSTER_TEST_SUPERVISOR")]

SUPERVISORD = """\
[program:one]
command=sh -c 'trap "echo again" USR1; echo one; while :; do sleep 0.1; done'
startsecs=0
[program:many]
command=sleep 1000
process_name=%(program_name)s_%(process_num)02d
numprocs=2
autostart=false
startsecs=0
[program:early]
command=sh -c 'exit 3'
autostart=false
startretries=0
"""
MORE_SUPERVISORD = """\
[program:new]
command=sleep 1000
autostart=false
startsecs=0
"""

MUSTER = """\
[program.one]
command = ["sh", "-c", 'trap "echo again" USR1; echo one; while :; do sleep 0.1; done']
ready = { after = "0s" }
[program.many]
command = "sleep 1000"
processes = 2
autostart = false
ready = { after = "0s" }
[program.early]
command = ["sh", "-c", "exit 3"]
autostart = false
start_limit = 1
on_fatal = "stay"
"""
MORE_MUSTER = """\
[program.new]
command = "sleep 1000"
autostart = false
ready = { after = "0s" }
"""

PLAYBOOK = """\
- hosts: localhost
  gather_facts: false
  tasks:
    - community.general.supervisorctl:
        name: "{{ item.name }}"
        state: "{{ item.state }}"
        signal: "{{ item.signal | default(omit) }}"
        stop_before_removing: "{{ item.stop_before_removing | default(false) }}"
        server_url: "{{ server_url }}"
        username: "{{ username | default(omit) }}"
        password: "{{ password | default(omit) }}"
        supervisorctl_path: "{{ supervisorctl_path }}"
      check_mode: "{{ item.check_mode | default(false) }}"
      ignore_errors: true
      loop: "{{ steps }}"
      register: done
    - ansible.builtin.copy:
        content: "{{ done.results | to_json }}"
        dest: "{{ answers }}"
"""

NO_PROCESS = "ERROR (no such process)"

# A state that is asked for, and whether that changed something; or, where it could not, what the module says.
STEPS = [
    ("one", "signalled", True, {"signal": "USR1"}),
    ("one", "signalled", "one: ERROR (bad signal name)\n", {"signal": "NOSUCH"}),
    ("new", "started", NO_PROCESS),
    ("new", "present", True, {"check_mode": True}),
    ("new", "present", True),
    ("new", "present", False),
    ("new", "started", True),
    ("new", "started", False),
    ("new", "absent", "ERROR: process/group still running: new\n"),
    ("new", "stopped", True),
    ("new", "stopped", False),
    ("new", "absent", True),
    ("new", "absent", False),
    ("many:many_00", "started", True),
    ("many:", "started", True),
    ("many:", "restarted", True),  # runs `update`, too: new is there again
    ("new", "restarted", True),
    ("new", "absent", True, {"stop_before_removing": True}),
    ("early", "started", "early: ERROR (spawn error)\n"),
    ("all", "stopped", True),
    ("nosuch", "present", "ERROR: no such process/group: nosuch\n"),
    ("nosuch", "restarted", NO_PROCESS),
]


def play(folder, url, steps, **variables):
    """What the module has answered to each step."""
    folder.mkdir()
    (folder / "ansible.cfg").touch()  # nobody else's
    (folder / "playbook.yml").write_text(PLAYBOOK)
    (folder / "variables.json").write_text(json.dumps({
        "server_url": url, "supervisorctl_path": f"{HOME}/bin/supervisorctl", "answers": str(folder / "answers.json"),
        "steps": [{"name": step[0], "state": step[1], **dict(*step[3:])} for step in steps], **variables}))
    done = subprocess.run(
        [f"{ANSIBLE}/bin/ansible-playbook", "-e", f"@{folder}/variables.json", folder / "playbook.yml"],
        env=environment(str(folder), {"HOME": str(folder), "ANSIBLE_HOME": str(folder / "home"),
                                      "ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "ANSIBLE_PIPELINING": "true",
                                      "ANSIBLE_LOCALHOST_WARNING": "false", "LC_ALL": "C.UTF-8"}),
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONG * PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "answers.json").read_text())


def said(answer):
    """Without what tells two runs of anything apart: times, and the socket's path within the command."""
    kept = ("changed", "failed", "msg", "name", "state", "affected", "rc", "stdout", "stderr")
    return {key: answer[key] for key in kept if key in answer}


def supervisorctl(path, *command):
    done = subprocess.run([f"{HOME}/bin/supervisorctl", "-s", f"unix://{path}", *command], capture_output=True,
                          text=True, timeout=60, env=environment(str(path.parent)), check=False)
    return done.stdout


def test_each_state_of_a_playbook_is_reached_and_said_as_with_supervisord(muster, folder):
    server = Supervisord(folder / "s", SUPERVISORD)
    try:
        instance = muster(MUSTER)
        both = server.socket, instance.control
        for path in both:  # its trap is set
            eventually(15, lambda path=path: supervisorctl(path, "tail", "one").startswith("one\n"))
        server.file.write_text(server.file.read_text() + MORE_SUPERVISORD)
        instance.file.write_text(instance.file.read_text() + MORE_MUSTER)
        with concurrent.futures.ThreadPoolExecutor() as two:
            theirs, ours = two.map(lambda path: play(path.parent / "ansible", f"unix://{path}", STEPS), both)
        for step, them, us in zip(STEPS, theirs, ours, strict=True):
            assert said(us) == said(them), step
            if isinstance(step[2], bool):
                assert (us["changed"], us.get("failed", False)) == (step[2], False), (step, us)
            else:
                assert us["failed"] and step[2] in us["msg"] + us.get("stdout", ""), (step, us)
        for path in both:  # what was signalled has heard it; what is said of each is how it stands
            assert "again\n" in supervisorctl(path, "tail", "one")
            assert [line.split()[:2] for line in supervisorctl(path, "status").splitlines()] == [
                ["early", "FATAL"], ["many:many_00", "STOPPED"], ["many:many_01", "STOPPED"],
                ["new", "STOPPED"], ["one", "STOPPED"]]
    finally:
        server.end()


def test_over_tcp_with_user_and_password(muster, folder):
    port = free_port()
    (folder / "token").write_text("s3cret:with-colon\n")
    instance = muster(f"""[supervisor]
http = "127.0.0.1:{port}"
http_token_file = "{folder}/token"
{MUSTER}""")
    before = instance.running("one")
    answer, = play(folder / "a", f"http://127.0.0.1:{port}", [("one", "restarted")],
                   username="anybody", password="s3cret:with-colon")
    assert answer["changed"] and answer["affected"] == ["one"], answer
    assert instance.one("one")["pid"] != before["pid"]
