# SPDX-License-Identifier: MIT
"""Fixtures of the registry tests."""
import os
import signal

import pytest

import ocilib

# A job in the background of a shell ignores it, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
from fault_server import FaultServer


@pytest.fixture
def store(tmp_path):
    return ocilib.Store(tmp_path / "s")


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    with ocilib.Registry(tmp_path_factory.mktemp("registry")) as r:
        yield r


@pytest.fixture
def server():
    with FaultServer() as s:
        yield s


@pytest.fixture(scope="session", autouse=True)
def no_credentials_of_the_host(tmp_path_factory):
    """skopeo and podman look into a folder an ordinary user may not read, and into the host's own logins."""
    path = tmp_path_factory.mktemp("auth") / "auth.json"
    path.write_text("{}")
    os.environ["REGISTRY_AUTH_FILE"] = str(path)
    yield
    del os.environ["REGISTRY_AUTH_FILE"]
