"""The files of conf/platforms at work: podman plays the Kubernetes file, podman-compose the compose file; the other platforms'
commands are run as they are written, with their variables.

Their images are ours, with a stub for RQ's worker. What podman itself lacks is named where it is replaced.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tomllib

import pytest
import yaml

from support import rig
from support.eventually import eventually
from support.podman import APPLETS

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLATFORMS, DOCUMENT = ROOT / "conf" / "platforms", ROOT / "docs" / "platforms.md"
# What `rq worker QUEUE [--with-scheduler] [--url URL] --name NAME` does, as far as its place in Redis goes.
RQ = """#!/bin/sh
shift
queue=$1 url=$RQ_REDIS_URL
shift
while [ $# -gt 0 ]; do
    case $1 in
        --url) url=$2; shift ;;
        --name) name=$2; shift ;;
    esac
    shift
done
exec worker_stub --redis "$url" --queues "$queue" --name "$name"
"""


@pytest.fixture(scope="module")
def image(podman):
    rq = podman.scratch / "rq"
    rq.write_text(RQ)
    rq.chmod(0o755)
    files = {"/bin/busybox": shutil.which("busybox"), "/bin/muster": rig.BINARY, "/bin/worker_stub": rig.STUB, "/bin/rq": rq,
             "/bin/redis-server": shutil.which("redis-server"), "/bin/redis-cli": shutil.which("redis-cli")}
    return podman.make_image("workers", files, APPLETS)


class Kubernetes:
    """kubernetes.yaml's pods by `podman kube play`, in the host's network."""

    def __init__(self, podman, image, redis_server, folder):
        self.podman = podman
        settings, deployment, _ = yaml.safe_load_all((PLATFORMS / "kubernetes.yaml").read_text())
        # The store is everybody's: names of our own. Nothing is pulled.
        self.name = podman.name()
        settings["metadata"]["name"] = f"{self.name}-settings"
        deployment["metadata"]["name"] = self.name
        pod = deployment["spec"]["template"]["spec"]
        [self.spec] = pod["containers"]
        self.spec["image"], self.spec["imagePullPolicy"] = image, "Never"
        volumes = {one["name"]: one for one in pod["volumes"]}
        volumes["configuration"]["configMap"]["name"] = f"{self.name}-settings"
        # podman 4.3 puts a secret's base64 into the file, and does not take it for a variable at all.
        secret = folder / "secret"
        secret.mkdir()
        (secret / "url").write_text(redis_server.url)
        del volumes["redis"]["secret"]
        volumes["redis"]["hostPath"] = {"path": str(secret)}
        self.spec["env"] = [{"name": "RQ_REDIS_URL", "value": redis_server.url}]
        # podman keeps an emptyDir as a volume of this name.
        volumes["tmp"]["name"] = f"{self.name}-tmp"
        next(one for one in self.spec["volumeMounts"] if one["name"] == "tmp")["name"] = f"{self.name}-tmp"
        self.file = folder / "kubernetes.yaml"
        self.file.write_text(yaml.safe_dump_all([settings, deployment]))
        self.containers = []

    def up(self):
        done = self.podman.call("kube", "play", "--network", "host", self.file)
        if done.returncode != 0:
            pytest.skip(f"podman cannot play it: {done.stderr.strip()[-300:]}")
        listed = self.podman.call("ps", "--filter", f"name={self.name}", "--format", "{{.Names}}", check=True).stdout.split()
        self.containers = [one for one in listed if one.endswith("-workers")]
        assert self.containers

    def probe(self, container, name):
        return self.podman.call("exec", container, *self.spec[name]["exec"]["command"])

    def pre_stop(self, container):
        return self.podman.call("exec", container, *self.spec["lifecycle"]["preStop"]["exec"]["command"])

    def close(self):
        self.podman.call("kube", "down", self.file)
        pods = self.podman.call("pod", "ls", "--filter", f"name={self.name}", "--format", "{{.Name}}").stdout.split()
        for pod in pods:
            self.podman.call("pod", "rm", "-f", "-t", "0", pod)
        self.podman.call("volume", "rm", "-f", f"{self.name}-settings", f"{self.name}-tmp")


def test_kubernetes(podman, image, redis_server, folder):
    """Any uid, a read-only root, no capability: up by its probes, each worker registered, and nothing left at the end."""
    deployment = Kubernetes(podman, image, redis_server, folder)
    try:
        deployment.up()
        for one in deployment.containers:
            eventually(15, lambda container=one: deployment.probe(container, "readinessProbe").returncode == 0, "its readiness")
            assert deployment.probe(one, "livenessProbe").returncode == 0
            # By podman's own hand, too, which takes the liveness probe for its health check.
            assert podman.call("healthcheck", "run", one).returncode == 0
            assert podman.call("exec", one, "id", "-u").stdout == "10001\n"
            listed = podman.call("exec", one, "muster", "status").stdout
            assert listed.count("RUNNING") == 2, listed
        assert len(redis_server.workers()) == 2 * len(deployment.containers)
        assert {redis_server.client.hget(f"rq:worker:{one}", "queues") for one in redis_server.workers()} == {"shap-jobs"}
        for one in deployment.containers:
            assert deployment.pre_stop(one).returncode == 0
            stopped = podman.call("stop", "-t", "30", one)
            assert stopped.returncode == 0, stopped.stderr
            assert podman.call("wait", one).stdout.strip() == "0"
        assert redis_server.workers() == set()
    finally:
        deployment.close()


@pytest.fixture
def compose(podman, image, folder):
    """compose(word, …) for compose.yaml with our images, in a project of its own."""
    program = os.environ.get("MUSTER_TEST_COMPOSE") or shutil.which("podman-compose")
    if not program:
        pytest.skip("no podman-compose (from PyPI)")
    file = yaml.safe_load((PLATFORMS / "compose.yaml").read_text())
    for service in file["services"].values():
        service["image"] = image
    file["services"]["redis"]["command"] += ["--protected-mode", "no"]  # as redis:7 says by itself
    place = folder / podman.name()  # whose name is the project's
    place.mkdir()
    (place / "compose.yaml").write_text(yaml.safe_dump(file))
    shutil.copy(PLATFORMS / "workers.toml", place)

    def call(*words):
        return subprocess.run([program, *words], cwd=place, env=podman.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=120, check=False)

    call.project = place.name
    yield call
    call("down", "-t", "0", "-v")


def test_compose(podman, compose):
    """Two containers of workers and a Redis that they find by its name; healthy by the file's own check, and down in order."""
    done = compose("up", "-d")
    listed = podman.call("ps", "--filter", f"name={compose.project}", "--format", "{{.Names}}").stdout.split()
    workers = [one for one in listed if "workers" in one]
    redis = [one for one in listed if "redis" in one]
    if not redis or not workers:
        pytest.skip(f"podman-compose cannot bring it up here: {(done.stdout + done.stderr).strip()[-400:]}")

    def keys(*words):
        return podman.call("exec", redis[0], "redis-cli", *words).stdout.split()

    for one in workers:
        try:
            eventually(20, lambda container=one: podman.call("healthcheck", "run", container).returncode == 0, "its health")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{podman.call('logs', one).stderr}") from None
    assert len(keys("smembers", "rq:workers")) == 2 * len(workers)
    fleet = podman.call("exec", workers[0], "muster", "fleet")
    assert fleet.returncode == 0 and "analytics" in fleet.stdout, fleet.stdout + fleet.stderr
    stopped = podman.call("stop", "-t", "35", *workers)
    assert stopped.returncode == 0, stopped.stderr
    assert {podman.call("wait", one).stdout.strip() for one in workers} == {"0"}
    assert keys("smembers", "rq:workers") == []


def of_render():
    [worker, _] = yaml.safe_load((PLATFORMS / "render.yaml").read_text())["services"]
    return {"command": worker["dockerCommand"], "variables": {"RENDER_SERVICE_NAME": worker["name"], "RENDER_INSTANCE_ID": "srv-1-a"},
            "service": worker["name"], "stops_within": worker["maxShutdownDelaySeconds"]}


def of_heroku():
    line = re.search(r"`worker: (muster [^`]*)`", DOCUMENT.read_text()).group(1)
    return {"command": line, "variables": {"DYNO": "worker.1", "SERVICE_NAME": "analytics"}, "options": ["-w", "/app"],
            "service": "analytics", "stops_within": 30}


def of_fly():
    file = tomllib.loads(re.search(r"```toml\n# fly.toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL).group(1))
    assert file["kill_signal"] == "SIGTERM"
    return {"command": file["processes"]["worker"], "variables": {"FLY_MACHINE_ID": "148e1", "FLY_APP_NAME": "shop"},
            "options": ["--init"], "service": "analytics", "stops_within": file["kill_timeout"]}


@pytest.mark.parametrize("platform", [of_render, of_heroku, of_fly])
def test_a_platform_runs_workers_toml_by_its_own_command(podman, image, redis_server, container, platform):
    """With the platform's variables and no others: the service has its stable name, and nothing is left at the end."""
    words = platform()
    command = words["command"].split()
    place = command[command.index("-c") + 1]
    variables = {**words["variables"], "REDIS_URL": redis_server.url}
    one = container(*command, image=image, network="host", options=[
        *words.get("options", []), *[f"--env={name}={value}" for name, value in variables.items()],
        "-v", f"{PLATFORMS / 'workers.toml'}:{place if place.startswith('/') else '/app/' + place}:ro"])
    eventually(15, lambda: one.execute("muster", "health").returncode == 0, "its health")
    assert len(redis_server.workers()) == 2
    fleet = one.execute("muster", "fleet").stdout
    assert words["service"] in fleet, fleet
    stopped = podman.call("stop", "-t", words["stops_within"], one.name)
    assert stopped.returncode == 0 and one.wait() == 0, one.log()
    assert redis_server.workers() == set()
