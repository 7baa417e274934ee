# SPDX-License-Identifier: MIT
"""What an idle machine costs the host: the PSS of every process that is there for it (keeper, QEMU, file server, its part of the switch),
beside QEMU alone that booted the same kernel to a trivial init; what the guests themselves touched is left out of both, and printed. And how long it takes
until the host has back what a guest has freed."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

import figures

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vm"))
import bench_start  # noqa: E402
import ctrzlib  # noqa: E402

GOAL, BACK_SECONDS = 1.2, 10
SIZE_MIB, SETTLE_SECONDS, BOOT_SECONDS = 256, 20, 60
FREED_MIB, BIG_MIB, LEFT_MIB = 512, 1024, 64
# In this order: the file server lies in a folder of QEMU's.
HELPERS = ("virtiofsd", "__share", "qemu", "__keeper", "__switch")


def spec(count):
    return "name: density\ncontainers:\n" + "".join(
        f"  c{i}:\n    image: {ctrzlib.IMAGE}\n    pull: never\n    command: [sleep, \"100000\"]\n    mounts: [\".:/src\"]\n"
        f"    resources: {{ memory: {SIZE_MIB}MiB }}\n" for i in range(count))


def cost(pid, ram_mib):
    """PSS of a process in MiB, without its guest's memory, and the pages of that one on the host, used by now or not."""
    text = pathlib.Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8", errors="replace")
    own = guest = 0
    for span, shared, size, pss in re.findall(r"^([0-9a-f]+-[0-9a-f]+) ...(.) .*?^Size: +(\d+) kB$.*?^Pss: +(\d+) kB$", text, re.M | re.S):
        if shared == "s" and int(size) == ram_mib * 1024:
            guest = max(guest, os.stat(f"/proc/{pid}/map_files/{span}").st_blocks / 2048)
        else:
            own += int(pss) / 1024
    return own, guest


def kind_of(process):
    return next((h for h in HELPERS if process.name.startswith(h) or h in process.command), None)


def of_home(home):
    """What each kind of process costs, all machines together, and their guests' memory."""
    costs, guests = dict.fromkeys(HELPERS, 0), 0
    for pid, process in ctrzlib.processes_of(home).items():
        kind = kind_of(process)
        if not kind:
            raise figures.BenchError(f"unknown helper: {process!r}")
        own, guest = cost(pid, SIZE_MIB)
        costs[kind] += own
        guests += guest if kind == "qemu" else 0  # a file server has it, too
    return costs, guests


def stay_command(command, initrd):
    """The peer of bench_start, of our size, with disks and console that many can share."""
    words = [str(w).replace("128M", f"{SIZE_MIB}M").replace("cache.direct=off", "cache.direct=off,file.locking=off") for w in command]
    words[words.index("-initrd") + 1] = str(initrd)
    return words + ["-serial", "stdio"]


def idle_peers(home, folder, count):
    """QEMU alone, as many at the same time; the sums of what they cost and of their guests' memory."""
    kernel, = (k for k in home.json("kernel", "ls") if k["default"])
    upper = folder / "upper"
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", upper, "64M"], check=True)
    initrd = bench_start.bare_initrd(pathlib.Path(kernel["initrd"]), folder, "-DSTAY")
    command = stay_command(bench_start.bare_command(kernel["vmlinux"], initrd, next(home.root.glob("**/disks/*.ext4")), upper), initrd)
    print("qemu:", *command)
    running = []
    try:
        for _ in range(count):
            running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True))
            late = threading.Timer(BOOT_SECONDS, running[-1].kill)
            late.start()
            if not any("init stays" in line for line in running[-1].stdout):
                raise figures.BenchError("the bare guest did not come to its init")
            late.cancel()
        time.sleep(SETTLE_SECONDS)
        costs = [cost(p.pid, SIZE_MIB) for p in running]
    finally:
        for p in running:
            p.kill()
            p.wait()
    return sum(own for own, _ in costs), sum(guest for _, guest in costs)


def idle(home, folder, count):
    (folder / "env.yaml").write_text(spec(count))
    home.run("up", "-q", cwd=folder, timeout=1200)
    time.sleep(SETTLE_SECONDS)
    costs, guests = of_home(home)
    home.run("down", "-q", cwd=folder, timeout=600)
    peers, peer_guests = idle_peers(home, folder, count)
    print(f"each of {count}:", ", ".join(f"{kind} {costs[kind] / count:.1f} MiB" for kind in HELPERS if costs[kind]))
    print(f"the guest's memory, in neither figure: {guests / count:.1f} MiB, of the bare one {peer_guests / count:.1f} MiB")
    peer, shares = f"QEMU alone, {count} of them", sum(costs[k] for k in ("virtiofsd", "__share"))
    total = sum(costs.values())
    print(f"all in all: {(total + guests) / count:.1f} MiB, {peer}: {(peers + peer_guests) / count:.1f} MiB")
    ok = figures.row(f"memory per idle machine, {count} of {SIZE_MIB} MiB", (total - shares) / count, peers / count, peer, GOAL, "MiB")
    return figures.row("the same with a share", total / count, peers / count, peer, GOAL, "MiB") and ok


def ram_mib(home):
    (pid, _), = ctrzlib.processes_of(home, "qemu").items()
    return cost(pid, BIG_MIB)[1]


def give_back(home, folder):
    """Seconds from the end of a process that had written to 512 MiB until the host has them."""
    (folder / "env.yaml").write_text(f"name: back\ncontainers:\n  box:\n    image: {ctrzlib.IMAGE}\n    pull: never\n    command: [sleep, \"100000\"]\n"
                                     f"    resources: {{ memory: {BIG_MIB}MiB }}\n")
    home.run("up", "-q", cwd=folder, timeout=600)
    time.sleep(SETTLE_SECONDS)
    before = ram_mib(home)
    home.run("exec", "box", "--", "dd", "if=/dev/zero", "of=/dev/null", f"bs={FREED_MIB}M", "count=1", cwd=folder)
    ended, most, left = time.monotonic(), ram_mib(home), BIG_MIB
    took = 60
    while left > before + LEFT_MIB and time.monotonic() < ended + 60:
        time.sleep(0.05)
        left, took = ram_mib(home), time.monotonic() - ended
    home.run("down", "-q", cwd=folder)
    print(f"the guest's memory on the host: {before:.0f} MiB before, {most:.0f} MiB when the process had ended, {left:.0f} MiB after {took:.1f} s")
    if most < before + FREED_MIB / 2:
        raise figures.BenchError("the memory was back before it was looked for, or never touched")
    return figures.limit(f"{FREED_MIB} MiB freed by a guest are the host's", took, BACK_SECONDS, "s")


def run(runs):
    home = ctrzlib.Home(ctrzlib.Cache())
    home.image()
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        os.chmod(folder, 0o755)
        try:
            ok = idle(home, folder, 3 if runs < 5 else 20)
            ok &= give_back(home, folder)
        finally:
            home.end()
            ctrzlib.shutil.rmtree(home.root)
    return ok
