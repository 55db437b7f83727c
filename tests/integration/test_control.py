"""The control socket and the client's verbs, with their exit codes."""

import json
import os
import pathlib
import signal
import socket
import subprocess

import pytest

from support import processes, rig
from support.eventually import always, eventually

TWO = (f'[program.web]\ncommand = "{rig.STUB}"\nready = {{ after = "50ms" }}\n'
       f'[program.job]\ncommand = "{rig.STUB}"\nprocesses = 2\nready = {{ after = "50ms" }}\n')
FIELDS = {"id", "program", "index", "state", "pid", "name", "incarnation", "started_at", "uptime",
          "restarts", "failures", "next_try_in", "health", "ready", "last_exit"}


def test_processes_answers_in_the_agreed_form(muster):
    instance = muster(TWO)
    instance.running()
    found = instance.processes()
    assert list(found) == ["web", "job_00", "job_01"]
    for one in found.values():
        assert FIELDS <= set(one)
    web = found["web"]
    assert (web["program"], web["index"], web["state"], web["incarnation"]) == ("web", 0, "RUNNING", 1)
    assert web["last_exit"] is None and web["next_try_in"] is None and web["restarts"] == 0
    assert found["job_01"]["index"] == 1
    assert processes.is_alive(web["pid"])
    processes.kill(web["pid"])
    after = instance.running("web", but=[web])
    assert after["last_exit"]["signal"] in (9, "KILL", "SIGKILL")
    assert after["restarts"] == 1 and after["incarnation"] == 2


def test_stop_start_and_restart_wait_for_the_outcome(muster):
    instance = muster(TWO)
    old = {one["id"]: one for one in instance.running()}
    status, body = instance.post("/v1/processes/job/stop?wait=true")
    assert status == 200, body
    assert instance.state("job_00") == instance.state("job_01") == "STOPPED"
    assert not processes.is_alive(old["job_00"]["pid"])
    assert instance.state("web") == "RUNNING"
    assert instance.post("/v1/processes/job/stop?wait=true")[0] == 200  # idempotent
    status, body = instance.post("/v1/processes/job/start?wait=true")
    assert status == 200 and instance.state("job_01") == "RUNNING", body
    status, body = instance.post("/v1/processes/all/restart?wait=true")
    assert status == 200, body
    for one in instance.processes().values():
        assert one["state"] == "RUNNING" and one["pid"] != old[one["id"]]["pid"]


def test_I11_a_wrong_request_gets_an_answer_that_says_what_is_wrong(muster):
    instance = muster(TWO)
    before = instance.running()
    for method, target, body, wanted in (
            ("GET", "/nowhere", None, {404}),
            ("GET", "/v1/processes/nobody", None, {404}),
            ("POST", "/v1/processes/nobody/stop", None, {404}),
            ("GET", "/v1/processes/web/stop", None, {405}),
            ("POST", "/v1/processes/web/signal", "{not json", {400}),
            ("POST", "/v1/processes/web/signal", {"signal": "NOPE"}, {400, 422}),
            ("POST", "/v1/processes/web/signal", {}, {400, 422})):
        status, answer = rig.call(instance.control, method, target, body)
        assert status in wanted, (method, target, status, answer)
        assert answer["error"]["code"] and answer["error"]["message"], answer
    after = instance.running()
    assert [one["pid"] for one in before] == [one["pid"] for one in after]


def test_a_signal_reaches_the_process(muster):
    instance = muster('[program.web]\ncommand = ["sh", "-c", "trap \'echo got usr1\' USR1; '
                      'echo waiting; while :; do sleep 0.05; done"]\n')
    instance.running("web")
    eventually(5, lambda: instance.log_lines("waiting"))
    assert instance.post("/v1/processes/web/signal", {"signal": "USR1"})[0] == 200
    eventually(5, lambda: instance.log_lines("got usr1"))


def test_livez_and_readyz(muster):
    instance = muster(TWO + f'[program.slow]\ncommand = "{rig.STUB}"\nready = {{ after = "1h" }}\n'
                      'start_timeout = "2h"\n')
    instance.running("web", "job_00")
    assert instance.get("/livez")[0] == 200
    status, body = instance.get("/readyz")
    assert status == 503 and "slow" in str(body)
    assert instance.post("/v1/processes/slow/stop?wait=true")[0] == 200
    eventually(5, lambda: instance.get("/readyz")[0] == 200)


def test_the_clients_verbs_and_exit_codes(muster, folder):
    instance = muster(TWO)
    instance.running()
    assert subprocess.run([rig.BINARY, "version"], check=True, capture_output=True).stdout
    table = instance.client("status")
    assert table.returncode == 0
    assert "job_01" in table.stdout and "RUNNING" in table.stdout and "\x1b" not in table.stdout
    listed = json.loads(instance.client("status", "--json").stdout)
    assert "web" in json.dumps(listed)
    assert instance.client("stop", "web").returncode == 0
    assert instance.state("web") == "STOPPED"
    assert instance.client("stop", "web").returncode == 0
    assert instance.client("status", "web").returncode == 3
    assert instance.client("status", "job").returncode == 0
    assert instance.client("start", "web").returncode == 0
    pid = instance.one("web")["pid"]
    assert instance.client("restart", "web").returncode == 0
    assert instance.one("web")["pid"] != pid
    for selector in ("job_01", "job:job_01", "job:*", "all"):
        assert instance.client("status", selector).returncode == 0, selector
    unknown = instance.client("status", "nobody")
    assert unknown.returncode == 4 and "nobody" in unknown.stdout + unknown.stderr
    assert instance.client("restart", "nobody").returncode == 4
    assert instance.client("sttus").returncode == 2
    assert instance.client("health").returncode == 0
    pid = instance.one("web")["pid"]
    assert instance.client("signal", "KILL", "web").returncode == 0
    eventually(5, lambda: instance.one("web")["pid"] not in (pid, None))
    assert instance.client("shutdown").returncode == 0
    assert instance.wait() == 0
    away = instance.client("status")
    assert away.returncode == 5 and str(instance.control) in away.stderr
    assert instance.client("health").returncode != 0


def test_a_start_that_fails_is_told_with_exit_code_1(muster):
    instance = muster(f'{TWO}[program.bad]\ncommand = "{rig.STUB} --exit 3"\nautostart = false\n'
                      'start_limit = 2\non_fatal = "stay"\nready = { after = "1s" }\n'
                      'backoff = { initial = "50ms", max = "50ms" }\n')
    done = instance.client("start", "bad")
    assert done.returncode == 1, done
    assert "bad" in done.stdout + done.stderr


def test_a_second_signal_hastens_the_shutdown(muster):
    instance = muster(f'[program.deaf]\ncommand = "{rig.STUB} --ignore-term"\n'
                      'stop = ["TERM 60s", "KILL"]\n')
    instance.running("deaf")
    processes.kill(instance.pid, signal.SIGTERM)
    eventually(5, lambda: instance.state("deaf") == "STOPPING")
    always(1.2, lambda: instance.process.poll() is None, "waiting for the deaf one")
    processes.kill(instance.pid, signal.SIGTERM)
    instance.wait(5)


def test_fatal_programs_end_it_with_1(muster):
    instance = muster(f'[program.bad]\ncommand = "{rig.STUB} --exit 3"\nstart_limit = 2\n'
                      'restart = "always"\nready = { after = "1s" }\n'
                      'backoff = { initial = "10ms", max = "10ms" }\n', wait=False)
    assert instance.wait(10) == 1


def test_workers_without_a_file(redis_server, folder):
    """muster run --registry rq -n 2 --redis URL -- CMD: restarted always."""
    control = folder / "c.sock"
    instance = subprocess.Popen(
        [rig.BINARY, "-s", str(control), "run", "--registry", "rq", "-n", "2", "--redis",
         redis_server.url, "--", rig.STUB, "--redis", redis_server.url, "--name", "{name}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=rig.environment(str(folder)))
    try:
        names = eventually(15, lambda: len(redis_server.workers()) == 2 and redis_server.workers())
        dead = sorted(names)[0]
        processes.kill(int(redis_server.worker(dead)["pid"]))
        eventually(5, lambda: len(redis_server.workers() - {dead}) == 2)
        assert redis_server.traces_of(dead) == []
        instance.terminate()
        assert instance.wait(20) == 0
        assert redis_server.workers() == set()
    finally:
        instance.kill()
        instance.wait()
        processes.end_marked(str(folder))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_not_served_whatever_the_sockets_mode_has_become(muster):
    instance = muster(TWO)
    instance.running()
    path = pathlib.Path(instance.control)
    path.chmod(0o666)
    path.parent.chmod(0o755)

    def answer_to(user):
        """By a relative path: the folders above are not for everybody."""
        came_from = os.getcwd()
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            os.seteuid(user)
            try:
                connection.connect(path.name)
            finally:
                os.seteuid(0)
                os.chdir(came_from)
            connection.sendall(b"POST /v1/shutdown HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            received = b""
            while piece := connection.recv(65536):
                received += piece
            return received.decode()

    refused = answer_to(65534)
    assert refused.startswith("HTTP/1.1 403 ") and "user 65534" in refused and "wrong_user" in refused
    assert instance.state("web") == "RUNNING"
    assert answer_to(0).startswith("HTTP/1.1 20")
    assert instance.wait() == 0
