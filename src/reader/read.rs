//! Reads guest bytes into the caller's buffer, through an image and the images below it, one device
//! request at a time.
//!
//! A driver asks for the next step, performs it, and asks again.

use crate::offset::{GuestOffset, byte_count, saturating_usize};
#[cfg(feature = "deflate-small")]
use crate::reader::compressed::{ClusterInflater, Stream};
use crate::reader::extent_walk::ExtentWalk;
use crate::reader::image_state::{ImageState, Storage};
use crate::reader::stop::Stop;

/// A read of guest bytes through a chain of images. It goes through one image at a time, so it
/// needs no recursion.
pub(crate) struct ChainRead<'b> {
    /// The part of the caller's buffer that is not filled yet.
    pub(super) dst: &'b mut [u8],
    /// The guest bytes that the current image must supply for `dst`.
    pub(super) walk: ExtentWalk,
    /// The current image; 0 is the top.
    pub(super) level: usize,
    pub(super) pending: Pending,
}

/// The driver's pending action, which the next step finishes.
#[derive(Clone, Copy)]
pub(super) enum Pending {
    None,
    /// Reads a piece of a table into the cache.
    Table,
    /// Reads a plain run into the caller's buffer, or blocks of it into the bounce buffer. The
    /// caller gets the `len` bytes that start at `skip`.
    Data {
        is_bounced: bool,
        skip: usize,
        len: usize,
    },
    /// Reads what a compressed cluster is inflated from.
    #[cfg(feature = "deflate-small")]
    Stream,
    /// Continues in another image: down for the bytes of a hole, or back up.
    ChangeImage(Direction),
}

/// Where a read continues: in the image below, or in the image above.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Down,
    Up,
}

/// The driver's next action.
pub(crate) enum Step<'a> {
    /// Read the blocks that start at this one into the buffer.
    Request(u64, &'a mut [u8]),
    /// Continue with the image that [`ChainRead::level`] now returns.
    ChangeImage,
    Done,
}

impl<'b> ChainRead<'b> {
    /// Creates a read of the guest bytes that start at `start`. All of them must lie inside the
    /// disk of the top image.
    pub(crate) fn new(start: GuestOffset, dst: &'b mut [u8]) -> Self {
        let end = start.wrapping_add(byte_count(dst.len()));
        // The first step enters the top image as it would one below.
        Self::with_walk(ExtentWalk::new(start, end), dst, Pending::ChangeImage(Direction::Down))
    }

    /// Creates a read of the bytes of `walk`. It starts at the top image.
    pub(super) fn with_walk(walk: ExtentWalk, dst: &'b mut [u8], pending: Pending) -> Self {
        Self {
            dst,
            walk,
            level: 0,
            pending,
        }
    }

    /// Returns which image the next step takes; 0 is the top.
    pub(crate) fn level(&self) -> usize {
        self.level
    }

    /// Finishes the last step, which the driver has performed, and returns the next.
    ///
    /// # Errors
    /// All of [`Stop`] but [`Stop::Miss`].
    pub(crate) fn step<'a>(&'a mut self, image: &mut ImageState, memory: &'a mut [u8]) -> Result<Step<'a>, Stop> {
        self.finish(image, memory)?;
        // Bound: each turn but the last fills a byte or more of `dst`.
        loop {
            if self.walk.is_done() {
                return self.go_up(image);
            }
            match self.walk.find(image, memory) {
                Ok(()) => {}
                Err(Stop::Miss) => {
                    self.pending = Pending::Table;
                    let (lba, buffer) = image.pending_request(memory);
                    return Ok(Step::Request(lba, buffer));
                }
                Err(stop) => return Err(stop),
            }
            match self.walk.storage() {
                Storage::Zero => self.take_dst(self.walk.len()).fill(0),
                Storage::Backing => return Ok(self.go_down()),
                #[cfg(feature = "deflate-small")]
                Storage::Compressed => {
                    if !self.inflate_run(image, memory)? {
                        let inflater = image.parts.inflater.as_ref().ok_or(Stop::MemoryTooSmall)?;
                        let (lba, buffer) = inflater.pending_request(memory, image.device());
                        return Ok(Step::Request(lba, buffer));
                    }
                }
                #[cfg(not(feature = "deflate-small"))]
                Storage::Compressed => return Err(Stop::Compression),
                Storage::Data | Storage::Encrypted => return self.request_run(image, memory),
            }
        }
    }

    /// Reacts to a failed request. Returns `true` if the next step makes a smaller one in its
    /// place: a bad block beside a table word or after a compressed cluster must not make it
    /// unreadable.
    #[cold]
    pub(crate) fn narrow(&mut self, image: &mut ImageState, memory: &mut [u8]) -> bool {
        match core::mem::replace(&mut self.pending, Pending::None) {
            Pending::Table => image.narrow(memory),
            #[cfg(feature = "deflate-small")]
            Pending::Stream => image.parts.inflater.as_mut().is_some_and(ClusterInflater::narrow),
            _ => false,
        }
    }

    /// Finishes the action that the driver has performed: publishes what it has read, or enters
    /// another image.
    fn finish(&mut self, image: &mut ImageState, memory: &mut [u8]) -> Result<(), Stop> {
        // Loaded before the match: in `finish_run`, it would take 16 bytes more.
        let start = self.walk.start();
        match core::mem::replace(&mut self.pending, Pending::None) {
            Pending::None => {}
            Pending::Table => image.publish(memory),
            Pending::Data { is_bounced, skip, len } => self.finish_run(image, memory, start, is_bounced, skip, len)?,
            #[cfg(feature = "deflate-small")]
            Pending::Stream => {
                if let Some(inflater) = &mut image.parts.inflater {
                    inflater.publish();
                }
            }
            Pending::ChangeImage(direction) => self.change_image(image, memory, direction),
        }
        Ok(())
    }

    /// Inflates the run, which is a cluster or a part of one. Returns `false` if the driver must
    /// read the stream first.
    // Not inlined, so that reads of plain clusters do not pay for its registers and stack.
    #[cfg(feature = "deflate-small")]
    #[inline(never)]
    fn inflate_run(&mut self, image: &mut ImageState, memory: &mut [u8]) -> Result<bool, Stop> {
        let start = self.walk.start();
        let len = self.walk.len();
        let within = image.within_cluster(start);
        let ahead = self.walk.end().wrapping_sub(start);
        let inflater = image.parts.inflater.as_mut().ok_or(Stop::MemoryTooSmall)?;
        let to = self.dst.get_mut(..saturating_usize(len)).ok_or(Stop::OutOfRange)?;
        let stream = Stream {
            host: self.walk.host(),
            len: self.walk.stored_len(),
        };
        let is_read = inflater.read(memory, stream, within, to, ahead, &image.parts.cache.device)?;
        if is_read {
            self.take_dst(len);
        } else {
            self.pending = Pending::Stream;
        }
        Ok(is_read)
    }

    /// Takes the next `len` bytes off the caller's buffer, and advances past them.
    // Not inlined: four calls would add a hundred bytes.
    #[inline(never)]
    pub(super) fn take_dst(&mut self, len: u64) -> &'b mut [u8] {
        self.walk.advance(len);
        let dst = core::mem::take(&mut self.dst);
        let len = saturating_usize(len).min(dst.len());
        let (taken, rest) = dst.split_at_mut_checked(len).unwrap_or_default();
        self.dst = rest;
        taken
    }
}
