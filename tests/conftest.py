# SPDX-License-Identifier: MIT
"""Proof that a whole run leaves the host as it was: no process, mount, device or file."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "vm"))
import ctrzlib  # noqa: E402


def is_worker(session):
    return hasattr(session.config, "workerinput")


def pytest_sessionstart(session):
    if not is_worker(session):
        session.config.before_the_run = ctrzlib.snapshot()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    if is_worker(session):
        return
    left = ctrzlib.left_behind(session.config.before_the_run)
    if left:
        print("\nthe run left behind:\n  " + "\n  ".join(left), file=sys.stderr)
        session.exitstatus = 3
