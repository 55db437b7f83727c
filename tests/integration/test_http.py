"""The control API over TCP: who is let in, and who is not."""

import base64
import json
import os
import shutil
import socket
import subprocess
import xmlrpc.client

import pytest

from support.eventually import eventually
from support.rig import BINARY, environment

TOKEN = "s3cret:with-colon"
PROGRAM = """
[program.a]
command = "sleep 1000"
ready = { after = "0s" }
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def config(port, address="127.0.0.1", extra=""):
    return f'[supervisor]\nhttp = "{address}:{port}"\n{extra}\n{PROGRAM}'


def speak(port, text, address="127.0.0.1"):
    """Bytes in, all bytes out until the server closes or has answered whole."""
    with socket.create_connection((address, port), timeout=10) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.decode().partition("\r\n\r\n")
    return int(head.split()[1]), head, body


def get(port, path="/v1/processes", method="GET", **headers):
    lines = {"Host": f"127.0.0.1:{port}", **{key.replace("_", "-"): value for key, value in headers.items()}}
    text = "".join(f"{key}: {value}\r\n" for key, value in lines.items() if value is not None)
    return speak(port, f"{method} {path} HTTP/1.1\r\n{text}\r\n")


def basic(password, user="anybody"):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_on_loopback_without_a_token_this_host_is_served_and_web_pages_are_not(muster):
    port = free_port()
    instance = muster(config(port))
    instance.running("a")
    pid = instance.one("a")["pid"]
    status, _, body = get(port)
    assert status == 200 and json.loads(body)["processes"][0]["pid"] == pid
    for host in (None, "", "localhost", f"[::1]:{port}", "10.1.2.3"):
        assert get(port, Host=host)[0] == 200, host
    rebound = get(port, "/v1/processes/a/stop", "POST", Host=f"evil.example:{port}")
    crossed = get(port, "/v1/processes/a/stop?wait=true", "POST", Origin="http://evil.example")
    form = speak(port, f"POST /RPC2 HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: null\r\n"
                 "Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc")
    for status, head, body in (rebound, crossed, form):
        assert status == 403, head
        assert json.loads(body)["error"]["message"], body
    assert "Access-Control" not in rebound[1] + crossed[1] + get(port, Origin=f"http://127.0.0.1:{port}")[1]
    assert instance.one("a")["pid"] == pid and instance.state("a") == "RUNNING"
    assert get(port, "/metrics")[0] == 200
    server = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{port}/RPC2")
    assert server.supervisor.getProcessInfo("a")["pid"] == pid
    # The unix socket is not concerned: who may open it has said who he is.
    assert instance.get("/livez")[0] == 200
    instance.logged("listening", f"port={port}")


def test_with_a_token_whoever_has_it_and_nobody_else(muster, folder):
    port = free_port()
    (folder / "token").write_text(TOKEN + "\n")
    instance = muster(config(port, "0.0.0.0", f'http_token_file = "{folder}/token"'))
    instance.running("a")
    for right in (f"Bearer {TOKEN}", f"bearer {TOKEN}", basic(TOKEN), basic(TOKEN, "")):
        assert get(port, Authorization=right, Host="muster.example")[0] == 200, right
    for path in ("/v1/status", "/RPC2", "/logtail/a", "/mainlogtail", "/metrics", "/livez", "/nosuch"):
        for wrong in (None, "", TOKEN, "Bearer", f"Bearer {TOKEN}x", "Bearer " + TOKEN[:-1], basic("x"),
                      "Basic %", "Basic " + base64.b64encode(TOKEN.encode()[:6]).decode(), f"Digest {TOKEN}"):
            status, head, body = get(port, path, Authorization=wrong)
            assert (status, "WWW-Authenticate: Basic realm=" in head) == (401, True), (path, wrong)
            assert "Connection: close" in head and TOKEN not in body
    assert get(port, Authorization=basic(TOKEN), Origin="http://evil.example")[0] == 403
    server = xmlrpc.client.ServerProxy(f"http://me:{TOKEN.replace(':', '%3A')}@127.0.0.1:{port}/RPC2")
    assert server.supervisor.getState()["statename"] == "RUNNING"
    with pytest.raises(xmlrpc.client.ProtocolError, match="401"):
        xmlrpc.client.ServerProxy(f"http://me:wrong@127.0.0.1:{port}/RPC2").supervisor.getState()
    printed = subprocess.run([BINARY, "check", "--print", "-c", instance.file], env=instance.env,
                             capture_output=True, text=True, check=True, timeout=60).stdout
    assert f'http = "0.0.0.0:{port}"' in printed and TOKEN not in printed + instance.log()
    (folder / "token").write_text("another\n")
    assert "supervisor.http_token_file" in instance.client("reload", "--dry-run").stdout


def test_a_crowd_over_tcp_leaves_the_socket_free(muster):
    port = free_port()
    instance = muster(config(port))
    crowd = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(200)]
    try:
        for one in crowd[:100]:
            one.sendall(b"GET /livez HTTP/1.1\r\n")  # and no more
        assert instance.get("/livez")[0] == 200

        def refused():  # each of those that are too many is told so
            count = 0
            for one in crowd:
                one.setblocking(False)
                try:
                    start = one.recv(4096, socket.MSG_PEEK)
                except BlockingIOError:
                    continue
                assert start.startswith(b"HTTP/1.1 503 ") and b"too_many_connections" in start, start
                count += 1
            return count == 200 - 64

        eventually(10, refused)
    finally:
        for one in crowd:
            one.close()
    eventually(10, lambda: get(port, "/livez")[0] == 200)


def test_what_is_open_to_everybody_is_refused_and_a_port_that_is_taken_is_told(muster, folder):
    file = folder / "open.toml"
    file.write_text(config(9001, "0.0.0.0"))
    for command in (["check", "-c", file], ["run", "-c", file]):
        done = subprocess.run([BINARY, *command], env=environment(str(folder)), capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.returncode == 2, done
        assert "open.toml:2:8: supervisor.http: whoever reaches this address" in done.stdout + done.stderr
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        instance = muster(config(port), wait=False)
        assert instance.wait() == 1
    assert f"supervisor.http: listening on 127.0.0.1:{port}: address already in use" in instance.log()


SUPERVISORCTL = {"PyPI": os.environ.get("MUSTER_TEST_SUPERVISOR", "") + "/bin/supervisorctl",
                 "Debian": os.environ.get("MUSTER_TEST_DEBIAN_SUPERVISORCTL", "")}


@pytest.mark.parametrize("whose", SUPERVISORCTL)
def test_supervisorctl_with_user_and_password(muster, folder, whose):
    program = SUPERVISORCTL[whose]
    if not os.access(program, os.X_OK):
        pytest.skip(f"no supervisorctl of {whose}")
    port = free_port()
    (folder / "token").write_text(TOKEN)
    instance = muster(config(port, extra=f'http_token_file = "{folder}/token"'))
    instance.running("a")

    def ask(*command, password=TOKEN):
        done = subprocess.run([program, "-s", f"http://localhost:{port}", "-u", "me", "-p", password, *command],
                              capture_output=True, text=True, timeout=60, env=environment(str(folder)))
        return done.returncode, done.stdout, done.stderr

    status = ask("status")
    assert status[0] == 0 and "RUNNING" in status[1], status
    assert ask("restart", "a")[1] == "a: stopped\na: started\n"
    assert ask("tail", "a") == (0, "\n", "")
    assert "Server requires authentication" in ask("status", password="wrong")[1]
    following = subprocess.Popen([program, "-s", f"http://localhost:{port}", "-u", "me", "-p", TOKEN,
                                  "maintail", "-f"], stdout=subprocess.PIPE, env=environment(str(folder)))
    try:
        assert following.stdout.readline() == b"==> Press Ctrl-C to exit <==\n"
        eventually(10, lambda: b"program=a" in following.stdout.readline())
    finally:
        following.kill()
        following.wait()
        following.stdout.close()


EXPORTER = os.environ.get("MUSTER_TEST_NODE_EXPORTER") or shutil.which("prometheus-node-exporter")


@pytest.mark.parametrize("scheme", ["unix", "http"])
def test_node_exporters_supervisord_collector(muster, folder, scheme):
    if not EXPORTER:
        pytest.skip("no prometheus-node-exporter: see MUSTER_TEST_NODE_EXPORTER")
    port, own = free_port(), free_port()
    instance = muster(config(port) + '[program.b]\ncommand = "sleep 1000"\nautostart = false\n')
    pid = instance.running("a")["pid"]
    url = f"unix://{instance.control}" if scheme == "unix" else f"http://127.0.0.1:{port}/RPC2"
    exporter = subprocess.Popen(
        [EXPORTER, f"--web.listen-address=127.0.0.1:{own}", "--collector.disable-defaults",
         "--collector.supervisord", f"--collector.supervisord.url={url}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(str(folder)))
    try:
        text = eventually(20, lambda: speak(own, f"GET /metrics HTTP/1.0\r\nHost: localhost:{own}\r\n\r\n")[2])
    finally:
        exporter.kill()
        exporter.wait()
    assert 'node_scrape_collector_success{collector="supervisord"} 1' in text
    assert 'node_supervisord_up{group="a",name="a"} 1' in text
    assert 'node_supervisord_up{group="b",name="b"} 0' in text
    assert 'node_supervisord_state{group="a",name="a"} 20' in text
    assert 'node_supervisord_exit_status{group="a",name="a"} 0' in text and pid
