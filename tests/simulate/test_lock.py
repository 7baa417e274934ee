# SPDX-License-Identifier: MIT
"""The lock beside a spec: who writes it, what it decides, when nobody is asked about anything."""
import json
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
from gitlib import Repo, git  # noqa: E402
from test_apply import CTRZ, home  # noqa: E402,F401

HERE = f"sha256:{1:064d}"  # what the simulated host has of every image
THERE = "sha256:" + "b" * 64  # what registries have
NEWER = "sha256:" + "c" * 64
SPEC = """containers:
  web: { image: "example.org/web:1", command: [serve] }
  db: { image: "example.org/db:2", command: [serve] }
"""


class Locked:
    """An environment with a lock, and registries that write down who asks."""

    def __init__(self, home):
        self.home, self.path, self.spec = home, home.path, home.spec
        self.file, self.asked_log = home.path / "env.lock", home.path / "asked"
        self.spec.write_text(SPEC)

    def run(self, *args, has=THERE, **more):
        return self.home.run(*args, CTRZ_SIMULATED_ASKED=str(self.asked_log), CTRZ_SIMULATED_DIGEST=has, **more)

    def asked(self):
        """Since the last time."""
        lines = self.asked_log.read_text().split() if self.asked_log.exists() else []
        self.asked_log.unlink(missing_ok=True)
        return lines

    def changes(self, *args, **more):
        return [(c["kind"], c["name"], c["old"], c["new"]) for c in json.loads(self.run("lock", "--json", *args, **more).stdout)["changes"]]

    def digests(self):
        return {name: c["image_digest"] for name, c in self.home.state()["containers"].items()}


@pytest.fixture
def locked(home):  # noqa: F811
    return Locked(home)


def test_a_lock_of_nothing_is_written_and_said(locked):
    locked.spec.write_text(SPEC.replace("[serve] }", "[serve], pull: never }"))
    assert locked.run("lock").stdout == "env.lock: written; nothing in the file is a matter of it\n"
    assert "version: 1" in locked.file.read_text() and locked.asked() == []
    assert locked.run("lock").stdout == "env.lock: up to date\n"


def test_what_ctrz_lock_writes(locked):
    """What is there stays, what is missing is asked for, what is not used goes; the file is the same for the same."""
    assert locked.changes() == [("image", "example.org/db:2", None, THERE), ("image", "example.org/web:1", None, THERE)]
    assert sorted(locked.asked()) == ["example.org/db:2", "example.org/web:1"]
    assert locked.file.read_text() == f"""# What the names in the spec meant. Written by ctrz lock: commit it, and do not edit it.
version: 1
images:
  "example.org/db:2":
    digests:
      linux/amd64: {THERE}
  "example.org/web:1":
    digests:
      linux/amd64: {THERE}
"""
    before = locked.file.stat()
    assert locked.run("lock", has=NEWER).stdout == "env.lock: up to date\n" and locked.asked() == []
    assert locked.file.stat().st_mtime_ns == before.st_mtime_ns
    locked.file.chmod(0o600)
    locked.spec.write_text(SPEC.replace("web:1", "web:2").replace("db: {", "off: { profiles: [more],"))
    r = locked.run("lock", has=NEWER)
    assert r.stdout == f"""  - image example.org/web:1 linux/amd64  {THERE[:19]}
  + image example.org/web:2 linux/amd64  {NEWER[:19]}
env.lock: 2 changes
""" and locked.asked() == ["example.org/web:2"]
    assert locked.file.stat().st_mode & 0o777 == 0o600
    assert locked.changes("--update", has=HERE) == [("image", "example.org/db:2", THERE, HERE), ("image", "example.org/web:2", NEWER, HERE)]
    assert len(locked.asked()) == 2
    locked.run("lock", "--platform", "linux/arm64")
    assert locked.asked() == ["example.org/db:2", "example.org/web:2"] and locked.file.read_text().count("linux/arm64") == 2
    locked.run("lock", "--update")
    assert len(locked.asked()) == 4, "both platforms stay in step"
    locked.file.unlink()
    locked.run("lock", "--offline")
    assert locked.asked() == [] and locked.file.read_text().count(HERE) == 2
    locked.file.unlink()
    r = locked.run("lock", has="dead", code=1)
    assert "env.yaml:3:35" in r.stderr and "the registry does not answer" in r.stderr and not locked.file.exists()


def test_what_is_no_matter_of_the_lock(locked):
    locked.spec.write_text(f'containers:\n  a: {{ image: "example.org/a@{HERE}", command: [a] }}\n'
                           '  b: { image: "example.org/b:1", pull: never, command: [b] }\n  c: { image: "example.org/c:1", pull: always, command: [c] }\n')
    assert locked.changes() == [] and locked.asked() == []
    assert locked.file.read_text().endswith("\nversion: 1\n")
    assert locked.run("validate", "--locked").stdout == "env.yaml: OK\n"
    locked.run("up")
    assert set(locked.asked()) == {"example.org/c:1"}


def test_usage(locked):
    assert "lies beside a file" in locked.run("lock", "-", code=64).stderr
    assert "in a clone of it" in locked.run("lock", "git+https://git.example/r.git", code=64).stderr
    assert "no platform" in locked.run("lock", "--platform", "arm64", code=64).stderr
    for verb in ("up", "plan"):
        assert "exclude each other" in locked.run(verb, "--locked", "--update", code=64).stderr
    locked.spec.write_text("containers: {}\n")
    assert "E101" in locked.run("lock", code=3).stderr
    assert not locked.file.exists()


def test_the_lock_decides(locked):
    """Not what is here, nor what the registry has; and nobody is asked."""
    locked.run("up")
    assert set(locked.digests().values()) == {HERE}
    locked.asked()
    locked.run("lock")
    locked.asked()
    r = locked.run("plan")
    assert locked.asked() == [] and f"example.org/web:1@{THERE[:20]}" in r.stdout and "image.digest" in r.stdout
    locked.run("up", has="dead")
    assert locked.asked() == [] and set(locked.digests().values()) == {THERE}
    assert "up to date" in locked.run("up", "--locked", has=NEWER).stdout
    locked.run("stop")
    locked.run("start")
    assert set(locked.digests().values()) == {THERE}, "what was applied keeps its image"
    locked.file.unlink()
    assert "image.digest" in locked.run("plan").stdout


def test_locked(locked):
    """Each verb refuses what the lock lacks, has too much, or is not there, and says what to do."""
    verbs = (["up"], ["plan"], ["validate"], ["config"])
    for verb in verbs:
        r = locked.run(*verb, "--locked", code=3)
        assert "error[E305]: there is no lock beside it, env.lock" in r.stderr and "ctrz lock, and commit it" in r.stderr
    locked.run("lock")
    for verb in verbs:
        locked.run(*verb, "--locked")
    locked.spec.write_text(SPEC + '  more: { image: "example.org/more:1", command: [serve] }\n')
    for verb in verbs:
        r = locked.run(*verb, "--locked", code=3)
        assert 'env.yaml:4:18: error[E305]: the image "example.org/more:1" is not in env.lock' in r.stderr
    assert "env.lock lacks example.org/more:1; ctrz lock adds what is missing" in locked.run("plan").stderr
    locked.spec.write_text(SPEC.replace("  db", "  #db"))
    assert 'env.lock:4:3: error[E305]: no container has the image "example.org/db:2" any more' in locked.run("validate", "--locked", code=3).stderr
    piped = subprocess.run([CTRZ, "validate", "--locked", "-"], input=SPEC, env=locked.home.env, text=True, capture_output=True, check=False)
    assert piped.returncode == 3 and "there is no lock beside it" in piped.stderr
    locked.file.write_text("version: 1\nimages: [x]\n")
    assert "env.lock:2:9: error[E103]" in locked.run("up", code=3).stderr


def test_update_shows_and_rewrites(locked):
    """plan --update shows the difference and writes nothing; up --update writes it before anything is done."""
    locked.run("lock")
    locked.run("up")
    before = locked.file.read_text()
    r = locked.run("plan", "--update", has=NEWER)
    assert f"env.lock changes:\n  ~ image example.org/db:2 linux/amd64  {THERE[:19]} -> {NEWER[:19]}\n" in r.stderr
    assert "image.digest" in r.stdout and locked.file.read_text() == before
    r = locked.run("up", "--update", has=NEWER)
    assert "env.lock changes:" in r.stderr and set(locked.digests().values()) == {NEWER}
    assert locked.file.read_text() == before.replace(THERE, NEWER)
    r = locked.run("up", "--update", has=NEWER)
    assert "up to date" in r.stdout and "changes:" not in r.stderr
    r = locked.run("up", "--update", has="dead", code=1)
    assert "env.yaml:3:16" in r.stderr and "does not answer" in r.stderr


def test_a_saved_plan_is_for_its_lock(locked):
    locked.run("lock")
    locked.run("plan", "-o", "next.plan")
    locked.run("lock", "--update", has=NEWER)
    assert "stale" in locked.run("up", "./next.plan", code=1).stderr
    locked.run("plan", "--update", "-o", "next.plan", has=THERE)
    assert NEWER in locked.file.read_text()
    assert "stale" in locked.run("up", "./next.plan", has=HERE, code=1).stderr
    locked.run("up", "./next.plan", has=THERE)
    assert set(locked.digests().values()) == {THERE} and NEWER not in locked.file.read_text()


def test_other_files_have_locks_of_their_own(locked):
    other = locked.path / "edge.yml"
    other.write_text('containers: { edge: { image: "example.org/edge:1" } }\n')
    locked.run("lock", "edge.yml")
    assert (locked.path / "edge.lock").exists() and not locked.file.exists()
    locked.run("lock", "-f", "env.yaml", "-f", "edge.yml")
    assert "edge:1" in locked.file.read_text()
    locked.run("validate", "--locked", "-f", "env.yaml", "-f", "edge.yml")
    assert "E305" in locked.run("validate", "--locked", code=3).stderr


# --- git ---

BASE = "containers:\n  base: {{ image: \"example.org/base:{0}\", command: [serve] }}\n"


@pytest.fixture
def team(locked):
    """A spec that includes a file from git."""
    repo = Repo(locked.path, "base")
    repo.commit({"base.yaml": BASE.format(1)}, push=["main", "main:v1"])
    locked.repo, locked.url = repo, f"git+file://{repo.bare}#v1:base.yaml"
    locked.spec.write_text(f'include: ["{locked.url}"]\n' + SPEC)
    config = locked.home.root / "config" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("sources: { file: true }\n")
    return locked


def images(team):
    return {c["image"] for c in json.loads(team.run("config", "--json").stdout)["containers"].values()}


def test_an_include_stays_at_its_commit(team):
    """Pinned by commit and content: nobody is asked where the branch is, until somebody wants to know."""
    first = team.repo.head()
    assert ("include", team.url, None, first) in team.changes()
    second = team.repo.commit({"base.yaml": BASE.format(2)}, push=["main", "main:v1"])
    assert "example.org/base:1" in images(team)
    served = team.repo.bare.rename(team.repo.bare.with_name("gone.git"))
    assert "example.org/base:1" in images(team)
    team.run("validate", "--locked")
    team.run("up", "--offline", code=1)  # images of the lock are not here
    team.run("up")
    served.rename(team.repo.bare)
    assert f"~ include {team.url}  {first[:12]} -> {second[:12]}" in team.run("plan", "--update").stderr
    assert ("include", team.url, first, second) in team.changes("--update")
    assert "example.org/base:2" in images(team)
    git(team.repo.work, "push", "-q", "origin", ":v1")
    (team.home.root / "cache").rename(team.path / "old-cache")
    assert "example.org/base:2" in images(team), "the branch is gone, the commit is not"


def test_another_content_is_refused(team):
    team.run("lock")
    text = team.file.read_text()
    at = text.index('sha256: "') + 9
    team.file.write_text(text[:at] + "0" * 64 + text[at + 64:])
    r = team.run("up", code=3)
    assert "error[E307]" in r.stderr and "is not the file that the lock has" in r.stderr


def test_locked_fetches_nothing_it_does_not_know(team):
    team.run("lock")
    team.spec.write_text(team.spec.read_text().replace("#v1", "#other"))
    r = team.run("validate", "--locked", code=3)
    assert "error[E305]" in r.stderr and "E401" not in r.stderr


def test_a_spec_in_git_has_the_lock_of_its_commit(team):
    """It decides, is never written, and a new commit brings a new one."""
    team.run("lock")
    shop = Repo(team.path, "shop")
    shop.commit({"env.yaml": team.spec.read_text(), "env.lock": team.file.read_text()})
    url = f"git+file://{shop.bare}#main"
    team.asked()
    team.run("up", "--locked", url, has="dead")
    assert team.asked() == [] and set(team.digests().values()) == {THERE}
    team.run("lock", "--update", has=NEWER)
    team.repo.commit({"base.yaml": BASE.format(3)}, push=["main", "main:v1"])
    shop.commit({"env.lock": team.file.read_text()})
    team.asked()
    assert "main moved 1 commit on" in team.run("plan", url, has="dead").stderr
    assert "image.digest" in team.run("plan", "--update", url, has="dead").stdout
    team.run("up", "--update", url, has="dead")
    assert team.asked() == [] and set(team.digests().values()) == {NEWER}
    [copy] = team.home.root.glob("data/src/*/shop/env.lock")
    assert copy.read_text() == team.file.read_text()
    copy.write_text("edited")
    assert "env.lock" in team.run("up", "--update", "-e", "shop", has="dead", code=1).stderr, "what was changed by hand is not overwritten"
    assert copy.read_text() == "edited"


def test_a_lock_in_git_that_is_a_link_is_not_followed(team):
    shop = Repo(team.path, "shop")
    entries = [("100644", "blob", shop.blob(SPEC), "env.yaml"), ("120000", "blob", shop.blob("/etc/passwd"), "env.lock")]
    shop.commit({"env.yaml": SPEC})
    shop.raw_tree(sorted(entries, key=lambda e: e[3]), "main")
    r = team.run("validate", f"git+file://{shop.bare}#main", code=1)
    assert "read the lock" in r.stderr and "symbolic link" in r.stderr and "root:" not in r.stderr
