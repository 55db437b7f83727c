"""docs/openapi.json against the running server: every method and path of it is asked, and every answer is one that it
describes."""

import base64
import http.client
import json
import pathlib
import socket

import pytest

from support import rig
from support.eventually import PATIENCE, eventually

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = """
[supervisor]
[redis]
url = "{redis}"
lease = "1s"
[program.shap]
command = "{stub} --redis {redis} --name {{name}} --queues jobs"
registry = "rq"
processes = 2
[program.web]
command = ["sh", "-c", "echo hello; exec {stub}"]
ready = {{ after = "20ms" }}
[program.bad]
command = ["sh", "-c", "echo on its way out >&2; exit 3"]
start_limit = 1
on_fatal = "stay"
essential = false
"""
CALL = "<?xml version='1.0'?><methodCall><methodName>supervisor.getState</methodName><params/></methodCall>"

# Method, the described path, what is asked for, a body, and the status that must come.
ASKED = (
    ("GET", "/v1/status", "", None, 200),
    ("GET", "/v1/processes", "", None, 200),
    ("GET", "/v1/processes/{id}", "shap_00", None, 200),
    ("GET", "/v1/processes/{id}", "bad", None, 200),
    ("GET", "/v1/processes/{id}", "nobody", None, 404),
    ("GET", "/v1/processes/{id}", "%zz", None, 400),
    ("GET", "/v1/processes/{id}/why", "shap_00", None, 200),
    ("GET", "/v1/processes/{id}/why", "bad", None, 200),
    ("GET", "/v1/processes/{id}/why", "nobody", None, 404),
    ("POST", "/v1/processes/{selector}/signal", "web", {"signal": "CONT"}, 200),
    ("POST", "/v1/processes/{selector}/signal", "web", {"signal": "NOPE"}, 400),
    ("POST", "/v1/processes/{selector}/signal", "nobody", {"signal": 18}, 404),
    ("POST", "/v1/processes/{selector}/quiet", "shap", None, 200),
    ("POST", "/v1/processes/{selector}/resume", "all", None, 200),
    ("POST", "/v1/processes/{selector}/stop", "web?wait=true", None, 200),
    ("POST", "/v1/processes/{selector}/start", "web?wait=true", None, 200),
    ("POST", "/v1/processes/{selector}/start", "web?wait=maybe", None, 400),
    ("POST", "/v1/processes/{selector}/restart", "web:*?wait=true", None, 200),
    ("POST", "/v1/processes/{selector}/restart", "nobody", None, 404),
    ("POST", "/v1/processes/{selector}/roll", "web?wait=true", None, 200),
    ("POST", "/v1/programs/{program}/scale", "shap?wait=true", {"processes": 3}, 200),
    ("POST", "/v1/programs/{program}/scale", "shap", {"processes": 0}, 400),
    ("POST", "/v1/programs/{program}/scale", "nobody", {"processes": 1}, 404),
    ("POST", "/v1/reload", "?dry_run=true", None, 200),
    ("POST", "/v1/reload", "?dry=true", None, 400),
    ("GET", "/v1/logs/{id}", "web?tail=5", None, 200),
    ("GET", "/v1/logs/{id}", "web?tail=all", None, 400),
    ("GET", "/v1/logs/{id}", "nobody", None, 404),
    ("GET", "/v1/events", "?tail=1000", None, 200),
    ("GET", "/v1/events", "?tail=all", None, 400),
    ("GET", "/v1/workers", "?limit=1", None, 200),
    ("GET", "/v1/workers", "?stale=true", None, 200),
    ("GET", "/v1/workers", "?limit=0", None, 400),
    ("GET", "/v1/fleet", "", None, 200),
    ("GET", "/v1/fleet", "?x=1", None, 400),
    ("POST", "/v1/sweep", "?apply=maybe", None, 400),
    ("GET", "/metrics", "", None, 200),
    ("GET", "/livez", "", None, 200),
    ("GET", "/readyz", "", None, 503),
    ("POST", "/RPC2", "", CALL, 200),
    ("POST", "/RPC2", "", "no call", 400),
    ("GET", "/logtail/{name}", "nobody", None, 404),
    ("POST", "/logtail/{name}", "web", None, 400),
    ("POST", "/mainlogtail", "", None, 400),
)


@pytest.fixture(scope="module")
def api():
    return Description()


class Description:
    def __init__(self):
        self.jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
        self.document = json.loads((ROOT / "docs" / "openapi.json").read_text())
        for schema in self.document["components"]["schemas"].values():
            self.jsonschema.Draft202012Validator.check_schema(schema)
        self.asked = set()

    def operations(self):
        return {(method.upper(), path) for path, methods in self.document["paths"].items()
                for method in methods}

    def resolved(self, node):
        if "$ref" not in node:
            return node
        found = self.document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found

    def check(self, value, schema, what):
        validator = self.jsonschema.Draft202012Validator(
            {**schema, "components": self.document["components"]})
        wrong = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]
        assert not wrong, (what, wrong, value)

    def hold(self, method, path, status, kind, text):
        """The answer is one of those that are described for this method and path."""
        what = f"{method} {path}: {status} {kind}"
        described = self.document["paths"][path][method.lower()]["responses"]
        assert str(status) in described, (what, text)
        content = self.resolved(described[str(status)])["content"]
        kind = kind.partition(";")[0]
        assert kind in content, (what, list(content))
        if kind == "application/json":
            self.check(json.loads(text), content[kind]["schema"], what)
        if "x-line" in content[kind]:
            for line in text.splitlines():
                self.check(json.loads(line), content[kind]["x-line"], what)
        if status == 200:
            self.asked.add((method, path))


def ask(control, method, target, body):
    connection = rig._Connection(control, 30 * PATIENCE)
    try:
        sent = body if isinstance(body, (str, type(None))) else json.dumps(body)
        connection.request(method, target, body=sent)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()
    finally:
        connection.close()


def first_line(control, target, start=""):
    """Of an answer that goes on: its type, and its first line that begins so."""
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(20 * PATIENCE)
    stream.connect(str(control))
    stream.sendall(f"GET {target} HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n".encode())
    lines = stream.makefile("r", encoding="utf-8")
    head = list(iter(lambda: lines.readline().strip(), ""))
    assert " 200 " in head[0], head
    kind = next(line.split(": ", 1)[1] for line in head if line.startswith("Content-Type: "))
    found = next(line for line in lines if line.startswith(start))
    lines.close()
    stream.close()
    return kind, found


def target_of(path, asked):
    if "{" not in path:
        return path + asked
    start, end = path.split("{")[0], path.split("}")[1]
    name, question, query = asked.partition("?")
    return start + name + end + question + query


def test_every_route_answers_as_it_is_described(muster, redis_server, api):
    instance = muster(CONFIG.format(redis=redis_server.url, stub=rig.STUB))
    instance.running("shap_00", "shap_01", "web")
    eventually(10, lambda: instance.state("bad") == "FATAL")
    for method, path, asked, body, wanted in ASKED:
        target = target_of(path, asked)
        status, kind, text = ask(instance.control, method, target, body)
        assert status == wanted, (method, target, status, text)
        api.hold("GET" if "logtail" in path else method, path, status, kind, text)
    for method, path in sorted(api.operations()):  # the other method is refused in the same words
        if path == "/RPC2" or "logtail" in path:
            continue
        other = "POST" if method == "GET" else "DELETE"
        status, kind, text = ask(instance.control, other, path.replace("{", "").replace("}", ""), None)
        assert status == 405, (other, path, text)
        api.hold(method, path, status, kind, text)

    def swept():  # within the first lease nothing is decided
        status, kind, text = ask(instance.control, "POST", "/v1/sweep", None)
        api.hold("POST", "/v1/sweep", status, kind, text)
        return status == 200

    eventually(10, swept, "a sweep after the first lease")

    # What goes on: its head, and the first line.
    kind, line = first_line(instance.control, "/v1/events?tail=1", "data: ")
    api.hold("GET", "/v1/events", 200, kind, line.removeprefix("data: "))
    for path, asked in (("/logtail/{name}", "web"), ("/logtail/{name}/{channel}", "web/stdout"),
                        ("/mainlogtail", "")):
        kind, line = first_line(instance.control, path.split("{")[0] + asked)
        api.hold("GET", path, 200, kind, line)

    # A file that is refused; then Redis away; then the end.
    file = instance.file.read_text()
    instance.file.write_text(file + "comand = 1\n")
    status, kind, text = ask(instance.control, "POST", "/v1/reload", None)
    assert status == 422, text
    api.hold("POST", "/v1/reload", status, kind, text)
    instance.file.write_text(file.replace("[program.bad]", "[program.new]").replace("hello", "hallo"))
    status, kind, text = ask(instance.control, "POST", "/v1/reload?wait=true", None)
    assert status == 200 and json.loads(text)["added"] == ["new"], text
    api.hold("POST", "/v1/reload", status, kind, text)
    redis_server.stop()
    eventually(10, lambda: instance.get("/v1/status")[1]["redis"]["state"] == "away")
    for method, path in (("GET", "/v1/workers"), ("GET", "/v1/fleet"), ("POST", "/v1/sweep"), ("GET", "/v1/status")):
        status, kind, text = ask(instance.control, method, path, None)
        assert status == (200 if path == "/v1/status" else 503), text
        api.hold(method, path, status, kind, text)
    status, kind, text = ask(instance.control, "POST", "/v1/shutdown", None)
    api.hold("POST", "/v1/shutdown", status, kind, text)
    assert instance.wait(40) == 0
    assert api.asked == api.operations() - {("GET", "/readyz")}


def test_without_redis_and_when_all_is_ready(muster, api):
    instance = muster(f'[program.web]\ncommand = "{rig.STUB}"\nready = {{ after = "10ms" }}\n')
    instance.running("web")
    for method, path, wanted in (("GET", "/readyz", 200), ("GET", "/v1/workers", 404),
                                 ("GET", "/v1/fleet", 404), ("POST", "/v1/sweep", 404)):
        status, kind, text = ask(instance.control, method, path, None)
        assert status == wanted, (path, text)
        api.hold(method, path, status, kind, text)


def ask_tcp(port, method, target, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30 * PATIENCE)
    try:
        connection.request(method, target, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def test_who_is_not_let_in_over_tcp_is_told_as_it_is_described(muster, api, folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "token").write_text("t0ken")
    instance = muster(f'[supervisor]\nhttp = "127.0.0.1:{port}"\nhttp_token_file = "{folder}/token"\n'
                      f'[program.web]\ncommand = "{rig.STUB}"\nready = {{ after = "10ms" }}\n')
    web = instance.running("web")
    named = api.document["components"]["securitySchemes"]
    assert {name: scheme["scheme"] for name, scheme in named.items()} == {"bearer": "bearer", "basic": "basic"}
    right = {"bearer": "Bearer t0ken", "basic": "Basic " + base64.b64encode(b"any:t0ken").decode()}
    for method, path in sorted(api.operations()):
        target = path.replace("{name}", "web").replace("{", "").replace("}", "")
        for headers, wanted in (({}, 401), ({"Authorization": "Bearer token"}, 401),
                                ({"Authorization": right["bearer"], "Origin": "http://evil.example"}, 403)):
            status, head, text = ask_tcp(port, method, target, **headers)
            assert status == wanted, (method, target, headers, text)
            api.hold(method, path, status, head["Content-Type"], text)
            described = api.resolved(api.document["paths"][path][method.lower()]["responses"][str(status)])
            for name in described.get("headers", {}):
                assert head[name], (name, head)
    for scheme in named:
        status, head, text = ask_tcp(port, "GET", "/v1/processes/web", Authorization=right[scheme])
        assert status == 200 and json.loads(text)["pid"] == web["pid"], (scheme, text)
        api.hold("GET", "/v1/processes/{id}", status, head["Content-Type"], text)
    assert instance.one("web")["incarnation"] == web["incarnation"]  # nothing was done
