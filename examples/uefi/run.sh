#!/bin/sh
# Boots the loader that cargo has built, under OVMF: from the file \disk.qcow beside it, and from a disk that is an
# image; then from what cannot work, for the words that it finds.
. "$(dirname "$0")/../firmware.sh"
loader=$1
here=$(dirname "$0")
need qemu-img "QEMU's disk tools (Debian: qemu-utils)"
code=
for candidate in "${OVMF_CODE:-}" /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/edk2/x64/OVMF_CODE.4m.fd \
    /usr/share/edk2/ovmf/OVMF_CODE.fd; do
    [ -n "$code" ] || [ ! -f "$candidate" ] || code=$candidate
done
[ -n "$code" ] || fail "OVMF is missing, so nothing was shown: install it (Debian: ovmf) or name its code in OVMF_CODE."
variables=$(echo "$code" | sed 's/CODE/VARS/')

# The program inside the image is built beside the loader.
case $loader in
*/release/*) profile=--release ;;
*) profile= ;;
esac
# shellcheck disable=SC2086
(cd "$here" && bare_cargo x86_64-unknown-uefi build --quiet --locked $profile --bin inner)
inner=$(dirname "$loader")/inner.efi

work=$(dirname "$loader")/uefi-disks
rm -rf "$work"
mkdir -p "$work"
cd "$work"

# The disk to boot from: one partition with a FAT volume, as any installer makes it.
fat_disk guest.raw
mmd -i guest.raw@@1M ::EFI ::EFI/BOOT
fat_disk empty.raw
seq 1 50000 >filler
mcopy -i guest.raw@@1M filler ::FILLER.TXT
mcopy -i guest.raw@@1M "$inner" ::EFI/BOOT/BOOTX64.EFI
qemu-img convert -f raw -O qcow guest.raw plain.qcow
# Its exit status is 1 even where it has succeeded: that the machine boots tells.
qemu-img convert -f raw -O qcow -c guest.raw compressed.qcow 2>/dev/null || true
qemu-img convert -f raw -O qcow empty.raw empty.qcow
# The first L2 table lies past the end of the file.
cp plain.qcow corrupt.qcow
printf '\0\0\0\1\0\0\0\0' | dd of=corrupt.qcow bs=1 seek=48 conv=notrunc status=none

# machine NAME STATUS LINE FILE [DISK]: boots with FILE as \disk.qcow, or none where it is '-', and with a second disk.
# The console must have the line. The inner program ends QEMU with status 67; where it is not reached, the firmware goes
# on to its shell, which finds a script that ends QEMU with status 0.
machine() {
    name=$1
    esp=esp-$name
    mkdir -p "$esp/EFI/BOOT"
    cp "$loader" "$esp/EFI/BOOT/BOOTX64.EFI"
    [ "$4" = - ] || cp "$4" "$esp/disk.qcow"
    echo 'reset -s' >"$esp/startup.nsh"
    cp "$variables" "variables-$name.fd"
    second=
    # Without a place in the boot order the firmware would leave the disk alone.
    [ -z "${5:-}" ] || second="-drive if=none,id=second,format=raw,readonly=on,file=$5
        -device virtio-blk-pci,drive=second,bootindex=1"
    # shellcheck disable=SC2086
    boot "$name.log" "$2" qemu-system-x86_64 -machine q35 -m 256M -display none -serial stdio -monitor none \
        -net none -no-reboot -drive if=pflash,format=raw,readonly=on,file="$code" \
        -drive if=pflash,format=raw,file="variables-$name.fd" -device isa-debug-exit,iobase=0xf4,iosize=4 \
        -drive if=none,id=esp,format=raw,file=fat:rw:"$esp" -device virtio-blk-pci,drive=esp,bootindex=0 $second
    grep -aqF "$3" "$name.log" || {
        cat "$name.log" >&2
        fail "uefi, $name: the console, which is above, does not say '$3'."
    }
    echo "uefi: $name"
    grep -a -E 'loader:|inner:' "$name.log"
}

# In pairs, since a machine mostly waits for its own timers.
started=
start() {
    machine "$@" &
    started="$started $!"
}
finish() {
    for process in $started; do
        wait "$process" || failed=1
    done
    started=
}
failed=0
booted='inner: started from inside the QCOW1 disk'
start file 67 "$booted" plain.qcow
start disk 67 "$booted" - plain.qcow
finish
start compressed 67 "$booted" compressed.qcow
start no-program 0 'loader: there is no \EFI\BOOT\BOOTX64.EFI inside the image' empty.qcow
finish
start not-an-image 0 'loader: not a QCOW image' filler
start no-image 0 'loader: no block device is a QCOW1 image' -
start corrupt 0 'loader: corrupt image: the L2 table for guest offset 0x0, at host offset 0x100000000,' corrupt.qcow
finish
[ $failed -eq 0 ] || fail "Not all machines did as they should."
echo "Three machines were booted from inside QCOW1 images; four that could not be said why."
