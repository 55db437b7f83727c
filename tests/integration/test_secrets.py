"""I12: whatever happens to the Redis password, nobody reads it: not in a log line at debug level, not in any answer of
the control socket, not in what a verb prints, not in a command line."""

import subprocess

import pytest

from support import processes, rig
from support.eventually import PATIENCE, eventually
from support.redis_server import RedisServer, free_port

SECRET = "hunter2-is-secret"
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
    config = (f'[supervisor]\nlog = {{ level = "debug" }}\n[redis]\n{line}\n'
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
        for verb in VERBS:
            done = m.client(*verb)
            seen[f"muster {' '.join(verb)} {when}"] = done.stdout + done.stderr
        for pid in [m.pid, *processes.descendants(m.pid)]:
            # A core dump begins with these two.
            seen[f"command line {pid} {when}"] = " ".join(processes.command_line(pid))
            seen[f"name {pid} {when}"] = (processes.stat(pid) or {}).get("comm", "")

    look("while all is well")
    for words in (["check", "--print"], ["check", "--connect"], ["check", "--print", "--connect"]):
        seen[" ".join(words)] = run(*words, "-c", str(m.file), env=env)
    assert "it is a master" in seen["check --connect"], seen["check --connect"]
    assert "***" in seen["/v1/status while all is well"]
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
    shown = [place for place, text in seen.items() if SECRET in text]
    assert not shown, {place: seen[place][:500] for place in shown}


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
