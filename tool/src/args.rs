//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand};

use crate::text;

const ABOUT: &str = "Look into QCOW version 1 disk images, and take the guest's disk out of them";

const AFTER: &str = "\
Numbers are bytes: decimal or 0x hexadecimal, and k, M, G or T behind them multiplies by 1024, 1024^2 and so on.

Exit status: 0 done, 1 an error (one line on standard error), 2 and 3 only from `check`: the image is \
corrupt, or some of its file is of no use.";

#[derive(Parser)]
#[command(name = "qcow1", version, about = ABOUT, after_help = AFTER)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show what the image's header says
    Info {
        /// The QCOW1 image
        image: PathBuf,
        /// Print one JSON object instead of lines for people
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        open: Open,
    },
    /// Show where the guest's bytes are stored
    ///
    /// One line for each run of guest bytes:
    ///   data        in the image file, from the offset shown on
    ///   compressed  in the image file, the first cluster of the run at the offset shown
    ///   zero        nowhere
    ///   backing     in the backing file that the image names
    /// The map is IMAGE's own, even where its backing files are given.
    #[command(verbatim_doc_comment)]
    Map {
        /// The QCOW1 image
        image: PathBuf,
        /// Print a JSON array of {"start", "length", "kind", "offset"}; no offset is null
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        open: Open,
        #[command(flatten)]
        backing: Backing,
    },
    /// Write the guest's disk to a file, raw
    ///
    /// Where OUT is a regular file, it is replaced, and what is stored nowhere or is
    /// blocks of zeros stays a hole in it.
    #[command(verbatim_doc_comment)]
    Dump {
        /// The QCOW1 image
        image: PathBuf,
        /// The file or device to write to; - is standard output
        out: PathBuf,
        #[command(flatten)]
        open: Open,
        #[command(flatten)]
        backing: Backing,
    },
    /// Write some of the guest's bytes to standard output
    Read {
        /// The QCOW1 image
        image: PathBuf,
        /// The first guest byte
        #[arg(long, value_name = "N", value_parser = text::number)]
        offset: u64,
        /// How many bytes; they must all lie inside the disk
        #[arg(long, value_name = "N", value_parser = text::number)]
        length: u64,
        #[command(flatten)]
        open: Open,
        #[command(flatten)]
        backing: Backing,
    },
    /// Look for what is wrong with the image
    ///
    /// Reads every table word of IMAGE, inflates each compressed cluster, and sees to it that no two
    /// tables or clusters overlap. Takes a byte of memory for 2 KiB of the file.
    /// Exits with 0 where all is well, 2 where the image is corrupt, and 3 where nothing is wrong but
    /// that some of the file is of no use.
    #[command(verbatim_doc_comment)]
    Check {
        /// The QCOW1 image
        image: PathBuf,
        /// Print one JSON object instead of lines for people
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        open: Open,
    },
}

/// How images are opened.
#[derive(clap::Args)]
pub(crate) struct Open {
    /// Read zeros past the end of a truncated image file, instead of failing there
    #[arg(long)]
    pub(crate) salvage: bool,
    /// The memory to lend to each image, mostly for its tables
    #[arg(long, value_name = "BYTES", default_value = "4M", value_parser = text::number)]
    pub(crate) memory: u64,
    /// A file with the password of the next encrypted image, top first; repeat it for a chain
    ///
    /// The password is the file's first line, without its end. It is no argument because
    /// other users can see those. Nothing in an image tells a wrong password: what it
    /// reads is garbage.
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    pub(crate) password_file: Vec<PathBuf>,
}

/// Where the bytes come from that an image does not hold.
#[derive(clap::Args)]
pub(crate) struct Backing {
    /// The next backing file and its format, raw:FILE or qcow:FILE; repeat it for a chain, top first
    ///
    /// Formats are never guessed here, and the names that images hold are not looked at.
    #[arg(
        long,
        value_name = "FORMAT:FILE",
        value_parser = OsStringValueParser::new().try_map(Declared::parse),
        verbatim_doc_comment
    )]
    pub(crate) backing: Vec<Declared>,
    /// Open the backing files that images name. Only for images you trust
    ///
    /// A name is relative to the image that holds it. An image does not say what format
    /// its backing file has, so each file is probed: QCOW1 is opened as such, QCOW2 is
    /// refused, and anything else is raw.
    ///
    /// That is not safe with images from others. An image can name any file that you
    /// can read. And a guest that was given a raw disk can write a QCOW1 header into its
    /// first sector: probing then takes the disk for an image, and the guest has named
    /// a file of the host. Where in doubt, use --backing, which never probes.
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
            _ => Err("the file's name is missing, or no name on this system".to_owned()),
        }
    }
}
