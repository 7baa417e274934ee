# SPDX-License-Identifier: MIT
"""A new user's first mistakes, each made for real: what is said has to name the mistake, its place, and what to do next. The table in
docs/first-mistakes.md lists them."""
import pathlib

import pytest

from test_apply import home  # noqa: F401  pylint: disable=unused-import

WEB = "containers:\n  web:\n    image: example.org/a/b:1\n    command: [serve]\n"

# what they did: the file, the command, its exit code, and what the answer has to hold
MISTAKES = {
    "no file yet": (None, "up", 4, ["no ./env.yaml", "ctrz init"]),
    "the file's name misspelled": (WEB, "up ./env.yml", 4, ["there is no './env.yml'", "did you mean './env.yaml'?"]),
    "a word of another tool": (WEB, "pull example.org/a/b:1", 64, ["no command 'pull'", "ctrz image pull"]),
    "a command misspelled": (WEB, "plna", 64, ["did you mean 'plan'"]),
    "an option misspelled": (WEB, "logs --tial 5", 64, ["unknown option --tial", "did you mean --tail?"]),
    "an operand forgotten": (WEB, "exec web", 64, ["COMMAND is missing", "ctrz help exec"]),
    "a Compose file": ("services:\n  web:\n    image: x\n", "up", 3, ["env.yaml:1:1", "Compose file", "ctrz import"]),
    "a tab": ("containers:\n  web:\n\timage: x\n", "up", 3, ["env.yaml:3:1", "tab", "spaces only"]),
    "a key misspelled": (WEB.replace("image", "imgae"), "up", 3, ["env.yaml:3:5", 'unknown key "imgae"', 'did you mean "image"']),
    "a folder that is not there": (WEB + "    mounts: [./src:/src]\n", "up", 3, ["env.yaml:5:14", "does not exist", "mkdir -p"]),
    "a container that is not there": (WEB + "    depends_on: [db]\n", "up", 3, ["env.yaml:5:18", 'no container "db"']),
    "a name misspelled": (WEB, "up wbe", 4, ["no container 'wbe'", "did you mean 'web'?"]),
    "too much memory": (WEB + "    resources: { memory: 9999TiB }\n", "up", 3, ["env.yaml:5:26", "memory is out of range", "16TiB"]),
    "looking before it is up": (WEB, "logs web", 4, ["was not brought up yet", "ctrz up env.yaml"]),
    "a port taken twice": (WEB + "    ports: [8080:80, 8080:81]\n", "up", 3, ["env.yaml:5:", "8080"]),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_the_answer_helps(home, what):
    text, command, code, words = MISTAKES[what]
    if text:
        home.spec.write_text(text)
    r = home.run(*command.split(), code=code)
    for word in words:
        assert word in r.stderr, r.stderr
    assert r.stdout == "" and len(r.stderr) < 2000
    assert not list(home.root.rglob("running")), "nothing was made"


def test_the_table_lists_them():
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "first-mistakes.md").read_text()
    for what in MISTAKES:
        assert f"| {what} |" in page, what
