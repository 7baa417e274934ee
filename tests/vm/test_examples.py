# SPDX-License-Identifier: MIT
"""The examples run as they stand."""
import shutil

import ctrzlib


def copy_of_examples(project):
    shutil.copytree(ctrzlib.ROOT / "examples", project.path / "examples")
    return project.path / "examples"


def test_hello_serves_the_shared_folder(home, project):
    folder = copy_of_examples(project)
    port = ctrzlib.free_port()
    spec = folder / "hello.yaml"
    spec.write_text(spec.read_text().replace("8080:80", f"{port}:80"))
    home.image()
    up = home.run("up", str(spec))
    assert "http://127.0.0.1:" in up.out + up.err  # its message
    assert "Hello from a virtual machine" in ctrzlib.http_get(port)
    (folder / "site" / "new.html").write_text("made later")
    assert ctrzlib.http_get(port, "/new.html") == "made later"
    home.run("down", "-e", "hello")


def test_pair_talks_by_name(home, project):
    folder = copy_of_examples(project)
    home.image()
    home.run("up", str(folder / "pair.yaml"))
    ctrzlib.wait_until("the client has read the server's page",
                       lambda: "hello from server" in home.run("logs", "-e", "pair", "client").out)
    home.run("down", "-e", "pair")
