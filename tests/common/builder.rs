//! Images built in code, so that a test shows the one unusual property of its image.

/// A builder of an image. Every property that is not set is as QEMU writes it.
#[derive(Clone)]
pub struct ImageBuilder {
    size: u64,
    cluster_bits: u8,
    l2_bits: u8,
    l1_offset: u64,
    backing: Option<(u64, Vec<u8>)>,
    key: Option<[u8; 16]>,
    xen_flags: Option<u32>,
    /// The file without its header, at its offsets.
    file: Vec<u8>,
    tables: std::collections::BTreeMap<u64, u64>,
    /// The distance in bytes of a new L2 table from a multiple of 512.
    table_skew: u64,
    /// Whether new tables and clusters start at multiples of their own size, not only of 512.
    aligned: bool,
}

impl ImageBuilder {
    /// Creates a disk of `size` bytes in clusters of 4 KiB, all holes.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            cluster_bits: 12,
            l2_bits: 9,
            l1_offset: 48,
            backing: None,
            key: None,
            xen_flags: None,
            file: Vec::new(),
            tables: std::collections::BTreeMap::new(),
            table_skew: 0,
            aligned: false,
        }
    }

    pub fn bits(mut self, cluster_bits: u8, l2_bits: u8) -> Self {
        (self.cluster_bits, self.l2_bits) = (cluster_bits, l2_bits);
        self
    }

    pub fn l1_at(mut self, offset: u64) -> Self {
        self.l1_offset = offset;
        self
    }

    /// Sets the distance in bytes of new L2 tables from a sector's start.
    pub fn tables_off_by(mut self, bytes: u64) -> Self {
        self.table_skew = bytes;
        self
    }

    /// Makes new tables and clusters start at multiples of their own size.
    pub fn aligned(mut self) -> Self {
        self.aligned = true;
        self
    }

    /// Returns the offset for a new part of `size` bytes.
    fn place(&self, size: u64) -> u64 {
        self.free(if self.aligned { size } else { 512 })
    }

    /// Names a backing file, at `offset`.
    pub fn backing_at(mut self, offset: u64, name: &[u8]) -> Self {
        self.backing = Some((offset, name.to_vec()));
        self
    }

    /// Names a backing file as QEMU does: at 48, with the L1 table after it, clusters of 512 bytes
    /// and tables of 32 KiB.
    pub fn overlay_on(self, name: &[u8]) -> Self {
        let l1 = 48 + name.len().next_multiple_of(8) as u64;
        self.bits(9, 12).l1_at(l1).backing_at(48, name)
    }

    /// Encrypts data that is added later with `key`.
    pub fn encrypted(mut self, key: [u8; 16]) -> Self {
        self.key = Some(key);
        self
    }

    /// Adds Xen's extension. The L1 table is little-endian unless bit 1 of `flags` is set.
    pub fn xen(mut self, flags: u32) -> Self {
        self.xen_flags = Some(flags);
        self.l1_at(4096)
    }

    pub fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    fn span(&self) -> u64 {
        self.cluster_size() << self.l2_bits
    }

    /// Returns the first free multiple of `align`, after the header, the L1 table and all parts.
    pub fn free(&self, align: u64) -> u64 {
        let l1_end = self.l1_offset + self.size.div_ceil(self.span()) * 8;
        let name_end = self.backing.as_ref().map_or(0, |(at, name)| at + name.len() as u64);
        l1_end
            .max(name_end)
            .max(64)
            .max(self.file.len() as u64)
            .next_multiple_of(align)
    }

    /// Writes bytes at any offset in the file.
    pub fn raw(&mut self, offset: u64, bytes: &[u8]) -> &mut Self {
        let start = offset as usize;
        let end = start + bytes.len();
        if self.file.len() < end {
            self.file.resize(end, 0);
        }
        self.file[start..end].copy_from_slice(bytes);
        self
    }

    /// Sets an L1 word.
    pub fn l1_word(&mut self, index: u64, word: u64) -> &mut Self {
        let bytes = match self.xen_flags {
            Some(flags) if flags & 2 == 0 => word.to_le_bytes(),
            _ => word.to_be_bytes(),
        };
        self.raw(self.l1_offset + index * 8, &bytes)
    }

    /// Sets the L1 word of the span that holds the guest's byte at `guest` to an L2 table at
    /// `host`.
    pub fn table_at(&mut self, guest: u64, host: u64) -> &mut Self {
        let index = guest / self.span();
        self.tables.insert(index, host);
        self.raw(host, &vec![0; 8 << self.l2_bits]);
        self.l1_word(index, host)
    }

    /// Sets the L2 word of the cluster that holds the guest's byte at `guest`.
    pub fn l2_word(&mut self, guest: u64, word: u64) -> &mut Self {
        let index = guest / self.span();
        if !self.tables.contains_key(&index) {
            let host = self.place(8 << self.l2_bits) + self.table_skew;
            self.table_at(guest, host);
        }
        let entry = guest % self.span() / self.cluster_size();
        let host = self.tables[&index] + entry * 8;
        self.raw(host, &word.to_be_bytes())
    }

    /// Stores the cluster at `guest` at `host`.
    pub fn data_at(&mut self, guest: u64, host: u64, cluster: &[u8]) -> &mut Self {
        assert_eq!(guest % self.cluster_size(), 0);
        let mut cluster = cluster.to_vec();
        if let Some(key) = self.key {
            encrypt(&key, guest, &mut cluster);
        }
        self.raw(host, &cluster).l2_word(guest, host)
    }

    /// Stores adjacent clusters that start at `guest`. The last is padded with zeros.
    pub fn data(&mut self, guest: u64, bytes: &[u8]) -> &mut Self {
        let size = self.cluster_size();
        let mut guest = guest;
        for chunk in bytes.chunks(size as usize) {
            let mut cluster = chunk.to_vec();
            cluster.resize(size as usize, 0);
            // The table comes first, so that clusters added in sequence are adjacent.
            self.l2_word(guest, 0);
            self.data_at(guest, self.place(size), &cluster);
            guest += size;
        }
        self
    }

    /// Stores a cluster deflated, at the next free byte.
    pub fn compressed(&mut self, guest: u64, bytes: &[u8]) -> &mut Self {
        let mut cluster = bytes.to_vec();
        cluster.resize(self.cluster_size() as usize, 0);
        let stream = miniz_oxide::deflate::compress_to_vec(&cluster, 6);
        assert!(stream.len() < cluster.len(), "these bytes do not deflate");
        self.l2_word(guest, 0);
        let host = self.free(1);
        self.stream_at(guest, host, &stream, stream.len() as u64)
    }

    /// Stores a stream at `host`, and a word with the length `len`.
    pub fn stream_at(&mut self, guest: u64, host: u64, stream: &[u8], len: u64) -> &mut Self {
        let word = 1 << 63 | len << (63 - self.cluster_bits) | host;
        self.raw(host, stream).l2_word(guest, word)
    }

    /// Returns the file.
    pub fn build(&self) -> Vec<u8> {
        let mut image = self.clone();
        let l1_end = self.l1_offset + self.size.div_ceil(self.span()) * 8;
        if (image.file.len() as u64) < l1_end {
            image.file.resize(l1_end as usize, 0);
        }
        let mut header = [0; 48];
        header[..4].copy_from_slice(b"QFI\xfb");
        header[4..8].copy_from_slice(&1_u32.to_be_bytes());
        if let Some((offset, name)) = &self.backing {
            header[8..16].copy_from_slice(&offset.to_be_bytes());
            header[16..20].copy_from_slice(&(name.len() as u32).to_be_bytes());
            image.raw(*offset, name);
        }
        header[24..32].copy_from_slice(&self.size.to_be_bytes());
        header[32] = self.cluster_bits;
        header[33] = self.l2_bits;
        header[36..40].copy_from_slice(&u32::from(self.key.is_some()).to_be_bytes());
        header[40..48].copy_from_slice(&self.l1_offset.to_be_bytes());
        image.raw(0, &header);
        if let Some(flags) = self.xen_flags {
            image.raw(48, b"XEN\xfb\0\0\0\0\0\0\0\0");
            image.raw(60, &flags.to_be_bytes());
        }
        image.file
    }
}

/// Encrypts each sector with AES-128-CBC, written here with only the block function of a library.
pub fn encrypt(key: &[u8; 16], guest: u64, bytes: &mut [u8]) {
    use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
    let cipher = aes::Aes128::new(&Array(*key));
    for (i, sector) in bytes.chunks_mut(512).enumerate() {
        let mut previous = [0; 16];
        previous[..8].copy_from_slice(&(guest / 512 + i as u64).to_le_bytes());
        for block in sector.chunks_mut(16) {
            let mut mixed = Array(previous);
            for (to, plain) in mixed.iter_mut().zip(block.iter()) {
                *to ^= plain;
            }
            cipher.encrypt_block(&mut mixed);
            block.copy_from_slice(&mixed);
            previous = mixed.0;
        }
    }
}
