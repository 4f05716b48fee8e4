#!/usr/bin/env python3
"""Prints a table of mutants, folder by folder, and a list of those that no test caught.

Usage: mutants.py [--readme] OUTCOMES..., where OUTCOMES are outcomes.json of one or more runs of cargo mutants; of a mutant that was
tried more than once, the last run counts. With --readme the table also goes into README.md.
"""

import collections
import json
import sys

import readme


def main():
    paths = [path for path in sys.argv[1:] if path != "--readme"]
    last = {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for outcome in json.load(file)["outcomes"]:
                if isinstance(outcome["scenario"], dict):
                    last[outcome["scenario"]["Mutant"]["name"]] = outcome["summary"]
    folders = collections.defaultdict(collections.Counter)
    missed = []
    for name, summary in sorted(last.items()):
        path = name.split(":")[0].removeprefix("src/")
        folder = path.split("/")[0] + "/" if "/" in path else path
        for counts in (folders[folder], folders["all"]):
            counts[summary] += 1
        if summary == "MissedMutant":
            missed.append(name)
    if not folders:
        sys.exit("no mutant was tried")
    table = [
        "| folder | mutants | do not build | caught | by a time limit | missed | caught of those that build |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for folder in sorted(folders, key=lambda name: (name == "all", name)):
        counts = folders[folder]
        caught, late, missing = counts["CaughtMutant"], counts["Timeout"], counts["MissedMutant"]
        built = caught + late + missing
        table.append(
            f"| {'all' if folder == 'all' else f'`{folder}`'} | {sum(counts.values())} | {counts['Unviable']} | {caught}"
            f" | {late} | {missing} | {'—' if built == 0 else f'{100 * (caught + late) / built:.1f} %'} |"
        )
    print("\n".join(table))
    if len(paths) < len(sys.argv) - 1:
        readme.write("mutants", "\n".join(table) + "\n")
    print("\nMissed:")
    print("\n".join(missed))


if __name__ == "__main__":
    main()
