#!/usr/bin/env python3
"""Prints a table of mutants, folder by folder, and fails if a mutant was missed for no known reason.

Usage: mutants.py [--readme] OUTCOMES... OUTCOMES are the outcomes.json of one or more runs of cargo mutants. Of a mutant that was
tried more than once, the last run counts. missed_mutants.toml has the known reasons. --readme is for runs over all mutants: it writes
the table and the reasons into README.md, and fails also if a known mutant was not missed.
"""

import collections
import json
import os
import re
import sys
import tomllib

import readme

FOLDER = os.path.dirname(os.path.abspath(__file__))


def outcomes(paths):
    """Returns the last outcome of each mutant, by its name."""
    last = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for outcome in json.load(file)["outcomes"]:
                if isinstance(outcome["scenario"], dict):
                    last[outcome["scenario"]["Mutant"]["name"]] = outcome["summary"]
    return last


def table(last):
    folders = collections.defaultdict(collections.Counter)
    for name, summary in last.items():
        path = name.split(":")[0].replace("inflate/src/", "inflate/").removeprefix("src/")
        folder = path.split("/")[0] + "/" if "/" in path else path
        for counts in (folders[folder], folders["all"]):
            counts[summary] += 1
    lines = [
        "| folder | mutants | do not build | caught | hang | missed | caught of those that build |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for folder in sorted(folders, key=lambda name: (name == "all", name)):
        counts = folders[folder]
        caught, hang, missed = counts["CaughtMutant"], counts["Timeout"], counts["MissedMutant"]
        built = caught + hang + missed
        lines.append(
            f"| {'all' if folder == 'all' else f'`{folder}`'} | {sum(counts.values())} | {counts['Unviable']} | {caught}"
            f" | {hang} | {missed} | {'—' if built == 0 else f'{100 * (caught + hang) / built:.1f} %'} |"
        )
    return "\n".join(lines) + "\n"


def place_free(name):
    """Returns a mutant's name without its line and column, which other changes move."""
    return re.sub(r"^([^:]+):\d+:\d+:", r"\1:", name)


def main():
    arguments = sys.argv[1:]
    full = "--readme" in arguments
    last = outcomes(path for path in arguments if path != "--readme")
    print(table(last))
    missed = {place_free(name): name for name, summary in sorted(last.items()) if summary == "MissedMutant"}
    with open(os.path.join(FOLDER, "missed_mutants.toml"), "rb") as file:
        reasons = tomllib.load(file)
    known = {mutant: why for why, mutants in reasons.items() for mutant in mutants}
    unknown = [name for mutant, name in missed.items() if mutant not in known]
    stale = [mutant for mutant in known if mutant not in missed] if full else []
    if full:
        readme.write("mutants", table(last))
        rows = [f"| `{mutant.replace('|', chr(92) + '|')}` | {why} |" for mutant, why in known.items()]
        readme.write("missed mutants", "\n".join(["| mutant | why no test can catch it |", "|---|---|", *rows]) + "\n")
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
