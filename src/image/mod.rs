//! `Image`: the synchronous driver of the core.

pub(crate) mod chain;
#[cfg(feature = "check")]
pub(crate) mod check;
pub(crate) mod extents;
pub(crate) mod options;

use core::fmt;
use core::iter::FusedIterator;

use crate::device::BlockRead;
use crate::error::{Error, OpenError};
use crate::format::extent::Extent;
use crate::format::header::Header;
use crate::guest::cursor::Cursor;
use crate::guest::{GuestDisk, GuestRead};
use crate::image::extents::Extents;
use crate::image::options::OpenOptions;
use crate::memory::Memory;
#[cfg(feature = "aes")]
use crate::reader::cipher::{AesCipher, Key};
use crate::reader::cipher::{Cipher, SectorCipher};
use crate::reader::device_shape::DeviceShape;
use crate::reader::extent_walk::ExtentWalk;
use crate::reader::image_state::ImageState;
use crate::reader::open::{FIRST_BLOCK, ProbedDevice};
use crate::reader::read::{ChainRead, Step};
use crate::reader::stop::Stop;

/// A QCOW1 image, or a raw disk, on a block device.
///
/// It owns its device and its memory, or borrows them: `&mut D` is a device too, and [`Memory`] is
/// implemented for mutable references. It is `Send` and `Sync` if both are. After an error it stays
/// usable, and later reads return the same bytes as without that error.
///
/// ```
/// use qcow1::Image;
///
/// let disk: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// let mut image = Image::open(disk, [0; 4096])?;
/// let mut bytes = [0; 1000];
/// image.read_at(12_345, &mut bytes)?;
/// for extent in image.extents() {
///     let extent = extent?;
///     println!("{} bytes at {}: {:?}", extent.len, extent.start, extent.kind);
/// }
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
pub struct Image<D, M> {
    pub(crate) device: D,
    pub(crate) memory: M,
    pub(crate) state: ImageState,
}

impl<D, M> Image<D, M> {
    /// Returns the header, or `None` for a raw disk.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.state.header()
    }

    /// Returns the size of the guest's disk in bytes. It is exact; QEMU rounds it down to a
    /// multiple of 512.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.state.size().0
    }

    /// Sets the key with which later reads decrypt the image's encrypted clusters. An image that is
    /// not encrypted ignores it.
    ///
    /// Without a key, a read that includes an encrypted cluster returns [`Error::KeyRequired`].
    /// Holes, backing data and compressed clusters are never encrypted and need no key. QCOW1
    /// stores no key check: a wrong key yields garbage, not an error.
    #[cfg(feature = "aes")]
    pub fn set_key(&mut self, key: &Key) {
        self.state.cipher = Cipher::Aes(AesCipher::new(key));
    }

    /// Sets the cipher with which later reads decrypt the image's encrypted clusters: for example,
    /// a board's AES engine.
    ///
    /// `cipher` is shared, so that images of one key can use one cipher, and `Sync`, so that the
    /// image can move between threads. [`SectorCipher`] shows how an engine behind a
    /// `critical_section::Mutex` meets both requirements.
    pub fn set_cipher(&mut self, cipher: &'static (dyn SectorCipher + Sync)) {
        self.state.cipher = Cipher::Lent(cipher);
    }

    /// Returns a mutable reference to the device: for example, to read the counts of a
    /// [`Tracer`](crate::Tracer). The bytes that the device reads must stay the same.
    pub fn device_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// Returns the device and the memory. The contents of the memory are unspecified.
    #[must_use]
    pub fn into_parts(self) -> (D, M) {
        (self.device, self.memory)
    }

    /// Creates the image that a probe found, or returns an error with the device and the memory.
    // Inlined, because the image is large to return. In a debug build, inlining would only make the
    // stack deeper.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn from_probed<E>(
        device: D,
        mut memory: M,
        probed: Result<ProbedDevice, Error<E>>,
    ) -> Result<Self, OpenError<D, M, E>>
    where
        M: Memory,
    {
        match probed {
            // The memory is borrowed for the state before it moves.
            Ok(probed) => Ok(Self {
                state: ImageState::new(probed, memory.bytes()),
                device,
                memory,
            }),
            Err(error) => Err(OpenError::new(device, memory, error)),
        }
    }
}

impl<D, M: Memory> Image<D, M> {
    /// Forgets everything that was read, after an error.
    pub(crate) fn forget(&mut self) {
        forget(core::slice::from_mut(self));
    }
}

impl<D: BlockRead, M: Memory> Image<D, M> {
    /// Opens a QCOW1 image.
    ///
    /// `memory` must have at least max(512, block size) bytes, which is enough to read every
    /// uncompressed byte of every valid image. On a byte-addressable device, whose block size is 1,
    /// 64 bytes are enough, and each table word is then one read of 8 bytes (two, if its table is
    /// not at a multiple of 8); only a part of an encrypted sector needs 512.
    ///
    /// Compressed clusters take their share first, and what remains caches tables: more memory
    /// saves device reads. [`OpenOptions::memory_needed`] returns a figure for an image. The
    /// contents of `memory` are overwritten.
    ///
    /// An array as `memory` becomes a part of the image, which opening moves over the stack, more
    /// than once without optimization. Firmware with little stack lends a `&'static mut` reference
    /// instead; the crate's documentation shows both.
    ///
    /// Opening makes one device read.
    ///
    /// # Errors
    /// Each error returns the device and the memory.
    /// - [`Error::Empty`]: the device has 0 bytes.
    /// - [`Error::NotQcow`]: the magic number is missing.
    /// - [`Error::Unsupported`]: the version is not 1, the encryption method is unknown, or the
    ///   device has more than 2^63 bytes.
    /// - [`Error::Corrupt`]: the header is invalid, or the L1 table or the backing file's name
    ///   reaches past the end of the file.
    /// - [`Error::MemoryTooSmall`]: `memory` is smaller than the minimum.
    /// - [`Error::Io`]: the device failed.
    pub fn open(device: D, memory: M) -> Result<Self, OpenError<D, M, D::Error>> {
        Self::open_with(OpenOptions::new(), device, memory)
    }

    /// Opens a QCOW1 image with `options`.
    ///
    /// # Errors
    /// As [`Image::open`].
    pub fn open_with(options: OpenOptions, mut device: D, mut memory: M) -> Result<Self, OpenError<D, M, D::Error>> {
        let probed = probe(options, &mut device, memory.bytes());
        Self::from_probed(device, memory, probed)
    }

    /// Opens a device as a raw disk, whatever its bytes are: for example, as the base of a
    /// [`Chain`](crate::Chain).
    ///
    /// `memory` must have at least the size of one block, or may be empty if the block size is 1.
    ///
    /// Opening makes no device read.
    ///
    /// # Errors
    /// Each error returns the device and the memory.
    /// - [`Error::MemoryTooSmall`]: `memory` is smaller than a block.
    /// - [`Error::Unsupported`]: the device has more than 2^63 bytes.
    /// - [`Error::Io`]: the device failed.
    pub fn open_raw(mut device: D, mut memory: M) -> Result<Self, OpenError<D, M, D::Error>> {
        let probed = probe_shape(&mut device).and_then(|shape| shape.probe_raw(memory.bytes()));
        Self::from_probed(device, memory, probed)
    }

    /// Fills `dst` with the guest's bytes that start at `offset`. `offset`, in bytes, and the
    /// length of `dst` may have any alignment.
    ///
    /// Clusters that are adjacent in the file are read with one device request, directly into
    /// `dst`; only partial blocks at the ends are copied. A call makes at most 5 device reads for
    /// each cluster that the range touches, and 2 for each L1 entry. For a raw disk it makes at
    /// most 3 device reads in total.
    ///
    /// If the device cannot read a block, only the bytes that need this block are lost: a failed
    /// read of more than one block of a table, or of more than one compressed cluster, is retried
    /// with a smaller request. Each retry adds at most 2 device reads.
    ///
    /// # Errors
    /// The contents of `dst` are unspecified after an error; the image stays usable.
    /// - [`Error::OutOfRange`]: the range does not lie inside the disk.
    /// - [`Error::Corrupt`]: a table word or a compressed cluster is invalid. The error contains
    ///   its place.
    /// - [`Error::BackingRequired`]: the range includes a hole, and the image names a backing file.
    /// - [`Error::KeyRequired`]: the range includes an encrypted cluster, and the image has no key.
    /// - [`Error::CipherFailed`]: the cipher of [`Image::set_cipher`] failed.
    /// - [`Error::MemoryTooSmall`]: the range includes a compressed cluster, which needs more
    ///   memory to inflate, or, with less than 512 bytes of memory, it includes a part of an
    ///   encrypted sector.
    /// - [`Error::Unsupported`]: the range includes a compressed cluster, and the build lacks
    ///   `deflate` and `deflate-small`.
    /// - [`Error::Io`]: the device failed.
    pub fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        read_at(core::slice::from_mut(self), offset, dst)
    }

    /// Returns how the guest's bytes that start at `offset` are stored: one run of 1..=`max_len`
    /// bytes. `max_len` may reach past the end of the disk.
    ///
    /// A run consists of adjacent clusters that are stored in the same way. A call looks at no more
    /// than 4,099 table words, so the next run may continue this one; [`Extent::join`] joins them.
    /// A call reads only tables, with at most 2 device reads for each table word, and at most 2
    /// more for each device read that fails.
    ///
    /// # Errors
    /// - [`Error::OutOfRange`]: `offset` is not inside the disk, or `max_len` is 0.
    /// - [`Error::Corrupt`]: a table word is invalid. The error contains its place.
    /// - [`Error::Io`]: the device failed to read what describes the byte at `offset`. A run ends
    ///   before what cannot be read.
    pub fn extent_at(&mut self, offset: u64, max_len: u64) -> Result<Extent, Error<D::Error>> {
        let mut walk = ExtentWalk::over_range(&self.state, offset, max_len)?;
        self.next_extent(&mut walk)
    }

    /// Returns the runs of the whole disk in sequence, each as [`Image::extent_at`] returns it.
    ///
    /// The iterator ends after the last run or after an error. To continue after an error, call
    /// [`Image::extent_at`] with a later offset.
    ///
    /// Each item has the bounds of [`Image::extent_at`], but the number of items is bounded only by
    /// the size of the tables: a device of 2^50 bytes may hold an L1 table of 2^47 words. For an
    /// untrusted image, limit it with [`Iterator::take`].
    pub fn extents(&mut self) -> Extents<'_, Self> {
        Extents {
            walk: Some(ExtentWalk::over_disk(&self.state)),
            image: self,
        }
    }

    /// Reads the backing file's name into `buf` and returns it, or returns `None` if the image
    /// names no backing file.
    ///
    /// The name is untrusted bytes, not necessarily text. It may contain NULs; QEMU's names end at
    /// the first one. It is a path on the machine that wrote the image, absolute or relative to the
    /// image's folder. This crate never opens it. No name is longer than 1,023 bytes. A call makes
    /// at most 3 device reads.
    ///
    /// # Errors
    /// - [`Error::MemoryTooSmall`]: `buf` is shorter than the name.
    /// - [`Error::Io`]: the device failed.
    pub fn backing_name<'b>(&mut self, buf: &'b mut [u8]) -> Result<Option<&'b [u8]>, Error<D::Error>> {
        let Some(name) = self.state.backing_name_buffer(buf)? else {
            return Ok(None);
        };
        let read = ChainRead::of_backing_name(&self.state, name);
        perform(core::slice::from_mut(self), read)?;
        Ok(Some(name))
    }

    /// Returns a [`Cursor`] at byte 0, which implements [`embedded_io::Read`] and
    /// [`embedded_io::Seek`].
    pub fn cursor(&mut self) -> Cursor<&mut Self> {
        Cursor::new(self)
    }

    /// Returns the walk's next run, and performs the device reads for it. After an error, the image
    /// forgets all tables.
    pub(crate) fn next_extent(&mut self, walk: &mut ExtentWalk) -> Result<Extent, Error<D::Error>> {
        self.state.begin_call(self.memory.bytes());
        // Bound: at most two misses for each table word that the walk looks at, and two more for
        // each failed read.
        loop {
            let memory = self.memory.bytes();
            match walk.find(&mut self.state, memory) {
                Ok(()) => return Ok(walk.take_extent()),
                Err(Stop::Miss) => {
                    if let Err(error) = self.read_piece() {
                        self.forget();
                        return walk.take_partial_extent(error);
                    }
                }
                Err(stop) => {
                    let error = walk.error(stop, &self.state);
                    self.forget();
                    return Err(error);
                }
            }
        }
    }

    /// Reads the piece of a table that a look-up missed.
    fn read_piece(&mut self) -> Result<(), Error<D::Error>> {
        let memory = self.memory.bytes();
        let (lba, buffer) = self.state.pending_request(memory);
        match self.device.read_blocks(lba, buffer) {
            Ok(()) => self.state.publish(memory),
            Err(_) if self.state.narrow(self.memory.bytes()) => {}
            Err(error) => return Err(Error::Io(error)),
        }
        Ok(())
    }
}

fn probe_shape<D: BlockRead>(device: &mut D) -> Result<DeviceShape, Error<D::Error>> {
    let size = device.size().map_err(Error::Io)?;
    DeviceShape::new(size, device.block_size())
}

fn probe<D: BlockRead>(
    options: OpenOptions,
    device: &mut D,
    memory: &mut [u8],
) -> Result<ProbedDevice, Error<D::Error>> {
    let shape = probe_shape(device)?;
    let buffer = shape.header_buffer(memory)?;
    if !buffer.is_empty() {
        device.read_blocks(0, buffer).map_err(Error::Io)?;
    }
    shape.probe_image(memory, options.salvage, options.or_raw)
}

impl OpenOptions {
    /// Returns the number of bytes of memory for the image on `device`: enough to read everything
    /// at full speed, and at most `cache` bytes more for tables.
    ///
    /// It reads the header, and opening checks it again. If the blocks of `device` are larger than
    /// 512 bytes, it reads nothing: it returns what the largest clusters would need, even if
    /// `device` holds no image.
    ///
    /// ```
    /// use qcow1::{Image, OpenOptions};
    ///
    /// let mut file: &[u8] = include_bytes!("../../tests/data/compressed.qcow");
    /// let options = OpenOptions::new();
    /// let mut memory = vec![0; options.memory_needed(&mut file, 1 << 20)?]; // at most 1 MiB for tables
    /// let image = Image::open_with(options, file, &mut memory[..])?;
    /// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Image::open_with`].
    pub fn memory_needed<D: BlockRead>(self, device: &mut D, cache: usize) -> Result<usize, Error<D::Error>> {
        let mut first_block = [0; FIRST_BLOCK];
        if device.block_size().len() > first_block.len() {
            return Ok(probe_shape(device)?.memory_for_any_image(cache));
        }
        Ok(probe(self, device, &mut first_block)?.memory_needed(cache))
    }
}

impl<D: BlockRead, M: Memory> Iterator for Extents<'_, Image<D, M>> {
    type Item = Result<Extent, Error<D::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        let walk = self.walk.as_mut().filter(|walk| !walk.is_done())?;
        let item = self.image.next_extent(walk);
        if item.is_err() {
            self.walk = None;
        }
        Some(item)
    }
}

impl<D: BlockRead, M: Memory> FusedIterator for Extents<'_, Image<D, M>> {}

/// Reads from a chain of images, top first.
pub(crate) fn read_at<D: BlockRead, M: Memory>(
    images: &mut [Image<D, M>],
    offset: u64,
    dst: &mut [u8],
) -> Result<(), Error<D::Error>> {
    let top = images.first_mut().ok_or(Error::OutOfRange)?;
    let start = top.state.check_range(offset, dst.len())?;
    if let Some(lba) = top.state.direct_lba(top.memory.bytes(), start, dst.len()) {
        return top.device.read_blocks(lba, dst).map_err(Error::Io);
    }
    perform(images, ChainRead::new(start, dst))
}

#[inline(never)]
fn perform<D: BlockRead, M: Memory>(
    images: &mut [Image<D, M>],
    mut read: ChainRead<'_>,
) -> Result<(), Error<D::Error>> {
    // Bound: each turn reads at least one byte, reads one of the two parts of a table word, or
    // changes the image for at least one byte.
    let error = loop {
        let Some(image) = images.get_mut(read.level()) else {
            break read.backing_required();
        };
        match read.step(&mut image.state, image.memory.bytes()) {
            Ok(Step::Request(lba, buffer)) => match image.device.read_blocks(lba, buffer) {
                Ok(()) => {}
                Err(_) if read.narrow(&mut image.state, image.memory.bytes()) => {}
                Err(error) => break Error::Io(error),
            },
            Ok(Step::ChangeImage) => {}
            Ok(Step::Done) => return Ok(()),
            Err(stop) => break read.error(stop, &image.state),
        }
    };
    forget(images);
    Err(error)
}

/// Forgets everything that was read from the devices of a chain, after an error.
// Not inlined, so that reads have no part in its registers.
#[cold]
#[inline(never)]
pub(crate) fn forget<D, M: Memory>(images: &mut [Image<D, M>]) {
    for image in images {
        image.state.forget(image.memory.bytes());
    }
}

impl<D: BlockRead, M> GuestDisk for Image<D, M> {
    type Error = D::Error;

    fn size(&self) -> u64 {
        self.size()
    }
}

impl<D: BlockRead, M: Memory> GuestRead for Image<D, M> {
    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        self.read_at(offset, dst)
    }
}

impl<D, M> fmt::Debug for Image<D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("header", &self.state.header())
            .field("size", &self.state.size().0)
            .finish_non_exhaustive()
    }
}
