# SPDX-License-Identifier: MIT
"""What an apply does when the host or a guest fails it: one clear error, the rest is up, and the next run goes on."""
import os
import pathlib
import signal
import tempfile
import threading
import time

import ctrzlib
import registry
from test_bad_input import in_own_mounts

SPEC = """
name: fail
containers:
  good:
    image: {image}
    pull: never
    command: [sleep, "100000"]
    resources: {{ memory: 128MiB }}
  bad:
    image: {bad}
    command: [sleep, "100000"]
    resources: {{ memory: 128MiB }}
  after:
    image: {image}
    command: [sleep, "100000"]
    depends_on: [bad]
    resources: {{ memory: 128MiB }}
"""


def statuses(home):
    return {c["name"]: (c["status"], c["pid"]) for c in home.json("ps", "-e", "fail")}


def up_fails(home, project, words, *options, **env):
    """An up that fails for 'bad' alone: it says so, 'after' waits for nothing, 'good' is up and keeps its machine."""
    r = home.fail("up", "--progress", "plain", *options, cwd=project.path, env={**home.env, **env}, code=1)
    for word in words:
        assert word in r.err, r
    assert "error: bad: " in r.err or "bad failed" in r.err or "image " in r.err, r
    assert "after: create skipped" in r.err, r
    now = statuses(home)
    assert now["good"][0] == "running" and "bad" not in now and "after" not in now, now
    assert not [p for p in ctrzlib.processes_of(home, "__keeper").values() if p.command.split()[-1] == "bad"]
    return now["good"][1]


def up_goes_on(home, project, good_pid):
    r = home.run("up", cwd=project.path)
    now = statuses(home)
    assert {n: s for n, (s, _) in now.items()} == {"good": "running", "bad": "running", "after": "running"}, r
    assert now["good"][1] == good_pid, "what was up stayed"
    assert home.run("plan", "--expect-no-changes", cwd=project.path).code == 0


class Hunter(threading.Thread):
    """Sends the QEMU of one container a signal as soon as it is there."""

    def __init__(self, home, name, sig):
        super().__init__(daemon=True)
        self.home, self.name, self.sig, self.pid, self.ended = home, name, sig, 0, threading.Event()

    def find(self):
        everything = ctrzlib.processes_of(self.home)
        keepers = {pid for pid, p in everything.items() if "__keeper" in p.command and p.command.split()[-1] == self.name}
        for pid, p in everything.items():
            parent = p
            while parent and parent.pid not in keepers:
                parent = everything.get(parent.parent)
            if parent and p.name.startswith("qemu-system"):
                return pid
        return 0

    def run(self):
        while not self.ended.is_set() and not self.pid:
            self.pid = self.find()
            time.sleep(0.02)
        if self.pid:
            os.kill(self.pid, self.sig)

    def end(self):
        self.ended.set()
        self.join()
        assert self.pid, "its QEMU was seen"


def test_qemu_that_dies_at_start(home, project):
    project.write(SPEC.format(image=home.image(), bad=home.image()))
    home.run("up", "env.yaml", "good", cwd=project.path)
    killer = Hunter(home, "bad", signal.SIGKILL)
    killer.start()
    # One that starts from a template boots then.
    good = up_fails(home, project, ["bad: start 'bad': QEMU was killed by signal 9"], "--cold")
    killer.end()
    up_goes_on(home, project, good)


def test_a_guest_that_never_answers(home, project):
    project.write(SPEC.format(image=home.image(), bad=home.image()))
    home.run("up", "env.yaml", "good", cwd=project.path)
    freezer = Hunter(home, "bad", signal.SIGSTOP)
    freezer.start()
    try:
        good = up_fails(home, project, ["bad: start 'bad': the guest did not come up in time"], CTRZ_TEST_START_MS="6000")
    finally:
        freezer.end()
    up_goes_on(home, project, good)
    assert "bad  exited: the guest did not come up in time" in home.run("events", cwd=project.path).out


def test_dead_registry(home, project, tmp_path):
    """It is down, then it is there: the pull that failed is made, and registries are asked for nothing they need not be."""
    server = registry.Registry(tmp_path / "registry")
    name = f"{server.host}/team/app:1"
    with server:
        server.push(f"oci:{home.cache.layout()}", "team/app:1")
    project.write(SPEC.format(image=home.image(), bad=name))
    good = up_fails(home, project, [server.host, "after: create skipped (bad was skipped)"])
    plan = home.run("plan", cwd=project.path)
    assert "Needs 1 image of unknown size." in plan.out, "a plan does without the registry"
    with server:
        plan = home.run("plan", cwd=project.path)
        assert "unknown size" not in plan.out, plan
        assert home.json("plan", cwd=project.path)["download_bytes"] == 0, "its layers are here under another name"
        up_goes_on(home, project, good)
    up_goes_on(home, project, good)  # it is down again, and nobody minds


FULL = r"""
home=$1 ctrz=$2 spec=$3 image=$4 layout=$5
export CTRZ_HOME="$home/h"
mount -t tmpfs -o size=400m tmpfs "$home"
cp -r "$6" "$CTRZ_HOME"
"$ctrz" image load "oci:$layout" "$image" >&2
"$ctrz" up "$spec" good
dd if=/dev/zero of="$home/fill" bs=1M >&2 2>/dev/null || true
dd if=/dev/zero of="$home/fill2" bs=512 >&2 2>/dev/null || true
"$ctrz" up "$spec" && exit 9
echo "code $?"
"$ctrz" ps -e fail
rm "$home/fill" "$home/fill2"
"$ctrz" up "$spec"
"$ctrz" ps -e fail
"$ctrz" down -e fail
"""


def test_full_disk(cache, project):
    """Said as such; what runs goes on; with room again the next run does the rest."""
    project.write(SPEC.format(image=ctrzlib.IMAGE, bad=ctrzlib.IMAGE))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ctrz-t-", dir="/tmp"))
    env = {k: v for k, v in os.environ.items() if k != "CTRZ_HOME"}
    r = ctrzlib.run(in_own_mounts(FULL, str(folder), ctrzlib.CTRZ, str(project.spec), ctrzlib.IMAGE, str(cache.layout()),
                                  str(cache.kernel_home())), env=env, timeout=300)
    assert r.code == 0 and "no space left on device" in r.err.lower(), r
    full, _, after = r.out.partition("code 1")
    assert "fail: up (1 container" in full, r
    first, second = after.split("fail: up", 1)
    assert "good" in first and "running" in first, r
    assert second.count(" running ") == 3, r
    folder.rmdir()
