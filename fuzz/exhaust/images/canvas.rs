//! A file on which images of one geometry are drawn, a few words at a time.

use flate2::{Compress, Compression, FlushCompress};

/// The guest's key in encrypted images.
pub const KEY: [u8; 16] = [7; 16];

/// Where the tables start, less what their place is skewed by. The header, the name and the L1
/// table are before them.
const TABLES: u64 = 0x2000;

pub struct Canvas {
    pub cluster_bits: u8,
    pub l2_bits: u8,
    /// Where two L2 tables, a data cluster and two streams that follow each other start.
    pub tables: [u64; 2],
    pub data: u64,
    pub streams: [u64; 2],
    pub stream_lens: [u64; 2],
    file: Vec<u8>,
    /// The words that were drawn, and what was there before.
    drawn: Vec<(usize, [u8; 8])>,
}

impl Canvas {
    /// Creates the file of a geometry, with tables that start `skew` bytes after a multiple of 512.
    /// Each of its sectors differs. Each word of its tables leads to data, and to other data than
    /// its neighbors.
    pub fn new(cluster_bits: u8, l2_bits: u8, skew: u64) -> Self {
        let (cluster, table) = (1_u64 << cluster_bits, 8_u64 << l2_bits);
        let tables = [TABLES + skew, TABLES + skew + (table + 8).next_multiple_of(512)];
        let data = (tables[1] + table).next_multiple_of(512);
        let contents: Vec<u8> = (0..cluster).map(|at| (at >> 5) as u8 ^ (at >> 9) as u8).collect();
        let streams = [vec![9; cluster as usize], contents].map(|bytes| deflate(&bytes));
        let stream_lens = streams.each_ref().map(|stream| stream.len() as u64);
        assert!(stream_lens.iter().all(|&len| len < cluster));
        let starts = [data + 3 * cluster + 77, data + 3 * cluster + 77 + stream_lens[0]];
        let len = (starts[1] + stream_lens[1]).next_multiple_of(512) + cluster;

        let mut file: Vec<u8> = (0..len).map(|at| (at / 512 * 37 + at % 512 / 3) as u8).collect();
        file[..TABLES as usize].fill(0);
        for start in tables {
            for index in 0..1_u64 << l2_bits {
                let word = data + 512 * (index % 4);
                file[(start + 8 * index) as usize..][..8].copy_from_slice(&word.to_be_bytes());
            }
        }
        for (start, stream) in starts.iter().zip(&streams) {
            file[*start as usize..][..stream.len()].copy_from_slice(stream);
        }
        Self {
            cluster_bits,
            l2_bits,
            tables,
            data,
            streams: starts,
            stream_lens,
            file,
            drawn: Vec::new(),
        }
    }

    pub fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    pub fn table(&self) -> u64 {
        8 << self.l2_bits
    }

    pub fn span(&self) -> u64 {
        self.cluster() << self.l2_bits
    }

    pub fn len(&self) -> u64 {
        self.file.len() as u64
    }

    /// Draws 8 bytes, which must be inside the file.
    pub fn draw(&mut self, at: u64, bytes: [u8; 8]) {
        let place: &mut [u8; 8] = self.file[at as usize..].first_chunk_mut().unwrap();
        self.drawn.push((at as usize, *place));
        *place = bytes;
    }

    pub fn file(&self) -> &[u8] {
        &self.file
    }

    /// Removes everything that was drawn.
    pub fn wipe(&mut self) {
        for (at, bytes) in self.drawn.drain(..).rev() {
            self.file[at..][..8].copy_from_slice(&bytes);
        }
    }
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut stream = vec![0; bytes.len()];
    let mut zlib = Compress::new_with_window_bits(Compression::best(), false, 12);
    zlib.compress(bytes, &mut stream, FlushCompress::Finish).unwrap();
    stream.truncate(zlib.total_out() as usize);
    stream
}
