#!/bin/sh
# Makes the images of this folder with qemu-img, qemu-io, mtools and python3. The contents come from
# seeds, so that they and their digests in SHA256 are always the same. The places of clusters may
# change with the version of qemu-img.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# fill FILE SIZE SEED START:LENGTH...: writes zeros, with runs of words that deflate to about a
# third.
fill() {
    python3 - "$@" <<'PYTHON'
import random, sys
name, size, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
words = [bytes(random.Random(i).choices(b"abcdefghijklmnopqrstuvwxyz", k=2 + i % 9)) for i in range(300)]
generator = random.Random(seed)
disk = bytearray(size)
for run in sys.argv[4:]:
    start, length = map(int, run.split(":"))
    text = b" ".join(generator.choices(words, k=length))
    disk[start:start + length] = text[:length]
open(name, "wb").write(disk)
PYTHON
}
# QEMU exits with 1 after -c, although the image is right; the result is compared below.
convert() { qemu-img convert -O qcow "$@" || true; }

fill plain.raw 131072 1 0:40000 65536:20000
convert plain.raw plain.qcow

fill sparse.raw 67108864 2 0:4096 2097152:8192 33554432:5000 67104768:4096
convert sparse.raw sparse.qcow

# Written backwards, cluster by cluster.
fill scattered.raw 1048576 3 0:32768 524288:16384
qemu-img create -q -f qcow scattered.qcow 1048576
for start in 536576 532480 528384 524288 28672 24576 20480 16384 12288 8192 4096 0; do
    dd if=scattered.raw of=part bs=4096 count=1 skip=$((start / 4096)) status=none
    qemu-io -f qcow -c "write -q -s part $start 4096" scattered.qcow
done

# An overlay, which has clusters of 512 bytes, on a plain base; and a chain of three on a raw base.
fill overlay-base.raw 300032 4 0:30000 200000:20000
convert overlay-base.raw overlay-base.qcow
qemu-img create -q -f qcow -b overlay-base.qcow -F qcow overlay.qcow 300032
qemu-io -f qcow -c 'write -q -P 0xa1 512 1024' -c 'write -q -P 0xa2 250000 3000' overlay.qcow
qemu-img convert -O raw overlay.qcow overlay.raw

fill chain-base.raw 100000 5 0:50000
truncate -s 99840 chain-base.raw
qemu-img create -q -f qcow -b chain-base.raw -F raw chain-middle.qcow 131072
qemu-io -f qcow -c 'write -q -P 0xb1 40960 4096' -c 'write -q -P 0xb2 98304 4096' chain-middle.qcow
qemu-img create -q -f qcow -b chain-middle.qcow -F qcow chain-top.qcow 131072
qemu-io -f qcow -c 'write -q -P 0xc1 43008 512' -c 'write -q -P 0xc2 0 512' chain-top.qcow
qemu-img convert -O raw chain-top.qcow chain-top.raw

fill odd.raw 70656 6 0:70656
convert odd.raw odd.qcow

qemu-img create -q -f qcow empty.qcow 64M
truncate -s 64M empty.raw

fill compressed.raw 262144 7 0:100000 150000:60000
convert -c compressed.raw compressed.qcow

fill encrypted.raw 65536 8 0:20000 40000:10000
qemu-img convert -O qcow --object secret,id=s0,data=passphrase \
    -o encrypt.format=aes,encrypt.key-secret=s0 encrypted.raw encrypted.qcow

# The disk of `cargo run --example ls`: an MBR, and a FAT16 volume in its first partition.
truncate -s 8M disk.raw
python3 - <<'PYTHON'
disk = open("disk.raw", "r+b")
entry = bytes([0x80, 0, 0, 0, 0x0E, 0, 0, 0]) + (64).to_bytes(4, "little") + (16384 - 64).to_bytes(4, "little")
disk.seek(446)
disk.write(entry)
disk.seek(510)
disk.write(b"\x55\xaa")
PYTHON
export MTOOLS_SKIP_CHECK=1
at=disk.raw@@32768
mformat -i $at -c 1 -T $((16384 - 64)) -h 16 -s 63 -N 12345678 -v QCOW1 ::
cat >readme.txt <<'TEXT'
This file was read out of a FAT volume in a partition of a disk in a QCOW
version 1 image, by a crate that allocates nothing, panics nowhere and has no
unsafe code.
TEXT
fill kernel.bin 30000 9 0:30000
printf 'timeout=3\ndefault=linux\n' >loader.conf
touch -d '2024-01-01 12:00:00 UTC' readme.txt kernel.bin loader.conf
mmd -i $at ::/boot ::/boot/entries
mcopy -m -i $at readme.txt ::/README.TXT
mcopy -m -i $at kernel.bin ::/boot/KERNEL.BIN
mcopy -m -i $at loader.conf "::/boot/entries/a loader's configuration.conf"
convert disk.raw disk.qcow

for image in plain sparse scattered overlay chain-top odd empty compressed disk; do
    qemu-img convert -O raw "$image.qcow" back.raw
    cmp "$image.raw" back.raw
done
cp ./*.qcow chain-base.raw "$here/"
for raw in plain sparse scattered overlay chain-top odd empty compressed encrypted disk; do
    printf '%s  %s.qcow\n' "$(sha256sum <$raw.raw | cut -d ' ' -f 1)" $raw
done >"$here/SHA256"
