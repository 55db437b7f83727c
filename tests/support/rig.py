"""The real muster binary on a file of its own, spoken to over its control socket."""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess

from support import processes
from support.eventually import PATIENCE, eventually

BINARY = os.environ.get("MUSTER_BINARY", "muster")
STUB = os.environ.get("WORKER_STUB", "worker_stub")
IN_WORKER = pathlib.Path(__file__).resolve().parent / "in_worker"  # what real workers import


class _Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def call(path, method, target, body=None, timeout=30):
    """One request: (status, parsed JSON or text)."""
    connection = _Connection(path, timeout * PATIENCE)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        text = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
        connection.request(method, target, body=text, headers=headers)
        answer = connection.getresponse()
        content = answer.read().decode()
    finally:
        connection.close()
    try:
        return answer.status, json.loads(content)
    except ValueError:
        return answer.status, content


def environment(mark, extra=None):
    """What a rig's processes see: nothing of ours that muster would read by itself."""
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith(("MUSTER_", "REDIS_", "RQ_"))}
    kept[processes.MARK] = mark
    kept["PYTHONPATH"] = str(IN_WORKER)
    kept["PYTHONUNBUFFERED"] = "1"
    kept["PYTHONWARNINGS"] = "ignore"
    kept["PYTHONDONTWRITEBYTECODE"] = "1"
    kept["NO_COLOR"] = "1"
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
        if name in os.environ:
            kept[name] = os.environ[name]
    kept.update(extra or {})
    return kept


def keeps_nothing_freed():
    """For a muster whose memory is measured: a sanitizer's build keeps what was freed, up to 256 MiB of it, and old stacks."""
    least = "quarantine_size_mb=1:detect_stack_use_after_return=0"
    return {"ASAN_OPTIONS": ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), least]))}


class Muster:
    """Owns one `muster run`; what it left is ended with it."""

    def __init__(self, folder, config, *, arguments=(), before=(), env=None, wait=True,
                 stdout=None, control=True, binary=BINARY):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.control = folder / "c" / "control.sock"
        self.file = folder / "muster.toml"
        self.log_path = folder / "muster.log"
        self.binary = str(binary)
        self.before = list(before)  # a command that runs ours: unshare, setpriv
        self.arguments = list(arguments)
        self.mark = str(folder)
        self.env = environment(self.mark, env)
        self.stdout = stdout
        self.process = None
        self.write(config, control)
        self.start(wait)

    def write(self, config, control=True):
        table = "[supervisor]\n"
        if control:  # into the config's own table, where it has one
            config = config if table in config else table + config
            config = config.replace(table, f'{table}control = "{self.control}"\n', 1)
        self.file.write_text(config)

    def start(self, wait=True):
        assert self.process is None
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            [*self.before, self.binary, "run", "-c", str(self.file), *self.arguments],
            stdin=subprocess.DEVNULL, stdout=self.stdout or log, stderr=log, env=self.env,
            cwd=self.folder)
        log.close()
        if wait:
            self.wait_until_up()

    def wait_until_up(self):
        eventually(10, self.answers, "muster answering on its control socket")

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"muster ended with {self.process.returncode}:\n{self.log()}")
        return call(self.control, "GET", "/livez", timeout=2)[0] == 200

    @property
    def pid(self):
        """Of muster itself, seen from here, also when something was put before it."""
        if not self.before:
            return self.process.pid
        name = os.path.basename(self.binary)
        for pid in [self.process.pid, *processes.descendants(self.process.pid)]:
            line = processes.command_line(pid)
            if line and os.path.basename(line[0]) == name:
                return pid
        raise LookupError("muster's pid")

    def log(self):
        return self.log_path.read_text(errors="replace")

    def log_lines(self, *words):
        return [line for line in self.log().splitlines() if all(word in line for word in words)]

    def logged(self, *words):
        """Once it is: a line goes out in another thread, and what it tells of may be seen before."""
        try:
            return eventually(10, lambda: self.log_lines(*words), f"a line with {words}")
        except AssertionError as error:
            raise AssertionError(f"{error}; the end of the log:\n{self.log()[-4000:]}") from None

    # Its control socket.

    def get(self, target):
        return call(self.control, "GET", target)

    def post(self, target, body=None, timeout=60):
        return call(self.control, "POST", target, body, timeout)

    def processes(self):
        status, body = self.get("/v1/processes")
        assert status == 200, body
        return {one["id"]: one for one in body["processes"]}

    def one(self, process):
        return self.processes()[process]

    def state(self, process):
        return self.one(process)["state"]

    def running(self, *ids, seconds=15, but=()):
        """Waits until they run, are ready and are none of these incarnations; returns them."""

        def claim():
            seen = self.processes()
            wanted = [seen[one] for one in (ids or seen)]
            old = {(one["id"], one["incarnation"]) for one in but}
            lacking = [(one["id"], one["state"], one["ready"]) for one in wanted
                       if one["state"] != "RUNNING" or not one["ready"]
                       or (one["id"], one["incarnation"]) in old]
            assert not lacking, lacking
            return wanted

        try:
            found = eventually(seconds, claim, f"{ids or 'all'} running")
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- its log\n{self.log()[-6000:]}") from None
        return found[0] if len(ids) == 1 else found

    def host_pid(self, process):
        """The pid as seen from here of a process whose pid muster knows inside its namespace."""
        return self.host_pid_of(self.one(process))

    def host_pid_of(self, seen):
        """The same of one whose view was read before."""
        for pid in processes.children(self.pid):
            if processes.pid_in_namespace(pid) == seen["pid"]:
                return pid
        raise LookupError(seen["id"])

    def client(self, *arguments, timeout=60):
        return subprocess.run([BINARY, "-s", str(self.control), *arguments], env=self.env,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout * PATIENCE, check=False)

    # Its end.

    def terminate(self, seconds=40):
        """Asks it to shut down; returns its exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds=20):
        try:
            status = self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"muster did not end in {seconds} s:\n{self.log()[-6000:]}") from None
        self.process = None
        return status

    def kill(self):
        """SIGKILL, as by the kernel's out-of-memory killer."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def close(self):
        if self.process is not None:
            try:
                self.terminate(20)
            except (AssertionError, LookupError, ProcessLookupError):
                self.process.kill()
                self.process.wait()
                self.process = None
        processes.end_marked(self.mark)
