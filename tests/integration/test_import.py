"""`muster import`: what comes out runs as the original did."""

import subprocess

from support.rig import BINARY, environment

CONF = """\
; the site
[supervisord]
environment=SHARED="yes"

[include]
files = conf.d/*.conf missing/*.conf

[program:once]
command=sh -c 'echo "$SHARED $OWN ${NEVER}-%(program_name)s" > "%(here)s/out"; exit 3'
environment=OWN="a, b"
autorestart=unexpected
exitcodes=3
startsecs=0
serverurl=http://localhost:1
"""


def run(folder, *arguments, env=None):
    return subprocess.run([BINARY, *map(str, arguments)], cwd=folder,
                          env={**environment(folder), **(env or {})},
                          capture_output=True, text=True, timeout=60)


def test_a_supervisord_conf_with_includes(folder):
    (folder / "conf.d").mkdir()
    (folder / "supervisord.conf").write_text(CONF)
    (folder / "conf.d" / "b.conf").write_text(
        "[program:other]\ncommand=true\nautorestart=false\nstartsecs=0\n")
    done = run(folder, "import", "supervisord.conf", "-o", "muster.toml")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ("not carried over: supervisord.conf:14: [program:once] serverurl: "
                           "children find the control socket in MUSTER_CONTROL\n")
    text = (folder / "muster.toml").read_text()
    assert "# the site\n" in text and "serverurl: children" in text

    assert run(folder, "check").returncode == 0
    done = run(folder, "run", "-s", folder / "c" / "s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "out").read_text() == "yes a, b -once\n"

    again = run(folder, "import", "supervisord.conf", "-o", "muster.toml")
    assert again.returncode == 1 and "muster.toml is there already" in again.stderr
    assert (folder / "muster.toml").read_text() == text


def test_the_set_up_that_muster_was_made_for(folder):
    """A shell that makes a name of the time, and one that is fixed: both become advice, and run as they are."""
    (folder / "supervisord.conf").write_text("""
[supervisord]
nodaemon=true

[program:shap-worker]
command=sh -c 'rq worker shap-jobs --url "$REDIS_URL" --name shap-worker-$(date +%%s)-%(process_num)d'
process_name=%(program_name)s_%(process_num)02d
numprocs=2
stopwaitsecs=25
stdout_logfile=/dev/stdout
stdout_logfile_maxbytes=0
redirect_stderr=true

[program:simple-worker]
command=rq worker simple-jobs --url %(ENV_REDIS_URL)s --name simple-worker-65
stdout_logfile=/dev/fd/1
stdout_logfile_maxbytes=0
""")
    done = run(folder, "import", "supervisord.conf", "-o", "muster.toml")
    assert (done.returncode, done.stderr) == (0, "")
    text = (folder / "muster.toml").read_text()
    shap, simple = text.split("[program.shap-worker]")[1].split("[program.simple-worker]")
    assert "--name shap-worker-$(date +%s)-{index}" in shap and "{name} is new at each start" in shap
    assert "--url ${REDIS_URL} --name simple-worker-65" in simple
    for program in (shap, simple):
        assert 'registry = "rq" and --name {name}' in program and 'stdout = "forward"' in program
    assert "Without the shell" not in simple
    done = run(folder, "check", env={"REDIS_URL": "redis://127.0.0.1:1"})
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_procfile(folder):
    (folder / "Procfile").write_text("release: touch released\nweb: test -e released && echo $X > web\n")
    (folder / ".env").write_text("X=from-the-file\n")
    done = run(folder, "import", "Procfile", "-o", "muster.toml")
    assert (done.returncode, done.stderr) == (0, "")
    with open(folder / "muster.toml", "a", encoding="utf-8") as file:
        file.write('restart = "never"\n')  # of the last program: so that the test ends
    done = run(folder, "run", "-s", folder / "c" / "s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "web").read_text() == "from-the-file\n"


def test_what_cannot_be_imported(folder):
    (folder / "x").write_text("[a]\nb\n")
    for arguments, words in ((["missing"], "reading missing: No such file"),
                             (["x"], "line 2: is neither a [section] nor key = value"),
                             (["."], "reading .: Is a directory")):
        done = run(folder, "import", *arguments)
        assert done.returncode == 1 and words in done.stderr, done.stderr
        assert done.stdout == ""
