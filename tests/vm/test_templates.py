# SPDX-License-Identifier: MIT
"""Templates: made once, never changed, not believed blindly; what machines of one template have in common, and what not."""
import concurrent.futures
import hashlib
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess

import ctrzlib
import pytest

# A container's own view of everything that must not be the same in two machines; the rest is identity.c's.
SEEN = r"""
/x/identity || exit
echo boot_id $(cat /proc/sys/kernel/random/boot_id)
echo uuid $(cat /proc/sys/kernel/random/uuid)
echo random $(head -c 32 /dev/urandom | md5sum | cut -d' ' -f1)
echo machine_id $(/x/ld.so --library-path /x /x/systemd-machine-id-setup --print)
echo mac $(cat /sys/class/net/eth0/address)
echo date $(date +%s)
echo writable $(awk '$4 == "vdb" { print $3 }' /proc/partitions)
"""
DIFFERENT = ("getrandom", "at_random", "mmap", "stack", "heap", "vdso", "boot_id", "uuid", "random", "machine_id")
# Two are made at the same time, and make the template.
MACHINES = int(os.environ.get("CTRZ_TEST_MACHINES", "20"))
# A guest tells its host of freed memory two seconds later.
FREE = "head -c 30000000 /dev/zero > /dev/shm/x; rm /dev/shm/x; sleep 3"


@pytest.fixture
def own(cache):
    home = ctrzlib.Home(cache, own_templates=True)
    home.image()
    yield home
    home.end()
    left = ctrzlib.left_of_home(home)
    ctrzlib.shutil.rmtree(home.root, ignore_errors=True)
    assert not left, "left behind:\n" + "\n".join(left)


def templates(home):
    return home.root / "data" / "templates"


def checksum(home):
    """Of every byte of every template."""
    return {str(p.relative_to(home.root)): ctrzlib.digest_of_sparse(p) for p in sorted(templates(home).glob("*/*"))}


SIZE = ("--memory", "128MiB", "--cpus")


def run(home, script, *options, cpus=1):
    return home.run("run", "--rm", *SIZE, str(cpus), *options, ctrzlib.IMAGE, "sh", "-c", script)


def states(home, of_image=True):
    """Of each processor count's template of an image, or of a machine."""
    return {t["cpus"]: t["state"] for t in home.json("template", "ls") if t["state"] != "broken" and bool(t["image_disk"]) == of_image}


def key_of(home, cpus, of_image=True):
    return next(templates(home) / t["name"] for t in home.json("template", "ls")
                if t["cpus"] == cpus and bool(t["image_disk"]) == of_image)


def is_made_anew(home, cpus=1, of_image=True):
    """The container runs, one line says what is wrong, and a whole template is there; nothing else is."""
    if not of_image:
        # Else nobody looks at the machine's.
        ctrzlib.shutil.rmtree(key_of(home, cpus), ignore_errors=True)
    r = run(home, "echo up", cpus=cpus)
    assert r.out == "up\n" and len(r.err.splitlines()) == 1 and "made anew" in r.err, r
    assert states(home, of_image)[cpus] == states(home)[cpus] == "ready"
    assert all(p.name == "lock" or re.fullmatch("[0-9a-f]{16}", p.name) for p in templates(home).iterdir())


def tools(folder):
    """What the machines run: identity.c, and how systemd gives a machine its id, with what it is linked with."""
    folder.mkdir(mode=0o755)
    subprocess.run(["musl-gcc", "-static", "-O1", "-s", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o", folder / "identity",
                    pathlib.Path(__file__).parent / "identity.c"], check=True)
    program = "/bin/systemd-machine-id-setup"
    linked = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    files = [program] + re.findall(r"(/\S+) \(0x", linked)
    for path in files:
        ctrzlib.shutil.copy(path, folder / ("ld.so" if "/ld-linux" in path else pathlib.Path(path).name))
    return folder


def numbers_of_tcp(seen):
    return [[int(word) for word in seen[f"tcp{i}"].split()] for i in range(4)]


def share_a_secret_of_tcp(a, b):
    """Whether all four of two machines' numbers are the same but for the time in which they were taken."""
    def near(x, y):
        apart = (x[0] - y[0]) % 2**32
        return min(apart, 2**32 - apart) <= x[1] + y[1]
    return all(near(x, y) for x, y in zip(numbers_of_tcp(a), numbers_of_tcp(b)))


def test_machines_of_one_template_share_no_secret(own, tmp_path):
    """Two first uses make one template; all machines of it differ in all they should, and leave it as it was."""
    os.chmod(tmp_path, 0o755)
    share = ("--mount", f"{tools(tmp_path / 'x')}:/x")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: run(own, SEEN, *share), range(2)))
    listed = own.json("template", "ls")
    # The machine's, and from that one the image's, which has a disk.
    assert [(t["state"], t["cpus"], t["memory_bytes"]) for t in listed] == [("ready", 1, 128 << 20)] * 2
    before = checksum(own)
    assert len(before) == 3 + 4
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        results += pool.map(lambda _: run(own, SEEN + FREE, *share), range(MACHINES - 2))
    assert all("template" not in r.err for r in results), [r.err for r in results]
    seen = [dict(line.split(" ", 1) for line in r.out.splitlines()) for r in results]
    assert len(seen) == MACHINES
    for what in DIFFERENT:
        values = [s[what] for s in seen]
        assert len(set(values)) == len(values) and all(values), (what, values)
    assert not [(a, b) for a, b in itertools.combinations(seen, 2) if share_a_secret_of_tcp(a, b)]
    # Two processes of one machine do share it: that would be seen.
    twice = run(own, "/x/identity; echo; sleep 1; /x/identity", *share).out.split("\n\n")
    assert share_a_secret_of_tcp(*(dict(line.split(" ", 1) for line in out.splitlines()) for out in twice))
    # Its own address, not the template's.
    assert all(s["mac"].startswith("02:c7:0a:4d:") for s in seen), seen
    # So is the size of its own disk, in KiB.
    assert {s["writable"] for s in seen} == {str(8 << 20)}, seen
    # The clock is the host's, not the template's.
    assert all(abs(int(s["date"]) - int(ctrzlib.time.time())) < 600 for s in seen)
    assert checksum(own) == before


def test_what_is_broken_or_gone_is_made_again_and_cold_needs_none(own):
    assert run(own, "echo up", "--cold").out == "up\n"
    assert not templates(own).exists() and own.json("template", "ls") == []
    assert run(own, "echo up").out == "up\n"
    one = key_of(own, 1)
    for name in ("memory", "disk"):
        os.chmod(one / name, 0o600)
        with open(one / name, "r+b") as f:
            f.truncate(4096)
        assert sorted(t["state"] for t in own.json("template", "ls")) == ["broken", "ready"]
        is_made_anew(own)
    machine = key_of(own, 1, of_image=False)
    os.chmod(machine / "memory", 0o600)
    os.truncate(machine / "memory", 4096)
    is_made_anew(own, of_image=False)
    # Whole, but not what QEMU can read: found out by trying. The container starts all the same.
    state = one / "state"
    record = one / "template.json"
    data = bytearray(state.read_bytes())
    data[len(data) // 2:] = bytes(len(data) - len(data) // 2)
    os.chmod(state, 0o600)
    state.write_bytes(data)
    known = json.loads(record.read_text())
    known["state_sha256"] = hashlib.sha256(data).hexdigest()
    record.write_text(json.dumps(known))
    assert [t["state"] for t in own.json("template", "ls")] == ["ready"] * 2
    assert run(own, "echo up").out == "up\n"
    assert states(own) == {} and states(own, of_image=False) == {1: "ready"}
    assert own.json("template", "prune") == []
    assert len(own.json("template", "prune", "--all")) == 1
    # No room to make one: said, and booted.
    templates(own).joinpath("lock").unlink()
    templates(own).rmdir()
    templates(own).write_text("in the way")
    r = run(own, "echo up")
    assert r.out == "up\n" and "boots" in r.err, r
    templates(own).unlink()


def exchange(a, b):
    aside = a.with_name("aside")
    for old, new in ((a, aside), (b, a), (aside, b)):
        old.rename(new)


def test_what_was_exchanged_or_linked_is_made_anew(own):
    """Two whole templates of one size, with what each holds given to the other, or their names; an image's and those of machines."""
    assert run(own, "echo up").err == run(own, "echo up", cpus=2).err == ""
    for of_image in (True, False):
        one, two = key_of(own, 1, of_image), key_of(own, 2, of_image)
        exchange(one / "memory", two / "memory")
        assert states(own, of_image) == {}
        is_made_anew(own, of_image=of_image)
        assert states(own, of_image) == {1: "ready"}
        exchange(one, two)
        assert states(own, of_image) == {}
        is_made_anew(own, 2, of_image)
        # Another's folder, by a link; it is not harmed.
        ctrzlib.shutil.rmtree(one)
        whole = {name: sum_ for name, sum_ in checksum(own).items() if two.name in name}
        one.symlink_to(two)
        assert states(own, of_image) == {2: "ready"}
        is_made_anew(own, of_image=of_image)
        assert whole.items() <= checksum(own).items()
        os.link(one / "memory", own.root / "kept")
        assert states(own, of_image) == {2: "ready"}
        (own.root / "kept").unlink()
        is_made_anew(own, of_image=of_image)
    # A machine's in the place of its image's, and the other way.
    exchange(key_of(own, 1), key_of(own, 1, of_image=False))
    assert 1 not in {**states(own), **states(own, of_image=False)}


def test_what_holds_other_bytes_or_is_another_s_is_not_used(own):
    assert run(own, "echo up").err == ""
    folder = key_of(own, 1)
    disk = (folder / "disk").stat()
    files = {name: (folder / name).read_bytes() for name in ("state", "template.json")}
    record = json.loads(files["template.json"])

    def broken(name, data):
        path = folder / name
        path.chmod(0o600)
        path.write_bytes(data)
        assert states(own) == {}, name
        path.write_bytes(files[name])
        assert states(own) == {1: "ready"}, name

    state = files["state"]
    for other in (b"", state[:-1], state + b"\0", state[:1000] + bytes([state[1000] ^ 1]) + state[1001:], bytes(65 << 20)):
        broken("state", other)
    for name, value in (("key", "0" * 16), ("key", None), ("memory_bytes", record["memory_bytes"] * 2), ("memory_bytes", -1), ("memory_inode", 1),
                        ("memory_changed", "0.000000000"), ("state_sha256", ""), ("disk_inode", disk.st_ino + 1), ("disk_bytes", 0),
                        ("disk_changed", ""), ("image", "")):
        broken("template.json", json.dumps({**record, name: value}).encode())
    for other in (b"", b"{}", b"[]", files["template.json"][:-5], os.urandom(500), files["template.json"] + b" " * 100000, b"[" * 60000):
        broken("template.json", other)
    for path in (folder, folder / "state", folder / "template.json", folder / "memory", folder / "disk"):
        mode = path.stat().st_mode & 0o777
        path.chmod(mode | 0o040)  # its group may read it
        assert states(own) == {}, path
        path.chmod(mode)
        # The file has another time of change now, and that is all that is known of these two.
        if path.name in ("memory", "disk"):
            assert states(own) == {}, path
            is_made_anew(own)
        assert states(own) == {1: "ready"}, path
    # What is in its place is none, whatever it is.
    ctrzlib.shutil.rmtree(folder)
    folder.write_text("no folder")
    assert states(own) == {}
    is_made_anew(own)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to another user takes root")
def test_what_another_user_owns_is_not_used(own):
    assert run(own, "echo up").err == ""
    folder = key_of(own, 1)
    for path in (folder, folder / "state", folder / "template.json", folder / "memory", folder / "disk"):
        os.chown(path, 12345, 12345)
        assert states(own) == {}, path
        if path.name in ("memory", "disk"):
            is_made_anew(own)
        os.chown(path, 0, 0)
        if path.name in ("memory", "disk"):
            is_made_anew(own)
        assert states(own) == {1: "ready"}, path


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system to fill takes root")
def test_a_full_disk_is_a_boot_and_leaves_nothing(own):
    templates(own).mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "templates", templates(own)], check=True)
    try:
        r = run(own, "echo up")
        assert r.out == "up\n" and "boots" in r.err and "No space left" in r.err, r
        assert [p.name for p in templates(own).iterdir() if p.suffix != ".failed"] == ["lock"]
        # It is not tried over and over.
        r = run(own, "echo up")
        assert r.out == "up\n" and "boots" in r.err, r
    finally:
        subprocess.run(["umount", templates(own)], check=True)
    assert run(own, "echo up").err == ""
    assert [t["state"] for t in own.json("template", "ls")] == ["ready"] * 2


def test_killed_at_any_moment_nothing_half_made_is_used(own):
    """ctrz is killed while it makes a template: at once, and once there is something of it."""
    for is_there in (lambda: templates(own).exists(), lambda: list(templates(own).glob("*.new/*/state"))):
        p = own.popen("run", "--rm", *SIZE, "1", ctrzlib.IMAGE, "true", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ctrzlib.wait_until("the template is begun", is_there, 120)
        p.send_signal(signal.SIGKILL)
        p.wait()
        assert own.json("template", "ls") == []
    assert own.json("template", "prune") == [] and [p.name for p in templates(own).iterdir()] == ["lock"]
    # QEMU is: the container boots, and what was begun is gone.
    first = own.popen("run", "--rm", *SIZE, "1", ctrzlib.IMAGE, "echo", "up", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ctrzlib.wait_until("the template is begun", lambda: list(templates(own).glob("*.new/*/state")), 120)
    for qemu in ctrzlib.wait_until("QEMU runs", lambda: [pid for pid, p in ctrzlib.processes_of(own).items() if p.name.startswith("qemu")]):
        os.kill(qemu, signal.SIGKILL)
    out, err = first.communicate(timeout=120)
    assert (first.returncode, out) == (0, "up\n") and "boots" in err, err
    (failed,) = (p for p in templates(own).iterdir() if p.name != "lock")
    assert failed.suffix == ".failed"
    assert own.json("template", "prune") == [] and not failed.exists()
    # Who waits for it meanwhile makes it.
    first = own.popen("run", "--rm", *SIZE, "1", ctrzlib.IMAGE, "true", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ctrzlib.wait_until("the template is begun", lambda: list(templates(own).glob("*.new/*/state")), 120)
    second = own.popen("run", "--rm", *SIZE, "1", ctrzlib.IMAGE, "echo", "up", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ctrzlib.time.sleep(0.3)
    first.kill()
    first.wait()
    assert second.communicate(timeout=120) == ("up\n", "")
    names = [t["name"] for t in own.json("template", "ls") if t["state"] == "ready"]
    assert len(names) == 2 and sorted(p.name for p in templates(own).iterdir()) == [*names, "lock"]
    # And so it is with an image's.
    ctrzlib.shutil.rmtree(key_of(own, 1))
    first = own.popen("run", "--rm", *SIZE, "1", ctrzlib.IMAGE, "true", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ctrzlib.wait_until("the image's template is begun", lambda: list(templates(own).glob("*.new/*/disk")), 120)
    first.kill()
    first.wait()
    assert states(own) == {} and run(own, "echo up").err == "" and states(own) == {1: "ready"}
    assert sorted(p.name for p in templates(own).iterdir()) == [*names, "lock"]
    assert [t["name"] for t in own.json("template", "prune", "--all")] == names
    assert own.json("template", "ls") == []


def test_memory_that_a_restored_machine_frees_is_the_host_s_again(home, project):
    project.write(f"name: back\ncontainers:\n  box:\n    image: {home.image()}\n    pull: never\n    command: [sleep, \"100000\"]\n"
                  "    resources: { memory: 384MiB }\n")
    home.run("up", cwd=project.path)

    def paid():
        return home.json("stats", "--no-stream", cwd=project.path)[0]["host"]["memory_bytes"] >> 20
    before = paid()
    p = home.popen("exec", "box", "--", "sh", "-c", "dd if=/dev/zero bs=200M count=1 | tail -f /dev/null", cwd=project.path)
    try:
        ctrzlib.wait_until("the guest has what it writes to", lambda: paid() > before + 150)
    finally:
        home.run("exec", "box", "--", "killall", "dd", "tail", cwd=project.path)
        p.wait()
    ctrzlib.wait_until("the host has it back", lambda: paid() < before + 60)


def test_an_image_s_template_is_nobody_s(own, tmp_path):
    """What one container writes, is named or is given, no other one sees."""
    os.chmod(tmp_path, 0o755)
    (tmp_path / "file").write_text("shared\n")
    (tmp_path / "etc").mkdir()
    assert run(own, "echo mine > /mine; echo mine > /etc/hosts; echo mine >> /etc/passwd; touch /dev/shm/mine; rm /bin/true",
               "--name", "first").err == ""
    before = checksum(own)
    seen = run(own, "hostname; ls -d /mine /dev/shm/mine; cat /etc/hostname; grep -c mine /etc/hosts /etc/passwd; true; echo $?; cat /proc/1/comm",
               "--name", "second")
    assert seen.out == "second\nsecond\n/etc/hosts:0\n/etc/passwd:0\n0\nctrz-init\n", seen
    assert run(own, "cat /proc/sys/kernel/hostname; cat /etc/resolv.conf | wc -l", "--network", "none", "--name", "third").out.startswith("third\n")
    assert "shared" in run(own, "cat /mnt/file; grep localhost /etc/hosts", "--mount", f"{tmp_path}:/mnt").out
    # What hides the files that the agent has open: they are written where they are seen.
    assert "127.0.0.1" in run(own, "cat /etc/hosts", "--mount", f"{tmp_path}/etc:/etc:rw").out
    assert "127.0.0.1" in (tmp_path / "etc" / "hosts").read_text()
    # Without a network it is another machine.
    assert len(states(own)) == 1 and before.items() <= checksum(own).items()
    # No trace of the image is kept for longer than anybody asks for.
    own.run("image", "rm", ctrzlib.IMAGE)
    assert states(own) == {1: "stale"} and {t["image_disk"] != "" for t in own.json("template", "prune")} == {True}
    assert states(own) == {} and states(own, of_image=False) == {1: "ready"}
