# SPDX-License-Identifier: MIT
"""What a file reaches of the host is asked about when it is new or grew: what asks, what does not, who can answer, and what the answer
is kept in. Machines are only files here; the question, the records and the plans are real."""
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
from gitlib import Repo, git  # noqa: E402
from test_apply import CTRZ, home  # noqa: E402,F401  pylint: disable=unused-import

VALUE = "hunter2-and-more"
BASE = """name: shop
vars: { KEY: { env: MY_KEY, default: none } }
secrets: { mine: { generate: {} } }
containers:
  a: { image: "example.org/a:1", command: [serve], env: { A: "1" }, mounts: ["./ro:/ro"], ports: ["20001:80"] }
"""
# What is added to the file, and what exactly is asked then.
KINDS = {
    "a folder of the project, to write": (('"./ro:/ro"', '"./ro:/ro", "./rw:/rw:rw"'), ["mount ./rw 2"]),
    "a folder of the project, now to write": (('"./ro:/ro"', '"./ro:/ro:rw"'), ["mount ./ro 2"]),
    "a folder elsewhere": (('"./ro:/ro"', '"./ro:/ro", "OUT/dir:/out"'), ["mount OUT/dir 1"]),
    "a variable of the host": (('A: "1"', 'A: "${KEY}"'), ["variable MY_KEY 1"]),
    "a variable as part of an image": (("example.org/a:1", "example.org/a:${KEY}"), ["variable MY_KEY 1"]),
    "a secret of the environment": (("{ generate: {} }", "{ env: MY_KEY }"), ["secret mine from $MY_KEY 1"]),
    "a secret in a file": (("{ generate: {} }", "{ file: OUT/key }"), ["secret mine from OUT/key 1"]),
    "a file elsewhere": (("containers:", "files: { f: { source: OUT/key } }\ncontainers:"), ["file OUT/key 1"]),
    "a file elsewhere behind a link": (("containers:", "files: { f: { source: ./link } }\ncontainers:"), ["file OUT/key 1"]),
    "variables in a file elsewhere": (("command:", "env_file: [OUT/vars], command:"), ["file OUT/vars 1"]),
    "an address that all can reach": (('"20001:80"', '"0.0.0.0:20001:80"'), ["port 0.0.0.0:20001/tcp 1"]),
    "processors": (("  a:", "".join(f"  m{i}: {{ image: a, command: [serve], resources: {{ memory: 64MiB }} }}\n" for i in range(16))
                    + "  a:"), ["cpus  32"]),
    "memory": (("command:", "resources: { memory: 9GiB }, command:"), [f"memory  {16 << 30}"]),
}


def ctrz(home, *args, **more):
    """Run ctrz as a script does: nobody can be asked."""
    more.setdefault("env", dict(home.env, MY_KEY=VALUE))
    more.setdefault("cwd", home.path)
    return subprocess.run([CTRZ, *args], text=True, stdin=subprocess.DEVNULL, capture_output=True, check=False, **more)


def asked(home, *args, **more):
    """What is new in the file, as "kind what level"."""
    r = ctrz(home, "trust", "show", "--json", *args, **more)
    assert r.returncode == 0, r.stderr
    shown = json.loads(r.stdout)
    new = [f"{i['kind']} {i['what']} {i['level']}" for i in shown["reach"] if i["state"] == "new"]
    assert bool(new) == shown["asks"]
    return new, f"--trust={shown['hash']}"


def files_below(path):
    return {p: p.stat().st_mtime_ns for p in path.rglob("*") if p.is_file()} if path.exists() else None


def agree(home):
    _, option = asked(home)
    r = ctrz(home, "up", option)
    assert r.returncode == 0, r.stderr


@pytest.fixture
def shop(home):
    out = home.path / "out"
    project = home.path / "project"
    for folder in (project / "ro", project / "rw", out / "dir"):
        folder.mkdir(parents=True)
    (out / "key").write_text("k\n")
    (out / "vars").write_text("B=1\n")
    (project / "link").symlink_to(out / "key")
    home.out, home.path, home.spec = out, project, project / "env.yaml"
    home.spec.write_text(BASE)
    return home


@pytest.mark.parametrize("what", KINDS)
def test_each_kind_asks_for_exactly_itself(shop, what):
    (old, new), expected = KINDS[what]
    expected = [e.replace("OUT", str(shop.out)) for e in expected]
    assert ctrz(shop, "up").returncode == 0, "free things need no answer"
    assert old in BASE
    shop.spec.write_text(BASE.replace(old, new.replace("OUT", str(shop.out))))
    before = files_below(shop.root)
    found, option = asked(shop)
    assert found == expected
    for more in ((), ("-y",), ("--trust=" + "0" * 32,), ("--json",)):
        r = ctrz(shop, "up", *more)
        assert r.returncode == 6 and option in r.stderr and VALUE not in r.stderr + r.stdout, r
    assert files_below(shop.root) == before, "nothing was done or written"
    assert option in ctrz(shop, "plan").stderr
    r = ctrz(shop, "up", option)
    assert r.returncode == 0, r.stderr
    assert asked(shop)[0] == [] and ctrz(shop, "up").stdout.endswith("0 changes)\n")
    assert not [p for p in (shop.root / "state" / "trust").iterdir() if VALUE in p.read_text()]


def test_the_first_question_has_no_side_effect(shop):
    shop.spec.write_text(BASE.replace('"./ro:/ro"', '".:/w:rw"'))
    assert ctrz(shop, "up").returncode == 6
    assert not shop.root.exists()


def test_what_changes_nothing_asks_nothing(shop):
    text = BASE.replace('"./ro:/ro"', '".:/w:rw", "OUT/dir:/out"'.replace("OUT", str(shop.out)))
    shop.spec.write_text(text)
    agree(shop)
    for old, new in (("example.org/a:1", "example.org/a:2"), ('A: "1"', 'A: "2", B: x'), ("[serve]", "[serve, more]"),
                     ('".:/w:rw", ', ""), ('"20001:80"', '"20002:80"'), ("/w:rw", "/other:rw"), ("dir:/out", "dir:/out:ro")):
        beside = shop.spec.with_suffix(".new")
        beside.write_text(text.replace(old, new))
        os.rename(beside, shop.spec)  # as an editor saves
        r = ctrz(shop, "up")
        assert r.returncode == 0, r.stderr
    shop.spec.write_text(text)
    assert ctrz(shop, "up").returncode == 0, "what was agreed to once stays so"


def test_less_needs_no_answer_and_more_does(shop):
    shop.spec.write_text(BASE.replace('"./ro:/ro"', '"OUT/dir:/d:rw"'.replace("OUT", str(shop.out))))
    agree(shop)
    shop.spec.write_text(BASE.replace('"./ro:/ro"', '"OUT/dir:/d:ro"'.replace("OUT", str(shop.out))))
    assert asked(shop)[0] == []
    for memory, new in (("9GiB", [f"memory  {16 << 30}"]), ("16GiB", []), ("17GiB", [f"memory  {32 << 30}"]), ("10GiB", [])):
        shop.spec.write_text(BASE.replace("command:", f"resources: {{ memory: {memory} }}, command:"))
        assert asked(shop)[0] == new
        agree(shop)


def test_a_copy_is_another_file_and_a_moved_folder_is_not(shop):
    shop.spec.write_text(BASE.replace('"./ro:/ro"', '"./ro:/ro:rw"'))
    agree(shop)
    copy = shop.path.parent / "copy"
    shutil.copytree(shop.path, copy, symlinks=True)
    assert asked(shop, cwd=copy)[0] == ["mount ./ro 2"], "copied"
    beside = shop.path / "other.yaml"
    shutil.copy(shop.spec, beside)
    assert asked(shop, "other.yaml")[0] == ["mount ./ro 2"], "copied beside it"
    moved = shop.path.parent / "moved"
    os.rename(shop.path, moved)
    assert asked(shop, cwd=moved)[0] == []
    r = ctrz(shop, "up", cwd=moved)
    assert r.returncode == 0, r.stderr
    assert [t["source"] for t in json.loads(ctrz(shop, "trust", "ls", "--json", cwd=moved).stdout)] == [str(moved / "env.yaml")]
    deeper = moved / "ro"
    os.rename(moved / "env.yaml", deeper / "env.yaml")
    (deeper / "ro").mkdir()
    assert asked(shop, cwd=deeper)[0] == ["mount ./ro 2"], "the file alone was moved: ./ is something else now"


def test_an_include_that_grew_is_named(shop):
    part = shop.path / "part.yaml"
    part.write_text('containers: { b: { image: "example.org/b:1", command: [serve] } }\n')
    shop.spec.write_text("include: [part.yaml]\n" + BASE)
    assert ctrz(shop, "up").returncode == 0
    part.write_text('containers:\n  b:\n    image: "example.org/b:1"\n    command: [serve]\n    mounts: ["./rw:/rw:rw"]\n')
    found = json.loads(ctrz(shop, "trust", "show", "--json").stdout)["reach"]
    [new] = [i for i in found if i["state"] == "new"]
    assert (new["file"], new["line"], new["inside"]) == ("part.yaml", 5, "b:/rw")
    assert ctrz(shop, "up").returncode == 6


def test_a_profile_asks_when_it_is_used(shop):
    shop.spec.write_text(BASE + '  b: { image: "example.org/b:1", profiles: [more], mounts: ["./rw:/rw:rw"] }\n')
    assert ctrz(shop, "up").returncode == 0
    assert ctrz(shop, "up", "--profile", "more").returncode == 6


class Terminal:
    """ctrz with standard input and error on a terminal, up to where it asks."""

    def __init__(self, home, *args):
        pid, self.fd = pty.fork()
        if pid == 0:
            try:
                os.chdir(home.path)
                os.execve(CTRZ, [CTRZ, *args], {**home.env, "MY_KEY": VALUE, "TERM": "dumb"})
            finally:
                os._exit(127)
        self.pid, self.text = pid, ""
        while "[y/N]" not in self.text:
            self.text += os.read(self.fd, 4096).decode()

    def answer(self, typed):
        """Type, wait for the end. Return: the exit code, as a shell tells it."""
        os.write(self.fd, typed)
        try:
            while True:
                self.text += os.read(self.fd, 4096).decode()
        except OSError:  # the other end was closed
            os.close(self.fd)
        status = os.waitpid(self.pid, 0)[1]
        return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


@pytest.mark.parametrize("typed,code", [(b"y\n", 0), (b"yes\n", 0), (b"n\n", 6), (b"\n", 6), (b"yell\n", 6), (b"\x04", 6),
                                        (b"\x03", 128 + signal.SIGINT)])
def test_on_a_terminal_it_is_asked(shop, typed, code):
    shop.spec.write_text(BASE.replace('"./ro:/ro"', '"./rw:/rw:rw"').replace('A: "1"', 'A: "${KEY}"'))
    t = Terminal(shop, "up")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", t.text).replace("\r", "").splitlines()
    assert lines == [f'"shop" ({shop.spec}) wants to reach this of your host:', "  mount     ./rw rw -> a:/rw  env.yaml:5",
                     "  variable  MY_KEY  env.yaml:5", "Allow it? [y/N] "]
    assert t.answer(typed) == code, t.text
    assert VALUE not in t.text
    assert shop.root.exists() == (code == 0), "a no leaves nothing"
    if code == 0:
        shop.spec.write_text(shop.spec.read_text().replace('"./rw:/rw:rw"', '"./rw:/rw:rw", "./ro:/ro:rw"'))
        t = Terminal(shop, "up")
        assert "wants to reach more of your host:\r\n  mount     ./ro rw -> a:/ro  env.yaml:5\r\n  agreed to before: 2 more" in t.text
        assert t.answer(b"n\n") == 6


def test_what_was_asked_about_is_what_is_done(shop):
    """The file is another one when the answer comes: what was shown is applied, and the rest is asked about next time."""
    shop.spec.write_text(BASE.replace('"./ro:/ro"', '"./rw:/rw:rw"'))
    t = Terminal(shop, "up")
    shop.spec.write_text(BASE.replace('"./ro:/ro"', '"OUT/dir:/out:rw"'.replace("OUT", str(shop.out))))
    assert t.answer(b"y\n") == 0, t.text
    [spec] = shop.root.glob("state/envs/*/spec.json")
    assert "/rw" in spec.read_text() and str(shop.out) not in spec.read_text()
    assert asked(shop)[0] == [f"mount {shop.out}/dir 2"]
    r = ctrz(shop, "up")
    assert r.returncode == 6 and str(shop.out) in r.stderr


@pytest.mark.parametrize("spoil", ["file", "folder", "pipe"])
def test_a_file_that_becomes_a_link_is_not_read(shop, spoil):
    """Something inside that may write the project exchanges a file between the question and the reading, or before a restart."""
    (shop.path / "conf").mkdir()
    conf = shop.path / "conf" / "a.txt"
    conf.write_text("mine")
    (shop.out / "conf").mkdir()
    (shop.out / "conf" / "a.txt").write_text("the host's")
    spec = BASE.replace("containers:", "files: { conf: { source: conf/a.txt } }\ncontainers:") \
        .replace('"./ro:/ro"', '"./rw:/rw:rw"').replace("command:", "files: [{ name: conf, target: /conf }], command:")

    def exchange():
        if spoil == "folder":
            os.rename(conf.parent, shop.path / "kept")
            conf.parent.symlink_to(shop.out / "conf")
        else:
            conf.unlink()
            os.mkfifo(conf) if spoil == "pipe" else conf.symlink_to(shop.out / "conf" / "a.txt")

    def restore():
        if spoil == "folder":
            conf.parent.unlink()
            os.rename(shop.path / "kept", conf.parent)
        else:
            conf.unlink()
            conf.write_text("mine")

    said = "is no file" if spoil == "pipe" else "symbolic link"
    shop.spec.write_text(spec)
    t = Terminal(shop, "up")
    exchange()
    assert t.answer(b"y\n") == 1 and said in t.text, t.text
    restore()
    assert ctrz(shop, "up").returncode == 0
    exchange()
    r = ctrz(shop, "restart")
    assert r.returncode == 1 and said in r.stderr, r
    if spoil != "pipe":
        r = ctrz(shop, "up")
        assert r.returncode == 6 and f"file {shop.out}/conf/a.txt" in r.stderr, "a link is a matter of the next question"
    restore()
    assert ctrz(shop, "up").returncode == 0


def test_links_that_were_there_are_followed(shop):
    """Files, variables and secrets behind links of the user's own are read, also after a restart."""
    (shop.path / "vars").symlink_to(shop.out / "vars")
    shop.spec.write_text(BASE.replace("containers:", "files: { conf: { source: link } }\ncontainers:").replace("{ generate: {} }", "{ file: link }")
                         .replace("command:", "files: [{ name: conf, target: /conf }], secrets: [mine], env_file: [vars], command:"))
    agree(shop)
    assert ctrz(shop, "restart").returncode == 0 and ctrz(shop, "up").stdout.endswith("0 changes)\n")
    [spec] = shop.root.glob("state/envs/*/spec.json")
    assert '"B":"1"' in spec.read_text()


def test_a_saved_plan_agrees_to_nothing(shop):
    shop.spec.write_text(BASE.replace('"./ro:/ro"', '"./rw:/rw:rw"'))
    assert ctrz(shop, "plan", "-o", "next.plan").returncode == 0
    r = ctrz(shop, "up", "./next.plan")
    assert r.returncode == 6
    option = re.search("--trust=[0-9a-f]+", r.stderr)[0]
    shop.spec.write_text(BASE.replace('"./ro:/ro"', '"./rw:/rw:rw", "./ro:/ro:rw"'))
    assert ctrz(shop, "up", "./next.plan", option).returncode == 6, "the file grew since"
    shop.spec.write_text(BASE.replace('"./ro:/ro"', '"./rw:/rw:rw"'))
    r = ctrz(shop, "up", "./next.plan", option)
    assert r.returncode == 0, r.stderr


# --- specs in git ---

PART = "containers:\n  b:\n    image: \"example.org/b:1\"\n    command: [serve]\n"


class Shared:
    """A spec in one repository that includes a part of another."""

    def __init__(self, shop):
        self.home, self.out = shop, shop.out
        config = shop.root / "config"
        config.mkdir(parents=True)
        self.config = config / "config.yaml"
        self.allow()
        self.part = Repo(shop.path, "part")
        self.part.commit({"part.yaml": PART})
        self.part_url = f"git+file://{self.part.bare}"
        self.spec = f'include: ["{self.part_url}#main:part.yaml"]\n' + BASE
        self.repo = Repo(shop.path, "envs")
        self.repo.commit({"env.yaml": self.spec, "ro/x": "x"})
        self.repo_url = f"git+file://{self.repo.bare}"
        self.url = f"{self.repo_url}#main"

    def allow(self, *urls):
        self.config.write_text(f"sources: {{ file: true, allow: {json.dumps(urls)} }}\n")

    def asked(self, url=None):
        return asked(self.home, url or self.url)[0]

    def agree(self, *more, url=None):
        r = ctrz(self.home, "up", url or self.url, asked(self.home, url or self.url)[1], *more)
        assert r.returncode == 0, r.stderr
        return r


@pytest.fixture
def shared(shop):
    return Shared(shop)


def test_a_repository_is_asked_about_once(shared):
    """By its URL without the ref; the same file in another repository, or another file of this one, is another source."""
    both = [f"source {u} 1" for u in sorted((shared.repo_url, shared.part_url))]
    assert shared.asked() == both
    r = ctrz(shared.home, "up", shared.url)
    assert r.returncode == 6 and not list(shared.home.root.glob("data/src")), "nothing is written before the question"
    shared.agree()
    assert shared.asked() == [] and "agreed  source" in ctrz(shared.home, "trust", "show", shared.url).stdout
    git(shared.repo.work, "tag", "v1")
    shared.repo.push("v1", "main:refs/heads/other")
    assert shared.asked(f"{shared.repo_url}#v1") == [] and shared.asked(f"{shared.repo_url}#other") == []
    shared.repo.commit({"copy.yaml": shared.spec})
    assert shared.asked(f"{shared.url}:copy.yaml") == both
    shutil.copytree(shared.repo.bare, shared.repo.bare.with_name("fork.git"))
    fork = f"git+file://{shared.repo.bare.with_name('fork.git')}"
    assert f"source {fork} 1" in shared.asked(fork)
    os.rename(shared.repo.bare, shared.repo.bare.with_name("moved.git"))
    assert shared.asked(f"git+file://{shared.repo.bare.with_name('moved.git')}") != []


def test_only_what_grew_in_git_is_asked_about(shared):
    """Of the spec and of what it includes, with the place, when the new commit is taken and not before."""
    shared.agree()
    shared.part.commit({"part.yaml": PART + f'    mounts: ["{shared.out}/dir:/d:rw"]\n'})
    shared.repo.commit({"env.yaml": shared.spec.replace("a:1", "a:2")})
    r = ctrz(shared.home, "up", "--update", shared.url)
    assert r.returncode == 6 and f"nobody agreed to yet: mount {shared.out}/dir rw; to agree" in r.stderr
    t = Terminal(shared.home, "up", "--update", shared.url)
    assert f"{shared.out}/dir rw -> b:/d  {shared.part_url}#main:part.yaml:5" in re.sub(r"\s+\r\n", " ", t.text)
    shared.part.commit({"part.yaml": PART + '    mounts: ["/var/tmp:/d:rw"]\n'})
    assert t.answer(b"y\n") == 0
    [spec] = shared.home.root.glob("state/envs/*/spec.json")
    assert "/var/tmp" not in spec.read_text() and str(shared.out) in spec.read_text(), "what was shown is what is done"
    assert ctrz(shared.home, "up", "--update", shared.url).returncode == 6


def test_a_plan_of_a_commit_is_of_what_it_reached(shared):
    shared.agree()
    shared.repo.commit({"env.yaml": shared.spec.replace("a:1", "a:2")})
    assert ctrz(shared.home, "plan", "--update", "-o", "next.plan", shared.url).returncode == 0
    shared.repo.commit({"env.yaml": shared.spec.replace('"./ro:/ro"', f'"{shared.out}/dir:/d:rw"')})
    r = ctrz(shared.home, "up", "./next.plan")
    assert r.returncode == 0, r.stderr
    [spec] = shared.home.root.glob("state/envs/*/spec.json")
    assert "a:2" in spec.read_text() and str(shared.out) not in spec.read_text()


def test_what_an_included_file_includes_counts(shared):
    deep = Repo(shared.home.path, "deep")
    deep.commit({"deep.yaml": PART.replace("  b:", "  c:")})
    url = f"git+file://{deep.bare}"
    shared.agree()
    shared.part.commit({"part.yaml": f'include: ["{url}#main:deep.yaml"]\n' + PART})
    assert shared.asked() == [f"source {url} 1"]


def test_allowed_repositories_need_no_question(shared):
    """A beginning of their URLs, at a /; what their specs reach is asked about all the same."""
    served = f"git+file://{shared.repo.bare.parent}"
    shared.allow(served[:-1], f"{served}/env", f"{served}/part.git/x")
    assert len(shared.asked()) == 2
    shared.allow(f"{shared.repo_url}/")
    assert shared.asked() == [f"source {shared.part_url} 1"]
    shared.allow(served)
    assert shared.asked() == [] and "free   source" in ctrz(shared.home, "trust", "show", shared.url).stdout
    assert ctrz(shared.home, "up", shared.url).returncode == 0
    shared.repo.commit({"env.yaml": shared.spec.replace('"./ro:/ro"', '"./ro:/ro:rw"')})
    assert ctrz(shared.home, "up", "--update", shared.url).returncode == 6
    for bad in ("https://git.example/", "git+https://", "git+https:///x", "git+https://h/#main", "git+https://h/../x", "*"):
        shared.allow(bad)
        r = ctrz(shared.home, "up", shared.url)
        assert r.returncode == 3 and "error[E703]" in r.stderr and "config.yaml:1:32" in r.stderr, r


def test_an_answer_about_a_repository_is_as_safe(shared):
    shared.agree()
    [record] = (shared.home.root / "state" / "trust").iterdir()
    record.chmod(0o622)
    r = ctrz(shared.home, "up", shared.url)
    assert r.returncode not in (0, 6) and "remove it" in r.stderr
    record.chmod(0o600)
    [item] = json.loads(ctrz(shared.home, "trust", "ls", "--json").stdout)
    assert item["source"] == f"{shared.repo_url}#:env.yaml"
    assert ctrz(shared.home, "trust", "revoke", f"{shared.repo_url}#main:other.yaml").returncode == 4
    assert ctrz(shared.home, "trust", "revoke", f"{shared.url}:env.yaml").returncode == 0
    assert ctrz(shared.home, "trust", "revoke", shared.url).returncode == 4
    shared.agree()
    assert ctrz(shared.home, "trust", "revoke", shared.url).returncode == 0
    shared.agree()
    assert ctrz(shared.home, "trust", "revoke", item["source"]).returncode == 0
    assert len(shared.asked()) == 2


def spoil_mode(trust, record):
    record.chmod(0o620)


def spoil_folder(trust, record):
    trust.chmod(0o770)


def spoil_link(trust, record):
    elsewhere = trust.parent / "record.json"
    os.rename(record, elsewhere)
    record.symlink_to(elsewhere)


def spoil_folder_link(trust, record):
    os.rename(trust, trust.parent / "elsewhere")
    trust.symlink_to(trust.parent / "elsewhere")


def spoil_owner(trust, record):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(record, 65534, -1)


def spoil_pipe(trust, record):
    record.unlink()
    os.mkfifo(record, 0o600)


def spoil_content(trust, record):
    record.write_text(record.read_text().replace('"level": 2', '"level": "much"'))


def spoil_source(trust, record):
    record.write_text(record.read_text().replace("env.yaml", "other.yaml"))


@pytest.mark.parametrize("spoil", [spoil_mode, spoil_folder, spoil_link, spoil_folder_link, spoil_owner, spoil_pipe, spoil_content,
                                   spoil_source])
def test_a_record_that_others_could_have_made_is_refused(shop, spoil):
    shop.spec.write_text(BASE.replace('"./ro:/ro"', '"./rw:/rw:rw"'))
    agree(shop)
    trust = shop.root / "state" / "trust"
    assert trust.stat().st_mode & 0o777 == 0o700
    [record] = trust.iterdir()
    assert record.stat().st_mode & 0o777 == 0o600
    spoil(trust, record)
    for option in ((), (asked_hash(shop),)):
        r = ctrz(shop, "up", *option)
        assert r.returncode not in (0, 6) and "remove it" in r.stderr, r
    if trust.is_symlink():
        trust.unlink()
    else:
        shutil.rmtree(trust)
    assert ctrz(shop, "up").returncode == 6
    agree(shop)


def asked_hash(shop):
    """Of the same file elsewhere: where it lies is no part of it."""
    copy = shop.path.parent / "same"
    if not copy.exists():
        shutil.copytree(shop.path, copy, symlinks=True)
    other = dict(shop.env, CTRZ_HOME=str(shop.path.parent / "other-home"))
    return asked(shop, cwd=copy, env=other)[1]


def test_ls_and_revoke(shop):
    assert json.loads(ctrz(shop, "trust", "ls", "--json").stdout) == []
    shop.spec.write_text(BASE.replace('"./ro:/ro"', '"./rw:/rw:rw"'))
    agree(shop)
    [item] = json.loads(ctrz(shop, "trust", "ls", "--json").stdout)
    assert item["source"] == str(shop.spec) and item["agreed"] == [{"kind": "mount", "what": "./rw", "level": 2}]
    assert str(shop.spec) in ctrz(shop, "trust", "ls").stdout
    assert "agreed  mount" in ctrz(shop, "trust", "show").stdout
    assert ctrz(shop, "trust", "revoke").returncode == 64
    assert ctrz(shop, "trust", "revoke", "env.yaml").returncode == 0
    assert ctrz(shop, "trust", "revoke", "env.yaml").returncode == 4
    assert ctrz(shop, "up").returncode == 6
    agree(shop)
    shop.spec.unlink()
    assert ctrz(shop, "trust", "revoke", str(shop.spec)).returncode == 0, "the file is gone"
    assert ctrz(shop, "trust", "revoke", "--all").returncode == 0
    assert ctrz(shop, "trust", "show", "-").returncode == 64


def test_a_file_that_ctrz_wrote_is_agreed_to_until_it_grows(shop):
    shop.spec.unlink()
    assert ctrz(shop, "init", "-q").returncode == 0
    assert asked(shop)[0] == [] and ".:/workspace:rw" in shop.spec.read_text()
    shop.spec.write_text(shop.spec.read_text().replace("- .:/workspace:rw", f"- .:/workspace:rw\n      - {shop.out}/dir:/out"))
    assert asked(shop)[0] == [f"mount {shop.out}/dir 1"]
    (shop.path / "compose.yaml").write_text("services: { a: { image: 'a:1', volumes: ['.:/w'] } }\n")
    assert ctrz(shop, "import", "compose.yaml", "-o", "imported.yaml").returncode == 0
    assert asked(shop, "imported.yaml")[0] == ["mount ./ 2"], "that one is somebody else's words"


def test_where_it_is_kept_cannot_be_shared(shop):
    for source in (shop.root / "state" / "trust", shop.root / "state", shop.root):
        source.mkdir(parents=True, exist_ok=True)
        shop.spec.write_text(BASE.replace('"./ro:/ro"', f'"{source}:/x:rw"'))
        r = ctrz(shop, "up")
        assert r.returncode == 3 and "ctrz keeps its own state there" in r.stderr, r


def test_nothing_of_a_file_runs_on_the_host(shop, tmp_path):
    """Whatever a file has for commands, none of it is executed here, and no shell or other program either."""
    mark = shop.path / "mark"
    touch = f'"touch {mark}"'
    shop.spec.write_text(f"""name: hooks
containers:
  a:
    image: "example.org/a:1"
    entrypoint: [/bin/sh, -c]
    command: {touch}
    hooks: {{ create: {touch}, start: [touch, "{mark}"], stop: {touch} }}
    health: {{ exec: {touch} }}
  b:
    image: "example.org/a:1"
    processes: {{ one: {{ command: {touch}, health: {{ exec: {touch} }} }} }}
""")
    trace = tmp_path / "trace"
    for command in ("up", "plan", "restart", "down"):
        r = subprocess.run(["strace", "-f", "-qq", "-e", "trace=execve,execveat", "-o", trace, CTRZ, command], cwd=shop.path,
                           env={**shop.env, "ASAN_OPTIONS": "detect_leaks=0"},  # which cannot be done under strace
                           text=True, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert r.returncode == 0, r.stderr
        ran = re.findall(r'execve(?:at)?\([^"]*"([^"]*)"', trace.read_text())
        assert set(ran) == {CTRZ}
    assert not mark.exists()
