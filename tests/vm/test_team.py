# SPDX-License-Identifier: MIT
"""A team's story: one writes a spec and its lock and pushes them, another brings it up from there, on real servers and machines."""
import hashlib
import json
import pathlib
import re
import shutil
import sys

import ctrzlib
from registry import Registry

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
from gitlib import HttpsServer, Repo, make_ca  # noqa: E402

SPEC = """name: shop
containers:
  app:
    image: {image}
    command: [sh, -c, "echo {said}; exec sleep 1000000"]
{more}"""


def other_image(layout, path):
    """The same image under another digest."""
    shutil.copytree(layout, path)
    index = json.loads((path / "index.json").read_text())
    [entry] = index["manifests"]
    blobs = path / "blobs" / "sha256"
    manifest = json.loads((blobs / entry["digest"].split(":")[1]).read_text())
    manifest["annotations"] = {"org.example.build": "2"}
    text = json.dumps(manifest).encode()
    digest = hashlib.sha256(text).hexdigest()
    (blobs / digest).write_bytes(text)
    entry.update(digest=f"sha256:{digest}", size=len(text))
    (path / "index.json").write_text(json.dumps(index))
    return path


def ask(home, url, *more):
    """What up says to somebody who cannot answer: what is new, and the option that agrees to it."""
    r = ctrzlib.run([ctrzlib.CTRZ, "up", *more, url], env=home.env)
    assert r.code == ctrzlib.TRUST_NEEDED, r
    return re.search("nobody agreed to yet: (.*); to agree", r.err)[1], ctrzlib.trust_option(r)


def boot_of(home):
    return home.run("exec", "app", "cat", "/proc/sys/kernel/random/boot_id").out


def test_a_spec_and_its_lock_from_a_server(home, cache, tmp_path):
    ca, pem = make_ca(tmp_path)
    repo = Repo(tmp_path)
    server = HttpsServer(repo.bare.parent, pem)
    url = server.url(rest="#main")
    port = ctrzlib.free_port()
    config = home.root / "config" / "config.yaml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(f"sources: {{ ca: {ca} }}\n")
    with Registry(tmp_path / "registry") as registry:
        registry.push(f"oci:{cache.layout()}:{ctrzlib.IMAGE}", "app:1")
        image = f"{registry.host}/app:1"
        author = ctrzlib.Home(cache, with_kernel=False)
        try:
            spec = repo.work / "env.yaml"
            spec.write_text(SPEC.format(image=image, said="one", more=""))
            assert "+ image" in author.run("lock", spec).out
            assert author.run("validate", "--locked", spec).out.endswith("OK\n")
        finally:
            shutil.rmtree(author.root)
        [locked] = re.findall("linux/amd64: (sha256:[0-9a-f]{64})", (repo.work / "env.lock").read_text())
        first = repo.commit()
        registry.push(f"oci:{other_image(cache.layout(), tmp_path / 'other')}", "app:1")

        reach, option = ask(home, url)
        assert reach == f"source {url.split('#')[0]}" and not (home.root / "data" / "src").exists()
        assert "shop: up (1 container" in home.run("up", "--locked", option, url).out
        [c] = home.json("inspect")
        assert c["image_digest"] == locked, "the tag has moved since, the lock has not"
    # From here on there is no registry any more, and nobody needs one.
    assert "up to date" in home.run("up", url).out
    boot = boot_of(home)
    second = repo.commit({"env.yaml": SPEC.format(image=image, said="two", more=f"    ports: [\"0.0.0.0:{port}:80\"]\n")})
    r = home.run("plan", url)
    assert f"main moved 1 commit on, to {second[:7]}" in r.err and "No changes" in r.out and first[:7] not in r.err
    r = home.run("plan", "--update", url)
    assert "ports" in r.out and "\nPlan: 1 process." in r.out, "nothing is rebooted or replaced: " + r.out
    reach, option = ask(home, url, "--update")
    assert reach == f"port 0.0.0.0:{port}/tcp", "only what grew"
    home.run("up", "--update", option, url)
    ctrzlib.wait_until("the new command has spoken", lambda: "two" in home.run("logs", "app").out)
    assert boot_of(home) == boot, "the machine was not started again"
    server.close()
    home.run("down", "-e", "shop")
