#!/bin/sh
# Loads files from QCOW1 images in U-Boot: builds its sandbox with the driver, boots it, and compares its listings, files and
# digests with the host's.
#
#     run.sh [U-BOOT-SOURCE]
#
# Without a source tree, it downloads Debian's, which the machine's own package lists sign. It keeps the source and the build
# below the target folder, so that a second run takes seconds.
. "$(dirname "$0")/../firmware.sh"
source=${1:+$(cd "$1" && pwd)}
cd "$(dirname "$0")"
target_dir=${CARGO_TARGET_DIR:-$(cd ../.. && pwd)/target}
work=$target_dir/u-boot
mkdir -p "$work"
for tool in gcc make bison flex python3 xz; do
    need "$tool" "what U-Boot is built with (Debian: gcc make bison flex python3 xz-utils libssl-dev)"
done
need qemu-img "QEMU's disk tools (Debian: qemu-utils)"
need qemu-io "QEMU's disk tools (Debian: qemu-utils)"

# download: unpacks Debian's source into the work folder.
download() {
    mkdir -p "$work/lists/partial"
    package_sources "$work" deb-src ||
        fail "This machine has no list of Debian's sources: give the folder of a U-Boot 2023.01 as an argument."
    set -- -q -o "Dir::Etc::sourcelist=$list" -o Dir::Etc::sourceparts=/dev/null \
        -o "Dir::State::lists=$work/lists"
    apt-get "$@" update
    (cd "$work" && apt-get "$@" source --download-only u-boot)
    rm -rf "$work/source.new"
    mkdir "$work/source.new"
    tar -C "$work/source.new" --strip-components=1 -xf "$work"/u-boot_*.orig.tar.*
    mv "$work/source.new" "$work/source"
}

source=${source:-$work/source}
[ -d "$source" ] || download
# In its folder, for the options there.
(cd ../../capi && cargo build --quiet --release --locked)
./add.sh "$source" "${CARGO_TARGET_DIR:-../../capi/target}/release/libqcow1.a"
{
    [ -f "$source/.config" ] || {
        make -C "$source" sandbox_defconfig
        # U-Boot's own tests, a driver that is only built with them, and a tool that needs two more libraries.
        for option in UNIT_TEST CMD_BOOTEFI_SELFTEST CLK_K210 TOOLS_MKEFICAPSULE; do
            echo "# CONFIG_$option is not set" >>"$source/.config"
        done
        make -C "$source" olddefconfig
    }
    # Without LTO, which takes longer than the rest of the build, and without the device trees' library for Python.
    make -C "$source" -j "$(nproc)" NO_SDL=1 NO_LTO=1 CONFIG_PYLIBFDT= u-boot u-boot.dtb
} >"$work/build.log" 2>&1 || {
    tail -n 40 "$work/build.log" >&2
    fail "U-Boot was not built; the end of $work/build.log is above."
}

disks=$work/disks
rm -rf "$disks"
mkdir "$disks"
cd "$disks"

# sandbox NAME COMMAND...: runs U-Boot with these commands, with its console in NAME.log.
sandbox() {
    log=$1.log
    shift
    commands=
    for command in "$@"; do
        commands="$commands$command; "
    done
    timeout --kill-after=5 60 "$source/u-boot" -D -c "$commands" >"$log" 2>&1 </dev/null || {
        cat "$log" >&2
        fail "U-Boot failed; its console is above."
    }
}

# expect LINE: fails unless a line of the console contains LINE.
expect() {
    grep -qF -- "$1" "$log" || {
        cat "$log" >&2
        fail "The console in $log does not have '$1'."
    }
}

# file_of RAW NAME: prints a file of a raw disk.
file_of() {
    mcopy -n -i "$1@@1M" "::$2" - >"$2"
}

# machine NAME RAW BIND FILE...: lets U-Boot bind the images with the arguments BIND, list the volume, and load and hash its files,
# which must be those of the raw disk.
machine() {
    name=$1
    raw=$2
    bind=$3
    shift 3
    binds=
    number=0
    for image in "$@"; do
        binds="${binds}host bind $number $image; "
        number=$((number + 1))
    done
    sandbox "$name" "$binds" "qcow1 bind $bind" "part list qcow1 0" "ls qcow1 0:1 /" \
        "load qcow1 0:1 1000000 HELLO.TXT" "md.b 1000000 20" "hash sha256 1000000 \$filesize" \
        "load qcow1 0:1 1000000 NUMBERS.TXT" "hash sha256 1000000 \$filesize" "qcow1 unbind 0"
    for file in HELLO.TXT NUMBERS.TXT; do
        file_of "$raw" "$file"
        expect " $(stat -c %s "$file")   $file"
        expect "$(stat -c %s "$file") bytes read"
        expect "$(sha256sum "$file" | cut -d ' ' -f 1)"
    done
    echo "u-boot: $name: HELLO.TXT and NUMBERS.TXT have the host's sha256"
}

text_disk base.raw

qemu-img convert -f raw -O qcow base.raw plain.qcow
machine plain base.raw "host 0" plain.qcow

# Its exit status is 1 even on success; the digest is compared.
qemu-img convert -f raw -O qcow -c base.raw compressed.qcow 2>/dev/null || true
[ $(($(stat -c %s compressed.qcow) % 512)) -ne 0 ] || fail "The compressed image happens to be whole sectors long."
machine compressed base.raw "host 0" compressed.qcow

qemu-img create -q -f qcow --object secret,id=s0,data=passphrase \
    -o encrypt.format=aes,encrypt.key-secret=s0 encrypted.qcow 16M
qemu-img convert -n --object secret,id=s0,data=passphrase -f raw base.raw \
    --target-image-opts driver=qcow,encrypt.key-secret=s0,file.filename=encrypted.qcow
machine encrypted base.raw "-p passphrase host 0" encrypted.qcow

# The overlay changes a word of the file's text.
offset=$(grep -abo 'from the base' base.raw | head -n 1 | cut -d : -f 1)
printf 'from the top!' >word
for base in plain.qcow:qcow:"host 0 host 1" base.raw:raw:"host 0 raw host 1"; do
    file=${base%%:*}
    bind=${base##*:}
    format=${base#*:}
    format=${format%%:*}
    rm -f top.qcow
    qemu-img create -q -f qcow -b "$file" -F "$format" top.qcow
    qemu-io -f qcow -c "write -s word $offset 13" top.qcow >/dev/null
    qemu-img convert -f qcow -O raw top.qcow top.raw
    machine "overlay-on-$format" top.raw "$bind" top.qcow "$file"
    grep -q 'from the top!' HELLO.TXT || fail "The overlay's own text is not in the file."
done

# An image on a block device of a class of its own: one image inside another. Its last sector is padded with zeros.
cp plain.qcow inner.raw
truncate -s %512 inner.raw
qemu-img convert -f raw -O qcow inner.raw outer.qcow
sandbox nested "host bind 0 outer.qcow" "qcow1 bind host 0" "qcow1 bind qcow1 0" "load qcow1 1:1 1000000 NUMBERS.TXT" \
    "hash sha256 1000000 \$filesize"
expect "$(sha256sum NUMBERS.TXT | cut -d ' ' -f 1)"
echo "u-boot: nested: NUMBERS.TXT has the host's sha256"

# Errors are sentences.
sandbox refused "host bind 0 base.raw" "qcow1 bind host 0 || host bind 0 top.qcow" "qcow1 bind host 0" \
    "load qcow1 0:1 1000000 NUMBERS.TXT || true"
expect "not a QCOW image: the magic number is missing"
expect "the image has a hole there and names a backing file, which was not pushed"
echo "u-boot: a raw disk and an overlay without its base are refused"

# Sectors past the end of the disk, which has 0x8000. A number that wrapped would be that of a sector inside it.
sandbox end "host bind 0 plain.qcow" "qcow1 bind host 0" "read qcow1 0 1000000 7fff 1 && echo the last sector was read" \
    "read qcow1 0 1000000 7fff 2 || echo one sector more was refused" \
    "read qcow1 0 1000000 ffffffff 1 || echo the last number was refused" \
    "read qcow1 0 1000000 1000000 1 || echo a number past 32 bits of bytes was refused"
expect "the last sector was read"
expect "one sector more was refused"
expect "the last number was refused"
expect "a number past 32 bits of bytes was refused"
echo "u-boot: sectors past the end of the disk are refused"
