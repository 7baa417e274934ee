# SPDX-License-Identifier: MIT
"""Specs in git: a plan of a commit in the cache beside the same file on disk, and fetching beside git's own clone, over TLS."""
import os
import pathlib
import random
import shutil
import statistics
import sys
import tempfile

import figures

ROOT = pathlib.Path(__file__).resolve().parents[2]
CTRZ = os.environ.get("CTRZ_BIN") or str(ROOT / "build" / "ctrz")
WARM_GOAL, COLD_GOAL, AGAIN_GOAL = 1.3, 1.2, 0.5
COMMITS, FILES_EACH, FILE_BYTES = 400, 10, 4000
sys.path.insert(0, str(ROOT / "tests" / "cli"))
from gitlib import GIT_ENV, SPEC, HttpsServer, Repo, git, make_ca  # noqa: E402


def fill(repo):
    """A history of some megabytes that do not compress away."""
    words, parent = random.Random(1), git(repo.bare, "rev-parse", "main")
    lines = []
    for i in range(COMMITS):
        lines.append(f"commit refs/heads/main\ncommitter t <t@t> {1767225600 + i} +0000\ndata 1\nx\n" + (f"from {parent}\n" if i == 0 else ""))
        for k in range(FILES_EACH):
            text = words.randbytes(FILE_BYTES // 2).hex()
            lines.append(f"M 100644 inline d{i % 50}/f{k}\ndata {len(text)}\n{text}\n")
    git(repo.bare, "fast-import", "--quiet", input="".join(lines))
    git(repo.bare, "repack", "-adq")


def warm(folder, repo, runs):
    env = dict(os.environ, CTRZ_HOME=str(folder / "home"))
    commit = git(repo.bare, "rev-parse", "main")
    (folder / "env.yaml").write_text(SPEC.format("main"))
    figures.once([CTRZ, "validate", "-q", "--allow-file", f"git+file://{repo.bare}#{commit}"], env=env)
    result = figures.medians(runs * 4, git=([CTRZ, "plan", "-q", "--offline", "--allow-file", f"git+file://{repo.bare}#{commit}"], env, None),
                             disk=([CTRZ, "plan", "-q", "--offline", folder / "env.yaml"], env, None))
    ok = figures.row("plan of a commit in the cache", result["git"][0], result["disk"][0], "the same file on disk", WARM_GOAL)
    return ok & figures.row("... its processor time", result["git"][1], result["disk"][1], "the same file on disk", WARM_GOAL)


def fetches(folder, repo, runs):
    """Cold, then after one more commit; each time beside a whole clone."""
    ca, pem = make_ca(folder)
    server = HttpsServer(repo.bare.parent, pem)
    home, clone = folder / "cold", folder / "clone.git"
    (home / "config").mkdir(parents=True)
    (home / "config" / "config.yaml").write_text(f"sources: {{ ca: {ca} }}\n")
    env, git_env = dict(os.environ, CTRZ_HOME=str(home)), dict(GIT_ENV, GIT_SSL_CAINFO=str(ca))
    ours = [CTRZ, "validate", "-q", server.url(rest="#main")]
    cold, again, peer = [], [], []
    try:
        for i in range(runs + 1):
            shutil.rmtree(home / "cache", ignore_errors=True)
            shutil.rmtree(clone, ignore_errors=True)
            took = [figures.once(ours, env=env)[0],
                    figures.once(["git", "clone", "-q", "--bare", "--single-branch", server.url()[4:], clone], env=git_env)[0]]
            repo.fast({"env.yaml": SPEC.format(i)})
            took.append(figures.once(ours, env=env)[0])
            if i:  # the first warms the server's files
                cold.append(took[0])
                peer.append(took[1])
                again.append(took[2])
    finally:
        server.close()
    clone_s = statistics.median(peer)
    ok = figures.row("fetch into an empty cache", statistics.median(cold), clone_s, "git clone --bare", COLD_GOAL)
    return ok & figures.row("fetch after one more commit", statistics.median(again), clone_s, "git clone --bare", AGAIN_GOAL)


def run(runs):
    with tempfile.TemporaryDirectory(prefix="bench-git-") as temp:
        folder = pathlib.Path(temp)
        repo = Repo(folder)
        repo.commit({"env.yaml": SPEC.format("main")})
        fill(repo)
        ok = warm(folder, repo, runs)
        return ok & fetches(folder, repo, runs)
