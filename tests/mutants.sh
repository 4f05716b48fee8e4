#!/usr/bin/env bash
# Runs the tests against mutants of the crate, and prints a table of how many were caught. It fails
# if one was missed that missed_mutants.toml does not explain.
#
# Usage: tests/mutants.sh [argument of cargo mutants]...
#
# Without arguments it takes the folders that decide something, for two hours: about 5 seconds of
# one processor a mutant. Then it writes the table into README.md. `--file='src/format/**'` takes
# one folder, `--in-diff=FILE` what a change touches. Needs `cargo install --locked cargo-mutants
# cargo-nextest`.
set -euo pipefail
cd "$(dirname "$0")/.."

readme=()
if [ $# = 0 ]; then
    readme=(--readme)
    set -- $(printf -- '--file=%s/** ' src/{format,reader,image,device,guest} inflate/src)
fi
out=target/mutants
export CARGO_INCREMENTAL=1
# A mutant that allocates without end fails a test, not the machine.
ulimit -v $((12 << 20))
rm -rf "$out"
mkdir -p "$out"

# $1: a name of the run; then arguments of cargo mutants. 2: some were missed; 3: some ran out of
# time, which is caught.
run() {
    local name=$1 status=0
    shift
    cargo mutants --output "$out" "$@" || status=$?
    case $status in 0 | 2 | 3) ;; *) exit "$status" ;; esac
    # There is none if no mutant was left.
    if [ -e "$out/mutants.out/outcomes.json" ]; then
        cp "$out/mutants.out/outcomes.json" "$out/$name.json"
    fi
}

# The integration tests catch most; all tests run on the others. The decoder has only unit tests.
run 1-first --package qcow1 -C=--test=it "$@"
run 2-second --package qcow1 --iterate -C=--lib -C=--test=it -C=--test=vectors "$@"
run 3-inflate --package qcow1-inflate -C=--lib "$@"
if compgen -G "$out/*.json" >/dev/null; then
    tests/mutants.py "${readme[@]}" "$out"/*.json
else
    echo "mutants: none to try"
fi
