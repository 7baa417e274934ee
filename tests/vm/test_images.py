# SPDX-License-Identifier: MIT
"""The user's own words against a mirror of docker.io on loopback, and a real Debian root file system."""
import json
import subprocess

import pytest

import ctrzlib
from registry import Registry


@pytest.fixture
def registry(tmp_path):
    with Registry(tmp_path / "registry") as r:
        yield r


def use_mirror(home, registry):
    """Give docker.io a mirror on loopback in this home's config.yaml."""
    config = home.root / "config" / "config.yaml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(f"registries:\n  docker.io:\n    mirrors: [{{ host: \"{registry.host}\", insecure: true }}]\n")


def test_the_users_own_words(home, registry, cache):
    registry.push(f"oci:{cache.layout()}:{ctrzlib.IMAGE}", "library/alpine:latest")
    use_mirror(home, registry)
    home.run("image", "pull", "alpine:latest")
    rows = home.json("image", "ls")
    assert [r["reference"] for r in rows] == ["docker.io/library/alpine:latest"]
    r = home.run("run", "--rm", "alpine:latest", "echo", "hello")
    assert r.out == "hello\n"
    # a real terminal: ctrz run -t -i alpine:latest sh
    script = f"""
set timeout 60
spawn {ctrzlib.CTRZ} run -t -i alpine:latest sh
expect "/ # "
send "tty; stty size; echo a-\\$((6*7))-b\\r"
expect "/dev/pts/0" {{}} timeout {{ exit 2 }}
expect "a-42-b" {{}} timeout {{ exit 3 }}
expect "/ # "
send "exit 5\\r"
expect eof
lassign [wait] pid spawn_id os_error code
exit $code
"""
    r = ctrzlib.run(["expect", "-c", script], env=dict(home.env, TERM="xterm"))
    assert r.code == 5, r
    home.run("image", "rm", "alpine:latest")
    assert home.json("image", "ls") == []


def test_run_gives_the_commands_own_code_and_streams(home):
    home.image()
    r = home.try_run("run", "--rm", ctrzlib.IMAGE, "sh", "-c", "echo out; echo err >&2; exit 9")
    assert (r.code, r.out, r.err) == (9, "out\n", "err\n")
    r = home.try_run("run", "--rm", "-i", ctrzlib.IMAGE, "cat", stdin="through\n")
    assert (r.code, r.out) == (0, "through\n")
    assert home.try_run("run", "--rm", ctrzlib.IMAGE, "no-such-program").code == 127
    assert home.try_run("run", "--rm", ctrzlib.IMAGE, "/etc/passwd").code == 126
    assert home.try_run("run", "--rm", "localhost/none:1", "true").code == 125
    assert home.run("run", "--rm", "--cold", ctrzlib.IMAGE, "id", "-u").out == "0\n"


def test_run_dies_with_its_client(home):
    home.image()
    p = home.popen("run", "--rm", ctrzlib.IMAGE, "sleep", "100000", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ctrzlib.wait_until("QEMU runs", lambda: ctrzlib.processes_of(home, "qemu"))
    p.kill()
    p.wait()
    ctrzlib.wait_until("QEMU is gone", lambda: not ctrzlib.processes_of(home, "qemu"))


UDP_ECHO = ("import socket as s; x = s.socket(s.AF_INET, s.SOCK_DGRAM); x.bind(('0.0.0.0', 5353)); print('ready'); "
            "[x.sendto(*x.recvfrom(2000)) for i in range(1000)]")
UDP_ASK = """import socket as s
x = s.socket(s.AF_INET, s.SOCK_DGRAM); x.settimeout(2)
for i in range(10):
    x.sendto(b'datagram', ('{}', 5353))
    try: print(x.recv(100).decode()); break
    except TimeoutError: pass
"""


def debian_tar(cache):
    """A Debian root file system with python3 and git, as mmdebstrap makes it."""
    def make(path):
        subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,git", "bookworm", str(path)],
                       check=True, stdin=subprocess.DEVNULL)
    return cache.once("debian.tar", make)


def debian_layout(cache):
    """The same as an OCI layout of one layer."""
    def make(path):
        tar = debian_tar(cache).read_bytes()
        maker = ctrzlib.run(["true"])
        assert maker.code == 0
        import importlib.machinery
        import importlib.util
        loader = importlib.machinery.SourceFileLoader("make_image", str(ctrzlib.ROOT / "examples" / "make-image"))
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader("make_image", loader))
        loader.exec_module(module)
        layout = module.Layout(str(path))
        layout.image("debian", [tar], {"Cmd": ["bash"], "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]})
        layout.write()
    return cache.once("debian-layout", make)


def test_debian_is_pulled_and_computes(home, registry, project, cache):
    registry.push(f"oci:{debian_layout(cache)}:debian", "team/debian:12")
    project.write(f"""
name: real
containers:
  app:
    image: {registry.host}/team/debian:12
    command: [sleep, infinity]
    resources: {{ memory: 512MiB }}
  echo:
    image: {registry.host}/team/debian:12
    command: [python3, -u, -c, "{UDP_ECHO}"]
    resources: {{ memory: 256MiB }}
""")
    home.run("up", cwd=project.path, timeout=300)
    r = home.run("exec", "app", "--", "python3", "-c", "print(6*7)", cwd=project.path)
    assert r.out == "42\n"
    assert "git version" in home.run("exec", "app", "--", "git", "--version", cwd=project.path).out
    address = {c["name"]: c["address"] for c in home.json("ps", cwd=project.path)}["echo"]
    ctrzlib.wait_until("the UDP server listens", lambda: "ready" in home.run("logs", "echo", cwd=project.path).out)
    for target in ("echo", address):
        r = home.run("exec", "app", "--", "python3", "-c", UDP_ASK.format(target), cwd=project.path)
        assert r.out == "datagram\n"
    disk = json.loads(home.run("image", "inspect", f"{registry.host}/team/debian:12").out)["disk"]
    r = ctrzlib.run(["/sbin/e2fsck", "-fn", disk])
    assert r.code == 0, r
    home.run("down", cwd=project.path)
