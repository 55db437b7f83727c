"""The static binary in other images than ours, at work: an empty one, one with musl as Alpine has it, one with what distroless
has. Redis is in a container of its own, found by its name, and spoken to by TLS with a CA of its own.

Neither Alpine's nor distroless' own images are pulled: theirs is the layout, and the workers are linked with musl.
"""

import glob
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from support import certificates, processes, rig
from support.eventually import eventually
from support.podman import APPLETS

SOURCE = pathlib.Path(rig.__file__).with_name("small_worker.c")
PASSWD = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


@pytest.fixture(scope="module")
def authority(podman):
    place = podman.scratch / "tls"
    place.mkdir()
    made = certificates.Authority(place)
    made.certificate("server", "DNS:redis")
    return made


class Base:
    """An image, and how its muster trusts the Redis."""

    def __init__(self, image, linked, tls="", program="", uid=0):
        self.image, self.linked, self.tls, self.program, self.uid = image, linked, tls, program, uid


@pytest.fixture(scope="module")
def base(podman, authority, static_binary):
    """base(name): that image, with muster and a worker in it."""
    if shutil.which("musl-gcc") is None:
        pytest.skip("no musl-gcc (scripts/setup --containers)")

    def worker(linked, *options):
        target = podman.scratch / f"worker-{linked}"
        subprocess.run(["musl-gcc", "-O1", "-s", "-Wall", "-Werror", *options, "-o", target, SOURCE], check=True)
        return target

    def text(name, content):
        target = podman.scratch / name
        target.write_text(content)
        return target

    def empty():
        files = {"/bin/muster": static_binary, "/bin/worker": worker("static", "-static")}
        return Base(podman.make_image("base-empty", files), "static", f'tls = {{ ca_file = "{authority.file}" }}\n')

    def musl():
        loader = glob.glob("/lib/ld-musl-*.so.1")[0]
        files = {"/bin/muster": static_binary, "/bin/worker": worker("musl"), "/bin/busybox": shutil.which("busybox"), loader: loader,
                 "/etc/passwd": text("passwd", PASSWD), BUNDLE: authority.file}
        links = {"lib/libc.musl.so.1": os.path.basename(loader), "etc/ssl/cert.pem": "certs/ca-certificates.crt"}
        return Base(podman.make_image("base-musl", files, APPLETS, links=links), "musl")

    def distroless():
        ours = pathlib.Path(BUNDLE).read_text() + authority.file.read_text()
        files = {"/bin/muster": static_binary, "/bin/worker": worker("static", "-static"), BUNDLE: text("bundle", ours),
                 "/etc/passwd": text("passwd", PASSWD), "/etc/group": text("group", "root:x:0:\nnonroot:x:65532:\n"),
                 "/etc/nsswitch.conf": text("nsswitch", "hosts: files dns\n"),
                 "/usr/share/zoneinfo/Europe/Paris": "/usr/share/zoneinfo/Europe/Paris"}
        return Base(podman.make_image("base-distroless", files, settings=("ENV PATH=/bin", "ENV TZ=Europe/Paris")), "static",
                    program='user = "nonroot"\n', uid=65532)

    return lambda name: {"empty": empty, "musl": musl, "distroless": distroless}[name]()


@pytest.fixture(scope="module")
def network(podman):
    name = podman.name()
    made = podman.call("network", "create", name)
    if made.returncode != 0:
        pytest.skip(f"no network between containers here: {made.stderr.strip()[-200:]}")
    yield name
    podman.call("network", "rm", "-f", name)


@pytest.fixture
def redis(podman, container, network, authority):
    """In a container of its own whose name in the network is `redis`; what is asked of it, it is asked there."""
    image = podman.make_image("redis", {f"/bin/{one}": shutil.which(one) for one in ("redis-server", "redis-cli")})
    place = authority.folder
    one = container("redis-server", "--save", "", "--protected-mode", "no", "--bind", "0.0.0.0", "--port", "6379", "--tls-port", "6380",
                    "--tls-cert-file", place / "server.pem", "--tls-key-file", place / "server.key",
                    "--tls-ca-cert-file", authority.file, "--tls-auth-clients", "no", image=image, network=network,
                    options=["--network-alias", "redis", "-v", f"{place}:{place}:ro"])

    def ask(*words):
        done = one.execute("redis-cli", *words)
        assert done.returncode == 0, done.stderr + one.log()
        return done.stdout.split()

    eventually(10, lambda: ask("ping") == ["PONG"], "redis-server answering")
    return ask


def libraries(pid):
    """Files that are mapped as code or data, beside the program itself."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        files = {line.split(None, 5)[5].strip() for line in maps if len(line.split(None, 5)) == 6}
    return {os.path.basename(one) for one in files if one.startswith("/")} - {os.path.basename(os.readlink(f"/proc/{pid}/exe"))}


@pytest.mark.parametrize("name", ["empty", "musl", "distroless"])
def test_workers_with_a_redis_of_another_container(name, base, redis, network, muster, authority):
    """Two are registered, one is killed and replaced, and nothing is left: names, TLS and children, in each image."""
    where = base(name)
    instance = muster(
        f'[redis]\nurl = "rediss://redis:6380"\n{where.tls}[program.shap]\nregistry = "rq"\nprocesses = 2\n'
        f'command = "worker redis 6379 {{name}}"\nready = "registered"\n{where.program}',
        image=where.image, network=network, options=["-v", f"{authority.folder}:{authority.folder}:ro"])
    first = instance.running()
    registered = lambda: {one.removeprefix("rq:worker:") for one in redis("smembers", "rq:workers")}  # noqa: E731
    assert registered() == {one["name"] for one in first}

    assert libraries(instance.pid) == set()
    for child in processes.children(instance.pid):
        assert {one.split("-x")[0].split("-a")[0] for one in libraries(child)} == ({"ld-musl"} if where.linked == "musl" else set())
        assert os.stat(f"/proc/{child}").st_uid == where.uid

    checked = instance.container.execute("muster", "check", "--connect", "-c", str(instance.file))
    assert checked.returncode == 0 and "certificate for redis" in checked.stdout, checked.stdout + checked.stderr

    killed = first[0]
    os.kill(instance.host_pid(killed["id"]), signal.SIGKILL)
    new = instance.running(but=[killed])
    eventually(10, lambda: registered() == {one["name"] for one in new}, "the living, and no other")
    assert not redis("keys", f"rq:worker:{killed['name']}*")
    instance.logged(" released ", f"name={killed['name']} ", "verdict=removed")

    assert instance.terminate() == 0, instance.log()
    assert registered() == set()
