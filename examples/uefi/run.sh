#!/bin/sh
# Boots the loader that cargo has built, with OVMF or AAVMF, from each source of its policy: from a file beside it, from a disk
# that is an image, and from a configuration. Then it checks the loader's errors. On AArch64, U-Boot's UEFI starts it too.
. "$(dirname "$0")/machine.sh"
loader=$(realpath "$1")
here=$(dirname "$0")
platform "$loader"
need qemu-img "QEMU's disk tools (Debian: qemu-utils)"

# The program inside the image is built beside the loader.
# shellcheck disable=SC2086
(cd "$here" && bare_cargo "$target" build --quiet --locked $profile --bin inner)
inner=$(dirname "$loader")/inner.efi

work=$(dirname "$loader")/uefi-disks
rm -rf "$work"
mkdir -p "$work"
cd "$work"

# The disk to boot from: one partition with a FAT volume, as installers make it.
fat_disk guest.raw
mmd -i guest.raw@@1M ::EFI ::EFI/BOOT
fat_disk empty.raw
seq 1 50000 >filler
mcopy -i guest.raw@@1M filler ::FILLER.TXT
mcopy -i guest.raw@@1M "$inner" "::EFI/BOOT/$boot_name"
qemu-img convert -f raw -O qcow guest.raw plain.qcow
# Its exit status is 1 even on success; the boot shows the result.
qemu-img convert -f raw -O qcow -c guest.raw compressed.qcow 2>/dev/null || true
qemu-img convert -f raw -O qcow --object secret,id=key,data=right -o encrypt.format=aes,encrypt.key-secret=key \
    guest.raw encrypted.qcow
qemu-img convert -f raw -O qcow empty.raw empty.qcow
qemu-img create -q -f qcow -b guest.raw -F raw overlay.qcow
# An image whose first L2 table is past the end of the file.
cp plain.qcow corrupt.qcow
printf '\0\0\0\1\0\0\0\0' | dd of=corrupt.qcow bs=1 seek=48 conv=notrunc status=none
# A file larger than half of the memory.
truncate -s 120M large

cat >chain.conf <<'CONF'
# An image on this volume, over a raw disk.
image = \overlay.qcow
backing = raw PciRoot(0x0)/Pci(0x5,0x0)
memory = 64K
CONF
printf 'image = PciRoot(0x0)/Pci(0x1e,0x0)\n' >absent.conf
printf 'image = \\absent.qcow\n' >no-file.conf
printf 'image = \\plain.qcow\nbacking = qcow \\plain.qcow\n' >surplus.conf
printf 'image = \\compressed.qcow\nmemory = 512\n' >little.conf
printf '# what to boot\nimgae = \\plain.qcow\n' >mistyped.conf

# When the loader fails, the firmware continues with its boot order, which has its shell. The shell finds a script that starts the
# loader again, once for each trial.
exec 3>startup.nsh
printf '@echo -off\necho shell: the firmware continued\nfs0:\n' >&3
: >trials

# trial NAME LINE [FILE=SOURCE...]: the loader must print the line if each SOURCE is on its volume as FILE.
trial() {
    printf '%s\t%s\n' "$1" "$2" >>trials
    printf 'rm -q disk.qcow\nrm -q qcow1.conf\n' >&3
    trial=$1
    shift 2
    for file in "$@"; do
        echo "cp -q ${file#*=} ${file%%=*}" >&3
    done
    printf 'echo trial: %s\n%s\n' "$trial" "EFI\\BOOT\\$boot_name" >&3
}

booted='inner: started from inside the QCOW1 disk'
trial file "$booted" disk.qcow=plain.qcow
trial disk "$booted"
trial configured "$booted" qcow1.conf=chain.conf disk.qcow=filler
trial compressed "$booted" disk.qcow=compressed.qcow
trial encrypted "$booted" disk.qcow=encrypted.qcow
trial wrong-passphrase 'loader: the firmware finds no file system on the disk inside the image, so the passphrase may' \
    disk.qcow=encrypted.qcow
trial no-program "loader: there is no \\EFI\\BOOT\\$boot_name inside the image" disk.qcow=empty.qcow
trial not-an-image 'loader: not a QCOW image' disk.qcow=filler
trial corrupt 'loader: corrupt image: the L2 table for guest offset 0x0, at host offset 0x100000000,' \
    disk.qcow=corrupt.qcow
trial no-backing "loader: the lowest image names the backing file 'guest.raw'" disk.qcow=overlay.qcow
trial no-disk 'loader: there is no disk PciRoot(0x0)/Pci(0x1e,0x0)' qcow1.conf=absent.conf
trial no-file 'loader: the file \absent.qcow cannot be read' qcow1.conf=no-file.conf
trial surplus 'loader: \qcow1.conf has a backing image more than the images name' qcow1.conf=surplus.conf
trial little-memory 'loader: the memory is too small: ' qcow1.conf=little.conf
trial mistyped "loader: \\qcow1.conf, line 2: there is no setting 'imgae'" qcow1.conf=mistyped.conf
echo 'reset -s' >&3
exec 3>&-

# Searches the memory of a machine for a key, after the loader has made it and has returned. The key is the passphrase with zeros
# after it. The firmware itself keeps what was typed, with the Enter after it, which shows that the memory was searched.
wiped() {
    fat_disk wiped.esp
    printf '@echo -off\nfs0:\nloader.efi\necho shell: the loader returned\n' >wiped.nsh
    files wiped.esp loader.efi="$loader" disk.qcow=encrypted.qcow startup.nsh=wiped.nsh
    (
        monitored wiped 'shell: the loader returned' 'pmemsave 0 0x10000000 wiped.memory
quit'
        typing wiped 'type its passphrase' right
        machine wiped 256M wiped.esp
    )
    said wiped wiped.log "$booted" 'shell: the loader returned'
    has_bytes 'right\r' || fail "uefi: the memory in $work/wiped.memory does not have what was typed, so nothing was shown."
    ! has_bytes 'right\x00{11}' || fail "uefi: the loader left a key in the memory; a copy is $work/wiped.memory."
    rm wiped.memory
}

# has_bytes PATTERN: returns whether the memory has the bytes.
has_bytes() {
    LC_ALL=C grep -aqP "$1" wiped.memory
}

# The first trial is the firmware's own boot.
volume trials.esp 127 startup.nsh=startup.nsh disk.qcow=large filler=filler plain.qcow=plain.qcow \
    compressed.qcow=compressed.qcow empty.qcow=empty.qcow overlay.qcow=overlay.qcow corrupt.qcow=corrupt.qcow \
    encrypted.qcow=encrypted.qcow chain.conf=chain.conf absent.conf=absent.conf no-file.conf=no-file.conf \
    surplus.conf=surplus.conf little.conf=little.conf mistyped.conf=mistyped.conf
printf 'echo shell: the firmware continued\nreset -s\n' >no-image.nsh
volume no-image.esp 16 startup.nsh=no-image.nsh
{
    machine no-image 256M no-image.esp
    [ "$target" != x86_64-unknown-uefi ] || wiped
} &
others=$!
# Backspace deletes everything that was typed, also the characters that the loader did not keep.
mistake=$(printf '%070d' 0)
typing trials 'type its passphrase' "$mistake$(printf '%s' "$mistake" | tr 0 '\b')right" wrong
machine trials 256M trials.esp guest.raw plain.qcow
wait $others

said no-image no-image.log 'loader: no block device is a QCOW1 image' 'shell: the firmware continued'
awk '/^trial: / { part = $2 } { print >("part-" part) }' trials.log
said too-large part- 'shell: the firmware continued' \
    'loader: the file \disk.qcow has 125829120 bytes. It would be read into memory whole, and only'
while IFS="$(printf '\t')" read -r name line; do
    [ -f "part-$name" ] || fail "uefi: the trial $name was not made; the console is $work/trials.log."
    said "$name" "part-$name" "$line"
done <trials

# A second firmware, U-Boot's UEFI: the loader finds an image on a disk. Afterwards U-Boot has a prompt.
if [ "$target" = aarch64-unknown-uefi ]; then
    u_boot=${U_BOOT:-/usr/lib/u-boot/qemu_arm64/u-boot.bin}
    [ -f "$u_boot" ] || fail "U-Boot is missing, so nothing was shown: install u-boot-qemu (Debian) or name u-boot.bin in U_BOOT."
    volume u-boot.esp 16
    typing u-boot '^=> ' reset
    # shellcheck disable=SC2086
    boot u-boot.log 0 $qemu -m 256M -bios "$u_boot" -display none -serial stdio -monitor none -net none -no-reboot \
        -drive if=none,id=esp,format=raw,file=u-boot.esp -device virtio-blk-pci,drive=esp \
        -drive if=none,id=disk,format=raw,readonly=on,file=compressed.qcow -device virtio-blk-pci,drive=disk
    said u-boot u-boot.log 'U-Boot 20' "$booted"
fi
echo "The loader booted from inside five QCOW1 disks, and said of twelve why it does not boot from them."
