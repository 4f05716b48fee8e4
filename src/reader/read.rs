//! How guest bytes get into the caller's buffer: through an image and those below it, a device request at a time.
//!
//! The synchronous and the asynchronous driver are one loop: ask for the next step, perform it, ask again.

use crate::device::BlockSize;
use crate::offset::{GuestOffset, HostOffset, byte_count, saturating_usize};
use crate::reader::extent_walk::ExtentWalk;
use crate::reader::image_state::{ImageState, Storage};
use crate::reader::stop::Stop;

/// A read of guest bytes, without recursion: it goes through one image at a time.
pub(crate) struct Read<'b> {
    /// What is still to be filled of the caller's buffer.
    dst: &'b mut [u8],
    /// The guest bytes that belong there, as far as this image has them.
    walk: ExtentWalk,
    /// The image; 0 is the top.
    level: usize,
    transfer: Transfer,
}

/// What the driver was asked for, and has done by the next step.
#[derive(Clone, Copy)]
pub(super) enum Transfer {
    None,
    /// To read a piece of a table.
    Table,
    /// To read so many bytes straight into the caller's buffer.
    Caller(usize),
    /// To read blocks into the bounce buffer, whose bytes from `skip` on the caller gets.
    Bounce {
        skip: usize,
        len: usize,
    },
    /// To read what a compressed cluster is inflated from.
    #[cfg(feature = "deflate")]
    Stream,
    /// To turn to another image: to the one below for the guest bytes of the walk, or to the one above.
    Turn {
        down: bool,
    },
}

/// What a driver is to do.
pub(crate) enum Step<'a> {
    /// Read the blocks from this one on.
    Request(u64, &'a mut [u8]),
    /// Go on with the image that [`Read::level`] names by now.
    Turn,
    Done,
}

impl<'b> Read<'b> {
    /// A read of the guest bytes from `start` on, which the topmost image has.
    pub(crate) fn new(start: GuestOffset, dst: &'b mut [u8]) -> Self {
        let end = start.wrapping_add(byte_count(dst.len()));
        Self::through(ExtentWalk::new(start, end), dst, Transfer::Turn { down: true })
    }

    pub(super) fn through(walk: ExtentWalk, dst: &'b mut [u8], transfer: Transfer) -> Self {
        Self {
            dst,
            walk,
            level: 0,
            transfer,
        }
    }

    pub(super) fn walk(&self) -> &ExtentWalk {
        &self.walk
    }

    /// The image that the next step is about; 0 is the top.
    pub(crate) fn level(&self) -> usize {
        self.level
    }

    /// Finishes the last step, which the driver has performed, and says what is next.
    pub(crate) fn step<'a>(&'a mut self, image: &'a mut ImageState<'_>) -> Result<Step<'a>, Stop> {
        let missed = matches!(self.transfer, Transfer::Table);
        self.finish(image)?;
        let mut is_found = self.walk.len() != 0 && !missed;
        // Bound: each turn but the last fills a byte or more of `dst`.
        loop {
            if !is_found {
                if self.walk.is_done() {
                    return self.go_up(image);
                }
                match self.walk.find(image) {
                    Ok(()) => {}
                    Err(Stop::Miss) => {
                        self.transfer = Transfer::Table;
                        let (lba, buffer) = image.missing();
                        return Ok(Step::Request(lba, buffer));
                    }
                    Err(stop) => return Err(stop),
                }
            }
            match self.walk.storage() {
                Storage::Zero => self.take(self.walk.len()).fill(0),
                Storage::Backing => return Ok(self.go_down()),
                #[cfg(feature = "deflate")]
                Storage::Compressed => {
                    if !self.inflate(image)? {
                        let compressed = image.memory.compressed.as_mut().ok_or(Stop::MemoryTooSmall)?;
                        let (lba, buffer) = compressed.missing(&image.memory.cache.device);
                        return Ok(Step::Request(lba, buffer));
                    }
                }
                #[cfg(not(feature = "deflate"))]
                Storage::Compressed => return Err(Stop::Compression),
                Storage::Data | Storage::Encrypted => return self.request(image),
            }
            is_found = false;
        }
    }

    /// Asks for the next bytes of a plain run: all the whole blocks at once, straight to where they belong, and ragged ends
    /// by way of the bounce buffer.
    fn request<'a>(&'a mut self, image: &'a mut ImageState<'_>) -> Result<Step<'a>, Stop> {
        let storage = self.walk.storage();
        if storage == Storage::Encrypted && image.cipher.is_none() {
            return Err(Stop::KeyRequired);
        }
        let host = self.walk.host();
        let len = saturating_usize(self.walk.len());
        let unit = image.device().block_size.max(storage.crypto_unit());
        let skip = saturating_usize(unit.within(host.0));
        let whole = unit.round_down_len(len);
        let start = HostOffset(unit.round_down(host.0));
        let lba = image.device().lba(start);
        let buffer = if skip == 0 && whole != 0 {
            self.transfer = Transfer::Caller(whole);
            self.dst.get_mut(..whole)
        } else {
            let len = len.min(unit.len().wrapping_sub(skip));
            self.transfer = Transfer::Bounce { skip, len };
            let readable = image.device().readable(start, unit.len());
            image.memory.bounce().get_mut(..readable)
        };
        // Unreachable; an error is better than a wrong byte.
        Ok(Step::Request(lba, buffer.ok_or(Stop::OutOfRange)?))
    }

    /// Puts what the driver has read to where it belongs.
    fn finish(&mut self, image: &mut ImageState<'_>) -> Result<(), Stop> {
        let start = self.walk.start();
        let is_encrypted = self.walk.storage() == Storage::Encrypted;
        match core::mem::replace(&mut self.transfer, Transfer::None) {
            Transfer::None => {}
            Transfer::Table => image.publish(),
            Transfer::Caller(len) => {
                let sectors = self.take(byte_count(len));
                if is_encrypted {
                    image.cipher.decrypt(start, sectors)?;
                }
            }
            Transfer::Bounce { skip, len } => {
                let bounce = image.memory.bounce();
                let end = skip.wrapping_add(len);
                if is_encrypted {
                    // Clusters start at sectors in the guest and in the file, so the two are ragged alike.
                    let sectors = bounce.get_mut(skip & !511..BlockSize::B512.round_up_len(end));
                    image.cipher.decrypt(start, sectors.ok_or(Stop::OutOfRange)?)?;
                }
                let to = self.take(byte_count(len));
                let from = bounce.get(skip..end).filter(|from| from.len() == to.len());
                to.copy_from_slice(from.ok_or(Stop::OutOfRange)?);
            }
            #[cfg(feature = "deflate")]
            Transfer::Stream => {
                if let Some(compressed) = &mut image.memory.compressed {
                    compressed.publish(&image.memory.cache.device);
                }
            }
            Transfer::Turn { down } => {
                if down {
                    image.read_end = self.walk.end();
                }
                self.walk.turn(image.read_end.min(image.size()));
            }
        }
        Ok(())
    }

    /// Inflates the run, which is a cluster or a part of one. Returns whether it could: else its stream has to be read first.
    #[cfg(feature = "deflate")]
    fn inflate(&mut self, image: &mut ImageState<'_>) -> Result<bool, Stop> {
        use crate::error::Flaw;
        use crate::reader::compressed::Stream;

        let start = self.walk.start();
        let len = self.walk.len();
        let within = image.within_cluster(start);
        let ahead = self.walk.end().wrapping_sub(start);
        let compressed = image.memory.compressed.as_mut().ok_or(Stop::MemoryTooSmall)?;
        let to = self.dst.get_mut(..saturating_usize(len)).ok_or(Stop::OutOfRange)?;
        let stream = Stream {
            host: self.walk.host(),
            len: self.walk.stored_len(),
        };
        let is_read = compressed
            .read(stream, within, to, ahead, &image.memory.cache.device)
            .map_err(|reason| Stop::Corrupt(Flaw::Stream(reason)))?;
        if is_read {
            self.take(len);
        } else {
            self.transfer = Transfer::Stream;
        }
        Ok(is_read)
    }

    /// Takes the next `len` bytes of the buffer, for as many of the walk.
    #[inline(never)]
    fn take(&mut self, len: u64) -> &'b mut [u8] {
        self.walk.advance(len);
        let dst = core::mem::take(&mut self.dst);
        let len = saturating_usize(len).min(dst.len());
        let (taken, rest) = dst.split_at_mut_checked(len).unwrap_or_default();
        self.dst = rest;
        taken
    }

    /// Goes on with the run in the image below.
    fn go_down(&mut self) -> Step<'static> {
        self.level = self.level.saturating_add(1);
        self.walk.end_with_run();
        self.transfer = Transfer::Turn { down: true };
        Step::Turn
    }

    /// Goes on in the image above, if there is one.
    fn go_up(&mut self, image: &ImageState<'_>) -> Result<Step<'static>, Stop> {
        let Some(above) = self.level.checked_sub(1) else {
            // Unreachable with bytes left; an error is better than a wrong byte.
            return if self.dst.is_empty() {
                Ok(Step::Done)
            } else {
                Err(Stop::OutOfRange)
            };
        };
        // An image that is shorter than the one above it reads as zeros from its end on.
        self.take(image.read_end.wrapping_sub(self.walk.start())).fill(0);
        self.level = above;
        self.transfer = Transfer::Turn { down: false };
        Ok(Step::Turn)
    }
}
