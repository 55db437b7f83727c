"""Containerfile as it is written, all its stages; and the example image with it in, at work."""

import io
import tarfile

import pytest

from images.conftest import ROOT
from support.eventually import eventually

# What python:3-slim is for our purpose, where that cannot be pulled: Debian, and `pip` and `python` on the path.
PYTHON = """ARG DEBIAN
FROM ${DEBIAN}
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && python3 -m venv /usr/local/python
ENV PATH=/usr/local/python/bin:/usr/local/bin:/usr/bin:/bin
"""


@pytest.fixture(scope="module")
def muster_image(build_image, debian):
    return build_image("muster", ROOT, ROOT / "Containerfile", DEBIAN=debian("bookworm"))


def files_of(podman, image):
    made = podman.call("create", image, check=True).stdout.strip()
    try:
        target = podman.scratch / "files.tar"
        podman.call("export", "-o", target, made, check=True)
        with tarfile.open(fileobj=io.BytesIO(target.read_bytes())) as tar:
            return {one.name: one.size for one in tar if one.isfile()}
    finally:
        podman.call("rm", "-f", made)


def test_the_image_is_one_file(podman, muster_image):
    """FROM scratch with /muster: it runs, and its entry point is muster."""
    files = files_of(podman, muster_image)
    assert set(files) == {"muster"} and files["muster"] <= 8_000_000
    print(f"/muster of the image: {files['muster']} bytes")
    said = podman.run("--rm", "--network=none", muster_image, "version")
    assert said.returncode == 0 and said.stdout.startswith("muster "), said.stdout + said.stderr
    shown = podman.call("image", "inspect", "--format", "{{.Config.Entrypoint}} {{.Config.Cmd}} {{.Config.Healthcheck.Test}}",
                        muster_image, check=True).stdout.strip()
    assert shown == "[/muster] [run] [CMD /muster health]"
    lacking = podman.run("--rm", "--network=none", muster_image)  # no file: a sentence, and a status
    assert lacking.returncode == 2 and "muster.toml" in lacking.stdout + lacking.stderr, lacking.stderr


def test_the_example_image_runs_jobs(podman, build_image, debian, muster_image, redis_server, container, tmp_path):
    """conf/platforms/Containerfile on a Python image: real RQ does a job, and nothing is left of its workers."""
    python = build_image.of("python", PYTHON, tmp_path, DEBIAN=debian("trixie"))
    platforms = ROOT / "conf" / "platforms"
    workers = build_image("workers", platforms, platforms / "Containerfile", MUSTER=muster_image, BASE=python)
    url = f"redis://127.0.0.1:{redis_server.port}/0"
    one = container(image=workers, network="host", options=["-e", f"REDIS_URL={url}"])
    eventually(30, lambda: one.execute("muster", "health").returncode == 0, "its health")
    assert len(redis_server.workers()) == 2
    enqueue = f"import redis, rq, os; rq.Queue('shap-jobs', connection=redis.Redis.from_url('{url}')).enqueue(os.getpid)"
    done = one.execute("python", "-c", enqueue)
    assert done.returncode == 0, done.stderr
    eventually(20, lambda: redis_server.client.zcard("rq:finished:shap-jobs") == 1, "the job's end")
    stopped = podman.call("stop", "-t", "30", one.name)
    assert stopped.returncode == 0 and one.wait() == 0, one.log()
    assert redis_server.workers() == set()
