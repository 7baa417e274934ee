# SPDX-License-Identifier: MIT
"""Pulls from Debian's docker-registry: anonymous, TLS, htpasswd, mirrors, platforms, re-pull, reuse, removal."""
import concurrent.futures
import fcntl
import json
import random
import subprocess
import tempfile

import pytest

import ocilib
from ocilib import Image, Registry, Store, big, index_of, tar, tiny, write_layout


def ref(registry, name):
    return f"{registry.host}/{name}"


def test_pull_what_skopeo_pushed(store, registry, tmp_path):
    image = tiny(config={"Entrypoint": ["/bin/sh"], "Cmd": ["-c", "true"], "Env": ["A=b"], "User": "7:8", "WorkingDir": "/tmp"})
    registry.push(write_layout(tmp_path / "l", {"one": image}), "one", "basic/one:v1")
    got = store.ok("pull", ref(registry, "basic/one:v1"))["image"]
    assert got["reference"] == ref(registry, "basic/one:v1")
    assert got["digest"] == image.digest and got["index_digest"] is None
    assert (got["entrypoint"], got["cmd"], got["env"]) == (["/bin/sh"], ["-c", "true"], ["A=b"])
    assert (got["user"], got["working_dir"], got["architecture"]) == ("7:8", "/tmp", "amd64")
    assert got["created_unix_ms"] == 1700000000500
    assert got["chain_id"] == image.config["rootfs"]["diff_ids"][0]
    assert store.disks() == [got["chain_id"].split(":")[1] + ".ext4"]
    assert store.partials() == []
    store.check()
    assert store.ok("find", ref(registry, "basic/one:v1"))["image"] == got
    assert store.ok("find", image.digest[7:19])["image"]["digest"] == image.digest
    assert store.ok("find", f"{registry.host}/basic/one@{image.digest}")["image"]["digest"] == image.digest
    assert [i["reference"] for i in store.ok("ls")["images"]] == [got["reference"]]


@pytest.mark.parametrize("pack", ["gzip", "zstd", "plain"])
@pytest.mark.parametrize("media", ["oci", "docker"])
def test_media_types_and_compressions(store, registry, pack, media):
    image = Image([ocilib.busybox_tar(), tar({"etc/x": b"1"})], pack=pack, media=media)
    registry.put(image, f"kinds/{media}-{pack}")
    got = store.ok("pull", ref(registry, f"kinds/{media}-{pack}"))["image"]
    assert got["digest"] == image.digest


def test_index_by_platform(store, registry):
    arm = tiny(platform=("linux", "arm64", "v8"), config={"Cmd": ["arm"]})
    amd = tiny(platform=("linux", "amd64"), config={"Cmd": ["amd"]})
    for image in (arm, amd):
        registry.put(image, "multi", image.digest)
    index = index_of(arm, amd)
    registry.put_manifest("multi", "latest", index, ocilib.INDEX)
    got = store.ok("--platform=linux/amd64", "pull", ref(registry, "multi"))["image"]
    assert (got["cmd"], got["index_digest"]) == (["amd"], ocilib.digest(index))
    got = store.ok("--platform=linux/arm64", "pull", ref(registry, "multi"))["image"]
    assert got["cmd"] == ["arm"]
    store.fails("not-found", "--platform=linux/s390x", "pull", ref(registry, "multi"),
                says=["linux/s390x", "linux/arm64/v8, linux/amd64"])


def test_image_of_another_platform(store, registry):
    registry.put(tiny(platform=("linux", "ppc64le")), "foreign")
    store.fails("not-found", "--platform=linux/amd64", "pull", ref(registry, "foreign"), says="linux/ppc64le only")


def test_unchanged_tag_costs_one_request(store, registry):
    image = tiny()
    registry.put(image, "again")
    first = store.ok("pull", ref(registry, "again"))["image"]
    before = registry.requests()
    assert store.ok("pull", ref(registry, "again"))["image"] == first
    assert registry.requests() == before + 1
    changed = tiny(config={"Cmd": ["changed"]})
    registry.put(changed, "again")
    assert store.ok("pull", ref(registry, "again"))["image"]["digest"] == changed.digest
    before = registry.requests()
    store.ok("pull", f"{registry.host}/again@{changed.digest}")
    assert registry.requests() == before, "what is named by digest and here needs no request"


def test_lost_disk_is_built_again_without_downloads(store, registry):
    registry.put(tiny(), "lost")
    got = store.ok("pull", ref(registry, "lost"))["image"]
    (store.data / "disks" / (got["chain_id"][7:] + ".ext4")).unlink()
    assert store.run("find", ref(registry, "lost"))["error"] == "not-found"
    blobs = {p: p.stat().st_mtime_ns for p in store.blobs()}
    store.ok("pull", ref(registry, "lost"))
    assert {p: p.stat().st_mtime_ns for p in store.blobs()} == blobs


def test_rotten_blob_is_fetched_again(store, registry):
    image = tiny()
    registry.put(image, "rot")
    got = store.ok("pull", ref(registry, "rot"))["image"]
    layer = store.data / "blobs" / "sha256" / image.layers[0]["digest"][7:]
    data = bytearray(layer.read_bytes())
    data[len(data) // 2] ^= 1
    layer.write_bytes(data)
    (store.data / "disks" / (got["chain_id"][7:] + ".ext4")).unlink()
    store.ok("pull", ref(registry, "rot"))
    store.check()


def test_missing_image_and_registry_down(store, registry):
    message = store.fails("not-found", "pull", ref(registry, "no/such:thing"))
    assert "no/such" in message and "tag 'thing'" in message and registry.host in message
    port = ocilib.free_port()
    store.fails("unavailable", "pull", f"127.0.0.1:{port}/x", says=[f"127.0.0.1:{port}", "cannot be reached"])
    store.fails("invalid", "pull", "Bad/Name", says="lower case")


def test_mirrors_come_first_and_fall_back(store, registry):
    image = tiny()
    registry.put(image, "library/mirrored")
    down = f"127.0.0.1:{ocilib.free_port()}"
    got = store.ok(f"--mirror=docker.io={down}", f"--mirror=docker.io={registry.host}", "pull", "mirrored")["image"]
    assert got["reference"] == "docker.io/library/mirrored:latest"
    r = store.run(f"--mirror={registry.host}={down}", "pull", ref(registry, "library/other"))
    assert r["error"] == "not-found" and down in r["message"] and registry.host in r["message"]


def test_tls_with_an_own_ca(store, tmp_path):
    tls = ocilib.make_tls(tmp_path / "tls")
    image = tiny()
    with Registry(tmp_path / "r", tls=tls) as secure:
        secure.push(write_layout(tmp_path / "l", {"t": image}), "t", "tls/image:1")
        name = ref(secure, "tls/image:1")
        store.fails("denied", "pull", name, says="certificate")
        assert store.ok(f"--ca={secure.host}={tls}/ca.pem", "pull", name)["image"]["digest"] == image.digest
        other = Store(tmp_path / "other")
        assert other.ok(f"--insecure={secure.host}", "pull", name)["image"]["digest"] == image.digest


def test_client_certificates(store, tmp_path):
    """A registry that lets in only who has a certificate of its CA."""
    tls = ocilib.make_tls(tmp_path / "tls")
    with Registry(tmp_path / "r", tls=tls, clients_of=tls / "ca.pem") as secure:
        (tmp_path / "certs").mkdir()
        for have, name in (("ca.pem", "ca.crt"), ("client.pem", "client.cert"), ("client.key", "client.key")):
            (tmp_path / "certs" / name).write_bytes((tls / have).read_bytes())
        image = tiny()
        secure.push(write_layout(tmp_path / "l", {"t": image}), "t", "tls/image:1", "--dest-tls-verify=true", "--dest-cert-dir", tmp_path / "certs")
        name = ref(secure, "tls/image:1")
        options = [f"--ca={secure.host}={tls}/ca.pem"]
        assert not store.run(*options, "pull", name)["ok"]
        options += [f"--cert={secure.host}={tls}/client.pem", f"--key={secure.host}={tls}/client.key"]
        assert store.ok(*options, "pull", name)["image"]["digest"] == image.digest
        store.ok(*options, "push", name, ref(secure, "tls/pushed:1"))


def login_file(store, host, user, password):
    path = store.root / ".docker" / "config.json"
    path.parent.mkdir(exist_ok=True)
    auth = ocilib.basic(user, password).split()[1]
    path.write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def test_htpasswd(store, tmp_path):
    file = ocilib.make_htpasswd(tmp_path / "htpasswd", "anna", "secret")
    image = tiny()
    with Registry(tmp_path / "r", htpasswd=file) as private:
        private.push(write_layout(tmp_path / "l", {"t": image}), "t", "p/image:1", "--dest-creds", "anna:secret")
        name = ref(private, "p/image:1")
        store.fails("denied", "pull", name, says=f"ctrz login {private.host}")
        login_file(store, private.host, "anna", "wrong")
        store.fails("denied", "pull", name, says=".docker/config.json")
        login_file(store, private.host, "anna", "secret")
        assert store.ok("pull", name)["image"]["digest"] == image.digest


def test_credential_helper(store, tmp_path):
    file = ocilib.make_htpasswd(tmp_path / "htpasswd", "anna", "secret")
    image = tiny()
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    helper = bin_dir / "docker-credential-test"
    helper.write_text('#!/bin/sh\nread host\n[ "$1" = get ] || exit 1\n'
                      'echo "{\\"ServerURL\\":\\"$host\\",\\"Username\\":\\"anna\\",\\"Secret\\":\\"secret\\"}"\n')
    helper.chmod(0o755)
    store.env["PATH"] = f"{bin_dir}:{store.env['PATH']}"
    config = store.root / ".docker" / "config.json"
    config.parent.mkdir()
    with Registry(tmp_path / "r", htpasswd=file) as private:
        private.push(write_layout(tmp_path / "l", {"t": image}), "t", "p/image:1", "--dest-creds", "anna:secret")
        config.write_text(json.dumps({"credHelpers": {private.host: "test"}}))
        assert store.ok("pull", ref(private, "p/image:1"))["image"]["digest"] == image.digest
        config.write_text(json.dumps({"credsStore": "no-such-helper"}))
        store.fails("not-found", "pull", ref(private, "p/other:1"), says="docker-credential-no-such-helper")


def test_layers_are_shared_and_freed(store, registry):
    base = ocilib.busybox_tar()
    one = Image([base, tar({"etc/one": b"1"})])
    two = Image([base, tar({"etc/two": b"2"})])
    registry.put(one, "shared/one")
    registry.put(two, "shared/two")
    store.ok("pull", ref(registry, "shared/one"))
    store.ok("pull", ref(registry, "shared/two"))
    assert len(store.disks()) == 2 and len(store.blobs()) == 7
    assert store.ok("rm", ref(registry, "shared/one"))["freed"] > 0
    assert len(store.disks()) == 1 and len(store.blobs()) == 4
    store.ok("rm", ref(registry, "shared/two"))
    assert (store.disks(), store.blobs(), store.ok("ls")["images"]) == ([], [], [])
    assert store.run("rm", ref(registry, "shared/two"))["error"] == "not-found"


def test_same_content_shares_its_disk(store, registry):
    registry.put(tiny(config={"Cmd": ["a"]}), "same/a")
    registry.put(tiny(config={"Cmd": ["b"]}, pack="zstd"), "same/b")
    a = store.ok("pull", ref(registry, "same/a"))["image"]
    b = store.ok("pull", ref(registry, "same/b"))["image"]
    assert a["disk"] == b["disk"] and len(store.disks()) == 1
    store.ok("rm", ref(registry, "same/a"))
    assert len(store.disks()) == 1


def test_a_machines_disk_is_not_removed(store, registry):
    registry.put(tiny(), "busy")
    got = store.ok("pull", ref(registry, "busy"))["image"]
    with open(got["disk"], "rb") as disk:
        fcntl.flock(disk, fcntl.LOCK_SH)
        store.fails("conflict", "rm", ref(registry, "busy"), says="running machine")
        assert store.ok("find", ref(registry, "busy"))
    store.ok("rm", ref(registry, "busy"))


def test_prune(store, registry):
    registry.put(tiny(), "prune")
    store.ok("pull", ref(registry, "prune"))
    registry.put(Image([tar({"other": b"x"})]), "prune")
    store.ok("pull", ref(registry, "prune"))
    assert len(store.disks()) == 2
    assert store.ok("prune")["freed"] > 0
    assert len(store.disks()) == 1 and len(store.blobs()) == 3
    store.ok("find", ref(registry, "prune"))
    store.ok("prune", "all")
    assert (store.disks(), store.blobs(), store.ok("ls")["images"]) == ([], [], [])


def test_two_pulls_at_once_share_the_download(store, server):
    image = big(8, layers=3)
    server.put(image, "shared")
    pulls = [store.popen("pull", f"{server.host}/shared") for _ in range(3)]
    for p in pulls:
        assert store.result(p)["ok"]
    for layer in image.layers:
        assert server.paths("GET").count(f"/v2/shared/blobs/{layer['digest']}") == 1
    store.check()


def test_pulls_removals_and_prunes_at_once(store, registry):
    """Whatever runs beside it, each command ends right or says not-found or conflict, and the store stays whole."""
    base = ocilib.busybox_tar()
    for k in range(3):
        registry.put(Image([base, tar({f"etc/{k}": b"x"})]), f"crowd/{k}")

    def work(seed):
        chance = random.Random(seed)
        for _ in range(12):
            name = ref(registry, f"crowd/{chance.randrange(3)}")
            args = chance.choice([["pull", name], ["pull", name], ["rm", name], ["prune"], ["find", name], ["ls"]])
            r = store.run(*args)
            assert r["ok"] or (args[0] != "pull" and r["error"] in ("not-found", "conflict")), (args, r)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, seed) for seed in range(4)]:
            done.result()
    store.check()
    for k in range(3):
        store.ok("pull", ref(registry, f"crowd/{k}"))
    store.ok("prune")
    store.check()
    assert len(store.disks()) == 3 and len(store.blobs()) == 10


def test_many_layers(store, registry):
    image = Image([tar({f"file-{k}": str(k).encode()}) for k in range(127)])
    registry.put(image, "layers/127")
    assert store.ok("pull", ref(registry, "layers/127"))["image"]["digest"] == image.digest


def test_image_without_layers(store, registry):
    registry.put(Image([]), "empty")
    assert store.ok("pull", ref(registry, "empty"))["ok"]


def test_progress_events(store, registry):
    image = big(2)
    registry.put(image, "events")
    events = store.ok("--events=1", "pull", ref(registry, "events"))["events"]
    layers = [e for e in events if e["kind"] == "layer"]
    assert layers[-1]["done"] == layers[-1]["total"] == image.layers[0]["size"]
    assert layers[-1]["id"] == image.layers[0]["digest"][7:19]
    assert [e["done"] for e in layers] == sorted(e["done"] for e in layers)
    assert (events[0]["kind"], events[-1]["kind"]) == ("resolve", "done")


def test_an_image_of_umoci(store, registry, tmp_path):
    layout = tmp_path / "u"
    for args in (["init", "--layout", layout], ["new", "--image", f"{layout}:x"],
                 ["insert", "--image", f"{layout}:x", "/etc/hostname", "/etc/name"]):
        subprocess.run(["umoci", *map(str, args)], check=True, capture_output=True)
    registry.push(layout, "x", "umoci/x:1")
    assert store.ok("pull", ref(registry, "umoci/x:1"))["ok"]


def test_an_image_of_podman(store, registry, tmp_path):
    (tmp_path / "root.tar").write_bytes(ocilib.busybox_tar())
    with tempfile.TemporaryDirectory() as run:  # podman wants it short
        podman = ["podman", "--root", str(tmp_path / "root"), "--runroot", run, "--storage-driver", "vfs"]
        name = ref(registry, "podman/x:1")
        for args in (["import", "-c", "CMD /bin/sh", "-c", "ENV A=1", str(tmp_path / "root.tar"), name], ["push", "--tls-verify=false", name]):
            subprocess.run([*podman, *args], check=True, capture_output=True)
    got = store.ok("pull", name)["image"]
    assert (got["cmd"][-1], got["env"][-1]) == ("/bin/sh", "A=1")
    assert got["chain_id"] == ocilib.digest(ocilib.busybox_tar())
