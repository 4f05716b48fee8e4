//! The disk of an ArceOS kernel: a QCOW1 image on a virtio disk.
//!
//! It has the name and the functions of the crate from which ArceOS's `axdriver`, with its feature
//! `dyn`, takes the disks.
#![no_std]

extern crate alloc;

mod image;
mod virtio;

/// What `axdriver` calls.
pub mod drivers {
    use alloc::boxed::Box;
    use core::convert::Infallible;

    use axdriver_block::BlockDriverOps;
    use log::error;

    /// Does nothing, because the disk is the only device.
    pub fn probe_all_devices() -> Result<(), Infallible> {
        Ok(())
    }

    /// Opens the guest's disk, or prints why it cannot be opened.
    pub fn take_block_devices() -> Option<Box<dyn BlockDriverOps>> {
        match crate::image::open() {
            Ok(disk) => Some(Box::new(disk)),
            Err(failure) => {
                error!("{failure}");
                None
            }
        }
    }
}
