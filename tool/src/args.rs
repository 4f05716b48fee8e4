//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::text;

const ABOUT: &str = "Inspect QCOW version 1 disk images, and write the guest's disk to a file";

/// A test compares it with the manifest.
const LONG_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\nfeatures: aes, check, deflate, std");

const AFTER: &str = "\
Numbers are in bytes: decimal, or hexadecimal after 0x. The suffixes k, M, G, T, P and E, also in the other case or \
written as KiB, MiB and so on, multiply by powers of 1024.

Exit status:
  0    success
  1    an error, reported in one line on standard error
  2    only `check`: the image is corrupt
  3    only `check`: nothing is corrupt, but part of the file is unused
  4    only `dump --keep-going`: part of the disk could not be read, and the rest was written
  5    an image is not a QCOW version 1 image
  130  a dump to a file was interrupted";

#[derive(Parser)]
#[command(name = "qcow1", version, long_version = LONG_VERSION, about = ABOUT, after_help = AFTER)]
pub(crate) struct Args {
    /// Print only errors and the requested output: no progress, no notes, and nothing for `check`
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show the image's header, and how much memory a reader must lend
    ///
    /// Without --json, all tables are read until a compressed cluster is found. For a large
    /// image this takes a while, and a terminal shows the progress.
    #[command(verbatim_doc_comment)]
    Info {
        /// The QCOW1 images
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<PathBuf>,
        /// Print one JSON object for each image, on a line of its own; no table is read
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        open: Open,
    },
    /// Show where the guest's bytes are stored
    ///
    /// Prints one line for each run of guest bytes:
    ///   data        stored in the image file, starting at the offset shown
    ///   compressed  stored in the image file; the offset is that of the run's first cluster
    ///   zero        not stored
    ///   backing     stored in the backing file that the image names
    /// The map is that of IMAGE's own tables. With --backing or --follow it is that of the whole
    /// chain, and each run names the file that determines it. Holes of a raw backing file are zero.
    #[command(verbatim_doc_comment)]
    Map {
        /// The QCOW1 image
        image: PathBuf,
        /// Print a JSON array of {"start", "length", "kind", "offset"}; a run that is not stored has the offset null
        ///
        /// The runs of a chain also have "depth", the number of images above the file, and
        /// "file".
        #[arg(long, verbatim_doc_comment)]
        json: bool,
        #[command(flatten)]
        open: Open,
        #[command(flatten)]
        lower: Lower,
    },
    /// Write the guest's whole disk to a file, a device or standard output
    ///
    /// If OUT is a regular file or does not exist, the disk is written to a new file in the
    /// same folder, which replaces OUT once it is complete and safely stored. A dump that
    /// fails or is interrupted leaves OUT as it was, and removes the new file.
    ///   - The new file has OUT's permissions and, if the system allows it, OUT's owner.
    ///   - If the system refuses to replace OUT, the complete disk is copied into OUT. If that
    ///     fails too, the new file stays, and the error names it.
    ///   - Other hard links to OUT keep the old contents.
    ///   - If OUT is a symbolic link, the file that it leads to is replaced.
    ///   - Bytes that are not stored, and blocks of zeros, become holes in the file.
    ///
    /// If OUT is a device or a pipe, or - for standard output, the disk is written to it in
    /// sequence, starting at its first byte. A dump that fails has written the bytes before the
    /// flaw, and the error gives their number. Standard output that is a file gets holes, and so
    /// does a block device that can have them.
    ///
    /// OUT is refused, and left as it is, if it is
    ///   - IMAGE, or one of its backing files, whether opened here or only named by an image
    ///   - a password file, a key file or the file of --json
    ///   - a device that holds one of these, such as a loop device or a partition
    ///   - a block device in use, such as one with a mounted file system
    #[command(verbatim_doc_comment)]
    Dump {
        /// The QCOW1 image
        image: PathBuf,
        /// The file, device or pipe to write; - is standard output
        out: PathBuf,
        /// Write zeros for what cannot be read, report it, and exit with 4. Implies --salvage
        ///
        /// This continues after corrupt tables and clusters, failed reads of a file, and holes
        /// whose backing file is missing. Each range is reported once on standard error, with
        /// the reason.
        #[arg(long, verbatim_doc_comment)]
        keep_going: bool,
        /// Write the ranges that were not read as a JSON array of {"start", "length", "reason"} to FILE, or to standard output for -
        ///
        /// With --salvage alone, these are the ranges past the end of an image file.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        #[command(flatten)]
        guest: Guest,
    },
    /// Write a range of the guest's bytes to standard output
    Read {
        /// The QCOW1 image
        image: PathBuf,
        /// The offset of the first byte on the guest's disk
        #[arg(long, value_name = "N", value_parser = text::number)]
        offset: u64,
        /// The number of bytes; the range must lie inside the disk
        #[arg(long, value_name = "N", value_parser = text::number)]
        length: u64,
        #[command(flatten)]
        guest: Guest,
    },
    /// Find flaws in the image
    ///
    /// Reads every table word of IMAGE, inflates each compressed cluster, and finds tables and
    /// clusters that overlap. Flaws of one kind in sequence are one finding. Needs memory for
    /// the parts of the file that are used: at most 64 MiB, plus 64 bytes for each 2 KiB that
    /// the file takes on its disk. Exits with 0 if nothing is wrong, with 2 if the image is
    /// corrupt, and with 3 if nothing is corrupt but part of the file is unused. With several
    /// images, it exits with the first of these statuses that any of them has: 1, 5, 2, 3, 0.
    #[command(verbatim_doc_comment)]
    Check {
        /// The QCOW1 images
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<PathBuf>,
        /// Print one JSON object for each image instead of lines for people
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        open: Open,
    },
    /// Serve the guest's disk to programs that speak NBD, read-only
    ///
    /// QEMU, libnbd's tools and the kernel's nbd-client read the disk from the server, without a
    /// dump. Prints the server's URI once it is ready, and serves until it is interrupted. Up to
    /// 16 clients read at a time. Clients cannot write.
    #[command(verbatim_doc_comment)]
    Serve {
        /// The QCOW1 image
        image: PathBuf,
        /// Listen on a new Unix socket, which only this user can open
        #[arg(long, value_name = "PATH", required_unless_present = "port", conflicts_with = "port")]
        unix: Option<PathBuf>,
        /// Listen on this TCP port of the loopback interface; 0 chooses a free one. Every user of this machine can connect
        #[arg(long, value_name = "N")]
        port: Option<u16>,
        #[command(flatten)]
        guest: Guest,
    },
    /// Print the tool's completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the tool's manual page, or that of one command
    Man {
        /// The command
        command: Option<String>,
    },
}

/// The options for opening images.
#[derive(clap::Args, Clone)]
pub(crate) struct Open {
    /// Read zeros past the end of a truncated image file, instead of failing
    #[arg(long)]
    pub(crate) salvage: bool,
    /// The memory to lend to each image, mostly to cache its tables
    #[arg(long, value_name = "BYTES", default_value = "4M", value_parser = text::number)]
    pub(crate) memory: u64,
    /// Read an image that another program has opened to write. It may change while it is read
    ///
    /// Without this option, an image is refused if QEMU holds its lock.
    #[arg(long)]
    pub(crate) force_share: bool,
    /// Read the files around the system's cache, as for a drive with bad sectors: fewer bytes next to them are lost
    #[arg(long)]
    pub(crate) direct: bool,
    /// The offset at which the image begins in IMAGE, such as an archive or a disk
    #[arg(long, value_name = "N", default_value = "0", value_parser = text::number)]
    pub(crate) image_offset: u64,
    /// The length of the image in IMAGE; by default all bytes after its offset
    #[arg(long, value_name = "N", value_parser = text::number)]
    pub(crate) image_length: Option<u64>,
}

/// The options for reading a guest's disk.
#[derive(clap::Args)]
pub(crate) struct Guest {
    #[command(flatten)]
    pub(crate) open: Open,
    #[command(flatten)]
    pub(crate) keys: Keys,
    #[command(flatten)]
    pub(crate) lower: Lower,
}

/// The options for the keys of encrypted images.
#[derive(clap::Args)]
pub(crate) struct Keys {
    /// A file with the password of the next encrypted image; repeat it for a chain, top first
    ///
    /// The password is the file's first line, without its line end. It is not an argument
    /// because other users can see arguments. The format stores no key check: a wrong password
    /// yields garbage, not an error. Without this option, a terminal asks for the password.
    #[arg(long, value_name = "FILE", conflicts_with = "key_file", verbatim_doc_comment)]
    pub(crate) password_file: Vec<PathBuf>,
    /// A file whose bytes, including a line end, are the password, as for QEMU's `secret,file=`
    ///
    /// Use it instead of --password-file if the image was made with such a file. Repeat it for
    /// a chain, top first.
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    pub(crate) key_file: Vec<PathBuf>,
}

/// The options for the images below an image.
#[derive(clap::Args)]
pub(crate) struct Lower {
    /// The next backing file and its format, raw:FILE or qcow:FILE; repeat it for a chain, top first
    ///
    /// The format is declared and never guessed. The files that the images name are not
    /// opened.
    #[arg(
        long,
        value_name = "FORMAT:FILE",
        value_parser = OsStringValueParser::new().try_map(Declared::parse),
        verbatim_doc_comment
    )]
    pub(crate) backing: Vec<Declared>,
    /// Open the backing files that the images name. Only for images you trust
    ///
    /// A name is relative to the folder of the image. An image does not store the format of
    /// its backing file, so each file is probed: QCOW1 is opened as an image, QCOW2 is refused,
    /// and everything else is raw.
    ///
    /// This is not safe with images from others. An image can name any file that you can
    /// read. A guest with a raw disk can also write a QCOW1 header into its first sector: the
    /// tool then opens the disk as an image, and reads the file of the host that the guest
    /// named. If in doubt, use --backing, which never probes.
    #[arg(long, conflicts_with = "backing", verbatim_doc_comment)]
    pub(crate) follow: bool,
}

/// A backing file whose format the user declared.
#[derive(Clone)]
pub(crate) enum Declared {
    Raw(PathBuf),
    Qcow(PathBuf),
}

impl Declared {
    fn parse(argument: OsString) -> Result<Self, String> {
        let bytes = argument.as_encoded_bytes();
        let (kind, name): (fn(PathBuf) -> Self, _) = match (bytes.strip_prefix(b"raw:"), bytes.strip_prefix(b"qcow:")) {
            (Some(name), _) => (Self::Raw, name),
            (_, Some(name)) => (Self::Qcow, name),
            _ => return Err("write raw:FILE or qcow:FILE".to_owned()),
        };
        match text::path(name) {
            Some(path) if !name.is_empty() => Ok(kind(path)),
            _ => Err("the file name is missing, or is not valid on this system".to_owned()),
        }
    }
}
