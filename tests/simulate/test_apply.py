# SPDX-License-Identifier: MIT
"""Planning and applying at scale and under faults, with a runtime that is only files (simulated.c)."""
import fcntl
import json
import os
import pathlib
import re
import resource
import subprocess
import tempfile
import time

import pytest

CTRZ = os.environ.get("CTRZ_SIMULATED", "build/tests/simulate/ctrz_simulated")


class Home:
    def __init__(self, path):
        self.path = path
        self.root = path / "home"
        self.spec = path / "env.yaml"
        self.env = dict(os.environ, CTRZ_HOME=str(self.root), NO_COLOR="1", LC_ALL="C")

    def run(self, *args, code=0, **env):
        """Run ctrz. Many containers have much memory together, which is agreed to here."""
        def once(*words):
            return subprocess.run([CTRZ, *words], cwd=self.path, env={**self.env, **env}, text=True, capture_output=True, check=False)
        r = once(*args)
        if r.returncode == 6:
            r = once(args[0], re.search("--trust=[0-9a-f]+", r.stderr)[0], *args[1:])
        assert code is None or r.returncode == code, f"{args}: {r.returncode}\n{r.stdout}\n{r.stderr}"
        return r

    def write(self, count, **more):
        lines = ["name: scale", "containers:"]
        for i in range(count):
            name = f"c{i:04}"
            fields = {"image": "example.org/a/b:1", "command": "[serve]", "env": '{ A: "1", B: "2" }',
                      "ports": f'["{20000 + i}:80"]', "labels": "{ tier: x }", **more.get(name, {})}
            lines.append(f"  {name}:")
            lines += [f"    {k}: {v}" for k, v in fields.items()]
        self.spec.write_text("\n".join(lines) + "\n")

    def actions(self):
        plan = json.loads(self.run("plan", "--json").stdout)
        return [(a["action"], a["name"]) for a in plan["actions"]]

    def state(self):
        [path] = self.root.glob("state/envs/*/state.json")
        return json.loads(path.read_text())

    def container(self, name):
        [path] = self.root.glob("state/envs/*")
        return path / "containers" / name


@pytest.fixture
def home():
    """A folder with a short name: sockets below a long one would move elsewhere."""
    with tempfile.TemporaryDirectory(prefix="sim-", dir="/tmp") as path:
        yield Home(pathlib.Path(path))


def test_nothing_to_do_is_one_line_and_changes_no_file(home):
    home.write(20)
    home.run("up")
    before = {p: p.stat().st_mtime_ns for p in home.root.rglob("*") if p.is_file() and p.name != "lock"}
    assert home.run("up").stdout == "scale: up to date (20 containers, 0 changes)\n"
    assert before == {p: p.stat().st_mtime_ns for p in home.root.rglob("*") if p.is_file() and p.name != "lock"}


def test_an_applied_spec_of_another_layout_is_the_same_spec(home):
    home.write(3)
    home.run("up")
    [path] = home.root.glob("state/envs/*/spec.json")
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4))
    assert home.actions() == []
    path.write_text(path.read_text().replace('"tier": "x"', '"tier": "y"', 1))
    assert home.actions() == [("record", "c0000")]


@pytest.mark.parametrize("change,action", [
    ({"ports": '["30000:80"]'}, "update"), ({"labels": "{ tier: y }"}, "record"), ({"command": "[other]"}, "process"),
    ({"env": '{ A: "2" }'}, "process"), ({"image": "example.org/a/b:2"}, "replace"), ({"restart": "always"}, "update"),
    ({"health": "{ tcp: 80 }"}, "update"), ({"hooks": "{ start: [prepare] }"}, "update"), ({"hostname": "other"}, "reboot"),
    ({"depends_on": "[c0000]"}, "record"),
])
def test_one_change_is_one_action_and_then_none(home, change, action):
    home.write(3)
    home.run("up")
    home.write(3, c0001=change)
    assert home.actions() == [(action, "c0001")]
    home.run("plan", "--detailed-exitcode", code=2)
    home.run("plan", "--expect-no-changes", code=7)
    home.run("up")
    assert home.actions() == []
    home.run("plan", "--detailed-exitcode", "--expect-no-changes")


def test_what_fails_is_undone_and_the_rest_is_up(home):
    home.write(4, c0001={"image": "example.org/broken:1"}, c0002={"depends_on": "[c0001]"})
    r = home.run("up", code=1)
    assert "env.yaml:9:" in r.stderr and "the guest's last words" in r.stderr
    assert "c0002: create skipped" in r.stderr
    assert not home.container("c0001").exists() and not home.container("c0002").exists()
    assert home.actions() == [("create", "c0001"), ("create", "c0002")]
    home.write(4, c0002={"depends_on": "[c0001]"})
    home.run("up")
    assert home.actions() == []


def test_what_is_not_ready_stays_and_only_those_that_need_it_ready_are_skipped(home):
    health = {"health": "{ tcp: 80 }"}
    home.write(4, c0001={"image": "example.org/sick:1", **health}, c0002={"depends_on": "{ c0001: healthy }"},
               c0003={"depends_on": "{ c0001: started }"})
    r = home.run("up", code=1)
    assert "not ready" in r.stderr and "the container is unhealthy" in r.stderr and "ctrz logs c0001" in r.stderr
    assert "c0002: create skipped" in r.stderr
    assert (home.container("c0001") / "running").exists() and (home.container("c0003") / "running").exists()
    assert home.actions() == [("update", "c0001"), ("create", "c0002")]
    (home.container("c0001") / "sick").unlink()
    home.run("up")
    assert home.actions() == []


def test_who_waits_for_the_end_gets_it(home):
    home.write(2, c0001={"depends_on": "{ c0000: done }"})
    home.run("up", code=1)  # a simulated machine that has ended does not tell its exit code
    assert not (home.container("c0000") / "running").exists() and (home.container("c0001") / "running").exists()


def test_a_replacement_that_fails_is_made_anew_later(home):
    home.write(2)
    home.run("up")
    home.write(2, c0001={"image": "example.org/broken:1"})
    home.run("up", code=1)
    assert home.actions() == [("create", "c0001")]
    home.write(2)
    home.run("up")
    assert home.actions() == []


def test_killed_at_each_line_of_each_kind_of_action(home):
    before = dict(c0000={"ports": '["30000:80"]'}, c0001={"command": "[other]"}, c0002={"image": "example.org/x:1"})
    after = dict(c0003={"labels": "{ tier: y }"})
    point, died = 0, True
    while died:
        home.write(5, **before)
        home.run("up")
        home.write(4, **after)
        died = subprocess.run([CTRZ, "up"], cwd=home.path, env={**home.env, "CTRZ_TEST_DIE_AT": str(point)},
                              capture_output=True, check=False).returncode == -9
        home.run("up")
        assert home.actions() == []
        assert sorted(home.state()["containers"]) == ["c0000", "c0001", "c0002", "c0003"]
        assert sorted(p.name for p in home.container("").iterdir()) == ["c0000", "c0001", "c0002", "c0003"]
        point += 1
    assert point == 12, "five actions, two lines each, the first line, and one run that lived"


def test_down_removes_all_but_the_record(home):
    home.write(3)
    home.run("up")
    addresses = {n: c["addresses"] for n, c in home.state()["containers"].items()}
    home.run("down")
    assert not home.container("").exists()
    assert not list((home.root / "run").rglob("*"))
    [listed] = json.loads(home.run("ls", "--json").stdout)
    assert (listed["up"], listed["containers"]) == (False, 0)
    home.run("up")
    assert addresses == {n: c["addresses"] for n, c in home.state()["containers"].items()}
    home.run("down", "--forget")
    assert json.loads(home.run("ls", "--json").stdout) == []


def test_stop_and_start_and_names(home):
    home.write(3, c0002={"depends_on": "[c0001]"})
    home.run("up", "c0002")
    assert home.actions() == [("create", "c0000")]
    home.run("up")
    home.run("stop", "c0002")
    assert home.actions() == [("start", "c0002")]
    home.run("start", "c0002")
    assert home.actions() == []
    home.run("restart")
    home.run("stop", "nope", code=4)
    home.run("up", "nope", code=4)


def test_a_plan_on_a_fresh_host_writes_nothing(home):
    home.write(2)
    home.run("plan")
    home.run("validate")
    assert not home.root.exists()


def test_state_of_a_newer_ctrz_is_left_alone(home):
    home.write(1)
    home.run("up")
    [path] = home.root.glob("state/envs/*/state.json")
    path.write_text(path.read_text().replace('"version":2', '"version":99'))
    before = path.read_text()
    assert json.loads(home.run("ls", "--json").stdout) == []
    assert path.read_text() == before


def cpu_seconds(home, *args):
    """Processor time of a command: other work on the machine does not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    home.run(*args)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_many_containers(home):
    """The work of an up, the first one and one with nothing to do, grows with the environment, not with its square."""
    costs, first = {}, {}
    for count in (60, 240):
        if first:
            home.run("down", "--forget")
        home.write(count)
        first[count] = cpu_seconds(home, "up", "-q", "--parallel", "8")
        costs[count] = min(cpu_seconds(home, "up") for _ in range(3))
        started = time.monotonic()
        home.run("plan")
        print(f"{count}: up {costs[count]:.3f} s of processor time, plan {time.monotonic() - started:.3f} s")
    print(f"first up {first[60]:.3f} s and {first[240]:.3f} s")
    assert costs[240] < costs[60] * 8
    assert first[240] < first[60] * 8


def test_profiles_and_overlays_are_of_this_up_only(home):
    home.write(2, c0001={"profiles": "[edge]"})
    mine = home.path / "mine.yaml"
    mine.write_text("containers: { c0000: { command: [other] } }\n")
    home.run("up")
    assert home.actions() == []
    both = json.loads(home.run("plan", "--json", "--profile", "edge").stdout)["actions"]
    assert [(a["action"], a["name"]) for a in both] == [("create", "c0001")]
    home.run("up", "--profile", "edge", "-f", "env.yaml", "-f", "mine.yaml")
    home.run("plan", "--expect-no-changes", "--profile", "edge", "-f", "env.yaml", "-f", "mine.yaml")
    assert ("process", "c0000") in home.actions()


VOLUMES = """
name: scale
volumes: {volumes}
networks: {{ back: {{ egress: none }} }}
containers:
  a: {{ image: "example.org/a/b:1", command: [serve], {a} }}
  b: {{ image: "example.org/a/b:1", command: [serve], {b} }}
"""


def disks(home):
    return {p.name: p.stat().st_size for p in home.root.glob("data/volumes/*/*.ext4")}


def test_killed_at_each_line_while_volumes_and_networks_change(home):
    """Grown, made, moved from one to the other, and a network joined: whatever was killed, the next run ends it."""
    first = VOLUMES.format(volumes="{ grown: { size: 32MiB }, moved: { size: 16MiB } }", b="networks: [default]",
                           a='networks: [default], mounts: ["grown:/g", "moved:/m"], ports: ["20001:80"]')
    then = VOLUMES.format(volumes="{ grown: { size: 64MiB }, moved: { size: 16MiB }, made: { size: 16MiB } }",
                          a='networks: [default, back], mounts: ["grown:/g", "made:/n"]',
                          b='networks: [default], mounts: ["moved:/m"], ports: ["20001:80"]')
    point, died = 0, True
    while died:
        home.spec.write_text(first)
        home.run("up")
        made = home.state()["volumes"]["moved"]["made_unix_ms"]
        home.spec.write_text(then)
        died = subprocess.run([CTRZ, "up"], cwd=home.path, env={**home.env, "CTRZ_TEST_DIE_AT": str(point)},
                              capture_output=True, check=False).returncode == -9
        home.run("up")
        assert home.actions() == []
        assert disks(home) == {"grown.ext4": 64 << 20, "moved.ext4": 16 << 20, "made.ext4": 16 << 20}
        state = home.state()
        assert state["volumes"]["moved"]["made_unix_ms"] == made
        assert sorted(state["containers"]["a"]["addresses"]) == ["back", "default"]
        assert home.container("a").is_dir() and home.container("b").is_dir()
        home.run("down", "--volumes", "-y")
        assert disks(home) == {} and home.state()["volumes"] == {}
        point += 1
    assert point == 12, "five actions, two lines each, the first line, and one run that lived"


def test_what_a_machine_refuses_is_a_reboot(home):
    home.write(1)
    home.run("up")
    home.write(1, c0000={"mounts": "[{ type: tmpfs, target: /stubborn }]"})
    assert home.actions() == [("update", "c0000")]
    assert "c0000: restarted, since '/stubborn' is in use in the container" in home.run("up").stderr
    assert home.actions() == []


def test_data_is_lost_only_after_a_yes(home):
    def write(size, mounts='mounts: ["data:/d"]'):
        home.spec.write_text(VOLUMES.format(volumes=f"{{ data: {{ size: {size} }} }}", a=mounts, b="networks: [default]"))
    write("64MiB")
    home.run("up")
    write("32MiB")
    assert home.actions() == [("replace", "data"), ("reboot", "a")]
    for args in (("up",), ("down", "--volumes")):
        assert "'data' would be lost" in home.run(*args, code=1).stderr
        assert disks(home) == {"data.ext4": 64 << 20} and home.state()["containers"]["a"]["stage"] == "made"
    home.run("up", "-y")
    assert disks(home) == {"data.ext4": 32 << 20} and home.actions() == []
    write("32MiB, protect: true")
    assert home.actions() == [("record", "data")]
    home.run("up")
    assert "protected" in home.run("down", "--volumes", "-y", code=1).stderr
    home.run("down")
    assert "volumes" in home.run("down", "--forget", code=1).stderr
    home.run("up")
    assert disks(home) == {"data.ext4": 32 << 20}
    # nobody mounts it: it stays, until it is asked for
    write("32MiB", "networks: [default]")
    home.run("up")
    assert disks(home) == {"data.ext4": 32 << 20} and home.actions() == []


def test_a_moved_file_keeps_its_environment_and_says_so(home):
    home.write(2)
    home.run("up")
    before = home.state()["id"]
    other = home.path / "sub"
    other.mkdir()
    home.spec.rename(other / "env.yaml")
    r = home.run("up", "sub/env.yaml")
    assert "sub/env.yaml was moved from " in r.stderr and "its environment is kept" in r.stderr
    assert r.stdout == "scale: up to date (2 containers, 0 changes)\n"
    assert home.state()["id"] == before and home.state()["file"] == str((other / "env.yaml").resolve())
    assert "moved" not in home.run("up", "sub/env.yaml").stderr
    # A copy is another file, and another environment: its containers are nobody's orphans.
    home.spec.write_text((other / "env.yaml").read_text().replace("2000", "3000"))
    assert [a for a, _ in home.actions()] == ["create", "create", "create"]


def test_readers_never_wait_and_two_that_write_do(home):
    home.write(1)
    home.run("up")
    [lock] = home.root.glob("state/envs/*/lock")
    with open(lock, "r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for reader in (["ps"], ["ls"], ["plan"], ["diff"], ["logs"], ["events"], ["inspect"], ["port", "c0000"], ["wait"],
                       ["up", "--dry-run"], ["down", "--dry-run"]):
            home.run(*reader)
        for writer in ("up", "stop", "start", "restart", "down"):
            assert "is locked by another process" in home.run(writer, "--lock-timeout", "0s", code=5).stderr


def test_what_still_differs_after_all_was_done_is_said(home):
    home.write(2, c0001={"image": "example.org/fleeting:1"})
    r = home.run("up", code=1)
    said = r.stderr.split("after all was done, this still differs:", 1)[1]
    assert "Drift" in said and "c0001  drift  not running -> start" in said and "c0000" not in said
