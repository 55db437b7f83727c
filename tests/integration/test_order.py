"""`after`: who starts when, and stops in reverse."""

from support import rig
from support.eventually import always, eventually
from support.redis_server import free_port

SCRIPT = ("echo start-{process} >> {out}; trap 'echo heard-{process} >> {out}; sleep 0.3; "
          "echo end-{process} >> {out}; exit 0' TERM; while :; do sleep 0.02; done")


def program(name, out, *lines):
    script = SCRIPT.replace("{process}", name).replace("{out}", str(out))
    return "\n".join([f"[program.{name}]", f'command = ["sh", "-c", "{script}"]',
                      'ready = { after = "300ms" }', *lines, ""])


def words(out):
    return out.read_text().split() if out.exists() else []


def test_starts_wait_for_ready_and_stops_go_in_reverse(muster, folder):
    out = folder / "order"
    instance = muster(program("c", out, 'after = ["b"]') + program("b", out, 'after = ["a"]')
                      + program("a", out))
    instance.running()
    assert words(out) == ["start-a", "start-b", "start-c"]
    assert instance.terminate() == 0
    assert words(out)[3:] == [f"{what}-{who}" for who in "cba" for what in ("heard", "end")]


def test_after_succeeded_waits_for_the_end(muster, folder):
    gate, out = folder / "gate", folder / "order"
    instance = muster(
        f'[program.migrate]\ncommand = ["sh", "-c", "while [ ! -e {gate} ]; do sleep 0.02; done"]\n'
        'restart = "never"\nessential = false\n' + program("web", out, 'after = ["migrate:succeeded"]'))
    always(0.7, lambda: words(out) == [], "nothing of web")
    assert instance.one("web")["pid"] is None
    gate.touch()
    instance.running("web")
    assert instance.state("migrate") == "EXITED"


def test_an_embedded_redis_comes_first_and_goes_last(muster, folder):
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    instance = muster(
        f'[redis]\nurl = "{url}"\n'
        f'[program.shap]\ncommand = "{rig.STUB} --redis {url} --name {{name}}"\nregistry = "rq"\n'
        'processes = 2\nafter = ["redis"]\n'
        f'[program.redis]\ncommand = "redis-server --port {port} --bind 127.0.0.1 --save \'\'"\n'
        f'directory = "{folder}"\nready = {{ tcp = "127.0.0.1:{port}" }}\nstdout = "null"\n')
    workers = instance.running("shap_00", "shap_01", "redis")
    assert all(one["restarts"] == 0 and one["failures"] == 0 for one in workers)
    assert instance.terminate() == 0
    eventually(1, lambda: not (folder / "dump.rdb").exists())
