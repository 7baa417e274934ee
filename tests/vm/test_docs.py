# SPDX-License-Identifier: MIT
"""The manual says all there is: every command and every key, in pages that format without an error."""
import subprocess

import ctrzlib


def test_manual_pages(tmp_path):
    r = ctrzlib.run([ctrzlib.ROOT / "docs" / "man" / "build", ctrzlib.CTRZ, tmp_path])
    assert r.code == 0, r
    for name in ("ctrz.1", "env.yaml.5", "env.lock.5", "ctrz-config.5", "ctrz-protocol.7", "vminitd.8"):
        r = ctrzlib.run(["mandoc", "-Tlint", "-W", "error", tmp_path / name])
        assert r.code == 0, r
    help_text = subprocess.run([ctrzlib.CTRZ, "help"], capture_output=True, text=True, check=True).stdout
    commands = [line.split()[0] for line in help_text.splitlines() if line.startswith("  ") and line.strip()]
    page = (tmp_path / "ctrz.1").read_text()
    assert len(commands) > 15
    for command in ("up", "plan", "down", "ps", "logs", "exec", "run", "validate", "doctor"):
        assert command in commands
        assert f"ctrz {command}" in page
    page = (tmp_path / "env.yaml.5").read_text().replace("\\", "")
    for key in ("name", "containers", "image", "pull", "command", "env", "working_dir", "user", "mounts", "ports", "resources",
                "memory", "depends_on", "restart", "networks", "secrets", "volumes"):
        assert f"{key}" in page, key


def test_completion_scripts_parse(tmp_path):
    r = ctrzlib.run([ctrzlib.CTRZ, "completion", "bash"])
    assert r.code == 0
    script = tmp_path / "ctrz.bash"
    script.write_text(r.out)
    assert ctrzlib.run(["bash", "-n", script]).code == 0
    for shell in ("zsh", "fish"):
        assert "doctor" in ctrzlib.run([ctrzlib.CTRZ, "completion", shell]).out
    assert ctrzlib.run([ctrzlib.CTRZ, "completion", "tcsh"]).code == 64
