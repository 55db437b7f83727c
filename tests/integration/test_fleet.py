"""What changes the fleet while it runs: reload, scale, roll, groups, quiet."""

import json
import signal
import sys

from support import processes, rig
from support.eventually import always, eventually

READY = 'ready = { after = "50ms" }\nstop = ["TERM 5s", "KILL"]\n'


def program(name, *lines, command=rig.STUB):
    return f'[program.{name}]\ncommand = "{command}"\n{READY}' + "".join(f"{one}\n" for one in lines)


def changed(instance, config, arguments=("reload",)):
    instance.write(config)
    return instance.client(*arguments)


def pids(instance):
    return {one["id"]: one["pid"] for one in instance.processes().values()}


def test_a_reload_does_what_changed_and_nothing_else(muster):
    instance = muster(program("keep", "processes = 2") + program("change") + program("gone"))
    instance.running()
    old = pids(instance)
    wanted = (program("keep", "processes = 2").replace("TERM 5s", "INT 9s")
              + program("change", command=f"{rig.STUB} --no-register") + program("new", "processes = 2"))
    dry = changed(instance, wanted, ("reload", "--dry-run"))
    assert dry.returncode == 0, dry
    assert dry.stdout.splitlines() == [
        "added new",
        "changed keep: stop (at once)",
        "changed change: command (its processes are replaced one at a time)",
        "removed gone"]
    assert pids(instance) == old  # it only told

    done = instance.client("reload", "--json")
    assert done.returncode == 0, done
    told = json.loads(done.stdout)
    assert told["added"] == ["new"] and told["removed"] == ["gone"] and not told["dry_run"]
    outcomes = {one["process"]: one for one in told["processes"]}
    assert {name: one["state"] for name, one in outcomes.items()} == {
        "new_00": "RUNNING", "new_01": "RUNNING", "change": "RUNNING", "gone": "STOPPED"}
    assert all(one["ok"] for one in outcomes.values()), outcomes
    now = pids(instance)
    assert list(now) == ["keep_00", "keep_01", "change", "new_00", "new_01"]  # as in the file
    assert now["keep_00"] == old["keep_00"] and now["keep_01"] == old["keep_01"]
    assert now["change"] != old["change"]
    assert "--no-register" in processes.command_line(now["change"])
    assert not processes.is_alive(old["gone"])
    again = instance.client("reload")
    assert again.returncode == 0 and again.stdout == "nothing has changed\n", again


def test_I10_a_typo_changes_nothing(muster):
    instance = muster(program("one") + program("two"))
    instance.running()
    old = pids(instance)
    before = instance.client("status", "--json").stdout
    bad = changed(instance, program("one", "restrat = 1") + program("three", "user = 5.5"))
    assert bad.returncode == 2, bad
    assert "muster.toml:7:1: program.one.restrat: unknown key; did you mean restart?" in bad.stderr
    assert "program.three.user" in bad.stderr  # all errors, not only the first
    assert "nothing was changed" in bad.stderr
    status, answer = instance.post("/v1/reload")
    assert status == 422 and answer["error"]["code"] == "invalid_config"
    processes.kill(instance.pid, signal.SIGHUP)
    eventually(5, lambda: len(instance.log_lines("reload-refused", "restrat")) >= 3)
    instance.file.unlink()
    assert instance.client("reload").returncode == 2
    assert pids(instance) == old
    assert json.loads(before)["processes"][0]["pid"] == old["one"]
    nobody = changed(instance, program("one", 'user = "nobody-by-this-name"'))
    assert nobody.returncode == 2 and "nobody-by-this-name" in nobody.stderr, nobody
    assert pids(instance) == old


def test_hup_reloads(muster):
    instance = muster(program("one"))
    instance.running()
    instance.write(program("one") + program("two"))
    processes.kill(instance.pid, signal.SIGHUP)
    eventually(5, lambda: "two" in instance.processes())
    instance.running("two")
    instance.logged("reloaded", "added=two")


def test_a_changed_stop_acts_on_what_runs(muster):
    deaf = f"{rig.STUB} --ignore-term"
    patient = program("deaf", command=deaf).replace("TERM 5s", "TERM 1h")
    instance = muster(patient)
    old = instance.running("deaf")
    assert changed(instance, patient.replace("1h", "100ms")).returncode == 0
    assert instance.one("deaf")["pid"] == old["pid"]
    assert instance.client("stop", "deaf").returncode == 0
    assert not processes.is_alive(old["pid"])


def test_what_needs_a_restart_of_muster_is_named_and_left(muster, folder):
    instance = muster(program("one"))
    instance.running()
    before = instance.control
    text = instance.file.read_text()
    instance.file.write_text(text.replace(str(before), str(folder / "other.sock"))
                             .replace("[supervisor]\n", '[supervisor]\nshutdown_timeout = "9s"\n'))
    done = instance.client("reload")
    assert done.returncode == 0, done
    assert "supervisor.shutdown_timeout (at once)" in done.stdout
    assert "supervisor.control (needs a restart of muster; left as it was)" in done.stdout
    assert before.exists()


def test_scale_touches_only_the_difference_and_survives_a_reload(muster):
    config = program("work", "processes = 2")
    instance = muster(config + program("other"))
    instance.running()
    old = pids(instance)
    up = instance.client("scale", "work=4")
    assert up.returncode == 0, up
    assert up.stdout.splitlines() == ["work_02: started (RUNNING)", "work_03: started (RUNNING)"]
    now = pids(instance)
    assert {name: now[name] for name in old} == old
    assert changed(instance, config + program("other", "essential = false")).returncode == 0
    assert list(pids(instance)) == ["work_00", "work_01", "work_02", "work_03", "other"]
    down = instance.client("scale", "work=1")
    assert down.returncode == 0, down
    assert pids(instance) == {"work_00": old["work_00"], "other": old["other"]}
    assert not processes.is_alive(old["work_01"]) and not processes.is_alive(now["work_03"])
    # The file's number wins when it is the file that changes.
    assert changed(instance, program("work", "processes = 3") + program("other")).returncode == 0
    assert list(pids(instance)) == ["work_00", "work_01", "work_02", "other"]
    for words, status in ((("work=0",), 2), (("work",), 2), (("nobody=2",), 4)):
        assert instance.client("scale", *words).returncode == status, words
    status, answer = instance.post("/v1/programs/work/scale", {"processes": "3"})
    assert status == 400 and answer["error"]["code"] == "bad_parameter"
    status, answer = instance.post("/v1/programs/other/scale?wait=true", {"processes": 2})
    assert status == 200 and [one["process"] for one in answer["processes"]] == ["other_01"]
    assert list(pids(instance))[-2:] == ["other", "other_01"]


def test_idle_workers_go_first(muster, redis_server):
    instance = muster(
        f'[redis]\nurl = "{redis_server.url}"\n'
        + program("work", 'registry = "rq"', "processes = 3",
                  command=f"{rig.STUB} --redis {redis_server.url} --name {{name}}")
        .replace(READY, 'stop = ["TERM 5s", "KILL"]\n'))
    old = {one["id"]: one for one in instance.running()}
    for name in ("work_00", "work_02"):  # as if they had a job
        redis_server.client.hset(f"rq:worker:{old[name]['name']}", "state", "busy")
    assert instance.client("scale", "work=2").returncode == 0
    assert list(pids(instance)) == ["work_00", "work_02"]
    assert instance.client("scale", "work=1").returncode == 0
    assert list(pids(instance)) == ["work_00"]  # both are busy: the highest
    eventually(5, lambda: redis_server.workers() == {old["work_00"]["name"]})


def test_roll_replaces_one_at_a_time_and_never_has_fewer_than_all_but_one(muster):
    instance = muster(program("work", "processes = 3").replace("50ms", "300ms"))
    old = instance.running()
    fewest = [3]

    def rolled():
        ready = [one for one in instance.processes().values() if one["ready"]]
        fewest.append(len(ready))
        assert len(ready) >= 2, instance.log()
        return all(one["incarnation"] == 2 and one["ready"] for one in instance.processes().values())

    status, body = instance.post("/v1/processes/work/roll")
    assert status == 200 and len(body["processes"]) == 3, body
    eventually(20, rolled)
    assert min(fewest) == 2
    assert not set(pids(instance).values()) & {one["pid"] for one in old}
    done = instance.client("roll", "work:work_01")
    assert done.returncode == 0 and done.stdout == "work_01: replaced (RUNNING)\n", done


def test_a_bad_release_stops_the_roll_and_the_old_ones_stay(muster, folder):
    good = folder / "release"
    good.symlink_to(rig.STUB)
    config = program("work", "processes = 3", 'backoff = { initial = "20ms", max = "20ms" }',
                     "start_limit = 3", 'on_fatal = "stay"', command=good)
    instance = muster(config)
    old = pids(instance) if instance.running() else {}
    good.unlink()
    good.symlink_to("/bin/false")
    done = instance.client("roll", "work")
    assert done.returncode == 1, done
    assert "work_00: did not become ready" in done.stderr
    assert "work_01: was left as it is" in done.stderr
    now = pids(instance)
    assert (now["work_01"], now["work_02"]) == (old["work_01"], old["work_02"])
    eventually(5, lambda: instance.state("work_00") == "FATAL")
    # What is left of it is not taken down either.
    blocked = instance.client("roll", "work_01")
    assert blocked.returncode == 1 and "FATAL" in blocked.stderr, blocked
    good.unlink()
    good.symlink_to(rig.STUB)
    assert instance.client("roll", "work").returncode == 0
    assert not set(pids(instance).values()) & set(old.values())
    # The same by a reload.
    old = pids(instance)
    done = changed(instance, config.replace(str(good), "/bin/false"))
    assert done.returncode == 1 and "work_00: did not become ready" in done.stderr, done
    now = pids(instance)
    assert (now["work_01"], now["work_02"]) == (old["work_01"], old["work_02"])


def test_a_later_stop_wins_over_a_roll(muster):
    slow = program("work", "processes = 2", command=f"{rig.STUB} --ignore-term").replace(
        "TERM 5s", "TERM 1s")
    instance = muster(slow)
    old = pids(instance) if instance.running() else {}
    assert instance.post("/v1/processes/work/roll")[0] == 200
    eventually(5, lambda: instance.state("work_00") == "STOPPING")
    assert instance.client("stop", "work_00").returncode == 0
    instance.running("work_01", but=[{"id": "work_01", "incarnation": 1}])
    assert instance.state("work_00") == "STOPPED"
    assert instance.one("work_01")["pid"] != old["work_01"]


def test_groups_are_told_things_together(muster):
    groups = ('[group.night]\nprograms = ["b", "c"]\npriority = 5\n')
    instance = muster(program("a") + program("b", "processes = 2", "priority = 20")
                      + program("c", "priority = 10") + groups)
    instance.running()
    started = [line.split("process=")[1].split()[0] for line in instance.log_lines(" starting ")]
    assert started == ["c", "b_00", "b_01", "a"]  # by the group's priority, then by their own
    assert instance.one("b_00")["group"] == "night" and instance.one("a")["group"] is None
    assert instance.client("stop", "night").returncode == 0
    assert {name: one["state"] for name, one in instance.processes().items()} == {
        "a": "RUNNING", "b_00": "STOPPED", "b_01": "STOPPED", "c": "STOPPED"}
    assert instance.client("status", "night:*").returncode == 3
    assert instance.client("start", "night:b_00").returncode == 0
    assert instance.client("restart", "night:*").returncode == 0
    instance.running()
    assert instance.terminate() == 0
    # Groups end one after the other, the higher number first: `a` is one of its own, with 999.
    ended = [line.split("process=")[1].split()[0] for line in instance.log_lines(" stopped ")[-4:]]
    assert ended[0] == "a" and set(ended[1:]) == {"b_00", "b_01", "c"}, ended


def test_quiet_says_clearly_where_it_cannot(muster, redis_server):
    instance = muster(f'[redis]\nurl = "{redis_server.url}"\n'
                      f'[program.work]\nregistry = "rq"\ncommand = "{rig.STUB} --redis '
                      f'{redis_server.url} --name {{name}}"\n' + program("web"))
    instance.running()
    done = instance.client("quiet", "all")
    assert done.returncode == 1, done
    assert "work: rq knows no signal by which one worker takes no new jobs" in done.stderr
    assert "web: has no registry" in done.stderr
    assert instance.one("work")["quiet"] is False
    processes.kill(instance.pid, signal.SIGTSTP)
    eventually(5, lambda: instance.log_lines("not-quieted", "programs=web,work"))
    instance.running()


def test_quiet_and_resume_reach_workers_that_can(muster, redis_server):
    """Resque's signals: USR2 and CONT. A shell stands for the worker."""
    shell = ("trap 'echo got-quiet' USR2; trap 'echo got-resume' CONT; trap 'exit 0' QUIT TERM; "
             "echo waiting; while :; do sleep 0.05; done")
    instance = muster(f'[redis]\nurl = "{redis_server.url}"\n[program.work]\nregistry = "resque"\n'
                      f'ready = {{ after = "50ms" }}\ncommand = ["sh", "-c", "{shell}"]\n')
    worker = instance.running("work")
    eventually(5, lambda: instance.log_lines("waiting"))
    assert instance.client("quiet", "work").stdout == "work: takes no new jobs (RUNNING)\n"
    eventually(5, lambda: instance.log_lines("got-quiet"))
    assert instance.one("work")["quiet"] is True
    assert "QUIET" in instance.client("status").stdout
    assert instance.client("resume", "work").returncode == 0
    eventually(5, lambda: instance.log_lines("got-resume"))
    processes.kill(instance.pid, signal.SIGTSTP)
    eventually(5, lambda: instance.one("work")["quiet"] is True)
    processes.kill(worker["pid"])
    after = instance.running("work", but=[worker])
    assert after["quiet"] is False  # a new life takes jobs
    assert "QUIET" not in instance.client("status").stdout


def test_an_env_file_is_read_at_the_start_and_by_each_reload(muster, folder):
    secrets, seen = folder / "secrets", folder / "seen"
    secrets.write_text("TOKEN=one\nCOLOUR=red\n")
    instance = muster(
        f'[program.one]\ncommand = ["sh", "-c", "echo $TOKEN $COLOUR >> {seen}; exec sleep 1000"]\n'
        f'env_file = "{secrets}"\nenvironment = {{ COLOUR = "blue" }}\nready = {{ after = "0s" }}\n')
    first = instance.running("one")["pid"]
    eventually(10, lambda: seen.read_text() == "one blue\n")
    secrets.write_text("TOKEN=two\nCOLOUR=red\n")
    assert instance.client("reload").returncode == 0
    assert instance.one("one")["pid"] == first  # from the next start on
    assert instance.client("restart", "one").returncode == 0
    eventually(10, lambda: seen.read_text() == "one blue\ntwo blue\n")

    secrets.write_text("TOKEN=three\ns3cret\n")
    refused = instance.client("reload")
    assert refused.returncode != 0 and f"{secrets}: line 2: not KEY=value" in refused.stderr, refused
    assert instance.client("restart", "one").returncode == 0
    eventually(10, lambda: seen.read_text() == "one blue\ntwo blue\ntwo blue\n")
    assert "s3cret" not in refused.stderr + instance.log()


def test_included_files_are_reloaded_too(muster, folder):
    parts = folder / "m0" / "conf.d"
    parts.mkdir(parents=True)
    (parts / "a.toml").write_text(program("a"))
    config = '[supervisor]\ninclude = ["conf.d/*.toml"]\n' + program("main")
    instance = muster(config)
    instance.running("a", "main")
    (parts / "b.toml").write_text(program("b"))
    (parts / "a.toml").unlink()
    done = instance.client("reload")
    assert done.returncode == 0, done
    assert list(pids(instance)) == ["main", "b"]
    (parts / "b.toml").write_text("[program.b]\n")
    bad = instance.client("reload")
    assert bad.returncode == 2 and "conf.d/b.toml:1:" in bad.stderr, bad
    assert list(pids(instance)) == ["main", "b"]


def test_workers_grow_old_one_at_a_time(muster):
    instance = muster(program("work", "processes = 2", 'max_age = "1s"'))
    instance.running()
    eventually(10, lambda: len(instance.log_lines("stopping", "cause=max-age")) >= 2)
    assert instance.log_lines("stopped") == []  # each has a next life
    always(1, lambda: sum(one["ready"] is True for one in instance.processes().values()) >= 1,
           "one of two is up")


def test_a_reload_while_another_runs_and_while_it_shuts_down(muster):
    instance = muster(program("one"))
    instance.running()
    instance.write(program("one", "processes = 2"))
    for _ in range(20):
        processes.kill(instance.pid, signal.SIGHUP)
    status, body = instance.post("/v1/reload?wait=true")
    assert status == 200, body
    eventually(5, lambda: list(instance.processes()) == ["one_00", "one_01"])
    instance.running()
    status, body = instance.post("/v1/reload?foo=1")
    assert status == 400 and "foo=1" in body["error"]["message"]
    assert instance.get("/v1/reload")[0] == 405
    assert instance.terminate() == 0


def test_a_changed_log_setting_restarts_nobody_and_acts_from_the_next_start_on(muster, folder):
    log = folder / "work.log"
    loud = '["sh", "-c", "while :; do printf %01000d 1; echo; sleep 0.005; done"]'

    def config(size):
        return (f'[program.work]\ncommand = {loud}\n{READY}stdout = "{log}"\n'
                f'log_rotate = {{ size = "{size}", keep = 2 }}\n')

    instance = muster(config("100MB"))
    old = instance.running("work")
    done = changed(instance, config("20KB"))
    assert done.returncode == 0 and "log_rotate (from the next start on)" in done.stdout, done
    assert instance.one("work")["pid"] == old["pid"]
    assert instance.client("restart", "work").returncode == 0
    eventually(10, lambda: (folder / "work.log.1").exists())
    other = folder / "other.log"
    assert changed(instance, config("20KB").replace(str(log), str(other))).returncode == 0
    assert not other.exists()
    assert instance.client("restart", "work").returncode == 0
    eventually(5, other.exists)


def test_what_grows_too_big_is_replaced(muster):
    """The memory is that of the whole session: here it is a grandchild that holds it."""
    def eats(size):
        code = f"x = bytearray({size}); import time; time.sleep(600)"
        return f'["sh", "-c", "{sys.executable} -c \'{code}\' & wait"]'

    instance = muster(
        f'[program.hard]\ncommand = {eats(90_000_000)}\n{READY}memory = {{ hard = "60MB" }}\n'
        f'[program.soft]\ncommand = {eats(90_000_000)}\n{READY}memory = {{ soft = "60MB" }}\n'
        f'[program.fine]\ncommand = {eats(10)}\n{READY}memory = {{ soft = "60MB" }}\n')
    old = {one["id"]: one for one in instance.running()}
    for name in ("hard", "soft"):
        eventually(20, lambda name=name: instance.log_lines("stopping", f"process={name}",
                                                            "cause=memory"))
        instance.logged("too-big", f"process={name}", f"{name}=60000000")
    instance.running("hard", "soft", but=old.values())
    assert instance.one("fine")["pid"] == old["fine"]["pid"]
