# SPDX-License-Identifier: MIT
"""`ctrz run --rm IMAGE true`, from a template and --cold, on Debian's kernel and on ctrz's own where it was built, beside a bare QEMU
boot of the same kernel and modules, with the same devices, to a trivial init and power-off, and beside `podman run` of the same image,
with a network and without; all to process exit."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import figures

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vm"))
import ctrzlib  # noqa: E402

COLD_GOAL = 1.25
# Of the boot of the kernel.
WARM_GOALS, SHARE_GOAL = {"Debian": 0.15, "own": 0.25}, 0.5
PODMAN_GOAL, NONE_GOAL = 0.6, 1.0
WARM_SECONDS = 1.0
# podman fails at once, and looks quick, with limits it may not raise and a runtime it does not find.
LIMITS = ["prlimit", "--nofile=1024:4096", "--nproc=4096:4096"]
# ctrz's own kernel arguments: the peer boots the same way.
ARGUMENTS = ("console=ttyS0 quiet loglevel=1 panic=-1 cryptomgr.notests rcupdate.rcu_expedited=1 random.trust_cpu=on cgroup_no_v1=all "
             "pci=noaer pcie_aspm=off tsc=reliable no_timer_check noreplace-smp "
             "clearcpuid=rep_good")


def cpio_entry(name, data, mode):
    """One newc entry; the archive that holds it is put behind the initramfs and replaces the file of that name."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)


def bare_initrd(initrd, folder, *flags):
    """The same initramfs with the trivial init in place of vminitd."""
    init = folder / "init"
    subprocess.run(["musl-gcc", "-static", "-Os", "-s", "-D_GNU_SOURCE", *flags, "-o", init, pathlib.Path(__file__).parent / "init.c"],
                   check=True)
    data = initrd.read_bytes()
    data += b"\0" * (-len(data) % 4)
    path = folder / "initrd"
    path.write_bytes(data + cpio_entry("init", init.read_bytes(), 0o100755) + cpio_entry("TRAILER!!!", b"", 0))
    return path


def bare_command(kernel, initrd, lower, upper):
    drive = "if=none,format=raw,cache.direct=off"
    return ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-machine", "q35,accel=tcg,memory-backend=ram,smbus=off,sata=off,usb=off,vmport=off,i8042=off,hpet=off", "-cpu", "max,-erms,-fsrm", "-smp", "1", "-m", "128M",
            "-object", "memory-backend-memfd,id=ram,size=128M,share=on",
            "-kernel", kernel, "-initrd", initrd, "-append", ARGUMENTS,
            "-device", "pcie-root-port,id=r0,chassis=1", "-device", "pcie-root-port,id=r1,chassis=2",
            "-device", "pcie-root-port,id=r2,chassis=3", "-device", "pcie-root-port,id=r3,chassis=4",
            "-chardev", "null,id=c0", "-device", "virtio-serial-pci,bus=r0", "-device", "virtserialport,chardev=c0,name=bare.0",
            "-drive", f"id=d0,file={lower},readonly=on,{drive}", "-device", "virtio-blk-pci,drive=d0,bus=r1",
            "-drive", f"id=d1,file={upper},{drive}", "-device", "virtio-blk-pci,drive=d1,bus=r2",
            "-netdev", "user,id=n0,restrict=on", "-device", "virtio-net-pci,netdev=n0,bus=r3,romfile=",
            "-device", "virtio-rng-pci", "-device", "virtio-balloon-pci,free-page-reporting=on"]


class Podman:
    """The same image in a store of its own, with podman's default network and with none."""

    def __init__(self, folder, layout):
        self.base = [*LIMITS, "podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs", "--root", str(folder / "podman"), "--runroot",
                     str(folder / "podman-run")]
        self.image = subprocess.run([*self.base, "pull", "-q", f"oci:{layout}"], check=True, capture_output=True, text=True).stdout.strip()

    def run(self, *options):
        return [*self.base, "run", "--rm", *options, self.image, "true"]

    def end(self):
        subprocess.run([*self.base, "system", "reset", "--force"], check=False, capture_output=True)


def own_kernel():
    """The newest kernel that `ctrz kernel build` made for this user; None if there is none."""
    named = os.environ.get("CTRZ_TEST_KERNEL")
    if named:
        return pathlib.Path(named)
    listed = json.loads(subprocess.run([ctrzlib.CTRZ, "kernel", "ls", "--json"], check=True, capture_output=True, text=True).stdout)
    paths = [pathlib.Path(k["vmlinux"]) for k in listed if k["release"].endswith("-ctrz")]
    return paths[0] if paths else None


def commands_of(home, folder, layout_disk, podman):
    """name -> (argv, environment, check) of what is timed on the default kernel of a home."""
    home.run("run", "--rm", ctrzlib.IMAGE, "true")  # makes the initramfs of this vminitd, if it is not there
    kernel, = (k for k in home.json("kernel", "ls") if k["default"])
    initrd = bare_initrd(pathlib.Path(kernel["initrd"]), folder)
    upper = folder / "upper"
    upper.unlink(missing_ok=True)
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", upper, "64M"], check=True)
    # 128 MiB and one CPU are ctrz's own defaults for nothing: they are asked for
    size = ["--memory", "128MiB", "--cpus", "1"]

    def ours(*options):
        return [ctrzlib.CTRZ, "run", "--rm", *size, *options, ctrzlib.IMAGE, "true"], home.env, None
    commands = {"warm": ours(), "cold": ours("--cold"), "share": ours("--mount", f"{folder}:/mnt:rw"), "none": ours("--network", "none"),
                "qemu": (bare_command(kernel["vmlinux"], initrd, layout_disk, upper), None, None)}
    if podman:
        commands["podman"] = (podman.run(), None, None)
        commands["podman none"] = (podman.run("--net=none"), None, None)
    return commands


def rows(kernel, took):
    """The ratios on one kernel, and seconds on both: under one."""
    boot, ok = f"boot of {kernel} kernel", True
    ok &= figures.limit(f"{kernel}: warm run of true", took["warm"], WARM_SECONDS, "s")
    ok &= figures.row(f"{kernel}: cold run of true", took["cold"], took["qemu"], boot, COLD_GOAL)
    ok &= figures.row(f"{kernel}: warm run of true", took["warm"], took["qemu"], boot, WARM_GOALS[kernel])
    ok &= figures.row(f"{kernel}: the same with a rw share", took["share"], took["qemu"], boot, SHARE_GOAL)
    if "podman" in took:
        ok &= figures.row(f"{kernel}: warm run of true", took["warm"], took["podman"], "podman run", PODMAN_GOAL)
        ok &= figures.row(f"{kernel}: the same with no network", took["none"], took["podman none"], "podman run --net=none", NONE_GOAL)
    return ok


def run_on(kernel, cache, vmlinux, podman, runs):
    home = ctrzlib.Home(cache)
    try:
        home.image()
        if vmlinux:
            home.run("kernel", "use", home.json("kernel", "install", vmlinux, timeout=300)["name"])
        with tempfile.TemporaryDirectory() as temp:
            commands = commands_of(home, pathlib.Path(temp), next(home.root.glob("**/disks/*.ext4")), podman)
            for name, (command, _, _) in commands.items():
                print(f"{name}:", *command, flush=True)
            took = {name: wall for name, (wall, _, _) in figures.medians(runs, **commands).items()}
    finally:
        home.end()
        ctrzlib.shutil.rmtree(home.root)
    for name, wall in took.items():
        print(f"{kernel} {name}: {wall.spread[0]:.3f} to {wall.spread[1]:.3f} s")
    return rows(kernel, took)


def run(runs):
    cache, vmlinux, ok = ctrzlib.Cache(), own_kernel(), True
    with tempfile.TemporaryDirectory() as temp:
        podman = Podman(pathlib.Path(temp), cache.layout()) if figures.tool("podman") and figures.tool("runc") else None
        if not podman:
            print("podman or runc is not installed: no row for them")
        try:
            ok &= run_on("Debian", cache, None, podman, runs)
            if vmlinux:
                ok &= run_on("own", cache, vmlinux, podman, runs)
            else:
                print("no kernel of ctrz's own is here (./dev kernel): no row for it")
        finally:
            if podman:
                podman.end()
    return ok
