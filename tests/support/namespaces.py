"""A pid namespace of a test's own, where this machine allows one: root does, a plain container's root does not."""

import subprocess

import pytest

UNSHARE = ["unshare", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child"]


def _why_not():
    done = subprocess.run([*UNSHARE, "true"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


_reason = _why_not()
needs_namespaces = pytest.mark.skipif(bool(_reason), reason=f"no pid namespace here ({_reason}): run as root, in a "
                                                            "container with --privileged")
