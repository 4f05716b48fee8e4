"""A device, and memory lent to an image, whose bytes stand for all values.

Lent memory may be read and written at addresses, and in lengths, that stand for many numbers. So it
is a list of writes: a read takes each byte from the last write that covers it.
"""

import claripy
import z3
from angr import SimProcedure
from angr.state_plugins.solver import SimSolver
from angr.storage.memory_mixins import DefaultMemory
from claripy import And, BVS, BVV, Concat, If, Not, Or

LENT, LENT_END = 0x3000_0000, 0x3400_0000
# Two buffers in the lent memory: an image's, and a caller's.
MEMORY, CALLER = 0x3000_0000, 0x3200_0000


class Unclear(Exception):
    """An access that may or may not be to lent memory, or a question without an answer."""


def place(number):
    """Returns an address, a length or an offset in 64 bits."""
    if isinstance(number, int):
        return BVV(number, 64)
    return number.zero_extend(64 - number.length)


def satisfiable(*conditions):
    """Returns whether conditions can all hold."""
    conditions = [condition for condition in conditions if not claripy.is_true(condition)]
    if any(claripy.is_false(condition) for condition in conditions):
        return False
    key = frozenset(condition.hash() for condition in conditions)
    if key not in KNOWN:
        query = z3.SolverFor("QF_BV")
        query.add(*map(claripy.backends.z3.convert, conditions))
        answer = query.check()
        if answer == z3.unknown:
            raise Unclear(f"z3 gave up: {query.reason_unknown()}")
        KNOWN[key] = answer == z3.sat
    return KNOWN[key]


KNOWN = {}


def state_satisfiable(solver, extra_constraints=(), **arguments):
    """Returns whether a state's conditions can hold. angr's own solver keeps what it has learned, which
    makes it much slower for states with lent memory.
    """
    if isinstance(solver.state.memory, LentMemory):
        return satisfiable(*solver.constraints, *extra_constraints)
    return SOLVER(solver, extra_constraints, **arguments)


SOLVER, SimSolver.satisfiable = SimSolver.satisfiable, state_satisfiable


class Bytes:
    """A byte for each of 2^64 places. One that is read gets a name."""

    def __init__(self, name):
        self.name = name
        # The bytes that stand for one value each, by their places.
        self.known = {}
        self.reads = {}

    def at(self, at):
        if at.op == "BVV" and at.args[0] in self.known:
            return self.known[at.args[0]]
        key = at.hash()
        if key not in self.reads:
            self.reads[key] = (at, BVS(f"{self.name}{len(self.reads)}", 8, explicit_name=True))
        return self.reads[key][1]

    def agree(self, some, others):
        """Returns that bytes of the one are those of the other if their places are."""
        return [
            Or(at != other, byte == other_byte)
            for at, byte in some
            for other, other_byte in others
            if byte is not other_byte and not claripy.is_true(at != other)
        ]


class Write:
    """`length` bytes that start at `start`. `byte` returns the byte at an offset."""

    def __init__(self, start, length, byte):
        self.start, self.length, self.byte = place(start), place(length), byte


class Lent:
    """The lent memory on a path: the writes, the last one first, and the bytes before them."""

    def __init__(self, unwritten, writes=()):
        self.unwritten, self.writes = unwritten, writes

    def after(self, write):
        return Lent(self.unwritten, (write, *self.writes))

    def bytes(self, decide, at, size):
        """Returns the `size` bytes at an address. `decide` returns whether a condition holds, or `None`
        if it does not know.
        """
        if not self.writes:
            return [self.unwritten.at(at + i) for i in range(size)]
        write, before = self.writes[0], Lent(self.unwritten, self.writes[1:])
        offset = at - write.start
        # From the first byte that the write may cover to the last one that it does.
        if decide(And(offset < write.length, write.length - offset >= size)):
            return [write.byte(decide, offset + i) for i in range(size)]
        old = before.bytes(decide, at, size)
        insides = [offset + i < write.length for i in range(size)]
        if decide(Or(*insides)) is False:
            return old
        return [
            If(inside, write.byte(decide, offset + i), byte)
            for i, (inside, byte) in enumerate(zip(insides, old))
        ]


class LentMemory(DefaultMemory):
    """A state's memory with lent memory in it."""

    def copy(self, memo):
        copied = super().copy(memo)
        copied.lent = self.lent
        return copied

    def decide(self, condition):
        """Returns whether a condition holds, or `None` if both is possible."""
        if claripy.is_true(condition):
            return True
        if claripy.is_false(condition):
            return False
        conditions = self.state.solver.constraints
        if not satisfiable(*conditions, condition):
            return False
        return None if satisfiable(*conditions, Not(condition)) else True

    def settle(self, term):
        """Returns the term without the choices that the conditions decide. A bound that the code checks,
        and that always holds, is such a choice.
        """
        if isinstance(term, int):
            return term
        choices = [term, *term.children_asts()]
        for choice in [part for part in choices if part.op == "If"]:
            decided = self.decide(choice.args[0])
            if decided is not None:
                term = claripy.replace(term, choice, choice.args[1 if decided else 2])
        return term

    def is_lent(self, at, length=1):
        """Returns whether `length` bytes are in lent memory. If they are none, it does not matter."""
        if isinstance(at, int) or at.op == "BVV":
            return LENT <= (at if isinstance(at, int) else at.args[0]) < LENT_END
        inside = And(place(at) >= LENT, place(at) < LENT_END)
        decided = self.decide(Or(inside, place(length) == 0))
        if decided is None:
            raise Unclear(f"{at} may be in lent memory")
        return decided and self.decide(inside) is not False

    def load(self, addr, size=None, endness=None, **kwargs):
        addr = self.settle(addr)
        if not self.is_lent(addr):
            return super().load(addr, size=size, endness=endness, **kwargs)
        size = size if isinstance(size, int) else self.state.solver.eval_one(size)
        parts = self.lent.bytes(self.decide, place(addr), size)
        if endness == "Iend_LE":
            parts.reverse()
        return Concat(*parts) if len(parts) > 1 else parts[0]

    def store(self, addr, data, size=None, endness=None, **kwargs):
        addr = self.settle(addr)
        if not self.is_lent(addr):
            return super().store(addr, data, size=size, endness=endness, **kwargs)
        if isinstance(data, int):
            data = BVV(data, 8 * size)
        parts = [data.get_byte(i) for i in range(data.length // 8)]
        if endness == "Iend_LE":
            parts.reverse()

        def byte(_, offset):
            value = parts[-1]
            for i in reversed(range(len(parts) - 1)):
                value = If(offset == i, parts[i], value)
            return value

        self.lent = self.lent.after(Write(addr, len(parts), byte))


class Procedure(SimProcedure):
    """A function that is replaced. Takes its arguments from registers: those of C's convention."""

    def words(self, count):
        regs = self.state.regs
        if self.state.arch.bits == 32:
            words = [regs.r0, regs.r1, regs.r2, regs.r3]
        else:
            words = [regs.rdi, regs.rsi, regs.rdx, regs.rcx]
        return [self.state.memory.settle(word) for word in words[:count]]

    def give(self, number):
        if self.state.arch.bits == 32:
            self.state.regs.r0 = number.zero_extend(32 - number.length)
        else:
            self.state.regs.rax = number.zero_extend(64 - number.length)

    def fill(self, to, length, value):
        memory = self.state.memory
        if memory.is_lent(to, length):
            memory.lent = memory.lent.after(Write(to, length, lambda *_: value))
        else:
            for i in range(self.state.solver.max(length)):
                memory.store(to + i, If(i < length, value, memory.load(to + i, 1)))


class Set(Procedure):
    """`memset`."""

    def run(self):
        to, value, length = self.words(3)
        self.fill(to, length, value[7:0])
        self.give(to)


class AeabiSet(Procedure):
    """Arm's own `memset`."""

    def run(self):
        to, length, value = self.words(3)
        self.fill(to, length, value[7:0])


class AeabiClear(Procedure):
    """Arm's own `memset` of zeros."""

    def run(self):
        to, length = self.words(2)
        self.fill(to, length, BVV(0, 8))


class Copy(Procedure):
    """`memcpy`."""

    def run(self):
        to, source, length = self.words(3)
        memory = self.state.memory
        if memory.is_lent(to, length) and memory.is_lent(source, length):
            lent, start = memory.lent, place(source)
            memory.lent = lent.after(
                Write(to, length, lambda decide, offset: lent.bytes(decide, start + offset, 1)[0])
            )
        else:
            for i in range(self.state.solver.max(length)):
                byte = memory.load(source + i, 1)
                memory.store(to + i, If(i < length, byte, memory.load(to + i, 1)))
        self.give(to)


class DeviceRead(Procedure):
    """`device_read`, which never fails."""

    def run(self):
        if self.state.arch.bits == 32:
            low, high, buffer, length = self.words(4)
            lba = Concat(high, low)
        else:
            lba, buffer, length = self.words(3)
        device, memory = self.state.globals["device"], self.state.memory
        start = lba << device.block_bits
        memory.lent = memory.lent.after(
            Write(buffer, length, lambda _, offset: device.bytes.at(start + offset))
        )
        self.give(BVV(0, 32))


class Device:
    """A device of blocks of 2^`block_bits` bytes."""

    def __init__(self, block_bits):
        self.block_bits = place(block_bits)
        self.bytes = Bytes("device")
        # The memory before the image has written to it.
        self.garbage = Bytes("garbage")

    def plug_in(self, state):
        state.memory.__class__ = LentMemory
        state.memory.lent = Lent(self.garbage)
        state.globals["device"] = self


# The functions that are replaced, by their names or by a part of their mangled names.
PROCEDURES = {
    "device_read": DeviceRead,
    "memcpy": Copy,
    "memset": Set,
    "__aeabi_memcpy": Copy,
    "__aeabi_memcpy4": Copy,
    "__aeabi_memcpy8": Copy,
    "__aeabi_memset": AeabiSet,
    "__aeabi_memset4": AeabiSet,
    "__aeabi_memset8": AeabiSet,
    "__aeabi_memclr": AeabiClear,
    "__aeabi_memclr4": AeabiClear,
    "__aeabi_memclr8": AeabiClear,
}


def hook(machine):
    """Replaces functions of a machine."""
    symbols = machine.project.loader.main_object.symbols
    for symbol in symbols:
        for name, procedure in PROCEDURES.items():
            if symbol.is_function and (
                symbol.name == name or symbol.name.endswith(f"compiler_builtins3mem{len(name)}{name}")
            ):
                machine.project.hook(
                    symbol.rebased_addr | machine.is_arm, procedure(), replace=True
                )
