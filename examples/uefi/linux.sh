#!/bin/sh
# linux.sh TARGET...: boots Debian's Linux with Debian's boot managers from inside QCOW1 disks: a plain one, a compressed one, an
# overlay over a compressed base, and an encrypted one. TARGET is x86_64-unknown-uefi or aarch64-unknown-uefi. The console of the
# overlay's boot is recorded in console.txt.
. "$(dirname "$0")/debian.sh"
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || fail "usage: linux.sh [--record] TARGET..."
target_dir=${CARGO_TARGET_DIR:-$here/target}

boots() {
    # The firmware's boot order has only the loader. Its disks are found by the loader, or named in qcow1.conf.
    volume plain.esp 16
    linux plain GRUB root/payload plain.esp plain.qcow &
    plain=$!
    volume compressed.esp 64 disk.qcow=compressed.qcow
    linux compressed systemd-boot root/payload compressed.esp
    wait $plain

    cat >qcow1.conf <<'CONF'
image = PciRoot(0x0)/Pci(0x6,0x0)
backing = qcow PciRoot(0x0)/Pci(0x5,0x0)
CONF
    volume overlay.esp 16 qcow1.conf=qcow1.conf
    linux overlay systemd-boot payload.top overlay.esp compressed.qcow overlay.qcow &
    overlay=$!
    volume encrypted.esp 16
    typing encrypted 'type its passphrase' 'correct horse'
    linux encrypted systemd-boot root/payload encrypted.esp encrypted.qcow
    wait $overlay
}

# Changes the medium of a CD drive, from which the loader has started GRUB, between two reads. Later reads must be errors.
medium() {
    cat >medium.cfg <<'CFG'
cat /WORDS.TXT
echo 'grub: change the medium'
sleep 4
cat /OTHER.TXT
cat /OTHER.TXT
halt
CFG
    volume media.esp 16
    two_media media 'grub: change the medium' media.esp EFI/debian/grub.cfg=medium.cfg "EFI/BOOT/$boot_name=debian/grub.efi"
    said media media.log 'words of the first medium' 'loader: the device could not be read: '
    ! grep -aq 'other words' media.log || fail 'uefi, media: a changed medium was read.'
}

for target in "$@"; do
    (cd "$here" && bare_cargo "$target" build --quiet --locked --release --bin loader)
    loader=$target_dir/$target/release/loader.efi
    platform "$loader"
    mkdir -p "$target_dir/$target/linux"
    cd "$target_dir/$target/linux"
    disks
    if [ "$target" = x86_64-unknown-uefi ]; then
        medium &
        medium=$!
        boots
        wait $medium
    else
        boots
    fi

    # READMEs show one of them.
    [ "$target" != x86_64-unknown-uefi ] || recorded console.txt overlay.log
    cd "$here"
done
echo "Linux came to userspace from inside four QCOW1 disks, as Debian has it, for each of: $*"
