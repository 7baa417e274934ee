# SPDX-License-Identifier: MIT
"""Helpers of the registry tests: images made by hand, registries on loopback, and the tool under test."""
import base64
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = pathlib.Path(os.environ.get("CTRZ_TOOLS") or ROOT / "build" / "tests" / "integration") / "image_tool"
EPOCH = 1700000000

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."
MANIFEST = OCI + "manifest.v1+json"
INDEX = OCI + "index.v1+json"
CONFIG = OCI + "config.v1+json"
LAYER = OCI + "layer.v1.tar"


def digest(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def tar(files):
    """A tar of {name: bytes | ('link', target)}; names ending in / are folders."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for name, data in files.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            info.mtime, info.mode = EPOCH, 0o755
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
                t.addfile(info)
            elif isinstance(data, tuple):
                info.type, info.linkname = tarfile.SYMTYPE, data[1]
                t.addfile(info)
            else:
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def busybox_tar():
    """A root file system of Debian's static busybox."""
    files = {"bin/": b"", "bin/busybox": pathlib.Path("/bin/busybox").read_bytes(), "bin/sh": ("link", "busybox"),
             "etc/": b"", "etc/hostname": b"tiny\n", "tmp/": b"", "proc/": b"", "sys/": b"", "dev/": b""}
    return tar(files)


class Image:
    """One image: its blobs by digest, its manifest, all as bytes. Lies may be told about any of it."""

    def __init__(self, layers, *, config=None, platform=("linux", "amd64"), pack="gzip", media="oci", lie=None):
        self.blobs = {}
        self.layers, diff_ids = [], []
        for plain in layers:
            diff_ids.append(digest(plain))
            data, suffix = self.packed(plain, pack)
            media_type = LAYER + suffix if media == "oci" else DOCKER + "image.rootfs.diff.tar.gzip"
            self.layers.append(self.blob(data, media_type))
        self.config = {"os": platform[0], "architecture": platform[1], "created": "2023-11-14T22:13:20.5Z",
                       "config": config or {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
                       "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        if len(platform) > 2:
            self.config["variant"] = platform[2]
        self.platform = platform
        config_type = CONFIG if media == "oci" else DOCKER + "container.image.v1+json"
        self.media_type = MANIFEST if media == "oci" else DOCKER + "distribution.manifest.v2+json"
        self.manifest = {"schemaVersion": 2, "mediaType": self.media_type, "layers": self.layers,
                         "config": self.blob(json.dumps(self.config).encode(), config_type)}
        if lie:
            lie(self)
        self.manifest_bytes = json.dumps(self.manifest).encode()
        self.digest = digest(self.manifest_bytes)

    @staticmethod
    def packed(plain, pack):
        if pack == "gzip":
            return gzip.compress(plain, 6, mtime=0), "+gzip"
        if pack == "zstd":
            return subprocess.run(["zstd", "-q", "-c"], input=plain, capture_output=True, check=True).stdout, "+zstd"
        return plain, ""

    def blob(self, data, media_type):
        name = digest(data)
        self.blobs[name] = data
        return {"mediaType": media_type, "digest": name, "size": len(data)}

    def descriptor(self, name=None):
        d = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.manifest_bytes),
             "platform": dict(zip(("os", "architecture", "variant"), self.platform))}
        if name:
            d["annotations"] = {"org.opencontainers.image.ref.name": name}
        return d


def index_of(*images):
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [i.descriptor() for i in images]}).encode()


def tiny(**more):
    return Image([busybox_tar()], **more)


def big(megabytes, layers=1, seed=7, **more):
    """An image whose layers hardly compress, of about this size each."""
    parts = []
    for k in range(layers):
        data = hashlib.shake_256(f"{seed}-{k}".encode()).digest(megabytes << 20)
        parts.append(tar({f"data-{k}": data}))
    return Image(parts, **more)


def write_layout(path, images):
    """An OCI layout folder of {name or None: Image}."""
    path = pathlib.Path(path)
    for image in images.values():
        for name, data in list(image.blobs.items()) + [(image.digest, image.manifest_bytes)]:
            algorithm, hexa = name.split(":")
            (path / "blobs" / algorithm).mkdir(parents=True, exist_ok=True)
            (path / "blobs" / algorithm / hexa).write_bytes(data)
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    index = {"schemaVersion": 2, "manifests": [i.descriptor(n) for n, i in images.items()]}
    (path / "index.json").write_text(json.dumps(index))
    return path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Registry:
    """Debian's docker-registry on loopback; use as a context."""

    def __init__(self, folder, *, tls=None, clients_of=None, htpasswd=None, token=None):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.tls, self.clients_of, self.htpasswd, self.token = tls, clients_of, htpasswd, token
        self.process = None

    def config(self):
        c = {"version": 0.1, "log": {"level": "error", "accesslog": {"disabled": False}},
             "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}, "delete": {"enabled": True}},
             "http": {"addr": self.host}}
        if self.tls:
            c["http"]["tls"] = {"certificate": str(self.tls / "server.pem"), "key": str(self.tls / "server.key")}
        if self.clients_of:
            c["http"]["tls"]["clientcas"] = [str(self.clients_of)]
        if self.htpasswd:
            c["auth"] = {"htpasswd": {"realm": "test", "path": str(self.htpasswd)}}
        if self.token:
            c["auth"] = {"token": self.token}
        return json.dumps(c)

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "config.yml"
        path.write_text(self.config())
        # it takes REGISTRY_... for its own configuration, skopeo's REGISTRY_AUTH_FILE too
        env = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", str(path)], stdout=log, stderr=log,
                                            env=dict(env, OTEL_TRACES_EXPORTER="none"))
        end = time.monotonic() + 30
        while True:
            assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.05)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def push(self, layout, tag, name, *more):
        """Copy an image of a layout folder here with skopeo."""
        subprocess.run(["skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", *more, f"oci:{layout}:{tag}",
                        f"docker://{self.host}/{name}"], check=True, capture_output=True)

    def put(self, image, name, tag="latest"):
        """Upload an image as it is, without a tool that would look at it."""
        for blob, data in image.blobs.items():
            self.put_blob(name, blob, data)
        self.put_manifest(name, tag, image.manifest_bytes, image.media_type)

    def request(self, method, path, data=None, headers=None):
        url = path if "://" in path else f"http://{self.host}{path}"
        r = urllib.request.Request(url, data=data, method=method, headers=headers or {})
        with urllib.request.urlopen(r) as answer:
            return answer.headers, answer.read()

    def put_blob(self, name, blob, data):
        headers, _ = self.request("POST", f"/v2/{name}/blobs/uploads/", b"")
        url = headers["Location"]
        self.request("PUT", f"{url}{'&' if '?' in url else '?'}digest={blob}", data,
                     {"Content-Type": "application/octet-stream"})

    def put_manifest(self, name, tag, data, media_type):
        self.request("PUT", f"/v2/{name}/manifests/{tag}", data, {"Content-Type": media_type})

    def requests(self):
        """How many requests it has answered, by its access log."""
        return sum(1 for line in (self.folder / "log").read_text(errors="replace").splitlines() if '"GET /v2' in line
                   or '"HEAD /v2' in line)


class Store:
    """A ctrz home and the tool on it."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "DOCKER_", "REGISTRY_"))}
        self.env.update(CTRZ_HOME=str(self.root / "h"), HOME=str(self.root))

    def popen(self, *args):
        return subprocess.Popen([str(TOOL), *map(str, args)], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    @staticmethod
    def result(process, timeout=60):
        out, err = process.communicate(timeout=timeout)
        assert process.returncode in (0, 1) and not err, (process.returncode, out, err)
        return json.loads(out)

    def run(self, *args):
        """The tool's answer, whether it worked or not."""
        return self.result(self.popen(*args))

    def ok(self, *args):
        r = self.run(*args)
        assert r["ok"], r
        return r

    def fails(self, code, *args, says=()):
        """It must fail with this error, leave no image and no unverified blob; the message must hold each of says."""
        r = self.run(*args)
        assert not r["ok"] and r["error"] == code, r
        for text in [says] if isinstance(says, str) else says:
            assert text in r["message"], r["message"]
        self.check()
        return r["message"]

    @property
    def data(self):
        found = [p.parent for p in (self.root / "h").rglob("blobs") if p.is_dir()]
        return found[0] if found else self.root / "h" / "data"

    def blobs(self):
        return sorted(p for a in ("sha256", "sha512") for p in (self.data / "blobs" / a).glob("*"))

    def disks(self):
        return sorted(p.name for p in (self.data / "disks").glob("*") if p.name != ".in-use")

    def partials(self):
        return sorted((self.data / "blobs" / "partial").glob("*"))

    def check(self):
        """Every blob is what its name says."""
        for path in self.blobs():
            assert hashlib.new(path.parent.name, path.read_bytes()).hexdigest() == path.name, path


def make_tls(folder):
    """A CA of our own, and a certificate of it for 127.0.0.1 and a client."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)

    def openssl(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, cwd=folder)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30, "-subj",
            "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ("server", "client"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout",
                f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", 30,
                "-extfile", "ext", "-out", f"{name}.pem")
    return folder


def make_htpasswd(path, user, password):
    if not shutil.which("htpasswd"):
        raise RuntimeError("htpasswd is missing: apt-get install apache2-utils")
    subprocess.run(["htpasswd", "-Bbc", str(path), user, password], check=True, capture_output=True)
    return path


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
