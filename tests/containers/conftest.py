import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from integration.conftest import folder, redis_server, time_limit  # noqa: E402,F401
from support import podman as real, rig  # noqa: E402


@pytest.fixture(scope="session")
def podman():
    try:
        found = real.Podman()
    except real.CannotHave as why:
        pytest.skip(f"no containers: {why}")
    yield found
    found.close()


@pytest.fixture
def container(podman, folder):
    """Starts containers and removes them after the test: container(command, …)."""
    started = []

    def start(*command, **options):
        place = options.pop("folder", folder / f"c{len(started)}")
        started.append(real.Container(podman, place, command, **options))
        return started[-1]

    yield start
    for one in started:
        one.remove()


@pytest.fixture
def muster(podman, folder):
    """Starts musters, each in a container of its own: muster(config, …)."""
    started = []

    def start(config, **options):
        wait = options.pop("wait", True)
        place = options.pop("folder", folder / f"m{len(started)}")
        started.append(real.ContainedMuster(podman, place, config, wait=False, **options))
        if wait:
            started[-1].wait_until_up()
        return started[-1]

    yield start
    for one in reversed(started):
        one.close()


@pytest.fixture(scope="session")
def static_binary():
    if not real.is_static(rig.BINARY):
        pytest.skip("this muster is linked dynamically: build it with -Dstatic=true")
    return rig.BINARY
