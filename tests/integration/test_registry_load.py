# SPDX-License-Identifier: MIT
"""Images from folders and archives, saved, tagged, imported, pushed; and what other tools say to them."""
import gzip
import hashlib
import json
import os
import pathlib
import subprocess
import tarfile
import tempfile

import pytest

import ocilib
from ocilib import Image, Registry, Store, digest, tar, tiny, write_layout


def archive_of(folder, path, mode="w"):
    with tarfile.open(path, mode) as t:
        for name in sorted(os.listdir(folder)):
            t.add(os.path.join(folder, name), name)
    return path


def docker_archive(path, image, tags, *, legacy=False, order=1):
    """What docker save wrote before it wrote OCI layouts; legacy ones repeat a layer as a symlink."""
    files = {}
    config = json.dumps(image.config).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    layers, seen = [], {}
    for k, layer in enumerate(image.layers):
        plain = gzip.decompress(image.blobs[layer["digest"]])
        name = f"layer{k}/layer.tar"
        if plain in seen and legacy:
            files[name] = ("link", f"../{seen[plain]}")
        else:
            files[name] = plain
            seen[plain] = name
        layers.append(name)
    files[config_name] = config
    files["manifest.json"] = json.dumps([{"Config": config_name, "RepoTags": tags, "Layers": layers}]).encode()
    pathlib.Path(path).write_bytes(tar(dict(list(files.items())[::order])))
    return path


@pytest.mark.parametrize("kind", ["folder", "prefix", "archive", "archive-gz", "archive-xz-is-refused", "plain archive"])
def test_oci_layouts(store, tmp_path, kind):
    image = tiny()
    layout = write_layout(tmp_path / "layout", {"localhost/one:v1": image})
    if kind == "folder":
        source = layout
    elif kind == "prefix":
        source = f"oci:{layout}"
    elif kind == "archive-xz-is-refused":
        assert not store.run("load", f"oci-archive:{archive_of(layout, tmp_path / 'a.tar.xz', 'w:xz')}")["ok"]
        return
    else:
        path = archive_of(layout, tmp_path / "a.tar", "w:gz" if kind == "archive-gz" else "w")
        source = path if kind == "plain archive" else f"oci-archive:{path}"
    got = store.ok("load", source)["image"]
    assert (got["reference"], got["digest"]) == ("localhost/one:v1", image.digest)
    store.check()
    assert store.ok("find", "localhost/one:v1")["image"]["disk"].endswith(".ext4")


def test_names(store, tmp_path):
    image = tiny()
    layout = write_layout(tmp_path / "layout", {"latest": image})
    store.fails("invalid", "load", layout, says=["'latest'", "give it one"])
    assert store.ok("load", layout, "team/app")["image"]["reference"] == "docker.io/team/app:latest"
    unnamed = write_layout(tmp_path / "unnamed", {None: image})
    store.fails("invalid", "load", unnamed, says="full image name")
    store.ok("load", unnamed, "localhost/x:1")


def test_several_images(store, tmp_path):
    one, two = tiny(), Image([tar({"two": b"2"})])
    layout = write_layout(tmp_path / "layout", {"localhost/one:1": one, "localhost/two:2": two})
    store.fails("invalid", "load", layout, says=["several images", "localhost/one:1, localhost/two:2"])
    assert store.ok("load", f"oci:{layout}:localhost/two:2")["image"]["digest"] == two.digest
    store.fails("not-found", "load", f"oci:{layout}:three", says="localhost/one:1")


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("legacy", [False, True])
def test_docker_archives(store, tmp_path, order, legacy):
    empty = tar({"etc/again": b"1"})
    image = Image([ocilib.busybox_tar(), empty, empty])
    path = docker_archive(tmp_path / "d.tar", image, ["busy:1", "localhost/b:2"], legacy=legacy, order=order)
    got = store.ok("load", f"docker-archive:{path}")["image"]
    assert got["reference"] == "docker.io/library/busy:1"
    assert store.ok("find", "localhost/b:2")["image"]["disk"] == got["disk"]
    assert store.ok("load", path)["image"]["digest"] == got["digest"]


def test_what_skopeo_writes(store, tmp_path):
    layout = write_layout(tmp_path / "layout", {"x": tiny()})
    for kind in ("docker-archive", "oci-archive"):
        path = tmp_path / kind
        subprocess.run(["skopeo", "copy", "--insecure-policy", f"oci:{layout}:x", f"{kind}:{path}:localhost/sk:{kind}"], check=True,
                       capture_output=True)
        assert store.ok("load", f"{kind}:{path}")["image"]["reference"] == f"localhost/sk:{kind}"


def test_hostile_layouts(store, tmp_path):
    image = tiny()
    layout = write_layout(tmp_path / "layout", {"localhost/x:1": image})
    blob = layout / "blobs" / "sha256" / image.layers[0]["digest"][7:]
    data = blob.read_bytes()
    (tmp_path / "outside").write_bytes(data)
    blob.unlink()
    blob.symlink_to(tmp_path / "outside")
    store.fails("denied", "load", layout, says="leads out of the folder")
    blob.unlink()
    store.fails("not-found", "load", layout)
    blob.write_bytes(data[:-1] + b"!")
    store.fails("integrity", "load", layout, says="digest mismatch")
    blob.write_bytes(data[:-1])
    store.fails("integrity", "load", layout, says="truncated")
    blob.write_bytes(data + b"!")
    store.fails("integrity", "load", layout, says="larger than")
    blob.unlink()
    os.mkfifo(blob)
    store.fails("integrity", "load", layout, says="no file")
    assert store.disks() == [] and store.ok("ls")["images"] == []


def test_hostile_archives(store, tmp_path):
    image = tiny()
    layout = write_layout(tmp_path / "layout", {"localhost/x:1": image})
    good = {str(p.relative_to(layout)): p.read_bytes() for p in layout.rglob("*") if p.is_file()}
    layer = f"blobs/sha256/{image.layers[0]['digest'][7:]}"

    def attempt(code, changes, says=()):
        path = tmp_path / "a.tar"
        path.write_bytes(tar({**good, **changes}))
        store.fails(code, "load", path, says=says)
    attempt("integrity", {layer: good[layer][:-1] + b"!"}, "digest mismatch")
    attempt("integrity", {"index.json": b"{" * 10000})
    attempt("integrity", {"index.json": b" " * (5 << 20)}, "4 MiB")
    (tmp_path / "short.tar").write_bytes(tar(good)[:300000])
    store.fails("integrity", "load", tmp_path / "short.tar")
    (tmp_path / "empty.tar").write_bytes(b"")
    assert not store.run("load", tmp_path / "empty.tar")["ok"]
    (tmp_path / "text").write_bytes(b"hello " * 1000)
    assert not store.run("load", tmp_path / "text")["ok"]
    store.fails("not-found", "load", tmp_path / "nothing", says="there is no")
    # names that climb are just names: nothing is written but blobs
    path = tmp_path / "climb.tar"
    path.write_bytes(tar({**good, "../../evil": b"x", "/tmp/ctrz-evil": b"x", "blobs/sha256/../../../evil": b"x"}))
    store.ok("load", path)
    assert not (tmp_path / "evil").exists() and not pathlib.Path("/tmp/ctrz-evil").exists()
    assert not list(store.root.rglob("evil"))
    store.check()


def test_hostile_docker_archives(store, tmp_path):
    def attempt(code, entries, says=(), **files):
        path = tmp_path / "d.tar"
        path.write_bytes(tar({**files, "manifest.json": json.dumps(entries).encode()}))
        store.fails(code, "load", path, says=says)
    attempt("integrity", [{"Config": "/etc/passwd", "RepoTags": ["x:1"], "Layers": []}], "lacks '/etc/passwd'")
    attempt("integrity", [{"Config": "../../c", "RepoTags": ["x:1"], "Layers": ["a"]}], "lacks")
    attempt("integrity", {"Config": 1}, "no list")
    attempt("invalid", [])
    attempt("integrity", [{"Config": "loop", "RepoTags": ["x:1"], "Layers": []}], loop=("link", "loop"))


def test_save_is_read_by_everybody(store, registry, tmp_path):
    image = Image([ocilib.busybox_tar(), tar({"etc/more": b"1"})])
    registry.put(image, "save/me", "v1")
    name = f"{registry.host}/save/me:v1"
    store.ok("pull", name)
    store.ok("tag", name, "localhost/also:2")
    path = tmp_path / "out.tar"
    store.ok("save", path, name, "localhost/also:2")
    other = Store(tmp_path / "other")
    assert other.ok("load", f"oci-archive:{path}:{name}")["image"]["digest"] == image.digest
    store.ok("save", path, "localhost/also:2")
    assert other.ok("load", path)["image"]["reference"] == "localhost/also:2"
    # skopeo unpacks an OCI archive with its owners, which takes root
    for kind in ("oci-archive", "docker-archive") if os.geteuid() == 0 else ("docker-archive",):
        subprocess.run(["skopeo", "copy", "--insecure-policy", f"{kind}:{path}", f"dir:{tmp_path / kind}"], check=True,
                       capture_output=True)
        layers = json.loads((tmp_path / kind / "manifest.json").read_text())["layers"]
        assert len(layers) == 2
    store.fails("not-found", "save", path, "localhost/none:1")


def test_tag_and_remove(store, registry):
    registry.put(tiny(), "tag/me")
    got = store.ok("pull", f"{registry.host}/tag/me")["image"]
    store.ok("tag", f"{registry.host}/tag/me", "short")
    assert store.ok("find", "short")["image"]["reference"] == "docker.io/library/short:latest"
    store.fails("conflict", "rm", got["digest"][7:27], says="several names")
    assert store.ok("rm", "short")["freed"] == 0
    assert store.ok("rm", got["digest"][7:27])["freed"] > 0
    assert store.disks() == []


@pytest.mark.parametrize("pack", ["plain", "gzip", "zstd"])
def test_import(store, tmp_path, pack):
    data, _ = Image.packed(ocilib.busybox_tar(), pack)
    (tmp_path / "root.tar").write_bytes(data)
    got = store.ok("import", tmp_path / "root.tar", "localhost/rootfs:1")["image"]
    assert got["cmd"] == ["/bin/sh"]
    assert got["chain_id"] == digest(ocilib.busybox_tar())
    store.check()
    store.fails("integrity", "import", __file__, "localhost/text:1")


def test_inspect_and_history(store, registry):
    def lie(image):
        image.config["history"] = [{"created_by": "ADD root", "created": "2024-01-02T03:04:05Z"},
                                   {"created_by": "CMD sh", "empty_layer": True}, {"created_by": "RUN x"}]
        image.manifest["config"] = image.blob(json.dumps(image.config).encode(), ocilib.CONFIG)
    image = Image([ocilib.busybox_tar(), tar({"x": b"y"})], lie=lie)
    registry.put(image, "look")
    store.ok("pull", f"{registry.host}/look")
    seen = store.ok("inspect", f"{registry.host}/look")["inspect"]
    assert seen["manifest"] == image.manifest and seen["config"] == image.config
    steps = store.ok("history", f"{registry.host}/look")["history"]
    assert [s["created_by"] for s in steps] == ["ADD root", "CMD sh", "RUN x"]
    assert [s["layer"] for s in steps] == [image.layers[0]["digest"], None, image.layers[1]["digest"]]
    assert steps[0]["created_unix_ms"] == 1704164645000


def test_push_is_accepted_by_skopeo_and_podman(store, registry, tmp_path):
    image = Image([ocilib.busybox_tar(), tar({"etc/pushed": b"1"})])
    layout = write_layout(tmp_path / "layout", {"localhost/p:1": image})
    store.ok("load", layout)
    name = f"{registry.host}/pushed/one:v1"
    store.ok("push", "localhost/p:1", name)
    seen = subprocess.run(["skopeo", "inspect", "--tls-verify=false", f"docker://{name}"], check=True, capture_output=True).stdout
    assert json.loads(seen)["Digest"] == image.digest
    with tempfile.TemporaryDirectory() as run:  # podman wants it short
        podman = ["podman", "--root", str(tmp_path / "root"), "--runroot", run, "--storage-driver", "vfs"]
        subprocess.run([*podman, "pull", "--tls-verify=false", name], check=True, capture_output=True)
        ids = subprocess.run([*podman, "images", "--digests", "--format", "{{.Digest}}"], check=True, capture_output=True).stdout
    assert ids.decode().split() == [image.digest]
    # once more costs no upload, and another repository takes the layers by mount
    before = (registry.folder / "log").read_text().count('"PUT /v2')
    store.ok("push", "localhost/p:1", name)
    assert (registry.folder / "log").read_text().count('"PUT /v2') == before + 1
    store.ok("tag", "localhost/p:1", name)
    store.ok("push", "localhost/p:1", f"{registry.host}/pushed/two:v1")
    log = (registry.folder / "log").read_text()
    assert log.count("mount=sha256") >= 2
    puts = [line for line in log.splitlines() if '"PUT /v2/pushed/two/blobs' in line]
    assert len(puts) == 1, "just the config is sent"


def test_login_push_logout(store, tmp_path):
    file = ocilib.make_htpasswd(tmp_path / "htpasswd", "anna", "ge:heim")
    layout = write_layout(tmp_path / "layout", {"localhost/p:1": tiny()})
    store.ok("load", layout)
    with Registry(tmp_path / "r", htpasswd=file) as private:
        name = f"{private.host}/p/image:1"
        store.fails("denied", "push", "localhost/p:1", name, says="ctrz login")
        store.fails("denied", "login", private.host, "anna", "wrong", says="login to")
        store.ok("login", private.host, "anna", "ge:heim")
        kept = [p for p in (store.root / "h").rglob("auth.json")]
        assert len(kept) == 1 and kept[0].stat().st_mode & 0o777 == 0o600
        store.ok("push", "localhost/p:1", name)
        store.ok("rm", "localhost/p:1")
        store.ok("pull", name)
        store.ok("logout", private.host)
        store.fails("not-found", "logout", private.host, says="not logged in")
        store.fails("denied", "pull", name)
    store.fails("invalid", "login", "no-registry", "a", "b", says="HOST:PORT")
