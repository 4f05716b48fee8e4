//! Opens an image and its backing files, and reads through them.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use qcow1::{
    BlockRead, BlockSize, Chain, Error, Extent, ExtentKind, Header, Image, Key, Memory, OpenOptions, Probe, PushError,
};

use crate::args::{Declared, Guest, Open};
use crate::failure::{Failure, explain};
use crate::identity::{Identity, Shared};
use crate::text;

/// The maximum number of images in a chain.
const DEPTH: usize = 32;

/// The maximum length of a backing file's name in bytes.
const NAME: usize = 1023;

/// The length in bytes of the pieces in which a failed read is repeated to find its cause.
const PIECE: usize = 64 << 10;

/// The maximum number of bytes that are read from a password file. The key is the first 16.
const PASSWORD: u64 = 4096;

/// The size in bytes of the memory for opening an image only to read its header and its backing file's name.
const MINIMUM: usize = 512;

/// An image in a file, with memory of its own.
pub(crate) type FileImage = Image<File, Vec<u8>>;

/// A guest's disk: an image, and its backing images.
pub(crate) struct Disk {
    chain: Chain<FileImage, DEPTH>,
    /// The file of each image of the chain.
    files: Vec<Source>,
    /// The password files, in the sequence of the encrypted images.
    passwords: Vec<Source>,
}

#[derive(Clone)]
struct Source {
    path: PathBuf,
    identity: Identity,
}

/// The format of a file.
enum Format {
    Qcow,
    Raw,
    /// Determined from the file's first bytes.
    Probed,
}

impl Disk {
    /// Opens an image without its backing files.
    pub(crate) fn alone(image: &Path, open: &Open) -> Result<Self, Failure> {
        Self::begin(image, open, &[])
    }

    fn begin(image: &Path, open: &Open, passwords: &[PathBuf]) -> Result<Self, Failure> {
        let mut disk = Self {
            chain: Chain::new(),
            files: Vec::new(),
            passwords: Vec::new(),
        };
        disk.push(image.to_owned(), &Format::Qcow, open, passwords)?;
        Ok(disk)
    }

    /// Opens an image and its backing files, which the user's options name or follow.
    pub(crate) fn open(image: &Path, guest: &Guest) -> Result<Self, Failure> {
        let (open, passwords) = (&guest.open, &guest.password_file[..]);
        let mut disk = Self::begin(image, open, passwords)?;
        for declared in &guest.backing {
            match declared {
                Declared::Raw(path) => disk.push(path.clone(), &Format::Raw, open, passwords)?,
                Declared::Qcow(path) => disk.push(path.clone(), &Format::Qcow, open, passwords)?,
            }
        }
        if guest.follow {
            // Bound: the length of a full chain.
            while let Some(path) = disk.named_last()? {
                disk.push(path, &Format::Probed, open, passwords).map_err(|failure| {
                    let above = disk.last_path().display();
                    failure.and(format_args!(" (it is the backing file that '{above}' names)"))
                })?;
            }
        }
        // Otherwise the user would believe that the password is used.
        match passwords.get(disk.passwords.len()) {
            None => Ok(disk),
            Some(password) => {
                let message = "is not needed: there are fewer encrypted images than password files";
                Err(Failure::of(password, message))
            }
        }
    }

    /// Returns the size of the guest's disk in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.chain.size()
    }

    /// Returns the top image.
    pub(crate) fn top(&mut self) -> &mut FileImage {
        self.chain.image_mut(0).expect("a disk has a top image")
    }

    /// Fills `dst` with the guest bytes from `offset` on.
    pub(crate) fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Failure> {
        match self.chain.read_at(offset, dst) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.blame(offset, dst.len() as u64, error)),
        }
    }

    /// Fills `dst` like `read_at`, and returns only whether that succeeded.
    pub(crate) fn reads(&mut self, offset: u64, dst: &mut [u8]) -> bool {
        self.chain.read_at(offset, dst).is_ok()
    }

    /// Returns how the guest bytes from `offset` on are stored.
    pub(crate) fn extent_at(&mut self, offset: u64, max_len: u64) -> Result<Extent, Failure> {
        match self.chain.extent_at(offset, max_len) {
            Ok((_, extent)) => Ok(extent),
            Err(error) => Err(self.blame(offset, 1, error)),
        }
    }

    /// Refuses to write to the file with this metadata if that would change what the disk is read from.
    pub(crate) fn refuse_to_overwrite(&mut self, metadata: &Metadata, path: &Path) -> Result<(), Failure> {
        let Ok(identity) = Identity::of(metadata, path) else {
            return Ok(());
        };
        for source in self.needed() {
            let how = match identity.shares(&source.identity) {
                None => continue,
                Some(Shared::Same) => "is the same file as",
                Some(Shared::Beneath) => "shares its bytes with",
            };
            let needed = source.path.display();
            let message = format_args!("{how} '{needed}', which belongs to the disk; it was left as it is");
            return Err(Failure::of(path, message));
        }
        Ok(())
    }

    /// Returns all files of the chain: those that were opened, and those that are only named by an image.
    fn needed(&mut self) -> Vec<Source> {
        let mut needed = [&self.files[..], &self.passwords].concat();
        for (level, source) in self.files.iter().enumerate() {
            let image = self.chain.image_mut(level);
            let mut named = image.and_then(|image| named_by(image, &source.path).ok().flatten());
            for _ in 0..DEPTH {
                let Some((path, identity, file)) = named.take().and_then(|path| {
                    let (file, identity) = open_file(&path).and_then(|file| identify(file, &path)).ok()?;
                    Some((path, identity, file))
                }) else {
                    break;
                };
                if needed.iter().any(|source| source.identity == identity) {
                    break;
                }
                let memory = [0; MINIMUM];
                // A raw file names no backing file. A truncated image still names the file that `--salvage` would read.
                if let Ok(mut image) = Image::open_with(OpenOptions::new().salvage(true), file, memory) {
                    named = named_by(&mut image, &path).ok().flatten();
                }
                needed.push(Source { path, identity });
            }
        }
        needed
    }

    /// Returns the backing file that the lowest image names.
    fn named_last(&mut self) -> Result<Option<PathBuf>, Failure> {
        let lowest = self.files.len() - 1;
        match (self.chain.image_mut(lowest), self.files.last()) {
            (Some(image), Some(source)) => named_by(image, &source.path),
            _ => Ok(None),
        }
    }

    fn last_path(&self) -> &Path {
        self.files.last().map_or(Path::new(""), |source| &source.path)
    }

    /// Adds a file below the files of the chain.
    fn push(&mut self, path: PathBuf, format: &Format, open: &Open, passwords: &[PathBuf]) -> Result<(), Failure> {
        let (mut file, identity) = identify(open_file(&path)?, &path)?;
        if self.files.iter().any(|source| source.identity == identity) {
            let message = "is in the chain of backing files already: the chain is a loop";
            return Err(Failure::of(&path, message));
        }
        let mut image = match format {
            Format::Raw => raw_image(file, &path)?,
            Format::Qcow => qcow_image(file, &path, open)?,
            Format::Probed => match probe(&mut file).map_err(|error| Failure::of(&path, explain(&Error::Io(error))))? {
                Probe::NotQcow => raw_image(file, &path)?,
                // Refuses other versions by name.
                _ => qcow_image(file, &path, open)?,
            },
        };
        if image.header().is_some_and(Header::is_encrypted)
            && let Some(password) = passwords.get(self.passwords.len())
        {
            let (key, identity) = key_in(password)?;
            image.set_key(&key);
            self.passwords.push(Source {
                path: password.clone(),
                identity,
            });
        }
        self.chain.push(image).map_err(|refused| match refused {
            PushError::Full(_) => Failure::of(
                &path,
                format_args!("cannot be added: a chain has at most {DEPTH} images"),
            ),
            PushError::NoBackingNamed(_) => {
                let above = self.last_path().display();
                let message = format_args!("cannot be the backing file of '{above}', which names none");
                Failure::of(&path, message)
            }
        })?;
        self.files.push(Source { path, identity });
        Ok(())
    }

    /// Returns a failed read as an error that names the image and the offset: reads again in small pieces, one image at
    /// a time.
    fn blame(&mut self, offset: u64, len: u64, error: Error<io::Error>) -> Failure {
        let mut buffer = vec![0; PIECE];
        let end = offset.saturating_add(len);
        let mut at = offset;
        while at < end {
            let mut piece = (end - at).min(PIECE as u64);
            let lowest = self.files.len() - 1;
            for (level, source) in self.files.iter().enumerate() {
                let Some(image) = self.chain.image_mut(level).filter(|image| at < image.size()) else {
                    break;
                };
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
        // This read succeeded, which is possible if the device has recovered.
        let message = format_args!("at guest offset {offset:#x}: {}", explain(&error));
        Failure::of(&self.files[0].path, message)
    }
}

/// Returns the file that an image names as its backing file. `path` is the image's own.
fn named_by(image: &mut Image<File, impl Memory>, path: &Path) -> Result<Option<PathBuf>, Failure> {
    let mut buffer = [0; NAME];
    let name = image
        .backing_name(&mut buffer)
        .map_err(|error| Failure::of(path, explain(&error)))?;
    let Some(name) = name else {
        return Ok(None);
    };
    let Some(name) = text::path(name) else {
        let name = String::from_utf8_lossy(name);
        let message = format_args!("names the backing file '{name}', which is not a valid file name on this system");
        return Err(Failure::of(path, message));
    };
    // Joining an absolute name returns that name.
    Ok(Some(path.parent().unwrap_or(Path::new("")).join(name)))
}

/// Opens a file that can hold an image: a regular file or a block device.
pub(crate) fn open_file(path: &Path) -> Result<File, Failure> {
    let failed = |error: io::Error| Failure::of(path, format_args!("cannot be opened: {error}"));
    // Checked before opening: opening a pipe waits for its writer, and opening a device may have an effect.
    let kind = fs::metadata(path).map_err(failed)?.file_type();
    #[cfg(unix)]
    let (is_pipe, is_character_device) = {
        use std::os::unix::fs::FileTypeExt;
        (kind.is_fifo() || kind.is_socket(), kind.is_char_device())
    };
    #[cfg(not(unix))]
    let (is_pipe, is_character_device) = (false, false);
    let refused = if kind.is_dir() {
        "is a directory, not an image"
    } else if is_pipe {
        "is a pipe or a socket, and an image must be a file that can be read at any offset"
    } else if is_character_device {
        "is a character device, and an image must be a regular file or a block device"
    } else {
        return File::open(path).map_err(failed);
    };
    Err(Failure::of(path, refused))
}

/// Returns an open file with its identity.
fn identify(file: File, path: &Path) -> Result<(File, Identity), Failure> {
    match file.metadata().and_then(|metadata| Identity::of(&metadata, path)) {
        Ok(identity) => Ok((file, identity)),
        Err(error) => Err(Failure::of(path, explain(&Error::Io(error)))),
    }
}

/// Opens a QCOW1 image with the user's options. The outer error is the tool's, the inner one the image's.
pub(crate) fn try_qcow_image(
    file: File,
    path: &Path,
    open: &Open,
) -> Result<Result<FileImage, Error<io::Error>>, Failure> {
    let options = OpenOptions::new().salvage(open.salvage);
    let mut file = file;
    // An image does not use more than all its tables need.
    let memory = allocate(path, open.memory.min(most_memory(&mut file)))?;
    Ok(Image::open_with(options, file, memory).map_err(qcow1::OpenError::into_error))
}

/// Returns the maximum number of bytes of memory that an image uses, or a small number if it will be refused.
fn most_memory(file: &mut File) -> u64 {
    let mut prefix = [0; 48];
    match file
        .read_blocks(0, &mut prefix)
        .ok()
        .and_then(|()| Header::parse(&prefix).ok())
    {
        Some(header) => {
            let size = BlockRead::size(file).unwrap_or(u64::MAX);
            header.memory_for(BlockSize::BYTE, size).all_tables as u64
        }
        None => MINIMUM as u64,
    }
}

fn qcow_image(file: File, path: &Path, open: &Open) -> Result<FileImage, Failure> {
    try_qcow_image(file, path, open)?.map_err(|error| Failure::of(path, explain(&error)))
}

fn raw_image(file: File, path: &Path) -> Result<FileImage, Failure> {
    // A file is byte-addressable, so no read needs memory.
    Image::open_raw(file, Vec::new()).map_err(|refused| Failure::of(path, explain(refused.error())))
}

/// Returns the key of the password in a file's first line, and the file's identity.
fn key_in(path: &Path) -> Result<(Key, Identity), Failure> {
    let failed = |error| Failure::of(path, format_args!("cannot be read: {error}"));
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(PASSWORD).read_to_end(&mut text).map_err(failed)?;
    let identity = fs::metadata(path).and_then(|metadata| Identity::of(&metadata, path));
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let key = Key::from_passphrase(line.strip_suffix(b"\r").unwrap_or(line));
    Ok((key, identity.map_err(failed)?))
}

/// Allocates memory for the work on an image.
pub(crate) fn allocate(path: &Path, bytes: u64) -> Result<Vec<u8>, Failure> {
    let mut memory = Vec::new();
    let len = usize::try_from(bytes).unwrap_or(usize::MAX);
    memory.try_reserve_exact(len).map_err(|_| {
        let message = format_args!("needs {bytes} bytes of memory, which this machine does not have free");
        Failure::of(path, message)
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
