"""What a container's first process does: tini, dumb-init, supervisord and muster, each in the same containers.

    MUSTER_BINARY=build/static/supervisor/muster python tests/containers/compare_pid1.py [--write] [TEXT…]

Prints the table of docs/containers.md; with --write puts it there. With TEXT only the rows whose name has one of these in it,
each as a whole. Wants root, podman, a machine that does nothing else, and the packages tini, dumb-init, supervisor and
busybox-static. Each cell is what was seen in this run, nothing else.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support import processes, rig  # noqa: E402
from support.eventually import eventually  # noqa: E402
from support.podman import CannotHave, Container, Podman  # noqa: E402

DOCUMENT = ROOT / "docs" / "containers.md"
BEGIN, END = "<!-- compare_pid1: begin -->", "<!-- compare_pid1: end -->"


class Init:
    """How to run one shell script under it; `config` writes what it wants beside it."""

    def __init__(self, name, version):
        self.name, self.version = name, version

    def command(self, place, script):
        return {"tini": ["tini", "--"], "dumb-init": ["dumb-init", "--"]}[self.name] + ["sh", "-c", script]

    restarts = False


class Supervisord(Init):
    restarts = True

    def command(self, place, script, count=1, more="startsecs=0\n"):
        (place / "script").write_text(script)
        (place / "s.conf").write_text(
            f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={place}/s.pid\n"
            f"[unix_http_server]\nfile={place}/s.sock\n[supervisorctl]\nserverurl=unix://{place}/s.sock\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[program:x]\ncommand=sh {place}/script\nnumprocs={count}\nprocess_name=%(program_name)s_%(process_num)d\n"
            "stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\nstopwaitsecs=5\n" + more)
        return ["supervisord", "-c", str(place / "s.conf")]


class Muster(Init):
    restarts = True

    def command(self, place, script, count=None, more='ready = { after = "10ms" }\n'):
        if count is None:
            return ["/muster", "run", "--", "sh", "-c", script]
        (place / "script").write_text(script)
        (place / "m.toml").write_text(
            f'[supervisor]\ncontrol = "{place}/m.sock"\n[program.x]\ncommand = "sh {place}/script"\n'
            f'processes = {count}\n{more}')
        return ["/muster", "run", "-c", str(place / "m.toml")]


class Bench:
    def __init__(self, podman):
        self.podman = podman
        links = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
        self.image = podman.make_image("compare", {"/muster": rig.BINARY}, settings=("ENV PATH=/usr/bin:/usr/sbin",),
                                       links=links)
        self.started = []

    def run(self, init, script, *options, command=None, logs=True, wrap=None):
        place = self.podman.scratch / f"c{len(self.started)}"
        place.mkdir()
        words = command(place) if command else init.command(place, script)
        if wrap:
            words = wrap(place, words)
        one = Container(self.podman, place, words, image=self.image, logs=logs, options=["-v", "/usr:/usr:ro", *options])
        self.started.append(one)
        return one

    def clean(self):
        for one in self.started:
            one.remove()
            shutil.rmtree(one.folder, ignore_errors=True)
            one.folder.mkdir()
        # Their folders stay, so that the next ones have other names.


def file_of(one, name):
    path = one.folder / name
    return path.read_text() if path.exists() else ""


def zombies(bench, init):
    """From the moment when the last was left behind, which itself ends 50 ms later."""
    one = started_with_folder(bench, init, "for i in $(seq 200); do (sleep 0.05 &) ; done; echo done > $F/done; exec sleep 1000")
    up(one, "done")
    begun = time.monotonic()
    try:
        eventually(10, lambda: len(processes.children(one.pid)) == 1)
    except AssertionError:
        return f"{len(processes.zombies_of(one.pid))} zombies left"
    return f"{max(0, (time.monotonic() - begun) * 1000 - 50):.0f} ms"


def status(bench, init):
    seen = []
    for script, right in (("exit 7", 7), ("kill -9 $$", 137)):
        one = bench.run(init, script)
        try:
            got = one.wait(3)
        except AssertionError:
            got = "does not end"
        seen.append("yes" if got == right else str(got))
    return "yes" if seen == ["yes", "yes"] else " / ".join(seen)


def early_term(bench, init):
    names = {"supervisord": "python"}
    heard = 0
    for moment in range(10):
        one = bench.run(init, "sleep 1000")
        wanted = names.get(init.name, init.name)
        eventually(5, lambda: wanted in " ".join(processes.command_line(one.pid)[:1]))
        deadline = time.monotonic() + 0.003 * moment
        while time.monotonic() < deadline:
            pass
        one.signal(signal.SIGTERM)
        try:
            one.wait(4)
            heard += 1
        except AssertionError:
            pass
    return f"{heard} of 10"


def up(one, name="up"):
    return eventually(10, lambda: file_of(one, name))


def grandchild(bench, init):
    """In a session of its own, as a double fork leaves it: does it hear TERM, with time to tidy up?"""
    inner = "trap 'sleep 0.2; echo tidy > $F/tidy; exit' TERM; echo up > $F/up; while :; do sleep 0.05; done"
    script = f"setsid sh -c \"{inner}\" & trap 'exit 0' TERM; while :; do sleep 0.05; done"
    one = started_with_folder(bench, init, script)
    up(one)
    one.signal(signal.SIGTERM)
    one.wait(15)
    return "yes" if file_of(one, "tidy") else "killed unheard"


def started_with_folder(bench, init, script, *options, **more):
    place = f"{bench.podman.scratch}/c{len(bench.started)}"
    return bench.run(init, script, "-e", f"F={place}", *options, **more)


def stopped(bench, init):
    one = started_with_folder(bench, init, "trap 'exit 0' TERM; echo up > $F/up; while :; do sleep 0.05; done")
    up(one)
    child = next(pid for pid in processes.descendants(one.pid) if "sh" in processes.command_line(pid)[:1])
    os.kill(child, signal.SIGSTOP)
    one.signal(signal.SIGTERM)
    begun = time.monotonic()
    try:
        one.wait(4)
    except AssertionError:
        return "no"
    return "yes" if time.monotonic() - begun < 3 else "no"


def closed(bench, init):
    """Descriptors 0, 1, 2 closed before it starts: what does the child find there?"""
    script = "readlink /proc/$$/fd/0 > $F/zero; echo is >> $F/zero; echo up > $F/up; sleep 1000"
    one = started_with_folder(bench, init, script,
                              wrap=lambda place, words: ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words])
    try:
        eventually(3, lambda: file_of(one, "up"))
    except AssertionError:
        return "does not start"
    found = file_of(one, "zero").replace("is", "").strip()
    return "`/dev/null`" if found.startswith("/dev/null") else ("closed" if not found else "another file")


def hears(number):
    def behaviour(bench, init):
        name = signal.Signals(number).name[3:]
        one = started_with_folder(bench, init, f"trap 'echo y > $F/heard' {name}; echo up > $F/up; while :; do sleep 0.05; done")
        up(one)
        one.signal(number)
        try:
            eventually(1, lambda: file_of(one, "heard"))
            return "yes"
        except AssertionError:
            return "no" if one.is_running() else "it ends"
    return behaviour


def nothing(bench, init):
    one = started_with_folder(bench, init, "exec sleep 1000", "--read-only", "--read-only-tmpfs=false", "--user", "12345:54321",
                              "--cap-drop=ALL")
    try:
        eventually(2, lambda: any("sleep" in " ".join(processes.command_line(pid)) for pid in processes.descendants(one.pid)))
        return "yes"
    except (AssertionError, LookupError):
        return "no"


def many(init, count, script, *more):
    return lambda place: init.command(place, script, count, *more)


def replaced(bench, init):
    if not init.restarts:
        return "–"
    one = bench.run(init, None, command=many(init, 2, "exec sleep 1000"))
    first = eventually(10, lambda: len(sleepers(one)) == 2 and sleepers(one))
    os.kill(first[0], signal.SIGKILL)
    begun = time.monotonic()
    try:
        eventually(5, lambda: len([pid for pid in sleepers(one) if pid not in first]) == 1)
    except AssertionError:
        return "no"
    took = (time.monotonic() - begun) * 1000
    return "within 100 ms" if took < 100 else f"after {took:.0f} ms"


def sleepers(one):
    return [pid for pid in processes.descendants(one.pid) if processes.command_line(pid)[:1] == ["sleep"]]


def unread(bench, init):
    """Nobody reads stdout, which is full: is a worker that dies replaced?"""
    if not init.restarts:
        return "–"
    script = "i=0; while [ $i -lt 4000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; exec sleep 1000"
    reader = []

    def wrap(place, words):
        os.mkfifo(place / "out")
        reader.append(os.open(place / "out", os.O_RDONLY | os.O_NONBLOCK))
        return ["sh", "-c", f'exec "$@" > {place}/out 2>&1', "sh", *words]

    one = bench.run(init, None, command=many(init, 2, script), logs=False, wrap=wrap)
    try:
        eventually(10, lambda: len(workers(one)) == 2)
        time.sleep(0.5)  # the pipe is full by now
        first = workers(one)
        os.kill(first[0], signal.SIGKILL)
        eventually(4, lambda: len([pid for pid in workers(one) if pid not in first]) == 1)
        return "yes"
    except AssertionError:
        return "no"
    finally:
        os.close(reader[0])


def workers(one):
    return [pid for pid in processes.children(one.pid) if processes.is_alive(pid)]


def few_pids(bench, init):
    """No pid is left for a second worker for 3 s: is it there when there is room?"""
    if not init.restarts:
        return "–"
    script = "if [ ! -e $F/hog ]; then echo h > $F/hog; for i in $(seq 60); do sleep 6 & done 2>/dev/null; wait; fi; exec sleep 1000"
    place = f"{bench.podman.scratch}/c{len(bench.started)}"
    one = bench.run(init, None, "--pids-limit", "24", "-e", f"F={place}", command=many(init, 6, script))
    try:
        eventually(15, lambda: len([pid for pid in workers(one) if "1000" in processes.command_line(pid)]) >= 5)
        return "yes"
    except AssertionError:
        return "the container ended" if not one.is_running() else f"{len(workers(one))} of 6"


def fatal(bench, init):
    """Its only program cannot be run: does the container end, and not with 0?"""
    if not init.restarts:
        return "–"
    if init.name == "supervisord":
        command = many(init, 1, "exit 1", "startsecs=1\nstartretries=1\n")
    else:
        command = many(init, 1, "exit 1", 'start_limit = 2\nbackoff = { initial = "100ms" }\n')
    one = bench.run(init, None, command=command)
    try:
        return f"yes, {one.wait(6)}"
    except AssertionError:
        return "runs on"


def resident(bench, init):
    if init.restarts:
        one = bench.run(init, None, command=many(init, 10, "exec sleep 1000"))
        eventually(15, lambda: len(sleepers(one)) == 10)
    else:
        one = bench.run(init, "exec sleep 1000")
        eventually(15, lambda: sleepers(one))
    time.sleep(1.5)
    with open(f"/proc/{one.pid}/status", encoding="utf-8") as file:
        kilobytes = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
    return f"{kilobytes / 1024:.1f} MiB" if kilobytes > 100 else f"{kilobytes} KiB"


ROWS = [
    ("200 orphans that end: the last zombie is gone after", zombies),
    ("the container's status is the command's (7; killed: 137)", status),
    ("TERM 0 to 27 ms after the exec is heard", early_term),
    ("TERM at a grandchild in a session of its own, with time to tidy up", grandchild),
    ("a stopped (SIGSTOP) child hears its TERM", stopped),
    ("descriptors 0 to 2 closed: the child's 0 is", closed),
    ("HUP goes on to the command", hears(signal.SIGHUP)),
    ("USR1 goes on to the command", hears(signal.SIGUSR1)),
    ("read-only root, uid without a name, no capability: starts", nothing),
    ("a worker killed by KILL is replaced", replaced),
    ("the same with a stdout that nobody reads", unread),
    ("no pids left for a while: all 6 workers are there afterwards", few_pids),
    ("the only program cannot start: the container ends", fatal),
    ("RSS (of those that supervise: with ten children)", resident),
]


def versions():
    def of(package):
        return subprocess.run(["dpkg-query", "-W", "-f", "${source:Upstream-Version}", package], capture_output=True, text=True,
                              check=False).stdout or "?"
    mine = subprocess.run([rig.BINARY, "version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    return [Init("tini", of("tini")), Init("dumb-init", of("dumb-init")), Supervisord("supervisord", of("supervisor")),
            Muster("muster", mine)]


def main():
    for program in ("tini", "dumb-init", "supervisord"):
        if shutil.which(program) is None:
            sys.exit(f"compare_pid1: no {program}: apt-get install tini dumb-init supervisor")
    try:
        podman = Podman()
    except CannotHave as why:
        sys.exit(f"compare_pid1: no containers: {why}")
    inits = versions()
    wanted = [one for one in sys.argv[1:] if not one.startswith("--")]
    lines = ["| | " + " | ".join(f"{one.name} {one.version}" for one in inits) + " |", "|---" * (len(inits) + 1) + "|"]
    try:
        bench = Bench(podman)
        for name, behaviour in ROWS:
            if wanted and not any(one in name for one in wanted):
                continue
            cells = []
            for init in inits:
                try:
                    cells.append(behaviour(bench, init))
                finally:
                    bench.clean()
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
            print(lines[-1], file=sys.stderr)
    finally:
        podman.close()
    table = "\n".join(lines) + "\n"
    print(table)
    if "--write" in sys.argv[1:]:
        text = DOCUMENT.read_text()
        head, rest = text.split(BEGIN)
        old, tail = rest.split(END)
        if wanted:
            seen = {line.split(" | ")[0]: line for line in lines}
            table = "".join(seen.get(line.split(" | ")[0], line) + "\n" for line in old.strip().splitlines())
        DOCUMENT.write_text(head + BEGIN + "\n" + table + END + tail)


if __name__ == "__main__":
    main()
