# SPDX-License-Identifier: MIT
"""Machines driven by vm_tool: a kernel and a small disk made once, one folder per machine."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = pathlib.Path(os.environ.get("CTRZ_TOOLS") or ROOT / "build" / "tests" / "integration") / "vm_tool"
CACHE = pathlib.Path(os.environ.get("CTRZ_TEST_CACHE") or ROOT / "build" / "test-cache").resolve()
APPLETS = ("sh cat echo ls sleep true false ps mount id env stty dd head seq yes wc kill nproc ip ping md5sum touch rm "
           "mkdir printf tty [ test reboot").split()


def kernel_home():
    home = CACHE / "kernel-home"
    home.mkdir(parents=True, exist_ok=True)
    if not list(home.glob("**/vmlinux")):
        subprocess.run([TOOL, "kernel"], env=dict(os.environ, CTRZ_HOME=str(home)), check=True)
    return home


def lower_disk():
    """An ext4 with busybox in it."""
    disk = CACHE / "busybox.ext4"
    if disk.exists():
        return disk
    with tempfile.TemporaryDirectory() as temp:
        root = pathlib.Path(temp) / "root"
        for d in ("bin", "etc", "tmp", "proc", "sys", "dev", "root"):
            (root / d).mkdir(parents=True)
        shutil.copy("/bin/busybox", root / "bin/busybox")
        for a in APPLETS:
            (root / "bin" / a).symlink_to("busybox")
        (root / "bin/data").write_text("not a program\n")
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        new = pathlib.Path(temp) / "disk"
        subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", root, new, "16M"], check=True)
        shutil.move(new, disk)
    return disk


def wait_until(what, ready, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = ready()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"still not after {seconds} s: {what}")


def is_alive(pid):
    """Zombies do not count: whoever reaps orphans here takes its time."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def children(pid):
    """Process ids below pid, all generations."""
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        try:
            kids = [int(k) for t in pathlib.Path(f"/proc/{p}/task").iterdir() for k in (t / "children").read_text().split()]
        except FileNotFoundError:
            continue
        found += kids
        todo += kids
    return found


class Machine:
    def __init__(self, folder):
        self.dir = pathlib.Path(folder)
        self.env = dict(os.environ, CTRZ_HOME=str(kernel_home()))
        self.upper = self.dir / "upper.ext4"
        self.options = ["--lower", str(lower_disk()), "--upper", str(self.upper), "--timeout", "60000"]
        if not self.upper.exists():
            with open(self.upper, "wb") as f:
                f.truncate(64 << 20)
            subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", self.upper], check=True)

    def args(self, command, *argv, options=()):
        first = [str(TOOL), command, "--dir", str(self.dir)]
        more = self.options if command in ("start", "run") else []
        return first + more + [str(o) for o in options] + (["--", *argv] if argv else [])

    def call(self, command, *argv, options=(), stdin=b"", timeout=90):
        return subprocess.run(self.args(command, *argv, options=options), env=self.env, input=stdin, capture_output=True,
                              timeout=timeout, check=False)

    def ok(self, command, *argv, **more):
        r = self.call(command, *argv, **more)
        assert r.returncode == 0, (r.args, r.returncode, r.stdout[-2000:], r.stderr[-2000:], self.keeper_log())
        return r.stdout.decode(errors="backslashreplace")

    def status(self):
        return json.loads(self.ok("status"))

    def keeper_log(self):
        path = self.dir / "state" / "keeper.log"
        return path.read_text(errors="backslashreplace")[-2000:] if path.exists() else ""

    def log(self):
        """The text of the lines of the container's log."""
        path = self.dir / "state" / "log"
        return [line.split(" ", 3)[3] for line in path.read_text(errors="backslashreplace").splitlines()]

    def end(self):
        """Stop, and see that nothing is left."""
        pids = []
        s = self.status()
        if s["keeper_pid"]:
            pids = [s["keeper_pid"], *children(s["keeper_pid"])]
        self.ok("stop", options=["--grace", "0"])
        left = [p for p in pids if is_alive(p)]
        assert not left, subprocess.run(["ps", "-fp", ",".join(map(str, left))], capture_output=True, check=False).stdout
        assert not (self.dir / "run").exists()
        path = self.dir / "state" / "keeper.log"
        assert not path.exists() or "Sanitizer" not in path.read_text(errors="backslashreplace"), path.read_text()


def kill(pid):
    os.kill(pid, signal.SIGKILL)
