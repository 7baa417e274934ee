# SPDX-License-Identifier: MIT
"""What a running container is asked for: exec, its output, and copies, beside podman's; and what the agent in it takes."""
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

EXEC_GOAL = 0.3
AGENT_FILE_GOAL, AGENT_MEMORY_GOAL = 0.2, 2  # MB
SPEC = """
name: bench
containers:
  box: {{ image: {image}, pull: never, command: [sleep, "1000000"], resources: {{ memory: 512MiB, cpus: 1, disk: 8GiB }} }}
"""
PARALLEL = 50


class Peers:
    """A container of ours and one of podman's, of the same image; words for a shell that begin with the command for each."""

    def __init__(self, folder):
        self.folder = folder
        cache = ctrzlib.Cache()
        self.home = ctrzlib.Home(cache)
        (folder / "env.yaml").write_text(SPEC.format(image=self.home.image()), encoding="utf-8")
        self.home.run("up", cwd=folder, timeout=300)
        self.podman = None
        if figures.tool("podman") and figures.tool("runc"):
            self.podman, command = bench_start.podman_command(folder, cache.layout())
            image = command[-2]
            self.run([*self.podman, "run", "-d", "--name", "box", image, "sleep", "1000000"])

    @staticmethod
    def run(argv):
        r = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False)
        if r.returncode:
            raise figures.BenchError(f"{argv}: {r.stderr[-1000:]}")

    def commands(self, ours, theirs):
        """Shell scripts, with @ for the command, as figures.medians() takes them."""
        env = dict(self.home.env)
        made = {"ctrz": (["sh", "-ec", ours.replace("@", shlex.quote(ctrzlib.CTRZ))], env, None)}
        if self.podman:
            made["podman"] = (["sh", "-ec", theirs.replace("@", shlex.join(map(str, self.podman)))], None, None)
        return made

    def compare(self, what, runs, ours, theirs, goal, scale=1.0):
        took = {name: wall / scale for name, (wall, _, _) in figures.medians(runs, **self.commands(ours, theirs)).items()}
        if self.podman:
            return figures.row(what, took["ctrz"], took["podman"], "podman", goal)
        print(f"{what:44} {took['ctrz']:9.3f} s (podman or runc is not installed)")
        return True

    def agent_memory(self):
        return self.home.json("stats", "-e", "bench")[0]["agent_memory_bytes"]

    def end(self):
        if self.podman:
            subprocess.run([*self.podman, "rm", "-f", "-t", "0", "box"], check=False, capture_output=True)
            subprocess.run([*self.podman, "system", "reset", "--force"], check=False, capture_output=True)
        self.home.end()
        ctrzlib.shutil.rmtree(self.home.root)


def copies(p, runs, quick):
    size, files = (64, 1000) if quick else (1024, 10000)
    big, many = p.folder / "big", p.folder / "many"
    with open(big, "wb") as f:
        for _ in range(size):
            f.write(os.urandom(1 << 20))
    for i in range(files):
        (many / str(i // 100)).mkdir(parents=True, exist_ok=True)
        (many / str(i // 100) / str(i)).write_text(str(i))
    into = f"{p.folder}/back"
    ok = p.compare(f"cp of {size} MiB in", runs, f"@ cp -e bench {big} box:/big", f"@ cp {big} box:/big", 1)
    ok &= p.compare(f"cp of {size} MiB out", runs, f"rm -f {into}; @ cp -e bench box:/big {into}", f"rm -f {into}; @ cp box:/big {into}", 1)
    ok &= p.compare(f"cp of {files} files in", runs, f"@ cp -e bench {many} box:/", f"@ cp {many} box:/", 1)
    ok &= p.compare(f"cp of {files} files out", runs, f"rm -rf {into}; @ cp -e bench box:/many {into}",
                    f"rm -rf {into}; @ cp box:/many {into}", 1)
    return ok


def agent(p, quick):
    """Its size, and its memory before and after many processes."""
    program = pathlib.Path(ctrzlib.CTRZ).parent / "vminitd" / "vminitd"
    ok = figures.limit("vminitd, the file", program.stat().st_size / 1e6, AGENT_FILE_GOAL, "MB")
    count, at_once = (500, 5) if quick else (10000, 10)
    before = p.agent_memory()
    script = f"seq {count} | xargs -P {at_once} -I {{}} @ exec -e bench box -- true"
    figures.once(*p.commands(script, "")["ctrz"][:1], env=p.home.env)
    after = p.agent_memory()
    ok &= figures.limit("vminitd, resident", before / 1e6, AGENT_MEMORY_GOAL, "MB")
    return figures.limit(f"vminitd, grown by {count} execs", (after - before) / 1e6, 0.064, "MB") and ok


def run(runs):
    quick = runs < 5
    with tempfile.TemporaryDirectory() as temp:
        os.chmod(temp, 0o755)
        p = Peers(pathlib.Path(temp))
        try:
            ok = p.compare("exec of true", runs * 4, "@ exec -e bench box -- true", "@ exec box true", EXEC_GOAL)
            many = "i=0; while [ $i -lt {n} ]; do @ exec {e}box {m}true & i=$((i+1)); done; wait"
            ok &= p.compare(f"{PARALLEL} execs at once", runs, many.format(n=PARALLEL, e="-e bench ", m="-- "),
                            many.format(n=PARALLEL, e="", m=""), EXEC_GOAL)
            size = (64 if quick else 512) << 20
            ok &= p.compare(f"{size >> 20} MiB of output", runs, f"@ exec -e bench box -- head -c {size} /dev/zero >/dev/null",
                            f"@ exec box head -c {size} /dev/zero >/dev/null", 1)
            ok &= copies(p, 3, quick)
            return agent(p, quick) and ok
        finally:
            p.end()
