//! Drivers that demand aligned buffers, wrapped in `Aligned`.

use crate::common::{Broken, ImageBuilder, Log, TestDevice, pattern};
use qcow1::{Aligned, BlockRead, BlockSize, Error, Image};

/// A device that refuses misaligned buffers, as UEFI's `BlockIo` does.
struct Strict<'a> {
    device: TestDevice<'a>,
    align: usize,
}

impl BlockRead for Strict<'_> {
    type Error = Broken;

    fn block_size(&self) -> BlockSize {
        self.device.block_size()
    }

    fn size(&mut self) -> Result<u64, Broken> {
        self.device.size()
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Broken> {
        assert!(
            buf.as_ptr().addr().is_multiple_of(self.align),
            "{:p} is not a multiple of {}",
            buf,
            self.align
        );
        self.device.read_blocks(lba, buf)
    }
}

fn strict(bytes: &[u8], block: u32, align: u32) -> (Strict<'_>, Log) {
    let device = TestDevice::new(bytes, block);
    let log = device.log.clone();
    let align = align.max(1) as usize;
    (Strict { device, align }, log)
}

/// Returns a buffer, and the offset in it of an address that is a multiple of 64 KiB. At least
/// `len` bytes follow it.
fn aligned_buffer(len: usize) -> (Vec<u8>, usize) {
    let buffer = vec![0_u8; len + 65_536];
    let start = buffer.as_ptr().addr().wrapping_neg() % 65_536;
    (buffer, start)
}

#[test]
fn every_alignment_block_size_and_address_reads_right() {
    let bytes = pattern(3, 40_000);
    for block in [1, 512, 4096] {
        for align in [0, 1, 2, 3, 4, 16, 512, 4096, 65_536] {
            let align = u32::next_power_of_two(align);
            for room in [0, 100, 10_000] {
                let mut bounce = vec![0; align as usize - 1 + block as usize + room];
                let (device, _) = strict(&bytes, block, align);
                let mut device = Aligned::new(device, align, &mut bounce).unwrap();
                let (mut buffer, start) = aligned_buffer(40_000);
                for skew in [0, 1, 3, 8, 511, 512, 4096, 4100] {
                    for blocks in [1, 2, 5] {
                        let len = blocks * block as usize;
                        let buf = &mut buffer[start + skew..][..len];
                        buf.fill(0xcc);
                        device.read_blocks(1, buf).unwrap();
                        assert!(buf == &bytes[block as usize..][..len], "{block} {align} {skew} {len}");
                    }
                }
            }
        }
    }
}

#[test]
fn an_aligned_buffer_is_read_by_one_request_and_without_the_bounce_memory() {
    let bytes = pattern(3, 40_000);
    let (device, log) = strict(&bytes, 512, 4096);
    let mut bounce = vec![0; 4095 + 512];
    let mut device = Aligned::new(device, 4096, &mut bounce).unwrap();
    let (mut buffer, start) = aligned_buffer(40_000);
    device.read_blocks(0, &mut buffer[start + 4096..][..32 * 512]).unwrap();
    assert_eq!((log.requests(), log.bytes()), (1, 32 * 512));
    drop(device);
    assert!(bounce.iter().all(|&byte| byte == 0));
}

#[test]
fn only_what_comes_before_an_aligned_block_is_bounced() {
    let bytes = pattern(3, 40_000);
    let (device, log) = strict(&bytes, 512, 4096);
    let mut bounce = vec![0; 4095 + 4096];
    let mut device = Aligned::new(device, 4096, &mut bounce).unwrap();
    let (mut buffer, start) = aligned_buffer(40_000);
    // 6 blocks come before the next aligned address, 26 after it.
    device.read_blocks(0, &mut buffer[start + 1024..][..32 * 512]).unwrap();
    assert_eq!((log.requests(), log.bytes()), (2, 32 * 512));
    assert!(buffer[start + 1024..][..32 * 512] == bytes[..32 * 512]);
}

#[test]
fn too_little_memory_is_an_error_that_returns_the_device() {
    let bytes = pattern(3, 4096);
    let (device, _) = strict(&bytes, 512, 4096);
    let mut little = vec![0; 511];
    let (device, _, error) = Aligned::new(device, 4096, &mut little).unwrap_err().into_parts();
    let Error::MemoryTooSmall { needed } = error else {
        panic!("{error}");
    };
    assert_eq!(needed, 4095 + 512);
    let mut enough = vec![0; needed];
    assert!(Aligned::new(device, 4096, &mut enough).is_ok());
}

#[test]
fn an_image_on_an_aligned_device_reads_right_after_each_failure() {
    let guest = pattern(9, 30_000);
    let mut builder = ImageBuilder::new(30_000).bits(9, 6).l1_at(51);
    builder.data(0, &guest);
    let file = builder.build();
    let (device, log) = strict(&file, 512, 256);
    let mut bounce = [0; 2048];
    let mut memory = [0; 1000];
    let mut image = Image::open(Aligned::new(device, 256, &mut bounce).unwrap(), &mut memory).unwrap();
    for k in 0.. {
        let mut read = vec![0; 9999];
        log.fail_after(k);
        let result = image.read_at(777, &mut read);
        if log.cancel_failure() {
            result.unwrap();
            break;
        }
        assert_eq!(result.unwrap_err(), Error::Io(Broken));
        image.read_at(777, &mut read).unwrap();
        assert!(read == guest[777..][..9999]);
    }
}
