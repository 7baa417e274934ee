# SPDX-License-Identifier: MIT
"""Running ctrz in tests: homes, images, registries, and looking for what was left behind."""
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CTRZ = os.environ.get("CTRZ_BIN") or str(ROOT / "build" / "ctrz")
IMAGE = "localhost/ctrz-hello:latest"


class Failed(AssertionError):
    """A command that should have worked did not."""


class Result:
    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def __repr__(self):
        return f"{' '.join(self.args)}\nexit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def run(args, *, env=None, cwd=None, stdin="", timeout=120):
    """Run a command to its end and return what it said; text that is not UTF-8 keeps its bytes as escapes."""
    p = subprocess.run([str(a) for a in args], env=env, cwd=cwd, input=stdin.encode(), capture_output=True, timeout=timeout,
                       check=False)
    return Result([str(a) for a in args], p.returncode, p.stdout.decode(errors="backslashreplace"),
                  p.stderr.decode(errors="backslashreplace"))


def digest_of(paths):
    """A short name for the content of files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(pathlib.Path(path).read_bytes())
    return digest.hexdigest()[:12]


def free_port(host="127.0.0.1"):
    with socket.socket() as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def wait_until(what, ready, seconds=30):
    """Wait for a condition outside our reach; what names it in the failure."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = ready()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"still not after {seconds} s: {what}")


class Cache:
    """Kernel and images, made once. CTRZ_TEST_CACHE names the folder."""

    def __init__(self):
        self.root = pathlib.Path(os.environ.get("CTRZ_TEST_CACHE") or ROOT / "build" / "test-cache").resolve()
        self.root.mkdir(parents=True, exist_ok=True)

    def once(self, name, make):
        """The path of something made by make(path) on first use; a half-made one is never used."""
        path = self.root / name
        with open(self.root / f".{name}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.make_unless_there(path, make)
        return path

    def make_unless_there(self, path, make):
        if not path.exists():
            temp = pathlib.Path(tempfile.mkdtemp(dir=self.root))
            try:
                make(temp / path.name)
                os.rename(temp / path.name, path)
            finally:
                shutil.rmtree(temp, ignore_errors=True)

    def kernel_home(self):
        """A ctrz home that holds just an installed kernel."""
        def make(path):
            path.mkdir()
            r = run([CTRZ, "kernel", "install"], env=dict(os.environ, CTRZ_HOME=str(path)), timeout=600)
            assert r.code == 0, r
        return self.once("kernel-home", make)

    def layout(self):
        """The OCI layout of the small busybox image."""
        return self.once("layout", lambda path: subprocess.run([str(ROOT / "examples" / "make-image"), str(path), IMAGE],
                                                               check=True))


TRUST_NEEDED = 6


def trust_option(r):
    """The option that agrees to what a refused command's file reaches of the host; None if that was not the reason."""
    found = re.findall(r"--trust=[0-9a-f]{32}", r.err)
    return found[-1] if r.code == TRUST_NEEDED and found else None


class Project:
    """A folder with an env.yaml."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.spec = self.path / "env.yaml"

    def write(self, text, name="env.yaml"):
        p = self.path / name
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_text(text, encoding="utf-8")
        return p


class Home:
    """One CTRZ_HOME with a kernel, and with the busybox image once image() was called."""

    def __init__(self, cache, *, with_kernel=True, own_templates=False):
        self.cache = cache
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="ctrz-t-", dir="/tmp"))
        self.env = dict(os.environ, CTRZ_HOME=str(self.root), NO_COLOR="1")
        if with_kernel:
            # Tests of machines alone start them in the kernel's home, which has templates then.
            shutil.copytree(cache.kernel_home(), self.root, dirs_exist_ok=True, copy_function=link_or_copy,
                            ignore=shutil.ignore_patterns("templates"))
        if with_kernel and not own_templates:
            # One for all tests: what machines start from is made once for each size of machine.
            shared = cache.root / "templates"
            shared.mkdir(mode=0o700, exist_ok=True)
            (self.root / "data" / "templates").symlink_to(shared)
        self.shares_templates = not own_templates

    def try_run(self, *args, **more):
        """Run ctrz with these arguments; any end is fine. What a file of a test reaches is agreed to, as its user would."""
        more.setdefault("env", self.env)
        r = run([CTRZ, *args], **more)
        option = trust_option(r)
        return run([CTRZ, args[0], option, *args[1:]], **more) if option else r

    def run(self, *args, **more):
        """Run ctrz, which must succeed."""
        r = self.try_run(*args, **more)
        if r.code != 0:
            raise Failed(repr(r))
        return r

    def fail(self, *args, code, **more):
        """Run ctrz, which must fail with this exit code; returns what it said."""
        r = self.try_run(*args, **more)
        assert r.code == code, f"expected exit code {code}: {r!r}"
        return r

    def json(self, *args, **more):
        return json.loads(self.run(*args, "--json", **more).out)

    def image(self):
        """Load the busybox image; returns its name."""
        if self.try_run("image", "inspect", IMAGE).code != 0:
            self.run("image", "load", f"oci:{self.cache.layout()}", IMAGE)
            if self.shares_templates:
                self.share_disk(next((self.root / "data" / "disks").glob("*.ext4")))
        return IMAGE

    def share_disk(self, disk):
        """The same file in all homes, so that a template of the image is one of theirs, too."""
        shared = self.cache.root / "disks" / disk.name
        shared.parent.mkdir(exist_ok=True)
        try:
            os.link(disk, shared)
        except FileExistsError:
            aside = disk.with_suffix(".shared")
            os.link(shared, aside)
            aside.rename(disk)
        except OSError:
            pass  # another file system: a template for each home

    def popen(self, *args, **more):
        more.setdefault("env", self.env)
        return subprocess.Popen([CTRZ, *[str(a) for a in args]], **more)

    def end(self):
        """Take every environment down, whatever state a test left it in."""
        r = self.try_run("ls", "--json")
        if r.code == 0:
            for e in json.loads(r.out or "[]"):
                self.try_run("down", "-e", e["id"])


def digest_of_sparse(path):
    """Of a file's size and of what is in it; not of its holes, for a disk is large."""
    found, at, size = hashlib.sha256(), 0, path.stat().st_size
    with open(path, "rb") as f:
        while at < size:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            hole = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            found.update(b"%d %d" % (at, hole))
            found.update(os.pread(f.fileno(), hole - at, at))
            at = hole
    return f"{size} {found.hexdigest()}"


def link_or_copy(src, dst):
    try:
        os.link(src, dst)
    except OSError:
        shutil.copy2(src, dst)
    return dst


class Process:
    """A running process as /proc shows it."""

    def __init__(self, pid):
        proc = pathlib.Path("/proc", str(pid))
        stat = (proc / "stat").read_text(encoding="utf-8", errors="replace")
        fields = stat[stat.rindex(")") + 2:].split()
        self.pid = pid
        self.name = stat[stat.index("(") + 1:stat.rindex(")")]
        self.state, self.parent, self.start = fields[0], int(fields[1]), fields[19]
        self.command = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        try:
            self.environ = (proc / "environ").read_bytes()
        except PermissionError:
            self.environ = b""

    def __repr__(self):
        return f"process {self.pid} {self.name}: {self.command[:200]}"


def all_processes():
    """pid -> Process; the dead that nobody has reaped yet do not count."""
    found = {}
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            p = Process(pid)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if p.state != "Z":
            found[pid] = p
    return found


def owned_by(processes, pid, mark):
    """Whether a process or one of its ancestors has a variable in its environment."""
    while pid in processes:
        if mark in processes[pid].environ:
            return True
        pid = processes[pid].parent
    return False


def processes_of(home, kind=""):
    """The processes of a home whose name or command line begins with or holds kind ("qemu", "__keeper"): pid -> Process. This
    test's own commands are none of them."""
    everything = all_processes()
    mark = f"CTRZ_HOME={home.root}".encode() + b"\0"
    return {pid: p for pid, p in everything.items() if owned_by(everything, pid, mark)
            and (p.name.startswith(kind) or kind in p.command)}


def mounts():
    text = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    return {line.split(" ")[4] for line in text.splitlines()}


def devices():
    return set(os.listdir("/sys/class/net"))


def temp_files():
    """Files of ours outside of every home: in the folder for temporary files, and where run folders are when a home's own would be too long."""
    mine = set()
    for folder in ("/tmp", "/run", f"/run/user/{os.geteuid()}"):
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            for e in entries:
                if e.name.startswith("ctrz") and not e.name.startswith(("ctrz-t-", "ctrz-m-")):
                    with contextlib.suppress(FileNotFoundError):  # somebody else's, gone again
                        if e.stat(follow_symlinks=False).st_uid == os.geteuid():
                            mine.add(e.path)
    return mine


def snapshot():
    """What a test must leave as it was."""
    return {"mounts": mounts(), "devices": devices(), "temp": temp_files(),
            "orphans": {(p.pid, p.start) for p in all_processes().values()}}


def ended(found, seconds=3):
    """Give processes a moment to end, then end them. Return: those that had to be."""
    end = time.monotonic() + seconds
    while found() and time.monotonic() < end:
        time.sleep(0.05)
    left = found()
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    return [repr(p) for p in left.values()]


def left_of_home(home):
    """The processes of a home that are there still; they are ended."""
    return ended(lambda: processes_of(home))


def left_behind(before):
    """What is on the host now and was not before, and has no home (left_of_home() sees to the others). CTRZ_TEST_BESIDE_OTHERS says that somebody else
    works with ctrz here at the same time; then nothing can be told."""
    if os.environ.get("CTRZ_TEST_BESIDE_OTHERS"):
        return []

    def orphans():
        return {pid: p for pid, p in all_processes().items() if p.parent == 1 and p.name.startswith(("qemu", "virtiofsd", "ctrz"))
                and b"CTRZ_HOME=" not in p.environ and (p.pid, p.start) not in before["orphans"]}
    left = ended(orphans)
    now = snapshot()
    return left + [f"{kind}: {x}" for kind in ("mounts", "devices", "temp") for x in sorted(now[kind] - before[kind])]


def http_get(port, path="/", host="127.0.0.1"):
    """The body of a page; a server that is still starting gets a moment, an answer other than 200 fails."""
    def ask():
        try:
            with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10) as r:
                return r.status, r.read().decode()
        except (ConnectionError, TimeoutError):
            return None
        except urllib.error.HTTPError as e:
            return e.code, ""
        except urllib.error.URLError:
            return None
    status, body = wait_until(f"port {port} answers", ask)
    assert status == 200, f"{path}: {status}"
    return body
