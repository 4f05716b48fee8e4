#!/bin/sh
# Boots GRUB with the module from one stick: on x86-64 by UEFI and by BIOS, and on AArch64 by UEFI. It reads the disks inside
# plain, compressed, encrypted and overlay images and inside the images of tests/vectors, and what it reads must be the host's.
# On x86-64, Debian's Linux then comes to userspace from inside each kind of image.
#
# With --record as the argument, it writes the console of the first machine to console.txt, which READMEs show. Without it, the
# consoles must be the same as console.txt, except for numbers.
. "$(dirname "$0")/../uefi/debian.sh"
here=$(cd "$(dirname "$0")" && pwd)
need grub-mkimage "GRUB's tools (Debian: grub-common)"
need jq jq
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(cd "$here/../.." && pwd)/target/firmware}
export CARGO_TARGET_DIR
grub=$CARGO_TARGET_DIR/grub/debian

# images: makes the images that debian.sh does not make.
images() {
    # The first L2 table is past the end of the file.
    cp compressed.qcow corrupt.qcow
    printf '\0\0\0\1\0\0\0\0' | dd of=corrupt.qcow bs=1 seek=48 conv=notrunc status=none
    # A disk that ends 100 bytes before the end of a sector, in an image inside another image.
    head -c 1048576 /dev/zero | tr '\0' '\377' >odd.raw
    qemu-img convert -f raw -O qcow odd.raw odd.qcow
    printf '\0\0\0\0\0\017\377\234' | dd of=odd.qcow bs=1 seek=24 conv=notrunc status=none
    odd=$({
        head -c 1048476 odd.raw
        head -c 100 /dev/zero
    } | sha256sum | cut -d ' ' -f 1)
    {
        echo '# GRUB Environment Block'
        head -c 999 /dev/zero | tr '\0' '#'
    } >grubenv
    fat_disk outer.raw 8
    files outer.raw odd.qcow=odd.qcow grubenv=grubenv
    qemu-img convert -f raw -O qcow outer.raw outer.qcow
}

# stick: makes stick.img, which starts GRUB on the three platforms. The commands for each machine are on a disk of their own.
stick() {
    cat >efi.cfg <<'CFG'
set prefix=($root)/boot/grub
configfile $prefix/grub.cfg
CFG
    cat >grub.cfg <<'CFG'
if [ $grub_platform = pc ]; then
    serial
    terminal_output serial
fi
insmod hashsum
insmod cmp
search --set=machine --file /machine.cfg
source ($machine)/machine.cfg
CFG
    fat_disk stick.img 127
    files stick.img EFI/BOOT/BOOTX64.EFI="$grub/x86_64-efi-signed/grubx64.efi.signed" EFI/debian/grub.cfg=efi.cfg \
        EFI/BOOT/BOOTAA64.EFI="$grub/arm64-efi-signed/grubaa64.efi.signed" boot/grub/grub.cfg=grub.cfg vmlinuz=debian/vmlinuz
    for image in plain compressed encrypted overlay corrupt outer; do
        files stick.img $image.qcow=$image.qcow
    done
    mcopy -s -i stick.img@@1M "$here/../../tests/vectors/images" ::v
    for grub_platform in x86_64-efi i386-pc arm64-efi; do
        for file in "$grub/$grub_platform/hashsum.mod" "$grub/$grub_platform/cmp.mod" "$grub/../$grub_platform/qcow1.mod"; do
            files stick.img "boot/grub/$grub_platform/$(basename "$file")=$file"
        done
    done
    # The boot sector of a BIOS, and GRUB in the sectors after it.
    grub-mkimage -O i386-pc -d "$grub/i386-pc" -p '(hd0,msdos1)/boot/grub' -o core.img biosdisk part_msdos fat normal \
        configfile search search_fs_file serial echo test cat ls minicmd loadenv linux gcry_sha256
    head -c 440 "$grub/i386-pc/boot.img" | dd of=stick.img conv=notrunc status=none
    dd if=core.img of=stick.img bs=512 seek=1 conv=notrunc status=none
}

# open KIND: prints the command that opens an image. The second disk is the base of the overlay.
open() {
    case $1 in
    encrypted) echo "try qcow1 -p 'correct horse' encrypted /encrypted.qcow" ;;
    overlay) echo 'try qcow1 overlay /overlay.qcow (hd1)' ;;
    *) echo "try qcow1 $1 /$1.qcow" ;;
    esac
}

# start KIND: prints the commands that start Linux from inside an open image, which is closed before the start.
start() {
    echo "try set root=$1,msdos1"
    echo "try linux /vmlinuz $options manager=GRUB"
    echo 'try initrd /initrd'
    echo "try qcow1 -d $1"
    echo 'try boot'
}

# checks: prints commands that open images, read the disks, and fail.
checks() {
    echo 'try insmod qcow1'
    for kind in plain compressed encrypted overlay; do
        open $kind
    done
    cat <<'CFG'
stick=$root
try search --set=found --file /initrd
try echo $found
try ls (compressed,msdos1)/
try cat (compressed,msdos1)/loader/entries/debian.conf
try cmp (encrypted,msdos1)/vmlinuz /vmlinuz
for kind in plain compressed encrypted overlay; do
    try set root=$kind,msdos1
    try hashsum --hash sha256 /initrd
done
try set root=$stick
try qcow1 outer /outer.qcow
try qcow1 odd (outer,msdos1)/odd.qcow
try hashsum --hash sha256 (odd)+2048
try save_env -f (outer,msdos1)/grubenv root
try qcow1 -d outer
try rmmod qcow1
try qcow1 -d odd
try qcow1 -d outer
try qcow1 -d outer
try qcow1 new /vmlinuz
try qcow1 new /missing.qcow
try qcow1 new (hd1,msdos9)
try qcow1 new /corrupt.qcow
try qcow1 new /encrypted.qcow
try qcow1 new /overlay.qcow
try qcow1 new /plain.qcow (hd1)
try qcow1 new /overlay.qcow raw (hd1) (hd1)
try qcow1 plain /compressed.qcow
try qcow1 hd0 /plain.qcow
try qcow1 new,msdos1 /plain.qcow
try qcow1 new
try rmmod qcow1
try qcow1 new /plain.qcow
try insmod qcow1
CFG
    open overlay
    cat <<'CFG'
try set root=overlay,msdos1
try hashsum --hash sha256 /initrd
try set root=$stick
echo "checks: opening disks 300 times"
for a in 0 1 2 3 4 5 6 7 8 9; do
    for b in 0 1 2 3 4 5 6 7 8 9; do
        for c in 0 1 2; do
            qcow1 -p passphrase new /overlay.qcow (hd1)
            qcow1 -d new
        done
    done
done
CFG
    vectors
    echo 'echo "checks: done"'
}

# vectors: prints commands that hash each disk of tests/vectors of at most 1 MiB, and writes to the file 'vectors' what each must
# give: a digest or an error. GRUB hashes whole sectors.
vectors() {
    rm -f vectors
    vectors=$here/../../tests/vectors
    jq -r '.images[]
        | [.file, .strict.sha256_of_whole_sectors // .strict.sha256 // .strict.error // "large", .strict.size // 0,
            if .key then "-p \u0027\(.key)\u0027" else "" end,
            ([.backing[]? | if .format == "raw" then "raw" else empty end, "/v/" + .file] | join(" "))]
        | join("|")' "$vectors/manifest.json" | while IFS='|' read -r file result size key backing; do
        sectors=$((size / 512))
        if [ ${#result} -lt 64 ] && [ "$result" != large ]; then
            result=error
            # In the header, if there is one.
            size=$(od -A n -t u8 --endian=big -j 24 -N 8 "$vectors/images/$file" 2>/dev/null | tr -d ' ')
            [ ${#size} -lt 8 ] || size=512
            sectors=$(((${size:-512} + 511) / 512))
        fi
        if [ "$result" = large ] || [ "$sectors" -eq 0 ] || [ "$sectors" -gt 2048 ]; then
            continue
        fi
        echo "$file $result" >>vectors
        echo "echo 'vector $file'"
        echo "qcow1 $key new /v/$file $backing"
        echo "hashsum --hash sha256 (new)+$sectors"
        echo "qcow1 -d new"
    done
    # GRUB's command refuses every image whose backing file is missing.
    sed -i '/^backing-missing-but-never-needed/s/ .*/ error/' vectors
}

# machine PLATFORM NAME: boots a machine of a platform of GRUB, which runs the commands in NAME.cfg. Its console is in
# PLATFORM-NAME.log.
machine() {
    case $1 in
    arm64-*) platform /aarch64-unknown-uefi/ ;;
    *) platform /x86_64-unknown-uefi/ ;;
    esac
    name=$1-$2
    cp "$variables" "$name.fd"
    case $1 in
    *-efi) firmware="-drive if=pflash,format=raw,readonly=on,file=$code -drive if=pflash,format=raw,file=$name.fd" ;;
    *) firmware= ;;
    esac
    {
        printf 'function try {\n    echo "grub> $*"\n    "$@"\n}\n'
        cat "$2.cfg"
    } >"$name.cfg"
    mformat -C -f 1440 -i "$name.img" ::
    mcopy -i "$name.img" "$name.cfg" ::machine.cfg
    drives=
    order=0
    for disk in stick.img compressed.qcow "$name.img"; do
        drives="$drives -drive if=none,id=disk$order,format=raw,snapshot=on,file=$disk
            -device virtio-blk-pci,drive=disk$order,bootindex=$order"
        order=$((order + 1))
    done
    # shellcheck disable=SC2086
    boot "$name.log" 0 $qemu -m 512M -display none -serial stdio -monitor none -net none -no-reboot $firmware $drives
    # Without the control sequences of a terminal.
    sed -i 's/\x1b\[[=0-9;?]*[A-Za-z]//g; s/\r//g' "$name.log"
}

# linux PLATFORM NAME PAYLOAD: boots such a machine, in which Linux must print the digest of the payload.
linux() {
    machine "$1" "$2"
    digest=$(sha256sum "$3" | cut -d ' ' -f 1)
    grep -aq "^linux: the payload's sha256 is $digest" "$name.log" || {
        cat "$name.log" >&2
        fail "grub, $name: Linux did not start from the image; its console is above."
    }
    echo "grub: $name: Linux has started, and its payload has the host's sha256"
}

# compare NAME: fails unless the console of the checks is console.txt, and has the host's digests.
compare() {
    {
        sed -n 's/ *$//; /^grub> insmod qcow1/,/^checks:/p' "$1.log"
        sed -n '/^checks: done/,$p' "$1.log" | sed 's/^\[ *[0-9.]*\] //; s/^\(Linux version [^ ]*\).*/\1/' |
            grep -aE '^(checks:|grub>|Linux version|Run /init|linux:|reboot:)'
    } >"$1.txt"
    if [ "$record$1" = 1x86_64-efi-checks ]; then
        cp "$1.txt" "$here/console.txt"
    fi
    lines=$(wc -l <"$1.txt")
    head -n "$lines" "$here/console.txt" | alike - >recorded
    alike "$1.txt" | diff recorded - >&2 ||
        fail "grub: the console, > above, is not what $here/console.txt has, <: record it with 'run.sh --record'."
    base=$(sha256sum <initrd | cut -d ' ' -f 1)
    top=$(sha256sum <initrd.top | cut -d ' ' -f 1)
    printf '%s\n' "$base" "$base" "$base" "$top" "$odd" "$top" >digests
    grep -aoE '^[0-9a-f]{64}' "$1.txt" | diff digests - >&2 || fail "grub, $1: the digests, > above, are not the host's, <."

    # The first line after the name of a vector.
    awk '/^vector / { name = $2 }
        /^checks:/ { name = "" }
        name && /^error: / { print name, "error"; name = "" }
        name && $2 ~ /^\(new\)/ { print name, $1; name = "" }' "$1.log" |
        diff vectors - >&2 || fail "grub, $1: the vectors, > above, are not as they should be, <."
    echo "grub: $1: files in 4 images and $(wc -l <vectors) vectors have the host's sha256, or the right error"
}

for grub_platform in x86_64-efi i386-pc arm64-efi; do
    "$here/build.sh" $grub_platform
done
platform /x86_64-unknown-uefi/
mkdir -p "$CARGO_TARGET_DIR/$target/linux"
cd "$CARGO_TARGET_DIR/$target/linux"
disks
qemu-img convert -f qcow -O raw overlay.qcow top.raw
mcopy -n -i top.raw@@1M ::initrd - >initrd.top
images
stick
for kind in plain compressed encrypted; do
    {
        echo 'try insmod qcow1'
        open $kind
        start $kind
    } >$kind.cfg
done
{
    checks
    echo 'if [ $grub_cpu = arm64 ]; then halt; fi'
    start overlay
} >checks.cfg

{
    linux x86_64-efi checks payload.top
    for kind in plain compressed encrypted; do
        linux x86_64-efi $kind root/payload
    done
} &
others=$!
linux i386-pc checks payload.top
for kind in plain compressed encrypted; do
    linux i386-pc $kind root/payload
done
machine arm64-efi checks
wait $others
for grub_platform in x86_64-efi i386-pc arm64-efi; do
    compare $grub_platform-checks
done
echo "GRUB read the disks inside QCOW1 images on 3 platforms, and started Debian's Linux from inside each kind of image on 2."
