# SPDX-License-Identifier: MIT
"""What a container can reach, shown from inside: shares, symlinks, addresses, other environments."""
import ctrzlib

SPEC = """
name: {name}
containers:
  a:
    image: {image}
    pull: never
    command: [sh, -c, "echo by tcp > /tmp/tcp; httpd -p 80 -h /tmp; exec sleep 100000"]
    mounts: ["./ro:/ro:ro", "./rw:/rw:rw"]
    resources: {{ memory: 128MiB }}
  b:
    image: {image}
    pull: never
    command: [sleep, "100000"]
    resources: {{ memory: 128MiB }}
"""


def sh(home, env, container, script):
    return home.try_run("exec", "-e", env, container, "--", "sh", "-c", script)


def make(home, project, name):
    for folder in ("ro", "rw", "rw/.git/hooks"):
        (project.path / folder).mkdir(parents=True, exist_ok=True)
    (project.path / "ro/file").write_text("host's\n")
    (project.path / "rw/file").write_text("host's\n")
    (project.path / "rw/.git/config").write_text("[core]\n")
    (project.path / "secret").write_text("not shared\n")
    project.write(SPEC.format(name=name, image=home.image()))
    home.run("up", cwd=project.path)


def test_shares_are_confined(home, project):
    make(home, project, "shares")
    assert sh(home, "shares", "a", "cat /ro/file /rw/file").out == "host's\nhost's\n"
    # root of the guest remounts, and still the host refuses
    r = sh(home, "shares", "a", "mount -o remount,rw /ro; echo changed > /ro/file; rm -f /ro/file; mkdir /ro/x")
    assert r.code != 0
    assert (project.path / "ro/file").read_text() == "host's\n" and not (project.path / "ro/x").exists()
    assert sh(home, "shares", "a", "echo guest > /rw/new && cat /rw/new").out == "guest\n"
    assert (project.path / "rw/new").read_text() == "guest\n"
    # links and .. lead to the guest's own files
    r = sh(home, "shares", "a", "ln -s /etc/passwd /rw/link && cat /rw/link && ls /rw/../ && cat /rw/../secret")
    assert "www:x:1000" in r.out and "not shared" not in r.out and r.code != 0
    r = sh(home, "shares", "a", f"ln -s ../secret /rw/up; cat /rw/up; ln -s {project.path}/secret /rw/abs; cat /rw/abs")
    assert "not shared" not in r.out and r.code != 0
    # what git runs on the host cannot be planted
    r = sh(home, "shares", "a", "echo x > /rw/.git/config; echo x > /rw/.git/hooks/pre-commit; mv /rw/.git /rw/g; rm -rf /rw/.git")
    assert r.code != 0
    assert (project.path / "rw/.git/config").read_text() == "[core]\n"
    assert not (project.path / "rw/.git/hooks/pre-commit").exists()
    r = sh(home, "shares", "a", "mount -o remount,rw /rw/.git; umount /rw/.git; echo x >> /rw/.git/config")
    assert (project.path / "rw/.git/config").read_text() == "[core]\n"
    home.run("down", cwd=project.path)


def test_containers_have_addresses_and_reach_each_other(home, project):
    make(home, project, "net")
    rows = {c["name"]: c for c in home.json("ps", "-e", "net")}
    for name, row in rows.items():
        assert row["address"] in sh(home, "net", name, "ip -4 addr show").out
    a = rows["a"]["address"]
    for target in (a, "a"):
        assert sh(home, "net", "b", f"timeout 10 wget -q -O - http://{target}/tcp").out == "by tcp\n"
    assert sh(home, "net", "b", f"ping -c 1 -W 5 {a}").code == 0
    home.run("down", "-e", "net")


def test_environments_do_not_see_each_other(home, project, tmp_path):
    make(home, project, "one")
    other = ctrzlib.Project(tmp_path / "other")
    other.path.mkdir()
    make(home, other, "two")
    address = {c["name"]: c["address"] for c in home.json("ps", "-e", "one")}["a"]
    own = {c["name"]: c["address"] for c in home.json("ps", "-e", "two")}["a"]
    assert sh(home, "one", "b", f"timeout 10 wget -q -O - http://{address}/tcp").out == "by tcp\n"
    assert sh(home, "two", "b", f"timeout 10 wget -q -O - http://{own}/tcp").out == "by tcp\n"
    if own != address:
        assert sh(home, "two", "b", f"timeout 3 wget -q -O - http://{address}/tcp").out == ""
        assert sh(home, "two", "b", f"ping -c 1 -W 2 {address}").code != 0
    else:
        raise AssertionError("two environments at once must not share a subnet")
    home.run("down", "-e", "one")
    home.run("down", "-e", "two")


def test_published_port_is_on_loopback_only(home, project):
    port = ctrzlib.free_port()
    project.write(f"""
name: pub
containers:
  web:
    image: {home.image()}
    pull: never
    command: [sh, -c, "echo published > /tmp/index.html; exec httpd -f -p 80 -h /tmp"]
    ports: ["{port}:80"]
    resources: {{ memory: 128MiB }}
""")
    home.run("up", cwd=project.path)
    assert ctrzlib.http_get(port) == "published\n"
    listening = open("/proc/net/tcp", encoding="ascii").read()
    assert f"0100007F:{port:04X}" in listening and f"00000000:{port:04X}" not in listening
    home.run("down", "-e", "pub")
