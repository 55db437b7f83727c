"""One static binary: what it finds and does in an image that holds nothing else."""

import os
import pathlib
import pwd
import re
import shutil
import subprocess

import pytest

from support import certificates, rig
from support.eventually import eventually
from support.name_server import NameServer
from support.redis_server import RedisServer, free_port


def most():
    """Bytes, stripped. OpenSSL 3.5 brings 2.7 MB more than 3.0 does: the algorithms that it has since."""
    version = subprocess.run(["pkg-config", "--modversion", "openssl"], capture_output=True, text=True, check=True).stdout
    return 8_000_000 if tuple(map(int, version.split(".")[:2])) < (3, 5) else 11_000_000


@pytest.fixture(scope="session")
def stripped(static_binary, tmp_path_factory):
    place = tmp_path_factory.mktemp("s") / "muster"
    subprocess.run(["strip", "-o", place, static_binary], check=True)
    return place


@pytest.fixture(scope="session")
def empty_image(podman, stripped):
    return podman.make_image("empty", {"/muster": stripped}, settings=('ENTRYPOINT ["/muster"]',))


def test_its_size(stripped):
    size = os.path.getsize(stripped)
    print(f"{size} bytes")
    assert size <= most()


def test_the_code_that_a_muster_at_work_runs_lies_together(stripped):
    """supervisor/hot_code.ld names functions: of a list that is out of date little is found."""
    listed = subprocess.run(["readelf", "-SW", stripped], check=True, capture_output=True, text=True).stdout
    size = int(re.search(r"\.hot_code\s+PROGBITS\s+\S+\s+\S+\s+(\S+)", listed)[1], 16)
    assert 256 * 1024 < size < 1024 * 1024


def test_it_runs_where_there_is_nothing_else(podman, empty_image):
    def run(*words):
        done = podman.run("--rm", "--network=none", empty_image, *words)
        return done.returncode, done.stdout + done.stderr

    assert run("version")[0] == 0
    assert run("run", "--", "/muster", "version")[0] == 0
    status, said = run("run", "--", "/bin/sh")
    assert status == 127 and "/bin/sh" in said
    status, said = run("health")
    assert status == 1 and "cannot be reached" in said, said  # a probe before the supervisor is up


def test_it_loads_no_module_to_look_a_name_up(static_binary, folder, redis_server):
    """On a machine, whose nsswitch.conf names some. (The modules' thread-local data is not there for each thread of a static
    program: a reload with a `user` was muster's end.)"""
    names = folder / "nsswitch.conf"
    names.write_text("passwd: compat\ngroup: compat\ninitgroups: compat\nhosts: compat files\n")
    program = '[program.one]\ncommand = "sleep 1000"\nready = { after = "0s" }\nuser = "USER"\n'
    config = f'[redis]\nurl = "redis://localhost:{redis_server.port}"\n{program}'
    instance = rig.Muster(folder / "m", config.replace("USER", "nobody"), before=[
        "unshare", "--mount", "sh", "-c", f'mount --bind {names} /etc/nsswitch.conf && exec "$@"', "sh"])
    try:
        first = instance.running("one")
        eventually(10, lambda: instance.log_lines("redis-connected"))
        instance.write(config.replace("USER", "daemon"))
        assert instance.client("reload").returncode == 0
        second = instance.running("one", but=[first])
        assert os.stat(f"/proc/{second['pid']}").st_uid == pwd.getpwnam("daemon").pw_uid
        instance.write(config.replace("USER", "nobody-by-this-name"))
        refused = instance.client("reload")
        assert refused.returncode == 2 and "nobody-by-this-name" in refused.stderr, refused
        assert ".so" not in pathlib.Path(f"/proc/{instance.pid}/maps").read_text()
    finally:
        instance.close()


@pytest.fixture(scope="module")
def reached(tmp_path_factory):
    """A Redis by TCP and TLS, whose name only a name server knows."""
    folder = tmp_path_factory.mktemp("d")

    class Reached:
        authority = certificates.Authority(folder)
        port = free_port()
        names = NameServer({"redis.muster.test": "127.0.0.1"})

    certificate, key = Reached.authority.certificate("server", "DNS:redis.muster.test")
    Reached.folder = folder
    Reached.server = RedisServer(folder, arguments=[
        "--tls-port", Reached.port, "--tls-cert-file", certificate, "--tls-key-file", key,
        "--tls-ca-cert-file", Reached.authority.file, "--tls-auth-clients", "no"])
    yield Reached
    Reached.server.stop()
    Reached.names.stop()


def check(podman, image, reached, url, files=None):
    """`muster check --connect` of this URL in the container's own words."""
    place = reached.folder / "in"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / "muster.toml").write_text(f'[redis]\nurl = "{url}"\nconnect_timeout = "2s"\n')
    (place / "resolv.conf").write_text(f"nameserver {reached.names.address}\noptions attempts:1 timeout:1\n")
    mounts = ["-v", f"{place}/muster.toml:/muster.toml:ro", "-v", f"{place}/resolv.conf:/etc/resolv.conf:ro"]
    for target, text in (files or {}).items():
        source = place / target.replace("/", "_")
        source.write_text(text)
        mounts += ["-v", f"{source}:{target}:ro"]
    done = podman.run("--rm", "--network=host", *mounts, image, "check", "-c", "/muster.toml", "--connect")
    return done.returncode, done.stdout + done.stderr


# As a distribution with systemd has it: modules that this image, and a static binary, have not.
NSSWITCH = "hosts: files mymachines resolve [!UNAVAIL=return] mdns4_minimal [NOTFOUND=return] myhostname dns\n"


@pytest.mark.parametrize("files", [{}, {"/etc/nsswitch.conf": "hosts: files dns\n"},
                                   {"/etc/nsswitch.conf": NSSWITCH}], ids=["none", "plain", "systemd"])
def test_names_are_looked_up(podman, empty_image, reached, files):
    before = len(reached.names.asked)
    status, said = check(podman, empty_image, reached, f"redis://redis.muster.test:{reached.server.port}", files)
    assert status == 0, said
    assert "redis.muster.test" in reached.names.asked[before:]
    status, said = check(podman, empty_image, reached, "redis://nobody.muster.test", files)
    assert status == 1 and "looking up the host nobody.muster.test" in said, said


def test_a_name_of_the_hosts_file(podman, empty_image, reached):
    status, said = check(podman, empty_image, reached, f"redis://mine:{reached.server.port}",
                         {"/etc/hosts": "127.0.0.1 mine\n"})
    assert status == 0, said


def test_TLS_by_the_systems_certificates_or_a_sentence(podman, empty_image, reached):
    url = f"rediss://redis.muster.test:{reached.port}"
    status, said = check(podman, empty_image, reached, url)
    assert status == 1 and "this system has no CA certificates" in said and "ca_file" in said, said
    status, said = check(podman, empty_image, reached, url,
                         {"/etc/ssl/certs/ca-certificates.crt": reached.authority.file.read_text()})
    assert status == 0 and "TLSv1.3, certificate for redis.muster.test" in said, said


def test_the_debian_package(podman, static_binary, tmp_path):
    """Is made of this build, holds what it says, and its binary runs in an image without anything."""
    build = pathlib.Path(static_binary).resolve().parents[1]
    root = pathlib.Path(__file__).resolve().parents[2]
    if build.parent != root / "build" or shutil.which("dpkg-deb") is None:
        pytest.skip("the binary is not of this tree's build/, or there is no dpkg-deb")
    done = subprocess.run([root / "scripts" / "package", "--build", build.name, "--out", tmp_path],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    package = done.stdout.strip().splitlines()[-1]
    fields = subprocess.run(["dpkg-deb", "--field", package], capture_output=True, text=True, check=True).stdout
    assert "Package: muster\n" in fields and "Depends:" not in fields
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path / "x"], check=True)
    unit = (tmp_path / "x" / "usr/lib/systemd/system/muster.service").read_text()
    assert "Type=notify" in unit and "ExecStart=/usr/bin/muster run" in unit
    assert os.path.getsize(tmp_path / "x" / "usr/bin/muster") <= most()
    image = podman.make_image("package", {"/muster": tmp_path / "x" / "usr/bin/muster"})
    assert podman.run("--rm", "--network=none", image, "/muster", "version").returncode == 0
