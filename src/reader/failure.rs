//! The public error for what stopped the core.

use crate::error::{Corrupt, CorruptKind, Error};
use crate::format::entry::L2Entry;
use crate::offset::GuestOffset;
use crate::reader::extent_walk::ExtentWalk;
use crate::reader::image_state::ImageState;
use crate::reader::read::Read;
use crate::reader::stop::Stop;

impl ExtentWalk {
    /// Returns the public error for what stopped this walk, or the read of its run, in `image`.
    #[cold]
    pub(crate) fn error<E>(&self, stop: Stop, image: &ImageState) -> Error<E> {
        let GuestOffset(guest_offset) = self.start();
        match stop {
            Stop::Corrupt(kind) => Error::Corrupt(self.corrupt(kind, image)),
            #[cfg(feature = "deflate")]
            Stop::Stream(reason) => Error::Corrupt(Corrupt::stream(reason, self.cluster(image), self.host())),
            // Unreachable for a miss: drivers read what is missing.
            Stop::Miss | Stop::OutOfRange => Error::OutOfRange,
            Stop::KeyRequired => Error::KeyRequired { guest_offset },
            Stop::CipherFailed => Error::CipherFailed { guest_offset },
            #[cfg(feature = "deflate")]
            Stop::MemoryTooSmall => Error::MemoryTooSmall {
                needed: image.needed_for_compressed(),
            },
            #[cfg(not(feature = "deflate"))]
            Stop::Compression => Error::Unsupported(crate::error::Unsupported::Compression),
        }
    }

    /// Returns a flaw with its offsets: those of the L1 entry, or of the next L2 word.
    fn corrupt(&self, kind: CorruptKind, image: &ImageState) -> Corrupt {
        let l1 = image.last_l1_entry();
        match (kind, image.geometry()) {
            // A raw disk has no tables, and so no flaws.
            (CorruptKind::L1Bit63Set | CorruptKind::L2PastEnd, _) | (_, None) => Corrupt::at(kind, l1.start, l1.host),
            (_, Some(geometry)) => {
                let host = L2Entry::host(self.word(), geometry.cluster_bits);
                Corrupt::at(kind, self.cluster(image), host)
            }
        }
    }

    /// Returns the start of the cluster that a flaw is in. Flaws are only reported for the first cluster of a run.
    fn cluster(&self, image: &ImageState) -> GuestOffset {
        image
            .geometry()
            .map_or(self.start(), |geometry| geometry.cluster_start(self.start()))
    }
}

impl Read<'_> {
    /// Returns the public error for what stopped this read in `image`.
    #[cold]
    pub(crate) fn error<E>(&self, stop: Stop, image: &ImageState) -> Error<E> {
        self.walk().error(stop, image)
    }

    /// Returns the error of a chain that has no image at [`Read::level`].
    #[cold]
    pub(crate) fn backing_required<E>(&self) -> Error<E> {
        Error::BackingRequired {
            guest_offset: self.walk().start().0,
        }
    }
}
