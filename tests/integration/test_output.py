"""What children write: all of it, in order, and never at the supervisor's cost."""

import gzip
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from support import processes, rig
from support.eventually import PATIENCE, eventually, patience

LINES = 50000


def lines_of(text, process):
    return re.findall(rf"^{process} \| (?:.*\| )?line (\d+)$", text, re.MULTILINE)


def in_order(count):
    return [f"{number:09}" for number in range(1, count + 1)]


def test_I9_forwarded_lines_are_complete_and_in_order(muster):
    instance = muster(f'[program.flood]\ncommand = "{rig.STUB} --flood-stdout {LINES}"\n')
    eventually(30, lambda: len(lines_of(instance.log(), "flood")) >= LINES)
    assert lines_of(instance.log(), "flood") == in_order(LINES)


def test_I8_I9_a_stdout_that_nobody_reads_stops_only_the_flood(muster):
    reader, writer = os.pipe()
    instance = muster(
        f'[program.flood]\ncommand = "{rig.STUB} --flood-stdout {LINES}"\n'
        f'[program.shap]\ncommand = "{rig.STUB}"\nready = {{ after = "10ms" }}\n'
        'backoff = { reset_after = "1ms" }\n', stdout=writer)
    os.close(writer)
    worker = instance.running("shap")
    for _ in range(10):
        processes.kill(worker["pid"])
        worker = instance.running("shap", but=[worker], seconds=5)
    assert instance.get("/livez")[0] == 200
    text = b""
    while text.count(b"line ") < LINES:
        text += os.read(reader, 1 << 20)
    assert lines_of(text.decode(), "flood") == in_order(LINES)
    os.close(reader)


def test_a_file_takes_the_output_as_it_is(muster, folder):
    out = folder / "out-flood.log"
    muster(f'[program.flood]\ncommand = "{rig.STUB} --flood-stdout {LINES}"\n'
           f'stdout = "{folder}/out-{{process}}.log"\nstderr = "null"\n')
    eventually(30, lambda: out.exists() and out.read_text().count("\n") == LINES)
    assert out.read_text().split("\n")[:-1] == [f"line {one}" for one in in_order(LINES)]


def test_stderr_is_forwarded_and_null_is_null(muster):
    instance = muster('[program.a]\ncommand = ["sh", "-c", "echo to-err >&2; exec sleep 100"]\n'
                      '[program.b]\ncommand = ["sh", "-c", "echo hidden; echo shown >&2; '
                      'exec sleep 100"]\nstdout = "null"\n')
    eventually(5, lambda: instance.log_lines("a | ", "to-err") and instance.log_lines("b | ", "shown"))
    assert "hidden" not in instance.log()


def test_the_last_words_of_a_dead_child_are_heard(muster):
    instance = muster('[program.a]\ncommand = ["sh", "-c", "printf no-newline; kill -9 $$"]\n'
                      'restart = "never"\n', wait=False)
    eventually(5, lambda: instance.log_lines("a | ", "no-newline"))


FLOOD = """
import hashlib, os, random, sys
lines, seed, binary = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] == ["binary"]
source, digest = random.Random(seed), hashlib.sha256()
for number in range(lines):
    text = b"%09d " % number + (source.randbytes(60).replace(b"\\n", b"") if binary else b"x" * 90)
    digest.update(text + b"\\n")
    sys.stdout.buffer.write(text + b"\\n")
sys.stdout.buffer.flush()
open(sys.argv[0] + ".sha%d" % seed, "w").write(digest.hexdigest())
"""


def flood_script(folder):
    script = folder / "flood.py"
    script.write_text(FLOOD)
    return script


def sha_of(data):
    return hashlib.sha256(data).hexdigest()


def whole_log(path):
    """The file and its older ones, oldest first."""
    older = sorted(path.parent.glob(path.name + ".*"), key=lambda one: -int(one.name.split(".")[2]))
    read = lambda one: gzip.decompress(one.read_bytes()) if one.suffix == ".gz" else one.read_bytes()  # noqa: E731
    return b"".join(read(one) for one in older) + path.read_bytes()


@pytest.mark.parametrize("compress", ["false", "true"])
def test_I9_a_rotation_loses_no_byte(muster, folder, compress):
    script, log = flood_script(folder), folder / "a.log"
    instance = muster(
        f'[program.a]\ncommand = ["python3", "{script}", "60000", "1", "binary"]\nrestart = "never"\n'
        f'stdout = "{log}"\nlog_rotate = {{ size = "300KB", keep = 100, compress = {compress} }}\n'
        'on_fatal = "stay"\n[program.b]\ncommand = "sleep 1000"\n')
    eventually(30, lambda: instance.state("a") == "EXITED")
    expected = (folder / "flood.py.sha1").read_text()
    eventually(10, lambda: sha_of(whole_log(log)) == expected)

    def rotated_as_told():
        rotated = [one.name for one in folder.glob("a.log.*")]
        assert len(rotated) >= 4, rotated
        assert all(name.endswith(".gz") == (compress == "true") for name in rotated), rotated
        return True

    eventually(10, rotated_as_told)  # the last one may still be being compressed


def test_two_processes_with_one_file_share_it_line_by_line(muster, folder):
    log = folder / "a.log"
    instance = muster(f'[program.flood]\ncommand = "{rig.STUB} --flood-stdout {LINES}"\nprocesses = 2\n'
                      f'stdout = "{log}"\nlog_rotate = {{ size = "200KB", keep = 100 }}\n')
    instance.running()
    wanted = sorted(f"line {one}" for one in in_order(LINES) * 2)
    eventually(30, lambda: sorted(whole_log(log).decode().splitlines()) == wanted)


def test_USR2_reopens_what_another_tool_has_moved(muster, folder):
    log, moved = folder / "a.log", folder / "a.log.moved"
    instance = muster('[program.a]\ncommand = ["sh", "-c", "while read line; do echo $line; done < pipe"]\n'
                      f'directory = "{folder}"\nstdout = "{log}"\nready = {{ after = "0s" }}\n', wait=False)
    os.mkfifo(folder / "pipe")
    with open(folder / "pipe", "w", buffering=1) as said:
        said.write("one\n")
        eventually(5, lambda: log.read_text() == "one\n")
        log.rename(moved)
        said.write("two\n")
        eventually(5, lambda: moved.read_text() == "one\ntwo\n")
        os.kill(instance.pid, signal.SIGUSR2)
        eventually(5, log.exists)
        said.write("three\n")
        eventually(5, lambda: log.read_text() == "three\n")
    assert moved.read_text() == "one\ntwo\n"
    instance.logged("log-files-reopened", "count=1")


def test_a_removed_folder_is_made_again_and_named(muster, folder):
    log = folder / "logs" / "a.log"
    log.parent.mkdir()
    instance = muster('[program.a]\ncommand = ["sh", "-c", "while :; do echo tick; sleep 0.02; done"]\n'
                      f'stdout = "{log}"\n')
    eventually(5, lambda: log.exists() and "tick" in log.read_text())
    shutil.rmtree(log.parent)
    eventually(5, lambda: log.exists() and "tick" in log.read_text())
    eventually(5, lambda: instance.log_lines("log-file-made-again", str(log)))


def test_I8_I9_a_full_disk_is_named_once_and_nothing_is_lost(muster, folder):
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], check=False,
                      capture_output=True).returncode != 0:
        pytest.skip("cannot mount a tmpfs here")
    try:
        script, log = flood_script(folder), disk / "a.log"
        (disk / "filler").write_bytes(b"x" * 256 * 1024)
        instance = muster(
            f'[program.a]\ncommand = ["python3", "{script}", "3000", "1"]\nrestart = "never"\n'
            f'stdout = "{log}"\nlog_rotate = {{ size = 0 }}\non_fatal = "stay"\n'
            f'[program.shap]\ncommand = "{rig.STUB}"\nready = {{ after = "10ms" }}\n')
        eventually(10, lambda: instance.log_lines("log-file-failed", str(log), "No space left"))
        worker = instance.running("shap")
        processes.kill(worker["pid"])
        instance.running("shap", but=[worker], seconds=5)
        (disk / "filler").unlink()
        eventually(10, lambda: instance.log_lines("log-file-back", str(log)))
        eventually(10, lambda: (folder / "flood.py.sha1").exists()
                   and sha_of(log.read_bytes()) == (folder / "flood.py.sha1").read_text())
        assert len(instance.log_lines("log-file-failed")) == 1
        instance.terminate()
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


def test_I9_overflow_drop_never_stops_a_child_and_counts_what_it_drops(muster, folder):
    reader, writer = os.pipe()
    script = flood_script(folder)
    instance = muster(f'[program.a]\ncommand = ["python3", "{script}", "40000", "1"]\nrestart = "never"\n'
                      'overflow = "drop"\non_fatal = "stay"\n[program.b]\ncommand = "sleep 1000"\n',
                      stdout=writer)
    os.close(writer)
    eventually(20, lambda: instance.state("a") == "EXITED")  # nobody reads us, and it ends all the same
    begun = time.monotonic()
    assert instance.get("/livez")[0] == 200
    assert time.monotonic() - begun < 1 * patience()
    text = b""
    while b"output-dropped" not in text:
        text += os.read(reader, 1 << 20)
    seen = len(re.findall(rb"^a \| (\d{9}) x{90}$", text, re.MULTILINE))
    dropped = sum(int(one) for one in re.findall(rb"output-dropped process=a stream=stdout bytes=\d+ lines=(\d+)", text))
    assert 0 < seen < 40000
    assert seen + dropped == 40000
    os.close(reader)


def test_json_lines_are_json_whatever_the_bytes(muster, folder):
    script = flood_script(folder)
    instance = muster('[supervisor]\nlog = { format = "json" }\n'
                      f'[program.a]\ncommand = ["python3", "{script}", "3000", "1", "binary"]\nrestart = "never"\n'
                      'on_fatal = "stay"\n'
                      '[program.b]\ncommand = ["sh", "-c", "printf \'\\\\033[31mred ü\\\\n\' >&2; exec sleep 100"]\n')
    eventually(20, lambda: instance.log().count('"process":"a","stream":"stdout"') >= 3000)
    eventually(5, lambda: instance.log_lines('"stream":"stderr"'))
    lines = [json.loads(line) for line in instance.log_path.read_bytes().decode().splitlines()]
    from_a = [line for line in lines if line.get("process") == "a" and "message" in line]
    assert [line["message"][:9] for line in from_a] == [f"{number:09}" for number in range(3000)]
    assert set(from_a[0]) == {"time", "process", "stream", "message"}
    red = [line for line in lines if line.get("stream") == "stderr"]
    assert red[0]["message"] == "\x1b[31mred ü"
    assert [line for line in lines if line.get("event") == "starting" and line["process"] == "a"]
    assert all({"time", "level", "event"} <= set(line) for line in lines if "message" not in line)


def test_stderr_goes_where_stdout_goes_in_order(muster, folder):
    log = folder / "a.log"
    muster('[program.a]\ncommand = ["sh", "-c", "for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done; '
           f'exec sleep 100"]\nstdout = "{log}"\nstderr = "stdout"\n')
    expected = "".join(f"out {i}\nerr {i}\n" for i in range(1, 6))
    eventually(5, lambda: log.exists() and log.read_text() == expected)


def test_a_long_line_comes_in_marked_pieces(muster):
    instance = muster('[program.a]\ncommand = ["python3", "-c", "print(\'ab\' * 100000); '
                      'import time; time.sleep(100)"]\n')
    eventually(10, lambda: instance.log_lines("a + ", "ab") and instance.log().count("ab") >= 100000)
    pieces = [line for line in instance.log().splitlines() if line.startswith(("a | ab", "a + "))]
    assert len(pieces) == 4 and pieces[0].startswith("a | ")
    assert "".join(piece[4:] for piece in pieces) == "ab" * 100000


SAYS = ('[program.a]\ncommand = ["sh", "-c", "for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done; '
        'while read line; do echo $line; done < {folder}/pipe; exec sleep 100"]\nready = {{ after = "0s" }}\n'
        'stdout = "{where}"\n[program.quiet]\ncommand = "sleep 100"\nstdout = "null"\n')


@pytest.mark.parametrize("where", ["forward", "file"])
def test_logs_shows_the_last_lines_and_follows(muster, folder, where):
    os.mkfifo(folder / "pipe")
    target = "forward" if where == "forward" else f"{folder}/a.log"
    instance = muster(SAYS.format(folder=folder, where=target))
    eventually(5, lambda: instance.get("/v1/logs/a?tail=2") == (200, "out 4\nout 5\n"))
    assert instance.get("/v1/logs/a?stream=stderr&tail=1") == (200, "err 5\n")
    assert instance.client("logs", "a", "-n", "1").stdout == "out 5\n"
    assert instance.client("logs", "a", "--stderr", "-n", "1").stdout == "err 5\n"
    assert instance.client("logs", "nobody").returncode == 4
    refused = instance.client("logs", "quiet")
    assert refused.returncode == 1 and "does not pass through" in refused.stderr
    follower = subprocess.Popen([rig.BINARY, "-s", str(instance.control), "logs", "-f", "a", "-n", "1"],
                                env=instance.env, stdout=subprocess.PIPE)
    assert follower.stdout.readline() == b"out 5\n"
    with open(folder / "pipe", "w", buffering=1) as said:
        said.write("one\n")
        assert follower.stdout.readline() == b"one\n"
        said.write("two\n")
        assert follower.stdout.readline() == b"two\n"
    instance.terminate()
    assert follower.stdout.read() == b""
    assert follower.wait(5) == 0


def test_a_follower_that_does_not_read_is_let_go_and_costs_nobody_anything(muster, folder):
    instance = muster(f'[program.flood]\ncommand = "{rig.STUB} --flood-stdout 200000"\n'
                      f'stdout = "{folder}/flood.log"\nautostart = false\n')
    request = b"GET /v1/logs/flood?follow=true HTTP/1.1\r\nHost: m\r\n\r\n"
    slow = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    for each in slow:
        each.connect(str(instance.control))
        each.sendall(request)
    for each in slow:
        assert each.recv(4096).startswith(b"HTTP/1.1 200")
    assert instance.post("/v1/processes/flood/start?wait=true")[0] == 200
    log = folder / "flood.log"
    eventually(20, lambda: log.read_bytes().count(b"\n") == 200000)
    for each in slow:
        got = b""
        while part := each.recv(1 << 20):
            got += part
        each.close()
        assert got.endswith(b"0\r\n\r\n") and b"reads too slowly" in got
        assert len(got) < 1 << 20
    assert instance.get("/livez")[0] == 200


def test_an_orphan_that_holds_the_pipe_does_not_hold_up_the_end(muster, folder):
    instance = muster(f'[program.a]\ncommand = "{rig.STUB} --orphan session"\norphans = "leave"\n'
                      f'stdout = "{folder}/a.log"\nstop = ["TERM 1s", "KILL"]\n')
    instance.running("a")
    begun = time.monotonic()
    assert instance.terminate() == 0
    assert time.monotonic() - begun < 5 * PATIENCE
