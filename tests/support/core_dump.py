"""A core dump of a running muster, and what its header says: everything before the memory."""

import os
import pathlib
import resource
import signal
import struct

from support.eventually import eventually

NOTES, MEMORY = 4, 1  # p_type: PT_NOTE, PT_LOAD
PSINFO = 3  # NT_PRPSINFO: name and command line as `file`, `coredumpctl` and crash reporters show them


class NoCore(Exception):
    """Why this machine writes none; for a skip."""


def is_core(file):
    with open(file, "rb") as begin:
        head = begin.read(18)
    return head[:4] == b"\x7fELF" and head[16:] == struct.pack("<H", 4)  # ET_CORE


def of(process, folder, hurt):
    """Lets the process run out of memory: its signals are blocked, so none would do. `hurt` makes it want some."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text(encoding="ascii").strip()
    if pattern.startswith(("|", "/")) or not pattern:
        raise NoCore(f"this kernel's core files go to {pattern!r}, not to the folder of the process")
    hard = resource.prlimit(process.pid, resource.RLIMIT_CORE)[1]
    if hard != resource.RLIM_INFINITY:
        raise NoCore("no core file is allowed here (ulimit -Hc)")
    resource.prlimit(process.pid, resource.RLIMIT_CORE, (hard, hard))
    # Not RLIMIT_AS as well: the room for malloc's arena is reserved, and then the kernel lets it grow all the same.
    resource.prlimit(process.pid, resource.RLIMIT_DATA, (1, 1))

    def is_dead():
        if process.poll() is None:
            hurt()
        return process.poll() is not None

    try:
        eventually(10, is_dead)
    except AssertionError:
        raise NoCore("this kernel gives it memory beyond RLIMIT_DATA") from None
    if process.returncode != -signal.SIGABRT:
        raise NoCore(f"it ended with {process.returncode}: a sanitizer's own way to run out of memory")
    new = [one for one in pathlib.Path(folder).iterdir() if one.is_file() and is_core(one)]
    if not new:
        raise NoCore(f"this kernel wrote no core file ({pattern!r})")
    content = new[0].read_bytes()
    os.remove(new[0])
    return content


def header_of(core):
    """(all bytes before the memory, {type of a note: its bytes})."""
    assert core[4] == 2, "not a 64-bit core"
    (at,) = struct.unpack_from("<Q", core, 32)
    size, count = struct.unpack_from("<HH", core, 54)
    begin, notes = len(core), {}
    for i in range(count):
        kind, _, offset, _, _, length, _, _ = struct.unpack_from("<IIQQQQQQ", core, at + i * size)
        if kind == MEMORY and length:
            begin = min(begin, offset)
        if kind != NOTES:
            continue
        note = offset
        while note < offset + length:
            name, data, number = struct.unpack_from("<III", core, note)
            note += 12 + (name + 3) // 4 * 4
            notes[number] = notes.get(number, b"") + core[note:note + data]
            note += (data + 3) // 4 * 4
    return core[:begin], notes
