#!/bin/sh
# Checks all of the C API but U-Boot, which examples/u-boot/run.sh checks.
set -eu
cd "$(dirname "$0")"
cargo fmt --check --package qcow1-capi --package qcow1-capi-tests
cargo clippy --locked -- -D warnings
cargo clippy --locked --no-default-features -- -D warnings
cargo clippy --locked -p qcow1-capi-tests --tests -- -D warnings
cargo test --locked -p qcow1-capi-tests
./prove.sh
./modules.sh
../examples/c/bare/run.sh
make -C ../examples/c
