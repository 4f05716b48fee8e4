#!/usr/bin/env python3
"""Runs QCOW1 readers over the suite in this folder, and prints a Markdown table of their results.

    ./peers.py                      every reader that is installed: qemu-img, libqcow, 7z, and this crate's host tool
    ./peers.py --verbose            with a line for each image that a reader gets wrong
    ./peers.py --publish            writes the tables into README.md
    ./peers.py --reader NAME 'COMMAND {image}'
                                    another one too: a command that writes the guest's disk to standard output. It is
                                    shown to know neither keys nor backing files, unless {key} and {backing} (names
                                    with commas between, each with raw: or qcow: before it) stand in COMMAND.

Readers are judged by the manifest's `strict`. Needs Python 3.11 and nothing else; libqcow needs cc and its headers.
"""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
IMAGES = FOLDER / "images"
SECONDS = 10
# The limits of memory and output: a small image never needs more.
MEMORY = 4 << 30
OUTPUT = 3 << 28

# The possible results of a reader, best first. Its worst result for an image counts.
VERDICTS = {
    "right": "right bytes",
    "refused rightly": "rightly refused",
    "sectors": "right, but in whole sectors",
    "refused": "refused, though legal",
    "wrong": "WRONG bytes, no error",
    "crashed": "crashed or hung",
    "not judged": "not judged",
}

# The marks in README.md between which the tables are written.
BEGIN, END = "<!-- table: peers.py -->", "<!-- end -->"

AS_SALVAGE = "zeros past the end of the file, as in salvage, but without being asked"


class Crashed(Exception):
    """The reader was ended by a signal, or took too long."""


class Refused(Exception):
    """The reader reported an error."""


class TooMuch(Exception):
    """The reader wrote more bytes than any disk of the suite has."""


def limits():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(command, output=subprocess.PIPE):
    """A reader that is a command with output."""
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output == subprocess.PIPE else subprocess.DEVNULL,
        cwd=IMAGES,
        preexec_fn=limits,
        start_new_session=True,
    )
    try:
        text, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Crashed(f"no end in {SECONDS} s") from None
    if process.returncode == -signal.SIGXFSZ:
        raise TooMuch
    if process.returncode < 0:
        raise Crashed(signal.Signals(-process.returncode).name)
    return process.returncode, text


def disk_of(command, folder):
    """Returns the standard output of a command, as a file. An exit status other than 0 is an error."""
    path = folder / "disk.raw"
    with open(path, "wb") as output:
        status, _ = run(["sh", "-c", f"ulimit -f {OUTPUT // 512}; exec \"$@\"", "sh", *command], output)
    if status != 0:
        raise Refused(f"exit status {status}")
    return path


def is_encrypted(name):
    return (IMAGES / name).read_bytes()[36:40] == b"\0\0\0\1"


class Qemu:
    name = "qemu-img"

    def __init__(self, _):
        if not shutil.which("qemu-img"):
            raise FileNotFoundError("qemu-img is not installed")
        self.version = run(["qemu-img", "--version"])[1].decode().split("(")[0].split()[-1]
        self.has_reads = shutil.which("qemu-io") is not None

    def options(self, entry):
        """Returns the backing files with their declared formats, as in the manifest."""
        words, options = [], []
        if "key" in entry:
            words = ["--object", f"secret,id=key,data={entry['key']}"]
        layers = [{"file": entry["file"], "format": "qcow"}, *entry.get("backing", [])]
        for depth, layer in enumerate(layers):
            prefix = "backing." * depth
            options += [
                f"{prefix}driver={layer['format']}",
                f"{prefix}file.driver=file",
                f"{prefix}file.filename={layer['file']}",
            ]
            if "key" in entry and layer["format"] == "qcow" and is_encrypted(layer["file"]):
                options += [f"{prefix}encrypt.format=aes", f"{prefix}encrypt.key-secret=key"]
        return [*words, "--image-opts", ",".join(options)]

    def disk(self, entry, folder):
        path = folder / "disk.raw"
        path.unlink(missing_ok=True)
        status, text = run(["qemu-img", "convert", *self.options(entry), "-O", "raw", path])
        if status != 0:
            raise Refused(text.decode(errors="replace").strip())
        return path

    def reads(self, entry, reads):
        commands = [word for read in reads for word in ("-c", f"read -v {read['offset']} {read['len']}")]
        _, text = run(["qemu-io", "-r", *self.options(entry), *commands])
        results, found = [], b""
        for line in text.decode(errors="replace").splitlines():
            if match := re.match(r"[0-9a-f]{8,}:  ((?:[0-9a-f]{2} ){1,16})", line):
                found += bytes.fromhex(match[1])
            elif re.match(r"read \d+/\d+ bytes", line):
                results.append(found)
                found = b""
            elif line.startswith("read failed"):
                results.append(None)
                found = b""
        # If the image cannot be opened, there is no answer.
        return results + [None] * (len(reads) - len(results))


class Libqcow:
    name = "libqcow"
    has_reads = True

    def __init__(self, folder):
        self.program = folder / "libqcow_reader"
        source = FOLDER / "libqcow_reader.c"
        if not shutil.which("cc"):
            raise FileNotFoundError("cc is not installed")
        built = subprocess.run(["cc", "-O1", "-o", self.program, source, "-lqcow"], capture_output=True, text=True)
        if built.returncode != 0:
            raise FileNotFoundError(f"libqcow_reader.c does not build: {built.stderr.splitlines()[0]}")
        header = subprocess.run(
            ["cc", "-E", "-dM", "-include", "libqcow.h", "-x", "c", "/dev/null"], capture_output=True, text=True
        )
        self.version = re.search(r"LIBQCOW_VERSION (\d+)", header.stdout)[1]

    def command(self, entry):
        files = [entry["file"]]
        for backing in entry.get("backing", []):
            if backing["format"] == "raw":
                raise Refused("no raw backing files")
            files.append(backing["file"])
        return [self.program, entry.get("key", ""), ",".join(files)]

    def disk(self, entry, folder):
        return disk_of(self.command(entry), folder)

    def reads(self, entry, reads):
        try:
            command = self.command(entry)
        except Refused:
            return [None] * len(reads)
        status, text = run([*command, *(f"{read['offset']}:{read['len']}" for read in reads)])
        if status != 0:
            return [None] * len(reads)
        return [None if line == "error" else bytes.fromhex(line) for line in text.decode().split()]


class SevenZip:
    name = "7z"
    has_reads = False

    def __init__(self, _):
        if not shutil.which("7z"):
            raise FileNotFoundError("7z is not installed")
        self.version = re.search(r"7-Zip.*?([\d.]+) ", run(["7z"])[1].decode())[1]

    def disk(self, entry, folder):
        # It has no option for backing files.
        key = [f"-p{entry['key']}"] if "key" in entry else []
        return disk_of(["7z", "x", "-tqcow", "-so", "-y", *key, entry["file"]], folder)


class HostTool:
    """This crate's tool."""

    name = "qcow1"
    has_reads = True

    def __init__(self, folder):
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", FOLDER / "../../target"))
        built = [target / profile / "qcow1" for profile in ("release", "debug")]
        built = [path.resolve() for path in built if path.exists()]
        if not built:
            raise FileNotFoundError("the host tool is not built: cargo build --package qcow1-tool")
        self.program, self.folder = built[0], folder
        self.version = run([self.program, "--version"])[1].decode().split()[1]

    def options(self, entry):
        words = []
        layers = [entry["file"]]
        for backing in entry.get("backing", []):
            words += ["--backing", f"{backing['format']}:{backing['file']}"]
            if backing["format"] == "qcow":
                layers.append(backing["file"])
        if "key" in entry:
            password = self.folder / "password"
            password.write_text(entry["key"] + "\n")
            for layer in layers:
                if is_encrypted(layer):
                    words += ["--password-file", password]
        return words

    def disk(self, entry, folder):
        path = folder / "disk.raw"
        path.unlink(missing_ok=True)
        status, text = run([self.program, "dump", *self.options(entry), entry["file"], path])
        if status != 0:
            raise Refused(text.decode(errors="replace").strip())
        return path

    def reads(self, entry, reads):
        results = []
        for read in reads:
            place = ["--offset", read["offset"], "--length", read["len"], entry["file"]]
            status, found = run([self.program, "read", *self.options(entry), *place])
            results.append(found if status == 0 else None)
        return results


class Command:
    """The caller's reader."""

    has_reads = False

    def __init__(self, name, command):
        self.name, self.command, self.version = name, command, ""

    def disk(self, entry, folder):
        backing = entry.get("backing", [])
        if "key" in entry and "{key}" not in self.command or backing and "{backing}" not in self.command:
            raise Refused("not told how")
        values = {
            "image": entry["file"],
            "key": entry.get("key", ""),
            "backing": ",".join(f"{layer['format']}:{layer['file']}" for layer in backing),
        }
        return disk_of([word.format(**values) for word in shlex.split(self.command)], folder)


def digest(path, size):
    """Returns the digest of a file's first bytes."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while size > 0 and (part := file.read(min(size, 1 << 20))):
            found.update(part)
            size -= len(part)
    return found.hexdigest()


def judge_disk(path, right):
    """Compares a disk that may be cut or padded to whole sectors, for a reader that supports only these."""
    size, found = right["size"], path.stat().st_size
    if found == size and digest(path, size) == right["sha256"]:
        return "right", ""
    sectors = size // 512 * 512
    if found == sectors and "sha256_of_whole_sectors" in right and digest(path, found) == right["sha256_of_whole_sectors"]:
        return "sectors", f"{found} bytes of {size}"
    if size < found <= sectors + 512 and digest(path, size) == right["sha256"]:
        return "sectors", f"{found} bytes for {size}"
    return "wrong", "other bytes" if found == size else f"{found} bytes, not {size}"


def judge_reads(results, reads, may_refuse):
    """Returns the verdict on reads in sequence. If `may_refuse`, a reader may refuse all of them."""
    if may_refuse and all(result is None for result in results):
        return "refused rightly", ""
    for result, read in zip(results, reads, strict=True):
        if result is not None and hashlib.sha256(result).hexdigest() != read.get("sha256"):
            return "wrong", f"at {read['offset']}"
    for result, read in zip(results, reads, strict=True):
        if result is None and "sha256" in read:
            return "refused", f"at {read['offset']}"
    return "right", ""


def bytes_without_error(path, entry):
    """Describes the bytes that a reader returned instead of an error."""
    if "sha256" in entry["salvage"] and judge_disk(path, entry["salvage"])[0] in ("right", "sectors"):
        return AS_SALVAGE
    return f"{path.stat().st_size} bytes, where it is {entry['strict']['error']}"


def verdict(reader, entry, folder):
    """Returns the result of a reader for an image, and a remark."""
    right = entry["strict"]
    reads, verdicts = right.get("reads", []), []
    has_reads = reads and reader.has_reads
    if not has_reads and right.get("size", 0) > OUTPUT:
        return "not judged", "it cannot read a part of a disk"
    if "error" in right or "sha256" in right or not has_reads:
        try:
            path = reader.disk(entry, folder)
            if "error" in right:
                verdicts.append(("wrong", bytes_without_error(path, entry)))
            elif "sha256" in right:
                verdicts.append(judge_disk(path, right))
            else:
                results = []
                with open(path, "rb") as disk:
                    for read in reads:
                        disk.seek(read["offset"])
                        results.append(disk.read(read["len"]))
                verdicts.append(judge_reads(results, reads, False))
        except Refused as error:
            verdicts.append(("refused rightly" if "error" in right else "refused", str(error)))
        except TooMuch:
            verdicts.append(("wrong", f"more than {OUTPUT} bytes"))
        except Crashed as error:
            verdicts.append(("crashed", str(error)))
    if has_reads:
        try:
            verdicts.append(judge_reads(reader.reads(entry, reads), reads, "error" in right))
        except Crashed as error:
            verdicts.append(("crashed", str(error)))
    return max(verdicts, key=lambda found: list(VERDICTS).index(found[0]))


def summary(readers, entries, found):
    """Returns the table of all results."""
    lines = ["| reader | " + " | ".join(VERDICTS.values()) + " |", "|---" * (len(VERDICTS) + 1) + "|"]
    for reader in readers:
        counts = collections.Counter(found[reader.name, entry["file"]][0] for entry in entries)
        cells = [str(counts[verdict]) for verdict in VERDICTS]
        zeros = sum(found[reader.name, entry["file"]][1] == AS_SALVAGE for entry in entries)
        if zeros:
            cells[list(VERDICTS).index("wrong")] += f" ({zeros} of them: zeros past the end of the file)"
        name = f"{reader.name} {reader.version}".strip()
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def groups(readers, entries, found):
    """Returns the table of results by group."""
    lines = ["Right (as it should be, bytes or refusal), of how many; then what is wrong with the others:", ""]
    lines.append("| group | images | " + " | ".join(reader.name for reader in readers) + " |")
    lines.append("|---" * (len(readers) + 2) + "|")
    for group in dict.fromkeys(entry["group"] for entry in entries):
        members = [entry for entry in entries if entry["group"] == group]
        cells = []
        for reader in readers:
            counts = collections.Counter(found[reader.name, entry["file"]][0] for entry in members)
            right = counts.pop("right", 0) + counts.pop("refused rightly", 0)
            others = [f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]]
            cells.append(f"{right}" + (f" ({', '.join(others)})" if others else ""))
        lines.append(f"| {group} | {len(members)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def publish(path, text):
    """Writes a text between the marks of a file."""
    before, rest = path.read_text().split(BEGIN)
    _, after = rest.split(END, 1)
    path.write_text(f"{before}{BEGIN}\n{text}{END}{after}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verbose", action="store_true", help="print each image with a wrong result")
    parser.add_argument("--group", help="run only the images of this group")
    parser.add_argument("--output", type=pathlib.Path, help="write the tables to this file too")
    parser.add_argument("--publish", action="store_true", help="write the tables into README.md")
    parser.add_argument("--reader", nargs=2, action="append", default=[], metavar=("NAME", "COMMAND"))
    arguments = parser.parse_args()
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    entries = [entry for entry in manifest["images"] if arguments.group in (None, entry["group"])]

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        readers = []
        for kind in (HostTool, Qemu, Libqcow, SevenZip):
            try:
                readers.append(kind(folder))
            except FileNotFoundError as error:
                print(f"without {kind.name}: {error}", file=sys.stderr)
        readers += [Command(name, command) for name, command in arguments.reader]
        found = {}
        for reader in readers:
            for entry in entries:
                result = found[reader.name, entry["file"]] = verdict(reader, entry, folder)
                if arguments.verbose and result[0] not in ("right", "refused rightly"):
                    print(f"{reader.name}: {entry['file']}: {result[0]}: {result[1]}")
    version = f"Version {manifest['version']} of the suite, {len(entries)} images.\n"
    text = "\n".join([version, summary(readers, entries, found), groups(readers, entries, found)])
    print(text, end="")
    if arguments.output:
        arguments.output.write_text(text)
    if arguments.publish:
        if arguments.group:
            parser.error("one group is not the table that is published")
        publish(FOLDER / "README.md", f"\n{text}\n")


if __name__ == "__main__":
    main()
