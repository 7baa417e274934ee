# SPDX-License-Identifier: MIT
"""Disks as the image store builds them: lower layers taken from their disk, digests of both kinds, names as builders write them."""
import os
import shutil
import stat
import subprocess

import pytest

import disklib
import ext4_reader
import ocilib
from disklib import Layer
from ocilib import Image, Store, write_layout


def disk_of(store, image):
    return store.data / "disks" / (image["chain_id"][7:] + ".ext4")


def load(store, folder, name, layers, *, lie=None, pack="gzip"):
    image = Image([layer.bytes() for layer in layers], lie=lie, pack=pack)
    layout = write_layout(folder / name, {f"localhost/{name}:v1": image})
    return image, store.ok("load", f"oci:{layout}")["image"]


BELOW = [Layer().folder("a", mode=0o700).file("a/x", b"x" * 100_000).file("cap", "c", pax={"SCHILY.xattr.user.k": "v" * 900})
         .link("hard", "a/x").symlink("s", "a"),
         Layer().whiteout("cap").file("b", "b" * 5000).folder("d").file("d/y", "y")]
ABOVE = [Layer().opaque("d").file("d/z", "z").link("a/w", "hard"), Layer().whiteout("a/x").file("top", "t")]


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_lower_layers_are_not_read_again(store, tmp_path, pack):
    """Their blobs are made unreadable noise: the disk on top of their disk comes out as if they had been read."""
    base, base_image = load(store, tmp_path, "base", BELOW, pack=pack)
    whole = Store(tmp_path / "other")
    _, expected = load(whole, tmp_path, "full", BELOW + ABOVE, pack=pack)
    for layer in base.layers:
        path = store.data / "blobs" / "sha256" / layer["digest"][7:]
        path.write_bytes(b"\xaa" * path.stat().st_size)
    _, got = load(store, tmp_path, "app", BELOW + ABOVE, pack=pack)
    assert got["chain_id"] == expected["chain_id"] != base_image["chain_id"]
    assert disk_of(store, got).read_bytes() == disk_of(whole, expected).read_bytes()
    disklib.check(disk_of(store, got))
    described = ext4_reader.Image(disk_of(store, got)).describe()
    assert "d/z" in described and "d/y" not in described and "cap" not in described and "a/x" not in described


def test_the_highest_disk_is_taken(store, tmp_path):
    """Of two disks below, the one with more layers: with the first layer's alone the second would be read, which is noise."""
    load(store, tmp_path, "one", BELOW[:1])
    two, _ = load(store, tmp_path, "two", BELOW)
    path = store.data / "blobs" / "sha256" / two.layers[1]["digest"][7:]
    path.write_bytes(b"\xaa" * path.stat().st_size)
    _, got = load(store, tmp_path, "three", BELOW + ABOVE[:1])
    disklib.check(disk_of(store, got))


def test_a_damaged_disk_below_is_no_use(store, tmp_path):
    """Then the layers are read, as if it were not there."""
    _, base = load(store, tmp_path, "base", BELOW)
    disk_of(store, base).write_bytes(b"\xff" * 300_000)
    _, got = load(store, tmp_path, "app", BELOW + ABOVE)
    whole = Store(tmp_path / "other")
    _, expected = load(whole, tmp_path, "full", BELOW + ABOVE)
    assert disk_of(store, got).read_bytes() == disk_of(whole, expected).read_bytes()


def test_other_layers_are_not_taken_for_the_same(store, tmp_path):
    """The same layers in another order, and one layer that differs: chain ids differ, so nothing is shared."""
    first, second = BELOW
    load(store, tmp_path, "base", [first])
    _, got = load(store, tmp_path, "turned", [second, first, ABOVE[1]])
    described = ext4_reader.Image(disk_of(store, got)).describe()
    assert "cap" in described and "b" in described


def sha512(image):
    for i, layer in enumerate(image.layers):
        plain = ocilib.gzip.decompress(image.blobs[layer["digest"]])
        image.config["rootfs"]["diff_ids"][i] = ocilib.digest(plain, "sha512")
    del image.blobs[image.manifest["config"]["digest"]]
    image.manifest["config"] = image.blob(ocilib.json.dumps(image.config).encode(), ocilib.CONFIG)


def test_diff_ids_of_sha512(store, tmp_path):
    """Registered in the OCI image spec, so they are checked; alone, one is the chain id too. Removed with the image."""
    _, one = load(store, tmp_path, "one", BELOW[:1], lie=sha512)
    assert one["chain_id"].startswith("sha512:") and disk_of(store, one).exists()
    _, two = load(store, tmp_path, "two", BELOW, lie=sha512)
    assert two["chain_id"].startswith("sha256:")
    disklib.check(disk_of(store, two))

    def wrong(image):
        sha512(image)
        image.config["rootfs"]["diff_ids"][0] = "sha512:" + "0" * 128
        del image.blobs[image.manifest["config"]["digest"]]
        image.manifest["config"] = image.blob(ocilib.json.dumps(image.config).encode(), ocilib.CONFIG)
    layout = write_layout(tmp_path / "wrong", {"localhost/wrong:v1": Image([BELOW[0].bytes()], lie=wrong)})
    store.fails("integrity", "load", f"oci:{layout}", says="digest of the uncompressed layer is sha512:")
    assert len(store.disks()) == 2
    store.ok("rm", "localhost/one:v1")
    store.ok("prune", "all")
    assert store.disks() == []


def test_names_as_builders_write_them(store, tmp_path):
    """"./a" by most, "/a" and "/" by kaniko, ko and distroless: all of them mean the image's root."""
    layers = [Layer().folder("./").folder("./etc").file("./etc/one", "1"),
              Layer().folder("/", mode=0o711).folder("/etc/", mode=0o700).file("/etc/two", "2").link("/etc/three", "/etc/one")]
    _, image = load(store, tmp_path, "rooted", layers)
    described = ext4_reader.Image(disk_of(store, image)).describe()
    assert set(described) == {"", "etc", "etc/one", "etc/two", "etc/three"}
    assert described["etc"][0] == oct(stat.S_IFDIR | 0o700)


@pytest.mark.parametrize("name,layers,says", [
    ("dots", [Layer().file("../../x")], "name with '..'"),
    ("rooted-dots", [Layer().file("/../x")], "name with '..'"),
    ("link-out", [Layer().link("x", "../../etc/shadow")], "name with '..'"),
    ("through-a-symlink", [Layer().folder("usr/lib").symlink("lib", "usr/lib"), Layer().file("lib/x")],
     "'lib' on the way is a symlink to 'usr/lib', and writing through one is refused"),
    ("out-by-a-symlink", [Layer().symlink("up", "../../.."), Layer().file("up/x")], "writing through one is refused"),
    ("folder-to-file", [Layer().folder("d").file("d/x").file("d", "f")], "it would replace a folder of the same layer"),
])
def test_the_store_refuses(store, tmp_path, name, layers, says):
    """By way of the store, with nothing left there and nothing written outside."""
    layout = write_layout(tmp_path / "in", {"localhost/bad:v1": Image([layer.bytes() for layer in layers])})
    before = sorted(os.listdir(tmp_path))
    store.fails("integrity", "load", f"oci:{layout}", says=says)
    assert store.disks() == [] and store.ok("ls")["images"] == []
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="umoci unpacks as root here")
def test_a_folder_that_became_something_else(store, tmp_path):
    """In a higher layer that is what OCI says and what builders write: the layer umoci makes of it is taken, and equals the tree."""
    tree = Layer().folder("one").file("one/a", "a").folder("two").file("two/b", "b").file("three", "3")
    layout = write_layout(tmp_path / "oci", {"t": Image([tree.bytes()])})
    bundle = tmp_path / "bundle"
    subprocess.run(["umoci", "unpack", "--image", f"{layout}:t", bundle], check=True, capture_output=True)
    root = bundle / "rootfs"
    shutil.rmtree(root / "one")
    (root / "one").write_text("a file now")
    shutil.rmtree(root / "two")
    (root / "two").symlink_to("one")
    (root / "three").unlink()
    (root / "three").mkdir()
    for name in ("one", "two", "three"):
        os.utime(root / name, (disklib.EPOCH, disklib.EPOCH), follow_symlinks=False)  # umoci rounds times
    subprocess.run(["umoci", "repack", "--image", f"{layout}:n", bundle], check=True, capture_output=True)
    image = store.ok("load", f"oci:{layout}:n", "localhost/turned:v1")["image"]
    disklib.assert_same(ext4_reader.Image(disk_of(store, image)).describe(), disklib.describe_tree(root))
