# SPDX-License-Identifier: MIT
"""No step of a build is quadratic: the work is counted, not timed, and grows as the input does."""
import io
import subprocess
import tarfile

import pytest

import disklib
import ext4_reader


class Raw:
    """A tar of many small entries, quickly: one header with another name each."""

    def __init__(self):
        self.parts = []

    def add(self, name, kind=tarfile.REGTYPE, data=b"", link=""):
        info = tarfile.TarInfo(name)
        info.type, info.size, info.linkname, info.mode = kind, len(data), link, 0o755
        self.parts.append(info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512))

    def bytes(self):
        return b"".join(self.parts) + bytes(1024)


def measure(folder, layers, check=True):
    folder.mkdir()
    figures = disklib.run_tool("build", folder / "d", *disklib.write_layers(folder, layers, compress=False))
    if check:
        disklib.check(folder / "d")
    print({k: int(v) for k, v in figures.items()})
    return {k: int(v) for k, v in figures.items()}


def assert_linear(figures):
    """A handful of names looked at per entry, however many there are; and few calls to write them."""
    assert figures["steps"] <= 6 * figures["entries"] + 1000
    assert figures["writes"] <= figures["entries"] + figures["disk_bytes"] // (128 << 10) + 50


def files_in_one_folder(count):
    raw = Raw()
    for i in range(count):
        raw.add(f"d/some-file-name-{i}", data=b"x" if i % 10 == 0 else b"")
    return [raw.bytes()]


def many_folders(count):
    raw = Raw()
    for i in range(count):
        raw.add(f"d/folder-{i}", tarfile.DIRTYPE)
    return [raw.bytes()]


def tree_of_folders(count):
    raw = Raw()
    for i in range(count // 10):
        for k in range(10):
            raw.add(f"d{i % 100}/e{i}/f{k}", tarfile.DIRTYPE)
    return [raw.bytes()]


def hard_links(count):
    raw = Raw()
    raw.add("f", data=b"x" * 5000)
    for i in range(count):
        raw.add(f"l/link-{i}", tarfile.LNKTYPE, link="f")
    return [raw.bytes()]


def opaque_again_and_again(count):
    """Each marker would walk the whole folder, were it not done once per layer."""
    lower, upper = Raw(), Raw()
    for i in range(count):
        lower.add(f"d/e/f{i}")
        upper.add(f"d/e/g{i}")
    for i in range(count):
        upper.add("d/.wh..wh..opq")
        upper.add("d/e/.wh..wh..opq")
    return [lower.bytes(), upper.bytes()]


def replaced_again_and_again(count):
    raw = Raw()
    for i in range(count):
        raw.add("d/same", data=b"x")
        raw.add(f"d/f{i}")
    return [raw.bytes()]


def whiteouts(count):
    lower, upper = Raw(), Raw()
    for i in range(count):
        lower.add(f"d/f{i}")
        upper.add(f"d/.wh.f{i}")
    return [lower.bytes(), upper.bytes()]


@pytest.mark.parametrize("make,sizes", [
    (files_in_one_folder, (1000, 10_000, 100_000)),
    (many_folders, (1000, 10_000, 100_000)),
    (tree_of_folders, (1000, 10_000, 100_000)),
    (hard_links, (1000, 10_000)),
    (opaque_again_and_again, (1000, 10_000)),
    (replaced_again_and_again, (1000, 10_000)),
    (whiteouts, (1000, 10_000)),
])
def test_linear(tmp_path, make, sizes):
    for n in sizes:
        assert_linear(measure(tmp_path / str(n), make(n)))


def test_layers(tmp_path):
    def image(count):
        layers = []
        for i in range(count):
            raw = Raw()
            for k in range(100):
                raw.add(f"d{k}/l{i}")
            raw.add("same", data=b"%d" % i)
            layers.append(raw.bytes())
        return layers
    for count in (12, 127):
        assert_linear(measure(tmp_path / str(count), image(count)))
    disk = ext4_reader.Image(tmp_path / "127" / "d")
    walked = disk.walk()
    assert len(walked) == 1 + 100 + 100 * 127 + 1
    assert disk.read(walked["same"]) == b"126"


def test_deep_paths(tmp_path):
    """The walk from the root is taken once per folder, not once per file in it."""
    raw = Raw()
    for i in range(1000):
        raw.add("deep/" * 300 + f"f{i}")
    assert_linear(measure(tmp_path / "1", [raw.bytes()]))


def test_deep_folders_are_removed_without_recursion(tmp_path):
    raw, upper = Raw(), Raw()
    for i in range(40):
        raw.add("x/" * 2000 + f"y{i}/" + "f")
    upper.add(".wh.x")
    measure(tmp_path / "1", [raw.bytes(), upper.bytes()])
    assert set(ext4_reader.Image(tmp_path / "1" / "d").walk()) == {""}


def test_memory(tmp_path):
    """At most 64 MB, and 150 bytes per entry."""
    raw = Raw()
    for i in range(200_000):
        raw.add(f"usr/share/folder-{i // 100}/some-name-{i % 100}")
    one = measure(tmp_path / "1", [raw.bytes()], check=False)
    few = measure(tmp_path / "2", [Raw().bytes()], check=False)
    assert (one["max_rss_kib"] - few["max_rss_kib"]) * 1024 < 150 * 200_000 + (16 << 20)
    assert few["max_rss_kib"] < 64 * 1024
    big = io.BytesIO(b"")
    with tarfile.open(fileobj=big, mode="w") as t:
        info = tarfile.TarInfo("big")
        info.size = 100 << 20
        t.addfile(info, io.BytesIO(bytes(info.size)))
    (tmp_path / "b.tar").write_bytes(big.getvalue())
    for tool in ("gzip", "zstd"):
        subprocess.run([tool, "-k", "-f", tmp_path / "b.tar"], check=True)
    for name in ("b.tar", "b.tar.gz", "b.tar.zst"):
        figures = disklib.run_tool("build", tmp_path / "d", tmp_path / name)
        assert int(figures["max_rss_kib"]) < 64 * 1024, name


def test_hash_index_finds_every_name(tmp_path):
    """By debugfs, which follows the index as the kernel does; in one and in two levels."""
    for count in (500, 12_000):
        raw = Raw()
        width = 30 if count == 500 else 230
        for i in range(count):
            raw.add(f"d/{i:0{width}d}")
        folder = tmp_path / str(count)
        measure(folder, [raw.bytes()])
        image = ext4_reader.Image(folder / "d")
        inode = image.walk()["d"]
        assert inode.flags & ext4_reader.INDEX_FL
        start = next(image.extents(inode))[1] * image.block
        root = image.data[start:start + 64]
        assert root[30] == (0 if count == 500 else 1), "levels of the index"
        asked = range(0, count, count // 50)
        commands = "".join(f"stat d/{i:0{width}d}\n" for i in asked)
        done = subprocess.run(["/sbin/debugfs", "-f", "-", folder / "d"], input=commands, capture_output=True,
                              text=True, check=True)
        assert done.stdout.count("Type: regular") == len(asked)

