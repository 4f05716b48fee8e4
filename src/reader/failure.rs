//! The public error for what stopped the core.

use crate::error::{Corrupt, Error, Flaw};
use crate::format::entry::L2Entry;
use crate::reader::extent_walk::ExtentWalk;
use crate::reader::image_state::ImageState;
use crate::reader::read::Read;
use crate::reader::stop::Stop;

impl ExtentWalk {
    /// Returns the public error for what stopped this walk, or the read of its run, in `image`.
    ///
    /// After a flaw, the image forgets its tables. If it is corrupt they are read again as they were. If the device returned
    /// something else for once, nothing of that stays.
    #[cold]
    pub(crate) fn error<E>(&self, stop: Stop, image: &mut ImageState, memory: &mut [u8]) -> Error<E> {
        let error = self.public_error(stop, image);
        if let Error::Corrupt(_) = error {
            image.forget_tables(memory);
        }
        error
    }

    /// Returns the same error, and leaves it to the caller to forget the tables after a flaw.
    pub(crate) fn public_error<E>(&self, stop: Stop, image: &ImageState) -> Error<E> {
        match stop {
            Stop::Corrupt(flaw) => Error::Corrupt(self.corrupt(flaw, image)),
            // A driver never asks for the error of a miss: it reads what is missing.
            Stop::Miss | Stop::OutOfRange => Error::OutOfRange,
            Stop::KeyRequired => Error::KeyRequired,
            Stop::CipherFailed => Error::CipherFailed,
            Stop::MemoryTooSmall => Error::MemoryTooSmall {
                needed: image.memory_needed(),
            },
            #[cfg(not(feature = "deflate"))]
            Stop::Compression => Error::Unsupported(crate::error::Unsupported::Compression),
        }
    }

    /// Returns a flaw with its offsets: those of the L1 entry, of the next L2 word, or of the run's stream.
    fn corrupt(&self, flaw: Flaw, image: &ImageState) -> Corrupt {
        let l1 = image.last_l1_entry();
        let (guest, host) = match (flaw, image.geometry()) {
            // A raw disk has no tables, and so no flaws.
            (Flaw::L1Flag | Flaw::L2PastEnd, _) | (_, None) => (l1.start, l1.host),
            // A flaw is met at the start of a run alone, so that is in its cluster.
            (_, Some(geometry)) => {
                let host = match flaw {
                    #[cfg(feature = "deflate")]
                    Flaw::Stream(_) => self.host(),
                    _ => L2Entry::host(self.word(), geometry.cluster_bits),
                };
                (geometry.cluster_start(self.start()), host)
            }
        };
        Corrupt::at(flaw, guest, host)
    }
}

impl Read<'_> {
    /// Returns the public error for what stopped this read in `image`; see [`ExtentWalk::error`].
    #[cold]
    pub(crate) fn error<E>(&self, stop: Stop, image: &mut ImageState, memory: &mut [u8]) -> Error<E> {
        self.walk().error(stop, image, memory)
    }
}
