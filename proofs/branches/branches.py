"""Runs the machine code of `open` and `read_at` for thumbv7em on QEMU's processor (unicorn), and
lists each conditional branch that goes only one way.

Usage: branches.py --compiler TEXT [--write | --one-image] NAME=PROGRAM...

Each program is the library of examples/footprint, linked with all its tables. Beside it are
PROGRAM-reader, with only the table READER, and PROGRAM-calls, which calls its functions.

It fails if README.md has other counts, if it does not give the reason for a branch that goes only
one way, or if it gives one for a branch that goes both ways. --write writes the counts into
README.md. --one-image runs only the first vector, so that it must fail.
"""

import argparse
import bisect
import collections
import concurrent.futures
import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import tarfile

import capstone
import unicorn
from elftools.elf.elffile import ELFFile
from unicorn import arm_const as arm

PROOFS = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
ROOT = os.path.dirname(PROOFS)
sys.path.append(os.path.join(ROOT, "tests"))
import coverage
import readme

PAGE = 0x1000


# The code


class Code:
    """A linked program."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            elf = ELFFile(file)
            segments = elf.iter_segments("PT_LOAD")
            self.segments = [(one["p_vaddr"], one["p_memsz"], one.data()) for one in segments]
            symbols = [
                (one.name, one["st_value"], one["st_size"], one["st_info"]["type"])
                for one in elf.get_section_by_name(".symtab").iter_symbols()
            ]
        self.symbols = {name: value for name, value, *_ in symbols}
        # The lowest bit of an address says that the code is Thumb code.
        self.functions = {
            name: (value & ~1, size)
            for name, value, size, kind in symbols
            if kind == "STT_FUNC" and size
        }
        # Arm's symbols for where code begins, and where data inside of it does.
        marks = sorted(
            (value, name[1]) for name, value, *_ in symbols if re.match(r"\$[td](\.|$)", name)
        )
        self.marks = [at for at, _ in marks], [kind for _, kind in marks]
        self.decoder = capstone.Cs(
            capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS
        )

    def bytes(self, start, size):
        for address, _, data in self.segments:
            if address <= start and start + size <= address + len(data):
                return data[start - address : start - address + size]
        sys.exit(f"{self.path} has no {size} bytes at {start:#x}.")

    def parts(self, start, end):
        """Yields the parts of a function: start, end, and whether it is code."""
        starts, kinds = self.marks
        while start < end:
            i = bisect.bisect_right(starts, start)
            part_end = min(end, starts[i]) if i < len(starts) else end
            yield start, part_end, kinds[i - 1] == "t"
            start = part_end

    def instructions(self, name):
        start, size = self.functions[name]
        for at, end, is_code in self.parts(start, start + size):
            if not is_code:
                continue
            for one in self.decoder.disasm(self.bytes(at, end - at), at):
                at += one.size
                yield one
            if at != end:
                sys.exit(f"{name} has bytes at {at:#x} that are no instruction.")


CONDITIONS = "eq ne hs lo mi pl vs vc hi ls ge lt gt le".split()


def holds(condition, flags):
    """Returns whether a condition, by its number, holds for the flags N, Z, C and V."""
    n, z, c, v = (bool(flags >> bit & 1) for bit in (31, 30, 29, 28))
    value = [z, c, n, v, c and not z, n == v, n == v and not z][condition // 2]
    return value != bool(condition & 1)


class Branch:
    """An instruction that continues in one of several ways, or whose effect depends on a condition.

    `find` returns the way that the processor goes. `next` has the address of the next instruction
    for each way, if that depends on it.
    """

    def __init__(self, one, ways, find, next=None):
        self.at, self.text = one.address, f"{one.mnemonic} {one.op_str}"
        self.ways, self.find, self.next = set(ways), find, next
        self.taken, self.times = set(), 0
        self.hook = None

    def goes_one_way(self):
        return self.taken != self.ways


def register(name):
    return getattr(arm, f"UC_ARM_REG_{name.upper()}")


def by_flags(condition):
    return lambda cpu: holds(condition, cpu.reg_read(arm.UC_ARM_REG_CPSR))


def branches(code, name):
    """Yields the branches of a function."""
    both = (False, True)
    block, changes = [], False
    for one in code.instructions(name):
        mnemonic = one.mnemonic.split(".")[0]
        end = one.address + one.size
        if block:
            # In an IT block. A comparison there makes the rest of it a second branch.
            condition = block.pop(0)
            if changes:
                yield Branch(one, both, by_flags(condition))
            changes = mnemonic[:3] in ("cmp", "cmn", "tst", "teq")
        elif re.fullmatch("it[te]{0,3}", mnemonic):
            first = CONDITIONS.index(one.op_str)
            block, changes = [first ^ (letter == "e") for letter in mnemonic[1:]], False
            block[0] = first
            yield Branch(one, both, by_flags(first))
        elif mnemonic in ("cbz", "cbnz"):
            tested, target = one.op_str.split(", #")
            find = (
                lambda cpu, tested=register(tested), is_zero=mnemonic == "cbz": (
                    cpu.reg_read(tested) == 0
                )
                == is_zero
            )
            yield Branch(one, both, find, {True: int(target, 16), False: end})
        elif mnemonic[0] == "b" and mnemonic[1:] in CONDITIONS:
            target = int(one.op_str.removeprefix("#"), 16)
            yield Branch(
                one, both, by_flags(CONDITIONS.index(mnemonic[1:])), {True: target, False: end}
            )
        elif mnemonic in ("tbb", "tbh"):
            yield table_branch(code, name, one, 1 if mnemonic == "tbb" else 2)
        elif re.match("(ldr|mov|add)", mnemonic) and one.op_str.startswith("pc,"):
            sys.exit(
                f"{name} has a jump that this script does not know: {one.mnemonic} {one.op_str}."
            )


def table_branch(code, name, one, width):
    """Returns a branch through the table of offsets after it. Its ways are addresses."""
    start, size = code.functions[name]
    base = one.address + 4
    end = next(end for _, end, is_code in code.parts(base, start + size) if not is_code)
    table = code.bytes(base, (end - base) // width * width)
    offsets = [int.from_bytes(table[i : i + width], "little") for i in range(0, len(table), width)]
    # After an odd number of bytes is one that is no offset: it would lead into the table.
    targets = [base + 2 * offset for offset in offsets]
    ways = {target for target in targets if target >= end}
    index = register(re.match(r"\[pc, (\w+)", one.op_str)[1])
    return Branch(one, ways, lambda cpu: targets[cpu.reg_read(index)], {way: way for way in ways})


# The processor

# The processor executes no code from 0x40000000 to 0x5fffffff.
RETURN, MEMORY, BUFFER, STACK, REQUEST = range(0x2000_0000, 0x2500_0000, 0x100_0000)
SPACE = 1 << 20
# A branch that has gone one way so often is watched no longer, because that takes time.
WATCHED = 100_000
# The memory of an image of a chain, for each level.
SHARE = SPACE // 4

# How `Request` of src/lib.rs opens.
READER, RAW, SALVAGE, OR_RAW = 0, 1, 2, 4
# What `number` there returns, by the names of the manifest if that has one.
OUTCOMES = [
    "ok", "io", "not-qcow", "not-qcow", "compression", "unsupported", "corrupt", "out-of-range",
    "memory-too-small", "backing-required", "key-required", "cipher-failed",
]  # fmt: skip


class Processor:
    """The processor with both programs. It plays the device, whose requests `fails` fail."""

    def __init__(self, code, calls, all_branches):
        self.functions = calls.functions
        self.files, self.block_sizes = {}, {}
        self.requests = self.calls = 0
        self.fails, self.cipher_fails = range(0), False
        self.expected, self.compared, self.wrong = None, 0, None
        self.done = set()
        cpu = self.cpu = unicorn.Uc(
            unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS
        )
        cpu.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
        for program in (code, calls):
            low = min(start for start, *_ in program.segments) & ~(PAGE - 1)
            high = max(start + size for start, size, _ in program.segments)
            cpu.mem_map(low, (high - low + PAGE - 1) & ~(PAGE - 1))
            for start, _, data in program.segments:
                cpu.mem_write(start, data)
        for start in (RETURN, MEMORY, BUFFER, STACK, REQUEST):
            cpu.mem_map(start, SPACE)
        for name, play in (("device_read", self.read), ("cipher_decrypt", self.decrypt)):
            at, _ = calls.functions[name]
            cpu.hook_add(unicorn.UC_HOOK_CODE, play, begin=at, end=at)
        # Before the branches' own hooks, so that it runs before them.
        self.comparison = cpu.hook_add(unicorn.UC_HOOK_CODE, self.compare_next)
        for branch in all_branches:
            branch.hook = cpu.hook_add(
                unicorn.UC_HOOK_CODE, self.take, branch, branch.at, branch.at
            )
        self.call("branches_begin", *(code.symbols[name] for name in ("READER", "API", "REST")))

    def take(self, cpu, _at, _size, branch):
        way = branch.find(cpu)
        branch.taken.add(way)
        branch.times += 1
        self.expected = branch.next and (branch, branch.next[way])
        if branch.times == WATCHED or not branch.goes_one_way():
            self.done.add(branch)

    def compare_next(self, _cpu, at, *_):
        """Compares the way that was found with the next instruction."""
        if self.expected:
            branch, expected = self.expected
            self.compared += 1
            if at != expected:
                self.wrong = f"The branch at {branch.at:#x} goes to {at:#x}, not to {expected:#x}."
            self.expected = None

    def end_comparison(self):
        """Fails if a branch went another way than was found."""
        self.cpu.hook_del(self.comparison)
        if self.wrong or not self.compared:
            sys.exit(self.wrong or "No branch was compared with the next instruction.")

    def read(self, cpu, *_):
        low, high, buffer, length = (
            cpu.reg_read(register(name)) for name in ("r0", "r1", "r2", "r3")
        )
        (level,) = struct.unpack("<I", cpu.mem_read(cpu.reg_read(arm.UC_ARM_REG_SP), 4))
        self.requests += 1
        fails = self.requests in self.fails
        start = (high << 32 | low) * self.block_sizes[level]
        stored = b"" if fails else bytes(self.files[level][start : start + length])
        # A device that fails leaves garbage.
        cpu.mem_write(buffer, stored.ljust(length, b"\x5a" if fails else b"\0"))
        cpu.reg_write(arm.UC_ARM_REG_R0, int(fails))

    def decrypt(self, cpu, *_):
        cpu.reg_write(arm.UC_ARM_REG_R0, int(self.cipher_fails))

    def call(self, name, *words):
        for number, word in enumerate(words):
            self.cpu.reg_write(register(f"r{number}"), word)
        self.cpu.reg_write(arm.UC_ARM_REG_SP, STACK + SPACE)
        self.cpu.reg_write(arm.UC_ARM_REG_LR, RETURN | 1)
        self.requests = 0
        self.calls += 1
        self.cpu.emu_start(self.functions[name][0] | 1, RETURN)
        # Without its hook, code that is run often costs nothing.
        for branch in self.done:
            self.cpu.hook_del(branch.hook)
        self.done.clear()
        return self.cpu.reg_read(arm.UC_ARM_REG_R0)

    def open(self, file, block_size, memory, how=READER, level=0, size=None):
        """Opens a file in `memory` bytes, and returns the outcome. `size` is that of the device, if
        it is another than the file's.
        """
        self.files[level], self.block_sizes[level] = file, block_size
        # An odd length begins at an odd address.
        at = MEMORY + level * SHARE + memory % 2
        size = len(file) if size is None else size
        self.cpu.mem_write(
            REQUEST, struct.pack("<QIIIII", size, block_size, at, memory, level, how)
        )
        return OUTCOMES[self.call("branches_open", REQUEST)]

    def size(self):
        low = self.call("branches_size")
        return self.cpu.reg_read(arm.UC_ARM_REG_R1) << 32 | low

    def read_at(self, offset, length, function="branches_read"):
        """Reads, and returns the outcome."""
        return OUTCOMES[self.call(function, offset & 0xFFFF_FFFF, offset >> 32, BUFFER, length)]

    def buffer(self, length):
        return self.cpu.mem_read(BUFFER, length)


# The inputs


def vectors():
    """Yields each image of tests/vectors: its line of the manifest, and its layers, each with its
    format.
    """
    folder = os.path.join(ROOT, "tests/vectors")

    def layer(file, kind):
        with open(os.path.join(folder, "images", file), "rb") as image:
            return image.read(), kind

    with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
        for image in json.load(file)["images"]:
            below = [layer(one["file"], one["format"]) for one in image.get("backing", [])]
            yield image, [layer(image["file"], "qcow"), *below]


def seeds(target):
    """Yields the seeds of a fuzz target."""
    with tarfile.open(os.path.join(ROOT, "fuzz/seeds", f"{target}.tar")) as archive:
        for member in filter(tarfile.TarInfo.isfile, archive):
            yield archive.extractfile(member).read()


def image(size, cluster_bits, l1_offset, *parts):
    """Returns an image with L2 tables of 64 words."""
    header = struct.pack(
        ">4sIQIIQBBHIQ", b"QFI\xfb", 1, 0, 0, 0, size, cluster_bits, 6, 0, 0, l1_offset
    )
    return b"".join([header, *parts])


def compressed(stream, cluster_bits):
    """Returns an image with one cluster, whose stream this is."""
    word = 1 << 63 | len(stream) << (63 - cluster_bits) | 56 + 512
    return image(
        1 << cluster_bits, cluster_bits, 48, struct.pack(">QQ", 56, word), bytes(504), stream
    )


def match_without_distance():
    """Returns a stream with a literal and a match, whose block has no code of distances."""
    bits = ""

    def number(value, width):
        # The lowest bit comes first.
        nonlocal bits
        bits += f"{value:0{width}b}"[::-1]

    # The last block, a dynamic one: 258 lengths of literals and lengths, 1 of a distance, and 18
    # for these lengths.
    for value, width in ((1, 1), (2, 2), (1, 5), (0, 5), (14, 4)):
        number(value, width)
    for symbol in (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1):
        number(2 if symbol in (0, 1, 2, 18) else 0, 3)
    # Codewords begin with their highest bit. Those of 0, 1, 2 and 18 are 00, 01, 10 and 11. The
    # literal 97 has a codeword of 1 bit, the end and the length 3 of 2 bits, the distance none.
    for zeros, codeword in ((97, "01"), (138, ""), (20, "10" + "10" + "00")):
        bits += "11"
        number(zeros - 11, 7)
        bits += codeword
    # The literal, and the length.
    bits += "0" + "11"
    return int(bits[::-1], 2).to_bytes(len(bits) // 8 + 4, "little")


def reads(file, size):
    """Returns reads of a disk of `size` bytes: offsets and lengths."""
    cluster = 1 << min(max(file[32], 9), 16) if len(file) > 32 else 512
    sector = size // 2 & ~511
    return [
        (0, min(size, 12_000)),
        (0, min(size, cluster)),
        (0, min(size, cluster)),
        (3, max(min(size, 9_000) - 5, 0)),
        (max(size - cluster, 0), min(size, cluster)),
        (cluster + 1, 600),
        (4096, 4096),
        (4096, 4096),
        (sector, 512),
        (sector, 512),
        (cluster << 6, 512),
        (size, 1),
        (2**64 - 1, 1),
        (0, 0),
    ]


# Block sizes and bytes of memory. Each image gets the first two, and some of the others in turn.
DEVICES = [
    (512, 24_000),
    (4096, 16_384),
    (1, 64),
    (512, 200_000),
    (1, 24_001),
    (512, 512),
    (65_536, 200_000),
    (512, 1_500),
    (1, 16_384),
]
# Requests of a call that fail.
FAILURES = [range(1, 2), range(2, 3), range(3, 4), range(1, 99), range(2, 99)]


def read_all(
    processor, file, block_size, memory, how=READER, size=None, fails=range(0), has_cipher=False
):
    """Opens a file and makes all reads. Requests of two of three reads fail."""
    processor.fails = range(0)
    if processor.open(file, block_size, memory, how, size=size) != "ok":
        return
    if has_cipher:
        processor.call("branches_set_cipher")
    # Not the first read, so that some fail after tables were read, and others at them.
    for number, (offset, length) in enumerate(reads(file, processor.size())):
        processor.fails = fails if number % 3 else range(0)
        processor.cipher_fails = bool(processor.fails)
        processor.read_at(offset, length)


def in_turn(items, number):
    return items[number % len(items)]


def run_reader(processor):
    """Makes the calls of the table READER: `open` and `read_at`."""
    # First short streams, because the decoder's branches are soon watched no longer.
    # The last two bytes of a seed are a length.
    streams = [match_without_distance(), *(seed[:-2] for seed in seeds("inflate"))]
    for number, stream in enumerate(streams):
        for cluster_bits in (9, in_turn([12, 12, 12, 16], number)):
            if 0 < len(stream) < 1 << cluster_bits:
                processor.open(
                    compressed(stream, cluster_bits), 1, in_turn([200_000, 24_001], number)
                )
                processor.read_at(0, 1 << cluster_bits)
                processor.read_at(1, 300)
    for seed in seeds("header"):
        read_all(processor, seed, 1, 24_000)
    for number, seed in enumerate(seeds("image")):
        # Here they are options.
        read_all(processor, seed[:-2], *in_turn(DEVICES, number))
    for number, (_, layers) in enumerate(vectors()):
        file, _ = layers[0]
        for device in (*DEVICES[:2], in_turn(DEVICES[2:], number)):
            read_all(processor, file, *device)
        fails = in_turn(FAILURES, number)
        read_all(processor, file, *in_turn(DEVICES, number), fails=fails)
        # The device may be larger than the file, and than any that is read.
        size = in_turn([len(file) + 1, 2**33, 2**63, 2**63 + 1], number)
        read_all(processor, file, *in_turn(DEVICES, number), size=size)
        # A cluster, and a byte of the next one.
        processor.fails = range(0)
        if processor.open(file, 1, 24_000) == "ok":
            processor.read_at(0, 1 << file[32])
            processor.read_at(1 << file[32], 1)
        processor.fails = fails
        processor.open(file, *in_turn([(512, 512), (512, 511), (1, 63), (65_536, 65_536)], number))


def run_others(processor):
    """Makes calls that share the code: with salvage, with a cipher, of raw disks, and of chains."""
    for number, (_, layers) in enumerate(vectors()):
        file, _ = layers[0]
        fails = in_turn([range(0), *FAILURES], number)
        read_all(processor, file, *in_turn(DEVICES, number), SALVAGE, None, fails, True)
        read_all(processor, file, *in_turn(DEVICES, number // 2), OR_RAW, has_cipher=True)
        if number % 8 == 0:
            read_all(processor, file, *in_turn([(1, 0), (512, 512), (4096, 4096)], number), RAW)
        if len(layers) == 1:
            continue
        for how, has_cipher in ((READER, False), (SALVAGE, True)):
            _, size = open_chain(processor, layers[:3], *in_turn(DEVICES, number), how, has_cipher)
            for offset, length in reads(file, size):
                processor.fails = fails
                processor.read_at(offset, length, "branches_read_chain")
    # The L1 word of the second span is past 2^64.
    processor.fails = range(0)
    processor.open(image(1 << 20, 9, 2**64 - 8), 512, 24_000, SALVAGE)
    processor.read_at(40_000, 512)
    # An empty chain.
    processor.open(b"", 512, 24_000)
    processor.call("branches_push", 0)
    processor.read_at(0, 0, "branches_read_chain")
    for number, seed in enumerate(seeds("image")):
        read_all(processor, seed[:-2], *in_turn(DEVICES, number), SALVAGE, has_cipher=True)


def open_chain(processor, layers, block_size, memory, how=READER, has_cipher=False):
    """Returns the outcome of opening a chain, and its size."""
    processor.fails, processor.cipher_fails = range(0), False
    size = 0
    for level, (file, kind) in enumerate(layers):
        outcome = processor.open(file, block_size, memory, RAW if kind == "raw" else how, level)
        if outcome != "ok":
            return outcome, 0
        if has_cipher:
            processor.call("branches_set_cipher")
        size = size if level else processor.size()
        if processor.call("branches_push", level):
            return "no place in the chain", 0
    return "ok", size


def compare_results(processor):
    """Compares whole disks with the manifest. Returns the number of images that were compared."""
    right = 0
    for line, layers in vectors():
        outcome, size = open_chain(
            processor, layers[:3], 512, SHARE - 16_384, READER, "key" in line
        )
        if outcome == "ok" and size <= SPACE // 4:
            outcome = processor.read_at(0, size, "branches_read_chain")
        # Nothing is decrypted here, a chain has three images at most, and `plain` inflates nothing.
        if "key" in line or len(layers) > 3 or outcome == "compression" or size > SPACE // 4:
            continue
        expected = line["strict"].get("error", "ok")
        digest = hashlib.sha256(processor.buffer(size)).hexdigest()
        if outcome != expected or (outcome == "ok" and digest != line["strict"]["sha256"]):
            sys.exit(
                f"{line['file']}: the outcome is {outcome}, and {expected} was expected; or the bytes are wrong."
            )
        right += 1
    return right


# The report


PAGE_OF_REASONS = os.path.join(PROOFS, "README.md")


class Place:
    """Where a branch is in the sources: the lines that it is compiled from, innermost first."""

    texts = {}

    def __init__(self, frames):
        self.lines = []
        for frame in frames:
            file = coverage.source(frame["FileName"])
            # Line 0 stands for code of several lines.
            if file and frame["Line"]:
                self.lines.append((file, frame["Line"]))
        # A function of the compiler's library has no lines.
        self.function = frames[-1]["FunctionName"].split("::")[-1]

    def __str__(self):
        return " in ".join(f"{file}:{line}" for file, line in self.lines) or self.function

    def fits(self, row):
        """Returns how deep the line is that a row of README.md names, or `None`."""
        if not self.lines:
            return 0 if row.file == self.function else None
        for depth, (file, line) in enumerate(self.lines):
            # Of a call that is inlined, only the line counts, not the blocks around it.
            texts = self.around(file, line)[: 1 if depth else None]
            if file == row.file and any(word in text for word in row.words for text in texts):
                return depth
        return None

    @classmethod
    def around(cls, file, line):
        if file not in cls.texts:
            with open(coverage.path(file), encoding="utf-8") as source:
                cls.texts[file] = source.read()
        return coverage.around(cls.texts[file], line)


class Row:
    """A row of README.md: the place, the number of branches in each build, and the reason."""

    def __init__(self, line):
        place, *self.counts, self.why = [cell.strip() for cell in line.strip("|").split(" | ")]
        self.place = place
        self.file, *self.words = re.findall("`([^`]+)`", place)
        self.found = collections.Counter()

    def line(self, builds):
        counts = [str(self.found[build] or "") for build in builds]
        return " | ".join(["| " + self.place, *counts, self.why]) + " |\n"


def places(code, addresses):
    """Returns the place of each address."""
    symbolizer = subprocess.run(
        ["llvm-symbolizer", "--output-style=JSON", f"--obj={code.path}"],
        input="\n".join(map(hex, addresses)),
        capture_output=True,
        check=True,
        text=True,
    )
    return [Place(json.loads(line)["Symbol"]) for line in symbolizer.stdout.splitlines()]


def run(build, path, one_image):
    """Runs all inputs on a build. Returns the numbers of branches, of those that go all ways with
    READER, and of those that do so with the other calls; and the places of those that go one way.
    """
    code, reader = Code(path), Code(f"{path}-reader")
    # The functions of the program with one table are in the program with all of them.
    all_branches = [branch for name in reader.functions for branch in branches(code, name)]

    def both_ways():
        return sum(not branch.goes_one_way() for branch in all_branches)

    processor = Processor(code, Code(f"{path}-calls"), all_branches)
    _, layers = next(vectors())
    read_all(processor, layers[0][0], 512, 24_000)
    processor.end_comparison()
    if not one_image:
        # The control: one image must leave most branches one-sided.
        if both_ways() > len(all_branches) // 3:
            sys.exit(
                f"{build}: with one image, {both_ways()} of {len(all_branches)} branches go both ways."
            )
        run_reader(processor)
    by_reader = both_ways()
    right = 0
    if not one_image:
        run_others(processor)
        right = compare_results(processor)
    one_way = [branch for branch in all_branches if branch.goes_one_way()]
    found = places(code, [branch.at for branch in one_way])
    for branch, place in zip(one_way, found):
        ways = ", ".join(
            str(way).lower() if way in (True, False) else hex(way)
            for way in branch.ways - branch.taken
        )
        print(f"{build}: {branch.at:#x}: {branch.text}: never {ways}: {place}")
    print(
        f"{build}: {processor.calls} calls; {right} disks are as the manifest has them.", flush=True
    )
    return [len(all_branches), by_reader, both_ways() - by_reader], found


def compare(rows, found):
    """Assigns the places of each build to the rows. Returns a sentence for each place that has no
    row, and for each row that has no place.
    """
    sentences = []
    for build, its_places in found.items():
        for place in its_places:
            fitting = [
                (depth, number)
                for number, row in enumerate(rows)
                if (depth := place.fits(row)) is not None
            ]
            if fitting:
                rows[min(fitting)[1]].found[build] += 1
            else:
                sentences.append(
                    f"README.md gives no reason why this branch goes one way: {build}: {place}"
                )
    known = theorems()
    for row in rows:
        if not row.found:
            sentences.append(
                f"README.md gives a reason for branches that go both ways or do not exist: {row.place}"
            )
        if "theorem" in row.why:
            unknown = set(re.findall(r"`(\w+)`", row.why)) - known
            sentences += [
                f"README.md names a theorem that does not exist: {name}" for name in sorted(unknown)
            ]
    return sentences


def theorems():
    """Returns the names of the theorems."""
    names = set()
    for path in ("theorems.py", "branches/bounds.py"):
        with open(os.path.join(PROOFS, path), encoding="utf-8") as file:
            names.update(re.findall(r"^def (\w+)\(\w+, broken\):", file.read(), re.MULTILINE))
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--one-image", action="store_true")
    parser.add_argument("--compiler", required=True)
    parser.add_argument("programs", nargs="+")
    arguments = parser.parse_args()

    counts, found = {}, {}
    builds, paths = zip(*[program.split("=") for program in arguments.programs])
    with concurrent.futures.ProcessPoolExecutor() as processes:
        results = processes.map(run, builds, paths, [arguments.one_image] * len(builds))
        for build, result in zip(builds, results):
            counts[build], found[build] = result
    _, old_table, _ = readme.parts("branches", PAGE_OF_REASONS)
    _, old_list, _ = readme.parts("one way", PAGE_OF_REASONS)
    rows = [Row(line) for line in old_list.splitlines()[2:]]
    sentences = compare(rows, found)

    table = f"Compiled by {arguments.compiler}:\n\n"
    table += (
        "| build | branches | `READER` | other calls | one way: theorem | one way: excluded |\n"
    )
    table += "|---|---:|---:|---:|---:|---:|\n"
    for build, numbers in counts.items():
        by_theorem = sum(row.found[build] for row in rows if "theorem" in row.why)
        numbers = [*numbers, by_theorem, len(found[build]) - by_theorem]
        table += f"| {build} | {' | '.join(map(str, numbers))} |\n"
    print(table)
    new_list = f"| place | {' | '.join(found)} | why |\n|---|{'---:|' * len(found)}---|\n"
    new_list += "".join(row.line(found) for row in rows)
    if old_table.splitlines()[:1] != table.splitlines()[:1] and not arguments.write:
        print("README.md has the branches of another compiler, so nothing is compared.")
        return
    if arguments.write:
        readme.write("branches", table, PAGE_OF_REASONS)
        readme.write("one way", new_list, PAGE_OF_REASONS)
    elif table != old_table or new_list != old_list:
        sentences.append(
            "README.md has other counts of branches; proofs/branches/run.sh --write writes them."
        )
    sys.exit("\n".join(sentences) or 0)


if __name__ == "__main__":
    main()
