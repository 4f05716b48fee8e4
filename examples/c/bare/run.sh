#!/bin/sh
# Builds main.c for a RISC-V machine and a Cortex-M4 without a C library, boots both in QEMU with an image in memory, and
# compares what they read with the host's.
. "$(dirname "$0")/../../firmware.sh"
cd "$(dirname "$0")"
root=$(cd ../../.. && pwd)
target_dir=${CARGO_TARGET_DIR:-$root/target}/firmware
work=$target_dir/bare-c
mkdir -p "$work"
need clang "a C compiler for any processor (Debian: clang)"
need ld.lld "LLVM's linker (Debian: lld)"
need qemu-img "QEMU's disk tools (Debian: qemu-utils)"

# program MACHINE TARGET OPTION...: the program for a machine, and its map.
program() {
    machine=$1
    target=$2
    shift 2
    (cd "$root/capi" && CARGO_TARGET_DIR=$target_dir bare_cargo "$target" build --quiet --release --locked)
    triple=$(echo "$target" | sed "s/^riscv64gc/riscv64/")
    for source in main "$machine"; do
        clang "--target=$triple" "$@" -std=c99 -Os -ffreestanding -ffunction-sections -Wall -Wextra -Werror \
            -I "$root/capi" -c "$source.c" -o "$work/$machine-$source.o"
    done
    ld.lld --gc-sections -T "$machine.ld" -Map "$work/$machine.map" -o "$work/$machine.elf" \
        "$work/$machine-main.o" "$work/$machine-$machine.o" "$target_dir/$target/release/libqcow1.a"
}

program riscv riscv64gc-unknown-none-elf -march=rv64gc -mabi=lp64d -mcmodel=medany
program cortex_m thumbv7em-none-eabi -mfloat-abi=soft

# compare IMAGE RAW: both machines read the image as the raw disk.
compare() {
    boot "$work/riscv.log" 0 qemu-system-riscv64 -machine virt -m 64M -bios none -nographic \
        -kernel "$work/riscv.elf" -device "loader,file=$1,addr=0x82000000,force-raw=on"
    boot "$work/cortex_m.log" 0 qemu-system-arm -machine mps2-an386 -cpu cortex-m4 -nographic \
        -semihosting-config enable=on,target=native -kernel "$work/cortex_m.elf" \
        -device "loader,file=$1,addr=0x00200000,force-raw=on"
    # The last 8 bytes of a gzip file are the CRC-32 and the size.
    crc=$(gzip -c "$2" | tail -c 8 | od -A n -t x4 --endian=little | cut -d ' ' -f 2)
    expected="size $(printf %016x "$(stat -c %s "$2")") crc32 00000000$crc"
    for machine in riscv cortex_m; do
        tr -d '\r' <"$work/$machine.log" | grep -qxF "$expected" || {
            cat "$work/$machine.log" >&2
            fail "The $machine machine has not read $1 as the host has: $expected."
        }
    done
    echo "bare C: $(basename "$1"): $expected"
}

seq 1 100000 | head -c 600000 >"$work/disk.raw"
truncate -s 900K "$work/disk.raw"
qemu-img convert -f raw -O qcow "$work/disk.raw" "$work/plain.qcow"
# Its exit status is 1 even if it has succeeded: the CRC-32 shows the result.
qemu-img convert -f raw -O qcow -c "$work/disk.raw" "$work/compressed.qcow" 2>/dev/null || true
for image in plain compressed; do
    compare "$work/$image.qcow" "$work/disk.raw"
done
