"""The unit of the Debian package under a real systemd, which is a container's first process; its programs are this machine's."""

import os
import pathlib
import shutil
import signal

import pytest

from support import processes, rig
from support.eventually import eventually

ROOT = pathlib.Path(__file__).resolve().parents[2]
SYSTEMD = pathlib.Path("/usr/lib/systemd/systemd")
USR_MERGED = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}


class Machine:
    """A container that systemd has booted, with muster.service in it; its folder is inside under the same path."""

    def __init__(self, podman, container, folder):
        # Of a newer systemd, for a host that still has cgroup v1.
        legacy = ["-e", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
                  "-e", "SYSTEMD_PROC_CMDLINE=systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"]
        unit = folder / "muster.service"
        folder.mkdir(parents=True)
        unit.write_text((ROOT / "packaging" / "muster.service.in").read_text().replace("@bindir@", "/opt"))
        dropin = folder / "test.conf"
        self.log_file = folder / "log"  # there is no journal
        # With cgroup v1 nobody tells a contained systemd that all are gone after a kill: it waits for as long as TimeoutStopSec.
        dropin.write_text("[Service]\nWatchdogSec=3s\nTimeoutStopSec=4s\nRestartSec=100ms\n"
                          f"ExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT $EXIT_STATUS >>{folder}/ends'\n"
                          f"StandardOutput=append:{self.log_file}\nStandardError=append:{self.log_file}\n")
        self.configuration = folder / "muster"
        self.configuration.mkdir()
        self.file = self.configuration / "muster.toml"
        image = podman.make_image("systemd", {"/opt/muster": rig.BINARY}, settings=("ENV PATH=/usr/bin:/usr/sbin",),
                                  links=USR_MERGED)
        self.container = container(
            str(SYSTEMD), "--unit=basic.target", "--log-target=console", image=image, folder=folder,
            options=["--systemd=always", "-v", "/usr:/usr:ro", "-v", f"{unit}:/etc/systemd/system/muster.service:ro",
                     "-v", f"{dropin}:/etc/systemd/system/muster.service.d/test.conf:ro",
                     "-v", f"{self.configuration}:/etc/muster", *([] if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else legacy)])
        try:
            eventually(20, lambda: self.call("is-active", "basic.target").stdout == "active\n")
        except (AssertionError, FileNotFoundError):
            pytest.skip(f"systemd does not boot in a container here: {self.container.log()[-300:]}")

    def call(self, *words):
        return self.container.execute("systemctl", *words, timeout=60)

    def shows(self, *names):
        """Of muster.service."""
        said = self.call("show", "muster.service", *[f"-p{name}" for name in names]).stdout
        found = dict(line.split("=", 1) for line in said.splitlines())
        return found[names[0]] if len(names) == 1 else [found[name] for name in names]

    def log(self):
        """Of muster."""
        return self.log_file.read_text()

    def muster(self):
        """As seen from here."""
        inner = int(self.shows("MainPID"))
        for pid in processes.descendants(self.container.pid):
            if processes.pid_in_namespace(pid) == inner:
                return pid
        raise LookupError(f"pid {inner} of the container")


@pytest.fixture
def machine(podman, container, folder):
    if not SYSTEMD.exists() or shutil.which("systemctl") is None:
        pytest.skip("no systemd on this machine (scripts/setup --containers)")
    return Machine(podman, container, folder / "machine")


def test_the_unit_by_a_real_systemd(machine):
    """Ready when the workers are, reloaded, killed by the watchdog and back, and stopped when the job has ended."""
    place = machine.container.folder
    job = f'trap \\"sleep 1; echo finished > {place}/job; exit\\" TERM; while :; do sleep 0.05; done'
    nap = '[program.nap]\ncommand = "sleep 1000"\nprocesses = 2\nready = { after = "200ms" }\n'
    machine.file.write_text(nap)
    verified = machine.container.execute("systemd-analyze", "--man=no", "verify", "muster.service")
    assert verified.returncode == 0 and "muster.service" not in verified.stderr, verified.stderr

    started = machine.call("start", "muster.service")
    assert started.returncode == 0, started.stderr + machine.log()
    assert machine.shows("ActiveState", "Type") == ["active", "notify"]
    eventually(5, lambda: machine.shows("StatusText") == "2 of 2 processes running")
    assert machine.container.execute("/opt/muster", "status").returncode == 0  # RuntimeDirectory has the socket

    more = nap + f'[program.job]\ncommand = ["sh", "-c", "{job}"]\nstop = ["TERM 20s", "KILL"]\n'
    machine.file.write_text(more)
    assert machine.call("reload", "muster.service").returncode == 0
    eventually(5, lambda: machine.shows("StatusText") == "3 of 3 processes running")
    machine.file.write_text("nonsense = 1\n")
    machine.call("reload", "muster.service")
    eventually(5, lambda: "nonsense" in machine.log())
    assert machine.shows("ActiveState") == "active" and machine.shows("StatusText") == "3 of 3 processes running"
    machine.file.write_text(more)

    first = machine.muster()
    was = machine.shows("MainPID")
    old = processes.children(first)
    os.kill(first, signal.SIGSTOP)  # a loop that does not turn
    eventually(20, lambda: machine.shows("MainPID") not in (was, "0") and machine.shows("ActiveState") == "active", "its next life")
    assert set((place / "ends").read_text().splitlines()) == {"watchdog ABRT"}
    assert not [pid for pid in [first, *old] if processes.is_alive(pid)]
    eventually(5, lambda: machine.shows("StatusText") == "3 of 3 processes running")

    stopped = machine.call("stop", "muster.service")
    assert stopped.returncode == 0 and (place / "job").read_text() == "finished\n"
    assert machine.shows("ActiveState", "Result", "ExecMainStatus") == ["inactive", "success", "0"]
