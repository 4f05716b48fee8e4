#!/bin/sh
# All that shows that qcow1 runs in firmware: the proof with its sizes and stack, and the boots. It fails at the first
# thing that is not as it should be, a missing tool included.
. "$(dirname "$0")/firmware.sh"
cd "$(dirname "$0")"

# The packages share one build of `core` for each target.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(cd .. && pwd)/target}/firmware
export CARGO_TARGET_DIR

footprint/prove.sh
for package in footprint:thumbv7em-none-eabi unikernel:riscv64gc-unknown-none-elf uefi:x86_64-unknown-uefi; do
    echo
    (cd "${package%:*}" && bare_cargo "${package#*:}" run --quiet --release --locked)
done

# As a debug build is, for its stack.
echo
(cd footprint && bare_cargo thumbv7em-none-eabi run --quiet --release --locked --config unoptimised.toml)
