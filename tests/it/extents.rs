//! Extents: how each run of a disk is stored.

use crate::common::{ImageBuilder, Random, oracle::Cluster, pattern};
use qcow1::{Error, Extent, ExtentKind, Image, Memory};

/// Returns the extents of a disk. An extent that a call cut short is joined with the next.
fn runs(image: &mut Image<&[u8], impl Memory>) -> Vec<Extent> {
    let mut runs: Vec<Extent> = Vec::new();
    for extent in image.extents() {
        let extent = extent.unwrap();
        assert_ne!(extent.len, 0);
        assert_eq!(extent.start, runs.last().map_or(0, Extent::end));
        if !runs.last_mut().is_some_and(|last| last.join(&extent)) {
            runs.push(extent);
        }
    }
    runs
}

/// Returns the same extents as the oracle finds them, cluster by cluster.
fn plain_runs(file: &[u8]) -> Vec<Extent> {
    let oracle = crate::common::Oracle::open(file, crate::common::Rules::default()).unwrap();
    let mut runs: Vec<Extent> = Vec::new();
    for start in (0..oracle.size).step_by(oracle.cluster_size() as usize) {
        let kind = match oracle.cluster(start).unwrap() {
            Cluster::Hole if oracle.names_backing => ExtentKind::Backing,
            Cluster::Hole => ExtentKind::Zero,
            Cluster::Data(host_offset) => ExtentKind::Data { host_offset },
            Cluster::Compressed(host_offset, len) => ExtentKind::Compressed {
                host_offset,
                stored_len: len as u32,
            },
        };
        let len = oracle.cluster_size().min(oracle.size - start);
        let next = Extent { start, len, kind };
        match runs.last_mut() {
            Some(Extent {
                start: from,
                len: run,
                kind: ExtentKind::Data { host_offset: a },
            }) if matches!(kind, ExtentKind::Data { host_offset: b } if *a + *run == b && *from + *run == start) => {
                *run += len;
            }
            Some(last) if last.kind == kind && matches!(kind, ExtentKind::Zero | ExtentKind::Backing) => {
                last.len += len
            }
            _ => runs.push(next),
        }
    }
    runs
}

#[test]
fn extents_of_random_disks_are_those_that_the_oracle_finds() {
    let mut random = Random(77);
    for round in 0..200 {
        let mut builder = ImageBuilder::new(2 + random.below(3 << 20)).bits(9 + random.below(5) as u8, 6);
        if round % 3 == 0 {
            builder = builder.backing_at(48, b"b").l1_at(49);
        }
        let size = builder.cluster_size();
        let clusters = random.below(40);
        for _ in 0..clusters {
            let at = random.below((3 << 20) / size / 4) * size;
            if random.below(4) == 0 {
                builder.compressed(at, &pattern(1, size as usize));
            } else {
                let len = size * (1 + random.below(5));
                builder.data(at, &pattern(2, len as usize));
            }
        }
        let file = builder.build();
        let mut memory = vec![0; 512 + random.below(20_000) as usize];
        let mut image = Image::open(&file[..], &mut memory).unwrap();
        assert_eq!(runs(&mut image), plain_runs(&file));
    }
}

#[test]
fn an_extent_starts_at_the_given_offset_and_has_at_most_the_given_length() {
    let mut builder = ImageBuilder::new(1 << 20);
    builder.data(8192, &pattern(1, 16_384));
    let file = builder.build();
    let mut memory = [0; 2048];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let ExtentKind::Data { host_offset } = image.extent_at(8192, u64::MAX).unwrap().kind else {
        panic!("no data");
    };
    for (offset, max_len, len) in [
        (8192, u64::MAX, 16_384),
        (10_000, u64::MAX, 14_576),
        (10_000, 7, 7),
        (24_575, 9, 1),
    ] {
        let kind = ExtentKind::Data {
            host_offset: host_offset + offset - 8192,
        };
        assert_eq!(
            image.extent_at(offset, max_len).unwrap(),
            Extent {
                start: offset,
                len,
                kind
            }
        );
    }
    for (offset, max_len) in [(1 << 20, 1), (u64::MAX, u64::MAX), (0, 0)] {
        assert_eq!(image.extent_at(offset, max_len).unwrap_err(), Error::OutOfRange);
    }
}

#[test]
fn the_iterator_ends_after_an_error() {
    let mut builder = ImageBuilder::new(1 << 20);
    builder.l2_word(8192, 3);
    let file = builder.build();
    let mut memory = [0; 2048];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let mut extents = image.extents();
    assert_eq!(extents.next().unwrap().unwrap().len, 8192);
    assert!(matches!(extents.next(), Some(Err(Error::Corrupt(_)))));
    assert!(extents.next().is_none());
    // The caller can continue after the corrupt cluster.
    assert_eq!(image.extent_at(12_288, 1 << 20).unwrap().kind, ExtentKind::Zero);
}

#[test]
fn two_extents_join_if_they_are_adjacent_in_the_guest_and_in_the_file() {
    let data = |start, host_offset| Extent {
        start,
        len: 512,
        kind: ExtentKind::Data { host_offset },
    };
    let of = |kind| move |start| Extent { start, len: 512, kind };
    let (zero, backing) = (of(ExtentKind::Zero), of(ExtentKind::Backing));
    let compressed = of(ExtentKind::Compressed {
        host_offset: 4096,
        stored_len: 512,
    });
    for (first, next) in [
        (data(1024, 8192), data(1536, 8704)),
        (zero(1024), zero(1536)),
        (backing(1024), backing(1536)),
    ] {
        let mut run = first;
        assert!(run.join(&next), "{first:?} and {next:?}");
        assert_eq!(run, Extent { len: 1024, ..first });
        assert_eq!(run.end(), 2048);
    }
    for (first, next) in [
        (data(1024, 8192), data(1536, 8192)),
        (data(1024, 8192), data(1537, 8704)),
        (data(1024, u64::MAX), data(1536, 511)),
        (data(1024, 8192), zero(1536)),
        (zero(1024), zero(2048)),
        (zero(1024), zero(1024)),
        (zero(1024), backing(1536)),
        (backing(1024), zero(1536)),
        (backing(1024), backing(512)),
        (compressed(1024), compressed(1536)),
    ] {
        let mut run = first;
        assert!(!run.join(&next), "{first:?} and {next:?}");
        assert_eq!(run, first);
    }
}
