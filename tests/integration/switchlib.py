# SPDX-License-Identifier: MIT
"""Driving a network's switch: the client as a command, and two kinds of stand-in for a VM.

FakeVM speaks raw frames over the port's two sockets. TapVM is a real Linux network stack: a TAP device in a network
namespace of its own, whose frames are carried over the same sockets.
"""
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

TOOL = os.path.join(os.environ.get("CTRZ_TOOLS", "build/tests/integration"), "switch_tool")
BROADCAST = b"\xff" * 6


class SwitchError(Exception):
    pass


def tool(*args):
    done = subprocess.run([TOOL, *args], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise SwitchError(done.stderr.strip())
    return done.stdout.strip()


def mac_of(address):
    return b"\x02\xc7" + socket.inet_aton(address)


class Switch:
    """A network in a short temporary folder; ends with the test."""

    def __init__(self, subnet="10.77.0.0/24", egress="full", name="shop", wrap=()):
        self.root = tempfile.mkdtemp(prefix="sw")
        self.run = os.path.join(self.root, "n")
        self.subnet, self.egress, self.name = subnet, egress, name
        base = subnet.split("/")[0].rsplit(".", 1)[0]
        self.gateway, self.dns = base + ".1", base + ".2"
        self.gateway_mac = b"\x52\x55" + socket.inet_aton(self.gateway)
        self.wrap = list(wrap)

    def start(self, how="start"):
        done = subprocess.run([*self.wrap, TOOL, how, self.run, self.name, self.subnet, self.egress],
                              capture_output=True, text=True, timeout=60, env=dict(os.environ, CTRZ_HOME=self.root))
        if done.returncode:
            raise SwitchError(done.stderr.strip())
        return int(done.stdout)

    def port(self, name, address, aliases=(), publish=(), mac=None):
        spec = {"name": name, "mac": (mac or mac_of(address)).hex(":"), "address": address, "aliases": list(aliases),
                "publish": [dict({"host_addr": "127.0.0.1", "udp": False}, **p) for p in publish]}
        return json.loads(tool("port", self.run, json.dumps(spec)))

    def remove(self, name):
        tool("remove", self.run, name)

    def pid(self):
        return int(tool("observe", self.run))

    def stop(self):
        tool("stop", self.run)

    def ask(self, request):
        """Straight to the control socket, any bytes."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(os.path.join(self.run, "control.sock"))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n")
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while chunk := s.recv(65536):
                    answer += chunk
        return json.loads(answer) if answer else None

    def status(self):
        return self.ask({"do": "status"})["status"]

    def __enter__(self):
        self.start()
        return self

    def log(self):
        """What the switch said to the end, which is nothing unless something is wrong with it (a sanitizer's report)."""
        with contextlib.suppress(FileNotFoundError):
            if pid := self.pid():
                os.kill(pid, signal.SIGTERM)
                wait_until(lambda: not is_alive(pid), what="the end of the switch")
            with open(os.path.join(self.run, "log")) as f:
                return f.read()
        return ""

    def __exit__(self, *_):
        log = self.log()
        with contextlib.suppress(SwitchError):
            self.stop()
        shutil.rmtree(self.root, ignore_errors=True)
        assert log == ""


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ipv4(source, to, protocol, payload, fragment=0):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, fragment, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(to))
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def with_sum(source, to, protocol, segment, at):
    pseudo = socket.inet_aton(source) + socket.inet_aton(to) + struct.pack(">BBH", 0, protocol, len(segment))
    return segment[:at] + struct.pack(">H", checksum(pseudo + segment)) + segment[at + 2:]


def udp(source, to, from_port, to_port, data):
    return ipv4(source, to, 17, with_sum(source, to, 17, struct.pack(">HHHH", from_port, to_port, 8 + len(data), 0)
                                         + data, 6))


def tcp(source, to, from_port, to_port, flags, seq=1000, ack=0, data=b""):
    segment = struct.pack(">HHIIBBHHH", from_port, to_port, seq, ack, 0x50, flags, 64240, 0, 0) + data
    return ipv4(source, to, 6, with_sum(source, to, 6, segment, 16))


def echo(source, to, data=b"ping", kind=8):
    body = struct.pack(">BBHHH", kind, 0, 0, 7, 1) + data
    return ipv4(source, to, 1, body[:2] + struct.pack(">H", checksum(body)) + body[4:])


def dns_query(name, kind=1, ident=0xBEEF):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    return struct.pack(">HHHHHH", ident, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


class Frame:
    """A received frame, as far as the tests look."""

    def __init__(self, data):
        self.data = data
        self.to, self.source, self.type = data[:6], data[6:12], struct.unpack(">H", data[12:14])[0]
        if self.type == 0x0800:
            ip = data[14:]
            self.protocol = ip[9]
            self.from_ip, self.to_ip = socket.inet_ntoa(ip[12:16]), socket.inet_ntoa(ip[16:20])
            self.body = ip[20:struct.unpack(">H", ip[2:4])[0]]
            if self.protocol in (6, 17):
                self.from_port, self.to_port = struct.unpack(">HH", self.body[:4])
            if self.protocol == 17:
                self.payload = self.body[8:]


class FakeVM:
    """The VM's end of a port: vm.sock bound; frames sent to switch.sock, connected to it (as a machine's keeper does for
    QEMU) or by path (as QEMU does alone)."""

    def __init__(self, port_dir, address, switch, connected=False):
        self.address, self.mac, self.switch, self.connected = address, mac_of(address), switch, connected
        self.path = os.path.join(port_dir, "vm.sock")
        self.peer = os.path.join(port_dir, "switch.sock")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.sock.bind(self.path)
        self.attach()

    def attach(self):
        """To the switch, and to a new one after it was started again."""
        if self.connected:
            self.sock.connect(self.peer)

    def close(self):
        self.sock.close()

    def send_raw(self, frame):
        self.sock.settimeout(10)
        if self.connected:
            self.sock.send(frame)
        else:
            self.sock.sendto(frame, self.peer)

    def send(self, to_mac, packet, source=None):
        self.send_raw(to_mac + (source or self.mac) + b"\x08\x00" + packet)

    def send_out(self, packet):
        self.send(self.switch.gateway_mac, packet)

    def receive(self, timeout=5):
        """The next frame, or None if none comes in time."""
        self.sock.settimeout(timeout)
        try:
            return Frame(self.sock.recv(70000))
        except socket.timeout:
            return None

    def arp(self, target, sender=None, operation=1):
        body = struct.pack(">HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, self.mac,
                           socket.inet_aton(sender or self.address), b"\0" * 6, socket.inet_aton(target))
        self.send_raw(BROADCAST + self.mac + b"\x08\x06" + body)

    def flush(self):
        """Everything that is on its way has arrived after this: the answer to a ping came last."""
        marker = os.urandom(8)
        self.send_out(udp(self.address, self.switch.dns, 9, 9, marker))
        seen = []
        while frame := self.receive():
            if frame.type == 0x0800 and frame.protocol == 1 and frame.body[0] == 3 and frame.from_ip == self.switch.gateway:
                return seen
            seen.append(frame)
        raise AssertionError("the switch does not answer")

    def resolve(self, name, kind=1):
        """The reply's code and its A records."""
        self.send_out(udp(self.address, self.switch.dns, 5353, 53, dns_query(name, kind)))
        reply = self.receive(15)
        assert reply and reply.from_ip == self.switch.dns and reply.from_port == 53
        code, count = reply.payload[3] & 15, struct.unpack(">H", reply.payload[6:8])[0]
        end = 12 + len(dns_query(name)) - 12
        records = [socket.inet_ntoa(reply.payload[end + 16 * i + 12:end + 16 * i + 16]) for i in range(count)
                   if reply.payload[end + 16 * i + 3] == 1]
        return code, records


# One end of a wire: a TAP device here, datagrams there. Arguments: device, commands for ip, how to get the other end.
_TAP_CHILD = r"""
import fcntl, json, os, select, socket, struct, subprocess, sys
device, commands, end = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", device.encode(), 0x1002))
for command in commands:
    subprocess.run(["ip", *command.split()], check=True)
with open("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w") as f:
    f.write("1")
if "fd" in end:
    sock = socket.socket(fileno=end["fd"])
    send = sock.send
else:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if os.path.exists(end["bind"]):
        os.unlink(end["bind"])
    sock.bind(end["bind"])
    send = lambda frame: sock.sendto(frame, end["to"])
sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
sock.setblocking(False)
os.set_blocking(tap, False)
os.write(end["ready"], b"ready\n")
wait = select.poll()
wait.register(tap, select.POLLIN)
wait.register(sock.fileno(), select.POLLIN)

def push(frame):
    while True:
        try:
            return send(frame)
        except BlockingIOError:
            select.select([], [], [], 0.0001)  # as QEMU does: try again, read no more until it is gone
        except OSError:
            return None

while True:
    for fd, _ in wait.poll():
        for _ in range(64):
            try:
                if fd == tap:
                    push(os.read(tap, 70000))
                else:
                    os.write(tap, sock.recv(70000))
            except BlockingIOError:
                break
"""


def _tap(enter, device, commands, end, pass_fds=()):
    read_end, write_end = os.pipe()
    process = subprocess.Popen([*enter, sys.executable, "-c", _TAP_CHILD, device, json.dumps(commands),
                                json.dumps(dict(end, ready=write_end))], pass_fds=[write_end, *pass_fds])
    os.close(write_end)
    with os.fdopen(read_end) as ready:
        assert ready.readline() == "ready\n", "a stand-in did not start"
    return process


def wire(here, there):
    """Two TAP devices joined; each of @here and @there is (how to enter, device, commands for ip)."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        return [_tap(enter, device, commands, {"fd": end.fileno()}, [end.fileno()])
                for (enter, device, commands), end in zip((here, there), ends)]
    finally:
        for end in ends:
            end.close()


def can_tap():
    return os.geteuid() == 0 and os.path.exists("/dev/net/tun") and shutil.which("ip") is not None


class TapVM:
    def __init__(self, port_dir, address, switch, mtu=65520):
        self.address, self.switch = address, switch
        prefix = switch.subnet.split("/")[1]
        self.process = _tap(["unshare", "-n", "--"], "eth0",
                            ["link set lo up", f"link set eth0 address {mac_of(address).hex(':')} mtu {mtu} txqueuelen 1000",
                             f"addr add {address}/{prefix} dev eth0", "link set eth0 up",
                             f"route add default via {switch.gateway}"],
                            {"bind": os.path.join(port_dir, "vm.sock"), "to": os.path.join(port_dir, "switch.sock")})

    def popen(self, code, *args, **kwargs):
        """Python code in this machine's network."""
        return subprocess.Popen(["nsenter", "-n", "-t", str(self.process.pid), "--", sys.executable, "-c", code, *args],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)

    def run(self, code, *args, timeout=60):
        p = self.popen(code, *args)
        out, err = p.communicate(timeout=timeout)
        assert p.returncode == 0, err
        return out.strip()

    def close(self):
        self.process.kill()
        self.process.wait()


def wait_until(condition, timeout=10, what="it"):
    """For what has no event to wait for from here: the end of a process that is not our child."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.01)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0] != "Z"
