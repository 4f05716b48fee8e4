//! The memory in which a check records what the sectors of a file are used for.

use std::cell::Cell;
use std::collections::BTreeMap;

use qcow1::UsageMap;

/// The size of a piece in bytes, for 256 KiB of the file. It is small, so that clusters that are far apart take little
/// memory.
const PIECE: usize = 128;

/// A usage map in pieces. Only pieces with a byte other than 0 are allocated, so a large sparse file takes little
/// memory.
#[derive(Default)]
pub(super) struct Pieces {
    /// The index in `stored` of each piece, by its number.
    places: BTreeMap<usize, usize>,
    stored: Vec<[u8; PIECE]>,
    /// The number and index of the piece used last. Most bytes are in the same piece as the byte before.
    recent: Cell<Option<(usize, usize)>>,
}

impl Pieces {
    /// Returns the number and index of the piece with this number, or of the next one.
    fn from(&self, number: usize) -> Option<(usize, usize)> {
        let recent = self.recent.get().filter(|&(recent, _)| recent == number);
        recent.or_else(|| {
            let next = self.places.range(number..).next();
            self.recent.set(next.map(|(&number, &place)| (number, place)));
            self.recent.get()
        })
    }
}

impl UsageMap for Pieces {
    fn clear(&mut self, _len: usize) -> bool {
        *self = Self::default();
        true
    }

    fn byte(&mut self, index: usize) -> Option<&mut u8> {
        let number = index / PIECE;
        let place = match self.from(number) {
            Some((found, place)) if found == number => place,
            _ => {
                self.stored.push([0; PIECE]);
                let place = self.stored.len() - 1;
                self.places.insert(number, place);
                self.recent.set(Some((number, place)));
                place
            }
        };
        self.stored[place].get_mut(index % PIECE)
    }

    fn next_used(&self, index: usize) -> Option<(usize, u8)> {
        let mut index = index;
        // Bound: each turn looks at one piece.
        loop {
            let (number, place) = self.from(index / PIECE)?;
            let start = (number * PIECE).max(index);
            let rest = &self.stored[place][start % PIECE..];
            if let Some(skipped) = rest.iter().position(|byte| *byte != 0) {
                return Some((start + skipped, rest[skipped]));
            }
            index = (number + 1).checked_mul(PIECE)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_a_slice_of_bytes_would() {
        let mut pieces = Pieces::default();
        let mut bytes = vec![0_u8; 5000];
        assert!(pieces.clear(bytes.len()));
        let mut index = 1;
        for value in 0..200 {
            // Scattered indices.
            index = index * 7919 % bytes.len();
            *pieces.byte(index).unwrap() = value % 3;
            bytes[index] = value % 3;
        }
        for index in 0..bytes.len() + 10 {
            let rest = bytes.iter().enumerate().skip(index);
            let expected = rest.map(|(at, byte)| (at, *byte)).find(|(_, byte)| *byte != 0);
            assert_eq!(pieces.next_used(index), expected, "{index}");
        }
        assert!(pieces.clear(10));
        assert_eq!(pieces.next_used(0), None);
    }

    #[test]
    fn its_size_follows_what_is_noted_and_not_the_length_of_the_file() {
        let mut pieces = Pieces::default();
        assert!(pieces.clear(usize::MAX));
        for at in [0, 1 << 29, usize::MAX] {
            *pieces.byte(at).unwrap() = 1;
        }
        assert_eq!(pieces.stored.len(), 3);
        assert_eq!(pieces.next_used(1), Some((1 << 29, 1)));
        assert_eq!(pieces.next_used((1 << 29) + 1), Some((usize::MAX, 1)));
    }
}
