# SPDX-License-Identifier: MIT
"""What the tests of the command line share."""
import pathlib
import tempfile

import pytest

from clilib import Folder


@pytest.fixture
def folder():
    """In a folder with a short name: messages shorten long paths."""
    with tempfile.TemporaryDirectory(prefix="ctrz-c-", dir="/tmp") as path:
        yield Folder(pathlib.Path(path))
