//! A case: the image's bytes, and the expected results.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::common::{ImageBuilder, Refusal};
use crate::deflate::deflate;

/// One image of the suite.
pub struct Case {
    pub name: String,
    /// The group under which it is counted.
    pub group: &'static str,
    pub shows: String,
    pub source: &'static str,
    pub image: Vec<u8>,
    /// Its backing files, top first.
    pub backing: Vec<Backing>,
    pub key: Option<&'static str>,
    pub strict: Expect,
    pub salvage: Expect,
}

/// A backing file.
#[derive(Clone)]
pub struct Backing {
    pub name: &'static str,
    pub is_qcow: bool,
    pub bytes: Vec<u8>,
}

/// The expected results.
#[derive(Clone)]
pub struct Expect {
    pub whole: Whole,
    /// Reads in sequence, of an image that is opened once.
    pub reads: Vec<Read>,
}

/// The result of reading the whole disk.
#[derive(Clone)]
pub enum Whole {
    Bytes(Vec<u8>),
    /// A disk that is too large to be read in full.
    Size(u64),
    Refused(Refusal),
}

/// A read and its result.
#[derive(Clone)]
pub struct Read {
    pub offset: u64,
    pub len: usize,
    pub right: Result<Vec<u8>, Refusal>,
}

impl Read {
    pub fn gives(offset: u64, bytes: &[u8]) -> Self {
        Self {
            offset,
            len: bytes.len(),
            right: Ok(bytes.to_vec()),
        }
    }

    pub fn fails(offset: u64, len: usize, refusal: Refusal) -> Self {
        Self {
            offset,
            len,
            right: Err(refusal),
        }
    }
}

impl Case {
    fn new(name: &str, source: &'static str, shows: &str, image: Vec<u8>, strict: Expect) -> Self {
        Self {
            name: format!("{name}.qcow"),
            group: "",
            shows: shows.to_owned(),
            source,
            image,
            backing: Vec::new(),
            key: None,
            salvage: strict.clone(),
            strict,
        }
    }

    /// Creates the case of a legal image.
    pub fn reads(name: &str, source: &'static str, shows: &str, disk: &Disk) -> Self {
        let image = disk.image.build();
        Self::new(name, source, shows, image, Expect::bytes(&disk.guest))
    }

    /// Creates the case of a legal image, given byte by byte.
    pub fn reads_as(name: &str, source: &'static str, shows: &str, image: Vec<u8>, guest: &[u8]) -> Self {
        Self::new(name, source, shows, image, Expect::bytes(guest))
    }

    /// Creates the case of an image that is refused, also in salvage.
    pub fn refused(name: &str, source: &'static str, shows: &str, image: Vec<u8>, refusal: Refusal) -> Self {
        Self::new(name, source, shows, image, Expect::refused(refusal))
    }

    /// Creates the case of an image that is corrupt, also in salvage.
    pub fn corrupt(name: &str, source: &'static str, shows: &str, image: Vec<u8>) -> Self {
        Self::refused(name, source, shows, image, Refusal::Corrupt)
    }

    /// Creates the case of an image that is corrupt, but readable in salvage.
    pub fn cut(name: &str, source: &'static str, shows: &str, image: Vec<u8>, left: &[u8]) -> Self {
        Self::corrupt(name, source, shows, image).salvages(Expect::bytes(left))
    }

    pub fn salvages(mut self, salvage: Expect) -> Self {
        self.salvage = salvage;
        self
    }

    pub fn over(mut self, backing: &[&Backing]) -> Self {
        self.backing = backing.iter().map(|&backing| backing.clone()).collect();
        self
    }

    pub fn key(mut self, key: &'static str) -> Self {
        self.key = Some(key);
        self
    }

    /// Adds reads with the same results strictly and in salvage.
    pub fn then(mut self, reads: Vec<Read>) -> Self {
        self.strict.reads.clone_from(&reads);
        self.salvage.reads = reads;
        self
    }

    /// Sets all expected results, strictly and in salvage.
    pub fn expects(mut self, expect: Expect) -> Self {
        self.strict = expect.clone();
        self.salvage = expect;
        self
    }

    /// Returns its line in the manifest.
    pub fn json(&self) -> String {
        let backing = self.backing.iter().map(|backing| {
            let format = if backing.is_qcow { "qcow" } else { "raw" };
            json!({"file": backing.name, "format": format})
        });
        let backing: Value = backing.collect();
        // In the sequence in which a person reads them.
        let members = [
            ("file", Some(json!(self.name))),
            ("group", Some(json!(self.group))),
            ("shows", Some(json!(self.shows))),
            ("source", Some(json!(self.source))),
            ("backing", (!self.backing.is_empty()).then_some(backing)),
            ("key", self.key.map(Value::from)),
            ("strict", Some(self.strict.json())),
            ("salvage", Some(self.salvage.json())),
        ];
        let members = members
            .into_iter()
            .filter_map(|(name, value)| Some(format!("\"{name}\": {}", value?)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
    }
}

impl Expect {
    pub fn bytes(bytes: &[u8]) -> Self {
        Self {
            whole: Whole::Bytes(bytes.to_vec()),
            reads: Vec::new(),
        }
    }

    pub fn refused(refusal: Refusal) -> Self {
        Self {
            whole: Whole::Refused(refusal),
            reads: Vec::new(),
        }
    }

    /// Returns the result for a disk of zeros that is too large to be read in full.
    pub fn zeros(size: u64) -> Self {
        let (first, last) = (Read::gives(0, &[0; 512]), Read::gives(size - 512, &[0; 512]));
        Self {
            whole: Whole::Size(size),
            reads: vec![first, last],
        }
    }

    fn json(&self) -> Value {
        let mut json = Map::new();
        match &self.whole {
            Whole::Bytes(bytes) => {
                json.insert("size".into(), bytes.len().into());
                json.insert("sha256".into(), digest(bytes).into());
                let sectors = bytes.len() / 512 * 512;
                if sectors != bytes.len() {
                    json.insert("sha256_of_whole_sectors".into(), digest(&bytes[..sectors]).into());
                }
            }
            Whole::Size(size) => {
                json.insert("size".into(), (*size).into());
            }
            Whole::Refused(refusal) => {
                json.insert("error".into(), error_name(*refusal).into());
            }
        }
        if !self.reads.is_empty() {
            let reads = self.reads.iter().map(|read| match &read.right {
                Ok(bytes) => json!({"offset": read.offset, "len": read.len, "sha256": digest(bytes)}),
                Err(refusal) => json!({"offset": read.offset, "len": read.len, "error": error_name(*refusal)}),
            });
            json.insert("reads".into(), reads.collect());
        }
        json.into()
    }
}

/// Returns the SHA-256 in hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the name of a class of errors in the manifest.
pub fn error_name(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotQcow => "not-qcow",
        Refusal::Unsupported => "unsupported",
        Refusal::Corrupt => "corrupt",
        // No image has it: the schema of the manifest refuses it.
        Refusal::OutOfRange => "out-of-range",
        Refusal::BackingRequired => "backing-required",
        Refusal::KeyRequired => "key-required",
    }
}

/// An image together with the disk that the guest sees. Each call writes to both; neither is
/// computed from the other.
#[derive(Clone)]
pub struct Disk {
    pub image: ImageBuilder,
    pub guest: Vec<u8>,
}

impl Disk {
    /// Creates a disk of holes, in clusters of 512 bytes and tables of 64 entries, unless `shape`
    /// changes them. Tables and clusters are aligned to their own size, so that a reader that
    /// requires this fails only the other cases.
    pub fn new(size: usize, shape: impl FnOnce(ImageBuilder) -> ImageBuilder) -> Self {
        Self {
            image: shape(ImageBuilder::new(size as u64).bits(9, 6).aligned()),
            guest: vec![0; size],
        }
    }

    /// Creates the same disk without changes.
    pub fn small(size: usize) -> Self {
        Self::new(size, |image| image)
    }

    /// Sets the backing disk from which the holes read.
    pub fn over(mut self, backing: &[u8]) -> Self {
        let both = backing.len().min(self.guest.len());
        self.guest[..both].copy_from_slice(&backing[..both]);
        self
    }

    /// Writes to the guest's disk only: the part of `bytes` that lies inside it.
    pub fn sees(&mut self, at: usize, bytes: &[u8]) {
        let end = (at + bytes.len()).min(self.guest.len());
        self.guest[at..end].copy_from_slice(&bytes[..end - at]);
    }

    /// Adds whole clusters that start at `at`.
    pub fn data(mut self, at: usize, len: usize) -> Self {
        let clusters = len.next_multiple_of(self.image.cluster_size() as usize);
        let bytes = text(at as u64, clusters);
        self.image.data(at as u64, &bytes);
        self.sees(at, &bytes);
        self
    }

    /// Adds one cluster at `host`.
    pub fn data_at(mut self, at: usize, host: u64) -> Self {
        let bytes = text(at as u64, self.image.cluster_size() as usize);
        self.image.data_at(at as u64, host, &bytes);
        self.sees(at, &bytes);
        self
    }

    /// Adds one deflated cluster at the end of the file.
    pub fn compressed(mut self, at: usize) -> Self {
        let bytes = text(at as u64, self.image.cluster_size() as usize);
        self.image.l2_word(at as u64, 0);
        let host = self.image.free(1);
        self.stream_at(at, host, &deflate(&bytes), &bytes)
    }

    /// Adds one cluster as a stream at the end of the file.
    pub fn stream(mut self, at: usize, stream: &[u8], cluster: &[u8]) -> Self {
        self.image.l2_word(at as u64, 0);
        let host = self.image.free(1);
        self.stream_at(at, host, stream, cluster)
    }

    /// Adds one cluster as a stream at `host`.
    pub fn stream_at(mut self, at: usize, host: u64, stream: &[u8], cluster: &[u8]) -> Self {
        assert_eq!(cluster.len() as u64, self.image.cluster_size());
        assert!(stream.len() < cluster.len(), "a stream of {} bytes", stream.len());
        self.image.stream_at(at as u64, host, stream, stream.len() as u64);
        self.sees(at, cluster);
        self
    }

    /// Sets a table word.
    pub fn word(mut self, at: usize, word: u64) -> Self {
        self.image.l2_word(at as u64, word);
        self
    }

    /// Returns the file without its last bytes.
    pub fn without(&self, bytes: usize) -> Vec<u8> {
        let mut file = self.image.build();
        file.truncate(file.len() - bytes);
        file
    }

    /// Returns the guest's disk with zeros in a range.
    pub fn lost(&self, range: std::ops::Range<usize>) -> Vec<u8> {
        let mut guest = self.guest.clone();
        guest[range].fill(0);
        guest
    }
}

/// Returns lines of 16 bytes, each with its own offset in the disk, so that all sectors differ, and
/// deflate well.
pub fn text(at: u64, len: usize) -> Vec<u8> {
    let lines = (at / 16..).flat_map(|line| format!("guest {:09x}\n", line * 16).into_bytes());
    lines.take(len).collect()
}

/// Returns a file with other bytes at an offset.
pub fn with(mut file: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}
