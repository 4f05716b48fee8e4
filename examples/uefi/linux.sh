#!/bin/sh
# linux.sh TARGET...: boots Debian's Linux with Debian's boot managers from inside QCOW1 disks: a plain one, a compressed one, an
# overlay over a compressed base, and an encrypted one. TARGET is x86_64-unknown-uefi or aarch64-unknown-uefi.
#
# With --record as the first argument, it writes the console of a boot to console.txt, which READMEs show. Without it, the console
# must be the same as console.txt, except for numbers.
. "$(dirname "$0")/debian.sh"
here=$(cd "$(dirname "$0")" && pwd)
record=
if [ "${1:-}" = --record ]; then
    record=1
    shift
fi
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
    disks
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
