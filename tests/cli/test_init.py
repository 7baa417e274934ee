# SPDX-License-Identifier: MIT
"""A first env.yaml, of a folder or of a Compose file: it is good, and overwrites nothing."""
import re

import pytest

KINDS = {
    "nothing": [],
    "node": ["package.json"],
    "npm": ["package.json", "package-lock.json", "Dockerfile"],
    "yarn": ["package.json", "yarn.lock"],
    "pnpm": ["package.json", "pnpm-lock.yaml"],
    "django": ["manage.py", "requirements.txt"],
    "python": ["pyproject.toml"],
    "requirements": ["requirements.txt"],
    "go": ["go.mod"],
    "rust": ["Cargo.toml"],
    "java": ["pom.xml"],
    "ruby": ["Gemfile"],
    "php": ["composer.json"],
    "site": ["index.html"],
    "compose": ["package.json", "compose.yaml"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_init_fits_the_folder_and_is_valid(folder, kind):
    for name in KINDS[kind]:
        folder.write(name)
    r = folder.run("init")
    text = (folder.project / "env.yaml").read_text()
    # What the host has takes part in it.
    text, count = re.subn(r"cpus: [12], memory: \d+[MG]iB", "cpus: N, memory: SIZE", text)
    assert count == 1
    folder.golden(f"init-{kind}", f"{r.stdout}---\n{text}")
    assert r.stderr == ""
    assert folder.findings("--strict") == []


def test_init_overwrites_nothing(folder):
    folder.write("env.yaml", "mine")
    assert "left as it is" in folder.run("init", code=1).stderr
    assert (folder.project / "env.yaml").read_text() == "mine"
    assert folder.out("init", "--print").startswith("#")
    (folder.project / "env.yaml").unlink()
    (folder.project / "env.yaml").symlink_to("elsewhere")
    folder.run("init", code=1)
    assert not (folder.project / "elsewhere").exists()


def test_init_of_another_folder(folder):
    folder.write("sub/go.mod")
    out = folder.out("init", "sub")
    assert "ctrz up sub/env.yaml" in out and "golang" in (folder.project / "sub" / "env.yaml").read_text()
    assert not (folder.project / "env.yaml").exists()
    folder.run("init", "none", code=4)


def test_import_writes_to_stdout_or_a_new_file(folder):
    folder.write("compose.yaml", "services:\n  web:\n    image: nginx:1.27\n    ports: [\"8080:80\"]\n    cgroup: host\n")
    r = folder.run("import", "compose.yaml")
    assert "containers:\n  web:" in r.stdout
    assert "warning[W801]" in r.stderr and "warning[W802]" in r.stderr
    assert folder.run("import", "-", stdin=(folder.project / "compose.yaml").read_text()).stdout == r.stdout
    assert folder.findings("-", stdin=r.stdout) == []
    said = folder.run("import", "compose.yaml", "-o", "env.yaml")
    assert (folder.project / "env.yaml").read_text() == r.stdout and said.stderr == r.stderr
    assert said.stdout == "env.yaml: written; 2 things of compose.yaml to look at\nNext: ctrz validate env.yaml\n"
    assert "left as it is" in folder.run("import", "compose.yaml", "-o", "env.yaml", code=1).stderr


def test_import_tells_of_every_key_however_many(folder):
    keys = [f"    k{i}: 1\n" for i in range(60)]
    folder.write("compose.yaml", "services:\n  web:\n    image: a:1\n" + "".join(keys))
    err = folder.run("import", "compose.yaml").stderr
    assert all(f'"k{i}"' in err for i in range(60))


def test_import_of_something_else(folder):
    folder.write("compose.yaml", "containers: {}\n")
    r = folder.run("import", "compose.yaml", code=3)
    assert r.stdout == "" and "error[" in r.stderr
    folder.run("import", "none.yaml", code=4)
    folder.run("import", code=64)
