"""rediss:// against real redis-servers: what is accepted, what is refused, and what then is said."""

import json
import socket
import ssl
import subprocess
import threading

import pytest

from support import certificates, processes, rig
from support.eventually import PATIENCE, eventually
from support.redis_server import RedisServer, free_port


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Certificates, and two servers that speak TLS: one for anybody, one for known clients."""
    folder = tmp_path_factory.mktemp("t")
    if "which this muster was built without" in check(folder, "rediss://h")[1]:
        pytest.skip("built with -Dtls=disabled: rediss:// is refused in words")

    class Made:
        ca = certificates.Authority(folder, "ca")
        other_ca = certificates.Authority(folder, "other")
        server = ca.certificate("server", "DNS:localhost", "DNS:redis.example")
        client = ca.certificate("client")
        stranger = other_ca.certificate("stranger")
        expired = ca.certificate("old", "DNS:localhost", expired=True)
        servers = []

        @classmethod
        def start(cls, certificate, clients="no"):
            place = folder / f"r{len(cls.servers)}"
            place.mkdir()
            port = free_port()
            server = RedisServer(place, arguments=[
                "--tls-port", port, "--tls-cert-file", certificate[0], "--tls-key-file",
                certificate[1], "--tls-ca-cert-file", cls.ca.file, "--tls-auth-clients", clients])
            server.tls_port = port
            cls.servers.append(server)
            return server

    Made.open = Made.start(Made.server)
    Made.closed = Made.start(Made.server, clients="yes")
    yield Made
    for server in Made.servers:
        server.stop()


def environment(more=None):
    """The system's CA certificates are where the system has them."""
    kept = {key: value for key, value in rig.environment("tls").items()
            if not key.startswith("SSL_CERT_")}
    return {**kept, **(more or {})}


def check(folder, url, tls="", env=None):
    file = folder / "muster.toml"
    file.write_text(f'[redis]\nurl = "{url}"\nconnect_timeout = "500ms"\n{tls}\n')
    done = subprocess.run([rig.BINARY, "check", "-c", str(file), "--connect"], text=True,
                          env=environment(env), capture_output=True, check=False,
                          timeout=20 * PATIENCE)
    return done.returncode, done.stdout + done.stderr


def tls(**settings):
    inner = ", ".join(f'{key} = "{value}"' for key, value in settings.items())
    return f"tls = {{ {inner} }}"


def test_a_certificate_of_a_known_ca_for_the_host_is_accepted(folder, made):
    status, said = check(folder, f"rediss://localhost:{made.open.tls_port}",
                         tls(ca_file=made.ca.file))
    assert status == 0, said
    assert "TLSv1.3, certificate for localhost, redis.example by test ca\n" in said
    assert "localhost is " in said and "it is a master, Redis " in said


def test_an_unknown_ca_is_refused_and_the_setting_is_named(folder, made):
    url = f"rediss://localhost:{made.open.tls_port}"
    for settings in ("", tls(ca_file=made.other_ca.file)):
        status, said = check(folder, url, settings)
        assert status == 1, said
        assert "certificate is not accepted" in said and "redis.tls: ca_file" in said
        assert 'verify = "none"' in said
    for variable in ({"SSL_CERT_FILE": str(made.ca.file)},):  # as the system's
        assert check(folder, url, "", variable)[0] == 0


def test_a_system_without_ca_certificates_is_told(folder, made):
    """As in a container made from scratch."""
    if subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0:
        pytest.skip("no user namespaces here")
    file = folder / "muster.toml"
    file.write_text(f'[redis]\nurl = "rediss://localhost:{made.open.tls_port}"\n')
    script = ('for place in /etc/ssl /etc/pki /usr/share/ssl; do '
              '[ -d $place ] && mount -t tmpfs none $place; done; exec "$@"')
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, "sh", rig.BINARY, "check", "-c",
                           str(file), "--connect"], capture_output=True, text=True, check=False,
                          env=environment(), timeout=20 * PATIENCE)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "this system has no CA certificates" in done.stdout
    assert "install ca-certificates" in done.stdout and "ca_file" in done.stdout


def test_a_certificate_for_another_host_is_refused_but_by_verify_ca(folder, made):
    url = f"rediss://127.0.0.1:{made.open.tls_port}"
    status, said = check(folder, url, tls(ca_file=made.ca.file))
    assert status == 1, said
    assert "is not for 127.0.0.1 but for localhost, redis.example" in said
    assert 'verify = "ca"' in said
    status, said = check(folder, url, tls(ca_file=made.ca.file, verify="ca"))
    assert status == 0, said
    assert check(folder, url, tls(ca_file=made.other_ca.file, verify="ca"))[0] == 1


def test_an_address_in_the_certificate_is_a_host(folder, made):
    server = made.start(made.ca.certificate("ip", "IP:127.0.0.1"))
    status, said = check(folder, f"rediss://127.0.0.1:{server.tls_port}",
                         tls(ca_file=made.ca.file))
    assert status == 0, said


@pytest.mark.parametrize("host, named", [("localhost", "localhost"), ("127.0.0.1", None)])
def test_the_host_is_named_before_its_certificate_is_shown(folder, made, host, named):
    """Server name indication, by which one address may have many certificates; an address is no name."""
    heard = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*made.server)
    context.sni_callback = lambda _, name, __: heard.append(name)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10 * PATIENCE)

    def serve():
        try:
            with listener.accept()[0] as plain, context.wrap_socket(plain, server_side=True) as connection:
                connection.recv(1)
        except OSError:
            pass  # it did not like our certificate

    server = threading.Thread(target=serve)
    server.start()
    check(folder, f"rediss://{host}:{listener.getsockname()[1]}", tls(verify="none"))
    server.join()
    listener.close()
    assert heard == [named]


def test_an_expired_certificate_is_refused(folder, made):
    server = made.start(made.expired)
    url = f"rediss://localhost:{server.tls_port}"
    for verify in ("full", "ca"):
        status, said = check(folder, url, tls(ca_file=made.ca.file, verify=verify))
        assert status == 1 and "expired" in said and "renew it" in said, said
    assert check(folder, url, tls(verify="none"))[0] == 0


def test_verify_none_takes_anybody_and_says_so(folder, made):
    status, said = check(folder, f"rediss://127.0.0.1:{made.open.tls_port}", tls(verify="none"))
    assert status == 0, said
    assert "not verified" in said and "impostor" in said


def test_a_server_that_wants_a_client_certificate_gets_ours(folder, made):
    url = f"rediss://localhost:{made.closed.tls_port}"
    status, said = check(folder, url, tls(ca_file=made.ca.file))
    assert status == 1 and "cert_file and key_file" in said, said
    cert, key = made.client
    status, said = check(folder, url, tls(ca_file=made.ca.file, cert_file=cert, key_file=key))
    assert status == 0, said
    cert, key = made.stranger
    status, said = check(folder, url, tls(ca_file=made.ca.file, cert_file=cert, key_file=key))
    assert status == 1 and "cert_file and key_file" in said, said
    status, said = check(folder, url, tls(ca_file=made.ca.file, cert_file=made.client[0],
                                          key_file=key))
    assert status == 1 and "redis.tls.key_file" in said, said
    status, said = check(folder, url, tls(ca_file=key))
    assert status == 1 and "redis.tls.ca_file" in said, said


def test_TLS_where_there_is_none_and_none_where_there_is_TLS(folder, made):
    status, said = check(folder, f"rediss://localhost:{made.open.port}", tls(verify="none"))
    assert status == 1 and "redis:// is without" in said, said
    status, said = check(folder, f"redis://localhost:{made.open.tls_port}")
    assert status == 1 and "rediss:// is with" in said, said


def test_muster_works_over_TLS(folder, made, muster):
    """A worker's death is told over TLS, and a certificate changed in the file is used."""
    server = made.start(made.server)
    config = (f'[redis]\nurl = "rediss://localhost:{server.tls_port}/0"\n'
              f'{tls(ca_file=made.ca.file)}\n'
              f'[program.w]\ncommand = "{rig.STUB} --redis {server.url} --name {{name}}"\n'
              'registry = "rq"\n')
    m = muster(config)
    first = m.running("w")
    assert server.workers() == {first["name"]}
    processes.kill(first["pid"])
    second = m.running("w", but=[first])
    eventually(5, lambda: server.workers() == {second["name"]})
    server.client.sadd("rq:workers", "rq:worker:gone")
    alone = ["sweep", "-c", str(m.file), "--json"]  # without a supervisor, by the same file
    for more in ([], ["--redis", f"rediss://localhost:{server.tls_port}/0"]):
        done = subprocess.run([rig.BINARY, *alone, *more], text=True, env=environment(),
                              capture_output=True, check=False, timeout=20 * PATIENCE)
        assert done.returncode == 0 and json.loads(done.stdout)["stale"] == 1, done
    assert "redis-away" not in m.log() and "redis-not-verified" not in m.log()


def test_verify_none_is_warned_of_once(folder, made, muster):
    server = made.start(made.server)
    m = muster(f'[redis]\nurl = "rediss://localhost:{server.tls_port}/0"\n{tls(verify="none")}\n'
               '[program.w]\ncommand = "sleep 100"\n')
    eventually(5, lambda: m.log_lines("redis-connected"))
    server.client.client_kill_filter(_type="normal", skipme=True)
    eventually(10, lambda: len(m.log_lines("redis-connected")) == 2)
    assert len(m.log_lines("WARN", "redis-not-verified")) == 1
