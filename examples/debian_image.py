# SPDX-License-Identifier: MIT
"""OCI images from Debian packages, without root and without a registry: packages are unpacked into a layer, their scripts do not
run. busybox gives the shell and the small tools."""
import importlib.machinery
import importlib.util
import io
import pathlib
import subprocess
import tarfile
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# Nothing of these is needed to run a program.
LEFT_OUT = ("usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/info/", "usr/share/lintian/", "usr/share/i18n/",
            "usr/share/bug/", "var/lib/dpkg/", "var/cache/")
# Dependencies of the packages' scripts and of dpkg itself.
NOT_NEEDED = {"dpkg", "tar", "debianutils", "dash", "coreutils", "sed", "grep", "perl", "perl-base", "perl-modules-5.36", "libperl5.36",
              "debconf", "adduser", "passwd", "usrmerge", "init-system-helpers", "sysvinit-utils", "ucf", "sensible-utils", "ssl-cert",
              "openssl", "locales", "libc-l10n", "netbase", "lsb-base", "readline-common", "libjson-perl", "libfile-find-rule-perl",
              "libnumber-compare-perl", "libtext-glob-perl", "libpam-modules", "libpam-modules-bin", "libsemanage2",
              "libsemanage-common", "libsepol2", "libjs-jquery", "install-info", "dpkg-dev"}


def load_make_image():
    loader = importlib.machinery.SourceFileLoader("make_image", str(HERE / "make-image"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


make_image = load_make_image()


def run(args, **more):
    return subprocess.run(args, check=True, stdin=subprocess.DEVNULL, **more)


class Apt:
    """apt with no package installed; with lists of its own where the host's cannot be used."""

    def __init__(self, temp):
        self.temp = temp
        (temp / "status").touch()
        self.options = ["-qq", "-o", f"Dir::State::status={temp}/status", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User="]

    def get(self, *args, **more):
        return subprocess.run(["apt-get", *self.options, *args], stdin=subprocess.DEVNULL, check=False, text=True, **more)

    def closure(self, packages):
        """The packages with all they depend on, as apt would install them on a system that has none."""
        wanted = ("--simulate", "--no-install-recommends", "install", *packages)
        r = self.get(*wanted, capture_output=True)
        if r.returncode:
            (self.temp / "lists" / "partial").mkdir(parents=True)
            self.options += ["-o", f"Dir::State::Lists={self.temp}/lists"]
            self.get("update")
            r = self.get(*wanted, capture_output=True)
        if r.returncode:
            raise SystemExit(f"debian_image: apt cannot find {' '.join(packages)}:\n{r.stderr}")
        return [line.split()[1] for line in r.stdout.splitlines() if line.startswith("Inst ")]

    def download(self, packages):
        """The .deb files of these packages."""
        debs = self.temp / "debs"
        debs.mkdir()
        if self.get("download", *packages, cwd=debs, stdout=subprocess.DEVNULL).returncode:
            raise SystemExit("debian_image: not all packages could be downloaded")
        return sorted(debs.iterdir())


def merged(name):
    """Where a path is since /bin, /sbin and /lib are links into /usr."""
    name = name.removeprefix("./").rstrip("/")
    first = name.split("/", 1)[0]
    return "usr/" + name if first in ("bin", "sbin", "lib", "lib64") else name


class Layer:
    """A layer that is being written; the first to bring a path keeps it."""

    def __init__(self):
        self.bytes = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.bytes, mode="w", format=tarfile.PAX_FORMAT)
        self.names = set()
        for link in ("bin", "sbin", "lib", "lib64"):
            self.dir("usr/" + link)
            self.link(link, "usr/" + link)

    def add(self, info, data=None):
        if info.name and info.name not in self.names:
            self.names.add(info.name)
            info.mtime = make_image.EPOCH
            self.tar.addfile(info, data)

    def plain(self, name, kind, mode, data=b"", target="", owner=0):
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.size, info.linkname, info.uid, info.gid = kind, mode, len(data), target, owner, owner
        self.add(info, io.BytesIO(data))

    def dir(self, name, mode=0o755, owner=0):
        self.plain(name, tarfile.DIRTYPE, mode, owner=owner)

    def link(self, name, target):
        self.plain(name, tarfile.SYMTYPE, 0o777, target=target)

    def file(self, name, text, mode=0o644):
        self.plain(name, tarfile.REGTYPE, mode, text if isinstance(text, bytes) else text.encode())

    def package(self, deb):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as p:
            with tarfile.open(fileobj=p.stdout, mode="r|") as tar:
                for info in tar:
                    info.name = merged(info.name)
                    if info.islnk():
                        info.linkname = merged(info.linkname)
                    if not info.name.startswith(LEFT_OUT):
                        self.add(info, tar.extractfile(info) if info.isreg() else None)
        if p.returncode:
            raise SystemExit(f"{deb.name}: dpkg-deb ended with {p.returncode}")

    def tree(self, folder, name):
        """A folder of this host, as root's."""
        def as_roots(info):
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            return info
        for path in sorted(pathlib.Path(folder).rglob("*")):
            info = as_roots(self.tar.gettarinfo(path, f"{name}/{path.relative_to(folder)}"))
            with open(path, "rb") if info.isreg() else io.BytesIO() as data:
                self.add(info, data)

    def busybox(self):
        busybox = make_image.find_busybox()
        self.file("usr/bin/busybox", pathlib.Path(busybox).read_bytes(), 0o755)
        for applet in run([busybox, "--list"], capture_output=True, text=True).stdout.split():
            if not {f"usr/bin/{applet}", f"usr/sbin/{applet}"} & self.names:
                self.link("usr/bin/" + applet, "busybox")

    def done(self):
        self.tar.close()
        return self.bytes.getvalue()


def build(path, name, packages, config, *, users=(), add=None):
    """Write the OCI layout of an image to path. users: (name, uid, home); add(layer) adds what is no package's."""
    layer = Layer()
    with tempfile.TemporaryDirectory() as temp:
        apt = Apt(pathlib.Path(temp))
        for deb in apt.download([p for p in apt.closure(packages) if p not in NOT_NEEDED]):
            layer.package(deb)
    for folder in ("etc", "dev", "proc", "sys", "run", "root", "srv", "var", "var/log", "home"):
        layer.dir(folder)
    layer.dir("tmp", 0o1777)
    layer.dir("var/tmp", 0o1777)
    passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
    group = "root:x:0:\nnogroup:x:65534:\n"
    for user, uid, home in users:
        passwd += f"{user}:x:{uid}:{uid}::{home}:/bin/sh\n"
        group += f"{user}:x:{uid}:\n"
        layer.dir(home.lstrip("/"), owner=uid)
    layer.file("etc/passwd", passwd)
    layer.file("etc/group", group)
    layer.file("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
    if add:
        add(layer)
    layer.busybox()
    layout = make_image.Layout(str(path))
    layout.image(name, [layer.done()], config, level=1)
    layout.write()
