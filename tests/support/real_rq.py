"""Real RQ, in the versions that scripts/test laid down: one virtual environment each."""

import fcntl
import os
import pathlib
import subprocess
import uuid

from support.rig import IN_WORKER, environment

# {"2.3.3": folder, …} from MUSTER_TEST_RQ="2.3.3=folder newest=folder"
VENVS = {name: pathlib.Path(folder) for name, _, folder in
         (item.partition("=") for item in os.environ.get("MUSTER_TEST_RQ", "").split())}


class Rq:
    """One version of RQ on one Redis, and the jobs given to it."""

    def __init__(self, version, redis_server, folder):
        self.version = version
        self.redis = redis_server
        self.folder = folder
        self.bin = VENVS[version] / "bin"

    def command(self, queue="jobs", name="{name}", *extra):
        """As a TOML array."""
        words = [str(self.bin / "rq"), "worker", "--url", self.redis.url]
        if name is not None:
            words += ["--name", name]
        return "[" + ", ".join(f'"{word}"' for word in [*words, *extra, *queue.split(",")]) + "]"

    def program(self, *lines, program="shap", queue="jobs", extra=(), name="{name}"):
        """A muster.toml with one program of RQ workers."""
        return "\n".join([
            "[redis]", f'url = "{self.redis.url}"', f"[program.{program}]",
            f"command = {self.command(queue, name, *extra)}", 'registry = "rq"', *lines, ""])

    def enqueue(self, function="until", queue="jobs", retries=0, delay=0):
        label = uuid.uuid4().hex[:8]
        job = Job(self, label)
        arguments = [str(job.notes)] + ([str(job.gate)] if function == "until" else [])
        done = subprocess.run(
            [self.bin / "python", IN_WORKER / "enqueue.py", self.redis.url, queue, str(retries),
             str(delay), f"job_functions.{function}", *arguments],
            env=environment("enqueue"), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        job.id = done.stdout.strip()
        return job


class Job:
    def __init__(self, rq, label):
        self.rq = rq
        self.id = None
        self.notes = rq.folder / f"job-{label}"
        self.gate = rq.folder / f"gate-{label}"

    def _noted(self, word):
        try:
            lines = self.notes.read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line.split() for line in lines if line.startswith(word + " ")]

    @property
    def starts(self):
        return len(self._noted("start"))

    @property
    def ends(self):
        return len(self._noted("end"))

    def started_at(self, number):
        return float(self._noted("start")[number - 1][2])

    @property
    def horse(self):
        """Of its latest run."""
        return int(self._noted("start")[-1][1])

    @property
    def runs(self):
        """Somebody has its lock: also where pids are others than here."""
        if self.starts == 0:
            return False
        with self.notes.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @property
    def status(self):
        return self.rq.redis.client.hget(f"rq:job:{self.id}", "status")

    def let_finish(self):
        self.gate.touch()
