//! Images that `qemu-img` made, in `tests/data`. `make.sh` there is the recipe, and `SHA256` has
//! the digests of the disks.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;

use qcow1::{BlockSize, Chain, ExtentKind, Header, Image, Key};
use sha2::{Digest, Sha256};

fn data(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "data", name].iter().collect()
}

/// Returns the digest of an image's disk from `SHA256`.
fn digest(name: &str) -> String {
    let digests = std::fs::read_to_string(data("SHA256")).unwrap();
    let digests: HashMap<_, _> = digests
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(digest, name)| (name, digest))
        .collect();
    digests[name].to_owned()
}

/// Reads the disk of a chain of images, top first, with several memory sizes and read lengths.
/// Asserts its digest.
fn assert_digest(names: &[&str], key: Option<&Key>) {
    for (memory, step) in [(20_000, 1 << 20), (1 << 20, 4096), (9000, 5003)] {
        let mut memories: Vec<Vec<u8>> = names.iter().map(|_| vec![0; memory]).collect();
        let mut chain: Chain<Image<File, &mut [u8]>, 3> = Chain::new();
        for (name, memory) in names.iter().zip(&mut memories) {
            let file = File::open(data(name)).unwrap();
            let mut image = if name.ends_with(".raw") {
                Image::open_raw(file, &mut memory[..]).unwrap()
            } else {
                Image::open(file, &mut memory[..]).unwrap()
            };
            if let Some(key) = key {
                image.set_key(key);
            }
            chain.push(image).unwrap();
        }
        let has_compressed = chain
            .image_mut(0)
            .unwrap()
            .extents()
            .any(|extent| matches!(extent.unwrap().kind, ExtentKind::Compressed { .. }));
        let header = chain.image_mut(0).unwrap().header().unwrap();
        if has_compressed && memory < Header::memory_for(header, BlockSize::BYTE, u64::MAX).compressed {
            continue;
        }
        let mut hash = Sha256::new();
        let mut offset = 0;
        while offset < chain.size() {
            let len = (chain.size() - offset).min(step);
            let mut bytes = vec![0xcc; len as usize];
            chain.read_at(offset, &mut bytes).unwrap();
            hash.update(&bytes);
            offset += len;
        }
        let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, digest(names[0]), "{names:?}, {memory} bytes lent, {step} a read");
    }
}

#[test]
fn a_plain_image_matches_its_digest() {
    assert_digest(&["plain.qcow"], None);
}

#[test]
fn a_sparse_image_matches_its_digest() {
    assert_digest(&["sparse.qcow"], None);
}

#[test]
fn an_image_written_backwards_matches_its_digest() {
    assert_digest(&["scattered.qcow"], None);
}

#[test]
fn an_overlay_of_512_byte_clusters_and_32_kib_tables_matches_its_digest() {
    assert_digest(&["overlay.qcow", "overlay-base.qcow"], None);
}

#[test]
fn a_chain_of_three_on_a_raw_base_matches_its_digest() {
    assert_digest(&["chain-top.qcow", "chain-middle.qcow", "chain-base.raw"], None);
}

#[test]
fn an_image_whose_size_ends_inside_a_cluster_matches_its_digest() {
    assert_digest(&["odd.qcow"], None);
}

#[test]
fn an_empty_image_of_560_bytes_matches_its_digest() {
    assert_eq!(std::fs::metadata(data("empty.qcow")).unwrap().len(), 560);
    assert_digest(&["empty.qcow"], None);
}

#[test]
fn a_compressed_image_matches_its_digest() {
    assert_digest(&["compressed.qcow"], None);
}

#[test]
fn an_encrypted_image_matches_its_digest() {
    assert_digest(&["encrypted.qcow"], Some(&Key::from_passphrase(b"passphrase")));
}

#[test]
fn a_disk_with_a_file_system_matches_its_digest() {
    assert_digest(&["disk.qcow"], None);
}

#[test]
fn backing_names_are_those_that_qemu_was_given() {
    for (image, name) in [
        ("overlay.qcow", "overlay-base.qcow"),
        ("chain-top.qcow", "chain-middle.qcow"),
        ("chain-middle.qcow", "chain-base.raw"),
    ] {
        let mut memory = [0; 512];
        let mut buf = [0; 1023];
        let mut image = Image::open(File::open(data(image)).unwrap(), &mut memory[..]).unwrap();
        assert_eq!(image.backing_name(&mut buf).unwrap(), Some(name.as_bytes()));
    }
}
