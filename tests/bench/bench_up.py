# SPDX-License-Identifier: MIT
"""`ctrz up`: of 1, 4 and 16 containers, beside `docker-compose up` of the same (its engine is podman) and beside `podman run` of as many, from nothing
to all running; and of four that depend on each other, to all healthy, beside the longest chain of its parts, each brought up alone: what runs beside
the chain, and ctrz itself, should cost next to nothing on top."""
import contextlib
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

import bench_start
import figures

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vm"))
import ctrzlib  # noqa: E402

CHAIN_GOAL, PEER_GOAL = 1.25, 1
COUNTS = (1, 4, 16)
PROBE = "health: { exec: [test, -e, /ready], interval: 1s, start_interval: 100ms }"
NEEDS = {"db": [], "cache": [], "app": ["db", "cache"], "web": ["app"]}
CHAIN = ["db", "app", "web"]
COMMAND = ["sleep", "100000"]


class Ctrz:
    """One way to bring as many containers up as asked for: commands that do it, and that undo it."""
    name = "ctrz up"

    def __init__(self, home, folder):
        self.env, self.folder = home.env, folder

    def write(self, count):
        """Return: (up, down)"""
        path = self.folder / f"{count}.yaml"
        path.write_text(f"name: bench{count}\ncontainers:\n" + "".join(
            f"  c{i}: {{ image: {ctrzlib.IMAGE}, pull: never, command: [{', '.join(COMMAND)}], resources: {{ memory: 128MiB, cpus: 1 }} }}\n"
            for i in range(count)))
        return [ctrzlib.CTRZ, "up", "-q", path], [ctrzlib.CTRZ, "down", "-q", "-e", f"bench{count}"]


class Podman:
    """Containers that are started one by one, as many at a time as there are processors."""
    name, env = "podman run", None

    def __init__(self, podman):
        self.base = shlex.join(map(str, podman.base))
        self.image = podman.image

    def write(self, count):
        start = f"{self.base} run -d --name c{{}} {self.image} {shlex.join(COMMAND)}"
        return (["sh", "-c", f"seq {count} | xargs -P {os.cpu_count()} -I {{}} {start}"],
                ["sh", "-c", f"seq -f c%g {count} | xargs {self.base} rm -f -t 0"])


class Compose:
    """docker-compose, which asks podman for the containers."""
    name = "docker-compose up"

    def __init__(self, podman, folder, exit_stack):
        self.folder, socket = folder, folder / "podman.sock"
        subprocess.run([*podman.base, "tag", podman.image, ctrzlib.IMAGE], check=True, capture_output=True)
        service = subprocess.Popen([*podman.base, "system", "service", "-t", "0", f"unix://{socket}"], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        exit_stack.callback(service.wait)
        exit_stack.callback(service.terminate)
        ctrzlib.wait_until("podman's service listens", socket.exists)
        self.env = dict(os.environ, DOCKER_HOST=f"unix://{socket}", COMPOSE_HTTP_TIMEOUT="600")

    def write(self, count):
        path = self.folder / f"compose{count}.yaml"
        path.write_text('version: "3"\nservices:\n' + "".join(
            f"  c{i}: {{ image: \"{ctrzlib.IMAGE}\", command: [{', '.join(map(repr, COMMAND))}] }}\n" for i in range(count)))
        compose = ["docker-compose", "-p", f"bench{count}", "-f", path]
        return [*compose, "up", "-d"], [*compose, "down", "-t", "0"]


def once(side, count):
    """Seconds of one up; its down is not counted, and comes whatever the up did."""
    start, end = side.write(count)
    try:
        wall, _, _ = figures.once(start, env=side.env)
    except BaseException:
        subprocess.run([str(a) for a in end], env=side.env, check=False, capture_output=True)
        raise
    figures.once(end, env=side.env)
    return wall


def compare(sides, count, runs):
    """All sides in turn, A B A B ...; a row for each peer."""
    for side in sides:
        print(f"{side.name}:", *side.write(count)[0])
        once(side, count)  # warm caches, not counted
    seen = [[] for _ in sides]
    for _ in range(runs):
        for side, walls in zip(sides, seen):
            walls.append(once(side, count))
    ours, *peers = [figures.Median(walls) for walls in seen]
    print(f"up of {count}: {', '.join(f'{s.name} {sum(w) / len(w):.2f} s' for s, w in zip(sides, seen))} (means)", flush=True)
    ok = True
    for side, peer in zip(sides[1:], peers):
        ok &= figures.row(f"up of {count}", ours, peer, side.name, PEER_GOAL)
    if count > 1 and peers:
        ok &= figures.row(f"up of {count}, each container", ours / count, peers[0] / count, sides[1].name, PEER_GOAL)
    return ok


def container(name, needs):
    after = f"    depends_on: [{', '.join(needs)}]\n" if needs else ""
    return (f"  {name}:\n    image: {ctrzlib.IMAGE}\n    pull: never\n    resources: {{ memory: 128MiB }}\n{after}"
            f"    command: [sh, -c, \"touch /ready; exec sleep 100000\"]\n    {PROBE}\n")


def chain_up(home, folder, names):
    """Seconds from nothing to ready of an environment of these containers, each with those of its needs that are there."""
    (folder / "env.yaml").write_text("name: bench\ncontainers:\n" + "".join(
        container(n, [d for d in NEEDS[n] if d in names]) for n in names))
    wall, _, _ = figures.once([ctrzlib.CTRZ, "up", "-q", "--parallel", "4", folder / "env.yaml"], env=home.env)
    home.run("down", "-q", cwd=folder, timeout=600)
    return wall


def chain(home, folder, runs):
    seen = {"all": [], **{name: [] for name in NEEDS}}
    chain_up(home, folder, ["db"])  # warm caches, not counted
    for _ in range(runs):
        for name in NEEDS:
            seen[name].append(chain_up(home, folder, [name]))
        seen["all"].append(chain_up(home, folder, list(NEEDS)))
    took = {name: figures.Median(times) for name, times in seen.items()}
    print("alone:", ", ".join(f"{name} {took[name]:.2f} s" for name in NEEDS))
    return figures.row("up of four containers, nothing to healthy", took["all"], sum(took[n] for n in CHAIN), " + ".join(CHAIN) + ", each alone",
                       CHAIN_GOAL)


def peers_of(cache, folder, exit_stack):
    if not (figures.tool("podman") and figures.tool("runc")):
        print("podman or runc is not installed: no row for them")
        return []
    podman = bench_start.Podman(folder, cache.layout())
    exit_stack.callback(podman.end)
    if not figures.tool("docker-compose"):
        print("docker-compose is not installed: no row for it")
        return [Podman(podman)]
    return [Compose(podman, folder, exit_stack), Podman(podman)]


def run(runs):
    cache = ctrzlib.Cache()
    with contextlib.ExitStack() as exit_stack:
        folder = pathlib.Path(exit_stack.enter_context(tempfile.TemporaryDirectory()))
        home = ctrzlib.Home(cache)
        exit_stack.callback(ctrzlib.shutil.rmtree, home.root)
        exit_stack.callback(home.end)
        home.image()
        sides = [Ctrz(home, folder), *peers_of(cache, folder, exit_stack)]
        ok = all([compare(sides, count, runs) for count in COUNTS])
        return chain(home, folder, runs) and ok
