# SPDX-License-Identifier: MIT
"""What the documentation shows is valid."""
import re

import pytest

from clilib import ROOT

PAGES = ["README.md", "docs/LANGUAGE.md", "docs/man/env.yaml.5.scd"]


def blocks_of(page):
    """The specs in a page: fenced blocks that hold containers."""
    text = (ROOT / page).read_text()
    return [b for b in re.findall(r"^```(?:yaml)?\n(.*?)^```", text, flags=re.M | re.S) if "containers:" in b]


@pytest.mark.parametrize("page", PAGES)
def test_examples_are_valid(folder, page):
    blocks = blocks_of(page)
    assert blocks or page == "README.md", page
    for name in ("site", "src"):
        (folder.project / name).mkdir()
    for before, block in zip([""] + blocks, blocks):
        folder.write("env.yaml", before)
        folder.write("b.yaml", block)
        files = ["-f", "b.yaml"] if "-f mine.yaml" not in block else ["-f", "env.yaml", "-f", "b.yaml"]
        assert folder.findings("--all", *files) == [], block


def test_the_tour_names_the_commands_there_are(folder):
    text = (ROOT / "docs" / "LANGUAGE.md").read_text()
    page = folder.out("__man")
    commands = set(re.findall(r"`ctrz ([a-z]+)", text))
    assert {"validate", "config", "graph", "schema", "init", "import", "plan", "up"} <= commands
    for command in commands:
        assert f"## ctrz {command}" in page, command


def test_the_tour_names_each_case_that_is_read_though_it_is_no_yaml():
    text = (ROOT / "docs" / "LANGUAGE.md").read_text()
    for line in (ROOT / "tests" / "unit" / "spec" / "conformance.txt").read_text().splitlines():
        case, verdict = line.split()
        assert verdict in ("right", "rejected", "unknown") or f"{case}" in text, line
