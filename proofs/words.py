"""A proof with a device, each byte of which stands for all values: the table cache returns the words that
the device has.
"""

from dataclasses import dataclass, field

from claripy import And, BVS, BVV, Concat, If, Not, Or

import device as lent
import spec
from machine import INPUT, OPTIONS, OUTPUT, PAGE, WORDS, Unproved
from spec import RULES, wide


@dataclass(frozen=True)
class Case:
    """The length of the image's memory, and log2 of the block size."""

    memory: int
    block_bits: int


def word(name):
    return BVS(name, 64, explicit_name=True)


class Inputs:
    """The device and its size, which stand for all values."""

    def __init__(self, case):
        self.case = case
        self.device = lent.Device(case.block_bits)
        self.size = word("size")
        self.device_words = [BVV(1 << case.block_bits, 64), self.size]
        # Whole sectors.
        self.given = [self.size & 511 == 0]
        # What the rules read, by its place.
        self.read = {}
        # The number of bytes at the start of the device that the code and the rules name in the same way.
        self.header_len = 0
        # The addresses and the sizes of the buffers in lent memory.
        self.buffers = [(lent.MEMORY, case.memory)]

    def prepare(self, machine):
        """Prepares the machine for runs on these inputs."""

    def rule_bytes(self, start, count=8):
        """Returns bytes of the device that the rules name: each with its own name, because the code
        names the same places by other terms.
        """
        start = start[63:0]
        key = start.hash()
        if key not in self.read:
            number = len(self.read)
            self.read[key] = [
                (start + i, BVS(f"rule{number}_{i}", 8, explicit_name=True)) for i in range(count)
            ]
        return [byte for _, byte in self.read[key]]

    def rule_reads(self):
        """Returns the places and the bytes that the rules name."""
        return [pair for pairs in self.read.values() for pair in pairs]


class WordInputs(Inputs):
    """The places of two words of tables, multiples of 8, below 2^63 plus the size of a table."""

    function = "two_words"

    def __init__(self, case):
        super().__init__(case)
        self.places = [word("first"), word("second")]
        self.words = [
            *self.device_words,
            *self.places,
            BVV(lent.MEMORY, 64),
            BVV(case.memory, 64),
        ]
        self.given += [place < 2**63 + 2**16 for place in self.places]
        self.given += [place & 7 == 0 for place in self.places]

    def rules(self, rules, moved=0):
        """Returns both words. Bytes past the end of the file are zeros. Broken rules move the places by
        some bytes.
        """
        found = []
        for place in self.places:
            place = wide(place) + moved
            stored = self.rule_bytes(place)
            inside = [place + i < wide(self.size) for i in range(8)]
            found.append(Concat(*[If(a, b, BVV(0, 8)) for a, b in zip(inside, stored)]))
        is_too_large = wide(self.size) > rules.max_device
        return spec.first((is_too_large, [0]), [1, *found])

    def broken(self, words):
        """Returns broken rules: for other places, and with one word changed by one."""
        for moved in (1, 8):
            yield f"places + {moved}", self.rules(RULES, moved)
        yield from changed(words)


def changed(words):
    """Returns broken rules: with one word changed by one."""
    for i, number in enumerate(words):
        if not number.structurally_match(wide(0)):
            yield f"word {i} + 1", [*words[:i], number + 1, *words[i + 1 :]]


class Path:
    """A path that returns."""

    def __init__(self, inputs, state):
        self.inputs = inputs
        # Of a lemma that takes the place of code: how often that was called, and how often it missed.
        self.calls, self.misses = state.globals.get("calls", 0), state.globals.get("misses", 0)
        self.conditions = list(state.solver.constraints)
        self.words = [
            state.memory.load(OUTPUT + 8 * index, 8, endness="Iend_LE") for index in range(WORDS)
        ]

    def named(self, terms):
        """Returns what the code read from the device and the terms name."""
        return named(self.inputs.device.bytes.reads.values(), terms)

    def differs(self, words):
        """Returns that the path has another outcome than these words; and that the device has one byte at
        each place that the code and the rules read.
        """
        wrong = Or(*[wide(some) != other for some, other in zip(self.words, words)])
        rules = named(self.inputs.rule_reads(), [wrong])
        # The code and the rules name bytes at known places in the same way.
        code = [pair for pair in self.named([*self.conditions, wrong]) if pair[0].op != "BVV"]
        return [wrong, *self.inputs.device.bytes.agree(code, rules)]


def named(reads, terms):
    """Returns the places and the bytes that the terms name."""
    names = set().union(*[term.variables for term in terms])
    return [(at, byte) for at, byte in reads if byte.variables & names]


def run(machine, inputs):
    """Returns the paths."""
    address, _ = machine.function(inputs.function)
    state = machine.project.factory.call_state(address, INPUT, OUTPUT, add_options=OPTIONS)
    for page in (INPUT, OUTPUT):
        state.memory.map_region(page, PAGE, 3)
    for index, number in enumerate(inputs.words):
        state.memory.store(INPUT + 8 * index, number, endness="Iend_LE")
    for index in range(WORDS):
        state.memory.store(OUTPUT + 8 * index, BVV(0, 64), endness="Iend_LE")
    inputs.device.plug_in(state)
    state.globals["inputs"] = inputs
    state.add_constraints(*inputs.given)
    manager = machine.project.factory.simulation_manager(state)
    manager.run()
    return [Path(inputs, state) for state in machine.returned(manager, inputs.function)]


@dataclass
class DeviceProof:
    """A proof for each case."""

    title: str
    over: str
    inputs: object
    cases: list
    more_cases: list = field(default_factory=list)

    def prove(self, machine, case, find, value):
        """Returns the number of paths and of refuted rules. `find` returns a model or `None`, and `value`
        a number in it.
        """
        lent.hook(machine)
        inputs = self.inputs(case)
        inputs.prepare(machine)
        paths = run(machine, inputs)
        for misses in {path.misses for path in paths}:
            some = [path for path in paths if path.misses == misses or path.calls == 0]
            if find(*inputs.given, *[Not(And(*path.conditions)) for path in some]) is not None:
                raise Unproved(f"an input is on no path with {misses} misses")
        outcome = inputs.rules(RULES)
        for path in paths:
            wrong = find(*path.conditions, *path.differs(outcome))
            if wrong is not None:
                numbers = [value(wrong, number) for number in (*inputs.words, *path.words)]
                rules = [value(wrong, number) for number in outcome]
                raise Unproved(f"the code returns {numbers}, and the rules {rules}")
            emulate(machine, inputs, path, find, value)
        refuted = 0
        if case == self.cases[0]:
            for name, wrong in inputs.broken(outcome):
                self.refute(inputs, paths, name, outcome, wrong, find, value)
                refuted += 1
        return len(paths), refuted

    def refute(self, inputs, paths, name, outcome, wrong, find, value):
        """Fails unless broken rules are refuted on a path, first on that of an example."""
        differ = Or(*[some != other for some, other in zip(outcome, wrong)])
        example = find(*inputs.given, differ)
        if example is None:
            raise Unproved(f"it makes no difference that {name}")
        bit = [If(And(*path.conditions), BVV(1, 1), BVV(0, 1)) for path in paths]
        taken = [value(example, taken) for taken in bit]
        for _, path in sorted(zip(taken, paths), key=lambda pair: -pair[0]):
            if find(*path.conditions, *path.differs(wrong)) is not None:
                return
        raise Unproved(f"{name} is not refuted")


def emulate(machine, inputs, path, find, value):
    """Compares one input of the path with QEMU's processor."""
    # The conditions name bytes of the rules if a lemma takes the place of code.
    terms = [*path.conditions, *path.words]
    reads = [*path.named(terms), *named(inputs.rule_reads(), terms)]
    others = [(at, byte) for at, byte in reads if at.op != "BVV"]
    agree = inputs.device.bytes.agree(others, others)
    apart = [at >= inputs.header_len for at, _ in others]
    example = find(*path.conditions, *agree, *apart)
    if example is None:
        # Only a device that returns two bytes for one place takes the path, or tables in the header.
        return
    device = {at: byte.concrete_value for at, byte in inputs.device.bytes.known.items()}
    device.update((value(example, at), value(example, byte)) for at, byte in reads)
    numbers = [value(example, number) for number in inputs.words]
    words = machine.emulate_with_device(
        inputs.function, numbers, inputs.buffers, inputs.case.block_bits, device
    )
    expected = [value(example, number) for number in path.words]
    if words != expected:
        raise Unproved(f"a processor returns {words} for {numbers}, not {expected}")


WORDS_FOUND = DeviceProof(
    "two table words",
    "all pairs of places, all files of whole sectors, all bytes",
    WordInputs,
    # A slot of a sector, and one of a word.
    [Case(512, 0), Case(64, 0)],
)
