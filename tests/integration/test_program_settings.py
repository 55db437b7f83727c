"""What a program's settings make of a child, of its end, and of the time that it has for it."""

import os

import pytest

from support.eventually import always, eventually

AT_ONCE = 'ready = { after = "0s" }\nbackoff = { initial = "10ms", jitter = 0 }\n'


def test_a_child_is_what_its_settings_say(muster, folder):
    facts = folder / "facts"
    as_somebody = 'user = "nobody"\ngroup = "daemon"\n' if os.getuid() == 0 else ""
    who = "nobody\ndaemon\n" if as_somebody else ""
    instance = muster(  # /tmp: whoever it is can go there
        '[program.tmp]\ndirectory = "/{process}"\n'
        'command = ["sh", "-c", "umask; nice; ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj; '
        f'pwd; echo $COLOUR{"; id -un; id -gn" if as_somebody else ""}; exec sleep 1000"]\n'
        'umask = "027"\nenvironment = { COLOUR = "{index}-red" }\n'
        'limits = { nofile = [123, 456], nice = 19, oom_score_adj = 300 }\n'
        f'stdout = "{facts}"\n{as_somebody}{AT_ONCE}')
    wanted = f"0027\n19\n123\n456\n300\n/tmp\n0-red\n{who}"
    eventually(10, lambda: facts.read_text() == wanted)
    assert instance.running("tmp")["restarts"] == 0


@pytest.mark.parametrize(("code", "state"), [(0, "EXITED"), (3, "EXITED"), (1, "RUNNING")])
def test_on_failure_means_what_was_not_expected(muster, folder, code, state):
    """Ends with `code` the first time it is told to, and then stays."""
    marker = folder / "ended"
    instance = muster(
        f'[program.one]\ncommand = ["sh", "-c", "[ -e {marker} ] && exec sleep 1000; touch {marker}; exit {code}"]\n'
        f'restart = "on-failure"\nexit_codes = [0, 3]\n{AT_ONCE}'
        f'[program.other]\ncommand = "sleep 1000"\n{AT_ONCE}')
    eventually(10, lambda: marker.exists() and instance.state("one") == state)
    always(0.5, lambda: instance.state("one") == state, state)
    seen = instance.one("one")
    assert seen["last_exit"]["code"] == code and seen["restarts"] == (state == "RUNNING"), seen


def test_drain_is_the_time_of_a_life_that_is_replaced_and_of_no_other(muster, folder):
    busy = folder / "busy"
    instance = muster(
        f'[program.one]\ncommand = ["sh", "-c", "trap \'sleep 0.7; exit 0\' TERM; touch {busy}; while :; do sleep 0.02; done"]\n'
        f'stop = ["TERM 100ms", "KILL"]\ndrain = "30s"\n{AT_ONCE}')
    eventually(10, busy.exists)
    busy.unlink()
    assert instance.client("roll", "one").returncode == 0
    assert instance.one("one")["last_exit"].get("code") == 0, instance.one("one")
    eventually(10, busy.exists)
    assert instance.client("restart", "one").returncode == 0
    assert instance.one("one")["last_exit"].get("signal") == 9, instance.one("one")
