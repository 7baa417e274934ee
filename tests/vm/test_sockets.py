# SPDX-License-Identifier: MIT
"""Unix sockets between host and container, both ways: bytes, ends, many at once, one that stands still, live changes, and trust."""
import os
import pathlib
import socket
import subprocess
import threading

import ctrzlib

SPEC = """
name: socks
containers:
  box:
    image: {image}
    pull: never
    command: [sh, -c, "while [ ! -x /peer ]; do sleep 0.1; done; exec /peer serve /tmp/inner.sock"]
    resources: {{ memory: 128MiB }}
    sockets:{sockets}
"""
SOCKETS = """
      - ./run/echo.sock:/run/deep/echo.sock
      - ssh-agent
      - {{ host: ./run/out.sock, target: /tmp/inner.sock, direction: out }}
      - {{ host: ./run/nobody.sock, target: /run/nobody.sock, mode: "0600" }}
""".replace("{{", "{").replace("}}", "}")


class Echo:
    """A service of the host that sends back what it is sent, and "bye"."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(str(path))
        self.sock.listen(64)
        self.held = []
        self.answers = True
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer = self.sock.accept()[0]
            except OSError:
                return
            if self.answers:
                threading.Thread(target=self.answer, args=(peer,), daemon=True).start()
            else:
                self.held.append(peer)

    @staticmethod
    def answer(peer):
        with peer:
            while data := peer.recv(65536):
                peer.sendall(data)
            peer.sendall(b"bye")

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def echoed(path, data):
    """What a service behind a socket of this host sends back."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)), daemon=True).start()
        out = b""
        while part := s.recv(65536):
            out += part
        return out


class Box:
    def __init__(self, home):
        self.home = home

    def popen(self, *args, **more):
        return self.home.popen("exec", "-i", "-e", "socks", "box", "--", *args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more)

    def connect(self, path, data=b""):
        p = self.popen("/peer", "connect", path)
        out = p.communicate(data, timeout=300)[0]
        return p.returncode, out

    def sh(self, text):
        return self.home.run("exec", "-e", "socks", "box", "--", "sh", "-c", text).out.strip()


def inwards(box, echo):
    data = os.urandom(3 << 20)
    assert box.connect("/run/deep/echo.sock", data) == (0, data + b"bye")
    many = [box.popen("/peer", "connect", "/run/deep/echo.sock") for _ in range(20)]
    for i, p in enumerate(many):
        p.stdin.write(b"%d\n" % i)
        p.stdin.flush()
    assert [p.communicate(timeout=300)[0] for p in many] == [b"%d\nbye" % i for i in range(20)]
    # One that nobody reads holds back none of the others.
    echo.answers = False
    stuck = box.popen("sh", "-c", "cat /dev/zero | /peer connect /run/deep/echo.sock")
    ctrzlib.wait_until("the stuck one is connected", lambda: echo.held)
    echo.answers = True
    assert box.connect("/run/deep/echo.sock", b"past it") == (0, b"past itbye")
    echo.held.pop().close()
    stuck.stdin.close()
    stuck.wait(60)
    stuck.stdout.close()
    assert box.sh("echo $SSH_AUTH_SOCK; stat -c %a /run/ssh-agent.sock /run/nobody.sock").split() == ["/run/ssh-agent.sock", "666", "600"]
    assert box.connect("/run/ssh-agent.sock", b"key?") == (0, b"key?bye")
    # Nobody listens here: the connection ends at once.
    assert box.connect("/run/nobody.sock", b"")[1] == b""


def outwards(box, out):
    assert os.stat(out).st_mode & 0o777 == 0o600
    data = os.urandom(3 << 20)
    assert echoed(out, data) == data + b"bye"
    assert echoed(out, b"") == b"bye"
    with socket.socket(socket.AF_UNIX) as stuck:
        stuck.connect(str(out))
        stuck.settimeout(1)
        try:
            stuck.sendall(bytes(4 << 20))  # and read nothing of what comes back
            raise AssertionError("there is no end to what is taken")
        except TimeoutError:
            pass
        assert echoed(out, b"beside it") == b"beside itbye"
    box.sh("rm /tmp/inner.sock; ln -s /run/deep/echo.sock /tmp/inner.sock")
    assert echoed(out, b"inside, links are inside") == b"inside, links are insidebye"


def test_sockets(home, project, tmp_path):
    run = project.path / "run"
    run.mkdir()
    program = tmp_path / "peer"
    subprocess.run(["musl-gcc", "-static", "-O1", "-s", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o", program,
                    pathlib.Path(__file__).parent / "socket_peer.c"], check=True)
    echo, agent = Echo(run / "echo.sock"), Echo(run / "agent.sock")
    image = home.image()
    project.write(SPEC.format(image=image, sockets=SOCKETS))
    home.env["SSH_AUTH_SOCK"] = str(run / "agent.sock")
    asked = ctrzlib.run([ctrzlib.CTRZ, "up"], env=home.env, cwd=project.path)
    assert asked.code == 6, asked
    for line in ("./run/echo.sock", "the ssh agent", "offered at ./run/out.sock"):
        assert line in asked.err, asked
    home.run("up", cwd=project.path, timeout=300)
    box, out = Box(home), run / "out.sock"
    home.run("cp", "-e", "socks", str(program), "box:/peer")
    ctrzlib.wait_until("the inner service listens", lambda: "listening" in home.run("logs", "-e", "socks").out)
    inwards(box, echo)
    outwards(box, out)

    # Live: one goes, one comes, others and the machine stay.
    pid = home.json("ps", "-e", "socks")[0]["pid"]
    project.write(SPEC.format(image=image, sockets=" [./run/echo.sock:/run/other.sock]"))
    assert "live" in home.run("plan", cwd=project.path).out
    home.run("up", cwd=project.path, timeout=300)
    assert "No changes." in home.run("plan", cwd=project.path).out and home.json("ps", "-e", "socks")[0]["pid"] == pid
    assert box.connect("/run/other.sock", b"new") == (0, b"newbye")
    assert box.connect("/run/deep/echo.sock")[0] == 3 and not out.exists()
    # What is there and no socket is not taken away.
    out.write_text("mine")
    project.write(SPEC.format(image=image, sockets=SOCKETS))
    assert "is a file, not a socket" in home.fail("up", cwd=project.path, code=3).err and out.read_text() == "mine"
    out.unlink()
    home.run("up", cwd=project.path, timeout=300)
    # Its process was started anew with each change.
    ctrzlib.wait_until("the inner service listens again", lambda: home.run("logs", "-e", "socks").out.count("listening") == 3)
    assert echoed(out, b"again")[-3:] == b"bye"
    home.env["SSH_AUTH_SOCK"] = ""
    assert "SSH_AUTH_SOCK is not set" in home.fail("restart", "-e", "socks", code=1).err
    home.run("down", "-e", "socks", timeout=300)
    assert not out.exists()
    echo.close()
    agent.close()
