"""Images that are built here as anybody would build them: `scripts/test --images`. They want the network (apt, pip) and minutes."""

import configparser
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from integration.conftest import folder, redis_server  # noqa: E402,F401
from containers.conftest import container, podman, static_binary  # noqa: E402,F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
# This machine's own, which may name a mirror: a build has its certificates and pip's settings, and leaves them out of the image.
# The certificates have another place there: the package of that name wants to write its own.
CERTIFICATES, LENT_CERTIFICATES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt"), "/run/lent/ca-certificates.crt"
PIP = pathlib.Path("/etc/pip.conf")


@pytest.fixture(autouse=True)
def time_limit():
    """Builds take what they take."""


class Builder:
    def __init__(self, podman):
        self.podman = podman
        self.made = []
        self.lent = []
        if CERTIFICATES.exists():
            settings = configparser.RawConfigParser()
            settings.read(PIP)
            if not settings.has_section("global"):
                settings.add_section("global")
            settings.set("global", "cert", LENT_CERTIFICATES)
            with open(podman.scratch / "pip.conf", "w", encoding="utf-8") as file:
                settings.write(file)
            self.lent = [f"--volume={CERTIFICATES}:{LENT_CERTIFICATES}:ro", f"--volume={file.name}:{PIP}:ro"]

    def __call__(self, name, folder, file, **arguments):
        """The image of a Containerfile and of what lies in its folder."""
        image = f"localhost/muster-test-{os.getpid()}-{name}"
        # Where pulling is not possible, what is there must do; a build reaches apt by the host's network.
        done = self.podman.call(
            "build", "--network=host", "--format=docker", "-t", image, "-f", file, *self.lent,
            *[f"--build-arg={key}={value}" for key, value in arguments.items()], folder, timeout=1500)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        self.made.append(image)
        return image

    def of(self, name, text, tmp_path, **arguments):
        """The same of a text."""
        file = tmp_path / f"{name}.Containerfile"
        file.write_text(text)
        return self(name, tmp_path, file, **arguments)

    def close(self):
        for image in reversed(self.made):
            self.podman.call("rmi", "-f", image)


@pytest.fixture(scope="session")
def build_image(podman):
    builder = Builder(podman)
    yield builder
    builder.close()


@pytest.fixture(scope="session")
def debian(podman):
    """debian(release): that image, pulled where it is not here."""

    def have(release):
        name = f"debian:{release}-slim"
        for one in (f"localhost/{name}", f"docker.io/library/{name}"):
            if podman.call("image", "exists", one).returncode == 0:
                return one
        if podman.call("pull", "-q", f"docker.io/library/{name}", timeout=300).returncode == 0:
            return f"docker.io/library/{name}"
        pytest.skip(f"no image {name}: it is not here, and cannot be pulled")

    return have


@pytest.fixture(scope="session")
def package(static_binary, tmp_path_factory):
    """The Debian package of the build that is tested."""
    build = pathlib.Path(static_binary).resolve().parents[1]
    if build.parent != ROOT / "build":
        pytest.skip("the binary is not of this tree's build/")
    done = subprocess.run([ROOT / "scripts" / "package", "--build", build.name, "--out", tmp_path_factory.mktemp("p")],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return pathlib.Path(done.stdout.strip().splitlines()[-1])
