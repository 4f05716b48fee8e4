#!/bin/sh
# driver.sh TARGET...: boots Debian's Linux from inside QCOW1 disks by the driver, which is loaded by the firmware's shell and, on
# x86-64, by the firmware alone, by rEFInd, and by systemd-boot and then GRUB. TARGET is x86_64-unknown-uefi or
# aarch64-unknown-uefi. The console of the boot by the shell is recorded in driver-console.txt.
. "$(dirname "$0")/debian.sh"
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || fail "usage: driver.sh [--record] TARGET..."
target_dir=${CARGO_TARGET_DIR:-$here/target}

# stick FILE PATH=SOURCE...: makes a disk with the driver and the files, as a user makes a stick.
stick() {
    fat_disk "$1" 16
    files "$@"
}

# By `load` in the shell, after a test that stops the driver. The shell also adds the driver to the firmware's options.
shell() {
    cat >startup.nsh <<NSH
@echo -off
fs0:
trial.efi
@echo -on
load qcow1.efi
map -r
bcfg driver add 0 fs0:\\qcow1.efi "disks inside QCOW1 images"
fs1:
EFI\\BOOT\\$boot_name
NSH
    stick shell.esp qcow1.efi="$driver" trial.efi="$release/trial.efi" startup.nsh=startup.nsh
    linux shell systemd-boot root/payload shell.esp compressed.qcow encrypted.qcow overlay.qcow corrupt.qcow
    has shell shell.log 'trial: the driver has added 2 disks' \
        'trial: after 50 stops and starts, the driver was unloaded, and 0 MiB are lost' \
        'qcow1: PciRoot(0x0)/Pci(0x6,0x0): the image is encrypted' \
        "qcow1: PciRoot(0x0)/Pci(0x7,0x0): the image has the backing file 'compressed.qcow'" \
        'qcow1: PciRoot(0x0)/Pci(0x8,0x0): corrupt image: the L2 table for guest offset 0x0'
    if [ "$target" = x86_64-unknown-uefi ]; then
        # Without the trial, and each sentence once.
        sed -n '/load qcow1.efi/,$p' shell.log | awk '!said[$0]++' >session.log
        recorded driver-console.txt session.log 'FS[01]:|Image|qcow1:| *FS1:| .*VenHw.*HD'
    fi
}

# By the firmware alone: its options have the driver, and its boot order has the disk that is an image.
firmware() {
    (
        variables=shell-variables.fd
        first=disk5
        linux firmware systemd-boot root/payload shell.esp compressed.qcow
    )
}

# By rEFInd, which finds the kernel in the image.
refind() {
    cat >refind.conf <<CONF
textonly
timeout -1
default_selection vmlinuz
CONF
    stick refind.esp "EFI/BOOT/$boot_name=debian/refind.efi" EFI/BOOT/drivers_x64/qcow1.efi="$driver" \
        EFI/BOOT/refind.conf=refind.conf
    linux refind rEFInd root/payload refind.esp compressed.qcow
}

# By systemd-boot, which loads the driver and starts GRUB from its own volume. GRUB finds the kernel in the image.
systemd_boot() {
    cat >entry.conf <<CONF
title GRUB
efi /EFI/debian/grubx64.efi
CONF
    cat >search.cfg <<CFG
search --set=root --file /vmlinuz
linux /vmlinuz $options manager=GRUB
initrd /initrd
boot
CFG
    stick systemd-boot.esp "EFI/BOOT/$boot_name=debian/boot.efi" EFI/systemd/drivers/qcow1x64.efi="$driver" \
        loader/loader.conf=loader.conf loader/entries/grub.conf=entry.conf \
        EFI/debian/grubx64.efi=debian/grub.efi EFI/debian/grub.cfg=search.cfg
    linux systemd-boot GRUB root/payload systemd-boot.esp compressed.qcow
}

# Changes the medium of a CD drive between two reads of a volume inside an image. The second read must be an error.
medium() {
    cat >medium.nsh <<'NSH'
@echo -off
load fs0:\qcow1.efi
map -r
type fs1:\WORDS.TXT
echo shell: change the medium
stall 4000000
type fs1:\OTHER.TXT
reset -s
NSH
    stick medium.esp qcow1.efi="$driver" startup.nsh=medium.nsh
    two_media medium 'shell: change the medium' medium.esp
    said medium medium.log 'words of the first medium' 'qcow1: PciRoot(0x0)/Pci(0x5,0x0)/Scsi(0x0,0x0): the device could'
    ! grep -aq 'other words' medium.log || fail 'uefi, medium: a changed medium was read.'
}

for target in "$@"; do
    (cd "$here" && bare_cargo "$target" build --quiet --locked --release --bin qcow1 --bin trial)
    release=$target_dir/$target/release
    driver=$release/qcow1.efi
    platform "$driver"
    mkdir -p "$target_dir/$target/linux"
    cd "$target_dir/$target/linux"
    disks
    # An image whose first L2 table is past the end of the file.
    cp compressed.qcow corrupt.qcow
    printf '\0\0\0\1\0\0\0\0' | dd of=corrupt.qcow bs=1 seek=48 conv=notrunc status=none
    if [ "$target" = x86_64-unknown-uefi ]; then
        {
            refind
            medium
        } &
        others=$!
        shell
        wait $others
        firmware &
        firmware=$!
        systemd_boot
        wait $firmware
    else
        medium &
        medium=$!
        shell
        wait $medium
    fi
    cd "$here"
done
echo "Linux came to userspace from inside a QCOW1 disk by the driver, as Debian has it, for each of: $*"
