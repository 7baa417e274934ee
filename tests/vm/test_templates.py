# SPDX-License-Identifier: MIT
"""Templates: made once, never changed, not believed blindly; what machines of one template have in common, and what not."""
import concurrent.futures
import hashlib
import json
import os
import signal
import subprocess

import ctrzlib
import pytest

# A container's own view of everything that must not be the same in two machines. AT_RANDOM is a pointer: its bytes are read.
SEEN = r"""
echo boot_id $(cat /proc/sys/kernel/random/boot_id)
echo uuid $(cat /proc/sys/kernel/random/uuid)
echo random $(head -c 32 /dev/urandom | md5sum | cut -d' ' -f1)
at=$(od -An -v -t u8 -w16 /proc/$$/auxv | awk '$1 == 25 { print $2 }')
echo at_random $(dd if=/proc/$$/mem bs=1 skip=$at count=16 2>/dev/null | od -An -tx1)
echo stack $(grep '\[stack\]' /proc/self/maps | cut -d- -f1)
echo vdso $(grep '\[vdso\]' /proc/self/maps | cut -d- -f1)
echo mac $(cat /sys/class/net/eth0/address)
echo date $(date +%s)
"""


@pytest.fixture
def own(cache):
    home = ctrzlib.Home(cache, own_templates=True)
    home.image()
    yield home
    home.end()
    ctrzlib.shutil.rmtree(home.root, ignore_errors=True)


def templates(home):
    return home.root / "data" / "templates"


def checksum(home):
    """Of every byte of every template."""
    return {str(p.relative_to(home.root)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(templates(home).glob("*/*"))}


def run(home, script, *options):
    return home.run("run", "--rm", "--memory", "128MiB", "--cpus", "1", *options, ctrzlib.IMAGE, "sh", "-c", script)


def test_machines_of_one_template_share_no_secret(own):
    """Two first uses make one template; six machines of it differ in all they should, and leave it as it was."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: run(own, SEEN), range(2)))
    listed = own.json("template", "ls")
    assert [(t["state"], t["cpus"], t["memory_bytes"]) for t in listed] == [("ready", 1, 128 << 20)]
    before = checksum(own)
    assert len(before) == 3
    results += [run(own, SEEN + "head -c 30000000 /dev/zero > /dev/shm/x; rm /dev/shm/x") for _ in range(4)]
    assert all(r.err == "" for r in results), [r.err for r in results]
    seen = [dict(line.split(" ", 1) for line in r.out.splitlines()) for r in results]
    for what in ("boot_id", "uuid", "random", "at_random", "stack", "vdso"):
        values = [s[what] for s in seen]
        assert len(set(values)) == len(values) and all(values), (what, values)
    # Its own address, not the template's.
    assert all(s["mac"].startswith("02:c7:0a:4d:") for s in seen), seen
    # The clock is the host's, not the template's.
    assert all(abs(int(s["date"]) - int(ctrzlib.time.time())) < 600 for s in seen)
    assert checksum(own) == before


def test_what_is_broken_or_gone_is_made_again_and_cold_needs_none(own):
    assert run(own, "echo up", "--cold").out == "up\n"
    assert not templates(own).exists() and own.json("template", "ls") == []
    assert run(own, "echo up").out == "up\n"
    (one,) = own.json("template", "ls")
    memory = templates(own) / one["name"] / "memory"
    os.chmod(memory, 0o600)
    with open(memory, "r+b") as f:
        f.truncate(4096)
    assert [t["state"] for t in own.json("template", "ls")] == ["broken"]
    r = run(own, "echo up")
    assert r.out == "up\n" and "made anew" in r.err, r
    assert [t["state"] for t in own.json("template", "ls")] == ["ready"]
    # Whole, but not what QEMU can read: found out by trying. The container starts all the same.
    state = templates(own) / one["name"] / "state"
    record = templates(own) / one["name"] / "template.json"
    data = bytearray(state.read_bytes())
    data[len(data) // 2:] = bytes(len(data) - len(data) // 2)
    os.chmod(state, 0o600)
    state.write_bytes(data)
    known = json.loads(record.read_text())
    known["state_sha256"] = hashlib.sha256(data).hexdigest()
    record.write_text(json.dumps(known))
    assert [t["state"] for t in own.json("template", "ls")] == ["ready"]
    assert run(own, "echo up").out == "up\n"
    assert own.json("template", "ls") == []
    assert own.json("template", "prune") == []
    # No room to make one: said, and booted.
    templates(own).joinpath("lock").unlink()
    templates(own).rmdir()
    templates(own).write_text("in the way")
    r = run(own, "echo up")
    assert r.out == "up\n" and "boots" in r.err, r
    templates(own).unlink()


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
    assert [t["state"] for t in own.json("template", "ls")] == ["ready"]


def test_killed_at_any_moment_nothing_half_made_is_used(own):
    """ctrz is killed while it makes a template: at once, and once there is something of it."""
    for is_there in (lambda: templates(own).exists(), lambda: list(templates(own).glob("*.new/*/state"))):
        p = own.popen("run", "--rm", "--memory", "128MiB", "--cpus", "1", ctrzlib.IMAGE, "true",
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ctrzlib.wait_until("the template is begun", is_there, 120)
        p.send_signal(signal.SIGKILL)
        p.wait()
        assert own.json("template", "ls") == []
    assert run(own, "echo up").out == "up\n"
    (one,) = own.json("template", "ls")
    assert one["state"] == "ready"
    assert sorted(p.name for p in templates(own).iterdir()) == [one["name"], "lock"]
    assert [t["name"] for t in own.json("template", "prune", "--all")] == [one["name"]]
    assert own.json("template", "ls") == []
