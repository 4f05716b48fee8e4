//! The public error for what stopped the core.

use crate::error::{Corrupt, CorruptKind, Error, Flaw};
use crate::format::entry::L2Entry;
use crate::offset::GuestOffset;
use crate::reader::extent_walk::ExtentWalk;
use crate::reader::image_state::ImageState;
use crate::reader::read::ChainRead;
use crate::reader::stop::Stop;

impl ExtentWalk {
    /// Returns the public error for what stopped this walk, or the read of its run, in `image`.
    #[cold]
    pub(crate) fn error<E>(&self, stop: Stop, image: &ImageState) -> Error<E> {
        let GuestOffset(guest_offset) = self.start();
        match stop {
            Stop::Corrupt(kind) => Error::Corrupt(self.corrupt(Flaw::Rule(kind), image)),
            #[cfg(feature = "deflate-small")]
            Stop::Stream(reason) => Error::Corrupt(self.corrupt(Flaw::Stream(reason), image)),
            // Unreachable for a miss: drivers read what is missing.
            Stop::Miss | Stop::OutOfRange => Error::OutOfRange,
            Stop::KeyRequired => Error::KeyRequired { guest_offset },
            Stop::CipherFailed => Error::CipherFailed { guest_offset },
            Stop::MemoryTooSmall => Error::MemoryTooSmall {
                needed: image.memory_needed_for(self.storage()),
            },
            #[cfg(not(feature = "deflate-small"))]
            Stop::Compression => Error::Unsupported(crate::error::Unsupported::Compression),
        }
    }

    /// Returns a flaw with its offsets: those of the L1 entry, of the next L2 word, or of the run's
    /// stream.
    fn corrupt(&self, flaw: Flaw, image: &ImageState) -> Corrupt {
        let l1 = image.last_l1_entry();
        let (guest, host) = match (flaw, image.geometry()) {
            // A raw disk has no tables, and so no flaws.
            (Flaw::Rule(CorruptKind::L1Bit63Set | CorruptKind::L2PastEnd), _) | (_, None) => (l1.start, l1.host),
            // Flaws are only reported for the first cluster of a run.
            (_, Some(geometry)) => {
                let host = match flaw {
                    #[cfg(feature = "deflate-small")]
                    Flaw::Stream(_) => self.host(),
                    Flaw::Rule(_) => L2Entry::host(image.last_word(), geometry.cluster_bits),
                };
                (geometry.cluster_start(self.start()), host)
            }
        };
        Corrupt::at(flaw, guest, host)
    }
}

impl ChainRead<'_> {
    /// Returns the public error for what stopped this read in `image`.
    #[cold]
    pub(crate) fn error<E>(&self, stop: Stop, image: &ImageState) -> Error<E> {
        self.walk.error(stop, image)
    }

    /// Returns the error of a chain that has no image at [`ChainRead::level`].
    #[cold]
    pub(crate) fn backing_required<E>(&self) -> Error<E> {
        Error::BackingRequired {
            guest_offset: self.walk.start().0,
        }
    }
}
