"""Bad input: each a sentence that says what to do, nothing lost, everything else goes on."""

import os
import socket
import subprocess
import threading
import time

import pytest

from support import processes, rig
from support.eventually import always, eventually
from support.redis_server import RedisServer, free_port

BYSTANDER = f'[program.bystander]\ncommand = "{rig.STUB}"\n'


def run_muster(folder, text, verb="check", *arguments):
    file = folder / "muster.toml"
    file.write_text(text)
    return subprocess.run([rig.BINARY, verb, "-c", str(file), *arguments], capture_output=True,
                          text=True, timeout=30, check=False, stdin=subprocess.DEVNULL,
                          env=rig.environment(str(folder)))


def said(done):
    return done.stdout + done.stderr


@pytest.mark.parametrize("files", [14, 20, 31])
def test_a_limit_of_files_that_muster_itself_cannot_live_with(folder, files):
    (folder / "muster.toml").write_text(BYSTANDER)
    done = subprocess.run(["prlimit", f"--nofile={files}:{files}", rig.BINARY, "run", "-c", str(folder / "muster.toml")],
                          capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL,
                          env=rig.environment(str(folder)))
    assert done.returncode == 1, said(done)
    assert f"a limit of {files} open files" in said(done) and "raise its limit" in said(done), said(done)


@pytest.mark.parametrize("verb", ["check", "run"])
def test_I10_broken_toml_is_refused_with_file_line_and_column(folder, verb):
    done = run_muster(folder, '[program.shap]\ncommand = "rq worker\nprocesses = 2\n', verb)
    assert done.returncode == 2
    assert f"{folder}/muster.toml:2:" in said(done)


def test_all_errors_are_shown_at_once_with_the_nearest_word(folder):
    done = run_muster(folder, "\n".join([
        "[program.shap]", 'command = "true"', "startsecs = 3", 'restart = "allways"',
        "[program.mail]", "proceses = 2", 'stop = ["TRM 3s"]', ""]))
    text = said(done)
    assert done.returncode == 2
    for place, word in ((3, "start_timeout"), (4, "always"), (6, "processes"), (7, "TERM")):
        lines = [line for line in text.splitlines() if f"muster.toml:{place}:" in line]
        assert lines and word in text, (place, word, text)
    assert [line for line in text.splitlines() if "program.mail" in line and "command" in line]


def test_a_key_that_does_not_act_yet_is_refused(folder):
    done = run_muster(folder, '[program.shap]\ncommand = "true"\nsingleton = true\n')
    assert done.returncode == 2
    assert "not supported in this version" in said(done) and ":3:" in said(done)


def test_a_file_that_is_not_there_is_named(folder):
    done = subprocess.run([rig.BINARY, "run", "-c", str(folder / "none.toml")], timeout=30,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "none.toml" in said(done) and "No such file" in said(done)


def test_a_good_file_passes_and_is_printed_without_its_secrets(folder):
    text = ('[redis]\nurl = "redis://app:s3cr3t-w0rd@127.0.0.1:6379/0"\n'
            '[program.shap]\ncommand = "true"\nregistry = "rq"\n')
    done = run_muster(folder, text)
    assert done.returncode == 0, said(done)
    printed = run_muster(folder, text, "check", "--print")
    assert printed.returncode == 0
    assert "program.shap" in printed.stdout and "s3cr3t-w0rd" not in said(printed)
    again = folder / "again"
    again.mkdir()
    assert run_muster(again, printed.stdout).returncode == 0 or "***" in printed.stdout


@pytest.mark.parametrize(("command", "reason"), [
    ("/nonexistent/worker --now", "No such file or directory"),
    ("no-such-command-anywhere", "no-such-command-anywhere"),
    ("/tmp", ""),
])
def test_a_command_that_cannot_be_run_says_so_and_the_others_go_on(muster, command, reason):
    instance = muster(
        f'{BYSTANDER}[program.bad]\ncommand = "{command}"\nstart_limit = 3\non_fatal = "stay"\n'
        'backoff = { initial = "50ms", max = "100ms" }\n')
    bystander = instance.running("bystander")
    eventually(10, lambda: instance.state("bad") == "FATAL")
    told = instance.logged("bad", command.split()[0])
    assert reason in " ".join(told), instance.log()
    assert instance.one("bad")["last_exit"] is None or instance.one("bad")["last_exit"]["reason"]
    assert instance.one("bystander")["pid"] == bystander["pid"]


def test_a_directory_that_is_not_there_is_named(muster):
    instance = muster(
        f'{BYSTANDER}[program.bad]\ncommand = "true"\ndirectory = "/nonexistent/place"\n'
        'start_limit = 1\non_fatal = "stay"\n')
    eventually(10, lambda: instance.state("bad") == "FATAL")
    instance.logged("/nonexistent/place")
    instance.running("bystander")


def test_a_control_socket_that_cannot_be_had_is_an_error(folder):
    done = run_muster(folder, f'[supervisor]\ncontrol = "/proc/muster/control.sock"\n{BYSTANDER}',
                      "run")
    assert done.returncode in (1, 2)
    assert "/proc/muster" in said(done)


def test_a_stale_control_socket_is_replaced_and_a_live_one_refused(muster, folder):
    instance = muster(BYSTANDER)
    instance.running("bystander")
    second = subprocess.run([rig.BINARY, "run", "-c", str(instance.file)], capture_output=True,
                            text=True, timeout=30, check=False, env=instance.env)
    assert second.returncode in (1, 2)
    assert str(instance.control) in said(second)
    assert instance.get("/livez")[0] == 200
    mode = os.stat(instance.control).st_mode & 0o777
    parent = os.stat(instance.control.parent).st_mode & 0o777
    assert (mode, parent) == (0o600, 0o700)
    instance.kill()
    processes.end_marked(instance.mark)
    assert instance.control.exists()
    instance.start()
    instance.running("bystander")


def supervised_beside(muster, url, *words, seconds=10):
    """With a Redis that cannot be had: everything runs all the same, and a line says why."""
    instance = muster(
        f'[redis]\nurl = "{url}"\nwait = "300ms"\nconnect_timeout = "500ms"\n{BYSTANDER}'
        f'[program.shap]\ncommand = "{rig.STUB}"\nregistry = "rq"\n'
        'start_timeout = "1h"\nready = { after = "100ms" }\n')
    instance.running("bystander", "shap", seconds=seconds)
    eventually(seconds, lambda: instance.log_lines(*words), f"a line with {words}")
    old = instance.one("bystander")
    processes.kill(old["pid"])
    instance.running("bystander", but=[old])
    status, body = instance.get("/v1/status")
    assert status == 200 and body["redis"]["state"] == "away", body
    return instance


def test_I13_a_redis_that_refuses(muster):
    port = free_port()
    instance = supervised_beside(muster, f"redis://127.0.0.1:{port}/0", "refused")
    assert len(instance.log_lines("refused")) < 20  # no hot loop, no flood
    assert instance.one("shap")["failures"] == 0


def test_I12_a_redis_with_another_password(muster, folder):
    place = folder / "locked"
    place.mkdir()
    server = RedisServer(place, password="right")
    try:
        instance = supervised_beside(muster, f"redis://:wr0ng-word@127.0.0.1:{server.port}/0",
                                     "WRONGPASS")
        assert "wr0ng-word" not in instance.log()
        assert "wr0ng-word" not in str(instance.get("/v1/status"))
        for pid in processes.descendants(instance.pid):
            assert "wr0ng-word" not in " ".join(processes.command_line(pid))
    finally:
        server.stop()


def test_I8_a_redis_that_accepts_and_never_answers(muster):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        supervised_beside(muster, f"redis://127.0.0.1:{silent.getsockname()[1]}/0", "redis")


def test_I8_a_redis_whose_name_cannot_be_looked_up(muster):
    supervised_beside(muster, "redis://no-such-host.invalid:6379/0", "no-such-host.invalid")


def test_a_password_and_a_database_are_used(muster, folder):
    place = folder / "locked"
    place.mkdir()
    server = RedisServer(place, password="right")
    try:
        instance = muster(
            f'[redis]\nurl = "redis://:right@127.0.0.1:{server.port}/3"\n[program.shap]\n'
            f'command = "{rig.STUB} --redis redis://:right@127.0.0.1:{server.port}/3 --name {{name}}"\n'
            'registry = "rq"\n')
        worker = instance.running("shap")
        server.client.select(3)
        assert server.workers() == {worker["name"]}
    finally:
        server.stop()


def test_I13_a_redis_that_goes_away_and_comes_back(redis_server, muster):
    instance = muster(
        f'[redis]\nurl = "{redis_server.unix_url}"\n[program.shap]\nregistry = "rq"\nprocesses = 2\n'
        f'command = "{rig.STUB} --redis {redis_server.unix_url} --name {{name}}"\n'
        'ready = { after = "100ms" }\n')
    workers = instance.running("shap_00", "shap_01")
    eventually(5, lambda: redis_server.workers() == {one["name"] for one in workers})
    redis_server.process.send_signal(19)  # STOP: it hangs
    try:
        processes.kill(workers[0]["pid"])
        always(1.5, lambda: processes.is_alive(workers[1]["pid"]), "the other worker living on")
        assert instance.one("shap_00")["failures"] <= 1
    finally:
        redis_server.process.send_signal(18)
    instance.running("shap_00", "shap_01", but=[workers[0]], seconds=30)
    eventually(30, lambda: redis_server.traces_of(workers[0]["name"]) == [], "the debt paid")
    assert instance.one("shap_01")["pid"] == workers[1]["pid"]


class Babbler:
    """A server on loopback that speaks, but not as Redis does; it counts who comes."""

    def __init__(self, greeting, babble):
        self.connections = 0
        self._greeting, self._babble = greeting, babble
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with peer:
                peer.settimeout(5)
                try:
                    if self._greeting:
                        peer.recv(4096)
                        peer.sendall(self._greeting)
                        peer.recv(4096)
                    peer.sendall(self._babble)
                    while peer.recv(4096):
                        pass
                except OSError:
                    pass

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@pytest.mark.parametrize(("greeting", "babble", "words"), [
    (b"", b"\x00\xffSSH-2.0-nonsense\r\n" * 100, "not a Redis answer"),
    (b"+PONG\r\n", b"*3\r\n$-9\r\nwhat?\r\n", "not a Redis answer"),
    (b"+PONG\r\n", b"+NOBODY\r\n+ASKED\r\n" * 50, "an answer that nobody asked for"),
])
def test_I13_a_redis_that_talks_nonsense(muster, greeting, babble, words):
    server = Babbler(greeting, babble)
    begin = time.monotonic()
    try:
        instance = supervised_beside(muster, f"redis://127.0.0.1:{server.port}/0", words)
        always(1, lambda: instance.get("/livez")[0] == 200, "an answer of the control socket")
        seconds = time.monotonic() - begin
        # At once, 50 ms later, then after random pauses below 0.5 s, doubled each time: no hot loop.
        assert 2 <= server.connections <= 3 + 4 * seconds, (server.connections, seconds)
        # A line for each loss; a Redis that never was there is lost once.
        away = instance.log_lines("redis-away")
        assert 1 <= len(away) <= (server.connections if greeting else 1), away
        assert all(words in line and line.isprintable() for line in away), away
        assert instance.one("shap")["failures"] == 0 and instance.state("shap") == "RUNNING"
        instance.kill()  # a shutdown would try for a while to tell Redis of it
    finally:
        server.stop()
