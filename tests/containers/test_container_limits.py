"""What a container may not have: pids, memory. And how fast it ends."""

import os
import signal
import time

from support import certificates, processes, rig
from support.eventually import always, eventually, patience
from support.podman import is_static
from support.redis_server import RedisServer, free_port


def workers(redis_server, count, more="", stop='["TERM 5s", "KILL"]'):
    url = redis_server.unix_url
    return (f'[redis]\nurl = "{url}"\nwait = "5s"\n[program.shap]\nregistry = "rq"\nprocesses = {count}\n'
            f'command = "worker_stub --redis {url} --queues jobs --name {{name}} {more}"\nstop = {stop}\n')


def resident_kilobytes(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def test_I13_the_limit_of_pids_is_reached_and_freed(muster):
    """A fork that fails is nobody's crash: the workers come when there is room."""
    hog = "for i in $(seq 12); do sleep 1000 & done; wait"
    instance = muster(
        f'[program.hog]\ncommand = ["sh", "-c", "{hog}"]\nready = {{ after = "200ms" }}\nstop = ["KILL"]\n'
        '[program.nap]\ncommand = "sleep 1000"\nprocesses = 12\nready = { after = "10ms" }\n'
        'after = ["hog"]\nstart_limit = 2\non_fatal = "stay"\n', options=["--pids-limit", "24"])
    eventually(10, lambda: [one for one in instance.processes().values()
                            if one["program"] == "nap" and one["state"] == "RUNNING"])
    always(1.2, lambda: all(one["failures"] == 0 and one["state"] != "FATAL"
                            for one in instance.processes().values()), "nothing is counted")
    assert any(one["state"] != "RUNNING" for one in instance.processes().values())
    assert instance.post("/v1/processes/hog/stop?wait=true")[0] == 200
    instance.running(*[f"nap_{i:02}" for i in range(12)])


def test_memory_that_one_worker_takes(muster):
    """The kernel kills it alone; muster names the killer, and the others live."""
    instance = muster('[program.fat]\ncommand = "worker_stub --grow 200"\nrestart = "never"\n'
                      'ready = { after = "10ms" }\n[program.nap]\ncommand = "sleep 1000"\n',
                      options=["--memory", "48m", "--memory-swap", "48m"])
    other = instance.running("nap")["pid"]
    eventually(20, lambda: (instance.one("fat")["last_exit"] or {}).get("signal") == 9)
    said = instance.client("why", "fat").stdout
    assert "OOM      likely" in said and "out-of-memory killer" in said, said
    assert instance.one("nap")["pid"] == other


def test_I5_memory_that_takes_the_whole_container(muster, redis_server, folder):
    """The kernel's out-of-memory killer takes the first process, and so all; the next life settles what they held.

    With cgroup v2 and memory.oom.group the kernel would kill each of them itself. Here the killer is led to the first process
    by its score; for the rest of the container it is the same end: a SIGKILL at once, and no muster that could tell Redis.
    """
    wait = f"until [ -e {folder}/go ]; do sleep 0.05; done; exec worker_stub --grow 200"
    instance = muster(workers(redis_server, 3) + f'[program.fat]\ncommand = ["sh", "-c", "{wait}"]\nready = {{ after = "10ms" }}\n',
                      options=["--memory", "48m", "--memory-swap", "48m"])
    instance.running()
    with open(f"/proc/{instance.pid}/oom_score_adj", "w", encoding="utf-8") as file:
        file.write("1000")  # its children have theirs from before
    eventually(5, lambda: len(redis_server.workers()) == 3)
    old = redis_server.workers()
    (folder / "go").touch()
    assert instance.wait(20) == 137
    assert "shutting-down" not in instance.log() and (instance.podman.scratch / "oom").exists()
    assert redis_server.workers() <= old
    instance.write(workers(redis_server, 3))
    instance.start()
    instance.running()
    eventually(5, lambda: len(redis_server.workers()) == 3 and not old & redis_server.workers(), "only the living")
    for name in old:
        assert redis_server.traces_of(name) == []


def test_I5_all_that_a_killed_container_held_is_settled_by_its_next_life(muster, redis_server, container):
    """The container that restarts: the same file system, host name and pids. No lease is waited for."""
    instance = muster(workers(redis_server, 3), options=["--hostname", "same"])
    old = instance.running()
    eventually(5, lambda: redis_server.workers() == {one["name"] for one in old})
    instance.kill()
    assert redis_server.workers() == {one["name"] for one in old}  # nobody could tell
    container("sleep", "1000")  # takes the numbers of its namespaces: they prove nothing now
    begun = time.monotonic()
    instance.start()
    new = instance.running()
    assert time.monotonic() - begun < 10 * patience()
    assert not {one["name"] for one in new} & {one["name"] for one in old}
    eventually(5, lambda: redis_server.workers() == {one["name"] for one in new}, "only the living")
    for one in old:
        assert redis_server.traces_of(one["name"]) == []
        assert [line for line in instance.log().splitlines() if " settled " in line and one["name"] in line]


def test_I4_a_live_container_with_the_same_host_name_and_pids_is_never_touched(muster, redis_server):
    """Siblings of one image: each sees the other's entries at its start and at its end."""
    config = workers(redis_server, 2)
    one = muster(config, options=["--hostname", "same"])
    names = {worker["name"] for worker in one.running()}
    two = muster(config, options=["--hostname", "same"])
    theirs = {worker["name"] for worker in two.running()}
    eventually(5, lambda: redis_server.workers() == names | theirs)
    two.kill()
    assert redis_server.workers() == names | theirs
    two.start()
    newer = {worker["name"] for worker in two.running()}
    eventually(5, lambda: redis_server.workers() == names | newer, "what was killed goes, what lives stays")
    always(1, lambda: names <= redis_server.workers(), "the live ones")
    assert two.terminate() == 0
    assert redis_server.workers() == names
    assert all(worker["name"] in names for worker in one.running())


def test_it_starts_and_runs_in_16_MB_with_ten_workers_over_TLS(muster, folder):
    """And is itself at most 6 MB of it, where it is the static binary."""
    made = folder / "tls"
    made.mkdir()
    authority = certificates.Authority(made)
    certificate, key = authority.certificate("server", "IP:127.0.0.1")
    place = folder / "redis"
    place.mkdir()
    port = free_port()
    server = RedisServer(place, arguments=[
        "--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", key,
        "--tls-ca-cert-file", authority.file, "--tls-auth-clients", "no"])
    try:
        instance = muster(
            f'[redis]\nurl = "rediss://127.0.0.1:{port}"\ntls = {{ ca_file = "{authority.file}" }}\n'
            '[program.shap]\nregistry = "rq"\nprocesses = 10\n'
            f'command = "worker_stub --redis {server.unix_url} --queues jobs --name {{name}}"\n',
            options=["--memory", "16m", "--memory-swap", "16m"], network="host")
        instance.running()
        assert len(server.workers()) == 10
        eventually(5, lambda: instance.get("/readyz")[0] == 200)
        if is_static(rig.BINARY):
            eventually(5, lambda: resident_kilobytes(instance.pid) <= 6 * 1024,
                       f"at most 6 MB ({resident_kilobytes(instance.pid)} kB)")
        print("RSS", resident_kilobytes(instance.pid), "kB")
        assert instance.terminate() == 0
        assert server.workers() == set()
    finally:
        server.stop()


def test_a_hundred_workers_that_obey_end_within_300_ms(muster, redis_server):
    instance = muster(workers(redis_server, 100))
    instance.running(seconds=40)
    assert len(redis_server.workers()) == 100
    pid = instance.container.pid
    begun = time.monotonic()
    os.kill(pid, signal.SIGTERM)  # as `podman stop` does it
    eventually(10, lambda: not processes.is_alive(pid))
    took = time.monotonic() - begun
    print(f"{took:.3f} s")
    assert instance.wait() == 0
    assert redis_server.workers() == set()
    assert took <= 0.3 * patience(), f"{took:.3f} s"


def test_twenty_of_a_hundred_that_do_not_obey_end_within_the_budget(muster, redis_server):
    """Killed when their time is over; nothing of them is left in Redis when the container ends."""
    url = redis_server.unix_url
    stubborn = ('[program.stubborn]\nregistry = "rq"\nprocesses = 20\nstop = ["TERM 25s", "KILL"]\n'
                f'command = "worker_stub --redis {url} --queues jobs --name {{name}} --ignore-term"\n')
    instance = muster('[supervisor]\nshutdown_timeout = "3s"\n' + workers(redis_server, 80) + stubborn)
    instance.running(seconds=40)
    begun = time.monotonic()
    done = instance.podman.call("stop", "-t", "10", instance.container.name)
    took = time.monotonic() - begun
    assert done.returncode == 0 and took < 3 + 1 * patience(), f"{took:.1f} s"
    assert instance.wait() == 0
    assert redis_server.workers() == set()
    for key in redis_server.client.scan_iter(match="rq:worker:*"):
        raise AssertionError(key)
