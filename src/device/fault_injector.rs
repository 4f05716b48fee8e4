//! A device that fails chosen reads, for tests.

use core::fmt;

use crate::device::tracer::ReadRequest;
use crate::device::{BlockRead, BlockSize};

/// A device whose reads fail if a function says so, for tests.
///
/// A failed read does not reach the device. It fills the buffer with 0xee, because a failed transfer may leave any
/// bytes in it.
///
/// ```
/// # let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// use qcow1::{Error, FaultInjector, FaultInjectorError, Image};
///
/// // The second read fails, once.
/// let mut reads = 0;
/// let device = FaultInjector::new(file, move |_| {
///     reads += 1;
///     reads == 2
/// });
/// let mut memory = [0; 4096];
/// let mut image = Image::open(device, &mut memory)?;
/// let mut sector = [0; 512];
/// assert_eq!(image.read_at(0, &mut sector), Err(Error::Io(FaultInjectorError::Injected)));
/// assert_eq!(image.read_at(0, &mut sector), Ok(()));
/// # Ok::<(), Error<FaultInjectorError<core::convert::Infallible>>>(())
/// ```
#[derive(Clone, Copy)]
pub struct FaultInjector<D, F> {
    device: D,
    fails: F,
}

/// The error of a [`FaultInjector`] device.
///
/// ```
/// # let file: &[u8] = include_bytes!("../../tests/data/plain.qcow");
/// use qcow1::{Error, FaultInjector, FaultInjectorError, Image};
///
/// let mut memory = [0; 512];
/// let every_read_fails = FaultInjector::new(file, |_| true);
/// match Image::open(every_read_fails, &mut memory).map_err(Error::from) {
///     Ok(_) => println!("opened"),
///     Err(Error::Io(FaultInjectorError::Injected)) => println!("the injected failure"),
///     Err(error) => println!("another failure: {error}"),
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FaultInjectorError<E> {
    /// The device's own error.
    Device(E),
    /// The failure that the function requested.
    Injected,
}

impl<D: BlockRead, F: FnMut(ReadRequest) -> bool> FaultInjector<D, F> {
    /// Wraps `device`. `fails` is called once for each read; the read fails if it returns `true`.
    #[must_use]
    pub const fn new(device: D, fails: F) -> Self {
        Self { device, fails }
    }
}

impl<D, F> FaultInjector<D, F> {
    /// Returns a mutable reference to the wrapped device.
    pub const fn get_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// Returns the wrapped device.
    #[must_use]
    pub fn into_inner(self) -> D {
        self.device
    }
}

impl<D: BlockRead, F: FnMut(ReadRequest) -> bool> BlockRead for FaultInjector<D, F> {
    type Error = FaultInjectorError<D::Error>;

    fn block_size(&self) -> BlockSize {
        self.device.block_size()
    }

    fn size(&mut self) -> Result<u64, Self::Error> {
        self.device.size().map_err(FaultInjectorError::Device)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        if (self.fails)(ReadRequest::new(lba, buf)) {
            buf.fill(0xee);
            return Err(FaultInjectorError::Injected);
        }
        self.device.read_blocks(lba, buf).map_err(FaultInjectorError::Device)
    }
}

impl<D, F> fmt::Debug for FaultInjector<D, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultInjector").finish_non_exhaustive()
    }
}

impl<E: fmt::Display> fmt::Display for FaultInjectorError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => fmt::Display::fmt(error, f),
            Self::Injected => f.write_str("an injected failure"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for FaultInjectorError<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            // `Display` forwards to the inner error, so `source` skips it.
            Self::Device(error) => error.source(),
            Self::Injected => None,
        }
    }
}

impl<E: embedded_io::Error + 'static> embedded_io::Error for FaultInjectorError<E> {
    fn kind(&self) -> embedded_io::ErrorKind {
        match self {
            Self::Device(error) => error.kind(),
            Self::Injected => embedded_io::ErrorKind::Other,
        }
    }
}
