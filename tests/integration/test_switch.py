# SPDX-License-Identifier: MIT
"""A network's switch, spoken to frame by frame; what goes wrong is made to go wrong here."""
import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess

import pytest
from switchlib import (BROADCAST, TOOL, FakeVM, Switch, SwitchError, echo, ipv4, is_alive, mac_of, tcp, tool, udp,
                       wait_until)

A, B, C = "10.77.0.10", "10.77.0.11", "10.77.0.12"
PUBLIC = "198.51.100.1"

pytestmark = pytest.mark.skipif(not os.path.exists(TOOL), reason=f"{TOOL} is not built")


@pytest.fixture
def switch():
    with Switch() as s:
        yield s


@pytest.fixture(params=["by path", "connected"])
def vms(switch, request):
    """a, b and c on one network."""
    connected = request.param == "connected"
    with contextlib.ExitStack() as stack:
        made = []
        for name, address in (("a", A), ("b", B), ("c", C)):
            vm = FakeVM(switch.port(name, address)["dir"], address, switch, connected)
            stack.callback(vm.close)
            made.append(vm)
        yield made


def listener(kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_INET, kind)
    s.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        s.listen()
    return s


def free_port():
    with listener() as s:
        return s.getsockname()[1]


def test_start_is_idempotent_and_stop_leaves_nothing(switch):
    pid = switch.pid()
    assert switch.start() == pid
    assert oct(os.stat(os.path.join(switch.run, "control.sock")).st_mode & 0o777) == "0o600"
    assert oct(os.stat(switch.run).st_mode & 0o777) == "0o700"
    switch.port("a", A, publish=[{"host_port": 0, "guest_port": 80}])
    switch.stop()
    assert not is_alive(pid)
    assert os.listdir(switch.root) == []
    assert switch.pid() == 0
    switch.stop()


def test_another_configuration_is_a_conflict(switch):
    switch.egress = "none"
    with pytest.raises(SwitchError, match="conflict: .*'shop' runs with another configuration"):
        switch.start()


def test_two_starts_at_once_give_one_switch():
    s = Switch()
    try:
        starts = [subprocess.Popen([TOOL, "start", s.run, s.name, s.subnet, s.egress], stdout=subprocess.PIPE, text=True)
                  for _ in range(8)]
        pids = {p.communicate(timeout=30)[0].strip() for p in starts}
        assert pids == {str(s.pid())}
        assert all(p.returncode == 0 for p in starts)
    finally:
        s.__exit__()


def test_a_start_waits_for_a_switch_that_does_not_listen_yet():
    """Between its lock and its socket a switch cannot be reached; the lock let go, there is none."""
    with Switch() as s:
        s.stop()
        os.mkdir(s.run)
        with open(os.path.join(s.run, "lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            start = subprocess.Popen([TOOL, "start", s.run, s.name, s.subnet, s.egress], stdout=subprocess.PIPE, text=True)
            with pytest.raises(subprocess.TimeoutExpired):
                start.wait(timeout=0.5)
        assert start.communicate(timeout=30)[0].strip() == str(s.pid()) and start.returncode == 0


def test_who_looks_at_the_lock_hinders_no_start():
    with Switch() as s:
        s.stop()
        os.mkdir(s.run)
        with open(os.path.join(s.run, "lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            start = subprocess.Popen([TOOL, "start", s.run, s.name, s.subnet, s.egress], stdout=subprocess.PIPE, text=True)
            with pytest.raises(subprocess.TimeoutExpired):
                start.wait(timeout=0.5)
        assert start.communicate(timeout=30)[0].strip() == str(s.pid()) and start.returncode == 0


def test_frames_reach_their_owner_only(vms):
    a, b, c = vms
    a.send(b.mac, udp(A, B, 1, 2, b"hello"))
    frame = b.receive()
    assert (frame.from_ip, frame.payload, frame.source) == (A, b"hello", a.mac)
    assert c.flush() == []
    a.send(BROADCAST, udp(A, "255.255.255.255", 1, 2, b"all"))
    assert b.receive().payload == b"all" and c.receive().payload == b"all"
    assert a.flush() == []


def test_arp_is_answered_by_the_switch(vms, switch):
    a, b, _ = vms
    for target, mac in ((B, b.mac), (switch.gateway, switch.gateway_mac), (switch.dns, switch.gateway_mac)):
        a.arp(target)
        frame = a.receive()
        assert frame.type == 0x0806 and frame.data[22:28] == mac and frame.data[28:32] == socket.inet_aton(target)
    a.arp(B, sender="0.0.0.0")
    assert a.receive().type == 0x0806
    a.arp("10.77.0.99")
    a.arp(A)
    assert a.flush() == [] and b.flush() == []


def test_nobody_speaks_for_another(vms, switch):
    a, b, c = vms
    a.send(b.mac, udp(C, B, 1, 2, b"in c's name"))
    a.send(b.mac, udp(A, B, 1, 2, b"with c's MAC"), source=c.mac)
    a.arp(B, sender=switch.gateway, operation=2)
    a.send_raw(b.mac + a.mac + b"\x86\xdd" + b"\x60" + b"\0" * 60)
    a.send_raw(b.mac + a.mac + b"\x81\x00" + b"\0" * 60)
    a.send_raw(b"short")
    assert a.flush() == [] and b.flush() == [] and c.flush() == []
    frames = switch.status()["frames"]
    assert (frames["spoofed"], frames["not-carried"], frames["malformed"]) == (3, 2, 1)


def test_large_frames_whole_and_larger_ones_not_at_all(vms, switch):
    a, b, _ = vms
    payload = os.urandom(65520 - 28)
    a.send(b.mac, udp(A, B, 1, 2, payload))
    assert b.receive().payload == payload
    a.send_raw(b.mac + a.mac + b"\x08\x00" + b"x" * 65536)
    assert b.flush() == []
    assert {p["name"]: p["oversized"] for p in switch.status()["ports"]} == {"a": 1, "b": 0, "c": 0}


def test_a_slow_receiver_holds_up_nobody(vms, switch):
    a, b, c = vms
    for i in range(10000):
        a.send(b.mac, udp(A, B, 1, 2, struct.pack(">I", i) + b"x" * 1400))
    a.send(c.mac, udp(A, C, 1, 2, b"still quick"))
    assert c.receive().payload == b"still quick"
    assert a.flush() == []
    counts = {p["name"]: p for p in switch.status()["ports"]}
    assert counts["b"]["dropped_full"] > 2000
    # what was kept comes in order, and then new frames
    seen = [struct.unpack(">I", b.receive().payload[:4])[0] for _ in range(1000)]
    assert seen == sorted(seen) and seen[0] == 0
    while b.receive(0.5):
        pass
    a.send(b.mac, udp(A, B, 1, 2, b"again"))
    assert b.receive().payload == b"again"


def test_a_vm_comes_back(vms, switch):
    a, b, _ = vms
    a.send(b.mac, udp(A, B, 1, 2, b"before"))
    assert b.receive().payload == b"before"
    directory = os.path.dirname(b.path)
    b.close()
    a.send(b.mac, udp(A, B, 1, 2, b"lost"))
    assert a.flush() == []
    again = FakeVM(directory, B, switch, b.connected)
    assert again.flush() == []
    a.send(b.mac, udp(A, B, 1, 2, b"after"))
    assert again.receive().payload == b"after"
    again.close()


def test_a_killed_switch_is_replaced_under_the_vms(vms, switch):
    a, b, _ = vms
    pid = switch.pid()
    inodes = [os.stat(os.path.dirname(vm.path)).st_ino for vm in vms]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid))
    assert switch.pid() == 0
    with contextlib.suppress(OSError):
        a.send(b.mac, udp(A, B, 1, 2, b"lost"))
    assert switch.start() not in (0, pid)
    for name, address in (("a", A), ("b", B), ("c", C)):
        switch.port(name, address)
    for vm in vms:
        vm.attach()
    assert [os.stat(os.path.dirname(vm.path)).st_ino for vm in vms] == inodes
    a.send(b.mac, udp(A, B, 1, 2, b"carried"))
    assert b.receive().payload == b"carried"


def test_a_new_configuration_under_the_vms(vms, switch):
    a, b, _ = vms
    pid = switch.pid()
    switch.egress = "none"
    assert switch.start("restart") not in (0, pid)
    assert not is_alive(pid)
    for name, address in (("a", A), ("b", B)):
        switch.port(name, address)
    for vm in (a, b):
        vm.attach()
    a.send(b.mac, udp(A, B, 1, 2, b"carried"))
    assert b.receive().payload == b"carried"
    assert a.resolve("example.org") == (3, [])


def test_what_a_killed_switch_left_is_cleaned_up(vms, switch):
    pid = switch.pid()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid))
    switch.remove("a")
    assert sorted(os.listdir(os.path.join(switch.run, "ports"))) == ["b", "c"]
    switch.stop()
    assert os.listdir(switch.root) == []


def test_a_switch_without_its_socket_is_still_stopped(switch):
    pid = switch.pid()
    os.unlink(os.path.join(switch.run, "control.sock"))
    switch.stop()
    assert not is_alive(pid) and os.listdir(switch.root) == []


def test_a_hung_switch_is_still_stopped(switch):
    pid = switch.pid()
    os.kill(pid, signal.SIGSTOP)
    switch.stop()
    assert not is_alive(pid) and os.listdir(switch.root) == []


def test_sigterm_ends_it(switch):
    pid = switch.pid()
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_alive(pid))
    assert not os.path.exists(os.path.join(switch.run, "control.sock"))


def test_a_removed_port_is_gone(vms, switch):
    a, b, _ = vms
    switch.remove("b")
    assert not os.path.exists(os.path.dirname(b.path))
    a.arp(B)
    assert a.flush() == []
    assert a.resolve("b")[0] in (2, 3)
    switch.remove("b")


def test_a_link_in_a_ports_folder_is_not_followed(vms, switch):
    a, b, c = vms
    b.close()
    os.unlink(b.path)
    os.symlink(c.path, b.path)
    a.send(b.mac, udp(A, B, 1, 2, b"for b alone"))
    assert a.flush() == [] and c.flush() == []
    os.unlink(os.path.join(os.path.dirname(b.path), "switch.sock"))
    os.symlink(os.path.join(switch.run, "control.sock"), os.path.join(os.path.dirname(b.path), "switch.sock"))
    switch.port("b", B)
    pid = switch.pid()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid))
    switch.start()
    switch.port("b", B)
    assert not os.path.islink(os.path.join(os.path.dirname(b.path), "switch.sock"))


def test_names_and_aliases_live(vms, switch):
    a, *_ = vms
    assert a.resolve("b") == (0, [B])
    assert a.resolve("B") == (0, [B])
    assert a.resolve("b", kind=28) == (0, [])
    assert a.resolve("gateway") == (0, [switch.gateway])
    switch.port("b", B, aliases=["db", "db.shop"])
    switch.port("c", C, aliases=["db"])
    assert a.resolve("db.shop") == (0, [B])
    assert sorted(a.resolve("db")[1]) == [B, C]
    switch.port("b", B)
    assert a.resolve("db") == (0, [C])


def test_an_address_can_change(vms, switch):
    a, b, _ = vms
    switch.port("b", "10.77.0.50", mac=b.mac)
    assert a.resolve("b") == (0, ["10.77.0.50"])
    b.send(a.mac, udp(B, A, 1, 2, b"by its old address"))
    assert a.flush() == []


def test_what_is_out_of_bounds_fails_at_once(vms, switch):
    a, *_ = vms
    for address in ("10.0.0.1", "192.168.1.1", "169.254.169.254", "127.0.0.1", "100.64.0.1", switch.gateway):
        a.send_out(tcp(A, address, 40000, 80, 0x02))
        frame = a.receive()
        assert (frame.protocol, frame.from_ip, frame.body[13]) == (6, address, 0x14), address
        a.send_out(udp(A, address, 40000, 80, b"x"))
        frame = a.receive()
        assert (frame.protocol, frame.body[0], frame.body[1]) == (1, 3, 3 if address == switch.gateway else 13)
    for address in (switch.gateway, switch.dns):
        a.send_out(echo(A, address))
        frame = a.receive()
        assert (frame.protocol, frame.from_ip, frame.body[0], frame.body[8:]) == (1, address, 0, b"ping")


def test_this_hosts_own_addresses_are_out_of_bounds(vms):
    a, *_ = vms
    listed = subprocess.run(["ip", "-j", "-4", "addr"], capture_output=True, text=True, check=True).stdout
    for interface in json.loads(listed):
        for entry in interface["addr_info"]:
            a.send_out(tcp(A, entry["local"], 40000, 22, 0x02))
            assert a.receive().body[13] == 0x14


def test_without_egress_names_and_addresses_end_here():
    with Switch(egress="env") as s:
        a = FakeVM(s.port("a", A)["dir"], A, s)
        a.send_out(tcp(A, PUBLIC, 40000, 80, 0x02))
        assert a.receive().body[13] == 0x14
        assert a.resolve("example.org") == (3, [])
        assert a.resolve("a") == (0, [A])
        a.close()


def test_networks_do_not_see_each_other(switch, vms):
    a, *_ = vms
    with Switch(subnet="10.77.1.0/24", name="other") as other:
        d = FakeVM(other.port("d", "10.77.1.10")["dir"], "10.77.1.10", other)
        a.send_out(tcp(A, "10.77.1.10", 1, 80, 0x02))
        assert a.receive().body[13] == 0x14
        a.send(d.mac, udp(A, "10.77.1.10", 1, 2, b"across"))
        a.arp("10.77.1.10")
        assert a.flush() == [] and d.flush() == []
        assert a.resolve("d")[1] == []
        d.close()


def test_broadcasts_are_limited(vms):
    a, b, c = vms
    for _ in range(3000):
        a.send(BROADCAST, udp(A, "255.255.255.255", 1, 2, b"noise"))
    assert a.flush() == []
    assert len(b.flush()) < 1000


def test_published_udp(vms, switch):
    a, b, _ = vms
    port, = switch.port("a", A, publish=[{"host_port": 0, "guest_port": 53, "udp": True}])["ports"]
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for i, client in enumerate(clients):
        client.settimeout(5)
        client.sendto(f"question {i}".encode(), ("127.0.0.1", port))
        frame = a.receive()
        assert (frame.from_ip, frame.to_port, frame.payload) == (switch.gateway, 53, f"question {i}".encode())
        a.send_out(udp(A, switch.gateway, 53, frame.from_port, f"answer {i}".encode()))
        assert client.recv(100) == f"answer {i}".encode()
    # nobody asked from there, so nothing can be sent there
    with listener(socket.SOCK_DGRAM) as bystander:
        a.send_out(udp(A, switch.gateway, 53, bystander.getsockname()[1], b"unasked"))
        assert a.receive().body[:2] == b"\x03\x03"
        bystander.settimeout(0.2)
        with pytest.raises(socket.timeout):
            bystander.recv(100)
    # and another container's port is not this one's
    b.send_out(udp(B, switch.gateway, 53, frame.from_port, b"forged"))
    assert b.receive().body[:2] == b"\x03\x03"
    switch.port("a", A)
    assert tool("holder", "127.0.0.1", str(port), "udp") == "free -"


def test_published_udp_moves_to_another_guest_port(vms, switch):
    a, *_ = vms
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for guest_port in (53, 54):
            assert switch.port("a", A, publish=[{"host_port": port, "guest_port": guest_port, "udp": True}])["ports"] == [port]
            client.sendto(b"x", ("127.0.0.1", port))
            assert a.receive().to_port == guest_port


def test_a_taken_port_is_told_with_its_holder(vms, switch):
    with listener() as s:
        port, free = s.getsockname()[1], free_port()
        with pytest.raises(SwitchError, match=rf"conflict: host port 127.0.0.1:{port}/tcp is taken by .* \(pid {os.getpid()}\)"):
            switch.port("a", "10.77.0.77", publish=[{"host_port": free, "guest_port": 81}, {"host_port": port, "guest_port": 80}])
    # and nothing changed
    assert tool("holder", "127.0.0.1", str(free), "tcp") == "free -"
    a, *_ = vms
    assert a.resolve("a") == (0, [A])
    with listener(socket.SOCK_DGRAM) as s:
        with pytest.raises(SwitchError, match=rf"/udp is taken by .*\(pid {os.getpid()}\)"):
            switch.port("new", "10.77.0.78", publish=[{"host_port": s.getsockname()[1], "guest_port": 80, "udp": True}])
    assert not os.path.exists(os.path.join(switch.run, "ports", "new"))


def test_a_port_taken_by_a_neighbour_is_told_by_name(vms, switch):
    port = free_port()
    publish = [{"host_port": port, "guest_port": 80}]
    switch.port("a", A, publish=publish)
    with pytest.raises(SwitchError, match=f"host port 127.0.0.1:{port}/tcp is published by 'a' of network 'shop'"):
        switch.port("b", B, publish=publish)
    with Switch(subnet="10.77.1.0/24", name="other") as other:
        with pytest.raises(SwitchError, match=rf"is taken by ctrz network 'shop' \(pid {switch.pid()}\)"):
            other.port("d", "10.77.1.10", publish=publish)
    switch.port("a", A)
    assert switch.port("b", B, publish=publish)["ports"] == [port]


def test_published_ports_change_live(vms, switch):
    a, *_ = vms
    first, second = free_port(), free_port()
    switch.port("a", A, publish=[{"host_port": first, "guest_port": 80}])
    chosen, kept = switch.port("a", A, publish=[{"host_port": 0, "guest_port": 80}, {"host_port": first, "guest_port": 80}])["ports"]
    assert kept == first and chosen not in (0, first)
    again = switch.port("a", A, publish=[{"host_port": second, "guest_port": 80}, {"host_port": 0, "guest_port": 80}])["ports"]
    assert again == [second, chosen]
    assert tool("holder", "127.0.0.1", str(first), "tcp") == "free -"
    assert tool("holder", "127.0.0.1", str(second), "tcp").startswith("taken ctrz network 'shop'")
    # a connection arrives as a SYN from the gateway, and moves with the guest's port
    for guest_port in (80, 81):
        switch.port("a", A, publish=[{"host_port": second, "guest_port": guest_port}])
        with socket.socket() as client:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", second))
            frame = a.receive()
            assert (frame.protocol, frame.from_ip, frame.to_port, frame.body[13]) == (6, switch.gateway, guest_port, 0x02)
            a.send_out(tcp(A, switch.gateway, guest_port, frame.from_port, 0x14, ack=struct.unpack(">I", frame.body[4:8])[0] + 1))


def test_publish_refuses_what_it_cannot(vms, switch):
    with pytest.raises(SwitchError, match="invalid: this host does not have the address 198.51.100.77"):
        switch.port("a", A, publish=[{"host_addr": "198.51.100.77", "host_port": 0, "guest_port": 80}])
    port = free_port()
    with pytest.raises(SwitchError, match="published twice"):
        switch.port("a", A, publish=[{"host_port": port, "guest_port": 80}, {"host_port": port, "guest_port": 81}])
    for address in ("10.77.0.1", "10.77.0.2", "10.77.0.255", "10.78.0.10"):
        with pytest.raises(SwitchError, match="invalid: address"):
            switch.port("x", address)
    with pytest.raises(SwitchError, match="conflict: .* taken by 'b'"):
        switch.port("x", B)


def test_holders(switch):
    with listener() as s:
        port = s.getsockname()[1]
        assert tool("holder", "127.0.0.1", str(port), "tcp").endswith(f"(pid {os.getpid()})")
        assert tool("holder", "0.0.0.0", str(port), "tcp").startswith("taken")
        assert tool("holder", "127.0.0.2", str(port), "tcp") == "free -"
    assert tool("holder", "127.0.0.1", str(port), "tcp") == "free -"


def test_the_control_socket_takes_anything(switch):
    assert switch.ask({"do": "dance"})["ok"] is False
    assert switch.ask(b"not json\n")["ok"] is False
    assert switch.ask(b"[]\n")["ok"] is False
    assert switch.ask(b"\x00\xff\n")["ok"] is False
    assert switch.ask(b'{"do":"remove-port","name":"../../x"}\n')["ok"] is False
    assert switch.ask(b'{"do":"set-port"}\n')["ok"] is False
    assert switch.ask(b"x" * 400000) is None
    open_ones = [socket.socket(socket.AF_UNIX) for _ in range(10)]
    for s in open_ones:
        s.connect(os.path.join(switch.run, "control.sock"))
        s.send(b'{"do":')
    assert switch.ask({"do": "status"})["ok"] is True
    for s in open_ones:
        s.close()


def test_it_gives_up_what_it_does_not_need(vms, switch):
    pid = switch.pid()
    with open(f"/proc/{pid}/status") as f:
        status = dict(line.split(":\t", 1) for line in f.read().splitlines() if ":\t" in line)
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) & ~(1 << 10) == 0
    assert status["CapEff"] == status["CapPrm"]
    with open(TOOL, "rb") as f:
        is_sanitized = b"__asan_init" in f.read()  # its leak check needs a helper thread
    assert status["Seccomp"] == ("0" if is_sanitized else "2")
    targets = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    files = [t for t in targets if t.startswith("/") and t != "/dev/null"]
    assert all(t.startswith(switch.root) for t in files), files


def test_ports_up_to_the_limit_of_a_large_network():
    with Switch(subnet="10.80.0.0/16") as s:
        addresses = [f"10.80.{i // 200}.{i % 200 + 10}" for i in range(64)]
        made = [FakeVM(s.port(f"c{i}", address)["dir"], address, s) for i, address in enumerate(addresses)]
        made[0].send(BROADCAST, udp(addresses[0], "255.255.255.255", 1, 2, b"all"))
        for vm in made[1:]:
            assert vm.receive().payload == b"all"
        made[63].send(made[0].mac, udp(addresses[63], addresses[0], 1, 2, b"back"))
        assert made[0].receive().payload == b"back"
        for vm in made:
            vm.close()


def test_mac_of_matches_the_program():
    assert mac_of(A).hex(":") == "02:c7:0a:4d:00:0a"
    assert ipv4(A, B, 17, b"")[9] == 17
