# SPDX-License-Identifier: MIT
"""Environments of specs in git: the commit that is kept, the folder that is written, what is never overwritten."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
from gitlib import Repo, git  # noqa: E402
from test_apply import CTRZ, Home, home  # noqa: E402,F401

MOUNTS = "containers:\n  web:\n    image: example.org/a/b:1\n    command: [sleep, \"{0}\"]\n    mounts: [{{ source: ./site, target: /site }}]\n" \
         "    files: [{{ name: conf, target: /conf }}]\nfiles:\n  conf: {{ source: conf.txt }}\n"


class Team(Home):
    """A repository, and an environment that was brought up from it."""

    def __init__(self, path):
        super().__init__(path)
        self.repo = Repo(path)
        self.url = f"git+file://{self.repo.bare}#main"
        self.files = {"env.yaml": MOUNTS.format(1), "site/index.html": "one", "conf.txt": "one"}

    def up(self, *more, url=None, code=0, **env):
        return self.run("up", "--allow-file", url or self.url, *more, code=code, **env)

    def plan(self, *more, url=None, code=0):
        return self.run("plan", "--allow-file", url or self.url, *more, code=code)

    def source(self):
        return self.state()["source"]

    @property
    def copy(self):
        [path] = self.root.glob("data/src/*/shop")
        return path

    def listing(self):
        return sorted(str(p.relative_to(self.copy)) for p in self.copy.rglob("*") if p.is_symlink() or not p.is_dir())


@pytest.fixture
def team(home):  # noqa: F811
    t = Team(home.path)
    t.repo.commit(t.files)
    return t


def test_a_team_s_story(team):
    """The commit stays until --update, which makes the smallest change; the folder's path never changes."""
    first = team.repo.head()
    assert "up (1 container" in team.up().stdout
    assert team.source() == {"url": f"git+file://{team.repo.bare}", "ref": "main", "commit": first, "path": "env.yaml"}
    assert team.listing() == ["conf.txt", "env.yaml", "site/index.html"]
    before = (team.copy / "conf.txt").stat()
    second = team.repo.commit({"env.yaml": MOUNTS.format(2), "site/index.html": "two", "site/new": "new"})
    r = team.plan()
    assert "main moved 1 commit on" in r.stderr and second[:7] in r.stderr and "No changes" in r.stdout
    assert "moved 1 commit" in team.up().stderr
    assert team.source()["commit"] == first and (team.copy / "site/index.html").read_text() == "one"
    r = team.plan("--update")
    assert "command" in r.stdout and "process" in r.stdout and "replace" not in r.stdout
    assert (team.copy / "site/index.html").read_text() == "one", "a plan writes nothing"
    team.up("--update")
    assert team.source()["commit"] == second and (team.copy / "site/index.html").read_text() == "two"
    assert (team.copy / "conf.txt").stat().st_mtime_ns == before.st_mtime_ns, "what is the same is not written again"
    assert "up to date" in team.up().stdout
    (team.repo.work / "site/new").unlink()
    third = team.repo.commit({"conf.txt": "two"})
    assert "file" in team.plan("--update").stdout
    git(team.repo.work, "tag", "v3")
    team.repo.push("v3")
    team.up(url=team.url.replace("main", "v3"))
    assert team.source()["commit"] == third and team.source()["ref"] == "v3"
    assert team.listing() == ["conf.txt", "env.yaml", "site/index.html"]
    assert len(list(team.root.glob("state/envs/*"))) == 1


def test_the_branch_is_rewritten_or_deleted(team):
    first = team.repo.head()
    team.up()
    git(team.repo.work, "commit", "-q", "--amend", "-m", "other", "--date", "2026-02-02T00:00:00Z")
    team.repo.push("main")
    assert "was rewritten" in team.up().stderr
    git(team.repo.work, "checkout", "-q", "-b", "else")
    team.repo.push("else")
    git(team.repo.bare, "symbolic-ref", "HEAD", "refs/heads/else")
    git(team.repo.work, "push", "-q", "origin", ":main")
    assert "there is no main any more" in team.up().stderr
    shutil.rmtree(team.repo.bare)
    assert "could not be asked" in team.up().stderr
    assert team.source()["commit"] == first
    assert team.up("--offline").stderr == ""


def test_what_was_edited_is_never_overwritten(team):
    team.up()
    team.repo.commit({"site/index.html": "two", "site/mine": "theirs"})
    (team.copy / "site/index.html").write_text("edited")
    (team.copy / "site/mine").write_text("mine")
    (team.copy / "site/other").write_text("other")
    r = team.up("--update", code=1)
    assert "site/index.html" in r.stderr and "site/mine" in r.stderr and "site/other" not in r.stderr
    assert (team.copy / "site/index.html").read_text() == "edited" and (team.copy / "site/mine").read_text() == "mine"
    (team.copy / "site/index.html").write_text("one")
    (team.copy / "site/mine").unlink()
    team.up("--update")
    assert (team.copy / "site/index.html").read_text() == "two" and (team.copy / "site/other").read_text() == "other"
    (team.copy / "env.yaml").write_text(MOUNTS.format(7))
    assert "was edited" in team.up(code=1).stderr


def test_a_link_in_place_of_a_folder_is_not_followed(team):
    team.repo.commit({"lib/x": "one"})
    team.up()
    team.repo.commit({"lib/x": "two"})
    outside = team.path / "outside"
    outside.mkdir()
    (outside / "x").write_text("one")
    shutil.rmtree(team.copy / "lib")
    (team.copy / "lib").symlink_to(outside)
    assert "lib/x" in team.up("--update", code=1).stderr
    assert (outside / "x").read_text() == "one"


def test_what_a_repository_cannot_do(team):
    """Links that lead out, submodules, names, filters and hooks have no effect."""
    repo = team.repo
    hooks = team.path / "template" / "hooks"
    hooks.mkdir(parents=True)
    for name in ("post-checkout", "post-merge", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {team.path}/hacked\n")
        (hooks / name).chmod(0o755)
    files = {name: ("100644", "blob", repo.blob(text), name) for name, text in {
        **team.files, ".gitmodules": "[submodule \"x\"]\n\tpath = sub\n\turl = ext::sh -c 'touch hacked'\n",
        ".gitattributes": "* text eol=crlf filter=lfs ident\n", "ident": "$Id$\n", "README": "upper\n", "readme": "lower\n",
        "big": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "-rf": "dash\n"}.items() if "/" not in name}
    index = ("100644", "blob", repo.blob("one"), "index.html")
    evil = git(repo.work, "mktree", "-z", input="".join(f"{m} {k} {o}\t{n}\0" for m, k, o, n in [index]))
    links = {"in": "site/index.html", "up": "../outside", "abs": "/etc/passwd", "deep": "site/../../outside", "here": "."}
    entries = [*files.values(), ("040000", "tree", evil, "site"), ("160000", "commit", "1" * 40, "sub"),
               ("040000", "tree", evil, ".git"), ("100755", "blob", repo.blob("#!"), "run"),
               *(("120000", "blob", repo.blob(to), name) for name, to in links.items())]
    repo.raw_tree(entries, "main")
    r = team.up(GIT_TEMPLATE_DIR=str(team.path / "template"))
    for name in ("sub: left out: a submodule", "up: left out: a link", "abs: left out", "deep: left out", ".git: left out"):
        assert name in r.stderr
    assert team.listing() == sorted(["-rf", ".gitattributes", ".gitmodules", "README", "big", "conf.txt", "env.yaml", "here", "ident", "in", "readme",
                                     "run", "site/index.html"])
    assert (team.copy / "README").read_text() == "upper\n" and (team.copy / "readme").read_text() == "lower\n"
    assert (team.copy / "ident").read_bytes() == b"$Id$\n" and (team.copy / "big").read_text().startswith("version https://git-lfs")
    assert os.readlink(team.copy / "in") == "site/index.html" and os.access(team.copy / "run", os.X_OK)
    assert not list(team.path.rglob("hacked"))


def test_ten_thousand_files_and_a_kill(team):
    team.repo.fast({**team.files, **{f"d{i % 100}/f{i}": f"{i}\n" for i in range(10000)}})
    up = [CTRZ, "up", "--allow-file", team.url]
    asked = subprocess.run(up, cwd=team.path, env=team.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert asked.returncode == 6 and not list(team.root.glob("data/src/*")), "nothing is written before the question"
    agree = re.search("--trust=[0-9a-f]+", asked.stderr)[0]
    p = subprocess.Popen([*up, agree], cwd=team.path, env=team.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while p.poll() is None and not list(team.root.glob("data/src/*/shop/d0/f*")):
        time.sleep(0.01)
    p.send_signal(signal.SIGKILL)
    p.wait(30)
    assert len(team.listing()) < 10003, "it was killed too late to show anything"
    team.up()
    assert len(team.listing()) == 10003 and (team.copy / "d99/f9999").read_text() == "9999\n"
    assert not [n for n in team.listing() if ".ctrz" in n]
    team.repo.fast({**team.files, **{f"d{i % 100}/f{i}": f"{i}\n" for i in range(10000) if i % 100}})
    team.up("--update")
    assert len(team.listing()) == 9903 and not (team.copy / "d0").exists()


def test_a_saved_plan_is_for_its_commit(team):
    team.up()
    team.repo.commit({"env.yaml": MOUNTS.format(2)})
    team.plan("--update", "-o", "next.plan")
    planned = team.repo.head()
    team.repo.commit({"env.yaml": MOUNTS.format(3)})
    team.run("up", "--allow-file", "./next.plan")
    assert team.source()["commit"] == planned and "moved 1 commit" in team.plan().stderr


def test_other_commands_touch_neither_git_nor_the_network(team):
    team.up()
    shutil.rmtree(team.repo.bare)
    shutil.rmtree(team.root / "cache" / "git")
    trace = team.path / "trace"
    for args in (["ps"], ["ls"], ["logs", "web"], ["port", "web"], ["exec", "web", "true"], ["inspect", "web"], ["down", team.url]):
        subprocess.run(["strace", "-f", "-o", trace, "-e", "trace=connect,openat,execve", CTRZ, *args], cwd=team.path, env=team.env, check=False,
                       capture_output=True, timeout=120)
        text = trace.read_text()
        assert "libgit2" not in text and "AF_INET" not in text and "/cache/git" not in text, args
    assert not [c for c in team.state()["containers"].values() if c["stage"] != "none"]
