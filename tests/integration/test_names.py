"""Names that are not unique by themselves: claimed, held, reported."""

import os

import pytest

from support import processes, rig
from support.eventually import always, eventually


def program(redis_server, *lines, extra=""):
    return "\n".join([
        "[redis]", f'url = "{redis_server.url}"', "[program.fixed]", 'registry = "rq"',
        f'command = "{rig.STUB} --redis {redis_server.url} --queues jobs --name {{name}} {extra}"',
        'name = "the-one"', 'backoff = { initial = "100ms", max = "300ms", jitter = 0.0, reset_after = "1ms" }',
        *lines, ""])


def test_I4_a_name_that_a_live_worker_holds_is_waited_for_and_its_holder_told(
        redis_server, muster, stub):
    holder = stub("the-one")
    eventually(5, lambda: redis_server.worker("the-one").get("state") == "idle")
    held = redis_server.dump()
    instance = muster(program(redis_server, "start_limit = 0"))
    eventually(5, lambda: instance.log_lines("the-one", str(holder.pid)),
               "a line that says who holds the name")
    always(1, lambda: instance.state("fixed") in ("BACKOFF", "STARTING"), "waiting for the name")
    seen = redis_server.dump()
    assert {key: value for key, value in seen.items() if key.startswith("rq:")} == held
    holder.terminate()
    holder.wait()
    assert instance.running("fixed", seconds=10)["name"] == "the-one"


def test_a_fixed_name_is_free_again_at_once_after_its_own_worker_died(redis_server, muster):
    instance = muster(program(redis_server))
    worker = instance.running("fixed")
    for _ in range(5):
        processes.kill(worker["pid"])
        worker = instance.running("fixed", but=[worker])
    for failed_start in ("There exists an active worker", "exited-before-ready", "name-taken"):
        assert failed_start not in instance.log()


def test_a_name_that_stays_held_ends_in_FATAL(redis_server, muster, stub):
    stub("the-one")
    eventually(5, lambda: redis_server.worker("the-one").get("state") == "idle")
    instance = muster(program(redis_server, "start_limit = 3", 'on_fatal = "stay"'))
    eventually(10, lambda: instance.state("fixed") == "FATAL")


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root here")
def test_I7_two_hosts_that_race_for_one_name_never_both_have_it(redis_server, muster):
    config = program(redis_server, "start_limit = 0").replace("[redis]\n", '[redis]\nlease = "1s"\n')
    hosts = [muster(config, wait=False, before=[
        "unshare", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child", "sh", "-c",
        f'hostname {host} && exec "$@"', "sh"]) for host in ("host-one", "host-two")]
    for host in hosts:
        host.wait_until_up()

    def living():
        """Seen twice alike: whoever is in both looks lived beside all others that are, whatever came between."""
        up = [host for host in hosts if host.process is not None]
        first, second = ([(one["incarnation"], one["pid"]) for one in (host.one("fixed") for host in up)]
                         for _ in range(2))
        return [host for host, before, after in zip(up, first, second) if before[1] and before == after]

    def one_lives():
        found = living()
        assert len(found) <= 1, "two workers under one name"
        return found and redis_server.worker("the-one").get("pid")

    for _ in range(3):
        eventually(10, one_lives)
        [owner] = living()
        always(0.5, lambda: len(living()) == 1, "one worker")
        # The key of a worker that stood still for long: its name is its own all the same.
        redis_server.client.delete("rq:worker:the-one")
        always(1, lambda: len(living()) == 1, "one worker, also without its key")
        processes.kill(owner.host_pid("fixed"))
    [owner] = eventually(10, lambda: one_lives() and living())
    [other] = [host for host in hosts if host is not owner]
    owner.kill()  # the whole host: nobody is left to give the name back
    always(1, lambda: not other.one("fixed")["pid"], "the name still held")
    redis_server.client.pexpire("rq:worker:the-one", 1)  # its key's and its claim's time is over
    redis_server.client.delete("muster:claim:the-one")
    eventually(10, lambda: other.one("fixed")["state"] == "RUNNING")
