"""docs/redis-faults.md, row by row (I13). A worker dies while Redis is ill; another lives on. Nobody else is killed,
nothing is given up, muster says what is wrong, and the death is told within half a minute of Redis' recovery."""

import datetime
import pathlib
import re
import signal
import socket
import threading

import pytest

from support import processes, rig
from support.eventually import always, eventually
from support.redis_server import RedisServer, free_port

USERS = ["--user", "m", "on", ">old", "~*", "&*", "+@all",
         "--user", "w", "on", ">pw", "~*", "&*", "+@all"]
DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "redis-faults.md"


@pytest.fixture
def server(folder):
    """With one user for muster and one for its workers. Named before `muster`: it ends after it."""
    place = folder / "ill"
    place.mkdir()
    one = RedisServer(place, arguments=USERS)
    yield one
    one.stop()


class Scene:
    """Two workers of muster, with that Redis."""

    def __init__(self, server, start, more="", processes=2, initial="100ms", longest="400ms"):
        self.server = server
        self.m = start(
            f'[redis]\nurl = "redis://m:old@127.0.0.1:{self.server.port}/0"\n'
            'connect_timeout = "500ms"\ncommand_timeout = "500ms"\nrelease_wait = "100ms"\n'
            f'[program.w]\ncommand = "{rig.STUB} --redis '
            f'redis://w:pw@127.0.0.1:{self.server.port}/0 --name {{name}}"\nregistry = "rq"\n'
            f'processes = {processes}\nstart_limit = 2\n'
            f'backoff = {{ initial = "{initial}", max = "{longest}", jitter = 0.0 }}\n{more}')

    @property
    def client(self):
        return self.server.client

    def redis(self):
        return self.m.get("/v1/status")[1]["redis"]

    def cut_off(self):
        """muster's connection; a new one meets what is new."""
        self.client.execute_command("CLIENT", "KILL", "USER", "m")

    def crash_server(self):
        processes.kill(self.server.process.pid)
        self.server.process.wait()

    def restart_server(self, *arguments, answers=True):
        self.server.arguments = [*USERS, *map(str, arguments)]
        self.server.start(answers)

    def configure(self, **settings):
        for key, value in settings.items():
            self.client.config_set(key, value)

    def acl(self, *rules):
        self.client.execute_command("ACL", "SETUSER", "m", *rules)


class Down:
    """Crashed, and back without its data."""
    says = "refused"

    def begin(self, scene):
        scene.crash_server()

    def end(self, scene):
        scene.restart_server()
        eventually(30, lambda: scene.m.log_lines("redis-connected", "dataset=new"))


class Hung:
    says = "no answer within 500ms"

    def begin(self, scene):
        scene.server.process.send_signal(signal.SIGSTOP)

    def end(self, scene):
        scene.server.process.send_signal(signal.SIGCONT)


class Loading:
    """Restarted with its data, which takes it some seconds to read."""
    says = "LOADING"

    def begin(self, scene):
        for number in range(1500):
            scene.client.set(f"ballast:{number}", "x" * 100)
        scene.client.save()
        scene.crash_server()
        scene.restart_server("--key-load-delay", 2000, "--loading-process-events-interval-bytes",
                             1024, answers=False)

    def end(self, scene):
        eventually(30, scene.server._answers)
        scene.configure(**{"key-load-delay": 0})


class Replica:
    """Failed over: this one is a replica now."""
    says = "READONLY"

    def begin(self, scene):
        scene.client.replicaof("127.0.0.1", 1)

    def end(self, scene):
        scene.client.replicaof("NO", "ONE")


class CannotSave:
    says = "MISCONF"

    def begin(self, scene):
        (scene.server.folder / "dump.rdb").mkdir()
        scene.configure(save="3600 1")
        scene.client.set("changed", "1")
        scene.client.bgsave()
        eventually(10, lambda: scene.client.info()["rdb_last_bgsave_status"] == "err")

    def end(self, scene):
        (scene.server.folder / "dump.rdb").rmdir()
        scene.client.bgsave()


class OutOfMemory:
    """What only deletes is still done: the death is told, if the roll's next line is not refused before it."""
    says = "OOM"
    debts = (0, 1)
    counted = 2

    def begin(self, scene):
        scene.configure(maxmemory=1)

    def end(self, scene):
        scene.configure(maxmemory=0)


class Busy:
    """A script that does not end."""
    says = "BUSY"

    def begin(self, scene):
        scene.configure(**{"busy-reply-threshold": 50})
        self.line = socket.create_connection(("127.0.0.1", scene.server.port))
        self.line.sendall(b'EVAL "while true do end" 0\r\n')

    def end(self, scene):
        eventually(10, lambda: scene.client.execute_command("SCRIPT", "KILL"))
        self.line.close()


class NoPassword:
    """The password of a user was taken away from muster's: the URL's is wrong."""
    says = "refuses the password: WRONGPASS"

    def begin(self, scene):
        scene.acl("resetpass", ">new")
        scene.cut_off()

    def end(self, scene):
        scene.acl("resetpass", ">old")


class UserOff:
    """A user that was switched off."""
    says = "refuses the password"

    def begin(self, scene):
        scene.acl("off")
        scene.cut_off()

    def end(self, scene):
        scene.acl("on")


class TooManyClients:
    says = "max number of clients reached"

    def begin(self, scene):
        scene.configure(maxclients=1)
        scene.cut_off()

    def end(self, scene):
        scene.configure(maxclients=1000)


class Garbage:
    """Something else listens there."""
    says = "not a Redis answer"

    def begin(self, scene):
        scene.crash_server()
        self.listener = socket.create_server(("127.0.0.1", scene.server.port))
        self.accepted = 0
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            with line:
                line.recv(4096)
                line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    def end(self, scene):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        scene.restart_server()


class Lagging:
    """Failed over to a copy that had fallen behind: an earlier state of the same data."""
    says = "refused"

    def begin(self, scene):
        scene.crash_server()

    def end(self, scene):
        scene.restart_server()
        lines = eventually(30, lambda: scene.m.log_lines("redis-connected")[1:])
        assert "dataset=new" not in lines[0]


FAULTS = [Down, Hung, Loading, Replica, CannotSave, OutOfMemory, Busy, NoPassword, UserOff,
          TooManyClients, Garbage, Lagging]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_nobody_else_is_harmed_and_the_death_is_told_afterwards(server, muster, fault):
    scene = Scene(server, muster)
    m, ill = scene.m, fault()
    if fault is Lagging:  # the copy knows the data that muster has met
        eventually(10, lambda: scene.client.hget("muster:dataset", "id"))
        scene.client.save()
    survivor, victim = m.running("w_00", "w_01")
    ill.begin(scene)
    processes.kill(victim["pid"])
    eventually(10, lambda: scene.redis()["state"] == "away" and ill.says in scene.redis()["error"],
               f"muster saying {ill.says}")
    eventually(5, lambda: scene.redis()["debts"] in getattr(ill, "debts", (1,)), "the death being a debt")
    always(0.7, lambda: m.one("w_01")["state"] != "FATAL", "the dead one's slot not given up")
    ill.end(scene)
    eventually(30, lambda: scene.redis()["state"] == "connected" and scene.redis()["debts"] == 0,
               "all debts paid")
    replaced = m.running("w_01", but=[victim])
    assert victim["name"] not in scene.server.workers()
    assert not scene.server.worker(victim["name"])
    assert replaced["name"] in scene.server.workers()
    assert replaced["failures"] <= getattr(ill, "counted", 1)  # the death itself
    now = m.one("w_00")
    assert now["incarnation"] == survivor["incarnation"] and processes.is_alive(survivor["pid"])
    assert len(m.log_lines("redis-away")) <= 4, m.log()
    assert scene.redis()["error"] in ("", None)


def test_a_redis_that_refuses_commands_is_no_reason_to_kill(server, muster):
    """NOPERM: it is there, and answers nothing that muster asks."""
    scene = Scene(server, muster, more='start_timeout = "500ms"\n')
    survivor, victim = scene.m.running("w_00", "w_01")
    scene.acl("-@all", "+ping")
    processes.kill(victim["pid"])
    eventually(10, lambda: "muster check --connect" in (scene.redis()["error"] or ""))
    second = eventually(10, lambda: scene.m.one("w_01")["incarnation"] > victim["incarnation"]
                        and scene.m.one("w_01"))
    eventually(10, lambda: second["name"] in scene.server.workers())
    always(1.5, lambda: scene.m.one("w_01")["incarnation"] == second["incarnation"],
           "a worker that cannot be seen is not killed")
    scene.acl("+@all")
    eventually(30, lambda: scene.redis()["debts"] == 0 and scene.m.one("w_01")["ready"])
    assert victim["name"] not in scene.server.workers()
    assert scene.m.one("w_01")["incarnation"] == second["incarnation"]
    assert scene.m.one("w_00")["incarnation"] == survivor["incarnation"]
    refusals = [re.sub(r"^\S+ ", "", line) for line in scene.m.log_lines("redis-refuses")]
    assert 1 <= len(refusals) == len(set(refusals)) <= 5, refusals


def test_a_password_that_is_wanted_and_not_given(folder, redis_server, muster):
    """NOAUTH: Redis got a password, and muster's URL is in a file that is then corrected."""
    file = folder / "url"
    file.write_text(f"redis://127.0.0.1:{redis_server.port}/0\n")
    m = muster(f'[redis]\nurl_file = "{file}"\n[program.w]\ncommand = "{rig.STUB} --redis '
               f'redis://w:pw@127.0.0.1:{redis_server.port}/0 --name {{name}}"\n'
               'registry = "rq"\nautostart = false\n')
    redis_server.client.execute_command("ACL", "SETUSER", "w", "on", ">pw", "~*", "&*", "+@all")
    m.client("start", "w")
    worker = m.running("w")
    redis_server.client.config_set("requirepass", "secret-of-the-file")
    redis_server.client.client_kill_filter(_type="normal", skipme=True)
    away = lambda: m.get("/v1/status")[1]["redis"]  # noqa: E731
    eventually(10, lambda: "wants a password" in (away()["error"] or ""))
    processes.kill(worker["pid"])
    eventually(10, lambda: away()["debts"] == 1)
    file.write_text(f"redis://:secret-of-the-file@127.0.0.1:{redis_server.port}/0\n")
    eventually(30, lambda: away()["state"] == "connected" and away()["debts"] == 0)
    assert "secret-of-the-file" not in m.log()
    redis_server.client.execute_command("AUTH", "secret-of-the-file")
    redis_server.client.config_set("requirepass", "")


def test_the_return_is_paced(server, muster):
    """Restarts that were held while Redis was away do not come at one moment."""
    scene = Scene(server, muster, processes=8, initial="30s", longest="60s")
    m = scene.m
    workers = m.running()
    scene.crash_server()
    for one in workers:
        processes.kill(one["pid"])
    # Each is started once more at once, fails for want of Redis, and is held for 30 s.
    held = lambda: [one for one in m.processes().values()  # noqa: E731
                    if one["state"] == "BACKOFF" and (one["next_try_in"] or 0) > 10]
    eventually(20, lambda: len(held()) == 8, "all held")
    before = len(m.log_lines("starting"))
    scene.restart_server()
    m.running(seconds=25)
    lines = [m.log_lines("redis-connected")[-1], *m.log_lines("starting")[before:]]
    at, *starts = [datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")) for line in lines]
    # 50 ms apart. A busy machine makes each later than that, and none earlier.
    since = [(start - at).total_seconds() for start in starts]
    assert len(since) == 8 and all(one >= 0.05 * k - 0.04 for k, one in enumerate(since)), lines


def test_a_redis_cluster_is_named_as_one(folder, muster):
    """First it has no slots (CLUSTERDOWN), then one node has them all: still no place for keys that belong together."""
    place = folder / "cluster"
    place.mkdir()
    server = RedisServer(place, arguments=["--cluster-enabled", "yes", "--cluster-port", free_port()])
    try:
        m = muster(f'[redis]\nurl = "{server.url}"\nwait = "0s"\n[program.w]\ncommand = "sleep 1000"\nregistry = "rq"\n'
                   'start_timeout = "300ms"\nready = { after = "0s" }\n')
        worker = m.running("w")
        eventually(10, lambda: m.log_lines("redis-away", "CLUSTERDOWN", "this is a Redis Cluster"))
        server.client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        eventually(10, lambda: "cluster_state:ok" in server.client.execute_command("CLUSTER", "INFO"))
        eventually(30, lambda: m.log_lines("redis-away", "CROSSSLOT", "this is a Redis Cluster"))
        assert m.get("/v1/status")[1]["redis"]["state"] == "away"
        assert m.one("w")["incarnation"] == worker["incarnation"] and processes.is_alive(worker["pid"])
        m.kill()  # it would wait for Redis to tell of the worker's end
    finally:
        server.stop()


def test_every_row_of_the_document_is_a_test():
    rows = re.findall(r"\| `(test_\w+|\w+)` \|$", DOCUMENT.read_text(), re.MULTILINE)
    tests = {fault.__name__ for fault in FAULTS} | {name for name in globals()
                                                    if name.startswith("test_")}
    elsewhere = {"test_redis_tls", "test_redis_sentinel"}
    assert len(rows) >= len(FAULTS) and set(rows) - elsewhere <= tests
    assert {fault.__name__ for fault in FAULTS} <= set(rows)
