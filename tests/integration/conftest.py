import pathlib
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from support import job_systems, processes, real_rq as real, rig  # noqa: E402
from support.eventually import PATIENCE  # noqa: E402
from support.redis_server import RedisServer  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "works_for(seconds): how long the test may take, where 180 s are not enough")


@pytest.fixture(autouse=True)
def time_limit(request):
    """A test that hangs is a test that fails. What is itself at work for long says so: pytest.mark.works_for(seconds)."""
    longer = request.node.get_closest_marker("works_for")
    seconds = int((longer.args[0] if longer else 180) * PATIENCE)

    def too_late(*_):
        raise AssertionError(f"the test took more than {seconds} s")

    signal.signal(signal.SIGALRM, too_late)
    signal.alarm(seconds)
    yield
    signal.alarm(0)


@pytest.fixture
def folder(tmp_path_factory):
    """Short: a unix socket's path has room for 107 characters."""
    return tmp_path_factory.mktemp("m")


@pytest.fixture
def redis_server(folder):
    place = folder / "redis"
    place.mkdir()
    server = RedisServer(place)
    yield server
    server.stop()


@pytest.fixture
def muster(folder):
    """Starts musters and ends them after the test: muster(config, …)."""
    started = []

    def start(config, *, wait=True, **options):
        place = options.pop("folder", folder / f"m{len(started)}")
        instance = rig.Muster(place, config, wait=False, **options)
        started.append(instance)  # before it is waited for: one that does not come up is ended too
        if wait:
            instance.wait_until_up()
        return instance

    yield start
    for instance in reversed(started):
        instance.close()


@pytest.fixture
def stub(folder, redis_server):
    """Starts worker_stubs that nobody supervises: live workers of somebody else."""
    mark = str(folder / "foreign")
    started = []

    def start(name, queue="jobs", *extra):
        process = subprocess.Popen(
            [rig.STUB, "--redis", redis_server.url, "--name", name, "--queues", queue, *extra],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=rig.environment(mark))
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    processes.end_marked(mark)


def pytest_generate_tests(metafunc):
    if "real_rq" in metafunc.fixturenames:
        versions = list(real.VENVS)
        if versions:
            metafunc.parametrize("real_rq", versions, indirect=True)
        else:
            metafunc.parametrize(
                "real_rq",
                [pytest.param("", marks=pytest.mark.skip(reason="no RQ: see MUSTER_TEST_RQ"))],
                indirect=True)


@pytest.fixture
def real_rq(request, redis_server, folder):
    return real.Rq(request.param, redis_server, folder)


@pytest.fixture
def job_system(redis_server, folder):
    """job_system(job_systems.Sidekiq, …): skipped where it is not to be had."""

    def make(kind, **options):
        if kind.kind not in (*job_systems.FOUND, "resque", "custom"):
            pytest.skip(f"no {kind.kind}: see MUSTER_TEST_JOB_SYSTEMS")
        return kind(redis_server, folder, **options)

    return make


@pytest.fixture
def foreign(folder):
    """Starts workers of a job system that nobody supervises: foreign(system)."""
    mark = str(folder / "foreign-systems")
    started = []

    def start(system):
        started.append(system.foreign(mark))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
    processes.end_marked(mark)
