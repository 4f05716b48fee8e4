# Functions of the scripts of the firmware packages, which read this file with `.`.
set -eu

fail() {
    echo "$@" >&2
    exit 1
}

# need TOOL WHAT: fails with the name of the tool if it is missing, instead of skipping a test.
need() {
    command -v "$1" >/dev/null || fail "$1 is missing, so nothing was shown: install $2."
}

# bare_cargo TARGET SUBCOMMAND ARGUMENTS...: runs cargo for a bare-metal target: plain cargo if rustup has the target (`rustup
# target add TARGET`), else with Debian's compiler, which builds BUILD_STD (`core` by default) from its own source. TARGET may be
# a target file.
bare_cargo() {
    target=$1
    subcommand=$2
    shift 2
    if [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
        cargo "$subcommand" --target "$target" "$@"
    elif [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] &&
        [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src" ]; then
        case $target in
        *-uefi) linker=lld-link ;;
        *) linker=ld.lld ;;
        esac
        case $target in
        *.json) set -- -Zjson-target-spec "$@" ;;
        esac
        need $linker "LLVM's linker (Debian: lld)"
        # RUSTC_BOOTSTRAP: without it, a stable compiler does not build `core`.
        env "CARGO_TARGET_$(echo "$target" | tr a-z- A-Z_)_LINKER=$linker" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
            /usr/bin/cargo "$subcommand" -Zbuild-std="${BUILD_STD:-core}" --target "$target" "$@"
    else
        fail "There is no core library for $target: run 'rustup target add $target'" \
            "(or, on Debian, install rustc-web, cargo-web, rust-web-src and lld)."
    fi
}

# package_sources FOLDER TYPE...: writes this machine's list of Debian's packages to a file in the folder, for packages of the
# types, deb or deb-src, and sets $list to the file. Returns 1 if the machine has no list.
package_sources() {
    list=$1
    shift
    # A machine's list is in one of two formats.
    if [ -f /etc/apt/sources.list.d/debian.sources ]; then
        list=$list/debian.sources
        sed "s/^Types: .*/Types: $*/" /etc/apt/sources.list.d/debian.sources >"$list"
    elif [ -f /etc/apt/sources.list ]; then
        list=$list/sources.list
        for type in "$@"; do
            sed -n "s/^deb /$type /p" /etc/apt/sources.list
        done >"$list"
    else
        return 1
    fi
}

# link_roots TARGET LIBRARY OUTPUT SYMBOL...: links only the code that these symbols of a static library reach.
link_roots() {
    case $1 in
    x86_64-*) emulation=elf_x86_64 ;;
    thumbv7em-*) emulation=armelf_linux_eabi ;;
    riscv64*) emulation=elf64lriscv ;;
    aarch64-*) emulation=aarch64linux ;;
    esac
    library=$2
    output=$3
    shift 3
    roots=
    for symbol in "$@"; do
        roots="$roots -u $symbol"
    done
    linker=ld.lld
    command -v ld.lld >/dev/null ||
        linker="$(rustc --print sysroot)/lib/rustlib/$(rustc --print host-tuple)/bin/rust-lld -flavor gnu"
    # shellcheck disable=SC2086
    $linker -m $emulation --gc-sections -z nognustack $roots -e "$1" -o "$output" "$library"
}

# code_size ELF: prints the size of a linked program's code and constants in bytes.
code_size() {
    llvm-size -A "$1" | awk '$1 ~ /^\.(text|rodata|data)/ { sum += $2 } END { print sum }'
}

# boot CONSOLE STATUS QEMU...: runs a machine for at most BOOT_SECONDS (a minute by default), with its console in a file, and
# the file KEYBOARD, if set, as its keyboard. If it ends with another status, it shows the console and fails.
boot() {
    console=$1
    expected=$2
    shift 2
    need "$1" "QEMU's system emulators (Debian: qemu-system-x86, qemu-system-arm and qemu-system-misc)"
    status=0
    timeout --kill-after=5 "${BOOT_SECONDS:-60}" "$@" >"$console" 2>&1 <"${KEYBOARD:-/dev/null}" || status=$?
    if [ "$status" -ne "$expected" ]; then
        cat "$console" >&2
        [ "$status" -ne 124 ] ||
            fail "The machine did not stop within ${BOOT_SECONDS:-60} seconds; its console is above."
        fail "The machine stopped with status $status, not $expected; its console is above."
    fi
}

# virtio_disks FILE...: sets $disks to QEMU's options for read-only disks on virtio-mmio, the first one on the first slot.
virtio_disks() {
    disks=
    slot=0
    for image in "$@"; do
        # With the slot, because QEMU would fill slots from the last.
        disks="$disks -drive if=none,id=d$slot,format=raw,readonly=on,file=$image"
        disks="$disks -device virtio-blk-device,drive=d$slot,bus=virtio-mmio-bus.$slot"
        slot=$((slot + 1))
    done
}

# same_disk CONSOLE NAME RAW: fails unless the console has a line 'NAME: sha256 DIGEST' with the digest of the raw disk.
same_disk() {
    digest=$(sha256sum "$3" | cut -d ' ' -f 1)
    grep -q "^$2: sha256 $digest" "$1" || {
        cat "$1" >&2
        fail "The disk '$2' does not have the host's sha256, $digest; the console is above."
    }
}

# fat_disk FILE [MIB]: makes a raw disk of 16 MiB, or MIB up to 127, with one partition, an empty FAT volume that starts at 1 MiB.
fat_disk() {
    need mformat "mtools"
    mib=${2:-16}
    rm -f "$1"
    truncate -s "${mib}M" "$1"
    sectors=$(((mib - 1) * 2048))
    # Active, type 0x0e (FAT16 by block address), starting at sector 2048; the number of sectors, little-endian; the MBR's signature.
    {
        printf '\200\0\0\0\016\0\0\0\0\010\0\0'
        for shift in 0 8 16 24; do
            # shellcheck disable=SC2059
            printf "\\$(printf %o $((sectors >> shift & 255)))"
        done
    } | dd of="$1" bs=1 seek=446 conv=notrunc status=none
    printf '\125\252' | dd of="$1" bs=1 seek=510 conv=notrunc status=none
    # The serial number is made of the file's name: of two volumes with one number, rEFInd hides the second.
    mformat -i "$1@@1M" -T $sectors -h 16 -s 63 -c 4 -N "$(printf '%s' "$1" | cksum | awk '{ printf "%x", $1 }')" ::
}

# text_disk FILE: makes such a disk with two files of text in the volume. A machine reads them, and an overlay changes the words
# 'from the base' of the first.
text_disk() {
    fat_disk "$1"
    echo "Hello from a FAT volume in a QCOW1 image. This line comes from the base." >hello.txt
    seq 1 20000 >numbers.txt
    mcopy -i "$1@@1M" hello.txt ::HELLO.TXT
    mcopy -i "$1@@1M" numbers.txt ::NUMBERS.TXT
}
