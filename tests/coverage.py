#!/usr/bin/env python3
"""Prints a table of the lines and branches of src/ and inflate/src/ that tests reach, and a list of those that they do not.

Usage: coverage.py REPORT, where REPORT is what `cargo llvm-cov --json` writes. The table also goes into README.md.

Fails if README.md does not give the reason for a place that is not reached, or gives one for a place that is.
"""

import collections
import json
import os
import re
import sys

import readme


def percent(reached, all_):
    return "—" if all_ == 0 else f"{100 * reached / all_:.1f} %"


ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))


def source(path):
    """Returns the name of a file of src/ or inflate/src/: its path without src/."""
    relative = os.path.relpath(os.path.realpath(path), ROOT)
    if relative.startswith("inflate/src/"):
        return relative.replace("inflate/src/", "inflate/", 1)
    return relative.removeprefix("src/") if relative.startswith("src/") else None


def path(name):
    """Returns the path of the file that source() has given this name."""
    place = os.path.join("src", name)
    return os.path.join(ROOT, name.replace("inflate/", "inflate/src/", 1) if name.startswith("inflate/") else place)


def missed_lines(file):
    """The lines whose count is 0: segments are (line, column, count, has count, starts a region, is a gap)."""
    counts = {}
    segments = file["segments"]
    for (line, _, count, has_count, _, is_gap), (end, *_) in zip(segments, segments[1:]):
        if not has_count or is_gap:
            continue
        for number in range(line, end + 1):
            counts[number] = max(counts.get(number, 0), count)
    return sorted(number for number, count in counts.items() if count == 0)


def missed_branches(file):
    """The conditions that were never true, or never false, in any instance of their function."""
    sides = collections.defaultdict(lambda: [0, 0])
    for line, column, end_line, end_column, true, false, *_ in file["branches"]:
        sides[line, column, end_line, end_column][0] += true
        sides[line, column, end_line, end_column][1] += false
    reached = sum((true > 0) + (false > 0) for true, false in sides.values())
    missed = [
        (line, column, "true" if true == 0 else "false")
        for (line, column, *_), both in sorted(sides.items())
        for true, false in [both]
        if 0 in both and both != [0, 0]
    ]
    return reached, 2 * len(sides), missed


def around(text, number):
    """Returns the line, and the first line of each block that it is in or ends: rustfmt indents these less."""
    lines = text.splitlines()
    found = [lines[number - 1]]
    indent = len(found[0]) - len(found[0].lstrip())
    if found[0].lstrip().startswith("}"):
        indent += 1
    for line in reversed(lines[: number - 1]):
        if line.strip() and len(line) - len(line.lstrip()) < indent:
            found.append(line)
            indent = len(line) - len(line.lstrip())
    return found


def without_reason(missed):
    """Compares places, of (file, line, text), with README.md; returns a sentence for each that only one of both has.

    README.md names the file, and words of the line or of a block around it: of the function, for example.
    """
    reasons = {}
    rows = readme.read("not reached").splitlines()[2:]
    for row in rows:
        file, *words = re.findall("`([^`]+)`", row.split(" | ")[0])
        reasons.update({(file, word): False for word in words})
    sentences = [f"README.md names a theorem that proofs/theorems.py does not have: {name}" for name in readme.unknown_theorems(rows)]
    texts = {}
    for name, line, text in missed:
        if name not in texts:
            with open(path(name), encoding="utf-8") as file:
                texts[name] = file.read()
        context = around(texts[name], line)
        fitting = [key for key in reasons if key[0] == name and any(key[1] in one for one in context)]
        reasons.update(dict.fromkeys(fitting, True))
        if not fitting:
            sentences.append(f"README.md gives no reason why no test reaches this: {text}")
    for (name, word), is_used in reasons.items():
        if not is_used:
            sentences.append(f"README.md gives a reason for a line that a test reaches or that does not exist: {name}: {word}")
    return sentences


def main():
    with open(sys.argv[1], encoding="utf-8") as report:
        files = json.load(report)["data"][0]["files"]
    folders = collections.defaultdict(lambda: [0, 0, 0, 0])
    missed = []
    for file in files:
        name = source(file["filename"])
        if name is None:
            continue
        lines = file["summary"]["lines"]
        reached, branches, one_sided = missed_branches(file)
        folder = name.split("/")[0] + ("/" if "/" in name else "")
        for to in (folders[folder], folders["all"]):
            for index, count in enumerate((lines["covered"], lines["count"], reached, branches)):
                to[index] += count
        missed += [(name, line, f"{name}:{line}: never reached") for line in missed_lines(file)]
        missed += [(name, line, f"{name}:{line}:{column}: never {side}") for line, column, side in one_sided]
    if not folders:
        sys.exit("the report has no file of src/")
    table = ["| folder | lines | reached | branches | reached |", "|---|---:|---:|---:|---:|"]
    for folder in sorted(folders, key=lambda name: (name == "all", name)):
        lines, all_lines, branches, all_branches = folders[folder]
        table.append(
            f"| {'all' if folder == 'all' else f'`{folder}`'} | {all_lines} | {percent(lines, all_lines)}"
            f" | {all_branches} | {percent(branches, all_branches)} |"
        )
    print("\n".join(table))
    readme.write("coverage", "\n".join(table) + "\n")
    print("\nNot reached:")
    print("\n".join(text for _, _, text in missed))
    sys.exit("\n".join(without_reason(missed)) or 0)


if __name__ == "__main__":
    main()
