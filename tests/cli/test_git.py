# SPDX-License-Identifier: MIT
"""Specs out of git, from real servers: what a URL means, what is refused, what is kept."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from clilib import CTRZ
from gitlib import GIT_ENV, SPEC, HttpsServer, Repo, SshServer, free_port, git, make_ca, wait_for_port


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return make_ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def repo(folder):
    r = Repo(folder.path)
    r.commit({"env.yaml": SPEC.format("main")})
    return r


@pytest.fixture
def https(folder, repo, authority):
    ca, pem = authority
    config = folder.path / "home" / "config" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f"sources: {{ ca: {ca} }}\n")
    server = HttpsServer(repo.bare.parent, pem)
    yield server
    server.close()


def file_url(repo, rest=""):
    return f"git+file://{repo.bare}{rest}"


def command_of(folder, *args, **more):
    """What the spec that was read says."""
    spec = json.loads(folder.out("config", "--json", *args, **more))
    return spec["containers"]["web"]["processes"]["main"]["command"][1] if "processes" in spec["containers"]["web"] \
        else spec["containers"]["web"]["command"][1]


def cached(folder):
    cache = folder.path / "home" / "cache" / "git"
    return sorted(p.name for p in cache.iterdir() if not p.name.endswith(".lock")) if cache.exists() else []


# --- what a ref means ---

def test_a_ref_is_matched_exactly(folder, repo, https):
    """Never by its ending, and an annotated tag means its commit."""
    first = repo.head()
    git(repo.work, "checkout", "-q", "-b", "a/main")
    repo.commit({"env.yaml": SPEC.format("a-main")}, push=["a/main"])
    git(repo.work, "tag", "-a", "v1", "-m", "one", first)
    git(repo.work, "tag", "light", first)
    repo.push("v1", "light", f"{first}:refs/pull/7/head")
    said = {ref: command_of(folder, https.url(rest=ref)) for ref in
            ("", "#", "#main", "#a/main", "#v1", "#light", "#pull/7/head", "#refs/heads/main", "#refs/tags/v1", f"#{first}", "#main:env.yaml")}
    assert said.pop("#a/main") == "a-main"
    assert set(said.values()) == {"main"}
    for ref, words in {"#mian": "did you mean 'main'", f"#{first[:10]}": "all 40 digits", "#ain": "no branch or tag",
                       "#heads/main": "no branch or tag"}.items():
        assert words in folder.run("validate", https.url(rest=ref), code=4).stderr


def test_a_branch_and_a_tag_of_one_name(folder, repo):
    git(repo.work, "checkout", "-q", "-b", "both")
    repo.commit({"env.yaml": SPEC.format("branch")}, push=["refs/heads/both"])
    git(repo.work, "tag", "both", "main")
    repo.push("refs/tags/both")
    err = folder.run("validate", "--allow-file", file_url(repo, "#both"), code=1).stderr
    assert "#refs/heads/both" in err and "#refs/tags/both" in err
    assert command_of(folder, "--allow-file", file_url(repo, "#refs/heads/both")) == "branch"
    assert command_of(folder, "--allow-file", file_url(repo, "#refs/tags/both")) == "main"


@pytest.mark.parametrize("allows", [True, False])
def test_a_commit_that_is_no_tip(folder, repo, https, allows):
    first = repo.head()
    repo.commit({"env.yaml": SPEC.format("second")})
    git(repo.bare, "config", "uploadpack.allowReachableSHA1InWant", str(allows).lower())
    assert command_of(folder, https.url(rest=f"#{first}")) == "main"
    lost = "0123456789" * 4
    assert lost in folder.run("validate", https.url(rest=f"#{lost}"), code=4).stderr


def test_usual_names_and_paths(folder, repo):
    repo.commit({".ctrz/env.yaml": SPEC.format("usual"), "sub/dir/x.yaml": SPEC.format("sub")})
    (repo.work / "env.yaml").unlink()
    repo.commit()
    allow = "--allow-file"
    assert command_of(folder, allow, file_url(repo)) == "usual"
    assert command_of(folder, allow, file_url(repo, "#main:sub/dir/x.yaml")) == "sub"
    assert "is no file" in folder.run("validate", allow, file_url(repo, "#main:sub"), code=3).stderr
    assert "has no 'none.yaml'" in folder.run("validate", allow, file_url(repo, "#main:none.yaml"), code=4).stderr
    shutil.rmtree(repo.work / ".ctrz")
    repo.commit()
    assert "neither env.yaml nor .ctrz/env.yaml" in folder.run("validate", allow, file_url(repo), code=4).stderr


# --- what is refused ---

def test_schemes(folder, repo, authority):
    """The others are refused before anything is asked; git daemon and plain HTTP really answer."""
    plain = HttpsServer(repo.bare.parent)
    port = free_port()
    daemon = subprocess.Popen(["git", "daemon", "--export-all", f"--port={port}", "--listen=127.0.0.1", f"--base-path={repo.bare.parent}",
                               "--reuseaddr"], env=GIT_ENV, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for_port(port)
        git(folder.path, "ls-remote", f"git://127.0.0.1:{port}/shop.git")
        git(folder.path, "ls-remote", f"http://localhost:{plain.port}/shop.git")
        plain.requests.clear()
        for url in (f"git://127.0.0.1:{port}/shop.git", f"git+git://127.0.0.1:{port}/shop.git", f"http://localhost:{plain.port}/shop.git",
                    f"git+http://localhost:{plain.port}/shop.git", "ext::sh -c 'touch hacked'", "fd::3/x", f"file://{repo.bare}",
                    "git+https://h/..%2fb", "git+https://h/r#--upload-pack=touch%20hacked", "git+https://me:secret@h/r", "git+ssh://-oProxyCommand=id/r"):
            for verb in ("validate", "plan", "up", "config"):
                assert "ctrz: error" in folder.run(verb, url, code=3).stderr
        assert plain.requests == []
        assert "--allow-file" in folder.run("validate", file_url(repo), code=1).stderr
        assert not (folder.project / "hacked").exists() and cached(folder) == []
    finally:
        os.killpg(daemon.pid, signal.SIGTERM)
        daemon.wait(30)
        plain.close()


def test_git_file_can_be_allowed_for_good(folder, repo):
    config = folder.path / "home" / "config" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("sources: { file: true }\n")
    assert command_of(folder, file_url(repo)) == "main"


def test_links_are_not_followed(folder, repo):
    link = repo.blob("/etc/passwd")
    tree = git(repo.work, "rev-parse", "HEAD^{tree}")
    repo.raw_tree([("120000", "blob", link, "env.yaml")], "file")
    repo.raw_tree([("120000", "blob", repo.blob("real"), "linked"), ("040000", "tree", tree, "real")], "folder")
    for rest in ("#file", "#folder:linked/env.yaml"):
        r = folder.run("config", "--allow-file", file_url(repo, rest), code=1)
        assert "symbolic link" in r.stderr and "root:" not in r.stdout + r.stderr
    assert command_of(folder, "--allow-file", file_url(repo, "#folder:real/env.yaml")) == "main"


def test_a_certificate_must_be_good(folder, repo, https):
    assert command_of(folder, https.url()) == "main"
    other = https.url().replace("localhost", "127.0.0.1")
    assert "certificate of 127.0.0.1" in folder.run("validate", other, code=1).stderr
    (folder.path / "home" / "config" / "config.yaml").unlink()
    assert "sources: { ca: FILE }" in folder.run("validate", https.url("other.git"), code=1).stderr


# --- who we are ---

def gitconfig(folder, text):
    (folder.path / "user").mkdir(exist_ok=True)
    (folder.path / "user" / ".gitconfig").write_text(text)


def helper(folder, answer, name="helper"):
    """A credential helper that writes down what it is asked."""
    path = folder.path / name
    path.write_text(f"#!/bin/sh\necho \"$1\" >>{path}.asked\ncat >>{path}.asked\nprintf '{answer}'\n")
    path.chmod(0o755)
    return path


def test_basic_auth_by_the_helper_of_git(folder, repo, https):
    https.login = "alice:geheim"
    gitconfig(folder, "")
    r = folder.run("validate", https.url(), code=1, stdin="")
    assert "credential helper" in r.stderr and "geheim" not in r.stderr
    wrong = helper(folder, "username=alice\\npassword=falsch\\n", "wrong")
    gitconfig(folder, f"[credential]\n\thelper = {wrong}\n")
    assert "refuses the user and password" in folder.run("validate", https.url(), code=1).stderr
    silent, good = helper(folder, "quit=0\\n", "silent"), helper(folder, "username=alice\\npassword=geheim\\n")
    gitconfig(folder, f"[credential]\n\thelper = {wrong}\n\thelper =\n\thelper = {silent}\n[credential \"https://localhost:{https.port}\"]\n"
                      f"\thelper = !{good}\n[credential \"https://elsewhere\"]\n\thelper = {wrong}\n")
    wrong_asked = (folder.path / "wrong.asked").read_text()
    r = folder.run("validate", https.url(), code=0)
    assert (folder.path / "helper.asked").read_text() == f"get\nprotocol=https\nhost=localhost:{https.port}\n\n"
    assert (folder.path / "wrong.asked").read_text() == wrong_asked
    assert "geheim" not in r.stdout + r.stderr
    assert not [p for p in (folder.path / "home").rglob("*") if p.is_file() and b"geheim" in p.read_bytes()]
    gitconfig(folder, "[credential]\n\thelper = \"!f() { echo password=geheim; }; f\"\n")
    assert "needs a shell" in folder.run("validate", https.url("other.git"), code=3).stderr
    store = folder.path / "store"
    store.write_text(f"https://alice:geheim@localhost%3a{https.port}\n")
    gitconfig(folder, f"[credential]\n\thelper = store --file {store}\n")
    folder.run("validate", https.url())


def test_credentials_are_not_led_away(folder, repo, https, authority):
    """A redirect within a server is followed; one to another server gets no credentials."""
    gitconfig(folder, f"[credential]\n\thelper = {helper(folder, 'username=alice' + chr(92) + 'npassword=geheim' + chr(92) + 'n')}\n")
    https.redirect = "/moved"
    folder.run("validate", https.url())
    other = HttpsServer(repo.bare.parent, authority[1], login="alice:geheim")
    try:
        https.redirect = f"https://localhost:{other.port}"
        https.requests.clear()
        folder.run("validate", https.url(), code=None)
        assert [auth for _, _, auth in other.requests if auth] == []
    finally:
        other.close()


def test_rules_of_git_do_not_lead_elsewhere(folder, repo, https):
    """url.*.insteadOf of the user's configuration has no effect."""
    gitconfig(folder, f"[url \"file://{repo.bare}\"]\n\tinsteadOf = {https.url()[4:]}\n")
    folder.run("validate", https.url())
    assert https.requests


def test_ssh_with_an_agent(folder, repo):
    (folder.path / "ssh").mkdir()
    server = SshServer(folder.path / "ssh")
    hosts = folder.path / "user" / ".ssh" / "known_hosts"
    agent = {"SSH_AUTH_SOCK": str(server.socket)}
    url = server.url(repo.bare)
    try:
        hosts.parent.mkdir(parents=True)
        assert "not in known_hosts" in folder.run("validate", url, code=1, **agent).stderr
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder.path / "ssh" / "foreign"], check=True)
        hosts.write_text(server.known_hosts((folder.path / "ssh" / "foreign.pub").read_text()))
        assert "is not the one in known_hosts" in folder.run("validate", url, code=1, **agent).stderr
        hosts.write_text(server.known_hosts())
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", hosts], check=True, capture_output=True)
        assert "127.0.0.1" not in hosts.read_text()
        assert "ssh-add -l" in folder.run("validate", url, code=1).stderr
        assert cached(folder) == []
        assert command_of(folder, url, **agent) == "main"
    finally:
        server.close()


# --- the cache ---

def test_offline(folder, repo, https):
    """With --offline no socket is opened, and a commit in the cache needs none either."""
    commit = repo.head()
    r = folder.run("plan", "--offline", https.url(rest="#main"), code=1)
    assert "not in the cache" in r.stderr
    folder.run("validate", https.url(rest="#main"))
    https.close()
    for args in (["--offline", https.url(rest="#main")], ["--offline", https.url(rest=f"#{commit}")], [https.url(rest=f"#{commit}")]):
        trace = folder.path / "trace"
        subprocess.run(["strace", "-f", "-o", trace, "-e", "trace=connect,sendto,sendmsg", CTRZ, "config", *args], cwd=folder.project,
                       env={**folder.env, "ASAN_OPTIONS": "detect_leaks=0"},  # which cannot be done under strace
                       check=True, capture_output=True, timeout=120)
        assert not re.search(r"AF_INET|:443", trace.read_text())
    assert "cannot be reached" in folder.run("validate", https.url(rest="#main"), code=1).stderr


def test_what_was_read_of_a_commit_is_not_read_again(folder, repo, https):
    """A spec, what it includes and where its files are come from the cache without libgit2; damage there is noticed."""
    repo.commit({"env.yaml": SPEC.format("main") + "    mounts: [./src:/src:ro]\ninclude: [more.yaml]\n", "src/x": "x",
                 "more.yaml": SPEC.format("more").replace("web:", "more:")})
    url = https.url(rest=f"#{repo.head()}")
    first = folder.out("config", url)
    assert "/src" in first and "more:" in first
    trace = folder.path / "trace"

    def again(*args):
        subprocess.run(["strace", "-f", "-o", trace, "-e", "trace=openat", CTRZ, "config", *args], cwd=folder.project, check=True, capture_output=True,
                       env={**folder.env, "ASAN_OPTIONS": "detect_leaks=0"}, timeout=120)
        return "libgit2" in trace.read_text()
    assert not again(url) and not again("--offline", url)
    kept, = (folder.path / "home" / "cache" / "git" / cached(folder)[0] / "ctrz-read").iterdir()
    whole = kept.read_bytes()
    for damaged in (whole.replace(b"more:", b"less:"), whole[:-1], b"", os.urandom(500)):
        kept.write_bytes(damaged)
        assert folder.out("config", url) == first
        assert kept.read_bytes() == whole and not again(url)
    kept.write_bytes(b"x")
    kept.chmod(0)
    assert folder.out("config", url) == first


def test_a_fetch_that_is_killed_leaves_nothing_that_harms(folder, repo, https):
    https.slow = True
    repo.commit({"data": os.urandom(200_000).hex()})
    for times in range(2):
        p = subprocess.Popen([CTRZ, "validate", https.url()], cwd=folder.project, env=folder.env, stderr=subprocess.DEVNULL)
        assert https.half_sent.wait(60)
        time.sleep(0.2)
        p.kill()
        p.wait(30)
        https.half_sent.clear()
        if times == 0:
            assert [n for n in cached(folder) if not n.endswith(".new")] == []
            https.slow = False
            folder.run("validate", https.url())
            repo.commit({"data": os.urandom(200_000).hex()})
            https.slow = True
    https.slow = False
    https.stall.set()
    assert command_of(folder, https.url()) == "main"
    packs = folder.path / "home" / "cache" / "git" / cached(folder)[0] / "objects" / "pack"
    assert all(p.name.startswith("pack-") for p in packs.iterdir())


def test_cache_ls_and_prune(folder, repo, https):
    """The one used last first; one that is being fetched stays, and what runs needs none."""
    shutil.copytree(repo.bare, repo.bare.with_name("other.git"))
    urls = [https.url(), https.url("other.git")]
    assert json.loads(folder.out("cache", "ls", "--json")) == [] and "freed 0" in folder.out("cache", "prune")
    for url in (urls[0], urls[1], urls[0]):
        folder.run("validate", url)
    listed = json.loads(folder.out("cache", "ls", "--json"))
    assert [e["url"] for e in listed] == urls and all(e["bytes"] > 0 for e in listed)
    assert folder.out("cache", "ls").splitlines()[1].endswith(urls[0])
    folder.run("cache", "prune", "--keep", "1000")
    assert len(cached(folder)) == 2
    https.slow = True
    repo.commit({"data": os.urandom(200_000).hex()})
    p = subprocess.Popen([CTRZ, "validate", urls[0]], cwd=folder.project, env=folder.env, stdout=subprocess.DEVNULL)
    assert https.half_sent.wait(60)
    assert folder.out("cache", "prune").startswith("freed ")
    assert [e["url"] for e in json.loads(folder.out("cache", "ls", "--json"))] == urls[:1]
    https.slow = False
    p.kill()
    p.wait(30)
    https.stall.set()
    # What fetched for it ends with it, but not at the same moment, and holds the lock until then.
    end = time.monotonic() + 30
    while cached(folder) != [] and time.monotonic() < end:
        folder.run("cache", "prune")
    assert cached(folder) == []
    assert command_of(folder, urls[0]) == "main"


def test_two_first_fetches_at_once(folder, repo, https):
    both = [subprocess.Popen([CTRZ, "validate", https.url()], cwd=folder.project, env=folder.env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [p.communicate(timeout=120)[0] for p in both] == [f"{https.url()}: OK\n"] * 2
    assert len(cached(folder)) == 1


def test_a_cache_that_cannot_be_written(folder, repo, https):
    script = f"mount -t tmpfs -o size=64k none '{folder.path}/full'; exec env CTRZ_HOME='{folder.path}/full' '{CTRZ}' validate '{https.url()}'"
    (folder.path / "full" / "config").mkdir(parents=True)
    repo.commit({"data": os.urandom(200_000).hex()})
    config = (folder.path / "home" / "config" / "config.yaml").read_text()
    script = script.replace("; exec", f"; mkdir -p '{folder.path}/full/config'; printf '%s' '{config}' >'{folder.path}/full/config/config.yaml'; exec", 1)
    r = subprocess.run(["unshare", "-rm", "sh", "-c", script], env=folder.env, capture_output=True, text=True, check=False, timeout=120)
    assert r.returncode == 1 and "No space left" in r.stderr, r.stderr
    folder.run("validate", https.url())
    script = f"mount --bind '{folder.path}/home' '{folder.path}/home' && mount -o remount,bind,ro '{folder.path}/home' && exec '{CTRZ}' config"
    fixed = https.url(rest=f"#{repo.head()}")
    r = subprocess.run(["unshare", "-rm", "sh", "-c", f"{script} '{fixed}'"], env=folder.env, capture_output=True, text=True, check=False, timeout=120)
    assert r.returncode == 0, r.stderr
    r = subprocess.run(["unshare", "-rm", "sh", "-c", f"{script} '{https.url('other.git')}'"], env=folder.env, capture_output=True, text=True, check=False,
                       timeout=120)
    assert r.returncode != 0 and "Read-only" in r.stderr


def test_a_silent_server_is_told(folder, repo):
    """Nothing answers on a port that accepts."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        p = subprocess.Popen([CTRZ, "validate", f"git+https://localhost:{s.getsockname()[1]}/r"], cwd=folder.project, env=folder.env,
                             stderr=subprocess.PIPE, text=True)
        conn, _ = s.accept()
        p.send_signal(signal.SIGINT)
        assert p.wait(30) != 0
        conn.settimeout(30)
        while conn.recv(4096):
            pass
        conn.close()
        p.stderr.close()


# --- include ---

def test_include_from_git(folder, repo, https):
    repo.commit({"base.yaml": "containers:\n  db:\n    image: registry.example/db:1\n    env_file: [db.env]\ninclude: [more.yaml]\n",
                 "db.env": "A=1\n", "more.yaml": "containers:\n  extra:\n    image: registry.example/x:1\n    nonsense: 1\n"}, push=["main", "main:refs/heads/bad"])
    repo.commit({"more.yaml": "containers:\n  extra:\n    image: registry.example/x:1\n"})
    folder.write("env.yaml", f"include: [\"{https.url(rest='#main:base.yaml')}\"]\n" + SPEC.format("own"))
    spec = json.loads(folder.out("config", "--json"))
    assert sorted(spec["containers"]) == ["db", "extra", "web"]
    assert spec["containers"]["db"]["env"]["A"] == "1"
    folder.write("env.yaml", f"include: [\"{https.url(rest='#bad:base.yaml')}\"]\n" + SPEC.format("own"))
    r = folder.run("validate", code=3)
    assert "nonsense" in r.stderr and "more.yaml:4" in r.stderr
    folder.write("env.yaml", f"include: [\"{https.url(rest='#none:base.yaml')}\"]\n" + SPEC.format("own"))
    assert "error[E401]" in folder.run("validate", code=3).stderr
    folder.write("env.yaml", f"include: [\"{file_url(repo, '#main:base.yaml')}\"]\n" + SPEC.format("own"))
    assert "--allow-file" in folder.run("validate", code=3).stderr
