# SPDX-License-Identifier: MIT
"""An apply that ends at any point is taken up by the next: killed at every journal line, interrupted, run twice at once, after a
reboot of the host."""
import json
import os
import shutil
import signal
import subprocess

import ctrzlib

SPEC = """
name: journal
containers:
  app:
    image: {image}
    command: [sleep, "{seconds}"]
    depends_on: [db]
    ports: ["{port}:80"]
    resources: {{ memory: 128MiB }}
  db:
    image: {image}
    command: [sleep, "100000"]
    resources: {{ memory: 128MiB }}
"""


def write(home, project, seconds="100000", port=None):
    port = port or ctrzlib.free_port()
    project.write(SPEC.format(image=home.image(), port=port, seconds=seconds))
    return port


def rows(home):
    return {c["name"]: c for c in home.json("ps", "-e", "journal")}


def state(home):
    [path] = home.root.glob("state/envs/*/state.json")
    return json.loads(path.read_text())


def check_whole(home):
    """Both run, each with one keeper, on one switch, and nothing else does."""
    now = rows(home)
    assert {n: c["status"] for n, c in now.items()} == {"app": "running", "db": "running"}, now
    running = ctrzlib.processes_of(home)
    keepers = {p.command.split()[-1]: p.pid for p in running.values() if "__keeper" in p.command}
    assert len(ctrzlib.processes_of(home, "qemu-system")) >= 2
    assert set(keepers) == {"app", "db"}, running
    pids = {c["pid"] for c in now.values()}
    assert len(pids) == 2 and pids <= set(running)
    return now


def die_at(home, project, command, point):
    env = dict(home.env, CTRZ_TEST_DIE_AT=str(point))
    return home.try_run(command, cwd=project.path, env=env)


def test_killed_at_every_line_while_it_is_made(home, project):
    write(home, project)
    addresses = None
    for point in range(12):
        r = die_at(home, project, "up", point)
        if r.code == 0:
            break
        assert r.code == -signal.SIGKILL, r
        home.run("up", cwd=project.path)
        check_whole(home)
        now = {n: c["addresses"] for n, c in state(home)["containers"].items()}
        assert addresses in (None, now), "addresses stay what they were"
        addresses = now
        assert "0 changes" in home.run("up", cwd=project.path).out
        home.run("down", cwd=project.path)
    assert point == 7, "one begin and one end for each of three actions, and the start of the journal"


def test_killed_at_every_line_while_it_is_changed(home, project):
    port = write(home, project)
    home.run("up", cwd=project.path)
    for point in range(4):
        write(home, project, seconds=str(1000 + point), port=port)
        before = rows(home)
        assert die_at(home, project, "up", point).code in (0, -signal.SIGKILL)
        home.run("up", cwd=project.path)
        now = check_whole(home)
        assert now["db"]["pid"] == before["db"]["pid"]
        assert now["app"]["pid"] == before["app"]["pid"], "a new command needs no new machine"
        if point == 3:
            out = home.run("exec", "app", "--", "sh", "-c", "cat /proc/[0-9]*/cmdline", cwd=project.path).out
            assert str(1000 + point) in out and str(999 + point) not in out, "the new one runs, and alone"
        assert "0 changes" in home.run("up", cwd=project.path).out


def test_killed_at_every_line_while_it_goes(home, project):
    write(home, project)
    for point in range(7):
        home.run("up", cwd=project.path)
        assert die_at(home, project, "down", point).code in (0, -signal.SIGKILL)
        home.run("down", cwd=project.path)
        assert not ctrzlib.processes_of(home)
        assert not list((home.root / "state/envs").glob("*/containers/*"))


def test_two_at_once_one_waits_and_says_for_whom(home, project):
    write(home, project)
    first = home.popen("up", cwd=project.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ctrzlib.wait_until("the first holds the lock", lambda: list(home.root.glob("state/envs/*/lock.json")))
    r = home.fail("up", "--lock-timeout", "0", cwd=project.path, code=5)
    assert f"pid {first.pid}" in r.err and "ctrz up" in r.err
    second = home.run("up", cwd=project.path)
    assert "waiting for the lock" in second.err
    assert "0 changes" in second.out
    assert first.wait() == 0
    check_whole(home)


def test_interrupt_finishes_what_is_in_flight(home, project):
    write(home, project)
    p = home.popen("up", "--progress", "plain", cwd=project.path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    seen = ""
    for line in p.stderr:
        seen += line
        if line.startswith("db: create"):
            p.send_signal(signal.SIGINT)
            break
    seen += p.stderr.read()
    p.stderr.close()
    assert p.wait() == 130, seen
    assert "db: create done" in seen and "app: create skipped" in seen
    assert set(rows(home)) >= {"db"}
    pid = rows(home)["db"]["pid"]
    plan = home.run("plan", cwd=project.path).out
    assert "resuming" in plan and "app" in plan and " db " not in plan
    home.run("up", cwd=project.path)
    assert check_whole(home)["db"]["pid"] == pid


def test_second_interrupt_stops_at_once(home, project):
    write(home, project)
    p = home.popen("up", "--progress", "plain", cwd=project.path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in p.stderr:
        if line.startswith("db: create"):
            p.send_signal(signal.SIGINT)
        if line.startswith("interrupted"):
            p.send_signal(signal.SIGINT)
            break
    seen = p.stderr.read()
    p.stderr.close()
    assert p.wait() == 130, seen
    home.run("up", cwd=project.path)
    check_whole(home)


def test_after_a_reboot_of_the_host(home, project):
    """No process, no run folder: ps tells the truth, up restores everything with its data and addresses."""
    write(home, project)
    home.run("up", cwd=project.path)
    home.run("exec", "db", "--", "sh", "-c", "echo kept > /kept; sync", cwd=project.path)
    before = state(home)
    for pid in ctrzlib.processes_of(home):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    ctrzlib.wait_until("all are gone", lambda: not ctrzlib.processes_of(home))
    shutil.rmtree(home.root / "run")
    assert all(c["status"] != "running" for c in rows(home).values())
    assert "not running" in home.run("plan", cwd=project.path).out
    home.run("up", cwd=project.path)
    check_whole(home)
    assert home.run("exec", "db", "--", "cat", "/kept", cwd=project.path).out == "kept\n"
    after = state(home)
    assert {n: c["addresses"] for n, c in before["containers"].items()} == \
        {n: c["addresses"] for n, c in after["containers"].items()}
    assert before["networks"]["default"]["subnet"] == after["networks"]["default"]["subnet"]
