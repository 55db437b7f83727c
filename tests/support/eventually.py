"""Waiting for what will be true, never for time to pass."""

import os
import time

# How much slower than a plain build the tested binary may be (a sanitizer's, say).
PATIENCE = float(os.environ.get("MUSTER_TEST_PATIENCE", "1"))


def patience():
    """A deadline finds a broken program, not a machine that has other work: there it is longer, up to four times."""
    return PATIENCE * min(max(os.getloadavg()[0] / (os.cpu_count() or 1), 1), 4)


def eventually(seconds, claim, what=None):
    """The first true value of claim(); fails when none came in time, with the last thing that went wrong."""
    begun = time.monotonic()
    problem = None
    while True:
        try:
            value = claim()
            if value:
                return value
            problem = f"it was {value!r}"
        except (AssertionError, LookupError, OSError, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
        if time.monotonic() - begun > seconds * patience():
            name = what or getattr(claim, "__doc__", None) or "what was awaited"
            raise AssertionError(f"{name} did not come true in {time.monotonic() - begun:.1f} s; {problem}")
        time.sleep(0.01)


def always(seconds, claim, what):
    """Holds all the while: for what must not happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert claim(), f"{what} did not hold"
        time.sleep(0.02)
