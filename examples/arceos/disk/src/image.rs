//! The guest's disk: an image on virtio disks, as ArceOS's block device.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::{format, vec};

use axdriver_block::{BaseDriverOps, BlockDriverOps, DevError, DevResult, DeviceType};
use log::{error, info};
use qcow1::{BlockRead, BlockSize, Chain, Error, GuestRead, Header, OpenError, OpenOptions};

use crate::virtio;

const SECTOR: u64 = 512;

/// The memory for the tables of each image, in bytes.
const CACHE: usize = 64 * 1024;

/// An image that owns its device and its memory.
type Image = qcow1::Image<Device, Box<[u8]>>;

/// The guest's disk: an image and its backing images.
pub struct Disk(Chain<Image, 8>);

/// Opens the image on the first virtio disk. The backing file of an image is the next virtio disk.
pub fn open() -> Result<Disk, String> {
    let mut chain = Chain::new();
    for (number, disk) in (1..).zip(virtio::disks()) {
        // Nothing opens the file that an image names: whoever starts the machine chooses its disks. So a
        // backing image may be raw.
        let options = OpenOptions::new().or_raw(number > 1);
        let image = open_image(options, disk).map_err(|error| format!("virtio disk {number}: {error}"))?;
        info!("virtio disk {number}: {image:?}");
        let has_backing = image.header().is_some_and(Header::has_backing);
        chain.push(image).map_err(|error| error.to_string())?;
        if !has_backing {
            return Ok(Disk(chain));
        }
    }
    Err(match chain.images().len() {
        0 => "the machine has no virtio disk".to_string(),
        number => format!(
            "the image on virtio disk {number} has a backing file; add it as virtio disk {}",
            number + 1
        ),
    })
}

fn open_image(options: OpenOptions, disk: DevResult<virtio::Disk>) -> Result<Image, Error<DevError>> {
    let mut device = Device(disk.map_err(Error::Io)?);
    let memory = options.memory_needed(&mut device, CACHE)?;
    Image::open_with(options, device, vec![0; memory].into()).map_err(OpenError::into_error)
}

/// A virtio disk that holds an image.
struct Device(virtio::Disk);

impl BlockRead for Device {
    type Error = DevError;

    fn block_size(&self) -> BlockSize {
        BlockSize::B512
    }

    /// Returns the size of the disk: the image file's size, which QEMU rounds up to whole sectors.
    fn size(&mut self) -> DevResult<u64> {
        Ok(self.0.num_blocks().saturating_mul(SECTOR))
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> DevResult {
        self.0.read_block(lba, buf)
    }
}

impl BaseDriverOps for Disk {
    fn device_name(&self) -> &str {
        "qcow1"
    }

    fn device_type(&self) -> DeviceType {
        DeviceType::Block
    }
}

impl BlockDriverOps for Disk {
    fn num_blocks(&self) -> u64 {
        self.0.size().div_ceil(SECTOR)
    }

    fn block_size(&self) -> usize {
        SECTOR as usize
    }

    fn read_block(&mut self, block_id: u64, buf: &mut [u8]) -> DevResult {
        self.0.read_sectors(block_id, buf).map_err(|error| {
            error!("the disk could not be read: {error}");
            DevError::Io
        })
    }

    /// Refuses to write.
    fn write_block(&mut self, _: u64, _: &[u8]) -> DevResult {
        Err(DevError::Unsupported)
    }

    fn flush(&mut self) -> DevResult {
        Ok(())
    }
}
