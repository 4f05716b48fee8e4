#!/usr/bin/env python3
"""Compares this crate with every other reader of QCOW1, and with the limits of all readers.

    benches/peers/run.py                            1 GiB, 11 rounds
    benches/peers/run.py --size 64M --rounds 3      a quick look

Needs a Rust toolchain, a C compiler, and Debian's qemu-utils, libqcow-dev and p7zip-full, and ten times --size on disk.
It makes its disks below target/, checks what each reader gives by its SHA-256, and then runs everything in turn, round
by round, each time with the files in the page cache. A run of another reader that fails is repeated and counted.
RESULTS.md has the results. The ratios against our goals, medians over the rounds, go to the terminal.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import shlex
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

# No bytecode beside the scripts.
sys.dont_write_bytecode = True
import images
import report

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MIB = 1 << 20
KIB64, MIB4 = 64 << 10, 4 << 20


# The buffer into which files are read to load them into the page cache.
WARM = bytearray(MIB)

# The number of failed runs in a row after which a reader is left out of a row.
TRIES = 5


class PeerFailed(Exception):
    """Another reader has failed TRIES times in a row. The text says how it ended."""


def ending(status):
    """Returns the name of the signal that ended a process, or its status."""
    return signal.Signals(-status).name if status < 0 else f"status {status}"


class Run:
    """A command whose time is measured: by itself, or from outside without the time of its start."""

    def __init__(self, command, clock, start=None, environment=None, is_peer=False):
        self.command = [str(word) for word in command]
        self.clock = clock
        self.start = start
        self.environment = environment or {}
        self.is_peer = is_peer
        self.last = {}
        # How many runs there were, and how the failed ones ended.
        self.count = 0
        self.failures = []

    def execute(self, stdout=subprocess.PIPE):
        environment = os.environ | self.environment
        return subprocess.run(self.command, stdout=stdout, stderr=subprocess.PIPE, env=environment)

    def warm(self):
        """Reads the files of the command before each run: some systems evict files that were not used for a minute."""
        words = {path for word in self.command for path in re.split("[,=]", word) if path.endswith((".qcow", ".raw"))}
        for path in words:
            with open(path, "rb", buffering=0) as file:
                while file.readinto(WARM):
                    pass

    def seconds(self):
        """Runs the command and returns its time. Repeats a failed run of a peer, so that a crash costs no results."""
        for _ in range(TRIES):
            self.warm()
            self.count += 1
            begin = time.perf_counter()
            done = self.execute(subprocess.DEVNULL if self.clock == "outside" else subprocess.PIPE)
            elapsed = time.perf_counter() - begin
            if done.returncode == 0:
                return self.measured(done, elapsed)
            how = ending(done.returncode)
            message = f"{self} ended with {how}: {done.stderr.decode(errors='replace')}"
            if not self.is_peer:
                raise SystemExit(message)
            print(message, file=sys.stderr, flush=True)
            self.failures.append(how)
        raise PeerFailed(how)

    def measured(self, done, elapsed):
        """Returns the time of a run that has succeeded."""
        if self.clock == "outside":
            return max(elapsed - STARTS[self.start], 1e-6)
        if self.clock == "qemu-img bench":
            return float(re.search(rb"completed in ([0-9.]+) seconds", done.stdout)[1])
        self.last = json.loads(done.stdout)
        return self.last["seconds"]

    def __str__(self):
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " ".join(variables + [shlex.quote(word) for word in self.command])


# The time that a program takes for an image of one cluster. It is subtracted, because it is not spent on reading.
STARTS = {}


def programs(work):
    """Builds this crate's program and libqcow's."""
    build = ["cargo", "build", "--release", "--package", "qcow1-peers", "--message-format=json"]
    messages = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout.splitlines()
    artifacts = [json.loads(message) for message in messages if message.startswith(b"{")]
    ours = next(a["executable"] for a in artifacts if a.get("target", {}).get("name") == "peers" and a["executable"])
    libqcow = work / "libqcow_reader"
    source = HERE / "libqcow_reader.c"
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", libqcow, source, "-lqcow"], check=True)
    return ours, libqcow


class Setup:
    """The commands of each reader."""

    def __init__(self, folder, size, ours, libqcow):
        self.folder, self.size, self.ours_path, self.libqcow_path = folder, size, ours, libqcow
        self.count = size // images.CLUSTER
        # An odd number of clusters near the golden section of the disk: no two neighbors, no table twice in a row.
        self.stride = (int(self.count * 0.6180339887) | 1) * images.CLUSTER

    def paths(self, names):
        return [self.folder / name for name in names]

    def ours(self, work, *arguments):
        return Run([self.ours_path, work, *arguments], "inside")

    def disk(self, names, memory, encrypted=False):
        password = ["--password", images.PASSWORD] if encrypted else []
        return [*self.paths(names), "--memory", memory, *password]

    def places(self, stride=False):
        order = ["--stride", self.stride] if stride else []
        return ["--count", self.count, *([] if stride else ["--warm-up", self.count // 2]), *order]

    def qemu_image(self, names, aio, encrypted=False):
        options, prefix = [], ""
        for name in names:
            raw = name.endswith(".raw")
            options += [
                f"{prefix}driver={'raw' if raw else 'qcow'}",
                f"{prefix}file.driver=file",
                f"{prefix}file.filename={self.folder / name}",
                f"{prefix}file.aio={aio}",
            ]
            prefix += "backing."
        if encrypted:
            options += ["encrypt.format=aes", "encrypt.key-secret=s0"]
        return ",".join(options)

    def qemu_secret(self, encrypted):
        return ["--object", f"secret,id=s0,data={images.PASSWORD}"] if encrypted else []

    def qemu_convert(self, names, aio, encrypted=False, size=None):
        image = self.qemu_image(names, aio, encrypted)
        target = f"driver=null-co,size={size or self.size}"
        command = ["qemu-img", "convert", "-n", *self.qemu_secret(encrypted)]
        command += ["--image-opts", image, "--target-image-opts", target]
        return Run(command, "outside", "qemu-img", is_peer=True)

    def qemu_bench(self, names, aio):
        command = ["qemu-img", "bench", "-d", "1", "-c", self.count, "-s", images.CLUSTER, "-S", self.stride]
        return Run([*command, "--image-opts", self.qemu_image(names, aio)], "qemu-img bench", is_peer=True)

    def libqcow(self, work, names, *arguments, encrypted=False):
        environment = {"PASSWORD": images.PASSWORD} if encrypted else None
        command = [self.libqcow_path, work, self.folder / names[0], *arguments]
        return Run(command, "inside", None, environment, is_peer=True)

    def seven_zip(self, names):
        return Run(["7z", "x", "-tqcow", "-so", self.folder / names[0]], "outside", "7z", is_peer=True)


class Row:
    """A workload: its readers, and the goals for this crate."""

    def __init__(self, name, title, unit, runs, goals, flat=None, names=(), encrypted=False, reads=1):
        # A figure is for the whole disk ("MiB/s", "ms"), or for each of `reads` reads ("us").
        self.name, self.title, self.unit, self.runs, self.reads = name, title, unit, runs, reads
        self.goals, self.flat, self.names, self.encrypted = goals, flat, names, encrypted
        self.times = {reader: [] for reader in runs}
        self.notes = {}
        # The runs of each reader, also of those that were left out.
        self.all_runs = dict(runs)

    def ratio(self, reader, base="ours"):
        """Returns the time of `reader` divided by this crate's: the median over the rounds."""
        pairs = zip(self.times[reader], self.times[base])
        return statistics.median(theirs / mine for theirs, mine in pairs)

    def has(self, reader):
        return bool(self.times.get(reader))

    def against(self, peer):
        """Returns how many times as fast as a peer this crate is, and how many times as fast the limit is.

        Where a peer has variants, it is its faster one, and in the order of reads that it can do.
        """
        base = "ours"
        if peer == "qemu":
            variants = [reader for reader in self.times if reader.startswith("qemu") and self.has(reader)]
            peer = min(variants, key=self.median, default=peer)
            base = "ours, stride" if self.has("ours, stride") else "ours"
        if not self.has(peer):
            return None
        return self.ratio(peer, base), self.ratio(peer, "limit") if self.has("limit") else None

    def median(self, reader):
        return statistics.median(self.times[reader])


def in_order_row(setup, name, title, names, limits, goals, flat="flat.raw", encrypted=False, chain=False):
    runs = {
        "ours": setup.ours("read", *setup.disk(names, KIB64, encrypted)),
        **limits,
        "qemu io_uring": setup.qemu_convert(names, "io_uring", encrypted),
        "qemu threads": setup.qemu_convert(names, "threads", encrypted),
        "libqcow": setup.libqcow("read", names, encrypted=encrypted),
        "7z": setup.seven_zip(names),
    }
    if chain:
        # 7z does not find the backing files.
        runs.pop("7z")
    return Row(name, title, "MiB/s", runs, goals, flat, names, encrypted)


def random_row(setup, name, title, names, memory, goals, peers=True):
    """Random reads at this crate's offsets, and at those of `qemu-img bench` for the comparison with it.

    The memory lent to this crate does not affect the peers, so a second row does not repeat them.
    """
    disk = setup.disk(names, memory)
    runs = {
        "ours": setup.ours("random", *disk, *setup.places()),
        "limit": setup.ours("random-pread", *setup.paths(names), *setup.places()),
    }
    if peers:
        runs |= {
            "ours, stride": setup.ours("random", *disk, *setup.places(stride=True)),
            "qemu io_uring": setup.qemu_bench(names, "io_uring"),
            "qemu threads": setup.qemu_bench(names, "threads"),
        }
    if peers and len(names) == 1:
        runs["libqcow"] = setup.libqcow("random", names, setup.count, setup.count // 2, 1)
    return Row(name, title, "us", runs, goals, names=names, reads=setup.count)


def rows(setup):
    folder, size = setup.folder, setup.size

    def pread(names):
        return setup.ours("pread", *setup.paths(names))

    yield in_order_row(
        setup, "in-order", "in order, 1 MiB reads", ["in_order.qcow"],
        {"limit": pread(["in_order.qcow"])},
        [("limit", 0.95), ("qemu", 5), ("libqcow", 8), ("7z", 2.5)],
    )
    yield in_order_row(
        setup, "scattered", "random write order, 1 MiB reads", ["scattered.qcow"],
        {"limit": pread(["scattered.qcow"])},
        [("limit", 0.95), ("qemu", 2)],
    )
    yield in_order_row(
        setup, "compressed", "compressed", ["compressed.qcow"],
        {"limit": setup.ours("inflate", folder / "compressed.qcow")},
        [("limit", 0.95), ("qemu", 1.8), ("libqcow", 1.4)],
    )
    yield in_order_row(
        setup, "encrypted", "encrypted", ["encrypted.qcow"],
        {"pread": pread(["encrypted.qcow"]), "aes": setup.ours("aes", size)},
        [("limit", 0.95), ("qemu", 3.5), ("libqcow", 15)],
        encrypted=True,
    )
    disk = ["in_order.qcow"]
    goals = [("limit", 0.95), ("qemu", 4), ("libqcow", 4)]
    yield random_row(setup, "random-4M", "random 4 KiB, 4 MiB of memory", disk, MIB4, goals)
    goals = [("limit", 0.7)]
    yield random_row(setup, "random-64K", "random 4 KiB, 64 KiB of memory", disk, KIB64, goals, peers=False)
    chain = ["overlay.qcow", "flat.raw"]
    yield in_order_row(
        setup, "overlay", "overlay on raw, in order", chain,
        {"limit": pread(chain)}, [("limit", 0.95)], "overlay-flat.raw", chain=True,
    )
    chain = ["top.qcow", "mid.qcow", "in_order.qcow"]
    yield in_order_row(
        setup, "chain", "chain of three, in order", chain,
        {"limit": pread(chain)}, [("limit", 0.95), ("qemu", 15)], "chain-flat.raw", chain=True,
    )
    title = "chain of three, random 4 KiB"
    goals = [("limit", 0.5), ("qemu", 8)]
    yield random_row(setup, "chain-random", f"{title}, 4 MiB of memory for each", chain, MIB4, goals)
    # Overlays have clusters of 512 bytes, and so tables of 16 MiB for 1 GiB.
    goals = [("limit", 0.7)]
    title = f"{title}, 32 MiB of memory for each"
    yield random_row(setup, "chain-random-32M", title, chain, 8 * MIB4, goals, peers=False)

    sparse = ["sparse.qcow"]
    yield Row("open", "open, and a sector from the middle: the sparse disk beside the full one", "us", {
        "ours": setup.ours("open", *setup.disk(sparse, KIB64)),
        "limit": setup.ours("open", *setup.disk(["in_order.qcow"], KIB64)),
    }, [("limit", 1 / 1.5)])
    image = setup.qemu_image(sparse, "io_uring")
    yield Row("extents", "extents of the sparse disk", "ms", {
        "ours": setup.ours("extents", *setup.disk(sparse, KIB64)),
        "qemu io_uring": Run(
            ["qemu-img", "map", "--output=json", "--image-opts", image], "outside", "qemu-img", is_peer=True
        ),
    }, [("qemu", 100)])
    disk = setup.disk(["in_order.qcow"], MIB4)
    yield Row("slice", "slice device, random 4 KiB, 4 MiB of memory", "us", {
        "ours": setup.ours("random", *disk, *setup.places(), "--in-memory"),
        "limit": setup.ours("random-pread", folder / "in_order.qcow", *setup.places(), "--in-memory"),
    }, [("limit", 0.8)], reads=setup.count)


def sha256(command):
    """Returns the digest of a command's output, or None if it fails."""
    digest = hashlib.sha256()
    environment = os.environ | command.environment
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command.command, env=environment, **pipes) as process:
        while piece := process.stdout.read(MIB):
            digest.update(piece)
    return digest.hexdigest() if process.returncode == 0 else None


def file_sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(setup, row, work):
    """Drops the readers that cannot read the disk, and those that return wrong bytes."""
    expected = file_sha256(setup.folder / row.flat)
    ours = Run(row.runs["ours"].command + ["--dump"], "inside")
    if sha256(ours) != expected:
        raise SystemExit(f"{row.name}: this crate returns wrong bytes")
    # QEMU converts only to files. Its way of waiting for the host does not change the bytes, but "io_uring" may crash.
    raw = work / "converted.raw"
    image = setup.qemu_image(row.names, "threads", row.encrypted)
    secret = setup.qemu_secret(row.encrypted)
    subprocess.run(["qemu-img", "convert", *secret, "--image-opts", image, "-O", "raw", raw], check=True)
    if file_sha256(raw) != expected:
        drop(row, "qemu io_uring", "wrong bytes")
        drop(row, "qemu threads", "wrong bytes")
    raw.unlink()
    dump = setup.libqcow("dump", row.names, encrypted=row.encrypted)
    for reader, command in (("libqcow", dump), ("7z", row.runs.get("7z"))):
        if reader in row.runs:
            digest = sha256(command)
            if digest != expected:
                drop(row, reader, "wrong bytes" if digest else "-")


def drop(row, reader, why):
    del row.runs[reader], row.times[reader]
    row.notes[reader] = why


def compare_checks(row):
    """Checks that random reads at the same offsets have the same sum."""
    checks = {reader: run.last["check"] for reader, run in row.runs.items() if "check" in run.last}
    checks.pop("ours, stride", None)
    for reader, check in checks.items():
        if check != checks["ours"]:
            if reader in ("ours", "limit"):
                raise SystemExit(f"{row.name}: {reader} read other bytes")
            drop(row, reader, "wrong bytes")
            return


def measure(all_rows, rounds):
    for number in range(-1, rounds):
        # The first round is a warm-up and is not counted.
        print(f"round {number + 1} of {rounds}" if number >= 0 else "warming up", flush=True)
        for row in all_rows:
            readers = list(row.runs)
            # Each round starts with another reader, so that no reader always runs after the slowest.
            first = number % len(readers)
            for reader in readers[first:] + readers[:first]:
                try:
                    seconds = row.runs[reader].seconds()
                except PeerFailed as failed:
                    drop(row, reader, str(failed))
                    continue
                if number >= 0:
                    row.times[reader].append(seconds)
            if number < 0:
                compare_checks(row)
    for row in all_rows:
        if row.has("pread") and row.has("aes"):
            # No reader decrypts while it reads, so the limit is the sum of both.
            row.times["limit"] = [a + b for a, b in zip(row.times["pread"], row.times["aes"])]


def measure_starts(setup):
    empty = ["empty.qcow"]
    for name, run in (
        ("qemu-img", setup.qemu_convert(empty, "io_uring", size=images.CLUSTER)),
        ("7z", setup.seven_zip(empty)),
    ):
        STARTS[name] = 0
        try:
            STARTS[name] = min(run.seconds() for _ in range(5))
        except PeerFailed as failed:
            raise SystemExit(f"{name} cannot read an image of one cluster: {failed}") from None


def machine():
    cpu = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break

    def version(*command):
        return subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.strip().splitlines()[0]

    return (
        f"{cpu}, {os.cpu_count()} processors, Linux {platform.release()}; {version('rustc', '--version')}; "
        f"{version('qemu-img', '--version')}; libqcow {version('dpkg-query', '-Wf', '${Version}', 'libqcow-dev')}; "
        f"7z {version('dpkg-query', '-Wf', '${Version}', 'p7zip-full')}"
    )


def bytes_of(text):
    number, unit = re.fullmatch(r"(\d+)([KMG]?)", text).groups()
    return int(number) << {"": 0, "K": 10, "M": 20, "G": 30}[unit]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = "of each disk but the sparse one, which is 64 times as large; a power of two"
    parser.add_argument("--size", default="1G", help=size)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--work", type=Path, default=ROOT / "target" / "peers", help="a folder for images and results")
    parser.add_argument("--only", nargs="*", help="names of rows, and 'growth'")
    parser.add_argument("--publish", action="store_true", help="write RESULTS.md and chart.svg here, not in --work")
    return parser.parse_args()


def main():
    options = arguments()
    size = bytes_of(options.size)
    if size < 16 * MIB or size & (size - 1):
        raise SystemExit("--size is a power of two, 16M or more")
    work = options.work.resolve()
    folder = work / options.size
    images.make(folder, size)
    setup = Setup(folder, size, *programs(work))
    wanted = lambda name: not options.only or name in options.only
    all_rows = [row for row in rows(setup) if wanted(row.name)]
    for row in all_rows:
        if row.flat:
            print(f"checking {row.name}", flush=True)
            verify(setup, row, work)
    measure_starts(setup)
    measure(all_rows, options.rounds)
    growth = None
    if wanted("growth"):
        print("how cost grows", flush=True)
        run = setup.ours("growth", folder, folder / "in_order.qcow")
        growth = json.loads(run.execute().stdout)

    text = report.markdown(all_rows, growth, size, options.rounds, machine(), STARTS, folder)
    print(text)
    print(report.goals(all_rows))
    out = HERE if options.publish else work
    (out / "RESULTS.md").write_text(text)
    (out / "chart.svg").write_text(report.chart(all_rows, size))
    print(f"written to {out}/RESULTS.md and chart.svg")


if __name__ == "__main__":
    main()
