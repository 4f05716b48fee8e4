//! Opens an image and what lies below it, and reads through them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use qcow1::{
    BlockRead, BlockSize, Chain, Error, Extent, ExtentKind, Header, Image, Key, OpenOptions, Probe, PushReason,
};

use crate::args::{Backing, Declared, Open};
use crate::failure::{Failure, explain};
use crate::text;

/// The most images in a chain.
const DEPTH: usize = 32;

/// The longest name of a backing file that an image can hold.
const NAME: usize = 1023;

/// How finely a failed read is searched for its cause.
const PIECE: usize = 64 << 10;

/// A guest's disk: an image, and its backing images.
pub(crate) struct Disk {
    chain: Chain<Image<'static, File>, DEPTH>,
    /// The file of each image of the chain.
    files: Vec<Source>,
    /// How many of its images have been given passwords.
    encrypted: usize,
}

struct Source {
    path: PathBuf,
    identity: Identity,
}

/// The format of a file.
enum Format {
    Qcow,
    Raw,
    /// Whatever its first bytes say.
    Probed,
}

impl Disk {
    /// Opens an image alone.
    pub(crate) fn alone(image: &Path, open: &Open) -> Result<Self, Failure> {
        let mut disk = Self {
            chain: Chain::new(),
            files: Vec::new(),
            encrypted: 0,
        };
        disk.push(image.to_owned(), &Format::Qcow, open)?;
        Ok(disk)
    }

    /// Opens an image, and its backing images as the user wants them found.
    pub(crate) fn open(image: &Path, open: &Open, backing: &Backing) -> Result<Self, Failure> {
        let mut disk = Self::alone(image, open)?;
        for declared in &backing.backing {
            match declared {
                Declared::Raw(path) => disk.push(path.clone(), &Format::Raw, open)?,
                Declared::Qcow(path) => disk.push(path.clone(), &Format::Qcow, open)?,
            }
        }
        if backing.follow {
            // Ends at the latest when the chain is full.
            while let Some(path) = disk.named_last()? {
                disk.push(path.clone(), &Format::Probed, open).map_err(|failure| {
                    let above = disk.last_path().display();
                    failure.and(format_args!(" (it is the backing file that '{above}' names)"))
                })?;
            }
        }
        // A password that is left over would be one that the user believes to be in use.
        match open.password_file.get(disk.encrypted) {
            None => Ok(disk),
            Some(password) => {
                let message = "holds a password, but there is no encrypted image left that it could be for";
                Err(Failure::of(password, message))
            }
        }
    }

    /// The size of the guest's disk in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.chain.size()
    }

    /// The top image.
    pub(crate) fn top(&mut self) -> &mut Image<'static, File> {
        &mut self.chain.images_mut()[0]
    }

    /// The guest bytes from `offset` on.
    pub(crate) fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Failure> {
        match self.chain.read_at(offset, dst) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.blame(offset, dst.len() as u64, error)),
        }
    }

    /// The same, where it is only asked whether they can be read.
    pub(crate) fn reads(&mut self, offset: u64, dst: &mut [u8]) -> bool {
        self.chain.read_at(offset, dst).is_ok()
    }

    /// How the guest bytes from `offset` on are stored.
    pub(crate) fn extent_at(&mut self, offset: u64, max_len: u64) -> Result<Extent, Failure> {
        match self.chain.extent_at(offset, max_len) {
            Ok((_, extent)) => Ok(extent),
            Err(error) => Err(self.blame(offset, 1, error)),
        }
    }

    /// The image that lies in `file`, if one does; one that the lowest image names is an image too, opened or not.
    pub(crate) fn image_in(&mut self, file: &File, path: &Path) -> Option<PathBuf> {
        let identity = Identity::of(file, path).ok()?;
        if let Some(same) = self.files.iter().find(|source| source.identity == identity) {
            return Some(same.path.clone());
        }
        let named = self.named_last().ok()??;
        let same = Identity::of(&open_file(&named).ok()?, &named).ok()? == identity;
        same.then_some(named)
    }

    /// The backing file that the lowest image names.
    fn named_last(&mut self) -> Result<Option<PathBuf>, Failure> {
        let above = self.last_path().to_owned();
        let Some(image) = self.chain.images_mut().last_mut() else {
            return Ok(None);
        };
        let mut buffer = [0; NAME];
        let name = image
            .backing_name(&mut buffer)
            .map_err(|error| Failure::of(&above, explain(&error)))?;
        let Some(name) = name else {
            return Ok(None);
        };
        let Some(path) = text::path(name) else {
            let name = String::from_utf8_lossy(name);
            let message = format_args!("names the backing file '{name}', which is no file name on this system");
            return Err(Failure::of(&above, message));
        };
        // Joining an absolute name gives that name.
        Ok(Some(above.parent().unwrap_or(Path::new("")).join(path)))
    }

    fn last_path(&self) -> &Path {
        self.files.last().map_or(Path::new(""), |source| &source.path)
    }

    /// Puts a file below those that are there.
    fn push(&mut self, path: PathBuf, format: &Format, open: &Open) -> Result<(), Failure> {
        let mut file = open_file(&path)?;
        let identity = Identity::of(&file, &path).map_err(|error| Failure::of(&path, explain(&Error::Io(error))))?;
        if self.files.iter().any(|source| source.identity == identity) {
            let message = "is in the chain of backing files already: the chain is a loop";
            return Err(Failure::of(&path, message));
        }
        let mut image = match format {
            Format::Raw => raw_image(file, &path)?,
            Format::Qcow => qcow_image(file, &path, open)?,
            Format::Probed => match probe(&mut file).map_err(|error| Failure::of(&path, explain(&Error::Io(error))))? {
                Probe::NotQcow => raw_image(file, &path)?,
                // Other versions are refused by it, with what they are.
                _ => qcow_image(file, &path, open)?,
            },
        };
        if image.header().is_some_and(Header::is_encrypted)
            && let Some(password) = open.password_file.get(self.encrypted)
        {
            image.set_key(&key_in(password)?);
            self.encrypted += 1;
        }
        self.chain.push(image).map_err(|refused| match refused.reason() {
            PushReason::Full => Failure::of(&path, format_args!("lies too deep: a chain has at most {DEPTH} images")),
            PushReason::NotNamed => {
                let above = self.last_path().display();
                let message = format_args!("cannot be the backing file of '{above}', which names none");
                Failure::of(&path, message)
            }
            other => Failure::of(&path, other),
        })?;
        self.files.push(Source { path, identity });
        Ok(())
    }

    /// Says which image a read failed in, and where: it is done again in small pieces, one image at a time.
    fn blame(&mut self, offset: u64, len: u64, error: Error<io::Error>) -> Failure {
        let mut buffer = vec![0; PIECE];
        let end = offset.saturating_add(len);
        let mut at = offset;
        while at < end {
            let mut piece = (end - at).min(PIECE as u64);
            let lowest = self.files.len() - 1;
            for (level, (image, source)) in self.chain.images_mut().iter_mut().zip(&self.files).enumerate() {
                if at >= image.size() {
                    break;
                }
                let read = image.extent_at(at, piece).and_then(|extent| {
                    piece = extent.len;
                    if extent.kind == ExtentKind::Backing && level < lowest {
                        Ok(false)
                    } else {
                        image.read_at(at, &mut buffer[..piece as usize]).map(|()| true)
                    }
                });
                match read {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(error) => {
                        let message = format_args!("at guest offset {at:#x}: {}", explain(&error));
                        return Failure::of(&source.path, message);
                    }
                }
            }
            at += piece;
        }
        // It does not fail any more, as a device may do that recovered.
        let message = format_args!("at guest offset {offset:#x}: {}", explain(&error));
        Failure::of(&self.files[0].path, message)
    }
}

/// Opens a file that an image can lie in.
pub(crate) fn open_file(path: &Path) -> Result<File, Failure> {
    let failed = |error: io::Error| Failure::of(path, format_args!("cannot be opened: {error}"));
    // To open a pipe would be to wait for its writer.
    let kind = fs::metadata(path).map_err(failed)?.file_type();
    #[cfg(unix)]
    let waits = {
        use std::os::unix::fs::FileTypeExt;
        kind.is_fifo() || kind.is_socket()
    };
    #[cfg(not(unix))]
    let waits = false;
    if kind.is_dir() {
        Err(Failure::of(path, "is a directory, not an image"))
    } else if waits {
        let message = "is a pipe or a socket, and an image must be a file that can be read at any offset";
        Err(Failure::of(path, message))
    } else {
        File::open(path).map_err(failed)
    }
}

/// Opens a QCOW1 image as the options say. The outer error is the tool's, the inner one the image's.
pub(crate) fn try_qcow_image(
    file: File,
    path: &Path,
    open: &Open,
) -> Result<Result<Image<'static, File>, Error<io::Error>>, Failure> {
    let options = OpenOptions::new().salvage(open.salvage);
    let mut file = file;
    // More than all the tables need would be of no use.
    let memory = open.memory.min(most_memory(&mut file));
    Ok(options
        .open(file, lend(path, memory)?)
        .map_err(qcow1::OpenError::into_error))
}

/// The most memory that an image makes use of; a little where it will be refused.
fn most_memory(file: &mut File) -> u64 {
    let mut prefix = [0; 48];
    match file
        .read_blocks(0, &mut prefix)
        .ok()
        .and_then(|()| Header::parse(&prefix).ok())
    {
        Some(header) => header.memory_for(BlockSize::BYTE).all_tables as u64,
        None => 512,
    }
}

fn qcow_image(file: File, path: &Path, open: &Open) -> Result<Image<'static, File>, Failure> {
    try_qcow_image(file, path, open)?.map_err(|error| Failure::of(path, explain(&error)))
}

fn raw_image(file: File, path: &Path) -> Result<Image<'static, File>, Failure> {
    // A file is read at any byte, so nothing bounces.
    Image::open_raw(file, &mut []).map_err(|refused| Failure::of(path, explain(refused.error())))
}

/// The key that a file's first line is the password of.
fn key_in(path: &Path) -> Result<Key, Failure> {
    let text = fs::read(path).map_err(|error| Failure::of(path, format_args!("cannot be read: {error}")))?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(Key::from_passphrase(line.strip_suffix(b"\r").unwrap_or(line)))
}

/// Memory for one image, for as long as the tool runs. A chain's images are few, so none is ever given back.
fn lend(path: &Path, bytes: u64) -> Result<&'static mut [u8], Failure> {
    allocate(path, bytes).map(Vec::leak)
}

/// Memory for the work on an image.
pub(crate) fn allocate(path: &Path, bytes: u64) -> Result<Vec<u8>, Failure> {
    let mut memory = Vec::new();
    let len = usize::try_from(bytes).unwrap_or(usize::MAX);
    memory.try_reserve_exact(len).map_err(|_| {
        Failure::of(
            path,
            format_args!("cannot be lent {bytes} bytes of memory: there are not so many"),
        )
    })?;
    memory.resize(len, 0);
    Ok(memory)
}

fn probe(file: &mut File) -> io::Result<Probe> {
    let mut prefix = [0; 8];
    let len = usize::try_from(BlockRead::size(file)?)
        .unwrap_or(usize::MAX)
        .min(prefix.len());
    if len != 0 {
        file.read_blocks(0, &mut prefix[..len])?;
    }
    Ok(qcow1::probe(&prefix[..len]))
}

/// What makes two names one file.
#[derive(PartialEq)]
enum Identity {
    #[cfg(unix)]
    File { device: u64, inode: u64 },
    /// A block device may have any number of names with inodes of their own.
    #[cfg(unix)]
    Device(u64),
    #[cfg(not(unix))]
    Path(PathBuf),
}

impl Identity {
    #[cfg(unix)]
    fn of(file: &File, _path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::{FileTypeExt, MetadataExt};

        let metadata = file.metadata()?;
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
    fn of(_file: &File, path: &Path) -> io::Result<Self> {
        fs::canonicalize(path).map(Self::Path)
    }
}
