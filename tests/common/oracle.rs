//! A simple reader of QCOW1 that shares no code with the crate. The tests compare the crate with
//! it.
//!
//! It takes whole files in memory, looks up each cluster separately, and never panics, whatever the
//! file contains.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The errors of the oracle, which are the classes of the crate's errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    NotQcow,
    Unsupported,
    Corrupt,
    OutOfRange,
    BackingRequired,
    KeyRequired,
}

/// The options for reading a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// Whether everything past the end of the file reads as zeros.
    pub salvage: bool,
}

/// One image of a chain.
#[derive(Clone)]
pub enum Layer<'a> {
    Qcow(Oracle<'a>),
    Raw(&'a [u8]),
}

/// A QCOW1 file with a valid header.
#[derive(Clone)]
pub struct Oracle<'a> {
    file: &'a [u8],
    rules: Rules,
    pub size: u64,
    cluster_bits: u32,
    l2_bits: u32,
    l1_offset: u64,
    l1_is_little_endian: bool,
    pub names_backing: bool,
    pub encrypted: bool,
    pub key: Option<[u8; 16]>,
    /// The inflated streams, by offset and length. They stay valid, because the file does not
    /// change.
    inflated: RefCell<Inflated>,
}

/// An inflated cluster, or `None` for a corrupt stream.
type Inflated = BTreeMap<(u64, u64), Option<Rc<[u8]>>>;

/// How a table stores a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cluster {
    Hole,
    Data(u64),
    Compressed(u64, u64),
}

/// How a guest's byte is stored, as a reader reports it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stored {
    Zero,
    Backing,
    /// At this offset of the file.
    Data(u64),
    /// In the stream at this offset and of this length.
    Compressed(u64, u64),
}

impl Stored {
    /// Returns `true` if `next`, `len` bytes later, continues this.
    fn goes_on(self, len: u64, next: Self) -> bool {
        match (self, next) {
            (Self::Data(host), Self::Data(next)) => host + len == next,
            (Self::Zero, Self::Zero) | (Self::Backing, Self::Backing) => true,
            _ => false,
        }
    }
}

impl<'a> Oracle<'a> {
    pub fn open(file: &'a [u8], rules: Rules) -> Result<Self, Refusal> {
        if file.len() < 8 || file[..4] != *b"QFI\xfb" {
            return Err(Refusal::NotQcow);
        }
        let u32_at = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
        let u64_at = |at: usize| u64::from_be_bytes(file[at..at + 8].try_into().unwrap());
        if u32_at(4) != 1 {
            return Err(Refusal::Unsupported);
        }
        if file.len() < 48 {
            return Err(Refusal::Corrupt);
        }
        let (size, cluster_bits, l2_bits) = (u64_at(24), u32::from(file[32]), u32::from(file[33]));
        if size < 2 || !(9..=16).contains(&cluster_bits) || !(6..=13).contains(&l2_bits) {
            return Err(Refusal::Corrupt);
        }
        let span = 1_u64 << (cluster_bits + l2_bits);
        if size.checked_add(span).is_none() {
            return Err(Refusal::Corrupt);
        }
        if u32_at(36) > 1 {
            return Err(Refusal::Unsupported);
        }
        let (name, name_len) = (u64_at(8), u64::from(u32_at(16)));
        let names_backing = name != 0 && name_len != 0;
        if names_backing && name_len > 1023 {
            return Err(Refusal::Corrupt);
        }
        let end = file.len() as u128;
        let l1_offset = u64_at(40);
        let l1_end = u128::from(l1_offset) + u128::from(size.div_ceil(span)) * 8;
        let name_end = u128::from(name) + u128::from(name_len);
        if !rules.salvage && (l1_end > end || names_backing && name_end > end) {
            return Err(Refusal::Corrupt);
        }
        let l1_is_little_endian =
            file.len() >= 64 && file[48..52] == *b"XEN\xfb" && l1_offset.is_multiple_of(4096) && u32_at(60) & 2 == 0;
        Ok(Self {
            file,
            rules,
            size,
            cluster_bits,
            l2_bits,
            l1_offset,
            l1_is_little_endian,
            names_backing,
            encrypted: u32_at(36) == 1,
            key: None,
            inflated: RefCell::default(),
        })
    }

    pub fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Returns the `N` bytes of the file that start at `offset`.
    fn array<const N: usize>(&self, offset: u64) -> [u8; N] {
        let mut array = [0; N];
        copy(self.file, offset, &mut array);
        array
    }

    /// Returns the `len` bytes of the file that start at `offset`.
    fn bytes(&self, offset: u64, len: u64) -> Vec<u8> {
        let mut bytes = vec![0; len as usize];
        copy(self.file, offset, &mut bytes);
        bytes
    }

    fn inside(&self, offset: u64, len: u64) -> bool {
        self.rules.salvage || u128::from(offset) + u128::from(len) <= self.file.len() as u128
    }

    /// Returns how the cluster that holds the guest's byte at `offset` is stored.
    pub fn cluster(&self, offset: u64) -> Result<Cluster, Refusal> {
        let number = offset >> self.cluster_bits;
        let l1 = self.array(self.l1_offset.saturating_add((number >> self.l2_bits) * 8));
        let table = if self.l1_is_little_endian {
            u64::from_le_bytes(l1)
        } else {
            u64::from_be_bytes(l1)
        };
        if table == 0 {
            return Ok(Cluster::Hole);
        }
        if table >> 63 != 0 || !self.inside(table, 8 << self.l2_bits) {
            return Err(Refusal::Corrupt);
        }
        let word = u64::from_be_bytes(self.array(table + (number & ((1 << self.l2_bits) - 1)) * 8));
        if word == 0 {
            return Ok(Cluster::Hole);
        }
        if word >> 63 != 0 {
            let host = word & ((1 << (63 - self.cluster_bits)) - 1);
            let len = (word & !(1 << 63)) >> (63 - self.cluster_bits);
            if len == 0 || !self.inside(host, len) {
                return Err(Refusal::Corrupt);
            }
            return Ok(Cluster::Compressed(host, len));
        }
        let mut used = self.cluster_size().min(self.size - (number << self.cluster_bits));
        if self.encrypted {
            used = used.next_multiple_of(512);
        }
        if !word.is_multiple_of(512) || !self.inside(word, used) {
            return Err(Refusal::Corrupt);
        }
        Ok(Cluster::Data(word))
    }

    /// Returns the bytes of the sector that holds the guest's byte at `offset`, or `None` if the
    /// file has a hole there.
    fn contents(&self, offset: u64) -> Result<Option<[u8; 512]>, Refusal> {
        let start = offset % self.cluster_size() / 512 * 512;
        match self.cluster(offset)? {
            Cluster::Hole => Ok(None),
            Cluster::Compressed(host, len) => {
                let cluster = self.inflate_cluster(host, len).ok_or(Refusal::Corrupt)?;
                Ok(cluster[start as usize..][..512].try_into().ok())
            }
            Cluster::Data(host) => {
                let mut sector = self.array(host + start);
                if self.encrypted {
                    // A truncated encrypted sector reads as zeros.
                    if host + start + 512 > self.file.len() as u64 {
                        sector.fill(0);
                    } else {
                        let key = self.key.ok_or(Refusal::KeyRequired)?;
                        decrypt(&key, offset / 512, &mut sector);
                    }
                }
                Ok(Some(sector))
            }
        }
    }

    /// Returns how the guest's byte at `offset` is stored, and the offset in its cluster at which
    /// that ends.
    fn piece(&self, offset: u64) -> Result<(Stored, u64), Refusal> {
        let inside = offset % self.cluster_size();
        let end = (offset - inside).saturating_add(self.cluster_size()).min(self.size);
        Ok(match self.cluster(offset)? {
            Cluster::Hole if self.names_backing => (Stored::Backing, end),
            Cluster::Hole => (Stored::Zero, end),
            Cluster::Compressed(host, len) => (Stored::Compressed(host, len), end),
            Cluster::Data(host) => {
                // The bytes of the cluster inside the file; if it is encrypted, only whole sectors.
                let mut stored = (self.file.len() as u64).saturating_sub(host);
                if self.encrypted {
                    stored = stored / 512 * 512;
                }
                if inside < stored {
                    (Stored::Data(host + inside), end.min(offset - inside + stored))
                } else {
                    (Stored::Zero, end)
                }
            }
        })
    }

    /// Returns how the run of bytes that starts at `offset` is stored, and its end: at `end`,
    /// before a corrupt cluster, or after `most` clusters at the latest.
    pub fn run(&self, offset: u64, end: u64, most: usize) -> Result<(Stored, u64), Refusal> {
        let (stored, mut run_end) = self.piece(offset)?;
        for _ in 0..most {
            if run_end >= end.min(self.size) {
                break;
            }
            match self.piece(run_end) {
                Ok((next, next_end)) if stored.goes_on(run_end - offset, next) => run_end = next_end,
                _ => break,
            }
        }
        Ok((stored, run_end.min(end)))
    }

    /// Returns the bytes of the backing file's name. Past the end of the file they are zeros.
    pub fn backing_name(&self) -> Option<Vec<u8>> {
        let at = u64::from_be_bytes(self.file[8..16].try_into().unwrap());
        let len = u64::from(u32::from_be_bytes(self.file[16..20].try_into().unwrap()));
        self.names_backing.then(|| self.bytes(at, len))
    }

    /// Returns the number of L1 words inside the file.
    pub fn l1_words(&self) -> u64 {
        let span = 1_u64 << (self.cluster_bits + self.l2_bits);
        let inside = (self.file.len() as u64).saturating_sub(self.l1_offset).div_ceil(8);
        self.size.div_ceil(span).min(inside)
    }

    /// Returns log2 of the cluster size and of the bytes that an L1 entry covers.
    pub fn bits(&self) -> (u32, u32) {
        (self.cluster_bits, self.cluster_bits + self.l2_bits)
    }

    /// Inflates the cluster of a stream.
    fn inflate_cluster(&self, host: u64, len: u64) -> Option<Rc<[u8]>> {
        let mut inflated = self.inflated.borrow_mut();
        let cluster = inflated.entry((host, len)).or_insert_with(|| {
            let mut cluster = vec![0; self.cluster_size() as usize];
            let in_file = (self.file.len() as u64).saturating_sub(host).min(len);
            let filled = inflate(&self.bytes(host, in_file), &mut cluster);
            // In salvage, a truncated stream is never corrupt: the missing bytes are zeros.
            (filled == cluster.len() || in_file < len).then(|| {
                cluster[filled..].fill(0);
                cluster.into()
            })
        });
        cluster.clone()
    }
}

/// Reads the guest's bytes from a chain, top first.
pub fn read(layers: &[Layer<'_>], offset: u64, len: usize) -> Result<Vec<u8>, Refusal> {
    let size = match layers.first() {
        Some(Layer::Qcow(top)) => top.size,
        Some(Layer::Raw(bytes)) => bytes.len() as u64,
        None => 0,
    };
    if offset.checked_add(len as u64).is_none_or(|end| end > size) {
        return Err(Refusal::OutOfRange);
    }
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let at = offset + bytes.len() as u64;
        // In every image, clusters consist of whole sectors.
        let step = (512 - at % 512).min((len - bytes.len()) as u64);
        bytes.extend(sector(layers, at, step as usize)?);
    }
    Ok(bytes)
}

/// Fills `to` with the bytes of `from` at `offset`; past its end, with zeros.
fn copy(from: &[u8], offset: u64, to: &mut [u8]) {
    let from = usize::try_from(offset)
        .ok()
        .and_then(|at| from.get(at..))
        .unwrap_or(&[]);
    let len = from.len().min(to.len());
    to[..len].copy_from_slice(&from[..len]);
    to[len..].fill(0);
}

/// Reads a part of one sector.
fn sector(layers: &[Layer<'_>], at: u64, len: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = vec![0; len];
    match layers.split_first() {
        None => return Err(Refusal::BackingRequired),
        Some((Layer::Raw(raw), _)) => copy(raw, at, &mut bytes),
        Some((Layer::Qcow(image), below)) => {
            // Past the end of this image are zeros, whatever its last cluster or the next image has
            // there.
            let inside = usize::try_from(image.size.saturating_sub(at))
                .unwrap_or(usize::MAX)
                .min(len);
            if inside == 0 {
                return Ok(bytes);
            }
            let found = match image.contents(at)? {
                Some(sector) => sector[at as usize % 512..][..len].to_vec(),
                None if image.names_backing => sector(below, at, len)?,
                None => return Ok(bytes),
            };
            bytes[..inside].copy_from_slice(&found[..inside]);
        }
    }
    Ok(bytes)
}

/// Inflates a stream until it fills `cluster`, ends or turns out to be invalid. Returns the number
/// of bytes filled.
pub fn inflate(stream: &[u8], cluster: &mut [u8]) -> usize {
    // With zlib, as QEMU does: other decoders accept streams that it refuses.
    let mut zlib = flate2::Decompress::new(false);
    let _ = zlib.decompress(stream, cluster, flate2::FlushDecompress::Finish);
    zlib.total_out() as usize
}

/// Decrypts one sector with AES-128-CBC, written here with only the block function of a library.
fn decrypt(key: &[u8; 16], number: u64, sector: &mut [u8]) {
    use aes::cipher::{Array, BlockCipherDecrypt, KeyInit};
    let cipher = aes::Aes128::new(&Array(*key));
    let mut previous = [0; 16];
    previous[..8].copy_from_slice(&number.to_le_bytes());
    for block in sector.chunks_mut(16) {
        let stored: [u8; 16] = (&*block).try_into().unwrap();
        let mut plain = Array(stored);
        cipher.decrypt_block(&mut plain);
        for ((to, plain), previous) in block.iter_mut().zip(plain).zip(previous) {
            *to = plain ^ previous;
        }
        previous = stored;
    }
}
