//! The integration tests, in one binary, so that they are linked once.
//!
//! A module that needs a feature is compiled only with the feature. `cargo test --all-features`
//! runs them all.
#![allow(
    clippy::duplicate_mod,
    reason = "the fuzz targets include the modules that they share with these tests"
)]

#[path = "../common/mod.rs"]
mod common;

#[cfg(feature = "aes")]
mod agrees_with_the_oracle;
#[cfg(all(feature = "aes", feature = "async"))]
mod aio;
#[cfg(all(feature = "embedded-io-async", feature = "std"))]
mod aio_streams;
mod aligned;
mod all_tables;
mod api;
mod backing;
#[cfg(feature = "async")]
mod bad_blocks;
mod bounded_work;
mod check;
#[cfg(all(feature = "async", feature = "deflate"))]
mod check_agrees_with_a_simple_one;
mod compressed;
mod cursor;
#[cfg(feature = "aes")]
mod damage;
#[cfg(all(feature = "defmt", feature = "embedded-storage", feature = "gpt_disk_io"))]
mod defmt;
#[cfg(feature = "std")]
mod devices;
mod doc_examples;
#[cfg(all(
    feature = "embedded-storage",
    feature = "gpt_disk_io",
    feature = "embedded-sdmmc-types",
    feature = "std"
))]
mod ecosystem;
#[cfg(feature = "aes")]
mod encrypted;
#[cfg(feature = "aes")]
mod errors_do_not_stick;
mod extents;
#[cfg(feature = "aes")]
mod faults;
#[cfg(all(feature = "gpt_disk_io", feature = "embedded-sdmmc-types"))]
mod file_systems;
mod format_page;
#[cfg(all(feature = "aes", feature = "embedded-io-async", feature = "std"))]
mod fuzz_seeds;
mod header;
mod layers;
#[cfg(all(feature = "std", feature = "gpt_disk_io", feature = "embedded-sdmmc-types"))]
mod ls_example;
mod memory_and_blocks;
mod opening;
#[cfg(all(feature = "async", feature = "std", feature = "deflate"))]
mod owned;
mod partitions;
#[cfg(feature = "aes")]
mod qemu;
mod read_only;
mod readme;
#[cfg(feature = "aes")]
mod real_images;
mod request_counts;
mod requests;
#[cfg(feature = "async")]
mod sectors;
#[cfg(feature = "embedded-storage")]
mod storages;
#[cfg(all(feature = "aes", feature = "async"))]
mod threads;
mod tracer;
mod wrappers;
mod xen;
