#!/bin/sh
# What the C library adds to three programs: the bytes of its sections in their linkers' maps.
#
#     sizes.sh [--publish]
#
# Build the programs first, with examples/c/bare/run.sh and examples/u-boot/run.sh. With
# --publish the table replaces the one in README.md.
cd "$(dirname "$0")"
. ../examples/firmware.sh
target_dir=${CARGO_TARGET_DIR:-$(cd .. && pwd)/target}

# added MAP: prints the bytes that the library adds to a program: code and constants, and writable
# data. GNU ld's map has the name, address and size of a section, ld.lld's the address, load address
# and size. A section without an address is not in the program.
added() {
    [ -f "$1" ] || fail "$1 is missing: run examples/c/bare/run.sh and examples/u-boot/run.sh first."
    awk '
        function number(digits, i, sum) {
            sub(/^0x/, "", digits)
            for (i = 1; i <= length(digits); i++)
                sum = sum * 16 + index("123456789abcdef", substr(digits, i, 1))
            return sum
        }
        /^ \.[^ ]+$/ { name = $1 }
        /libqcow1\.a\(/ {
            if ($1 ~ /^\./) { name = $1; address = $2; size = $3 }
            else if ($1 ~ /^0x/) { address = $1; size = $2 }
            else { address = $1; size = $3; name = $0; sub(/.*:\(/, "", name) }
            if (number(address) == 0)
                next
            if (name ~ /^\.(bss|data)/ && name !~ /^\.data\.rel\.ro/) written += number(size)
            else constant += number(size)
        }
        END { printf "%d %d\n", constant, written }
    ' "$1"
}

row() {
    echo "| $1 | $(added "$2" | sed 's/ / | /') |"
}

table() {
    echo "| program | code and constants | static RAM |"
    echo "|---|--:|--:|"
    row "U-Boot 2023.01, sandbox, x86-64" "$target_dir/u-boot/source/u-boot.map"
    row "\`examples/c/bare\` on a Cortex-M4" "$target_dir/firmware/bare-c/cortex_m.map"
    row "\`examples/c/bare\` on RISC-V, 64 bits" "$target_dir/firmware/bare-c/riscv.map"
}

table >"$target_dir/capi-sizes.md"
cat "$target_dir/capi-sizes.md"
[ "${1:-}" = --publish ] || exit 0
awk -v table="$target_dir/capi-sizes.md" '
    /^\| program \|/ { while ((getline line <table) > 0) print line; skipping = 1 }
    skipping && /^\|/ { next }
    { skipping = 0; print }
' README.md >README.md.new
mv README.md.new README.md
