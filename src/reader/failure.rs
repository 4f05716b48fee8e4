//! The public error for what stopped the core.

use crate::error::{Corrupt, Error, Flaw};
use crate::format::entry::L2Entry;
use crate::reader::extent_walk::ExtentWalk;
use crate::reader::image_state::ImageState;
use crate::reader::read::Read;
use crate::reader::stop::Stop;

impl ExtentWalk {
    /// The public error for what stopped this walk, or the read of its run, in `image`. After a flaw the image forgets its
    /// tables: it may be corrupt, and then they are read again as they were; or the device has returned something else for
    /// once, and nothing of that must stay.
    #[cold]
    pub(crate) fn error<E>(&self, stop: Stop, image: &mut ImageState<'_>) -> Error<E> {
        let error = self.failure(stop, image);
        if let Error::Corrupt(_) = error {
            image.forget_tables();
        }
        error
    }

    /// The same, without forgetting.
    pub(crate) fn failure<E>(&self, stop: Stop, image: &ImageState<'_>) -> Error<E> {
        match stop {
            Stop::Corrupt(flaw) => Error::Corrupt(self.corrupt(flaw, image)),
            // A driver reads what is missing; it never asks for an error.
            Stop::Miss | Stop::OutOfRange => Error::OutOfRange,
            Stop::KeyRequired => Error::KeyRequired,
            Stop::CipherFailed => Error::CipherFailed,
            #[cfg(feature = "deflate")]
            Stop::MemoryTooSmall => Error::MemoryTooSmall {
                needed: image.needed_for_compressed(),
            },
            #[cfg(not(feature = "deflate"))]
            Stop::Compression => Error::Unsupported(crate::error::Unsupported::Compression),
        }
    }

    /// The place of a flaw: that of the word which is next, or of the stream that the run is stored in.
    fn corrupt(&self, flaw: Flaw, image: &ImageState<'_>) -> Corrupt {
        let l1 = image.last_l1();
        let (guest, host) = match (flaw, image.geometry()) {
            // In a raw disk there are none.
            (Flaw::L1Flag | Flaw::L2PastEnd, _) | (_, None) => (l1.start, l1.host),
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
    /// The public error for what stopped this read in `image`.
    #[cold]
    pub(crate) fn error<E>(&self, stop: Stop, image: &mut ImageState<'_>) -> Error<E> {
        self.walk().error(stop, image)
    }
}
