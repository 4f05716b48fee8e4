#!/usr/bin/env bash
# Prints which lines and branches of `src/` and of `inflate/src/` the tests reach, folder by folder,
# and lists those that they do not.
#
# Usage: tests/coverage.sh [--html]
#
# Needs `cargo install --locked cargo-llvm-cov`, the nightly compiler, as only it counts branches,
# and the LLVM tools of its version: rustup's component `llvm-tools`, or a package such as Debian's
# llvm-22.
set -euo pipefail
cd "$(dirname "$0")/.."

llvm=$(rustc +nightly -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
if command -v "llvm-cov-$llvm" >/dev/null; then
    export LLVM_COV=llvm-cov-$llvm LLVM_PROFDATA=llvm-profdata-$llvm
fi

# Without this, the profiles of earlier runs count, of sources that are no more: `--no-report`
# implies `--no-clean`.
cargo +nightly llvm-cov clean --workspace
# The examples are not built, so the tests that run them are left out.
cargo +nightly llvm-cov --no-report --branch --package qcow1 --package qcow1-inflate --all-features --tests -- --skip ls_example:: --skip the_example
# Some of the decoder is only in a build without tables.
cargo +nightly llvm-cov --no-report --branch --package qcow1-inflate --no-default-features --lib
report=(cargo +nightly llvm-cov report --branch --package qcow1 --package qcow1-inflate)
if [ "${1-}" = --html ]; then
    "${report[@]}" --html
fi
json=$(mktemp)
trap 'rm -f "$json"' EXIT
# The report is of the package: not of the tests themselves and not of the targets that fuzzing
# shares with them.
"${report[@]}" --json --ignore-filename-regex '/(tests|fuzz|examples|benches|tool)/' --output-path "$json"
tests/coverage.py "$json"
