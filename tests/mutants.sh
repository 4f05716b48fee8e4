#!/usr/bin/env bash
# Runs the tests against mutants of the crate, and prints a table of how many were caught. It fails
# if one was missed that missed_mutants.toml does not explain.
#
# Usage: tests/mutants.sh [FOLDER]...
#        tests/mutants.sh ARGUMENT...
#
# The first takes folders of src/, or `inflate`: without arguments, all that decide something, for
# two hours, about 5 seconds of one processor a mutant. Then it writes their rows of the table in
# README.md. The second takes arguments of cargo mutants: `--file=src/format/entry.rs` takes one
# file, `--in-diff=FILE` what a change touches. Needs `cargo install --locked cargo-mutants
# cargo-nextest` and, for the decoder, what .ci/other-machines needs for i686.
set -euo pipefail
cd "$(dirname "$0")/.."

readme=()
case ${1-} in
    -*) files=("$@") ;;
    *)
        [ $# -gt 0 ] || set -- format reader image device guest inflate
        readme=(--readme)
        files=()
        for folder in "$@"; do
            path=src/$folder
            [ "$folder" != inflate ] || path=inflate/src
            [ -d "$path" ] || { echo "mutants: there is no folder $path" >&2; exit 1; }
            files+=("--file=$path/**")
        done
        ;;
esac
out=target/mutants
export CARGO_INCREMENTAL=1
# A mutant that allocates without end fails a test, not the machine. One that computes without end
# fails a test after as many seconds of a processor, however busy the machine is.
ulimit -v $((12 << 20)) -t 60
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

# $1: a name; then arguments of cargo mutants. Runs the decoder's tests on what no run has caught.
again() {
    local name=$1
    shift
    run "$name" --no-config --iterate --package qcow1-inflate --profile=lean -C=--lib \
        --exclude-re='impl defmt::Format for' --exclude-re='none::Tables::' "$@" "${files[@]}"
}

# The integration tests catch most; all tests run on the others. The decoder has only unit tests.
run 1-first --package qcow1 -C=--test=it "${files[@]}"
run 2-second --package qcow1 --iterate -C=--lib -C=--test=it -C=--test=vectors "${files[@]}"
run 3-inflate --package qcow1-inflate -C=--lib "${files[@]}"
if [ -e "$out/3-inflate.json" ]; then
    # Some code is only in a build without tables, some only on a machine of 32 bits. Debian's
    # compiler builds std for i686, which x86-64 runs itself.
    again 4-small --no-default-features
    (
        export PATH=/usr/bin:$PATH RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Ctarget-feature=+crt-static
        export CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER=i686-linux-gnu-gcc
        again 5-i686 --all-features -C=--target=i686-unknown-linux-gnu -C=-Zbuild-std=std,panic_unwind,test
    )
fi
if compgen -G "$out/*.json" >/dev/null; then
    tests/mutants.py "${readme[@]}" "$out"/*.json
else
    echo "mutants: none to try"
fi
