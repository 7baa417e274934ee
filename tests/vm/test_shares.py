# SPDX-License-Identifier: MIT
"""What a guest's root can do to the host's files through a share, and what it cannot."""
import os
import pathlib
import stat

SPEC = """
name: {name}
containers:
  a:
    image: {image}
    pull: never
    command: [sleep, "100000"]
    mounts: [{mounts}]
    resources: {{ memory: 128MiB }}
"""


def up(home, project, name, *mounts):
    listed = ", ".join(f'"{m}"' for m in mounts)
    project.write(SPEC.format(name=name, image=home.image(), mounts=listed))
    home.run("up", cwd=project.path)


def sh(home, name, script):
    return home.try_run("exec", "-e", name, "a", "--", "sh", "-c", script)


def test_nothing_that_raises_rights_on_the_host(home, project):
    (project.path / "rw").mkdir()
    up(home, project, "rights", "./rw:/rw:rw")
    assert sh(home, "rights", "echo x > /rw/file && chmod 755 /rw/file").code == 0
    for script in ("chmod 4755 /rw/file", "chmod 2755 /rw/file", "mknod /rw/dev c 1 3", "mknod /rw/dev b 8 0",
                   "umask 0; touch /tmp/s && chmod 6755 /tmp/s && cp -p /tmp/s /rw/s && test -u /rw/s"):
        r = sh(home, "rights", script)
        assert r.code != 0, r
    assert sh(home, "rights", "mkfifo /rw/fifo && mkdir /rw/dir && ln /rw/file /rw/link").code == 0
    for path in (project.path / "rw").iterdir():
        mode = path.lstat().st_mode
        assert not mode & (stat.S_ISUID | stat.S_ISGID) and not stat.S_ISCHR(mode) and not stat.S_ISBLK(mode), path
    assert not (project.path / "rw/dev").exists()
    home.run("down", cwd=project.path)


def test_root_of_the_guest_is_the_user_on_the_host(home, project):
    (project.path / "rw").mkdir()
    up(home, project, "owner", "./rw:/rw:rw")
    assert sh(home, "owner", "echo x > /rw/new && mkdir -p /rw/a/b").code == 0
    for path in (project.path / "rw").rglob("*"):
        assert (path.stat().st_uid, path.stat().st_gid) == (os.getuid(), os.getgid()), path
    assert sh(home, "owner", "stat -c %u:%g /rw /rw/new").out == "0:0\n0:0\n"
    home.run("down", cwd=project.path)


def test_every_repository_below_keeps_its_git(home, project):
    for folder in ("rw/.git", "rw/sub/.git", "rw/a/b/c/.git"):
        (project.path / folder).mkdir(parents=True)
        (project.path / folder / "config").write_text("[core]\n")
    (project.path / "rw/tree").mkdir()
    (project.path / "rw/tree/.git").write_text("gitdir: ../.git/worktrees/tree\n")
    up(home, project, "gits", "./rw:/rw:rw")
    r = sh(home, "gits", "for g in $(find /rw -name .git); do echo x >> $g/config; echo x >> $g; rm -rf $g; mv $g /rw/g; done;"
                         "mv /rw/sub /rw/moved; echo x >> /rw/moved/.git/config; echo x > /rw/tree/file")
    assert r.code == 0, r
    for folder in ("rw/.git", "rw/moved/.git", "rw/a/b/c/.git"):
        assert (project.path / folder / "config").read_text() == "[core]\n"
        assert [p.name for p in (project.path / folder).iterdir()] == ["config"]
    assert (project.path / "rw/tree/.git").read_text().startswith("gitdir: ")
    assert (project.path / "rw/tree/file").exists()
    home.run("down", cwd=project.path)


def test_link_for_git_is_refused_with_the_way_out(home, project):
    (project.path / "rw").mkdir()
    (project.path / "elsewhere").mkdir()
    (project.path / "rw/.git").symlink_to("../elsewhere")
    listed = '"./rw:/rw:rw"'
    project.write(SPEC.format(name="linked", image=home.image(), mounts=listed))
    r = home.try_run("up", cwd=project.path)
    assert r.code != 0 and "symbolic link" in r.err and "git: rw" in r.err, r
    home.try_run("down", cwd=project.path)


def test_servers_see_nothing_else(home, project):
    (project.path / "ro").mkdir()
    (project.path / "ro/seen").write_text("x")
    up(home, project, "jail", "./ro:/ro:ro")
    assert sh(home, "jail", "ls /ro").out == "seen\n"
    roots = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe").endswith("virtiofsd") and os.stat(f"/proc/{pid}").st_uid == os.getuid():
                roots.append(sorted(os.listdir(f"/proc/{pid}/root")))
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
    assert ["seen"] in roots, roots
    home.run("down", cwd=project.path)
    assert pathlib.Path(project.path / "ro/seen").read_text() == "x"
