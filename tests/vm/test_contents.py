# SPDX-License-Identifier: MIT
"""What containers are given: secrets, files, env_file."""
import json
import os
import pathlib
import pty
import subprocess

import ctrzlib

CANARY = "c4n4ry-5a1b"

SPEC = """
name: given
vars: {{ WHO: {{ default: "you" }} }}
secrets:
  made: {{ generate: {{ bytes: 18, format: base64 }} }}
  typed: {{ prompt: true, description: "any word" }}
  token: {{ env: GIVEN_TOKEN }}
  absent: {{ env: GIVEN_ABSENT, required: false }}
  key: {{ file: ./key.secret }}
files:
  greeting: {{ content: "hello ${{WHO}}\\n" }}
  table: {{ source: ./table.txt }}
containers:
  a:
    image: {image}
    pull: never
    user: www
    command: [sh, -c, "echo started; exec sleep 100000"]
    resources: {{ memory: 128MiB }}
    restart: always
    env: {{ TOKEN: overridden, PLAIN: "yes" }}
    env_file: [./dev.env]
    secrets:
      - made
      - typed
      - absent
      - {{ name: token, env: TOKEN }}
      - {{ name: key, target: /etc/app/key, mode: "0440", owner: "0:100" }}
    files:
      - {{ name: greeting, target: /etc/motd }}
      - {{ name: table, target: /srv/conf/table, mode: "0600", owner: www }}
"""


def up_on_a_terminal(home, project, env, typed):
    """Run ctrz up with standard input on a terminal, and type when it asks."""
    master, slave = pty.openpty()
    trust = f"--trust={home.json('trust', 'show', cwd=project.path, env=env)['hash']}"
    with subprocess.Popen([ctrzlib.CTRZ, "up", trust, "--progress", "plain"], cwd=project.path, env=env, stdin=slave,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        os.close(slave)
        err = b""
        while not err.endswith(b"typed (any word): "):
            piece = p.stderr.read(1)
            assert piece, err.decode()
            err += piece
        os.write(master, typed.encode() + b"\n")
        out, rest = p.communicate(timeout=120)
    echoed = os.read(master, 1000) if CANARY.encode() in err + rest else b""
    os.close(master)
    assert p.returncode == 0, (err + rest).decode()
    return (err + rest + out + echoed).decode()


def places_with(word, home):
    """Where on this host a value can be read that must be read nowhere: files of the home, command lines and environments."""
    found = []
    for path in home.root.rglob("*"):
        if path.is_file() and path.suffix != ".ext4" and word in path.read_bytes():
            found.append(str(path))
    for p in ctrzlib.processes_of(home).values():
        if word.decode() in p.command or word in p.environ:
            found.append(repr(p))
    return found


def test_secrets_and_files_reach_the_container_and_nothing_else(home, project):
    image = home.image()
    (project.path / "key.secret").write_text(CANARY + "-key\n")
    (project.path / "table.txt").write_text("".join(f"row {i}\n" for i in range(40000)))
    (project.path / "dev.env").write_text("LITERAL=$HOME and ${WHO}\nQUOTED=\"a b\"\n")
    project.write(SPEC.format(image=image))
    env = dict(home.env, GIVEN_TOKEN=CANARY + "-token")

    # without a terminal the one that is asked for cannot be had
    refused = home.fail("up", cwd=project.path, env=env, code=1)
    assert "typed" in refused.err and "terminal" in refused.err, refused
    missing = home.fail("up", cwd=project.path, code=3)
    assert "GIVEN_TOKEN" in missing.err

    said = up_on_a_terminal(home, project, env, CANARY + "-typed")
    assert CANARY not in said, said

    def inside(script):
        return home.run("exec", "a", "--", "sh", "-c", script, cwd=project.path).out

    assert inside("cat /run/secrets/typed") == CANARY + "-typed"
    assert inside("cat /etc/app/key; stat -L -c '%a %u %g' /etc/app/key") == CANARY + "-key\n440 0 100\n"
    assert inside("stat -c '%a %U' /run/secrets/made") == "400 www\n"
    made = inside("cat /run/secrets/made")
    assert len(made) == 24
    assert inside("echo $TOKEN $PLAIN; echo $LITERAL $QUOTED") == f"{CANARY}-token yes\n$HOME and ${{WHO}} a b\n"
    assert inside("test -e /run/secrets/absent || echo none") == "none\n"
    assert inside("grep ' /run/secrets ' /proc/mounts").startswith("tmpfs ")
    assert inside("cat /etc/motd; tail -n 1 /srv/conf/table; stat -c '%a %U' /srv/conf/table") == "hello you\nrow 39999\n600 www\n"
    # the process itself has them too
    assert inside("tr '\\0' '\\n' </proc/$(pidof sleep)/environ | grep -c -e ^TOKEN=c4n4ry -e ^LITERAL=") == "2\n"

    again = home.run("up", cwd=project.path, env=env)
    assert "up to date" in again.out, again
    said = "".join(home.run(*args, cwd=project.path, env=env).out for args in (
        ("plan", "--json"), ("ps", "--json"), ("ls", "--json"), ("logs",), ("config",)))
    assert CANARY not in said and made not in said

    # kept values are in their own store, private; the rest is nowhere
    store = list((home.root / "state" / "secrets").rglob("value-*"))
    assert sorted(f.name for f in store) == ["value-made", "value-typed"]
    assert all(f.stat().st_mode & 0o777 == 0o600 and f.parent.stat().st_mode & 0o777 == 0o700 for f in store)
    kept = {str(f) for f in store}
    assert set(places_with(CANARY.encode(), home)) == {str(f) for f in store if f.name == "value-typed"}
    assert set(places_with(made.encode(), home)) < kept

    # a machine that starts again by its policy gets all of it again
    first = home.json("ps", cwd=project.path)[0]
    home.try_run("exec", "a", "--", "sh", "-c", "kill -9 $(pidof sleep)", cwd=project.path)
    ctrzlib.wait_until("it was restarted", lambda: home.json("ps", cwd=project.path)[0]["restarts"] > first["restarts"] and
                       home.json("ps", cwd=project.path)[0]["status"] == "running", 120)
    assert inside("cat /run/secrets/typed; cat /etc/motd") == CANARY + "-typedhello you\n"

    # how a file lies there is changed while all runs
    before = home.json("ps", cwd=project.path)[0]["pid"]
    project.write(project.spec.read_text().replace('mode: "0440"', 'mode: "0444"'))
    assert "live" in home.run("plan", cwd=project.path, env=env).out
    home.run("up", cwd=project.path, env=env)
    assert inside("stat -L -c '%a' /etc/app/key; cat /etc/app/key") == "444\n" + CANARY + "-key\n"
    assert home.json("ps", cwd=project.path)[0]["pid"] == before

    # changes are seen, and never shown
    env["GIVEN_TOKEN"] = CANARY + "-other"
    (project.path / "table.txt").write_text("short\n")
    plan = home.run("plan", cwd=project.path, env=env)
    assert "secrets[token].value" in plan.out and "files[table].content" in plan.out and "(changed)" in plan.out, plan
    assert "secrets[key]" not in plan.out and "greeting" not in plan.out
    shown = home.json("plan", cwd=project.path, env=env)
    assert CANARY not in plan.out + json.dumps(shown)
    assert [a["action"] for a in shown["actions"]] == ["process"]
    started = inside("cut -d' ' -f22 /proc/$(pidof sleep)/stat")
    home.run("up", cwd=project.path, env=env)
    assert inside("echo $TOKEN; cat /srv/conf/table") == CANARY + "-other\nshort\n"
    assert inside("tr '\\0' '\\n' </proc/$(pidof sleep)/environ | grep ^TOKEN=") == f"TOKEN={CANARY}-other\n"
    (project.path / "table.txt").write_text("shorter\n")
    home.run("up", cwd=project.path, env=env)
    assert inside("cat /srv/conf/table") == "shorter\n"
    assert home.json("ps", cwd=project.path)[0]["pid"] == before, "what has read them starts again, the machine does not"
    assert inside("cut -d' ' -f22 /proc/$(pidof sleep)/stat") != started
    assert "up to date" in home.run("up", cwd=project.path, env=env).out

    # what was generated outlives the container; the environment forgotten, it is gone
    home.run("down", cwd=project.path)
    home.run("up", cwd=project.path, env=env)
    assert inside("cat /run/secrets/made") == made
    home.run("down", "--forget", cwd=project.path)
    assert not list((home.root / "state" / "secrets").rglob("*"))


def test_a_secret_others_can_read_is_refused(home, project):
    project.write("""
name: open
secrets: {{ made: {{ generate: {{}} }} }}
containers:
  a:
    image: {image}
    pull: never
    command: [sleep, "100000"]
    resources: {{ memory: 128MiB }}
    secrets: [{{ name: made, owner: nobody-here }}]
""".format(image=home.image()))
    unknown = home.fail("up", cwd=project.path, code=1)
    assert "nobody-here" in unknown.err and "/run/secrets/made" in unknown.err, unknown
    project.write(project.spec.read_text().replace(", owner: nobody-here", ""))
    # nothing came up, so nothing was kept
    assert not [p for p in (home.root / "state" / "secrets").rglob("value-*")]
    home.run("up", cwd=project.path)
    kept = next((home.root / "state" / "secrets").rglob("value-made"))
    pathlib.Path(kept).chmod(0o644)
    refused = home.fail("restart", "a", cwd=project.path, code=1)
    assert "chmod 0600" in refused.err, refused
    kept.chmod(0o600)
    home.run("up", cwd=project.path)


LOUD = """
name: loud
containers:
  a:
    image: {image}
    pull: never
    command: [sh, -c, "exec sleep 100000"]
    env: {{ PLAIN: {canary}-plain }}
    resources: {{ memory: 128MiB }}
  b:
    image: {image}
    pull: never
    env: {{ COMMON: {canary}-common }}
    resources: {{ memory: 128MiB }}
    processes:
      side: {{ command: [sleep, "100000"], env: {{ SIDE: {canary}-side }}, health: {{ exec: [sh, -c, 'test -n "$SIDE"'], interval: 500ms }} }}
      broken: {{ command: [no-such-program], env: {{ BROKEN: {canary}-broken }} }}
"""


def test_no_log_has_an_environment_however_much_it_tells(home, project):
    project.write(LOUD.format(image=home.image(), canary=CANARY))
    env = dict(home.env, CTRZ_KEEPER_DEBUG="1")
    said = []

    def run(*args, code=0):
        r = home.try_run(*args, cwd=project.path, env=env)
        assert code is None or r.code == code, r
        said.append(r.err)
        return r
    run("up", "--debug", code=None)  # one of its processes cannot be started
    variable = ["-e", "loud", "--env", f"GIVEN={CANARY}-given"]
    assert run("exec", "--debug", *variable, "a", "--", "sh", "-c", "echo $GIVEN; echo $PLAIN").out == f"{CANARY}-given\n{CANARY}-plain\n"
    run("exec", "--debug", *variable, "a", "--", "no-such-program", code=127)
    run("exec", "--debug", *variable, "-u", "nobody-here", "a", "--", "true", code=125)
    run("exec", "--debug", *variable, "-w", "/etc/passwd", "a", "--", "true", code=None)
    run("kill", "--debug", "a")
    run("logs", "--debug")
    said.append(run("logs", "--boot").out)
    run("stop", "--debug")
    run("start", "--debug", code=None)
    said.append(run("events").out)
    files = [p for p in home.root.rglob("*") if p.is_file() and p.name.startswith(("log", "console", "boot.log", "keeper.log", "journal",
                                                                                   "events", "switch.log"))]
    assert any(p.name == "keeper.log" and b"debug" in p.read_bytes() for p in files), "the keeper told all it could"
    assert [str(p) for p in files if CANARY.encode() in p.read_bytes()] == []
    assert [text for text in said if CANARY in text] == []
