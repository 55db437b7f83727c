"""Processes as /proc shows them, on every level of pid namespaces: no ps is needed."""

import os
import signal

MARK = "TEST_RIG"  # in the environment of all that a rig started: muster passes no MUSTER_* on


def _stat(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        head, _, tail = file.read().rpartition(")")
    fields = tail.split()
    return {"comm": head.split("(", 1)[1], "state": fields[0], "ppid": int(fields[1]),
            "pgrp": int(fields[2]), "session": int(fields[3])}


def stat(pid):
    try:
        return _stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def is_alive(pid):
    """A zombie is not: only its parent still has to look."""
    seen = stat(pid)
    return seen is not None and seen["state"] not in "ZX"


def children(pid):
    return sorted(one for one in all_pids() if (stat(one) or {}).get("ppid") == pid)


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def zombies_of(pid):
    return [one for one in children(pid) if (stat(one) or {}).get("state") == "Z"]


def environment(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            pairs = file.read().split(b"\0")
    except OSError:
        return {}
    return dict(pair.decode(errors="replace").split("=", 1) for pair in pairs if b"=" in pair)


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return [part.decode(errors="replace") for part in file.read().split(b"\0") if part]
    except OSError:
        return []


def pid_in_namespace(pid):
    """The number that the process has in its own, innermost namespace."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    raise LookupError(pid)


def marked(mark):
    """All processes that a rig started, wherever they went."""
    return [pid for pid in all_pids() if environment(pid).get(MARK) == mark and is_alive(pid)]


def kill(pid, number=signal.SIGKILL):
    os.kill(pid, number)


def end_marked(mark):
    """What a test left behind, one by one, by pid."""
    for pid in marked(mark):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
