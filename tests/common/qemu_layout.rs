//! A full disk as QEMU lays it out. It is generated when it is read, so an image of a gigabyte
//! needs no gigabyte of memory.

use std::convert::Infallible;

use qcow1::{BlockRead, BlockSize};

const CLUSTER: u64 = 4096;
const ENTRIES: u64 = 512;
const SPAN: u64 = CLUSTER * ENTRIES;

/// The sequence in which the clusters were written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From first to last: each L2 table is before its data.
    Ascending,
    /// Random: all tables come early, and no two neighbors are adjacent in the file.
    Scattered,
}

/// The image, which counts its reads.
pub struct QemuLayout {
    size: u64,
    order: Order,
    block_size: BlockSize,
    /// The number of requests that read data: those of whole clusters.
    pub data_requests: u64,
    /// The number of all requests.
    pub requests: u64,
}

impl QemuLayout {
    /// Creates a disk of `size` bytes, a multiple of 2 MiB.
    pub fn new(size: u64, order: Order, block_size: BlockSize) -> Self {
        assert_eq!(size % SPAN, 0);
        Self {
            size,
            order,
            block_size,
            data_requests: 0,
            requests: 0,
        }
    }

    fn spans(&self) -> u64 {
        self.size / SPAN
    }

    fn first_cluster(&self) -> u64 {
        (48 + self.spans() * 8).next_multiple_of(CLUSTER)
    }

    fn table(&self, span: u64) -> u64 {
        self.first_cluster()
            + match self.order {
                Order::Ascending => span * (CLUSTER + SPAN),
                Order::Scattered => span * CLUSTER,
            }
    }

    fn data(&self, cluster: u64) -> u64 {
        match self.order {
            Order::Ascending => self.table(cluster / ENTRIES) + CLUSTER + cluster % ENTRIES * CLUSTER,
            Order::Scattered => {
                let clusters = self.size / CLUSTER;
                assert!(clusters.is_power_of_two(), "an odd factor permutes only powers of two");
                self.table(self.spans()) + cluster.wrapping_mul(0x9e37_79b1) % clusters * CLUSTER
            }
        }
    }

    /// Returns the eight bytes at `offset`, a multiple of eight.
    fn word(&self, offset: u64) -> [u8; 8] {
        let l1_end = 48 + self.spans() * 8;
        match offset {
            0 => *b"QFI\xfb\0\0\0\x01",
            24 => self.size.to_be_bytes(),
            32 => [12, 9, 0, 0, 0, 0, 0, 0],
            40 => 48_u64.to_be_bytes(),
            48.. if offset < l1_end => self.table((offset - 48) / 8).to_be_bytes(),
            _ => match self.span_of_table(offset) {
                Some(span) => {
                    let entry = (offset - self.table(span)) / 8;
                    self.data(span * ENTRIES + entry).to_be_bytes()
                }
                None => [0; 8],
            },
        }
    }

    /// Returns the span whose L2 table contains the byte at `offset`.
    fn span_of_table(&self, offset: u64) -> Option<u64> {
        let after_first = offset.checked_sub(self.first_cluster())?;
        let span = match self.order {
            Order::Ascending => after_first / (CLUSTER + SPAN),
            Order::Scattered => after_first / CLUSTER,
        };
        (span < self.spans() && offset - self.table(span) < CLUSTER).then_some(span)
    }
}

impl BlockRead for QemuLayout {
    type Error = Infallible;

    fn block_size(&self) -> BlockSize {
        self.block_size
    }

    fn size(&mut self) -> Result<u64, Infallible> {
        let last = self.size / CLUSTER;
        Ok(match self.order {
            Order::Ascending => self.data(last - 1) + CLUSTER,
            Order::Scattered => self.table(self.spans()) + self.size,
        })
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Infallible> {
        let start = lba * u64::from(self.block_size.bytes());
        self.requests += 1;
        if start >= self.first_cluster() && self.span_of_table(start).is_none() {
            // Data is zeros: its contents do not matter here.
            self.data_requests += 1;
            return Ok(());
        }
        for (byte, offset) in buf.iter_mut().zip(start..) {
            *byte = self.word(offset & !7)[usize::try_from(offset & 7).unwrap()];
        }
        Ok(())
    }
}
