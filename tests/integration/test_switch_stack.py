# SPDX-License-Identifier: MIT
"""A network's switch under real TCP/IP stacks: each VM is a TAP device in a network namespace, the host is another
namespace, and behind it lies a world of one public-looking address. Nothing of it is reachable from this machine."""
import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
from switchlib import TOOL, Switch, TapVM, can_tap, is_alive, wait_until, wire

A, B, WORLD, HOST = "10.77.0.10", "10.77.0.11", "198.51.100.1", "198.51.100.2"

pytestmark = [pytest.mark.skipif(not os.path.exists(TOOL), reason=f"{TOOL} is not built"),
              pytest.mark.skipif(not can_tap(), reason="needs root, /dev/net/tun and ip for stand-ins with a real stack")]

TCP_SERVER = """
import socket, sys, threading
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind((sys.argv[1], int(sys.argv[2]))); s.listen(200)
print("ready", flush=True)
def serve(c):
    with c:
        while data := c.recv(1 << 18):
            c.sendall(data)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""

TCP_ECHO = """
import os, socket, sys, threading
size = int(sys.argv[3])
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
peer = s.getpeername()[0]
sent = os.urandom(size)
def send():
    s.sendall(sent); s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
got = b""
while data := s.recv(1 << 18):
    got += data
print(peer, got == sent)
"""

UDP_SERVER = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    data, peer = s.recvfrom(65535); s.sendto(peer[0].encode() + b" " + data, peer)
"""

UDP_ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10)
s.sendto(b"x" * int(sys.argv[3]), (sys.argv[1], int(sys.argv[2])))
data, peer = s.recvfrom(65535)
print(peer[0], *data.split(b" ", 1)[0].decode().split(), len(data.split(b" ", 1)[1]))
"""

CONNECT = """
import socket, sys, time
start = time.monotonic()
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
    print("connected")
except OSError as e:
    print(type(e).__name__)
"""

PING = """
import os, socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); s.settimeout(10)
body = struct.pack(">BBHHH", 8, 0, 0, 7, 1) + b"x" * int(sys.argv[2])
total = sum(struct.unpack(f">{len(body) // 2}H", body))
while total >> 16: total = (total & 0xFFFF) + (total >> 16)
s.sendto(body[:2] + struct.pack(">H", total ^ 0xFFFF) + body[4:], (sys.argv[1], 0))
while True:
    data, peer = s.recvfrom(65535)
    if data[20] == 0 and peer[0] == sys.argv[1]:
        print("pong", len(data) - 28)
        break
"""

RESOLVE = """
import random, socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(15)
name = sys.argv[2]
query = struct.pack(">HHHHHH", 7, 256, 1, 0, 0, 0) + b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + bytes([0, 0, 1, 0, 1])
s.sendto(query, (sys.argv[1], 53))
reply = s.recv(4096)
print(reply[3] & 15, socket.inet_ntoa(reply[-4:]))
"""

DNS_SERVER = """
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("198.51.100.1", 53))
print("ready", flush=True)
while True:
    data, peer = s.recvfrom(4096)
    head = data[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0)
    s.sendto(head + data[12:] + bytes.fromhex("c00c000100010000003c0004") + socket.inet_aton("203.0.113.9"), peer)
"""


class Namespace:
    """A network (and mount) namespace held open by a sleeping process."""

    def __init__(self, *kinds):
        self.holder = subprocess.Popen(["unshare", *kinds, "--", "sh", "-c", "echo ready; exec sleep 3600"],
                                       stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "ready\n"
        self.enter = ["nsenter", *kinds, "-t", str(self.holder.pid), "--"]
        self.children = []

    def sh(self, command):
        subprocess.run([*self.enter, "sh", "-ec", command], check=True)

    def serve(self, code, *args):
        p = subprocess.Popen([*self.enter, sys.executable, "-c", code, *args], stdout=subprocess.PIPE, text=True)
        assert p.stdout.readline() == "ready\n"
        self.children.append(p)
        return p

    def run(self, code, *args):
        done = subprocess.run([*self.enter, sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def close(self):
        for p in [*self.children, self.holder]:
            p.kill()
            p.wait()


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """The host's namespace, with the world behind it."""
    resolv = tmp_path_factory.mktemp("etc") / "resolv.conf"
    resolv.write_text(f"nameserver 198.51.100.77\nnameserver {WORLD}\n")
    with contextlib.ExitStack() as stack:
        host, world = Namespace("-n", "-m"), Namespace("-n")
        stack.callback(host.close)
        stack.callback(world.close)
        host.sh(f"ip link set lo up; mount --bind {resolv} /etc/resolv.conf")
        world.sh("ip link set lo up")
        for end in wire((host.enter, "eth0", ["link set eth0 mtu 65520 up", f"addr add {HOST}/24 dev eth0", "route add 10.99.0.0/24 dev eth0"]),
                        (world.enter, "eth0", ["link set eth0 mtu 65520 up", f"addr add {WORLD}/24 dev eth0", "addr add 10.99.0.1/24 dev eth0"])):
            stack.callback(end.wait)
            stack.callback(end.kill)
        host.sh("echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range")
        world.serve(TCP_SERVER, "0.0.0.0", "7")
        world.serve(UDP_SERVER, "0.0.0.0", "7")
        world.serve(DNS_SERVER)
        host.serve(TCP_SERVER, "0.0.0.0", "7")
        host.world = world
        yield host


@pytest.fixture
def switch(host):
    with Switch(wrap=host.enter) as s:
        yield s


def vm(stack, switch, name, address, mtu=65520, **more):
    made = TapVM(switch.port(name, address, **more)["dir"], address, switch, mtu)
    stack.callback(made.close)
    return made


def serve(stack, machine, code, *args):
    p = machine.popen(code, *args)
    stack.callback(p.wait)
    stack.callback(p.kill)
    assert p.stdout.readline() == "ready\n"


@pytest.fixture
def pair(switch):
    with contextlib.ExitStack() as stack:
        a, b = vm(stack, switch, "a", A), vm(stack, switch, "b", B)
        for machine in (a, b):
            serve(stack, machine, TCP_SERVER, "0.0.0.0", "80")
            serve(stack, machine, UDP_SERVER, "0.0.0.0", "80")
        yield a, b


def test_vms_talk_to_each_other(pair, switch):
    a, b = pair
    assert a.run(PING, B, "56") == "pong 56"
    assert a.run(PING, B, "60000") == "pong 60000"
    assert a.run(PING, switch.gateway, "56") == "pong 56"
    assert a.run(TCP_ECHO, B, "80", str(32 << 20)) == f"{B} True"
    assert b.run(TCP_ECHO, A, "80", "1") == f"{A} True"
    assert a.run(UDP_ECHO, B, "80", "60000") == f"{B} {A} 60000"


def test_mtus_may_differ(switch):
    with contextlib.ExitStack() as stack:
        a, b = vm(stack, switch, "a", A, 1500), vm(stack, switch, "b", B, 65520)
        serve(stack, b, TCP_SERVER, "0.0.0.0", "80")
        serve(stack, a, TCP_SERVER, "0.0.0.0", "80")
        assert a.run(TCP_ECHO, B, "80", str(4 << 20)) == f"{B} True"
        assert b.run(TCP_ECHO, A, "80", str(4 << 20)) == f"{A} True"


@pytest.mark.parametrize("mtu", [1500, 65520])
def test_the_outside_is_reached(switch, mtu):
    with contextlib.ExitStack() as stack:
        a = vm(stack, switch, "a", A, mtu)
        assert a.run(TCP_ECHO, WORLD, "7", str(16 << 20)) == f"{WORLD} True"
        assert a.run(UDP_ECHO, WORLD, "7", "1000") == f"{WORLD} {HOST} 1000"
        assert a.run(UDP_ECHO, WORLD, "7", "20000") == f"{WORLD} {HOST} 20000"
        assert a.run(PING, WORLD, "56") == "pong 56"
        assert a.run(CONNECT, WORLD, "9") == "ConnectionRefusedError"


def test_names_of_the_outside(pair, switch):
    a, _ = pair
    assert a.run(RESOLVE, switch.dns, "example.org") == "0 203.0.113.9"  # the first resolver does not answer
    assert a.run(RESOLVE, switch.dns, "b") == f"0 {B}"


def test_host_and_private_networks_are_not_reached(pair, switch, host):
    a, _ = pair
    assert host.run(CONNECT, "10.99.0.1", "7") == "connected"
    for address in ("10.99.0.1", HOST, switch.gateway, "169.254.169.254"):
        start = time.monotonic()
        assert a.run(CONNECT, address, "7") == "ConnectionRefusedError"
        assert time.monotonic() - start < 10


def test_new_host_addresses_count_at_once(pair, host):
    a, _ = pair
    host.world.sh("ip addr add 203.0.113.1/24 dev eth0")
    host.sh("ip route add 203.0.113.0/24 dev eth0")
    assert a.run(CONNECT, "203.0.113.1", "7") == "connected"
    host.sh("ip addr add 203.0.113.200/32 dev lo")
    assert host.run(CONNECT, "203.0.113.200", "7") == "connected"
    assert a.run(CONNECT, "203.0.113.200", "7") == "ConnectionRefusedError"


def test_without_egress_only_peers_and_published_ports(host):
    with Switch(wrap=host.enter, egress="env") as s, contextlib.ExitStack() as stack:
        a, b = vm(stack, s, "a", A), vm(stack, s, "b", B)
        serve(stack, a, TCP_SERVER, "0.0.0.0", "80")
        serve(stack, a, UDP_SERVER, "0.0.0.0", "80")
        tcp, udp = s.port("a", A, publish=[{"host_port": 0, "guest_port": 80},
                                           {"host_port": 0, "guest_port": 80, "udp": True}])["ports"]
        assert a.run(CONNECT, WORLD, "7") == "ConnectionRefusedError"
        assert b.run(TCP_ECHO, A, "80", "1000000") == f"{A} True"
        assert host.run(TCP_ECHO, "127.0.0.1", str(tcp), "1000000") == "127.0.0.1 True"
        assert host.run(UDP_ECHO, "127.0.0.1", str(udp), "1000") == f"127.0.0.1 {s.gateway} 1000"


def test_published_ports(pair, switch, host):
    a, _ = pair
    tcp, udp, wide = switch.port("a", A, publish=[
        {"host_port": 0, "guest_port": 80}, {"host_port": 0, "guest_port": 80, "udp": True},
        {"host_addr": "0.0.0.0", "host_port": 8000, "guest_port": 80}])["ports"]
    assert host.run(TCP_ECHO, "127.0.0.1", str(tcp), str(16 << 20)) == "127.0.0.1 True"
    assert host.run(UDP_ECHO, "127.0.0.1", str(udp), "60000") == f"127.0.0.1 {switch.gateway} 60000"
    # from another machine, on the one that was published for all
    assert host.world.run(TCP_ECHO, HOST, str(wide), "100000") == f"{HOST} True"
    assert host.world.run(CONNECT, HOST, str(tcp)) == "ConnectionRefusedError"
    # live: gone while the others stay
    switch.port("a", A, publish=[{"host_addr": "0.0.0.0", "host_port": 8000, "guest_port": 80}])
    assert host.run(CONNECT, "127.0.0.1", str(tcp)) == "ConnectionRefusedError"
    assert host.run(TCP_ECHO, "127.0.0.1", str(wide), "1000") == "127.0.0.1 True"


def test_many_clients_at_once(pair, switch, host):
    port, = switch.port("a", A, publish=[{"host_port": 0, "guest_port": 80}])["ports"]
    assert host.run("""
import socket, sys, time
start = time.monotonic()
clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20) for _ in range(200)]
for i, c in enumerate(clients): c.sendall(b"%d" % i)
print(all(c.recv(10) == b"%d" % i for i, c in enumerate(clients)))
""", str(port)) == "True"


def test_a_connection_between_vms_survives_the_switch(pair, switch):
    a, _ = pair
    p = a.popen("""
import socket, sys
s = socket.create_connection((sys.argv[1], 80), timeout=60)
for i in range(2):
    s.sendall(b"x" * 100000)
    got = 0
    while got < 100000: got += len(s.recv(100000))
    print("ok", flush=True)
    sys.stdin.readline()
""", B, stdin=subprocess.PIPE)
    assert p.stdout.readline() == "ok\n"
    pid = switch.pid()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid))
    p.stdin.write("\n")
    p.stdin.flush()
    switch.start()
    switch.port("a", A)
    switch.port("b", B)
    assert p.stdout.readline() == "ok\n"
    p.stdin.close()
    assert p.wait(20) == 0


def test_networks_are_apart(switch, host):
    with Switch(wrap=host.enter, subnet="10.77.1.0/24", name="other") as other, contextlib.ExitStack() as stack:
        a, d = vm(stack, switch, "a", A), vm(stack, other, "d", "10.77.1.10")
        serve(stack, d, TCP_SERVER, "0.0.0.0", "80")
        assert a.run(CONNECT, "10.77.1.10", "80") == "ConnectionRefusedError"
        assert a.run(RESOLVE, switch.dns, "d").split()[0] == "0"  # asked outside: it is nobody's name in here
        assert d.run(CONNECT, A, "80") == "ConnectionRefusedError"


def test_an_idle_switch_sleeps(pair, switch, host):
    """Nothing polls: the process is not scheduled once nothing happens, published ports or not."""
    switch.port("a", A, publish=[{"host_port": 0, "guest_port": 80}])
    pid = switch.pid()

    def switches():
        with open(f"/proc/{pid}/status") as f:
            return int(next(line.split()[1] for line in f if line.startswith("voluntary_ctxt_switches")))

    wait_until(lambda: (lambda before: time.sleep(1.2) or switches() - before <= 1)(switches()), timeout=30, what="sleep")
