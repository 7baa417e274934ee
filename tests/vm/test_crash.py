# SPDX-License-Identifier: MIT
"""kill -9 of every part: nothing is left without an owner, and the next up converges."""
import itertools
import os
import signal
import time

import ctrzlib

SPEC = """
name: crash
containers:
  web:
    image: {image}
    pull: never
    command: [httpd, -f, -p, "80", -h, /srv]
    mounts: ["./site:/srv:ro"]
    ports: ["{port}:80"]
    resources: {{ memory: 128MiB }}
  other:
    image: {image}
    pull: never
    command: [sleep, "100000"]
    resources: {{ memory: 128MiB }}
"""


def up(home, project):
    port = ctrzlib.free_port()
    (project.path / "site").mkdir()
    (project.path / "site/index.html").write_text("here\n")
    project.write(SPEC.format(image=home.image(), port=port))
    home.run("up", cwd=project.path)
    return port


def row(home, name):
    return next(c for c in home.json("ps", "-e", "crash") if c["name"] == name)


def check_converges(home, project, port, other_pid):
    home.run("up", cwd=project.path)
    assert ctrzlib.http_get(port) == "here\n"
    assert row(home, "other")["pid"] == other_pid
    r = home.run("up", cwd=project.path)
    assert "0 changes" in r.out
    home.run("down", cwd=project.path)


def test_keeper_killed(home, project):
    port = up(home, project)
    web, other = row(home, "web"), row(home, "other")
    os.kill(web["keeper_pid"], signal.SIGKILL)
    ctrzlib.wait_until("QEMU has gone with its keeper", lambda: not os.path.exists(f"/proc/{web['pid']}"))
    check_converges(home, project, port, other["pid"])


def test_qemu_killed(home, project):
    port = up(home, project)
    web, other = row(home, "web"), row(home, "other")
    os.kill(web["pid"], signal.SIGKILL)
    ctrzlib.wait_until("the keeper has ended or restarted it", lambda: row(home, "web")["pid"] != web["pid"])
    check_converges(home, project, port, other["pid"])


def test_switch_killed(home, project):
    port = up(home, project)
    other = row(home, "other")
    switches = set(ctrzlib.processes_of(home, "__switch"))
    assert switches
    for pid in switches:
        os.kill(pid, signal.SIGKILL)
    ctrzlib.wait_until("the switch is gone", lambda: not set(ctrzlib.processes_of(home, "__switch")) & switches)
    check_converges(home, project, port, other["pid"])


def test_virtiofsd_killed(home, project):
    port = up(home, project)
    other = row(home, "other")
    daemons = set(ctrzlib.processes_of(home, "virtiofsd"))
    assert daemons
    for pid in daemons:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    ctrzlib.wait_until("virtiofsd is gone", lambda: not set(ctrzlib.processes_of(home, "virtiofsd")) & daemons)
    ctrzlib.wait_until("the machine is not said to run well", lambda: home.try_run(
        "plan", "--detailed-exitcode", cwd=project.path).code == 2)
    check_converges(home, project, port, other["pid"])


def test_up_killed_half_way(home, project):
    (project.path / "site").mkdir()
    (project.path / "site/index.html").write_text("here\n")
    port = ctrzlib.free_port()
    project.write(SPEC.format(image=home.image(), port=port))
    for delay in (0.05, 0.3, 0.8, 1.6, 2.4):
        p = home.popen("up", cwd=project.path, stdout=ctrzlib.subprocess.DEVNULL, stderr=ctrzlib.subprocess.DEVNULL)
        time.sleep(delay)  # the point is to kill it at some moment, whatever it is doing then
        p.send_signal(signal.SIGKILL)
        p.wait()
    home.run("up", cwd=project.path)
    assert ctrzlib.http_get(port) == "here\n"
    running = ctrzlib.processes_of(home)
    assert {row(home, "web")["pid"], row(home, "other")["pid"]} <= set(running)
    assert len([p for p in running.values() if "__keeper" in p.command]) == 2, running
    assert len([p for p in running.values() if "__switch" in p.command]) == 1, running
    home.run("down", cwd=project.path)


def test_run_ended_by_a_signal_is_tidied_at_once(home):
    """Without a terminal, at any moment of its start, when there is no process yet that could be told."""
    run = ("run", "--rm", "--memory", "128MiB", home.image(), "sh", "-c", "trap 'exit 3' INT TERM HUP; sleep 100000 & wait")
    folders = home.root / "state" / "runs", home.root / "run"
    ends = {}
    for sig, delay in itertools.product((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), (0, 0.1, 0.3)):
        p = home.popen(*run, stdout=ctrzlib.subprocess.DEVNULL, stderr=ctrzlib.subprocess.DEVNULL)
        ctrzlib.wait_until("its folder is there", lambda: any(folders[0].glob("*-*")))
        time.sleep(delay)  # some moment, whatever it is doing then
        p.send_signal(sig)
        ends[sig, delay] = p.wait(60)
        # Nor the folder of what runs, which another start makes.
        ctrzlib.wait_until("nothing is left", lambda: not list(folders[0].iterdir()) and not folders[1].exists())
    assert all(end in (-sig, 3, 128 + sig) for (sig, _), end in ends.items()) and any(end < 0 for end in ends.values()), ends
    assert not ctrzlib.processes_of(home)
