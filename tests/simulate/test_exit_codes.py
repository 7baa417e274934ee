# SPDX-License-Identifier: MIT
"""Every exit code of ctrz(1), each by a command that ends with it; one that is documented without a case fails here."""
import fcntl
import pathlib
import re
import signal
import subprocess
import time

from test_apply import CTRZ, home  # noqa: F401  pylint: disable=unused-import

MANUAL = pathlib.Path(__file__).resolve().parents[2] / "docs" / "man" / "ctrz.1.scd"


def lines_of_manual():
    """Code -> what the manual says of it."""
    table = MANUAL.read_text().split("# EXIT CODES\n")[1].split("\n# ")[0]
    return dict(re.findall(r"\*([^*]+)\*\n:<? *(.*)", table))


def done(home):
    return home.run("ls", code=None).returncode


def failed(home):
    home.write(1, c0000={"image": "example.org/broken:1"})
    return home.run("up", code=None).returncode


def changes(home):
    home.write(1)
    return home.run("plan", "--detailed-exitcode", code=None).returncode


def errors_in_the_file(home):
    home.spec.write_text("containers: [a]\n")
    return home.run("validate", code=None).returncode


def not_found(home):
    return home.run("logs", "-e", "nothing", code=None).returncode


def locked(home):
    home.write(1)
    home.run("up")
    [lock] = home.root.glob("state/envs/*/lock")
    with open(lock, "r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        return home.run("up", "--lock-timeout", "0s", code=None).returncode


def reaches_more(home):
    (home.path / "rw").mkdir()
    home.write(1, c0000={"mounts": '["./rw:/rw:rw", "/usr/share:/out"]'})
    r = subprocess.run([CTRZ, "up"], cwd=home.path, env=home.env, text=True, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    assert "--trust=" in r.stderr
    return r.returncode


def unexpected_changes(home):
    home.write(1)
    return home.run("plan", "--expect-no-changes", code=None).returncode


def wrong_usage(home):
    return home.run("plna", code=None).returncode


def ran(home, *command, name="c0000"):
    home.write(1)
    home.run("up")
    assert home.run("exec", "c0000", "--", "exit", "7", code=None).returncode == 7, "the command's own"
    return home.run("exec", name, "--", *command, code=None).returncode


def interrupted(home):
    """After the first of many has come up."""
    home.write(60)
    shown = home.run("up", "--dry-run", code=None)
    agreed = re.findall("--trust=[0-9a-f]+", shown.stderr)
    with subprocess.Popen([CTRZ, "up", "-q", "--parallel", "1", *agreed], cwd=home.path, env=home.env, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as up:
        while up.poll() is None and not any(home.root.rglob("running")):
            time.sleep(0.01)
        up.send_signal(signal.SIGINT)
        said = up.communicate(timeout=120)[1]
    assert "interrupted; go on with: ctrz up" in said, said
    assert home.run("up").stdout.startswith("scale: "), "and it goes on"
    return up.returncode


CASES = {
    "0": (done, 0),
    "1": (failed, 1),
    "2": (changes, 2),
    "3": (errors_in_the_file, 3),
    "4": (not_found, 4),
    "5": (locked, 5),
    "6": (reaches_more, 6),
    "7": (unexpected_changes, 7),
    "64": (wrong_usage, 64),
    "125": (lambda home: ran(home, "exit", "0", name="nobody"), 125),
    "126": (lambda home: ran(home, "/etc/passwd"), 126),
    "127": (lambda home: ran(home, "no-such-program"), 127),
    "128+N": (lambda home: ran(home, "killed", "15"), 128 + 15),
    "130": (interrupted, 130),
}


def pytest_generate_tests(metafunc):
    if "code" in metafunc.fixturenames:
        metafunc.parametrize("code", lines_of_manual())


def test_a_command_ends_with_each_code_of_the_manual(home, code):
    assert code in CASES, f"ctrz(1) documents {code} ({lines_of_manual()[code]}) and no case provokes it"
    provoke, expected = CASES[code]
    assert provoke(home) == expected


def test_each_case_is_in_the_manual():
    assert set(CASES) == set(lines_of_manual())
