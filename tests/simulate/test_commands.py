# SPDX-License-Identifier: MIT
"""The commands that show an environment or wait for it, with machines that are only files."""
import json
import os
import pty
import re
import signal
import subprocess

import pytest

from test_apply import CTRZ, home  # noqa: F401  pylint: disable=unused-import


def end(home, name, code):
    """Let a simulated machine end by itself."""
    beside = home.container(name) / "exited.new"
    beside.write_text(str(code))
    os.rename(beside, home.container(name) / "exited")


def follow(home, *args):
    return subprocess.Popen([CTRZ, *args], cwd=home.path, env=home.env, text=True, stdout=subprocess.PIPE)


def test_port_prints_addresses_for_people_and_scripts(home):
    home.write(2, c0001={"ports": '["30001:80", "30002:53/udp"]'})
    home.run("up")
    assert home.run("port", "c0001").stdout == "80/tcp -> 127.0.0.1:30001\n53/udp -> 127.0.0.1:30002\n"
    assert home.run("port", "c0001", "80").stdout == "127.0.0.1:30001\n"
    assert home.run("port", "c0001", "53/udp").stdout == "127.0.0.1:30002\n"
    assert [p["host"] for p in json.loads(home.run("port", "c0001", "--json").stdout)] == [30001, 30002]
    assert "it publishes 127.0.0.1:30001->80/tcp, " in home.run("port", "c0001", "53/tcp", code=4).stderr
    home.run("port", "c0001", "x", code=64)
    home.run("port", "c0001", "80/sctp", code=64)
    assert "did you mean 'c0001'" in home.run("port", "c001", code=4).stderr


def test_inspect_knows_disk_log_and_spec(home):
    home.write(2)
    home.run("up")
    [c] = json.loads(home.run("inspect", "c0001").stdout)
    assert c["name"] == "c0001" and c["status"] == "running"
    assert c["writable_disk"] == str(home.container("c0001") / "upper.ext4")
    assert c["spec"]["labels"] == {"tier": "x"}
    assert len(json.loads(home.run("inspect").stdout)) == 2


def test_wait_until_ready_and_until_exit(home):
    home.write(2)
    home.run("up")
    assert home.run("wait").stdout == "c0000: running\nc0001: running\n"
    r = home.run("wait", "--for", "exit", "--timeout", "100ms", "c0001", code=5)
    assert "still waiting after 100ms: 'c0001' is running" in r.stderr
    p = follow(home, "wait", "--for", "exit", "c0001")
    end(home, "c0001", 7)
    assert p.communicate(timeout=60)[0] == "c0001: exited (7)\n"
    assert p.returncode == 7
    assert "'c0001' is exited (7) and will not get ready; see: ctrz logs c0001" in home.run("wait", code=1).stderr
    end(home, "c0001", 0)
    assert home.run("wait").stdout == "c0000: running\nc0001: exited (0)\n"
    assert json.loads(home.run("wait", "--json", "c0001").stdout)[0]["exit_code"] == 0
    home.run("wait", "--for", "nonsense", code=64)
    home.run("wait", "--timeout", "nonsense", code=64)
    home.run("down")
    assert "bring it up with: ctrz up" in home.run("wait", code=4).stderr


def test_wait_until_probes_have_passed(home):
    home.write(2)
    home.run("up")

    def probe(word):
        beside = home.container("c0001") / "health.new"
        beside.write_text(word)
        os.rename(beside, home.container("c0001") / "health")

    probe("starting")
    assert "'c0001' is running (not healthy yet)" in home.run("wait", "--timeout", "100ms", code=5).stderr
    p = follow(home, "wait", "c0001")
    (home.container("c0001") / "health").unlink()
    assert p.communicate(timeout=60)[0] == "c0001: running\n"
    probe("unhealthy")
    said = home.run("wait", code=1).stderr
    assert "container 'c0001' is not ready: it is unhealthy: what it saw; see: ctrz logs c0001" in said
    assert home.run("wait", "c0000").stdout == "c0000: running\n"
    rows = [line.split(maxsplit=6) for line in home.run("ps", "--processes").stdout.splitlines()]
    assert rows[0] == ["CONTAINER", "PROCESS", "KIND", "STATUS", "UPTIME", "RESTARTS", "LAST WORD"]
    assert rows[2][:5] == ["c0001", "-", "-", "running", "(unhealthy)"] and rows[2][6].endswith("what it saw")


def test_events_tell_what_was_done_and_follow(home):
    home.write(2, c0001={"image": "example.org/broken:1"})
    home.run("up", code=1)
    lines = home.run("events").stdout.splitlines()
    assert lines[0].endswith(": 3 to do") and "ctrz up (uid" in lines[0]
    assert any(line.endswith("  c0001  create failed: the guest's last words") for line in lines)
    assert lines[-1].endswith("  -  end: 2 done, 1 failed, 0 skipped")
    only = [json.loads(line) for line in home.run("events", "--json", "c0000").stdout.splitlines()]
    assert [(e["v"], e["type"], e["id"], e["op"]) for e in only] == [(1, "op_done", "c0000", "create")]
    assert home.run("events", "--since", "2099-01-01").stdout == ""
    home.run("events", "--since", "yesterday", code=64)
    p = follow(home, "events", "-f", "--since", "2000-01-01", "c0000")
    assert p.stdout.readline().endswith("c0000  create done\n")
    home.run("stop", "c0000")
    assert p.stdout.readline().endswith("c0000  stop done\n")
    p.kill()
    p.communicate()


def test_logs_of_all_containers_are_merged_cut_and_followed(home):
    home.write(2)
    home.run("up")

    def say(name, file, *lines):
        with open(home.container(name) / file, "a", encoding="utf-8") as f:
            f.writelines(f"2026-01-31T12:00:{second:02}.000000Z {rest}\n" for second, rest in lines)

    say("c0000", "log.1", (1, "stdout F one"))
    say("c0000", "log", (3, "stderr F three"), (5, "stdout P fi"), (6, "stdout F ve"))
    say("c0001", "log", (2, "stdout F two"), (4, "stdout F@web four"))
    assert home.run("logs").stdout == ("c0000 | one\nc0001 | two\nc0000 | three\nc0001 | web: four\nc0000 | five\n")
    assert home.run("logs", "--no-prefix", "--timestamps", "c0001").stdout.splitlines()[0] == "2026-01-31T12:00:02.000000Z two"
    assert home.run("logs", "--tail", "1").stdout == "c0001 | web: four\nc0000 | five\n"
    assert home.run("logs", "--since", "2026-01-31T12:00:04").stdout == "c0001 | web: four\nc0000 | five\n"
    assert home.run("logs", "--since", "10m").stdout == ""
    last = json.loads(home.run("logs", "--json").stdout.splitlines()[3])
    assert (last["container"], last["process"], last["stream"], last["text"]) == ("c0001", "web", "stdout", "four")
    home.run("logs", "--tail", "x", code=64)
    home.run("logs", "--since", "yesterday", code=64)
    assert "did you mean 'c0001'" in home.run("logs", "c001", code=4).stderr
    p = follow(home, "logs", "-f", "--tail", "1", "c0000", "c0001")
    assert [p.stdout.readline() for _ in range(2)] == ["c0001 | web: four\n", "c0000 | five\n"]
    say("c0001", "log", (7, "stdout F seven"))
    assert p.stdout.readline() == "c0001 | seven\n"
    os.rename(home.container("c0001") / "log", home.container("c0001") / "log.1")
    say("c0001", "log", (8, "stdout F eight"))
    assert p.stdout.readline() == "c0001 | eight\n"
    p.kill()
    p.communicate()


def test_the_event_log_is_bounded_and_survives_down(home):
    home.write(1)
    home.run("up")
    [log] = home.root.glob("state/envs/*/events")
    line = json.dumps({"v": 1, "ts": 1, "type": "filler", "id": "x" * 1000}) + "\n"
    log.write_text(line * 260)
    home.run("down")
    assert log.stat().st_size < 256 * 1024 and log.with_name("events.1").stat().st_size < 272 * 1024
    assert "destroy done" in home.run("events").stdout
    log.write_text("{ torn")
    assert "filler" in home.run("events").stdout


def test_ps_watch_prints_again_when_something_changed(home):
    home.write(2)
    home.run("up")
    p = follow(home, "ps", "--watch", "--json")
    assert [c["status"] for c in json.loads(p.stdout.readline())] == ["running", "running"]
    end(home, "c0001", 3)
    assert [c["status"] for c in json.loads(p.stdout.readline())] == ["running", "exited"]
    home.run("down")
    assert json.loads(p.stdout.readline()) is not None
    p.kill()
    p.communicate()
    home.run("ps", "--watch", "--all", code=64)


def on_terminal(home, *args, more=None):
    """What a command draws on a terminal, until it ends; more(pid) is called once it has drawn something."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(home.path)
        env = {k: v for k, v in home.env.items() if k != "NO_COLOR"}
        os.execve(CTRZ, [CTRZ, *args], {**env, "TERM": "xterm", "LC_ALL": "C.UTF-8"})
    drawn = b""
    while True:
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        drawn += part
        if more:
            more(pid)
            more = None
    os.close(fd)
    _, status = os.waitpid(pid, 0)
    return drawn.decode(), status


def test_ps_watch_on_a_terminal_draws_over_itself(home):
    home.write(1)
    home.run("up")
    drawn, status = on_terminal(home, "ps", "--watch", more=lambda pid: os.kill(pid, signal.SIGINT))
    assert "\x1b[H\x1b[2J" in drawn and "c0000" in drawn
    assert os.waitstatus_to_exitcode(status) == -signal.SIGINT


@pytest.mark.parametrize("command", ["logs", "events"])
def test_colours_are_stable_and_only_on_a_terminal(home, command):
    home.write(2)
    home.run("up")
    for name in ("c0000", "c0001"):
        (home.container(name) / "log").write_text("2026-01-31T12:00:00.000000Z stdout F hello\n")
    assert "\x1b" not in home.run(command).stdout
    first, _ = on_terminal(home, command)
    again, _ = on_terminal(home, command)
    assert "\x1b[3" in first and first == again
    assert "\x1b[3" not in on_terminal(home, command, "--color", "never")[0]
    assert "\x1b[3" in home.run(command, "--color", "always").stdout


def test_up_on_a_terminal_draws_a_line_per_object_and_gives_the_cursor_back(home):
    home.write(3, c0001={"image": "example.org/broken:1"})
    drawn, status = on_terminal(home, "up")
    assert os.waitstatus_to_exitcode(status) == 1
    assert "\x1b[?25l" in drawn and drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")
    assert "[+] up 3/4" in drawn, "one line says how far it is"
    last = drawn[drawn.rindex("[+] up"):]
    assert all(name in last for name in ("c0000", "c0001", "c0002", "network default"))
    assert re.search(r"\d\.\ds\x1b", last), "with a timer each"
    plain = home.run("up", "--progress", "plain", code=1).stderr
    assert "\x1b" not in plain and "c0001: create\n" in plain and "c0001: create failed" in plain
    lines = [json.loads(line) for line in home.run("up", "--progress", "json", code=1).stderr.splitlines() if line.startswith("{")]
    assert {"op_start", "op_error"} <= {line.get("type") for line in lines}


def test_life_commands_speak_json(home):
    home.write(2)
    home.run("up")
    for command, action in (("stop", "stop"), ("start", "start"), ("restart", "reboot")):
        done = json.loads(home.run(command, "--json").stdout)
        assert {a["action"] for a in done["actions"]} == {action}


def test_what_is_paused_is_said_and_up_lets_it_go_on(home):
    home.write(2)
    home.run("up")
    (home.container("c0001") / "paused").write_text("")
    assert re.search(r"^c0001 .* paused ", home.run("ps").stdout, re.MULTILINE)
    assert [c["status"] for c in json.loads(home.run("ps", "--json").stdout)] == ["running", "paused"]
    assert "c0001  drift  paused -> update\nPlan: 1 live." in home.run("plan").stdout
    home.run("up")
    assert [c["status"] for c in json.loads(home.run("ps", "--json").stdout)] == ["running", "running"]
    assert "No changes." in home.run("plan").stdout


def test_orders_name_what_is_wrong(home):
    home.write(1)
    home.run("up")
    assert "no signal 'NOPE'" in home.run("kill", "-s", "NOPE", "c0000", code=64).stderr
    for command in ("kill", "pause", "unpause", "top"):
        assert "did you mean 'c0000'" in home.run(command, "c000", code=4).stderr
    assert "--boot goes with" in home.run("logs", "--boot", "-f", code=64).stderr
    end(home, "c0000", 3)
    for command in ("kill", "pause", "unpause", "top"):
        assert "it exited with 3" in home.run(command, "c0000", code=1).stderr
    assert json.loads(home.run("stats", "--json", "c0000").stdout) == [{"name": "c0000", "failure": "exited (3)"}]
    assert home.run("stats").stdout.splitlines() == [home.run("stats").stdout.strip()], "only what runs is listed"
