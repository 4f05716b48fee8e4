//! An image on a device: the synchronous driver of the core.

pub(crate) mod chain;
pub(crate) mod check;
pub(crate) mod extents;
pub(crate) mod options;

use core::fmt;
use core::iter::FusedIterator;

use crate::device::BlockRead;
use crate::error::{Error, OpenError};
use crate::format::extent::Extent;
use crate::format::header::Header;
use crate::guest::Cursor;
use crate::guest::GuestRead;
use crate::image::extents::Extents;
use crate::image::options::OpenOptions;
use crate::reader::cipher::{Cipher, SectorCipher};
use crate::reader::device_shape::DeviceShape;
use crate::reader::extent_walk::ExtentWalk;
use crate::reader::image_state::ImageState;
use crate::reader::open::Opening;
use crate::reader::read::{Read, Step};
use crate::reader::stop::Stop;

/// A QCOW1 image, or a raw disk, on a block device.
///
/// It consists of the device and of memory that the caller lends. After an error the image is as usable as before, and
/// later reads return the same bytes as without that error.
///
/// ```
/// # let disk: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// use qcow1::Image;
///
/// let mut memory = [0; 4096];
/// let mut image = Image::open(disk, &mut memory)?;
/// let mut bytes = [0; 1000];
/// image.read_at(12_345, &mut bytes)?;
/// for extent in image.extents() {
///     let extent = extent?;
///     println!("{} bytes from {}: {:?}", extent.len, extent.start, extent.kind);
/// }
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
pub struct Image<'m, D> {
    pub(crate) device: D,
    pub(crate) state: ImageState<'m>,
}

impl<'m, D> Image<'m, D> {
    /// Returns the header, or `None` for a raw disk.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.state.header()
    }

    /// Returns the size of the guest's disk in bytes: exact, where QEMU rounds down to a multiple of 512.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.state.size().0
    }

    /// Decrypts the image's encrypted clusters with `key` from now on.
    ///
    /// Without a key, a read that touches an encrypted cluster is [`Error::KeyRequired`]; holes, backing data and
    /// compressed clusters, which are never encrypted, still read. Nothing in the format tells a wrong key: it reads
    /// as garbage. An image that is not encrypted makes no use of it.
    #[cfg(feature = "aes")]
    pub fn set_key(&mut self, key: &crate::Key) {
        self.state.cipher = Cipher::Aes(crate::AesCipher::new(key));
    }

    /// Decrypts the image's encrypted clusters with `cipher` from now on, say with an engine of the board's.
    ///
    /// `cipher` need not be `Sync`, so an engine behind a `RefCell` will do, and an image is neither `Send` nor `Sync`.
    pub fn set_cipher(&mut self, cipher: &'m dyn SectorCipher) {
        self.state.cipher = Cipher::Lent(cipher);
    }

    /// Returns the device, say to see what a wrapper has counted. The bytes that it reads must stay the same.
    pub fn device_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// Gives the device back.
    #[must_use]
    pub fn into_device(self) -> D {
        self.device
    }

    /// The image, or all that was lent for it.
    // Inlined, because the image is large to hand over. In a debug build that would only make the stack deeper.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn opened<E>(
        device: D,
        memory: &'m mut [u8],
        opening: Result<Opening, Error<E>>,
    ) -> Result<Self, OpenError<'m, D, E>> {
        match opening {
            Ok(opening) => Ok(Self {
                device,
                state: ImageState::new(opening, memory),
            }),
            Err(error) => Err(OpenError::new(device, memory, error)),
        }
    }
}

impl<'m, D: BlockRead> Image<'m, D> {
    /// Opens a QCOW1 image.
    ///
    /// `memory` needs max(512, block size) bytes; that reads every byte of every legal image that is not compressed.
    /// More makes fewer device reads: [`Header::memory_for`] has the figures. What it held is overwritten.
    ///
    /// It reads the device once.
    ///
    /// # Errors
    /// [`Error::NotQcow`] without the magic number; [`Error::Unsupported`] for another version, an unknown encryption
    /// and a device of more than 2^63 bytes; [`Error::Corrupt`] for a header that is wrong or an L1 table or backing
    /// name that reaches past the end of the file; [`Error::MemoryTooSmall`]; and the device's own. The device and the
    /// memory come back with each.
    pub fn open(device: D, memory: &'m mut [u8]) -> Result<Self, OpenError<'m, D, D::Error>> {
        OpenOptions::new().open(device, memory)
    }

    /// Opens a device as a raw disk: the base of a [`Chain`](crate::Chain), never probed.
    ///
    /// `memory` needs the bytes of one block, and none where the block size is 1.
    ///
    /// # Errors
    /// [`Error::MemoryTooSmall`]; [`Error::Unsupported`] for a device of more than 2^63 bytes; and the device's own. The
    /// device and the memory come back with each.
    pub fn open_raw(mut device: D, memory: &'m mut [u8]) -> Result<Self, OpenError<'m, D, D::Error>> {
        let opening = shape(&mut device).and_then(|shape| shape.raw(memory));
        Self::opened(device, memory, opening)
    }

    /// Fills `dst` with the guest's bytes from `offset` on: any offset and length in bytes.
    ///
    /// Clusters that lie side by side are read by one device request, straight into `dst`; only ragged ends of blocks
    /// are copied. It makes at most 5 device reads for each cluster, and 2 for each L1 entry, that the bytes touch; of a
    /// raw disk at most 3 in all.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] where they do not all lie inside the disk; [`Error::Corrupt`], naming the place;
    /// [`Error::BackingRequired`] for a hole where the image names a backing file; [`Error::KeyRequired`];
    /// [`Error::Unsupported`]; and the device's own. `dst` then holds anything, and the image is as usable as before.
    pub fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        read_at(core::slice::from_mut(self), offset, dst)
    }

    /// How the guest's bytes from `offset` on are stored: one run, at most `max_len` bytes long, at least 1.
    ///
    /// Neighbours that are stored alike are one run, but a call stops after 4,096 table words, or up to 3 more, so another
    /// run of the same kind may follow; [`Extent::join`] joins the two. It reads tables, never data, and at most twice for
    /// each word.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for an offset past the end or a `max_len` of 0; [`Error::Corrupt`]; the device's own.
    pub fn extent_at(&mut self, offset: u64, max_len: u64) -> Result<Extent, Error<D::Error>> {
        let mut walk = ExtentWalk::extent_at(&self.state, offset, max_len)?;
        self.advance(&mut walk)
    }

    /// The runs of the whole disk, in order: as [`Image::extent_at`] gives them, one after the other.
    ///
    /// It ends behind the last run or an error. After an error, [`Image::extent_at`] goes on wherever the caller likes.
    ///
    /// Each item costs no more than [`Image::extent_at`]; but a device of 2^50 bytes may hold an L1 table of 2^47 words,
    /// so for an image that is not trusted, `take` bounds them all.
    pub fn extents(&mut self) -> Extents<'_, Self> {
        Extents {
            walk: Some(ExtentWalk::extents(&self.state)),
            image: self,
        }
    }

    /// The backing file's name as the image has it, or `None` where it names none.
    ///
    /// It is bytes, not text, and untrusted: a path of the machine that wrote it, relative to the image's own. This
    /// crate opens no file of that name. 1,023 bytes hold every name. It costs at most 3 device reads.
    ///
    /// # Errors
    /// [`Error::MemoryTooSmall`] where `buf` does not hold it; the device's own.
    pub fn backing_name<'b>(&mut self, buf: &'b mut [u8]) -> Result<Option<&'b [u8]>, Error<D::Error>> {
        let Some(name) = self.state.backing_name_in(buf)? else {
            return Ok(None);
        };
        let read = Read::backing_name(&self.state, name);
        perform(core::slice::from_mut(self), read)?;
        Ok(Some(name))
    }

    /// Returns a reader with a position, for [`embedded_io::Read`] and [`embedded_io::Seek`]. It starts at 0.
    pub fn cursor(&mut self) -> Cursor<'_, Self> {
        Cursor::new(self)
    }

    /// The walk's next run, with the device reads that it takes.
    pub(crate) fn advance(&mut self, walk: &mut ExtentWalk) -> Result<Extent, Error<D::Error>> {
        // Bound: two misses for each table word that the walk looks at.
        loop {
            match walk.find(&mut self.state) {
                Ok(()) => return Ok(walk.take_extent()),
                Err(Stop::Miss) => self.fill()?,
                Err(stop) => return Err(walk.error(stop, &mut self.state)),
            }
        }
    }

    /// Reads the piece of a table that is missing.
    fn fill(&mut self) -> Result<(), Error<D::Error>> {
        let (lba, buffer) = self.state.missing();
        self.device.read_blocks(lba, buffer).map_err(Error::Io)?;
        self.state.publish();
        Ok(())
    }
}

fn shape<D: BlockRead>(device: &mut D) -> Result<DeviceShape, Error<D::Error>> {
    let size = device.size().map_err(Error::Io)?;
    DeviceShape::new(size, device.block_size())
}

impl OpenOptions {
    /// Opens an image in this way; see [`Image::open`].
    ///
    /// # Errors
    /// As [`Image::open`].
    pub fn open<D: BlockRead>(
        self,
        mut device: D,
        memory: &mut [u8],
    ) -> Result<Image<'_, D>, OpenError<'_, D, D::Error>> {
        let opening = self.inspect(&mut device, memory);
        Image::opened(device, memory, opening)
    }

    fn inspect<D: BlockRead>(self, device: &mut D, memory: &mut [u8]) -> Result<Opening, Error<D::Error>> {
        let shape = shape(device)?;
        let prefix = shape.prefix(memory)?;
        if !prefix.is_empty() {
            device.read_blocks(0, prefix).map_err(Error::Io)?;
        }
        shape.image(memory, self.salvage, self.xen_l1, self.or_raw)
    }
}

impl<D: BlockRead> Iterator for Extents<'_, Image<'_, D>> {
    type Item = Result<Extent, Error<D::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        let walk = self.walk.as_mut().filter(|walk| !walk.is_done())?;
        let item = self.image.advance(walk);
        if item.is_err() {
            self.walk = None;
        }
        Some(item)
    }
}

impl<D: BlockRead> FusedIterator for Extents<'_, Image<'_, D>> {}

/// Reads through a chain of images, top first.
pub(crate) fn read_at<D: BlockRead>(
    images: &mut [Image<'_, D>],
    offset: u64,
    dst: &mut [u8],
) -> Result<(), Error<D::Error>> {
    let top = images.first_mut().ok_or(Error::OutOfRange)?;
    let start = top.state.start_of(offset, dst.len())?;
    if let Some(lba) = top.state.direct_lba(start, dst.len()) {
        return top.device.read_blocks(lba, dst).map_err(Error::Io);
    }
    perform(images, Read::new(start, dst))
}

#[inline(never)]
fn perform<D: BlockRead>(images: &mut [Image<'_, D>], mut read: Read<'_>) -> Result<(), Error<D::Error>> {
    // Bound: each turn reads a byte or more, one of the two pieces of a table word, or goes between images for a byte or more.
    loop {
        let image = images.get_mut(read.level()).ok_or(Error::BackingRequired)?;
        match read.step(&mut image.state) {
            Ok(Step::Request(lba, buffer)) => image.device.read_blocks(lba, buffer).map_err(Error::Io)?,
            Ok(Step::ChangeImage) => {}
            Ok(Step::Done) => return Ok(()),
            Err(stop) => return Err(read.error(stop, &mut image.state)),
        }
    }
}

impl<D: BlockRead> GuestRead for Image<'_, D> {
    type Error = D::Error;

    fn size(&self) -> u64 {
        self.size()
    }

    fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<D::Error>> {
        self.read_at(offset, dst)
    }
}

impl<D> fmt::Debug for Image<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("header", &self.state.header())
            .field("len", &self.state.size().0)
            .finish_non_exhaustive()
    }
}
