#!/bin/sh
# Boots the unikernel that cargo has built from a plain image, a compressed one, and overlays with
# their bases on a second disk, and compares the files that it read. Then it boots from images that
# cannot be read.
. "$(dirname "$0")/../firmware.sh"
program=$(realpath "$1")
need qemu-img "QEMU's disk tools (Debian: qemu-utils)"
need qemu-io "QEMU's disk tools (Debian: qemu-utils)"
need llvm-objcopy "LLVM's tools (Debian: llvm)"

work=$(dirname "$program")/arceos-disks
rm -rf "$work"
mkdir -p "$work"
cd "$work"

# The firmware, QEMU's OpenSBI, starts a flat binary.
llvm-objcopy -O binary "$program" kernel.bin

# machine NAME IMAGE...: boots from the images. ArceOS ends with status 0 even after a panic.
machine() {
    name=$1
    shift
    echo "arceos: $name"
    virtio_disks "$@"
    # shellcheck disable=SC2086
    boot console 0 qemu-system-riscv64 -machine virt -m 128M -bios default -nographic -kernel kernel.bin $disks
    # Colors and carriage returns would hide the start and the end of a line.
    sed "s/$(printf '\033')\[[0-9]*m//g; s/$(printf '\r')//g" console >"$name.log"
    # The firmware's and ArceOS's headings end with this line.
    sed '1,/^smp = /d; /^$/d' "$name.log"
    ! grep '^panicked' "$name.log" | grep -v /axfs- || fail "Something other than ArceOS's file system panicked; see above."
}

# says NAME TEXT...: fails unless the console has each text.
says() {
    name=$1
    shift
    for text in "$@"; do
        grep -qF "$text" "$name.log" || {
            cat "$name.log" >&2
            fail "The console, which is above, does not have the text '$text'."
        }
    done
}

# reads NAME RAW IMAGE...: boots from the images. The files must be those of the raw disk.
reads() {
    name=$1
    raw=$2
    shift 2
    machine "$name" "$@"
    for file in HELLO.TXT NUMBERS.TXT; do
        mcopy -n -i "$raw" "::$file" file
        same_disk "$name.log" "$file" file
    done
}

# ArceOS reads no MBR, so its disk is the volume alone. It would make the three folders, but the disk
# is read-only.
text_disk whole.raw
mmd -i whole.raw@@1M ::boot ::proc ::sys
tail -c +1048577 whole.raw >base.raw

qemu-img convert -f raw -O qcow base.raw plain.qcow
reads plain base.raw plain.qcow

# Its exit status is 1 even on success; the digests are compared.
qemu-img convert -f raw -O qcow -c base.raw compressed.qcow 2>/dev/null || true
reads compressed base.raw compressed.qcow

# The overlays change a word of a file.
offset=$(grep -abo 'from the base' base.raw | head -n 1 | cut -d : -f 1)
printf 'from the top!' >word
for base in compressed.qcow base.raw; do
    name=overlay-on-${base%.*}
    qemu-img create -q -f qcow -b $base -F ${base#*.} "$name.qcow"
    qemu-io -f qcow -c "write -s word $offset 13" "$name.qcow" >/dev/null
    qemu-img convert -f qcow -O raw "$name.qcow" "$name.raw"
    reads "$name" "$name.raw" "$name.qcow" $base
    ! cmp -s "$name.raw" base.raw || fail "The overlay $name.qcow does not differ from its base."
done

# Without a disk, ArceOS panics after the driver's sentence.
machine no-base overlay-on-compressed.qcow
says no-base "the image on virtio disk 1 has a backing file; add it as virtio disk 2" "No block device found!"

qemu-img convert -f raw -O qcow2 base.raw version-3.qcow2
machine version-3 version-3.qcow2
says version-3 "virtio disk 1: unsupported QCOW version 3" "No block device found!"

# Half of the second file is lost, and the folders after it.
cp plain.qcow truncated.qcow
truncate -s -50001 truncated.qcow
machine truncated truncated.qcow
same_disk truncated.log HELLO.TXT hello.txt
says truncated "reaches past the end of the file" "NUMBERS.TXT: I/O error"

echo "ArceOS read four disks, with the host's sha256, and printed the cause of three errors."
