# SPDX-License-Identifier: MIT
"""The three example environments: brought up as they stand, worked in, and changed."""
import json
import shutil
import subprocess
import urllib.request

import ctrzlib

SLOW = 180  # an interpreter or a database starting up in an emulated machine


def checkout(project, name):
    """A copy of an example to change things in."""
    shutil.copytree(ctrzlib.ROOT / "examples" / name, project.path / name)
    return project.path / name


def load_image(home, name, reference):
    """Make an image once, from Debian's packages, and load it."""
    make = ctrzlib.ROOT / "examples" / "make-images"
    recipe = ctrzlib.digest_of([make, make.with_name("debian_image.py"), make.with_name("make-image"),
                                make.with_name("node") / "package-lock.json"])
    layout = home.cache.once(f"{name}-{recipe}", lambda path: subprocess.run([str(make), "--layout", str(path), name], check=True))
    home.run("image", "load", f"oci:{layout}", reference)


def ask(port, path="/", data=None):
    """The body of an answer, or None while there is none."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as r:
            return r.read().decode()
    except OSError:
        return None


def page_with(port, text, path="/"):
    return ctrzlib.wait_until(f"{path} has {text!r}", lambda: text in (ask(port, path) or ""), SLOW)


def test_node_with_packages_from_npm(home, project):
    load_image(home, "node", "localhost/ctrz-node:18")
    folder = checkout(project, "node")
    port = ctrzlib.free_port()
    env = dict(home.env, NODE_PORT=str(port))
    spec = str(folder / "env.yaml")
    home.run("up", spec, env=env)
    page_with(port, "<strong>app/notes.md</strong>")  # rendered by a package
    (folder / "app" / "notes.md").write_text("## Seen *at once*\n")
    page_with(port, "Seen <em>at once</em>")

    # a file of the host that the container was given, and the code
    (folder / "settings.json").write_text('{ "title": "Changed" }\n')
    plan = home.run("plan", spec, env=env).out
    assert "files[settings.json].content" in plan and "1 to" not in plan, plan
    server = folder / "app" / "server.js"
    server.write_text(server.read_text().replace("greeting: 'hello'", "greeting: 'good evening'"))
    home.run("up", spec, env=env)
    page_with(port, "good evening", "/api/greeting")
    assert json.loads(ask(port, "/api/greeting"))["title"] == "Changed"
    assert home.run("exec", "-e", "node", "app", "--", "node", "-e",
                    "console.log(require('express/package.json').version[0])").out == "4\n"
    assert "up to date" in home.run("up", spec, env=env).out
    home.run("down", "-e", "node")


def test_python_restarts_what_was_edited_and_runs_its_tests(home, project):
    load_image(home, "python", "localhost/ctrz-python:12")
    folder = checkout(project, "python")
    port = ctrzlib.free_port()
    env = dict(home.env, PYTHON_PORT=str(port))
    home.run("up", str(folder / "env.yaml"), env=env)
    ctrzlib.wait_until("the counter answers", lambda: ask(port), SLOW)
    assert json.loads(ask(port, data=b"one Two one")) == {"one": 2, "two": 1}
    tests = ("exec", "-e", "python", "app", "--", "python3", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert "2 passed" in home.run(*tests, timeout=SLOW).out

    code = folder / "app" / "counter.py"
    code.write_text(code.read_text().replace("text.lower().split()", "text.split()"))
    ctrzlib.wait_until("the edited code runs", lambda: json.loads(ask(port) or "{}").get("Two") == 1, SLOW)
    broken = home.try_run(*tests, timeout=SLOW)
    assert broken.code == 1 and "1 failed" in broken.out, broken
    home.run("down", "-e", "python")


def test_shop_keeps_its_products(home, project):
    load_image(home, "python", "localhost/ctrz-python:12")
    load_image(home, "postgres", "localhost/ctrz-postgres:15")
    folder = checkout(project, "shop")
    port = ctrzlib.free_port()
    env = dict(home.env, SHOP_PORT=str(port))
    spec = str(folder / "env.yaml")
    home.run("up", spec, env=env)
    page_with(port, '"products"')
    assert "tea" in ask(port, data=b'{"name": "tea", "price": 3}')
    rows = home.run("exec", "-e", "shop", "db", "--", "psql", "-h", "/tmp", "-U", "shop", "-Atc", "SELECT name, price FROM products",
                    "shop").out
    assert rows == "tea|3\n"
    # over the network only the password lets one in, and that network has no way out
    refused = home.try_run("exec", "-e", "shop", "db", "--", "psql", "-w", "-h", "postgres", "-U", "shop", "shop")
    assert "no password supplied" in refused.err, refused
    assert home.try_run("exec", "-e", "shop", "db", "--", "sh", "-c", "ip route | grep default").code != 0

    # the database gets more memory; what is in it stays, and the page shows changed code
    text = (folder / "env.yaml").read_text()
    (folder / "env.yaml").write_text(text.replace("memory: 384MiB }\n    stop", "memory: 448MiB }\n    stop"))
    code = folder / "web" / "shop.py"
    code.write_text(code.read_text().replace('"price": price}', '"price": price, "currency": "EUR"}'))
    before = {c["name"]: c["pid"] for c in home.json("ps", "-e", "shop")}
    home.run("up", spec, env=env)
    after = {c["name"]: c["pid"] for c in home.json("ps", "-e", "shop")}
    assert after["web"] == before["web"]
    page_with(port, '"EUR"')
    assert json.loads(ask(port))["products"] == [{"currency": "EUR", "name": "tea", "price": 3}]
    # all of it goes but the data
    home.run("down", "-e", "shop")
    home.run("up", spec, env=env)
    page_with(port, '"tea"')
    home.run("down", "-e", "shop")
