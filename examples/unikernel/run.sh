#!/bin/sh
# Boots the unikernel that cargo has built from a plain image, a compressed one, and an overlay with its base on a second disk,
# and compares the bytes that it read.
. "$(dirname "$0")/../firmware.sh"
program=$(realpath "$1")
need qemu-img "QEMU's disk tools (Debian: qemu-utils)"
need qemu-io "QEMU's disk tools (Debian: qemu-utils)"

work=$(dirname "$program")/unikernel-disks
rm -rf "$work"
mkdir -p "$work"
cd "$work"

# machine NAME RAW IMAGE...: boots from the images. The file and the digest must be those of the raw disk.
machine() {
    name=$1
    raw=$2
    shift 2
    echo "unikernel: $name"
    virtio_disks "$@"
    # shellcheck disable=SC2086
    boot "$name.log" 0 qemu-system-riscv64 -machine virt -m 64M -bios none -nographic -kernel "$program" \
        -global virtio-mmio.force-legacy=false $disks
    cat "$name.log"
    same_disk "$name.log" disk "$raw"
    mcopy -i "$raw@@1M" ::HELLO.TXT - | while IFS= read -r line; do
        grep -qxF "$line" "$name.log" || fail "The console does not have the file's line '$line'."
    done
}

text_disk base.raw

qemu-img convert -f raw -O qcow base.raw plain.qcow
machine plain base.raw plain.qcow

# Its exit status is 1 even on success; the digest is compared.
qemu-img convert -f raw -O qcow -c base.raw compressed.qcow 2>/dev/null || true
machine compressed base.raw compressed.qcow

# The overlay changes a word of the file's text.
offset=$(grep -abo 'from the base' base.raw | head -n 1 | cut -d : -f 1)
qemu-img create -q -f qcow -b plain.qcow -F qcow top.qcow
printf 'from the top!' >word
qemu-io -f qcow -c "write -s word $offset 13" top.qcow >/dev/null
qemu-img convert -f qcow -O raw top.qcow top.raw
machine overlay top.raw top.qcow plain.qcow
grep -q 'comes from the top!' overlay.log || fail "The overlay's own text was not read."
echo "Three disks were booted, and have the host's sha256."
