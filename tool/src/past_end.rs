//! Finds the guest bytes that are missing in a truncated image file, so that a salvaging dump can
//! report what it filled.

use std::io;

use qcow1::{BlockRead, CorruptPart, Error, Extent, ExtentKind, Header};

use crate::disk::FileImage;
use crate::medium::Medium;

/// The length of a word of a table in bytes.
const WORD: u64 = 8;

/// The length in bytes of the part of a table that is read at once.
const BLOCK: u64 = 4096;

/// The sector of most drives, in bytes: if one of its words cannot be read, none can.
const SECTOR: u64 = 512;

/// The tables of an image, which the crate reads as zeros past the end of the file when it
/// salvages.
pub(crate) struct Tables {
    header: Header,
    file_len: u64,
    l1: Words,
    l2: Words,
}

/// A part of a table.
#[derive(Default)]
struct Words {
    /// The offset of the part in the file.
    start: u64,
    bytes: Vec<u8>,
}

/// Why guest bytes are missing in an image file.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct PastEnd {
    /// The image of the chain.
    pub(crate) level: usize,
    pub(crate) why: &'static str,
    /// Whether the table word is missing. `--salvage` then treats the bytes as a hole.
    pub(crate) is_hole: bool,
}

impl Tables {
    pub(crate) fn new(header: &Header, file_len: u64) -> Self {
        Self {
            header: *header,
            file_len,
            l1: Words::default(),
            l2: Words::default(),
        }
    }

    /// Returns the length of a first part of `extent` that is all in the file or all missing, and
    /// why it is missing.
    pub(crate) fn past_end(&mut self, level: usize, file: &mut Medium, extent: &Extent) -> (u64, Option<PastEnd>) {
        let missing = |why, is_hole| Some(PastEnd { level, why, is_hole });
        match extent.kind {
            ExtentKind::Data { host_offset } => {
                // A part of an encrypted sector cannot be decrypted.
                let end = match self.header.is_encrypted() {
                    true => self.file_len - self.file_len % SECTOR,
                    false => self.file_len,
                };
                let inside = end.saturating_sub(host_offset);
                match inside {
                    0 => (
                        extent.len,
                        missing("the cluster reaches past the end of the file", false),
                    ),
                    _ => (extent.len.min(inside), None),
                }
            }
            ExtentKind::Compressed {
                host_offset,
                stored_len,
            } => {
                let is_missing = host_offset.saturating_add(stored_len.into()) > self.file_len;
                let why =
                    "the compressed cluster reaches past the end of the file; what its stream still yields was written";
                (extent.len, missing(why, false).filter(|_| is_missing))
            }
            // A hole is real if its table words are in the file and are zero.
            _ => {
                let (mut len, first) = self.hole(file, extent.start);
                // Bound: the words of an extent, at most 4,099.
                while len < extent.len {
                    let (next, why) = self.hole(file, extent.start + len);
                    if why != first {
                        break;
                    }
                    len = len.saturating_add(next);
                }
                let past_end = first.and_then(|(why, is_hole)| missing(why, is_hole));
                (len.min(extent.len), past_end)
            }
        }
    }

    /// Returns the number of guest bytes at `at`, which the crate returned as a hole, that have one
    /// reason, and the reason if the hole is not real.
    fn hole(&mut self, file: &mut Medium, at: u64) -> (u64, Option<(&'static str, bool)>) {
        let span_len = span_end(&self.header, at) - at;
        let cluster = u64::from(self.header.cluster_bits().cluster_size());
        let l1 = self.l1_place(at);
        if l1.saturating_add(WORD) > self.file_len {
            return (u64::MAX, Some(("the L1 table reaches past the end of the file", true)));
        }
        let table = match self.l1_word(file, at) {
            Ok(table) if table != 0 => table,
            _ => return (span_len, None),
        };
        let l2 = table.saturating_add(at % span(&self.header) / cluster * WORD);
        if l2.saturating_add(WORD) > self.file_len {
            return (span_len, Some(("the L2 table reaches past the end of the file", true)));
        }
        let is_cut = matches!(self.l2.word(file, l2), Ok(word) if word != [0; 8]);
        let why = ("the cluster reaches past the end of the file", false);
        (cluster - at % cluster, Some(why).filter(|_| is_cut))
    }

    /// Returns the offset in the file of the L1 word for the guest offset `at`.
    fn l1_place(&self, at: u64) -> u64 {
        self.header.l1_offset().saturating_add(at / span(&self.header) * WORD)
    }

    /// Returns the L1 word for the guest offset `at`.
    fn l1_word(&mut self, file: &mut Medium, at: u64) -> io::Result<u64> {
        let place = self.l1_place(at);
        let word = self.l1.word(file, place)?;
        Ok(match self.header.l1_is_little_endian() {
            true => u64::from_le_bytes(word),
            false => u64::from_be_bytes(word),
        })
    }
}

impl Words {
    /// Returns the word at an offset in the file, as it is stored.
    fn word(&mut self, file: &mut Medium, place: u64) -> io::Result<[u8; WORD as usize]> {
        let mut inside = place.wrapping_sub(self.start);
        if inside.saturating_add(WORD) > self.bytes.len() as u64 {
            let left = file.size()?.saturating_sub(place);
            self.bytes.clear();
            let mut bytes = vec![0; left.min(BLOCK) as usize];
            // The word alone may be readable.
            if file.read_blocks(place, &mut bytes).is_err() {
                bytes.truncate(WORD as usize);
                file.read_blocks(place, &mut bytes)?;
            }
            (self.bytes, self.start, inside) = (bytes, place, 0);
        }
        let rest = self.bytes.get(inside as usize..).unwrap_or_default();
        rest.first_chunk().copied().ok_or(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Returns the number of guest bytes at `at` that have the flaw for which looking up `at` returned
/// `error`.
pub(crate) fn flawed_len(image: &mut FileImage, at: u64, error: &Error<io::Error>) -> u64 {
    let Some(header) = image.header().copied() else {
        return u64::MAX;
    };
    let cluster = u64::from(header.cluster_bits().cluster_size());
    let cluster_end = (at - at % cluster).saturating_add(cluster);
    let file = image.device_mut();
    let end = match error {
        Error::Corrupt(flaw) if matches!(flaw.part(), CorruptPart::L1Table | CorruptPart::L2Table) => {
            span_end(&header, at)
        }
        Error::Io(_) => {
            // If a sector cannot be read, all its words are lost, so they are not read one by one.
            let mut tables = Tables::new(&header, file.size().unwrap_or(u64::MAX));
            match tables.l1_word(file, at) {
                Err(_) => span_end(&header, at),
                Ok(table) => {
                    let word = table.saturating_add(at % span(&header) / cluster * WORD);
                    let words = (SECTOR - word % SECTOR).div_ceil(WORD);
                    (at - at % cluster)
                        .saturating_add(words * cluster)
                        .min(span_end(&header, at))
                }
            }
        }
        _ => cluster_end,
    };
    end - at
}

/// Returns the number of guest bytes that one L1 entry covers.
fn span(header: &Header) -> u64 {
    u64::from(header.cluster_bits().cluster_size()) * u64::from(header.l2_bits().entries())
}

/// Returns the end of the span that includes `at`.
fn span_end(header: &Header, at: u64) -> u64 {
    (at - at % span(header)).saturating_add(span(header))
}
