#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""How a file is written does not matter: each accepted golden file is written anew with its keys in another order, other
quotes, flow for block and block for flow, comments, anchors and aliases, and keeps its hash. usage: test_form.py SCHEMA_TOOL"""
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden" / "spec" / "accept"
SEEDS = range(3)
# Numbers where a text is wanted keep the form they are written in, which the tree given to this test has lost.
FORM_MATTERS = {"E103"}
PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


class Writer:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.anchors = {}

    def coin(self):
        return self.random.random() < 0.5

    def text(self, s):
        if not CONTROL.search(s) and self.coin():
            return "'" + s.replace("'", "''") + "'"
        return CONTROL.sub(lambda m: f"\\u{ord(m[0]):04x}", '"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"')

    def key(self, s):
        return s if PLAIN_KEY.match(s) and self.coin() else self.text(s)

    def scalar(self, v):
        if not isinstance(v, str):
            return json.dumps(v)
        if v in self.anchors and self.coin():
            return f"*{self.anchors[v]} "
        if self.random.random() < 0.2:
            self.anchors[v] = f"a{len(self.anchors)}"
            return f"&{self.anchors[v]} {self.text(v)}"
        return self.text(v)

    def entries(self, v):
        items = list(v.items())
        self.random.shuffle(items)
        return items

    def flow(self, v):
        if isinstance(v, dict):
            return "{ " + ", ".join(f"{self.key(k)}: {self.flow(x)}" for k, x in self.entries(v)) + " }"
        if isinstance(v, list):
            return "[ " + ", ".join(self.flow(x) for x in v) + " ]"
        return self.scalar(v)

    def block(self, v, indent, out):
        pairs = [(f"{self.key(k)}:", x) for k, x in self.entries(v)] if isinstance(v, dict) else [("-", x) for x in v]
        for head, x in pairs:
            if self.random.random() < 0.1:
                out.append("# \u00e4 comment: [")
            if isinstance(x, (dict, list)) and x and self.coin():
                out.append(" " * indent + head + (" # below" if self.coin() else ""))
                self.block(x, indent + self.random.choice((1, 2, 5)), out)
            else:
                out.append(" " * indent + head + " " + self.flow(x) + (" # beside" if self.coin() else ""))

    def document(self, v):
        out = []
        self.block(v, 0, out)
        return "\n".join(out) + "\n"


def run(*args):
    r = subprocess.run(args, capture_output=True, text=True, check=False)
    return r.stdout if r.returncode == 0 else None


def main(tool):
    problems, compared, distinct = [], 0, set()
    with tempfile.TemporaryDirectory() as temp:
        other = pathlib.Path(temp) / "env.yaml"
        for path in sorted(GOLDEN.glob("*.yaml")):
            expected, tree = run(tool, "hash", path), run(tool, "tree", path)
            if expected is None or tree is None or path.stem in FORM_MATTERS:
                continue  # needs other files, or a host that has them
            for seed in SEEDS:
                text = Writer(f"{path.stem} {seed}").document(json.loads(tree))
                other.write_text(text)
                found = run(tool, "hash", other)
                compared += 1
                distinct.add(expected)
                if found != expected:
                    problems.append(f"{path.stem}, seed {seed}: {'refused' if found is None else 'another hash'}\n{text}")
    print("\n".join(problems[:3]))
    print(f"{compared} files of {len(distinct)} hashes compared, {len(problems)} differ")
    return 1 if problems or compared < 200 or len(distinct) < 60 else 0


sys.exit(main(sys.argv[1]))
