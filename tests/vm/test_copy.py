# SPDX-License-Identifier: MIT
"""ctrz cp, in and out: Docker's rules for what goes where, tar archives, owners, links, and containers that lay traps."""
import hashlib
import io
import os
import subprocess
import tarfile

import ctrzlib
import pytest

SPEC = """
name: copy
containers:
  box:
    image: {image}
    pull: never
    command: [sleep, "100000"]
    mounts: ["./shared:/shared:rw"]
    resources: {{ memory: 256MiB }}
"""

# What is in the source, what is there before, and what is there afterwards; as one line per file, "path text", folders end with /.
# (source, target, before, after or what the error says)
MATRIX = [
    ("f", "new", [], ["new F"]),
    ("f", "new/", [], "there is no folder"),
    ("f", "no/new", [], "open the folder"),
    ("f", "old", ["old O"], ["old F"]),
    ("f", "old/", ["old O"], "Not a directory"),
    ("f", "dir", ["dir/"], ["dir/", "dir/f F"]),
    ("f", "dir/", ["dir/", "dir/f O"], ["dir/", "dir/f F"]),
    ("f", "dir", ["dir/", "dir/f/"], "is a folder there"),
    ("f/", "new", [], "Not a directory"),
    ("d", "new", [], ["new/", "new/a A", "new/e/", "new/l -> a", "new/s/", "new/s/b B"]),
    ("d", "new/", [], ["new/", "new/a A", "new/e/", "new/l -> a", "new/s/", "new/s/b B"]),
    ("d", "old", ["old O"], "is a file: a folder cannot be copied to it"),
    ("d", "dir", ["dir/", "dir/k K"],
     ["dir/", "dir/d/", "dir/d/a A", "dir/d/e/", "dir/d/l -> a", "dir/d/s/", "dir/d/s/b B", "dir/k K"]),
    ("d", "dir/", ["dir/", "dir/d/", "dir/d/a O", "dir/d/x X"],
     ["dir/", "dir/d/", "dir/d/a A", "dir/d/e/", "dir/d/l -> a", "dir/d/s/", "dir/d/s/b B", "dir/d/x X"]),
    ("d", "dir", ["dir/", "dir/d O"], "is there and no folder"),
    ("d/.", "new", [], ["new/", "new/a A", "new/e/", "new/l -> a", "new/s/", "new/s/b B"]),
    ("d/.", "dir", ["dir/", "dir/k K"], ["dir/", "dir/a A", "dir/e/", "dir/k K", "dir/l -> a", "dir/s/", "dir/s/b B"]),
    ("d/.", "old", ["old O"], "is a file: a folder cannot be copied to it"),
    ("l", "new", [], ["new -> f"]),
    ("l", "dir", ["dir/"], ["dir/", "dir/l -> f"]),
    ("none", "new", [], "No such file"),
]
SOURCE = ["f F", "l -> f", "d/", "d/a A", "d/s/", "d/s/b B", "d/e/", "d/l -> a"]


def make(folder, lines):
    """Shell words that make the files in a folder."""
    words = [f"rm -rf {folder}; mkdir -p {folder}; cd {folder}"]
    for line in lines:
        path, _, text = line.partition(" ")
        if text.startswith("-> "):
            words.append(f"ln -s {text[3:]} {path}")
        elif path.endswith("/"):
            words.append(f"mkdir {path}")
        else:
            words.append(f"printf {text} >{path}")
    return "; ".join(words)


def listed(folder):
    """Shell words that tell them again."""
    return (f"cd {folder}; find . -mindepth 1 | sort | while read -r p; do n=${{p#./}}; if [ -h $p ]; then echo \"$n -> $(readlink $p)\"; "
            "elif [ -d $p ]; then echo $n/; else echo \"$n $(cat $p)\"; fi; done")


def shell(text):
    return subprocess.run(["sh", "-c", text], check=True, capture_output=True, text=True).stdout.splitlines()


class Box:
    def __init__(self, home):
        self.home = home

    def sh(self, text):
        return self.home.run("exec", "-e", "copy", "box", "--", "sh", "-c", text).out.splitlines()

    def cp(self, *args, **more):
        return self.home.try_run("cp", "-e", "copy", *args, timeout=300, **more)


@pytest.fixture
def box(home, project):
    (project.path / "shared").mkdir()
    project.write(SPEC.format(image=home.image()))
    home.run("up", cwd=project.path, timeout=300)
    return Box(home)


def check(r, wanted, found, before, case):
    if isinstance(wanted, str):
        assert r.code != 0 and wanted in r.err, (case, r)
        assert sorted(found) == sorted(before), (case, found)
    else:
        assert r.code == 0, (case, r)
        assert sorted(found) == sorted(wanted), (case, found)


def matrix(box, tmp_path):
    """Every rule in both directions. What is made inside is made, and looked at, in one command each."""
    host = tmp_path / "matrix"
    host.mkdir()
    shell(make(host / "from", SOURCE))
    box.sh(make("/m/from", SOURCE) + "; " + "; ".join(make(f"/m/{i}", c[2]) for i, c in enumerate(MATRIX)))
    into = [box.cp(f"{host}/from/{source}", f"box:/m/{i}/{target}") for i, (source, target, _, _) in enumerate(MATRIX)]
    found = [[]]
    for line in box.sh("; ".join(f"{listed(f'/m/{i}')}; echo =" for i in range(len(MATRIX)))):
        if line == "=":
            found.append([])
        else:
            found[-1].append(line)
    for i, case in enumerate(MATRIX):
        check(into[i], case[3], found[i], case[2], ("in", *case))
        shell(make(host / str(i), case[2]))
        out = box.cp(f"box:/m/from/{case[0]}", f"{host}/{i}/{case[1]}")
        check(out, case[3], shell(listed(host / str(i))), case[2], ("out", *case))


def linked(*members):
    """A tar archive of files (name, text) and hard links (name, None, target)."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, text, *target in members:
            info = tarfile.TarInfo(name)
            if target:
                info.type, info.linkname = tarfile.LNKTYPE, target[0]
            else:
                info.size = len(text)
            tar.addfile(info, None if target else io.BytesIO(text))
    return made.getvalue()


def hard_links(box, put):
    """Further names of files of the archive, in any folder of it; and of nothing else."""
    r = put(linked(("h/one", b"1"), ("h/deep/two", b"2"), ("./h/deep/uno", None, "h/one"), ("zwei", None, "./h//deep/two"),
                   ("h/again", None, "h/deep/uno")))
    assert r.returncode == 0 and b"copied 5 files" in r.stderr, r
    assert box.sh("cd /t; stat -c '%h' h/one zwei; cat h/deep/uno h/again zwei; [ h/one -ef h/again ] && [ zwei -ef h/deep/two ] && "
                  "echo same; rm -r h zwei") == ["3", "2", "112same"]
    box.sh("echo old >/t/old; ln -s /etc /t/etc")
    for members in ([("new", None, "old")], [("new", None, "/etc/passwd")], [("new", None, "etc/passwd")],
                    [("new", None, "../etc/passwd")], [("later", None, "new"), ("new", b"")],
                    [("a", b"1"), ("b", None, "a"), ("a", b"2"), ("c", None, "b")]):
        r = put(linked(*members))
        assert r.returncode != 0 and (b"no file of the archive before it" in r.stderr or b"leads out of it" in r.stderr), (members, r)
    assert box.sh("cd /t; stat -c %h old /etc/passwd; rm -f old etc new later a b c") == ["1", "1"]


def archives(box, tmp_path):
    """- is a tar archive, which other programs understand."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, text in (("./x/y/z", b"deep"), ("top", b"0" * 70000), ("x/ümlaut", b"name")):
            info = tarfile.TarInfo(name)
            info.size, info.uid, info.mtime, info.mode = len(text), 1234, 1500000000, 0o640
            tar.addfile(info, io.BytesIO(text))
    box.sh("mkdir -p /t; chmod 711 /t")

    def put(data, *more):
        return subprocess.run([ctrzlib.CTRZ, "cp", "-e", "copy", *more, "-", "box:/t"], input=data, env=box.home.env,
                              capture_output=True, timeout=300, check=False)
    r = put(made.getvalue(), "-a")
    assert r.returncode == 0 and b"copied 3 files" in r.stderr, r
    assert box.sh("cat /t/x/y/z; echo; wc -c </t/top; stat -c '%u %a %Y' /t/top; stat -c %a /t; cat /t/x/ümlaut") == \
        ["deep", "70000", "1234 640 1500000000", "711", "name"]
    hard_links(box, put)
    evil = io.BytesIO()
    with tarfile.open(fileobj=evil, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a/../../evil"))
    r = put(evil.getvalue())
    assert r.returncode != 0 and b"leads out of it" in r.stderr, r
    assert put(made.getvalue()[:70000]).returncode != 0
    assert box.sh("cd /t; mkdir fifos; mkfifo fifos/p; ls /t") == ["fifos", "top", "x"]
    out = subprocess.run([ctrzlib.CTRZ, "cp", "-e", "copy", "box:/t", "-"], env=box.home.env, capture_output=True, check=True)
    assert b"left out 1 that are no files" in out.stderr
    with tarfile.open(fileobj=io.BytesIO(out.stdout)) as tar:
        assert sorted(tar.getnames()) == ["t", "t/fifos", "t/top", "t/x", "t/x/y", "t/x/y/z", "t/x/ümlaut"]
        assert tar.getmember("t/top").uid == 1234 and tar.extractfile("t/x/y/z").read() == b"deep"
    assert "is in a container" in box.cp("a", "b").err and "between containers" in box.cp("box:/a", "box:/b").err


def traps(box, tmp_path):
    """Links inside lead nowhere but inside; what comes out stays in the target, and brings no set-user-id."""
    bait = tmp_path / "bait"
    bait.write_text("host")
    box.sh(f"mkdir -p /trap {tmp_path}; ln -s {tmp_path}/bait /trap/abs; ln -s ../../../../../../../..{tmp_path}/bait /trap/up; "
           f"ln -s / /trap/root; printf inside >{tmp_path}/bait; printf s >/trap/suid; chmod 4755 /trap/suid")
    out = tmp_path / "trap-out"
    assert box.cp("-L", "box:/trap/abs", out).code == 0 and out.read_text() == "inside"
    assert box.cp("-L", "box:/trap/up", out).code == 0 and out.read_text() == "inside"
    assert box.cp("box:/trap/root/trap/suid", out).code == 0
    assert box.cp("box:/trap", tmp_path / "got").code == 0
    assert os.stat(tmp_path / "got/suid").st_mode & 0o7777 == 0o755
    assert os.readlink(tmp_path / "got/root") == "/"
    # A link on the host in the place of a folder of the copy is not gone through.
    (tmp_path / "victim").mkdir()
    (tmp_path / "got2").mkdir()
    os.symlink(tmp_path / "victim", tmp_path / "got2/sub")
    box.sh("mkdir -p /tree/sub; printf x >/tree/sub/file")
    r = box.cp("box:/tree/.", tmp_path / "got2")
    assert r.code != 0 and "no folder" in r.err and not os.listdir(tmp_path / "victim"), r
    # Likewise inside: the target's own links stay inside.
    assert box.cp(bait, f"box:/trap/root{tmp_path}/second").code == 0
    assert box.sh(f"cat {tmp_path}/second") == ["host"] and not (tmp_path / "second").exists()
    # A tree with /proc in it ends all the same.
    whole = subprocess.run([ctrzlib.CTRZ, "cp", "-e", "copy", "box:/", "-"], env=box.home.env, capture_output=True, timeout=300, check=True)
    with tarfile.open(fileobj=io.BytesIO(whole.stdout)) as tar:
        assert "./proc/1" not in tar.getnames() and "./trap/abs" in tar.getnames()


def kinds(box, project, tmp_path):
    """Owners, modes, times, large files, mounts, and files that something is mounted on."""
    big = tmp_path / "big"
    big.write_bytes(os.urandom(1 << 20) * 24 + b"end")
    os.chmod(big, 0o751)
    os.utime(big, (1400000000, 1400000000))
    assert box.cp(big, "box:/big").code == 0
    digest = hashlib.sha256(big.read_bytes()).hexdigest()
    assert box.sh("sha256sum </big; stat -c '%u:%g %a %Y' /big") == [f"{digest}  -", "0:0 751 1400000000"]
    assert box.cp("box:/big", tmp_path / "back").code == 0
    assert (tmp_path / "back").read_bytes() == big.read_bytes()
    st = os.stat(tmp_path / "back")
    assert (st.st_mode & 0o7777, st.st_mtime, st.st_uid) == (0o751, 1400000000, os.geteuid())
    assert box.cp(big, "box:/shared/big").code == 0
    assert (project.path / "shared/big").read_bytes() == big.read_bytes()
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost mine\n")
    assert box.cp(hosts, "box:/etc/hosts").code == 0
    assert box.sh("cat /etc/hosts") == ["127.0.0.1 localhost mine"]
    r = box.cp(hosts, "box:/proc/version")
    assert r.code != 0 and "in the container" in r.err, r
    holes = tmp_path / "holes"
    holes.mkdir()
    with open(holes / "sparse", "wb") as f:
        f.seek(1 << 30)
        f.write(b"end")
    (holes / "one").write_text("shared")
    os.link(holes / "one", holes / "two")
    os.setxattr(holes / "one", "user.note", b"kept")
    assert box.cp(holes, "box:/holes").code == 0
    size, names, end = box.sh("cd /holes; stat -c '%s %b' sparse; stat -c %h two; tail -c 3 sparse")
    assert size.split()[0] == str((1 << 30) + 3) and int(size.split()[1]) < 1000 and (names, end) == ("2", "end")
    assert box.cp("box:/holes", tmp_path / "holes-back").code == 0
    back = tmp_path / "holes-back"
    assert os.stat(back / "sparse").st_size == (1 << 30) + 3 and os.stat(back / "sparse").st_blocks < 1000
    assert os.stat(back / "one").st_nlink == 2 and os.getxattr(back / "two", "user.note") == b"kept"
    box.sh("rm /holes/sparse")
    tar = subprocess.run([ctrzlib.CTRZ, "cp", "-e", "copy", "box:/holes", "-"], env=box.home.env, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(tar.stdout)) as archive:
        assert sorted(m.type for m in archive if not m.isdir()) == [tarfile.REGTYPE, tarfile.LNKTYPE]
        assert archive.extractfile("holes/one").read() == archive.extractfile("holes/two").read() == b"shared"
    many = tmp_path / "many"
    for i in range(300):
        (many / f"{i % 7}").mkdir(parents=True, exist_ok=True)
        (many / f"{i % 7}/{i}").write_text(str(i))
    assert box.cp(many, "box:/many").code == 0
    assert box.sh("find /many -type f | wc -l; cat /many/3/290 2>/dev/null || cat /many/$((290 % 7))/290") == ["300", "290"]
    missing = box.home.fail("cp", "-e", "copy", "nobody:/x", ".", code=4)
    assert "no container 'nobody'" in missing.err


def test_copy(home, project, box, tmp_path):
    matrix(box, tmp_path)
    archives(box, tmp_path)
    traps(box, tmp_path)
    kinds(box, project, tmp_path)
    # Nothing of it runs on.
    assert not [line for line in box.sh("ps -o comm") if line in ("vminitd", "copy")]
    home.run("down", "-e", "copy", timeout=300)
