# SPDX-License-Identifier: MIT
"""The main job: up, up again, plan, change, exec, logs, down."""
import io
import json
import os
import signal
import tarfile

import ctrzlib

TWO = """
name: two
containers:
  a:
    image: {image}
    pull: never
    command: [sleep, "100000"]
    resources: {{ memory: 128MiB }}
  b:
    image: {image}
    pull: never
    command: [sh, -c, "echo b is up; exec sleep 100000"]
    resources: {{ memory: 128MiB }}
"""


def pids(home, project):
    return {c["name"]: c["pid"] for c in home.json("ps", cwd=project.path)}


def test_second_up_does_nothing_and_a_killed_vm_is_started_alone(home, project):
    project.write(TWO.format(image=home.image()))
    home.run("up", cwd=project.path)
    first = pids(home, project)
    assert sorted(first) == ["a", "b"] and all(first.values())

    before = set(ctrzlib.processes_of(home))
    again = home.run("up", cwd=project.path)
    assert again.out.strip() == "two: up to date (2 containers, 0 changes)"
    assert again.err == ""
    assert set(ctrzlib.processes_of(home)) == before
    assert pids(home, project) == first

    os.kill(first["a"], signal.SIGKILL)
    ctrzlib.wait_until("a is seen to be gone", lambda: not pids(home, project).get("a"))
    plan = home.run("plan", cwd=project.path)
    assert "a" in plan.out and "drift" in plan.out
    home.run("up", cwd=project.path)
    after = pids(home, project)
    assert after["b"] == first["b"] and after["a"] not in (None, 0, first["a"])
    home.run("down", cwd=project.path)


def test_plan_shows_the_changed_command_and_its_line(home, project):
    text = TWO.format(image=home.image())
    project.write(text)
    home.run("up", cwd=project.path)
    changed = text.replace("echo b is up", "echo b is different")
    project.write(changed)
    line = next(i for i, l in enumerate(changed.splitlines(), 1) if "different" in l)
    plan = home.run("plan", cwd=project.path)
    rows = [l for l in plan.out.splitlines() if "env.yaml:" in l]
    assert len(rows) == 1, plan
    assert f"env.yaml:{line}" in rows[0] and "b" in rows[0] and "different" in rows[0]
    assert home.try_run("plan", "--detailed-exitcode", cwd=project.path).code == 2
    home.run("up", cwd=project.path)
    ctrzlib.wait_until("b has spoken", lambda: "b is different" in home.run("logs", "b", cwd=project.path).out)
    assert home.try_run("plan", "--detailed-exitcode", cwd=project.path).code == 0


def test_exec_and_logs(home, project):
    project.write(TWO.format(image=home.image()))
    home.run("up", cwd=project.path)

    def exec_(*args, **more):
        return home.try_run("exec", *args, cwd=project.path, **more)

    r = exec_("a", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (r.code, r.out, r.err) == (7, "out\n", "err\n")
    text = "".join(f"line {i}\n" for i in range(20000))
    r = exec_("-i", "a", "--", "cat", stdin=text)
    assert r.code == 0 and r.out == text
    r = exec_("a", "--", "sh", "-c", "kill -TERM $$")
    assert r.code == 128 + signal.SIGTERM
    assert exec_("a", "--", "no-such-command").code == 127
    assert exec_("a", "--", "/etc/passwd").code == 126
    assert exec_("nobody", "--", "true").code == 125
    assert exec_("a", "--", "hostname").out == "a\n"
    assert exec_("a", "--", "id", "-u").out == "0\n"
    processes = exec_("a", "--", "ps", "-o", "pid,args").out
    assert "sleep 100000" in processes and "vminitd" not in processes and "kthread" not in processes
    ctrzlib.wait_until("b has printed", lambda: "b is up" in home.run("logs", cwd=project.path).out)
    r = exec_("a", "--", "ls", "/")
    assert "vminitd" not in r.out and "lost+found" not in r.out


def test_ps_ls_and_selection(home, project, tmp_path):
    home.image()
    project.write(TWO.format(image=ctrzlib.IMAGE))
    assert home.json("ls") == []
    home.run("up", str(project.spec), cwd="/")
    rows = home.json("ps", "-e", "two")
    assert [c["name"] for c in rows] == ["a", "b"]
    assert all(c["status"] == "running" and c["address"].count(".") == 3 for c in rows)
    assert rows[0]["address"] != rows[1]["address"]
    envs = home.json("ls")
    assert len(envs) == 1 and envs[0]["name"] == "two"
    # the only one there is
    assert home.json("ps", cwd="/") == rows
    other = ctrzlib.Project(tmp_path / "other")
    other.write(TWO.format(image=ctrzlib.IMAGE).replace("name: two", "name: other"))
    home.run("up", cwd=other.path)
    assert len(home.json("ls")) == 2
    r = home.fail("ps", cwd="/", code=4)
    assert "two" in r.err and "other" in r.err
    home.fail("ps", "-e", "nothing", code=4)
    home.run("down", "-e", "other", cwd="/")
    home.run("down", "-e", envs[0]["id"], cwd="/")
    assert home.json("ps", "-e", "two") == [] or home.try_run("ps", "-e", "two").code == 4


def test_stopped_process_is_reported_with_its_code(home, project):
    ends = 'command: [sh, -c, "until [ -e /tmp/go ]; do sleep 0.1; done; exit 3"]'
    project.write(TWO.format(image=home.image()).replace('command: [sleep, "100000"]', ends + "\n    restart: no"))
    home.run("up", cwd=project.path)

    home.run("wait", cwd=project.path)
    home.run("exec", "a", "touch", "/tmp/go", cwd=project.path)
    r = home.fail("wait", "--for", "exit", "--timeout", "60s", "a", cwd=project.path, code=3)
    assert r.out == "a: exited (3)\n"
    row = next(c for c in home.json("ps", cwd=project.path) if c["name"] == "a")
    assert row["status"] == "exited" and row["exit_code"] == 3
    events = home.run("events", "a", cwd=project.path).out.splitlines()
    said = [line.split("  ", 2)[2] for line in events]
    assert said[0] == "starting" and said.index("running") < said.index("exited (3)") and "create done" in said, events


def test_down_of_nothing_is_fine_and_twice_too(home, project):
    project.write(TWO.format(image=home.image()))
    home.run("up", cwd=project.path)
    home.run("down", cwd=project.path)
    home.run("down", cwd=project.path)
    left = [str(p) for p in home.root.rglob("*") if p.is_socket() or p.name == "keeper.sock"]
    assert left == []


def test_plan_changes_nothing(home, project):
    project.write(TWO.format(image=home.image()))
    before = sorted(str(p) for p in home.root.rglob("*"))
    plan = home.run("plan", cwd=project.path)
    assert "+" in plan.out and "3 to create" in plan.out  # and the network
    assert sorted(str(p) for p in home.root.rglob("*")) == before
    assert json.loads(home.run("plan", "--json", cwd=project.path).out)


IMAGES = """
name: images
volumes: {{ data: {{ size: 64MiB }} }}
containers:
  app:
    image: {image}
    pull: never
    command: [sleep, "100000"]
    resources: {{ memory: 128MiB }}
    mounts: [data:/data]
"""


def second_image(home, folder):
    """The small image with one more file."""
    layout = home.cache.layout()
    manifest = json.loads(blob_of(layout, json.loads((layout / "index.json").read_text())["manifests"][0]).read_text())
    with tarfile.open(blob_of(layout, manifest["layers"][0])) as old, tarfile.open(folder / "root.tar", "w") as new:
        for entry in old:
            new.addfile(entry, old.extractfile(entry) if entry.isreg() else None)
        entry = tarfile.TarInfo("second")
        entry.size = 4
        new.addfile(entry, io.BytesIO(b"yes\n"))
    home.run("image", "import", folder / "root.tar", "localhost/second:1")
    return "localhost/second:1"


def blob_of(layout, descriptor):
    return layout / "blobs" / descriptor["digest"].replace(":", "/")


def test_a_new_image_is_a_new_root_and_volumes_stay(home, project, tmp_path):
    def sh(command):
        return home.run("exec", "app", "--", "sh", "-c", command, cwd=project.path).out

    project.write(IMAGES.format(image=home.image()))
    home.run("up", cwd=project.path)
    sh("echo root > /here; echo volume > /data/kept; sync")
    pid = home.json("ps", cwd=project.path)[0]["pid"]
    project.write(IMAGES.format(image=second_image(home, tmp_path)))
    plan = home.run("plan", cwd=project.path).out
    assert "new root file system" in plan and "Plan: 1 replace." in plan, plan
    home.run("up", cwd=project.path)
    assert sh("cat /second /data/kept; ls /here 2>/dev/null || echo new") == "yes\nvolume\nnew\n"
    assert home.json("ps", cwd=project.path)[0]["pid"] != pid
    assert "No changes." in home.run("plan", cwd=project.path).out
