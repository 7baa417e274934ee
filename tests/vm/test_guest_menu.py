# SPDX-License-Identifier: MIT
"""The acceptance menu of what runs inside a machine: many checks on few machines."""
import hashlib
import os
import random
import shutil
import subprocess

import agent_host as h
import ctrzlib
from test_agent import LAYERS, Box, kernel  # noqa: F401 (a fixture)

SPEC = """
name: menu
containers:
  plain:
    image: {image}
    pull: never
    command: [sh, -c, "trap 'echo asked >/tmp/asked' USR1; while :; do sleep 1; done"]
    hostname: plain-host
    resources: {{ memory: 192MiB, pids: 300 }}
    sysctls: {{ kernel.shmmax: 12345678, net.core.somaxconn: 99, fs.mqueue.msg_max: 7 }}
    mounts:
      - {{ type: tmpfs, target: /scratch, size: 2MiB }}
      - {{ type: tmpfs, target: /dev/shm/own, size: 1MiB }}
  locked:
    image: {image}
    pull: never
    command: [sleep, "100000"]
    resources: {{ memory: 128MiB, pids: 40, shm: 8MiB }}
    user: "1234"
    groups: ["27", "44"]
    read_only: true
    capabilities: {{ drop: [all], add: [net_admin] }}
    no_new_privileges: true
    ulimits: {{ nofile: 321, as: 500000000 }}
  open:
    image: {image}
    pull: never
    init: false
    command:
      - sh
      - -c
      - |
        trap 'exit 7' RTMIN+3 TERM
        mkdir /sys/fs/cgroup/init /sys/fs/cgroup/work
        for p in $(cat /sys/fs/cgroup/cgroup.procs); do echo $p >/sys/fs/cgroup/init/cgroup.procs; done 2>/dev/null
        echo "+pids +memory" >/sys/fs/cgroup/cgroup.subtree_control && echo 20 >/sys/fs/cgroup/work/pids.max && echo divided
        while :; do sleep 1; done
    capabilities: {{ add: [ALL], drop: [SYS_TIME] }}
    seccomp: unconfined
    system_paths: visible
    stop: {{ signal: SIGTERM, grace: 60s }}
    resources: {{ memory: 128MiB }}
"""
DEFAULT_CAPS = "00000000a80425fb"


class Shell:
    """Commands in the containers of one environment."""

    def __init__(self, home, project):
        self.home, self.cwd = home, project.path

    def exec(self, name, *argv, options=(), **more):
        return self.home.try_run("exec", *options, name, "--", *argv, cwd=self.cwd, **more)

    def sh(self, name, script, **more):
        return self.exec(name, "sh", "-c", script, **more).out

    def status(self, name, field, **more):
        return self.sh(name, f"sed -n 's/^{field}:[[:space:]]*//p' /proc/self/status", **more).strip()


def big_input_and_output(s):
    """100 MB there and back; the image's own programs only copy."""
    data = random.Random(5).randbytes(100 << 20)
    p = subprocess.run([ctrzlib.CTRZ, "exec", "-i", "plain", "--", "cat"], env=s.home.env, cwd=s.cwd, input=data,
                       capture_output=True, timeout=900, check=False)
    assert p.returncode == 0, p.stderr
    assert hashlib.sha256(p.stdout).digest() == hashlib.sha256(data).digest()


def processes(s):
    for argv, code in ((["true"], 0), (["false"], 1), (["nope"], 127), (["/etc"], 126), (["/bin/sh", "-c", "exit 9"], 9),
                       (["sh", "-c", "kill -TERM $$"], 143)):
        assert s.exec("plain", *argv).code == code, argv
    assert s.exec("plain", "echo", "a  b", "").out == "a  b \n"
    r = s.exec("plain", "true", options=["-u", "nobody-here"])
    assert r.code == 125 and "nobody-here" in r.err
    assert s.sh("plain", "id -u; id -g", options=["-u", "4321:99"]).split() == ["4321", "99"]
    assert s.sh("plain", "pwd; echo $HOME", options=["-w", "/made/for/it"]) == "/made/for/it\n/root\n"
    assert s.sh("plain", "hostname; cat /etc/hostname; grep -c plain-host /etc/hosts").split() == ["plain-host", "plain-host", "1"]
    assert "xterm" in s.sh("plain", "echo $TERM", options=["-t"])
    s.sh("plain", "mkdir -p /made/bin; printf '#!/bin/sh\\necho own\\n' >/made/bin/own; chmod 755 /made/bin/own")
    assert s.exec("plain", "own").code == 127
    assert s.exec("plain", "own", options=["--env", "PATH=/nowhere:/made/bin:/bin"]).out == "own\n", "looked up where its own PATH says"
    many = [s.home.popen("exec", "plain", "--", "sh", "-c", f"echo {i}", cwd=s.cwd, stdout=subprocess.PIPE) for i in range(50)]
    assert [p.communicate(timeout=300)[0] for p in many] == [b"%d\n" % i for i in range(50)]
    # orphans that end are reaped by process 1, a thousand of them
    s.sh("plain", "for i in 1 2 3 4; do sh -c 'for j in $(seq 250); do true & done' ; done")
    ctrzlib.wait_until("no zombie is left", lambda: s.sh("plain", "grep -l '^State:.Z' /proc/[0-9]*/status | wc -l") == "0\n", 60)
    # a signal to the init from inside reaches the command
    assert s.sh("plain", "cat /proc/1/comm") == "ctrz-init\n"
    s.sh("plain", "kill -USR1 1")
    ctrzlib.wait_until("the command was asked", lambda: s.exec("plain", "cat", "/tmp/asked").out == "asked\n", 60)


def limits(s):
    assert s.sh("plain", "cat /proc/sys/kernel/shmmax /proc/sys/net/core/somaxconn /proc/sys/fs/mqueue/msg_max").split() \
        == ["12345678", "99", "7"]
    shm, tmpfs, own = (int(n) for n in s.sh("plain", "for d in /dev/shm /scratch /dev/shm/own; do df -k $d | awk 'END {print $2}'; "
                                                     "done").split())
    assert 60000 < shm < 192 << 10 and tmpfs == 2048 and own == 1024, "half of the memory, where nothing is said"
    assert s.sh("locked", "df -k /dev/shm | awk 'END {print $2}'; ulimit -n; ulimit -v").split() == ["8192", "321", "488281"]
    bomb = s.exec("locked", "sh", "-c", "for i in $(seq 100); do sleep 15 & done; wait")
    assert "fork" in bomb.err, "what is over the limit of processes is refused"
    r = s.exec("locked", "true")
    assert r.code == 0 or (r.code == 125 and "temporarily unavailable" in r.err)
    ctrzlib.wait_until("the bomb is over", lambda: s.sh("locked", "pidof sleep | wc -w") == "1\n", 120)
    # memory: the one that wants too much is killed, and whoever started it is told why
    r = s.exec("plain", "sh", "-c", "dd if=/dev/zero of=/dev/shm/full bs=1M count=80 2>/dev/null; exec dd if=/dev/zero of=/dev/null "
                                    "bs=120M count=1")
    assert r.code == 137 and "the machine is out of memory" in r.err
    assert s.exec("plain", "rm", "/dev/shm/full").code == 0


def confinement(s):
    assert s.status("plain", "CapEff") == s.status("plain", "CapBnd") == DEFAULT_CAPS
    assert (s.status("plain", "NoNewPrivs"), s.status("plain", "Seccomp")) == ("0", "2")
    # what is added by name is there for a user other than root, too: 1 << 12
    assert [s.status("locked", f) for f in ("CapEff", "CapBnd", "CapAmb", "NoNewPrivs")] == ["0000000000001000"] * 3 + ["1"]
    assert s.sh("locked", "id -u; id -G").split() == ["1234", "0", "27", "44"]
    assert s.status("open", "CapBnd") == "000001fffdffffff" and s.status("open", "Seccomp") == "0"
    assert s.sh("plain", "unshare -U true 2>&1 || unshare -n true 2>&1").count("Operation not permitted") == 2
    assert s.exec("open", "unshare", "-n", "true").code == 0
    assert "not permitted" in s.sh("plain", "mount -t tmpfs x /mnt 2>&1; date -s 12:00 2>&1")
    r = s.exec("open", "sh", "-c", "mkdir -p /mnt && mount -t tmpfs x /mnt && echo mounted; date -s 12:00")
    assert r.out.startswith("mounted") and "not permitted" in r.err
    # hidden, read-only
    assert s.sh("plain", "wc -c </proc/keys; ls /sys/firmware; echo 1 >/proc/sys/vm/swappiness; echo 1 >/proc/sysrq-trigger; "
                         "mkdir /sys/kernel/x; echo 5 >/sys/fs/cgroup/pids.max") == "0\n"
    assert s.sh("open", "ls /sys/firmware | wc -l; echo 33 >/proc/sys/vm/swappiness; cat /proc/sys/vm/swappiness").split()[1] == "33"
    r = s.exec("locked", "sh", "-c", "echo x >/tmp/x; echo x >/x", options=["-u", "0"])
    assert r.err.count("Read-only file system") >= 1 and r.code != 0


def cgroups(s):
    ctrzlib.wait_until("the container has divided its cgroup",
                       lambda: "divided" in s.home.run("logs", "open", cwd=s.cwd).out, 60)
    assert s.sh("open", "cat /proc/self/cgroup; cat /sys/fs/cgroup/work/pids.max; cat /proc/1/comm; echo $container").split() \
        == ["0::/init", "20", "sh"], "one that joins goes where process 1 is"
    r = s.exec("open", "sh", "-c", "echo 1 >/sys/fs/cgroup/pids.max; echo 1 >/sys/fs/cgroup/memory.max")
    assert r.err.count("not permitted") == 2, "its own limits are not its to change, whatever it may do"


def changes(s, project):
    """What takes effect while the machine runs."""
    pids = {c["name"]: c["pid"] for c in s.home.json("ps", cwd=s.cwd)}
    text = project.spec.read_text().replace("shm: 8MiB", "shm: 4MiB").replace("    hostname: plain-host\n",
                                                                              "    hostname: plain-host\n    seccomp: unconfined\n"
                                                                              "    capabilities: { add: [SYS_ADMIN] }\n")
    project.write(text)
    s.home.run("up", cwd=s.cwd)
    assert {c["name"]: c["pid"] for c in s.home.json("ps", cwd=s.cwd)} == pids, "no machine was started again"
    assert s.sh("locked", "df -k /dev/shm | awk 'END {print $2}'") == "4096\n"
    assert s.status("plain", "Seccomp") == "0"
    assert s.sh("plain", "cat /proc/[0-9]*/status | sed -n 's/^Seccomp:.//p' | sort -u") == "0\n", "the command began anew"
    project.write(text.replace("    seccomp: unconfined\n", "", 1))
    s.home.run("up", cwd=s.cwd)
    assert {c["name"]: c["pid"] for c in s.home.json("ps", cwd=s.cwd)} == pids
    assert s.status("plain", "Seccomp") == "2"
    assert s.exec("plain", "unshare", "-n", "true").code == 0, "the filter makes room for the capability"


def stopped_with_others_in_it(s):
    """A command that nobody waits for any more, and one that somebody does; then twice is no error."""
    left = s.home.popen("exec", "open", "--", "sh", "-c", "trap '' HUP TERM; echo up; while :; do sleep 1; done", cwd=s.cwd,
                        stdout=subprocess.PIPE)
    held = s.home.popen("exec", "open", "--", "sh", "-c", "echo up; exec sleep 100000", cwd=s.cwd, stdout=subprocess.PIPE)
    assert left.stdout.readline() == held.stdout.readline() == b"up\n"
    left.kill()
    # a command that is process 1 gets its signal and ends with its own code
    s.home.run("stop", "open", cwd=s.cwd, timeout=300)
    s.home.run("stop", "open", cwd=s.cwd)
    assert [c["exit_code"] for c in s.home.json("ps", "--all", cwd=s.cwd) if c["name"] == "open"] == [7]
    assert held.wait(timeout=60) == 137
    for p in (left, held):
        p.wait()
        p.stdout.close()


def test_the_menu(home, project):
    project.write(SPEC.format(image=home.image()))
    home.run("up", cwd=project.path, timeout=600)
    s = Shell(home, project)
    processes(s)
    limits(s)
    confinement(s)
    cgroups(s)
    big_input_and_output(s)
    changes(s, project)
    assert "up to date" in home.run("up", cwd=project.path).out
    stopped_with_others_in_it(s)
    home.run("down", cwd=project.path, timeout=300)


UNITS = {
    "default.target": "[Unit]\nWants=menu.service loop.service\n",
    "menu.service": "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nRemainAfterExit=yes\n"
                    "ExecStart=/bin/sh -c 'cat /proc/self/cgroup >/run/menu'\n",
    "loop.service": "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/sleep 100000\nTasksMax=9\n",
    "halt.target": "[Unit]\nDefaultDependencies=no\nRequires=end.service\nAfter=end.service\nAllowIsolate=yes\n",
    "end.service": "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/systemctl --force --force exit 5\n",
}


def systemd_tree(folder):
    """A disk of busybox, systemd and what it is linked with, from this host."""
    tree = os.path.join(folder, "tree")
    programs = ["/lib/systemd/systemd", "/bin/systemctl", "/lib/systemd/systemd-shutdown"]
    found = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True).stdout
    libraries = {word for line in found.splitlines() for word in line.split() if word.startswith("/") and not word.endswith(":")}
    for path in [*programs, *libraries]:
        os.makedirs(tree + os.path.dirname(path), exist_ok=True)
        shutil.copy(os.path.realpath(path), tree + path)
    os.makedirs(os.path.join(tree, "etc/systemd/system"))
    for name, text in UNITS.items():
        with open(os.path.join(tree, "etc/systemd/system", name), "w", encoding="utf-8") as f:
            f.write(text)
    return tree


def test_systemd_as_the_containers_process(tmp_path, kernel):  # noqa: F811
    (tmp_path / "box").mkdir()
    box = Box(tmp_path / "box", kernel)
    try:
        box.lower = box.path("systemd.img")
        h.make_lower(box.folder, box.lower, tree=systemd_tree(str(tmp_path)), megabytes=96)
        g = box.boot()
        g.must(h.SETUP, h.setup(LAYERS))
        p = g.begin(["/lib/systemd/systemd", "--log-target=console", "--show-status=no"], stream=h.MAIN, main=True,
                    caps=0xa80425fb | 1 << 21, tty=True, data=b"", close=False)
        assert g.sh("until [ -s /run/menu ]; do sleep 0.2; done; cat /run/menu; cat /proc/1/comm", seconds=120)[1].split() \
            == ["0::/system.slice/menu.service", "systemd"], p.stdout
        assert g.sh("cat /proc/self/cgroup; cat /sys/fs/cgroup/system.slice/loop.service/pids.max; "
                    "cat /sys/fs/cgroup/system.slice/loop.service/cgroup.procs | wc -l")[1].split() == ["0::/init.scope", "9", "1"]
        assert "loop.service" in g.sh("systemctl --no-pager list-units --type=service --plain --no-legend")[1]
        g.send(h.SIGNAL, h.MAIN, h.u32(34 + 3))
        assert g.finish(p, 120).code is not None
        # What it left in its cgroup does not keep a next one out.
        q = g.begin(["sh", "-c", "ls -d /sys/fs/cgroup/*/; cat /sys/fs/cgroup/cgroup.subtree_control; echo clean"],
                    stream=h.MAIN, main=True)
        assert g.finish(q).stdout.split()[-1:] == [b"clean"] and b"slice" not in q.stdout
        assert g.power_off() == 0
    finally:
        box.close()
