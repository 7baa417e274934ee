#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Layers (gzip) to a bootable ext4: ctrz beside umoci unpack + mke2fs -d, and beside igzip | openssl dgst.

Prints every command, its exit status checked, with medians of wall and CPU (user + sys) seconds, and the ratios. Needs
root, an otherwise quiet machine, and the disk_tool of a build (CTRZ_TOOLS)."""
import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import disklib  # noqa: E402
import figures  # noqa: E402

# Of umoci and mke2fs, at 50k files; elsewhere what is printed is the ratio alone.
CHAIN_GOALS, FLOOR_GOAL = {"npm": 0.08}, 2


def once(command, output=None):
    """(wall, CPU) of one command with all its children; a failure ends the bench."""
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=output or subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    errors = child.stderr.read()
    _, status, used = os.wait4(child.pid, 0)
    wall = time.monotonic() - start
    if status:
        raise figures.BenchError(f"failed with status {status}: {shell(command)}\n{errors}")
    return wall, used.ru_utime + used.ru_stime


def shell(command):
    return " ".join(c if " " not in c else f"'{c}'" for c in map(str, command))


class Case:
    def __init__(self, name, archive, work):
        self.name, self.work = name, work
        self.blob = work / f"{name}.tar.gz"
        with open(self.blob, "wb") as out:
            subprocess.run(["gzip", "-6", "-n", "-c", archive], stdout=out, check=True)
        self.size = archive.stat().st_size
        self.diff_id = "sha256:" + subprocess.run(["sha256sum", archive], capture_output=True, text=True,
                                                  check=True).stdout.split()[0]
        disklib.oci_layout(work / f"{name}-oci", [(self.blob, self.diff_id)])

    def ours(self, *options):
        return ["build", [disklib.TOOL, *options, "build", self.work / "ours.ext4", f"{self.blob}={self.diff_id}"]]

    def measure_ours(self, *options):
        path = self.work / "ours.ext4"
        path.unlink(missing_ok=True)
        return once(self.ours(*options)[1])

    def on_base(self):
        """One more small layer, on the disk that has the rest."""
        return [disklib.TOOL, "--base", self.work / "ours.ext4", "1", "build", self.work / "upper.ext4",
                f"{self.blob}={self.diff_id}", self.work / "small.tar"]

    def measure_on_base(self):
        (self.work / "upper.ext4").unlink(missing_ok=True)
        return once(self.on_base())

    def chain(self):
        bundle = self.work / "bundle"
        return [["umoci", "unpack", "--image", f"{self.work / self.name}-oci:t", bundle],
                ["mke2fs", "-q", "-F", "-t", "ext4", "-d", bundle / "rootfs", self.work / "theirs.ext4",
                 f"{self.size * 3 // 2 // 1024 + 65536}k"]]

    def measure_chain(self):
        shutil.rmtree(self.work / "bundle", ignore_errors=True)
        (self.work / "theirs.ext4").unlink(missing_ok=True)
        parts = [once(c) for c in self.chain()]
        shutil.rmtree(self.work / "bundle")
        return tuple(map(sum, zip(*parts)))

    def floor(self):
        return ["bash", "-o", "pipefail", "-c", f"igzip -d -c {self.blob} | openssl dgst -sha256 -r"]

    def measure_floor(self):
        with tempfile.TemporaryFile("w+") as out:
            took = once(self.floor(), out)
            out.seek(0)
            digest = out.read().split()[0]
        if "sha256:" + digest != self.diff_id:
            raise figures.BenchError(f"igzip | openssl gave {digest}, not {self.diff_id}")
        return took


def medians(measure, runs):
    done = [measure() for _ in range(runs)]
    return tuple(statistics.median(values) for values in zip(*done))


def show(what, commands, figures):
    for c in commands:
        print(f"    $ {shell(c)}")
    print(f"  {what}: {figures[0]:.2f} s wall, {figures[1]:.2f} s CPU")


def bench(case, runs, peer_runs):
    print(f"\n{case.name}: {case.size / 1e6:.0f} MB of tar, {case.blob.stat().st_size / 1e6:.0f} MB of gzip; medians of "
          f"{runs} runs, {peer_runs} of the peers; load {os.getloadavg()[0]:.1f}")
    case.measure_ours()  # blobs into the page cache
    ours = medians(case.measure_ours, runs)
    disklib.check(case.work / "ours.ext4")
    synced = medians(lambda: case.measure_ours("--sync"), runs)
    built = disklib.run_tool("build", case.work / "ours.ext4", f"{case.blob}={case.diff_id}")
    show("ctrz", [case.ours()[1]], ours)
    show("ctrz, on the medium when it returns", [case.ours("--sync")[1]], synced)
    print(f"  peak memory {int(built['max_rss_kib']) / 1024:.1f} MiB, {built['entries']} entries, {built['writes']} writes")
    print(f"  cores busy: {ours[1] / ours[0]:.2f} (reading and inflating beside hashing and writing)")
    (case.work / "small.tar").write_bytes(disklib.Layer().file("app", b"x" * 10000).bytes())
    upper = medians(case.measure_on_base, runs)
    disklib.check(case.work / "upper.ext4")
    show("ctrz, one more layer where the disk of these is here", [case.on_base()], upper)
    (case.work / "upper.ext4").unlink()
    floor = medians(case.measure_floor, runs)
    show("inflate and hash", [case.floor()], floor)
    ok = figures.row(f"{case.name}: layers to ext4, CPU", ours[1], floor[1], "inflate and hash", FLOOR_GOAL)
    if peer_runs:
        chain = medians(case.measure_chain, peer_runs)
        disklib.check(case.work / "theirs.ext4")
        show("umoci and mke2fs", case.chain(), chain)
        ok &= figures.row(f"{case.name}: layers to ext4", ours[0], chain[0], "umoci and mke2fs", CHAIN_GOALS.get(case.name, 1))
        ok &= figures.row(f"{case.name}: the same, on the medium", synced[0], chain[0], "umoci and mke2fs", 1)
    return ok


def busybox(path):
    with tempfile.TemporaryDirectory() as tree:
        os.mkdir(f"{tree}/bin")
        shutil.copy("/bin/busybox", f"{tree}/bin/busybox")
        for name in ("sh", "ls", "cat"):
            os.link(f"{tree}/bin/busybox", f"{tree}/bin/{name}")
        subprocess.run(["tar", "-C", tree, "-cf", path, "."], check=True)


def run_cases(names, runs, peer_runs):
    archives = {"busybox": lambda: disklib.cached("busybox.tar", busybox), "debian": disklib.debian_tar,
                "npm": disklib.npm_tar}
    ok = True
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp"), prefix="ctrz-bench-") as folder:
        for name in names:
            case = Case(name, archives[name](), pathlib.Path(folder))
            ok &= bench(case, runs, peer_runs)
    return ok


def run(runs):
    """As the other benches; three runs are the quick way."""
    quick = runs < 5
    return run_cases(["busybox", "debian"] if quick else ["busybox", "debian", "npm"], runs, 1 if quick else runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer-runs", type=int, help="of umoci and mke2fs; 0 leaves them out")
    parser.add_argument("cases", nargs="*", default=["busybox", "debian", "npm"])
    options = parser.parse_args()
    try:
        run_cases(options.cases, options.runs, options.runs if options.peer_runs is None else options.peer_runs)
    except figures.BenchError as e:
        sys.exit(str(e))


if __name__ == "__main__":
    main()
