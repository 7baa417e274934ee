# SPDX-License-Identifier: MIT
"""Credentials and tokens where a registry misbehaves, and pushes that break, are forbidden or are led astray."""
import json
import threading

import pytest

import ocilib
from fault_server import FaultServer
from ocilib import big, tiny


def layer_path(image, k=0):
    return f"/v2/x/blobs/{image.layers[k]['digest']}"


def pull(store, server):
    return store.ok("pull", f"{server.host}/x")


def fails(store, server, code, says=()):
    store.fails(code, "pull", f"{server.host}/x", says=says)
    assert store.disks() == [] and store.ok("ls")["images"] == []


class Tokens:
    """A token service; what it gives is checked by guard()."""

    def __init__(self, server, *, post_only=False, expires=300):
        self.server, self.post_only, self.expires = server, post_only, expires
        self.asked, self.valid = [], set()
        server.fault("/token")(self.token)

    def challenge(self, scope):
        return f'Bearer realm="http://{self.server.host}/token",service="test registry",scope="{scope}"'

    def token(self, h, request):
        self.asked.append(request)
        if self.post_only and request["method"] == "GET":
            h.answer(405)
            return
        token = f"t{len(self.asked)}"
        self.valid.add(token)
        h.answer(200, json.dumps({"token": token, "expires_in": self.expires}).encode())

    def guard(self, registry, scope="repository:x:pull", extra=()):
        def check(h, request):
            sent = request["headers"].get("Authorization") or ""
            if sent.removeprefix("Bearer ") in self.valid:
                return False
            h.answer(401, WWW_Authenticate=[*extra, self.challenge(scope)])
            return True
        registry.fault(r"/v2/.*")(check)


def test_token_anonymous(store, server):
    server.put(big(1, layers=8), "x")
    tokens = Tokens(server)
    tokens.guard(server, extra=["Negotiate", 'Basic realm="other"'])
    pull(store, server)
    assert len(tokens.asked) == 1, "one token serves the whole pull"
    assert tokens.asked[0]["query"] == {"service": ["test registry"], "scope": ["repository:x:pull"]}
    assert tokens.asked[0]["headers"]["Authorization"] is None


def docker_config(store, content):
    path = store.root / ".docker" / "config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))


def test_token_with_credentials(store, server):
    server.put(tiny(), "x")
    tokens = Tokens(server)
    tokens.guard(server)
    docker_config(store, {"auths": {server.host: {"auth": ocilib.basic("anna", "geheim")[6:]}}})
    pull(store, server)
    assert tokens.asked[0]["headers"]["Authorization"] == ocilib.basic("anna", "geheim")
    assert tokens.asked[0]["query"]["account"] == ["anna"]


def test_token_by_post(store, server):
    server.put(tiny(), "x")
    tokens = Tokens(server, post_only=True)
    tokens.guard(server)
    docker_config(store, {"auths": {server.host: {"auth": ocilib.basic("anna", "a&b")[6:]}}})
    pull(store, server)
    body = tokens.asked[-1]["body"].decode()
    assert "grant_type=password" in body and "password=a%26b" in body and "scope=repository%3Ax%3Apull" in body


def test_identity_token(store, server):
    server.put(tiny(), "x")
    tokens = Tokens(server)
    tokens.guard(server)
    docker_config(store, {"auths": {server.host: {"auth": ocilib.basic("<token>", "")[6:], "identitytoken": "refresh-me"}}})
    pull(store, server)
    assert [t["method"] for t in tokens.asked] == ["POST"]
    assert "refresh_token=refresh-me" in tokens.asked[0]["body"].decode()


def test_token_that_expires_is_renewed(store, server):
    server.put(big(1, layers=3), "x")
    tokens = Tokens(server)
    tokens.guard(server)

    @server.fault(r"/v2/x/blobs/.*", times=1)
    def expire(h, request):
        tokens.valid.clear()
        return False
    pull(store, server)
    assert 1 < len(tokens.asked) <= 4


def test_token_whose_time_is_over_is_not_sent(store, server):
    """Kept for as long as it is good, whatever the registry would still take."""
    image = big(1, layers=3)
    server.put(image, "x")
    tokens = Tokens(server, expires=2)

    @server.fault(layer_path(image, 0))
    def wait(h, request):
        if request["headers"].get("Authorization"):
            server.stop.wait(2.5)
        return False
    tokens.guard(server)
    store.ok("--parallel=1", "pull", f"{server.host}/x")
    sent = {r["path"]: r["headers"]["Authorization"] for r in server.log if r["headers"].get("Authorization")}
    assert sent[layer_path(image, 0)] == "Bearer t1"
    assert sent[layer_path(image, 1)] == sent[layer_path(image, 2)] == "Bearer t2"
    assert len(tokens.asked) == 2


def test_token_refused(store, server):
    server.put(tiny(), "x")
    server.fault("/token")(lambda h, r: h.answer(200, b'{"token": "no-good"}'))
    server.fault(r"/v2/.*")(lambda h, r: h.answer(401, WWW_Authenticate=f'Bearer realm="http://{server.host}/token"'))
    fails(store, server, "denied", says=f"ctrz login {server.host}")
    assert server.paths().count("/token") <= 2


@pytest.mark.parametrize("realm", ["http://169.254.169.254/token", "http://2852039166/token", "http://[::ffff:a9fe:a9fe]/token", "file:///etc/passwd", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/t",
                                   "nonsense", ""])
def test_realms_that_are_refused(store, server, realm):
    server.put(tiny(), "x")
    server.fault(r"/v2/.*")(lambda h, r: h.answer(401, WWW_Authenticate=f'Bearer realm="{realm}"'))
    fails(store, server, "denied")


def test_token_service_does_not_redirect(store, server):
    server.put(tiny(), "x")
    with FaultServer() as thief:
        server.fault("/token")(lambda h, r: h.answer(302, Location=f"http://{thief.host}/token"))
        server.fault(r"/v2/.*")(lambda h, r: h.answer(401, WWW_Authenticate=f'Bearer realm="http://{server.host}/token"'))
        fails(store, server, "unavailable", says="302")
        assert thief.log == []


def test_garbage_tokens(store, server):
    server.put(tiny(), "x")
    server.fault(r"/v2/.*")(lambda h, r: h.answer(401, WWW_Authenticate=f'Bearer realm="http://{server.host}/token"'))
    answers = [b"", b"{}", b'{"token": 7}', b'{"token": "a\\r\\nX-Evil: 1"}', b"x" * (2 << 20)]
    server.fault("/token")(lambda h, r: h.answer(200, answers[0]))
    while answers:
        assert store.run("pull", f"{server.host}/x")["error"] in ("integrity", "invalid")
        answers.pop(0) if len(answers) > 1 else answers.clear()


def test_authorization_does_not_follow_a_redirect(store, server):
    """To another host (here: another port) goes no Authorization; to the same one it does."""
    image = tiny()
    server.put(image, "x")
    docker_config(store, {"auths": {server.host: {"auth": ocilib.basic("anna", "geheim")[6:]}}})

    def guard(h, request):
        if request["headers"].get("Authorization") == ocilib.basic("anna", "geheim"):
            return False
        h.answer(401, WWW_Authenticate='Basic realm="x"')
        return True
    server.fault(r"/v2/.*|/same/.*")(guard)
    with FaultServer() as other:
        other.blobs = dict(server.blobs)
        name = image.layers[0]["digest"]
        server.fault(f"/v2/x/blobs/{name}")(lambda h, r: h.answer(307, Location=f"/same/blobs/{name}"))
        server.fault(f"/same/blobs/{name}")(lambda h, r: h.answer(307, Location=f"http://{other.host}/o/blobs/{name}"))
        pull(store, server)
        assert len(other.log) == 1 and other.log[0]["headers"]["Authorization"] is None
        assert all(r["headers"]["Authorization"] for r in server.log if r["path"].startswith("/same/"))


def test_push_that_breaks_begins_again(store, server, tmp_path):
    image = big(2)
    store.ok("load", ocilib.write_layout(tmp_path / "l", {"localhost/p:1": image}))
    received, uploads = {}, []

    @server.fault(r"/v2/p/blobs/uploads/.*")
    def upload(h, request):
        if request["method"] == "POST":
            uploads.append(f"/v2/p/blobs/uploads/{len(uploads)}")
            h.answer(202, Location=uploads[-1])
        elif len(uploads) == 1:
            h.hang_up()
        elif len(uploads) == 2:
            h.answer(503)
        else:
            assert request["path"] == uploads[-1]
            received[request["query"]["digest"][0]] = request["body"]
            h.answer(201)

    @server.fault(r"/v2/p/manifests/.*")
    def manifest(h, request):
        received["manifest"] = request["body"]
        h.answer(201)
    store.ok("push", "localhost/p:1", f"{server.host}/p:1")
    assert received.pop("manifest") == image.manifest_bytes
    assert received == image.blobs


def test_uploads_are_parallel_and_bounded(store, server, tmp_path):
    """As many at a time as are allowed, no more; the manifest comes when all are there."""
    image = big(1, layers=7)
    store.ok("load", ocilib.write_layout(tmp_path / "l", {"localhost/p:1": image}))
    received, running, most = {}, [0], [0]
    three = threading.Event()

    @server.fault(r"/v2/p/blobs/uploads/.*")
    def upload(h, request):
        if request["method"] == "POST":
            h.answer(202, Location="/v2/p/blobs/uploads/1")
            return
        with server.lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
            if running[0] == 3:
                three.set()
        three.wait(20)
        with server.lock:
            running[0] -= 1
            received[request["query"]["digest"][0]] = request["body"]
        h.answer(201)

    @server.fault(r"/v2/p/manifests/.*")
    def manifest(h, request):
        assert received == image.blobs
        h.answer(201)
    events = store.ok("--parallel=3", "--events=1", "push", "localhost/p:1", f"{server.host}/p:1")["events"]
    assert most[0] == 3 and received == image.blobs
    for layer in image.layers:
        seen = [e for e in events if e["id"] == layer["digest"][7:19]]
        assert seen[-1]["done"] == layer["size"] and len(seen) > 1, "how far each is, is told"


def test_a_registry_takes_its_time_to_store(store, server, tmp_path):
    """Silence after an upload is longer than one may be while something is fetched."""
    store.ok("load", ocilib.write_layout(tmp_path / "l", {"localhost/p:1": tiny()}))
    server.fault(r"/v2/p/manifests/.*")(lambda h, r: h.answer(201))

    @server.fault(r"/v2/p/blobs/uploads/.*")
    def upload(h, request):
        if request["method"] == "POST":
            h.answer(202, Location="/v2/p/blobs/uploads/1")
        else:
            server.stop.wait(2)
            h.answer(201)
    store.ok("--stall=1", "push", "localhost/p:1", f"{server.host}/p:1")
    assert len([r for r in server.log if r["method"] == "PUT" and "/uploads/" in r["path"]]) == 2, "nothing was sent twice"


def test_mount_that_is_forbidden_becomes_an_upload(store, server, tmp_path):
    """A registry that lets nobody mount gets the bytes instead."""
    image = tiny()
    store.ok("load", ocilib.write_layout(tmp_path / "l", {f"{server.host}/from:1": image}))
    tokens = Tokens(server)
    received = {}

    @server.fault(r"/v2/p/blobs/uploads/.*")
    def upload(h, request):
        if "mount" in request["query"]:
            h.answer(401, WWW_Authenticate=tokens.challenge("repository:from:pull"))
        elif request["method"] == "POST":
            h.answer(202, Location="/v2/p/blobs/uploads/1")
        else:
            received[request["query"]["digest"][0]] = request["body"]
            h.answer(201)
    server.fault(r"/v2/p/manifests/.*")(lambda h, r: h.answer(201))
    tokens.guard(server, "repository:p:pull,push")
    server.faults.insert(0, server.faults.pop())
    store.ok("push", f"{server.host}/from:1", f"{server.host}/p:1")
    assert received == image.blobs
    assert any("mount" in r["query"] for r in server.log)
    assert len(tokens.asked) == 1


def test_upload_to_another_host_is_refused(store, server, tmp_path):
    store.ok("load", ocilib.write_layout(tmp_path / "l", {"localhost/p:1": tiny()}))
    server.fault(r"/v2/p/blobs/uploads/.*")(lambda h, r: h.answer(202, Location="http://localhost:1/upload"))
    store.fails("denied", "push", "localhost/p:1", f"{server.host}/p:1", says="another host")
