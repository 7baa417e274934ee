# SPDX-License-Identifier: MIT
"""`ctrz up` of four containers that depend on each other, from nothing to all healthy, beside the longest chain of its parts, each
brought up alone: what runs beside the chain, and ctrz itself, should cost next to nothing on top."""
import pathlib
import statistics
import sys
import tempfile
import time

import figures

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vm"))
import ctrzlib  # noqa: E402

GOAL = 1.25
PROBE = "health: { exec: [test, -e, /ready], interval: 1s, start_interval: 100ms }"
NEEDS = {"db": [], "cache": [], "app": ["db", "cache"], "web": ["app"]}
CHAIN = ["db", "app", "web"]


def container(name, needs):
    after = f"    depends_on: [{', '.join(needs)}]\n" if needs else ""
    return (f"  {name}:\n    image: {ctrzlib.IMAGE}\n    pull: never\n    resources: {{ memory: 128MiB }}\n{after}"
            f"    command: [sh, -c, \"touch /ready; exec sleep 100000\"]\n    {PROBE}\n")


def up(home, folder, names):
    """Seconds from nothing to ready of an environment of these containers, each with those of its needs that are there."""
    (folder / "env.yaml").write_text("name: bench\ncontainers:\n" + "".join(
        container(n, [d for d in NEEDS[n] if d in names]) for n in names))
    started = time.monotonic()
    home.run("up", "-q", "--parallel", "4", cwd=folder, timeout=600)
    took = time.monotonic() - started
    home.run("down", "-q", cwd=folder, timeout=600)
    return took


def run(runs):
    cache = ctrzlib.Cache()
    home = ctrzlib.Home(cache)
    home.image()
    seen = {"all": [], **{name: [] for name in NEEDS}}
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        up(home, folder, ["db"])  # warm caches, not counted
        for _ in range(runs):
            for name in NEEDS:
                seen[name].append(up(home, folder, [name]))
            seen["all"].append(up(home, folder, list(NEEDS)))
    took = {name: statistics.median(times) for name, times in seen.items()}
    print("alone:", ", ".join(f"{name} {took[name]:.2f} s" for name in NEEDS))
    ok = figures.row("up of four containers, nothing to healthy", took["all"], sum(took[n] for n in CHAIN),
                     " + ".join(CHAIN) + ", each alone", GOAL)
    home.end()
    ctrzlib.shutil.rmtree(home.root)
    return ok
