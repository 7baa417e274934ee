# SPDX-License-Identifier: MIT
"""Timing commands in pairs and printing them as ratios with their goals."""
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time

# No command of a bench takes that long; one that hangs is ended.
MOST_SECONDS = 1800
# Every row that was printed, for whoever writes them down: tests/bench/report.py.
ROWS = []


class BenchError(Exception):
    """A command that should have worked did not: a figure of it would mean nothing."""


class Median(float):
    """The median of what was measured; it knows the least and the most of that."""

    def __new__(cls, values):
        values = list(values)
        self = super().__new__(cls, statistics.median(values))
        self.spread = [min(values), max(values)]
        return self


def once(argv, *, env=None, check=None):
    """Wall and CPU seconds and peak MiB of one run of a command; it must exit with 0, and check(output) must hold."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        with subprocess.Popen([str(a) for a in argv], env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err) as p:
            late = threading.Timer(MOST_SECONDS, p.kill)
            late.start()
            try:
                _, status, used = os.wait4(p.pid, 0)
            finally:
                late.cancel()
            p.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - start
        out.seek(0)
        err.seek(0)
        if p.returncode != 0 or (check and not check(out.read())):
            raise BenchError(f"{' '.join(map(str, argv))}: exit code {p.returncode}\n{err.read().decode(errors='replace')[-2000:]}")
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


# A process begins with the peak of the one it was forked from, so that a large parent hides it: a small one stands between.
PEAK = """import os, sys
_, status, used = os.wait4(os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)]), 0)
print(used.ru_maxrss / 1024)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


def peak(argv, *, env=None):
    """Peak MiB of one run of a command, which must exit with 0."""
    r = subprocess.run([sys.executable, "-S", "-c", PEAK, *map(str, argv)], env=env, capture_output=True, text=True, check=False)
    if r.returncode:
        raise BenchError(f"{' '.join(map(str, argv))}: failed\n{r.stderr[-2000:]}")
    return float(r.stdout)


def medians(runs, **commands):
    """Run the commands in turn, A B A B ..., each given as (argv, env, check); name -> medians of wall, CPU and MiB."""
    return {n: tuple(map(Median, zip(*v))) for n, v in series(runs, **commands).items()}


def series(runs, **commands):
    """The same, with every run: name -> list of (wall, CPU, MiB)."""
    seen = {name: [] for name in commands}
    for name, (argv, env, check) in commands.items():
        once(argv, env=env, check=check)  # warm caches, not counted
    for _ in range(runs):
        for name, (argv, env, check) in commands.items():
            seen[name].append(once(argv, env=env, check=check))
    return seen


def row(what, ours, peer, peer_name, goal, unit="s"):
    """One line: both figures, their ratio, and whether the goal was met. A Median's spread is kept with it."""
    ratio = ours / peer
    verdict = "ok" if ratio <= goal else "LOSES"
    print(f"{what:44} {ours:9.3f} {unit} {peer_name:28} {peer:9.3f} {unit}  {ratio:6.3f} x (goal {goal} x) {verdict}", flush=True)
    ROWS.append({"what": what, "ours": ours, "peer": peer, "peer_name": peer_name, "unit": unit, "goal": goal, "ok": verdict == "ok",
                 **spreads(ours=ours, peer=peer)})
    return verdict == "ok"


def spreads(**figures):
    return {f"{name}_spread": f.spread for name, f in figures.items() if isinstance(f, Median)}


def limit(what, ours, most, unit):
    """One line: a figure of ours and the most it may be."""
    verdict = "ok" if ours <= most else "LOSES"
    print(f"{what:44} {ours:9.3f} {unit} (goal {most} {unit}) {verdict}", flush=True)
    ROWS.append({"what": what, "ours": ours, "peer": None, "peer_name": None, "unit": unit, "goal": most, "ok": verdict == "ok",
                 **spreads(ours=ours)})
    return verdict == "ok"


def machine():
    """What this runs on, and how busy it is."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} x {model}, Linux {os.uname().release}, load {os.getloadavg()[0]:.1f}"


def tool(name):
    """Whether a peer is installed."""
    return any(os.access(os.path.join(d, name), os.X_OK) for d in os.environ["PATH"].split(":") + ["/usr/sbin", "/sbin"])
