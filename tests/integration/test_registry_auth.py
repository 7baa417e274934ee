# SPDX-License-Identifier: MIT
"""Tokens signed for Debian's docker-registry by a token service of ours, logins by token, proxies, a full disk."""
import base64
import hashlib
import json
import os
import shlex
import subprocess
import tempfile
import time

import pytest

import ocilib
from fault_server import FaultServer
from ocilib import Registry, Store, big, tar, tiny, write_layout


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class TokenService:
    """Gives out RS256 tokens as docker-registry checks them (distribution's token specification)."""

    def __init__(self, folder, users=None):
        self.folder, self.users = folder, users or {}
        folder.mkdir()
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=token", "-keyout", "key.pem",
                     "-out", "cert.pem")
        self.certificate = subprocess.run(["openssl", "x509", "-in", "cert.pem", "-outform", "DER"], cwd=folder, check=True,
                                          capture_output=True).stdout
        self.asked = []
        self.server = FaultServer()
        self.server.fault("/token")(self.answer)

    def openssl(self, *args):
        subprocess.run(["openssl", *args], cwd=self.folder, check=True, capture_output=True)

    def config(self):
        return {"realm": f"http://{self.server.host}/token", "service": "test", "issuer": "ours",
                "rootcertbundle": str(self.folder / "cert.pem")}

    def sign(self, claims):
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(self.certificate).decode()]}
        text = b64url(json.dumps(header).encode()) + b"." + b64url(json.dumps(claims).encode())
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", "key.pem"], cwd=self.folder, input=text, check=True,
                                   capture_output=True).stdout
        return (text + b"." + b64url(signature)).decode()

    def answer(self, h, request):
        self.asked.append(request)
        user = None
        sent = request["headers"].get("Authorization")
        if sent:
            user, _, password = base64.b64decode(sent.removeprefix("Basic ")).decode().partition(":")
            if self.users.get(user) != password:
                h.answer(401)
                return
        access = []
        for scope in request["query"].get("scope", []):
            kind, name, actions = scope.split(":")
            granted = [a for a in actions.split(",") if user or a == "pull"]
            access.append({"type": kind, "name": name, "actions": granted})
        now = int(time.time())
        token = self.sign({"iss": "ours", "sub": user or "", "aud": "test", "exp": now + 300, "nbf": now - 10, "iat": now,
                           "jti": os.urandom(8).hex(), "access": access})
        h.answer(200, json.dumps({"token": token, "expires_in": 300}).encode())


@pytest.fixture
def guarded(tmp_path):
    """A registry that wants tokens, and its service, which knows anna."""
    service = TokenService(tmp_path / "token", {"anna": "geheim"})
    with service.server, Registry(tmp_path / "registry", token=service.config()) as registry:
        yield registry, service


def test_login_push_and_pull_with_tokens(store, guarded, tmp_path):
    registry, service = guarded
    image = tiny()
    store.ok("load", write_layout(tmp_path / "l", {"localhost/t:1": image}))
    name = f"{registry.host}/team/app:1"
    store.fails("denied", "push", "localhost/t:1", name, says="ctrz login")
    store.fails("denied", "login", registry.host, "anna", "wrong")
    store.ok("login", registry.host, "anna", "geheim")
    store.ok("push", "localhost/t:1", name)
    other = Store(tmp_path / "other")
    service.asked.clear()
    assert other.ok("pull", name)["image"]["digest"] == image.digest
    assert [r["query"]["scope"] for r in service.asked] == [["repository:team/app:pull"]]
    assert service.asked[0]["headers"]["Authorization"] is None, "another store knows no password"


def test_layers_are_mounted_with_tokens(store, guarded, tmp_path):
    registry, service = guarded
    store.ok("login", registry.host, "anna", "geheim")
    store.ok("load", write_layout(tmp_path / "l", {"localhost/t:1": tiny()}))
    first = f"{registry.host}/one:1"
    store.ok("push", "localhost/t:1", first)
    store.ok("tag", "localhost/t:1", first)
    store.ok("push", first, f"{registry.host}/two:1")
    scopes = [r["query"].get("scope") for r in service.asked]
    assert ["repository:two:pull,push", "repository:one:pull"] in scopes
    log = (registry.folder / "log").read_text()
    assert len([line for line in log.splitlines() if '"PUT /v2/two/blobs' in line]) == 1, "just the config is sent"


def test_podman_credentials_are_used(store, guarded, tmp_path):
    registry, _ = guarded
    store.ok("load", write_layout(tmp_path / "l", {"localhost/t:1": tiny()}))
    auth = tmp_path / "auth.json"
    subprocess.run(["podman", "login", "--authfile", str(auth), "--tls-verify=false", "-u", "anna", "-p", "geheim", registry.host],
                   check=True, capture_output=True)
    store.env["REGISTRY_AUTH_FILE"] = str(auth)
    store.ok("push", "localhost/t:1", f"{registry.host}/p:1")


def test_proxy(store, server):
    """Another host goes through the proxy of the environment; loopback does not."""
    server.put(tiny(), "x")
    with FaultServer() as proxy:
        proxy.put(tiny(), "team/app")
        seen = []

        @proxy.fault(r"http://registry\.test/.*")
        def forward(h, request):
            seen.append(request["path"])
            request["path"] = request["path"].removeprefix("http://registry.test")
            proxy.serve(h, request)
        store.env["http_proxy"] = store.env["https_proxy"] = f"http://{proxy.host}"
        store.ok("--insecure=registry.test", "pull", "registry.test/team/app")
        assert seen
        before = len(proxy.log)
        store.ok("pull", f"{server.host}/x")
        assert len(proxy.log) == before


def test_plain_http_is_refused_elsewhere(store):
    """A host that is neither loopback nor marked insecure is spoken to by TLS only."""
    with FaultServer() as proxy:
        store.env["http_proxy"] = f"http://{proxy.host}"
        store.env["https_proxy"] = f"http://{proxy.host}"
        proxy.fault("registry.test:443")(lambda h, r: h.answer(403))
        assert not store.run("pull", "registry.test/team/app")["ok"]
        assert {r["method"] for r in proxy.log} <= {"CONNECT"}


@pytest.mark.parametrize("megabytes", [3, 12])
def test_full_disk(store, server, megabytes):
    """On a file system too small for the blob (3) or the disk (12): a clear error, nothing half-made, room again after."""
    image = ocilib.Image([tar({"data": hashlib.shake_256(b"x").digest(8 << 20)})])
    server.put(image, "x")
    with tempfile.TemporaryDirectory(prefix="cz", dir="/tmp") as root:  # short: sockets go below it
        inside = f"""
set -e
mount -t tmpfs -o size={megabytes}m none {root}
CTRZ_HOME={root}/h {shlex.quote(str(ocilib.TOOL))} pull {server.host}/x || true
find {root} -name '*.ext4' -o -name '*building*' -o -size +7M -path '*partial*'
"""
        p = subprocess.run(["unshare", "-rm", "sh", "-c", inside], env=store.env, capture_output=True, text=True, check=False)
    assert p.returncode == 0, p.stderr
    lines = p.stdout.splitlines()
    answer = json.loads(lines[0])
    assert answer["error"] == "system" and "o space" in answer["message"], answer
    assert lines[1:] == []


def test_big_layers_keep_memory_small(store, server):
    """However large the layers: the process stays under 64 MB."""
    server.put(big(24, layers=4), "x")
    p = subprocess.run(["/usr/bin/time", "-f", "%M", str(ocilib.TOOL), "pull", f"{server.host}/x"], env=store.env, capture_output=True,
                       text=True, check=True)
    if "Sanitizer" in subprocess.run(["ldd", str(ocilib.TOOL)], capture_output=True, text=True, check=True).stdout:
        pytest.skip("memory of a sanitizer build says nothing")
    assert int(p.stderr.split()[-1]) < 64 * 1024, p.stderr


HELPER_FAULTS = {
    "hangs": ("exec sleep 100", "timeout", "no end after"),
    "leaves a child that holds its pipe": ("sleep 5 2>/dev/null & exit 0", "timeout", "no end after"),
    "never ends its answer": ("exec yes", "invalid", "larger than 65536 bytes"),
    "fails": ("printf 'no \\033[31mkeyring'; exit 3", "unavailable", "exit status 3: no \\x1b[31mkeyring"),
    "answers nonsense": ("echo hello", "invalid", "its answer"),
}


@pytest.mark.parametrize("fault", HELPER_FAULTS)
def test_credential_helper_that(store, server, tmp_path, fault):
    """Bounded in time and in what it says; the message names it, the file that names it, and what to try."""
    script, code, says = HELPER_FAULTS[fault]
    server.put(tiny(), "x")
    server.fault(r"/v2/.*")(lambda h, r: h.answer(401, WWW_Authenticate='Basic realm="x"'))
    helper = tmp_path / "docker-credential-bad"
    helper.write_text(f"#!/bin/sh\n{script}\n")
    helper.chmod(0o755)
    store.env["PATH"] = f"{tmp_path}:{store.env['PATH']}"
    config = store.root / ".docker" / "config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"credsStore": "bad"}))
    store.fails(code, "--stall=1", "pull", f"{server.host}/x",
                says=[says, f"helper 'bad' that '{config}' names", f"echo {server.host} | docker-credential-bad get"])


def test_credential_helper_without_credentials(store, server, tmp_path):
    """One that knows nothing of this registry leaves the pull anonymous; its name cannot be a path."""
    server.put(tiny(), "x")
    server.fault("/token")(lambda h, r: h.answer(200, b'{"token": "t"}'))

    @server.fault(r"/v2/.*")
    def guard(h, request):
        if request["headers"].get("Authorization") == "Bearer t":
            return False
        h.answer(401, WWW_Authenticate=f'Bearer realm="http://{server.host}/token"')
        return True
    helper = tmp_path / "docker-credential-empty"
    helper.write_text("#!/bin/sh\necho credentials not found in native keychain\nexit 1\n")
    helper.chmod(0o755)
    store.env["PATH"] = f"{tmp_path}:{store.env['PATH']}"
    config = store.root / ".docker" / "config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"credHelpers": {server.host: "empty"}}))
    store.ok("pull", f"{server.host}/x")
    config.write_text(json.dumps({"credsStore": "../empty"}))
    store.fails("invalid", "pull", f"{server.host}/x", says="cannot be one")
