//! What the boot loader and the program that it starts share.
#![no_std]

pub mod firmware;
