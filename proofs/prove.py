"""Proves that the machine code of the harness follows the rules of `spec.py`. `run.sh` builds the
code and starts this.
"""

import multiprocessing
import os
import sys
import time
from dataclasses import dataclass, field, replace

import bitwuzla
import claripy
import z3
from claripy import BVS, BVV, And, Not, Or

import spec
from machine import INPUT, Machine, Unproved
from read import READ_PROOFS
from spec import RULES, wide
from words import WORDS_FOUND, DeviceProof


@dataclass
class Inputs:
    """What a function is run on: words and bytes, some of which stand for all values, under
    conditions.
    """

    words: list
    tail: list = field(default_factory=list)
    given: list = field(default_factory=list)
    # The largest length of a buffer.
    max_length: object = None
    # log2 of the block size.
    block_bits: object = None
    # An inner function whose result has a name, the name, and what it is.
    results: dict = field(default_factory=dict)
    result: object = None

    def all(self):
        return self.words + self.tail


@dataclass
class Proof:
    """A function, its inputs, and its rules."""

    title: str
    function: str
    over: str
    # Takes the machine, returns `Inputs`.
    inputs: object
    # Takes rules and the inputs, returns the 16 words.
    rules: object
    # The constants of `spec.Rules` that are moved.
    moved: list
    # The words that are compared.
    compared: list = field(default_factory=lambda: list(range(16)))
    # Each of these, passed to `inputs` after the machine, is a proof of its own.
    cases: list = field(default_factory=lambda: [()])
    # The cases that only `--all` adds.
    more_cases: list = field(default_factory=list)

    def prove(self, machine, case, _find, _value):
        return prove(machine, self, case)


def word(name):
    return BVS(name, 64, explicit_name=True)


def to_z3(condition):
    return claripy.backends.z3.convert(condition)


def model(*conditions):
    """Returns values for which all conditions hold, or `None` if there are none. A model without
    values is false, but a model.
    """
    query = z3.SolverFor("QF_BV")
    query.set("timeout", 300_000)
    query.add(*map(to_z3, conditions))
    answer = query.check()
    if answer == z3.unknown:
        raise Unproved(f"z3 gave up: {query.reason_unknown()}")
    return query.model() if answer == z3.sat else None


def bitwuzla_model(*conditions):
    """Returns `True` or `None` for the same question. bitwuzla is better at sums of products than
    z3.
    """
    query = z3.Solver()
    query.add(*map(to_z3, conditions))
    terms = bitwuzla.TermManager()
    parser = bitwuzla.Parser(terms, bitwuzla.Options())
    parser.parse("(set-logic QF_BV)" + query.to_smt2().replace("(check-sat)", ""), True, False)
    answer = parser.bitwuzla().check_sat()
    if answer == bitwuzla.Result.UNKNOWN:
        raise Unproved("bitwuzla gave up")
    return True if answer == bitwuzla.Result.SAT else None


def value(model, number):
    """Returns a number for the values of a model."""
    return model.eval(to_z3(number), model_completion=True).as_long()


def prove(machine, proof, case):
    """Returns the number of paths and of refuted rules."""
    inputs = proof.inputs(machine, *case)
    paths, named = machine.run(
        proof.function, inputs.words, inputs.tail, inputs.given, inputs.results
    )
    if model(*inputs.given, *[Not(And(*path.conditions)) for path in paths]) is not None:
        raise Unproved("an input is on no path")
    if model(*inputs.given, *[Not(And(*path.conditions)) for path in paths[1:]]) is None:
        raise Unproved("no input is on the first path")
    for conditions, result in named:
        if model(*conditions, wide(result) != inputs.result) is not None:
            raise Unproved(f"another result of {list(inputs.results)}")
    words = proof.rules(RULES, inputs)
    find = bitwuzla_model if named else model

    def differ(some, others):
        return Or(*[wide(some[i]) != others[i] for i in proof.compared if some[i] is not others[i]])

    for path in paths:
        if find(*path.conditions, differ(path.words, words)) is not None:
            wrong = model(*path.conditions, differ(path.words, words))
            numbers = [
                [value(wrong, number) for number in numbers]
                for numbers in (inputs.all(), path.words, words)
            ]
            raise Unproved("for {}, the code returns {}, and the rules {}".format(*numbers))
        emulate(machine, proof, path, inputs)
    refuted = 0
    for name, wrong in broken(proof, inputs, words) if case == proof.cases[0] else []:
        example = model(*inputs.given, differ(words, wrong))
        if example is None:
            raise Unproved(f"it makes no difference that {name}")
        taken = [
            path
            for path in paths
            if z3.is_true(example.eval(to_z3(And(*path.conditions)), model_completion=True))
        ]
        if not taken or any(
            find(*path.conditions, differ(path.words, wrong)) is None for path in taken
        ):
            raise Unproved(f"{name} is not refuted")
        refuted += 1
    return len(paths), refuted


def broken(proof, inputs, words):
    """Returns broken rules: with one constant moved by one, up and down, and with one word changed
    by one.
    """
    for name in proof.moved:
        for step in (-1, 1):
            moved = getattr(RULES, name) + step
            yield f"{name} = {moved}", proof.rules(replace(RULES, **{name: moved}), inputs)
    for i in proof.compared:
        if not words[i].structurally_match(wide(0)):
            yield f"word {i} + 1", [*words[:i], words[i] + 1, *words[i + 1 :]]


def emulate(machine, proof, path, inputs):
    """Compares one input of the path with QEMU's processor, so that an error in angr's model of an
    instruction may show.
    """
    if inputs.results:
        return
    example = model(*path.conditions)
    numbers = (
        [value(example, number) for number in inputs.words],
        [value(example, byte) for byte in inputs.tail],
    )
    emulated = machine.emulate(proof.function, *numbers)
    if emulated != [value(example, number) for number in path.words]:
        raise Unproved(f"a processor returns {emulated} for {numbers}")


# The proofs


def prefix(machine):
    """Any slice: a length up to `isize::MAX`, and its first 72 bytes."""
    length = word("length")
    return Inputs(
        [length],
        [BVS(f"byte{i}", 8, explicit_name=True) for i in range(72)],
        [length < 2 ** (machine.bits - 1)],
    )


def bits_given(cluster_bits, l2_bits=None):
    given = [cluster_bits >= RULES.min_cluster_bits, cluster_bits <= RULES.max_cluster_bits]
    if l2_bits is not None:
        given += [l2_bits >= RULES.min_l2_bits, l2_bits <= RULES.max_l2_bits]
    return given


def l2_entry(_machine):
    value, cluster_bits = word("word"), word("cluster_bits")
    return Inputs([value, cluster_bits], [], bits_given(cluster_bits))


def bits(_machine):
    cluster_bits, l2_bits = word("cluster_bits"), word("l2_bits")
    return Inputs([cluster_bits, l2_bits], [], [cluster_bits < 256, l2_bits < 256])


def guest_offset(_machine):
    at, cluster_bits, l2_bits = word("at"), word("cluster_bits"), word("l2_bits")
    return Inputs([at, cluster_bits, l2_bits], [], bits_given(cluster_bits, l2_bits))


def block():
    """A block size, as log2 and in bytes."""
    block_bits = word("block_bits")
    return block_bits, BVV(1, 64) << block_bits, block_bits <= RULES.max_block_bits


def blocks(machine):
    block_bits, size, given = block()
    at, length = word("at"), word("length")
    limit = 2**machine.bits - 1
    return Inputs([size, at, length], [], [given, length <= limit], wide(limit), wide(block_bits))


def device_shape(machine):
    block_bits, block_size, given = block()
    size, start, length = word("size"), word("start"), word("length")
    limit = 2**machine.bits - 1
    given = [given, start < 2**63, length < 2**63, length <= limit]
    return Inputs([block_size, size, start, length], [], given, wide(limit), wide(block_bits))


def memory_for(machine):
    """Any valid size, geometry and block size."""
    block_bits, block_size, given = block()
    size, cluster_bits, l2_bits = word("size"), word("cluster_bits"), word("l2_bits")
    crypt_method = word("crypt_method")
    given = [given, *bits_given(cluster_bits, l2_bits), *size_given(size, cluster_bits, l2_bits)]
    given.append(crypt_method <= RULES.aes)
    l1_entries = spec.ceil(wide(size), wide(cluster_bits) + wide(l2_bits))
    inputs = Inputs(
        [size, cluster_bits, l2_bits, block_size, word("file_size"), crypt_method],
        [],
        given,
        wide(2**machine.bits - 1),
        wide(block_bits),
    )
    inputs.l1_entries = l1_entries
    return inputs


def size_given(size, cluster_bits, l2_bits):
    span = spec.power(wide(cluster_bits) + wide(l2_bits))
    return [size >= RULES.min_size, wide(size) + span <= RULES.max_end]


def all_tables(machine, l2_bits, block_bits):
    """Any size and cluster size. The number of L1 entries has a name, because z3 does not see
    through it and a product.
    """
    size, cluster_bits, l1_entries = word("size"), word("cluster_bits"), word("l1_entries")
    l2_bits = BVV(l2_bits, 64)
    sizes = [*bits_given(cluster_bits), *size_given(size, cluster_bits, l2_bits)]
    is_ = spec.ceil(wide(size), wide(cluster_bits) + wide(l2_bits))
    if model(*sizes, is_ > 2**49) is not None:
        raise Unproved("there are more than 2^49 L1 entries")
    inputs = Inputs(
        [size, cluster_bits, l2_bits, BVV(2**block_bits, 64), word("file_size"), BVV(0, 64)],
        [],
        [*sizes, l1_entries <= 2**49],
        wide(2**machine.bits - 1),
        wide(block_bits),
        {"l1_entries": l1_entries},
        is_,
    )
    inputs.l1_entries = wide(l1_entries)
    return inputs


def memory_for_rules(rules, x):
    _, cluster_bits, l2_bits, _, file_size, crypt_method = map(wide, x.words)
    return spec.memory_for(
        rules,
        x.l1_entries,
        cluster_bits,
        l2_bits,
        x.block_bits,
        file_size,
        crypt_method,
        x.max_length,
    )


def count_none(machine):
    """Any state, in memory that ends inside the address space."""
    state = [BVS(f"state{i}", 8, explicit_name=True) for i in range(512)]
    length = word("length")
    given = [length < 2**30]
    return Inputs([BVV(INPUT + 40, 64), word("word"), word("step"), BVV(2**30, 64), length], state, given)


HEADER = [
    "magic",
    "probed",
    "version",
    "version_at",
    "backing_offset_at",
    "backing_len_at",
    "mtime_at",
    "size_at",
    "cluster_bits_at",
    "l2_bits_at",
    "crypt_method_at",
    "l1_offset_at",
    "header_len",
    "min_size",
    "max_end",
    "min_cluster_bits",
    "max_cluster_bits",
    "min_l2_bits",
    "max_l2_bits",
    "aes",
    "max_name",
]
XEN = ["xen_at", "xen_flags_at", "xen_len", "xen_magic", "xen_page_bits", "xen_big_endian_bit"]

# QEMU's table size and the ends of the range, with a byte, a sector and the largest block.
ALL_TABLES = [(l2_bits, block_bits) for l2_bits in (6, 9, 13) for block_bits in (0, 9, 16)]

PROOFS = [
    WORDS_FOUND,
    Proof(
        "probe",
        "probe_bytes",
        "slices of every length",
        prefix,
        lambda rules, x: spec.probe(rules, wide(x.words[0]), x.tail),
        ["magic", "version", "version_at", "probed"],
    ),
    Proof(
        "Header::parse",
        "header_parse",
        "slices of every length",
        prefix,
        lambda rules, x: spec.header(rules, wide(x.words[0]), x.tail),
        HEADER,
    ),
    Proof(
        "Header::parse_with_xen",
        "header_parse_with_xen",
        "slices of every length, so 2^512 prefixes of 64 bytes",
        prefix,
        lambda rules, x: spec.header(rules, wide(x.words[0]), x.tail, xen=True),
        HEADER + XEN,
    ),
    Proof(
        "L1Entry::decode",
        "l1_entry",
        "2^64 words",
        lambda machine: Inputs([word("word")]),
        lambda rules, x: spec.l1_entry(rules, wide(x.words[0])),
        ["flag_bit"],
    ),
    Proof(
        "L2Entry::decode",
        "l2_entry",
        "2^64 words x 8 cluster sizes",
        l2_entry,
        lambda rules, x: spec.l2_entry(rules, *map(wide, x.words)),
        ["flag_bit", "sector_bits"],
    ),
    Proof(
        "ClusterBits, L2Bits",
        "bits",
        "256 x 256 pairs of bytes",
        bits,
        lambda rules, x: spec.bits(rules, *map(wide, x.words)),
        ["min_cluster_bits", "max_cluster_bits", "min_l2_bits", "max_l2_bits"],
    ),
    Proof(
        "Geometry",
        "guest_offset",
        "2^64 offsets and sizes x 64 geometries",
        guest_offset,
        lambda rules, x: spec.guest_offset(rules, *map(wide, x.words)),
        ["entry_bits", "max_end"],
    ),
    Proof(
        "BlockSize::new",
        "block_size",
        "2^32 numbers of bytes",
        lambda _: Inputs([word("bytes")], [], [word("bytes") < 2**32]),
        lambda rules, x: spec.block_size(rules, wide(x.words[0])),
        ["max_block_bits"],
    ),
    Proof(
        "BlockSize",
        "blocks",
        "17 block sizes x 2^64 offsets x every length",
        blocks,
        lambda rules, x: spec.blocks(rules, x.block_bits, *map(wide, x.words[1:]), x.max_length),
        [],
    ),
    Proof(
        "DeviceShape",
        "device_shape",
        "17 block sizes x 2^64 device sizes x 2^63 offsets x lengths below 2^63",
        device_shape,
        lambda rules, x: spec.device_shape(
            rules, x.block_bits, *map(wide, x.words[1:]), x.max_length
        ),
        ["max_device"],
    ),
    Proof(
        "GuestOffset, HostOffset",
        "offsets",
        "2^128 pairs of offsets",
        lambda machine: Inputs([word("a"), word("b")], max_length=wide(2**machine.bits - 1)),
        lambda rules, x: spec.offsets(rules, *map(wide, x.words), x.max_length),
        ["max_end"],
    ),
    Proof(
        "TableCache::count_consecutive",
        "count_none",
        "every state, if no words are wanted",
        count_none,
        lambda rules, x: spec.words(1, 0),
        [],
    ),
    Proof(
        "Header::memory_for but all_tables",
        "memory_for",
        "2^64 sizes x 64 geometries x 17 block sizes x 2 crypt methods",
        memory_for,
        memory_for_rules,
        ["sector_bits", "small_tables", "fast", "min_memory"],
        [0, 1, 2, 3],
    ),
    Proof(
        "Header::memory_for: all_tables",
        "memory_for",
        "2^64 sizes x 8 cluster sizes, for each pair of a table size and a block size",
        all_tables,
        memory_for_rules,
        ["read_ahead"],
        [0, 4],
        ALL_TABLES,
        [
            (l2_bits, block_bits)
            for l2_bits in range(RULES.min_l2_bits, RULES.max_l2_bits + 1)
            for block_bits in range(RULES.max_block_bits + 1)
            if (l2_bits, block_bits) not in ALL_TABLES
        ],
    ),
]


# Those of `--read` are the last ones.
ALL_PROOFS = [*PROOFS, *READ_PROOFS]


def task(arguments):
    index, case, (name, elf) = arguments
    proof = ALL_PROOFS[index]
    # The functions that are replaced depend on the inputs.
    key = elf, proof.inputs if isinstance(proof, DeviceProof) else Proof
    if key not in MACHINES:
        MACHINES[key] = Machine(name, elf)
    start = time.process_time()
    try:
        paths, refuted = proof.prove(MACHINES[key], case, model, value)
    except Unproved as reason:
        return index, name, case, 0, 0, 0, str(reason)
    except Exception as error:
        return index, name, case, 0, 0, 0, repr(error)
    return index, name, case, paths, refuted, time.process_time() - start, None


MACHINES = {}


def control(machine):
    """Fails unless a read outside the buffers is refused."""
    try:
        Machine(*machine).run("stray_read", [BVV(0x3000_0000, 64)])
    except Unproved:
        return
    raise SystemExit(f"{machine[0]}: a stray read is not refused")


def main():
    machines = [tuple(pair.split("=", 1)) for pair in sys.argv[1:] if not pair.startswith("--")]
    is_read, is_all = "--read" in sys.argv, "--all" in sys.argv
    chosen = range(len(PROOFS) if is_read else 0, len(ALL_PROOFS) if is_read or is_all else len(PROOFS))
    cases = {i: ALL_PROOFS[i].cases + (ALL_PROOFS[i].more_cases if is_all else []) for i in chosen}
    tasks = [
        (index, case, machine)
        for index in chosen
        for machine in machines
        for case in cases[index]
    ]
    sums = {(index, name): [0, 0, 0, 0] for index in chosen for name, _ in machines}
    failed = 0
    for machine in machines:
        control(machine)
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for index, name, case, *numbers, reason in pool.imap_unordered(task, tasks, chunksize=1):
            proof, total = ALL_PROOFS[index], sums[index, name]
            total[:] = [a + b for a, b in zip(total, [1, *numbers])]
            if reason:
                failed += 1
                print(f"{name}: {proof.title}: NOT PROVED {case or ''}: {reason}", flush=True)
            elif total[0] == len(cases[index]):
                parts = f" ({total[0]} cases)" if total[0] > 1 else ""
                paths = f"{total[1]} paths, {total[2]} broken rules refuted, {total[3]:.0f} s"
                print(f"{name}: {proof.title}: {proof.over}{parts}; {paths}", flush=True)
    missing = [
        f"{ALL_PROOFS[index].title} on {name}"
        for (index, name), total in sums.items()
        if total[0] != len(cases[index])
    ]
    print(f"{len(sums) - len(missing)} of {len(chosen) * 2} proofs were run; {failed} failed.")
    return failed != 0 or bool(missing) or len(machines) != 2


if __name__ == "__main__":
    sys.exit(main())
