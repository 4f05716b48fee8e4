//! If any request fails, the call returns the error, and the next call returns the right bytes.

use crate::common::{Broken, ImageBuilder, Random, TestDevice, pattern};
use qcow1::{Chain, Error, Extent, Image};

const SIZE: usize = 96 << 10;
const KEY: [u8; 16] = *b"a key of the tes";

/// Returns an encrypted overlay, its base with plain and compressed clusters, and the guest's disk.
fn chain() -> ([Vec<u8>; 2], Vec<u8>) {
    let mut guest = vec![0; SIZE];
    let mut base = ImageBuilder::new(SIZE as u64).bits(10, 6).l1_at(51).tables_off_by(5);
    let bytes = pattern(9, 40_000);
    base.data(0, &bytes);
    guest[..40_000].copy_from_slice(&bytes);
    for cluster in 50..55 {
        let bytes = pattern(cluster as u8, 1024);
        base.compressed(cluster as u64 * 1024, &bytes);
        guest[cluster * 1024..][..1024].copy_from_slice(&bytes);
    }
    let mut top = ImageBuilder::new(SIZE as u64).encrypted(KEY).overlay_on(b"base");
    let bytes = pattern(77, 512);
    for at in [0, 8 << 10, 52 << 10, 52 << 10 | 512, 90 << 10] {
        top.data(at as u64, &bytes);
        guest[at..at + 512].copy_from_slice(&bytes);
    }
    ([top.build(), base.build()], guest)
}

/// Opens the images as a chain, and returns it with the log of each image's requests.
fn open<'m>(
    files: &'m [Vec<u8>; 2],
    memories: &'m mut [Vec<u8>; 2],
    block_size: u32,
) -> (Chain<Image<TestDevice<'m>, &'m mut [u8]>, 2>, Vec<crate::common::Log>) {
    let mut chain = Chain::new();
    let mut logs = Vec::new();
    for (file, memory) in files.iter().zip(memories) {
        let device = TestDevice::new(file, block_size);
        logs.push(device.log.clone());
        let mut image = Image::open(device, &mut memory[..]).unwrap();
        image.set_key(&qcow1::Key::from_bytes(KEY));
        chain.push(image).unwrap();
    }
    (chain, logs)
}

#[test]
fn a_read_after_a_failed_one_gives_the_right_bytes() {
    let (files, guest) = chain();
    for (block, memory) in [(1, 20_000), (512, 20_000), (512, 200_000), (4096, 40_000)] {
        for (offset, len) in [(0, SIZE), (7000, 1000), (50 * 1024 + 1, 3000), (52 << 10, 512)] {
            for level in 0..2 {
                for k in 0.. {
                    let mut memories = [vec![0; memory], vec![0; memory]];
                    let (mut chain, logs) = open(&files, &mut memories, block);
                    let mut bytes = vec![0; len];
                    logs[level].fail_after(k);
                    let result = chain.read_at(offset as u64, &mut bytes);
                    if logs[level].cancel_failure() {
                        // The read makes fewer than k requests.
                        result.unwrap();
                        assert!(bytes == guest[offset..offset + len]);
                        break;
                    }
                    match result {
                        // A read of tables or ahead of a stream was tried again for less.
                        Ok(()) => assert!(bytes == guest[offset..offset + len]),
                        Err(error) => assert_eq!(error, Error::Io(Broken)),
                    }
                    bytes.fill(0xcc);
                    chain.read_at(offset as u64, &mut bytes).unwrap();
                    assert!(
                        bytes == guest[offset..offset + len],
                        "request {k} of level {level} failed"
                    );
                    let mut all = vec![0; SIZE];
                    chain.read_at(0, &mut all).unwrap();
                    assert!(all == guest, "request {k} of level {level} failed");
                }
            }
        }
    }
}

#[test]
fn a_device_returned_by_a_failed_opening_can_be_opened_again() {
    let (files, guest) = chain();
    let mut memory = vec![0; 20_000];
    let device = TestDevice::new(&files[1], 512);
    device.log.fail_after(0);
    let (device, _, error) = Image::open(device, &mut memory[..]).unwrap_err().into_parts();
    assert_eq!(error, Error::Io(Broken));
    let mut image = Image::open(device, &mut memory[..]).unwrap();
    let mut bytes = [0; 512];
    image.read_at(1024, &mut bytes).unwrap();
    assert_eq!(bytes, guest[1024..1536]);
}

#[test]
fn reads_between_failures_return_what_a_fresh_image_returns() {
    let (files, guest) = chain();
    arbtest::arbtest(|u| {
        let block = 1 << u.int_in_range(0..=12)?;
        let memory = u.int_in_range(24_000..=80_000)?;
        let mut random = Random(u.arbitrary::<u64>()? | 1);
        let mut memories = [vec![0; memory], vec![0; memory]];
        let (mut chain, logs) = open(&files, &mut memories, block);
        for _ in 0..40 {
            let offset = random.below(SIZE as u64) as usize;
            let len = random.below((SIZE - offset) as u64 + 1) as usize;
            let failing = &logs[random.below(2) as usize];
            if random.below(2) == 0 {
                failing.fail_after(random.below(6));
            }
            let mut bytes = vec![0xcc; len];
            match chain.read_at(offset as u64, &mut bytes) {
                Ok(()) => assert!(bytes == guest[offset..offset + len]),
                Err(error) => assert_eq!(error, Error::Io(Broken)),
            }
            failing.cancel_failure();
        }
        Ok(())
    });
}

/// Returns extents with those joined that continue one another.
fn join(extents: Vec<Extent>) -> Vec<Extent> {
    let mut joined: Vec<Extent> = Vec::new();
    for extent in extents {
        if !joined.last_mut().is_some_and(|last| last.join(&extent)) {
            joined.push(extent);
        }
    }
    joined
}

#[test]
fn extents_and_names_are_right_after_a_failure() {
    let (files, _) = chain();
    let mut memories = [vec![0; 512], vec![0; 512]];
    let (mut chain, logs) = open(&files, &mut memories, 512);
    let top = &mut chain.image_mut(0).unwrap();
    let right: Vec<_> = top.extents().collect::<Result<_, _>>().unwrap();
    let mut name = [0; 1023];
    for k in 0.. {
        logs[0].fail_after(k);
        let result: Result<Vec<_>, _> = top.extents().collect();
        if logs[0].cancel_failure() {
            break;
        }
        // A failed read of a later word ends a run early, and the next call reads the word again.
        match result {
            Ok(extents) => assert_eq!(join(extents), join(right.clone())),
            Err(error) => assert_eq!(error, Error::Io(Broken)),
        }
        let again: Vec<_> = top.extents().collect::<Result<_, _>>().unwrap();
        assert_eq!(again, right);
    }
    logs[0].fail_after(0);
    assert_eq!(top.backing_name(&mut name).unwrap_err(), Error::Io(Broken));
    assert_eq!(top.backing_name(&mut name).unwrap(), Some(b"base".as_slice()));
    assert_eq!(qcow1::GuestDisk::size(top), SIZE as u64);
}

/// A device that returns other bytes once, without an error: for a read that includes `at`, `word`
/// in place of the word there.
struct Glitching<'a> {
    file: &'a [u8],
    glitch: Option<(usize, u64)>,
}

impl qcow1::BlockRead for Glitching<'_> {
    type Error = std::convert::Infallible;

    fn block_size(&self) -> qcow1::BlockSize {
        qcow1::BlockSize::BYTE
    }

    fn size(&mut self) -> Result<u64, Self::Error> {
        Ok(self.file.len() as u64)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        let start = lba as usize;
        buf.copy_from_slice(&self.file[start..start + buf.len()]);
        if let Some((at, word)) = self.glitch
            && (start..start + buf.len()).contains(&at)
        {
            buf[at - start..][..8].copy_from_slice(&word.to_be_bytes());
            self.glitch = None;
        }
        Ok(())
    }
}

#[test]
fn after_an_error_of_any_kind_the_tables_that_led_to_it_are_read_again() {
    let disk = pattern(1, 8192);
    let table = 4096_usize;
    let stream = 1 << 63 | 100 << (63 - 12) | 48;
    for (backing, encrypted, glitch, memory) in [
        // A hole, without the image below.
        (true, false, 0, 512),
        (true, false, 0, 30_000),
        // A compressed cluster, in memory that is too small for it.
        (false, false, stream, 512),
        // A stream that cannot be inflated, and a misaligned cluster.
        (false, false, stream, 30_000),
        (false, false, 4097, 512),
        // A plain cluster, which is encrypted, without a key.
        (false, true, 8192, 30_000),
    ] {
        let mut builder = ImageBuilder::new(8192).l1_at(200);
        if backing {
            builder = builder.overlay_on(b"base");
        }
        if encrypted {
            builder = builder.encrypted(*b"sixteen byte key");
        }
        builder.table_at(0, table as u64);
        if encrypted {
            builder.compressed(0, &disk[..4096]);
        } else {
            builder.data(0, &disk[..4096]);
        }
        let file = builder.build();
        let device = Glitching {
            file: &file,
            glitch: Some((table, glitch)),
        };
        let mut image = Image::open(device, vec![0; memory]).unwrap();
        let mut bytes = vec![0xcc; 4096];
        let wrong = image.read_at(0, &mut bytes);
        assert!(wrong.is_err(), "{glitch:#x} {memory}");
        image.read_at(0, &mut bytes).unwrap();
        assert!(bytes == disk[..4096], "{wrong:?}");
    }
}

#[test]
fn after_an_error_in_a_lower_image_the_tables_above_it_are_read_again() {
    let disk = pattern(1, 4096);
    let mut top = ImageBuilder::new(4096).overlay_on(b"base");
    top.table_at(0, 4096).data(0, &disk);
    let top = top.build();
    // Its only cluster is misaligned.
    let mut base = ImageBuilder::new(4096);
    base.l2_word(0, 4097);
    let base = base.build();
    for extents in [false, true] {
        let mut chain = Chain::<_, 2>::new();
        for (file, glitch) in [(&top, Some((4096, 0))), (&base, None)] {
            let image = Image::open(Glitching { file, glitch }, vec![0; 512]).unwrap();
            chain.push(image).unwrap();
        }
        let mut bytes = vec![0xcc; 4096];
        if extents {
            assert!(chain.extent_at(0, 1).is_err());
            assert_eq!(chain.extent_at(0, 1).unwrap().0, 0);
        } else {
            assert!(chain.read_at(0, &mut bytes).is_err());
        }
        chain.read_at(0, &mut bytes).unwrap();
        assert!(bytes == disk);
    }
}
