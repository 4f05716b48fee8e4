#!/bin/sh
# Runs all proofs that qcow1 works in firmware: the link proof with its sizes and stack, and the boots. It fails at the first
# error, and a missing tool is one.
#
#     boot-all.sh [--record]
#
# With --record, it writes the consoles that READMEs show.
. "$(dirname "$0")/firmware.sh"
cd "$(dirname "$0")"
record=${1:-}
[ -z "$record" ] || [ "$record" = --record ] || fail "usage: boot-all.sh [--record]"

# The packages share one build of `core` for each target.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(cd .. && pwd)/target}/firmware
export CARGO_TARGET_DIR

# timed KEY COMMAND...: runs the command, and prints its time. KEY is the command of the table's row.
timed() {
    key="| \`$1\` |"
    name=$1
    shift
    grep -qF "$key" README.md || fail "The table in README.md has no row for '$name'."
    echo
    before=$(date +%s)
    "$@"
    took=$(($(date +%s) - before))
    echo "boot-all: $took s: $name"
}

# run PACKAGE TARGET [LIBRARIES]: builds the program in release mode; run.sh of its folder boots it. LIBRARIES are what it needs of
# the standard library, if that is more than `core`.
run() {
    (cd "$1" && BUILD_STD=${3:-core} bare_cargo "$2" run --quiet --release --locked)
}

timed 'examples/footprint/prove.sh' footprint/prove.sh
timed 'cd examples/footprint && cargo run --release' run footprint thumbv7em-none-eabi
timed 'cd examples/unikernel && cargo run --release' run unikernel riscv64gc-unknown-none-elf
timed 'cd examples/arceos && cargo run --release' run arceos riscv64gc-unknown-none-elf core,alloc
(cd uefi && cargo test --quiet --locked --lib --target "$(rustc -vV | sed -n 's/^host: //p')")
timed 'cd examples/uefi && cargo run --release' run uefi x86_64-unknown-uefi
timed 'cd examples/uefi && cargo run --release --target aarch64-unknown-uefi' run uefi aarch64-unknown-uefi
for target in x86_64-unknown-uefi aarch64-unknown-uefi; do
    # shellcheck disable=SC2086
    timed "examples/uefi/linux.sh $target" uefi/linux.sh $record $target
    timed "examples/uefi/driver.sh $target" uefi/driver.sh $record $target
done
# shellcheck disable=SC2086
timed 'examples/grub/run.sh' grub/run.sh $record
# shellcheck disable=SC2086
timed 'examples/uefi/system.sh' uefi/system.sh $record

# Without optimization, for the stack of a debug build.
echo
(cd footprint && bare_cargo thumbv7em-none-eabi run --quiet --release --locked --config unoptimized.toml)
