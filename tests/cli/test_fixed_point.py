# SPDX-License-Identifier: MIT
"""The examples, the complete example and every imported Compose file: valid, and what config prints means the same."""
import pathlib
import re
import shutil

import pytest

from clilib import GOLDEN, ROOT

IMPORTS = sorted((GOLDEN.parent / "import").glob("*.yaml"))
ACCEPT = GOLDEN.parent / "spec" / "accept"
# Some files want a variable to be set.
VARS = {"DB_PASSWORD": "a", "STRIPE_KEY": "b", "GRAFANA_ADMIN": "c", "KEYCLOAK_ADMIN_PASSWORD": "d", "GITHUB_TOKEN": "e", "A": "f"}


def make_what_is_missing(folder, options):
    """Write the files the spec names, as their owner would have them; give what is left to say."""
    for _ in range(20):
        errors = [f for f in folder.findings("--all", *options, **VARS) if f["severity"] == "error"]
        missing = [f for f in errors if f["code"] in ("E401", "E704") and "/" in f["message"]]
        if not missing:
            return errors
        for f in missing:
            path = re.search(r'(/[^" ]*?)"?(:| does| cannot|$)', f["message"])[1]
            assert path.startswith(str(folder.path)), f
            p = folder.path / path
            p.parent.mkdir(parents=True, exist_ok=True)
            if p.exists():
                continue
            if "mount source" in f["message"] and not p.suffix:
                p.mkdir()
            else:
                p.write_text("")
    raise AssertionError(errors)


def check_fixed_point(folder, *options):
    text = folder.out("config", *options, **VARS)
    again = folder.out("config", "-", *options, stdin=text, **VARS)
    assert without_origins(again) == without_origins(text)
    assert folder.out("config", "--hash", "-", *options, stdin=text, **VARS) == folder.out("config", "--hash", *options, **VARS)


def without_origins(text):
    return re.sub(r"  # [^\n]*:\d+$", "", text, flags=re.M)


@pytest.mark.parametrize("file", IMPORTS, ids=lambda p: p.stem)
def test_imported_files(folder, file):
    shutil.copy(file, folder.project / "compose.yaml")
    folder.run("import", "compose.yaml", "-o", "env.yaml")
    # Folders of the host are looked for below the project.
    spec = (folder.project / "env.yaml").read_text()
    (folder.project / "env.yaml").write_text(re.sub(r'(["\s\[])/([^":, ]+:/[^":, ]*:r[ow])', r"\1./host/\2", spec))
    profiles = sorted(set(re.findall(r"profiles: \[([^]]*)\]", file.read_text())))
    options = [o for p in profiles for name in p.split(",") for o in ("--profile", name.strip().strip('"'))]
    # Compose lets several containers have a volume; here each is a machine, and the disk is one's.
    left = make_what_is_missing(folder, options)
    assert [f for f in left if f["code"] != "E411"] == []
    if not left:
        check_fixed_point(folder, *options)


def test_the_complete_example(folder):
    shutil.copytree(ACCEPT / "deploy", folder.project / "deploy")
    shutil.copy(ACCEPT / "dev.env", folder.project)
    (folder.project / "styles").mkdir()
    shutil.copy(ACCEPT / "complete.yaml", folder.project / "env.yaml")
    assert make_what_is_missing(folder, ["--profile", "edge"]) == []
    check_fixed_point(folder)
    check_fixed_point(folder, "--profile", "edge")


@pytest.mark.parametrize("file", sorted(str(p.relative_to(ROOT)) for p in (ROOT / "examples").glob("**/*.yaml")))
def test_the_examples(folder, file):
    shutil.rmtree(folder.project)
    shutil.copytree((ROOT / file).parent, folder.project)
    shutil.move(folder.project / pathlib.Path(file).name, folder.project / "env.yaml")
    assert folder.findings() == []
    check_fixed_point(folder)
