# SPDX-License-Identifier: MIT
"""`ctrz run --rm IMAGE true`, from a template and --cold, beside a bare QEMU boot of the same kernel and modules, with the same
devices, to a trivial init and power-off, and beside `podman run` of the same image; all to process exit."""
import pathlib
import subprocess
import sys
import tempfile

import figures

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vm"))
import ctrzlib  # noqa: E402

COLD_GOAL = 1.25
# Of the boot of Debian's kernel.
WARM_GOAL, SHARE_GOAL = 0.15, 0.5
PODMAN_GOAL = 0.6
# podman fails at once, and looks quick, with limits it may not raise and a runtime it does not find.
LIMITS = ["prlimit", "--nofile=1024:4096", "--nproc=4096:4096"]
# ctrz's own kernel arguments: the peer boots the same way.
ARGUMENTS = ("console=ttyS0 quiet loglevel=1 panic=-1 cryptomgr.notests rcupdate.rcu_expedited=1 random.trust_cpu=on cgroup_no_v1=all "
             "pci=noaer pcie_aspm=off tsc=reliable no_timer_check noreplace-smp")


def cpio_entry(name, data, mode):
    """One newc entry; the archive that holds it is put behind the initramfs and replaces the file of that name."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)


def bare_initrd(initrd, folder):
    """The same initramfs with the trivial init in place of vminitd."""
    init = folder / "init"
    subprocess.run(["musl-gcc", "-static", "-Os", "-s", "-D_GNU_SOURCE", "-o", init, pathlib.Path(__file__).parent / "init.c"],
                   check=True)
    data = initrd.read_bytes()
    data += b"\0" * (-len(data) % 4)
    path = folder / "initrd"
    path.write_bytes(data + cpio_entry("init", init.read_bytes(), 0o100755) + cpio_entry("TRAILER!!!", b"", 0))
    return path


def bare_command(kernel, initrd, lower, upper):
    drive = "if=none,format=raw,cache.direct=off"
    return ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-machine", "q35,accel=tcg,memory-backend=ram,smbus=off,sata=off,usb=off,vmport=off,i8042=off,hpet=off", "-cpu", "max", "-smp", "1", "-m", "128M",
            "-object", "memory-backend-memfd,id=ram,size=128M,share=on",
            "-kernel", kernel, "-initrd", initrd, "-append", ARGUMENTS,
            "-device", "pcie-root-port,id=r0,chassis=1", "-device", "pcie-root-port,id=r1,chassis=2",
            "-device", "pcie-root-port,id=r2,chassis=3", "-device", "pcie-root-port,id=r3,chassis=4",
            "-chardev", "null,id=c0", "-device", "virtio-serial-pci,bus=r0", "-device", "virtserialport,chardev=c0,name=bare.0",
            "-drive", f"id=d0,file={lower},readonly=on,{drive}", "-device", "virtio-blk-pci,drive=d0,bus=r1",
            "-drive", f"id=d1,file={upper},{drive}", "-device", "virtio-blk-pci,drive=d1,bus=r2",
            "-netdev", "user,id=n0,restrict=on", "-device", "virtio-net-pci,netdev=n0,bus=r3,romfile=",
            "-device", "virtio-rng-pci", "-device", "virtio-balloon-pci,free-page-reporting=on"]


def podman_command(folder, layout):
    """The same image in a store of its own. It is started with its default network, as ours has one too."""
    podman = [*LIMITS, "podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs", "--root", str(folder / "podman"), "--runroot",
              str(folder / "podman-run")]
    image = subprocess.run([*podman, "pull", "-q", f"oci:{layout}"], check=True, capture_output=True, text=True).stdout.strip()
    return podman, [*podman, "run", "--rm", image, "true"]


def run(runs):
    cache = ctrzlib.Cache()
    home = ctrzlib.Home(cache)
    home.image()
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        kernel = next(home.root.glob("**/kernels/*/vmlinux"))
        initrd = bare_initrd(next(home.root.glob("**/kernels/*/initrd*")), folder)
        disk = next(home.root.glob("**/disks/*.ext4"))
        upper = folder / "upper"
        subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", upper, "64M"], check=True)
        # 128 MiB and one CPU are ctrz's own defaults for nothing: they are asked for
        size = ["--memory", "128MiB", "--cpus", "1"]
        warm = [ctrzlib.CTRZ, "run", "--rm", *size, ctrzlib.IMAGE, "true"]
        cold = [ctrzlib.CTRZ, "run", "--rm", "--cold", *size, ctrzlib.IMAGE, "true"]
        share = [ctrzlib.CTRZ, "run", "--rm", *size, "--mount", f"{folder}:/mnt:rw", ctrzlib.IMAGE, "true"]
        bare = bare_command(kernel, initrd, disk, upper)
        commands = {"warm": (warm, home.env, None), "cold": (cold, home.env, None), "share": (share, home.env, None),
                    "qemu": (bare, None, None)}
        podman = None
        if figures.tool("podman") and figures.tool("runc"):
            podman, command = podman_command(folder, cache.layout())
            commands["podman"] = (command, None, None)
        result = figures.medians(runs, **commands)
        for name, (command, _, _) in commands.items():
            print(f"{name}:", *command)
        took = {name: wall for name, (wall, _, _) in result.items()}
        ok = figures.row("cold run of true, exec to exit", took["cold"], took["qemu"], "bare QEMU boot", COLD_GOAL)
        ok &= figures.row("warm run of true", took["warm"], took["qemu"], "bare QEMU boot", WARM_GOAL)
        ok &= figures.row("the same with a rw share", took["share"], took["qemu"], "bare QEMU boot", SHARE_GOAL)
        if podman:
            ok &= figures.row("warm run of true", took["warm"], took["podman"], "podman run", PODMAN_GOAL)
            subprocess.run([*podman, "system", "reset", "--force"], check=False, capture_output=True)
        else:
            print("podman or runc is not installed: no row for them")
    home.end()
    ctrzlib.shutil.rmtree(home.root)
    return ok
