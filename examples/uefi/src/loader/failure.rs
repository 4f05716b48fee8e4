//! The errors of the loader, as sentences.

use core::fmt;

use uefi::Status;
use uefi_boot::config::ConfigError;

use crate::{CONFIG, PROGRAM};

/// The reason why no program was started.
pub enum Failure {
    /// The loader's own volume cannot be read.
    Volume(Status),
    File(&'static str, Status),
    FileTooLarge {
        path: &'static str,
        size: u64,
        limit: u64,
    },
    ConfigNotText,
    Config(ConfigError<'static>),
    NoImage,
    NoDisk(&'static str),
    Image(qcow1::Error<Status>),
    BackingMissing,
    BackingNotNamed,
    NoVolume,
    /// As [`Self::NoVolume`], if a wrong passphrase may be the cause.
    NoVolumeDecrypted,
    Program(Status),
    Firmware(Status),
}

impl From<qcow1::Error<Status>> for Failure {
    fn from(error: qcow1::Error<Status>) -> Self {
        Self::Image(error)
    }
}

impl From<uefi::Error> for Failure {
    fn from(error: uefi::Error) -> Self {
        Self::Firmware(error.status())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume(status) => write!(f, "the volume that this program is on cannot be read: {status}"),
            Self::File(path, status) => write!(f, "the file {path} cannot be read: {status}"),
            Self::FileTooLarge { path, size, limit } => write!(
                f,
                "the file {path} has {size} bytes. It would be read into memory whole, and only {limit} bytes of memory \
                 are free for that; write the image to a disk or a partition instead"
            ),
            Self::ConfigNotText => write!(f, "{CONFIG} is not UTF-8 text"),
            Self::Config(error) => write!(f, "{CONFIG}, {error}"),
            Self::NoImage => f.write_str("no block device is a QCOW1 image"),
            Self::NoDisk(path) => write!(f, "there is no disk {path}"),
            Self::Image(error) => write!(f, "{error}"),
            Self::BackingMissing => write!(
                f,
                "the disk cannot be read without that backing file; say in {CONFIG} where it is: 'backing = qcow ...'"
            ),
            Self::BackingNotNamed => {
                write!(
                    f,
                    "{CONFIG} has a backing image more than the images name; take the last one out"
                )
            }
            Self::NoVolume => f.write_str("the firmware finds no file system on the disk inside the image"),
            Self::NoVolumeDecrypted => f.write_str(
                "the firmware finds no file system on the disk inside the image, so the passphrase may be wrong",
            ),
            Self::Program(Status::NOT_FOUND) => write!(f, "there is no {PROGRAM} inside the image"),
            Self::Program(status) => write!(f, "{PROGRAM} inside the image failed: {status}"),
            Self::Firmware(status) => write!(f, "the firmware refused a service: {status}"),
        }
    }
}
