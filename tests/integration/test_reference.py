"""What is made from the sources: the JSON Schema, man pages, completions; and what is installed."""

import json
import os
import pathlib
import pty
import select
import shutil
import subprocess
import time
import tomllib

import pytest

from support import rig
from support.eventually import PATIENCE

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPLETIONS = ROOT / "completions"
PAGES = [ROOT / "docs" / "man" / "muster.1", ROOT / "docs" / "man" / "muster.toml.5"]
TWO = (f'[program.shap]\ncommand = "{rig.STUB}"\nprocesses = 2\nready = {{ after = "50ms" }}\n'
       f'[program.web]\ncommand = "{rig.STUB}"\nready = {{ after = "50ms" }}\n'
       '[group.night]\nprograms = ["shap"]\n')


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    schema = json.loads((ROOT / "conf" / "muster.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def command(name):
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def run(*arguments, **options):
    return subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60 * PATIENCE, check=False, **options)


@pytest.mark.parametrize("path", sorted((ROOT / "conf").glob("*.toml")), ids=lambda path: path.name)
def test_every_example_is_valid_by_the_schema(validator, path):
    wrong = [f"{error.json_path}: {error.message}"
             for error in validator.iter_errors(tomllib.loads(path.read_text()))]
    assert not wrong


A = '[program.a]\ncommand = "x"\n'
RIGHT = (
    'processes = "cpus"', 'processes = "${N:-2}"', 'stop = "INT 5s"', 'stop = ["TERM 0.5s", "KILL"]',
    "ready = { after = 0.2 }", 'after = []', 'start_timeout = "1.5m"', 'umask = "022"',
    'limits = { nofile = [1024, "unlimited"], nice = -5, as = "1GiB" }', "user = 0",
    'environment = { A = "x", B = 5 }', 'log_rotate = { size = "64 KiB", compress = true }',
    "backoff = { factor = 1.5, jitter = 0 }", 'autostart = "${X:-true}"', "exit_codes = [0, 255]",
    'stderr = "stdout"', 'memory = { soft = "1MiB", hard = 20000000 }')
WRONG = (
    "processes = 0", 'processes = "many"', 'start_timeout = "soon"', "start_timeout = -1",
    'restart = "sometimes"', "autostart = 1", "comand = 'y'", "umask = 22", 'umask = "9"',
    "limits = { nofiles = 1 }", "limits = { nofile = [1, 2, 3] }", "limits = { nice = 50 }",
    'ready = { tcp = "h:1", after = "1s" }', 'ready = "soon"', "environment = { A = true }",
    "backoff = { jitter = 2 }", "exit_codes = [256]", 'log_rotate = { size = "1 parsec" }',
    "priority = -1", "stop = 5", "poison = { deaths = 1001 }")


def test_the_schema_and_muster_check_agree(validator, folder):
    def checked(text):
        file = folder / "m.toml"
        file.write_text(text)
        done = run(rig.BINARY, "check", "-c", file, env=rig.environment("check"))
        assert done.returncode in (0, 2), done.stderr
        return done.returncode == 0

    for lines, wanted in [*((line, True) for line in RIGHT), *((line, False) for line in WRONG)]:
        text = f"{A}{lines}\n"
        assert checked(text) == wanted, lines
        assert validator.is_valid(tomllib.loads(text)) == wanted, lines
    for text in ("[program.a]\nprocesses = 1\n", "[group.g]\n" + A, "[supervisr]\n", '["program"."a b"]\ncommand = "x"'):
        assert not checked(text) and not validator.is_valid(tomllib.loads(text)), text


def test_a_default_of_the_schema_is_valid_where_it_stands(validator):
    seen = []

    def walk(schema):
        if isinstance(schema, dict):
            if "default" in schema and "description" in schema:
                seen.append(schema["default"])
                assert validator.evolve(schema={**schema, "$defs": validator.schema["$defs"]}).is_valid(
                    schema["default"]), schema
            for each in schema.values():
                walk(each)

    walk(validator.schema)
    assert "28s" in seen and 999 in seen


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_man_page_is_right_and_names_everything(page):
    done = run(command("groff"), "-man", "-Tascii", "-P-cbou", "-ww", page)
    assert done.returncode == 0 and not done.stderr, done.stderr
    text = done.stdout
    if page.name == "muster.1":
        for line in run(rig.BINARY, "-h").stdout.split("\n\n")[2].splitlines():
            assert f"muster {line.split()[0]}" in text
    else:
        assert "[program.NAME.health.registry]" in text and "release_wait" in text


def test_mandoc_finds_nothing_in_the_man_pages():
    done = run(command("mandoc"), "-Tlint", "-Wwarning", *PAGES)
    # Without a date they are the same whenever they are made.
    assert not [line for line in done.stdout.splitlines() if "missing date" not in line]


def in_bash(line, env, before=""):
    """What bash offers at the end of the line: the real bash, the completion's own function."""
    words = line.split(" ")
    script = (f"source {COMPLETIONS / 'muster.bash'}\n{before}\nCOMP_WORDS=({' '.join(repr(w) for w in words)})\n"
              f"COMP_CWORD={len(words) - 1}\ncompopt() {{ :; }}\n_muster\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n")
    done = run("bash", "--norc", "-euc", script, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def test_bash_offers_verbs_options_words_and_what_runs(muster):
    assert run("bash", "-n", COMPLETIONS / "muster.bash").returncode == 0
    instance = muster(TWO)
    instance.running()
    env, socket = instance.env, instance.control
    assert in_bash("muster st", env) == ["status", "start", "stop"]
    assert in_bash("muster -s /x re", env) == ["restart", "resume", "reload"]
    assert in_bash("muster stop --no", env) == ["--no-wait"]
    assert in_bash("muster run --restart o", env) == ["on-failure"]
    assert in_bash("muster signal US", env) == ["USR1", "USR2"]
    before = f'muster() {{ {rig.BINARY} "$@"; }}'
    assert in_bash(f"muster -s {socket} stop ", env, before) == [
        "all", "night", "shap", "shap_00", "shap_01", "web"]
    assert in_bash(f"muster stop -s {socket} we", env, before) == ["web"]
    assert in_bash(f"muster -s {socket} signal HUP shap_", env, before) == ["shap_00", "shap_01"]
    assert in_bash(f"muster -s {socket} scale w", env, before) == ["web="]
    assert in_bash(f"muster -s {instance.folder}/none stop ", env, before) == ["all"]
    assert "muster.toml" in {pathlib.Path(one).name for one in
                             in_bash(f"muster check -c {instance.folder}/mu", env)}


def test_fish_offers_verbs_options_words_and_what_runs(muster):
    fish = command("fish")
    assert run(fish, "-n", COMPLETIONS / "muster.fish").returncode == 0
    instance = muster(TWO)
    instance.running()
    bin_folder = instance.folder / "bin"
    bin_folder.mkdir()
    (bin_folder / "muster").symlink_to(rig.BINARY)
    env = {**instance.env, "HOME": str(instance.folder), "PATH": f"{bin_folder}:{os.environ['PATH']}"}

    def offers(line):
        done = run(fish, "--no-config", "-c",
                   f"source {COMPLETIONS / 'muster.fish'}; complete -C '{line}'", env=env)
        assert done.returncode == 0 and not done.stderr, done.stderr
        return {one.split("\t")[0] for one in done.stdout.splitlines()}

    assert offers("muster st") == {"status", "start", "stop"}
    assert offers("muster run --restart o") == {"on-failure"}
    assert offers("muster stop --no") == {"--no-wait"}
    assert offers(f"muster -s {instance.control} stop sh") == {"shap", "shap_00", "shap_01"}


class Terminal:
    """An interactive shell, typed into."""

    def __init__(self, arguments, env):
        pid, self.fd = pty.fork()
        if pid == 0:
            os.execvpe(arguments[0], arguments, env)
        self.pid = pid
        self.seen = ""

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait_for(self, text, seconds=20):
        deadline = time.monotonic() + seconds * PATIENCE
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"no {text!r} in {self.seen!r}"
            if select.select([self.fd], [], [], left)[0]:
                self.seen += os.read(self.fd, 65536).decode(errors="replace")
        self.seen = self.seen.split(text, 1)[1]

    def close(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def test_zsh_offers_verbs_options_words_and_what_runs(muster):
    zsh = command("zsh")
    assert run(zsh, "-n", COMPLETIONS / "muster.zsh").returncode == 0
    instance = muster(TWO)
    instance.running()
    place = instance.folder / "zsh"
    place.mkdir()
    shutil.copy(COMPLETIONS / "muster.zsh", place / "_muster")
    (place / "muster").symlink_to(rig.BINARY)
    env = {**instance.env, "HOME": str(place), "TERM": "dumb", "PATH": f"{place}:{os.environ['PATH']}"}
    shell = Terminal([zsh, "-f", "-i"], env)
    try:
        # A line is shown by what it would do: the shell says the words that it was left with.
        shell.type(f"fpath=({place} $fpath); autoload -Uz compinit; compinit -u -D; unsetopt zle_bracketed_paste; "
                   "muster() { print -r -- \"<$*>\"; }; print -r -- re''ady\n")
        shell.wait_for("ready\r\n")
        shell.type("muster stat\t\n")
        shell.wait_for("<status>")
        shell.type("muster run --rest\tn\t\n")
        shell.wait_for("<run --restart never>")
        shell.type("unfunction muster; print -r -- go''ne\n")
        shell.wait_for("gone\r\n")
        shell.type(f"muster -s {instance.control} stop we\t; print -r -- do''ne\n")
        shell.wait_for("done\r\n", 30)
    finally:
        shell.close()
    assert instance.state("web") == "STOPPED"


def test_what_is_installed(folder):
    build = pathlib.Path(rig.BINARY).resolve().parents[1]
    if not (build / "meson-private").is_dir():
        pytest.skip("MUSTER_BINARY is not in a build folder")
    done = run(command("meson"), "install", "-C", build, "--no-rebuild", "--destdir", folder / "root")
    assert done.returncode == 0, done.stdout + done.stderr
    files = {str(path.relative_to(folder / "root")) for path in (folder / "root").rglob("*") if path.is_file()}
    for name in ("bin/muster", "share/man/man1/muster.1", "share/man/man5/muster.toml.5",
                 "share/bash-completion/completions/muster", "share/zsh/site-functions/_muster",
                 "share/fish/vendor_completions.d/muster.fish", "share/muster/muster.schema.json", "share/doc/muster/openapi.json",
                 *(f"share/doc/muster/examples/{one.name}" for one in (ROOT / "conf").glob("*.toml"))):
        assert any(one.endswith("/" + name) for one in files), (name, files)
    assert not [one for one in files if "worker_stub" in one or "reference" in one or one.endswith(".a")]
