"""Names that are not unique by themselves: claimed, held, reported."""

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
