"""Theorems as those of ../theorems.py: why branches of the compiled code go only one way."""

import os
import sys

import z3
from z3 import UGE, ULE, ULT, And, BitVecVal, If, Or

sys.path.append(os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")))
import theorems
from theorems import least, slice_bounds, theorem, words

# Those there are proved there.
theorems.THEOREMS.clear()


def power(shift):
    return BitVecVal(1, shift.size()) << shift


def up(number, unit):
    """Rounds up to a multiple of a power of two."""
    return (number + unit - 1) & ~(unit - 1)


# The table cache


@theorem(
    "src/reader/lent_memory.rs",
    "let rest = index(end.saturating_sub(unit));",
    "Some(geometry) if rest >= power_of_two(unit_shift) => {",
    "(unit, rest.checked_div(with_tag).unwrap_or(0), slot_shift)",
    "_ if len < unit => (0, 0, WORD_SHIFT),",
    "_ => (0, 0, unit_shift),",
)
def slots_in_memory(_, broken):
    """Each slot is inside the memory. There are several, with tags of 12 bytes, or one, at 0 or
    after the bounce buffer. The smallest memory of an image has 64 bytes, and the smallest slot 8.
    """
    # `slots` is the number of slots times the size of one, and `before` that of the slots before
    # this one.
    unit, end, memory, size, count, slots, before, slot = z3.Ints(
        "unit end memory size count slots before slot"
    )
    given = [unit >= 512, end <= memory, memory < 2**32, memory >= 64, size >= 8]
    many = And(
        count >= 2,
        slots + 12 * count <= end - unit,
        before >= 0,
        before + size <= slots,
        slot == unit + before,
    )
    one = And(unit + size <= end + (1 if broken else 0), slot == unit)
    first = And(slot == 0, Or(And(memory < unit, size == 8), And(memory >= unit, size == unit)))
    return [*given, Or(many, one, first)], slot + size <= memory


@theorem(
    "src/reader/table_cache.rs",
    "let start = slot.wrapping_add(index(within));",
    "let end = slot.wrapping_add(index(self.piece_size));",
    "memory.get(start..end).unwrap_or_default()",
    "let len = index(self.piece_size);",
    "let rest = memory.get_mut(index(self.filling.slot)..).unwrap_or_default();",
    "rest.get_mut(..len).unwrap_or_default()",
)
def piece_of_slot(bits, broken):
    """A piece, and the rest of one, are inside the memory, as each slot is. Neither is empty."""
    memory, slot, size, piece, within = words("memory slot size piece within", bits)
    given = [*slice_bounds(bits, memory), ULE(slot, memory), ULE(size, memory - slot)]
    given += [ULE(piece, size + 1 if broken else size), ULT(within, piece)]
    end = slot + piece
    return given, And(ULT(slot + within, end), ULE(end, memory), ULE(piece, memory - slot))


@theorem(
    "src/reader/table_cache.rs",
    "while self.word.len < 8 {",
    "let missing = self.bytes.get_mut(usize::from(len)..).unwrap_or_default();",
)
def rest_of_word(bits, broken):
    """While a word is incomplete, it has a byte to fill."""
    (length,) = words("length", bits)
    return [ULT(length, 9 if broken else 8)], And(ULE(length, 8), 8 - length != 0)


# Requests


@theorem(
    "src/reader/device_shape.rs",
    "self.block_size.round_up_len(len.min(in_file))",
    "let len = self.readable_len(start, buffer.len());",
    "(self.lba(start), buffer.get_mut(..len).unwrap_or_default())",
)
def blocks_of_buffer(bits, broken):
    """The blocks of a request are inside its buffer, which consists of blocks."""
    length, in_file, shift = words("length in_file shift", bits)
    block = power(shift)
    given = [*slice_bounds(bits, length), ULE(shift, 16)]
    given.append(UGE(length, 0) if broken else length & (block - 1) == 0)
    readable = least(length, in_file)
    return given, And(ULE(up(readable, block), length), UGE(readable + block - 1, readable))


@theorem(
    "src/reader/open.rs",
    "let needed = lent_memory::minimum(self.block_size);",
    "let blocks = memory.get_mut(..self.block_size.round_up_len(saturating_usize(PREFIX)));",
)
def header_in_minimum(bits, broken):
    """The blocks of the header are inside the minimum memory: 64 bytes for blocks of a byte,
    otherwise a sector or a block, whichever is larger.
    """
    (shift,) = words("shift", bits)
    block = power(shift)
    minimum = If(shift == 0, 63 if broken else 64, If(ULT(block, 512), 512, block))
    return [ULE(shift, 16)], ULE(up(BitVecVal(64, bits), block), minimum)


def run_of_units(bits, broken_shift):
    """What is read of a plain run: through the bounce buffer, or directly."""
    shift, skip, length, read = words("shift skip length read", bits)
    unit = power(shift)
    given = [*slice_bounds(bits, read), UGE(shift, broken_shift), ULE(shift, 16)]
    bounced = And(ULT(skip, unit), ULE(length, unit - skip), UGE(read, unit))
    direct = And(skip == 0, length & (unit - 1) == 0, ULE(length, read))
    return skip, length, read, unit, given, bounced, direct


@theorem(
    "src/reader/bounce.rs",
    "let unit = image.device().block_size.max(storage.crypto_unit());",
    "(len.min(unit.len().wrapping_sub(skip)), bounce)",
    "let end = skip.wrapping_add(len);",
    "let sectors = read.get_mut(skip & !511..BlockSize::B512.round_up_len(end));",
)
def sectors_of_run(bits, broken):
    """The sectors of an encrypted run are inside what was read: units, of a sector or more."""
    skip, length, read, _, given, bounced, direct = run_of_units(bits, 8 if broken else 9)
    end = skip + length
    sectors = up(end, BitVecVal(512, bits))
    claim = And(ULE(skip & ~511, sectors), ULE(sectors, read), UGE(end + 511, end))
    return [*given, Or(bounced, direct)], claim


@theorem(
    "src/reader/bounce.rs",
    "(len.min(unit.len().wrapping_sub(skip)), bounce)",
    "let from = memory.get(skip..end).filter(|from| from.len() == to.len());",
)
def part_of_unit(bits, broken):
    """The bounced bytes are inside the memory, which has a unit or more."""
    skip, length, read, unit, given, bounced, _ = run_of_units(bits, 0)
    if broken:
        bounced = And(ULT(skip, unit), ULE(length, unit), UGE(read, unit))
    return [*given, bounced], And(ULE(skip, skip + length), ULE(skip + length, read))


@theorem(
    "src/reader/bounce.rs",
    "let whole = unit.round_down_len(len);",
    "(whole, self.dst.get_mut(..whole))",
)
def whole_units(bits, broken):
    """The whole units of a run, which is inside the caller's buffer, are inside it too."""
    length, buffer, shift = words("length buffer shift", bits)
    given = [
        ULE(shift, 16),
        ULE(length, buffer + (1 if broken else 0)),
        ULT(buffer, (1 << bits) - 1),
    ]
    return given, ULE(length & ~(power(shift) - 1), buffer)


@theorem(
    "src/reader/direct.rs",
    "let within = index(low_u32(geometry.within_cluster(start)));",
    "let is_one_cluster = len != 0 && len.checked_add(within)? <= geometry.cluster_bits.len();",
)
def length_within(bits, broken):
    """The length of a buffer and an offset in a cluster have a sum."""
    length, within = words("length within", bits)
    given = [ULT(within, 1 << 16), UGE(length, 0) if broken else ULT(length, 1 << (bits - 1))]
    return given, UGE(length + within, length)


# Compressed clusters


@theorem(
    "src/reader/compressed.rs",
    "let tables_at = len.wrapping_sub(part_len(tables));",
    "let output_at = tables_at.wrapping_sub(output);",
    "let input_at = output_at.wrapping_sub(input);",
    "let (rest, tables) = split(memory, self.tables_at)?;",
    "let (rest, output) = split(rest, self.output_at)?;",
)
def parts_of_inflater(_, broken):
    """The input, the output and the tables are inside the memory, one after the other."""
    length, tables, output, spare, needed, read_ahead = z3.Ints(
        "length tables output spare needed read_ahead"
    )
    given = [length < 2**32, tables > 0, output > 0, needed > 0, read_ahead >= 0, spare >= 0]
    # Three eighths of what remains is read ahead.
    given += [
        length == tables + output + needed + spare,
        8 * read_ahead <= (8 if broken else 3) * spare + (8 if broken else 0),
    ]
    tables_at = length - tables
    output_at = tables_at - output
    input_at = output_at - needed - read_ahead
    return given, And(
        0 <= input_at, input_at <= output_at, output_at <= tables_at, tables_at <= length
    )


@theorem(
    "src/reader/compressed.rs",
    "let room = self.output_at.wrapping_sub(self.input_at);",
    "self.pending_len = part_len(device.block_size.round_up_len(end)).min(room);",
    "let room = self.input_len.checked_sub(stream.len);",
    "let (_, input) = split(rest, self.input_at.wrapping_add(skip))?;",
    "let (input, _) = split(input, stream.len.min(in_file))?;",
)
def stream_in_input(_, broken):
    """A stream is inside the input: that has the whole stream, or the file has none of it."""
    room, input_length, length, skip, shift = words("room input_length length skip shift", 32)
    block = power(shift)
    # The room is a block or more.
    given = [ULE(shift, 16), UGE(room, block), ULE(input_length, room), ULE(length, input_length)]
    given.append(
        Or(
            ULE(skip, input_length - length + (1 if broken else 0)),
            And(ULT(skip, block), length == 0),
        )
    )
    return given, And(ULE(skip, room), ULE(length, room - skip))


if __name__ == "__main__":
    sys.exit(theorems.main())
