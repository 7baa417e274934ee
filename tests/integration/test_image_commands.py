# SPDX-License-Identifier: MIT
"""ctrz image ..., login, logout as people use them: what failing ones say, progress, pipes, config.yaml."""
import fcntl
import hashlib
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time

import pytest

import ocilib
from fault_server import FaultServer
from ocilib import Image, Registry, big, index_of, tar, tiny, write_layout

CTRZ = os.environ.get("CTRZ_BIN") or str(ocilib.ROOT / "build" / "ctrz")


class Cli:
    """ctrz with a home of its own."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "DOCKER_", "REGISTRY_")) and not k.lower().endswith("_proxy")}
        self.env.update(CTRZ_HOME=str(self.root), HOME=str(self.root), NO_COLOR="1", TERM="xterm")

    def config(self, text):
        path = self.root / "config" / "config.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *args, **more):
        more.setdefault("stdin", None if "input" in more else subprocess.DEVNULL)
        if more["stdin"] is None:
            del more["stdin"]
        return subprocess.run([CTRZ, *map(str, args)], env=self.env, capture_output=True, timeout=120, check=False, **more)

    def ok(self, *args, **more):
        p = self.run(*args, **more)
        assert p.returncode == 0, p
        return p.stdout.decode()

    def fails(self, code, *args, says=(), **more):
        """It must end with this code; what it says on standard error must hold each of says, on one line."""
        p = self.run(*args, **more)
        text = p.stderr.decode()
        assert p.returncode == code, p
        assert "Sanitizer" not in text, text
        last = text.splitlines()[-1]
        for one in [says] if isinstance(says, str) else says:
            assert one in last, text
        return last

    def on_terminal(self, *args, columns=100, interrupt=None):
        """Run on a terminal of this width; SIGINT comes when it has written interrupt. Return: exit code, everything it wrote."""
        parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        p = subprocess.Popen([CTRZ, *map(str, args)], env=dict(self.env, LC_ALL="C.UTF-8"), stdin=child, stdout=child, stderr=child)
        os.close(child)
        out = b""
        while select.select([parent], [], [], 60)[0]:
            try:
                piece = os.read(parent, 65536)
            except OSError:
                break
            if not piece:
                break
            out += piece
            if interrupt and re.search(interrupt, out.decode(errors="replace")):
                p.send_signal(signal.SIGINT)
                interrupt = None
        os.close(parent)
        return p.wait(), out.decode()


@pytest.fixture
def cli():
    with tempfile.TemporaryDirectory(prefix="cz", dir="/tmp") as root:
        yield Cli(root)


def test_what_failing_pulls_say(cli, server):
    """Each says what, where, and what to do next."""
    down = f"127.0.0.1:{ocilib.free_port()}"
    cli.fails(1, "image", "pull", f"{down}/x:1", says=[f"pull '{down}/x:1'", f"registry {down} cannot be reached", "check its name", "https_proxy"])
    cli.fails(1, "image", "pull", "no-such-host.invalid/x", says=["no-such-host.invalid cannot be reached", "Could not resolve host", "check its name"])
    cli.fails(3, "image", "pull", "Bad/Name", says=["'Bad/Name'", "lower case"])
    cli.fails(3, "image", "pull", f"http://{server.host}/x", says="leave out the scheme")
    server.put(tiny(platform=("linux", "arm64")), "arm")
    server.put_manifest("many", "latest", index_of(tiny(platform=("linux", "arm64", "v8")), tiny(platform=("linux", "s390x"))), ocilib.INDEX)
    cli.fails(4, "image", "pull", "--platform=linux/amd64", f"{server.host}/arm", says=["is an image for linux/arm64 only", "linux/amd64 is needed", "--platform"])
    cli.fails(4, "image", "pull", "--platform=linux/amd64", f"{server.host}/many",
              says=["has no image for linux/amd64", "there are: linux/arm64/v8, linux/s390x", "--platform"])
    cli.fails(4, "image", "pull", f"{server.host}/arm:v9", says=[f"{server.host} has no tag 'v9' of 'arm'", "check the name and the tag"])
    server.fault("/v2/busy/.*")(lambda h, r: h.answer(429, Retry_After="3600"))
    cli.fails(1, "image", "pull", f"{server.host}/busy", says=["too many requests", "try again later", f"ctrz login {server.host}"])
    server.fault(r"/v2/.*")(lambda h, r: h.answer(401, WWW_Authenticate='Basic realm="x"'))
    cli.fails(1, "image", "pull", f"{server.host}/secret", says=["refuses access to 'secret'", "there is no such image, or it needs credentials", f"ctrz login {server.host}"])
    cli.fails(1, "login", "-u", "anna", server.host, input=b"wrong\n", says=[f"login to {server.host} failed", "does not take this user name and password"])
    cli.fails(1, "login", "-u", "anna", down, input=b"x\n", says=["cannot be reached", "check its name"])
    cli.fails(3, "login", "-u", "anna", "no host", input=b"x\n", says=["'no host' is not a registry", "HOST:PORT"])
    cli.fails(4, "logout", "some.example", says="not logged in to some.example")
    assert json.loads(cli.ok("image", "ls", "--json")) == []


def test_what_an_untrusted_registry_says(cli, tmp_path):
    tls = ocilib.make_tls(tmp_path / "tls")
    with FaultServer(tls=tls) as secure:
        secure.put(tiny(), "x")
        cli.fails(1, "image", "pull", f"{secure.host}/x", says=[f"registry {secure.host} is not trusted", "certificate", f'registries: "{secure.host}": ca in config.yaml'])
        cli.config(f'registries:\n  "{secure.host}":\n    ca: {tls}/ca.pem\n')
        cli.ok("image", "pull", "-q", f"{secure.host}/x")


def test_what_other_commands_say(cli, tmp_path, server):
    for command in ("push", "rm", "inspect", "history", "save"):
        cli.fails(4, "image", command, "nothing-here", says=["no image 'nothing-here' here", "ctrz image pull nothing-here"])
    cli.fails(4, "image", "tag", "nothing-here", "x", says="ctrz image pull nothing-here")
    cli.fails(4, "image", "load", "nothing-here", says=["there is no 'nothing-here'", "ctrz image pull"])
    (tmp_path / "text").write_bytes(b"hello " * 1000)
    cli.fails(1, "image", "load", tmp_path / "text", says=[f"load '{tmp_path}/text'", "it is no tar archive"])
    (tmp_path / "root.tar").write_bytes(ocilib.busybox_tar())
    cli.fails(3, "image", "load", tmp_path / "root.tar", says=["neither an OCI layout nor a docker archive", "ctrz image import"])
    cli.fails(4, "image", "load", tmp_path, says="is no OCI layout")
    cli.fails(64, "image", "pull", "--progress=wild", "x", says="'wild' is not auto, tty, plain, json or quiet")
    server.put(tiny(), "x")
    cli.ok("image", "pull", "-q", f"{server.host}/x")
    down = f"127.0.0.1:{ocilib.free_port()}"
    cli.fails(1, "image", "push", f"{server.host}/x", f"{down}/y", says=[f"push to '{down}/y:latest'", "cannot be reached", "check its name"])


def test_no_space_says_how_to_get_some(cli, server):
    server.put(Image([tar({"data": hashlib.shake_256(b"x").digest(8 << 20)})]), "x")
    inside = f"mount -t tmpfs -o size=3m none {cli.root} && exec {CTRZ} image pull {server.host}/x"
    p = subprocess.run(["unshare", "-rm", "sh", "-c", inside], env=cli.env, capture_output=True, text=True, check=False)
    assert p.returncode == 1, p
    assert "o space" in p.stderr and "ctrz image prune" in p.stderr and str(cli.root) in p.stderr, p.stderr


def throttled(server, image, pieces=8, pause=0.2):
    """Its layers arrive in pieces."""
    @server.fault(r"/v2/x/blobs/.*")
    def slowly(h, request):
        data = server.blobs[request["path"].rsplit("/", 1)[1]]
        if len(data) < 1 << 20:
            return False
        h.send_response(200)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        step = len(data) // pieces + 1
        for at in range(0, len(data), step):
            h.wfile.write(data[at:at + step])
            h.wfile.flush()
            time.sleep(pause)
        return True


def test_progress_on_a_terminal(cli, server):
    """One line per layer with a bar, the rate and the time left; no line is wider than the terminal; the cursor is back after."""
    image = big(2, layers=2)
    server.put(image, "x")
    throttled(server, image)
    code, out = cli.on_terminal("image", "pull", f"{server.host}/x", columns=100)
    assert code == 0, out
    for layer in image.layers:
        line = layer["digest"][7:19] + r" layer  [0-9.]+ [KM]iB/2 MiB \[=+ *\] [0-9.]+ [KM]iB/s, 0:[0-9]{2} left"
        assert re.search(line, out), out
        assert re.search(layer["digest"][7:19] + " layer  2 MiB", out), "done ones say their size"
    assert "pull 3/3" in out, "two layers and the disk"
    assert out.count("\x1b[?25l") == 1 and out.rindex("\x1b[?25h") > out.rindex("\x1b[?25l")
    for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9?]*[A-Za-z]", "", out)):
        assert len(line) <= 100, line
    # a narrow one cuts its lines
    cli.ok("image", "rm", "-q", f"{server.host}/x")
    code, out = cli.on_terminal("image", "pull", f"{server.host}/x", columns=40)
    assert code == 0, out
    for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9?]*[A-Za-z]", "", out)):
        assert len(line) <= 40 or line.startswith(server.host), line
    code, out = cli.on_terminal("image", "pull", "-q", f"{server.host}/x")
    assert (code, out) == (0, "")


def test_interrupted_on_a_terminal(cli, server):
    """Ctrl-C ends it as it ends others, the cursor comes back, and the next pull goes on where this one was."""
    image = big(2)
    server.put(image, "x")
    throttled(server, image, pieces=40)
    code, out = cli.on_terminal("image", "pull", f"{server.host}/x", interrupt=r"MiB/2 MiB \[=")
    assert code == -signal.SIGINT
    assert out.rindex("\x1b[?25h") > out.rindex("\x1b[?25l")
    server.faults.clear()
    cli.ok("image", "pull", "-q", f"{server.host}/x")
    assert server.log[-1]["headers"]["Range"].startswith("bytes=")


def test_credentials_that_were_withheld(cli, server):
    """A token service on another host does not get them, and the message says how to allow it."""
    server.put(tiny(), "team/app")
    (cli.root / ".docker").mkdir()
    (cli.root / ".docker" / "config.json").write_text(json.dumps({"auths": {"registry.test": {"auth": ocilib.basic("anna", "geheim")[6:]}}}))
    asked = []

    @server.fault(r"http://auth\.test/token")
    def token(h, request):
        asked.append(request["headers"].get("Authorization"))
        h.answer(200 if asked[-1] else 401, b'{"token": "good"}')

    @server.fault(r"http://registry\.test/.*")
    def forward(h, request):
        if request["headers"].get("Authorization") != "Bearer good":
            h.answer(401, WWW_Authenticate='Bearer realm="http://auth.test/token",service="s"')
            return
        request["path"] = request["path"].removeprefix("http://registry.test")
        server.serve(h, request)
    cli.env["http_proxy"] = cli.env["https_proxy"] = f"http://{server.host}"
    cli.config("registries: { registry.test: { insecure: true } }\n")
    cli.fails(1, "image", "pull", "registry.test/team/app", says=["token service auth.test is another host", f"from '{cli.root}/.docker/config.json'",
                                                                  'registries: "registry.test": auth_host in config.yaml'])
    assert asked == [None]
    cli.config("registries: { registry.test: { insecure: true, auth_host: auth.test } }\n")
    cli.ok("image", "pull", "-q", "registry.test/team/app")
    assert asked == [None, ocilib.basic("anna", "geheim")]


def test_progress_elsewhere(cli, server):
    image = tiny()
    server.put(image, "x")
    name, short = f"{server.host}/x", image.layers[0]["digest"][7:19]
    p = cli.run("image", "pull", name)
    assert p.stdout.decode() == f"{name}:latest {image.digest}\n"
    lines = p.stderr.decode().splitlines()
    assert lines[0] == f"{short}: layer" and any(re.fullmatch(short + r": layer done \([0-9.]+ KiB\)", line) for line in lines)
    assert b"\x1b" not in p.stderr
    cli.ok("image", "rm", "-q", name)
    p = cli.run("image", "pull", "--json", "--progress=json", name)
    assert json.loads(p.stdout)["digest"] == image.digest
    events = [json.loads(line) for line in p.stderr.splitlines()]
    mine = [e for e in events if e["id"] == short]
    assert [e["type"] for e in mine if e["type"] != "op_progress"] == ["op_start", "op_done"]
    assert mine[-1]["status"] == "done" and mine[0]["v"] == 1
    for quiet in (["-q"], ["--progress=quiet", "-q"]):
        cli.ok("image", "rm", "-q", name)
        p = cli.run("image", "pull", *quiet, name)
        assert (p.returncode, p.stdout, p.stderr) == (0, b"", b"")


def test_events_while_a_layer_arrives(cli, server):
    image = big(2)
    server.put(image, "x")
    throttled(server, image, pieces=12)
    p = cli.run("image", "pull", "--progress=json", f"{server.host}/x")
    size, short = image.layers[0]["size"], image.layers[0]["digest"][7:19]
    seen = [e["current"] for e in map(json.loads, p.stderr.splitlines()) if e["type"] == "op_progress" and e["id"] == short]
    assert len(seen) > 1 and seen == sorted(seen) and 0 < seen[-1] <= size


def test_archives_through_a_pipe(cli, tmp_path):
    """An archive on standard input: from a pipe, which cannot be read twice, and from a file; docker's and OCI's."""
    image = tiny()
    layout = write_layout(tmp_path / "l", {"localhost/pipe:1": image})
    for kind in ("oci-archive", "docker-archive"):
        subprocess.run(["skopeo", "copy", "--insecure-policy", f"oci:{layout}:localhost/pipe:1", f"{kind}:{tmp_path / kind}:localhost/pipe:1"], check=True, capture_output=True)
        data = (tmp_path / kind).read_bytes()
        assert cli.ok("image", "load", "-q", "-", input=data) == ""
        assert json.loads(cli.ok("image", "rm", "--json", "localhost/pipe:1"))["freed_bytes"] > 0
        with open(tmp_path / kind, "rb") as f:
            assert json.loads(cli.ok("image", "load", "--json", f"{kind}:-", "localhost/other:2", stdin=f))["reference"] == "localhost/other:2"
        cli.fails(1, "image", "load", "-", input=data[:len(data) // 2], says=["load '-'", "cut short"])
        cli.ok("image", "rm", "-q", "localhost/other:2")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(["cp", tmp_path / "docker-archive", fifo]):
        cli.ok("image", "load", f"docker-archive:{fifo}")
    # what is saved to a pipe is what is loaded from one
    saved = cli.run("image", "save", "localhost/pipe:1").stdout
    cli.ok("image", "rm", "localhost/pipe:1")
    cli.ok("image", "load", "-", input=saved)
    cli.ok("image", "import", "-", "localhost/root:1", input=ocilib.busybox_tar())
    assert sorted(cli.ok("image", "ls", "--names").split()) == ["localhost/pipe:1", "localhost/root:1"]
    code, out = cli.on_terminal("image", "load", "-")
    assert code == 64 and "standard input is a terminal" in out
    code, out = cli.on_terminal("image", "save", "localhost/root:1")
    assert code == 64 and "-o FILE" in out


def test_load_and_import_for_another_platform(cli, tmp_path):
    amd, arm = tiny(platform=("linux", "amd64")), tiny(platform=("linux", "arm64"))
    layout = write_layout(tmp_path / "l", {"localhost/two:1": amd})
    index = index_of(amd, arm)
    for data in (index, arm.manifest_bytes):
        (layout / "blobs" / "sha256" / ocilib.digest(data)[7:]).write_bytes(data)
    for name, data in arm.blobs.items():
        (layout / "blobs" / "sha256" / name[7:]).write_bytes(data)
    entry = {"mediaType": ocilib.INDEX, "digest": ocilib.digest(index), "size": len(index),
             "annotations": {"org.opencontainers.image.ref.name": "localhost/two:1"}}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    for platform in ("amd64", "arm64"):
        assert json.loads(cli.ok("image", "load", "--json", f"--platform=linux/{platform}", layout))["architecture"] == platform
    cli.fails(4, "image", "load", "--platform=linux/s390x", layout, says="there are: linux/amd64, linux/arm64")
    assert json.loads(cli.ok("image", "import", "--json", "--platform=linux/arm64", "-", "localhost/r:1", input=ocilib.busybox_tar()))["architecture"] == "arm64"


def test_docker_io_is_meant_by_names_without_a_registry(cli, server):
    """Names as people write them, asked of a mirror; what is listed is the full name."""
    image = tiny()
    for name in ("library/busy", "team/app"):
        server.put(image, name)
        server.put(image, name, "1.2")
    cli.config(f"registries:\n  docker.io:\n    mirrors: [\"{server.host}\"]\n")
    names = {"busy": "docker.io/library/busy:latest", "busy:1.2": "docker.io/library/busy:1.2", "docker.io/busy:1.2": "docker.io/library/busy:1.2",
             "team/app": "docker.io/team/app:latest", "index.docker.io/team/app:1.2": "docker.io/team/app:1.2",
             f"busy@{image.digest}": f"docker.io/library/busy@{image.digest}"}
    for written, full in names.items():
        assert json.loads(cli.ok("image", "pull", "--json", written))["reference"] == full
        cli.ok("image", "rm", "-q", written)


def test_settings_of_config_yaml(cli, server):
    """Layers at a time, and how long silence may last."""
    image = big(1, layers=5)
    server.put(image, "x")
    running, most = [0], [0]

    @server.fault(r"/v2/x/blobs/.*")
    def count(h, request):
        with server.lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.1)
        server.serve(h, request)
        with server.lock:
            running[0] -= 1
    cli.config("images: { downloads: 2 }\n")
    cli.ok("image", "pull", "-q", f"{server.host}/x")
    assert most[0] == 2
    server.fault("/v2/silent/.*")(lambda h, r: server.stop.wait(60))
    cli.config("images: { stall: 1s }\n")
    cli.fails(1, "image", "pull", f"{server.host}/silent", says="nothing came for 1 s")
    cli.config("images: { downloads: 0 }\n")
    assert "downloads is out of range: 0" in cli.run("image", "ls").stderr.decode()


def test_login_push_inspect_history(cli, tmp_path):
    file = ocilib.make_htpasswd(tmp_path / "htpasswd", "anna", "secret")
    layout = write_layout(tmp_path / "l", {"localhost/p:1": tiny()})
    cli.ok("image", "load", layout)
    with Registry(tmp_path / "r", htpasswd=file) as private:
        name = f"{private.host}/team/p:1"
        cli.fails(1, "image", "push", "localhost/p:1", name, says=f"ctrz login {private.host}")
        cli.fails(64, "login", private.host, says="--user")
        cli.ok("login", "-u", "anna", "--password-stdin", private.host, input=b"secret\n")
        assert "secret" not in (cli.root / "config" / "auth.json").read_text()
        pushed = json.loads(cli.ok("image", "push", "--json", "localhost/p:1", name))
        assert pushed["reference"] == name and pushed["digest"].startswith("sha256:")
        cli.ok("image", "pull", "-q", name)
        cli.ok("logout", private.host)
        cli.fails(1, "image", "pull", name, says=f"ctrz login {private.host}")
    cli.ok("image", "tag", "localhost/p:1", "localhost/q:2")
    assert "CREATED" in cli.ok("image", "history", "localhost/q:2")
    assert json.loads(cli.ok("image", "inspect", "localhost/q:2"))["source"]
    assert "freed" in cli.ok("image", "prune")


def test_completion_knows_the_commands_and_their_options(cli):
    for shell in ("bash", "zsh", "fish"):
        text = cli.ok("completion", shell)
        for word in ("pull", "push", "ls", "inspect", "tag", "rm", "prune", "save", "load", "import", "history", "login", "logout"):
            assert re.search(rf"\b{word}\b", text), (shell, word)
        assert "platform" in text and "progress" in text
    script = cli.ok("completion", "bash") + 'COMP_WORDS=(ctrz image pull --pl) COMP_CWORD=3; _ctrz; echo "${COMPREPLY[@]}"'
    out = subprocess.run(["bash", "-c", script], env=cli.env, capture_output=True, text=True, check=True).stdout
    assert out == "--platform\n"


def test_validate_asks_the_registries_when_told(cli, server, tmp_path):
    server.put_manifest("other", "latest", index_of(tiny(platform=("linux", "s390x"))), ocilib.INDEX)
    server.put(tiny(), "good")
    spec = tmp_path / "env.yaml"
    spec.write_text(f'containers:\n  a: {{ image: "{server.host}/other:latest" }}\n  b: {{ image: "{server.host}/good:latest" }}\n'
                    f'  c: {{ image: "{server.host}/none:1" }}\n')
    before = len(server.log)
    cli.ok("validate", spec)
    assert len(server.log) == before
    p = cli.run("validate", "--registry", "--json", spec)
    assert p.returncode == 3, p
    assert [(f["code"], f["line"]) for f in json.loads(p.stdout) if f["severity"] == "error"] == [("E304", 2), ("E304", 4)], p
    assert "linux/s390x" in p.stdout.decode()
