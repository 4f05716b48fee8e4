# Functions of linux.sh, driver.sh, system.sh and ../grub/run.sh, which read this file with `.`: disks with Debian's Linux and boot
# managers.
#
# With --record as the first argument, a script writes the console of a boot to a file, which READMEs show. Without it, the console
# must be the same as the file, except for numbers.
. "$(dirname "$0")/../uefi/machine.sh"
record=
if [ "${1:-}" = --record ]; then
    record=1
    shift
fi
need qemu-img "QEMU's disk tools (Debian: qemu-utils)"
need qemu-io "QEMU's disk tools (Debian: qemu-utils)"
need apt-get "Debian's package manager: what is booted is Debian's"
need dpkg-deb "Debian's package manager: what is booted is Debian's"
need cpio cpio
BOOT_SECONDS=${BOOT_SECONDS:-180}

# package_lists ARCHITECTURE: downloads the lists of Debian's packages of that architecture, and sets apt's options in $apt. No
# package counts as installed, and what is downloaded stays in the folder 'apt', so that the machine is not changed.
package_lists() {
    rm -rf apt
    mkdir -p apt/lists/partial apt/cache/archives/partial
    : >apt/status
    apt="-q=2 -oAPT::Architecture=$1 -oAPT::Architectures=$1 -oDir::State=$PWD/apt -oDir::State::status=$PWD/apt/status
        -oDir::Cache=$PWD/apt/cache -oAPT::Sandbox::User=root"
    # shellcheck disable=SC2086
    apt-get $apt update
}

# debian ARCHITECTURE: downloads Debian's kernel, boot managers and busybox of that architecture, and unpacks the required files
# into the folder 'debian', which is kept for later runs. It installs nothing.
debian() {
    [ ! -f debian/kernel ] || [ ! -d debian/modules ] || return 0
    rm -rf debian
    mkdir -p debian/modules
    package_lists "$1"
    # shellcheck disable=SC2086
    kernel=$(apt-cache $apt depends "linux-image-cloud-$1" | sed -n 's/^ *Depends: \(linux-image-\)/\1/p')
    [ -n "$kernel" ] || fail "Debian's lists have no linux-image-cloud-$1, so nothing was shown."
    # shellcheck disable=SC2086
    (cd apt && apt-get $apt download "$kernel" systemd-boot-efi "grub-efi-$1-signed" refind busybox-static)
    for package in apt/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C debian --wildcards --no-anchored \
            'vmlinuz-*' efivarfs.ko nbd.ko overlay.ko 'virtio*.ko' bin/busybox 'systemd-boot*.efi' '*/grub[xa]??*.efi.signed' \
            '*/refind_*.efi' 2>/dev/null || true
    done
    rm -rf apt
    # These commands fail if a package lacks a file.
    mv debian/boot/vmlinuz-* debian/vmlinuz
    mv debian/bin/busybox debian/
    mv debian/usr/lib/systemd/boot/efi/systemd-boot*.efi debian/boot.efi
    mv debian/usr/lib/grub/*-signed/grub[xa]*.efi.signed debian/grub.efi
    mv debian/usr/share/refind/refind/refind_*.efi debian/refind.efi
    find debian/lib/modules -name '*.ko' -exec mv {} debian/modules/ ';'
    echo "$kernel" >debian/kernel
}

# install_boot DISK INITRD OPTIONS: copies Debian's kernel, the initrd, and systemd-boot, which starts them, to the volume of a disk.
install_boot() {
    cat >debian.conf <<CONF
title Debian
linux /vmlinuz
initrd /initrd
options $3
CONF
    echo 'timeout 0' >loader.conf
    files "$1" "EFI/BOOT/$boot_name=debian/boot.efi" loader/loader.conf=loader.conf \
        loader/entries/debian.conf=debian.conf vmlinuz=debian/vmlinuz initrd="$2"
}

# guest OPTIONS: makes guest.raw, a small disk with Debian, as an installer makes it.
guest() {
    rm -rf root
    mkdir -p root/bin root/proc root/sys
    cp debian/busybox root/bin/
    cp debian/modules/efivarfs.ko root/
    cat >root/init <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
# Later messages of the kernel would be printed inside the lines below.
dmesg -n 1
mount -t proc none /proc
mount -t sysfs none /sys
insmod /efivarfs.ko
mount -t efivarfs none /sys/firmware/efi/efivars
# A configuration may name the boot manager. systemd-boot gives its own name in a variable.
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
    echo "\"Debian\" \"$1 manager=rEFInd\"" >refind_linux.conf
    fat_disk guest.raw 64
    install_boot guest.raw initrd "$1"
    files guest.raw refind_linux.conf=refind_linux.conf
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

# two_media NAME PROMPT VOLUME [PATH=SOURCE...]: boots a machine from the volume, and changes the medium of its CD drive after the
# prompt. Each medium is an image whose volume has the words of the medium in WORDS.TXT and OTHER.TXT, and the files. The first
# says 'words of the first medium' and 'other words of the first medium'.
two_media() {
    media=$1
    change=$2
    medium=$3
    shift 3
    seq 1 600000 >filler
    for cd in first second; do
        echo "words of the $cd medium" >words
        echo "other words of the $cd medium" >other
        fat_disk "$media-$cd.raw" 16
        # The firmware's cache of the volume does not reach past the filler.
        files "$media-$cd.raw" "$@" WORDS.TXT=words FILLER.TXT=filler OTHER.TXT=other
        qemu-img convert -f raw -O qcow "$media-$cd.raw" "$media-$cd.cd"
        truncate -s %2048 "$media-$cd.cd"
    done
    (
        monitored "$media" "$change" "change cd $media-second.cd raw"
        more="$more -device virtio-scsi-pci,addr=0x5
            -drive if=none,id=cd,format=raw,readonly=on,file=$media-first.cd -device scsi-cd,drive=cd"
        machine "$media" 256M "$medium"
    )
}

# excerpt CONSOLE [MORE]: prints the interesting lines of a boot, and those that match MORE, without the kernel's clock.
excerpt() {
    sed 's/^\[ *[0-9.]*\] //; s/^\(Linux version [^ ]*\).*/\1/; s/ loaded at [0-9A-F]* / loaded /; s/ *$//' "$1" |
        grep -aE "^(BdsDxe: starting|loader:|EFI stub:|Linux version|Command line:|efi: EFI v|Run /init|linux:|reboot:${2:+|$2})"
}

# alike FILE: prints a console without its numbers and digests, which differ between releases.
alike() {
    sed -E 's/\b[0-9a-f]{64}\b/N/g; s/[0-9]+/N/g' "$1"
}

# recorded FILE CONSOLE [MORE]: fails unless the excerpt of a console is that of the FILE beside the scripts, except for numbers.
# If $record is set, it writes the FILE.
recorded() {
    excerpt "$2" "${3:-}" >"$1"
    [ -z "$record" ] || cp "$1" "$here/$1"
    alike "$here/$1" >recorded
    alike "$1" | diff recorded - >&2 ||
        fail "uefi: the console, > above, is not what $here/$1 has, <: record it with 'boot-all.sh --record'."
}
