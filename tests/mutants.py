#!/usr/bin/env python3
"""Prints a table of mutants, folder by folder, and fails if a mutant was missed for no known reason.

Usage: mutants.py [--readme] OUTCOMES... OUTCOMES are the outcomes.json of one or more runs of cargo mutants. A mutant counts as caught
if any of them caught it. missed_mutants.toml has the known reasons. --readme is for runs over all mutants of one or more folders: it
writes their rows of the table into README.md, with the last commit that had changed the folder, and all reasons. It fails also if a
known mutant of these folders was not missed.
"""

import collections
import json
import os
import re
import subprocess
import sys
import tomllib

import readme

FOLDER = os.path.dirname(os.path.abspath(__file__))

# The outcomes, from the least that counts if a mutant was tried more than once.
KINDS = ["Unviable", "MissedMutant", "Timeout", "CaughtMutant"]


def outcomes(paths):
    """Returns the outcome of each mutant, by its name."""
    best = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for outcome in json.load(file)["outcomes"]:
                if isinstance(outcome["scenario"], dict):
                    name = outcome["scenario"]["Mutant"]["name"]
                    best[name] = max(outcome["summary"], best.get(name, KINDS[0]), key=KINDS.index)
    return best


def folder_of(name):
    """Returns the folder of a mutant, below src/ or inflate/."""
    path = name.split(":")[0].replace("inflate/src/", "inflate/").removeprefix("src/")
    return path.split("/")[0] + "/" if "/" in path else path


def commit(folder):
    """Returns the last commit that changed a folder."""
    path = "inflate/src" if folder == "inflate/" else f"src/{folder}"
    command = ["git", "log", "-1", "--format=%h", "--", path]
    return subprocess.run(command, cwd=os.path.dirname(FOLDER), capture_output=True, text=True, check=True).stdout.strip()


HEAD = [
    "| folder | commit | mutants | do not build | caught | hang | missed | caught of those that build |",
    "|---|---|---:|---:|---:|---:|---:|---:|",
]


def rows_of(best):
    """Returns the cells of each folder's row, without the last."""
    folders = collections.defaultdict(collections.Counter)
    for name, summary in best.items():
        folders[folder_of(name)][summary] += 1
    shown = ("Unviable", "CaughtMutant", "Timeout", "MissedMutant")
    return {
        folder: [commit(folder), counts.total(), *(counts[kind] for kind in shown)] for folder, counts in folders.items()
    }


def rows_of_readme():
    """Returns the same of the table in README.md."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in readme.read("mutants").splitlines()[2:]]
    return {row[0].strip("`"): [row[1], *map(int, row[2:7])] for row in rows if row[0] != "all"}


def table(rows):
    lines = HEAD[:]
    sums = [sum(column) for column in zip(*(numbers for _, *numbers in rows.values()))]
    for name, (one, *numbers) in [*((f"`{folder}`", rows[folder]) for folder in sorted(rows)), ("all", ["", *sums])]:
        _, _, caught, hang, missed = numbers
        built = caught + hang + missed
        share = "—" if built == 0 else f"{100 * (caught + hang) / built:.1f} %"
        lines.append(f"| {' | '.join(map(str, [name, one, *numbers, share]))} |")
    return "\n".join(lines) + "\n"


def place_free(name):
    """Returns a mutant's name without its line and column, which other changes move."""
    return re.sub(r"^([^:]+):\d+:\d+:", r"\1:", name)


def main():
    arguments = sys.argv[1:]
    full = "--readme" in arguments
    best = outcomes(path for path in arguments if path != "--readme")
    rows = rows_of(best)
    print(table(rows))
    missed = {place_free(name): name for name, summary in sorted(best.items()) if summary == "MissedMutant"}
    with open(os.path.join(FOLDER, "missed_mutants.toml"), "rb") as file:
        reasons = tomllib.load(file)
    known = {mutant: why for why, mutants in reasons.items() for mutant in mutants}
    unknown = [name for mutant, name in missed.items() if mutant not in known]
    stale = [mutant for mutant in known if mutant not in missed and folder_of(mutant) in rows] if full else []
    if full:
        readme.write("mutants", table({**rows_of_readme(), **rows}))
        reasoned = [f"| `{mutant.replace('|', chr(92) + '|')}` | {why} |" for mutant, why in known.items()]
        readme.write("missed mutants", "\n".join(["| mutant | why no test can catch it |", "|---|---|", *reasoned]) + "\n")
    unproved = readme.unknown_theorems(reasons)
    for what, names in (
        ("Missed, and not in missed_mutants.toml", unknown),
        ("In missed_mutants.toml, and not missed", stale),
        ("A theorem in missed_mutants.toml, and not in proofs/theorems.py", unproved),
    ):
        if names:
            print(f"{what}:", *names, sep="\n  ")
    sys.exit(1 if unknown or stale or unproved else 0)


if __name__ == "__main__":
    main()
