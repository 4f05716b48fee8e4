//! The asynchronous cursor: a position in a guest's disk.

use embedded_io_async::{ErrorType, Read, Seek, SeekFrom};

use crate::aio::AsyncGuestRead;
use crate::error::Error;
use crate::guest::{after, stored, target};

/// A position in a guest's disk, which reads the disk as a stream.
///
/// It implements [`embedded_io_async::Read`] and [`embedded_io_async::Seek`]. Dropping the future of a `read` leaves
/// the position unchanged.
///
/// ```
/// # use qcow1::{BlockRead, BlockSize, aio::AsyncBlockRead};
/// # struct Driver(&'static [u8]);
/// # impl AsyncBlockRead for Driver {
/// #     type Error = core::convert::Infallible;
/// #     fn block_size(&self) -> BlockSize { BlockSize::BYTE }
/// #     async fn size(&mut self) -> Result<u64, Self::Error> { self.0.size() }
/// #     async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> { self.0.read_blocks(lba, buf) }
/// # }
/// # let device = Driver(include_bytes!("../../tests/data/plain.qcow"));
/// use embedded_io_async::{Read, Seek, SeekFrom};
/// use qcow1::aio::Image;
///
/// # pollster::block_on(async {
/// let mut memory = [0; 4096];
/// let mut image = Image::open(device, &mut memory).await?;
/// let mut cursor = image.cursor();
/// cursor.seek(SeekFrom::Start(1000)).await?;
/// let mut bytes = [0; 24];
/// cursor.read_exact(&mut bytes).await.expect("the disk has 128 KiB");
/// assert_eq!(cursor.position(), 1024);
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// # })?;
/// # Ok::<(), qcow1::Error<core::convert::Infallible>>(())
/// ```
#[derive(Debug)]
pub struct Cursor<G> {
    guest: G,
    position: u64,
}

impl<G: AsyncGuestRead> Cursor<G> {
    /// Creates a cursor at byte 0 of `guest`, which may be a `&mut G`.
    pub fn new(guest: G) -> Self {
        Self { guest, position: 0 }
    }

    /// Returns the guest offset of the next byte. It may be past the end of the disk, where reads return 0 bytes.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }
}

impl<G> ErrorType for Cursor<G>
where
    G: AsyncGuestRead,
    G::Error: embedded_io::Error + 'static,
{
    type Error = Error<G::Error>;
}

impl<G> Read for Cursor<G>
where
    G: AsyncGuestRead,
    G::Error: embedded_io::Error + 'static,
{
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        let buf = stored(buf, self.position, self.guest.size());
        if !buf.is_empty() {
            self.guest.read_at(self.position, buf).await?;
        }
        self.position = after(self.position, buf.len());
        Ok(buf.len())
    }
}

impl<G> Seek for Cursor<G>
where
    G: AsyncGuestRead,
    G::Error: embedded_io::Error + 'static,
{
    async fn seek(&mut self, pos: SeekFrom) -> Result<u64, Self::Error> {
        self.position = target(pos, self.position, self.guest.size()).ok_or(Error::OutOfRange)?;
        Ok(self.position)
    }
}
