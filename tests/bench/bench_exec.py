#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What a running container is asked for: exec, its output, and copies, beside podman's; and what the agent in it takes. By
itself: tests/bench/bench_exec.py [--runs 3] [--parallel 50] [--output-mib 512] [--copy-mib 1024] [--files 10000] [--execs 10000]"""
import argparse
import collections
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
Sizes = collections.namedtuple("Sizes", "parallel output_mib copy_mib files execs")
FULL, QUICK = Sizes(50, 512, 1024, 10000, 10000), Sizes(10, 64, 64, 1000, 500)
# As many as keep the machine's one processor busy; with them 10000 take minutes.
AT_ONCE = 10


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
            peer = bench_start.Podman(folder, cache.layout())
            self.podman = peer.base
            self.run([*self.podman, "run", "-d", "--name", "box", peer.image, "sleep", "1000000"])

    @staticmethod
    def run(argv):
        r = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False)
        if r.returncode:
            raise figures.BenchError(f"{argv}: {r.stderr[-1000:]}")

    def commands(self, ours, theirs):
        """Shell scripts, with @ for the command, as figures.medians() takes them. Any command that fails ends its script with that."""
        env = dict(self.home.env)
        made = {"ctrz": (["sh", "-ec", ours.replace("@", shlex.quote(ctrzlib.CTRZ))], env, None)}
        if self.podman:
            made["podman"] = (["sh", "-ec", theirs.replace("@", shlex.join(map(str, self.podman)))], None, None)
        return made

    def compare(self, what, runs, ours, theirs, goal):
        commands = self.commands(ours, theirs)
        took = {name: wall for name, (wall, _, _) in figures.medians(runs, **commands).items()}
        for name, (argv, _, _) in commands.items():
            print(f"  {name}: {argv[2].replace(str(self.folder), '$T')}")
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


def copies(p, runs, sizes):
    big, many, back = p.folder / "big", p.folder / "many", p.folder / "back"
    with open(big, "wb") as f:
        for _ in range(sizes.copy_mib):
            f.write(os.urandom(1 << 20))
    for i in range(sizes.files):
        (many / str(i // 100)).mkdir(parents=True, exist_ok=True)
        (many / str(i // 100) / str(i)).write_text(str(i))
    file, folder = f"cp of {sizes.copy_mib} MiB", f"cp of {sizes.files} files"
    ok = p.compare(f"{file} in", runs, f"@ cp -e bench {big} box:/big", f"@ cp {big} box:/big", 1)
    out = "rm -f {back}; @ cp {e}box:/big {back}; cmp {big} {back}"
    ok &= p.compare(f"{file} out, and cmp", runs, *(out.format(e=e, big=big, back=back) for e in ("-e bench ", "")), 1)
    back.unlink()
    ok &= p.compare(f"{folder} in", runs, f"@ cp -e bench {many} box:/", f"@ cp {many} box:/", 1)
    out = "rm -rf {back}; @ cp {e}box:/many {back}; diff -r {many} {back}"
    ok &= p.compare(f"{folder} out, and diff", runs, *(out.format(e=e, many=many, back=back) for e in ("-e bench ", "")), 1)
    return ok


def agent(p, sizes):
    """Its size, and its memory before and after many processes."""
    program = pathlib.Path(ctrzlib.CTRZ).parent / "vminitd" / "vminitd"
    ok = figures.limit("vminitd, the file", program.stat().st_size / 1e6, AGENT_FILE_GOAL, "MB")
    before = p.agent_memory()
    argv, env, check = p.commands(f"seq {sizes.execs} | xargs -P {AT_ONCE} -I {{}} @ exec -e bench box -- true", "")["ctrz"]
    wall, _, _ = figures.once(argv, env=env, check=check)
    print(f"{sizes.execs} execs, {AT_ONCE} at a time {wall:9.3f} s", flush=True)
    after = p.agent_memory()
    ok &= figures.limit("vminitd, resident", before / 1e6, AGENT_MEMORY_GOAL, "MB")
    return figures.limit(f"vminitd, grown by {sizes.execs} execs", (after - before) / 1e6, 0.064, "MB") and ok


def run(runs, sizes=None):
    sizes = sizes or (QUICK if runs < 5 else FULL)
    with tempfile.TemporaryDirectory() as temp:
        os.chmod(temp, 0o755)
        p = Peers(pathlib.Path(temp))
        try:
            ok = p.compare("exec of true", runs * 4, "@ exec -e bench box -- true", "@ exec box true", EXEC_GOAL)
            many = f"seq {sizes.parallel} | xargs -P {sizes.parallel} -I {{}} @ exec "
            ok &= p.compare(f"{sizes.parallel} execs at once", runs, f"{many}-e bench box -- true", f"{many}box true", EXEC_GOAL)
            # Not head -c: busybox's moves one byte at a time, and that is then what is measured.
            out = f"box {{}}dd if=/dev/zero bs=64k count={sizes.output_mib * 16} | wc -c | grep -qx {sizes.output_mib << 20}"
            ok &= p.compare(f"{sizes.output_mib} MiB of output", runs, f"@ exec -e bench {out.format('-- ')}", f"@ exec {out.format('')}", 1)
            ok &= copies(p, min(runs, 3), sizes)
            return agent(p, sizes) and ok
        finally:
            p.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    for name, size in FULL._asdict().items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=size)
    o = vars(parser.parse_args())
    return 0 if run(o.pop("runs"), Sizes(**o)) else 1


if __name__ == "__main__":
    sys.exit(main())
