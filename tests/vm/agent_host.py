# SPDX-License-Identifier: MIT
"""A small host for vminitd: boots QEMU with an initramfs of the agent and speaks the framed protocol with it."""
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import time

MARKER = b"\xff\xff\xff\xffctrz-frames\n"
VERSION = 3
WINDOW = 256 * 1024
DATA_MAX = 32 * 1024 - 12
(SYNC, HELLO, SETUP, DONE, ERROR) = range(1, 6)
(SPAWN, STARTED, SPAWN_FAILED, DATA, END_OF_FILE, CREDIT, RESIZE, SIGNAL, EXITED, CANCEL) = range(16, 26)
(LOG, SHUTDOWN, SHUTDOWN_DONE, TIME, TRIM, TRIMMED, ATTACH_DISK, ATTACH_SHARE, DETACH, ATTACH_NIC, NAMES, LIMITS,
 WRITE_FILE, STATS, STATS_REPLY) = range(32, 47)
(KILL, FREEZE, TOP, TOP_REPLY, KERNEL_LOG) = range(47, 52)
KERNEL_LOG_REPLY, DISKS = 54, 55
FILTER = 60
MAIN = 1
STDIN, STDOUT, STDERR = range(3)


def u32(v):
    return struct.pack(">I", v)


def u64(v):
    return struct.pack(">Q", v)


def flag(v):
    return b"\1" if v else b"\0"


def text(v):
    v = v.encode() if isinstance(v, str) else v
    return u32(len(v)) + v


def texts(vs):
    return u32(len(vs)) + b"".join(text(v) for v in vs)


def disk(serial, role, target="", subpath="", fstype="", size=0, read_only=False, flags=0):
    return text(serial) + u32(role) + text(target) + text(subpath) + text(fstype) + u64(size) + flag(read_only) + u32(flags)


def nic(mac, address, prefix, gateway="", name="", mtu=0, address6="", prefix6=0, gateway6=""):
    return (bytes.fromhex(mac.replace(":", "")) + bytes(6) + text(name) + u32(mtu) + text(address) + u32(prefix) +
            text(gateway) + text(address6) + u32(prefix6) + text(gateway6))


def share(tag, target, file_name="", read_only=False, no_exec=False):
    return text(tag) + text(target) + text(file_name) + flag(read_only) + u32(1 if no_exec else 0)


def setup(disks, hostname="box", read_only_root=False, init=False, shares=(), tmpfs=(), nics=(), dns=(), hosts=(),
          sysctls=(), memory=0, pids=0, timeout_ms=0, entropy=b"e" * 32, now_ns=None, shm=0, shows_system_paths=False, sockets=(),
          version=VERSION):
    out = u32(version) + text(hostname) + u32(len(disks)) + b"".join(disks) + flag(read_only_root) + flag(init)
    out += u32(len(shares)) + b"".join(shares)
    out += u32(len(tmpfs)) + b"".join(text(t) + u64(size) + u32(mode) + flag(False) + u32(0) for t, size, mode in tmpfs)
    out += u32(len(sockets)) + b"".join(text(t) + u32(mode) for t, mode in sockets)
    out += u32(len(nics)) + b"".join(nics)
    out += texts(dns) + texts([]) + texts([])
    out += u32(len(hosts)) + b"".join(text(a) + texts(names) for a, names in hosts)
    out += u32(len(sysctls)) + b"".join(text(k) + text(v) for k, v in sysctls)
    out += text(entropy) + u64(now_ns if now_ns is not None else time.time_ns()) + limits(memory, pids, shm)
    return out + u32(timeout_ms) + flag(shows_system_paths)


def limits(memory=0, pids=0, shm=0):
    return u64(memory) + u64(pids) + u32(0) + u64(shm)


def spawn(argv, env=(), cwd="", user="", groups=(), main=False, tty=False, stdin=False, rows=0, columns=0, rlimits=(),
          caps=None, nnp=False, oom=0, ambient=0, filtered=False):
    out = texts(argv) + texts(env) + text(cwd) + text(user) + texts(groups) + flag(main) + flag(tty) + flag(stdin)
    out += u32(rows) + u32(columns) + u32(len(rlimits)) + b"".join(u32(r) + u64(s) + u64(h) for r, s, h in rlimits)
    return out + flag(caps is not None) + u64(caps or 0) + flag(nnp) + struct.pack(">i", oom) + u64(ambient) + flag(filtered)


class Result:
    """What a process did, as far as it is known."""

    def __init__(self):
        self.out = {STDOUT: bytearray(), STDERR: bytearray()}
        self.pid = self.code = self.failed = None
        self.oom_killed = False
        self.ended = set()
        self.hold = set()  # channels that get no credit
        self.stdin = b""
        self.sent = 0
        self.credit = WINDOW
        self.close_stdin = False

    @property
    def stdout(self):
        return bytes(self.out[STDOUT])

    @property
    def stderr(self):
        return bytes(self.out[STDERR])


class Guest:
    def __init__(self, folder, vmlinux, initrd, memory=256, extra=(), disks=(), append=""):
        self.folder = folder
        self.streams = {}
        self.answers = {}
        self.logs = []
        self.hello = None
        self.buffer = b""
        self.seeking = True
        self.shutdown_done = False
        self.next_stream = 2
        self.path = os.path.join(folder, "agent.sock")
        self.console = os.path.join(folder, "console")
        argv = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-nodefaults", "-no-user-config", "-display", "none",
                "-no-reboot", "-m", str(memory), "-smp", "1", "-kernel", vmlinux, "-initrd", initrd, "-append",
                "console=ttyS0 loglevel=5 panic=-1 " + append, "-serial", "file:" + self.console,
                "-chardev", f"socket,id=vc,path={self.path},server=on,wait=off", "-device", "virtio-serial-pci,max_ports=2",
                "-device", "virtserialport,nr=1,chardev=vc,name=ctrz.0"]
        for serial, path, read_only in disks:
            argv += ["-drive", f"if=none,id={serial},format=raw,file={path},discard=unmap" +
                     (",readonly=on" if read_only else ""), "-device", f"virtio-blk-pci,drive={serial},serial={serial}"]
        argv += list(extra)
        self.qemu = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        self.connect()

    def connect(self):
        deadline = time.monotonic() + 10
        while True:
            self.sock = socket.socket(socket.AF_UNIX)
            try:
                self.sock.connect(self.path)
                break
            except OSError:
                self.sock.close()
                assert self.qemu.poll() is None and time.monotonic() < deadline, "QEMU did not start"
                time.sleep(0.02)
        self.sock.setblocking(False)
        self.seeking = True
        self.buffer = b""
        self.hello = None
        self.pending = bytearray(MARKER)

    def close(self):
        self.sock.close()
        if self.qemu.poll() is None:
            self.qemu.send_signal(signal.SIGKILL)
        self.qemu.wait()

    def console_text(self):
        with open(self.console, errors="replace") as f:
            return f.read()

    def send(self, kind, stream=0, payload=b"", channel=0):
        self.pending += struct.pack(">IHHI", len(payload), kind, channel, stream) + payload

    def step(self, timeout):
        """Move bytes once; everything that came is handled."""
        for stream, p in self.streams.items():
            while p.sent < len(p.stdin) and p.credit > 0 and len(self.pending) < 1 << 20:
                chunk = p.stdin[p.sent:p.sent + min(DATA_MAX, p.credit)]
                self.send(DATA, stream, chunk, STDIN)
                p.sent += len(chunk)
                p.credit -= len(chunk)
            if p.close_stdin and p.sent == len(p.stdin):
                p.close_stdin = False
                self.send(END_OF_FILE, stream, b"", STDIN)
        readable, writable, _ = select.select([self.sock], [self.sock] if self.pending else [], [], timeout)
        if writable:
            n = self.sock.send(self.pending[:65536])
            del self.pending[:n]
        if readable:
            try:
                data = self.sock.recv(1 << 18)
            except ConnectionError:
                data = b""
            if not data:
                raise EOFError(f"QEMU went away ({self.qemu.poll()}); console: {self.console_text()[-3000:]}")
            self.buffer += data
            self.parse()

    def parse(self):
        at = 0
        while True:
            if self.seeking:
                i = self.buffer.find(MARKER, at)
                if i < 0:
                    at = max(at, len(self.buffer) - len(MARKER) + 1)
                    break
                at = i + len(MARKER)
                self.seeking = False
            if len(self.buffer) - at < 12:
                break
            size, kind, channel, stream = struct.unpack_from(">IHHI", self.buffer, at)
            if size > 1 << 18 or kind == 0:
                self.seeking = True
                continue
            if len(self.buffer) - at < 12 + size:
                break
            self.handle(kind, channel, stream, self.buffer[at + 12:at + 12 + size])
            at += 12 + size
        self.buffer = self.buffer[at:]

    def handle(self, kind, channel, stream, payload):
        p = self.streams.get(stream)
        if kind == HELLO:
            size = struct.unpack_from(">I", payload, 20)[0]
            monotonic, is_set_up, main = struct.unpack_from(">Q?I", payload, 24 + size)
            version, nonce, host_nonce = struct.unpack_from(">IQQ", payload)
            self.hello = dict(version=version, nonce=nonce, host_nonce=host_nonce, is_set_up=is_set_up, main_pid=main,
                              release=payload[24:24 + size].decode(), monotonic_ms=monotonic)
        elif kind == LOG:
            self.logs.append(payload[8:].decode(errors="replace"))
        elif kind == SHUTDOWN_DONE:
            self.shutdown_done = True
        elif kind == STARTED:
            p.pid = struct.unpack(">I", payload)[0]
        elif kind == SPAWN_FAILED:
            p.failed = (struct.unpack_from(">I", payload)[0], payload[8:].decode())
        elif kind == DATA:
            assert len(payload) <= DATA_MAX
            p.out[channel] += payload
            if channel not in p.hold:
                self.send(CREDIT, stream, u32(len(payload)), channel)
        elif kind == END_OF_FILE:
            p.ended.add(channel)
        elif kind == CREDIT:
            p.credit += struct.unpack(">I", payload)[0]
            assert p.credit <= WINDOW
        elif kind == EXITED:
            p.code, p.oom_killed = struct.unpack(">I?", payload)
        else:
            self.answers[stream] = (kind, payload)

    def until(self, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0, "timed out; logs: %s\nconsole: %s" % (self.logs, self.console_text()[-3000:])
            self.step(min(left, 1))

    def wait_hello(self):
        self.until(lambda: self.hello)

    def ask(self, kind, payload=b""):
        self.next_stream += 1
        request = self.next_stream
        self.send(kind, request, payload)
        self.until(lambda: request in self.answers)
        return self.answers.pop(request)

    def must(self, kind, payload=b""):
        answer, data = self.ask(kind, payload)
        assert answer != ERROR, data[8:].decode()
        return data

    def start(self, argv, stream=None, data=None, close=True, **more):
        if stream is None:
            self.next_stream += 1
            stream = self.next_stream
        p = self.streams[stream] = Result()
        p.id = stream
        if data is not None:
            p.stdin = data
            p.close_stdin = close
            more["stdin"] = True
        self.send(SPAWN, stream, spawn(argv, **more))
        return p

    def begin(self, argv, **more):
        p = self.start(argv, **more)
        self.until(lambda: p.pid or p.failed)
        return p

    def run(self, argv, seconds=60, **more):
        p = self.start(argv, **more)
        self.finish(p, seconds)
        return p

    def finish(self, p, seconds=60):
        self.until(lambda: p.code is not None or p.failed, seconds)
        return p

    def sh(self, script, **more):
        p = self.run(["sh", "-c", script], **more)
        assert p.failed is None, p.failed
        return p.code, p.stdout.decode(), p.stderr.decode()

    def power_off(self, sig=15, grace_ms=2000):
        self.send(SHUTDOWN, 0, u32(sig) + u32(grace_ms))
        try:
            self.until(lambda: self.shutdown_done, 30)
            while True:
                self.step(1)
        except (EOFError, BrokenPipeError):
            pass
        return self.qemu.wait(timeout=20)


def cpio_entry(name, mode, content=b""):
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % v for v in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def make_initrd(path, vminitd, modules):
    with open(path, "wb") as out:
        out.write(cpio_entry("modules", 0o40755))
        files = [("init", vminitd, 0o100755)]
        files += [("modules/" + n, os.path.join(modules, n), 0o100644) for n in sorted(os.listdir(modules))]
        for name, source, mode in files:
            with open(source, "rb") as f:
                out.write(cpio_entry(name, mode, f.read()))
        out.write(cpio_entry("TRAILER!!!", 0))


def make_lower(folder, path, add=None, tree=None, megabytes=32):
    """An ext4 of busybox and little else; tree: a folder with more, which is added to."""
    tree = tree or os.path.join(folder, "tree")
    for d in ("bin", "etc", "tmp", "root", "home/dev", "usr/bin", "opt/seeded"):
        os.makedirs(os.path.join(tree, d), exist_ok=True)
    shutil.copy(shutil.which("busybox"), os.path.join(tree, "bin/busybox"))
    for name in subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
        if name != "busybox":
            if not os.path.lexists(os.path.join(tree, "bin", name)):
                os.symlink("busybox", os.path.join(tree, "bin", name))
    files = {"etc/passwd": "root:x:0:0:root:/root:/bin/sh\ndev:x:1000:1000::/home/dev:/bin/sh\n",
             "etc/group": "root:x:0:\ndev:x:1000:\nwheel:x:10:dev\n",
             "etc/plain": "not a program\n", "usr/bin/broken": "#!/no/such/interpreter\n"}
    files.update(add or {})
    for name, content in files.items():
        with open(os.path.join(tree, name), "w") as f:
            f.write(content)
    os.symlink("/etc", os.path.join(tree, "link-to-etc"))
    os.symlink("/nowhere/resolv.conf", os.path.join(tree, "etc/resolv.conf"))
    os.chmod(os.path.join(tree, "usr/bin/broken"), 0o755)
    make_ext4(path, megabytes, tree)


def make_ext4(path, megabytes, tree=None):
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", *(["-d", tree] if tree else []), path, f"{megabytes}M"], check=True)
