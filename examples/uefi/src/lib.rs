//! Code shared by the driver, the boot loader, and the program that the tests start from inside an image.
#![cfg_attr(not(test), no_std)]

pub mod config;
#[cfg(target_os = "uefi")]
pub mod firmware;
#[cfg(target_os = "uefi")]
pub mod image;
#[cfg(target_os = "uefi")]
pub mod published;
