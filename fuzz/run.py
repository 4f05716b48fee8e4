#!/usr/bin/env python3
"""Runs the fuzz targets with AddressSanitizer, starting from the committed seeds.

    ./run.py --seconds 60                   each target for a minute, one after the other
    ./run.py --seconds 3600 --processes 2 session check
    ./run.py --seconds 600 --publish        adds a record of each target's run to runs.json, and writes the table of README.md
    ./run.py --seconds 0 --publish          writes the table of what runs.json holds
    ./run.py --minimize                     makes the corpus that has been found the new seeds, as small as it can be

With --publish it fails if a target makes fewer executions a second of one processor than LEAST. What is found is kept in target/corpus,
and a crash in target/crashes. Needs cargo-fuzz and a nightly compiler.
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
import tarfile
import threading

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.append(str(FOLDER.parent / "tests"))
import readme  # noqa: E402 (it is in the folder that is added above)

SEEDS = FOLDER / "seeds"
TARGETS = sorted(path.stem for path in (FOLDER / "fuzz_targets").glob("*.rs"))

# The longest input, in bytes. What a target does with more shows no more, and takes longer.
LONGEST = {"session": 500, "differential": 400, "chain": 4096, "check": 3072, "image": 3072, "header": 4096, "inflate": 1024}

# All seeds together, in bytes; each target's archive gets a part of it.
SEEDS_SIZE = 2 << 20

# The code has no `unsafe`, so freed memory need not be kept from being used again.
ASAN = "detect_odr_violation=0:quarantine_size_mb=8:malloc_context_size=2:detect_stack_use_after_return=0:allocator_release_to_os_interval_ms=-1"

# One record for each run of a target whose result was published.
RUNS = FOLDER / "runs.json"
RUNS_LOCK = threading.Lock()

# The least executions a second of one processor.
LEAST = 2000


def build(targets):
    for target in targets:
        subprocess.run(["cargo", "+nightly", "fuzz", "build", target], cwd=FOLDER, check=True)


def binary(target):
    host = subprocess.run(["rustc", "+nightly", "-vV"], capture_output=True, text=True, check=True).stdout
    triple = re.search(r"host: (.*)", host)[1]
    base = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", FOLDER / "target"))
    return base / triple / "release" / target


def command(target, *arguments):
    crashes = FOLDER / "target" / "crashes"
    crashes.mkdir(parents=True, exist_ok=True)
    return [
        binary(target),
        *arguments,
        f"-max_len={LONGEST[target]}",
        "-timeout=20",
        "-rss_limit_mb=1024",
        f"-artifact_prefix={crashes}/{target}-",
    ]


def commit():
    """Returns the commit of the checkout, marked if the fuzzed sources differ from it."""
    git = ["git", "-C", FOLDER.parent]
    short = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    fuzzed = ["src", "inflate/src", "fuzz/src", "tests/common"]
    changed = subprocess.run([*git, "status", "--porcelain", *fuzzed], capture_output=True, text=True, check=True).stdout
    return f"{short}-dirty" if changed else short


def unpack(target):
    """Returns a folder with the seeds of a target."""
    folder = FOLDER / "target" / "seeds" / target
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tarfile.open(SEEDS / f"{target}.tar") as archive:
        archive.extractall(folder, filter="data")
    return folder


def pack(target, files):
    """Writes the archive of a target's seeds. The same files give the same archive."""
    with tarfile.open(SEEDS / f"{target}.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
        for file in sorted(files, key=lambda path: path.name):
            member = tarfile.TarInfo(file.name)
            member.size = file.stat().st_size
            with open(file, "rb") as content:
                archive.addfile(member, content)


def fuzz(target, seconds):
    """Runs one target. Returns what libFuzzer prints at the end, and the processor's time."""
    corpus = FOLDER / "target" / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    words = command(
        target,
        corpus,
        unpack(target),
        f"-max_total_time={seconds}",
        "-len_control=0",
        "-print_final_stats=1",
    )
    log = FOLDER / "target" / f"{target}.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(words, stderr=output, stdout=output, env={**os.environ, "ASAN_OPTIONS": ASAN})
        _, status, usage = os.wait4(process.pid, 0)
    text = log.read_text(errors="replace")
    if status != 0:
        sys.stderr.write(text[-6000:])
        raise SystemExit(f"{target}: crashed; see {log}")
    done = re.findall(r"^#(\d+)\s+DONE\s+cov: (\d+).*corp: (\d+)", text, re.M)[-1]
    executions = int(re.search(r"stat::number_of_executed_units: (\d+)", text)[1])
    return {
        "target": target,
        "executions": executions,
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "edges": int(done[1]),
        "inputs": int(done[2]),
    }


def runs():
    return json.loads(RUNS.read_text()) if RUNS.exists() else []


def remember(result):
    """Adds a record to runs.json, one a line."""
    with RUNS_LOCK:
        lines = ",\n".join(json.dumps(record) for record in [*runs(), result])
        RUNS.write_text(f"[\n{lines}\n]\n")


def sums(results):
    """Sums the executions and the processor's time of each target. The edges and the inputs are those of its last run."""
    totals = {}
    for result in results:
        before = totals.get(result["target"], {"executions": 0, "processor_seconds": 0})
        summed = {key: before[key] + result[key] for key in ("executions", "processor_seconds")}
        totals[result["target"]] = {**result, **summed}
    return [totals[target] for target in sorted(totals)]


def rate(result):
    return result["executions"] / result["processor_seconds"]


def table(results):
    lines = [
        "| target | executions | a second of one processor | processor's seconds | edges | inputs kept |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for result in results:
        mark = "" if rate(result) >= LEAST else f" (less than {LEAST:,})"
        lines.append(
            f"| `{result['target']}` | {result['executions']:,} | {rate(result):,.0f}{mark} "
            f"| {result['processor_seconds']:,.0f} | {result['edges']:,} | {result['inputs']:,} |"
        )
    executions, processor = (sum(result[key] for result in results) for key in ("executions", "processor_seconds"))
    lines.append(f"| all | {executions:,} | | {processor:,.0f} | | |")
    return "".join(f"{line}\n" for line in lines)


def refused(target, folder):
    """Returns the names of the inputs in a folder that the target does not go through with."""
    words = ["cargo", "+nightly", "run", "--quiet", "--release", "--example", "refused", "--", target, folder]
    return set(subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, check=True).stdout.split())


def minimize(target):
    """Replaces the seeds by the shortest inputs of the corpus that reach the same code as all of it."""
    corpus, seeds = FOLDER / "target" / "corpus" / target, unpack(target)
    merged = FOLDER / "target" / "merged" / target
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    sources = [folder for folder in (seeds, corpus) if folder.exists()]
    words = command(target, "-merge=1", merged, *sources)
    subprocess.run(words, check=True, env={**os.environ, "ASAN_OPTIONS": ASAN}, capture_output=True)
    # The shortest first, until the archive's part is full.
    useless = refused(target, merged)
    files = (path for path in merged.iterdir() if path.name not in useless)
    files = sorted(files, key=lambda path: (path.stat().st_size, path.name))
    left = SEEDS_SIZE // len(TARGETS)
    kept = []
    for file in files:
        left -= file.stat().st_size
        if left < 0:
            break
        kept.append(file)
    pack(target, kept)
    print(f"{target}: {len(kept)} of {len(files)} inputs; {len(useless)} are refused")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", default=TARGETS, metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--processes", type=int, default=1, help="targets that run at the same time")
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--minimize", action="store_true")
    arguments = parser.parse_args()
    checkout = commit()
    if arguments.minimize or arguments.seconds:
        build(arguments.targets)
    if arguments.minimize:
        for target in arguments.targets:
            minimize(target)
        return

    def run(target):
        result = {**fuzz(target, arguments.seconds), "commit": checkout}
        if arguments.publish:
            # At once, so that a crash of another target does not lose it.
            remember(result)
        return result

    results = []
    if arguments.seconds:
        with concurrent.futures.ThreadPoolExecutor(arguments.processes) as pool:
            results = list(pool.map(run, arguments.targets))
        print(table(results), end="", flush=True)
    if arguments.publish:
        totals = sums(runs())
        readme.write("runs", f"\n{table(totals)}\n", FOLDER / "README.md")
        slow = sorted({result["target"] for result in results + totals if rate(result) < LEAST})
        if slow:
            sys.exit(f"fewer than {LEAST:,} executions a second of one processor: {', '.join(slow)}")


if __name__ == "__main__":
    main()
