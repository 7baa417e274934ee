# SPDX-License-Identifier: MIT
"""Bad input: one clear error, the documented exit code, nothing changed."""
import os
import pathlib
import socket
import tempfile

import pytest

import ctrzlib

GOOD = """
name: bad
containers:
  web:
    image: {image}
    pull: never
    command: [sleep, "100000"]
    resources: {{ memory: 128MiB }}
"""


def nothing_made(home):
    assert home.json("ls") == []
    assert not list(home.root.rglob("*.sock"))


def test_missing_file(home, project):
    r = home.fail("up", str(project.path / "none.yaml"), code=4)
    assert "there is no" in r.err and "none.yaml" in r.err
    nothing_made(home)


def test_yaml_syntax(home, project):
    project.write("containers:\n  web:\n\timage: x\n")
    r = home.fail("up", cwd=project.path, code=3)
    assert "env.yaml:3:1: error[E001]" in r.err and "tab" in r.err
    nothing_made(home)


def test_unknown_key_and_wrong_type_are_shown_together(home, project):
    project.write("containers:\n  web:\n    imgae: x\n    image: localhost/x:1\n    ports: 80\n")
    r = home.fail("up", cwd=project.path, code=3)
    assert 'env.yaml:3:5: error[E104]: unknown key "imgae"' in r.err and 'did you mean "image"' in r.err
    assert "env.yaml:5:12: error[E103]" in r.err
    nothing_made(home)


def test_image_that_does_not_exist(home, project):
    project.write(GOOD.format(image="localhost/none:1"))
    r = home.fail("up", cwd=project.path, code=1)
    assert "localhost/none:1" in r.err and "pull: never" in r.err and "env.yaml:5" in r.err
    assert not ctrzlib.processes_of(home, "__keeper")


def test_registry_down(home, project):
    port = ctrzlib.free_port()
    project.write(GOOD.format(image=f"127.0.0.1:{port}/none:1").replace("    pull: never\n", ""))
    r = home.fail("up", cwd=project.path, code=1)
    assert f"127.0.0.1:{port}" in r.err


def test_command_not_in_the_image_is_said_by_up(home, project):
    project.write(GOOD.format(image=home.image()).replace("[sleep, ", "[no-such-program, "))
    r = home.fail("up", cwd=project.path, code=1)
    assert "no-such-program" in r.err and "web" in r.err
    assert not ctrzlib.processes_of(home)


def test_port_taken_names_the_holder(home, project):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        project.write(GOOD.format(image=home.image()) + f'    ports: ["{port}:80"]\n')
        r = home.try_run("up", cwd=project.path)
        assert r.code in (1, 3), r
        assert str(port) in r.err and f"pid {os.getpid()}" in r.err
        assert not ctrzlib.processes_of(home, "__keeper")


def in_own_mounts(script, *args):
    """A command line that runs a shell script where it may mount, as root or not, and nobody else sees it."""
    return ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--mount", "sh", "-ec", script, "sh", *args]


def test_no_qemu(home, project):
    project.write(GOOD.format(image=home.image()))
    hide = "mount --bind /dev/null /usr/bin/qemu-system-x86_64; exec \"$@\""
    r = ctrzlib.run(in_own_mounts(hide, ctrzlib.CTRZ, "up"), env=home.env, cwd=project.path)
    assert r.code == 1 and "qemu-system-x86" in r.err, r
    assert not ctrzlib.processes_of(home)


def test_no_kernel(cache, project):
    h = ctrzlib.Home(cache, with_kernel=False)
    try:
        project.write(GOOD.format(image=h.image()))
        r = h.fail("up", cwd=project.path, code=1)
        assert not ctrzlib.processes_of(h)
        assert "ctrz kernel install" in r.err
    finally:
        h.end()
        ctrzlib.shutil.rmtree(h.root)


def test_no_space_on_disk(cache):
    small = pathlib.Path(tempfile.mkdtemp(prefix="ctrz-t-", dir="/tmp"))
    fill = """
mount -t tmpfs -o size=1500k tmpfs "$1"
CTRZ_HOME=$1 "$2" image load "oci:$3" "$4" && exit 9
ls "$1/data/disks" 2>/dev/null || true
"""
    r = ctrzlib.run(in_own_mounts(fill, str(small), ctrzlib.CTRZ, str(cache.layout()), ctrzlib.IMAGE))
    assert r.code == 0 and "no space left" in r.err.lower(), r
    small.rmdir()
    assert r.out == ""  # no disk, whole or half


@pytest.mark.parametrize("args", [["nonsense"], ["up", "--nonsense"], ["image", "pull"], ["exec"]])
def test_wrong_usage(home, args):
    r = home.fail(*args, code=64)
    assert "ctrz" in r.out + r.err and "help" in (r.out + r.err).lower()
