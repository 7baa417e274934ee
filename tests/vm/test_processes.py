# SPDX-License-Identifier: MIT
"""Several processes in a container: their order, restarts, probes, hooks, changes and end."""
import os
import signal

import ctrzlib

SEVERAL = """
name: several
containers:
  app:
    image: {image}
    pull: never
    resources: {{ memory: 128MiB }}
    env: {{ COMMON: both }}
    restart: always
    watch:
      - {{ path: ./conf, action: exec, exec: [sh, -c, "echo $COMMON seen; date +%N >> /seen-conf"] }}
      - {{ path: ./later/by, action: restart }}
    hooks:
      create: "echo created >> /hooks"
      start: "echo started >> /hooks; sync"
      stop: "echo stopping"
    processes:
      migrate:
        kind: task
        command: "echo migrated $COMMON > /migrated; echo moving"
      web:
        command: [sh, -c, "cat /migrated > /seen; echo {word}; exec httpd -f -p 8080 -h /"]
        depends_on: {{ migrate: done }}
        watch: [{{ path: ./src, ignore: ["*.tmp"] }}]
        health: {{ http: {{ port: 8080, path: /migrated }}, interval: 500ms, start_interval: 200ms }}
      worker:
        command: [sh, -c, "trap 'echo good bye; exit 0' TERM; echo at $PWD as $(id -u) $MINE; while :; do sleep 1; done"]
        user: "65534"
        working_dir: /tmp
        env: {{ MINE: own }}
        restart: {{ policy: always, backoff: 100ms }}
        watch: [{{ path: ./sig, action: signal, signal: SIGTERM }}]
        depends_on: {{ web: healthy }}
        health: {{ exec: [test, -e, /seen], interval: 500ms }}
"""


def processes(home, project, name="app"):
    row = next(c for c in home.json("ps", cwd=project.path) if c["name"] == name)
    return row, {p["name"]: p for p in row["processes"]}


def test_processes_of_a_container(home, project):
    text = SEVERAL.format(image=home.image(), word="one")
    project.write(text)
    (project.path / "src" / "deep").mkdir(parents=True)
    unwatched = home.fail("up", cwd=project.path, timeout=300, code=1)
    assert "watch '" in unwatched.err and "/later'" in unwatched.err, unwatched
    (project.path / "later").mkdir()
    home.run("down", cwd=project.path, timeout=300)
    home.run("up", cwd=project.path, timeout=300)
    row, ps = processes(home, project)
    assert row["health"] == "healthy"
    assert (ps["migrate"]["status"], ps["migrate"]["exit_code"]) == ("done", 0)
    assert ps["web"]["health"] == "healthy" and ps["worker"]["health"] == "healthy"
    logs = home.run("logs", "app", cwd=project.path).out
    assert home.run("wait", cwd=project.path).out == "app: running (healthy)\n"
    table = home.run("ps", "--processes", cwd=project.path).out.splitlines()
    assert [line.split()[1:4] for line in table[1:]] == [["migrate", "task", "done"], ["web", "service", "running"],
                                                        ["worker", "service", "running"]], table
    assert "at /tmp as 65534 own" in logs and "moving" in logs, logs

    def show(path):
        return home.run("exec", "app", "--", "cat", path, cwd=project.path).out

    assert show("/seen") == "migrated both\n"
    assert show("/hooks") == "created\nstarted\n"
    assert "up to date" in home.run("up", cwd=project.path).out

    # Files of the host: those that are left out do nothing, others what their rule says, in the same machine.
    (project.path / "src" / "a.tmp").write_text("x")
    (project.path / "conf").write_text("x")
    ctrzlib.wait_until("the command has run", lambda: "both seen" in home.run("logs", "app", cwd=project.path).out)
    assert processes(home, project)[1]["web"]["guest_pid"] == ps["web"]["guest_pid"]
    (project.path / "src" / "deep" / "b").write_text("x")
    ctrzlib.wait_until("web has started again", lambda: processes(home, project)[1]["web"]["guest_pid"] not in (0, ps["web"]["guest_pid"]))
    home.run("wait", cwd=project.path, timeout=300)
    now, ps = processes(home, project)
    assert now["pid"] == row["pid"] and now["restarts"] == 0 and ps["worker"]["restarts"] == 0
    told = home.run("events", cwd=project.path).out
    assert f"watch restart: {project.path}/src/deep/b" in told and "a.tmp" not in told, told
    (project.path / "sig").write_text("x")
    ctrzlib.wait_until("the worker got its signal", lambda: "good bye" in home.run("logs", "app", cwd=project.path).out)
    ctrzlib.wait_until("and is back", lambda: processes(home, project)[1]["worker"]["restarts"] == 1
                       and processes(home, project)[1]["worker"]["health"] == "healthy")
    (project.path / "later" / "by").write_text("x")
    ctrzlib.wait_until("all services have started again", lambda: processes(home, project)[1]["web"]["guest_pid"] not in (0, ps["web"]["guest_pid"])
                       and processes(home, project)[1]["worker"]["guest_pid"] not in (0, ps["worker"]["guest_pid"]))
    home.run("wait", cwd=project.path, timeout=300)
    now, ps = processes(home, project)
    assert now["pid"] == row["pid"] and ps["migrate"]["status"] == "done"
    restarts = ps["worker"]["restarts"]

    # One that dies is started again in the same machine; the others are left alone.
    kill = "for p in /proc/[0-9]*; do [ $(stat -c %u $p) = 65534 ] && kill -9 ${p#/proc/}; done; true"
    home.run("exec", "app", "--", "sh", "-c", kill, cwd=project.path)
    ctrzlib.wait_until("the worker is back", lambda: processes(home, project)[1]["worker"]["restarts"] == restarts + 1
                       and processes(home, project)[1]["worker"]["status"] == "running")
    row2, ps2 = processes(home, project)
    assert row2["pid"] == row["pid"]
    assert ps2["web"]["guest_pid"] == ps["web"]["guest_pid"]

    # A change of one process restarts that one, a change of a probe none.
    project.write(SEVERAL.format(image=home.image(), word="two"))
    plan = home.json("plan", cwd=project.path)
    assert [a["action"] for a in plan["actions"]] == ["process"]
    home.run("up", cwd=project.path, timeout=300)
    row3, ps3 = processes(home, project)
    assert row3["pid"] == row["pid"] and ps3["worker"]["guest_pid"] == ps2["worker"]["guest_pid"]
    assert ps3["web"]["guest_pid"] != ps["web"]["guest_pid"]
    project.write(SEVERAL.format(image=home.image(), word="two").replace("path: /migrated", "path: /nothing-there")
                  .replace("retries: 3", "").replace("start_interval: 200ms", "start_interval: 200ms, start_period: 0s, retries: 2"))
    assert [a["action"] for a in home.json("plan", cwd=project.path)["actions"]] == ["update"]
    failed = home.try_run("up", cwd=project.path, timeout=300)
    assert failed.code == 1 and "process 'web' is unhealthy" in failed.err and "status 404" in failed.err, failed
    row4, ps4 = processes(home, project)
    assert row4["health"] == "unhealthy" and ps4["web"]["guest_pid"] == ps3["web"]["guest_pid"]
    unready = home.fail("wait", "app", cwd=project.path, code=1)
    assert "process 'web' is running (unhealthy)" in unready.err and "status 404" in unready.err, unready
    drift = home.run("plan", cwd=project.path).out
    assert "process 'web' is unhealthy" in drift
    project.write(SEVERAL.format(image=home.image(), word="two"))
    home.run("up", cwd=project.path, timeout=300)
    assert processes(home, project)[0]["health"] == "healthy"

    home.run("stop", cwd=project.path, timeout=300)
    logs = home.run("logs", "app", cwd=project.path).out
    assert logs.rindex("stopping") < logs.rindex("good bye"), "the hook, then the processes"
    home.run("start", cwd=project.path, timeout=300)
    assert show("/hooks") == "created\nstarted\nstarted\n"

    # What the machine dies of is not the end: its policy brings all of it back.
    row5, _ = processes(home, project)
    os.kill(row5["pid"], signal.SIGKILL)
    ctrzlib.wait_until("the machine is back and well", lambda: processes(home, project)[0]["health"] == "healthy"
                       and processes(home, project)[0]["pid"] not in (0, row5["pid"]), 120)
    assert show("/hooks").startswith("created\nstarted\nstarted\nstarted\n")
    home.run("down", cwd=project.path, timeout=300)


ORDER = """
name: order
containers:
  db:
    image: {image}
    pull: never
    resources: {{ memory: 128MiB }}
    command: [sh, -c, "sleep 1; touch /ready; exec sleep 100000"]
    health: {{ exec: [test, -e, /ready], interval: 300ms, start_interval: 300ms }}
  once:
    image: {image}
    pull: never
    resources: {{ memory: 128MiB }}
    command: [sh, -c, "exit {code}"]
    depends_on: [db]
  app:
    image: {image}
    pull: never
    resources: {{ memory: 128MiB }}
    command: [sleep, "100000"]
    depends_on: {{ once: done }}
  other:
    image: {image}
    pull: never
    resources: {{ memory: 128MiB }}
    command: [sleep, "100000"]
"""


def test_containers_wait_for_each_other(home, project):
    project.write(ORDER.format(image=home.image(), code=3))
    failed = home.try_run("up", cwd=project.path, timeout=300)
    assert failed.code == 1 and "it ended with exit code 3" in failed.err and "ctrz logs once" in failed.err, failed
    rows = {c["name"]: c for c in home.json("ps", cwd=project.path)}
    assert rows["db"]["health"] == "healthy" and rows["other"]["status"] == "running"
    assert "app" not in rows or rows["app"]["status"] == "not running"
    before = rows["db"]["pid"]
    project.write(ORDER.format(image=home.image(), code=0))
    home.run("up", cwd=project.path, timeout=300)
    rows = {c["name"]: c for c in home.json("ps", cwd=project.path)}
    assert (rows["once"]["status"], rows["once"]["exit_code"]) == ("exited", 0)
    assert rows["app"]["status"] == "running" and rows["db"]["pid"] == before

    # The command of a container's only process starts again in the same machine.
    project.write(ORDER.format(image=home.image(), code=0).replace('command: [sleep, "100000"]', 'command: [sleep, "100001"]', 1))
    assert [(a["action"], a["name"]) for a in home.json("plan", cwd=project.path)["actions"]] == [("process", "app")]
    home.run("up", cwd=project.path, timeout=300)
    after = {c["name"]: c for c in home.json("ps", cwd=project.path)}
    assert after["app"]["pid"] == rows["app"]["pid"]
    assert "100001" in home.run("exec", "app", "--", "ps", cwd=project.path).out
