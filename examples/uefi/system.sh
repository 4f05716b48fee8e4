#!/bin/sh
# system.sh: boots Debian from inside a QCOW1 disk, which is an overlay over a compressed base. The loader reads its kernel and
# initrd. In the initrd (see system-init), `qcow1 serve` and nbd-client give its root file system to the kernel, which is not
# patched. The script then types commands into Debian's shell, which must print the digests of the host's files. The console is
# recorded in system-console.txt.
. "$(dirname "$0")/debian.sh"
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 0 ] || fail "usage: system.sh [--record]"
[ "$(uname -m)" = x86_64 ] || fail "system.sh puts the tool of this machine into an initrd for x86-64, so it needs an x86-64 machine."
# Debian has these two outside of a user's path.
PATH=$PATH:/usr/sbin:/sbin
need mkfs.ext4 e2fsprogs
need sfdisk fdisk
target_dir=${CARGO_TARGET_DIR:-$here/target}
target=x86_64-unknown-uefi

# system_root: unpacks a small Debian into the folder system, which is kept for later runs.
system_root() {
    [ ! -f system/etc/inittab ] || return 0
    rm -rf system
    mkdir system system/usr
    # Since Debian 12, these folders are in usr. Most packages still have them outside.
    for folder in bin sbin lib lib64; do
        mkdir system/usr/$folder
        ln -s usr/$folder system/$folder
    done
    package_lists amd64
    # shellcheck disable=SC2086
    apt-get $apt install --yes --download-only --no-install-recommends base-files bash coreutils busybox-static nbd-client
    for package in apt/cache/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C system --keep-directory-symlink --exclude='./usr/share/*/*'
    done
    rm -rf apt
    echo "This file is as it is in the base." >system/usr/share/greeting
    # Debian's busybox is the first process here, because it is smaller than systemd.
    for program in sbin/init sbin/poweroff bin/find bin/xargs; do
        ln -s ../bin/busybox system/usr/$program
    done
    echo 'ttyS0::respawn:-/bin/bash' >system/etc/inittab
}

# system_initrd: makes the initrd of the tool, nbd-client, busybox and the kernel's modules.
system_initrd() {
    rm -rf system-initrd
    modules=system-initrd/lib/modules/$(sed 's/^linux-image-//' debian/kernel)
    libraries=usr/lib/x86_64-linux-gnu
    mkdir -p system-initrd/bin system-initrd/lib64 "system-initrd/$libraries" "$modules" \
        system-initrd/dev system-initrd/proc system-initrd/sys
    cp "$here/system-init" system-initrd/init
    cp debian/busybox "$tool" system/usr/sbin/nbd-client system-initrd/bin/
    cp debian/modules/*.ko "$modules/"
    # The libraries are Debian's, not this machine's.
    cp -L system/$libraries/ld-linux-x86-64.so.2 system-initrd/lib64/
    for program in system-initrd/bin/qcow1 system-initrd/bin/nbd-client; do
        system/$libraries/ld-linux-x86-64.so.2 --library-path system/$libraries --list $program |
            sed -n 's/.* => \(.*\) (.*/\1/p'
    done | sort -u | xargs cp -L -t system-initrd/$libraries
    (cd system-initrd && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >system.initrd
}

# system_disk OPTIONS: makes system.raw, a disk with Debian, as an installer makes it.
system_disk() {
    rm -f system.ext4
    truncate -s 64M system.ext4
    mkfs.ext4 -q -L debian -m 0 -E root_owner=0:0 -d system system.ext4
    rm -f system.raw
    truncate -s 96M system.raw
    printf 'label: gpt\nstart=2048, size=30M, type=U\nstart=63488, size=64M, type=L\n' | sfdisk -q system.raw
    mformat -i system.raw@@1M -T 61440 -h 64 -s 32 ::
    install_boot system.raw system.initrd "$1"
    dd if=system.ext4 of=system.raw bs=1M seek=31 conv=notrunc,sparse status=none
}

(cd "$here" && bare_cargo $target build --quiet --locked --release --bin loader)
loader=$target_dir/$target/release/loader.efi
# In the workspace's folder, for the options there.
(cd "$here/../../tool" && cargo build --quiet --release --locked)
tool=${CARGO_TARGET_DIR:-$here/../../target}/release/qcow1
platform "$loader"
mkdir -p "$target_dir/$target/linux"
cd "$target_dir/$target/linux"
debian amd64
system_root
system_initrd
# Its timer check can fail on an emulated machine that waits for a processor.
system_disk 'root=/dev/nbd0p2 console=ttyS0 no_timer_check panic=-1'
rm -f system-base.qcow system-top.qcow
# Its exit status is 1 even on success; the boot shows the result.
qemu-img convert -f raw -O qcow -c system.raw system-base.qcow 2>/dev/null || true
# The overlay changes words of a file. No program here follows the name of its base.
qemu-img create -q -f qcow -b system-base.qcow -F qcow system-top.qcow
offset=$(grep -abo 'is as it is in the base' system.raw | tail -n 1 | cut -d : -f 1)
printf 'was changed in the top!' >words
qemu-io -f qcow -c "write -s words $offset 23" system-top.qcow >/dev/null
cat >system-qcow1.conf <<'CONF'
image = PciRoot(0x0)/Pci(0x6,0x0)
backing = qcow PciRoot(0x0)/Pci(0x5,0x0)
CONF
volume system.esp 16 qcow1.conf=system-qcow1.conf

digest='find . -type f ! -name greeting|sort|xargs sha256sum|sha256sum'
typing system 'bash-[0-9.]*# ' 'cat /usr/share/greeting' 'sha256sum /usr/bin/bash' 'cd /usr' "$digest" \
    'echo This file was changed in memory. >share/greeting' 'cat share/greeting' 'poweroff -f'
machine system 512M system.esp system-base.qcow system-top.qcow
has system system.log 'This file was changed in the top!.' "$(cd system && sha256sum usr/bin/bash | sed 's: usr: /usr:')" \
    "$(cd system/usr && export LC_ALL=C && eval "$digest")" 'This file was changed in memory.'
recorded system-console.txt system.log 'initrd:|bash-|This file|[0-9a-f]{64} '
echo "uefi: system"
cat system-console.txt
echo "Debian came to its shell from inside a QCOW1 disk, and its files in /usr have the host's digests."
