# SPDX-License-Identifier: MIT
"""Layers made to do harm: each is refused with a clear error, and nothing is left behind."""
import base64
import gzip
import os
import pathlib
import signal
import struct
import subprocess
import tarfile
import time
import zlib

import pytest

import disklib
from disklib import Failed, Layer, build

BLOCK = 512


def refused(folder, layers, match, *options):
    """The build fails with E_INTEGRITY, leaves no file, and leaves a disk that was there as it was."""
    folder.mkdir(exist_ok=True)
    arguments = disklib.write_layers(folder / "layers", layers)
    disk = folder / "disk.ext4"
    disk.write_text("the old one")
    with pytest.raises(Failed, match=match) as failure:
        disklib.run_tool(*options, "build", disk, *arguments)
    assert str(failure.value).startswith("integrity: layer "), failure.value
    assert disk.read_text() == "the old one"
    assert disklib.leftovers(folder) == []
    assert len(str(failure.value)) < 1000 and str(failure.value).isprintable()


def header(name=b"x", kind=b"0", size=b"00000000000\0", magic=b"ustar\0" + b"00", **at):
    """A raw header with a right checksum; at: field=(offset, bytes)."""
    block = bytearray(BLOCK)
    block[0:len(name)] = name
    block[100:108], block[108:116], block[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    block[124:124 + len(size)] = size
    block[136:148] = b"00000000000\0"
    block[156:157], block[257:257 + len(magic)] = kind, magic
    for offset, data in at.values():
        block[offset:offset + len(data)] = data
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data):
    return data + bytes(-len(data) % BLOCK)


END = bytes(2 * BLOCK)


def octal(n):
    return b"%011o\0" % n


def pax(*records, size=None):
    body = b"".join(record(*r) if isinstance(r, tuple) else r for r in records)
    return header(b"pax", b"x", octal(size if size is not None else len(body))) + padded(body)


def record(key, value):
    rest = b" " + key + b"=" + value + b"\n"
    n = len(rest)
    while n != len(b"%d" % n) + len(rest):
        n = len(b"%d" % n) + len(rest)
    return b"%d" % n + rest


ENTRIES = [
    ("dots", Layer().file("../etc/passwd"), r"entry '\.\./etc/passwd': name with '\.\.'"),
    ("dots inside", Layer().file("a/../../b"), "name with"),
    ("dots at the end", Layer().folder("a/.."), "name with"),
    ("absolute", Layer().file("/etc/passwd"), "entry '/etc/passwd': absolute name"),
    ("absolute folder", Layer().folder("/"), "absolute name"),
    ("hard link out", Layer().link("a", "../../etc/shadow"), r"hard link to '\.\./\.\./etc/shadow': name with"),
    ("absolute hard link", Layer().link("a", "/etc/shadow"), "hard link to '/etc/shadow': absolute name"),
    ("hard link to nothing", Layer().link("a", "b").file("b"), "hard link to 'b': it is not in the image at this point"),
    ("hard link to itself", Layer().link("a", "a"), "not in the image"),
    ("hard link to a folder", Layer().folder("d").link("a", "d"), "it is a folder"),
    ("hard link to the root", Layer().link("a", "."), "not in the image"),
    ("through a symlink", Layer().symlink("l", "/etc").file("l/passwd", "x"),
     r"entry 'l/passwd': 'l' on the way is a symlink to '/etc', and writing through one is refused"),
    ("through a long symlink", Layer().symlink("l", "t" * 200).file("l/x"), "'l' on the way is a symlink, and writing"),
    ("hard link through a symlink", Layer().folder("d").file("d/f").symlink("l", "d").link("a", "l/f"), "is a symlink"),
    ("through a file", Layer().file("f").file("f/g"), "'f' on the way is no folder"),
    ("folder replaced by a file", Layer().folder("d").file("d"), "it would replace a folder of the same layer"),
    ("folder in use replaced", Layer().file("d/x").symlink("d", "/etc"), "it would replace a folder"),
    ("folder replaced by a link", Layer().file("f").folder("d").link("d", "f"), "it would replace a folder"),
    ("root as a file", Layer().file("."), "the root is a folder"),
    ("name part too long", Layer().file("n" * 256), "part of 256 bytes"),
    ("path too long", Layer().file("a/" * 2100), "name of 42.. bytes, more than 4095"),
    ("path of 1 MB", Layer().file("a/" * (1 << 19)), "extended header of"),
    ("target too long", Layer().symlink("a", "t" * 5000), "link target of 5000 bytes"),
    ("whiteout of nothing", Layer().file(".wh."), "whiteout without a name"),
    ("whiteout of dots", Layer().file("a/.wh..."), "whiteout without a name"),
    ("escape codes", Layer().file("../\x1b[2J\u202e"), r"entry '\.\./\\x1b\[2J\\u\{202e\}'"),
    ("xattr value too large", Layer().file("a", pax={"SCHILY.xattr.user.a": "v" * 5000}), "does not fit into a block"),
    ("xattrs too large", Layer().file("a", pax={f"SCHILY.xattr.user.{i}": "v" * 900 for i in range(6)}), "do not fit"),
    ("too many xattrs", Layer().file("a", pax={f"SCHILY.xattr.user.{i}": "v" for i in range(1100)}), "more than 1024"),
    ("xattr name too long", Layer().file("a", pax={"SCHILY.xattr.user." + "n" * 256: "v"}), "is too long"),
    ("malformed ACL", Layer().file("a", pax={"SCHILY.xattr.system.posix_acl_access": "acl"}), "malformed"),
    ("bad base64", Layer().file("a", pax={"LIBARCHIVE.xattr.user.a": "!!"}), "bad value"),
    ("no uid", Layer().file("a", pax={"uid": "-1"}), "bad value of 'uid'"),
    ("uid too large", Layer().file("a", pax={"uid": "4294967296"}), "bad value of 'uid'"),
    ("time", Layer().file("a", pax={"mtime": "yesterday"}), "bad value of 'mtime'"),
    ("device number", Layer().add("d", tarfile.CHRTYPE, devmajor=5000, devminor=1), "cannot exist"),
]


@pytest.mark.parametrize("layer,match", [e[1:] for e in ENTRIES], ids=[e[0] for e in ENTRIES])
def test_entries(tmp_path, layer, match):
    refused(tmp_path, [layer], match)


STREAMS = [
    ("checksum", b"x" * BLOCK, "header checksum does not match"),
    ("unknown type", header(kind=b"Q"), "unknown type 0x51"),
    ("multi-volume", header(kind=b"M"), "unknown type"),
    ("cut in a header", header()[:100], "cut short at byte 100"),
    ("cut in data", header(size=octal(1000)) + b"x" * 600, "cut short"),
    ("lone zero block", header() + bytes(BLOCK) + header(), "lone zero block"),
    ("negative size", header(size=b"\xff" * 12), "bad number"),
    ("size of 8 EiB", header(size=b"\x80\0\0\0" + struct.pack(">Q", (1 << 63) - 1)), "bad number"),
    ("size of 1 EiB", header(size=b"\x80\0\0\0" + struct.pack(">Q", 1 << 60)), "file of 1152921504606846976 bytes"),
    ("size by pax", pax((b"size", b"1152921504606846976")) + header() + END, "file of 1152921504606846976 bytes"),
    ("letters for digits", header(size=b"0000000zz00\0"), "bad number"),
    ("no name", header(name=b""), "without a name"),
    ("no target", header(kind=b"2"), "without a link target"),
    ("huge pax header", pax(b"", size=1 << 30), "extended header of 1073741824 bytes, more than 1048576"),
    ("huge global header", header(kind=b"g", size=octal(1 << 30)), "huge global header"),
    ("huge long name", header(kind=b"L", size=octal(1 << 30)), "long name of 1073741824 bytes"),
    ("long name of zeros", header(kind=b"L", size=octal(512)) + bytes(512), "bad long name"),
    ("pax length 0", pax(b"0 a=b\n") + header(), "bad record length"),
    ("pax length beyond", pax(b"99999 a=b\n") + header(), "bad record length"),
    ("pax length huge", pax(b"9" * 400 + b" a=b\n") + header(), "bad record length"),
    ("pax without key", pax(b"5 =b\n\n") + header(), "bad record length|without a key"),
    ("pax without end", pax(b"7 a=bcd") + header(), "bad record length"),
    ("zero byte in path", pax((b"path", b"a\0b")) + header(), "bad value of 'path'"),
    ("sparse map out of order", pax((b"GNU.sparse.size", b"100"), (b"GNU.sparse.map", b"50,10,0,10")) +
     header(size=octal(20)) + padded(b"x" * 20), "out of order"),
    ("sparse map beyond the size", pax((b"GNU.sparse.size", b"100"), (b"GNU.sparse.map", b"95,10")) +
     header(size=octal(10)) + padded(b"x" * 10), "beyond the file's size"),
    ("sparse map that does not add up", pax((b"GNU.sparse.size", b"100"), (b"GNU.sparse.map", b"0,10")) +
     header(size=octal(20)) + padded(b"x" * 20), "does not add up"),
    ("sparse map cut", pax((b"GNU.sparse.size", b"100"), (b"GNU.sparse.map", b"0,10,20")) + header(size=octal(10)) +
     padded(b"x" * 10), "cut short"),
    ("sparse map of many", pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
                               (b"GNU.sparse.realsize", b"9999999")) +
     header(size=octal(1024)) + padded(b"99999999\n") + bytes(512), "sparse file of 99999999 pieces"),
    ("sparse of unknown format", pax((b"GNU.sparse.major", b"2")) + header(), "unknown format 2.0"),
    ("sparse of 8 EiB", pax((b"GNU.sparse.size", b"4611686018427387903"), (b"GNU.sparse.map", b"0,0")) + header(),
     "file of 4611686018427387903 bytes"),
    ("old sparse", header(kind=b"S", real=(483, b"zzzzzzzzzzz\0")), "bad size of a sparse file"),
]


@pytest.mark.parametrize("data,match", [e[1:] for e in STREAMS], ids=[e[0] for e in STREAMS])
def test_streams(tmp_path, data, match):
    refused(tmp_path, [data], match)


def test_lower_layers_stay_out_of_reach(tmp_path):
    lower = Layer().folder("etc").file("etc/passwd", "root").symlink("l", "etc").symlink("up", "../../..")
    refused(tmp_path / "1", [lower, Layer().file("l/passwd", "evil")], "layer 2 .*'l' on the way is a symlink")
    refused(tmp_path / "2", [lower, Layer().file("up/x", "evil")], "layer 2 .*'up' on the way is a symlink")
    refused(tmp_path / "3", [lower, Layer().file("etc/passwd/x", "evil")], "'passwd' on the way is no folder")
    refused(tmp_path / "4", [lower, Layer().whiteout("l/passwd")], "layer 2 .*'l' on the way is a symlink")
    refused(tmp_path / "5", [lower, Layer().opaque("l")], "layer 2 .*'l' on the way is a symlink")
    refused(tmp_path / "6", [lower, Layer().link("x", "l/passwd")], "layer 2 .*'l' on the way is a symlink")


def test_rooted_names_stay_inside(tmp_path):
    """Where they are taken, "/" is the image's root; all the other refusals stay."""
    lower = Layer().folder("usr/lib").symlink("lib", "usr/lib").symlink("up", "../../../../../usr")
    upper = (Layer().folder("/", mode=0o711).file("/rooted", "r").folder("/usr/lib", mode=0o700).file("//usr//lib/./a", "a")
             .link("/hard", "/usr/lib/a").whiteout("/up"))
    described = build(tmp_path, [lower, upper], "--rooted").describe()
    assert set(described) == {"", "usr", "usr/lib", "usr/lib/a", "lib", "rooted", "hard"}
    assert described[""][0] == oct(0o40711) and described["usr/lib"][0] == oct(0o40700)
    refused(tmp_path / "dots", [Layer().file("/../b")], "name with", "--rooted")
    refused(tmp_path / "link", [Layer().link("b", "/../etc/shadow")], "name with", "--rooted")
    refused(tmp_path / "up", [lower, Layer().file("/up/x")],
            r"'up' on the way is a symlink to '\.\./\.\./\.\./\.\./\.\./usr', and writing through one is refused", "--rooted")


def test_digest(tmp_path):
    data = gzip.compress(Layer().file("a").bytes())
    (tmp_path / "l").write_bytes(data)
    with pytest.raises(Failed, match="integrity: layer 1 .*digest of the uncompressed layer is sha256:.*, not sha256:0"):
        disklib.run_tool("build", tmp_path / "d", f"{tmp_path}/l=sha256:" + "0" * 64)
    with pytest.raises(Failed, match="is no sha256 or sha512"):
        disklib.run_tool("build", tmp_path / "d", f"{tmp_path}/l=sha256:short")
    with pytest.raises(Failed, match="integrity: layer 1 .*digest of the uncompressed layer is sha512:.*, not sha512:0"):
        disklib.run_tool("build", tmp_path / "d", f"{tmp_path}/l=sha512:" + "0" * 128)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["l"]


def test_digest_covers_what_follows_the_archive(tmp_path):
    data = Layer().file("a").bytes()
    (tmp_path / "l").write_bytes(data + b"more")
    with pytest.raises(Failed, match="digest of the uncompressed"):
        disklib.run_tool("build", tmp_path / "d", f"{tmp_path}/l={disklib.digest(data)}")
    disklib.run_tool("build", tmp_path / "d", f"{tmp_path}/l={disklib.digest(data + b'more')}")


@pytest.mark.parametrize("tool", ["gzip", "zstd"])
def test_damaged_streams(tmp_path, tool):
    data = Layer().file("a", os.urandom(200_000)).bytes()
    good = subprocess.run([tool, "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    cases = {"cut": good[:-5], "half": good[:len(good) // 2], "head": good[:7], "tail": good + b"trailing",
             "middle": good[:1000] + b"\0" * 100 + good[1100:], "sum": good[:-6] + bytes([good[-6] ^ 1]) + good[-5:]}
    for name, blob in cases.items():
        (tmp_path / "l").write_bytes(blob)
        with pytest.raises(Failed, match="^integrity: layer 1"):
            disklib.run_tool("build", tmp_path / "d", f"{tmp_path}/l={disklib.digest(data)}")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["l"], name


def test_other_compressions_are_named(tmp_path):
    for tool in ("xz", "bzip2"):
        blob = subprocess.run([tool, "-c"], input=Layer().file("a").bytes(), stdout=subprocess.PIPE, check=True).stdout
        (tmp_path / "l").write_bytes(blob)
        with pytest.raises(Failed, match="xz and bzip2 are not layer formats"):
            disklib.run_tool("build", tmp_path / "d", tmp_path / "l")


def test_zstd_window(tmp_path):
    data = Layer().file("a", bytes(range(256)) * 4096).bytes()
    blob = subprocess.run(["zstd", "--long=27", "--ultra", "-22", "-c", "--stream-size=200000000"],
                          input=data + bytes(200_000_000 - len(data)), stdout=subprocess.PIPE, check=True).stdout
    (tmp_path / "l").write_bytes(blob)
    with pytest.raises(Failed, match="window of more than 32 MiB"):
        disklib.run_tool("build", tmp_path / "d", tmp_path / "l")


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_bombs(tmp_path, kind):
    """More than 1 GiB of zeros in a file of a megabyte, or some kilobytes."""
    blob = tmp_path / "l"
    with open(blob, "wb") as out:
        feed = subprocess.Popen([kind, "-1", "-c"], stdin=subprocess.PIPE, stdout=out)
        feed.stdin.write(header(size=octal(1100 << 20)))
        for _ in range(1100):
            feed.stdin.write(bytes(1 << 20))
        feed.stdin.write(END)
        feed.stdin.close()
        assert feed.wait() == 0
    with pytest.raises(Failed, match="inflates to more than 200 times its size"):
        disklib.run_tool("build", tmp_path / "d", blob)
    with pytest.raises(Failed, match="more than 1000000 "):
        disklib.run_tool("--max-bytes", 1_000_000, "build", tmp_path / "d", blob)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["l"]


def test_too_many_entries(tmp_path):
    """3 million of them; for implied folders and whiteouts a lower limit shows the same."""
    thousand = b"".join(header(b"f%d" % i) for i in range(1000))
    raw = zlib.compressobj(1, zlib.DEFLATED, 31)
    with open(tmp_path / "l", "wb") as out:
        for _ in range(3000):
            out.write(raw.compress(thousand))
        out.write(raw.flush())
    with pytest.raises(Failed, match="more than 2000000 entries"):
        disklib.run_tool("build", tmp_path / "d", tmp_path / "l")
    os.unlink(tmp_path / "l")
    refused(tmp_path / "implied", [Layer().file("a/" * 600 + "x").file("b/" * 600 + "x")], "more than 1000 entries",
            "--max-entries", 1000)
    refused(tmp_path / "whiteouts", [b"".join(header(b".wh.%d" % i) for i in range(2000))], "more than 1000 entries",
            "--max-entries", 1000)


def test_too_many_names_for_one_file(tmp_path):
    layer = header(b"f") + b"".join(header(b"l%d" % i, b"1", link=(157, b"f")) for i in range(65001))
    refused(tmp_path, [layer], "more than 65000 names for one file")


def test_full_disk(tmp_path):
    """On a file system of 16 MiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", small], check=True)
    try:
        (tmp_path / "l").write_bytes(Layer().file("a", os.urandom(32 << 20)).bytes())
        with pytest.raises(Failed, match="system: .*No space left on device"):
            disklib.run_tool("build", small / "d", tmp_path / "l")
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


def test_killed_builds_leave_nothing_that_is_used(tmp_path):
    """kill -9 at different moments: no disk appears, and the next build clears up."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    data = Layer().file("a", os.urandom(3 << 20)).bytes()
    for part in (0, 600, 2 << 20, len(data) - 1):
        tool = subprocess.Popen([disklib.TOOL, "build", tmp_path / "d", fifo])
        with open(fifo, "wb") as feed:
            feed.write(data[:part])
            feed.flush()
            deadline = time.monotonic() + 30
            while not disklib.leftovers(tmp_path) and time.monotonic() < deadline:
                os.sched_yield()
            tool.send_signal(signal.SIGKILL)
            assert tool.wait() == -signal.SIGKILL
        assert not (tmp_path / "d").exists()
    assert 1 <= len(disklib.leftovers(tmp_path)) <= 4
    (tmp_path / "l").write_bytes(data)
    disklib.run_tool("build", tmp_path / "d", tmp_path / "l")
    assert disklib.leftovers(tmp_path) == []
    disklib.check(tmp_path / "d")


def test_a_build_does_not_take_another_ones_file(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    data = Layer().file("a", b"first").bytes()
    slow = subprocess.Popen([disklib.TOOL, "build", tmp_path / "slow", fifo], stdout=subprocess.DEVNULL)
    with open(fifo, "wb") as feed:
        feed.write(data[:600])
        feed.flush()
        deadline = time.monotonic() + 30
        while not disklib.leftovers(tmp_path) and time.monotonic() < deadline:
            os.sched_yield()
        (tmp_path / "l").write_bytes(Layer().file("b", b"second").bytes())
        disklib.run_tool("build", tmp_path / "quick", tmp_path / "l")
        assert len(disklib.leftovers(tmp_path)) == 1, "the slow one's"
        feed.write(data[600:])
    assert slow.wait(timeout=60) == 0
    disklib.check(tmp_path / "slow")
    assert disklib.leftovers(tmp_path) == []


def test_nothing_outside_is_touched(tmp_path):
    """The only names the tool opens for writing or creates are in the folder of the disk."""
    arguments = disklib.write_layers(tmp_path / "in", [Layer().file("a").symlink("l", "/tmp"), Layer().file("b")])
    (tmp_path / "out").mkdir()
    log = tmp_path / "trace"
    subprocess.run(["strace", "-f", "-e", "trace=%file", "-o", log, disklib.TOOL, "build", tmp_path / "out" / "d",
                    *arguments], check=True, capture_output=True,
                   env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))  # which cannot be traced
    changing = [line for line in log.read_text().splitlines()
                if any(word in line for word in ("O_WRONLY", "O_RDWR", "O_CREAT", "mkdir", "link", "rename", "chmod",
                                                 "chown", "mknod", "mount(", "truncate(\"")) and "= -1" not in line]
    assert changing
    assert all(str(tmp_path / "out") in line or "readlink" in line for line in changing), changing
