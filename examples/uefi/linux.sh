#!/bin/sh
# linux.sh TARGET...: boots Debian's Linux with Debian's boot managers from inside QCOW1 disks: a plain one, a compressed one, an
# overlay over a compressed base, and an encrypted one. TARGET is x86_64-unknown-uefi or aarch64-unknown-uefi.
#
# With --record as the first argument, it writes the console of a boot to console.txt, which READMEs show. Without it, the console
# must be the same as console.txt, except for numbers.
. "$(dirname "$0")/machine.sh"
here=$(cd "$(dirname "$0")" && pwd)
record=
if [ "${1:-}" = --record ]; then
    record=1
    shift
fi
[ $# -gt 0 ] || fail "usage: linux.sh [--record] TARGET..."
need qemu-img "QEMU's disk tools (Debian: qemu-utils)"
need qemu-io "QEMU's disk tools (Debian: qemu-utils)"
need apt-get "Debian's package manager: what is booted is Debian's"
need dpkg-deb "Debian's package manager: what is booted is Debian's"
need cpio cpio
BOOT_SECONDS=180
target_dir=${CARGO_TARGET_DIR:-$here/target}

# debian ARCHITECTURE: downloads Debian's kernel, boot managers and busybox of that architecture, and unpacks the required files
# into the folder 'debian', which is kept for later runs. It installs nothing.
debian() {
    [ ! -f debian/complete ] || return 0
    rm -rf debian debs lists
    mkdir -p debian debs lists/partial
    # With package lists of its own, so that the machine's are not changed.
    apt="-q=2 -oAPT::Architecture=$1 -oAPT::Architectures=$1 -oDir::State::Lists=$PWD/lists
        -oDir::Cache::pkgcache= -oDir::Cache::srcpkgcache= -oAPT::Sandbox::User=root"
    # shellcheck disable=SC2086
    apt-get $apt update
    # shellcheck disable=SC2086
    kernel=$(apt-cache $apt depends "linux-image-cloud-$1" | sed -n 's/^ *Depends: \(linux-image-\)/\1/p')
    [ -n "$kernel" ] || fail "Debian's lists have no linux-image-cloud-$1, so nothing was shown."
    # shellcheck disable=SC2086
    (cd debs && apt-get $apt download "$kernel" systemd-boot-efi "grub-efi-$1-signed" busybox-static)
    for package in debs/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C debian --wildcards --no-anchored \
            'vmlinuz-*' efivarfs.ko bin/busybox 'systemd-boot*.efi' '*/grub[xa]??*.efi.signed' 2>/dev/null || true
    done
    rm -rf lists debs
    # These commands fail if a package lacks a file.
    mv debian/boot/vmlinuz-* debian/vmlinuz
    mv debian/lib/modules/*/kernel/fs/efivarfs/efivarfs.ko debian/
    mv debian/bin/busybox debian/
    mv debian/usr/lib/systemd/boot/efi/systemd-boot*.efi debian/boot.efi
    mv debian/usr/lib/grub/*-signed/grub[xa]*.efi.signed debian/grub.efi
    echo "$kernel" >debian/complete
}

# guest OPTIONS: makes guest.raw, a small disk with Debian, as an installer makes it.
guest() {
    rm -rf root
    mkdir -p root/bin root/proc root/sys
    cp debian/busybox root/bin/
    cp debian/efivarfs.ko root/
    cat >root/init <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
# Later messages of the kernel would be printed inside the lines below.
dmesg -n 1
mount -t proc none /proc
mount -t sysfs none /sys
insmod /efivarfs.ko
mount -t efivarfs none /sys/firmware/efi/efivars
manager=$(tail -c +5 /sys/firmware/efi/efivars/LoaderInfo-* 2>/dev/null | tr -d '\0')
echo "linux: ${manager:-GRUB} started $(uname -r)"
echo "linux: $(head -n 1 /payload)"
echo "linux: the payload's sha256 is $(sha256sum </payload | cut -d ' ' -f 1)"
poweroff -f
INIT
    chmod +x root/init
    {
        echo "This file is as it is in the base."
        seq 1 300000
    } >root/payload
    (cd root && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >initrd
    cat >debian.conf <<CONF
title Debian
linux /vmlinuz
initrd /initrd
options $1
CONF
    echo 'timeout 0' >loader.conf
    fat_disk guest.raw 64
    mmd -i guest.raw@@1M ::EFI ::EFI/BOOT ::loader ::loader/entries
    mcopy -i guest.raw@@1M debian/boot.efi "::EFI/BOOT/$boot_name"
    mcopy -i guest.raw@@1M loader.conf ::loader/
    mcopy -i guest.raw@@1M debian.conf ::loader/entries/
    mcopy -i guest.raw@@1M debian/vmlinuz initrd ::
}

# guest_grub OPTIONS: makes grub.raw, the same disk as guest.raw with another boot manager.
guest_grub() {
    cp guest.raw grub.raw
    cat >grub.cfg <<CFG
linux /vmlinuz $1
initrd /initrd
boot
CFG
    mmd -i grub.raw@@1M ::EFI/debian
    mcopy -i grub.raw@@1M grub.cfg ::EFI/debian/
    mcopy -o -i grub.raw@@1M debian/grub.efi "::EFI/BOOT/$boot_name"
}

# linux NAME MANAGER PAYLOAD ESP [DISK...]: boots a machine. The boot manager and Linux must be those of the packages, and the
# payload must be the host's.
linux() {
    linux=$1
    manager=$2
    payload=$3
    shift 3
    machine "$linux" 512M "$@"
    said "$linux" "$linux.log" "linux: $manager" "started $(sed 's/^linux-image-//' debian/complete)" \
        "linux: the payload's sha256 is $(sha256sum "$payload" | cut -d ' ' -f 1)"
}

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
    typing encrypted 'correct horse'
    linux encrypted systemd-boot root/payload encrypted.esp encrypted.qcow
    wait $overlay
}

# excerpt CONSOLE: prints the lines of the boot up to userspace, without the kernel's clock.
excerpt() {
    sed 's/^\[ *[0-9.]*\] //; s/^\(Linux version [^ ]*\).*/\1/' "$1" |
        grep -aE '^(BdsDxe: starting|loader:|EFI stub:|Linux version|Command line:|efi: EFI v|Run /init|linux:|reboot:)'
}

# alike FILE: prints a console without its numbers and digests, which differ between releases.
alike() {
    sed -E 's/\b[0-9a-f]{64}\b/N/g; s/[0-9]+/N/g' "$1"
}

for target in "$@"; do
    (cd "$here" && bare_cargo "$target" build --quiet --locked --release --bin loader)
    loader=$target_dir/$target/release/loader.efi
    platform "$loader"
    mkdir -p "$target_dir/$target/linux"
    cd "$target_dir/$target/linux"
    # Where Linux panics, the machine ends at once.
    case $target in
    x86_64-*)
        debian amd64
        # Its timer check can fail on an emulated machine that waits for a processor.
        options='console=ttyS0 no_timer_check panic=-1'
        ;;
    aarch64-*)
        debian arm64
        options='console=ttyAMA0 panic=-1'
        ;;
    esac
    guest "$options"
    guest_grub "$options"
    rm -f ./*.qcow
    qemu-img convert -f raw -O qcow grub.raw plain.qcow
    # Its exit status is 1 even on success; the boot shows the result.
    qemu-img convert -f raw -O qcow -c guest.raw compressed.qcow 2>/dev/null || true
    qemu-img convert -f raw -O qcow --object secret,id=key,data='correct horse' \
        -o encrypt.format=aes,encrypt.key-secret=key guest.raw encrypted.qcow
    # The overlay changes words of the payload's text. The loader ignores the name of its base.
    qemu-img create -q -f qcow -b compressed.qcow -F qcow overlay.qcow
    offset=$(grep -abo 'is as it is in the base' guest.raw | head -n 1 | cut -d : -f 1)
    printf 'was changed in the top!' >words
    qemu-io -f qcow -c "write -s words $offset 23" overlay.qcow >/dev/null
    sed '1s/is as it is in the base/was changed in the top!/' root/payload >payload.top
    boots

    # READMEs show one of them.
    if [ "$target" = x86_64-unknown-uefi ]; then
        excerpt overlay.log >console.txt
        [ -z "$record" ] || cp console.txt "$here/console.txt"
        alike "$here/console.txt" >recorded
        alike console.txt | diff recorded - >&2 ||
            fail "uefi: the console, > above, is not what $here/console.txt has, <: record it with 'linux.sh --record'."
    fi
    cd "$here"
done
echo "Linux came to userspace from inside four QCOW1 disks, as Debian has it, for each of: $*"
