# SPDX-License-Identifier: MIT
"""An agent that means harm in a real machine (hostile_agent.c): the host neither crashes, grows, hangs, nor writes elsewhere."""
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

import machinelib
from machinelib import Machine, wait_until

sys.path.insert(0, str(machinelib.ROOT / "tests" / "vm"))
import agent_host  # noqa: E402  pylint: disable=wrong-import-position

MEMORY_MAX = 48 << 20  # of a keeper; with sanitizers it is another matter
LOGS_MAX = 48 << 20    # of a container with the limits there are unless it says otherwise, and of its keeper


@pytest.fixture(scope="module")
def initrd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    program = folder / "agent"
    subprocess.run(["musl-gcc", "-std=c11", "-D_GNU_SOURCE", "-Os", "-static", "-s", "-Wall", "-Wextra", "-Werror", "-o", program,
                    machinelib.ROOT / "tests/integration/hostile_agent.c"], check=True)
    modules = next(machinelib.kernel_home().glob("**/vmlinux")).parent / "modules"
    agent_host.make_initrd(str(folder / "initrd"), str(program), str(modules))
    return folder / "initrd"


def new_machine(folder, initrd):
    m = Machine(folder)
    m.options += ["--cold", "--initrd", str(initrd)]
    return m


@pytest.fixture
def machine(initrd):
    with tempfile.TemporaryDirectory(prefix="ctrz-m-", dir="/tmp") as folder:
        m = new_machine(folder, initrd)
        yield m
        m.end()
        assert is_bounded(m)


def mode(name):
    return ["--kernel-args", f"hostile={name}"]


def is_bounded(m):
    """What it left in the machine's folder, and whether anything is there that nobody made."""
    files = {p.name: p.stat().st_size for p in (m.dir / "state").iterdir()}
    assert set(files) <= {"log", "log.1", "log.2", "log.3", "console", "console.1", "keeper.log", "status.json", "created"}, files
    return sum(files.values()) < LOGS_MAX and files["keeper.log"] < 3 << 20 and files["console"] < 300 << 10


def memory(m):
    """The most a keeper has taken."""
    status = pathlib.Path(f"/proc/{m.status()['keeper_pid']}/status").read_text(encoding="utf-8")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024


def with_sanitizers():
    return b"libasan" in subprocess.run(["ldd", machinelib.TOOL], capture_output=True, check=True).stdout


def test_starts_that_come_to_nothing_end_in_time(initrd):
    """Side by side, for each takes its whole time."""
    modes = {"garbage": "did not come up", "stall": "did not start the container", "hose": "did not start the container"}
    with contextlib.ExitStack() as stack:
        machines = {}
        for name in modes:
            machines[name] = new_machine(stack.enter_context(tempfile.TemporaryDirectory(prefix="ctrz-m-", dir="/tmp")), initrd)
        started = {name: subprocess.Popen(m.args("start", "true", options=[*mode(name), "--timeout", "45000"]), env=m.env, stderr=subprocess.PIPE)
                   for name, m in machines.items()}
        for name, p in started.items():
            said = p.communicate(timeout=120)[1].decode(errors="backslashreplace")
            assert p.returncode == 125 and modes[name] in said, (name, said)
            assert machines[name].status()["phase"] == "exited" and not (machines[name].dir / "run").exists()
            assert is_bounded(machines[name])
        assert "guest: xxx" in machines["hose"].keeper_log()


@pytest.mark.parametrize("name,version", [("older", 2), ("newer", 4)])
def test_an_agent_of_another_version_is_refused_and_the_reason_said(machine, name, version):
    r = machine.call("start", "true", options=mode(name))
    assert r.returncode == 125 and f"speaks version {version} of the protocol, not 3".encode() in r.stderr, r
    assert b"is of another ctrz" in r.stderr and b"trusted" not in r.stderr
    assert machine.status()["phase"] == "exited" and not (machine.dir / "run").exists()


def test_more_output_than_it_has_credit_for_ends_the_machine(machine):
    machine.ok("start", "true", options=mode("overrun"))
    r = machine.call("exec", "true")
    assert r.returncode == 125, r
    wait_until("the machine is over", lambda: machine.status()["phase"] == "exited")
    assert "more data than it had credit for" in machine.status()["error"]


def test_an_agent_that_dies_takes_its_machine_along_and_the_host_knows_at_once(machine):
    machine.ok("start", "true", options=mode("die"))
    r = machine.call("exec", "true", timeout=30)
    assert r.returncode == 125, r
    wait_until("the machine is over", lambda: machine.status()["phase"] == "exited", 10)
    assert "Attempted to kill init" in machine.status()["error"], machine.status()
    assert not (machine.dir / "run").exists()


def test_lies_are_told_or_ignored_and_nothing_is_written_elsewhere(machine):
    machine.ok("start", "true", options=mode("liar"))
    target = machine.dir / "target"
    target.mkdir()
    for i in range(8):
        r = machine.call("exec", "true")
        assert (r.returncode, r.stdout) == (7, b"hello\n"), r
        for command in ("stats", "top"):
            r = machine.call(command)
            assert r.returncode == 125 and b"integrity" in r.stderr, r
        r = machine.call("copy", "/any", str(target))
        assert r.returncode == 125, r
    made = sorted(str(p.relative_to(target)) for p in target.rglob("*"))
    assert set(made) <= {"got", "got/link"}, made
    assert not [p for p in os.listdir("/tmp") if "escaped" in p] and not [p for p in os.listdir(machine.dir) if "escaped" in p]
    assert with_sanitizers() or memory(machine) < MEMORY_MAX
    # It goes on writing for a while: its log is cut again and again.
    wait_until("the log was put aside", lambda: (machine.dir / "state" / "log.1").exists(), 120)
    machine.ok("stop", options=["--grace", "100", "--signal", "15"])
    assert machine.status()["phase"] == "exited"
