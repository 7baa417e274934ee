# SPDX-License-Identifier: MIT
"""Memory and processors that come to a machine while it runs, and go again; with Debian's kernel and with ctrz's own where
CTRZ_TEST_KERNEL names it."""
import os
import pathlib
import signal
import subprocess

import ctrzlib
import pytest

SPEC = """
name: grow
containers:
  app:
    image: {image}
    pull: never
    command: [sleep, "100000"]
    restart: always
    resources: {{ memory: {memory}, cpus: {cpus} }}
    mounts:
      - {{ type: tmpfs, target: /fill, size: 900MiB }}
      - ./shared:/shared:rw
"""

START_MIB, MORE_MIB = 128, 384
FILL_MIB = 160  # more than a machine of that start has


def wait_for_change(home):
    [log] = home.root.rglob("keeper.log")
    ctrzlib.wait_until("the change has begun", lambda: "changing in place" in log.read_text(encoding="utf-8"))


class Machine:
    """A project of one container that is given other sizes."""

    def __init__(self, home, project, *options):
        self.home, self.project, self.options = home, project, options
        self.values = {"image": home.image(), "memory": f"{START_MIB}MiB", "cpus": 1}
        (project.path / "shared").mkdir(exist_ok=True)

    def write(self, **values):
        self.values.update(values)
        self.project.write(SPEC.format(**self.values))

    def up(self, *options, **values):
        self.write(**values)
        return self.home.run("up", *options, cwd=self.project.path)

    def sh(self, script):
        return self.home.run("exec", "app", "--", "sh", "-c", script, cwd=self.project.path).out

    def row(self):
        [row] = self.home.json("ps", cwd=self.project.path)
        return row

    def who(self):
        """The machine, its boot, and the container's process in it."""
        return self.row()["pid"], self.sh("cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1; cut -d' ' -f22 /proc/1/stat")

    def total_mib(self):
        return int(self.sh("grep MemTotal /proc/meminfo").split()[1]) >> 10

    def host_mib(self):
        """What QEMU holds of the host's memory."""
        status = pathlib.Path("/proc", str(self.row()["pid"]), "status").read_text(encoding="utf-8")
        return int(status.split("VmRSS:")[1].split()[0]) >> 10

    def plan(self):
        return {(a["action"], a["name"]) for a in self.home.json("plan", cwd=self.project.path)["actions"]}


@pytest.mark.parametrize("options", [[], ["--cold"]], ids=["template", "cold"])
def test_memory_comes_and_goes(home, project, kernel, options):
    m = Machine(home, project)
    m.up(*options)
    before, total = m.who(), m.total_mib()
    assert m.row()["memory_bytes"] == START_MIB << 20 and m.row()["max_memory_bytes"] == (START_MIB + MORE_MIB) << 20

    m.write(memory=f"{START_MIB + MORE_MIB}MiB")
    assert m.plan() == {("update", "app")}
    m.up()
    assert m.who() == before
    assert m.total_mib() == total + MORE_MIB and m.row()["memory_bytes"] == (START_MIB + MORE_MIB) << 20
    assert m.sh("cat /sys/fs/cgroup/memory.max") == "max\n"
    [stats] = home.json("stats", "--no-stream", cwd=project.path)
    assert stats["memory_limit_bytes"] >> 20 == total + MORE_MIB
    # more than there was, and the file server sees it too
    used = m.host_mib()
    m.sh(f"dd if=/dev/zero of=/fill/a bs=1M count={FILL_MIB} 2>/dev/null; echo end >> /fill/a")
    m.sh("tail -c 4000004 /fill/a > /shared/end; tail -c 4000004 /fill/a | cmp - /shared/end")
    assert (project.path / "shared/end").read_bytes() == bytes(4000000) + b"end\n"
    full = m.host_mib()
    assert full > used + FILL_MIB * 3 // 4
    m.sh("rm /fill/a")

    m.up(memory=f"{START_MIB}MiB")
    assert m.who() == before and m.total_mib() == total
    assert m.row()["memory_bytes"] == START_MIB << 20
    ctrzlib.wait_until("the host has it back", lambda: m.host_mib() < full - FILL_MIB * 3 // 4)

    # between two steps
    m.up(memory="201.5MiB")
    assert m.sh("cat /sys/fs/cgroup/memory.max") == f"{int(201.5 * (1 << 20))}\n"
    assert m.row()["memory_bytes"] == 204 << 20 and m.who() == before

    # more than there is room for
    m.write(memory=f"{START_MIB + MORE_MIB + 1}MiB")
    assert m.plan() == {("reboot", "app")}
    assert f"was started with room for {START_MIB + MORE_MIB} MiB" in home.run("plan", cwd=project.path).out

    # the next boot has all of it from the start
    os.kill(before[0], signal.SIGKILL)
    ctrzlib.wait_until("the machine runs again", lambda: m.row()["status"] == "running" and m.row()["pid"] not in (0, before[0]))
    assert m.row()["memory_bytes"] == 202 << 20


def test_processors_come_and_go(home, project, kernel):
    m = Machine(home, project)
    m.up()
    if m.row()["max_cpus"] < 2:
        pytest.skip("this host has one processor")
    before = m.who()
    assert m.sh("nproc") == "1\n"
    for cpus in (2, 1, 2):
        m.up(cpus=cpus)
        assert m.sh("nproc") == f"{cpus}\n" and m.who() == before
    # the second does work
    m.sh("busy() { while :; do :; done; }; busy & busy & sleep 2; kill %1 %2")
    ticks = m.sh("grep '^cpu1 ' /proc/stat").split()
    assert int(ticks[1]) > 20, ticks


def test_a_guest_that_takes_nothing_is_rebooted(home, project):
    """It has no driver. What it is said to have meanwhile is what it has."""
    m = Machine(home, project)
    args = "kernel: { cmdline: module_blacklist=virtio_mem }\n    command:"
    project.write(SPEC.format(**m.values).replace("command:", args))
    home.run("up", cwd=project.path)
    before = m.who()
    project.write(SPEC.format(**dict(m.values, memory="256MiB")).replace("command:", args))
    p = home.popen("up", cwd=project.path, stderr=subprocess.PIPE, text=True)
    wait_for_change(home)
    row = m.row()
    assert row["pid"] == before[0] and row["memory_bytes"] == START_MIB << 20
    said = p.communicate()[1]
    assert p.returncode == 0 and "app: restarted, since the guest has taken 128 MiB of memory, not 256 MiB" in said
    row = m.row()
    assert row["pid"] != before[0] and row["memory_bytes"] == 256 << 20
    assert not m.plan()


def test_ctrz_is_killed_in_the_middle(home, project):
    m = Machine(home, project)
    m.up()
    m.write(memory="256MiB")
    p = home.popen("up", cwd=project.path)
    wait_for_change(home)
    p.kill()
    p.wait()
    home.run("up", cwd=project.path)
    assert not m.plan()
    assert m.row()["memory_bytes"] == 256 << 20
