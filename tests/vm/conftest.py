# SPDX-License-Identifier: MIT
"""Fixtures of the machine tests: a private ctrz home with a kernel and an image, and proof that no process stays behind."""
import os
import shutil
import signal

import pytest

import ctrzlib

# A job in the background of a shell ignores it, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # so is this one by nohup


@pytest.fixture(scope="session")
def cache():
    """What is made once and kept between runs: a kernel and images."""
    return ctrzlib.Cache()


@pytest.fixture
def home(cache):
    """A ctrz home of its own for one test; at its end everything is taken down and no process may be left."""
    h = ctrzlib.Home(cache)
    yield h
    h.end()
    left = ctrzlib.left_of_home(h)
    shutil.rmtree(h.root, ignore_errors=True)
    assert not left, "left behind:\n" + "\n".join(left)


@pytest.fixture
def project(tmp_path):
    """A folder for a spec and its files, readable by everybody as a checkout is."""
    os.chmod(tmp_path, 0o755)
    return ctrzlib.Project(tmp_path)


@pytest.fixture(params=["debian", "own"])
def kernel(request, home):
    """The kernel that the machines of a home boot: once Debian's, once ctrz's own, where CTRZ_TEST_KERNEL names it."""
    if request.param == "own":
        vmlinux = os.environ.get("CTRZ_TEST_KERNEL")
        if not vmlinux:
            pytest.skip("no kernel of ctrz's own was built here: ./dev kernel")
        home.run("kernel", "use", home.json("kernel", "install", vmlinux)["name"])
    return request.param
