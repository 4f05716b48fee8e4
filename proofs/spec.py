"""The rules that the machine code is proved to follow: those of the format, and those of the
crate's arithmetic.

All numbers are bit vectors of 192 bits. No sum, product or shift of numbers inside the format's
ranges wraps in them, and nothing is subtracted from a smaller number. Each constant is a field of
`Rules`: a proof moves each of its constants up and down by one, and refutes the rules that result.
"""

from dataclasses import dataclass

from claripy import And, BVV, Concat, If, Not, Or, false, true
from claripy.ast import Bool

WIDE = 192

# The numbers of outcomes: word 0 of what an exported function returns.
OK, NONE, NOT_QCOW = 0, 1, 2
VERSION, CRYPT_METHOD, DEVICE_SIZE, COMPRESSED, EMPTY = 4, 5, 6, 12, 13
HEADER_CUT, SIZE_TOO_SMALL, SIZE_TOO_LARGE, CLUSTER_BITS, L2_BITS, NAME_TOO_LONG = range(16, 22)
OUT_OF_RANGE, MEMORY_TOO_SMALL, BACKING_REQUIRED, KEY_REQUIRED = 7, 8, 9, 10
NAME_PAST_END, L1_PAST_END, L1_FLAG, L2_PAST_END = 22, 23, 24, 25
CLUSTER_MISALIGNED, CLUSTER_PAST_END, COMPRESSED_EMPTY, STREAM_PAST_END = 26, 27, 28, 29


@dataclass(frozen=True)
class Rules:
    """The constants."""

    # The header's fields, by their byte offsets.
    version_at: int = 4
    backing_offset_at: int = 8
    backing_len_at: int = 16
    mtime_at: int = 20
    size_at: int = 24
    cluster_bits_at: int = 32
    l2_bits_at: int = 33
    crypt_method_at: int = 36
    l1_offset_at: int = 40
    header_len: int = 48
    # Their values.
    magic: int = 0x5146_49FB  # "QFI\xfb"
    probed: int = 8  # The magic number and the version: fewer bytes are no QCOW file.
    version: int = 1
    min_size: int = 2
    max_end: int = 2**64 - 1  # The disk's size plus one L1 span must not exceed it.
    min_cluster_bits: int = 9
    max_cluster_bits: int = 16
    min_l2_bits: int = 6
    max_l2_bits: int = 13
    aes: int = 1  # Crypt method 0 is none, and others are unknown.
    max_name: int = 1023
    # Xen's extension: four words of 4 bytes after the header.
    xen_at: int = 48
    xen_flags_at: int = 60
    xen_len: int = 64
    xen_magic: int = 0x5845_4EFB  # "XEN\xfb"
    xen_page_bits: int = 12  # tapdisk wrote its L1 table at a multiple of a page.
    xen_big_endian_bit: int = 1
    # Table words.
    flag_bit: int = 63  # Corrupt in an L1 word. It marks a compressed cluster in an L2 word.
    sector_bits: int = 9  # Clusters start at a multiple of a sector.
    entry_bits: int = 3  # A table word has 8 bytes.
    # Blocks of a device.
    max_block_bits: int = 16
    max_device: int = 2**63
    # The memory: the figures of the README's table.
    min_memory: int = 64  # For an image that is not encrypted, on a device with blocks of a byte.
    max_slot_bits: int = (
        12  # A cache slot holds a table, but no more than 4 KiB of it, and a block at least.
    )
    small_tables: int = (
        1035  # 2571 bytes for clusters of 512 bytes, less a sector and two clusters.
    )
    fast: int = 9680  # 12251 - 2571.
    read_ahead: int = 65536


RULES = Rules()


def wide(number):
    """Returns an integer or a bit vector as a wide number."""
    return (
        BVV(number, WIDE) if isinstance(number, int) else number.zero_extend(WIDE - number.length)
    )


def least(a, b):
    return If(a < b, a, b)


def largest(a, b):
    return If(a > b, a, b)


def less(a, b):
    """Returns a - b, or 0 if b is larger."""
    return If(a > b, a - b, wide(0))


def power(bits):
    """Returns 2^bits."""
    return wide(1) << wide(bits)


def floor(number, bits):
    """Returns the number of whole units of 2^bits in a number."""
    return number >> wide(bits)


def ceil(number, bits):
    """Returns the number of units of 2^bits in a number, including a partial last unit."""
    return floor(number + power(bits) - 1, bits)


def down(number, bits):
    return floor(number, bits) << wide(bits)


def up(number, bits):
    return ceil(number, bits) << wide(bits)


def bit(number, position):
    return floor(number, position) & 1 == 1


def first(*cases):
    """Returns the outcome of the first case whose condition holds. The last case has no condition."""
    *cases, outcome = cases
    outcome = words(*outcome)
    for condition, before in reversed(cases):
        outcome = [If(condition, a, b) for a, b in zip(words(*before), outcome)]
    return outcome


def words(*values):
    """Returns the 16 words of an outcome. Those that it does not have are zeros."""
    numbers = [
        If(value, wide(1), wide(0)) if isinstance(value, Bool) else wide(value) for value in values
    ]
    return numbers + [wide(0)] * (16 - len(numbers))


def field(prefix, at, size):
    """Returns the big-endian field of `size` bytes at `at`."""
    return wide(Concat(*prefix[at : at + size]))


# The header


def probe(rules, length, prefix):
    """Returns the format that the first bytes of a file claim."""
    magic, version = field(prefix, 0, 4), field(prefix, rules.version_at, 4)
    return first(
        (length < rules.probed, [NOT_QCOW]),
        (magic != rules.magic, [NOT_QCOW]),
        (version != rules.version, [VERSION, version]),
        [OK, 1],
    )


def header(rules, length, prefix, xen=False):
    """Returns the header of a file that starts with `length` bytes of `prefix`, or the first rule
    that it breaks.
    """
    return first(*header_cases(rules, length, prefix, xen))


def header_cases(rules, length, prefix, xen):
    """Returns the rules in sequence, each as the condition that breaks it and the outcome; and the header."""
    magic, version = field(prefix, 0, 4), field(prefix, rules.version_at, 4)
    size = field(prefix, rules.size_at, 8)
    cluster_bits = field(prefix, rules.cluster_bits_at, 1)
    l2_bits = field(prefix, rules.l2_bits_at, 1)
    crypt_method = field(prefix, rules.crypt_method_at, 4)
    mtime = field(prefix, rules.mtime_at, 4)
    l1_offset = field(prefix, rules.l1_offset_at, 8)
    # A backing file's name is there if its offset is not 0. Otherwise its length has no meaning.
    backing_offset = field(prefix, rules.backing_offset_at, 8)
    backing_len = If(backing_offset == 0, wide(0), field(prefix, rules.backing_len_at, 4))
    # An L1 entry leads to 2^l2_bits clusters of 2^cluster_bits bytes.
    span_bits = cluster_bits + l2_bits
    l1_entries = ceil(size, span_bits)

    has_xen = (
        And(length >= rules.xen_len, field(prefix, rules.xen_at, 4) == rules.xen_magic)
        if xen
        else false()
    )
    # Old versions of tapdisk wrote the L1 table in the byte order of x86, at a page, and without
    # the flag.
    little_endian = And(
        has_xen,
        down(l1_offset, rules.xen_page_bits) == l1_offset,
        Not(bit(field(prefix, rules.xen_flags_at, 4), rules.xen_big_endian_bit)),
    )
    return [
        (length == 0, [EMPTY]),
        (length < rules.probed, [NOT_QCOW]),
        (magic != rules.magic, [NOT_QCOW]),
        (version != rules.version, [VERSION, version]),
        (length < rules.header_len, [HEADER_CUT, 0, length]),
        (size < rules.min_size, [SIZE_TOO_SMALL]),
        (outside(cluster_bits, rules.min_cluster_bits, rules.max_cluster_bits), [CLUSTER_BITS]),
        (outside(l2_bits, rules.min_l2_bits, rules.max_l2_bits), [L2_BITS]),
        (size + power(span_bits) > rules.max_end, [SIZE_TOO_LARGE]),
        (crypt_method > rules.aes, [CRYPT_METHOD, crypt_method]),
        (backing_len > rules.max_name, [NAME_TOO_LONG]),
        [
            OK,
            size,
            cluster_bits,
            l2_bits,
            l1_entries,
            l1_offset,
            crypt_method == rules.aes,
            backing_len,
            mtime,
            backing_offset,
            backing_len != 0,
            l1_entries << rules.entry_bits,
            has_xen,
            little_endian,
            If(has_xen, wide(rules.xen_len), wide(rules.header_len)),
        ],
    ]


def outside(number, low, high):
    return Or(number < low, number > high)


# Table words


def l1_entry(rules, word):
    """Returns where an L1 word leads, and the offset that an error names."""
    offset = word & (2**rules.flag_bit - 1)
    return first(
        (word == 0, [NONE, 0, 0]),
        (bit(word, rules.flag_bit), [L1_FLAG, 0, offset]),
        [OK, word, offset],
    )


def l2_entry(rules, word, cluster_bits):
    """Returns how and where an L2 word says that its cluster is stored, and the offset that an
    error names.
    """
    # From bit 63 down: the flag, `cluster_bits` bits of size in bytes, and the offset.
    size_at = wide(rules.flag_bit) - cluster_bits
    below_flag = word & (2**rules.flag_bit - 1)
    size = floor(below_flag, size_at)
    compressed = bit(word, rules.flag_bit)
    offset = If(compressed, below_flag - (size << size_at), word)
    return first(
        (word == 0, [NONE]),
        (And(compressed, size == 0), [COMPRESSED_EMPTY, 0, 0, offset]),
        (compressed, [COMPRESSED, offset, size, offset]),
        (down(word, rules.sector_bits) != word, [CLUSTER_MISALIGNED, 0, 0, offset]),
        [OK, word, 0, offset],
    )


# Sizes and offsets


def bits(rules, cluster_bits, l2_bits):
    """Returns what two bytes of a header are as sizes."""
    cluster = first(
        (outside(cluster_bits, rules.min_cluster_bits, rules.max_cluster_bits), [NONE]),
        [OK, cluster_bits, power(cluster_bits), power(cluster_bits)],
    )
    l2 = first(
        (outside(l2_bits, rules.min_l2_bits, rules.max_l2_bits), [NONE]),
        [OK, l2_bits, power(l2_bits)],
    )
    return words(*cluster[:4], *l2[:3])


def guest_offset(rules, at, cluster_bits, l2_bits):
    """Returns the table indices of a guest offset, and the ends of its cluster and span. Taken as a
    disk's size, it has as many L1 entries as it has spans, including a partial last span.
    """
    span_bits = cluster_bits + l2_bits
    return words(
        OK,
        cluster_bits,
        power(cluster_bits),
        power(l2_bits) << rules.entry_bits,
        span_bits,
        power(span_bits),
        power(span_bits),
        floor(at, span_bits),
        down(at, span_bits),
        least(down(at, span_bits) + power(span_bits), wide(rules.max_end)),
        at - down(at, cluster_bits),
        down(at, cluster_bits),
        least(down(at, cluster_bits) + power(cluster_bits), wide(rules.max_end)),
        ceil(at, span_bits),
    )


# Blocks of a device


def block_size(rules, number):
    """Returns a block size: a power of two, 1 to 65536."""
    sizes = [
        (number == 2**bits, [OK, number, bits, number]) for bits in range(rules.max_block_bits + 1)
    ]
    return first(*sizes, [NONE])


def blocks(_rules, block_bits, number, length, max_length):
    """Returns a number of bytes in whole blocks, and the block of an offset."""
    return words(
        OK,
        down(number, block_bits),
        number - down(number, block_bits),
        ceil(number, block_bits),
        floor(number, block_bits),
        least(up(length, block_bits), down(max_length, block_bits)),
        down(length, block_bits),
    )


def device_shape(rules, block_bits, size, start, length, max_length):
    """Returns what a device of `size` bytes has of the `length` bytes that start at `start`."""
    return first(
        (size > rules.max_device, [DEVICE_SIZE, size]),
        [
            OK,
            size,
            False,
            start + length <= size,
            floor(start, block_bits),
            least(up(least(length, less(size, start)), block_bits), down(max_length, block_bits)),
        ],
    )


def offsets(rules, a, b, max_length):
    """Returns the sums and differences of two offsets, and the first of them as the length of a
    buffer and in 32 bits.
    """
    most = wide(rules.max_end)
    return words(
        least(a + b, most),
        less(a, b),
        least(a + b, most),
        less(a, b),
        least(a, max_length),
        least(a, wide(2**32 - 1)),
        (a + b) & most,
        (a + most + 1 - b) & most,
    )


# The memory


def memory_for(
    rules, l1_entries, cluster_bits, l2_bits, block_bits, file_size, crypt_method, max_length
):
    """Returns the sizes of memory for an image: enough for plain clusters, for compressed ones, for
    those faster, and for all tables of a full disk too.
    """
    block, cluster = power(block_bits), power(cluster_bits)
    table_bits = l2_bits + rules.entry_bits
    # A disk's sector, or a block.
    unit_bits = largest(wide(rules.sector_bits), block_bits)
    # A stream is shorter than a cluster, and begins and ends anywhere in a block.
    stream = up(cluster, block_bits) + If(block_bits == 0, wide(0), block)
    # If a block is a byte, nothing is bounced but parts of encrypted sectors.
    minimum = If(
        And(block_bits == 0, crypt_method != rules.aes), wide(rules.min_memory), power(unit_bits)
    )
    compressed = power(unit_bits) + stream + cluster + rules.small_tables
    # A table begins and ends anywhere in a slot.
    slot = power(largest(least(table_bits, wide(rules.max_slot_bits)), unit_bits))
    tables = l1_entries * (power(table_bits) + slot) + (l1_entries << rules.entry_bits) + 2 * slot
    # There are no more tables than the file has room for.
    tables = least(tables, file_size + 2 * slot)
    # A half more for the slots' tags and for sets of slots that are full before others.
    all_tables = compressed + rules.fast + (tables + floor(tables, 1)) + rules.read_ahead
    return words(OK, minimum, compressed, compressed + rules.fast, least(all_tables, max_length))


# A whole read


def opened(rules, size, prefix):
    """Returns the rules of an image on a device of `size` bytes in sequence, each as the condition that
    breaks it and the outcome; and the header's words.
    """
    *flaws, header = header_cases(rules, least(size, wide(rules.xen_len)), prefix, xen=True)
    header = words(*header)
    _, _, _, _, _, l1_offset, _, name_len, _, name_offset, has_name, l1_len, *_ = header
    return [
        (size > rules.max_device, [DEVICE_SIZE, size]),
        *flaws,
        (l1_offset + l1_len > size, [L1_PAST_END, 0, l1_offset]),
        (And(has_name == 1, name_offset + name_len > size), [NAME_PAST_END, 0, name_offset]),
        header,
    ]


def look_ups(rules, size, header, word, offset):
    """Returns the cases of a look-up of an offset inside the disk, in sequence, each as its condition and
    its outcome: the start, the length and the target of the L1 entry, and the L2 word.

    `word` returns the bytes of the table word at a place.
    """
    _, _, cluster_bits, l2_bits, _, l1_offset, *_ = header
    is_little_endian = header[13]
    span_bits = cluster_bits + l2_bits
    start = down(offset, span_bits)
    l1_bytes = word(l1_offset + (floor(offset, span_bits) << rules.entry_bits))
    reversed_word = wide(Concat(*reversed(l1_bytes)))
    table = If(is_little_endian == 1, reversed_word, wide(Concat(*l1_bytes)))
    kind, _, host, *_ = l1_entry(rules, table)
    l2_word = Concat(*word(table + (floor(offset - start, cluster_bits) << rules.entry_bits)))
    table_end = table + (power(l2_bits) << rules.entry_bits)
    return [
        (kind == L1_FLAG, [L1_FLAG, 1, start, 0, host]),
        (kind == NONE, [OK, 1, start, power(span_bits), 0, 0]),
        (table_end > size, [L2_PAST_END, 1, start, 0, table]),
        (true(), [OK, 1, start, power(span_bits), table, l2_word]),
    ]


def look_up(rules, size, opened, word, offset):
    """Returns the outcome of a look-up in an image that opens, if the offset is inside the disk."""
    *flaws, header = opened
    *cases, (_, last) = look_ups(rules, size, header, word, offset)
    cannot = Or(*[condition for condition, _ in flaws], offset >= header[1])
    return first((cannot, [0]), *cases, last)


def read(rules, size, opened, found, offset, length, compressed):
    """Returns the outcome of reading inside one cluster in little memory; and, if it succeeds, whether
    the bytes are zeros, and where in the file they are otherwise.

    `found` is the outcome of the look-up. `compressed` is how many bytes of memory compressed clusters
    need.
    """
    *flaws, header = opened
    _, disk, cluster_bits, _, _, _, is_encrypted, *_ = header
    has_backing = header[10]
    cluster_start = down(offset, cluster_bits)
    flaw, _, span_start, _, table, l2_word, *_ = found
    kind, host, stream_len, l2_host, *_ = l2_entry(rules, l2_word, cluster_bits)

    # The file need not have what a last cluster has past the end of the disk.
    has_bytes = less(size, host)
    needed = least(disk - cluster_start, power(cluster_bits))
    # A sector is encrypted as a whole.
    unit_bits = If(is_encrypted == 1, wide(rules.sector_bits), wide(0))
    is_whole = down(has_bytes, unit_bits) >= up(needed, unit_bits)

    is_hole, is_compressed = kind == NONE, kind == COMPRESSED
    outcome = first(
        *flaws,
        (offset + length > disk, [OUT_OF_RANGE, 0, 0, 1]),
        (flaw != OK, [flaw, span_start, table, 1]),
        (And(is_hole, has_backing == 1), [BACKING_REQUIRED, offset, 0, 1]),
        (is_hole, [OK, 0, 0, 1]),
        (
            And(is_compressed, host + stream_len > size),
            [STREAM_PAST_END, cluster_start, host, 1],
        ),
        (is_compressed, [MEMORY_TOO_SMALL, compressed, 0, 1]),
        (kind != OK, [kind, cluster_start, l2_host, 1]),
        (Not(is_whole), [CLUSTER_PAST_END, cluster_start, host, 1]),
        (is_encrypted == 1, [KEY_REQUIRED, offset, 0, 1]),
        [OK, 0, 0, 1],
    )
    return outcome, is_hole, host + offset - cluster_start
