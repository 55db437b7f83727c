"""A Redis of our own, on a unix socket and a loopback port, which keeps nothing."""

import socket
import subprocess

import redis

from support.eventually import eventually


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RedisServer:
    def __init__(self, folder, password=None, arguments=(), answers=True):
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.password = password
        self.arguments = [str(word) for word in arguments]
        self.port = free_port()
        self.process = None
        self.start(answers)

    @property
    def url(self):
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    @property
    def unix_url(self):
        return f"unix://{self.socket}"

    def start(self, answers=True):
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1",
                   "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no",
                   "--dir", str(self.folder), "--daemonize", "no"]
        if self.password:
            command += ["--requirepass", self.password]
        command += self.arguments
        log = open(self.folder / "redis.log", "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self.client = redis.Redis(unix_socket_path=str(self.socket), password=self.password,
                                  decode_responses=True)
        if answers:
            eventually(10, self._answers, "redis-server answering")

    def _answers(self):
        try:
            return self.client.ping()
        except redis.RedisError as error:
            raise OSError(str(error)) from error

    def stop(self):
        if self.process is None:
            return
        self.client.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def dump(self, own=False):
        """The keyspace as plain values: {key: value}; muster's own keys only with `own`."""
        found = {}
        for key in sorted(self.client.scan_iter(count=1000)):
            if key.startswith("muster:") and not own:
                continue
            kind = self.client.type(key)
            if kind == "hash":
                found[key] = self.client.hgetall(key)
            elif kind == "set":
                found[key] = set(self.client.smembers(key))
            elif kind == "zset":
                found[key] = dict(self.client.zrange(key, 0, -1, withscores=True))
            elif kind == "list":
                found[key] = self.client.lrange(key, 0, -1)
            elif kind == "string":
                found[key] = self.client.get(key)
        return found

    def workers(self):
        """Names in rq:workers."""
        return {member.removeprefix("rq:worker:") for member in self.client.smembers("rq:workers")}

    def worker(self, name):
        return self.client.hgetall(f"rq:worker:{name}")

    def traces_of(self, name):
        """All keys and set entries that speak of this worker."""
        key = f"rq:worker:{name}"
        found = [one for one in self.client.scan_iter(match=f"{key}*", count=1000)
                 if one == key or one.startswith(key + ":")]
        for members in self.client.scan_iter(match="rq:workers*", count=1000):
            if self.client.sismember(members, key):
                found.append(f"{members} has {key}")
        return found
