//! The memory in which a check records what the sectors of a file are used for.

use std::cell::Cell;
use std::collections::BTreeMap;

use qcow1::UsageMap;

/// The size of a piece in bytes, for 128 KiB of the file. It is small, so that clusters that are
/// far apart take little memory.
const PIECE: usize = 64;

/// The memory in bytes that a piece takes, or a run of full pieces, with its place in a tree.
const ENTRY: u64 = 128;

/// The memory in bytes that a map may take for a file without bytes of its own. It is enough for 64
/// GiB of clusters in holes, each far from the others, and for any number that are adjacent.
const CONSTANT: u64 = 64 << 20;

/// The number of file bytes for each byte of the map.
const UNIT: u64 = 2048;

/// The memory in bytes that a map may also take for each unit that the file stores.
const FOR_UNIT: u64 = 64;

/// A usage map in pieces. Only pieces with a byte other than 0 are allocated, and adjacent pieces
/// that are full of uses take no memory. So its size follows what is stored in a sparse file, and
/// not the file's length or a number in a header.
pub(super) struct Pieces {
    /// The index in `stored` of each piece, by its number.
    places: BTreeMap<usize, usize>,
    stored: Vec<[u8; PIECE]>,
    /// The indices of unused elements of `stored`.
    free: Vec<usize>,
    /// Runs of pieces in which each sector has its whole use: the number after the last one, by the
    /// first number.
    full: BTreeMap<usize, usize>,
    /// The number and index of the piece used last. Most bytes are in the same piece as the byte
    /// before.
    recent: Cell<Option<(usize, usize)>>,
    /// The maximum number of pieces and runs.
    most: usize,
    is_complete: bool,
}

impl Pieces {
    /// Creates a map for a file that takes `allocated` bytes on its disk.
    pub(super) fn new(allocated: u64) -> Self {
        let budget = (allocated / UNIT).saturating_mul(FOR_UNIT).saturating_add(CONSTANT);
        Self::with_entries(usize::try_from(budget / ENTRY).unwrap_or(usize::MAX))
    }

    fn with_entries(most: usize) -> Self {
        Self {
            places: BTreeMap::new(),
            stored: Vec::new(),
            free: Vec::new(),
            full: BTreeMap::new(),
            recent: Cell::new(None),
            most,
            is_complete: true,
        }
    }

    /// Returns `false` if uses were not recorded, because they would have taken too much memory.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Returns the number and index of the piece with this number, or of the next one.
    fn piece_from(&self, number: usize) -> Option<(usize, usize)> {
        let recent = self.recent.get().filter(|&(recent, _)| recent == number);
        recent.or_else(|| {
            let next = self.places.range(number..).next();
            self.recent.set(next.map(|(&number, &place)| (number, place)));
            self.recent.get()
        })
    }

    /// Returns the run of full pieces with this number, or the next one.
    fn full_from(&self, number: usize) -> Option<(usize, usize)> {
        let before = self.full.range(..=number).next_back().filter(|(_, end)| **end > number);
        let run = before.or_else(|| self.full.range(number..).next());
        run.map(|(&start, &end)| (start, end))
    }

    /// Adds a piece with this number, or returns `None` if there is no room.
    fn add(&mut self, number: usize, piece: [u8; PIECE]) -> Option<usize> {
        if self.places.len() + self.full.len() >= self.most {
            self.is_complete = false;
            return None;
        }
        let place = match self.free.pop() {
            Some(place) => {
                self.stored[place] = piece;
                place
            }
            None => {
                self.stored.push(piece);
                self.stored.len() - 1
            }
        };
        self.places.insert(number, place);
        Some(place)
    }

    /// Moves the piece used last to the runs if it is full.
    fn pack(&mut self) {
        let Some((number, place)) = self.recent.take() else {
            return;
        };
        if self.stored[place] != [u8::MAX; PIECE] {
            return;
        }
        self.places.remove(&number);
        self.free.push(place);
        let (mut start, mut end) = (number, number + 1);
        if let Some((&before, _)) = self.full.range(..number).next_back().filter(|(_, end)| **end == number) {
            start = before;
        }
        if let Some(after) = self.full.remove(&end) {
            end = after;
        }
        self.full.insert(start, end);
    }

    /// Gives a full piece its bytes again, or returns `None` if there is no room.
    fn unpack(&mut self, number: usize) -> Option<usize> {
        let (start, end) = self.full_from(number)?;
        // The two runs that remain take two entries, and the piece takes one.
        let place = self.add(number, [u8::MAX; PIECE])?;
        self.full.remove(&start);
        if start < number {
            self.full.insert(start, number);
        }
        if number + 1 < end {
            self.full.insert(number + 1, end);
        }
        Some(place)
    }
}

impl UsageMap for Pieces {
    fn clear(&mut self, _len: usize) -> bool {
        *self = Self::with_entries(self.most);
        true
    }

    fn byte(&mut self, index: usize) -> Option<&mut u8> {
        let number = index / PIECE;
        let place = match self.recent.get() {
            Some((recent, place)) if recent == number => place,
            _ => {
                self.pack();
                let place = match self.places.get(&number) {
                    Some(place) => *place,
                    None if self.full_from(number).is_some_and(|(start, _)| start <= number) => self.unpack(number)?,
                    None => self.add(number, [0; PIECE])?,
                };
                self.recent.set(Some((number, place)));
                place
            }
        };
        self.stored[place].get_mut(index % PIECE)
    }

    fn next_used(&self, index: usize) -> Option<(usize, u8)> {
        let full = self.full_from(index / PIECE);
        let full = full.map(|(start, _)| start.saturating_mul(PIECE).max(index));
        let mut index = index;
        // Bound: each turn looks at one piece.
        loop {
            let Some((number, place)) = self.piece_from(index / PIECE) else {
                return full.map(|full| (full, u8::MAX));
            };
            let start = (number * PIECE).max(index);
            if let Some(full) = full.filter(|full| *full < start) {
                return Some((full, u8::MAX));
            }
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
    fn a_map_holds_the_same_bytes_as_a_slice() {
        let mut pieces = Pieces::new(0);
        let mut bytes = vec![0_u8; 5000];
        assert!(pieces.clear(bytes.len()));
        let mut index = 1;
        let mut set = |index: usize, value: u8| {
            *pieces.byte(index).unwrap() = value;
            bytes[index] = value;
        };
        for value in 0..200 {
            // Scattered indices.
            index = index * 7919 % 5000;
            set(index, value % 3);
        }
        // Runs of full pieces that grow at both ends, meet, and are changed later.
        for index in (1280..1600).chain(1920..2240).chain(1600..1920).chain(640..1280) {
            set(index, u8::MAX);
        }
        for index in [1300, 700, 2239, 640] {
            set(index, 1);
        }
        assert!(!pieces.full.is_empty() && pieces.is_complete());
        for index in 0..bytes.len() + 10 {
            let rest = bytes.iter().enumerate().skip(index);
            let expected = rest.map(|(at, byte)| (at, *byte)).find(|(_, byte)| *byte != 0);
            assert_eq!(pieces.next_used(index), expected, "{index}");
        }
        assert!(pieces.clear(10));
        assert_eq!(pieces.next_used(0), None);
    }

    #[test]
    fn a_map_grows_with_its_entries_and_not_with_the_length_of_the_file() {
        let mut pieces = Pieces::new(0);
        assert!(pieces.clear(usize::MAX));
        for at in [0, 1 << 29, usize::MAX] {
            *pieces.byte(at).unwrap() = 1;
        }
        assert_eq!(pieces.stored.len(), 3);
        assert_eq!(pieces.next_used(1), Some((1 << 29, 1)));
        assert_eq!(pieces.next_used((1 << 29) + 1), Some((usize::MAX, 1)));
    }

    #[test]
    fn a_table_of_any_length_takes_the_memory_of_one_piece() {
        let mut pieces = Pieces::new(0);
        for at in 5..1 << 22 {
            *pieces.byte(at).unwrap() = u8::MAX;
        }
        assert!(
            pieces.stored.len() <= 2 && pieces.full.len() == 1,
            "{}",
            pieces.stored.len()
        );
        assert_eq!(pieces.next_used(0), Some((5, u8::MAX)));
        assert_eq!(pieces.next_used(1 << 21), Some((1 << 21, u8::MAX)));
        assert_eq!(pieces.next_used(1 << 22), None);
    }

    #[test]
    fn scattered_uses_take_no_more_than_the_bound_for_what_the_file_stores() {
        for allocated in [0, 4096, 64 << 20] {
            let bound = (allocated / UNIT * FOR_UNIT + CONSTANT) as usize;
            let mut pieces = Pieces::new(allocated);
            let noted = (0_usize..2_000_000)
                .filter(|at| pieces.byte(at << 20).is_some())
                .count();
            assert!(noted < 2_000_000 && !pieces.is_complete());
            // Nodes of a tree are at least half full.
            let used = pieces.stored.len() * PIECE + pieces.places.len() * 2 * 2 * size_of::<usize>();
            assert!(used <= bound && bound <= used * 3, "{used} of {bound}");
        }
        // A file that is stored as a whole always has enough.
        let mut pieces = Pieces::new(1 << 30);
        assert!((0..(1 << 30) / UNIT as usize).all(|at| pieces.byte(at).map(|byte| *byte = 1).is_some()));
        assert!(pieces.is_complete());
    }
}
