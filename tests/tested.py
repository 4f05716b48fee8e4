#!/usr/bin/env python3
"""Writes the figures of TESTED.md and the faults of fuzz/README.md, from what the other commands recorded and from the tests' sources.

    tests/tested.py             writes them
    tests/tested.py --check     fails if they have others
"""

import json
import pathlib
import re
import sys

import readme

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "TESTED.md"
FAULTS = ROOT / "fuzz/README.md"


def records(path):
    return json.loads((ROOT / path).read_text())


def section(path, heading):
    """Returns the text below a heading of a document."""
    text = (ROOT / path).read_text()
    found = re.search(rf"^## {re.escape(heading)}\n\n(.*?)\n(?=^## )", text, re.M | re.S)
    if not found:
        sys.exit(f"{path} has no section `{heading}`.")
    return found[1].rstrip("\n") + "\n"


def total(name):
    """Returns the cells of the last row of a table in tests/README.md."""
    return last_row(readme.read(name))


def last_row(table):
    return [cell.strip() for cell in table.strip().splitlines()[-1].strip("|").split("|")]


def proofs():
    # Links are relative to the document.
    return section("proofs/README.md", "What is proved").replace("](", "](proofs/")


WORLDS = {
    "streams": "every stream of up to four bytes",
    "codes": "codes of six symbols in a dynamic block",
    "images": "images of a small world",
}


def exhausted():
    lines = ["| | inputs | of which yielded bytes | processor seconds | commit |", "|---|---:|---:|---:|---|"]
    by_name = {record["world"]: record for record in records("fuzz/exhausted.json")}
    for name, what in WORLDS.items():
        if name not in by_name:
            sys.exit(f"fuzz/exhausted.json has no record of `{name}`; fuzz/exhaust.py {name} makes it.")
        one = by_name[name]
        lines.append(
            f"| `{name}`: {what} | {one['inputs']:,} | {one['read']:,} | {one['processor_seconds']:,} | {one['commit']} |"
        )
    machines = sorted({record["machine"] for record in by_name.values()})
    return "\n".join([*lines, "", f"The machine: {'; '.join(machines)}.", ""])


def tests():
    """Counts the test functions of each package, rounded down to tens, so that not every new test changes the page."""
    counts = {}
    for package, folders in {
        "the crate": ["src", "tests"],
        "the decoder": ["inflate/src"],
        "the C library": ["capi/src", "capi/tests"],
        "the host tool": ["tool/src", "tool/tests"],
    }.items():
        files = [path for folder in folders for path in (ROOT / folder).rglob("*.rs")]
        counts[package] = sum(len(re.findall(r"^\s*#\[test\]$", path.read_text(), re.M)) for path in files)
    return "at least " + ", ".join(f"{count // 10 * 10:,} of {package}" for package, count in counts.items())


def soak():
    """Sums the lines of the soak's results."""
    text = (ROOT / "benches/soak/RESULTS.md").read_text()
    rows = [line.strip("|").split("|") for line in text.splitlines() if re.match(r"\| \d", line)]
    reads, faults = (sum(int(row[column]) for row in rows) for column in (1, 3))
    return f"{reads:,} reads in {float(rows[-1][0]):.0f} minutes, with {faults:,} failed device reads"


def sampled():
    runs = records("fuzz/runs.json")
    executions, seconds = (sum(run[key] for run in runs) for key in ("executions", "processor_seconds"))
    targets = len({run["target"] for run in runs})
    vectors = len(json.loads((ROOT / "tests/vectors/manifest.json").read_text())["images"])
    _, lines, reached, branches, reached_branches = total("coverage")
    _, _, mutants, unbuilt, caught, hang, missed, _ = total("mutants")
    _, compiled, *all_ways, _, _ = last_row(readme.parts("branches", ROOT / "proofs/README.md")[1])
    rows = [
        ("[tests](tests/README.md)", tests()),
        ("[conformance vectors](tests/vectors/README.md)", f"{vectors} images, each with the result that a reader must give"),
        ("[fuzzing](fuzz/README.md)", f"{executions:,} executions of {targets} targets, in {seconds:,.0f} processor seconds"),
        ("[soak](benches/soak/README.md)", soak()),
        ("[coverage](tests/README.md#coverage) by the tests", f"{reached} of {int(lines):,} lines, {reached_branches} of {branches} branches"),
        ("[branches of the machine code](proofs/README.md#branches-of-the-compiled-code) of `open` and `read_at`", f"{sum(map(int, all_ways))} of {compiled} go both ways in an emulator, and each other one has a recorded reason"),
        ("[planted faults](fuzz/README.md#planted-faults)", planted()),
        ("[mutants](tests/README.md#mutants)", f"{int(mutants) - int(unbuilt):,} that build: {int(caught) + int(hang):,} were caught, and {missed} were not, when their folder was last tried"),
    ]
    return "".join(["| | |\n|---|---|\n", *(f"| {name} | {figure} |\n" for name, figure in rows)])


FINDERS = ("images", "proofs")


def planted():
    """Counts the planted faults and those that were found."""
    all_faults = records("fuzz/faults.json")
    found = sum(any(record[name] for name in FINDERS) for record in all_faults)
    images, proofs = (sum(record[name] for record in all_faults) for name in FINDERS)
    return f"{found} of {len(all_faults)} are found when no test is run: {images} by the small part of `images` that CI runs, {proofs} by `proofs/run.sh`"


def faults():
    lines = ["| file | the fault | `images` | the proofs |", "|---|---|---|---|"]
    for record in records("fuzz/faults.json"):
        found = ("found" if record[name] else "not found" for name in FINDERS)
        lines.append(f"| `{record['file']}` | {record['fault']} | {' | '.join(found)} |")
    return "\n".join(lines) + "\n"


def main():
    pages = {page: page.read_text() for page in (PAGE, FAULTS)}
    for name, write in {"proofs": proofs, "exhausted": exhausted, "sampled": sampled}.items():
        readme.write(name, f"\n{write()}\n", PAGE)
    readme.write("faults", f"\n{faults()}\n", FAULTS)
    for page, before in pages.items():
        if sys.argv[1:] == ["--check"] and page.read_text() != before:
            page.write_text(before)
            sys.exit(f"{page.relative_to(ROOT)} has old figures; tests/tested.py writes them.")
    if len(PAGE.read_text().splitlines()) > 120:
        sys.exit("TESTED.md has more than 120 lines.")


if __name__ == "__main__":
    main()
