# SPDX-License-Identifier: MIT
"""One machine at a time, below the orchestrator: starting, running, ending, and all the ways it may die."""
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import time

import pytest

import machinelib
from machinelib import Machine, children, is_alive, kill, wait_until


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="ctrz-m-", dir="/tmp") as d:
        yield pathlib.Path(d)


@pytest.fixture
def machine(folder):
    m = Machine(folder)
    yield m
    m.end()


def said(result):
    return result.stderr.decode(errors="backslashreplace")


def test_run_carries_input_output_and_exit_codes(machine):
    assert machine.ok("run", "echo", "hello") == "hello\n"
    assert machine.log() == ["hello"]
    r = machine.call("run", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (r.returncode, r.stdout, r.stderr) == (7, b"out\n", b"err\n")
    assert machine.status()["phase"] == "exited"
    assert machine.status()["exit_code"] == 7
    data = os.urandom(3 << 20)
    r = machine.call("run", "cat", options=["--stdin"], stdin=data)
    assert (r.returncode, r.stdout == data) == (0, True)
    assert not (machine.dir / "run").exists()


def test_a_command_that_is_not_there_is_told_by_the_start(machine):
    r = machine.call("start", "no-such-program")
    assert r.returncode == 125
    assert "not-found" in said(r) and "'no-such-program'" in said(r)
    r = machine.call("start", "/bin/data")
    assert "denied" in said(r) or "invalid" in said(r), said(r)
    assert machine.status()["phase"] == "exited"
    assert not (machine.dir / "run").exists()


def test_exec(machine):
    machine.ok("start", "sleep", "1000")
    assert machine.ok("exec", "echo", "again") == "again\n"
    r = machine.call("exec", "sh", "-c", "kill -9 $$")
    assert r.returncode == 137
    r = machine.call("exec", "no-such-program")
    assert r.returncode == 125 and "not-found" in said(r)
    data = os.urandom(1 << 20)
    assert machine.call("exec", "cat", options=["--stdin"], stdin=data).stdout == data
    many = [subprocess.Popen(machine.args("exec", "seq", "20000"), env=machine.env, stdout=subprocess.PIPE) for _ in range(8)]
    want = "".join(f"{i}\n" for i in range(1, 20001)).encode()
    assert all(p.communicate()[0] == want and p.returncode == 0 for p in many)
    # a client that is killed takes nothing down
    slow = subprocess.Popen(machine.args("exec", "yes"), env=machine.env, stdout=subprocess.PIPE)
    slow.stdout.read(10)
    slow.kill()
    slow.wait()
    slow.stdout.close()
    assert machine.ok("exec", "echo", "still here") == "still here\n"


def test_stop_gives_the_main_process_its_time(machine):
    machine.ok("start", "sh", "-c", "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.1; done")
    wait_until("the trap is set", lambda: "up" in machine.log())
    machine.ok("stop", options=["--grace", "20000"])
    assert machine.log() == ["up", "bye"]
    assert machine.status()["exit_code"] == 5
    machine.ok("start", "sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done")
    wait_until("the trap is set", lambda: "deaf" in machine.log())
    machine.ok("stop", options=["--grace", "300"])
    assert machine.status()["exit_code"] == 137


def test_kill_main_and_start_again_with_the_same_disk(machine):
    machine.ok("start", "sh", "-c", "echo kept > /root/file; exec sleep 1000")
    assert "conflict" in said(machine.call("start", "true"))
    machine.ok("kill", options=["--signal", signal.SIGKILL])
    wait_until("the machine ends", lambda: machine.status()["phase"] == "exited")
    assert machine.status()["exit_code"] == 137
    assert machine.ok("run", "cat", "/root/file") == "kept\n"
    assert subprocess.run(["/sbin/e2fsck", "-fn", machine.upper], capture_output=True, check=False).returncode == 0


# The guest's memory and what it may get of more, on a tmpfs of the jail's own: all that QEMU can write to by name.
GUEST_MEMORY = ("/memory/ram", "/memory/more")
# One number of the host's, which QEMU looks for.
HUGE_PAGE_SIZE = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"
# What QEMU's root may hold: the program, its libraries, firmware, the kernel. Nothing of the host else.
ALLOWED_FILES = [*GUEST_MEMORY, HUGE_PAGE_SIZE, r"/bin/qemu-system-x86_64", r"/boot/(vmlinux|initrd)", r"/firmware/[a-z0-9-]+\.bin",
                 r"/lib(64)?/[^/]+\.so[.0-9]*",
                 r"/lib/qemu/accel-tcg-x86_64\.so", r"/dev/kvm"]


def test_the_jail_holds_what_qemu_needs_and_no_more(machine, folder):
    machine.ok("start", "sleep", "1000")
    pid = machine.status()["qemu_pid"]
    proc = pathlib.Path(f"/proc/{pid}")
    root = proc / "root"
    files = ["/" + os.path.relpath(os.path.join(d, f), root) for d, _, names in os.walk(root) for f in names]
    bad = [f for f in files if not any(re.fullmatch(p, f) for p in ALLOWED_FILES)]
    assert files and not bad, bad
    room = os.statvfs(root / "memory")
    sizes = sum(os.stat(root / f[1:]).st_size for f in GUEST_MEMORY)
    assert room.f_blocks * room.f_frsize <= sizes + (1 << 20), "no room for more than the memory"
    assert os.stat(root / "memory").st_dev != os.stat(root).st_dev
    for f in files:
        if f not in ("/dev/kvm", *GUEST_MEMORY):
            with pytest.raises(OSError):
                os.close(os.open(str(root) + f, os.O_WRONLY))
    kinds = [r"socket:\[\d+\]", r"pipe:\[\d+\]", r"anon_inode:\S+", *GUEST_MEMORY, "/null",
             re.escape(str(machinelib.lower_disk())), re.escape(str(machine.upper)), re.escape(str(folder / "run/vm.lock")),
             r"/dev/kvm"]
    targets = [os.readlink(fd) for fd in (proc / "fd").iterdir()]
    assert not [t for t in targets if not any(re.fullmatch(k, t) for k in kinds)], targets
    status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2" and status["NSpid"].split()[-1] == "1"
    for caps in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
        assert int(status[caps], 16) == 0
    assert status["Groups"].strip() in ("", str(os.getgid())) or os.getuid() != 0
    for ns in ("mnt", "pid", "net", "ipc", "uts") + (() if os.getuid() == 0 else ("user",)):
        assert os.readlink(proc / "ns" / ns) != os.readlink(f"/proc/self/ns/{ns}"), ns
    assert re.findall(r"^ *(\w+):", (proc / "net/dev").read_text(), re.M) == ["lo"]
    if os.getuid() == 0:
        assert int(status["Uid"].split()[0]) >= 0x70000000


@pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user has one user id")
def test_two_machines_do_not_share_a_user(machine):
    with tempfile.TemporaryDirectory(prefix="ctrz-m-", dir="/tmp") as d:
        other = Machine(d)
        machine.ok("start", "sleep", "1000")
        other.ok("start", "sleep", "1000")
        uids = [os.stat(f"/proc/{m.status()['qemu_pid']}").st_uid for m in (machine, other)]
        other.end()
    assert uids[0] != uids[1]


@pytest.mark.parametrize("victim", ["keeper", "qemu", "virtiofsd"])
def test_whatever_is_killed_nothing_stays(machine, folder, victim):
    shared = folder / "shared"
    shared.mkdir()
    machine.ok("start", "sleep", "1000", options=["--share", f"{shared}:/mnt:rw"])
    s = machine.status()
    keeper, qemu = s["keeper_pid"], s["qemu_pid"]
    everyone = [keeper, *children(keeper)]
    servers = [p for p in everyone if p not in (keeper, qemu)]
    assert servers
    kill({"keeper": keeper, "qemu": qemu, "virtiofsd": servers[0]}[victim])
    wait_until("everything ends", lambda: not any(is_alive(p) for p in everyone), 10)
    s = machine.status()
    assert s["phase"] == "exited"
    assert {"keeper": "killed", "qemu": "QEMU was killed by signal 9", "virtiofsd": "file server"}[victim] in s["error"]
    assert machine.ok("run", "echo", "fine") == "fine\n"


def test_a_restart_policy_is_kept_without_anybody_watching(machine):
    machine.ok("start", "sh", "-c", "echo run; exit 3", options=["--restart", "on-failure"])
    wait_until("it ran three times", lambda: machine.log().count("run") >= 3, 60)
    assert machine.status()["restarts"] >= 2
    machine.ok("stop", options=["--grace", "0"])
    count = machine.log().count("run")
    assert machine.status()["phase"] == "exited"
    machine.ok("start", "sh", "-c", "echo run", options=["--restart", "on-failure"])
    wait_until("it ends", lambda: machine.status()["phase"] == "exited")
    assert machine.log().count("run") == count + 1
    machine.ok("start", "sleep", "1000", options=["--restart", "always"])
    first = machine.status()["qemu_pid"]
    kill(first)
    wait_until("it is up again", lambda: (s := machine.status())["phase"] == "running" and s["qemu_pid"] not in (0, first))
    assert machine.ok("exec", "echo", "new") == "new\n"


def test_the_guests_last_words_are_in_the_message(machine):
    r = machine.call("start", "true", options=["--kernel-args", "rdinit=/nowhere"])
    assert r.returncode == 125 and "Kernel panic - not syncing" in said(r), said(r)
    r = machine.call("start", "true", options=["--timeout", "50"])
    assert "timeout" in said(r) and "did not come up in time" in said(r)


def test_a_disk_has_one_writer(machine):
    with tempfile.TemporaryDirectory(prefix="ctrz-m-", dir="/tmp") as d:
        other = Machine(d)
        other.options[other.options.index("--upper") + 1] = str(machine.upper)
        machine.ok("start", "sleep", "1000")
        r = other.call("start", "true")
        assert r.returncode == 125 and "conflict" in said(r) and str(machine.upper) in said(r)
        other.end()


def test_a_starter_that_dies_leaves_nothing(machine):
    p = subprocess.Popen(machine.args("start", "sleep", "1000"), env=machine.env)
    keeper = wait_until("a keeper is there", lambda: [c for c in children(p.pid) if b"__keeper" in cmdline(c)])[0]
    wait_until("QEMU is there", lambda: children(keeper))
    p.kill()
    p.wait()
    wait_until("the keeper ends", lambda: not is_alive(keeper), 10)
    assert machine.status()["phase"] == "exited" and "stopped while it started" in machine.status()["error"]


def test_a_stop_while_it_starts_ends_both(machine):
    p = subprocess.Popen(machine.args("start", "sleep", "1000", options=["--cold"]), env=machine.env, stderr=subprocess.PIPE)
    keeper = wait_until("a keeper is there", lambda: [c for c in children(p.pid) if b"__keeper" in cmdline(c)])[0]
    wait_until("QEMU is there", lambda: children(keeper))
    wait_until("it can be asked", lambda: (machine.dir / "run" / "keeper.sock").exists())
    machine.ok("stop")
    said = p.communicate(timeout=60)[1]
    assert p.returncode == 125 and b"stopped while it started" in said, said
    wait_until("the keeper ends", lambda: not is_alive(keeper), 10)
    assert machine.status()["phase"] == "exited" and not (machine.dir / "run").exists()
    machine.ok("stop")
    machine.ok("start", "sleep", "1000")
    assert machine.ok("exec", "echo", "again") == "again\n"


def test_an_attached_machine_ends_with_its_client(machine):
    p = subprocess.Popen(machine.args("run", "sh", "-c", "echo up; sleep 1000"), env=machine.env, stdout=subprocess.PIPE)
    assert p.stdout.readline() == b"up\n"
    keeper = machine.status()["keeper_pid"]
    p.kill()
    p.wait()
    p.stdout.close()
    wait_until("the keeper ends", lambda: not is_alive(keeper), 20)


def test_output_nobody_reads_does_not_hold_a_stop(machine):
    # more than the client's credit and its pipe, less than the keeper holds: the process ends, its output is still on its way
    p = subprocess.Popen(machine.args("run", "sh", "-c", "echo up; seq 60000"), env=machine.env, stdout=subprocess.PIPE)
    wait_until("the machine is off", lambda: (s := machine.status())["keeper_pid"] and s["phase"] == "exited", 60)
    keeper = machine.status()["keeper_pid"]
    machine.ok("stop")
    assert not is_alive(keeper)
    p.communicate()


def test_output_read_late_is_whole(machine):
    p = subprocess.Popen(machine.args("run", "seq", "60000"), env=machine.env, stdout=subprocess.PIPE)
    wait_until("the machine is off", lambda: (s := machine.status())["keeper_pid"] and s["phase"] == "exited", 60)
    out, _ = p.communicate()
    assert (p.returncode, out) == (0, "".join(f"{i}\n" for i in range(1, 60001)).encode())


def test_signals_are_forwarded(machine):
    p = subprocess.Popen(machine.args("run", "sh", "-c", "trap 'exit 9' USR1; echo up; while :; do sleep 0.1; done"),
                         env=machine.env, stdout=subprocess.PIPE)
    assert p.stdout.readline() == b"up\n"
    p.send_signal(signal.SIGUSR1)
    assert p.wait(30) == 9
    p.stdout.close()


def cmdline(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def read_until(fd, text, seconds=60):
    got = b""
    end = time.monotonic() + seconds
    while text not in got:
        ready = select.select([fd], [], [], max(0, end - time.monotonic()))[0]
        assert ready, got
        got += os.read(fd, 4096)
    return got


def test_a_terminal(machine):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    before = termios.tcgetattr(theirs)
    p = subprocess.Popen(machine.args("run", "sh", "-c", "tty; while read x; do stty size; [ -z \"$x\" ] || exit 3; done",
                                      options=["--tty", "--stdin"]),
                         env=machine.env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                         preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    read_until(ours, b"/dev/")
    assert termios.tcgetattr(theirs) != before
    os.write(ours, b"\r")
    read_until(ours, b"33 99")
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 111, 0, 0))
    # the new size reaches the guest at its own time
    wait_until("the new size", lambda: os.write(ours, b"\r") and b"44 111" in read_until(ours, b"\n"))
    os.write(ours, b"x\r")
    assert p.wait(30) == 3
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)


def test_a_terminal_is_restored_when_the_machine_dies(machine):
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    p = subprocess.Popen(machine.args("run", "sh", "-c", "echo up; sleep 1000", options=["--tty", "--stdin"]), env=machine.env,
                         stdin=theirs, stdout=theirs, stderr=theirs)
    read_until(ours, b"up")
    kill(machine.status()["qemu_pid"])
    assert p.wait(30) == 125
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)


MAC = bytes.fromhex("525400000002")


def switch_at(port):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    new = port / "new.sock"
    s.bind(str(new))
    os.rename(new, port / "switch.sock")
    s.settimeout(30)
    return s


def frame_of_guest(s):
    while True:
        frame = s.recv(70000)
        if frame[6:12] == MAC:
            return frame


def test_a_nic_survives_its_switch(machine, folder):
    port = folder / "port"
    port.mkdir()
    r = machine.call("start", "true", options=["--port", port])
    assert r.returncode == 125 and "switch" in said(r)
    first = switch_at(port)
    machine.ok("start", "sh", "-c", "while :; do ping -c 1 -W 1 10.89.0.9; done", options=["--port", port])
    assert frame_of_guest(first)
    first.close()
    second = switch_at(port)
    assert frame_of_guest(second)
    # and the other way: an ARP request for the guest is answered
    ask = b"\xff" * 6 + bytes.fromhex("020000000001") + bytes.fromhex("08060001080006040001") + bytes.fromhex("020000000001") \
        + socket.inet_aton("10.89.0.1") + bytes(6) + socket.inet_aton("10.89.0.2")
    second.sendto(ask, str(port / "vm.sock"))
    wait_until("an answer", lambda: frame_of_guest(second)[12:22] == bytes.fromhex("08060001080006040002"))
    second.close()
