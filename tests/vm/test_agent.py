# SPDX-License-Identifier: MIT
"""The agent alone in a machine, driven over its port without the rest of ctrz.

The kernel and initramfs are those the other tests install; to try an agent against another kernel, set
CTRZ_TEST_VMLINUX, CTRZ_TEST_MODULES (a folder of NNN-name.ko) and CTRZ_TEST_VMINITD.
"""
import hashlib
import os
import random
import struct
import subprocess
import time

import pytest

import agent_host as h
import ctrzlib
from agent_host import MAIN, STDERR, STDIN, STDOUT

(E_INVALID, E_NOT_FOUND, E_TIMEOUT, E_CONFLICT) = (1, 2, 8, 5)
(NOT_FOUND, NOT_EXECUTABLE, NO_USER, BAD_DIR, NO_CONTAINER) = range(5)
SLEEPER = ["sh", "-c", 'trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 1000 & wait; done']


@pytest.fixture(scope="module")
def kernel(request, tmp_path_factory):
    """(vmlinux, initrd)"""
    vmlinux, modules = os.environ.get("CTRZ_TEST_VMLINUX"), os.environ.get("CTRZ_TEST_MODULES")
    vminitd = os.environ.get("CTRZ_TEST_VMINITD") or os.path.join(os.path.dirname(ctrzlib.CTRZ), "vminitd", "vminitd")
    if not vmlinux:
        home = request.getfixturevalue("cache").kernel_home()
        found = sorted(home.glob("**/vmlinux"))
        assert found, f"no kernel below {home}: 'ctrz kernel install' did not leave one"
        vmlinux, modules = str(found[0]), str(found[0].parent / "modules")
        if not os.path.exists(vminitd):
            # The program alone, without its build: the initramfs it wrote holds its agent.
            return vmlinux, str(next(found[0].parent.glob("initrd-*")))
    initrd = str(tmp_path_factory.mktemp("initrd") / "initrd")
    h.make_initrd(initrd, vminitd, modules)
    return vmlinux, initrd


class Box:
    """A folder with disks, and the guests booted on them."""

    def __init__(self, folder, kernel):
        self.folder = str(folder)
        self.kernel = kernel
        self.guests = []
        self.lower = self.path("lower.img")
        self.upper = self.path("upper.img")
        h.make_lower(self.folder, self.lower)
        h.make_ext4(self.upper, 256)

    def path(self, name):
        return os.path.join(self.folder, name)

    def boot(self, disks=(), **more):
        g = h.Guest(self.folder, *self.kernel, disks=[("lower", self.lower, True), ("upper", self.upper, False), *disks],
                    **more)
        self.guests.append(g)
        g.wait_hello()
        return g

    def close(self):
        for g in self.guests:
            g.close()


@pytest.fixture
def box(tmp_path, kernel):
    b = Box(tmp_path, kernel)
    yield b
    b.close()


@pytest.fixture(scope="module")
def guest(tmp_path_factory, kernel):
    """A guest with a main process that sleeps, for the tests that leave it as it is."""
    b = Box(tmp_path_factory.mktemp("agent"), kernel)
    try:
        g = b.boot()
        g.must(h.SETUP, h.setup(LAYERS, memory=128 << 20, dns=["10.0.0.53"], hosts=[("10.0.0.7", ["db", "db.box"])]))
        g.begin(SLEEPER, stream=MAIN, main=True)
        yield g
    finally:
        b.close()


LAYERS = [h.disk("lower", 0), h.disk("upper", 1)]


def error_of(answer):
    kind, payload = answer
    assert kind == h.ERROR, kind
    return struct.unpack_from(">I", payload)[0], payload[8:].decode()


def test_first_words(guest):
    assert guest.hello["version"] == h.VERSION and guest.hello["nonce"] != 0 and guest.hello["host_nonce"] == 0
    assert not guest.hello["is_set_up"] and guest.hello["main_pid"] == 0


def test_the_main_process_is_process_1_of_a_container(guest):
    code, out, _ = guest.sh("readlink /proc/1/exe; hostname; echo $HOME $HOSTNAME; ls /c /modules /init 2>&1")
    assert out.splitlines()[:3] == ["/bin/busybox", "box", "/root box"]
    assert out.count("No such file") == 3 and code != 0


def test_names_are_written_and_links_not_followed(guest):
    _, out, _ = guest.sh("cat /etc/resolv.conf /etc/hostname; tail -n 2 /etc/hosts; ls /nowhere 2>&1")
    assert out.splitlines() == ["nameserver 10.0.0.53", "box", "127.0.1.1 box", "10.0.0.7 db db.box",
                                "ls: /nowhere: No such file or directory"]


@pytest.mark.parametrize("script,code", [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)])
def test_exit_codes(guest, script, code):
    assert guest.sh(script)[0] == code


@pytest.mark.parametrize("argv,kind,words", [
    (["nope"], NOT_FOUND, "PATH"), (["/nope/nope"], NOT_FOUND, "/nope/nope"), (["broken"], NOT_FOUND, "interpreter"),
    (["/etc/plain"], NOT_EXECUTABLE, "may not be executed"), (["/etc"], NOT_EXECUTABLE, "folder")])
def test_what_cannot_be_executed_is_said_at_once(guest, argv, kind, words):
    p = guest.run(argv)
    assert p.failed[0] == kind and words in p.failed[1] and p.code is None


def test_users_groups_and_folders(guest):
    _, out, _ = guest.sh("id -u; id -g; id -G; echo $HOME; pwd; echo >/dev/stdout", user="dev", cwd="/home/dev")
    assert out.split() == ["1000", "1000", "1000", "10", "/home/dev", "/home/dev"]
    assert guest.sh("id -u; id -g", user="77:wheel")[1].split() == ["77", "10"]
    assert guest.sh("pwd", cwd="/made/on/the/way")[1] == "/made/on/the/way\n"
    assert guest.run(["true"], user="nobody-here").failed[0] == NO_USER
    assert guest.run(["true"], cwd="/etc/passwd").failed[0] == BAD_DIR


def test_capabilities_and_limits(guest):
    show = "grep -E 'Cap(Eff|Bnd)|NoNew' /proc/self/status; ulimit -n; cat /proc/self/oom_score_adj"
    assert guest.sh(show)[1].split() == ["CapEff:", "00000000a80425fb", "CapBnd:", "00000000a80425fb", "NoNewPrivs:", "0",
                                         "65536", "0"]
    p = guest.sh(show, user="dev", caps=0x400, nnp=True, oom=100, rlimits=[(7, 100, 200)])[1].split()
    assert p == ["CapEff:", "0" * 16, "CapBnd:", "0000000000000400", "NoNewPrivs:", "1", "100", "100"]


def test_what_is_hidden_and_read_only(guest):
    _, out, _ = guest.sh("wc -c </proc/keys; echo 1 >/proc/sys/vm/swappiness; echo 1 >/sys/fs/cgroup/pids.max; "
                         "ls /sys/firmware; mount -t tmpfs x /tmp; mknod /tmp/disk b 254 0 && echo made", )
    assert out.split() == ["0", "made"]


def test_a_lot_of_data_both_ways(guest):
    data = random.Random(1).randbytes(24 << 20)
    p = guest.run(["sh", "-c", "tee /tmp/copy; sha256sum /tmp/copy >&2; rm /tmp/copy"], data=data, seconds=120)
    assert p.code == 0
    assert hashlib.sha256(p.stdout).digest() == hashlib.sha256(data).digest()
    assert p.stderr.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert p.ended == {STDOUT, STDERR}


def test_streams_do_not_block_each_other(guest):
    slow = guest.start(["cat", "/dev/zero"])
    slow.hold = {STDOUT}
    data = [random.Random(i).randbytes(100_000 + i) for i in range(40)]
    many = [guest.start(["cat"], data=d) for d in data]
    for p, d in zip(many, data):
        guest.finish(p)
        assert p.code == 0 and p.stdout == d
    assert len(slow.stdout) == h.WINDOW and slow.code is None
    guest.send(h.CANCEL, slow.id)
    assert guest.finish(slow).code == 128 + 13


def test_stdout_is_not_stderr(guest):
    p = guest.start(["sh", "-c", "cat /dev/zero | head -c 1000000 & echo heard >&2; wait"])
    p.hold = {STDOUT}
    guest.until(lambda: p.stderr == b"heard\n")
    p.hold = set()
    guest.send(h.CREDIT, p.id, h.u32(len(p.stdout)), STDOUT)
    assert guest.finish(p).code == 0 and len(p.stdout) == 1000000


def test_input_that_nobody_reads(guest):
    p = guest.run(["sh", "-c", "exec <&-; sleep 1; echo done"], data=b"x" * 600_000)
    assert p.code == 0 and p.stdout == b"done\n" and STDIN in p.ended


def test_a_half_closed_process_still_answers(guest):
    p = guest.run(["sh", "-c", "wc -c; sleep 0.2; echo late"], data=b"12345")
    assert p.stdout == b"5\nlate\n"


def test_a_grandchild_does_not_hold_the_end_back(guest):
    p = guest.run(["sh", "-c", "sleep 300 & echo now"], seconds=20)
    assert p.code == 0 and p.stdout == b"now\n"


def test_everything_written_comes_before_the_end(guest):
    p = guest.start(["sh", "-c", "head -c 300000 /dev/zero"])
    p.hold = {STDOUT}
    guest.until(lambda: len(p.stdout) == h.WINDOW)
    p.hold = set()
    guest.send(h.CREDIT, p.id, h.u32(h.WINDOW), STDOUT)
    assert guest.finish(p).code == 0 and len(p.stdout) == 300000


def test_a_terminal(guest):
    p = guest.begin(["sh", "-c", "tty; stty size; trap 'stty size; exit 4' WINCH; echo $TERM; read x; echo got $x; "
                     "while :; do sleep 0.1; done"], tty=True, data=b"", close=False, rows=33, columns=101)
    guest.until(lambda: b"xterm" in p.stdout)
    guest.send(h.DATA, p.id, b"hello\r", STDIN)
    guest.until(lambda: b"got hello" in p.stdout)
    guest.send(h.RESIZE, p.id, h.u32(50) + h.u32(80))
    guest.finish(p)
    assert p.stdout.startswith(b"/dev/pts/") and b"33 101" in p.stdout and b"50 80" in p.stdout and p.code == 4


def test_control_c_and_end_of_input_on_a_terminal(guest):
    p = guest.begin(["sh", "-c", "echo up; sleep 100"], tty=True, data=b"", close=False)
    guest.until(lambda: b"up" in p.stdout)
    guest.send(h.DATA, p.id, b"\x03", STDIN)
    assert guest.finish(p).code == 130
    p = guest.run(["cat"], tty=True, data=b"line\n")
    assert p.code == 0 and b"line" in p.stdout


def test_a_terminal_whose_client_left_hangs_up(guest):
    p = guest.begin(["sh", "-c", "echo up; sleep 100"], tty=True)
    guest.until(lambda: b"up" in p.stdout)
    guest.send(h.CANCEL, p.id)
    assert guest.finish(p).code == 129


def test_signals(guest):
    p = guest.begin(["sleep", "100"])
    guest.send(h.SIGNAL, p.id, h.u32(15))
    assert guest.finish(p).code == 143
    guest.send(h.SIGNAL, p.id, h.u32(15))
    guest.until(lambda: p.id in guest.answers)
    assert error_of(guest.answers.pop(p.id))[0] == E_NOT_FOUND


def test_out_of_memory_is_said(guest):
    p = guest.run(["sh", "-c", "dd if=/dev/zero of=/dev/null bs=200000000 count=1; kill -9 $$"])
    assert p.code == 137 and p.oom_killed
    p = guest.run(["sh", "-c", "kill -9 $$"])
    assert p.code == 137 and not p.oom_killed


def kill(guest, sig, *streams):
    return guest.ask(h.KILL, h.u32(sig) + h.u32(len(streams)) + b"".join(map(h.u32, streams)))


def top(guest):
    """The container's processes: pid -> (parent, uid, state, command)"""
    data = guest.must(h.TOP)
    count, at, rows = struct.unpack_from(">I", data)[0], 4, {}
    for _ in range(count):
        pid, parent, uid, state, threads, _, resident, _, size = struct.unpack_from(">IIIIIQQQI", data, at)
        at += 48 + size
        assert threads >= 1 and resident < 1 << 30 and chr(state).isalpha()
        rows[pid] = (parent, uid, chr(state), data[at - size:at].decode())
    assert struct.unpack_from(">I", data, at)[0] == 0 and len(data) == at + 4
    return rows


def top_with(guest, *commands):
    """The rows as soon as all of @commands run, and theirs: a shell has yet to start its child."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        rows = top(guest)
        found = [r for c in commands for r in rows.values() if r[3] == c]
        if len(found) == len(commands):
            return rows, *found
    raise AssertionError(f"not running: {commands}: {rows}")


def test_kill_and_top(guest):
    p, q = guest.begin(["sleep", "4321"], user="dev"), guest.begin(["sh", "-c", "sleep 4322; true"])
    rows, sleeper, child = top_with(guest, "sleep 4321", "sleep 4322")
    assert rows[1][0] == 0 and rows[1][3].startswith("sh -c trap")
    assert sleeper[:2] == (0, 1000) and sleeper[2] in "SR"
    assert rows[child[0]][3] == "sh -c sleep 4322; true"
    assert error_of(kill(guest, 0, p.id))[0] == E_INVALID and error_of(kill(guest, 65, p.id))[0] == E_INVALID
    assert error_of(kill(guest, 15, 999_999))[0] == E_NOT_FOUND and error_of(kill(guest, 15))[0] == E_NOT_FOUND
    assert kill(guest, 15, p.id, 999_999, q.id)[0] == h.DONE, "one of them is enough"
    assert guest.finish(p).code == 143 and guest.finish(q).code == 143
    assert error_of(kill(guest, 15, p.id))[0] == E_NOT_FOUND


def test_what_stands_still_goes_on_later(guest):
    p = guest.begin(["sh", "-c", "echo up; read x; echo got $x"], data=b"", close=False)
    guest.until(lambda: p.stdout == b"up\n")
    guest.must(h.FREEZE, h.flag(True))
    guest.send(h.DATA, p.id, b"word\n", STDIN)
    assert guest.must(h.STATS) and len(top(guest)) > 1
    assert p.stdout == b"up\n" and p.code is None
    guest.must(h.FREEZE, h.flag(False))
    assert guest.finish(p).stdout == b"up\ngot word\n"


def test_disks_stand_still_and_nobody_waits_for_them(guest):
    disks = lambda action: guest.ask(h.DISKS, h.u32(action))  # noqa: E731
    sync, freeze, thaw = range(3)
    assert disks(sync)[0] == h.DONE and error_of(disks(thaw))[0] == E_CONFLICT and error_of(disks(3))[0] == 6
    assert disks(freeze)[0] == h.DONE
    p = guest.start(["sh", "-c", "echo wrote >/frozen; echo done"])
    file = h.text("/x") + h.u32(0o600) + h.u32(0) * 2 + h.flag(False) + h.text("") * 2 + h.text(b"x")
    for kind, payload in ((h.WRITE_FILE, file), (h.DETACH, h.text("/x")), (h.TRIM, b"")):
        assert "frozen" in error_of(guest.ask(kind, payload))[1]
    assert error_of(disks(freeze))[0] == E_CONFLICT and not p.stdout
    assert disks(thaw)[0] == h.DONE
    assert guest.finish(p).stdout == b"done\n"
    assert disks(freeze)[0] == h.DONE
    test_the_host_goes_and_comes_back(guest)
    assert guest.sh("echo thawed >/frozen; cat /frozen")[1] == "thawed\n"


def test_the_kernels_log(guest):
    log = guest.must(h.KERNEL_LOG)[4:]
    assert b"Linux version " + guest.hello["release"].encode() in log and log.startswith(b"<")


def test_unknown_messages_and_bad_requests(guest):
    assert error_of(guest.ask(999))[0] == E_INVALID
    assert "already" in error_of(guest.ask(h.SETUP, h.setup(LAYERS)))[1]
    assert error_of(guest.ask(h.TIME, b"\1"))[0] == 6
    assert error_of(guest.ask(h.DETACH, h.text("/etc")))[0] == E_NOT_FOUND
    guest.next_stream += 1
    p = guest.streams[guest.next_stream] = h.Result()
    guest.send(h.SPAWN, guest.next_stream, b"\xff\xff\xff\xff")
    guest.until(lambda: p.failed)


def test_stats_files_limits_and_time(guest):
    values = struct.unpack(">17Q", guest.must(h.STATS))
    assert values[2] == 128 << 20 and 0 < values[16] < 2 << 20, "the agent takes under 2 MB"
    head = h.text("/run/secrets/key") + h.u32(0o400) + h.u32(1000) + h.u32(1000)
    plain = h.text("") + h.text("")
    guest.must(h.WRITE_FILE, head + h.flag(False) + plain + h.text(b"top "))
    guest.must(h.WRITE_FILE, head + h.flag(True) + plain + h.text(b"secret"))
    assert guest.sh("cat /run/secrets/key; stat -c ' %a %u' /run/secrets/key")[1] == "top secret 400 1000\n"
    linked = h.text("dev:wheel") + h.text("/etc/app/key")
    guest.must(h.WRITE_FILE, head + h.flag(False) + linked + h.text(b"other"))
    assert guest.sh("cat /etc/app/key; stat -L -c ' %a %u %g' /etc/app/key")[1] == "other 400 1000 10\n"
    code, text = error_of(guest.ask(h.WRITE_FILE, head + h.flag(False) + h.text("nobody-here") + h.text("") + h.text(b"")))
    assert code == E_NOT_FOUND and "nobody-here" in text
    code, text = error_of(guest.ask(h.WRITE_FILE, head + h.flag(False) + h.text("") + h.text("/etc") + h.text(b"")))
    assert "folder" in text
    guest.must(h.LIMITS, h.limits(150 << 20, 50))
    assert struct.unpack(">17Q", guest.must(h.STATS))[2] == 150 << 20
    assert "fork" in guest.sh("for i in $(seq 60); do sleep 5 & done; true")[2]
    guest.must(h.LIMITS, h.limits(128 << 20))
    guest.must(h.TIME, h.u64(1_700_000_000_000_000_000) + h.text(b"e" * 32))
    assert guest.sh("date +%Y")[1] == "2023\n"
    guest.must(h.TIME, h.u64(1_800_000_000_000_000_000) + h.text(b""))
    assert guest.sh("date +%Y")[1] == "2027\n"
    guest.must(h.TIME, h.u64(0) + h.text(b"e" * 32))
    assert guest.sh("date +%Y")[1] == "2027\n"


def test_the_host_goes_and_comes_back(guest):
    main, left = guest.streams[MAIN], guest.begin(["sh", "-c", "echo $$ >/tmp/left; cat; echo end >/tmp/left"], data=b"",
                                                  close=False)
    guest.sock.close()
    guest.connect()
    guest.pending += struct.pack(">IHHIQ", 8, h.SYNC, 0, 0, 4711)
    guest.until(lambda: guest.hello and guest.hello["host_nonce"] == 4711)
    assert guest.hello["is_set_up"] and guest.hello["main_pid"] == main.pid
    del guest.streams[left.id]
    assert guest.sh("while [ $(cat /tmp/left) != end ]; do sleep 0.1; done; echo seen")[1] == "seen\n"


def test_a_host_that_joins_in_the_middle_of_a_frame(guest):
    guest.send(h.DATA, 77, b"")
    guest.pending += struct.pack(">IHHI", 1000, h.DATA, STDIN, 78) + b"half"
    guest.until(lambda: not guest.pending)
    guest.hello = None
    guest.seeking = True
    guest.pending += b"\xff" * (1 << 18) + h.MARKER + struct.pack(">IHHIQ", 8, h.SYNC, 0, 0, 4712)
    guest.until(lambda: guest.hello and guest.hello["host_nonce"] == 4712)
    assert guest.sh("echo on")[1] == "on\n"


def test_a_host_of_another_version_is_refused_and_told_why(box):
    g = box.boot()
    for version, rest in ((h.VERSION - 1, h.setup(LAYERS)[4:]), (h.VERSION + 1, b"of another form"), (0, b"")):
        code, text = error_of(g.ask(h.SETUP, h.u32(version) + rest))
        assert code == E_CONFLICT and f"version {version} of the protocol, not {h.VERSION}" in text
    assert g.run(["true"]).failed[0] == NO_CONTAINER
    g.must(h.SETUP, h.setup(LAYERS))
    assert g.run(["true"], stream=MAIN, main=True).code == 0
    assert g.power_off() == 0


def test_a_hostile_host_gets_no_further_than_the_agent(box):
    """A thousand frames of any type with payloads that are broken, and bytes between them that are none: the next host that speaks
    properly is answered by the same boot. CTRZ_TEST_ROUNDS asks for more than 40 rounds of it."""
    g, rng = box.boot(), random.Random(7)
    g.must(h.SETUP, h.setup(LAYERS))
    assert g.begin(SLEEPER, stream=MAIN, main=True).pid
    first, handle = g.hello["nonce"], g.handle
    g.handle = lambda kind, *rest: handle(kind, *rest) if kind == h.HELLO else None
    samples = [h.setup(LAYERS), h.spawn(["true"], env=["A=b"]), h.limits(1 << 30, 100), h.texts(["a"]), h.text("x" * 300), h.u64(1), b""]

    def payload():
        data = bytearray(rng.choice(samples))
        for _ in range(rng.randrange(4) if data else 0):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7f, 0xff, rng.randrange(256)))
        return bytes(data[:rng.randrange(len(data) + 1)] if rng.random() < 0.2 else data)
    kinds = [k for k in range(100) if k != h.SHUTDOWN]  # which is obeyed
    for i in range(int(os.environ.get("CTRZ_TEST_ROUNDS", "40"))):
        for _ in range(25):
            g.send(rng.choice(kinds), rng.choice((0, 1, 2, 7, 0xffffffff)), payload(), rng.randrange(5))
        if rng.random() < 0.5:
            g.pending += rng.randbytes(rng.randrange(3000))
        g.hello, g.seeking = None, True
        g.pending += b"\xff" * (1 << 18) + h.MARKER + struct.pack(">IHHIQ", 8, h.SYNC, 0, 0, 5000 + i)
        g.until(lambda number=5000 + i: g.hello and g.hello["host_nonce"] == number)
        assert g.hello["nonce"] == first and g.hello["is_set_up"]
    assert "panic" not in g.console_text()


def test_missing_devices_are_named(box):
    g = box.boot()
    wanted = h.setup([*LAYERS, h.disk("absent", 2, "/data")], nics=[h.nic("02:00:00:00:00:09", "10.0.0.1", 24)],
                     timeout_ms=300)
    code, text = error_of(g.ask(h.SETUP, wanted))
    assert code == E_TIMEOUT and "disk 'absent'" in text and "02:00:00:00:00:09" in text and "'lower'" not in text
    assert g.run(["true"]).failed[0] == NO_CONTAINER
    assert g.power_off() == 0


def test_volumes_tmpfs_network_and_a_read_only_root(box):
    h.make_ext4(box.path("volume.img"), 16)
    g = box.boot(disks=[("volume", box.path("volume.img"), False)],
                 extra=["-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,mac=02:00:00:00:00:01"])
    g.must(h.SETUP, h.setup(
        [*LAYERS, h.disk("volume", 2, "/opt/seeded/deep/../data", "inside")], read_only_root=True,
        tmpfs=[("/link-to-etc/scratch", 1 << 20, 0o700)], sysctls=[("net.core.somaxconn", "1234")],
        nics=[h.nic("02:00:00:00:00:01", "10.0.2.15", 24, "10.0.2.2", "net0", 1400)]))
    g.begin(SLEEPER, stream=MAIN, main=True)
    _, out, err = g.sh("touch /x; df -m /etc/scratch | tail -n 1; echo kept >/opt/seeded/data/file; ls -A /opt/seeded/data; "
                       "cat /proc/sys/net/core/somaxconn; ip -4 -o addr show net0; ip route; ping -c 1 -W 5 10.0.2.2; "
                       "cat /sys/class/net/net0/mtu; tail -n 1 /etc/hosts")
    assert "Read-only file system" in err
    assert "tmpfs" in out and "\nfile\n1234\n" in out and "10.0.2.15/24" in out and "default via 10.0.2.2 dev net0" in out
    assert " 0% packet loss" in out and out.endswith("1400\n10.0.2.15 box\n")
    # Live: off, and on again elsewhere.
    busy = g.begin(["sleep", "100"], cwd="/opt/seeded/data")
    assert error_of(g.ask(h.DETACH, h.text("/opt/seeded/data")))[0] == E_CONFLICT
    g.send(h.SIGNAL, busy.id, h.u32(9))
    g.finish(busy)
    g.must(h.DETACH, h.text("/opt/seeded/data"))
    assert g.sh("ls -A /opt/seeded/data")[1] == ""
    g.must(h.ATTACH_DISK, h.disk("volume", 2, "/tmp", "inside", read_only=True))
    assert g.sh("cat /tmp/file; touch /tmp/file && echo wrong")[1] == "kept\n"
    assert g.power_off() == 0
    for image in (box.upper, box.path("volume.img")):
        assert subprocess.run(["e2fsck", "-fn", image], capture_output=True).returncode == 0


def test_ipv6_is_usable_at_once_and_no_router_is_listened_to(box):
    """QEMU's user network tells a router and a prefix to whoever listens."""
    macs = ["02:00:00:00:00:01", "02:00:00:00:00:02"]
    extra = [o for i, mac in enumerate(macs) for o in ("-netdev", f"user,id=n{i},ipv6=on", "-device", f"virtio-net-pci,netdev=n{i},mac={mac}")]
    g = box.boot(extra=extra)
    g.must(h.SETUP, h.setup(LAYERS, nics=[h.nic(macs[0], "10.0.2.15", 24, "10.0.2.2", "net0", address6="fec0::1234", prefix6=64,
                                                gateway6="fec0::2")]))
    g.must(h.ATTACH_NIC, h.nic(macs[1], "10.0.3.15", 24, name="net1"))
    g.begin(SLEEPER, stream=MAIN, main=True)
    assert g.sh("cd /proc/sys/net/ipv6/conf; cat net0/accept_ra net0/autoconf net1/accept_ra net1/autoconf")[1].split() == ["0"] * 4
    # 0x80: permanent, 0x02: not looked for duplicates of; 0x40 would be: may not be used yet.
    _, out, _ = g.sh("sleep 3; cat /proc/net/if_inet6; ip -6 route; ping -6 -c 1 -W 5 fec0::2 2>&1")
    addresses = {(w[5], w[0][:4]): int(w[4], 16) for w in map(str.split, out.splitlines()) if len(w) == 6 and len(w[0]) == 32}
    assert addresses.pop(("net0", "fec0")) == 0x82, out
    assert {k[1] for k in addresses} <= {"fe80", "0000"}, "no address by a router"
    assert "default via fec0::2 dev net0" in out and out.count("default") == 1
    assert " 0% packet loss" in out, out
    assert g.power_off() == 0


NESTED = """
at=/sys/fs/cgroup; mkdir $at/self; echo $$ >$at/self/cgroup.procs; echo +pids >$at/cgroup.subtree_control
for name in a b c d; do at=$at/$name; mkdir $at; [ $name = d ] || echo +pids >$at/cgroup.subtree_control; done
mkdir $at/e; (echo 0 >$at/e/cgroup.procs; exec sleep 1000) &
until grep -q . $at/e/cgroup.procs; do sleep 0.1; done; ls -d /sys/fs/cgroup/a/b/c/d/e; """


def test_cgroups_that_a_container_made_go_with_it(box):
    g = box.boot()
    g.must(h.SETUP, h.setup(LAYERS))
    for _ in range(3):
        # What lives in them is killed with the first process; nothing of it is there for the next, which makes them again.
        p = g.run(["sh", "-ec", "ls /sys/fs/cgroup | grep -v '[.]' || true; pidof sleep || true; " + NESTED + "exit 4"], stream=MAIN,
                  main=True, caps=0xa80425fb | 1 << 21)
        assert (p.stdout, p.code) == (b"/sys/fs/cgroup/a/b/c/d/e\n", 4), p.stderr
    assert g.power_off() == 0


def test_end_of_main_then_another_then_power_off(box):
    g = box.boot()
    g.must(h.SETUP, h.setup(LAYERS))
    assert g.run(["true"]).failed[0] == NO_CONTAINER
    assert g.run(["no-such"], stream=MAIN, main=True).failed[0] == NOT_FOUND
    p = g.run(["sh", "-c", "echo one >/kept; (sleep 100; echo wrong) & exit 5"], stream=MAIN, main=True)
    assert p.code == 5
    p = g.begin(SLEEPER, stream=MAIN, main=True)
    g.until(lambda: p.stdout == b"ready\n")
    assert g.sh("cat /kept; ps | grep -c sleep.1000")[1].split()[0] == "one"
    assert g.power_off(sig=15, grace_ms=20000) == 0
    assert p.code == 3 and p.stdout == b"ready\nbye\n"
    assert subprocess.run(["e2fsck", "-fn", box.upper], capture_output=True).returncode == 0
    # What was written is there after the next boot; a main process that ignores the signal is killed.
    g = box.boot()
    g.must(h.SETUP, h.setup(LAYERS))
    p = g.begin(["sh", "-c", "trap '' TERM; cat /kept; sleep 100"], stream=MAIN, main=True, tty=True)
    g.until(lambda: b"one" in p.stdout)
    assert g.sh("ls -l /dev/console | cut -c1")[1] == "c\n"
    assert g.power_off(sig=15, grace_ms=200) == 0


def test_process_1_ends_by_a_signal_as_any_other_does(box):
    g = box.boot()
    g.must(h.SETUP, h.setup(LAYERS))
    for sig, code in ((15, 143), (2, 130)):
        p = g.begin(["sleep", "1000"], stream=MAIN, main=True)
        g.send(h.SIGNAL, MAIN, h.u32(28))
        g.send(h.SIGNAL, MAIN, h.u32(sig))
        assert g.finish(p).code == code and not p.oom_killed
    p = g.begin(["sh", "-c", "trap '' TERM; echo deaf; sleep 1000"], stream=MAIN, main=True)
    g.until(lambda: p.stdout)
    g.send(h.SIGNAL, MAIN, h.u32(15))
    assert g.sh("sleep 0.3; echo still here")[1] == "still here\n" and p.code is None
    g.send(h.SIGNAL, MAIN, h.u32(9))
    assert g.finish(p).code == 137
    p = g.begin(["sleep", "1000"], stream=MAIN, main=True)
    assert g.power_off(sig=15, grace_ms=60000) == 0 and p.code == 143


def test_a_container_with_an_init(box):
    g = box.boot()
    g.must(h.SETUP, h.setup(LAYERS, init=True))
    p = g.begin(["sleep", "1000"], stream=MAIN, main=True)
    assert g.sh("cat /proc/1/comm; sh -c 'sleep 0.1 & exec true'; sleep 0.5; cat /proc/[0-9]*/status | grep -c '^State:.Z'")[1] \
        == "ctrz-init\n0\n"
    other = g.begin(["sleep", "1000"])
    g.send(h.SIGNAL, MAIN, h.u32(15))
    assert g.finish(p).code == 143, "a process that is not process 1 dies of a signal it does not handle"
    assert other.code is None
    g.begin(["sleep", "1000"], stream=MAIN, main=True)
    assert g.power_off() == 0
