"""Jobs that real RQ workers run in the tests: each notes in a file what happened to it."""

import fcntl
import os
import pathlib
import time


def _note(path, word):
    line = f"{word} {os.getpid()} {time.time():.6f}\n"
    with open(path, "a", encoding="utf-8") as file:
        file.write(line)


def note(path):
    _note(path, "start")
    _note(path, "end")


def until(path, gate):
    """Runs until the gate's file is there. The lock tells in every pid namespace that it does: a pid says nothing there."""
    with open(path, "a", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        _note(path, "start")
        while not pathlib.Path(gate).exists():
            time.sleep(0.02)
        _note(path, "end")
