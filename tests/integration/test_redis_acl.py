"""The ACL of docs/redis-acl.md is enough, and of each rule that is missing muster says which."""

import os
import pathlib
import re
import subprocess

import pytest

from support import processes, rig
from support.eventually import PATIENCE, eventually

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "redis-acl.md"
LINE = re.search(r"^ACL SETUSER muster (.*)$", DOCUMENT.read_text(), re.MULTILINE).group(1)
RULES = LINE.replace(">PASSWORD", ">geheim").split()
COMMANDS = [rule[1:] for rule in RULES if rule.startswith("+")]
OPTIONAL = set(re.findall(r"`([a-z\\|]+)`", "".join(
    line for line in DOCUMENT.read_text().split("**What can be left out.**")[1].splitlines()
    if line.startswith("| `")).replace("\\|", "|")))


RQ = '[program.w]\ncommand = "x --name {name}"\nregistry = "rq"\n'


@pytest.fixture
def checked(folder, redis_server):
    file = folder / "check.toml"

    def check(rules, programs=RQ):
        file.write_text(f'[redis]\nurl = "redis://muster:geheim@127.0.0.1:{redis_server.port}/0"\n' + programs)
        redis_server.client.execute_command("ACL", "SETUSER", "muster", "reset", *rules)
        done = subprocess.run([rig.BINARY, "check", "-c", str(file), "--connect"], text=True,
                              env=rig.environment("acl"), capture_output=True, check=False,
                              timeout=20 * PATIENCE)
        assert "geheim" not in done.stdout + done.stderr
        return done.returncode, done.stdout

    return check


def is_kept_alive(pid, port):
    """A connection of this process to that port on which the kernel's keepalive timer runs (2)."""
    sockets = set()
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        try:
            sockets.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
        except OSError:
            pass  # closed meanwhile
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file][1:]
    return any(row[2] == f"0100007F:{port:04X}" and row[5][:2] == "02" and f"socket:[{row[9]}]" in sockets
               for row in rows)


def test_the_documented_user_is_allowed_all_and_each_missing_rule_is_named(checked, redis_server):
    assert {"hset", "eval", "client|list"} <= set(COMMANDS) and "info" in OPTIONAL
    redis_server.client.hset("rq:worker:somebody", "pid", "1")
    before = redis_server.dump()
    status, said = checked(RULES)
    assert status == 0 and "note" not in said and "FAIL" not in said, said
    assert "180 commands an hour" in said and "129600" in said and "108000" in said
    for command in COMMANDS:
        status, said = checked([rule for rule in RULES if rule != f"+{command}"])
        assert f"+{command}" in said, (command, said)
        if command in OPTIONAL:
            assert status == 0 and "note" in said and "mend" not in said, said
        else:
            assert status == 1, (command, said)
            mend = re.search(r"mend  ACL SETUSER muster (.*)", said).group(1)
            assert mend == f"+{command}", (command, said)
            redis_server.client.execute_command("ACL", "SETUSER", "muster", *mend.split())
    left = redis_server.dump()
    mine = [key for key in left if key.startswith("muster:check:")]
    assert all(0 < redis_server.client.pttl(key) <= 10_000 for key in mine), mine
    assert {key: left[key] for key in left if key not in mine} == before


def test_keys_that_are_closed_are_named(checked):
    for closed in ("~rq:*", "~muster:*"):
        status, said = checked([rule for rule in RULES if rule != closed])
        assert status == 1 and f"keys closed to muster: {closed[1:]}\n" in said, said
        assert f"mend  ACL SETUSER muster {closed}\n" in said, said
    status, said = checked(["on", ">geheim", "-@all"])
    assert status == 1 and "+set " in said and "+eval " in said, said
    assert "hset is not tried while SET is refused" in said


def test_queues_that_a_program_is_scaled_by_must_be_open_and_count_as_commands(checked):
    scaled = "autoscale = { max = 2, queues = ['Q'] }\n"
    rules = [rule for rule in RULES if rule != "~rq:*"]
    for kind, key in (("celery", "Q*"), ("dramatiq", "dramatiq:Q"), ("bullmq", "bull:Q:*")):
        programs = f'[program.w]\ncommand = "x"\nregistry = "{kind}"\n{scaled}'
        status, said = checked(rules, programs)
        assert status == 1 and f"keys closed to muster: {key}\n" in said, said
        status, said = checked([*rules, f"~{key}"], programs)
        assert status == 0, said
    status, said = checked(RULES, RQ + scaled)
    assert status == 0 and "420 commands an hour" in said, said
    assert "240 for the depth of\nqueues (each 15s)" in said and "302400 for each instance" in said, said


def test_a_muster_with_the_documented_user_does_its_work(redis_server, muster):
    redis_server.client.execute_command("ACL", "SETUSER", "muster", "reset", *RULES)
    m = muster(f'[redis]\nurl = "redis://muster:geheim@127.0.0.1:{redis_server.port}/0"\n'
               f'[program.w]\ncommand = "{rig.STUB} --redis {redis_server.url} --name {{name}}"\n'
               'registry = "rq"\nprocesses = 2\n')
    first = m.running()[0]
    processes.kill(first["pid"])
    second = m.running("w_00", but=[first])
    eventually(5, lambda: first["name"] not in redis_server.workers())
    assert second["name"] in redis_server.workers()
    m.logged("released")
    assert not m.log_lines("redis-refuses"), m.log()
    users = [one["user"] for one in redis_server.client.client_list()]
    assert users.count("muster") == 1, users  # one connection, whatever the number of workers
    eventually(5, lambda: is_kept_alive(m.pid, redis_server.port), "the kernel's keepalive timer on it")


def test_a_command_that_is_refused_costs_one_line(redis_server, muster):
    redis_server.client.execute_command("ACL", "SETUSER", "muster", "reset", *RULES, "-srem", "-info")
    m = muster(f'[redis]\nurl = "redis://muster:geheim@127.0.0.1:{redis_server.port}/0"\n'
               f'[program.w]\ncommand = "{rig.STUB} --redis {redis_server.url} --name {{name}}"\n'
               'registry = "rq"\n')
    first = m.running("w")
    assert len(m.logged("WARN", "redis-refuses", "command=INFO")) == 1, m.log()
    processes.kill(first["pid"])
    m.running("w", but=[first])
    said = eventually(5, lambda: m.log_lines("WARN", "redis-refuses", "command=EVAL"))
    assert "check --connect" in said[0]
    eventually(5, lambda: m.get("/v1/status")[1]["redis"]["error"])
    assert len(m.log_lines("redis-refuses")) == 2, m.log()
    assert first["name"] in redis_server.workers()
    redis_server.client.execute_command("ACL", "SETUSER", "muster", "+srem")
    eventually(10, lambda: first["name"] not in redis_server.workers())
    assert len(m.log_lines("redis-refuses")) == 2, m.log()
