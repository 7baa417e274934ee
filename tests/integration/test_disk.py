# SPDX-License-Identifier: MIT
"""Layers to ext4: equal, entry by entry, to what umoci and tar make of them, and clean for e2fsck."""
import os
import random
import stat
import struct
import subprocess
import tarfile

import pytest

import disklib
from disklib import Failed, Layer, build

CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)  # cap_net_bind_service=ep


def pax_xattr(name, value):
    return {f"SCHILY.xattr.{name}": value}


def same_as_umoci(tmp_path, layers, **options):
    image = build(tmp_path, layers, **options)
    arguments = disklib.write_layers(tmp_path / "layers", layers)
    rootfs = disklib.umoci_unpack(tmp_path / "umoci", arguments)
    ours = image.describe()
    disklib.assert_same(ours, disklib.describe_tree(rootfs))
    return image, ours


def as_root():
    return pytest.mark.skipif(os.geteuid() != 0, reason="umoci and tar need root to set owners and devices")


def test_every_kind_of_entry(tmp_path):
    layer = (Layer().folder(".", mode=0o711).folder("dev").folder("a", mode=0o1777, uid=70000, gid=80000)
             .file("a/empty").file("a/small", "hello\n", mode=0o4755, uid=1000)
             .file("a/block", b"x" * 4096).file("a/more", b"y" * 4097).file("a/big", b"z" * 3_000_000)
             .symlink("a/short", "small").symlink("a/59", "s" * 59).symlink("a/60", "s" * 60)
             .symlink("a/long", "t" * 4000).symlink("a/out", "../../../../etc/passwd")
             .link("a/second", "a/small")
             .add("dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666)
             .add("dev/vda9", tarfile.BLKTYPE, devmajor=259, devminor=300, mode=0o660)
             .add("dev/fifo", tarfile.FIFOTYPE)
             .file("n" * 255, "long name").file("deep/" * 40 + "end", "implied folders"))
    entries = build(tmp_path, [layer]).describe()
    assert entries[""][0] == oct(stat.S_IFDIR | 0o711)
    assert entries["a"][:3] == (oct(stat.S_IFDIR | 0o1777), 70000, 80000)
    assert entries["a/second"] == entries["a/small"]
    assert entries["a/small"][5] == 2
    assert entries["a/small"][0] == oct(stat.S_IFREG | 0o4755)
    assert entries["dev/null"][6] == (1, 3)
    assert entries["dev/vda9"][6] == (259, 300)
    assert entries["dev/fifo"][0] == oct(stat.S_IFIFO | 0o644)
    assert entries["a/60"][6] == b"s" * 60
    assert entries["a/59"][6] == b"s" * 59
    assert entries["a/long"][6] == b"t" * 4000
    assert entries["a/out"][6] == b"../../../../etc/passwd"
    assert entries["deep/deep"][:3] == (oct(stat.S_IFDIR | 0o755), 0, 0)


@as_root()
def test_features_over_layers_equal_umoci(tmp_path):
    rng = random.Random(7)
    sparse = tmp_path / "sparse"
    with open(sparse, "wb") as f:
        for at in (0, 70_000, 1 << 20, 9 << 20):
            f.seek(at)
            f.write(rng.randbytes(5000))
        f.truncate(12 << 20)
    sparse_tar = tmp_path / "sparse.tar"
    subprocess.run(["tar", "--sparse", "--format=pax", "--mtime=@1700000000", "-C", tmp_path, "-cf", sparse_tar,
                    "sparse"], check=True)
    base = (Layer().folder("bin").folder("etc").folder("opaque").folder("gone").folder("kept")
            .file("bin/ping", rng.randbytes(60000), mode=0o755, pax=pax_xattr("security.capability", CAPABILITY))
            .file("etc/passwd", "root\n").file("etc/two", "2").link("etc/deux", "etc/two")
            .file("opaque/old", "old").folder("opaque/sub").file("opaque/sub/old", "old")
            .file("gone/a", "a").folder("gone/b").file("gone/b/c", "c").file("kept/a", "a").file("kept/b", "b")
            .folder("dev").add("dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3)
            .file("turns", "file").folder("turned").file("turned/x", "x"))
    middle = (Layer().folder("opaque", mode=0o700).opaque("opaque").file("opaque/new", "new")
              .whiteout("gone").whiteout("kept/b").file("etc/passwd", "root\nuser\n")
              .folder("turns").file("turns/inside", "y").file("turned", "now a file").whiteout("etc/nothing"))
    top = (Layer().file("etc/two", "zwei").link("etc/drei", "etc/deux").folder("gone", mode=0o750)
           .file("gone/again", "again").file("user", "u", pax=pax_xattr("user.mime", "text/plain")))
    image, ours = same_as_umoci(tmp_path, [base, middle, top, sparse_tar])
    assert "opaque/old" not in ours and "gone/b" not in ours
    assert ours["bin/ping"][7] == (("security.capability", CAPABILITY),)
    inode = image.walk()["sparse"]
    assert inode.sectors * 512 < 64 * 1024 < inode.size, "a sparse file takes only what it holds"


@as_root()
@pytest.mark.parametrize("form", ["gnu", "oldgnu", "pax", "ustar", "v7"])
def test_formats_of_gnu_tar(tmp_path, form):
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "file").write_bytes(b"content" * 1000)
    os.link(tree / "sub" / "file", tree / "link")
    os.symlink("sub/file", tree / "symlink")
    if form != "v7":
        os.mkfifo(tree / "fifo")
        os.mknod(tree / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    if form in ("gnu", "oldgnu", "pax"):
        long = tree / ("d" * 120) / ("e" * 120)
        long.mkdir(parents=True)
        (long / ("f" * 200)).write_text("deep")
        os.symlink("t" * 300, long / "link")
        os.chown(long / ("f" * 200), 3_000_000_000, 4_000_000_000)
    archive = tmp_path / "a.tar"
    subprocess.run(["tar", f"--format={form}", "-C", tree, "-cf", archive, "."], check=True)
    reference = tmp_path / "reference"
    reference.mkdir()
    subprocess.run(["tar", "-C", reference, "-xpf", archive, "--same-owner", "--numeric-owner"], check=True)
    disklib.assert_same(build(tmp_path, [archive]).describe(), disklib.describe_tree(reference))


@as_root()
@pytest.mark.parametrize("version", ["--format=gnu", "--format=oldgnu", "--sparse-version=0.0", "--sparse-version=0.1",
                                     "--sparse-version=1.0"])
def test_sparse_formats(tmp_path, version):
    tree = tmp_path / "tree"
    tree.mkdir()
    rng = random.Random(3)
    with open(tree / "many", "wb") as f:
        for i in range(700):
            f.seek(i * 20_000 + rng.randrange(3000))
            f.write(rng.randbytes(rng.randrange(1, 6000)))
        f.truncate(20 << 20)
    with open(tree / "all-hole", "wb") as f:
        f.truncate(100 << 20)
    with open(tree / "far", "wb") as f:
        f.seek(5 << 30)
        f.write(b"end")
    archive = tmp_path / "a.tar"
    subprocess.run(["tar", "--sparse", *(["--format=pax"] if "version" in version else []), version, "-C", tree, "-cf",
                    archive, "."], check=True)
    image = build(tmp_path, [archive])
    walked = image.walk()
    for name in ("many", "all-hole"):
        assert image.read(walked[name]) == (tree / name).read_bytes()
    assert walked["far"].size == (5 << 30) + 3
    assert list(image.extents(walked["far"]))[0][2] == 1
    assert walked["many"].iblock[6] > 0, "so many pieces need a tree"
    assert walked["all-hole"].sectors == 0


@as_root()
def test_libarchive_xattrs(tmp_path):
    """bsdtar writes both spellings of an attribute, in base64 and percent signs where needed."""
    value = bytes(range(256))
    layer = (Layer().file("both", "x", pax={"LIBARCHIVE.xattr.user.a%20b": "AAEC/w", **pax_xattr("user.c", "plain")})
             .file("same", "x", pax={"LIBARCHIVE.xattr.user.c": "b2xk", **pax_xattr("user.c", "new")})
             .file("mac", "x", pax=pax_xattr("com.apple.provenance", "x"))
             .file("raw", "x", pax={"LIBARCHIVE.xattr.user.raw": __import__("base64").b64encode(value).decode()}))
    entries = build(tmp_path, [layer]).describe()
    assert dict(entries["both"][7]) == {"user.a b": b"\0\1\2\xff", "user.c": b"plain"}
    assert dict(entries["same"][7]) == {"user.c": b"new"}
    assert entries["mac"][7] == ()
    assert dict(entries["raw"][7]) == {"user.raw": value}


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


def test_frame_of_the_file_system(tmp_path):
    """What is promised of it: 64-bit numbers, checksums, flex groups, indexed folders, no journal; and one run per file."""
    layer = Layer().folder("d")
    for i in range(50):
        layer.file(f"d/{i}", b"x" * (i * 5000))
    image = build(tmp_path, [layer.file("large", b"y" * (20 << 20))])
    head = subprocess.run(["/sbin/dumpe2fs", "-h", image.path], capture_output=True, text=True, check=True).stdout
    fields = dict(line.split(":", 1) for line in head.splitlines() if ":" in line)
    features = set(fields["Filesystem features"].split())
    assert {"64bit", "metadata_csum", "flex_bg", "dir_index", "extent", "sparse_super2", "extra_isize"} <= features
    assert "has_journal" not in features
    for name, inode in image.walk().items():
        if name.startswith("d/") or name == "large":
            assert len(list(image.extents(inode))) == (1 if inode.size else 0), name
    assert int(image.figures["writes"]) < 100, "what lies together is written together"


def test_xattrs_inline_and_in_blocks(tmp_path):
    access = acl((1, 7, 0xFFFFFFFF), (2, 6, 1000), (4, 5, 0xFFFFFFFF), (16, 7, 0xFFFFFFFF), (32, 5, 0xFFFFFFFF))
    big = {f"SCHILY.xattr.user.big{i}": "v" * 500 for i in range(6)}
    # Values that are no UTF-8 can only be written by libarchive's spelling here.
    def raw(name, value):
        return {f"LIBARCHIVE.xattr.{name}": __import__("base64").b64encode(value).decode()}
    layer = Layer().folder("d", pax=raw("system.posix_acl_default", access))
    layer.file("acl", "x", pax=raw("system.posix_acl_access", access))
    layer.file("none", "x", pax=pax_xattr("user.empty", ""))
    for i in range(2100):
        layer.file(f"d/f{i}", "x", pax=big)
    layer.file("one", "x", pax=pax_xattr("user.one", "o" * 4000))
    image = build(tmp_path, [layer])
    walked = image.walk()
    entries = image.describe(with_content=False)
    assert dict(entries["acl"][7]) == {"system.posix_acl_access": access}
    assert dict(entries["d"][7]) == {"system.posix_acl_default": access}
    assert dict(entries["none"][7]) == {"user.empty": b""}
    assert dict(entries["d/f7"][7]) == {f"user.big{i}": b"v" * 500 for i in range(6)}
    assert len({walked[f"d/f{i}"].xattr_block for i in range(2100)}) == 3, "1,024 inodes share a block"
    assert dict(entries["one"][7])["user.one"] == b"o" * 4000


def test_times(tmp_path):
    layer = Layer()
    times = {"a": "0", "b": "-1.25", "c": "1700000000.123456789", "d": "4102444800.5", "e": "-2147483648",
             "f": "15032385535.999999999"}
    for name, text in times.items():
        layer.file(name, "", pax={"mtime": text})
    layer.file("early", "", pax={"mtime": "-99999999999"}).file("late", "", pax={"mtime": "99999999999999"})
    entries = build(tmp_path, [layer]).describe()
    assert entries["a"][4] == 0
    assert entries["b"][4] == -1_250_000_000
    assert entries["c"][4] == 1700000000_123456789
    assert entries["d"][4] == 4102444800_500000000
    assert entries["e"][4] == -2147483648 * 10**9
    assert entries["f"][4] == 15032385535_999999999
    assert entries["early"][4] // 10**9 == -2147483648
    assert entries["late"][4] // 10**9 == (3 << 32) + 2147483647


LOWER = (Layer().folder("d", mode=0o700, uid=5).file("d/a", "a").file("d/b", "b").folder("d/sub").file("d/sub/x", "x")
         .file("f", "f").folder("e").file("e/y", "y").bytes())


@pytest.mark.parametrize("name,entries,want", [
    ("opaque first", [("opaque", "d"), ("file", "d/new")], {"d", "d/new", "e", "e/y", "f"}),
    ("opaque last", [("file", "d/new"), ("opaque", "d")], {"d", "d/new", "e", "e/y", "f"}),
    ("opaque between", [("file", "d/new"), ("opaque", "d"), ("file", "d/more")],
     {"d", "d/new", "d/more", "e", "e/y", "f"}),
    ("opaque twice", [("opaque", "d"), ("file", "d/new"), ("opaque", "d")], {"d", "d/new", "e", "e/y", "f"}),
    ("opaque over a folder used again", [("file", "d/sub/new"), ("opaque", "d")],
     {"d", "d/sub", "d/sub/new", "e", "e/y", "f"}),
    ("opaque below, then above", [("file", "d/sub/new"), ("opaque", "d/sub"), ("opaque", "d")],
     {"d", "d/sub", "d/sub/new", "e", "e/y", "f"}),
    ("whiteout first", [("whiteout", "d/a"), ("file", "d/a")], {"d", "d/a", "d/b", "d/sub", "d/sub/x", "e", "e/y", "f"}),
    ("whiteout last", [("file", "d/a"), ("whiteout", "d/a")], {"d", "d/a", "d/b", "d/sub", "d/sub/x", "e", "e/y", "f"}),
    ("whiteout of a folder", [("whiteout", "d")], {"e", "e/y", "f"}),
    ("whiteout of a folder used again before", [("file", "d/new"), ("whiteout", "d")], {"d", "d/new", "e", "e/y", "f"}),
    ("whiteout of a folder used again behind", [("whiteout", "d"), ("file", "d/new")], {"d", "d/new", "e", "e/y", "f"}),
    ("opaque root", [("opaque", ""), ("file", "only")], {"only"}),
    ("whiteout in a folder that is not there", [("whiteout", "q/r")], {"d", "d/a", "d/b", "d/sub", "d/sub/x", "e", "e/y",
                                                                      "f"}),
    ("aufs bookkeeping", [("file", ".wh..wh.plnk"), ("file", ".wh..wh.aufs"), ("whiteout", "f")],
     {"d", "d/a", "d/b", "d/sub", "d/sub/x", "e", "e/y"}),
])
def test_whiteouts_in_any_order(tmp_path, name, entries, want):
    upper = Layer()
    for method, path in entries:
        getattr(upper, method)(path)
    described = build(tmp_path, [LOWER, upper]).describe()
    assert set(described) - {""} == want
    if "d/new" in want and "whiteout" in name:
        assert described["d"][:2] == (oct(stat.S_IFDIR | 0o755), 0), "what was hidden leaves no attributes behind"


def test_whiteouts_never_reach_their_own_layer_or_higher(tmp_path):
    lower = Layer().file("a", "1").opaque("").whiteout("a")
    third = Layer().file("b", "3")
    assert set(build(tmp_path, [lower, Layer().whiteout("b"), third]).describe()) == {"", "a", "b"}


def test_replaced_entries_free_their_space(tmp_path):
    big = b"\1" * (8 << 20)
    once = build(tmp_path / "once", [Layer().file("f", big).file("g", "g")])
    often = build(tmp_path / "often", [Layer().file("f", big).file("g", "g")] + [Layer().file("f", big)] * 5 +
                  [Layer().whiteout("f"), Layer().folder("f").file("f/x", "x"), Layer().whiteout("f"),
                   Layer().file("f", big)])
    assert often.describe() == once.describe()
    assert int(often.figures["used_bytes"]) - int(once.figures["used_bytes"]) < 64 * 1024
    assert os.stat(often.path).st_blocks * 512 < 10 << 20, "holes on the host too"


def test_hard_links_over_layers(tmp_path):
    image = build(tmp_path, [Layer().file("a", "one").link("b", "a"),
                             Layer().link("c", "b").whiteout("a").folder("d").link("d/e", "c"),
                             Layer().file("b", "other").symlink("s", "c").link("t", "s"),
                             # the link's target goes away with the folder the link replaces
                             Layer().link("d", "d/e")])
    entries = image.describe()
    assert set(entries) == {"", "b", "c", "d", "s", "t"}
    assert entries["c"] == entries["d"]
    assert entries["c"][5] == 2
    assert entries["t"] == entries["s"]
    assert image.read(image.walk()["b"]) == b"other"


def test_same_bytes_every_time(tmp_path):
    layers = [Layer().folder("a").file("a/b", "c", pax=pax_xattr("user.x", "y")).symlink("l", "t" * 100),
              Layer().file("a/b", "d" * 10000).bytes()]
    many = Layer()
    for i in range(3000):
        many.file(f"m/file-{i}", str(i))
    first = build(tmp_path / "1", layers + [many]).path.read_bytes()
    second = build(tmp_path / "2", layers + [many], compress=False).path.read_bytes()
    assert first == second


def with_base(folder, layers, split, name="disk"):
    """Build all layers at once, and the upper ones on the disk of the lower ones: the bytes must be the same."""
    arguments = disklib.write_layers(folder / "in", layers, compress=False)
    whole, lower, upper = (folder / f"{name}-{part}" for part in ("whole", "lower", "upper"))
    disklib.run_tool("build", whole, *arguments)
    disklib.run_tool("build", lower, *arguments[:split])
    figures = disklib.run_tool("--base", lower, split, "build", upper, *arguments)
    assert figures["base"] == "1"
    disklib.check(upper)
    assert upper.read_bytes() == whole.read_bytes()
    return lower, whole, arguments


def test_lower_layers_from_their_disk(tmp_path):
    rng = random.Random(11)
    sparse = tmp_path / "sparse"
    with open(sparse, "wb") as f:
        for i in range(2000):
            f.seek(i * 20_000)
            f.write(b"%d" % i)
        f.truncate(60 << 20)
    archive = tmp_path / "s.tar"
    subprocess.run(["tar", "--sparse", "--format=pax", "-C", tmp_path, "-cf", archive, "sparse"], check=True)
    first = (Layer().folder("d", mode=0o700).file("d/a", b"a" * 10000).symlink("s", "t" * 50).symlink("l", "t" * 500)
             .file("cap", "x", pax=pax_xattr("security.capability", CAPABILITY))
             .file("big", "x", pax=pax_xattr("user.big", "v" * 3000)).link("hard", "d/a")
             .add("dev", tarfile.CHRTYPE, devmajor=259, devminor=300).add("fifo", tarfile.FIFOTYPE)
             .file("old", "", pax={"mtime": "-5.5"}).file("late", "", pax={"mtime": "15032385535.999999999"})
             .file("gone", rng.randbytes(100_000)).file("gone too", "x", pax=pax_xattr("user.gone", "v" * 3000)))
    many = Layer().whiteout("gone").whiteout("gone too")
    for i in range(3000):
        many.file(f"m/n{i}", b"x" * (i % 50))
    many.whiteout("nothing").file("last", "x").file("removed", "y")
    third = Layer().whiteout("removed").opaque("d").file("d/b", "b").file("m/n7", "again").whiteout("m/n8")
    third.file("cap2", "x", pax=pax_xattr("security.capability", CAPABILITY))
    third.file("big2", "x", pax=pax_xattr("user.big", "v" * 3000)).link("hard2", "hard").file("sparse", "now plain")
    fourth = Layer().whiteout("m").file("cap", "y").file("m", "a file").whiteout("big")
    layers = [first, archive, many, third, fourth]
    for split in range(1, 6):
        with_base(tmp_path, layers, split, f"s{split}")


@as_root()
def test_debian_as_the_lower_layer(tmp_path):
    upper = (Layer().file("usr/bin/python3", "#!/bin/sh\n", mode=0o755).whiteout("usr/share/doc").folder("app")
             .file("app/main.py", "print(6*7)\n").file("etc/debian_version", "other\n"))
    lower, _, _ = with_base(tmp_path, [disklib.debian_tar(), upper], 1)
    assert lower.exists()


def test_a_base_that_is_no_use_is_left_out(tmp_path):
    layers = [Layer().file("a", b"a" * 5000).folder("d").file("d/x"), Layer().file("b", "b")]
    lower, whole, arguments = with_base(tmp_path, layers, 1)
    good = lower.read_bytes()
    image = disklib.ext4_reader.Image(lower)
    inode_at = image.data.find(image.walk()["a"].raw)
    folder_at = next(image.extents(image.walk()["d"]))[1] * image.block
    image.close()
    upper_disk = tmp_path / "other.ext4"
    disklib.run_tool("upper", upper_disk, 64 << 20)
    cases = {"missing": None, "empty": b"", "cut": good[:280_000], "noise": b"\xff" * len(good),
             "superblock": good[:1024 + 120] + b"\xff" + good[1024 + 121:],
             "inode": good[:inode_at + 4] + b"\x09" + good[inode_at + 5:],
             "folder": good[:folder_at + 24] + b"\xff\xff\xff" + good[folder_at + 27:],
             "name": good[:folder_at + 32] + b"y" + good[folder_at + 33:],
             "another kind": upper_disk.read_bytes()}
    for name, data in cases.items():
        lower.unlink(missing_ok=True)
        if data is not None:
            lower.write_bytes(data)
        figures = disklib.run_tool("--base", lower, 1, "build", tmp_path / "out", *arguments)
        assert figures["base"] == "0", name
        assert (tmp_path / "out").read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("kind", ["gzip", "gzip -9", "zstd", "zstd -19", "plain", "members", "frames"])
def test_compressions(tmp_path, kind):
    data = Layer().file("a", random.Random(5).randbytes(3_000_000)).file("b", b"\0" * 9_000_000).bytes()
    raw, blob = tmp_path / "raw", tmp_path / "blob"
    raw.write_bytes(data)
    if kind in ("members", "frames"):
        tool = "gzip" if kind == "members" else "zstd"
        halves = [data[:1_000_001], data[1_000_001:]]
        blob.write_bytes(b"".join(subprocess.run([tool, "-c"], input=h, stdout=subprocess.PIPE, check=True).stdout
                                  for h in halves))
    elif kind == "plain":
        blob.write_bytes(data)
    else:
        blob.write_bytes(subprocess.run([*kind.split(), "-c", str(raw)], stdout=subprocess.PIPE, check=True).stdout)
    disk = tmp_path / "disk"
    disklib.run_tool("build", disk, f"{blob}={disklib.digest(data)}")
    disklib.check(disk)


@as_root()
def test_kernel_agrees(tmp_path):
    """Mounted by the kernel of this machine, read-only, the tree is the same."""
    layer = Layer().folder("many", mode=0o750)
    for i in range(5000):
        layer.file(f"many/name-{i:06d}-{'x' * (i % 60)}", str(i))
    layer.file("caps", "x", pax=pax_xattr("user.a", "b" * 2000)).symlink("s", "t" * 200)
    image = build(tmp_path, [layer])
    mount = tmp_path / "mount"
    mount.mkdir()
    done = subprocess.run(["mount", "-o", "loop,ro", image.path, mount], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no loop mounts here: {done.stderr.strip()}")
    try:
        disklib.assert_same(image.describe(), disklib.describe_tree(mount), ignore_root=False)
        for i in range(0, 5000, 7):
            assert (mount / f"many/name-{i:06d}-{'x' * (i % 60)}").read_text() == str(i)
        assert not (mount / "many" / "name-not-there").exists()
    finally:
        subprocess.run(["umount", mount], check=True)


@pytest.mark.parametrize("size", [1 << 20, 64 << 20, 10 << 30, 1 << 40])
def test_writable_disk(tmp_path, size):
    path = tmp_path / "upper"
    disklib.run_tool("upper", path, size)
    disklib.check(path)
    st = os.stat(path)
    assert (st.st_size, stat.S_IMODE(st.st_mode)) == (size, 0o600)
    assert st.st_blocks * 512 < 5 << 20, "sparse"
    image = disklib.ext4_reader.Image(path)
    assert set(image.walk()) == {""}, "not even lost+found"
    assert image.walk()[""].uid == 0
    assert bool(image.compat & 4) == (size >= 8 << 20), "has a journal unless it is tiny"
    with pytest.raises(Failed, match="exists"):
        disklib.run_tool("upper", path, size)
    assert disklib.leftovers(tmp_path) == []


def test_writable_disk_refusals(tmp_path):
    with pytest.raises(Failed, match="at least 1 MiB"):
        disklib.run_tool("upper", tmp_path / "x", 4096)
    with pytest.raises(Failed, match="not-found"):
        disklib.run_tool("upper", tmp_path / "no" / "folder", 1 << 20)
