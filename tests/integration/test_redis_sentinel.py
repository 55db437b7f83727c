"""redis+sentinel:// against real sentinels, and a real failover."""

import subprocess

import pytest
import redis as redis_py

from support import processes, rig
from support.eventually import PATIENCE, eventually
from support.redis_server import RedisServer, free_port

PASSWORD = "sentinels-own"


class Sentinel:
    def __init__(self, folder, master):
        self.port = free_port()
        file = folder / "sentinel.conf"
        file.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {folder}\nrequirepass {PASSWORD}\n"
            f"sentinel monitor shop 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds shop 300\nsentinel failover-timeout shop 2000\n")
        log = open(folder / "sentinel.log", "ab")
        self.process = subprocess.Popen(["redis-server", str(file), "--sentinel"],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self.client = redis_py.Redis(port=self.port, password=PASSWORD, decode_responses=True)
        eventually(10, self.knows_a_replica, "the sentinel knowing the replica")

    def knows_a_replica(self):
        try:
            return self.client.sentinel_master("shop")["num-slaves"] >= 1
        except redis_py.RedisError as error:
            raise OSError(str(error)) from error

    def stop(self):
        self.client.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def pair(folder):
    """A master with one replica, and a sentinel that watches them."""
    places = [folder / name for name in ("one", "two", "watch")]
    for place in places:
        place.mkdir()
    one = RedisServer(places[0], arguments=["--repl-diskless-sync-delay", 0])
    two = RedisServer(places[1], arguments=["--replicaof", "127.0.0.1", one.port])
    eventually(10, lambda: two.client.info("replication")["master_link_status"] == "up")
    sentinel = Sentinel(places[2], one)
    yield one, two, sentinel
    sentinel.stop()
    one.stop()
    two.stop()


def url(*ports, service="shop", more=""):
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"redis+sentinel://{hosts}/{service}/0?sentinel_password={PASSWORD}{more}"


def test_the_master_is_followed_through_a_failover(folder, pair, muster):
    one, two, sentinel = pair
    dead = free_port()
    m = muster(f'[redis]\nurl = "{url(dead, sentinel.port)}"\n'  # the first is not there
               'connect_timeout = "2s"\ncommand_timeout = "1s"\n'
               f'[program.w]\ncommand = "{rig.STUB} --redis redis://127.0.0.1:{two.port} '
               '--name {name}"\nregistry = "rq"\nautostart = false\n'
               '[program.other]\ncommand = "sleep 1000"\n')
    m.running("other")
    eventually(5, lambda: m.log_lines("redis-connected"))
    dataset = one.client.hget("muster:dataset", "id")
    assert dataset
    eventually(5, lambda: two.client.hget("muster:dataset", "id") == dataset)
    processes.kill(one.process.pid)
    eventually(20, lambda: two.client.info("replication")["role"] == "master", "a failover")
    eventually(25, lambda: len(m.log_lines("redis-connected")) == 2, "muster at the new master")
    assert "redis-away" in m.log()
    assert "dataset=new" not in m.log_lines("redis-connected")[1]
    m.post("/v1/processes/w/start?wait=true")  # it registers at the new master, and is seen
    worker = m.one("w")
    assert worker["ready"], m.log()
    processes.kill(worker["pid"])
    eventually(5, lambda: worker["name"] not in two.workers())
    two.client.sadd("rq:workers", "rq:worker:gone")
    done = subprocess.run([rig.BINARY, "sweep", "-c", str(m.file)], text=True, check=False,
                          env=rig.environment("sentinel"), capture_output=True, timeout=20 * PATIENCE)
    assert done.returncode == 0 and "1 stale" in done.stdout, done
    assert PASSWORD not in m.log() + done.stdout + done.stderr


def check(folder, address):
    file = folder / "check.toml"
    file.write_text(f'[redis]\nurl = "{address}"\nconnect_timeout = "1s"\n')
    done = subprocess.run([rig.BINARY, "check", "-c", str(file), "--connect"], text=True,
                          env=rig.environment("sentinel"), capture_output=True, check=False,
                          timeout=20 * PATIENCE)
    assert PASSWORD not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


def test_what_the_sentinels_cannot_tell_is_told(folder, pair):
    one, two, sentinel = pair
    status, said = check(folder, url(sentinel.port))
    assert status == 0 and f"the master of shop is 127.0.0.1:{one.port}" in said, said
    status, said = check(folder, url(sentinel.port, service="shoes"))
    assert status == 1 and "does not know a service 'shoes'" in said, said
    status, said = check(folder, url(free_port(), free_port()))
    assert status == 1 and "no sentinel says who the master is" in said, said
    status, said = check(folder, f"redis+sentinel://127.0.0.1:{sentinel.port}/shop/0")
    assert status == 1 and "wants a password" in said, said
    # Whom it names is a replica by now: a failover that it has not seen.
    one.client.replicaof("127.0.0.1", two.port)
    status, said = check(folder, url(sentinel.port))
    assert status == 1 and "is a replica" in said, said
