"""What children write: all of it, in order, and never at the supervisor's cost."""

import os
import re

from support import processes, rig
from support.eventually import eventually

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
