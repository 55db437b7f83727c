"""conf/platforms: files of others' formats are right as far as we know them, and the muster.toml in them is, too."""

import pathlib
import subprocess

import pytest
import yaml

from support import rig

PLATFORMS = pathlib.Path(__file__).resolve().parents[2] / "conf" / "platforms"
SHUTDOWN = 28 + 3  # seconds: the default shutdown_timeout, and for Redis to be told


def parts(name):
    return [one for one in yaml.safe_load_all((PLATFORMS / name).read_text()) if one]


def check(path, **variables):
    return subprocess.run([rig.BINARY, "check", "--print", "-c", path], text=True, capture_output=True,
                          env=rig.environment("check", variables), check=False)


def verbs_are_known(command):
    """A command that a platform runs is one of muster's own."""
    assert pathlib.Path(command[0]).name == "muster"
    done = subprocess.run([rig.BINARY, *command[1:], "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("platform", [{"RENDER_SERVICE_NAME": "analytics-worker"}, {"SERVICE_NAME": "analytics-worker"}])
def test_the_workers_have_a_stable_service_name(platform):
    done = check(PLATFORMS / "workers.toml", REDIS_URL="redis://redis:6379/0", **platform)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'service = "analytics-worker"' in done.stdout
    lacking = check(PLATFORMS / "workers.toml")
    assert lacking.returncode == 2 and "redis.url: REDIS_URL: the platform gives it" in lacking.stderr + lacking.stdout


def test_render():
    [file] = parts("render.yaml")
    worker = file["services"][0]
    assert worker["type"] == "worker" and worker["maxShutdownDelaySeconds"] > SHUTDOWN
    verbs_are_known(worker["dockerCommand"].split()[:2])
    assert {one["key"] for one in worker["envVars"]} == {"REDIS_URL"}


def test_kubernetes(tmp_path):
    settings, deployment, scaled = parts("kubernetes.yaml")
    secret = tmp_path / "url"
    secret.write_text("redis://:s3cret@redis:6379/0\n")
    file = tmp_path / "muster.toml"
    file.write_text(settings["data"]["muster.toml"].replace("/run/secrets/redis/url", str(secret)))
    done = check(file)
    assert done.returncode == 0 and "s3cret" not in done.stdout, done.stdout + done.stderr
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] > SHUTDOWN
    verbs_are_known(container["command"][:2])
    for probe in ("livenessProbe", "readinessProbe"):
        verbs_are_known(container[probe]["exec"]["command"])
    shell, option, hook = container["lifecycle"]["preStop"]["exec"]["command"]
    assert (shell, option) == ("sh", "-c") and hook.endswith(" || true")
    verbs_are_known(hook.removesuffix(" || true").split())
    mounted = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert set(mounted) == {one["name"] for one in pod["volumes"]}
    assert container["command"][-1].startswith(mounted["configuration"])
    assert scaled["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


def test_a_liveness_probe_does_not_ask_for_ready_workers(muster):
    """Else a bad release, or somebody else's outage, would restart the pod for ever."""
    instance = muster('[program.slow]\ncommand = "sleep 1000"\nready = { tcp = "127.0.0.1:1" }\n')
    assert instance.client("health").returncode == 1
    done = instance.client("health", "--live")
    assert done.returncode == 0 and done.stdout == "alive\n"


def test_compose():
    [file] = parts("compose.yaml")
    workers = file["services"]["workers"]
    assert int(workers["stop_grace_period"].rstrip("s")) > SHUTDOWN
    verbs_are_known(workers["command"][:2])
    verbs_are_known(workers["healthcheck"]["test"][1:])
    assert set(workers["depends_on"]) <= set(file["services"])
