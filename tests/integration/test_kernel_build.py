# SPDX-License-Identifier: MIT
"""`ctrz kernel build`: Debian's source takes the whole configuration; a small archive of source is unpacked, checked, built, stripped
and installed once; what fails leaves its output and nothing else. (A whole kernel takes too long for a test: tests/vm/test_kernels.py
runs on one that was built.)"""
import json
import os
import pathlib
import subprocess
import tarfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CTRZ = os.environ.get("CTRZ_BIN") or str(ROOT / "build" / "ctrz")
FAILED, INVALID, NOT_FOUND = 1, 3, 4

MAKEFILE = """\
allnoconfig:
	cp $(KCONFIG_ALLCONFIG) .config
	sed -i '/CONFIG_UNKNOWN_HERE/d' .config
vmlinux:
	echo once >>{counter}
	gcc -nostdlib -static -g -Wl,--build-id=none -o $@ start.S
"""

# As much of a kernel as the store looks at: an ELF file with a PVH entry and a banner.
START = """\
	.section .note.Xen, "a", @note
	.long 4, 8, 18
	.asciz "Xen"
	.quad 0x1000000
	.text
	.globl _start
_start:	ret
	.section .rodata
	.asciz "Linux version 0.1.0-ctrz (ctrz@ctrz) #1"
"""


class Store:
    def __init__(self, path):
        self.path = path
        self.cache = path / "home" / "cache"
        self.env = dict(os.environ, CTRZ_HOME=str(path / "home"))

    def ctrz(self, *args, before=()):
        r = subprocess.run([*before, CTRZ, "kernel", *map(str, args)], env=self.env, capture_output=True, text=True, check=False,
                           timeout=3000)
        left = sorted(p.name for p in self.cache.glob("kernel-build*"))
        assert "kernel-build" not in left, left
        return r

    def archive(self, makefile=MAKEFILE):
        folder = self.path / "linux-source-0.1"
        folder.mkdir(exist_ok=True)
        (folder / "Makefile").write_text(makefile.format(counter=self.path / "counter"))
        (folder / "start.S").write_text(START)
        path = self.path / "linux-source-0.1.tar.xz"
        with tarfile.open(path, "w:xz") as t:
            t.add(folder, arcname="linux-source-0.1")
        return path


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_debian_source_takes_the_configuration(store):
    r = store.ctrz("build", "--check")
    assert r.returncode == 0, r.stderr
    assert "configuring" in r.stderr and "compiling" not in r.stderr
    assert not store.ctrz("ls", "--names").stdout


def test_small_source_is_built_once(store):
    source = store.archive()
    r = store.ctrz("build", source, "--json")
    assert r.returncode == 0, r.stderr
    k = json.loads(r.stdout)
    assert (k["name"], k["release"], k["default"]) == ("ctrz-0.1.0", "0.1.0-ctrz", True)
    assert k["source"] == "built from linux-source-0.1.tar.xz"
    sections = subprocess.run(["readelf", "-S", k["vmlinux"]], capture_output=True, text=True, check=True).stdout
    assert ".note.Xen" in sections and ".debug" not in sections and ".symtab" not in sections
    # Another kernel became the default meanwhile: the built one is taken again, not built again.
    other = store.path / "other"
    other.write_bytes(pathlib.Path(k["vmlinux"]).read_bytes())
    assert store.ctrz("install", other).returncode == 0 and store.ctrz("use", "file-0.1.0-ctrz").returncode == 0
    r = store.ctrz("build", source)
    assert r.returncode == 0 and r.stdout == "ctrz-0.1.0, Linux 0.1.0-ctrz, the default\n", (r.stdout, r.stderr)
    assert (store.path / "counter").read_text() == "once\n"
    # Another configuration is another kernel.
    config = store.path / "config"
    config.write_text("CONFIG_OTHER=y\n")
    assert store.ctrz("build", source, "--config", config).returncode == 0
    assert (store.path / "counter").read_text() == "once\nonce\n"
    assert not (store.cache / "kernel-build.log").exists()


def test_failures_say_what_to_do(store):
    config = store.path / "config"
    config.write_text("# a comment\nCONFIG_KNOWN=y\nCONFIG_UNKNOWN_HERE=y\n")
    r = store.ctrz("build", store.archive(), "--config", config, "--check")
    assert r.returncode == INVALID, r.stderr
    assert "does not take 1 settings" in r.stderr and "CONFIG_UNKNOWN_HERE=y" in r.stderr and "CONFIG_KNOWN" not in r.stderr
    r = store.ctrz("build", store.archive(MAKEFILE.replace("gcc -nostdlib", "echo the reason; false")))
    assert r.returncode == FAILED and "kernel-build.log' has its output" in r.stderr, r.stderr
    assert "the reason" in (store.cache / "kernel-build.log").read_text()
    assert not store.ctrz("ls", "--names").stdout
    r = store.ctrz("build", store.path / "nothing-here")
    assert r.returncode == NOT_FOUND and "nothing-here" in r.stderr
    # Without the package of the source.
    hide = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs none /usr/src && exec "$0" "$@"']
    r = store.ctrz("build", before=hide)
    assert r.returncode == NOT_FOUND and "apt-get install --no-install-recommends linux-source" in r.stderr, r.stderr
