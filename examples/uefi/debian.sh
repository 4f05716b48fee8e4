# Functions of linux.sh, driver.sh and ../grub/run.sh, which read this file with `.`: disks with Debian's Linux and boot managers.
. "$(dirname "$0")/../uefi/machine.sh"
need qemu-img "QEMU's disk tools (Debian: qemu-utils)"
need qemu-io "QEMU's disk tools (Debian: qemu-utils)"
need apt-get "Debian's package manager: what is booted is Debian's"
need dpkg-deb "Debian's package manager: what is booted is Debian's"
need cpio cpio
BOOT_SECONDS=180

# debian ARCHITECTURE: downloads Debian's kernel, boot managers and busybox of that architecture, and unpacks the required files
# into the folder 'debian', which is kept for later runs. It installs nothing.
debian() {
    [ ! -f debian/kernel ] || return 0
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
    (cd debs && apt-get $apt download "$kernel" systemd-boot-efi "grub-efi-$1-signed" refind busybox-static)
    for package in debs/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C debian --wildcards --no-anchored \
            'vmlinuz-*' efivarfs.ko bin/busybox 'systemd-boot*.efi' '*/grub[xa]??*.efi.signed' '*/refind_*.efi' \
            2>/dev/null || true
    done
    rm -rf lists debs
    # These commands fail if a package lacks a file.
    mv debian/boot/vmlinuz-* debian/vmlinuz
    mv debian/lib/modules/*/kernel/fs/efivarfs/efivarfs.ko debian/
    mv debian/bin/busybox debian/
    mv debian/usr/lib/systemd/boot/efi/systemd-boot*.efi debian/boot.efi
    mv debian/usr/lib/grub/*-signed/grub[xa]*.efi.signed debian/grub.efi
    mv debian/usr/share/refind/refind/refind_*.efi debian/refind.efi
    echo "$kernel" >debian/kernel
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
# A configuration may name the boot manager. systemd-boot tells its name itself.
manager=$(sed -n 's/.*manager=\([^ ]*\).*/\1/p' /proc/cmdline)
told=$(tail -c +5 /sys/firmware/efi/efivars/LoaderInfo-* 2>/dev/null | tr -d '\0')
echo "linux: ${manager:-$told} started $(uname -r)"
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
    echo "\"Debian\" \"$1 manager=rEFInd\"" >refind_linux.conf
    fat_disk guest.raw 64
    files guest.raw "EFI/BOOT/$boot_name=debian/boot.efi" loader/loader.conf=loader.conf \
        loader/entries/debian.conf=debian.conf vmlinuz=debian/vmlinuz initrd=initrd refind_linux.conf=refind_linux.conf
}

# guest_grub OPTIONS: makes grub.raw, the same disk as guest.raw with another boot manager.
guest_grub() {
    cp guest.raw grub.raw
    cat >grub.cfg <<CFG
linux /vmlinuz $1 manager=GRUB
initrd /initrd
boot
CFG
    files grub.raw EFI/debian/grub.cfg=grub.cfg "EFI/BOOT/$boot_name=debian/grub.efi"
}

# disks: makes plain.qcow, which GRUB starts, and with systemd-boot compressed.qcow, encrypted.qcow and overlay.qcow, whose base
# is compressed.qcow, in the current folder.
disks() {
    # If Linux panics, the machine ends at once.
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
    # The overlay changes words of the payload's text. No program here follows the name of its base.
    qemu-img create -q -f qcow -b compressed.qcow -F qcow overlay.qcow
    offset=$(grep -abo 'is as it is in the base' guest.raw | head -n 1 | cut -d : -f 1)
    printf 'was changed in the top!' >words
    qemu-io -f qcow -c "write -s words $offset 23" overlay.qcow >/dev/null
    sed '1s/is as it is in the base/was changed in the top!/' root/payload >payload.top
}

# linux NAME MANAGER PAYLOAD ESP [DISK...]: boots a machine. The boot manager and Linux must be those of the packages, and the
# payload must be the host's.
linux() {
    linux=$1
    manager=$2
    payload=$3
    shift 3
    machine "$linux" 512M "$@"
    said "$linux" "$linux.log" "linux: $manager" "started $(sed 's/^linux-image-//' debian/kernel)" \
        "linux: the payload's sha256 is $(sha256sum "$payload" | cut -d ' ' -f 1)"
}
