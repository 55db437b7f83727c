"""I12: whatever happens to the Redis password and to the token of the TCP port, nobody reads them: not in a log line at
debug level, not in any answer of the control socket or the port, not in what a verb prints, not in a command line, in a
worker's environment, in a core dump's header."""

import base64
import http.client
import os
import socket
import subprocess

import pytest

from support import core_dump, processes, rig
from support.eventually import PATIENCE, eventually
from support.redis_server import RedisServer, free_port

SECRET = "hunter2-is-secret"
TOKEN = "open-sesame:is-secret"
ROUTES = ["/v1/status", "/v1/processes", "/v1/processes/w", "/v1/processes/w/why", "/v1/workers",
          "/v1/fleet", "/v1/events", "/v1/logs/w", "/metrics", "/livez", "/readyz", "/"]
VERBS = [["status"], ["status", "--json"], ["why", "w"], ["workers", "--json"], ["fleet"],
         ["health"], ["logs", "w"], ["reload", "--dry-run"], ["sweep"]]


@pytest.fixture
def server(folder):
    place = folder / "closed"
    place.mkdir()
    one = RedisServer(place, password=SECRET,
                      arguments=["--user", "w", "on", "nopass", "~*", "&*", "+@all"])
    yield one
    one.stop()


@pytest.fixture
def sentinel(folder, server):
    """Knows the server, and has a password of its own."""
    port = free_port()
    file = folder / "sentinel.conf"
    file.write_text(f"port {port}\nbind 127.0.0.1\ndir {folder}\nrequirepass {SECRET}-of-its-own\n"
                    f"sentinel monitor shop 127.0.0.1 {server.port} 1\nsentinel auth-pass shop {SECRET}\n")
    process = subprocess.Popen(["redis-server", str(file), "--sentinel"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield port
    process.kill()
    process.wait()


def run(*words, env=None, cwd=None):
    done = subprocess.run([rig.BINARY, *words], env=rig.environment("secrets", env), cwd=cwd,
                          capture_output=True, text=True, check=False, timeout=20 * PATIENCE)
    return done.stdout + done.stderr


def ask(port, path, token=None, way="Bearer"):
    """Over the TCP port: status, headers and body as one text."""
    given = token if way == "Bearer" else base64.b64encode(f"me:{token}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10 * PATIENCE)
    try:
        connection.request("GET", path, headers={"Authorization": f"{way} {given}"} if token else {})
        answer = connection.getresponse()
        return f"{answer.status} {answer.getheaders()} {answer.read().decode()}"
    finally:
        connection.close()


def give(way, folder, url):
    """(line of the file, environment) by which muster is told."""
    if way in ("url", "sentinel"):
        return f'url = "{url}"', {}
    if way == "url_file":
        (folder / "url").write_text(url + "\n")
        return f'url_file = "{folder / "url"}"', {}
    if way == "variable in the file":
        return 'url = "${SOME_URL}"', {"SOME_URL": url}
    return "", {"REDIS_URL": url}


@pytest.mark.parametrize("way", ["url", "url_file", "variable in the file", "environment", "sentinel"])
def test_no_password_is_ever_shown(folder, server, sentinel, muster, way):
    url = f"redis://default:{SECRET}@127.0.0.1:{server.port}/0"
    if way == "sentinel":
        url = (f"redis+sentinel://default:{SECRET}@127.0.0.1:{sentinel}/shop/0"
               f"?sentinel_password={SECRET}-of-its-own")
    line, env = give(way, folder, url)
    port = free_port()
    (folder / "token").write_text(TOKEN + "\n")
    config = (f'[supervisor]\nlog = {{ level = "debug" }}\nhttp = "127.0.0.1:{port}"\n'
              f'http_token_file = "{folder}/token"\n[redis]\n{line}\n'
              'command_timeout = "500ms"\nconnect_timeout = "500ms"\n'
              f'[program.w]\ncommand = "{rig.STUB} --redis redis://w:x@127.0.0.1:{server.port} '
              '--name {name}"\nregistry = "rq"\n')
    m = muster(config, env=env)
    first = m.running("w")
    processes.kill(first["pid"])
    second = m.running("w", but=[first])
    seen = {}

    def look(when):
        for route in ROUTES:
            seen[f"{route} {when}"] = str(m.get(route))
            for token in (TOKEN, TOKEN[:-1], None):
                for scheme in ("Bearer", "Basic"):
                    said = ask(port, route, token, scheme)
                    assert said.startswith("401") == (token != TOKEN), said
                    seen[f"{route} of the port, {scheme} {token}, {when}"] = said
        for verb in VERBS:
            done = m.client(*verb)
            seen[f"muster {' '.join(verb)} {when}"] = done.stdout + done.stderr
        for pid in [m.pid, *processes.descendants(m.pid)]:
            seen[f"command line {pid} {when}"] = " ".join(processes.command_line(pid))
        for pid in processes.children(m.pid):
            # What muster was given in its environment its children have, too: it is theirs. It adds nothing.
            seen[f"environment {pid} {when}"] = "\n".join(
                f"{name}={value}" for name, value in processes.environment(pid).items() if name not in env)

    look("while all is well")
    for words in (["check", "--print"], ["check", "--connect"], ["check", "--print", "--connect"]):
        seen[" ".join(words)] = run(*words, "-c", str(m.file), env=env)
    assert "it is a master" in seen["check --connect"], seen["check --connect"]
    assert "***" in seen["/v1/status while all is well"]
    assert "MUSTER_WORKER_NAME" in seen[f"environment {second['pid']} while all is well"]
    assert f'http_token_file = "{folder}/token"' in seen["check --print"], seen["check --print"]
    # The same with a password that is not accepted any more, and with no Redis at all.
    server.client.config_set("requirepass", "another")
    server.client.client_kill_filter(_type="normal", skipme=True)
    eventually(10, lambda: "refuses the password" in m.get("/v1/status")[1]["redis"]["error"])
    processes.kill(second["pid"])
    look("with a wrong password")
    seen["check with a wrong password"] = run("check", "--connect", "-c", str(m.file), env=env)
    server.password = "another"
    server.stop()
    eventually(10, lambda: "refused" in m.get("/v1/status")[1]["redis"]["error"])
    look("with no Redis")
    seen["check with no Redis"] = run("check", "--connect", "-c", str(m.file), env=env)
    m.terminate()
    seen["its log"] = m.log()
    assert "redis-away" in seen["its log"] and len(seen["its log"]) > 1000
    encoded = base64.b64encode(f"me:{TOKEN}".encode()).decode()
    shown = [place for place, text in seen.items() if SECRET in text or TOKEN[:-1] in text or encoded in text]
    assert not shown, {place: seen[place][:500] for place in shown}


@pytest.mark.parametrize("way", ["url", "url_file", "environment", "argument"])
def test_the_header_of_a_core_dump_shows_no_password(folder, server, way):
    """What crash reporters show of it and send on. The memory behind it holds the password: muster needs it."""
    url = f"redis://default:{SECRET}@127.0.0.1:{server.port}/0"
    line, env = give(way, folder, url) if way != "argument" else ("", {})
    os.symlink(rig.BINARY, folder / "m")  # short: the header has room for 80 characters of the command line
    (folder / "f.toml").write_text(f'[redis]\n{line}\n[program.w]\ncommand = "sleep 1000"\nregistry = "rq"\n')
    words = ["--redis", url, "--registry", "rq", "--", "sleep", "1000"] if way == "argument" else ["-c", "f.toml"]
    log = folder / "log"
    with open(log, "wb") as file:
        process = subprocess.Popen(["./m", "run", *words[:2], "-s", "control", *words[2:]],
                                   env=rig.environment(str(folder), env), stdin=subprocess.DEVNULL, stdout=file,
                                   stderr=file, cwd=folder)

    clients = []

    def hurt():
        """One more client whose request it must remember, since its end does not come."""
        clients.append(socket.socket(socket.AF_UNIX))
        clients[-1].settimeout(1)
        try:
            clients[-1].connect(str(folder / "control"))
            clients[-1].sendall(b"POST /RPC2 HTTP/1.1\r\nContent-Length: 60000\r\n\r\n" + b"x" * 50000)
        except OSError:
            pass

    try:
        eventually(10, lambda: "redis-connected" in log.read_text() and "starting" in log.read_text())
        core = core_dump.of(process, folder, hurt)
    except core_dump.NoCore as reason:
        pytest.skip(str(reason))
    finally:
        process.kill()
        process.wait()
        processes.end_marked(str(folder))
        for client in clients:
            client.close()
    assert SECRET.encode() in core  # so this is a core of who knows it
    header, notes = core_dump.header_of(core)
    shown = notes[core_dump.PSINFO]
    assert b"./m run " in shown, shown
    assert way != "argument" or b"--redis redis://***" in shown, shown
    assert len(header) < len(core) and SECRET.encode() not in header


def test_a_url_that_was_given_as_an_argument_outlives_a_restart(server, folder):
    """supervisord's restart begins muster anew by its own command line, which shows the password no more."""
    url = f"redis://default:{SECRET}@127.0.0.1:{server.port}/0"
    log = folder / "log"
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [rig.BINARY, "run", "-s", str(folder / "control"), "--registry", "rq", "--redis", url, "--", "sleep", "1000"],
            env=rig.environment(str(folder)), stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=folder)
    try:
        eventually(10, lambda: "redis-connected" in log.read_text())
        body = '<?xml version="1.0"?><methodCall><methodName>supervisor.restart</methodName></methodCall>'
        assert rig.call(folder / "control", "POST", "/RPC2", body)[0] == 200
        eventually(15, lambda: log.read_text().count("redis-connected") == 2, "connected again after the restart")
        eventually(5, lambda: "***" in " ".join(processes.command_line(process.pid)))
        assert SECRET not in " ".join(processes.command_line(process.pid)) + log.read_text()
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("words", [["--redis", "{}"], ["--redis={}"]])
def test_a_url_that_was_given_as_an_argument_is_not_shown_as_one(server, folder, words):
    url = f"redis://default:{SECRET}@127.0.0.1:{server.port}/0"
    log = folder / "log"
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [rig.BINARY, "run", "-s", str(folder / "control"), "--registry", "rq", *(word.format(url) for word in words),
             "--", "sleep", "1000"],
            env=rig.environment(str(folder)), stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=folder)
    try:
        eventually(10, lambda: "redis-connected" in log.read_text())
        eventually(10, lambda: [processes.command_line(pid) for pid in processes.children(process.pid)]
                   == [["sleep", "1000"]])  # before its exec it shows our own
        line = " ".join(processes.command_line(process.pid))
        assert f"@127.0.0.1:{server.port}/0" in line and SECRET not in line + log.read_text()
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("url", [
    f"redis://{SECRET}:@h", f"redis://:{SECRET}@h:port", f"redis://:%{SECRET}@h",
    f"redis://:a/{SECRET}@h:x", f"{SECRET}", f"redis://h/{SECRET}", f"redis//:{SECRET}@h",
    f"rediss://u:{SECRET}@h:0", f"redis+sentinel://h:1/s?sentinel_pass={SECRET}",
    f"redis+sentinel://:{SECRET}@h", f"redis+sentinel://h/s/0?sentinel_username={SECRET}",
    f"unix://{SECRET}@", f"redis://h?password={SECRET}&nonsense=1"])
def test_a_wrong_url_is_refused_without_a_piece_of_it(folder, url):
    for way in ("url", "url_file", "variable in the file", "environment"):
        line, env = give(way, folder, url)
        file = folder / "muster.toml"
        file.write_text(f'[redis]\n{line}\n[program.w]\ncommand = "x {{name}}"\nregistry = "rq"\n')
        for words in (["check"], ["check", "--print"], ["check", "--connect"], ["run"]):
            said = run(*words, "-c", str(file), env=env)
            assert said and SECRET not in said, (way, words, said)
    said = run("run", "--registry", "rq", "--redis", url, "--", "true")
    assert said and SECRET not in said, said


def test_the_sentinels_password_is_one_too(folder):
    url = f"redis+sentinel://:{SECRET}1@127.0.0.1:1/shop/0?sentinel_password={SECRET}2"
    file = folder / "muster.toml"
    file.write_text(f'[redis]\nurl = "{url}"\nconnect_timeout = "1s"\n')
    for words in (["check", "--print"], ["check", "--connect"]):
        said = run(*words, "-c", str(file))
        assert "sentinel://" in said and SECRET not in said, said
