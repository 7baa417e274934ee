# SPDX-License-Identifier: MIT
"""`ctrz up` and `ctrz plan` with nothing to do beside `docker-compose config` of the same model, at three sizes.

Machines, switches and images are files (tests/simulate); the spec, the planner and the state are real."""
import json
import os
import pathlib
import subprocess
import tempfile

import bench_spec
import figures

ROOT = pathlib.Path(__file__).resolve().parents[2]
CTRZ = os.environ.get("CTRZ_SIMULATED") or str(ROOT / "build" / "tests" / "simulate" / "ctrz_simulated")
GOAL, MEMORY_GOAL, LINEAR_GOAL = 0.02, 40, 12


def run(runs):
    ok = True
    if not figures.tool("docker-compose"):
        raise figures.BenchError("docker-compose is not here: ./dev deps bench")
    took = {}
    for count in (1, 100, 1000):
        # Sockets below a long path would move elsewhere.
        with tempfile.TemporaryDirectory(prefix="noop-", dir="/tmp") as temp:
            folder = pathlib.Path(temp)
            bench_spec.write(folder, count)
            env = dict(os.environ, CTRZ_HOME=str(folder / "home"))
            file = [folder / "env.yaml", "--profile", "bench"]
            # All this memory is asked about once.
            shown = subprocess.run([CTRZ, "trust", "show", "--json", "-f", *file], env=env, capture_output=True, check=True).stdout
            trust = f"--trust={json.loads(shown)['hash']}"
            subprocess.run([CTRZ, "up", trust, "-q", "--parallel", "8", *file], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           check=True)
            result = figures.medians(runs, up=([CTRZ, "up", *file], env, lambda out: b"0 changes" in out),
                                     plan=([CTRZ, "plan", *file], env, lambda out: b"No changes" in out),
                                     compose=(["docker-compose", "-f", folder / "compose.yaml", "config"], env, None))
        for name in ("up", "plan"):
            met = figures.row(f"{name} of {count} containers, no change", result[name][0], result["compose"][0],
                              "docker-compose config", GOAL)
            ok = ok and (met or count == 1)
            took[name, count] = result[name]
    for name in ("up", "plan"):
        ok &= figures.limit(f"{name} of 1000, memory", took[name, 1000][2], MEMORY_GOAL, "MiB")
        ok &= figures.limit(f"{name} of 1000 over 100, processor time", took[name, 1000][1] / took[name, 100][1], LINEAR_GOAL, "x")
    return ok
