# SPDX-License-Identifier: MIT
"""Every key of the Compose specification: carried over, or told of; and used by one of the example files."""
import copy
import json
import re
import subprocess

import yaml

from clilib import CTRZ, ROOT

DIR = ROOT / "tests" / "golden" / "import"
# What has to stand beside a key for it to mean something.
BESIDE = {
    "services.*": {"image": "localhost/a:1"},
    "services.*.ports.[]": {"target": 80},
    "services.*.volumes.[]": {"type": "volume", "source": "v", "target": "/t"},
    "services.*.configs.[]": {"source": "c"},
    "services.*.secrets.[]": {"source": "s"},
    "services.*.healthcheck": {"test": ["CMD", "false"]},
    "services.*.develop.watch.[]": {"path": "./lib", "action": "sync+restart", "target": "/lib"},
    "services.*.env_file.[]": {"path": "./b.env"},
    "services.*.logging": {"driver": "json-file"},
    "secrets.*": {"file": "./s.txt"},
    "configs.*": {"file": "./c.txt"},
}


def read_keys():
    rows = []
    for line in (DIR / "keys.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        path, _, rest = line.partition("\t")
        value, _, mark = rest.partition("\t")
        rows.append((path, json.loads(value) if value else None, mark))
    return rows


KEYS = read_keys()
BIND = {"type": "bind", "source": "./v", "target": "/t"}


def build(path, value):
    """The least Compose file in which path has the value, or all but the value if it is ..."""
    doc = {"services": {"a": {"image": "localhost/a:1"}}}
    at, parts = doc, path.split(".")
    for i, part in enumerate(parts):
        name = {"*": "a", "[]": 0}.get(part, part)
        last = i == len(parts) - 1
        if last and value is ...:
            break
        if last:
            at[name] = value
            break
        following = parts[i + 1]
        here = ".".join(parts[:i + 1])
        beside = BIND if path.startswith("services.*.volumes.[].bind") and here == "services.*.volumes" else None
        new = [copy.deepcopy(beside or BESIDE.get(here + ".[]", {}))] if following == "[]" else copy.deepcopy(BESIDE.get(here, {}))
        if isinstance(at, list):
            new = at[0]
        elif name in at:
            new = at[name]
        else:
            at[name] = new
        at = new
    return doc


def run_import(doc):
    text = json.dumps(doc, indent=1)
    r = subprocess.run([CTRZ, "import", "-"], input=text, text=True, capture_output=True, check=False, timeout=60)
    assert r.returncode == 0, f"{text}\n{r.stderr}"
    return r.stdout, re.findall(r'warning\[W80[12]\]: (.*)', r.stderr)


def is_told(path, said):
    return any(f'"{name}"' in line for line in said for name in path.split(".") if name not in ("*", "[]", "services"))


def silent_keys_of_services(keys):
    """All in one file: a service with each key, and one that is the same but for the key."""
    doc = {"services": {}}
    for i, (path, value, _) in enumerate(keys):
        doc["services"][f"k{i}"] = build(path, value)["services"]["a"]
        doc["services"][f"b{i}"] = build(path, ...)["services"]["a"]
    made, said = run_import(doc)
    containers = yaml.load(made, Loader=yaml.SafeLoader)["containers"]
    by_service = {}
    for line in said:
        by_service.setdefault(line.split(":")[0], []).append(line)
    return [path for i, (path, _, _) in enumerate(keys)
            if containers[f"k{i}"] == containers[f"b{i}"] and not is_told(path, by_service.get(f"k{i}", []))]


def test_no_key_is_dropped_in_silence():
    leaves = [k for k in KEYS if k[1] is not None]
    silent = silent_keys_of_services([k for k in leaves if k[0].startswith("services.")])
    for path, value, _ in leaves:
        if path.startswith("services."):
            continue
        made, said = run_import(build(path, value))
        if made == run_import(build(path, ...))[0] and not is_told(path, said):
            silent.append(path)
    assert sorted(silent) == sorted(path for path, _, mark in KEYS if mark == "needless")


def paths_of(node, path, out):
    out.add(path)
    if isinstance(node, dict):
        for key, value in node.items():
            if not str(key).startswith("x-"):
                paths_of(value, f"{path}.{key}", out)
    elif isinstance(node, list):
        for item in node:
            paths_of(item, f"{path}.[]", out)


def test_the_example_files_use_every_key():
    used, files = set(), sorted(DIR.glob("*.yaml"))
    assert len(files) >= 30
    for file in files:
        doc = yaml.load(file.read_text(), Loader=yaml.SafeLoader)
        paths_of(doc, "", used)
    missing = []
    for path, _, _ in KEYS:
        pattern = re.compile("^" + re.escape("." + path).replace(r"\*", "[^.]+") + "$")
        if not any(pattern.match(u) for u in used):
            missing.append(path)
    assert missing == []
