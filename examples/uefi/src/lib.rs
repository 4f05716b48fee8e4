//! Code shared by the boot loader and the program that it starts.
#![cfg_attr(not(test), no_std)]

pub mod config;
#[cfg(target_os = "uefi")]
pub mod firmware;
#[cfg(target_os = "uefi")]
pub mod published;
