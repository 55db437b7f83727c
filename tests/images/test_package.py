"""The Debian package on clean Debian roots with a systemd: installed, run, upgraded at work, removed, purged."""

import os
import subprocess

import pytest

from support import processes
from support.eventually import eventually

# The image's way to be small leaves manual pages out; what is installed here has them.
MACHINE = """ARG DEBIAN
FROM ${DEBIAN}
RUN rm -f /etc/dpkg/dpkg.cfg.d/* && apt-get update \\
 && apt-get install -y --no-install-recommends systemd man-db bash-completion zsh
"""
LEGACY = "systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"
CONFIG = '[program.nap]\ncommand = "sleep 1000"\nprocesses = 2\nready = { after = "100ms" }\n'


def newer(package, folder):
    """The same with a higher version."""
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("\nVersion: ", "\nVersion: 9:"))
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, folder / "newer.deb"], check=True, capture_output=True)
    return folder / "newer.deb"


@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_a_life_of_the_package(release, build_image, debian, package, container, folder, tmp_path):
    image = build_image.of(f"machine-{release}", MACHINE, tmp_path, DEBIAN=debian(release))
    place = folder / "c0"
    place.mkdir()
    (place / "old.deb").write_bytes(package.read_bytes())
    (place / "new.deb").write_bytes(newer(package, tmp_path).read_bytes())
    legacy = [] if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else ["-e", f"SYSTEMD_PROC_CMDLINE={LEGACY}"]
    one = container("/lib/systemd/systemd", "--unit=basic.target", image=image, options=["--systemd=always", *legacy])

    def run(*words, status=0):
        done = one.execute(*words, timeout=120)
        assert status is None or done.returncode == status, f"{words}: {done.stdout}{done.stderr}\n{one.log()[-2000:]}"
        return done.stdout + done.stderr

    def shown(name):
        return run("systemctl", "show", "muster.service", f"-p{name}", "--value").strip()

    eventually(20, lambda: run("systemctl", "is-active", "basic.target", status=None) == "active\n")

    run("dpkg", "-i", f"{place}/old.deb")
    assert run("muster", "version").startswith("muster ")
    assert shown("UnitFileState") == "disabled"
    run("systemctl", "start", "muster.service")  # a file is lacking, and that is no failure
    assert shown("ActiveState") == "inactive" and shown("ConditionResult") == "no"
    for page in ("muster", "muster.toml"):
        assert "muster" in run("man", "-P", "cat", page)
    assert "complete" in run("bash", "-c", ". /usr/share/bash-completion/bash_completion; _comp_load muster 2>/dev/null || "
                                           "_completion_loader muster; complete -p muster")
    assert "_muster" in run("zsh", "-c", "autoload -Uz compinit; compinit -D -u; echo $_comps[muster]")

    run("sh", "-c", f"printf '{CONFIG}' > /etc/muster/muster.toml".replace("\n", "\\n"))
    run("systemctl", "enable", "--now", "muster.service")
    eventually(10, lambda: shown("StatusText") == "2 of 2 processes running")
    before = shown("MainPID")

    run("dpkg", "-i", f"{place}/new.deb")  # over the one that runs
    assert shown("ActiveState") == "active" and shown("MainPID") != before
    eventually(10, lambda: shown("StatusText") == "2 of 2 processes running")
    assert shown("UnitFileState") == "enabled"
    sleeping = [pid for pid in processes.descendants(one.pid) if processes.command_line(pid)[:1] == ["sleep"]]
    assert len(sleeping) == 2

    run("dpkg", "-r", "muster")
    assert not [pid for pid in sleeping if processes.is_alive(pid)]
    assert "could not be found" in run("systemctl", "status", "muster.service", status=4)
    assert run("ls", "/etc/muster") == "muster.toml\n"  # the operator's own
    run("ls", "/etc/systemd/system/multi-user.target.wants/muster.service", status=2)
    run("dpkg", "-P", "muster", status=None)
    left = run("sh", "-c", "find / -xdev -name '*muster*' -not -path '/proc/*' -not -path '/tmp/*' -not -path '/var/cache/*'")
    assert set(left.split()) <= {"/etc/muster", "/etc/muster/muster.toml"}, left
