# SPDX-License-Identifier: MIT
"""--trace: where the time of a start goes, host and guest on one time line."""
import json

import ctrzlib

SPEC = """
name: traced
containers:
  a:
    image: {image}
    pull: never
    command: [sleep, "100000"]
    mounts: [ {{ source: ., target: /src }} ]
    resources: {{ memory: 128MiB }}
  b:
    image: {image}
    pull: never
    depends_on: [ a ]
    command: [sleep, "100000"]
    resources: {{ memory: 128MiB }}
"""


class Trace:
    """A trace file: its phases by process and thread, as (name, begin, end)."""

    def __init__(self, path):
        value = json.loads(path.read_text(encoding="utf-8"))
        events = value["traceEvents"]
        names = {(e["name"], e["pid"], e["tid"]): e["args"]["name"] for e in events if e["ph"] == "M"}
        processes = {pid: name for (kind, pid, _), name in names.items() if kind == "process_name"}
        threads = {(pid, tid): name for (kind, pid, tid), name in names.items() if kind == "thread_name"}
        assert len(set(processes.values())) == len(processes)
        self.lines = {}
        for e in events:
            if e["ph"] != "X":
                assert e["ph"] == "M"
                continue
            line = self.lines.setdefault((processes[e["pid"]], threads[e["pid"], e["tid"]]), [])
            line.append((e["name"], e["ts"], e["ts"] + e["dur"]))
            assert e["ts"] >= 0 and e["dur"] >= 0

    def one(self, process, thread, name):
        found = [(begin, end) for n, begin, end in self.lines[process, thread] if n == name]
        assert len(found) == 1, (name, self.lines[process, thread])
        return found[0]

    def check_nesting(self):
        """On one thread, phases lie beside each other or within each other, in the order of their begins."""
        for line, phases in self.lines.items():
            begins = [begin for _, begin, _ in phases]
            assert begins == sorted(begins), line
            around = []
            for name, begin, end in phases:
                while around and around[-1][2] <= begin:
                    around.pop()
                assert not around or end <= around[-1][2], (line, name, around)
                around.append((name, begin, end))


def check_machine(trace, name, outer):
    """One started machine: in the order in which things must happen, and the guest within what its keeper waited for."""
    begin, end = trace.one(name, "keeper", "start")
    assert outer[0] <= begin <= end <= outer[1]
    _, comes = trace.one(name, "keeper", "the guest comes up")
    setup = trace.one(name, "keeper", "the guest sets up")
    assert begin <= comes <= setup[0] <= setup[1] <= end
    guest, process = trace.lines[name, "guest"], trace.lines[name, "process"]
    names = [n for n, _, _ in guest]
    for phase in ("clock and entropy", "mount the disks", "overlay", "/dev", "network", "names", "fork"):
        assert phase in names, names
    assert [n for n, _, _ in process][-1] == "exec"
    for n, b, e in guest + process:
        if n not in ("the kernel boots", "the agent begins"):
            assert setup[0] <= b <= e <= setup[1], (n, b, e, setup)
    assert "cont" in [n for n, _, _ in trace.lines[name, "QEMU"]]


def test_a_trace_has_host_and_guest_on_one_time_line(home, project):
    project.write(SPEC.format(image=home.image()))
    home.run("up", cwd=project.path)
    home.run("down", cwd=project.path)  # what is made once is there
    path = project.path / "out.json"
    home.run("up", "--trace", path, cwd=project.path)
    trace = Trace(path)
    trace.check_nesting()
    apply = trace.one("ctrz up", "main", "apply")
    for phase in ("read the spec", "check what the host has"):
        assert trace.one("ctrz up", "main", phase)[1] <= apply[0]
    assert trace.one("ctrz up", "main", "verify")[0] >= apply[1]
    for name in ("a", "b"):
        action = trace.one("ctrz up", name, "create container")
        assert apply[0] <= action[0] <= action[1] <= apply[1]
        check_machine(trace, name, action)
        assert "the kernel boots" not in [n for n, _, _ in trace.lines[name, "guest"]]
    assert trace.one("ctrz up", "b", "create container")[0] >= trace.one("a", "keeper", "start")[1]
    share = trace.one("a", "keeper", "file server")
    assert trace.one("a", "keeper", "start QEMU and the devices")[0] <= share[0]
    assert "file server" not in [n for n, _, _ in trace.lines["b", "keeper"]]
    assert trace.one("b", "memory", "copy the memory")[1] <= trace.one("b", "QEMU", "load the state")[1]

    # A machine that was started without one keeps nothing of it, and one that boots tells of its kernel.
    home.run("up", "--trace", path, cwd=project.path)
    assert ("a", "keeper") not in Trace(path).lines
    home.run("run", "--rm", "--cold", "--trace", path, ctrzlib.IMAGE, "true")
    trace = Trace(path)
    trace.check_nesting()
    machine = next(process for process, thread in trace.lines if thread == "keeper")
    check_machine(trace, machine, trace.one("ctrz run", "main", "start the machine"))
    kernel = trace.one(machine, "guest", "the kernel boots")
    assert trace.one(machine, "keeper", "start QEMU and the devices")[0] <= kernel[0]
    assert kernel[1] <= trace.one(machine, "keeper", "the guest comes up")[1]


def test_a_trace_is_written_when_the_command_fails_and_refused_before_anything(home, project):
    home.image()
    path = project.path / "out.json"
    r = home.fail("run", "--rm", "--trace", path, ctrzlib.IMAGE, "/no/such/command", code=127)
    assert "/no/such/command" in r.err
    assert any(thread == "keeper" for _, thread in Trace(path).lines)
    r = home.fail("run", "--rm", "--trace", "/no/such/folder/x", ctrzlib.IMAGE, "true", code=64)
    assert "--trace" in r.err and "/no/such/folder" in r.err
    assert not ctrzlib.processes_of(home)
