//! Reads the FAT volume of the guest's disk with embedded-sdmmc.

use embedded_sdmmc::{Error, Mode, TimeSource, Timestamp, VolumeIdx, VolumeManager};
use qcow1::{DiskError, GuestRead, ToBlockDevice};

use crate::machine::print;

/// A clock that is never used, because nothing is written.
struct NoClock;

impl TimeSource for NoClock {
    fn get_timestamp(&self) -> Timestamp {
        Timestamp::from_fat(0, 0)
    }
}

/// Prints a text file from the root directory of the first partition.
pub fn print_file<G>(disk: G, name: &str) -> Result<(), Error<DiskError<G::Error>>>
where
    G: GuestRead<Error: core::error::Error + 'static>,
{
    let volumes: VolumeManager<_, _> = VolumeManager::new(ToBlockDevice::new(disk), NoClock);
    let volume = volumes.open_volume(VolumeIdx(0))?;
    let root = volume.open_root_dir()?;
    let file = root.open_file_in_dir(name, Mode::ReadOnly)?;
    let mut buf = [0; 512];
    while !file.is_eof() {
        let read = file.read(&mut buf)?;
        for chunk in buf[..read].utf8_chunks() {
            print!("{}", chunk.valid());
        }
    }
    Ok(())
}
