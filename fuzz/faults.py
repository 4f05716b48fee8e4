#!/usr/bin/env python3
"""Plants faults in a copy of the crate, one at a time, and asks what finds them without a test.

    ./faults.py                 runs the first part of the images of exhaust.py, and proofs/run.sh
    ./faults.py images          runs only the first; `proofs` only the second
    ./faults.py --publish       records in faults.json which of those that ran found what

If a fault leaves the machine code of what is proved as it was, the proofs are not run: they would
show the same. It fails if a fault is not found by any of both, now or as recorded.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parent
RECORD = FOLDER / "faults.json"

# The file, the code that is replaced, its replacement, and the fault in words. The faults were chosen before it was known what finds them.
FAULTS = [
    ("src/format/entry.rs", "word & 511 == 0", "word & 255 == 0", "a boundary: data clusters at multiples of 256"),
    ("src/format/geometry.rs", "whole.wrapping_add(1)\n", "whole\n", "the partial last span has no L1 entry"),
    ("src/format/extent.rs", "a.checked_add(self.len) == Some(b)", "b.checked_add(self.len) == Some(a)", "swapped operands: extents join backwards"),
    ("src/offset.rs", "impl HostOffset {\n    /// Adds `bytes`, saturating: for offsets that are not known to lie inside the disk or the file.\n    pub(crate) const fn plus(self, bytes: u64) -> Self {\n        Self(self.0.saturating_add(bytes))", "impl HostOffset {\n    pub(crate) const fn plus(self, bytes: u64) -> Self {\n        Self(self.0.wrapping_add(bytes))", "a host offset wraps instead of saturating"),
    ("src/reader/device_shape.rs", "<= self.end.0", "< self.end.0", "a boundary: a part that ends at the end of the file is past the end"),
    ("src/reader/extent_walk.rs", "clusters_after.min(clusters.wrapping_sub(1))", "clusters_after.min(clusters)", "off by one: a run continues past the end of the file"),
    ("src/reader/compressed.rs", "let room = self.input_len.checked_sub(stream.len);", "let room = self.input_len.checked_sub(1);", "a forgotten length: half of a stream counts as read"),
    ("src/reader/down_and_up.rs", "self.take_dst(image.read_end.wrapping_sub(self.walk.start())).fill(0);", "self.take_dst(image.read_end.wrapping_sub(self.walk.start()));", "forgotten zeros after the end of a shorter backing file"),
    ("src/reader/failure.rs", "(geometry.cluster_start(self.start()), host)", "(self.start(), host)", "an error names a byte, not the start of the cluster"),
    ("src/reader/image_state.rs", "header.l1().plus(index.wrapping_shl(3))", "header.l1().plus(index.wrapping_shl(2))", "a shift: L1 words of 4 bytes"),
    ("src/format/header.rs", "backing_len > MAX_NAME", "backing_len >= MAX_NAME", "a boundary: a name of 1,023 bytes is too long"),
    ("src/reader/truncated_file.rs", "Ok(in_file & !within_unit)", "Ok(in_file)", "a forgotten rounding: a cut encrypted sector counts as readable"),
    ("src/reader/truncated_file.rs", "buffer.get_mut(index(in_file)..).unwrap_or_default().fill(0);", "let _ = (buffer, in_file);", "forgotten zeros: words past the end of the file are what the memory held"),
    ("src/format/xen.rs", "l1_offset & 0xfff == 0", "l1_offset & 0x1ff == 0", "a mask: an L1 table at a sector counts as at a page"),
]


def plant(copy, fault):
    """Changes the copy. Returns what undoes it."""
    path = copy / fault[0]
    text = path.read_text()
    if text.count(fault[1]) != 1:
        sys.exit(f"{fault[0]} has {text.count(fault[1])} times: {fault[1]}")
    path.write_text(text.replace(fault[1], fault[2]))
    return lambda: path.write_text(text)


def start(copy, words, target):
    """Starts a command as the leader of a process group."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    return subprocess.Popen(
        words, cwd=copy, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def fails(copy, words, target):
    """Returns whether a command fails. A proof that is refuted ends it."""
    lines = []
    with start(copy, words, target) as process:
        for line in process.stdout:
            lines.append(line)
            if "NOT PROVED" in line:
                os.killpg(process.pid, signal.SIGKILL)
                break
    if process.returncode > 0 and "could not compile" in "".join(lines):
        sys.exit(f"a fault does not compile:\n{''.join(lines)}")
    return process.returncode != 0


def images(copy, target):
    """Returns whether the small world finds a fault."""
    return fails(copy, ["fuzz/exhaust.py", "--sample", "images"], target)


def proofs(copy, target):
    """Returns whether a proof, or the search of the table cache's states, finds a fault."""
    programs = {"harness": "libqcow1_proofs.a", "cache": "qcow1-cache-states"}
    for folder in programs:
        if fails(copy / "proofs" / folder, ["cargo", "build", "--release", "--locked"], target):
            sys.exit(f"proofs/{folder} cannot be built.")
    built = [(target / "release" / name).read_bytes() for name in programs.values()]
    if PROVED and PROVED == built:
        return False
    refuted = fails(copy, ["proofs/run.sh"], target)
    if not refuted:
        PROVED[:] = built
    return refuted


# The programs that the proofs are about, without a fault.
PROVED = []
FINDERS = {"images": images, "proofs": proofs}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("finders", nargs="*", default=[*FINDERS], metavar="images | proofs")
    parser.add_argument("--publish", action="store_true")
    arguments = parser.parse_args()
    if unknown := {*arguments.finders} - {*FINDERS}:
        parser.error(f"neither images nor proofs: {' '.join(unknown)}")
    recorded = {record["fault"]: record for record in json.loads(RECORD.read_text())}
    base = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "faults"
    records = []
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "copy"
        files = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
        for name in files.split("\0")[:-1]:
            if not name.startswith("fuzz/seeds/"):
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, copy / name)
        for name in arguments.finders:
            if FINDERS[name](copy, base / name):
                sys.exit(f"{name}: something is found without a fault.")
        for fault in FAULTS:
            undo = plant(copy, fault)
            found = {name: FINDERS[name](copy, base / name) for name in arguments.finders}
            undo()
            before = recorded.get(fault[3], {})
            kept = {name: before.get(name, False) for name in FINDERS}
            records.append({"file": fault[0], "fault": fault[3], **kept, **found})
            print(f"{fault[0]}: {fault[3]}: {found}", flush=True)
    if arguments.publish:
        lines = ",\n".join(json.dumps(record) for record in records)
        RECORD.write_text(f"[\n{lines}\n]\n")
    if missed := [record["fault"] for record in records if not any(record[name] for name in FINDERS)]:
        sys.exit(f"not found: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
