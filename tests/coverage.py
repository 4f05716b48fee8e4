#!/usr/bin/env python3
"""Prints a table of the lines and branches of src/ that tests reach, and a list of those that they do not.

Usage: coverage.py REPORT, where REPORT is what `cargo llvm-cov --json` writes. The table also goes into README.md.
"""

import collections
import json
import os
import sys

import readme


def percent(reached, all_):
    return "—" if all_ == 0 else f"{100 * reached / all_:.1f} %"


def source(path):
    root = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "src"))
    relative = os.path.relpath(os.path.realpath(path), root)
    return None if relative.startswith("..") else relative


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
        missed += [f"{name}:{line}: never reached" for line in missed_lines(file)]
        missed += [f"{name}:{line}:{column}: never {side}" for line, column, side in one_sided]
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
    print("\n".join(missed))


if __name__ == "__main__":
    main()
