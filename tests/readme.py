"""Reads and writes what stands in a README between the two comments that bear a name."""

import os
import re

BESIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md")


def parts(name, path):
    """Returns the README up to the first comment, the text between the two comments, and the rest."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, after_begin = text.split(begin)
    between, after = after_begin.split(end)
    return before + begin, between, end + after


def read(name):
    """Reads from the README beside this file."""
    return parts(name, BESIDE)[1]


def write(name, table, path=BESIDE):
    """Writes `table`, lines that each end with a newline, into the README at `path`: by default, the one beside this file."""
    before, _, after = parts(name, path)
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + table + after)


def unknown_theorems(reasons):
    """Returns the theorems that these reasons name and proofs/theorems.py does not have."""
    with open(os.path.join(os.path.dirname(BESIDE), "../proofs/theorems.py"), encoding="utf-8") as file:
        known = re.findall(r"^def (\w+)\(\w+, broken\):", file.read(), re.MULTILINE)
    return sorted({name for reason in reasons for name in re.findall(r"theorem `(\w+)`", reason)} - {*known})
