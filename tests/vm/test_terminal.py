# SPDX-License-Identifier: MIT
"""A real terminal (tmux): full-screen programs, keys, sizes, leaving, and how the terminal is left behind."""
import os
import re
import shlex
import signal
import subprocess

import ctrzlib
import pytest

INSIDE = r"^box>\n*\Z"  # its prompt is the last thing on the screen

SPEC = """
name: term
containers:
  box:
    image: {image}
    pull: never
    command: [sh]
    tty: true
    stdin: true
    resources: {{ memory: 128MiB }}
  pipe:
    image: {image}
    pull: never
    command: [sh, -c, "echo ready; while read -r x; do echo got $x; done; echo over; sleep 100000"]
    stdin: true
    resources: {{ memory: 128MiB }}
"""


class Terminal:
    """A tmux server of its own with one window."""

    def __init__(self, folder, env):
        self.socket = str(folder / "tmux")
        self.env = dict(env, TERM="xterm", LC_ALL="C.UTF-8")
        self.env.pop("TMUX", None)
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "env PS1='host> ' sh -i")
        try:
            self.sees(r"^host>\n*\Z")
        except AssertionError:
            self.end()
            raise

    def tmux(self, *args):
        r = ctrzlib.run(["tmux", "-S", self.socket, *args], env=self.env)
        assert r.code == 0, r
        return r.out

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def says(self, text):
        self.tmux("send-keys", "-l", text)
        self.keys("Enter")

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def sees(self, pattern, seconds=90):
        """Wait until the screen matches; the match."""
        found = None

        def look():
            nonlocal found
            found = re.search(pattern, self.screen(), re.MULTILINE)
            return found
        try:
            ctrzlib.wait_until(f"the terminal shows {pattern!r}", look, seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.screen()}") from None
        return found

    def clear(self):
        """A clean screen with a new prompt."""
        self.tmux("send-keys", "-R")
        self.tmux("clear-history")
        self.keys("Enter")
        self.sees(r"^host>\n*\Z")

    def modes(self):
        """The modes of the terminal, told by the host's own stty in another process."""
        tty = self.tmux("display-message", "-p", "#{pane_tty}").strip()
        return ctrzlib.run(["stty", "-F", tty, "-a"]).out

    def is_raw(self):
        """Wait until somebody reads every key."""
        try:
            ctrzlib.wait_until("the terminal is raw", lambda: "-icanon" in self.modes(), 90)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.screen()}") from None

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))
        ctrzlib.wait_until("tmux has resized its terminal", lambda: f"rows {rows}; columns {columns};" in self.modes())

    def end(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], env=self.env, capture_output=True, check=False)


@pytest.fixture
def terminal(home, tmp_path):
    t = Terminal(tmp_path, home.env)
    yield t
    t.end()


def row(home, name):
    return next(c for c in home.json("ps", "-e", "term") if c["name"] == name)


def full_screen(t):
    """vi and top draw right, and follow the window."""
    t.says("vi /tmp/note")
    t.sees(r"^~\n")
    assert len(re.findall("^~$", t.screen(), re.MULTILINE)) == 22
    t.keys("i")
    t.says("first line")
    t.says("second line")
    t.sees(r"\Afirst line\nsecond line\n")
    t.keys("Escape")
    t.sees(r"^- /tmp/note")  # an Escape with more behind it would be one key
    t.resize(100, 30)
    t.keys("C-l")
    t.sees(r"(^~\n){26}")
    t.resize(80, 24)
    t.says(":wq")
    t.sees(INSIDE)
    t.says("cat /tmp/note")
    t.sees(r"first line\nsecond line\n")
    t.says("top -d 1")
    t.sees(r"\AMem: .*used.*\n(.*\n)*.*PID\s+PPID USER")
    t.keys("q")
    t.sees(INSIDE)


def keys_for_the_guest(t, home):
    """Ctrl-C, Ctrl-Z, Ctrl-D and Ctrl-\\ belong to the guest."""
    def begins(command):
        """A key that comes before it runs is the shell's, which reads keys as they are."""
        t.says(command)
        ctrzlib.wait_until(f"{command} runs", lambda: command in home.run("exec", "-e", "term", "box", "--", "ps").out)
    begins("sleep 1000")
    t.keys("C-c")
    t.says("echo code-$?")
    t.sees("code-130")
    begins("sleep 2000")
    t.keys("C-z")
    t.sees(r"Stopped\s+sleep 2000")
    t.says("kill %1; fg; echo code-$?")
    t.sees("code-143")
    t.says("cat > /tmp/typed")
    t.says("typed")
    t.keys("C-d")
    t.says("cat /tmp/typed; tty")
    t.sees("^typed\n/dev/pts/")
    t.says("stty -echo; stty size; stty echo")
    t.sees("^24 80$")
    t.resize(91, 31)
    ctrzlib.wait_until("the new size is inside", lambda: t.says("stty size") or "31 91" in t.screen())
    t.resize(80, 24)


def test_a_real_terminal(home, project, terminal):
    t = terminal
    project.write(SPEC.format(image=home.image()))
    home.run("up", cwd=project.path, timeout=300)
    ctrz = f"{shlex.quote(ctrzlib.CTRZ)} "
    cooked = t.modes()
    assert " icanon" in cooked and " echo " in cooked
    t.says(ctrz + "exec -t -i --env PS1='box> ' -e term box sh")
    t.sees(INSIDE)
    assert "-icanon" in t.modes()
    full_screen(t)
    keys_for_the_guest(t, home)

    # Ctrl-P alone belongs to the shell; with Ctrl-Q behind it the shell is left, and goes on.
    t.says("sleep 3456 & echo pid-$!")
    t.sees(r"pid-\d+")
    t.keys("C-p", "C-a")
    t.keys("C-k")
    t.keys("C-p", "C-q")
    t.sees("left 'box'; the process goes on\nhost>\n*\\Z")
    assert t.modes() == cooked
    assert "sleep 3456" in home.run("exec", "-e", "term", "box", "--", "ps").out

    # So does what prints all the time: the last word of a client counts, though nothing can be sent to it any more.
    t.says(ctrz + "exec -t -i -e term box sh -c 'echo $$ > /tmp/busy; while :; do echo busy; done'")
    t.is_raw()
    t.sees("busy\nbusy\n")
    t.keys("C-p", "C-q")
    t.sees("left 'box'; the process goes on\nhost>\n*\\Z")
    assert "do echo busy" in home.run("exec", "-e", "term", "box", "--", "ps").out
    home.run("exec", "-e", "term", "box", "--", "sh", "-c", "kill $(cat /tmp/busy)")

    # The end of the shell is the end of the command, with its code.
    t.says(ctrz + "exec -t -i --env PS1='box> ' -e term box sh; echo code-$?")
    t.sees(INSIDE)
    t.says("exit 5")
    t.sees("code-5\nhost>\n*\\Z")
    t.says(ctrz + "exec -t -i --detach-keys none --env PS1='box> ' -e term box sh; echo code-$?")
    t.sees(INSIDE)
    t.keys("C-p", "C-q", "C-c")
    t.sees(r"\^C\nbox>\n*\Z")
    t.keys("C-d")
    t.sees("code-130\nhost>\n*\\Z")
    assert t.modes() == cooked

    # A stop from outside gives the terminal back; it is taken again afterwards.
    t.says(ctrz + "exec -t -i --env PS1='box> ' -e term box sh")
    t.sees(INSIDE)
    client = next(p for p in ctrzlib.processes_of(home, "ctrz").values() if "exec -t" in p.command and p.name == "ctrz")
    os.kill(client.pid, signal.SIGTSTP)
    t.sees(r"(?i)stopped(.*\n)*host>\n*\Z")
    assert t.modes() == cooked
    t.says("fg")
    t.is_raw()
    t.says("echo again-$((6*7))")
    t.sees("again-42")
    t.says("exit")
    t.sees(r"host>\n*\Z")

    # The container's own terminal: joined with its size, left, joined again, one at a time.
    t.clear()
    t.says(ctrz + "attach -e term box; echo code-$?")
    t.is_raw()
    t.says("stty size; tty; echo mark-$((40+2)); X=kept")
    t.sees("24 80\n/dev/pts/0\nmark-42")
    busy = home.fail("attach", "-e", "term", "box", code=125)
    assert "somebody is attached already" in busy.err
    t.keys("C-p", "C-q")
    t.sees("left 'box'; the process goes on\ncode-0\nhost>\n*\\Z")
    assert t.modes() == cooked
    assert "mark-42" in home.run("logs", "-e", "term", "box").out
    t.clear()
    t.says(ctrz + "attach --detach-keys ctrl-x,q -e term box; echo code-$?")
    t.is_raw()
    t.says("echo $X-$((1+1))")
    t.sees("kept-2")
    t.keys("C-x", "q")
    t.sees("code-0\nhost>\n*\\Z")

    # Without a terminal: pipes. Their end leaves the process's input open.
    a = home.popen("attach", "-e", "term", "pipe", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    a.stdin.write(b"one\ntwo\n")
    a.stdin.close()
    assert [a.stdout.readline() for _ in range(2)] == [b"got one\n", b"got two\n"]
    a.send_signal(signal.SIGINT)
    assert a.wait(60) == -signal.SIGINT
    a.stdout.close()
    assert "over" not in home.run("logs", "-e", "term", "pipe").out
    assert row(home, "pipe")["status"] == "running"

    # Bytes of any kind and their end go through as they are, both ways at once.
    data = os.urandom(3 << 20)
    echo = subprocess.run([ctrzlib.CTRZ, "exec", "-i", "-e", "term", "box", "--", "sh", "-c", "cat; echo over >&2"], input=data,
                          env=home.env, capture_output=True, timeout=300, check=True)
    assert echo.stdout == data and echo.stderr == b"over\n"

    # Whatever dies at the other end, the terminal is as it was.
    t.clear()
    t.says(ctrz + "exec -t -i --env PS1='box> ' -e term pipe sh; echo code-$?")
    t.sees(INSIDE)
    os.kill(row(home, "pipe")["keeper_pid"], signal.SIGKILL)
    t.sees("the machine went away(.*\n)+code-125\nhost>\n*\\Z")
    assert t.modes() == cooked
    t.clear()
    t.says(ctrz + "attach -e term box; echo code-$?")
    t.is_raw()
    os.kill(row(home, "box")["pid"], signal.SIGKILL)
    t.sees("code-125\nhost>\n*\\Z")
    assert t.modes() == cooked
