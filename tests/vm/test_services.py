# SPDX-License-Identifier: MIT
"""What a running container is asked and told: figures, processes, signals, pauses, the kernel's log, the time."""
import json
import os
import re
import subprocess
import time

import ctrzlib

SPEC = """
name: serve
containers:
  box:
    image: {image}
    pull: never
    command: [sh, -c, "trap 'echo hup' HUP; echo up; while :; do sleep 1000 & wait; done"]
    resources: {{ memory: 128MiB }}
    health: {{ exec: ["true"], interval: 1s, retries: 1 }}
  many:
    image: {image}
    pull: never
    resources: {{ memory: 128MiB }}
    processes:
      one: {{ command: [sleep, "2001"] }}
      two: {{ command: [sh, -c, "trap 'echo usr1' USR1; echo set; while :; do sleep 2002 & wait; done"] }}
"""


def logs(home, *args):
    return home.run("logs", "-e", "serve", "--no-prefix", *args).out


def row(home, name):
    return next(c for c in home.json("ps", "-e", "serve") if c["name"] == name)


def figures_and_processes(home):
    stats = {s["name"]: s for s in home.json("stats", "-e", "serve")}
    assert sorted(stats) == ["box", "many"]
    box = stats["box"]
    assert box["failure"] is None and 0 <= box["cpu_percent"] < 400 and box["cpu_us"] > 0
    assert 0 < box["memory_bytes"] < box["memory_limit_bytes"] <= 128 << 20 and box["pids"] >= 2
    assert 0 < box["agent_memory_bytes"] < 2 << 20
    assert box["host"]["processes"] >= 2 and box["host"]["hidden_processes"] == 0
    assert 16 << 20 < box["host"]["memory_bytes"] < 512 << 20 and box["host"]["cpu_ms"] > 0
    before = box["disk_used_bytes"], box["disk_written_bytes"], box["cpu_us"]
    home.run("exec", "-e", "serve", "box", "--", "sh", "-c", "dd if=/dev/zero of=/big bs=1M count=8; sync")
    box = home.json("stats", "-e", "serve", "box")[0]
    after = box["disk_used_bytes"], box["disk_written_bytes"], box["cpu_us"]
    assert after[0] >= before[0] + (8 << 20) and after[1] >= before[1] + (8 << 20) and after[2] > before[2]
    lines = home.run("stats", "-e", "serve", "--no-stream").out.splitlines()
    assert lines[0].startswith("NAME ") and re.match(r"box +\d+\.\d% ", lines[1]) and len(lines) == 3

    def sleepers():
        return {p["command"] for p in home.json("top", "-e", "serve", "many")["processes"]} >= {"sleep 2001", "sleep 2002"}

    ctrzlib.wait_until("both processes sleep", sleepers)
    t = home.json("top", "-e", "serve", "many")
    assert t["left_out"] == 0
    assert {p["parent"] for p in t["processes"]} & {p["pid"] for p in t["processes"]}
    assert re.search(r"^ *\d+ .* sleep 2001$", home.run("top", "-e", "serve", "many").out, re.MULTILINE)


def signals(home):
    ctrzlib.wait_until("the trap is set", lambda: "up\n" in logs(home, "box"))
    home.run("kill", "-e", "serve", "-s", "HUP", "box")
    ctrzlib.wait_until("the signal has come", lambda: "hup\n" in logs(home, "box"))
    ctrzlib.wait_until("the trap is set", lambda: "set\n" in logs(home, "many"))
    home.run("kill", "-e", "serve", "-s", "sigusr1", "-p", "two", "many")
    ctrzlib.wait_until("the signal has come", lambda: "usr1\n" in logs(home, "many"))
    assert {p["status"] for p in row(home, "many")["processes"]} == {"running"}
    assert "no process 'three'" in home.fail("kill", "-e", "serve", "-p", "three", "many", code=4).err
    home.run("kill", "-e", "serve", "-p", "one", "many")
    ctrzlib.wait_until("it has ended", lambda: [p["exit_code"] for p in row(home, "many")["processes"] if p["name"] == "one"] == [137])
    assert "no process of it runs" in home.fail("kill", "-e", "serve", "-p", "one", "many", code=4).err


def pauses(home, project):
    beat = "while :; do echo beat; sleep 0.1; done"
    p = home.popen("exec", "-e", "serve", "box", "--", "sh", "-c", beat, stdout=subprocess.PIPE)
    try:
        assert p.stdout.readline() == b"beat\n"
        home.run("pause", "-e", "serve", "box")
        assert row(home, "box")["status"] == "paused"
        assert "paused already" in home.fail("pause", "-e", "serve", "box", code=1).err
        assert "ctrz unpause" in home.fail("exec", "-e", "serve", "box", "true", code=125).err
        assert "ctrz unpause" in home.fail("cp", "-e", "serve", "box:/etc/passwd", str(project.path), code=1).err
        used = home.json("stats", "-e", "serve", "box")[0]
        assert used["failure"] is None and used["cpu_percent"] < 1
        assert len(home.json("top", "-e", "serve", "box")["processes"]) > 2
        assert row(home, "box")["health"] in ("healthy", "starting")
        home.run("unpause", "-e", "serve", "box")
        assert "is not paused" in home.fail("unpause", "-e", "serve", "box", code=1).err
        assert [p.stdout.readline() for _ in range(20)] == [b"beat\n"] * 20
        home.run("pause", "-e", "serve", "box")
        assert re.search("box +drift +paused -> update", home.run("plan", cwd=project.path).out)
        home.run("up", cwd=project.path, timeout=300)
        assert row(home, "box")["status"] == "running" and "No changes." in home.run("plan", cwd=project.path).out
        assert [p.stdout.readline() for _ in range(20)] == [b"beat\n"] * 20
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


def disk_tool(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True, env=dict(os.environ, PATH=os.environ["PATH"] + ":/sbin:/usr/sbin")).stdout


def disks(home, project):
    upper = next(home.root.glob("**/containers/box/upper.ext4"))

    def sh(script):
        return home.run("exec", "-e", "serve", "box", "--", "sh", "-c", script).out
    sh("dd if=/dev/zero of=/large bs=1M count=40 2>/dev/null; sync")
    large = upper.stat().st_blocks * 512
    sh("rm /large; sync")
    assert home.json("trim", "-e", "serve", "box")[0]["trimmed_bytes"] >= 40 << 20
    assert upper.stat().st_blocks * 512 <= large - (30 << 20)
    assert re.search("^box: .* the host's$", home.run("trim", "-e", "serve").out, re.MULTILINE)
    # Somebody writes all the time; the copy is whole nevertheless, and has what was written before.
    p = home.popen("exec", "-e", "serve", "box", "--", "sh", "-c", "while :; do echo beat >>/beats; echo beat; sleep 0.05; done",
                   stdout=subprocess.PIPE)
    try:
        assert p.stdout.readline() == b"beat\n"
        sh("echo before >/kept")
        copy = project.path / "copy.ext4"
        home.run("freeze", "-e", "serve", "box", "--", "cp", "--sparse=always", upper, copy)
        features = re.search("^Filesystem features:.*$", disk_tool("dumpe2fs", "-h", copy), re.MULTILINE).group()
        assert "extent" in features and "needs_recovery" not in features
        assert "needs_recovery" in disk_tool("dumpe2fs", "-h", upper), "the machine's own is in use, which would show"
        disk_tool("e2fsck", "-fn", copy)
        assert disk_tool("debugfs", "-R", "cat upper/kept", copy) == "before\n"
        assert [p.stdout.readline() for _ in range(20)] == [b"beat\n"] * 20
        home.fail("freeze", "-e", "serve", "box", "--", "sh", "-c", "exit 7", code=7)
        assert "no-such-command" in home.fail("freeze", "-e", "serve", "box", "--", "/nowhere/no-such-command", code=127).err
        assert [p.stdout.readline() for _ in range(20)] == [b"beat\n"] * 20
        assert "may not be whole" in home.fail("freeze", "-e", "serve", "box", "--", "sleep", "31", code=1).err
        assert [p.stdout.readline() for _ in range(20)] == [b"beat\n"] * 20
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


def kernel_log_and_time(home):
    log = home.run("logs", "-e", "serve", "--boot", "box").out
    assert "Linux version " in log and "<" not in log.splitlines()[0][:1]
    assert len(home.run("logs", "-e", "serve", "--boot", "-n", "3", "box").out.splitlines()) == 3
    line = json.loads(home.run("logs", "-e", "serve", "--boot", "--json", "-n", "1", "box").out)
    assert line["container"] == "box" and 0 <= line["level"] <= 7
    guest = int(home.run("exec", "-e", "serve", "box", "--", "date", "+%s").out)
    assert abs(guest - time.time()) < 60


def earlier_boots(home):
    """box was killed while paused; it and what was there before say so, also while it runs again. No more than three are kept."""
    def boot_log(n):
        return home.run("logs", "-e", "serve", "--boot", "--previous", str(n), "--no-prefix", "box").out
    for _ in range(4):
        home.run("start", "-e", "serve", "box", timeout=300)
        home.run("exec", "-e", "serve", "box", "--", "true")
        home.run("stop", "-e", "serve", "box", timeout=300)
    home.run("start", "-e", "serve", "box", timeout=300)
    assert all("Linux version " in boot_log(n) for n in (1, 2, 3))
    assert len(list(home.root.glob("**/containers/box/boot.log.*"))) == 3
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in home.root.glob("**/containers/box/boot.log.*"))
    assert "Linux version" in logs(home, "--boot", "box")
    r = home.run("logs", "-e", "serve", "--boot", "--previous", "1", "many")
    assert r.out == "" and "no log of that boot" in r.err
    home.fail("logs", "-e", "serve", "--boot", "--previous", "4", "box", code=64)


def test_a_running_container_is_asked_and_told(home, project):
    project.write(SPEC.format(image=home.image()))
    home.run("up", cwd=project.path, timeout=300)
    figures_and_processes(home)
    signals(home)
    pauses(home, project)
    kernel_log_and_time(home)
    disks(home, project)
    # A stop of what stands still does not wait for it.
    home.run("pause", "-e", "serve", "box")
    home.run("kill", "-e", "serve", "box", timeout=60)
    ctrzlib.wait_until("the killed machine has ended", lambda: row(home, "box")["status"].startswith("exited"))
    assert row(home, "box")["exit_code"] == 137
    home.run("logs", "-e", "serve", "--boot", "box")
    earlier_boots(home)
