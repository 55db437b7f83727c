"""Programs whose clock is wrong."""

import glob
import shutil


def clock(offset):
    """What to put before a command so that it sees the time shifted by offset ("-1h"); None where libfaketime is not
    installed. Its wrapper is left out: for each program it makes a semaphore named after the pid, fails where one is
    there already, and in a pid namespace pids come again soon."""
    libraries = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    return [shutil.which("env"), f"LD_PRELOAD={libraries[0]}", f"FAKETIME={offset}"] if libraries else None
