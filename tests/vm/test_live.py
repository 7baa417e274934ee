# SPDX-License-Identifier: MIT
"""Changes to running machines: mounts, volumes, networks, memory; the same machine and the same process go on."""
import contextlib
import json
import os
import re

import ctrzlib

BASE = """
name: live
volumes: {{ data: {{ size: {size} }} }}
networks: {{ back: {{ egress: none }} }}
containers:
  app:
    image: {image}
    pull: never
    command: [sleep, "100000"]
    resources: {{ memory: {memory}, cpus: {cpus} }}
    {more}
"""


class Live:
    """A project whose one container is changed again and again."""

    def __init__(self, home, project):
        self.home, self.project = home, project
        for name in "abcdefgh":
            folder = project.path / name
            folder.mkdir()
            (folder / "file").write_text(f"in {name}\n")
            (folder / "below").mkdir()
        self.values = {"image": home.image(), "size": "64MiB", "memory": "192MiB", "cpus": 2, "more": "{}"}

    def write(self, **values):
        self.values.update(values)
        self.project.write(BASE.format(**self.values).replace("\n    {}\n", "\n"))

    def up(self, **values):
        self.write(**values)
        return self.home.run("up", cwd=self.project.path)

    def sh(self, command, code=0, name="app"):
        r = self.home.try_run("exec", name, "--", "sh", "-c", command, cwd=self.project.path)
        assert r.code == code, r
        return r.out

    def who(self):
        """The machine, and the container's process in it."""
        [row] = self.home.json("ps", cwd=self.project.path)
        return row["pid"], self.sh("stat -c %Y /proc/1; cat /proc/1/stat | cut -d' ' -f22")

    def classes(self):
        plan = self.home.json("plan", cwd=self.project.path)
        return {(a["action"], a["name"]) for a in plan["actions"]}

    def servers(self):
        return [p for p in ctrzlib.processes_of(self.home).values() if p.name.startswith("virtiofsd")]


def test_mounts_volumes_and_networks_come_and_go(home, project):
    live = Live(home, project)
    live.up()
    before = live.who()
    assert not live.servers()

    live.write(more='mounts: ["./a:/m/a", "./b:/m/a/below:rw", "data:/data", { type: tmpfs, target: /t, size: 1MiB }]\n'
                    '    networks: [default, back]')
    assert live.classes() == {("create", "data"), ("create", "back"), ("update", "app")}
    live.up()
    assert live.who() == before
    assert live.sh("cat /m/a/file /m/a/below/file") == "in a\nin b\n"
    live.sh("echo inside > /m/a/below/made; echo kept > /data/kept; echo x > /t/x")
    live.sh("echo no > /m/a/no", code=1)
    assert (project.path / "b" / "made").read_text() == "inside\n"
    assert len(re.findall(r"inet 10\.77\.", live.sh("ip -4 address"))) == 2
    assert live.sh("ip route").count("default") == 1
    assert len(live.servers()) == 4  # each share is a server and its helper

    # another source at the same place, and what lies below it comes with it
    live.up(more='mounts: ["./c:/m/a", "./b:/m/a/below:rw", { type: volume, source: data, target: /db, subpath: one/two }]')
    assert live.who() == before
    assert live.sh("cat /m/a/file /m/a/below/file; ls -A /db; ls -A /data /t") == "in c\nin b\n/data:\n\n/t:\n"
    live.sh("echo deep > /db/deep")
    assert len(re.findall(r"inet 10\.77\.", live.sh("ip -4 address"))) == 1

    # read-only becomes writable, on the host's side too
    live.up(more='mounts: ["./c:/m/a:rw", "data:/data"]')
    assert live.who() == before
    live.sh("echo yes > /m/a/yes")
    assert live.sh("cat /data/kept /data/one/two/deep") == "kept\ndeep\n"

    live.up(more="{}")
    assert live.who() == before
    assert "virtiofs" not in live.sh("cat /proc/mounts") and not live.servers()
    assert not list(home.root.glob("run/**/share.sock"))
    assert live.sh("ls /sys/block").split() == ["vda", "vdb"]
    assert home.run("up", cwd=project.path).out == "live: up to date (1 container, 0 changes)\n"


def test_a_volume_grows_and_keeps_its_data_through_everything(home, project):
    live = Live(home, project)
    mounts = 'mounts: ["data:/data"]'
    live.up(more=mounts)
    before = live.who()
    live.sh("echo kept > /data/kept")

    def blocks():
        return int(live.sh("df -k /data | tail -1 | awk '{print $2}'"))
    small = blocks()
    live.up(size="200MiB")
    assert live.who() == before and blocks() > 2.5 * small
    # reboot, replacement, down and up, and growth while it is down
    live.up(more=mounts + "\n    hostname: other")
    assert live.sh("hostname; cat /data/kept") == "other\nkept\n"
    home.run("image", "tag", live.values["image"], "localhost/ctrz-hello:other")
    live.up(image="localhost/ctrz-hello:other")
    assert live.sh("cat /data/kept") == "kept\n"
    home.run("down", cwd=project.path)
    [disk] = home.root.glob("data/volumes/*/data.ext4")
    check = ctrzlib.run(["e2fsck", "-fn", disk])
    assert check.code == 0, check
    live.up(size="300MiB")
    assert live.sh("cat /data/kept") == "kept\n" and blocks() > 4 * small

    # smaller is anew: asked about, and refused by one that is protected
    live.write(size="64MiB")
    r = home.fail("up", cwd=project.path, code=1)
    assert "data" in r.err and "-y" in r.err
    assert live.sh("cat /data/kept") == "kept\n"
    home.run("up", "-y", cwd=project.path)
    assert live.sh("ls -A /data") == "" and blocks() == small

    r = home.fail("down", "--volumes", cwd=project.path, code=1)
    assert "data" in r.err and "-y" in r.err
    live.up(size="64MiB, protect: true")
    r = home.fail("down", "--volumes", "-y", cwd=project.path, code=1)
    assert "protect" in r.err and live.sh("echo still here") == "still here\n"
    live.up(size="64MiB, protect: false")
    home.run("down", "--volumes", "-y", cwd=project.path)
    assert not disk.exists() and not disk.parent.exists()


def test_what_cannot_be_done_in_place_is_a_reboot_with_the_reason(home, project):
    live = Live(home, project)
    live.up(more='mounts: ["./a:/a"]')
    before = live.who()

    # less and more, up to what it has room for, in place; test_grow.py has the rest
    live.up(memory="160MiB", cpus=1)
    assert live.who() == before
    assert live.sh("cat /sys/fs/cgroup/memory.max; nproc") == f"{160 << 20}\n1\n"
    live.up(memory="192MiB", cpus=2)
    assert live.who() == before
    assert live.sh("cat /sys/fs/cgroup/memory.max; nproc") == "max\n2\n"
    live.write(memory="833MiB")
    plan = home.run("plan", cwd=project.path).out
    assert live.classes() == {("reboot", "app")} and "was started with room for 832 MiB" in plan
    live.up()
    rebooted = live.who()
    assert rebooted[0] != before[0]

    # a mount that is in use
    holder = home.popen("exec", "app", "--", "sh", "-c", "cd /a; exec sleep 1000", cwd=project.path)
    ctrzlib.wait_until("somebody is in /a", lambda: "-> /a\n" in live.sh("ls -l /proc/[0-9]*/cwd 2>/dev/null; true"))
    live.write(more="{}")
    assert live.classes() == {("update", "app")}
    r = live.up()
    holder.wait()
    assert "app: restarted, since '/a' is in use in the container" in r.err
    assert live.who()[0] != rebooted[0] and "virtiofs" not in live.sh("cat /proc/mounts")

    # more shares than there are ports
    shares = ", ".join(f'"./{name}:/{name}"' for name in "abcdefgh")
    live.write(more=f"mounts: [{shares}]")
    assert live.classes() == {("reboot", "app")}
    assert "has room for" in home.run("plan", cwd=project.path).out
    live.up()
    assert live.sh("cat /a/file /h/file") == "in a\nin h\n"
    home.run("down", cwd=project.path)
    assert not (home.root / "run").exists()


TWO = """
name: nets
networks:
  front: {{}}
  inner: {{ egress: none{subnet} }}
containers:
  a:
    image: {image}
    pull: never
    command: [httpd, -f, -p, "80"]
    resources: {{ memory: 128MiB }}
    networks: {a}
    ports: ["{pa}:80"]
  b:
    image: {image}
    pull: never
    command: [httpd, -f, -p, "80"]
    resources: {{ memory: 128MiB }}
    networks: {b}
    ports: ["{pb}:80"]
"""


EXCHANGE = """
name: exchange
volumes: {{ x: {{ size: 32MiB }}, y: {{ size: 32MiB }} }}
containers:
  a: {{ image: {image}, pull: never, command: [sleep, "100000"], resources: {{ memory: 128MiB }}, mounts: ["{a}:/d"] }}
  b: {{ image: {image}, pull: never, command: [sleep, "100000"], resources: {{ memory: 128MiB }}, mounts: ["{b}:/d"] }}
"""


def test_two_exchange_their_volumes(home, project):
    def up(a, b):
        project.write(EXCHANGE.format(image=home.image(), a=a, b=b))
        plan = home.json("plan", cwd=project.path)
        home.run("up", cwd=project.path)
        assert home.json("plan", cwd=project.path)["actions"] == []
        return {x["name"]: x["action"] for x in plan["actions"]}

    def volume_of(name):
        return home.run("exec", name, "--", "cat", "/d/who", cwd=project.path).out

    up("x", "y")
    for name in "ab":
        home.run("exec", name, "--", "sh", "-c", f"echo {name} > /d/who", cwd=project.path)
    before = {c["name"]: c["pid"] for c in home.json("ps", cwd=project.path)}
    assert up("y", "x") == {"a": "reboot", "b": "update"}
    assert (volume_of("a"), volume_of("b")) == ("b\n", "a\n")
    after = {c["name"]: c["pid"] for c in home.json("ps", cwd=project.path)}
    assert after["b"] == before["b"] and after["a"] != before["a"], "one of the two is enough"


def test_networks_are_apart_and_ports_change_hands(home, project):
    image = home.image()
    one, two = ctrzlib.free_port(), ctrzlib.free_port()

    def sh(name, command):
        return home.try_run("exec", name, "--", "sh", "-c", command, cwd=project.path)

    def page(address):
        """What b serves there, as a sees it."""
        return sh("a", f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address} 8080 | tail -n 1").out.strip()

    def up(a, b, pa, pb, subnet=""):
        project.write(TWO.format(image=image, a=a, b=b, pa=pa, pb=pb, subnet=subnet and f", subnet: {subnet}"))
        return home.run("up", cwd=project.path)

    def state():
        [path] = home.root.glob("state/envs/*/state.json")
        return json.loads(path.read_text())

    def pids():
        return {c["name"]: c["pid"] for c in home.json("ps", cwd=project.path)}

    up("[front]", "{ inner: { aliases: [store] } }", one, two)
    for name in "ab":
        assert sh(name, f"mkdir -p /www; echo {name} > /www/index.html").code == 0
    before = pids()
    # httpd serves its working folder
    assert sh("a", "cd /www && httpd -p 8080").code == 0 and sh("b", "cd /www && httpd -p 8080").code == 0
    address = {n: state()["containers"][n]["addresses"] for n in "ab"}
    b_inner = address["b"]["inner"]
    assert page(b_inner) == ""
    assert sh("a", "ping -c 1 -W 2 store").code != 0
    assert "default" not in sh("b", "ip route").out and "default" in sh("a", "ip route").out

    # a joins the inner network as it runs; both of its networks work, by name too
    up("[front, inner]", "{ inner: { aliases: [store] } }", one, two)
    assert pids() == before
    assert b_inner in sh("a", "ping -c 1 -W 5 store").out
    assert page(b_inner) == "b"
    assert address["a"]["front"] == state()["containers"]["a"]["addresses"]["front"]

    # the two exchange their host ports in one go
    r = up("[front, inner]", "{ inner: { aliases: [store] } }", two, one)
    assert pids() == before, r
    bound = {c: [p["host"] for p in state()["containers"][c]["ports"]] for c in "ab"}
    assert bound == {"a": [two], "b": [one]}
    up("[front, inner]", "{ inner: { aliases: [store] } }", one, two)
    assert pids() == before

    # an address of one's own, another subnet, and leaving a network for good
    base = b_inner.rsplit(".", 1)[0]
    up("[front, inner]", f"{{ inner: {{ address: {base}.77 }} }}", one, two, f"{base}.0/24")
    assert f"{base}.77" in sh("b", "ip -4 address").out and page(f"{base}.77") == "b"
    up("[front, inner]", "{ inner: { address: 10.98.7.77 } }", one, two, "10.98.7.0/24")
    assert page("10.98.7.77") == "b" and page(f"{base}.77") == ""
    up("[front]", "{ inner: { address: 10.98.7.77 } }", one, two, "10.98.7.0/24")
    assert pids() == before
    assert "inner" not in state()["containers"]["a"]["addresses"]
    assert page("10.98.7.77") == ""
    assert len(list(home.root.glob("run/*/ports/*"))) == 2
    home.run("down", cwd=project.path)
    assert not (home.root / "run").exists()


def test_after_the_host_restarts_everything_is_as_it_was(home, project):
    live = Live(home, project)
    port = ctrzlib.free_port()
    live.up(more=f'mounts: ["data:/data", "./a:/a"]\n    networks: [default, back]\n    ports: ["{port}:80"]')
    live.sh("echo kept > /data/kept; echo root > /root-kept; sync")

    def record():
        [path] = home.root.glob("state/envs/*/state.json")
        return json.loads(path.read_text())["containers"]["app"]
    was = record()
    # what a host that goes down leaves: no process, no run folder
    for pid in ctrzlib.processes_of(home):
        with contextlib.suppress(ProcessLookupError):  # it went with another
            os.kill(pid, 9)
    ctrzlib.wait_until("all are dead", lambda: not ctrzlib.processes_of(home))
    ctrzlib.run(["rm", "-rf", str(home.root / "run")])
    [row] = home.json("ps", cwd=project.path)
    assert row["status"] not in ("running", "starting") and not row["pid"]
    plan = home.json("plan", cwd=project.path)
    assert {(a["action"], a["object"]) for a in plan["actions"]} == {("start", "network"), ("start", "container")}
    assert all(a.get("drift") for a in plan["actions"])
    home.run("up", cwd=project.path)
    assert live.sh("cat /data/kept /root-kept /a/file") == "kept\nroot\nin a\n"
    assert (record()["addresses"], record()["ports"]) == (was["addresses"], was["ports"])
    assert set(was["addresses"].values()) <= set(re.findall(r"inet ([0-9.]+)/", live.sh("ip -4 address")))
    assert home.run("up", cwd=project.path).out == "live: up to date (1 container, 0 changes)\n"
    home.run("down", cwd=project.path)
    assert not (home.root / "run").exists()


def test_a_live_change_that_is_killed_is_taken_up(home, project):
    """At each journal line; the machine may have been told already, or not."""
    live = Live(home, project)
    live.up(more='mounts: ["./a:/x"]')
    before = live.who()
    mounts = ['mounts: ["./b:/x", "data:/data"]\n    networks: [back]', 'mounts: ["./a:/x"]\n    networks: [default]']
    for point in range(1, 6):
        live.write(more=mounts[point % 2])
        r = home.try_run("up", cwd=project.path, env=dict(home.env, CTRZ_TEST_DIE_AT=str(point)))
        assert r.code in (0, -9), r
        assert home.run("up", cwd=project.path) and live.classes() == set()
        assert live.who() == before
        assert live.sh("cat /x/file; ls -d /sys/class/net/eth* | wc -l") == ("in a\n1\n" if point % 2 else "in b\n1\n")
        assert len(live.servers()) == 2
