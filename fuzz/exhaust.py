#!/usr/bin/env python3
"""Runs every input of a small world, and compares each result with an independent decoder or reader; see exhaust/.

    ./exhaust.py --sample            the first part of each world
    ./exhaust.py streams codes       all parts, and then writes a record of each world to exhausted.json
    ./exhaust.py --processes 2 images

A run that was stopped continues where it was, unless what it runs has changed. Needs a stable compiler, and a C compiler for zlib.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

FOLDER = pathlib.Path(__file__).resolve().parent
RECORDS = FOLDER / "exhausted.json"

# What a run depends on.
SOURCES = ["src", "inflate/src", "fuzz/src", "fuzz/exhaust", "tests/common"]

# The least number of inputs of the first part of each world.
LEAST = {"codes": 300_000, "images": 3_400_000, "streams": 1 << 24}

LOCK = threading.Lock()


def git(*words):
    return subprocess.run(["git", "-C", FOLDER.parent, *words], capture_output=True, text=True, check=True).stdout.strip()


def build():
    """Builds the program at the root of the repository, where no file selects a nightly compiler. Returns its path."""
    words = ["cargo", "build", "--quiet", "--locked", "--release", "--manifest-path", "fuzz/Cargo.toml"]
    words += ["--no-default-features", "--example", "exhaust"]
    subprocess.run(words, cwd=FOLDER.parent, check=True)
    base = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", FOLDER / "target"))
    return (FOLDER.parent / base).resolve() / "release" / "examples" / "exhaust"


def world(program, name):
    """Returns the numbers of parts and of inputs of a world."""
    process = subprocess.run([program, name], capture_output=True, text=True)
    if process.returncode != 0:
        sys.exit(f"{name} is not a world: {process.stderr.strip()}")
    return json.loads(process.stdout)


def run(program, name, part):
    """Runs a part. Returns what it counted, and the processor's seconds."""
    words = [program, name, str(part), str(part + 1)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{name}: part {part} failed. {' '.join(map(str, words))} repeats it.")
    return {"part": part, **json.loads(output), "seconds": usage.ru_utime + usage.ru_stime}


def machine():
    """Returns the name of the processor and the version of the compiler."""
    model = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    compiler = subprocess.run(["rustc", "--version"], cwd=FOLDER.parent, capture_output=True, text=True, check=True).stdout
    return f"{model[1] if model else os.uname().machine}, {' '.join(compiler.split()[:2])}"


def kept(program):
    """Copies the program, so that a build meanwhile does not change what runs. Returns the copy, whose
    name stands for its sources, and the last commit that changed the crate."""
    if changed := git("status", "--porcelain", "--", *SOURCES):
        sys.exit(f"A record names a commit. Commit these first:\n{changed}")
    trees = [git("rev-parse", f"HEAD:{source}")[:8] for source in SOURCES]
    copy = FOLDER / "target" / "exhaust" / "-".join(trees)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, copy)
    return copy, git("log", "-1", "--format=%h", "--", "src", "inflate/src")


def whole(program, commit, name, processes):
    """Runs the parts of a world that have not run, and records the world."""
    parts = world(program, name)
    log = program.parent / f"{name}-{program.name}.json"
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    left = sorted(set(range(parts["parts"])) - {part["part"] for part in done})

    def one(part):
        result = run(program, name, part)
        with LOCK, open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
        return result

    pool = concurrent.futures.ThreadPoolExecutor(processes)
    try:
        done += pool.map(one, left)
    finally:
        pool.shutdown(cancel_futures=True)
    counted = {key: sum(part[key] for part in done) for key in ("inputs", "read", "seconds")}
    if counted["inputs"] != parts["inputs"]:
        sys.exit(f"{name}: {counted['inputs']:,} inputs, not {parts['inputs']:,}")
    remember({
        "world": name,
        "inputs": counted["inputs"],
        "read": counted["read"],
        "processor_seconds": round(counted["seconds"]),
        "commit": commit,
        "machine": machine(),
    })


def remember(record):
    """Replaces the record of a world in exhausted.json, one a line."""
    records = json.loads(RECORDS.read_text()) if RECORDS.exists() else []
    records = [other for other in records if other["world"] != record["world"]] + [record]
    lines = ",\n".join(json.dumps(one) for one in sorted(records, key=lambda one: one["world"]))
    RECORDS.write_text(f"[\n{lines}\n]\n")
    print(json.dumps(record), flush=True)


def sample(program, name):
    """Runs the first part of a world, which must not have shrunk."""
    parts = world(program, name)
    result = run(program, name, 0)
    print(f"{name}: {result['inputs']:,} of {parts['inputs']:,} inputs, {result['seconds']:.1f} s", flush=True)
    if result["inputs"] < LEAST[name] or result["read"] == 0:
        sys.exit(f"{name}: the first part has fewer than {LEAST[name]:,} inputs, or none of them is read.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worlds", nargs="*", default=sorted(LEAST), metavar="WORLD")
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    program = build()
    if not arguments.sample:
        program, commit = kept(program)
    for name in arguments.worlds:
        if arguments.sample:
            sample(program, name)
        else:
            whole(program, commit, name, arguments.processes)


if __name__ == "__main__":
    main()
