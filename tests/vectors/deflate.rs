//! DEFLATE streams built by hand, for tests that need each bit.

/// A builder of a stream.
#[derive(Clone, Default)]
pub struct Deflate {
    bytes: Vec<u8>,
    /// The number of used bits of the last byte; 0 if it is full.
    taken: u32,
}

impl Deflate {
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes bits, the lowest first.
    pub fn bits(mut self, value: u32, count: u32) -> Self {
        for i in 0..count {
            if self.taken == 0 {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> i & 1) << self.taken) as u8;
            self.taken = (self.taken + 1) % 8;
        }
        self
    }

    /// Writes bits, the highest first, as in Huffman codes.
    fn code(mut self, value: u32, count: u32) -> Self {
        for i in (0..count).rev() {
            self = self.bits(value >> i, 1);
        }
        self
    }

    /// Starts a block: type 0 is stored, 1 fixed, 2 dynamic, 3 invalid.
    pub fn block(self, last: bool, kind: u32) -> Self {
        self.bits(last.into(), 1).bits(kind, 2)
    }

    /// Writes a stored block.
    pub fn stored(self, last: bool, bytes: &[u8]) -> Self {
        let len = bytes.len() as u16;
        self.stored_saying(last, len, !len, bytes)
    }

    /// Writes a stored block with a given length and complement.
    pub fn stored_saying(self, last: bool, len: u16, complement: u16, bytes: &[u8]) -> Self {
        let mut stream = self.block(last, 0);
        stream.taken = 0;
        stream.bytes.extend(len.to_le_bytes());
        stream.bytes.extend(complement.to_le_bytes());
        stream.bytes.extend(bytes);
        stream
    }

    /// Writes bytes as literals of a fixed block.
    pub fn literals(mut self, bytes: &[u8]) -> Self {
        for &byte in bytes {
            let byte = u32::from(byte);
            self = if byte < 144 {
                self.code(0x30 + byte, 8)
            } else {
                self.code(0x190 + byte - 144, 9)
            };
        }
        self
    }

    /// Writes a symbol of a fixed block that is not a literal.
    pub fn symbol(self, symbol: u32) -> Self {
        if symbol < 280 {
            self.code(symbol - 256, 7)
        } else {
            self.code(0xc0 + symbol - 280, 8)
        }
    }

    /// Writes the end of a fixed block.
    pub fn end(self) -> Self {
        self.symbol(256)
    }

    /// Writes the code of a distance in a fixed block, without its extra bits.
    pub fn distance_code(self, code: u32) -> Self {
        self.code(code, 5)
    }

    /// Writes a match of a fixed block: 3 to 10 bytes, or 258.
    fn matched(self, distance: u32, len: usize) -> Self {
        let stream = match len {
            3..=10 => self.symbol(257 + len as u32 - 3),
            258 => self.symbol(285),
            _ => panic!("a match of {len} bytes"),
        };
        let less = distance - 1;
        if less < 2 {
            return stream.distance_code(less);
        }
        let log = less.ilog2();
        stream
            .distance_code(2 * log + (less >> (log - 1) & 1))
            .bits(less, log - 1)
    }

    /// Writes matches of a fixed block: `len` bytes, each a copy of the byte `distance` before it.
    pub fn repeat(mut self, distance: u32, len: usize) -> Self {
        let mut left = len;
        while left > 0 {
            // The rest must not be a match of one or two bytes.
            let next = match left {
                258 | 261.. => 258,
                ..=10 => left,
                11 | 12 => 8,
                _ => 10,
            };
            self = self.matched(distance, next);
            left -= next;
        }
        self
    }

    /// Appends a whole stream to a stream that ends at a byte's end.
    pub fn then(mut self, bytes: &[u8]) -> Self {
        assert_eq!(self.taken, 0, "only a stored block surely ends so");
        self.bytes.extend(bytes);
        self
    }

    pub fn build(self) -> Vec<u8> {
        self.bytes
    }
}

/// Deflates bytes with a common encoder.
pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec(bytes, 6)
}
