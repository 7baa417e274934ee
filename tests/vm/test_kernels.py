# SPDX-License-Identifier: MIT
"""The same machine on Debian's kernel and on ctrz's own: what containers need is there, devices come while it runs, and memory the
guest has freed is the host's again. CTRZ_TEST_KERNEL names the vmlinux that `./dev kernel` built; a build takes too long for a test."""
import pathlib

import ctrzlib

SPEC = """
name: kernels
volumes: {{ data: {{ size: 64MiB }} }}
containers:
  app:
    image: {image}
    pull: never
    command: [sleep, "100000"]
    resources: {{ memory: 512MiB, cpus: 2 }}
    mounts:
      - {{ type: tmpfs, target: /scratch, size: 200MiB }}
      - ./rw:/rw:rw
      - data:/data
      {more}
"""

FREED_MIB = 100


def host_mib(home):
    """What QEMU holds of the host's memory."""
    [qemu] = [p for p in ctrzlib.processes_of(home).values() if p.name.startswith("qemu")]
    status = pathlib.Path("/proc", str(qemu.pid), "status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) >> 10


def test_machine(home, project, kernel):
    def up(more=""):
        project.write(SPEC.format(image=home.image(), more=more))
        home.run("up", cwd=project.path)

    def sh(script):
        return home.run("exec", "app", "--", "sh", "-c", script, cwd=project.path).out

    for name in ("rw", "later"):
        (project.path / name).mkdir()
    (project.path / "later/file").write_text("came later\n")
    up()
    if kernel == "own":
        assert sh("uname -r").endswith("-ctrz\n")
        assert sh("test -e /proc/modules || echo none") == "none\n"
    known = set(sh("cat /proc/filesystems").split())
    assert {"ext4", "overlay", "virtiofs", "tmpfs", "cgroup2", "mqueue"} <= known
    assert {"cpuset", "cpu", "io", "memory", "pids"} <= set(sh("cat /sys/fs/cgroup/cgroup.controllers").split())
    assert sh("ls /proc/self/ns").split() == ["cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children",
                                              "user", "uts"]
    assert "Seccomp_filters" in sh("cat /proc/self/status")
    assert "some" in sh("cat /proc/pressure/memory")
    sh("echo out > /rw/file && echo kept > /data/file && sync")
    assert (project.path / "rw/file").read_text() == "out\n"
    # A device that comes while the machine runs.
    started = sh("stat -c %Y /proc/1")
    up("- ./later:/later")
    assert sh("cat /later/file; stat -c %Y /proc/1") == "came later\n" + started
    # Memory that the guest frees.
    before = host_mib(home)
    sh(f"dd if=/dev/zero of=/scratch/big bs=1M count={FREED_MIB} 2>/dev/null")
    full = host_mib(home)
    assert full - before > FREED_MIB // 2, (before, full)
    sh("rm /scratch/big")
    ctrzlib.wait_until("freed memory is the host's again", lambda: full - host_mib(home) > FREED_MIB * 3 // 4, seconds=60)
    # Files it has read and cached, once it does nothing any more.
    with open(project.path / "rw/big", "wb") as f:
        f.truncate(FREED_MIB << 20)
    before = host_mib(home)
    sh("dd if=/rw/big of=/dev/null bs=1M 2>/dev/null")
    full = host_mib(home)
    assert full - before > FREED_MIB // 2, (before, full)
    ctrzlib.wait_until("cached files are the host's again", lambda: full - host_mib(home) > FREED_MIB * 3 // 4, seconds=240)
    home.run("down", "--volumes", "--yes", cwd=project.path)
