//! A device with another error type.

use core::fmt;

use crate::device::{BlockRead, BlockSize};

/// A device whose error is converted by a function.
///
/// It implements [`BlockRead`] over a [`BlockRead`] and, with the feature `async`,
/// [`aio::BlockRead`](crate::aio::BlockRead) over a device that implements that. Use it for devices
/// with different errors in one [`Chain`](crate::Chain), whose images have one type:
///
/// ```
/// use qcow1::{BlockRead, BlockSize, Chain, Image, MapErr};
///
/// struct Virtio(Vec<u8>); // your driver
///
/// #[derive(Debug)]
/// struct VirtioError;
///
/// impl BlockRead for Virtio {
///     type Error = VirtioError;
///
///     fn block_size(&self) -> BlockSize {
///         BlockSize::B512
///     }
///
///     fn size(&mut self) -> Result<u64, VirtioError> {
///         Ok(self.0.len() as u64)
///     }
///
///     fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), VirtioError> {
///         let start = lba as usize * 512;
///         buf.copy_from_slice(self.0.get(start..start + buf.len()).ok_or(VirtioError)?);
///         Ok(())
///     }
/// }
///
/// /// The error of both devices.
/// #[derive(Debug)]
/// enum DiskError {
///     Virtio(VirtioError),
/// }
///
/// type Device<'a> = &'a mut dyn BlockRead<Error = DiskError>;
///
/// let virtio = Virtio(include_bytes!("../../tests/data/overlay.qcow").to_vec());
/// let mut virtio = MapErr::new(virtio, DiskError::Virtio);
/// // The base is in memory, so its reads cannot fail.
/// let mut base = MapErr::new([7_u8; 4096], |never| -> DiskError { match never {} });
/// let mut chain = Chain::<Image<Device, [u8; 4096]>, 2>::new();
/// chain.push(Image::open(&mut virtio as Device, [0; 4096])?).expect("room for two images");
/// chain.push(Image::open_raw(&mut base as Device, [0; 4096])?).expect("the overlay has a backing file");
/// let mut sector = [0; 512];
/// chain.read_at(0, &mut sector)?;
/// # Ok::<(), qcow1::Error<DiskError>>(())
/// ```
#[derive(Clone, Copy)]
pub struct MapErr<D, F> {
    pub(crate) device: D,
    pub(crate) map: F,
}

impl<D, F> MapErr<D, F> {
    /// Wraps `device`, and passes each of its errors through `map`.
    #[must_use]
    pub const fn new(device: D, map: F) -> Self {
        Self { device, map }
    }

    /// Returns the wrapped device.
    #[must_use]
    pub fn into_inner(self) -> D {
        self.device
    }
}

impl<D: BlockRead, E: fmt::Debug, F: FnMut(D::Error) -> E> BlockRead for MapErr<D, F> {
    type Error = E;

    fn block_size(&self) -> BlockSize {
        self.device.block_size()
    }

    fn size(&mut self) -> Result<u64, E> {
        self.device.size().map_err(&mut self.map)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), E> {
        self.device.read_blocks(lba, buf).map_err(&mut self.map)
    }
}

impl<D: fmt::Debug, F> fmt::Debug for MapErr<D, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MapErr").field(&self.device).finish()
    }
}
