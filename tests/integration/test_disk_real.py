# SPDX-License-Identifier: MIT
"""Four root file systems as people have them. Each ext4 is compared entry by entry with what umoci unpacks (type, mode, owner, mtime,
link target, device number, xattrs, content), read by a reader of the tests' own and by the kernel, and must be clean for e2fsck."""
import contextlib
import os
import random
import shutil
import stat
import struct
import subprocess

import pytest

import disklib
import ocilib

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="umoci needs root to set owners and devices")

# What find says of an entry; the size of a folder is the file system's own business, and so is a symlink's mode.
FIND = ["-mindepth", "1", "(", "-type", "d", "-printf", "%y %m %U %G %T@ %P\\0", "-o", "-printf", "%y %m %U %G %T@ %n %s %l %P\\0", ")"]


@contextlib.contextmanager
def mounted(image, folder):
    folder.mkdir()
    done = subprocess.run(["mount", "-o", "loop,ro", image, folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"all but the kernel agrees, and no loop mounts here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def find(root):
    out = subprocess.run(["find", ".", *FIND], cwd=root, capture_output=True, check=True).stdout
    return sorted(out.split(b"\0"))


def same_everywhere(tmp_path, layers):
    """Ours, umoci's and the kernel's view of the same layers; returns ours."""
    image = disklib.build(tmp_path, layers)
    rootfs = disklib.umoci_unpack(tmp_path / "umoci", [f"{tmp_path}/layers/layer{i}={disklib.digest(disklib.layer_bytes(layer))}"
                                                       for i, layer in enumerate(layers)])
    theirs = disklib.describe_tree(rootfs)
    ours = image.describe()
    disklib.assert_same(ours, theirs)
    listed = find(rootfs)
    with mounted(image.path, tmp_path / "mount") as mount:
        assert find(mount) == listed
        disklib.assert_same(disklib.describe_tree(mount), theirs)
    assert len(listed) == len(ours)
    return ours


def test_busybox(tmp_path):
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    subprocess.run(["cp", "/bin/busybox", tree / "bin" / "busybox"], check=True)
    for name in subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
        if name != "busybox":
            os.link(tree / "bin" / "busybox", tree / "bin" / name)
    archive = tmp_path / "b.tar"
    subprocess.run(["tar", "-C", tree, "-cf", archive, "."], check=True)
    ours = same_everywhere(tmp_path, [archive])
    assert ours["bin/sh"][5] == len(os.listdir(tree / "bin")) > 200


def test_debian_with_python_and_git(tmp_path):
    ours = same_everywhere(tmp_path, [disklib.debian_tar()])
    assert len(ours) > 8000 and {"usr/bin/python3", "usr/bin/git"} <= set(ours)


def test_fifty_thousand_files(tmp_path):
    ours = same_everywhere(tmp_path, [disklib.small_npm_tar()])
    assert sum(stat.S_ISREG(int(e[0], 8)) for e in ours.values()) == 50000


def first(root):
    """Binaries with capabilities, device nodes, a sparse file, hard links."""
    for name in ("bin", "dev", "srv", "opt/old"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin" / "ping")
    subprocess.run(["setcap", "cap_net_raw+ep", root / "bin" / "ping"], check=True)
    os.mknod(root / "dev" / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "dev" / "sda", stat.S_IFBLK | 0o660, os.makedev(8, 0))
    os.mkfifo(root / "dev" / "pipe", 0o600)
    with open(root / "srv" / "sparse", "wb") as f:
        for at in (0, 1 << 20, 40 << 20):
            f.seek(at)
            f.write(random.Random(at).randbytes(9000))
        f.truncate(64 << 20)
    (root / "srv" / "one").write_bytes(b"1" * 10_000)
    for name in ("two", "three"):
        os.link(root / "srv" / "one", root / "srv" / name)
    (root / "opt" / "old" / "file").write_text("old")
    os.chown(root / "opt" / "old" / "file", 70_000, 80_000)
    os.symlink("/opt/old/file", root / "opt" / "link")
    os.setxattr(root / "srv" / "one", "user.note", b"n" * 3000)


def second(root):
    """Removes, replaces, and links anew what the first layer had."""
    shutil.rmtree(root / "opt" / "old")
    (root / "srv" / "two").unlink()
    (root / "dev" / "sda").unlink()
    os.mknod(root / "dev" / "sdb", stat.S_IFBLK | 0o600, os.makedev(8, 16))
    shutil.copy("/bin/busybox", root / "bin" / "bind")
    subprocess.run(["setcap", "cap_net_bind_service,cap_sys_time+eip", root / "bin" / "bind"], check=True)
    with open(root / "srv" / "sparse", "r+b") as f:
        f.truncate(10 << 20)


def third(root):
    """A folder comes again, a capability goes, a link leads across layers."""
    (root / "opt" / "old").mkdir(mode=0o750)
    (root / "opt" / "old" / "new").write_text("new")
    subprocess.run(["setcap", "-r", root / "bin" / "ping"], check=True)
    os.link(root / "bin" / "bind", root / "bin" / "bind2")
    (root / "dev" / "pipe").unlink()
    (root / "dev" / "pipe").write_text("a file now")


def test_capabilities_devices_sparse_and_links_over_layers(tmp_path):
    """Layers made by umoci of three steps of work, with its whiteouts; and its unpacking of them as the measure."""
    empty = ocilib.Image([disklib.Layer().folder(".").bytes()])
    layout = ocilib.write_layout(tmp_path / "made", {"s0": empty})
    for i, step in enumerate((first, second, third)):
        bundle = tmp_path / f"bundle{i}"
        subprocess.run(["umoci", "unpack", "--image", f"{layout}:s{i}", bundle], check=True, capture_output=True)
        step(bundle / "rootfs")
        for at, folders, files in os.walk(bundle / "rootfs"):  # umoci rounds times
            for name in [*folders, *files]:
                os.utime(os.path.join(at, name), (disklib.EPOCH + i, disklib.EPOCH + i), follow_symlinks=False)
        subprocess.run(["umoci", "repack", "--image", f"{layout}:s{i + 1}", bundle], check=True, capture_output=True)
    layers = disklib.layers_of(layout, "s3")
    ours = same_everywhere(tmp_path, layers)
    assert "security.capability" not in dict(ours["bin/ping"][7])
    assert struct.unpack("<I", dict(ours["bin/bind"][7])["security.capability"][4:8])[0] == 1 << 10 | 1 << 25
    assert ours["bin/bind2"] == ours["bin/bind"] and ours["bin/bind"][5] == 2
    assert ours["srv/one"] == ours["srv/three"] and "srv/two" not in ours and "opt/old/file" not in ours
    assert ours["dev/null"][6] == (1, 3) and ours["dev/sdb"][6] == (8, 16) and "dev/sda" not in ours
    assert stat.S_ISREG(int(ours["dev/pipe"][0], 8))
    assert dict(ours["srv/one"][7])["user.note"] == b"n" * 3000
