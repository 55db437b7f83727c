"""muster as a container's first process, and beside another one, in real containers."""

import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from support import processes
from support.eventually import PATIENCE, always, eventually, patience

NAP = '[program.nap]\ncommand = "sleep 1000"\nready = { after = "10ms" }\n'


def is_sound(instance, programs=1):
    """No zombie, and only its own children."""
    children = processes.children(instance.pid)
    return len(children) == programs and processes.zombies_of(instance.pid) == []


def test_I2_a_storm_of_orphans_leaves_no_zombie(muster):
    storm = "for i in $(seq 400); do (sleep 0.0$((i % 10)) &); done; : > done; exec sleep 1000"
    instance = muster(f'[program.storm]\ncommand = ["sh", "-c", "{storm}"]\nprocesses = 2\n'
                      'directory = "/tmp"\n')
    first = processes.pid_in_namespace(instance.pid)
    assert first == 1
    eventually(20, lambda: os.path.exists(f"/proc/{instance.pid}/root/tmp/done"))
    eventually(5, lambda: is_sound(instance, 2), "two sleeps and nothing else")
    # What comes by `exec` is not of our making, and adopted all the same.
    instance.container.execute("sh", "-c", "for i in $(seq 20); do (sleep 0.0$i &); done")
    eventually(5, lambda: is_sound(instance, 2), "the orphans of an exec are gone")
    eventually(5, lambda: "RUNNING" in instance.client("status").stdout, "a client's sight of it")
    assert instance.terminate() == 0


def test_closed_standard_descriptors(container, folder):
    """They are /dev/null for muster and its children; no socket of ours is anybody's stdout."""
    seen = folder / "c0" / "seen"
    inner = f"a=$(readlink /proc/$$/fd/0); b=$(readlink /proc/$$/fd/2); echo $a $b > {seen}; exit 4"
    one = container("sh", "-c", f"exec muster run -- sh -c '{inner}' <&- >&- 2>&-")
    assert one.wait() == 4
    assert seen.read_text().split() == ["/dev/null", "/dev/null"]


@pytest.mark.parametrize("options", [
    ["--user", "12345:54321"],
    ["--cap-drop=ALL", "--security-opt", "no-new-privileges"],
    ["--read-only", "--read-only-tmpfs=false", "--user", "12345:54321", "--cap-drop=ALL"],
], ids=["any-uid", "no-capabilities", "read-only-and-nobody"])
def test_little_is_needed(container, options):
    """No place to write, no name for the uid, no capability: it says what it lacks and runs on."""
    one = container("muster", "run", "-n", "2", "--", "sh", "-c", "(sleep 0.05 &); exec sleep 1000",
                    options=options)
    eventually(10, lambda: one.log().count(" started ") == 2)
    eventually(5, lambda: len(processes.children(one.pid)) == 2, "both, and the orphans reaped")
    if "--read-only" in options:
        assert "control" in one.log() and "WARN" in one.log(), one.log()
    else:
        assert one.execute("muster", "status").returncode == 0
    one.signal(signal.SIGTERM)
    assert one.wait() == 0
    assert one.log().count(" stopped ") == 2, one.log()


def test_a_command_ends_a_container_with_its_status(podman):
    for script, status in (("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)):
        done = podman.run("--rm", "--network=none", podman.image, "muster", "run", "--", "sh", "-c", script)
        assert done.returncode == status, done.stderr


def holds_signals(pid):
    """It runs, and a TERM waits for it. To a first process that has not said so yet the kernel gives none."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        blocked = next(int(line.split()[1], 16) for line in file if line.startswith("SigBlk:"))
    return processes.command_line(pid)[:1] == ["muster"] and blocked & 1 << (signal.SIGTERM - 1)


def test_TERM_at_any_moment_from_its_first_statement_on(container):
    """It is heard: the container ends in order, never by the platform's KILL."""
    for moment in range(6):
        one = container("muster", "run", "-n", "2", "--", "sleep", "1000")
        eventually(5, lambda: holds_signals(one.pid))
        deadline = time.monotonic() + 0.004 * moment
        while time.monotonic() < deadline:
            pass
        one.signal(signal.SIGTERM)
        begun = time.monotonic()
        assert one.wait(10) == 0, one.log()
        assert time.monotonic() - begun < 3 * patience()
        one.remove()


def test_a_terminal(podman):
    """Ctrl-C on it is a shutdown in order, and what is written arrives."""
    ours, theirs = pty.openpty()
    name = podman.name()
    process = subprocess.Popen(
        ["podman", "run", "--rm", "-it", "--network=none", "--name", name, podman.image, "muster",
         "run", "-n", "2", "--", "sh", "-c", "echo up; exec sleep 1000"],
        stdin=theirs, stdout=theirs, stderr=theirs, env={**podman.env, "TERM": "xterm"},
        cwd=podman.scratch, start_new_session=True)
    os.close(theirs)
    said = b""

    def hears(word):
        nonlocal said
        while select.select([ours], [], [], 0)[0]:
            said += os.read(ours, 4096)
        return len(re.findall(word, said)) >= 2

    try:
        eventually(20, lambda: hears(rb"\| up"))
        os.write(ours, b"\x03")
        eventually(10, lambda: process.poll() is not None, "the end")
    finally:
        podman.call("rm", "-f", "-t", "0", name)
        process.wait()
        os.close(ours)
    assert process.returncode == 0, said


def test_a_stdout_that_nobody_reads_and_then_slowly(container, folder):
    """I8, I9: supervision and control go on; each line arrives once, in order."""
    place = folder / "c0"
    place.mkdir()
    fifo = place / "out"
    os.mkfifo(fifo)
    config = place / "muster.toml"
    config.write_text(f'[supervisor]\ncontrol = "{place}/control.sock"\n'
                      '[program.flood]\ncommand = "worker_stub --flood-stdout 60000"\n'
                      'ready = { after = "10ms" }\n'
                      '[program.weak]\ncommand = "sleep 1000"\nready = { after = "10ms" }\n')
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    one = container("sh", "-c", f"exec muster run -c {config} > {fifo} 2>&1", logs=False)
    health = ("muster", "-s", f"{place}/control.sock", "health")
    eventually(10, lambda: one.execute(*health).returncode == 0)
    always(0.3, lambda: one.execute(*health).returncode == 0, "health with a full pipe")
    done = one.execute("muster", "-s", f"{place}/control.sock", "restart", "weak")
    assert done.returncode == 0, done.stdout + done.stderr
    got = bytearray()

    def reads():
        try:
            part = os.read(reader, 8192)  # a slow reader
        except BlockingIOError:
            return False
        got.extend(part)
        return got.count(b"flood |") >= 60000 or not part

    deadline = time.monotonic() + 60 * PATIENCE
    while not reads() and time.monotonic() < deadline:
        if not select.select([reader], [], [], 1)[0]:
            continue
    os.close(reader)
    numbers = [int(found) for found in re.findall(rb"flood \|[^\n]*?(\d+)[^\n\d]*\n", bytes(got))]
    assert len(numbers) == 60000 and numbers == sorted(set(numbers)), got[-300:]


def test_beside_another_first_process(muster, podman):
    """`--init`: muster adopts what its children leave, all the same."""
    instance = muster(NAP + '[program.storm]\ncommand = ["sh", "-c", "for i in 1 2 3 4; do (sleep 0.0$i &); '
                      'done; exec sleep 1000"]\n', options=["--init"])
    assert processes.pid_in_namespace(instance.pid) != 1
    eventually(5, lambda: is_sound(instance, 2), "the orphans came to it and are reaped")
    os.kill(instance.container.pid, signal.SIGTERM)  # its init passes it on
    assert instance.wait() == 0
    assert " shutting-down cause=TERM" in instance.log()


def test_what_was_brought_in_by_exec_does_not_hold_up_the_end(muster):
    """It is nobody's child in the container: with the container it ends, whether it obeys TERM or not."""
    instance = muster('[supervisor]\nshutdown_timeout = "3s"\n' + NAP)
    scripts = ["while :; do sleep 0.05; done", "trap '' TERM; while :; do sleep 0.05; done"]
    for script in scripts:
        assert instance.podman.call("exec", "-d", instance.container.name, "sh", "-c", script).returncode == 0
    inside = os.readlink(f"/proc/{instance.pid}/ns/pid")

    def brought():
        found = [pid for pid in processes.all_pids() if processes.command_line(pid)[:2] == ["sh", "-c"]]
        return [pid for pid in found if processes.command_line(pid)[-1] in scripts and os.readlink(f"/proc/{pid}/ns/pid") == inside]

    pids = eventually(10, lambda: len(brought()) == 2 and brought(), "both are there")
    instance.running("nap")
    assert is_sound(instance), "they are no children of its"
    assert instance.terminate(seconds=8) == 0, instance.log()
    eventually(5, lambda: not [pid for pid in pids if processes.is_alive(pid)], "their end")


def test_a_pid_namespace_that_two_containers_share(muster):
    """Neither touches what is the other's; the second's end ends only its own."""
    one = muster(NAP)
    napping = one.running("nap")["pid"]
    two = muster(NAP + 'processes = 2\n', options=["--pid", f"container:{one.container.name}"])
    assert processes.pid_in_namespace(two.pid) not in (1, napping)
    two.running()
    assert two.terminate() == 0
    assert one.one("nap")["pid"] == napping and one.state("nap") == "RUNNING"
    eventually(3, lambda: is_sound(one), "nothing of the second is left")


def test_a_pod(podman, muster):
    """Two containers of one pod with a shared pid namespace, whose first process is neither."""
    pod = podman.name()
    made = podman.call("pod", "create", "--name", pod, "--network=none", "--share", "pid,net,ipc")
    if made.returncode != 0:
        pytest.skip(f"no pods here: {made.stderr.strip()[-200:]}")
    try:
        both = [muster(NAP, options=["--pod", pod], network=None) for _ in range(2)]
        assert len({os.readlink(f"/proc/{one.pid}/ns/pid") for one in both}) == 1
        for one in both:
            one.running("nap")
        assert both[1].terminate() == 0
        assert both[0].state("nap") == "RUNNING" and is_sound(both[0])
    finally:
        podman.call("pod", "rm", "-f", "-t", "0", pod)
