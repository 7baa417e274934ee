# SPDX-License-Identifier: MIT
"""What a run of the benches found, written down: docs/benchmarks/figures.json, a table of it and a picture. Benches that did not run keep
what is there."""
import json
import math
from xml.sax.saxutils import escape

LEAST, MOST = 0.005, 20  # ratios of the picture's scale
LABEL, PLOT, ROW, TOP = 380, 560, 20, 40
OK, LOSES = "#5fa56f", "#c8604f"


def load(path):
    return json.loads(path.read_text()) if path.exists() else {}


def number(value, unit):
    return f"{value:.3f} {unit}" if value < 100 else f"{value:.0f} {unit}"


def spread(row, of):
    """" (least to most)", where more than one run is known."""
    known = row.get(f"{of}_spread")
    return f" ({known[0]:.3g} to {known[1]:.3g})" if known and known[0] != known[1] else ""


def ratio_of(row):
    return row["ours"] / (row["peer"] if row["peer_name"] else row["goal"])


def goal_of(row):
    return f"{row['goal']:g} x" if row["peer_name"] else number(row["goal"], row["unit"])


def table(benches):
    """Markdown, a section for each bench, with what it ran on."""
    lines = []
    for name, bench in benches.items():
        lines += [f"## {name}", "", f"{bench['when']}, {bench['runs']}; {bench['machine']}.", "",
                  "| | ctrz | beside it | ratio | goal | |", "|---|---|---|---|---|---|"]
        for row in bench["rows"]:
            ours = number(row["ours"], row["unit"]) + spread(row, "ours")
            peer = f"{number(row['peer'], row['unit'])}{spread(row, 'peer')} {row['peer_name']}" if row["peer_name"] else ""
            ratio = f"{ratio_of(row):.3f} x" if row["peer_name"] else ""
            lines.append(f"| {row['what']} | {ours} | {peer} | {ratio} | {goal_of(row)} | {'ok' if row['ok'] else '**loses**'} |")
        lines.append("")
    return "\n".join(lines)


def x_of(ratio):
    scaled = (math.log(min(max(ratio, LEAST), MOST)) - math.log(LEAST)) / (math.log(MOST) - math.log(LEAST))
    return LABEL + scaled * PLOT


def scale(height):
    marks = []
    for ratio in (0.01, 0.1, 0.5, 1, 2, 10):
        x = x_of(ratio)
        marks.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{height}" stroke="{"#888" if ratio == 1 else "#ddd"}"/>'
                     f'<text x="{x:.1f}" y="{TOP - 6}" text-anchor="middle">{ratio:g}</text>')
    return marks


def picture(benches):
    """Bars of all rows that have a peer, on a scale of powers; a tick where the goal is."""
    rows = [(name, row) for name, bench in benches.items() for row in bench["rows"] if row["peer_name"]]
    height = TOP + ROW * len(rows) + 10
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABEL + PLOT + 90}" height="{height}" font-family="sans-serif" font-size="11">',
             f'<rect width="100%" height="100%" fill="white"/><text x="{LABEL}" y="14">ctrz / what is beside it: less is better; the tick is the goal</text>',
             *scale(height)]
    for i, (name, row) in enumerate(rows):
        y, ratio = TOP + ROW * i + 4, ratio_of(row)
        end, goal = x_of(ratio), x_of(row["goal"])
        parts.append(f'<text x="{LABEL - 8}" y="{y + 11}" text-anchor="end">{escape(name)}: {escape(row["what"])} / {escape(row["peer_name"])}</text>'
                     f'<rect x="{LABEL}" y="{y}" width="{end - LABEL:.1f}" height="{ROW - 6}" fill="{OK if row["ok"] else LOSES}"/>'
                     f'<line x1="{goal:.1f}" y1="{y - 2}" x2="{goal:.1f}" y2="{y + ROW - 4}" stroke="black" stroke-width="2"/>'
                     f'<text x="{max(end, goal) + 6:.1f}" y="{y + 11}">{ratio:.3f}</text>')
    return "\n".join([*parts, "</svg>", ""])


HEAD = """# Benchmarks

Written by `./dev bench --write`: each figure beside its peer's in the same run, medians with
the least and the most, losing rows included. `./dev bench` prints the
commands. Below one, ctrz needs less.

![ratios](ratios.svg)

"""


def write(folder, benches):
    """@benches: name -> {when, runs, machine, rows}"""
    folder.mkdir(parents=True, exist_ok=True)
    known = load(folder / "figures.json")
    known.update(benches)
    (folder / "figures.json").write_text(json.dumps(known, indent=1) + "\n")
    tail = folder / "more.md"
    (folder / "README.md").write_text(HEAD + table(known) + (tail.read_text() if tail.exists() else ""))
    (folder / "ratios.svg").write_text(picture(known))
