# SPDX-License-Identifier: MIT
"""A folder to work in, a home of its own, and golden texts beside the tests."""
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
CTRZ = os.environ.get("CTRZ_BIN") or str(ROOT / "build" / "ctrz")
GOLDEN = ROOT / "tests" / "golden" / "cli"

# Ports and addresses in use, memory, processors.
OF_THIS_HOST = {"E506", "E509", "E510", "E604"}


class Folder:
    """A project folder; run() gives what ctrz did there, with the paths of this run taken out."""

    def __init__(self, path):
        self.path = path
        self.env = {"PATH": os.environ["PATH"], "CTRZ_HOME": str(path / "home"), "LC_ALL": "C.UTF-8", "HOME": str(path / "user")}
        self.project = path / "project"
        self.project.mkdir()

    def write(self, name, text=""):
        p = self.project / name
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_text(text, encoding="utf-8")
        return p

    def run(self, *args, code=0, stdin="", **env):
        r = subprocess.run([CTRZ, *map(str, args)], cwd=self.project, env={**self.env, **env}, text=True, input=stdin,
                           capture_output=True, check=False, timeout=60)
        assert code is None or r.returncode == code, f"{args}: exit code {r.returncode}\n{r.stdout}\n{r.stderr}"
        return r

    def out(self, *args, **more):
        return self.run(*args, **more).stdout

    def findings(self, *options, **more):
        """What validate says of a file, but for what only this host says of a file that is right."""
        found = json.loads(self.run("validate", "--json", *options, code=None, **more).stdout)
        return [f for f in found if f["code"] not in OF_THIS_HOST]

    def golden(self, name, text):
        """Compare with tests/golden/cli/NAME, or write it with CTRZ_GOLDEN_UPDATE."""
        text = text.replace(str(self.project), "/project")
        path = GOLDEN / name
        if os.environ.get("CTRZ_GOLDEN_UPDATE"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is not there (./tests/golden/update writes it)"
        assert text == path.read_text(encoding="utf-8"), f"{path} differs (./tests/golden/update rewrites it)"
