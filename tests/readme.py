"""Puts a table into a README, between the two comments that bear its name."""

import os

BESIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md")


def write(name, table, path=BESIDE):
    """Writes `table`, lines that each end with a newline, into the README at `path`: by default, the one beside this file."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, after_begin = text.split(begin)
    _, after = after_begin.split(end)
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + begin + table + end + after)
