#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The golden files through an independent JSON Schema validator: what ctrz accepts the schema accepts, and what breaks a
rule that a schema can express the schema refuses. usage: test_schema.py SCHEMA_TOOL"""
import json
import pathlib
import subprocess
import sys

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden" / "spec"
# Codes of rules about the form of the tree alone. Of the other files only those are looked at whose name is listed.
EXPRESSIBLE = ("E101", "E102", "E103", "E104", "E105", "E106", "E107", "E108", "E109", "E110", "E112", "E113", "E602")
# Rules that look at more than one value, or at the way a value is written, or need arithmetic.
NOT_EXPRESSIBLE = {
    "E103-range": "", "E109-many": "the number is too large for ctrz", "E109-range": "range of a size",
    "E110-form": "order of units", "E107-mount": "options inside a short form", "E107-restart": "",
    "E101": "empty documents have no value", "E101-comment": "", "E101-no-containers": "an empty map is a map",
    "E103-key": "keys of JSON are text", "E113-many": "one of several keys", "E106-hostname": "", "E107-platform": "",
    "E107-empty": "", "E602-hook": "an empty word of a list",
}


def main(tool):
    import jsonschema
    schema = json.loads(subprocess.run([tool], capture_output=True, text=True, check=True).stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    problems, judged = [], 0
    for path in sorted(GOLDEN.glob("*/*.yaml")):
        name, accepted = path.stem, path.parent.name == "accept"
        if name.startswith("part-") or name == "overlay":
            continue
        if not accepted and (not name.startswith(EXPRESSIBLE) or name in NOT_EXPRESSIBLE):
            continue
        r = subprocess.run([tool, "tree", str(path)], capture_output=True, text=True, check=False)
        if r.returncode != 0:
            continue
        judged += 1
        errors = list(validator.iter_errors(json.loads(r.stdout)))
        if accepted and errors:
            problems.append(f"{name}: ctrz accepts it, the schema does not: {errors[0].message[:300]}")
        if not accepted and not errors:
            problems.append(f"{name}: ctrz refuses it, the schema does not")
    print("\n".join(problems))
    print(f"{judged} files judged, {len(problems)} differ")
    return 1 if problems or judged < 80 else 0


if __name__ == "__main__":
    try:
        import jsonschema  # noqa: F401
    except ImportError:
        print("SKIPPED: python3-jsonschema is not installed")
        sys.exit(77)
    sys.exit(main(sys.argv[1]))
