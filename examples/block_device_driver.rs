//! Adapters between `block-device-driver` 0.2 and this crate, in both directions, to copy.
//!
//! One makes a device of a driver that implements `BlockDevice`, the other makes a `BlockDevice` of the guest's disk.
//! They are not in the crate because the conversions between blocks and bytes in `block-device-driver` panic if the
//! alignment is larger than a block. The driver here is an image of the repository, in memory.

use core::convert::Infallible;
use core::fmt;

use aligned::{A1, A64, Alignment};
use block_device_driver::{BlockDevice, blocks_to_slice_mut, slice_to_blocks_mut};
use qcow1::aio::{BlockRead, GuestRead, Image};
use qcow1::{Aligned, BlockSize, Error, Memory, OpenError};

const SECTOR: usize = 512;

/// A driver's `BlockDevice` as a device. Its buffers must have the driver's alignment: see [`device`].
struct FromBlockDevice<B>(B);

/// The error of a [`FromBlockDevice`].
#[derive(Debug)]
enum DriverError<E> {
    Driver(E),
    /// The driver counts blocks with 32 bits.
    PastTwoTib,
}

impl<B: BlockDevice<SECTOR>> BlockRead for FromBlockDevice<B> {
    type Error = DriverError<B::Error>;

    fn block_size(&self) -> BlockSize {
        BlockSize::B512
    }

    async fn size(&mut self) -> Result<u64, Self::Error> {
        self.0.size().await.map_err(DriverError::Driver)
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        let lba = u32::try_from(lba).map_err(|_| DriverError::PastTwoTib)?;
        let blocks = slice_to_blocks_mut(buf);
        self.0.read(lba, blocks).await.map_err(DriverError::Driver)
    }
}

type Device<B, M> = Aligned<FromBlockDevice<B>, M>;
type DeviceError<B, M> = OpenError<FromBlockDevice<B>, M, DriverError<<B as BlockDevice<SECTOR>>::Error>>;

/// Makes a device of a driver that accepts any buffer. `bounce` needs room for a block at the driver's alignment.
fn device<B: BlockDevice<SECTOR>, M: Memory>(driver: B, bounce: M) -> Result<Device<B, M>, DeviceError<B, M>> {
    let align = align_of::<aligned::Aligned<B::Align, [u8; SECTOR]>>();
    Aligned::new_async(FromBlockDevice(driver), align as u32, bounce)
}

/// A guest's disk as a read-only `BlockDevice` that accepts any buffer.
struct ToBlockDevice<G>(G);

/// The error of a [`ToBlockDevice`].
#[derive(Debug)]
enum DiskError<E> {
    // The caller prints it.
    #[allow(dead_code, reason = "this program only prints it with Debug")]
    Read(Error<E>),
    ReadOnly,
}

impl<G: GuestRead> BlockDevice<SECTOR> for ToBlockDevice<G> {
    type Error = DiskError<G::Error>;
    type Align = A1;

    async fn read(
        &mut self,
        block_address: u32,
        data: &mut [aligned::Aligned<A1, [u8; SECTOR]>],
    ) -> Result<(), Self::Error> {
        let read = self
            .0
            .read_sectors(block_address.into(), blocks_to_slice_mut(data))
            .await;
        read.map_err(DiskError::Read)
    }

    async fn write(&mut self, _: u32, _: &[aligned::Aligned<A1, [u8; SECTOR]>]) -> Result<(), Self::Error> {
        Err(DiskError::ReadOnly)
    }

    /// Returns the size in bytes, rounded up to whole blocks: the rest of the last block reads as zeros.
    async fn size(&mut self) -> Result<u64, Self::Error> {
        Ok(self.0.size().next_multiple_of(SECTOR as u64))
    }
}

/// A driver with DMA, which requires buffers aligned to 64 bytes.
struct Driver(&'static [u8]);

impl BlockDevice<SECTOR> for Driver {
    type Error = Infallible;
    type Align = A64;

    async fn read(
        &mut self,
        block_address: u32,
        data: &mut [aligned::Aligned<A64, [u8; SECTOR]>],
    ) -> Result<(), Infallible> {
        let start = block_address as usize * SECTOR;
        let data = blocks_to_slice_mut(data);
        data.copy_from_slice(&self.0[start..start + data.len()]);
        Ok(())
    }

    async fn write(&mut self, _: u32, _: &[aligned::Aligned<A64, [u8; SECTOR]>]) -> Result<(), Infallible> {
        unreachable!("an image is never written")
    }

    async fn size(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.len() as u64)
    }
}

/// Reads a whole `BlockDevice`, three blocks at a time.
async fn read_all<B: BlockDevice<SECTOR>>(device: &mut B) -> Result<Vec<u8>, B::Error>
where
    B::Align: Alignment,
{
    let blocks = device.size().await? / SECTOR as u64;
    let mut bytes = Vec::new();
    for start in (0..blocks).step_by(3) {
        let mut data = [const { aligned::Aligned([0; SECTOR]) }; 3];
        let data = &mut data[..(blocks - start).min(3) as usize];
        device.read(start as u32, data).await?;
        bytes.extend(data.iter().flat_map(|block| **block));
    }
    Ok(bytes)
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let driver = Driver(include_bytes!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/plain.qcow"
    )));
    let device = device(driver, [0; 63 + SECTOR])?;
    let image = Image::open(device, [0; 4096]).await?;
    let mut disk = ToBlockDevice(image);
    let bytes = read_all(&mut disk).await.map_err(|error| format!("{error:?}"))?;
    println!("{} bytes, the sum of which is {}", bytes.len(), sum(&bytes));
    let written = disk.write(0, &[aligned::Aligned([0; SECTOR])]).await;
    println!(
        "writing: {}",
        written.map_or_else(|error| format!("{error:?}"), |()| "done".into())
    );
    Ok(())
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().copied().map(u64::from).sum()
}

impl<E: fmt::Debug> fmt::Display for DriverError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(error) => write!(f, "{error:?}"),
            Self::PastTwoTib => f.write_str("the driver can read only the first 2 TiB"),
        }
    }
}

impl<E: fmt::Debug> std::error::Error for DriverError<E> {}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    pollster::block_on(run())
}
