# SPDX-License-Identifier: MIT
"""Helpers of the disk tests: layers, trees as they are on the host, the tool under test and its oracles."""
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import stat
import subprocess
import tarfile

import ext4_reader

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = pathlib.Path(os.environ.get("CTRZ_TOOLS") or ROOT / "build" / "tests" / "integration")
CACHE = pathlib.Path(os.environ.get("CTRZ_TEST_CACHE") or ROOT / "build" / "test-cache")
TOOL = TOOLS / "disk_tool"
EPOCH = 1700000000


class Layer:
    """Collects tar entries; every method returns the layer."""

    def __init__(self, form=tarfile.PAX_FORMAT):
        self.out = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.out, mode="w", format=form)

    def add(self, name, kind=tarfile.REGTYPE, data=b"", pax=None, **fields):
        info = tarfile.TarInfo(name)
        info.type, info.mtime = kind, EPOCH
        info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
        info.size = len(data)
        for key, value in fields.items():
            setattr(info, key, value)
        info.pax_headers = {k: v if isinstance(v, str) else v.decode("utf-8", "surrogateescape")
                            for k, v in (pax or {}).items()}
        self.tar.addfile(info, io.BytesIO(data))
        return self

    def file(self, name, data=b"", **fields):
        return self.add(name, data=data if isinstance(data, bytes) else data.encode(), **fields)

    def folder(self, name, **fields):
        return self.add(name, tarfile.DIRTYPE, **fields)

    def symlink(self, name, target, **fields):
        return self.add(name, tarfile.SYMTYPE, linkname=target, mode=0o777, **fields)

    def link(self, name, target, **fields):
        return self.add(name, tarfile.LNKTYPE, linkname=target, **fields)

    def whiteout(self, name):
        folder, _, base = name.rpartition("/")
        return self.file((folder + "/" if folder else "") + ".wh." + base)

    def opaque(self, folder):
        return self.file((folder + "/" if folder else "") + ".wh..wh..opq")

    def bytes(self):
        if not self.tar.closed:
            self.tar.close()
        return self.out.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer_bytes(layer):
    return layer.bytes() if isinstance(layer, Layer) else layer if isinstance(layer, bytes) else layer.read_bytes()


def layers_of(layout, name):
    """The uncompressed tars of an image of an OCI layout."""
    def blob(descriptor):
        return (layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
    index = json.loads((layout / "index.json").read_text())
    entry = next(m for m in index["manifests"] if m["annotations"]["org.opencontainers.image.ref.name"] == name)
    return [gzip.decompress(blob(layer)) for layer in json.loads(blob(entry))["layers"]]


def write_layers(folder, layers, compress=True):
    """Layer objects, bytes or paths of tars; returns arguments for the tool, digests to be checked included."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = []
    for i, layer in enumerate(layers):
        data = layer_bytes(layer)
        path = folder / f"layer{i}"
        path.write_bytes(gzip.compress(data, 1, mtime=0) if compress else data)
        arguments.append(f"{path}={digest(data)}")
    return arguments


class Failed(Exception):
    pass


def run_tool(*arguments, timeout=600):
    done = subprocess.run([str(TOOL), *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
    if done.returncode < 0 or done.returncode > 1:
        raise AssertionError(f"{TOOL} ended with {done.returncode}: {done.stderr}")
    if done.returncode:
        raise Failed(done.stderr.strip())
    return dict(word.split("=") for word in done.stdout.split())


def build(folder, layers, *options, compress=True):
    """Build a disk, check it with e2fsck, give it opened."""
    arguments = write_layers(folder / "layers", layers, compress)
    path = folder / "disk.ext4"
    figures = run_tool(*options, "build", path, *arguments)
    check(path)
    image = ext4_reader.Image(path)
    image.figures, image.path = figures, path
    return image


def check(path):
    done = subprocess.run(["/sbin/e2fsck", "-fn", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def leftovers(folder):
    return sorted(p.name for p in folder.iterdir() if ".building" in p.name)


def oci_layout(folder, blobs):
    """An OCI layout with one image "t" of layers given as (path of a gzipped tar, digest of the tar)."""
    (folder / "blobs" / "sha256").mkdir(parents=True)

    def put(data, media):
        name = hashlib.sha256(data).hexdigest()
        (folder / "blobs" / "sha256" / name).write_bytes(data)
        return {"mediaType": media, "digest": "sha256:" + name, "size": len(data)}

    base = "application/vnd.oci.image."
    layers = [put(pathlib.Path(p).read_bytes(), base + "layer.v1.tar+gzip") for p, _ in blobs]
    config = put(json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                             "rootfs": {"type": "layers", "diff_ids": [d for _, d in blobs]}}).encode(),
                 base + "config.v1+json")
    manifest = put(json.dumps({"schemaVersion": 2, "mediaType": base + "manifest.v1+json", "config": config,
                               "layers": layers}).encode(), base + "manifest.v1+json")
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "t"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def umoci_unpack(folder, arguments):
    """What umoci makes of the same layers; returns the root folder."""
    oci_layout(folder / "oci", [a.split("=", 1) for a in arguments])
    subprocess.run(["umoci", "unpack", "--image", f"{folder}/oci:t", str(folder / "bundle")], check=True,
                   capture_output=True, timeout=600)
    return folder / "bundle" / "rootfs"


def describe_tree(root):
    """A tree on the host in the terms of ext4_reader.Image.describe()."""
    out, digests = {}, {}
    todo = [""]
    while todo:
        path = todo.pop()
        full = os.path.join(root, path) if path else str(root)
        st = os.lstat(full)
        content = None
        if stat.S_ISDIR(st.st_mode):
            todo += [(path + "/" if path else "") + n for n in os.listdir(full)]
        elif stat.S_ISREG(st.st_mode):
            if st.st_ino not in digests:
                with open(full, "rb") as f:
                    digests[st.st_ino] = hashlib.file_digest(f, "sha256").hexdigest()
            content = digests[st.st_ino]
        elif stat.S_ISLNK(st.st_mode):
            content = os.fsencode(os.readlink(full))
        elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
            content = os.major(st.st_rdev), os.minor(st.st_rdev)
        xattrs = {n: os.getxattr(full, n, follow_symlinks=False) for n in os.listxattr(full, follow_symlinks=False)}
        links = 0 if stat.S_ISDIR(st.st_mode) else st.st_nlink
        size = st.st_size if stat.S_ISREG(st.st_mode) else 0
        out[path] = (oct(st.st_mode), st.st_uid, st.st_gid, size, st.st_mtime_ns, links, content,
                     tuple(sorted(xattrs.items())))
    return out


def assert_same(ours, theirs, ignore_root=True):
    if ignore_root:
        ours, theirs = dict(ours), dict(theirs)
        ours.pop("", None)
        theirs.pop("", None)
    assert sorted(ours) == sorted(theirs)
    different = {p: (ours[p], theirs[p]) for p in ours if ours[p] != theirs[p]}
    assert not different, f"{len(different)} entries differ, such as {list(different.items())[:5]}"


def cached(name, make):
    """A file made once: make(path of a temporary file)."""
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / name
    if not path.exists():
        part = CACHE / f".{name}.{os.getpid()}"
        make(part)
        part.rename(path)
    return path


def debian_tar():
    """A real root file system of about 12,000 entries."""
    def make(path):
        subprocess.run(["mmdebstrap", "--mode=root", "--variant=minbase", "--include=python3,git", "--format=tar",
                        "bookworm", str(path)], check=True, capture_output=True, timeout=900)
    return cached("debian-python3-git.tar", make)


def npm_tar():
    """50,000 small files in the manner of node_modules, some megabytes big; about 1.1 GB."""
    return cached("npm-50k.tar", lambda path: write_npm(path, 50000, 18500))


def small_npm_tar():
    """As many names as npm_tar() in a tenth of the bytes, for what is about names."""
    return cached("npm-50k-small.tar", lambda path: write_npm(path, 50000, 700, 48 << 10))


def write_npm(path, files, mean_size, large=2 << 20):
    """Text that compresses as code does: words from a list, by a generator of its own so that it is the same anywhere."""
    words = [re.sub(r"\W", "", hashlib.sha256(bytes([i // 256, i % 256])).hexdigest())[:2 + i % 9] for i in range(4096)]
    state = 12345

    def rand():
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
        return state >> 33

    pool = bytearray()
    while len(pool) < 8 << 20:
        pool += words[(rand() % 2048) * (rand() % 2048) >> 10].encode() + b" ;\n={}().,"[rand() % 10:][:1]
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as t:
        def add_folder(name):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, EPOCH
            t.addfile(info)
        add_folder("node_modules")
        count = package = 0
        while count < files:
            package += 1
            base = f"node_modules/pkg-{package:05d}"
            for folder in ("", "/lib", "/dist", "/test"):
                add_folder(base + folder)
            for i in range(4 + rand() % 24):
                if count == files:
                    break
                size = (rand() % (2 * mean_size)) if rand() % 512 else large
                start = rand() % (len(pool) - size)
                info = tarfile.TarInfo(f"{base}/{('lib', 'dist', 'test')[i % 3]}/module-{i}.js")
                info.size, info.mode, info.mtime = size, 0o644, EPOCH + i
                t.addfile(info, io.BytesIO(pool[start:start + size]))
                count += 1
