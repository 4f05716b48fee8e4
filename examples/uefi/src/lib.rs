//! What the boot loader and the program that it starts share.
#![cfg_attr(not(test), no_std)]

pub mod config;
#[cfg(target_os = "uefi")]
pub mod firmware;
#[cfg(target_os = "uefi")]
pub mod published;
