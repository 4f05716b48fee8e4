#!/usr/bin/env python3
"""Proves small statements about the arithmetic of the sources: why a condition always holds, and why a
changed operator changes nothing.

Each theorem quotes the code that it is about, so that it fails if the code changes. It is proved for
words of 32 and of 64 bits. `tests/README.md` and `tests/missed_mutants.toml` name theorems as reasons.

Each theorem has a broken twin, whose bound is off by the least that matters. z3 must refute it, and
must find values for what the theorem takes for granted, or the theorem would say nothing.
"""

import os
import sys

import z3
from z3.z3util import get_vars
from z3 import UGE, UGT, ULE, ULT, And, BitVec, BitVecVal, If, Implies, LShR, Or

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
THEOREMS = []


def theorem(path, *quotes):
    """Declares a theorem about lines of a file, or of each of several files.

    The function takes the number of bits of a word, and whether to return the broken twin. It returns
    the assumptions and the claim.
    """

    def declare(function):
        THEOREMS.append((function, path, quotes))
        return function

    return declare


def words(names, bits):
    return [BitVec(name, bits) for name in names.split()]


def least(a, b):
    return If(ULE(a, b), a, b)


def slice_bounds(bits, *lengths):
    """Returns that no slice is longer than half of the address space."""
    return [ULT(length, BitVecVal(1 << (bits - 1), bits)) for length in lengths]


def disjoint(*parts):
    """Returns that no two parts have a bit in common, so `|`, `^` and `+` are the same."""
    return And(*[a & b == 0 for i, a in enumerate(parts) for b in parts[:i]])


# Slices


@theorem(
    "src/device/slice.rs",
    "let len = stored.len().min(buf.len());",
    "if let (Some(stored), Some((to, tail))) = (stored.get(..len), buf.split_at_mut_checked(len)) {",
)
def shorter_than_both(bits, broken):
    """The shorter of two lengths is inside both slices."""
    stored, buffer = words("stored buffer", bits)
    length = If(ULT(stored, buffer), buffer, stored) if broken else least(stored, buffer)
    return slice_bounds(bits, stored, buffer), And(ULE(length, stored), ULE(length, buffer))


@theorem(
    "src/format/header.rs",
    "let mut header = Self::parse_48(prefix)?;",
    "if let Some(extension) = prefix.get(48..) {",
    "let Ok((raw, _)) = RawHeader::ref_from_prefix(first_48_bytes) else {",
)
def header_before_extension(bits, broken):
    """A prefix that has a header has the 48 bytes before an extension."""
    (length,) = words("length", bits)
    return [UGE(length, 47 if broken else 48)], ULE(48, length)


@theorem(
    "src/reader/compressed.rs",
    "let from = output.get(index(low_u32(within))..);",
    "let from = from.and_then(|from| from.get(..to.len())).ok_or(Stop::OutOfRange)?;",
)
def part_of_cluster(bits, broken):
    """The bytes of a read inside one cluster are inside the inflated cluster."""
    shift, within, length = words("shift within length", bits)
    cluster = BitVecVal(1, bits) << shift
    given = [UGE(shift, 9), ULE(shift, 16), ULT(within, cluster), ULE(length, cluster)]
    given.append(ULE(within + length, cluster + 1 if broken else cluster))
    return given, And(ULE(within, cluster), ULE(length, cluster - within))


@theorem(
    "src/reader/table_cache.rs",
    "if within > self.piece_size.wrapping_sub(8).into() {",
    "let bytes = memory.get(index(tag.slot.wrapping_add(low_u32(within)))..);",
    "let Some(bytes) = bytes.and_then(|bytes| bytes.first_chunk()) else {",
)
def word_of_slot(bits, broken):
    """A word that is not too near to the end of its piece is inside the memory, as each slot is. The
    smallest piece is a word.
    """
    slot, size, within = words("slot size within", 64)
    memory = BitVec("memory", 64)
    given = [ULE(memory, (1 << 32) - 1), ULE(slot, memory), UGE(size, 8), ULE(size, memory - slot)]
    given.append(ULE(within, size - (7 if broken else 8)))
    start = z3.ZeroExt(32, z3.Extract(31, 0, slot + within))
    return given, And(ULE(start, memory), UGE(memory - start, 8))


@theorem(
    "src/image/check/usage.rs",
    "let index = usize::try_from(at.0.wrapping_shr(11)).unwrap_or(usize::MAX);",
    "if let Some(byte) = self.map.byte(index) {",
    "let end = start.plus(len).min(self.file_end);",
    "while at < end {",
)
def sector_of_file(bits, broken):
    """A sector of the file has a byte of the map, which has one for each 2,048 bytes of the file."""
    at, end = words("at end", 64)
    given = [ULE(end, 1 << 63), ULE(at, end) if broken else ULT(at, end)]
    return given, ULT(LShR(at, 11), LShR(end + 2047, 11))


@theorem(
    "src/device/bounced.rs src/aio/wrappers.rs",
    "for part in buf.chunks_mut(bounce.len().max(1)) {",
    "let Some(bounce) = bounce.get_mut(..part.len()) else {",
)
def part_of_bounce(bits, broken):
    """No part is longer than the bounce buffer, which has a block at least."""
    part, bounce = words("part bounce", bits)
    longest = If(ULT(bounce, 1), BitVecVal(1, bits), bounce)
    return [UGE(bounce, 0 if broken else 1), ULE(part, longest)], ULE(part, bounce)


@theorem(
    "src/reader/lent_memory.rs",
    "let rest = index(end.saturating_sub(unit));",
    "let with_tag = power_of_two(slot_shift).wrapping_add(size_of::<StoredTag>());",
    "(unit, rest.checked_div(with_tag).unwrap_or(0), slot_shift)",
)
def tags_in_memory(_, broken):
    """The slots and their tags, of 12 bytes each, are inside the memory, and so is each set of 8 tags.
    So no set is empty.
    """
    # `slots` is the number of slots times the size of one.
    unit, end, slots, count, sets, number = z3.Ints("unit end slots count sets number")
    given = [unit >= 512, end >= unit, end < 2**32, count >= 2, slots >= 512 * count]
    given.append(slots + (11 if broken else 12) * count <= end - unit)
    given += [sets * 8 <= count, number >= 0, number < sets]
    tags = unit + slots
    return given, And(tags + 12 * count <= end, tags + 96 * number + 96 <= end)


# Copies of the decoder


def match(bits):
    """The span of a match: `distance` bytes before it, its bytes, and two steps after it."""
    distance, length = words("distance length", bits)
    given = [UGE(distance, 1), ULE(distance, 32768), UGE(length, 1), ULE(length, 258)]
    return distance, length, distance + length + 32, given


@theorem(
    "inflate/src/copy.rs",
    "let mut whole = distance;",
    "while whole < STEP && whole != 0 {",
    "whole = whole.wrapping_mul(2);",
)
def doubled_distance(bits, broken):
    """A distance, which is 1 at least, is not zero, and neither is twice a number below a step."""
    whole, before = words("whole before", bits)
    distance = And(UGE(whole, 0 if broken else 1), ULE(whole, 32768))
    return [Or(distance, And(whole == before * 2, ULT(before, 16), before != 0))], whole != 0


@theorem(
    "inflate/src/copy.rs",
    "output.get_mut(at.wrapping_sub(distance)..end.wrapping_add(steps::TWO_STEPS))",
    "step(span, 0, whole);",
    "span.get(from..).and_then(<[u8]>::first_chunk::<STEP>)",
)
def first_steps(bits, broken):
    """The steps that double the distance are inside the span."""
    distance, length, span, given = match(bits)
    (whole,) = words("whole", bits)
    given += [UGE(whole, distance), ULT(whole, 64 if broken else 16)]
    return given, And(ULE(16, span), ULE(whole + 16, span))


@theorem(
    "inflate/src/copy.rs",
    "let last = span.len().saturating_sub(TWO_STEPS).saturating_sub(whole);",
    "for from in (0..last).step_by(STEP) {",
    "step(span, from, from.wrapping_add(whole));",
)
def later_steps(bits, broken):
    """The other steps are inside the span."""
    _, _, span, given = match(bits)
    whole, start = words("whole start", bits)
    last = If(UGE(span, 32), span - (0 if broken else 32), 0)
    last = If(UGE(last, whole), last - whole, 0)
    given += [UGE(whole, 1), ULE(whole, 32768), ULT(start, last)]
    return given, And(ULE(start + 16, span), ULE(start + whole + 16, span))


@theorem(
    "inflate/src/fast/wide.rs",
    "output.get(at..).and_then(<[u8]>::first_chunk::<TWO_STEPS>).is_none()",
    "if length <= TWO_STEPS && distance >= length.min(STEP) {",
    "step(output, start, at);",
    "step(output, start.wrapping_add(STEP), at.wrapping_add(STEP));",
)
def two_steps(bits, broken):
    """Two steps of a match are inside the output."""
    at, start, output = words("at start output", bits)
    given = [*slice_bounds(bits, output), ULT(start, at), ULE(at, output)]
    given.append(UGE(output - at, 31 if broken else 32))
    return given, And(ULE(start + 32, output), ULE(at + 32, output))


@theorem(
    "inflate/src/symbols.rs",
    "while at < output.len() && limit != 0 {",
    "match decode_symbol(bits, output, at, codes) {",
    "if let Some(byte) = output.get_mut(at) {",
)
def literal_in_output(bits, broken):
    """A literal is inside the output, because the loop ends when the output is full."""
    at, output = words("at output", bits)
    return [ULE(at, output) if broken else ULT(at, output)], ULT(at, output)


# Code lengths and tables of the decoder


@theorem(
    "inflate/src/lengths.rs",
    "let (precode_lengths, _) = lengths.split_at_mut_checked(ORDER.len()).unwrap_or_default();",
    "if let Some(slot) = lengths.get_mut(usize::from(symbol)) {",
    "const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];",
)
def precode_symbol(bits, broken):
    """Each symbol of the code for code lengths is less than their number, 19. There is space for more."""
    order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
    (symbol,) = words("symbol", 8)
    return [Or(*[symbol == value for value in order])], ULT(symbol, 18 if broken else 19)


def lengths(bits):
    filled, end, number, size = words("filled end number size", bits)
    # 286 + 30 lengths at most, and a piece after them.
    return filled, end, number, size, [ULE(number, 316), size == number + 8]


@theorem(
    "inflate/src/lengths.rs",
    "let number = lengths.len().saturating_sub(PIECE);",
    "while filled < number {",
    "if let Some(slot) = lengths.get_mut(filled) {",
)
def single_length(bits, broken):
    """A single code length is inside the lengths."""
    filled, _, number, size, given = lengths(bits)
    return [*given, ULE(filled, size) if broken else ULT(filled, number)], ULT(filled, size)


@theorem(
    "inflate/src/lengths.rs",
    "const PIECE: usize = 8;",
    "let Some(length) = length.filter(|_| end <= number) else {",
    "lengths.get_mut(filled..).and_then(<[u8]>::first_chunk_mut::<PIECE>)",
    "if filled >= end {",
)
def piece_of_lengths(bits, broken):
    """A piece of a run of code lengths is inside the lengths, because the run begins before its end."""
    filled, end, number, size, given = lengths(bits)
    given += [ULE(filled, end) if broken else ULT(filled, end), ULE(end, number + (1 if broken else 0))]
    return given, ULE(filled + 8, size)


@theorem(
    "inflate/src/order.rs",
    "&& let Some(end) = ends.get_mut(usize::from(length & 15))",
    "if let Some(count) = counts.get_mut(usize::from(length & 15)) {",
)
def count_of_length(bits, broken):
    """Four bits are an index of 16 counts."""
    (length,) = words("length", 8)
    return [], ULT(length & (31 if broken else 15), 16)


@theorem(
    "inflate/src/compact.rs",
    "pub(super) distance: [u16; ENDS + 32],",
    "pub(super) litlen: [u16; ENDS + 288],",
    "pub(super) const ENDS: usize = 16;",
    "let Some((ends, symbols)) = code.split_first_chunk::<ENDS>() else {",
)
def ends_of_code(bits, broken):
    """Both codes have the 16 ends before their symbols."""
    (size,) = words("size", bits)
    return [Or(size == (15 if broken else 16 + 32), size == 16 + 288)], UGE(size, 16)


@theorem(
    "inflate/src/fast/fill.rs",
    "if let Some(start) = table.first_chunk_mut() {",
    "*start = [Packed::UNUSED; 2];",
)
def first_two_entries(bits, broken):
    """Both tables have two entries."""
    (size,) = words("size", bits)
    return [Or(size == (1 if broken else 402), size == 2342)], UGE(size, 2)


@theorem(
    "inflate/src/fast/fill.rs",
    "double(table, 1_usize.wrapping_shl(bits) >> 1);",
    "if let Some((done, rest)) = table.split_at_mut_checked(size)",
    "&& let Some(copy) = rest.get_mut(..size)",
)
def doubled_table(bits, broken):
    """Two copies of a part of the first level are inside the table, which has its entries and more."""
    size, shift = words("size shift", bits)
    given = first_levels(size, shift)
    (length,) = words("length", bits)
    given += [UGE(length, 1), ULE(length, shift + (2 if broken else 0))]
    half = LShR(BitVecVal(1, bits) << length, 1)
    return given, And(ULE(half, size), ULE(half, size - half))


def first_levels(size, shift):
    """The tables: 2^11 entries of 2,342 and 2^8 of 402 are the first levels. The code for code lengths
    has 2^7 entries.
    """
    return [
        Or(
            And(size == 2342, shift == 11),
            And(size == 402, shift == 8),
            And(size == 2342, shift == 7),
        )
    ]


@theorem(
    "inflate/src/fast/fill.rs",
    "if let Some(slot) = table.get_mut(codeword.index) {",
    "if let Some(slot) = table.get_mut(level.prefix) {",
    "prefix: index & first_mask,",
    "let unchanged = (low_mask(bits) >> 1).wrapping_shr(self.value.trailing_zeros());",
    "self.index ^= low_mask(bits) ^ unchanged;",
)
def index_of_first_level(bits, broken):
    """An index of a codeword of no more bits than the first level's, and one masked to it, is inside."""
    size, shift, index, length, zeros = words("size shift index length zeros", bits)
    given = first_levels(size, shift)
    one = BitVecVal(1, bits)
    ones = (one << length) - 1
    unchanged = LShR(LShR(ones, 1), zeros)
    # The index had `length` bits or fewer before it is advanced.
    given += [UGE(length, 1), ULE(length, shift + (3 if broken else 0)), ULE(index, ones), ULT(zeros, 32)]
    return given, And(ULT(index ^ ones ^ unchanged, size), ULT(index & ((one << shift) - 1), size))


@theorem(
    "inflate/src/fast/entry.rs",
    "let Some(other) = symbol.checked_sub(alphabet.literals) else {",
    "match alphabet.others.get(usize::from(other)) {",
    "literals: 19,",
    "literals: 256,",
    "literals: 0,",
    "pub(super) static LENGTHS: [Base; 32] = [",
    "pub(super) static DISTANCES: [Base; 32] = [",
)
def symbol_of_alphabet(bits, broken):
    """Each symbol is a literal or has a base. The header of a block has 5 bits for the number of
    literals and lengths after 257 of them, and 5 bits for the number of distances after the first.
    """
    symbol, number, literals, bases = words("symbol number literals bases", bits)
    given = [
        Or(
            And(number == 19, literals == 19, bases == 0),
            And(ULE(number, 257 + (32 if broken else 31)), literals == 256, bases == 32),
            And(ULE(number, 1 + 31), literals == 0, bases == 32),
        ),
        ULT(symbol, number),
    ]
    return given, Or(ULT(symbol, literals), ULT(symbol - literals, bases))


# Operators that can be changed


@theorem(
    "src/reader/table_cache.rs",
    "let within = low_u32(at.0) & self.piece_size.wrapping_sub(1);",
    "let start = at.0.wrapping_sub(within.into());",
    "tag.start = start | RESERVED;",
    "const RESERVED: u64 = 1;",
)
def reserved_bit(bits, broken):
    """The start of a piece of 8 bytes or more is even, so it has no bit in common with the mark."""
    at, shift = words("at shift", 64)
    piece_size = BitVecVal(1, 32) << z3.Extract(31, 0, shift)
    within = z3.Extract(31, 0, at) & (piece_size - 1)
    start = at - z3.ZeroExt(32, within)
    return [UGE(shift, 0 if broken else 3), ULE(shift, 16)], disjoint(start, BitVecVal(1, 64))


@theorem(
    "inflate/src/fast/entry.rs",
    "let value = u32::from(symbol).wrapping_shl(8);",
    "return Self(value | LITERAL | code_bits);",
    "Some(Base(SPECIAL)) => Self(SPECIAL | NO_LINK | END | code_bits),",
)
def parts_of_entry(bits, broken):
    """The parts of an entry have no bits in common: a codeword has at most 15 bits."""
    symbol, code_bits = words("symbol code_bits", 32)
    given = [ULT(symbol, 256), ULE(code_bits, 64 if broken else 15)]
    literal = disjoint(symbol << 8, BitVecVal(1 << 6, 32), code_bits)
    end = disjoint(*[BitVecVal(part, 32) for part in (1 << 7, 0xF000, 1 << 8)], code_bits)
    return given, And(literal, end)


@theorem(
    "inflate/src/fast/entry.rs",
    "Self(start.wrapping_shl(7) | SPECIAL | index_bits)",
)
def parts_of_link(bits, broken):
    """A second level has at least two entries, so it starts at an even offset."""
    start, index_bits = words("start index_bits", 32)
    given = [ULE(start, 293), start & (0 if broken else 1) == 0, ULE(index_bits, 7)]
    return given, disjoint(start << 7, BitVecVal(1 << 7, 32), index_bits)


@theorem(
    "inflate/src/fast/entry.rs",
    "self.is_special() && self.0 < NO_LINK",
    "self.0 & SPECIAL != 0",
    "const SPECIAL: u32 = 1 << 7;",
    "const NO_LINK: u32 = 0xf000;",
)
def special_entry_at_bound(bits, broken):
    """No special entry is the bound between the links and the others, whose mark is zero there."""
    (entry,) = words("entry", 32)
    return [entry & (1 << 7) != 0], entry != (0xF080 if broken else 0xF000)


@theorem("inflate/src/fast/entry.rs", "Base((base << 16) | extra_bits)")
def parts_of_base(bits, broken):
    """The number of extra bits, at most 13, is below the base."""
    base, extra_bits = words("base extra_bits", 32)
    given = [ULE(base, 24577), ULE(extra_bits, 1 << 16 if broken else 13)]
    return given, disjoint(base << 16, extra_bits)


@theorem("inflate/src/bits/unbuffered.rs", "bits = bits.wrapping_shl(8) | usize::from(byte);")
def byte_below_bits(bits, broken):
    """A byte has no bit in common with bits that were moved by 8."""
    before, byte = words("before byte", bits)
    return [ULT(byte, 257 if broken else 256)], disjoint(before << 8, byte)


@theorem(
    "inflate/src/bits/buffered.rs",
    "to_usize((!count & (usize::BITS - 1)) >> 3) & (WORD - 1)",
    "self.count |= REFILLED;",
    "pub(crate) const REFILLED: u32 = usize::BITS - 8;",
)
def refill_keeps_place(bits, broken):
    """A refill consumes the same number of bits of the input that it adds to the buffer. So one more
    refill, at any count, does not change the bits that are taken.
    """
    (count,) = words("count", bits)
    free = LShR(~count & (bits - 1), 3) & (bits // 8 - 1)
    refilled = count | (bits - (4 if broken else 8))
    return [ULT(count, bits)], count + 8 * free == refilled


@theorem(
    "inflate/src/compact.rs inflate/src/fast/mod.rs",
    "if REFILLED < 15 + 13 {",
)
def no_refill_of_28_bits(bits, broken):
    """A refill gives a word without a byte at least, or 17 bits without a buffer: never 28 bits."""
    (refilled,) = words("refilled", bits)
    return [Or(refilled == bits - 8, refilled == (28 if broken else 17))], refilled != 28


@theorem(
    "inflate/src/copy.rs",
    "while whole < STEP && whole != 0 {",
    "let last = span.len().saturating_sub(TWO_STEPS).saturating_sub(whole);",
    "for from in (0..last).step_by(STEP) {",
    "step(span, from, from.wrapping_add(whole));",
)
def one_more_doubling(bits, broken):
    """A distance of a step may be doubled once more: then the first 32 bytes are written by the one
    step, and each other byte, but for the last 32, by a step from the byte that is `whole` before it.
    """
    span, at, step = words("span at step", bits)
    whole = BitVecVal(32, bits)
    last = If(UGE(span, 64), span - 64, 0)
    given = [UGE(span, 16 + 1 + 32), ULE(span, 16 + 258 + 32), UGE(at, whole), ULT(at, span - 32)]
    # The step that writes the byte: the last one that begins at or before its source.
    start = (at - whole) & ~BitVecVal(15, bits)
    given.append(step == (start + 16 if broken else start))
    return given, And(ULT(step, last), ULE(step + whole, at), ULT(at, step + whole + 16))


@theorem(
    "inflate/src/fast/wide.rs",
    "const TURN: u32 = LITLEN_BITS + LITLEN_BITS + 5 + DISTANCE_BITS + 13;",
    "pub(super) const WIDE: bool = REFILLED >= TURN && usize::BITS >= TURN + LITLEN_BITS;",
)
def wide_with_difference(bits, broken):
    """A buffer of 64 bits is wide enough for a turn and one of 32 bits is not, also if any sum of the
    constants were a difference, or one of the two conditions were enough.
    """
    literal, distance = 11, 8
    wide = BitVecVal(1 if bits == 64 else 0, 1)
    results = []
    for signs in range(32):
        # Bits of `signs`: which sums are differences.
        a, b, c, d, e = [-1 if signs >> i & 1 else 1 for i in range(5)]
        if bin(signs).count("1") > 1:
            continue
        turn = (literal + a * literal + b * 5 + c * distance + d * 13) % 2**32
        conditions = [bits - 8 >= turn, bits >= (turn + e * literal) % 2**32]
        results.append(all(conditions) if signs else any(conditions))
    if broken:
        # A product is more than any buffer has, and one entry is less.
        results += [bits - 8 >= literal * literal, bits - 8 >= literal]
    return [], And(*[BitVecVal(int(result), 1) == wide for result in results])


@theorem(
    "src/reader/table_cache.rs",
    "let number = start.wrapping_shr(self.piece_size.trailing_zeros() & 31);",
    "let hash = u64::from(low_u32(number).wrapping_mul(0x9e37_79b9));",
    "let set = index(low_u32(hash.wrapping_mul(sets).wrapping_shr(32)));",
)
def hash_in_range(_, broken):
    """Whatever a piece's number is, its set is one of those that there are."""
    hashed, sets = z3.Ints("hashed sets")
    given = [hashed >= 0, hashed <= (1 << 32) - (0 if broken else 1), sets >= 2, sets < 1 << 29]
    # The quotient by 2^32 is less than `sets`, so it is below 2^32 too. The product wraps in no 64 bits.
    return given, And(hashed * sets < sets * 2**32, hashed * sets < 2**64)


@theorem(
    "src/reader/image_state.rs",
    "filter(|&word| word < self.device().end)",
    "// The rest of the L1 is past the end of the file too.",
)
def l1_word_at_end(bits, broken):
    """A word at the end of the file reads as zeros, as the search of `cache/` proves. It is a hole, as
    the words after it are.
    """
    place, end, word = words("place end word", 64)
    # Of the bytes of a word, those past the end are zeros. The broken twin's word is a byte too early.
    first = place - (1 if broken else 0)
    zeros = [Implies(UGE(first + i, end), (word << (8 * i)) >> 56 == 0) for i in range(8)]
    given = [ULE(end, 1 << 63), UGE(end, 48), place == end, *zeros]
    return given, word == 0


@theorem(
    "src/image/check/state.rs",
    "self.span_end = if l1_word < self.file_end {",
    "// In salvage, the rest of the L1 is past the end of the file too, so the rest of",
)
def hole_in_two_parts(bits, broken):
    """A hole up to the end of the disk has as many bytes as its first span and the rest of it."""
    at, end, size, shift = words("at end size shift", 64)
    span = (at | ((BitVecVal(1, 64) << shift) - 1)) + 1
    given = [ULT(at, size), UGE(shift, 15), ULE(shift, 29), ULE(size, (1 << 63)), end == least(span, size)]
    return given, (end - at) + (size - (span if broken else end)) == size - at


def check(function, path, quotes):
    """Returns why the theorem is not proved, or `None`."""
    for name in path.split():
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            text = file.read()
        for quote in quotes:
            if quote not in text:
                return f"{name} has no '{quote}'"
    for bits in (32, 64):
        given, claim = function(bits, False)
        if solve(*given) != z3.sat:
            return "nothing is what it takes for granted"
        answer = solve(*given, z3.Not(claim))
        if answer != z3.unsat:
            return f"it is {'wrong' if answer == z3.sat else 'not decided'} for words of {bits} bits"
        given, claim = function(bits, True)
        if solve(*given, z3.Not(claim)) != z3.sat:
            return f"its broken twin is not refuted for words of {bits} bits"
    return None


def solve(*conditions):
    is_of_numbers = any(z3.is_int(name) for one in conditions for name in get_vars(one))
    query = z3.Solver() if is_of_numbers else z3.SolverFor("QF_BV")
    query.set("timeout", 60_000)
    query.add(*conditions)
    return query.check()


def names():
    return [function.__name__ for function, *_ in THEOREMS]


def main():
    failed = 0
    for function, path, quotes in THEOREMS:
        reason = check(function, path, quotes)
        if reason:
            failed += 1
            print(f"theorem {function.__name__}: NOT PROVED: {reason}")
    print(f"theorems of arithmetic: {len(THEOREMS) - failed} of {len(THEOREMS)} proved, and each broken twin refuted.")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
