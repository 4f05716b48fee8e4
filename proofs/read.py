"""Proofs of a read: of `ImageState::look_up`, and of `Image::open` and `Image::read_at` inside one
cluster.
"""

from dataclasses import dataclass, replace

import claripy
from claripy import And, BVS, BVV, Concat, If, Not

import device as lent
import spec
from machine import INPUT, Unproved
from spec import RULES, wide
from words import DeviceProof, Inputs, changed, word


@dataclass(frozen=True)
class Case:
    """Images of one geometry, or of every one, of whose headers some bytes are known."""

    cluster_bits: object = None
    l2_bits: object = None
    # log2 of the block size, and the length of the memory.
    block_bits: int = 0
    memory: int = 512
    # Header bytes, by their offsets.
    known: tuple = ()
    # How often look-ups may miss. In a new image, the fast path misses, and then the read does. Another
    # miss would begin where that one ended.
    misses: int = 2
    # The bits that are 0 in the place of each L2 table.
    zeros: int = 0


def moved(inputs, names):
    """Returns broken rules: with one constant moved by one, up and down."""
    for name in names:
        for step in (-1, 1):
            number = getattr(RULES, name) + step
            yield f"{name} = {number}", inputs.rules(replace(RULES, **{name: number}))


class LookUpInputs(Inputs):
    """An offset inside the disk."""

    function = "look_up"
    # Whether the file has whole sectors, and its L1 table is at a multiple of 8.
    is_aligned = True

    def __init__(self, case):
        super().__init__(case)
        if not self.is_aligned:
            self.given = []
        known = list(case.known)
        if case.cluster_bits is not None:
            known += [(32, bytes([case.cluster_bits])), (33, bytes([case.l2_bits]))]
        self.device.bytes.known = {
            start + i: BVV(byte, 8) for start, some in known for i, byte in enumerate(some)
        }
        self.header_len = 72
        self.prefix = [self.device.bytes.at(BVV(i, 64)) for i in range(self.header_len)]
        self.cluster_bits = self.prefix[RULES.cluster_bits_at].zero_extend(56)
        self.offset = word("offset")
        self.buffer_words = [BVV(lent.MEMORY, 64), BVV(case.memory, 64)]
        self.words = [*self.device_words, self.offset, *self.buffer_words, BVV(case.zeros, 64)]
        if self.is_aligned:
            self.given.append(self.prefix[RULES.l1_offset_at + 7] & 7 == 0)

    def opened(self, rules):
        return spec.opened(rules, wide(self.size), self.prefix)

    def look_ups(self, rules):
        header, offset = self.opened(rules)[-1], wide(self.offset)
        return spec.look_ups(rules, wide(self.size), header, self.rule_bytes, offset)

    def rules(self, rules):
        size, offset = wide(self.size), wide(self.offset)
        found = spec.look_up(rules, size, self.opened(rules), self.rule_bytes, offset)
        # The function returns nothing for other tables.
        is_other = found[4] & self.case.zeros != 0
        return spec.first((is_other, [0]), found)

    def broken(self, words):
        """Returns broken rules."""
        yield from moved(self, ["flag_bit", "entry_bits"])
        yield from changed(words)


class ReadInputs(LookUpInputs):
    """The offset and the length of a read, which is inside one cluster, and one of its bytes.

    Look-ups do not run. What they return is taken from the rules, as it was proved.
    """

    function = "open_and_read"
    is_aligned = False

    def __init__(self, case):
        super().__init__(case)
        self.length, self.at = word("length"), word("at")
        self.buffers.append((lent.CALLER, 1 << 16))
        self.words = [
            *self.device_words,
            self.offset,
            *self.buffer_words,
            BVV(lent.CALLER, 64),
            self.length,
            self.at,
        ]
        cluster = BVV(1, 64) << self.cluster_bits
        within = self.offset & (cluster - 1)
        self.given += [self.at < self.length, self.length <= cluster]
        self.given += [within + self.length <= cluster, self.cluster_bits <= RULES.max_cluster_bits]

    def prepare(self, machine):
        self.layout, self.found = layout(machine), self.look_ups(RULES)
        [path], _ = machine.run("look_up_returns", [])
        self.returns = [number.concrete_value for number in path.words[:4]]
        address, _ = machine.function("10ImageState7look_up")
        machine.project.hook(address, LookUp(), replace=True)

    def rules(self, rules, by=0):
        """Returns the outcome, and the byte. Broken rules take the byte from another place."""
        opened = self.opened(rules)
        _, _, cluster_bits, l2_bits, *_ = opened[-1]
        block_bits, most, no = wide(self.case.block_bits), wide(2**64 - 1), wide(0)
        memory = spec.memory_for(rules, no, cluster_bits, l2_bits, block_bits, no, no, most)
        *cases, (_, last) = self.look_ups(rules)
        outcome, is_zero, host = spec.read(
            rules,
            wide(self.size),
            opened,
            spec.first(*cases, last),
            wide(self.offset),
            wide(self.length),
            memory[2],
        )
        [byte] = self.rule_bytes(host + wide(self.at) + by, 1)
        is_stored = And(outcome[0] == spec.OK, Not(is_zero), outcome[3] == 1)
        outcome[4] = If(is_stored, wide(byte), wide(0))
        return outcome

    def broken(self, words):
        """Returns broken rules: with one constant moved by one, up and down, for the next byte, and
        with one word changed by one.
        """
        yield from moved(self, ["flag_bit", "sector_bits", "entry_bits", "min_size", "max_end"])
        yield "byte + 1", self.rules(RULES, 1)
        yield from changed(words)


def layout(machine):
    """Returns where a state has the words that a look-up leaves: for each word, the offsets of its bytes,
    the lowest first.
    """
    state = [BVS(f"state{i}", 8, explicit_name=True) for i in range(1024)]
    [path], _ = machine.run("look_up_result", [BVV(INPUT + 8, 64)], state)
    offsets = {byte.hash(): i for i, byte in enumerate(state)}
    return [
        [offsets[claripy.simplify(word[8 * i + 7 : 8 * i]).hash()] for i in range(8)]
        for word in path.words[:4]
    ]


class LookUp(lent.Procedure):
    """`ImageState::look_up`, which misses or returns what the rules say."""

    def run(self):
        self.inhibit_autoret = True
        state, inputs = self.state, self.state.globals["inputs"]
        state.globals["calls"] = state.globals.get("calls", 0) + 1
        regs = state.regs
        if state.arch.bits == 32:
            this, end = regs.r0, regs.lr
            at = state.memory.load(regs.sp, 8, endness="Iend_LE")
        else:
            this, at = regs.rdi, regs.rcx
            end = state.memory.load(regs.rsp, 8, endness="Iend_LE")
        if state.memory.decide(at != inputs.offset) is not False:
            raise Unproved("another offset is looked up")
        this = state.solver.eval_one(this)
        ok, miss, flag, past_end = inputs.returns
        kinds = {spec.OK: ok, spec.L1_FLAG: flag, spec.L2_PAST_END: past_end}
        others = []
        for condition, [kind, _, *words] in inputs.found:
            guard = And(*others, condition)
            others.append(Not(condition))
            # After a flaw, the last word has no meaning.
            self.leave(this, end, guard, kinds[kind], [*words, any_word()][:4])
        misses = state.globals.get("misses", 0)
        if misses < inputs.case.misses:
            state.globals["misses"] = misses + 1
            self.leave(this, end, claripy.true(), miss, [any_word()] * 4)

    def leave(self, this, end, guard, value, words):
        """Returns a value under a condition, with the words in the state."""
        state = self.state.copy()
        for offsets, number in zip(self.state.globals["inputs"].layout, words):
            number = wide(number)
            for i, offset in enumerate(offsets):
                state.memory.store(this + offset, number[8 * i + 7 : 8 * i])
        number = Concat(BVS("any", state.arch.bits - 8), BVV(value, 8))
        if state.arch.bits == 32:
            state.regs.r0 = number
            others = ["r1", "r2", "r3", "r12"]
        else:
            state.regs.rax = number
            state.regs.rsp += 8
            others = ["rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11"]
        # A call may leave anything in these registers.
        for name in others:
            setattr(state.regs, name, BVS("any", state.arch.bits))
        self.successors.add_successor(state, end, guard, "Ijk_Ret")


def any_word():
    return BVS("any", 64)


MAGIC_AND_VERSION = b"QFI\xfb\0\0\0\x01"


def header_bytes(backing=bytes(8 + 4), crypt_method=0):
    """Returns the known bytes of images without Xen's extension: the backing file's name as its offset and
    its length, and the crypt method.
    """
    return ((0, MAGIC_AND_VERSION + backing), (36, crypt_method.to_bytes(4, "big")), (48, bytes(4)))


PLAIN = header_bytes()
ENCRYPTED = header_bytes(crypt_method=1)
# The name is 1 byte long, after the header.
BACKED = header_bytes((64).to_bytes(8, "big") + (1).to_bytes(4, "big"))

LOOK_UP = DeviceProof(
    "ImageState::look_up in a new image",
    "all sizes, offsets, L1 words and L2 words",
    LookUpInputs,
    # QEMU's images, with clusters of 4 KiB.
    [Case(12, 9, known=PLAIN, zeros=7)],
    # With L2 tables at all places.
    [Case(12, 9, known=PLAIN)],
)

READ = DeviceProof(
    "Image::open and Image::read_at after look-ups",
    "all sizes, offsets, lengths, L1 words, L2 words and bytes",
    ReadInputs,
    [Case(12, 9, known=known) for known in (PLAIN, ENCRYPTED, BACKED)],
)

READ_PROOFS = [LOOK_UP, READ]
