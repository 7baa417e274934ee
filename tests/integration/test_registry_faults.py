# SPDX-License-Identifier: MIT
"""A registry that stalls, breaks, lies, redirects and refuses: every pull ends right or with a clear error."""
import gzip
import json
import random
import signal
import threading
import time

import pytest

import ocilib
from fault_server import FaultServer
from ocilib import CONFIG, INDEX, LAYER, MANIFEST, Image, Store, big, digest, index_of, tar, tiny

BLOBS = r"/v2/x/blobs/.*"


def layer_path(image, k=0):
    return f"/v2/x/blobs/{image.layers[k]['digest']}"


def pull(store, server, *options, name="x"):
    return store.ok(*options, "pull", f"{server.host}/{name}")


def fails(store, server, code, *options, says=()):
    message = store.fails(code, *options, "pull", f"{server.host}/x", says=says)
    assert store.disks() == [], "a disk of a failed pull"
    assert store.ok("ls")["images"] == []
    return message


def test_resume_where_it_broke(store, server):
    image = big(4)
    server.put(image, "x")
    half = image.layers[0]["size"] // 2

    @server.fault(layer_path(image), times=1)
    def break_off(h, request):
        data = server.blobs[image.layers[0]["digest"]]
        h.send_response(200)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data[:half])
        h.hang_up()
    pull(store, server)
    ranges = [r["headers"].get("Range") for r in server.log if r["path"] == layer_path(image)]
    assert ranges == [None, f"bytes={half}-"]
    store.check()


def test_resume_without_ranges(store, server):
    """A registry that answers a range with everything: what is here already is skipped."""
    image = big(4)
    server.put(image, "x")
    server.ranges = False

    @server.fault(layer_path(image), times=2)
    def break_off(h, request):
        data = server.blobs[image.layers[0]["digest"]]
        h.send_response(200)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data[:3 << 20])
        h.hang_up()
    pull(store, server)
    store.check()


def test_resume_of_an_earlier_run(store, server):
    image = big(4)
    server.put(image, "x")

    @server.fault(layer_path(image), times=1)
    def stall(h, request):
        data = server.blobs[image.layers[0]["digest"]]
        h.send_response(200)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data[:2 << 20])
        h.wfile.flush()
        server.stop.wait(60)
    p = store.popen("pull", f"{server.host}/x")
    end = time.monotonic() + 30
    while not any(f.stat().st_size == 2 << 20 for f in store.partials()):
        assert time.monotonic() < end
        time.sleep(0.02)
    p.send_signal(signal.SIGKILL)
    p.wait()
    assert store.ok("ls")["images"] == []
    pull(store, server)
    assert server.log[-1]["headers"]["Range"] == f"bytes={2 << 20}-"
    store.check()


def test_damaged_remains_are_not_trusted(store, server):
    image = big(2)
    server.put(image, "x")
    store.ok("ls")
    name = image.layers[0]["digest"].replace(":", "-")
    (store.data / "blobs" / "partial" / name).write_bytes(b"\0" * 1000)
    pull(store, server)
    store.check()


def test_stall(store, server):
    image = big(2)
    server.put(image, "x")

    @server.fault(layer_path(image))
    def stall(h, request):
        h.send_response(200)
        h.send_header("Content-Length", str(image.layers[0]["size"]))
        h.end_headers()
        h.wfile.flush()
        server.stop.wait(60)
    fails(store, server, "timeout", "--stall=1", says=["nothing came for 1 s", "pull again to go on"])


def test_stall_of_the_manifest(store, server):
    server.put(tiny(), "x")
    server.fault(r"/v2/x/manifests/.*")(lambda h, r: server.stop.wait(60))
    store.fails("timeout", "--stall=1", "pull", f"{server.host}/x", says=[server.host, "stall in config.yaml"])


def test_wrong_bytes(store, server):
    image = big(1)
    server.put(image, "x")
    data = bytearray(server.blobs[image.layers[0]["digest"]])
    data[-1] ^= 1
    server.blobs[image.layers[0]["digest"]] = bytes(data)
    fails(store, server, "integrity", says=["digest mismatch", image.layers[0]["digest"]])
    assert store.partials() == []


def test_wrong_bytes_from_a_mirror_then_right_ones(store, server):
    image = big(1)
    server.put(image, "x")
    with FaultServer() as bad:
        bad.put(image, "x")
        bad.blobs[image.layers[0]["digest"]] = b"\0" * image.layers[0]["size"]
        store.ok(f"--mirror={server.host}={bad.host}", "pull", f"{server.host}/x")
    store.check()


def test_truncated_layer(store, server):
    image = big(1)
    server.put(image, "x")
    name = image.layers[0]["digest"]
    server.blobs[name] = server.blobs[name][:-1000]
    fails(store, server, "integrity", says=[f"{image.layers[0]['size'] - 1000} bytes", str(image.layers[0]["size"])])


def test_truncated_layer_of_unknown_length(store, server):
    image = big(1)
    server.put(image, "x")

    @server.fault(layer_path(image))
    def chunked(h, request):
        h.send_response(200)
        h.send_header("Transfer-Encoding", "chunked")
        h.end_headers()
        data = server.blobs[image.layers[0]["digest"]][:100000]
        h.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))
    fails(store, server, "integrity", says="truncated")


def test_too_much(store, server):
    image = big(1)
    server.put(image, "x")

    @server.fault(layer_path(image))
    def chunked(h, request):
        h.send_response(200)
        h.send_header("Transfer-Encoding", "chunked")
        h.end_headers()
        data = server.blobs[image.layers[0]["digest"]] + b"more"
        h.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))
    fails(store, server, "integrity", says="larger than")


def test_lying_diff_id(store, server):
    def lie(image):
        image.config["rootfs"]["diff_ids"] = [digest(b"another")]
        image.manifest["config"] = image.blob(json.dumps(image.config).encode(), CONFIG)
    server.put(Image([tar({"a": b"b"})], lie=lie), "x")
    fails(store, server, "integrity")


def test_broken_gzip(store, server):
    def lie(image):
        data = gzip.compress(b"x" * 100000)[:-20]
        image.layers[0] = image.blob(data, LAYER + "+gzip")
    server.put(Image([tar({"a": b"b"})], lie=lie), "x")
    fails(store, server, "integrity")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("where", ["manifests", "blobs"])
def test_busy_then_well(store, server, status, where):
    server.put(tiny(), "x")
    server.fault(f"/v2/x/{where}/.*", times=2)(lambda h, r: h.answer(status))
    pull(store, server)


def test_retry_after_is_followed(store, server):
    server.put(tiny(), "x")
    server.fault(r"/v2/x/manifests/.*", times=1)(lambda h, r: h.answer(429, Retry_After="2"))
    began = time.monotonic()
    pull(store, server)
    assert time.monotonic() - began >= 2


def test_busy_for_ever(store, server):
    server.put(tiny(), "x")
    server.fault(r"/v2/x/manifests/.*")(lambda h, r: h.answer(429, Retry_After="3600"))
    fails(store, server, "unavailable", says=["429", server.host])
    assert len(server.paths()) == 1, "nobody waits an hour"


def test_broken_connections_then_well(store, server):
    server.put(tiny(), "x")
    server.fault(r"/v2/x/.*", times=3)(lambda h, r: h.hang_up())
    pull(store, server)


def test_garbage_instead_of_a_manifest(store, server):
    for data in (b"", b"<html>", b"[]", b"{}", b'{"schemaVersion": 1}', b'{"schemaVersion": 2, "layers": 7, "config": {}}',
                 b'{"schemaVersion": 2, "layers": [], "manifests": []}', b"[" * 100000):
        server.put_manifest("x", "latest", data, MANIFEST)
        fails(store, server, "integrity")


def test_huge_manifest(store, server):
    server.put_manifest("x", "latest", b'{"schemaVersion": 2, "x": "' + b"a" * (100 << 20) + b'"}', MANIFEST)
    fails(store, server, "integrity", says="larger than")


def test_manifest_that_is_not_what_it_is_called(store, server):
    image = tiny()
    server.put(image, "x")
    server.put_manifest("x", "latest", image.manifest_bytes, INDEX)
    fails(store, server, "integrity", says="image.index")


def test_manifest_of_another_digest(store, server):
    image = tiny()
    server.put(image, "x")

    @server.fault(r"/v2/x/manifests/latest")
    def lie(h, request):
        h.answer(200, image.manifest_bytes, Content_Type=MANIFEST, Docker_Content_Digest=digest(b"other"))
    fails(store, server, "integrity", says="digest mismatch")
    other = digest(b"another")
    server.manifests[f"/v2/x/manifests/{other}"] = (image.manifest_bytes, MANIFEST)
    store.fails("integrity", "pull", f"{server.host}/x@{other}", says="digest mismatch")


def test_index_that_names_itself_for_ever(store, server):
    """Digests cannot form a ring, but a chain may be long."""
    inner = tiny()
    server.put(inner, "x")
    data, kind = inner.manifest_bytes, MANIFEST
    for _ in range(6):
        data = json.dumps({"schemaVersion": 2, "manifests": [
            {"mediaType": kind, "digest": digest(data), "size": len(data), "platform": {"os": "linux", "architecture": "amd64"}}]}).encode()
        kind = INDEX
        server.put_manifest("x", "latest", data, INDEX)
    fails(store, server, "integrity", "--platform=linux/amd64", says="nested")


def test_index_of_indexes(store, server):
    image = tiny()
    server.put(image, "x")
    for _ in range(2):
        data = index_of(image)
        image = type("Indexed", (), {"descriptor": lambda self, d=data: {
            "mediaType": INDEX, "digest": digest(d), "size": len(d), "platform": {"os": "linux", "architecture": "amd64"}}})()
        server.put_manifest("x", "latest", data, INDEX)
    pull(store, server, "--platform=linux/amd64")


def test_sizes_that_lie(store, server):
    def lie(image):
        image.layers[0]["size"] -= 1
    server.put(Image([tar({"a": b"b" * 5000})], lie=lie), "x")
    fails(store, server, "integrity")


def test_count_of_layers_that_lies(store, server):
    def lie(image):
        image.manifest["layers"] = image.layers * 2
    server.put(Image([tar({"a": b"b"})], lie=lie), "x")
    fails(store, server, "integrity", says="diff_ids")


def test_foreign_urls_are_ignored(store, server):
    with FaultServer() as elsewhere:
        def lie(image):
            image.layers[0]["urls"] = [f"http://{elsewhere.host}/steal"]
            image.layers[0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
        server.put(Image([tar({"a": b"b"})], lie=lie), "x")
        pull(store, server)
        assert elsewhere.log == []


def test_artifact_is_no_image(store, server):
    def lie(image):
        image.manifest["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
    server.put(Image([tar({"a": b"b"})], lie=lie), "x")
    fails(store, server, "integrity", says="helm")


def test_missing_blob(store, server):
    image = tiny()
    server.put(image, "x")
    del server.blobs[image.layers[0]["digest"]]
    fails(store, server, "not-found", says=image.layers[0]["digest"][:19])


def test_message_of_the_registry_is_escaped(store, server):
    body = json.dumps({"errors": [{"code": "DENIED", "message": "no \x1b[31m\u202ered"}]}).encode()
    server.fault(r"/v2/x/manifests/.*")(lambda h, r: h.answer(403, body))
    message = store.fails("denied", "pull", f"{server.host}/x", says="red")
    assert "\x1b" not in message and "\u202e" not in message


def test_sha512(store, server):
    def lie(image):
        data = image.blobs.pop(image.layers[0]["digest"])
        image.layers[0]["digest"] = digest(data, "sha512")
        image.blobs[image.layers[0]["digest"]] = data
    image = Image([tar({"a": b"b"})], lie=lie)
    server.put(image, "x")
    pull(store, server)
    assert [p.parent.name for p in store.blobs()].count("sha512") == 1
    store.check()


def serve_slowly(server):
    """Blobs come in pieces; a kill finds them half-way."""
    @server.fault(BLOBS)
    def slowly(h, request):
        data = server.blobs[request["path"].rsplit("/", 1)[1]]
        start = int((request["headers"].get("Range") or "bytes=0-")[6:-1])
        h.send_response(206 if start else 200)
        if start:
            h.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        h.send_header("Content-Length", str(len(data) - start))
        h.end_headers()
        for at in range(start, len(data), 1 << 17):
            h.wfile.write(data[at:at + (1 << 17)])
            with server.lock:
                server.sent += 1 << 17
            time.sleep(0.002)
    server.sent = 0


def asked_for(requests):
    """Blob digest -> the byte each request for it began at."""
    begins = {}
    for r in requests:
        if "/blobs/" in r["path"]:
            begins.setdefault(r["path"].rsplit("/", 1)[1], []).append(int((r["headers"].get("Range") or "bytes=0-")[6:-1]))
    return begins


def test_killed_at_random_moments(store, server):
    """Fifty kills: the store is never corrupt, the next pull finishes what is left, and no byte that is here is fetched again: a blob
    in the store is not asked for, a broken one from where it broke."""
    image = big(6, layers=4)
    server.put(image, "x")
    serve_slowly(server)
    chance = random.Random(5)
    kills = resumed = kept = 0

    def reached(process, sent, seconds):
        """Wait until so much was sent, and a moment more. Return: whether it runs still."""
        while process.poll() is None and server.sent < sent:
            time.sleep(0.001)
        try:
            process.wait(seconds)
        except ocilib.subprocess.TimeoutExpired:
            return True
        return False
    while kills < 50:
        whole = {f"{p.parent.name}:{p.name}" for p in store.blobs()}
        partial = {p.name.replace("-", ":", 1): p.stat().st_size for p in store.partials()}
        seen = len(server.log)
        p = store.popen("pull", f"{server.host}/x")
        if reached(p, server.sent + chance.choice([0, chance.randrange(8 << 20)]), chance.uniform(0, 0.05)):
            p.kill()
            kills += 1
        p.communicate()
        assert p.returncode in (0, -signal.SIGKILL)
        store.check()
        for blob, begins in asked_for(server.log[seen:]).items():
            assert blob not in whole, "a blob that is here was fetched again"
            # what the one killed before asked for last may be noted only now
            assert set(begins) == {partial.get(blob, 0)}, "bytes that are here were fetched again"
            resumed += begins[0] > 0
        kept += len(whole)
        if p.returncode == 0:
            store.ok("rm", f"{server.host}/x")
    assert resumed > 5 and kept > 5, "the moments were not random enough to say anything"
    pull(store, server)
    before = len(server.log)
    pull(store, server)
    assert asked_for(server.log[before:]) == {}
    store.check()
    assert store.partials() == []
    store.ok("prune")
    assert len(store.disks()) == 1, "what killed builds left"


def test_closes_in_the_middle_for_ever(store, server):
    """What came is kept, no byte of it asked for twice, and the end is an error that says so."""
    image = big(1)
    server.put(image, "x")
    size = image.layers[0]["size"]

    @server.fault(layer_path(image))
    def break_off(h, request):
        data = server.blobs[image.layers[0]["digest"]]
        start = int((request["headers"].get("Range") or "bytes=0-")[6:-1])
        h.send_response(206 if start else 200)
        if start:
            h.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        h.send_header("Content-Length", str(size - start))
        h.end_headers()
        if not start:
            h.wfile.write(data[:300000])
        h.hang_up()
    fails(store, server, "unavailable", says=[image.layers[0]["digest"][:19], server.host, "pull again to go on"])
    assert asked_for(server.log)[image.layers[0]["digest"]] == [0, 300000, 300000, 300000, 300000]
    assert [p.stat().st_size for p in store.partials()] == [300000]


def test_downloads_are_parallel_and_bounded(store, server):
    """Six at a time unless told otherwise, the first layers first."""
    image = big(1, layers=9)
    server.put(image, "x")
    running, most = [0], [0]
    six = threading.Event()

    @server.fault(r"/v2/x/blobs/.*")
    def count(h, request):
        if not any(request["path"].endswith(layer["digest"]) for layer in image.layers):
            return False
        with server.lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
            if running[0] == 6:
                six.set()
        assert six.wait(20)
        server.serve(h, request)
        with server.lock:
            running[0] -= 1
        return True
    pull(store, server)
    assert most[0] == 6
    asked = [r["path"].rsplit("/", 1)[1] for r in server.log if "/blobs/" in r["path"]][1:]
    assert set(asked[:6]) == {layer["digest"] for layer in image.layers[:6]}


def test_the_first_layer_is_written_while_others_arrive(store, server):
    """The disk grows by the first layer before the last one has sent a byte."""
    image = big(8, layers=2)
    server.put(image, "x")
    grown = []

    @server.fault(layer_path(image, 1))
    def hold_back(h, request):
        end = time.monotonic() + 30
        while not grown and time.monotonic() < end:
            grown.extend(f for f in store.data.glob("disks/*") if f.is_file() and f.stat().st_blocks * 512 > 4 << 20)
            time.sleep(0.02)
        return False
    pull(store, server)
    assert grown


def test_no_space(store, server):
    """More is announced than the file system has."""
    def lie(image):
        image.layers[0]["size"] = 1 << 43
    server.put(Image([tar({"a": b"b"})], lie=lie), "x")
    fails(store, server, "system", says=["no space", "8 TiB"])


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/meta-data", "http://2852039166/x", "http://0xa9.254.43518/x",
                                    "http://[::ffff:169.254.169.254]/x", "http://[fe80::1]/x", "file:///etc/passwd", "gopher://127.0.0.1/x", "http://u:p@127.0.0.1/x"])
def test_redirects_that_are_refused(store, server, target):
    image = tiny()
    server.put(image, "x")
    server.fault(layer_path(image))(lambda h, r: h.answer(302, Location=target))
    fails(store, server, "denied", says="redirect")


def test_redirects_for_ever(store, server):
    image = tiny()
    server.put(image, "x")
    server.fault(layer_path(image))(lambda h, r: h.answer(302, Location=r["path"]))
    fails(store, server, "integrity", says="redirects")


def test_endless_headers(store, server):
    server.put(tiny(), "x")
    server.fault(r"/v2/x/manifests/.*")(lambda h, r: h.answer(200, b"", **{f"X-{k}": "a" * 1000 for k in range(90)}))
    store.fails("integrity", "pull", f"{server.host}/x", says="headers")


def test_tls_only_client_certificate(store, tmp_path):
    tls = ocilib.make_tls(tmp_path / "tls")
    image = tiny()
    import ssl
    with FaultServer() as plain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "server.pem", tls / "server.key")
        context.load_verify_locations(tls / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        plain.http.socket = context.wrap_socket(plain.http.socket, server_side=True)
        plain.put(image, "x")
        ca = f"--ca={plain.host}={tls}/ca.pem"
        assert not store.run(ca, "pull", f"{plain.host}/x")["ok"]
        store.ok(ca, f"--cert={plain.host}={tls}/client.pem", f"--key={plain.host}={tls}/client.key", "pull", f"{plain.host}/x")


def test_own_store_stays_private(store, server):
    server.put(tiny(), "x")
    pull(store, server)
    for path in [store.data / "images.json", *store.blobs()]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert Store(store.root).ok("ls")["images"]
