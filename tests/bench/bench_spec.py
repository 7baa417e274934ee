# SPDX-License-Identifier: MIT
"""Reading, checking and printing a spec beside `docker-compose config` of the same model, at three sizes."""
import os
import pathlib
import tempfile

import figures

ROOT = pathlib.Path(__file__).resolve().parents[2]
CTRZ = os.environ.get("CTRZ_BIN") or str(ROOT / "build" / "ctrz")
GOAL, MEMORY_GOAL, LARGE_GOAL = 0.02, 40, 0.1


def container(i):
    after = f"    depends_on: [c{i - 1}]\n" if i else ""
    return (f"  c{i}:\n    image: docker.io/library/nginx:1.27\n    command: [nginx, -g, daemon off;]\n"
            f"{after}    ports: [\"{10000 + i}:80\"]\n", f"    ENV_{i}: value {i}\n    MODE: dev\n")


def write(folder, count):
    """The same model twice: env.yaml and compose.yaml."""
    spec, compose = "name: bench\ncontainers:\n", "version: \"3.3\"\nservices:\n"
    for i in range(count):
        body, variables = container(i)
        # All but the first are in a profile: this host could not hold them at once, and the rules say so.
        spec += body + ("    profiles: [bench]\n" if i else "") + "    env:\n" + variables.replace("    ", "      ")
        compose += body + "    environment:\n" + variables.replace("    ", "      ")
    (folder / "env.yaml").write_text(spec)
    (folder / "compose.yaml").write_text(compose)


def run(runs):
    ok = True
    if not figures.tool("docker-compose"):
        raise figures.BenchError("docker-compose is not here: ./dev deps bench")
    took = {}
    for count in (1, 100, 1000):
        with tempfile.TemporaryDirectory() as temp:
            folder = pathlib.Path(temp)
            write(folder, count)
            env = dict(os.environ, CTRZ_HOME=temp)
            ours = [CTRZ, "config", folder / "env.yaml"]
            peer = ["docker-compose", "-f", folder / "compose.yaml", "config"]
            result = figures.medians(runs, ctrz=(ours, env, None), compose=(peer, env, None))
            met = figures.row(f"config of {count} containers", result["ctrz"][0], result["compose"][0], "docker-compose config", GOAL)
            ok = ok and (met or count == 1)
            took[count] = result
    ok &= figures.limit("config of 1000, memory", took[1000]["ctrz"][2], MEMORY_GOAL, "MiB")
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        write(folder, 10000)
        large = figures.medians(runs, ctrz=([CTRZ, "validate", folder / "env.yaml"], dict(os.environ, CTRZ_HOME=temp), None))["ctrz"]
    ok &= figures.row("validate of 10000 containers", large[0], took[1000]["compose"][0], "docker-compose config of 1000", LARGE_GOAL)
    return ok
