//! Encrypted clusters, compared with `openssl` and with images that the tests' own code encrypted.

use crate::common::{ImageBuilder, TestDevice, pattern};
use qcow1::{AesCipher, Chain, CipherFailed, Error, Image, Key, SectorCipher};

const KEY: [u8; 16] = *b"0123456789abcdef";
const SIZE: usize = 40_000;

/// Returns an image and its disk: encrypted runs, holes, and one compressed cluster, which is never
/// encrypted.
fn image() -> (Vec<u8>, Vec<u8>) {
    let mut builder = ImageBuilder::new(SIZE as u64).bits(11, 6).l1_at(57).encrypted(KEY);
    let mut guest = vec![0; SIZE];
    for (at, len) in [(2048, 10_240), (16_384, 2048), (20_480, 19_520)] {
        let bytes = pattern(at as u8 ^ 3, len);
        builder.data(at as u64, &bytes);
        guest[at..at + len].copy_from_slice(&bytes);
    }
    let bytes = pattern(99, 2048);
    builder.compressed(18_432, &bytes);
    guest[18_432..20_480].copy_from_slice(&bytes);
    (builder.build(), guest)
}

#[test]
fn a_sector_decrypts_as_openssl_encrypted_it() {
    // The bytes 0 to 255 twice, encrypted by: openssl enc -aes-128-cbc -nopad -K
    // 6b657900000000000000000000000000 -iv 07000000000000000000000000000000
    let cipher = AesCipher::new(&Key::from_passphrase(b"key"));
    let mut sector = *include_bytes!("../data/openssl-sector-7.bin");
    cipher.decrypt(7, &mut sector).unwrap();
    let plain: Vec<u8> = (0..512).map(|i| i as u8).collect();
    assert_eq!(sector[..], plain[..]);
}

#[test]
fn any_offset_and_length_around_sectors_and_clusters_reads_right() {
    let (file, guest) = image();
    for (block, memory) in [
        (1, 512),
        (1, 65_536),
        (512, 512),
        (512, 65_536),
        (4096, 4096),
        (4096, 65_536),
    ] {
        let mut memory = vec![0; memory];
        let compressed_reads = memory.len() > 20_000;
        let mut image = Image::open(TestDevice::new(&file, block), &mut memory[..]).unwrap();
        image.set_key(&Key::from_bytes(KEY));
        for near in [2048, 2560, 4096, 12_288, 16_384, 20_480, 20_992, 39_936] {
            for offset in near - 2..=near + 2 {
                for len in [0, 1, 2, 510, 511, 512, 513, 514, 1024, 2048, 4099, 9000] {
                    let end = offset + len;
                    let crosses_compressed = offset < 20_480 && end > 18_432;
                    if end > SIZE || crosses_compressed && !compressed_reads {
                        continue;
                    }
                    let mut bytes = vec![0xcc; len];
                    image.read_at(offset as u64, &mut bytes).unwrap();
                    assert!(
                        bytes == guest[offset..end],
                        "{len} bytes at {offset}, blocks of {block}"
                    );
                }
            }
        }
    }
}

#[test]
fn adjacent_encrypted_clusters_are_one_request() {
    let (file, guest) = image();
    let mut memory = vec![0; 65_536];
    let device = TestDevice::new(&file, 512);
    let log = device.log.clone();
    let mut image = Image::open(device, &mut memory[..]).unwrap();
    image.set_key(&Key::from_bytes(KEY));
    let mut bytes = vec![0; 10_240];
    image.read_at(2048, &mut bytes[..512]).unwrap();
    let before = log.requests();
    image.read_at(2048, &mut bytes).unwrap();
    assert_eq!(log.requests() - before, 1);
    assert!(bytes == guest[2048..12_288]);
}

#[test]
fn without_a_key_encrypted_clusters_are_refused_and_all_others_read() {
    let (file, guest) = image();
    let mut memory = vec![0; 65_536];
    let mut image = Image::open(&file[..], &mut memory[..]).unwrap();
    let mut bytes = vec![0xcc; 2048];
    for offset in [1, 2048, 3000, 12_287, 37_000] {
        let error = image.read_at(offset, &mut bytes).unwrap_err();
        assert!(
            matches!(error, Error::KeyRequired { guest_offset } if (offset..offset + 2048).contains(&guest_offset)),
            "{error}"
        );
        assert!(
            !file
                .windows(16)
                .any(|part| part == &bytes[..16] && part != [0; 16] && part != [0xcc; 16])
        );
    }
    for offset in [0, 12_288, 18_432] {
        image.read_at(offset, &mut bytes).unwrap();
        assert!(bytes == guest[offset as usize..][..2048]);
    }
}

#[test]
fn a_wrong_key_reads_garbage_without_an_error() {
    let (file, guest) = image();
    let mut memory = vec![0; 65_536];
    let mut image = Image::open(&file[..], &mut memory[..]).unwrap();
    image.set_key(&Key::from_passphrase(b"wrong"));
    let mut bytes = vec![0; SIZE];
    image.read_at(0, &mut bytes).unwrap();
    assert!(bytes != guest);
    image.set_key(&Key::from_passphrase(&KEY));
    image.read_at(0, &mut bytes).unwrap();
    assert!(bytes == guest);
}

#[test]
fn a_passphrase_is_cut_at_16_bytes_and_padded_with_zeros() {
    assert_eq!(Key::from_passphrase(b"0123456789abcdefMORE"), Key::from_bytes(KEY));
    assert_eq!(Key::from_passphrase(b""), Key::from_bytes([0; 16]));
    assert_eq!(format!("{:?}", Key::from_bytes(KEY)), "Key { .. }");
}

#[test]
fn each_image_of_a_chain_has_its_own_key() {
    let lower_key = *b"the lower image.";
    let base_bytes = pattern(1, 8192);
    let mut encrypted_base = ImageBuilder::new(8192).encrypted(lower_key);
    encrypted_base.data(0, &base_bytes);
    let mut plain_base = ImageBuilder::new(8192);
    plain_base.data(0, &base_bytes);
    let mut encrypted_top = ImageBuilder::new(8192).encrypted(KEY).overlay_on(b"base");
    encrypted_top.data(1024, &[0xaa; 512]);
    let mut plain_top = ImageBuilder::new(8192).overlay_on(b"base");
    plain_top.data(1024, &[0xaa; 512]);
    let mut right = base_bytes;
    right[1024..1536].fill(0xaa);
    for (top, base) in [
        (&encrypted_top, &plain_base),
        (&plain_top, &encrypted_base),
        (&encrypted_top, &encrypted_base),
    ] {
        let (top, base) = (top.build(), base.build());
        let (mut m1, mut m2) = ([0; 1024], [0; 1024]);
        let mut chain: Chain<Image<&[u8], &mut [u8]>, 2> = Chain::new();
        let mut image = Image::open(&top[..], &mut m1[..]).unwrap();
        image.set_key(&Key::from_bytes(KEY));
        chain.push(image).unwrap();
        let mut image = Image::open(&base[..], &mut m2[..]).unwrap();
        image.set_key(&Key::from_bytes(lower_key));
        chain.push(image).unwrap();
        let mut bytes = vec![0; 8192];
        chain.read_at(0, &mut bytes).unwrap();
        assert!(bytes == right);
        let mut unaligned = vec![0; 1001];
        chain.read_at(777, &mut unaligned).unwrap();
        assert!(unaligned == right[777..1778]);
    }
}

#[test]
fn an_engine_of_the_board_can_replace_the_cipher() {
    struct Engine(AesCipher);

    impl SectorCipher for Engine {
        fn decrypt(&self, first_sector: u64, sectors: &mut [u8]) -> Result<(), CipherFailed> {
            assert_eq!(sectors.len() % 512, 0);
            self.0.decrypt(first_sector, sectors)
        }
    }

    let engine: &'static Engine = Box::leak(Box::new(Engine(AesCipher::new(&Key::from_bytes(KEY)))));
    let (file, guest) = image();
    let mut memory = vec![0; 65_536];
    let mut image = Image::open(&file[..], &mut memory[..]).unwrap();
    image.set_cipher(engine);
    let mut bytes = vec![0; SIZE];
    image.read_at(0, &mut bytes).unwrap();
    assert!(bytes == guest);
}

#[test]
fn a_read_whose_engine_failed_can_be_repeated() {
    /// A driver that must be borrowed mutably.
    struct Driver {
        cipher: AesCipher,
        /// The number of calls that succeed before one fails.
        calls: u32,
    }

    struct Engine(std::sync::Mutex<Driver>);

    impl SectorCipher for Engine {
        fn decrypt(&self, first_sector: u64, sectors: &mut [u8]) -> Result<(), CipherFailed> {
            let mut driver = self.0.lock().unwrap();
            driver.calls = driver.calls.checked_sub(1).ok_or(CipherFailed)?;
            driver.cipher.decrypt(first_sector, sectors)
        }
    }

    let engine: &'static Engine = Box::leak(Box::new(Engine(std::sync::Mutex::new(Driver {
        cipher: AesCipher::new(&Key::from_bytes(KEY)),
        calls: 0,
    }))));
    let (file, guest) = image();
    // With 512 bytes, the only slot is the bounce buffer too: bytes that the engine leaves there
    // must not be used as a table.
    for memory in [512, 65_536] {
        let mut memory = vec![0; memory];
        let mut image = Image::open(TestDevice::new(&file, 512), &mut memory[..]).unwrap();
        image.set_cipher(engine);
        for calls in 0.. {
            engine.0.lock().unwrap().calls = calls;
            let mut bytes = vec![0xcc; 5000];
            let read = image.read_at(2000, &mut bytes);
            engine.0.lock().unwrap().calls = u32::MAX;
            if read.is_ok() {
                assert!(
                    calls > 1,
                    "whole sectors and partial sectors are decrypted in separate calls"
                );
                assert!(bytes == guest[2000..7000]);
                break;
            }
            assert!(matches!(read, Err(Error::CipherFailed { .. })), "{read:?}");
            image.read_at(2000, &mut bytes).unwrap();
            assert!(bytes == guest[2000..7000]);
        }
    }
}

// Under an emulator of another processor, the file has the emulator's memory. Without optimization,
// the assignment itself would overwrite the key, so the test needs the profile's `opt-level = 1`.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn a_dropped_key_leaves_none_of_its_bytes_where_it_was() {
    use std::hint::black_box;
    use std::os::unix::fs::FileExt;

    const OTHER_KEY: [u8; 16] = *b"a key for a drop";
    // Safe code cannot read what a dropped value leaves, but a file has the memory of the process.
    let memory = std::fs::File::open("/proc/self/mem").unwrap();
    let mut slot = Some(Key::from_bytes(OTHER_KEY));
    let at = std::ptr::from_mut(black_box(&mut slot)).addr();
    let has_key = || {
        let mut bytes = [0; size_of::<Option<Key>>()];
        memory.read_exact_at(&mut bytes, at as u64).unwrap();
        bytes.windows(OTHER_KEY.len()).any(|window| window == OTHER_KEY)
    };
    assert!(has_key());

    *black_box(&mut slot) = None;

    assert!(!has_key());
}
