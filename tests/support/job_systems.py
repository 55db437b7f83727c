"""Other job systems than RQ, where scripts/test found them, and the jobs given to them."""

import json
import os
import pathlib
import subprocess
import sys
import uuid

from support import processes
from support.rig import IN_WORKER, environment

# {"celery": folder, …} from MUSTER_TEST_JOB_SYSTEMS="celery=folder dramatiq=folder …"
FOUND = {name: pathlib.Path(place) for name, _, place in
         (item.partition("=") for item in os.environ.get("MUSTER_TEST_JOB_SYSTEMS", "").split())}


class Job:
    """What it notes, and the gate that lets it finish."""

    def __init__(self, folder):
        label = uuid.uuid4().hex[:8]
        self.id = label
        self.notes = folder / f"job-{label}"
        self.gate = folder / f"gate-{label}"

    @property
    def arguments(self):
        return [str(self.notes), str(self.gate)]

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

    @property
    def pid(self):
        return int(self._noted("start")[-1][1])

    @property
    def runs(self):
        return self.starts > 0 and processes.is_alive(self.pid)

    def let_finish(self):
        self.gate.touch()


class JobSystem:
    """One kind of worker on one Redis: its command, its environment, its jobs."""

    kind = ""
    options = ()  # lines of the program's table

    def __init__(self, redis_server, folder, queue="jobs"):
        self.queue = queue
        self.redis = redis_server
        self.client = redis_server.client
        self.folder = folder

    @property
    def place(self):
        return FOUND[self.kind]

    def command(self, name="{name}"):
        raise NotImplementedError

    def environment(self):
        return {}

    def program(self, *lines):
        """A muster.toml with one program of such workers."""
        words = ", ".join(json.dumps(str(word)) for word in self.command())
        pairs = ", ".join(f"{key} = {json.dumps(str(value))}"
                          for key, value in self.environment().items())
        return "\n".join([
            "[redis]", f'url = "{self.redis.url}"', "[program.worker]", f"command = [{words}]",
            f'registry = "{self.kind}"', f"environment = {{ {pairs} }}", *self.options, *lines, ""])

    def foreign(self, mark):
        """A worker that nobody supervises."""
        name = "foreign-" + uuid.uuid4().hex[:6]
        process = subprocess.Popen(
            [str(word) for word in self.command(name)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=environment(mark, {**self.environment(), "MUSTER_WORKER_NAME": name}))
        process.name = name
        return process

    def ask(self, *words):
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                              env=environment("ask", self.environment()), check=False, cwd=IN_WORKER)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


class Sidekiq(JobSystem):
    kind = "sidekiq"

    def __init__(self, *arguments, timeout=25, **options):
        super().__init__(*arguments, **options)
        self.timeout = timeout

    def command(self, name="{name}"):
        return [self.place, "-r", IN_WORKER / "sidekiq_app.rb", "-c", "1", "-t", self.timeout,
                "-q", self.queue, "-e", "production"]

    def environment(self):
        return {"REDIS_URL": self.redis.url}

    def enqueue(self):
        job = Job(self.folder)
        self.client.sadd("queues", self.queue)
        self.client.lpush(f"queue:{self.queue}", json.dumps({
            "class": "Until", "args": job.arguments, "jid": job.id, "queue": self.queue,
            "retry": False, "created_at": 1778894688.5, "enqueued_at": 1778894688.5}))
        return job

    def listed(self):
        """As its own API sees it. Sidekiq 7 tells on stdout, too, that it has connected."""
        return set(json.loads(self.ask("ruby", IN_WORKER / "sidekiq_app.rb", "--list").splitlines()[-1]))


class Celery(JobSystem):
    kind = "celery"

    def command(self, name="{name}"):
        return [self.place / "bin" / "celery", "--workdir", IN_WORKER, "-A", "celery_app", "worker",
                "-n", name + "@%h", "-c", "1", "-Q", self.queue, "--without-gossip",
                "--without-mingle", "--loglevel", "WARNING"]

    def environment(self):
        return {"BROKER": self.redis.url, "C_FORCE_ROOT": "1"}

    def enqueue(self):
        job = Job(self.folder)
        self.ask(self.place / "bin" / "python", "-c",
                 "import celery_app, sys; celery_app.until.delay(*sys.argv[1:])", *job.arguments)
        return job

    def listed(self):
        """Who answers remote control, by name."""
        text = self.ask(
            self.place / "bin" / "python", "-c", "import celery_app, json; print(json.dumps("
            "[name for one in celery_app.app.control.ping(timeout=1) for name in one]))")
        names = [name.partition("@")[0] for name in json.loads(text)]
        assert len(names) == len(set(names)), names
        return set(names)


class Dramatiq(JobSystem):
    kind = "dramatiq"

    def command(self, name="{name}"):
        return [self.place / "bin" / "dramatiq", "--path", IN_WORKER, "--processes", "1",
                "--threads", "1", "--queues", self.queue, "--", "dramatiq_app"]

    def environment(self):
        return {"BROKER": self.redis.url}

    def enqueue(self):
        job = Job(self.folder)
        self.ask(self.place / "bin" / "python", "-c",
                 "import dramatiq_app, sys; dramatiq_app.until.send(*sys.argv[1:])", *job.arguments)
        return job

    def listed(self):
        """Brokers that are heard, by their random ids."""
        return set(self.client.zrange("dramatiq:__heartbeats__", 0, -1))


class BullMQ(JobSystem):
    kind = "bullmq"

    def command(self, name="{name}"):
        return ["node", IN_WORKER / "bullmq_app.js", "work", self.redis.port]

    def environment(self):
        return {"NODE_PATH": self.place / "node_modules"}

    def enqueue(self):
        job = Job(self.folder)
        job.id = self.ask("node", "bullmq_app.js", "add", self.redis.port, *job.arguments)
        return job

    def listed(self):
        """As its own getWorkers() sees it: by connection, which carries the name."""
        return {name.rpartition(":w:")[2] for name in
                json.loads(self.ask("node", "bullmq_app.js", "workers", self.redis.port))}


class Resque(JobSystem):
    kind = "resque"

    def command(self, name="{name}"):
        return [sys.executable, IN_WORKER / "resque_stand_in.py", self.redis.port, self.queue]

    def enqueue(self):
        job = Job(self.folder)
        self.client.rpush(f"resque:queue:{self.queue}",
                          json.dumps({"class": "Until", "args": job.arguments}))
        return job

    def listed(self):
        return self.client.smembers("resque:workers")


class HomeMade(JobSystem):
    kind = "custom"
    options = ("[program.worker.custom]", 'set = "crew"', 'key = "crew:{name}"',
               'fields = { pid = "{pid}" }')

    def command(self, name="{name}"):
        return [sys.executable, IN_WORKER / "home_made.py", self.redis.port, name]

    def listed(self):
        return self.client.smembers("crew")
