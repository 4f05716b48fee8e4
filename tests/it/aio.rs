//! The asynchronous images: the same bytes, the same requests, and correct reads after a dropped
//! future.

use crate::common::futures::{Slow, finish, poll};
use crate::common::{ImageBuilder, Log, TestDevice, pattern};
use qcow1::aio;
use qcow1::{BlockSize, Blocks, Chain, CheckOptions, Error, Image, Key};

const KEY: [u8; 16] = *b"asynchronous key";
const SIZE: usize = 100_000;

/// Returns an encrypted overlay, its base with compressed clusters, and the guest's disk.
fn files() -> ([Vec<u8>; 2], Vec<u8>) {
    let mut guest = vec![0; SIZE];
    let mut base = ImageBuilder::new(SIZE as u64).bits(10, 6).l1_at(51).tables_off_by(5);
    let bytes = pattern(9, 60_000);
    base.data(0, &bytes);
    guest[..60_000].copy_from_slice(&bytes);
    for cluster in 60..70 {
        let bytes = pattern(cluster as u8, 1024);
        base.compressed(cluster as u64 * 1024, &bytes);
        guest[cluster * 1024..][..1024].copy_from_slice(&bytes);
    }
    let mut top = ImageBuilder::new(SIZE as u64).encrypted(KEY).overlay_on(b"the base");
    for at in [0, 8192, 62_000 / 512 * 512, 90_112] {
        top.data(at as u64, &pattern(77, 1024));
        guest[at..at + 1024].copy_from_slice(&pattern(77, 1024));
    }
    ([top.build(), base.build()], guest)
}

type Memories = [Vec<u8>; 2];
type Opened<'m> = Chain<aio::Image<Slow<TestDevice<'m>>, &'m mut [u8]>, 2>;

fn open<'m>(files: &'m [Vec<u8>; 2], memories: &'m mut Memories) -> (Opened<'m>, Vec<Log>) {
    let mut chain = Chain::new();
    let mut logs = Vec::new();
    for (file, memory) in files.iter().zip(memories) {
        let device = TestDevice::new(file, 512);
        logs.push(device.log.clone());
        let mut image = finish(aio::Image::open(Slow(device), &mut memory[..])).unwrap();
        image.set_key(&Key::from_bytes(KEY));
        chain.push(image).unwrap();
    }
    (chain, logs)
}

#[test]
fn async_reads_return_the_same_bytes_with_the_same_requests() {
    let (files, guest) = files();
    for memory in [512, 15_000, 100_000] {
        let mut memories = [vec![0; memory], vec![0; memory]];
        let (mut chain, logs) = open(&files, &mut memories);
        let mut sync_memories = memories_like(memory);
        let mut sync: qcow1::Chain<_, 2> = qcow1::Chain::new();
        let mut sync_logs = Vec::new();
        for (file, memory) in files.iter().zip(&mut sync_memories) {
            let device = TestDevice::new(file, 512);
            sync_logs.push(device.log.clone());
            let mut image = Image::open(device, memory).unwrap();
            image.set_key(&Key::from_bytes(KEY));
            sync.push(image).unwrap();
        }
        for (offset, len) in [(0, SIZE), (1, 5000), (60_001, 9000), (70_000, 30_000)] {
            let (mut ours, mut theirs) = (vec![0; len], vec![1; len]);
            let result = finish(chain.read_at(offset as u64, &mut ours));
            assert_eq!(result, sync.read_at(offset as u64, &mut theirs));
            if result.is_ok() {
                assert!(ours == guest[offset..offset + len] && theirs == ours);
            } else {
                assert!(memory == 512, "{result:?}");
            }
            let count = |logs: &[Log]| logs.iter().map(|log| (log.requests(), log.bytes())).collect::<Vec<_>>();
            assert_eq!(count(&logs), count(&sync_logs));
            assert_eq!(
                finish(chain.extent_at(offset as u64, len as u64)),
                sync.extent_at(offset as u64, len as u64)
            );
        }
        let top = &mut chain.image_mut(0).unwrap();
        let mut name = [0; 1023];
        assert_eq!(
            finish(top.backing_name(&mut name)).unwrap(),
            Some(b"the base".as_slice())
        );
        let mut ours = Vec::new();
        let mut extents = top.extents();
        while let Some(extent) = finish(extents.next()) {
            ours.push(extent.unwrap());
        }
        let theirs: Vec<_> = sync.image_mut(0).unwrap().extents().collect::<Result<_, _>>().unwrap();
        assert_eq!(ours, theirs);
    }
}

#[test]
fn a_check_dropped_after_any_poll_leaves_the_image_usable_and_right() {
    let mut builder = ImageBuilder::new(SIZE as u64).bits(10, 6).l1_at(51).tables_off_by(5);
    builder.data(0, &pattern(9, 60_000)).l2_word(70 << 10, 513);
    builder.compressed(80 << 10, &pattern(3, 1024));
    let file = builder.build();
    let mut memory = vec![0; 15_000];
    let mut image = finish(aio::Image::open(Slow(TestDevice::new(&file, 512)), &mut memory[..])).unwrap();
    let mut right = Vec::new();
    let summary = finish(image.check(|finding| right.push(finding))).unwrap();
    assert_eq!(right.len(), 1);
    for polls in 1.. {
        let options = CheckOptions::new().inflate(true);
        let finished = poll(image.check_with(options, |_| ()), polls);
        let mut found = Vec::new();
        assert_eq!(finish(image.check(|finding| found.push(finding))), Ok(summary));
        assert_eq!(found, right, "dropped after {polls} polls");
        if finished.is_some() {
            break;
        }
    }
}

/// A device that returns wrong bytes for one request, and never finishes another.
struct Glitching<'a> {
    file: &'a [u8],
    requests: u32,
    garbles: u32,
    hangs: u32,
}

impl aio::BlockRead for Glitching<'_> {
    type Error = std::convert::Infallible;

    fn block_size(&self) -> BlockSize {
        BlockSize::B512
    }

    async fn size(&mut self) -> Result<u64, Self::Error> {
        Ok(self.file.len() as u64)
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Self::Error> {
        self.requests += 1;
        if self.requests == self.hangs {
            std::future::pending::<()>().await;
        }
        let start = lba as usize * 512;
        buf.copy_from_slice(&self.file[start..][..buf.len()]);
        if self.requests == self.garbles {
            // The first word is corrupt, and each other word points to another's cluster.
            buf[..8].copy_from_slice(&513_u64.to_be_bytes());
            buf[8..].rotate_left(64);
        }
        Ok(())
    }
}

#[test]
fn a_dropped_check_leaves_no_table_with_a_flaw_in_the_cache() {
    // Request 1 opens the image, 2 reads the L1 table, 3 and 4 read the L2 tables of two spans.
    let guest = pattern(9, 65_536);
    let mut builder = ImageBuilder::new(65_536).bits(9, 6);
    builder.data(0, &guest);
    let file = builder.build();
    let mut memory = vec![0; 8000];
    let device = Glitching {
        file: &file,
        requests: 0,
        garbles: 3,
        hangs: 4,
    };
    let mut image = finish(aio::Image::open(device, &mut memory[..])).unwrap();
    assert!(poll(image.check(|_| ()), 10).is_none());
    assert_eq!(image.device_mut().requests, 4);
    let mut bytes = [0; 512];
    finish(image.read_at(1024, &mut bytes)).unwrap();
    assert!(bytes == guest[1024..1536]);
}

fn memories_like(len: usize) -> Memories {
    [vec![0; len], vec![0; len]]
}

#[test]
fn a_future_dropped_after_any_poll_leaves_the_image_usable_and_right() {
    let (files, guest) = files();
    for memory in [15_000, 100_000] {
        for (offset, len) in [(0, SIZE), (60_001, 9000), (63_000, 100)] {
            for polls in 1.. {
                let mut memories = memories_like(memory);
                let (mut chain, _) = open(&files, &mut memories);
                let mut bytes = vec![0; len];
                let finished = poll(chain.read_at(offset as u64, &mut bytes), polls);
                let mut again = vec![0xcc; len];
                finish(chain.read_at(offset as u64, &mut again)).unwrap();
                assert!(again == guest[offset..offset + len], "dropped after {polls} polls");
                let mut all = vec![0; SIZE];
                finish(chain.read_at(0, &mut all)).unwrap();
                assert!(all == guest, "dropped after {polls} polls");
                if finished.is_some() {
                    break;
                }
            }
        }
    }
}

#[test]
fn an_extent_whose_future_was_dropped_is_returned_by_the_next_call() {
    let (files, _) = files();
    let mut memories = memories_like(512);
    let (mut chain, _) = open(&files, &mut memories);
    let base = &mut chain.image_mut(1).unwrap();
    let mut right = Vec::new();
    let mut extents = base.extents();
    while let Some(extent) = finish(extents.next()) {
        right.push(extent.unwrap());
    }
    let mut extents = base.extents();
    let mut found = Vec::new();
    for polls in (1..4).cycle() {
        match poll(extents.next(), polls) {
            None => {}
            Some(None) => break,
            Some(Some(extent)) => found.push(extent.unwrap()),
        }
    }
    assert_eq!(found, right);
}

#[test]
fn open_raw_reads_the_bytes_of_the_device() {
    let bytes = pattern(3, 5000);
    let mut memory = [0; 512];
    let mut raw = finish(aio::Image::open_raw(
        Slow(TestDevice::new(&bytes, 512)),
        &mut memory[..],
    ))
    .unwrap();
    let mut read = vec![0; 4999];
    finish(raw.read_at(1, &mut read)).unwrap();
    assert!(read == bytes[1..]);
}

#[test]
fn the_lowest_image_comes_off_a_chain_and_can_be_put_back() {
    let (files, guest) = files();
    let mut memories = memories_like(15_000);
    let (mut chain, _) = open(&files, &mut memories);
    let base = chain.pop().unwrap();
    assert_eq!(base.header().unwrap().backing_name_len(), 0);
    assert_eq!(chain.size(), SIZE as u64);
    let result = finish(chain.read_at(1024, &mut [0; 512]));
    assert_eq!(result, Err(Error::BackingRequired { guest_offset: 1024 }));
    chain.push(base).unwrap();
    let mut bytes = vec![0; SIZE];
    finish(chain.read_at(0, &mut bytes)).unwrap();
    assert!(bytes == guest);
    assert!(chain.pop().is_some() && chain.pop().is_some() && chain.pop().is_none());
    assert_eq!(chain.size(), 0);
}

#[test]
fn boxed_devices_and_disks_are_devices_and_disks() {
    async fn first_sectors(mut disk: impl aio::GuestRead<Error: std::fmt::Debug>) -> [u8; 1024] {
        let mut sectors = [0; 1024];
        disk.read_at(0, &mut sectors[..512]).await.unwrap();
        disk.read_sectors(1, &mut sectors[512..]).await.unwrap();
        sectors
    }
    let mut builder = ImageBuilder::new(4096);
    builder.data(0, &pattern(1, 4096));
    let file = builder.build();
    let device = Box::new(Slow(TestDevice::new(&file, 512)));
    let image = finish(aio::Image::open(device, vec![0; 4096])).unwrap();
    assert_eq!(finish(first_sectors(Box::new(image)))[..], pattern(1, 4096)[..1024]);
}

#[test]
fn a_borrowed_device_is_a_device_and_blocks_past_its_end_are_zeros() {
    use aio::BlockRead as _;

    let file = ImageBuilder::new(5000).data(0, &pattern(1, 4096)).build();
    let mut device = Slow(&file[..]);
    let lent = &mut device;
    assert_eq!(lent.block_size(), BlockSize::BYTE);
    let mut memory = [0; 512];
    let mut image = finish(aio::Image::open(lent, &mut memory[..])).unwrap();
    let mut bytes = [0xcc; 4096];
    finish(image.read_at(0, &mut bytes)).unwrap();
    assert_eq!(bytes[..], pattern(1, 4096));
    let sync = Image::open(&file[..], &mut [0; 512]).unwrap().check_bitmap_len();
    assert_eq!(image.check_bitmap_len(), sync);
    assert_eq!(finish(image.device_mut().size()), Ok(file.len() as u64));
    let lent = image.into_parts().0;

    let mut blocks = Blocks::new(lent, BlockSize::B512);
    let mut block = [0xcc; 512];
    finish(blocks.read_blocks(1, &mut block)).unwrap();
    assert_eq!(block[..], file[512..1024]);
    finish(blocks.read_blocks(1 << 20, &mut block)).unwrap();
    assert_eq!(block, [0; 512]);
}

#[test]
fn a_cipher_of_the_caller_decrypts_as_a_key_does() {
    let (files, guest) = files();
    let cipher: &'static qcow1::AesCipher = Box::leak(Box::new(qcow1::AesCipher::new(&Key::from_bytes(KEY))));
    let mut memory = vec![0; 4096];
    let mut image = finish(aio::Image::open(Slow(&files[0][..]), &mut memory[..])).unwrap();
    image.set_cipher(cipher);
    assert!(format!("{image:?}").contains("Header"));
    let mut bytes = [0xcc; 1024];
    finish(image.read_at(8192, &mut bytes)).unwrap();
    assert_eq!(bytes, guest[8192..9216]);
}
