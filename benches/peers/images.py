"""Makes the disks that are read, each with a raw disk of the same bytes."""

import mmap
import os
import random
import shutil
import struct
import subprocess
from pathlib import Path

CLUSTER = 4096
TABLE = 512  # the entries of an L2 table of QEMU's
MIB = 1 << 20
PASSWORD = "correct horse"

# The sparse disk is 64 times as large as the others, and holds one extent for each 256 KiB of theirs.
SPARSE_FACTOR = 64
EXTENT = 64 << 10


def run(*command, stdin=None):
    subprocess.run([str(word) for word in command], input=stdin, check=True, stdout=subprocess.DEVNULL)


def make(folder: Path, size: int) -> None:
    """Makes the missing images. An unfinished image is made again."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, maker in MAKERS.items():
        path = folder / name
        if path.exists():
            continue
        print(f"making {path}", flush=True)
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        maker(folder, part, size)
        part.rename(path)


def content(folder, out, size):
    """Writes real files in sequence: compressible and incompressible ones, as on a system's disk."""
    with open(out, "wb") as file:
        for top in ("/usr/bin", "/usr/lib"):
            for parent, folders, names in os.walk(top):
                folders.sort()
                for name in sorted(names):
                    path = Path(parent, name)
                    if file.tell() >= size:
                        file.truncate(size)
                        return
                    if path.is_file() and not path.is_symlink() and path.stat().st_size >= 16 << 10:
                        with open(path, "rb") as source:
                            shutil.copyfileobj(source, file)
        if file.tell() < size:
            raise SystemExit(f"/usr has only {file.tell()} bytes of files; choose a smaller --size")


def in_order(folder, out, size):
    # -S 0: no holes, whatever the files have in them.
    run("qemu-img", "convert", "-S", "0", "-f", "raw", "-O", "qcow", folder / "flat.raw", out)


def scattered(folder, out, size):
    """Makes the same disk, as a guest leaves it that wrote its clusters in random sequence."""
    places = list(range(0, size, CLUSTER))
    random.Random(1).shuffle(places)
    with open(folder / "flat.raw", "rb") as source:
        with mmap.mmap(source.fileno(), 0, prot=mmap.PROT_READ) as data:
            write_image(out, size, ((place, data[place : place + CLUSTER]) for place in places))


def compressed(folder, out, size):
    # Its exit status is 1 even on success. The result is compared before it is measured.
    command = ["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow", folder / "flat.raw", out]
    subprocess.run(command, check=False, stderr=subprocess.DEVNULL)


def encrypted(folder, out, size):
    secret = f"secret,id=s0,data={PASSWORD}"
    options = "encrypt.format=aes,encrypt.key-secret=s0"
    command = ["qemu-img", "convert", "-S", "0", "--object", secret, "-f", "raw", "-O", "qcow", "-o", options]
    run(*command, folder / "flat.raw", out)


def sparse(folder, out, size):
    """Makes an empty disk with evenly spread extents of 64 KiB."""
    disk = size * SPARSE_FACTOR
    step = disk // sparse_extents(size)
    with open(folder / "flat.raw", "rb") as source:

        def clusters():
            for start in range(0, disk, step):
                data = os.pread(source.fileno(), EXTENT, start // step * EXTENT % (size - EXTENT))
                for at in range(0, EXTENT, CLUSTER):
                    yield start + at, data[at : at + CLUSTER]

        write_image(out, disk, clusters())


def sparse_extents(size):
    return size // (256 << 10)


def write_image(path, size, clusters):
    """Writes clusters as QEMU does: each one at the end of the file, and a table before the first that needs it."""
    span = CLUSTER * TABLE
    spans = -(-size // span)
    l1 = [0] * spans
    tables = {}
    # The end of the L1 table, where QEMU's first cluster starts.
    end = -(-(48 + 8 * spans) // CLUSTER) * CLUSTER
    with open(path, "wb") as file:
        file.seek(end)
        for place, data in clusters:
            index = place // span
            if index not in tables:
                tables[index] = [0] * TABLE
                l1[index] = end
                file.write(bytes(CLUSTER))
                end += CLUSTER
            tables[index][place % span // CLUSTER] = end
            file.write(data)
            end += CLUSTER
        for index, words in tables.items():
            file.seek(l1[index])
            file.write(struct.pack(f">{TABLE}Q", *words))
        file.seek(0)
        # Magic, version, no backing file, mtime, size, cluster bits, L2 bits, padding, no encryption, L1 offset.
        file.write(struct.pack(">4sIQIIQBBHIQ", b"QFI\xfb", 1, 0, 0, 0, size, 12, 9, 0, 0, 48))
        file.write(struct.pack(f">{spans}Q", *l1))


# Each layer writes one piece in each MiB of the disk: the offset of the piece in the MiB, and its bytes.
PIECE = 64 << 10
LAYERS = {"overlay": (256 << 10, 0xA5), "mid": (256 << 10, 0xA5), "top": (640 << 10, 0x5A)}


def overlay_over(folder, out, size, layer, base, base_format):
    start, pattern = LAYERS[layer]
    run("qemu-img", "create", "-q", "-f", "qcow", "-b", base, "-F", base_format, out)
    writes = "".join(f"write -q -P {pattern} {at + start} {PIECE}\n" for at in range(0, size, MIB))
    run("qemu-io", "-f", "qcow", out, stdin=writes.encode())


def overlay_flat(folder, out, size, *layers):
    shutil.copyfile(folder / "flat.raw", out)
    with open(out, "r+b") as file:
        for start, pattern in (LAYERS[layer] for layer in layers):
            for at in range(0, size, MIB):
                file.seek(at + start)
                file.write(bytes([pattern]) * PIECE)


MAKERS = {
    "flat.raw": content,
    "in_order.qcow": in_order,
    "scattered.qcow": scattered,
    "compressed.qcow": compressed,
    "encrypted.qcow": encrypted,
    "sparse.qcow": sparse,
    "overlay.qcow": lambda folder, out, size: overlay_over(folder, out, size, "overlay", "flat.raw", "raw"),
    "mid.qcow": lambda folder, out, size: overlay_over(folder, out, size, "mid", "in_order.qcow", "qcow"),
    "top.qcow": lambda folder, out, size: overlay_over(folder, out, size, "top", "mid.qcow", "qcow"),
    "overlay-flat.raw": lambda folder, out, size: overlay_flat(folder, out, size, "overlay"),
    "chain-flat.raw": lambda folder, out, size: overlay_flat(folder, out, size, "mid", "top"),
    "empty.qcow": lambda folder, out, size: run("qemu-img", "create", "-q", "-f", "qcow", out, CLUSTER),
}
