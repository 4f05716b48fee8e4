//! Determines whether writing to one file changes the bytes of another.

use std::fs::Metadata;
use std::io;
use std::path::Path;

/// The folder in which Linux describes block devices, by their numbers.
const BLOCK_DEVICES: &str = "/sys/dev/block";

/// The maximum number of steps down from a file. Three lead to its file system's partition, to the
/// partition's disk, and to the file of a loop device; the rest is for nested loop devices.
const STEPS: usize = 8;

/// The identity of a file: equal for two names of one file.
#[derive(Clone, PartialEq)]
pub(crate) enum Identity {
    #[cfg(unix)]
    File { device: u64, inode: u64 },
    /// A block device, which may have any number of names with inodes of their own.
    #[cfg(unix)]
    Device(u64),
    #[cfg(not(unix))]
    Path(std::path::PathBuf),
}

/// How two files have bytes in common.
pub(crate) enum Shared {
    /// They are the same file.
    Same,
    /// One is a device that holds the other: a loop device and its file, or a partition and a file
    /// of its file system.
    Beneath,
}

impl Identity {
    /// Returns the identity of the file with this metadata. Symbolic links must have been followed.
    #[cfg(unix)]
    pub(crate) fn of(metadata: &Metadata, _path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::{FileTypeExt, MetadataExt};

        Ok(if metadata.file_type().is_block_device() {
            Self::Device(metadata.rdev())
        } else {
            Self::File {
                device: metadata.dev(),
                inode: metadata.ino(),
            }
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn of(_metadata: &Metadata, path: &Path) -> io::Result<Self> {
        std::fs::canonicalize(path).map(Self::Path)
    }

    /// Returns how the bytes of the two files overlap, or `None` if writing to one leaves the other
    /// as it is.
    pub(crate) fn shares(&self, other: &Self) -> Option<Shared> {
        self.shares_by(other, Path::new(BLOCK_DEVICES))
    }

    fn shares_by(&self, other: &Self, devices: &Path) -> Option<Shared> {
        if self == other {
            return Some(Shared::Same);
        }
        let (mine, others) = (self.stack(devices), other.stack(devices));
        let common = mine.iter().find(|identity| others.contains(identity))?;
        // Two partitions of a disk, or two files of a file system, share only the device below
        // them, not bytes.
        let overlap = common == self || common == other || common.is_file();
        overlap.then_some(Shared::Beneath)
    }

    fn is_file(&self) -> bool {
        match self {
            #[cfg(unix)]
            Self::File { .. } => true,
            #[cfg(unix)]
            Self::Device(_) => false,
            #[cfg(not(unix))]
            Self::Path(_) => true,
        }
    }

    /// Returns the file itself and what it is stored on, as far as the system reports it.
    fn stack(&self, devices: &Path) -> Vec<Self> {
        std::iter::successors(Some(self.clone()), |identity| identity.below(devices))
            .take(STEPS)
            .collect()
    }

    #[cfg(unix)]
    fn below(&self, devices: &Path) -> Option<Self> {
        match self {
            Self::File { device, .. } => Some(Self::Device(*device)),
            Self::Device(device) => Self::below_device(*device, devices),
        }
    }

    #[cfg(target_os = "linux")]
    fn below_device(device: u64, devices: &Path) -> Option<Self> {
        use std::os::unix::ffi::OsStringExt;
        use std::os::unix::fs::FileTypeExt;

        let number = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
        let description = devices.join(number);
        if description.join("partition").exists() {
            let disk = std::fs::read_to_string(description.join("../dev")).ok()?;
            let (major, minor) = disk.trim_end().split_once(':')?;
            let device = rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?);
            return Some(Self::Device(device));
        }
        let mut file = std::fs::read(description.join("loop/backing_file")).ok()?;
        file.pop_if(|byte| *byte == b'\n');
        let file = std::path::PathBuf::from(std::ffi::OsString::from_vec(file));
        let metadata = std::fs::metadata(&file).ok()?;
        let kind = metadata.file_type();
        (kind.is_file() || kind.is_block_device())
            .then(|| Self::of(&metadata, &file).ok())
            .flatten()
    }

    /// Other systems do not describe devices in files.
    #[cfg(all(unix, not(target_os = "linux")))]
    fn below_device(_device: u64, _devices: &Path) -> Option<Self> {
        None
    }

    #[cfg(not(unix))]
    fn below(&self, _devices: &Path) -> Option<Self> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder that describes block devices as Linux does.
    struct Devices(tempfile::TempDir);

    impl Devices {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        /// Adds a loop device with one partition, over a file that it makes.
        fn loop_device(&self, minor: u32, file: &str) -> Identity {
            let file = self.0.path().join(file);
            fs::write(&file, "").unwrap();
            let disk = self.0.path().join(format!("devices/loop{minor}"));
            fs::create_dir_all(disk.join("loop")).unwrap();
            fs::write(disk.join("dev"), format!("7:{minor}\n")).unwrap();
            fs::write(
                disk.join("loop/backing_file"),
                [file.as_os_str().as_encoded_bytes(), b"\n"].concat(),
            )
            .unwrap();
            for partition in [1, 2] {
                let folder = disk.join(format!("p{partition}"));
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join("partition"), "").unwrap();
                symlink(&folder, self.0.path().join(format!("259:{}", minor * 10 + partition))).unwrap();
            }
            symlink(&disk, self.0.path().join(format!("7:{minor}"))).unwrap();
            Identity::Device(rustix::fs::makedev(7, minor))
        }

        fn file(&self, name: &str) -> Identity {
            let path = self.0.path().join(name);
            Identity::of(&fs::metadata(&path).unwrap(), &path).unwrap()
        }

        fn share(&self, a: &Identity, b: &Identity) -> bool {
            let (there, back) = (a.shares_by(b, self.0.path()), b.shares_by(a, self.0.path()));
            assert_eq!(there.is_some(), back.is_some());
            there.is_some()
        }
    }

    fn partition(minor: u32) -> Identity {
        Identity::Device(rustix::fs::makedev(259, minor))
    }

    #[test]
    fn a_loop_device_and_its_partitions_share_the_bytes_of_its_file() {
        let devices = Devices::new();
        let disk = devices.loop_device(1, "image");
        let file = devices.file("image");
        fs::write(devices.0.path().join("other"), "").unwrap();
        let other = devices.file("other");
        for device in [&disk, &partition(11), &partition(12)] {
            assert!(devices.share(device, &file));
            assert!(!devices.share(device, &other));
        }
        assert!(!devices.share(&file, &other));
    }

    #[test]
    fn a_disk_shares_the_bytes_of_its_partitions_and_they_share_none() {
        let devices = Devices::new();
        let disk = devices.loop_device(1, "image");
        assert!(devices.share(&disk, &partition(11)));
        assert!(!devices.share(&partition(11), &partition(12)));
    }

    #[test]
    fn two_loop_devices_over_one_file_share_its_bytes() {
        let devices = Devices::new();
        let (one, two) = (devices.loop_device(1, "image"), devices.loop_device(2, "image"));
        assert!(devices.share(&one, &two));
        let third = devices.loop_device(3, "another");
        assert!(!devices.share(&one, &third));
    }

    #[test]
    fn a_device_shares_the_bytes_of_the_files_on_it() {
        let devices = Devices::new();
        let disk = devices.loop_device(1, "image");
        let on_it = Identity::File {
            device: rustix::fs::makedev(7, 1),
            inode: 99,
        };
        assert!(devices.share(&on_it, &disk));
        // It also shares the bytes of the file below it.
        assert!(devices.share(&on_it, &devices.file("image")));
    }
}
