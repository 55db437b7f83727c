"""Real containers by podman, of an image of our own: busybox, muster and the stub; nothing is pulled."""

import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tarfile
import tempfile

from support import processes, rig
from support.eventually import PATIENCE, eventually

APPLETS = ("sh", "sleep", "true", "false", "ls", "cat", "seq", "env", "echo", "ps", "grep", "id",
           "kill", "readlink", "dd", "setsid", "nslookup", "stty", "cut", "sort", "mkdir", "mkfifo")

# Where a plain podman does not start a container: no systemd, limits that cannot be raised, cgroups
# that crun refuses. Its network is netavark's, where that is installed.
FRUGAL = """[containers]
default_ulimits = ["nofile={nofile}:{nofile}", "nproc={nproc}:{nproc}"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
NETAVARK = """[network]
network_backend = "netavark"
"""


def _limit(what, most):
    hard = resource.getrlimit(what)[1]
    return most if hard == resource.RLIM_INFINITY else min(hard, most)


def needed_files(binary):
    """What a binary needs to run: itself, its loader and libraries."""
    seen = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False)
    # What another libc's program needs, ldd cannot tell: its complaint is no list.
    words = [word for line in seen.stdout.splitlines() if "(0x" in line for word in line.split()]
    return sorted({word for word in words if word.startswith("/")})


def is_static(binary):
    return not needed_files(binary)


class CannotHave(Exception):
    """Says in plain words why there are no containers here."""


class Podman:
    def __init__(self):
        self.env = {**os.environ, "NO_COLOR": "1"}
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="containers-"))
        self.images = []
        self.count = 0
        try:
            self._prove()
        except CannotHave:
            self.close()
            raise

    def _prove(self):
        if os.geteuid() != 0:
            raise CannotHave("these tests look into containers from outside: run them as root")
        if shutil.which("podman") is None:
            raise CannotHave("podman is not installed (scripts/setup --containers)")
        busybox = shutil.which("busybox")
        if busybox is None or not is_static(busybox):
            raise CannotHave("no static busybox (scripts/setup --containers)")
        self.image = self.make_image("all", {"/bin/busybox": busybox, "/bin/muster": rig.BINARY,
                                             "/bin/worker_stub": rig.STUB}, APPLETS)
        first = self.run("--rm", "--network=none", self.image, "true")
        if first.returncode == 0:
            return
        settings = self.scratch / "containers.conf"
        settings.write_text(FRUGAL.format(nofile=_limit(resource.RLIMIT_NOFILE, 20000),
                                          nproc=_limit(resource.RLIMIT_NPROC, 4096))
                            + (NETAVARK if os.path.exists("/usr/lib/podman/netavark") else ""))
        self.env["CONTAINERS_CONF"] = str(settings)
        if self.run("--rm", "--network=none", self.image, "true").returncode != 0:
            last = (first.stderr.strip().splitlines() or ["for an unknown reason"])[-1]
            raise CannotHave(f"a container does not start here: {last}")

    def call(self, *words, timeout=60, check=False):
        # conmon leaves a file where it was started from when memory runs out.
        return subprocess.run(["podman", *map(str, words)], env=self.env, cwd=self.scratch,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout * PATIENCE, check=check)

    def run(self, *words, **options):
        return self.call("run", *words, **options)

    def make_image(self, name, files, applets=(), settings=("ENV PATH=/bin",), links=None):
        """From scratch: these files, what they need, links to busybox, an empty /tmp."""
        image = f"localhost/muster-test-{os.getpid()}-{name}"
        archive = self.scratch / f"{name}.tar"
        with tarfile.open(archive, "w") as tar:
            have = set()

            def add(place, source):
                if place not in have:
                    have.add(place)
                    tar.add(os.path.realpath(source), place.lstrip("/"), recursive=False)

            for place, source in files.items():
                add(place, source)
                for one in needed_files(source) if os.access(source, os.X_OK) else ():
                    add(one, one)
            for place, target in {**{f"bin/{one}": "busybox" for one in applets}, **(links or {})}.items():
                link = tarfile.TarInfo(place)
                link.type, link.linkname = tarfile.SYMTYPE, target
                tar.addfile(link)
            tmp = tarfile.TarInfo("tmp")
            tmp.type, tmp.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(tmp)
        done = self.call("import", *[word for one in settings for word in ("-c", one)], archive, image)
        archive.unlink()
        if done.returncode != 0:
            raise CannotHave(f"podman cannot import an image here: {done.stderr.strip()[-300:]}")
        self.images.append(image)
        return image

    def name(self):
        self.count += 1
        return f"muster-test-{os.getpid()}-{self.count}"

    def close(self):
        for image in self.images:
            self.call("rmi", "-f", image)
        shutil.rmtree(self.scratch, ignore_errors=True)


class Container:
    """One container in the background; its folder is seen inside under the same path."""

    def __init__(self, podman, folder, command, *, options=(), image=None, entrypoint=(),
                 network="none", logs=True):
        folder.mkdir(parents=True, exist_ok=True)
        self.podman = podman
        self.folder = folder
        self.name = podman.name()
        self.log_path = folder / "container.log"
        self.pid_file = folder / "container.pid"
        log = (["--log-driver", "k8s-file", "--log-opt", f"path={self.log_path}"] if logs
               else ["--log-driver", "none"])
        self.words = ["--name", self.name, "--pidfile", str(self.pid_file),
                      *([f"--network={network}"] if network else []), *log, "-v", f"{folder}:{folder}", *options, image or podman.image,
                      *entrypoint, *command]
        done = podman.run("-d", *self.words)
        assert done.returncode == 0, done.stderr

    @property
    def pid(self):
        """Of the container's first process, as seen from here."""
        return int(self.pid_file.read_text())

    def start_again(self):
        done = self.podman.call("start", self.name)
        assert done.returncode == 0, done.stderr

    def log(self):
        """What it wrote: the log's lines without conmon's time, stream and F or P (a part of a line)."""
        text = []
        if self.log_path.exists():
            for line in self.log_path.read_text(errors="replace").splitlines():
                parts = line.split(" ", 3)
                if len(parts) == 4:
                    text.append(parts[3] + ("\n" if parts[2] == "F" else ""))
        return "".join(text)

    def execute(self, *command, timeout=20):
        return self.podman.call("exec", self.name, *command, timeout=timeout)

    def signal(self, number):
        os.kill(self.pid, number)

    def is_running(self):
        return processes.is_alive(self.pid)

    def wait(self, seconds=20):
        """Its exit status."""
        pid = self.pid
        eventually(seconds, lambda: not processes.is_alive(pid), f"the end of {self.name}: {self.log()[-3000:]}")
        done = self.podman.call("wait", "--interval", "20ms", self.name)
        return int(done.stdout.strip())

    def remove(self):
        self.podman.call("rm", "-f", "-t", "0", self.name)


class ContainedMuster(rig.Muster):
    """rig.Muster, with the container around it: the same file, socket and questions."""

    def __init__(self, podman, folder, config, *, options=(), before=(), wait=True, shared=None, **more):
        self.podman = podman
        self.container = None
        self.options = list(options)
        self.more = more
        self.shared = shared or folder.parent  # seen inside under the same path
        super().__init__(folder, config, before=before, wait=wait)

    def start(self, wait=True):
        if self.container is None:
            self.container = Container(
                self.podman, self.folder, [*self.before, "muster", "run", "-c", str(self.file)],
                options=["-v", f"{self.shared}:{self.shared}", *self.options], **self.more)
        else:
            self.container.start_again()
        if wait:
            self.wait_until_up()

    def answers(self):
        if not self.container.is_running():
            raise AssertionError(f"the container ended:\n{self.log()}")
        return rig.call(self.control, "GET", "/livez", timeout=2)[0] == 200

    @property
    def pid(self):
        """Of muster, which the container's first process is, or runs."""
        first = self.container.pid
        for pid in [first, *processes.descendants(first)]:
            line = processes.command_line(pid)
            if line and os.path.basename(line[0]) == "muster":
                return pid
        raise LookupError("muster's pid")

    def log(self):
        return self.container.log()

    def client(self, *arguments, timeout=20):
        return self.container.execute("muster", "-s", str(self.control), *arguments, timeout=timeout)

    def wait(self, seconds=20):
        return self.container.wait(seconds)

    def kill(self):
        """As the kernel or the platform does it: all of the container at once."""
        first = self.container.pid
        os.kill(first, signal.SIGSTOP)  # it would see its workers die, and they would hear that it did
        for pid in processes.descendants(first):
            os.kill(pid, signal.SIGKILL)
        os.kill(first, signal.SIGKILL)
        eventually(5, lambda: not processes.is_alive(first))
        self.container.wait()

    def close(self):
        if self.container is not None:
            self.container.remove()
