# SPDX-License-Identifier: MIT
"""Plans: saved and refused when stale, shown without doing, and what is asked of registries meanwhile."""
import json
import os
import stat
import subprocess

import pytest

from test_apply import CTRZ, home  # noqa: F401  pylint: disable=unused-import

OTHER = {"CTRZ_SIMULATED_DIGEST": "sha256:" + "2" * 64}


def snapshot(home):
    """Every path below the home with what tells a change."""
    return {str(p): (p.lstat().st_mtime_ns, p.lstat().st_size) for p in home.root.rglob("*")}


def save(home, *args):
    r = home.run("plan", *args, "-o", "next.plan")
    assert r.stderr.endswith("saved; carry out exactly this with: ctrz up next.plan\n")


def test_a_saved_plan_is_carried_out_once(home):
    home.write(2)
    save(home)
    assert stat.S_IMODE((home.path / "next.plan").stat().st_mode) == 0o600
    home.run("up", "next.plan")
    assert home.actions() == []
    r = home.run("up", "next.plan", code=1)
    assert "is stale: the state's serial was 0 and is " in r.stderr and "ctrz up (uid" in r.stderr
    home.write(2, c0001={"labels": "{ tier: y }"})
    save(home, "env.yaml", "c0001")
    home.run("up", "next.plan")
    assert home.actions() == []


def test_a_saved_plan_is_refused_when_anything_changed(home):
    home.write(2)
    home.run("up")
    home.write(2, c0001={"labels": "{ tier: y }"})
    save(home)
    home.write(2, c0001={"labels": "{ tier: z }"})
    assert "env.yaml changed since; plan again" in home.run("up", "next.plan", code=1).stderr
    home.write(2, c0001={"labels": "{ tier: y }"})
    (home.container("c0000") / "running").unlink()
    assert "what runs or what the registries have changed since" in home.run("up", "next.plan", code=1).stderr
    assert home.actions() == [("start", "c0000"), ("record", "c0001")]
    for more in (["c0001"], ["-f", "env.yaml"], ["--update"]):
        home.run("up", "next.plan", *more, code=64)
    (home.path / "next.plan").write_text('{"ctrz_plan":1}')
    assert "is a damaged plan" in home.run("up", "next.plan", code=3).stderr
    (home.path / "next.plan").write_text('{"ctrz_plan":2}')
    assert "newer ctrz" in home.run("up", "next.plan", code=1).stderr


@pytest.mark.parametrize("command", [["up"], ["down"], ["stop"], ["restart"], ["start"]])
def test_a_dry_run_shows_and_changes_nothing(home, command):
    home.write(2)
    home.run("up")
    if command == ["start"]:
        home.run("stop")
    home.write(2, c0001={"command": "[other]"})
    before = snapshot(home)
    shown = home.run(*command, "--dry-run").stdout
    assert json.loads(home.run(*command, "--dry-run", "--json").stdout)["changes"]
    assert "Plan: " in shown and snapshot(home) == before
    if command == ["up"]:
        assert shown == home.run("plan").stdout


def test_a_failure_holds_up_only_what_needs_it_unless_told_to_stop(home):
    change = dict(c0001={"image": "example.org/broken:1"}, c0002={"depends_on": "[c0001]"}, c0003={"depends_on": "[c0002]"})
    home.write(5, **change)
    r = home.run("up", "--progress", "plain", code=1)
    assert "c0002: create skipped (c0001 failed)" in r.stderr
    assert "c0003: create skipped (c0002 was skipped)" in r.stderr
    assert home.actions() == [("create", "c0001"), ("create", "c0002"), ("create", "c0003")]
    home.run("down")
    home.run("up", "--fail-fast", "--parallel", "1", code=1)
    assert ("create", "c0004") in home.actions()


def test_drift_is_a_section_of_its_own_and_only_when_there_is_some(home):
    home.write(2)
    home.run("up")
    home.write(2, c0001={"labels": "{ tier: y }"})
    assert "Drift" not in home.run("plan").stdout
    assert json.loads(home.run("plan", "--json").stdout)["drift"] == []
    (home.container("c0000") / "running").unlink()
    lines = home.run("plan").stdout.splitlines()
    assert lines.index("Drift, what is there is not what was applied:") == 2
    assert json.loads(home.run("plan", "--json").stdout)["drift"] == [
        {"object": "container", "name": "c0000", "seen": "not running", "action": "start"}]


def asked(home, *args, code=0, **env):
    """The images a command asks registries about."""
    log = home.path / "asked"
    home.run(*args, code=code, CTRZ_SIMULATED_ASKED=str(log), **env)
    lines = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


def test_registries_are_asked_only_when_told_to(home):
    always, never = {"image": "example.org/always:1", "pull": "always"}, {"image": "example.org/never:1", "pull": "never"}
    home.write(3, c0001=always, c0002=never)
    assert asked(home, "up") == ["example.org/always:1"]
    assert asked(home, "up") == ["example.org/always:1"]
    assert asked(home, "plan") == ["example.org/always:1"]
    assert asked(home, "plan", "--update") == ["example.org/a/b:1", "example.org/always:1"]
    for command in ("ps", "stop", "start", "restart", "down"):
        assert asked(home, command) == [], command
    home.write(2)
    assert asked(home, "up") == asked(home, "plan") == []


def test_a_newer_image_is_taken_with_update_and_a_dead_registry_matters_only_then(home):
    home.write(2, c0001={"image": "example.org/x:1", "pull": "always"})
    home.run("up")
    r = home.run("plan", **OTHER)
    assert "Plan: 1 to pull, 1 replace. Needs 38 MiB of download." in r.stdout
    assert json.loads(home.run("plan", "--json", **OTHER).stdout)["download_bytes"] == 38 << 20
    assert home.run("plan", "--update", **OTHER).stdout.count("image.digest") == 2
    r = home.run("up", code=1, CTRZ_SIMULATED_DIGEST="dead")
    assert "env.yaml:10:" in r.stderr and "does not answer" in r.stderr
    home.write(2)
    home.run("up", CTRZ_SIMULATED_DIGEST="dead")
    home.run("plan", CTRZ_SIMULATED_DIGEST="dead")
    home.run("plan", "--update", code=1, CTRZ_SIMULATED_DIGEST="dead")


WRITES = ("open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,"
          "truncate,ftruncate,chmod,fchmod,fchmodat,chown,fchown,fchownat,lchown,utimensat,mknod,mknodat,fork,vfork,clone,clone3,"
          "connect,bind,sendto,sendmsg,kill,mount")


def test_plan_writes_nothing_as_the_kernel_sees_it(home):
    """Also where there is much to do, an interrupted run to take up and an image to ask for."""
    home.write(3)
    home.run("up")
    subprocess.run([CTRZ, "up"], cwd=home.path, env={**home.env, "CTRZ_TEST_DIE_AT": "1"}, check=False, capture_output=True)
    home.write(4, c0001={"command": "[other]"}, c0002={"pull": "always"})
    trace = home.path / "trace"
    for args in (["plan"], ["plan", "--json", "--update"], ["up", "--dry-run"]):
        before = snapshot(home)
        subprocess.run(["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={WRITES}", CTRZ, *args], cwd=home.path,
                       env={**home.env, "ASAN_OPTIONS": "detect_leaks=0"},  # which cannot be done under strace
                       check=True, capture_output=True)
        lines = [line.split(None, 1)[1] for line in trace.read_text().splitlines() if "+++" not in line]
        assert any("env.yaml" in line for line in lines), "strace saw the file being read"
        wrong = [line for line in lines if not line.startswith("open") or any(
            flag in line for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"))]
        assert not wrong, "\n".join(wrong)
        assert snapshot(home) == before


def test_the_plan_command_cannot_reach_the_executor():
    """plan_only is linked from the plan command's entry alone; what it does not reach is not in it. Of a spec in git the
    cache is all it writes."""
    folder = os.path.dirname(CTRZ)

    def symbols(name):
        out = subprocess.run(["nm", os.path.join(folder, name)], check=True, capture_output=True, text=True).stdout
        return {line.split()[-1] for line in out.splitlines()}
    acting = {"apply_plan", "executor_run", "action_run", "run_plan", "machine_start", "machine_stop", "switch_start", "switch_stop",
              "journal_start", "env_store_write", "env_store_note", "image_store_pull", "writable_disk_create", "source_tree_write"}
    assert acting <= symbols("../../ctrz"), "the names are right"
    alone = symbols("plan_only")
    if "__asan_init" in alone:
        pytest.skip("sanitizers keep functions nobody calls; the build without them shows it")
    assert {"plan_make", "world_plan", "machine_observe"} <= alone
    assert not acting & alone


def test_diff_shows_what_the_file_says_other_than_what_was_applied(home):
    home.write(2)
    assert "ctrz up" in home.run("diff", code=4).stderr
    home.run("up")
    assert home.run("diff", "--detailed-exitcode").stdout == ""
    home.write(3, c0001={"ports": '["30000:80"]', "env": '{ A: "1", API_TOKEN: x }', "labels": "{ tier: y }"})
    lines = home.run("diff").stdout.splitlines()
    assert "- c0001 labels.tier: x" in lines and "+ c0001 labels.tier: y  # env.yaml:14" in lines
    assert any(line.startswith("+ c0001 env.API_TOKEN: (changed)") for line in lines)
    assert any(line.startswith("+ c0002") for line in lines)
    fields = {(c["object"], c["field"]): c["class"] for c in json.loads(home.run("diff", "--json").stdout)}
    assert fields["c0001", "labels.tier"] == "none"
    home.run("diff", "--detailed-exitcode", code=2)
    (home.container("c0000") / "running").unlink()
    home.write(2)
    assert home.run("diff").stdout == "", "machines are not looked at"


def test_state_of_an_older_ctrz_is_read_and_nothing_differs(home):
    """What version 1 held first: all that came later may be missing."""
    home.write(2)
    home.run("up")
    [path] = home.root.glob("state/envs/*/state.json")
    state = json.loads(path.read_text())
    keep = {"version", "id", "name", "file", "device", "inode", "serial", "run", "networks", "containers"}
    older = {k: v for k, v in state.items() if k in keep}
    of_container = {"run_id", "stage", "image", "image_digest", "image_disk", "kernel", "spec", "addresses", "ports"}
    specs = json.loads((path.parent / "spec.json").read_text())["containers"]
    older["version"] = 1
    older["containers"] = {n: {k: v for k, v in c.items() if k in of_container} | {"spec": specs[n]}
                           for n, c in state["containers"].items()}
    assert older != state
    path.write_text(json.dumps(older))
    assert home.actions() == []
    assert home.run("up").stdout == "scale: up to date (2 containers, 0 changes)\n"
    home.write(2, c0001={"labels": "{ tier: y }"})
    home.run("up")
    again = json.loads(path.read_text())
    assert set(state) <= set(again), "and it is written as it is now"
    assert not any("spec" in c for c in again["containers"].values()), "spec.json alone has it once all is done"
