//! Opens an image and its backing files, and reads through them.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use qcow1::{
    BlockRead, BlockSize, Chain, Error, Extent, ExtentKind, Header, Image, Memory, OpenOptions, Probe, PushError,
};

use crate::args::{Declared, Guest, Lower, Open};
use crate::failure::{Failure, explain};
use crate::identity::{Identity, Shared};
use crate::in_use;
use crate::medium::Medium;
use crate::output::note;
use crate::past_end::{self, PastEnd, Tables};
use crate::secret::Secrets;
use crate::text;

/// The maximum number of images in a chain. QEMU has no limit of its own, but most systems let a
/// program open 1,024 files.
const DEPTH: usize = 1024;

/// The maximum length of a backing file's name in bytes.
const NAME: usize = 1023;

/// The length in bytes of the pieces in which a failed read is repeated to find its cause.
const PIECE: u64 = 64 << 10;

/// The size in bytes of the memory for opening an image only to read its header and its backing
/// file's name.
const MINIMUM: usize = 512;

/// An image in a file, with memory of its own.
pub(crate) type FileImage = Image<Medium, Vec<u8>>;

/// A guest's disk: an image, and its backing images.
pub(crate) struct Disk {
    /// On the heap, because it has room for the longest chain.
    chain: Box<Chain<FileImage, DEPTH>>,
    /// The file of each image of the chain.
    files: Vec<Source>,
    /// Further files that must not be overwritten: those with keys, and of reports.
    others: Vec<Source>,
    /// The number of images with a key.
    keys: usize,
    /// The tables of each image of the chain, which show the bytes that `--salvage` filled. Empty
    /// without that option.
    tables: Vec<Option<Tables>>,
}

#[derive(Clone)]
struct Source {
    path: PathBuf,
    identity: Identity,
}

/// A run of guest bytes, and the image of the chain that stores it, 0 for the top.
pub(crate) struct Found {
    pub(crate) level: usize,
    pub(crate) extent: Extent,
    /// Why the bytes, or some of them, are missing in a truncated image file: `--salvage` fills
    /// them.
    pub(crate) past_end: Option<PastEnd>,
}

impl Found {
    fn zeros(level: usize, start: u64, len: u64, past_end: Option<PastEnd>) -> Self {
        let kind = ExtentKind::Zero;
        Self {
            level,
            extent: Extent { start, len, kind },
            past_end,
        }
    }
}

/// A run of guest bytes that cannot be read.
pub(crate) struct Flaw {
    pub(crate) level: usize,
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) error: Error<io::Error>,
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
    pub(crate) fn open_single(image: &Path, open: &Open) -> Result<Self, Failure> {
        Self::begin(image, open, &Secrets::NONE)
    }

    fn begin(image: &Path, open: &Open, secrets: &Secrets<'_>) -> Result<Self, Failure> {
        let mut disk = Self {
            chain: Box::new(Chain::new()),
            files: Vec::new(),
            others: Vec::new(),
            keys: 0,
            tables: Vec::new(),
        };
        disk.push(image.to_owned(), &Format::Qcow, open, secrets)?;
        Ok(disk)
    }

    /// Opens an image with the keys and the backing files that the user's options give.
    pub(crate) fn open(image: &Path, guest: &Guest) -> Result<Self, Failure> {
        let secrets = Secrets::new(&guest.keys);
        let disk = Self::layers(image, &guest.open, &guest.lower, &secrets)?;
        // An unused password is an error, so that the user does not believe that it was used.
        match secrets.find_unused(disk.keys) {
            None => Ok(disk),
            Some(password) => {
                let message = "is not needed: there are fewer encrypted images than password files";
                Err(Failure::of(password, message))
            }
        }
    }

    /// Opens an image and its backing files.
    pub(crate) fn layers(image: &Path, open: &Open, lower: &Lower, secrets: &Secrets<'_>) -> Result<Self, Failure> {
        let mut disk = Self::begin(image, open, secrets)?;
        // Only the image itself is a part of its file.
        let open = &Open {
            image_offset: 0,
            image_length: None,
            ..open.clone()
        };
        for declared in &lower.backing {
            match declared {
                Declared::Raw(path) => disk.push(path.clone(), &Format::Raw, open, secrets)?,
                Declared::Qcow(path) => disk.push(path.clone(), &Format::Qcow, open, secrets)?,
            }
        }
        if lower.follow {
            // Bound: the length of a full chain.
            while let Some(path) = disk.named_last()? {
                disk.push(path.clone(), &Format::Probed, open, secrets)
                    .map_err(|failure| {
                        let above = disk.last_path().display();
                        let hint = protocol_hint(&path);
                        failure.and(format_args!(" (it is the backing file that '{above}' names{hint})"))
                    })?;
            }
        }
        Ok(disk)
    }

    /// Returns the size of the guest's disk in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.chain.size()
    }

    /// Returns the top image.
    pub(crate) fn top(&mut self) -> &mut FileImage {
        self.image(0)
    }

    /// Returns an image of the chain. `level` must be below the number of images.
    pub(crate) fn image(&mut self, level: usize) -> &mut FileImage {
        layer(&mut self.chain, level)
    }

    /// Returns the path of the file of an image.
    pub(crate) fn path(&self, level: usize) -> &Path {
        &self.files[level].path
    }

    /// Returns the paths of the files of all images.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|source| source.path.clone()).collect()
    }

    /// Returns the size of the top image's file in bytes, and the number of bytes that it takes on
    /// its disk if the system says so.
    pub(crate) fn file_sizes(&mut self) -> Result<(u64, Option<u64>), Failure> {
        let path = self.files[0].path.clone();
        self.top()
            .device_mut()
            .sizes()
            .map_err(|error| Failure::image(&path, &Error::Io(error)))
    }

    /// Fills `dst` with the guest bytes that start at `offset`.
    ///
    /// # Errors
    /// The crate's error; `locate_failure` finds its place.
    pub(crate) fn read(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Error<io::Error>> {
        self.chain.read_at(offset, dst)
    }

    /// Fills `dst` with the guest bytes that start at `offset`.
    pub(crate) fn read_at(&mut self, offset: u64, dst: &mut [u8]) -> Result<(), Failure> {
        match self.read(offset, dst) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.locate_failure(offset, dst.len() as u64, error)),
        }
    }

    /// Returns how the guest bytes that start at `at`, at most `most`, are stored. `at` must be
    /// inside the disk. Holes of raw files and of plain clusters are zeros, too.
    pub(crate) fn find(&mut self, at: u64, most: u64) -> Result<Found, Flaw> {
        self.locate(at, most, true)
    }

    /// Returns what `find` returns, but treats holes of files as data.
    pub(crate) fn find_in_tables(&mut self, at: u64, most: u64) -> Result<Found, Flaw> {
        self.locate(at, most, false)
    }

    fn locate(&mut self, at: u64, most: u64, with_holes: bool) -> Result<Found, Flaw> {
        let mut len = most.min(self.size().saturating_sub(at));
        let lowest = self.files.len() - 1;
        let mut past_end = None;
        for level in 0..=lowest {
            let image = layer(&mut self.chain, level);
            let Some(inside) = image.size().checked_sub(at).filter(|inside| *inside != 0) else {
                // A backing file that is shorter than the disk.
                return Ok(Found::zeros(level, at, len, past_end));
            };
            let mut extent = match image.extent_at(at, len.min(inside)) {
                Ok(extent) => extent,
                Err(error) => {
                    let len = past_end::flawed_len(image, at, &error).min(len).min(inside);
                    return Err(Flaw {
                        level,
                        start: at,
                        len,
                        error,
                    });
                }
            };
            if let Some(tables) = &mut self.tables[level] {
                let (len, missing) = tables.past_end(level, image.device_mut(), &extent);
                extent.len = len;
                past_end = past_end.or(missing);
            }
            len = extent.len;
            match extent.kind {
                ExtentKind::Backing if level < lowest => continue,
                ExtentKind::Data { host_offset } if with_holes && past_end.is_none() && !is_encrypted(image) => {
                    let (len, is_hole) = image.device_mut().hole_at(host_offset, len);
                    if is_hole {
                        return Ok(Found::zeros(level, at, len, past_end));
                    }
                    extent.len = len;
                }
                _ => {}
            }
            return Ok(Found {
                level,
                extent,
                past_end,
            });
        }
        Ok(Found::zeros(lowest, at, len, past_end))
    }

    /// Returns a flaw as an error that names the image and the offset.
    pub(crate) fn failure(&self, flaw: &Flaw) -> Failure {
        Failure::of(self.path(flaw.level), flaw)
    }

    /// Protects a file from being overwritten. Refuses it if that would change what the disk is
    /// read from.
    pub(crate) fn protect(&mut self, file: &File, path: &Path) -> Result<(), Failure> {
        let failed = |error| Failure::write(path, &error);
        let metadata = file.metadata().map_err(failed)?;
        self.refuse_to_overwrite(&metadata, path)?;
        if metadata.is_file() {
            let identity = Identity::of(&metadata, path).map_err(failed)?;
            let path = path.to_owned();
            self.others.push(Source { path, identity });
        }
        Ok(())
    }

    /// Refuses to write to the file with this metadata if that would change what the disk is read
    /// from.
    pub(crate) fn refuse_to_overwrite(&mut self, metadata: &Metadata, path: &Path) -> Result<(), Failure> {
        let Ok(identity) = Identity::of(metadata, path) else {
            return Ok(());
        };
        for source in self.all_sources() {
            let how = match identity.shares(&source.identity) {
                None => continue,
                Some(Shared::Same) => "is the same file as",
                Some(Shared::Beneath) => "shares its bytes with",
            };
            let needed = source.path.display();
            let message = format_args!("{how} '{needed}', which is needed; it was left as it is");
            return Err(Failure::of(path, message));
        }
        Ok(())
    }

    /// Returns all files of the chain: those that were opened, and those that are only named by an
    /// image.
    fn all_sources(&mut self) -> Vec<Source> {
        let mut sources = [&self.files[..], &self.others].concat();
        for (level, source) in self.files.iter().enumerate() {
            let image = layer(&mut self.chain, level);
            let mut named = named_by(image, &source.path).ok().flatten();
            for _ in 0..DEPTH {
                let Some((path, identity, file)) = named.take().and_then(|path| {
                    let (file, identity) = open_file(&path).and_then(|file| identify(file, &path)).ok()?;
                    Some((path, identity, Medium::whole(file)))
                }) else {
                    break;
                };
                if sources.iter().any(|source| source.identity == identity) {
                    break;
                }
                let memory = [0; MINIMUM];
                // A raw file names no backing file. A truncated image still names the file that
                // `--salvage` would read.
                if let Ok(mut image) = Image::open_with(OpenOptions::new().salvage(true), file, memory) {
                    named = named_by(&mut image, &path).ok().flatten();
                }
                sources.push(Source { path, identity });
            }
        }
        sources
    }

    /// Returns the path of the backing file that the lowest image names.
    fn named_last(&mut self) -> Result<Option<PathBuf>, Failure> {
        let Some(lowest) = self.files.len().checked_sub(1) else {
            return Ok(None);
        };
        named_by(layer(&mut self.chain, lowest), &self.files[lowest].path)
    }

    fn last_path(&self) -> &Path {
        self.files.last().map_or(Path::new(""), |source| &source.path)
    }

    /// Adds a file below the files of the chain.
    fn push(&mut self, path: PathBuf, format: &Format, open: &Open, secrets: &Secrets<'_>) -> Result<(), Failure> {
        let (file, identity) = identify(open_file(&path)?, &path)?;
        refuse_if_in_use(&file, &path, open)?;
        if self.files.iter().any(|source| source.identity == identity) {
            let message = "is in the chain of backing files already: the chain is a loop";
            return Err(Failure::of(&path, message));
        }
        let mut medium = Medium::select(file, &path, open)?;
        let failed = |error| Failure::image(&path, &Error::Io(error));
        let mut image = match format {
            Format::Raw => {
                if matches!(
                    probe(&mut medium).map_err(failed)?,
                    Probe::Qcow1 | Probe::OtherVersion(_)
                ) {
                    note(format_args!(
                        "{}: begins with QCOW's magic number, and is read as a raw disk, as declared",
                        path.display()
                    ));
                }
                raw_image(medium, &path)?
            }
            Format::Qcow => qcow_image(medium, &path, open)?,
            Format::Probed => match probe(&mut medium).map_err(failed)? {
                Probe::NotQcow => raw_image(medium, &path)?,
                // Refuses other versions by name.
                _ => qcow_image(medium, &path, open)?,
            },
        };
        if is_encrypted(&image)
            && let Some((key, from)) = secrets.of(&path, self.keys)?
        {
            image.set_key(&key);
            self.keys += 1;
            self.others
                .extend(from.map(|(path, identity)| Source { path, identity }));
        }
        let tables = match image.header().copied() {
            Some(header) if open.salvage => {
                let file_len = image.device_mut().size().map_err(failed)?;
                Some(Tables::new(&header, file_len))
            }
            _ => None,
        };
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
        self.tables.push(tables);
        self.files.push(Source { path, identity });
        Ok(())
    }

    /// Returns a failed read as an error that names the image and the offset.
    fn locate_failure(&mut self, offset: u64, len: u64, error: Error<io::Error>) -> Failure {
        let end = offset.saturating_add(len);
        let mut at = offset;
        let mut buffer = vec![0; PIECE as usize];
        while at < end {
            let piece = (end - at).min(PIECE);
            match self.read_piece(at, &mut buffer[..piece as usize]) {
                Ok(len) => at += len,
                Err(flaw) => return self.failure(&flaw),
            }
        }
        // This read succeeded, which is possible if the device has recovered.
        let message = format_args!("at guest offset {offset:#x}: {}", explain(&error));
        Failure::of(&self.files[0].path, message)
    }

    /// Fills the start of `dst` with the run of guest bytes that starts at `at`, and returns the
    /// length of the run.
    pub(crate) fn read_piece(&mut self, at: u64, dst: &mut [u8]) -> Result<u64, Flaw> {
        let Found { level, extent, .. } = self.find(at, dst.len() as u64)?;
        // At most `dst.len()`.
        let dst = &mut dst[..extent.len as usize];
        match self.chain.read_at(at, dst) {
            Ok(()) => Ok(extent.len),
            Err(error) => Err(Flaw {
                level,
                start: at,
                len: extent.len,
                error,
            }),
        }
    }
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at guest offset {:#x}: {}", self.start, explain(&self.error))
    }
}

/// Returns an image of a chain, which must have it.
fn layer(chain: &mut Chain<FileImage, DEPTH>, level: usize) -> &mut FileImage {
    chain.image_mut(level).expect("each file has an image")
}

fn is_encrypted(image: &FileImage) -> bool {
    image.header().is_some_and(Header::is_encrypted)
}

/// Returns the file that an image names as its backing file. `path` is the image's own.
fn named_by(image: &mut Image<Medium, impl Memory>, path: &Path) -> Result<Option<PathBuf>, Failure> {
    let mut buffer = [0; NAME];
    let Some(name) = backing_name(image, &mut buffer, path)? else {
        return Ok(None);
    };
    let Some(name) = text::path(name) else {
        let name = String::from_utf8_lossy(name);
        let message = format_args!("names the backing file '{name}', which is not a valid file name on this system");
        return Err(Failure::of(path, message));
    };
    if name.as_os_str().is_empty() {
        // QEMU treats it as no name.
        return Ok(None);
    }
    // Joining an absolute name returns that name.
    Ok(Some(path.parent().unwrap_or(Path::new("")).join(name)))
}

/// Returns the backing file's name up to its first NUL, as QEMU does: a program that shortens a
/// name in place leaves NULs after it.
pub(crate) fn backing_name<'b>(
    image: &mut Image<Medium, impl Memory>,
    buffer: &'b mut [u8; NAME],
    path: &Path,
) -> Result<Option<&'b [u8]>, Failure> {
    let name = image
        .backing_name(buffer)
        .map_err(|error| Failure::image(path, &error))?;
    Ok(name.and_then(|name| name.split(|byte| *byte == 0).next()))
}

/// Returns a hint for an error about a backing file whose name QEMU would open with a protocol.
fn protocol_hint(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_protocol = |name: &str| !name.is_empty() && name.chars().all(|char| char.is_ascii_lowercase());
    match name.split_once(':') {
        Some((protocol, file)) if is_protocol(protocol) => {
            format!("; a name is never taken for a protocol: for a file, pass --backing raw:{file}")
        }
        _ => String::new(),
    }
}

/// Refuses a file that another program has opened to write it, unless the user's options allow
/// that.
pub(crate) fn refuse_if_in_use(file: &File, path: &Path, open: &Open) -> Result<(), Failure> {
    if !open.force_share && in_use::is_written(file) {
        let message = "is in use: another program, such as a virtual machine, may write to it. Stop that program, or \
                       pass --force-share to read the image while it changes";
        return Err(Failure::of(path, message));
    }
    Ok(())
}

/// Opens a file that can hold an image: a regular file or a block device.
pub(crate) fn open_file(path: &Path) -> Result<File, Failure> {
    let failed = |error: io::Error| {
        let hint = if path == Path::new("-") {
            " (the tool does not take - for standard input; pass /dev/stdin if that is a file)"
        } else {
            ""
        };
        Failure::of(path, format_args!("cannot be opened: {error}{hint}"))
    };
    // Checked before opening: opening a pipe waits for its writer, and opening a device may have an
    // effect.
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

/// Opens a QCOW1 image with the user's options. The outer error is the tool's, the inner one the
/// image's.
pub(crate) fn try_qcow_image(
    mut file: Medium,
    path: &Path,
    open: &Open,
) -> Result<Result<FileImage, Error<io::Error>>, Failure> {
    let options = OpenOptions::new().salvage(open.salvage);
    // An image does not use more than all its tables need.
    let memory = allocate(path, open.memory.min(most_memory(&mut file)))?;
    Ok(Image::open_with(options, file, memory).map_err(qcow1::OpenError::into_error))
}

/// Returns the maximum number of bytes of memory that an image uses, or a small number if it will
/// be refused.
fn most_memory(file: &mut Medium) -> u64 {
    let mut prefix = [0; 48];
    match file
        .read_blocks(0, &mut prefix)
        .ok()
        .and_then(|()| Header::parse(&prefix).ok())
    {
        Some(header) => {
            let size = file.size().unwrap_or(u64::MAX);
            header.memory_for(BlockSize::BYTE, size).all_tables as u64
        }
        None => MINIMUM as u64,
    }
}

fn qcow_image(file: Medium, path: &Path, open: &Open) -> Result<FileImage, Failure> {
    try_qcow_image(file, path, open)?.map_err(|error| Failure::image(path, &error))
}

fn raw_image(file: Medium, path: &Path) -> Result<FileImage, Failure> {
    // A file is byte-addressable, so no read needs memory.
    Image::open_raw(file, Vec::new()).map_err(|refused| Failure::image(path, refused.error()))
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

fn probe(file: &mut Medium) -> io::Result<Probe> {
    let mut prefix = [0; 8];
    let len = usize::try_from(file.size()?).unwrap_or(usize::MAX).min(prefix.len());
    if len != 0 {
        file.read_blocks(0, &mut prefix[..len])?;
    }
    Ok(qcow1::probe(&prefix[..len]))
}
