"""What nobody saw die: muster and its workers killed at once; the next life, or another host, settles it."""

import functools
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import pytest

from support import processes
from support.clock import clock
from support.cuttable import Cuttable
from support.eventually import always, eventually

needs_namespaces = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root here")


def elsewhere(host):
    """As on another host: other hostname, other pid namespace."""
    return ["unshare", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child",
            "sh", "-c", f'hostname {host} && exec "$@"', "sh"]


ENTER = """
hostname "$1" && echo $$ >"$2/cgroup.procs" && shift 2 && exec unshare --cgroup sh -c '
    root=$1/root
    mount -t overlay overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" "$root" || exit 97
    for place in /*; do
        case $place in /proc | /sys) continue ;; esac
        if [ -L "$place" ]; then cp -P "$place" "$root" 2>/dev/null; continue; fi
        if [ -d "$place" ]; then mkdir -p "$root$place" && mount --rbind "$place" "$root$place" || exit 98; fi
    done
    mkdir -p "$root/proc" "$root/sys/fs/cgroup"
    mount -t proc proc "$root/proc" && mount -t cgroup2 none "$root/sys/fs/cgroup" || exit 99
    shift
    exec chroot "$root" "$@"' sh "$@"
"""


class Container:
    """As an engine starts one again and again: its writable layer and host name stay, its namespaces are new each time,
    and nobody else is in its control group."""

    def __init__(self, folder, host):
        self.folder = folder / host
        self.host = host
        self.held = []
        for name in ("lower", "upper", "work", "root"):
            (self.folder / name).mkdir(parents=True)
        mounts = [line.split() for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
        self.group = pathlib.Path(next(line[4] for line in mounts if line[line.index("-") + 1] == "cgroup2"),
                                  f"muster-test-{os.getpid()}-{host}")
        self.group.mkdir()

    @property
    def before(self):
        return ["unshare", "--pid", "--uts", "--mount", "--fork", "--kill-child", "sh", "-c", ENTER, "sh", self.host,
                str(self.group), str(self.folder)]

    def kill(self, instance):
        """As pid 1 it takes all along. The kernel must not use the namespace's number again: by that alone the next
        life would know that it is gone."""
        self.held.append(os.open(f"/proc/{instance.pid}/ns/pid", os.O_RDONLY))
        instance.kill()

    def close(self):
        for namespace in self.held:
            os.close(namespace)
        eventually(10, lambda: self.group.rmdir() or True, "the control group being empty")


@pytest.fixture
def container(folder):
    if _no_container():
        pytest.skip(f"no container can be made by hand here: {_no_container()}")
    made = Container(folder, "one-container")
    yield made
    made.close()


@functools.cache
def _no_container():
    with tempfile.TemporaryDirectory(prefix="m") as folder:
        try:
            made = Container(pathlib.Path(folder), "probe")
        except (OSError, StopIteration) as error:
            return str(error) or "no cgroup2 is mounted"
        done = subprocess.run([*made.before, "true"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
        made.close()
        return done.stderr.strip() or f"status {done.returncode}" if done.returncode else ""


def instances(redis_server):
    return set(redis_server.client.zrange("muster:instances", 0, -1))


def roll(redis_server, instance):
    return {name: json.loads(entry)
            for name, entry in redis_server.client.hgetall(f"muster:roll:{instance}").items()}


def kill_all(instance, pids):
    """As a container's end: nobody has time to tell anybody."""
    os.kill(instance.pid, signal.SIGSTOP)  # it would see its workers die
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    instance.kill()


def age(redis_server, instance=None, seconds=61):
    """The server's time goes on: looks, leases and what has a TTL get older. Live workers would refresh theirs."""
    client = redis_server.client
    for name, first in client.hgetall("muster:looks:rq").items():
        client.hset("muster:looks:rq", name, int(first) - seconds * 1000)
    if instance:
        client.zadd("muster:instances", {instance: 1}, xx=True)
        client.delete(f"muster:settling:{instance}")


def test_the_roll_knows_a_worker_from_its_spawn_to_its_release(real_rq, redis_server, muster):
    instance = muster(real_rq.program("processes = 2"))
    workers = instance.running(seconds=30)
    [ours] = instances(redis_server)
    facts = redis_server.client.hgetall(f"muster:instance:{ours}")
    assert json.loads(facts["programs"]) == [["shap", "rq", 2]]

    def known():
        entries = roll(redis_server, ours)
        assert set(entries) == {one["name"] for one in workers}
        for one in workers:
            entry, seen = entries[one["name"]], redis_server.worker(one["name"])
            assert entry["pid"] == one["pid"] and entry["process"] == one["id"]
            assert (entry["registered_pid"], entry["host"], entry["birth"]) == (
                seen["pid"], seen["hostname"], seen["birth"])
            assert entry["queues"] == ["jobs"] and entry["version"] == seen["version"]
        return True

    eventually(5, known)
    processes.kill(workers[0]["pid"])
    new = instance.running(workers[0]["id"], seconds=30, but=[workers[0]])
    eventually(5, lambda: set(roll(redis_server, ours)) == {new["name"], workers[1]["name"]})
    assert instance.terminate() == 0
    assert not redis_server.client.keys("muster:instance*") + redis_server.client.keys("muster:roll:*")


def test_I6_the_next_life_settles_what_was_killed_at_once_before_its_first_worker(
        real_rq, redis_server, muster):
    config = real_rq.program("processes = 2")
    first = muster(config)
    workers = first.running(seconds=30)
    jobs = [real_rq.enqueue(retries=1) for _ in workers]
    eventually(20, lambda: all(job.runs for job in jobs))
    old = instances(redis_server)
    kill_all(first, [pid for one in workers for pid in [one["pid"], *processes.descendants(one["pid"])]])
    assert redis_server.workers() == {one["name"] for one in workers}  # nobody has told

    first.start()
    new = first.running(seconds=30)
    eventually(10, lambda: all(job.starts == 2 for job in jobs))
    for job in jobs:
        job.let_finish()
    eventually(10, lambda: all(job.status == "finished" for job in jobs))
    assert all((job.starts, job.ends) == (2, 1) for job in jobs)
    assert redis_server.workers() == {one["name"] for one in new}
    for one in workers:
        assert redis_server.traces_of(one["name"]) == []
        first.logged(" settled ", one["name"], "verdict=removed")
    assert not old & instances(redis_server)
    log = first.log()
    assert log.index(" settled ") < log.rindex(" starting program=shap process=shap_00")


def test_I6_nothing_is_handed_back_while_a_part_of_the_old_family_lives(
        real_rq, redis_server, muster):
    config = real_rq.program("processes = 1", 'orphans = "wait"')
    first = muster(config)
    [worker] = first.running(seconds=30)
    job = real_rq.enqueue(retries=1)
    eventually(20, lambda: job.runs)
    horse = job.horse
    kill_all(first, [worker["pid"]])
    assert processes.is_alive(horse)
    first.start()
    eventually(5, lambda: first.log_lines(" survivors-found "))
    always(1.5, lambda: processes.is_alive(horse) and job.starts == 1, "the horse going on alone")
    assert redis_server.worker(worker["name"])
    assert first.state("shap_00") == "STOPPED"  # the next life waits for it
    job.let_finish()
    first.running(seconds=30)
    assert redis_server.traces_of(worker["name"]) == []
    always(0.5, lambda: (job.starts, job.ends) == (1, 1), "one run")


def test_a_survivor_is_ended_by_its_stop_steps_and_its_job_handed_back(
        real_rq, redis_server, muster):
    config = real_rq.program('stop = ["TERM 1s", "KILL"]')
    first = muster(config)
    worker = first.running("shap", seconds=30)
    job = real_rq.enqueue(retries=1)
    eventually(20, lambda: job.runs)
    first.kill()  # the kernel sends TERM to the worker: RQ's warm stop, which waits for the job
    assert processes.is_alive(worker["pid"]) and job.runs
    first.start()
    first.running("shap", seconds=30)
    assert not processes.is_alive(worker["pid"])
    assert redis_server.traces_of(worker["name"]) == []
    eventually(10, lambda: job.starts == 2)
    job.let_finish()
    eventually(10, lambda: job.status == "finished")
    assert (job.starts, job.ends) == (2, 1)


def test_I4_a_sibling_in_the_same_place_is_no_earlier_life(real_rq, redis_server, muster):
    """The same service, host name and pid namespace; the one that starts later looks at the other."""
    config = real_rq.program()
    one = muster(config)
    worker = one.running("shap", seconds=30)
    eventually(5, lambda: redis_server.worker(worker["name"]).get("state") == "idle")
    before = redis_server.worker(worker["name"])
    two = muster(config)
    two.running("shap", seconds=30)
    two.kill()
    two.start()
    two.running("shap", seconds=30)
    after = redis_server.worker(worker["name"])
    assert (after["pid"], after["birth"]) == (before["pid"], before["birth"])
    assert redis_server.client.sismember("rq:workers", f"rq:worker:{worker['name']}")
    assert one.one("shap")["pid"] == worker["pid"]
    two.logged(" left ", "its supervisor lives")


def settled_elsewhere(redis_server, heir, dead, names, job=None):
    """The heir looks twice at what the dead instance left; the time between is the server's."""
    client = redis_server.client
    client.set("muster:since", 1)
    age(redis_server, dead)  # its lease is over
    for name in names:  # whoever does not refresh these for so long loses them
        client.pexpire(f"rq:worker:{name}", 1)
    if job:
        for member in client.zrange("rq:wip:jobs", 0, -1):
            client.zadd("rq:wip:jobs", {member: time.time() - 1})
    eventually(15, lambda: set(client.hkeys("muster:looks:rq")) >= {f"rq:worker:{n}" for n in names},
               "the first look")
    always(1.5, lambda: not heir.log_lines(" settled "), "nothing settled by one look")
    age(redis_server, dead)
    eventually(15, lambda: all(heir.log_lines(" settled ", name) for name in names), "settled")


@needs_namespaces
def test_a_host_that_vanished_is_settled_by_a_sibling_after_two_looks(
        real_rq, redis_server, muster, stub):
    stub("foreign", "other,jobs")
    config = real_rq.program().replace("[redis]\n", '[redis]\nlease = "3s"\n')
    home_made = ('[program.crew]\ncommand = "sleep 1000"\nregistry = "custom"\nname = "{program}-{rand}"\n'
                 '[program.crew.custom]\nset = "crew"\n')
    one = muster(config + home_made, before=elsewhere("host-one"))
    worker = one.running("shap", seconds=30)
    crew = eventually(5, lambda: one.one("crew")["name"])
    redis_server.client.sadd("crew", crew)  # as it would itself
    one.running("crew")
    job = real_rq.enqueue(retries=1)
    eventually(20, lambda: job.runs)
    [dead] = instances(redis_server)
    two = muster(config, before=elsewhere("host-two"))
    heir = two.running("shap", seconds=30)
    foreign = redis_server.worker("foreign")
    fleet = two.client("fleet").stdout
    for host, name in (("host-one", dead), ("host-two", "host-two")):
        [row] = [row for row in fleet.splitlines() if host in row.split()]
        assert name in row and " alive " in row and "shap" in row, fleet
    one.kill()  # pid 1 of its namespace: nothing of it is left
    settled_elsewhere(redis_server, two, dead, [worker["name"]], job)
    assert redis_server.traces_of(worker["name"]) == []
    eventually(5, lambda: dead not in instances(redis_server))  # which ends what has just been told
    assert redis_server.client.exists(f"muster:roll:{dead}", f"muster:instance:{dead}") == 0
    two.logged(" settled ", worker["name"], f"handed_back={job.id}")
    two.logged(" left ", f"instance={dead}", "1 of its workers registered by registry")
    assert redis_server.client.smembers("crew") == {crew} and not two.log_lines(" settled ", crew)
    assert redis_server.workers() == {heir["name"], "foreign"}
    assert redis_server.worker("foreign") == foreign
    processes.kill(two.host_pid("shap"))  # RQ looks for abandoned jobs when a worker starts
    eventually(30, lambda: job.starts == 2)
    job.let_finish()
    eventually(10, lambda: job.status == "finished")
    assert (job.starts, job.ends) == (2, 1)


@needs_namespaces
def test_I4_live_workers_of_an_instance_that_is_not_heard_of_survive_its_settlement(
        real_rq, redis_server, muster):
    """Its supervisor stands still for long. Of its workers one is idle, one works, one is stopped for longer than its
    key lives, one is cut off from Redis and comes back, one has its clock an hour late; and one is dead."""
    client = redis_server.client
    proxy = Cuttable(redis_server.port)
    kinds = {"idle": ("jobs", []), "busy": ("work", []), "stopped": ("jobs", []), "cut": ("jobs", []),
             "dead": ("jobs", [])}
    if an_hour_late := clock("-1h"):
        kinds["late"] = ("jobs", an_hour_late)
    config = f'[redis]\nurl = "{redis_server.url}"\nlease = "1s"\nsweep = "1h"\n'
    for kind, (queue, before) in kinds.items():
        command = json.loads(real_rq.command(queue))
        if kind == "cut":
            command[command.index(redis_server.url)] = f"redis://127.0.0.1:{proxy.port}/0"
        config += f'[program.{kind}]\ncommand = {json.dumps([*before, *command])}\nregistry = "rq"\n'
    one = muster(config, before=elsewhere("host-one"))
    one.running(seconds=40)
    workers = {kind: one.one(kind) for kind in kinds}
    names = {kind: worker["name"] for kind, worker in workers.items()}
    pids = {kind: one.host_pid_of(worker) for kind, worker in workers.items()}
    for name in names.values():
        eventually(5, lambda: redis_server.worker(name).get("state") == "idle")
    if an_hour_late:
        births = [redis_server.worker(names[kind])["birth"][:13] for kind in ("idle", "late")]
        assert births[0] != births[1], births
    job = real_rq.enqueue(queue="work", retries=1)
    eventually(15, lambda: job.runs)
    [silent] = instances(redis_server)
    two = muster(real_rq.program().replace("[redis]\n", '[redis]\nlease = "1s"\nsweep = "1h"\n'),
                 before=elsewhere("host-two"))
    heir = two.running("shap", seconds=30)
    before = {kind: redis_server.worker(name) for kind, name in names.items()}

    os.kill(one.pid, signal.SIGSTOP)
    os.kill(pids["stopped"], signal.SIGSTOP)
    processes.kill(pids["dead"])
    client.delete(*(f"rq:worker:{names[kind]}" for kind in ("stopped", "dead")))
    proxy.cut()
    eventually(5, lambda: not client.pubsub_numsub(f"rq:pubsub:{names['cut']}")[0][1])
    client.set("muster:since", 1)
    age(redis_server, silent)
    eventually(15, lambda: client.hexists("muster:looks:rq", f"rq:worker:{names['dead']}"), "a first look")
    for _ in range(3):
        age(redis_server, silent)
        eventually(15, lambda: client.exists(f"muster:settling:{silent}"), "a look at it")
        eventually(15, lambda: two.log_lines(" settled ", names["dead"]), "the dead one's settlement")
    assert redis_server.traces_of(names["dead"]) == []
    assert len(two.log_lines(" settled ")) == 1
    living = {kind: name for kind, name in names.items() if kind != "dead"}
    assert redis_server.workers() == {*living.values(), heir["name"]}
    for kind, name in living.items():
        assert client.sismember(f"rq:workers:{kinds[kind][0]}", f"rq:worker:{name}"), kind
        assert processes.is_alive(pids[kind]), kind
        if kind != "stopped":
            after = redis_server.worker(name)
            assert (after["pid"], after["birth"]) == (before[kind]["pid"], before[kind]["birth"]), kind
    assert set(roll(redis_server, silent)) == set(living.values())
    assert job.runs and job.starts == 1 and job.status == "started"

    proxy.mend()
    os.kill(pids["stopped"], signal.SIGCONT)
    os.kill(one.pid, signal.SIGCONT)
    eventually(10, lambda: client.zscore("muster:instances", silent) > time.time() * 1000)
    job.let_finish()
    eventually(10, lambda: job.status == "finished")
    assert (job.starts, job.ends) == (1, 1)
    eventually(20, lambda: client.pubsub_numsub(f"rq:pubsub:{names['cut']}")[0][1] == 1, "the cut one back")
    for kind in living:
        assert one.one(kind)["incarnation"] == workers[kind]["incarnation"], kind
    proxy.close()


def test_I6_a_container_that_was_killed_whole_is_settled_when_it_starts_again_and_nobody_else_is_in_it(
        real_rq, redis_server, container, muster):
    config = real_rq.program()
    one = muster(config, before=container.before)
    first = one.running("shap", seconds=40)
    assert one.one("shap")["pid"] != 1 and processes.pid_in_namespace(one.pid) == 1
    job = real_rq.enqueue(retries=1)
    eventually(20, lambda: job.runs)
    horse = one.host_pid("shap")
    container.kill(one)
    eventually(5, lambda: not processes.is_alive(horse))
    assert redis_server.workers() == {first["name"]}

    # A process that this life cannot see: it could be a part of the earlier one.
    stranger = subprocess.Popen(["sleep", "1000"])
    try:
        (container.group / "cgroup.procs").write_text(str(stranger.pid))
        one.start()
        second = one.running("shap", seconds=40)
        one.logged(" left ", "others may live in this container")
        assert redis_server.workers() == {first["name"], second["name"]}
        assert redis_server.client.zscore("rq:wip:jobs", redis_server.client.zrange("rq:wip:jobs", 0, 0)[0]) > 1
        container.kill(one)
    finally:
        stranger.kill()
        stranger.wait()

    one.start()
    third = one.running("shap", seconds=40)
    assert redis_server.workers() == {third["name"]}
    for dead in (first, second):
        assert redis_server.traces_of(dead["name"]) == []
        one.logged(" settled ", dead["name"])
    one.logged(" settled ", first["name"], "verdict=removed", job.id)
    # The idle one hears by TERM that the thread that made it is gone, and may take its leave before KILL comes.
    eventually(10, lambda: job.starts == 2)
    job.let_finish()
    eventually(10, lambda: job.status == "finished")
    assert (job.starts, job.ends) == (2, 1)
    one.terminate()


@needs_namespaces
def test_many_heirs_settle_exactly_once(real_rq, redis_server, muster):
    config = real_rq.program().replace("[redis]\n", '[redis]\nlease = "1s"\n')
    one = muster(config, before=elsewhere("host-one"))
    worker = one.running("shap", seconds=30)
    [dead] = instances(redis_server)
    heirs = [muster(config, before=elsewhere(f"heir-{number}")) for number in range(3)]
    for heir in heirs:
        heir.running(seconds=30)
    one.kill()
    client = redis_server.client
    client.set("muster:since", 1)
    client.pexpire(f"rq:worker:{worker['name']}", 1)
    age(redis_server, dead)
    eventually(15, lambda: client.hexists("muster:looks:rq", f"rq:worker:{worker['name']}"))
    age(redis_server, dead)
    eventually(15, lambda: dead not in instances(redis_server))
    told = lambda: [line for heir in heirs for line in heir.log_lines(" settled ", worker["name"])]  # noqa: E731
    eventually(5, told)
    always(0.5, lambda: len(told()) == 1, "one settlement")
