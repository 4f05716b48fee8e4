#!/usr/bin/env python3
"""Runs the fuzz targets with AddressSanitizer, from the committed seeds on.

    ./run.py --seconds 60                   each target for a minute, one after the other
    ./run.py --seconds 3600 --processes 2 session check
    ./run.py --seconds 600 --publish        then writes the sum of all runs so far into the table of README.md
    ./run.py --minimise                     makes the corpus that has been found the new seeds, as small as it can be

What is found is kept in target/corpus, a crash in target/crashes, and what each run did in target/runs.json. Needs
cargo-fuzz and a nightly compiler.
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
import time

FOLDER = pathlib.Path(__file__).resolve().parent
SEEDS = FOLDER / "seeds"
TARGETS = sorted(path.stem for path in (FOLDER / "fuzz_targets").glob("*.rs"))

# The longest input, in bytes. What a target does with more shows no more, and takes longer.
LONGEST = {"session": 500, "differential": 400, "chain": 4096, "check": 3072, "image": 3072, "header": 4096, "inflate": 1024}

# All seeds together; each target's folder gets a part of it.
SEEDS_SIZE = 2 << 20

# The code has no `unsafe`, so freed memory need not be kept from being used again.
ASAN = "detect_odr_violation=0:quarantine_size_mb=8:malloc_context_size=2:detect_stack_use_after_return=0:allocator_release_to_os_interval_ms=-1"

RUNS = FOLDER / "target" / "runs.json"

BEGIN, END = "<!-- table: run.py -->", "<!-- end -->"


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


def fuzz(target, seconds):
    """Runs one target; what libFuzzer says of it at the end, and the processor's time."""
    corpus = FOLDER / "target" / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = SEEDS / target
    words = command(
        target,
        corpus,
        *([seeds] if seeds.exists() else []),
        f"-max_total_time={seconds}",
        "-len_control=0",
        "-print_final_stats=1",
    )
    log = FOLDER / "target" / f"{target}.log"
    start = time.monotonic()
    with open(log, "wb") as output:
        process = subprocess.Popen(words, stderr=output, stdout=output, env={**os.environ, "ASAN_OPTIONS": ASAN})
        _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.monotonic() - start
    text = log.read_text(errors="replace")
    if status != 0:
        sys.stderr.write(text[-6000:])
        raise SystemExit(f"{target}: crashed; see {log}")
    done = re.findall(r"^#(\d+)\s+DONE\s+cov: (\d+).*corp: (\d+)", text, re.M)[-1]
    executions = int(re.search(r"stat::number_of_executed_units: (\d+)", text)[1])
    return {
        "target": target,
        "executions": executions,
        "seconds": elapsed,
        "processor": usage.ru_utime + usage.ru_stime,
        "coverage": int(done[1]),
        "corpus": int(done[2]),
    }


def remember(results):
    """Appends to the runs so far, and returns the sum of all of them for each target."""
    runs = json.loads(RUNS.read_text()) if RUNS.exists() else []
    runs += results
    RUNS.write_text(json.dumps(runs, indent=1))
    sums = {}
    for run in runs:
        total = sums.setdefault(run["target"], {**run, "executions": 0, "seconds": 0, "processor": 0})
        for key in ("executions", "seconds", "processor"):
            total[key] += run[key]
        for key in ("coverage", "corpus"):
            total[key] = run[key]
    return [sums[target] for target in sorted(sums)]


def table(results):
    lines = [
        "| target | executions | a second of one processor | processor's seconds | edges | inputs kept |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for result in results:
        rate = result["executions"] / result["processor"]
        lines.append(
            f"| `{result['target']}` | {result['executions']:,} | {rate:,.0f} | {result['processor']:,.0f} "
            f"| {result['coverage']:,} | {result['corpus']:,} |"
        )
    executions, processor = (sum(result[key] for result in results) for key in ("executions", "processor"))
    lines.append(f"| all | {executions:,} | | {processor:,.0f} | | |")
    return "\n".join(lines)


def publish(text):
    path = FOLDER / "README.md"
    before, rest = path.read_text().split(BEGIN)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def minimise(target):
    """Makes what is needed of the corpus the new seeds: the shortest inputs that reach all that has been reached."""
    corpus, seeds = FOLDER / "target" / "corpus" / target, SEEDS / target
    merged = FOLDER / "target" / "merged" / target
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    sources = [folder for folder in (seeds, corpus) if folder.exists()]
    words = command(target, "-merge=1", merged, *sources)
    subprocess.run(words, check=True, env={**os.environ, "ASAN_OPTIONS": ASAN}, capture_output=True)
    # The shortest first, until the folder's part is full.
    files = sorted(merged.iterdir(), key=lambda path: (path.stat().st_size, path.name))
    shutil.rmtree(seeds, ignore_errors=True)
    seeds.mkdir(parents=True)
    left = SEEDS_SIZE // len(TARGETS)
    kept = 0
    for file in files:
        left -= file.stat().st_size
        if left < 0:
            break
        shutil.copyfile(file, seeds / file.name)
        kept += 1
    print(f"{target}: {kept} of {len(files)} inputs")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", default=TARGETS, metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--processes", type=int, default=1, help="targets that run at the same time")
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--minimise", action="store_true")
    arguments = parser.parse_args()
    build(arguments.targets)
    if arguments.minimise:
        for target in arguments.targets:
            minimise(target)
        return
    with concurrent.futures.ThreadPoolExecutor(arguments.processes) as pool:
        results = list(pool.map(lambda target: fuzz(target, arguments.seconds), arguments.targets))
    print(table(results), flush=True)
    sums = remember(results)
    if arguments.publish:
        publish(f"\n{table(sums)}\n")


if __name__ == "__main__":
    main()
