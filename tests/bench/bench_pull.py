# SPDX-License-Identifier: MIT
"""`ctrz image pull` from a registry on loopback to a bootable disk beside `podman pull` of the same image, both into empty stores;
and `ctrz image pull` once more, of a tag that has not changed."""
import gzip
import hashlib
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import figures

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
import ocilib  # noqa: E402

CTRZ = os.environ.get("CTRZ_BIN") or str(ROOT / "build" / "ctrz")
GOAL, AGAIN_SECONDS = 0.3, 0.05
# Programs and headers of this host: many files, large and small, that compress as programs do.
FOLDERS = ["usr/bin", "usr/include"]


def make_layout(folder):
    """An OCI layout of two layers: busybox and a good part of this host."""
    image = ocilib.Image([ocilib.busybox_tar()])
    plain = subprocess.run(["tar", "c", "--sort=name", "-C", "/", *FOLDERS], check=True, capture_output=True).stdout
    packed = gzip.compress(plain, 1, mtime=0)
    image.layers.append(image.blob(packed, ocilib.LAYER + "+gzip"))
    image.config["rootfs"]["diff_ids"].append("sha256:" + hashlib.sha256(plain).hexdigest())
    image.manifest["config"] = image.blob(ocilib.json.dumps(image.config).encode(), ocilib.CONFIG)
    image.manifest_bytes = ocilib.json.dumps(image.manifest).encode()
    image.digest = ocilib.digest(image.manifest_bytes)
    print(f"image: {len(plain) >> 20} MiB, {len(packed) >> 20} MiB compressed")
    return ocilib.write_layout(folder, {"bench": image})


def home_of(folder):
    home = pathlib.Path(tempfile.mkdtemp(dir=folder))
    return home, dict(os.environ, CTRZ_HOME=str(home / "h"))


def ours_once(folder, name):
    """Seconds of a pull into an empty store, and of one more that changes nothing."""
    home, env = home_of(folder)
    argv = [CTRZ, "image", "pull", "-q", name]
    first, cpu, _ = figures.once(argv, env=env)
    again, _, _ = figures.once(argv, env=env)
    disks = list(home.glob("**/disks/*.ext4"))
    if len(disks) != 1:
        raise figures.BenchError(f"{len(disks)} disks were built")
    shutil.rmtree(home)
    return first, cpu, again, argv


# podman fails at once, and looks quick, with limits it may not raise and a runtime it does not find.
LIMITS = ["prlimit", "--nofile=1024:4096", "--nproc=4096:4096"]


def podman_once(folder, name):
    root = pathlib.Path(tempfile.mkdtemp(dir=folder))
    podman = [*LIMITS, "podman", "--runtime", "runc", "--root", root / "root", "--runroot", root / "run"]
    argv = [*podman, "pull", "-q", "--tls-verify=false", name]
    wall, cpu, _ = figures.once(argv, check=lambda out: len(out.split()) == 1)
    figures.once([*podman, "images", "-q", name], check=lambda out: len(out.split()) == 1)
    subprocess.run([*map(str, podman), "system", "reset", "--force"], check=False, capture_output=True)
    shutil.rmtree(root, ignore_errors=True)
    return wall, cpu, argv


def peaks(folder, name):
    """Peak MiB of a pull, ours and podman's."""
    home, env = home_of(folder)
    ours = figures.peak([CTRZ, "image", "pull", "-q", name], env=env)
    shutil.rmtree(home)
    root = pathlib.Path(tempfile.mkdtemp(dir=folder))
    podman = [*LIMITS, "podman", "--runtime", "runc", "--root", root / "root", "--runroot", root / "run"]
    theirs = figures.peak([*podman, "pull", "-q", "--tls-verify=false", name])
    subprocess.run([*map(str, podman), "system", "reset", "--force"], check=False, capture_output=True)
    shutil.rmtree(root, ignore_errors=True)
    return ours, theirs


def run(runs):
    ok = True
    with tempfile.TemporaryDirectory(prefix="cb", dir="/tmp") as temp, ocilib.Registry(pathlib.Path(temp) / "r") as registry:
        layout = make_layout(pathlib.Path(temp) / "layout")
        registry.push(layout, "bench", "bench/image:1")
        name = f"{registry.host}/bench/image:1"
        seen = [(ours_once(temp, name), podman_once(temp, name)) for _ in range(runs)]
        print("ours:", *seen[0][0][3])
        print("peer:", *seen[0][1][2])
        ours = statistics.median(o[0] for o, _ in seen)
        print(f"load {os.getloadavg()[0]:.1f}")
        ok = figures.row("pull to bootable, empty store", ours, statistics.median(p[0] for _, p in seen), "podman pull", GOAL)
        ok = figures.row("the same, CPU", statistics.median(o[1] for o, _ in seen), statistics.median(p[1] for _, p in seen),
                         "podman pull", GOAL) and ok
        again = statistics.median(o[2] for o, _ in seen)
        ours_peak, peer_peak = peaks(temp, name)
        ok = figures.row("the same, peak memory", ours_peak, peer_peak, "podman pull", 1, "MiB") and ok
        ok = figures.limit("pull of an unchanged tag", again * 1000, AGAIN_SECONDS * 1000, "ms") and ok
    return ok


if __name__ == "__main__":
    sys.exit(0 if run(int(sys.argv[1]) if len(sys.argv) > 1 else 5) else 1)
