#!/bin/sh
# Makes the images, boots the program that cargo has built with them in its flash, and compares the bytes that it read.
. "$(dirname "$0")/../firmware.sh"
. "$(dirname "$0")/compiler.sh"
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "$1")
need qemu-img "QEMU's disk tools (Debian: qemu-utils)"
need qemu-io "QEMU's disk tools (Debian: qemu-utils)"

work=$(dirname "$program")/footprint-disks
rm -rf "$work"
mkdir -p "$work"

cd "$work"

# A disk of 513 sectors with text in two places and holes elsewhere, and a disk full of text.
truncate -s 262656 plain.raw
seq 1000 2000 | dd of=plain.raw conv=notrunc status=none
seq 2000 4000 | dd of=plain.raw bs=512 seek=300 conv=notrunc status=none
seq 1 20000 | head -c 61440 >compressed.raw
qemu-img convert -f raw -O qcow plain.raw plain.qcow
# Its exit status is 1 even on success; the digest is compared.
qemu-img convert -f raw -O qcow -c compressed.raw compressed.qcow 2>/dev/null || true
qemu-img create -q -f qcow -b plain.qcow -F qcow middle.qcow
qemu-io -f qcow -c 'write -P 0x5a 70000 3000' -c 'write -P 0xa5 512 600' middle.qcow >/dev/null
qemu-img create -q -f qcow -b middle.qcow -F qcow top.qcow
qemu-io -f qcow -c 'write -P 0x3c 72000 5000' -c 'write -P 0xc3 262000 656' top.qcow >/dev/null
qemu-img convert -f qcow -O raw top.qcow top.raw

# The places of the images in the flash, after the program, as in build.rs.
case ${FOOTPRINT_BUILD-} in
unoptimized) start=$((0x100000)) ;;
*) start=$((0x10000)) ;;
esac
flash=
for partition in plain:0:32768 compressed:32768:32768 middle:65536:65536 top:131072:65536; do
    file=${partition%%:*}.qcow
    size=${partition##*:}
    [ "$(wc -c <"$file")" -le "$size" ] || fail "$file is larger than its partition of $size bytes."
    offset=${partition#*:}
    flash="$flash -device loader,file=$file,addr=$((start + ${offset%:*})),force-raw=on"
done
# shellcheck disable=SC2086
boot console.log 0 qemu-system-arm -machine mps2-an386 -cpu cortex-m4 -display none -serial null -monitor none \
    -semihosting-config enable=on,target=native \
    $flash -kernel "$program"
cat console.log
same_disk console.log plain plain.raw
same_disk console.log compressed compressed.raw
same_disk console.log 'chain of three' top.raw

# used VERB: prints the deepest stack of the calls of this kind.
used() {
    sed -n "s/.* $1 with \([0-9]*\) bytes of stack\$/\1/p" console.log | sort -n | tail -n 1
}

# within BYTES BUDGET EXTRA: fails if BYTES are more than the budget plus EXTRA, with the compiler that it holds for.
within() {
    budget=$(awk -v name="$2" '$1 == name { print $2 }' "$here/budgets.txt")
    [ -n "$budget" ] || fail "budgets.txt has no budget $2; a call used $1 bytes of stack."
    [ "$(compiler thumbv7em-none-eabi)" != "$(held_for "$here/budgets.txt")" ] || [ "$1" -le $((budget + $3)) ] ||
        fail "A call used $1 bytes of stack; the budget $2 is $budget."
}

case ${FOOTPRINT_BUILD-} in
unoptimized)
    within "$(used opened)" stack-unoptimized-open 0
    within "$(used read)" stack-unoptimized-read 0
    echo "All three disks have the host's sha256; unoptimized, opening used $(used opened) bytes of stack, and reading" \
        "$(used read)."
    ;;
*)
    # At run time no call goes deeper than proved. The extra bytes are for this program's own driver.
    used=$(used '[a-z]*')
    within "$used" stack-deflate 128
    echo "All three disks have the host's sha256; no call used more than $used bytes of stack."
    ;;
esac
