#!/usr/bin/env python3
"""Runs QCOW1 readers over the suite in this folder, and prints a Markdown table of their results.

    ./peers.py                      every reader that is installed: qemu-img, libqcow, 7z, and this crate's host tool
    ./peers.py --verbose            with a line for each image that a reader gets wrong
    ./peers.py --publish            writes the tables into README.md
    ./peers.py --reader NAME 'COMMAND {image}'
                                    another one too; with --only, no other one. README.md says what COMMAND writes, and
                                    what {key}, {backing} and {reads} are. Without {key} or {backing} in COMMAND, images
                                    that need them count as refused, or as not judged if an error is right.

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


class Unable(Exception):
    """The reader cannot be given what the image needs, and was not run."""


class Wrong(Exception):
    """The reader wrote, without an error, what is right for no image."""


def run(command, output=subprocess.PIPE):
    """Runs a reader, and returns its exit status and its output. An output that is a file is limited to `OUTPUT` bytes."""

    def limits():
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if output != subprocess.PIPE:
            resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT, OUTPUT))

    try:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output == subprocess.PIPE else subprocess.DEVNULL,
            preexec_fn=limits,
            start_new_session=True,
        )
    except OSError as error:
        sys.exit(f"{command[0]} does not start: {error}")
    try:
        text, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise Crashed(f"no end in {SECONDS} s") from None
    if process.returncode == -signal.SIGXFSZ:
        raise Wrong(f"more than {OUTPUT} bytes")
    if process.returncode < 0:
        raise Crashed(signal.Signals(-process.returncode).name)
    return process.returncode, text


def disk_of(command, folder):
    """Returns the standard output of a command, as a file. An exit status other than 0 is an error."""
    path = folder / "disk.raw"
    with open(path, "wb") as output:
        status, _ = run(command, output)
    # Before the status: some readers end with an error at the limit, instead of by the signal.
    if path.stat().st_size >= OUTPUT:
        raise Wrong(f"{OUTPUT} bytes or more")
    # What `env` and the dynamic linker return for a program that they cannot start.
    if status in (126, 127):
        sys.exit(f"{command[0]} does not start: exit status {status}")
    if status != 0:
        raise Refused(f"exit status {status}")
    return path


def reads_of(command, reads, folder):
    """Returns the results of a command that writes a line for each read: the bytes in hexadecimal digits, or `error`."""
    try:
        lines = disk_of(command, folder).read_text(errors="replace").splitlines()
    except Refused:
        return [None] * len(reads)
    if len(lines) != len(reads):
        raise Wrong(f"{len(lines)} lines for {len(reads)} reads")
    try:
        return [None if line == "error" else bytes.fromhex(line) for line in lines]
    except ValueError:
        raise Wrong("a line that is neither hexadecimal digits nor `error`") from None


def ranges(reads):
    return [f"{read['offset']}:{read['len']}" for read in reads]


def is_encrypted(path):
    return pathlib.Path(path).read_bytes()[36:40] == b"\0\0\0\1"


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

    def reads(self, entry, reads, folder):
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
                raise Unable("no raw backing files")
            files.append(backing["file"])
        return [self.program, entry.get("key", ""), ",".join(files)]

    def disk(self, entry, folder):
        return disk_of(self.command(entry), folder)

    def reads(self, entry, reads, folder):
        return reads_of([*self.command(entry), *ranges(reads)], reads, folder)


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
        words = ["--quiet"]
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

    def reads(self, entry, reads, folder):
        results = []
        for read in reads:
            place = ["--offset", read["offset"], "--length", read["len"], entry["file"]]
            status, found = run([self.program, "read", *self.options(entry), *place])
            results.append(found if status == 0 else None)
        return results


class Command:
    """The caller's reader."""

    def __init__(self, name, command):
        self.name, self.text, self.version = name, command, ""
        self.template = shlex.split(command)
        self.has_reads = "{reads}" in self.template
        if "{image}" not in command:
            raise ValueError(f"{name}: there is no {{image}} in the command")
        if not shutil.which(self.template[0]):
            raise ValueError(f"{name}: there is no program {self.template[0]}")

    def command(self, entry, reads=()):
        backing = ",".join(f"{layer['format']}:{layer['file']}" for layer in entry.get("backing", []))
        values = {
            "{image}": entry["file"],
            "{key}": entry.get("key"),
            "{backing}": backing,
            "{reads}": " ".join(ranges(reads)),
        }
        for name in ("{key}", "{backing}"):
            if values[name] and name not in self.text:
                raise Unable(f"no {name} in the command")
        command = []
        for word in self.template:
            names = [name for name in values if name in word]
            if not all(values[name] for name in names):
                # An option goes with its value.
                if command[-1].startswith("-"):
                    command.pop()
            elif word == "{reads}":
                command += ranges(reads)
            else:
                for name in names:
                    word = word.replace(name, values[name])
                command.append(word)
        return command

    def disk(self, entry, folder):
        return disk_of(self.command(entry), folder)

    def reads(self, entry, reads, folder):
        return reads_of(self.command(entry, reads), reads, folder)


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
    return f"{path.stat().st_size} bytes, but right is {entry['strict']['error']}"


def judge_whole(reader, entry, folder):
    """Returns the verdict on the whole disk; if the manifest has no digest of it, on its parts."""
    right = entry["strict"]
    try:
        path = reader.disk(entry, folder)
    except Refused as error:
        return "refused rightly" if "error" in right else "refused", str(error)
    if "error" in right:
        return "wrong", bytes_without_error(path, entry)
    if "sha256" in right:
        return judge_disk(path, right)
    results = []
    with open(path, "rb") as disk:
        for read in right["reads"]:
            disk.seek(read["offset"])
            results.append(disk.read(read["len"]))
    return judge_reads(results, right["reads"], False)


def verdict(reader, entry, folder):
    """Returns the result of a reader for an image, and a remark."""
    right = entry["strict"]
    reads, verdicts = right.get("reads", []), []
    has_reads = reads and reader.has_reads
    if not has_reads and right.get("size", 0) > OUTPUT:
        return "not judged", "it cannot read a part of a disk"
    try:
        if "error" in right or "sha256" in right or not has_reads:
            verdicts.append(judge_whole(reader, entry, folder))
        if has_reads:
            verdicts.append(judge_reads(reader.reads(entry, reads, folder), reads, "error" in right))
    except Unable as error:
        return "not judged" if "error" in right else "refused", str(error)
    except Wrong as error:
        return "wrong", str(error)
    except Crashed as error:
        return "crashed", str(error)
    found = max(verdicts, key=lambda found: list(VERDICTS).index(found[0]))
    if found[0] == "refused rightly" and reads and not has_reads:
        # Such an image tells readers apart by its reads: any reader that reads the whole disk meets the error.
        return "not judged", "it cannot read a part of a disk"
    return found


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
    lines = ["Images that each reader reads or refuses as it should, by group; the others have their verdict:", ""]
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
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    names = list(dict.fromkeys(entry["group"] for entry in manifest["images"]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verbose", action="store_true", help="print each image with a wrong result")
    parser.add_argument("--group", choices=names, help="run only the images of this group")
    parser.add_argument("--output", type=pathlib.Path, help="write the tables to this file too")
    parser.add_argument("--publish", action="store_true", help="write the tables into README.md")
    parser.add_argument("--reader", nargs=2, action="append", default=[], metavar=("NAME", "COMMAND"))
    parser.add_argument("--only", action="store_true", help="run only the readers of --reader")
    arguments = parser.parse_args()
    if arguments.only and not arguments.reader:
        parser.error("--only needs a --reader")
    if arguments.publish and (arguments.group or arguments.only):
        parser.error("the table that is published has all groups and all readers")
    try:
        commands = [Command(name, command) for name, command in arguments.reader]
    except ValueError as error:
        parser.error(str(error))
    entries = [entry for entry in manifest["images"] if arguments.group in (None, entry["group"])]
    for entry in entries:
        # Readers run in the caller's folder, so that a command can name its own files.
        for layer in [entry, *entry.get("backing", [])]:
            layer["file"] = os.path.relpath(IMAGES / layer["file"])

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        readers = []
        for kind in () if arguments.only else (HostTool, Qemu, Libqcow, SevenZip):
            try:
                readers.append(kind(folder))
            except FileNotFoundError as error:
                print(f"without {kind.name}: {error}", file=sys.stderr)
        readers += commands
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
        publish(FOLDER / "README.md", f"\n{text}\n")


if __name__ == "__main__":
    main()
