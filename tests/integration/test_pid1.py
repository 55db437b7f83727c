"""muster as PID 1, and `muster run --` as a better tini."""

import os
import re
import signal
import subprocess
import time

import pytest

from support import processes, rig
from support.eventually import always, eventually
from support.namespaces import UNSHARE, needs_namespaces


@pytest.fixture
def tini(folder):
    """Starts `muster run -- …`, as PID 1 or not."""
    started = []

    def start(*command, before=()):
        process = subprocess.Popen([*before, rig.BINARY, "run", "--", *command], text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, env=rig.environment(str(folder)))
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
    processes.end_marked(str(folder))


WHERE = pytest.mark.parametrize("before", [
    pytest.param((), id="beside"), pytest.param(UNSHARE, id="pid1", marks=needs_namespaces)])


def inner(process):
    """muster's own pid."""
    for pid in [process.pid, *processes.descendants(process.pid)]:
        line = processes.command_line(pid)
        if line and os.path.basename(line[0]) == os.path.basename(rig.BINARY):
            return pid
    raise LookupError("muster")


@WHERE
@pytest.mark.parametrize(("script", "status"), [
    ("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)])
def test_run_ends_with_the_commands_status(tini, before, script, status):
    process = tini("sh", "-c", script, before=before)
    process.communicate(timeout=20)
    assert process.returncode == status


@WHERE
def test_run_passes_TERM_on_and_the_commands_output_through(tini, before):
    process = tini("sh", "-c", "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done",
                   before=before)
    assert "up" in process.stdout.readline()
    os.kill(eventually(5, lambda: inner(process)), signal.SIGTERM)
    text, _ = process.communicate(timeout=20)
    assert process.returncode == 5 and "bye" in text


@WHERE
def test_run_passes_on_what_means_nothing_to_itself(tini, before):
    """HUP, USR1, USR2: a web server behind it reopens its logs, or reads its file again."""
    traps = " ".join(f"trap 'echo heard {one}' {one};" for one in ("HUP", "USR1", "USR2"))
    process = tini("sh", "-c", f"{traps} trap 'exit 6' TERM; echo up; while :; do sleep 0.02; done",
                   before=before)
    assert "up" in process.stdout.readline()
    muster = eventually(5, lambda: inner(process))
    for one in ("HUP", "USR1", "USR2"):
        os.kill(muster, getattr(signal, f"SIG{one}"))
        assert f"heard {one}" in process.stdout.readline()
    os.kill(muster, signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 6


@WHERE
def test_a_command_that_is_not_there(tini, before):
    process = tini("/nonexistent/command", before=before)
    text, _ = process.communicate(timeout=20)
    assert process.returncode not in (0, None) and "/nonexistent/command" in text, text


@needs_namespaces
def test_I2_orphans_are_reaped_by_PID_1(tini):
    script = ("for i in $(seq 50); do (sleep 0.2 & sleep 0.1 & ) ; done; "
              "echo spawned; while :; do sleep 1; done")
    process = tini("sh", "-c", script, before=UNSHARE)
    assert "spawned" in process.stdout.readline()
    muster = eventually(5, lambda: inner(process))
    assert processes.pid_in_namespace(muster) == 1
    eventually(5, lambda: len(processes.children(muster)) == 1, "only the command left")
    always(0.3, lambda: processes.zombies_of(muster) == [], "no zombies")


@needs_namespaces
def test_what_still_lives_is_ended_before_PID_1_ends(tini, folder):
    witness = folder / "witness"
    script = (f"setsid sh -c 'trap \"echo heard >> {witness}; exit 0\" TERM; echo up > {witness}; "
              f"while :; do sleep 0.05; done' & while [ ! -s {witness} ]; do sleep 0.02; done; exit 3")
    process = tini("sh", "-c", script, before=UNSHARE)
    process.communicate(timeout=30)
    assert process.returncode == 3
    assert witness.read_text().split() == ["up", "heard"]


def test_children_start_clean(muster, folder):
    """Default handlers, empty masks, no inherited descriptors, the environment but for MUSTER_*."""
    out = folder / "out"
    script = (f"grep -E '^Sig(Blk|Ign)' /proc/self/status > {out}; ls /proc/self/fd >> {out}; "
              f"env | grep MUSTER_ | cut -d= -f1 | sort >> {out}; echo done >> {out}; sleep 100")
    instance = muster(f'[program.shap]\ncommand = ["sh", "-c", "{script}"]\n')
    eventually(10, lambda: out.exists() and "done" in out.read_text())
    words = out.read_text().split()
    assert words[:4] == ["SigBlk:", "0" * 16, "SigIgn:", "0" * 16]
    assert [one for one in words[4:] if one.isdigit()] == ["0", "1", "2", "3"]  # 3 is ls's own
    assert {"MUSTER_WORKER_NAME", "MUSTER_PROGRAM", "MUSTER_PROCESS", "MUSTER_INDEX",
            "MUSTER_INSTANCE", "MUSTER_CONTROL"} <= set(words)
    assert instance.answers()


def test_closed_standard_descriptors_are_no_harm(folder):
    done = subprocess.run(["sh", "-c", f"exec {rig.BINARY} run -- sh -c 'exit 4' <&- >&- 2>&-"],
                          timeout=20, check=False, env=rig.environment(str(folder)))
    assert done.returncode == 4


def test_a_stopped_worker_hears_its_stop_signal(muster):
    instance = muster(f'[program.shap]\ncommand = "{rig.STUB}"\nstop = ["TERM 20s", "KILL"]\n')
    worker = instance.running("shap")
    processes.kill(worker["pid"], signal.SIGSTOP)
    begun = time.monotonic()
    assert instance.post("/v1/processes/shap/stop?wait=true")[0] == 200
    assert time.monotonic() - begun < 10 and not processes.is_alive(worker["pid"])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a user of its own")
def test_I13_a_fork_that_fails_for_want_of_pids_is_nobodys_crash(muster, folder):
    """EAGAIN: tried again, never counted; all run once there is room."""
    uid = 64321  # nobody else's: RLIMIT_NPROC counts all that a user has
    for place in (folder, folder / "m0"):
        place.mkdir(exist_ok=True)
        os.chown(place, uid, uid)
    for place in folder.parents:
        if not os.stat(place).st_mode & 0o001:
            if place.stat().st_uid != os.geteuid() or not str(place).startswith("/tmp/"):
                pytest.skip(f"{place} cannot be entered by another user")
            os.chmod(place, 0o711)
    binary = folder / os.path.basename(rig.BINARY)
    binary.write_bytes(open(rig.BINARY, "rb").read())
    binary.chmod(0o755)
    instance = muster(
        '[program.nap]\ncommand = "sleep 1000"\nprocesses = 20\nready = { after = "10ms" }\n'
        'start_limit = 2\non_fatal = "stay"\n',
        folder=folder / "m0", binary=binary,
        before=["prlimit", "--nproc=14:200",
                "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"])
    seen = eventually(5, lambda: [one for one in instance.processes().values()
                                  if one["state"] == "RUNNING"])
    assert len(seen) < 20
    always(1.5, lambda: all(one["failures"] == 0 and one["state"] != "FATAL"
                            for one in instance.processes().values()), "nothing is counted")
    subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                    "prlimit", "--pid", str(instance.pid), "--nproc=200:"],
                   check=True)
    instance.running(seconds=10)


def test_I13_files_that_are_short_are_nobodys_crash(muster):
    """EMFILE, in a pipe or in the child's pidfd: tried again, never counted, with the advice; one runs once there is room."""
    if "ASAN_OPTIONS" in os.environ:
        pytest.skip("with no file left a sanitizer cannot look at an object, and takes that for a fault of its type")
    instance = muster(
        '[program.nap]\ncommand = "sleep 1000"\nprocesses = 20\nready = { after = "10ms" }\n'
        'restart = "never"\nstart_limit = 2\non_fatal = "stay"\n', before=["prlimit", "--nofile=48:48"])
    waiting = eventually(5, lambda: [one for one in instance.processes().values() if one["state"] == "BACKOFF"])
    assert 0 < len(waiting) < 20
    always(1.5, lambda: all(one["failures"] == 0 and one["state"] in ("STARTING", "RUNNING", "BACKOFF")
                            for one in instance.processes().values()), "nothing is counted, nothing given up")
    assert re.search(r"Too many open files.*raise its limit", instance.log())
    running = [one["id"] for one in instance.processes().values() if one["state"] == "RUNNING"]
    assert instance.post(f"/v1/processes/{running[0]}/stop?wait=true")[0] == 200
    eventually(10, lambda: any(instance.processes()[one["id"]]["state"] == "RUNNING" for one in waiting),
               "one that waited runs in the place of the one that was stopped")


def test_there_is_room_for_the_descriptors_of_all_children_before_the_first(muster):
    """Grown while it runs, the table would wait for all processors at each doubling."""
    instance = muster('[program.nap]\ncommand = "sleep 1000"\nprocesses = 100\nautostart = false\n')
    with open(f"/proc/{instance.pid}/status", encoding="utf-8") as status:
        room = next(int(line.split()[1]) for line in status if line.startswith("FDSize:"))
    assert room >= 64 + 4 * 100
