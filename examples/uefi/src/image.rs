//! Images in the firmware's memory.

use qcow1::{BlockRead, Error, Image, OpenOptions};
use uefi::Status;

use crate::firmware::{free, pages};

/// The number of bytes to lend to an image for its tables, in addition to the memory for compressed clusters, if the
/// configuration does not set it.
const TABLES: usize = 1 << 20;

/// Opens an image in `lent` bytes of memory, or in less if it cannot use as much. Returns it with the number of bytes.
///
/// # Errors
/// The device and the reason.
pub fn open<D: BlockRead<Error = Status>>(
    mut device: D,
    lent: Option<usize>,
) -> Result<(Image<D, &'static mut [u8]>, usize), (D, Error<Status>)> {
    // More memory would not be used.
    let most = match OpenOptions::new().memory_needed(&mut device, lent.unwrap_or(TABLES)) {
        Ok(most) => most,
        Err(error) => return Err((device, error)),
    };
    let lent = lent.unwrap_or(most).min(most);
    let memory = match pages(lent) {
        Ok(memory) => memory,
        Err(error) => return Err((device, Error::Io(error.status()))),
    };
    match Image::open(device, memory) {
        Ok(image) => Ok((image, lent)),
        Err(error) => {
            let (device, memory, error) = error.into_parts();
            free(memory);
            Err((device, error))
        }
    }
}

/// Wipes and frees the memory of an image, and returns its device.
pub fn close<D>(image: Image<D, &'static mut [u8]>) -> D {
    let (device, memory) = image.into_parts();
    free(memory);
    device
}
