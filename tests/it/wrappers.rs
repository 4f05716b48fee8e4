//! The requests that wrappers make of the device they wrap, on devices of sizes up to the maximum
//! of 64 bits.

use std::convert::Infallible;

use crate::common::Strict;
use qcow1::{Aligned, BlockRead, BlockSize, Blocks, Bounced, Image, Limited, MapErr, Partition, Tracer};

/// A device of any size. Each byte depends on its offset. After the last byte, the block is filled
/// with garbage.
#[derive(Clone, Copy)]
struct Endless {
    size: u64,
    block_size: BlockSize,
}

/// Returns the byte at `offset`.
fn byte(offset: u128) -> u8 {
    (offset % 251) as u8
}

impl BlockRead for Endless {
    type Error = Infallible;

    fn block_size(&self) -> BlockSize {
        self.block_size
    }

    fn size(&mut self) -> Result<u64, Infallible> {
        Ok(self.size)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Infallible> {
        let start = u128::from(lba) * u128::from(self.block_size.bytes());
        for (to, offset) in buf.iter_mut().zip(start..) {
            *to = if offset < self.size.into() { byte(offset) } else { 0xee };
        }
        Ok(())
    }
}

const SIZES: [u64; 12] = [
    1,
    511,
    512,
    513,
    70_000,
    (1 << 63) - 1,
    1 << 63,
    (1 << 63) + 1,
    u64::MAX - 4096,
    u64::MAX - 512,
    u64::MAX - 1,
    u64::MAX,
];

/// Returns devices of each size, in blocks of 1, 512 and 4,096 bytes. They panic at requests of no
/// bytes, of parts of blocks, or past the last block.
fn devices() -> impl Iterator<Item = Strict<Endless>> {
    let blocks = [BlockSize::BYTE, BlockSize::B512, BlockSize::B4096];
    SIZES.into_iter().flat_map(move |size| {
        blocks
            .into_iter()
            .map(move |block_size| Strict::new(Endless { size, block_size }))
    })
}

/// Reads 1, 2 and 5 blocks at both ends of a device, and compares the bytes that it stores.
fn read_both_ends<D: BlockRead>(mut device: D, what: &str) {
    let size = device.size().unwrap();
    let block = device.block_size().bytes();
    let count = u128::from(size).div_ceil(block.into()) as u64;
    for blocks in [1, 2, 5].map(|blocks| count.min(blocks)) {
        for lba in [0, count - blocks] {
            let mut buf = vec![0xcc; blocks as usize * block as usize];
            device.read_blocks(lba, &mut buf).unwrap();
            let start = u128::from(lba) * u128::from(block);
            for (read, offset) in buf.into_iter().zip(start..) {
                let stored = offset < size.into();
                assert!(
                    !stored || read == byte(offset),
                    "{what}, {size} bytes in blocks of {block}: {read} at {offset}"
                );
            }
        }
    }
}

#[test]
fn blocks_ask_for_whole_blocks_of_the_device_and_none_past_its_last() {
    for device in devices() {
        for block in [1, 512, 4096, 65_536] {
            read_both_ends(Blocks::new(device, BlockSize::new(block).unwrap()), "Blocks");
        }
    }
}

#[test]
fn a_wrapper_gives_back_the_device_or_the_disk_that_it_wraps() {
    let file = &[7_u8; 1024][..];
    assert_eq!(Blocks::new(file, BlockSize::B512).into_inner(), file);
    assert_eq!(Limited::new(file, 512).into_inner(), file);
    assert_eq!(MapErr::new(file, |never: Infallible| never).into_inner(), file);
    let bounced = Bounced::new(file, 16, vec![0; 512]).unwrap();
    assert_eq!(bounced.into_parts(), (file, vec![0; 512]));
    let aligned = Aligned::new(file, 16, vec![0; 512]).unwrap();
    assert_eq!(aligned.into_parts(), (file, vec![0; 512]));
    let mut traced = Tracer::counting(file);
    assert_eq!(*traced.get_mut(), file);
    assert_eq!(traced.into_inner(), file);

    let mut memory = [0; 512];
    let disk = Image::open_raw(file, &mut memory).unwrap();
    let disk = Partition::new(disk, 512, 512).into_inner();
    #[cfg(feature = "embedded-sdmmc-types")]
    let disk = qcow1::ToBlockDevice::new(disk).into_inner();
    #[cfg(feature = "embedded-storage")]
    let disk = qcow1::ToStorage::new(disk).unwrap().into_inner();
    #[cfg(feature = "gpt_disk_io")]
    let disk = qcow1::ToBlockIo::new(disk, gpt_disk_io::gpt_disk_types::BlockSize::BS_512).into_inner();
    assert_eq!(disk.into_parts().0, file);
}

#[cfg(feature = "gpt_disk_io")]
#[test]
fn from_block_io_gives_its_block_io_back() {
    use gpt_disk_io::{BlockIo as _, BlockIoAdapter, gpt_disk_types::BlockSize};

    let io = BlockIoAdapter::new(&[7_u8; 1024][..], BlockSize::BS_512);
    let mut io = qcow1::FromBlockIo::new(io).unwrap().into_inner();
    assert_eq!(io.num_blocks(), Ok(2));
}

#[test]
fn blocks_past_the_end_of_the_device_are_zeros_that_it_is_not_asked_for() {
    let device = Strict::new(Endless {
        size: 5000,
        block_size: BlockSize::B512,
    });
    let mut counted = Blocks::new(Tracer::counting(device), BlockSize::B4096);
    let mut block = [0xcc; 4096];
    counted.read_blocks(2, &mut block).unwrap();
    assert_eq!(block, [0; 4096]);
    assert_eq!(counted.into_inner().counts().requests, 0);
}

#[test]
fn a_tail_shorter_than_a_block_reads_as_zeros() {
    for size in [1, 511, 513, 70_000, u64::MAX - 1] {
        let block_size = BlockSize::BYTE;
        let mut device = Blocks::new(Strict::new(Endless { size, block_size }), BlockSize::B4096);
        let mut last = vec![0xcc; 4096];
        device.read_blocks(size / 4096, &mut last).unwrap();
        let stored = (size % 4096) as usize;
        assert!(last[stored..].iter().all(|&byte| byte == 0), "{size}");
        assert_eq!(last[stored - 1], byte(u128::from(size) - 1));
    }
}

#[test]
fn aligned_asks_for_whole_blocks_of_the_device_and_none_past_its_last() {
    for device in devices() {
        let mut bounce = vec![0; 63 + 8192];
        read_both_ends(Aligned::new(device, 64, &mut bounce).unwrap(), "Aligned");
        let mut bounce = vec![0; 8191 + 4096];
        read_both_ends(Aligned::new(device, 8192, &mut bounce).unwrap(), "Aligned");
    }
}

#[test]
fn bounced_and_limited_ask_for_whole_blocks_of_the_device_and_none_past_its_last() {
    for device in devices() {
        read_both_ends(Bounced::new(device, 64, vec![0; 63 + 8192]).unwrap(), "Bounced");
        for max in [0, 1, 512, 1000, 5000, usize::MAX] {
            read_both_ends(Limited::new(device, max), "Limited");
        }
    }
}

#[test]
fn a_tracer_passes_requests_on_as_they_are() {
    for device in devices() {
        read_both_ends(Tracer::counting(device), "Tracer");
    }
}

#[test]
fn a_device_too_large_for_an_image_is_refused_through_a_wrapper_too() {
    for device in devices() {
        let mut memory = vec![0; 65_536];
        let too_large = device.inner.size > 1 << 63;
        let blocks = Blocks::new(device, BlockSize::new(65_536).unwrap());
        assert_eq!(qcow1::Image::open_raw(blocks, &mut memory).is_err(), too_large);
        let mut bounce = vec![0; 63 + 4096];
        let aligned = Aligned::new(device, 64, &mut bounce).unwrap();
        assert_eq!(qcow1::Image::open_raw(aligned, &mut memory).is_err(), too_large);
    }
}

/// `gpt_disk_io` counts blocks, so a size in bytes may need more than 64 bits.
#[cfg(feature = "gpt_disk_io")]
#[test]
fn a_block_io_of_more_than_64_bits_of_bytes_is_too_large_and_not_small() {
    use gpt_disk_io::gpt_disk_types::{BlockSize, Lba};
    use qcow1::{Error, FromBlockIo, Image, Unsupported};

    #[derive(Debug)]
    struct Huge(u64);

    impl gpt_disk_io::BlockIo for Huge {
        type Error = Infallible;

        fn block_size(&self) -> BlockSize {
            BlockSize::BS_4096
        }

        fn num_blocks(&mut self) -> Result<u64, Infallible> {
            Ok(self.0)
        }

        fn read_blocks(&mut self, start: Lba, dst: &mut [u8]) -> Result<(), Infallible> {
            assert!(!dst.is_empty() && dst.len().is_multiple_of(4096));
            assert!(start.to_u64() + dst.len() as u64 / 4096 <= self.0);
            dst.fill(7);
            Ok(())
        }

        fn write_blocks(&mut self, _: Lba, _: &[u8]) -> Result<(), Infallible> {
            unreachable!("a device is never written")
        }

        fn flush(&mut self) -> Result<(), Infallible> {
            unreachable!("a device is never written")
        }
    }
    let mut memory = [0; 4096];
    for blocks in [(1 << 51) + 1, 1 << 52, (1 << 52) + 1, u64::MAX] {
        let device = FromBlockIo::new(Huge(blocks)).unwrap();
        let error = Image::open_raw(device, &mut memory).unwrap_err().into_error();
        assert!(
            matches!(error, Error::Unsupported(Unsupported::DeviceSize(_))),
            "{error}"
        );
    }
    let device = FromBlockIo::new(Huge(1 << 51)).unwrap();
    let mut image = Image::open_raw(device, &mut memory).unwrap();
    assert_eq!(image.size(), 1 << 63);
    let mut last = [0; 5000];
    image.read_at((1 << 63) - 5000, &mut last).unwrap();
    assert_eq!(last, [7; 5000]);
}

/// A BIOS: at most 127 sectors a request, into a buffer below 64 KiB of its memory.
struct Bios {
    file: Vec<u8>,
    reachable: core::ops::Range<usize>,
    longest: usize,
}

impl BlockRead for Bios {
    type Error = Infallible;

    fn block_size(&self) -> BlockSize {
        BlockSize::B512
    }

    fn size(&mut self) -> Result<u64, Infallible> {
        Ok(self.file.len() as u64)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Infallible> {
        assert!(buf.len() <= 127 * 512, "{} bytes", buf.len());
        let start = buf.as_ptr().addr();
        assert!(self.reachable.contains(&start) && start + buf.len() <= self.reachable.end);
        self.longest = self.longest.max(buf.len());
        let stored = &self.file[lba as usize * 512..];
        let len = buf.len().min(stored.len());
        buf[..len].copy_from_slice(&stored[..len]);
        Ok(())
    }
}

#[test]
fn a_driver_of_127_sectors_whose_dma_reaches_64_kib_reads_compressed_clusters_of_64_kib() {
    use crate::common::{ImageBuilder, pattern};

    let mut random = crate::common::Random(3);
    let mut builder = ImageBuilder::new(4 << 16).bits(16, 6);
    let plain = pattern(1, 2 << 16);
    // Bytes that hardly compress: streams of nearly 64 KiB, the maximum of the format.
    let compressed: Vec<u8> = random.bytes(64_000).into_iter().chain([0; 1536]).collect();
    builder.data(0, &plain).compressed(2 << 16, &compressed);
    let file = builder.build();
    for limited_inside in [true, false] {
        let mut dma = vec![0; if limited_inside { 65_536 } else { 127 * 512 }];
        let start = dma.as_ptr().addr();
        let bios = Bios {
            file: file.clone(),
            reachable: start..start + dma.len(),
            longest: 0,
        };
        let mut bytes = vec![0; 3 << 16];
        let longest = if limited_inside {
            let device = Bounced::new(Limited::new(bios, 127 * 512), 1, &mut dma).unwrap();
            let mut image = Image::open(device, vec![0; 300_000]).unwrap();
            image.read_at(0, &mut bytes).unwrap();
            image.into_parts().0.into_parts().0.into_inner().longest
        } else {
            let device = Limited::new(Bounced::new(bios, 1, &mut dma).unwrap(), 127 * 512);
            let mut image = Image::open(device, vec![0; 300_000]).unwrap();
            image.read_at(0, &mut bytes).unwrap();
            image.into_parts().0.into_inner().into_parts().0.longest
        };
        assert!(bytes == [plain.clone(), compressed.clone()].concat());
        assert_eq!(longest, 127 * 512);
    }
}

#[test]
fn limited_splits_a_read_into_requests_of_the_maximum_and_one_for_the_rest() {
    for (max, lengths) in [
        (0, vec![512; 10]),
        (1535, vec![1024; 5]),
        (2048, vec![2048, 2048, 1024]),
        (1 << 20, vec![5120]),
    ] {
        let mut requests = Vec::new();
        let device = Endless {
            size: 1 << 20,
            block_size: BlockSize::B512,
        };
        let mut limited = Limited::new(Tracer::new(device, |request| requests.push(request.len)), max);
        limited.read_blocks(3, &mut [0; 5120]).unwrap();
        assert_eq!(requests, lengths, "{max}");
    }
}

#[test]
fn bounces_are_of_as_many_whole_blocks_as_the_aligned_part_of_the_buffer_holds() {
    #[repr(align(64))]
    struct Lines([u8; 4096]);
    const READ: usize = 51_200;
    let mut lines = Lines([0; 4096]);
    let mut dst = vec![0; READ];
    for (start, len, blocks) in [
        (1, 63 + 512, 1),
        (1, 1023, 1),
        (1, 63 + 1024, 2),
        (0, 1023, 1),
        (0, 2048, 4),
    ] {
        let mut lengths = Vec::new();
        let device = Tracer::new(Blocks::new(&[0; READ][..], BlockSize::B512), |request| {
            lengths.push(request.len)
        });
        let bounced = Bounced::new(device, 64, &mut lines.0[start..start + len]);
        bounced.unwrap().read_blocks(0, &mut dst).unwrap();
        assert_eq!(lengths.len(), 100_usize.div_ceil(blocks), "{start} {len}");
        assert!(lengths.iter().all(|&bytes| bytes == blocks * 512), "{start} {len}");
    }
}

#[test]
fn a_buffer_that_moves_needs_room_for_any_alignment() {
    let file = &[7_u8; 4096][..];
    assert!(Bounced::new(Blocks::new(file, BlockSize::B512), 64, [0; 63 + 511]).is_err());
    let mut moved = Box::new(Bounced::new(Blocks::new(file, BlockSize::B512), 64, [0; 63 + 512]).unwrap());
    let mut block = [0; 1024];
    moved.read_blocks(1, &mut block).unwrap();
    assert_eq!(block, [7; 1024]);
}

/// A device whose calls fail, each with a number of its own.
struct Failing;

impl BlockRead for Failing {
    type Error = u32;

    fn block_size(&self) -> BlockSize {
        BlockSize::B512
    }

    fn size(&mut self) -> Result<u64, u32> {
        Err(1)
    }

    fn read_blocks(&mut self, _: u64, _: &mut [u8]) -> Result<(), u32> {
        Err(2)
    }
}

#[test]
fn map_err_maps_the_errors_of_all_calls() {
    let mut device = MapErr::new(Failing, |number| -i64::from(number));
    assert_eq!(device.size(), Err(-1));
    assert_eq!(device.read_blocks(0, &mut [0; 512]), Err(-2));
}

#[cfg(feature = "async")]
mod aio {
    use super::*;
    use crate::common::futures::{Slow, finish};
    use qcow1::aio;

    /// A synchronous device that polls the futures of an asynchronous one to their end.
    struct Finished<D>(D);

    impl<D: aio::BlockRead> BlockRead for Finished<D> {
        type Error = D::Error;

        fn block_size(&self) -> BlockSize {
            self.0.block_size()
        }

        fn size(&mut self) -> Result<u64, D::Error> {
            finish(self.0.size())
        }

        fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), D::Error> {
            finish(self.0.read_blocks(lba, buf))
        }
    }

    #[test]
    fn wrappers_ask_as_they_do_of_synchronous_devices() {
        for device in devices() {
            for block in [1, 512, 4096, 65_536] {
                let device = Blocks::new(Slow(device), BlockSize::new(block).unwrap());
                read_both_ends(Finished(device), "aio, Blocks");
            }
            for (align, bounce) in [(64, 63 + 8192), (8192, 8191 + 4096)] {
                let mut bounce = vec![0; bounce];
                let aligned = Aligned::new_async(Slow(device), align, &mut bounce).unwrap();
                read_both_ends(Finished(aligned), "aio, Aligned");
                let bounced = Bounced::new_async(Slow(device), align, &mut bounce).unwrap();
                read_both_ends(Finished(bounced), "aio, Bounced");
            }
            for max in [0, 512, 5000, usize::MAX] {
                read_both_ends(Finished(Limited::new(Slow(device), max)), "aio, Limited");
            }
            read_both_ends(Finished(Tracer::counting(Slow(device))), "aio, Tracer");
            let mapped = MapErr::new(Slow(device), |never: Infallible| never);
            read_both_ends(Finished(mapped), "aio, MapErr");
        }
    }

    #[test]
    fn map_err_maps_the_errors_of_all_calls() {
        let mut device = Finished(MapErr::new(Slow(Failing), |number| -i64::from(number)));
        assert_eq!(device.size(), Err(-1));
        assert_eq!(device.read_blocks(0, &mut [0; 512]), Err(-2));
    }

    #[test]
    fn buffers_reach_the_driver_aligned() {
        struct Driver(Endless);

        impl aio::BlockRead for Driver {
            type Error = Infallible;

            fn block_size(&self) -> BlockSize {
                self.0.block_size
            }

            async fn size(&mut self) -> Result<u64, Infallible> {
                self.0.size()
            }

            async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Infallible> {
                assert!(buf.as_ptr().addr().is_multiple_of(256));
                self.0.read_blocks(lba, buf)
            }
        }
        let device = Driver(Endless {
            size: 70_000,
            block_size: BlockSize::B512,
        });
        let mut bounce = vec![0; 255 + 1024];
        let mut device = Aligned::new_async(device, 256, &mut bounce).unwrap();
        let mut buffer = vec![0; 10 * 512 + 256];
        for skew in 0..256 {
            let buf = &mut buffer[skew..][..10 * 512];
            finish(aio::BlockRead::read_blocks(&mut device, 3, buf)).unwrap();
            assert!(buf.iter().zip(3 * 512..).all(|(&read, offset)| read == byte(offset)));
        }
        let (device, _) = device.into_parts();
        let (_, memory, error) = Aligned::new_async(device, 256, &mut bounce[..511])
            .unwrap_err()
            .into_parts();
        assert_eq!(
            (memory.len(), error),
            (511, qcow1::Error::MemoryTooSmall { needed: 255 + 512 })
        );
    }
}
