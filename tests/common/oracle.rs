//! A reader of QCOW1 that is as plain as can be, and shares nothing with the crate: the tests' idea of what is right.
//!
//! It takes whole files in memory, looks up each cluster anew, and never panics, whatever the file holds.

/// Why the oracle gives no bytes: the classes of the crate's errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    NotQcow,
    Unsupported,
    Corrupt,
    OutOfRange,
    BackingRequired,
    KeyRequired,
}

/// How a file is read, beyond what its bytes say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// What lies past the end of the file reads as zeros.
    pub salvage: bool,
    /// The L1 is big-endian whatever Xen's extension says.
    pub no_xen: bool,
}

/// One image of a chain.
#[derive(Clone)]
pub enum Layer<'a> {
    Qcow(Oracle<'a>),
    Raw(&'a [u8]),
}

/// A QCOW1 file whose header is right.
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
}

/// What a table says of a cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cluster {
    Hole,
    Data(u64),
    Compressed(u64, u64),
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
        let l1_is_little_endian = !rules.no_xen
            && file.len() >= 64
            && file[48..52] == *b"XEN\xfb"
            && l1_offset.is_multiple_of(4096)
            && u32_at(60) & 2 == 0;
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
        })
    }

    pub fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// The byte at `offset` of the file; past its end, zero.
    fn byte(&self, offset: u64) -> u8 {
        usize::try_from(offset)
            .ok()
            .and_then(|at| self.file.get(at).copied())
            .unwrap_or(0)
    }

    fn word(&self, offset: u64) -> [u8; 8] {
        std::array::from_fn(|i| self.byte(offset.saturating_add(i as u64)))
    }

    fn inside(&self, offset: u64, len: u64) -> bool {
        self.rules.salvage || u128::from(offset) + u128::from(len) <= self.file.len() as u128
    }

    /// How the cluster that holds the guest's byte at `offset` is stored.
    pub fn cluster(&self, offset: u64) -> Result<Cluster, Refusal> {
        let number = offset >> self.cluster_bits;
        let l1 = self.word(self.l1_offset.saturating_add((number >> self.l2_bits) * 8));
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
        let word = u64::from_be_bytes(self.word(table + (number & ((1 << self.l2_bits) - 1)) * 8));
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

    /// The bytes of a cluster that is stored in the file, right in the sector of `offset`; `None` for a hole.
    fn contents(&self, offset: u64) -> Result<Option<Vec<u8>>, Refusal> {
        let size = self.cluster_size();
        match self.cluster(offset)? {
            Cluster::Hole => Ok(None),
            Cluster::Compressed(host, len) => {
                let stream: Vec<u8> = (host..host + len).map(|at| self.byte(at)).collect();
                let mut cluster = vec![0; size as usize];
                inflate(&stream, &mut cluster)
                    .then_some(Some(cluster))
                    .ok_or(Refusal::Corrupt)
            }
            Cluster::Data(host) => {
                let mut cluster: Vec<u8> = (host..host + size).map(|at| self.byte(at)).collect();
                if self.encrypted {
                    // The one sector that is asked for. Of one that the file has only a part of, nothing is left.
                    let start = (offset % size / 512 * 512) as usize;
                    let sector = &mut cluster[start..start + 512];
                    if host + start as u64 + 512 > self.file.len() as u64 {
                        sector.fill(0);
                    } else {
                        let key = self.key.ok_or(Refusal::KeyRequired)?;
                        decrypt(&key, offset / 512, sector);
                    }
                }
                Ok(Some(cluster))
            }
        }
    }
}

/// The guest's bytes through a chain, top first.
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
        // No cluster of any layer is smaller than a sector, or off the sectors.
        let step = (512 - at % 512).min((len - bytes.len()) as u64);
        bytes.extend(sector(layers, at, step as usize)?);
    }
    Ok(bytes)
}

/// A part of one sector.
fn sector(layers: &[Layer<'_>], at: u64, len: usize) -> Result<Vec<u8>, Refusal> {
    let byte = |bytes: &[u8], at: u64| {
        usize::try_from(at)
            .ok()
            .and_then(|at| bytes.get(at).copied())
            .unwrap_or(0)
    };
    let range = at..at + len as u64;
    match layers.split_first() {
        None => Err(Refusal::BackingRequired),
        Some((Layer::Raw(raw), _)) => Ok(range.map(|at| byte(raw, at)).collect()),
        Some((Layer::Qcow(image), below)) => {
            if at >= image.size {
                return Ok(vec![0; len]);
            }
            let size = image.cluster_size();
            match image.contents(at)? {
                Some(cluster) => Ok(range
                    .map(|at| {
                        if at < image.size {
                            byte(&cluster, at & (size - 1))
                        } else {
                            0
                        }
                    })
                    .collect()),
                None if image.names_backing => {
                    let mut bytes = sector(below, at, len)?;
                    // What the layer above has of the sector beyond this one's end is zeros.
                    let inside = usize::try_from(image.size - at).unwrap_or(usize::MAX).min(len);
                    bytes[inside..].fill(0);
                    Ok(bytes)
                }
                None => Ok(vec![0; len]),
            }
        }
    }
}

/// Inflates into the whole of `cluster`; what the stream holds beyond that is of no account.
pub fn inflate(stream: &[u8], cluster: &mut [u8]) -> bool {
    // By zlib, as QEMU does it: others take streams that it refuses.
    let mut zlib = flate2::Decompress::new(false);
    let _ = zlib.decompress(stream, cluster, flate2::FlushDecompress::Finish);
    zlib.total_out() == cluster.len() as u64
}

/// AES-128-CBC over one sector, out of the block function alone.
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
