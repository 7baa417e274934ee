# SPDX-License-Identifier: MIT
"""Keys of a container that decide what its process finds: limits, kernel, networks, names, mounts, logs. Many checks on few
machines."""
import ctrzlib

SPEC = """
name: keys
networks:
  front: {{ subnet: 10.91.7.0/24 }}
  back: {{ egress: none }}
containers:
  a:
    image: {image}
    pull: never
    command: [sh, -c, "printf 'half a line'; cat; exec sleep 100000"]
    tty: false
    stdin: true
    resources: {{ memory: 128MiB, pids: 200 }}
    networks: {{ front: {{ address: 10.91.7.77, aliases: [first, one.test] }}, back: {{}} }}
    hosts: {{ fixed.test: 192.0.2.5 }}
    read_only: true
    ulimits: {{ nofile: {{ soft: 1234, hard: 2345 }}, core: unlimited }}
    sysctls: {{ net.core.somaxconn: 321 }}
    capabilities: {{ add: [NET_ADMIN], drop: [CHOWN] }}
    kernel: {{ cmdline: "ctrz.note=seen" }}
    logging: {{ max_size: 64KiB, files: 2 }}
    mounts:
      - {{ type: tmpfs, target: /scratch, size: 4MiB }}
      - {{ type: file, source: ./one.txt, target: /etc/one.txt }}
      - {{ type: file, source: ./two.txt, target: /data/two.txt, access: rw }}
  b:
    image: {image}
    pull: never
    command: [sh, -c, "sleep 100000"]
    resources: {{ memory: 128MiB }}
    tty: true
    networks: [front, back]
    dns: [192.0.2.53]
"""


def test_what_a_process_finds(home, project):
    project.write(SPEC.format(image=home.image()))
    (project.path / "one.txt").write_text("one\n")
    (project.path / "two.txt").write_text("two\n")
    (project.path / "beside.txt").write_text("not shared\n")
    home.run("up", cwd=project.path)

    def in_(name, script):
        return home.try_run("exec", name, "--", "sh", "-c", script, cwd=project.path).out

    # networks, addresses, names
    assert "10.91.7.77/24" in in_("a", "ip addr show eth1; ip addr show eth0")
    assert home.json("ps", cwd=project.path)[0]["address"].startswith("10.")
    for name in ("a", "first", "one.test", "a.keys"):
        assert "10.91.7.77" in in_("b", f"grep -w '{name}' /etc/hosts"), name
    assert in_("b", "cat /etc/resolv.conf") == "nameserver 192.0.2.53\n"
    assert "192.0.2.5" in in_("a", "grep fixed.test /etc/hosts")
    assert in_("a", "cd /proc/sys/net/ipv6/conf; cat eth?/disable_ipv6 eth?/accept_ra eth?/autoconf") == "1\n1\n0\n0\n0\n0\n"
    assert in_("a", "ping -c 1 -W 5 b.keys >/dev/null && echo reached") == "reached\n"

    # limits and kernel
    assert in_("a", "ulimit -Sn; ulimit -Hn; ulimit -c") == "1234\n2345\nunlimited\n"
    assert in_("a", "cat /proc/sys/net/core/somaxconn; cat /sys/fs/cgroup/pids.max") == "321\n200\n"
    assert "ctrz.note=seen" in in_("a", "cat /proc/cmdline")
    assert in_("a", "touch /tmp/x 2>/dev/null || touch /etc/x 2>/dev/null || echo refused") == "refused\n"
    assert in_("a", "chown 5 /scratch 2>/dev/null || echo no chown; ip link set lo mtu 1400 && echo admin") == "no chown\nadmin\n"
    assert in_("b", "ip link set lo mtu 1400 2>/dev/null || echo refused; tty </proc/$(pidof sleep)/fd/0") != ""
    assert in_("b", "ls -l /proc/$(pidof sleep | tr ' ' '\\n' | tail -n 1)/fd/0").strip().endswith(("/dev/pts/0", "/dev/console"))

    # mounts
    assert int(in_("a", "df -k /scratch | tail -n 1 | awk '{print $2}'")) == 4096
    assert in_("a", "cat /etc/one.txt; echo x >/etc/one.txt 2>/dev/null || echo refused; ls /data") == "one\nrefused\ntwo.txt\n"
    in_("a", "echo from inside >/data/two.txt")
    assert (project.path / "two.txt").read_text() == "from inside\n"

    # a line without an end is shown, too
    ctrzlib.wait_until("half a line is in the log", lambda: "half a line" in home.run("logs", "a", cwd=project.path).out)
    assert "up to date" in home.run("up", cwd=project.path).out

    # names and addresses of name servers change while all runs
    before = {c["name"]: c["pid"] for c in home.json("ps", cwd=project.path)}
    text = project.spec.read_text().replace("192.0.2.53", "192.0.2.54").replace("192.0.2.5 }", "192.0.2.6, other.test: 192.0.2.7 }")
    project.write(text)
    home.run("up", cwd=project.path)
    assert {c["name"]: c["pid"] for c in home.json("ps", cwd=project.path)} == before
    assert in_("b", "cat /etc/resolv.conf") == "nameserver 192.0.2.54\n"
    assert "192.0.2.7" in in_("a", "grep other.test /etc/hosts") and "192.0.2.6" in in_("a", "grep fixed.test /etc/hosts")
    home.run("down", cwd=project.path)


def test_no_network_at_all(home, project):
    """An empty networks: is none: only the loopback is there, and commands still reach the container. It joins one while it runs."""
    spec = "name: alone\ncontainers:\n  a:\n    image: {}\n    pull: never\n    command: [sleep, '100000']\n    resources: {{ memory: 128MiB }}\n" \
           "    networks: {}\n"
    project.write(spec.format(home.image(), "[]"))
    home.run("up", cwd=project.path)

    def sh(script):
        return home.run("exec", "a", "--", "sh", "-c", script, cwd=project.path).out
    assert sh("ls /sys/class/net; ping -c 1 -W 5 127.0.0.1 >/dev/null && echo itself; cat /etc/resolv.conf") == "lo\nitself\n"
    assert sh("ping -c 1 -W 5 a >/dev/null && hostname") == "a\n"
    assert home.json("ps", cwd=project.path)[0]["address"] is None
    assert "up to date" in home.run("up", cwd=project.path).out
    started = sh("stat -c %Y /proc/1")
    project.write(spec.format(home.image(), "[default]"))
    home.run("up", cwd=project.path)
    assert sh("ls /sys/class/net; stat -c %Y /proc/1") == "eth0\nlo\n" + started
    project.write(spec.format(home.image(), "[]"))
    home.run("up", cwd=project.path)
    assert sh("ls /sys/class/net; stat -c %Y /proc/1") == "lo\n" + started
    home.run("down", cwd=project.path)
    r = home.run("run", "--network", "none", home.image(), "ls", "/sys/class/net")
    assert r.out == "lo\n"
    assert "default or none" in home.try_run("run", "--network", "host", home.image(), "true").err
