//! `check` finds each flaw, accepts valid images, and an image without findings can be read.

use crate::common::{Broken, ImageBuilder, Random, TestDevice, pattern};
use qcow1::{CheckOptions, CheckSummary, CorruptKind, CorruptPart, Error, Finding, Image, OpenOptions};

const MIB: u64 = 1 << 20;

type Found = (CorruptPart, Option<u64>, Option<u64>);

/// Checks a file: with a bitmap and inflating if `thorough`, otherwise only the table words.
fn check(file: &[u8], thorough: bool) -> (Vec<Found>, CheckSummary) {
    let mut memory = vec![0; 100_000];
    let mut image = Image::open(file, &mut memory).unwrap();
    // Longer than needed, and with any content.
    let mut bitmap = vec![0xff; image.check_bitmap_len() + 7];
    let options = CheckOptions::new().inflate(thorough);
    let options = if thorough { options.bitmap(&mut bitmap) } else { options };
    let mut found = Vec::new();
    let summary = image
        .check_with(options, |finding| {
            let corrupt = finding.corrupt;
            assert!(corrupt.to_string().starts_with("corrupt image: "));
            found.push((corrupt.part(), corrupt.guest_offset(), corrupt.host_offset()));
        })
        .unwrap();
    assert_eq!(summary.findings, found.len() as u64);
    (found, summary)
}

/// Checks a file with a bitmap. Returns the findings and the summary.
fn findings(file: &[u8], salvage: bool) -> (Vec<Finding>, CheckSummary) {
    let mut memory = vec![0; 200_000];
    let mut image = Image::open_with(OpenOptions::new().salvage(salvage), file, &mut memory).unwrap();
    let mut bitmap = vec![0; image.check_bitmap_len()];
    let mut found = Vec::new();
    let options = CheckOptions::new().bitmap(&mut bitmap);
    let summary = image.check_with(options, |finding| found.push(finding)).unwrap();
    (found, summary)
}

/// Returns the number of flaws of a finding, and of their guest bytes.
fn extent(finding: &Finding) -> (u64, u64) {
    (finding.count, finding.guest_len)
}

/// Returns the findings of a thorough check.
fn find_flaws(builder: &ImageBuilder) -> Vec<Found> {
    check(&builder.build(), true).0
}

/// Returns an image with two L1 words and two tables of one cluster each, laid out as QEMU does.
fn plain() -> ImageBuilder {
    let mut builder = ImageBuilder::new(4 * MIB);
    builder.table_at(0, 0x1000).data_at(0, 0x2000, &pattern(1, 4096));
    builder
        .table_at(2 * MIB, 0x3000)
        .data_at(2 * MIB, 0x4000, &pattern(2, 4096));
    builder
}

#[test]
fn a_good_image_is_clean_and_all_of_it_is_reached() {
    let (found, summary) = check(&plain().build(), true);
    assert_eq!(found, []);
    assert_eq!(summary.data_bytes, 8192);
    assert_eq!(summary.hole_bytes, 4 * MIB - 8192);
    assert_eq!(summary.unreachable_bytes, 0);
}

#[test]
fn unaligned_tables_and_clusters_are_clean() {
    let mut builder = ImageBuilder::new(2 * MIB).bits(12, 6).l1_at(61);
    builder.table_at(0, 0x1003).data_at(0, 0x1600, &pattern(1, 4096));
    builder
        .table_at(1 << 18, 0x2605)
        .data_at(1 << 18, 0x2a00, &pattern(1, 4096));
    assert_eq!(find_flaws(&builder), []);
}

#[test]
fn packed_streams_share_sectors() {
    let mut builder = ImageBuilder::new(2 * MIB);
    for cluster in 0..40 {
        builder.compressed(cluster * 4096, &pattern(cluster as u8, 4096));
    }
    let (found, summary) = check(&builder.build(), true);
    assert_eq!(found, []);
    assert_eq!(summary.compressed_bytes, 40 * 4096);
    assert_eq!(summary.unreachable_bytes, 0);
}

#[test]
fn parts_that_overlap_the_header_or_the_l1_are_found_without_a_bitmap() {
    let mut cluster = plain();
    cluster.l2_word(8192, 1 << 63 | 100 << 51 | 40);
    assert_eq!(
        check(&cluster.build(), false).0,
        [(CorruptPart::CompressedCluster, Some(8192), Some(40))]
    );
    // The second word of the L1 is at 56.
    let mut table = plain();
    table.l1_word(1, 60);
    // The words of such a table are flaws too.
    let found = check(&table.build(), false).0;
    assert!(
        found.contains(&(CorruptPart::L2Table, Some(2 * MIB), Some(60))),
        "{found:?}"
    );
    let file = ImageBuilder::new(2 * MIB).l1_at(44).build();
    // Its first word contains half of the header's last field, so it is a flaw too.
    assert_eq!(check(&file, false).0[0], (CorruptPart::L1Table, None, Some(44)));
}

#[test]
fn a_cluster_or_a_table_that_is_used_twice_is_found_with_a_bitmap() {
    let mut twice = plain();
    twice.l2_word(8192, 0x4000);
    assert_eq!(check(&twice.build(), false).0, []);
    // The first word that points to a cluster owns it.
    assert_eq!(
        find_flaws(&twice),
        [(CorruptPart::Cluster, Some(2 * MIB), Some(0x4000))]
    );

    let mut half = plain();
    half.l2_word(8192, 0x2800);
    assert_eq!(
        find_flaws(&half),
        [
            (CorruptPart::Cluster, Some(8192), Some(0x2800)),
            (CorruptPart::L2Table, Some(2 * MIB), Some(0x3000))
        ]
    );

    let mut table = plain();
    table.l1_word(1, 0x1000);
    assert_eq!(
        find_flaws(&table),
        [(CorruptPart::L2Table, Some(2 * MIB), Some(0x1000))]
    );

    let mut stream = plain();
    stream.l2_word(8192, 1 << 63 | 2000 << 51 | 0x4100);
    let found = find_flaws(&stream);
    assert!(
        found.contains(&(CorruptPart::Cluster, Some(2 * MIB), Some(0x4000))),
        "{found:?}"
    );
}

#[test]
fn a_stream_that_cannot_be_inflated_is_found_if_the_check_inflates() {
    let mut builder = ImageBuilder::new(2 * MIB);
    builder.stream_at(4096, 0x3001, &[0xff; 100], 100);
    assert_eq!(check(&builder.build(), false).0, []);
    assert_eq!(
        find_flaws(&builder),
        [(CorruptPart::CompressedCluster, Some(4096), Some(0x3001))]
    );
}

#[test]
fn each_wrong_word_is_found_and_the_rest_is_checked() {
    let mut builder = plain();
    builder
        .l2_word(4096, 0x2001)
        .l2_word(8192, 1 << 40)
        .l2_word(12288, 1 << 63 | 0x2000)
        .l2_word(16384, 1 << 63 | 5 << 51 | 1 << 40)
        .l1_word(1, 1 << 63 | 0x3000);
    let (found, summary) = check(&builder.build(), false);
    use CorruptPart::*;
    assert_eq!(
        found,
        [
            (Cluster, Some(4096), Some(0x2001)),
            (Cluster, Some(8192), Some(1 << 40)),
            (CompressedCluster, Some(12288), Some(0x2000)),
            (CompressedCluster, Some(16384), Some(1 << 40)),
            (L1Table, Some(2 * MIB), Some(0x3000)),
        ]
    );
    assert_eq!(summary.data_bytes, 4096);
}

#[test]
fn unreachable_bytes_are_counted_if_they_fill_a_cluster() {
    for (extra, counted) in [(0, 0), (4095, 0), (4096, 4096), (10_000, 10_000)] {
        let mut file = plain().build();
        file.resize(file.len() + extra, 1);
        assert_eq!(check(&file, true).1.unreachable_bytes, counted);
    }
    let mut gap = plain();
    gap.data_at(8192, 0x10_000, &pattern(3, 4096));
    assert_eq!(check(&gap.build(), true).1.unreachable_bytes, 0x10_000 - 0x5000);
}

#[test]
fn the_padding_of_the_l1_to_512_bytes_is_not_counted_as_unreachable() {
    // QEMU creates an overlay so: the L1 at 56, padded with zeros to a sector, and then the first
    // cluster.
    let mut overlay = ImageBuilder::new(4 * MIB).overlay_on(b"base.raw");
    overlay.table_at(0, 1024).data(0, &pattern(1, 512));
    assert_eq!(check(&overlay.build(), true).1.unreachable_bytes, 0);
    let mut further = ImageBuilder::new(4 * MIB).overlay_on(b"base.raw");
    further.table_at(0, 1536).data(0, &pattern(1, 512));
    assert_eq!(check(&further.build(), true).1.unreachable_bytes, 512);
}

#[test]
fn the_part_of_the_last_cluster_past_the_end_of_the_disk_is_not_counted_as_unreachable() {
    for size in [100, 513, 4095, 4097, 70_001] {
        let mut builder = ImageBuilder::new(size).bits(16, 6);
        builder.data(0, &pattern(1, size as usize));
        let (found, summary) = check(&builder.build(), true);
        assert_eq!((found, summary.unreachable_bytes), (vec![], 0));
        assert_eq!(summary.data_bytes, size);
    }
}

#[test]
fn a_bitmap_that_is_too_small_is_refused() {
    let file = plain().build();
    let mut memory = [0; 4096];
    let mut image = Image::open(&file[..], &mut memory).unwrap();
    let needed = image.check_bitmap_len();
    let mut bitmap = vec![0; needed - 1];
    let options = CheckOptions::new().bitmap(&mut bitmap);
    assert_eq!(image.check_with(options, |_| ()), Err(Error::MemoryTooSmall { needed }));
}

#[test]
fn a_check_does_not_walk_a_raw_disk_or_an_l1_past_the_end_of_the_file() {
    let mut memory = [0; 512];
    let raw = [0; 1000];
    let mut image = Image::open_raw(&raw[..], &mut memory).unwrap();
    assert_eq!(image.check(|_| panic!()).unwrap().data_bytes, 1000);
    // An L1 of 2^41 words, of which the file contains two.
    let mut file = ImageBuilder::new(4 * MIB).build();
    file[24..32].copy_from_slice(&(1_u64 << 62).to_be_bytes());
    let options = qcow1::OpenOptions::new().salvage(true);
    let mut image = Image::open_with(options, &file[..], &mut memory).unwrap();
    assert_eq!(image.check(|_| panic!()).unwrap().hole_bytes, 1 << 62);
}

#[test]
fn each_block_of_a_table_is_read_once() {
    let file = plain().build();
    let mut memory = [0; 512];
    let device = TestDevice::new(&file, 512);
    let log = device.log.clone();
    let mut image = Image::open(device, &mut memory).unwrap();
    image.check(|_| panic!()).unwrap();
    // The header, the L1 twice, since the only line of memory holds a table in between, and two
    // tables of eight blocks.
    assert_eq!(log.requests(), 1 + 2 + 2 * 8);
}

#[test]
fn an_image_that_a_check_finds_clean_reads_without_corruption() {
    let mut random = Random(77);
    let mut clean = 0;
    for round in 0..3000 {
        let mut builder = ImageBuilder::new(200_000).bits(9, 6);
        for _ in 0..6 {
            let guest = random.below(390) * 512;
            match random.below(3) {
                0 => builder.data(guest, &pattern(1, 512)),
                1 => builder.compressed(guest, &pattern(2, 512)),
                _ => builder.l2_word(guest, 0),
            };
        }
        let mut file = builder.build();
        for _ in 0..random.below(3) {
            let at = random.below(file.len() as u64) as usize;
            // Not the disk's size: the disk could become too large to be read whole.
            if !(24..32).contains(&at) {
                file[at] ^= 1 << random.below(8);
            }
        }
        let mut memory = vec![0; 100_000];
        let Ok(mut image) = Image::open(&file[..], &mut memory) else {
            continue;
        };
        let options = CheckOptions::new().inflate(true);
        let is_clean = image.check_with(options, |_| ()).unwrap().findings == 0;
        clean += u32::from(is_clean);
        let mut disk = vec![0; image.size() as usize];
        match image.read_at(0, &mut disk) {
            Ok(()) | Err(Error::BackingRequired { .. } | Error::KeyRequired { .. }) => {}
            Err(error) => assert!(!is_clean && matches!(error, Error::Corrupt(_)), "{round}: {error}"),
        }
    }
    assert!(clean > 500, "{clean}");
}

/// Returns an image with one table, which covers 512 MiB. Its first word is `first`, all others are
/// 513, which is misaligned.
fn one_wrong_table(first: u64) -> ImageBuilder {
    let mut builder = ImageBuilder::new(1024 << 29).bits(16, 13).l1_at(4096);
    builder.table_at(0, 0x2_0000);
    for cluster in 0..8192 {
        builder.l2_word(cluster << 16, if cluster == 0 { first } else { 513 });
    }
    builder
}

#[test]
fn a_table_whose_words_are_all_wrong_is_not_counted_as_unreachable() {
    let mut builder = ImageBuilder::new(4096);
    builder.table_at(0, 0x1000).l2_word(0, 513);
    let (found, summary) = check(&builder.build(), true);
    assert_eq!(found, [(CorruptPart::Cluster, Some(0), Some(513))]);
    assert_eq!(summary.unreachable_bytes, 0);
}

#[test]
fn a_table_over_the_l1_is_found_whatever_its_words_say() {
    // The table covers the end of the header and the L1. The only L1 word is one of the table's
    // words too, and a flaw.
    let mut builder = ImageBuilder::new(512).bits(9, 6);
    builder.l1_word(0, 41).raw(1023, &[0]);
    assert_eq!(
        check(&builder.build(), false).0,
        [(CorruptPart::L2Table, Some(0), Some(41))]
    );
}

#[test]
fn a_table_that_many_l1_words_lead_to_is_checked_once() {
    for first in [513, 0] {
        let mut builder = one_wrong_table(first);
        for index in 1..1024 {
            builder.l1_word(index, 0x2_0000);
        }
        let wrong = 8192 - u64::from(first == 0);
        let guest = u64::from(first == 0) << 16;
        let file = builder.build();
        let (found, _) = findings(&file, false);
        let [words, tables] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(words.corrupt.kind(), CorruptKind::ClusterMisaligned);
        assert_eq!(words.corrupt.guest_offset(), Some(guest));
        assert_eq!(words.corrupt.host_offset(), Some(513));
        assert_eq!(extent(words), (wrong, wrong << 16));
        assert_eq!(tables.corrupt.kind(), CorruptKind::Overlap(CorruptPart::L2Table));
        assert_eq!(tables.corrupt.guest_offset(), Some(0x2000_0000));
        assert_eq!(tables.corrupt.host_offset(), Some(0x2_0000));
        assert_eq!(extent(tables), (1023, 1023 << 29));

        // Without a usage map, no more tables are checked than the file has room for.
        let mut memory = [0; 512];
        let device = TestDevice::new(&file, 512);
        let log = device.log.clone();
        let mut image = Image::open(device, &mut memory).unwrap();
        let mut found = Vec::new();
        image.check(|finding| found.push(finding)).unwrap();
        let last = found.last().unwrap();
        assert_eq!(last.corrupt.kind(), CorruptKind::TooManyTables);
        assert_eq!((last.count, last.corrupt.guest_offset()), (1020, Some(4 << 29)));
        assert_eq!(
            last.corrupt.to_string(),
            "corrupt image: the L2 table for guest offset 0x80000000, at host offset 0x20000, exceeds the number of L2 \
             tables that fit in the file, so some overlap"
        );
        // The header, 1,024 L1 words, and four tables of 128 blocks.
        assert!(log.requests() <= 1 + 1024 + 4 * 128, "{}", log.requests());
    }
}

#[test]
fn flaws_of_one_kind_in_sequence_are_one_finding() {
    let mut cut = ImageBuilder::new(2 * MIB);
    cut.data(0, &pattern(1, 40 * 4096));
    let mut file = cut.build();
    let whole = file.len();
    file.truncate(whole - 32 * 4096);
    let (found, _) = findings(&file, false);
    let [finding] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(finding.corrupt.kind(), CorruptKind::ClusterPastEnd);
    assert_eq!(extent(finding), (32, 32 * 4096));
    assert_eq!(
        finding.to_string(),
        "corrupt image: the cluster for guest offset 0x8000, at host offset 0x9200, reaches past the end of the file \
         (first of 32 in sequence, up to guest offset 0x28000)"
    );
    // A single one has no count.
    let (found, _) = findings(&cut.build()[..whole - 4096], false);
    assert_eq!(found[0].to_string(), found[0].corrupt.to_string());

    // The disk's last cluster is partial. Corrupt tables after corrupt clusters are a finding of
    // their own.
    let mut last = ImageBuilder::new(MIB / 4 * 3 + 5).bits(12, 6);
    last.l2_word(MIB / 2, 0).l2_word(MIB / 4 * 3, 1 << 40);
    last.l2_word(MIB / 4 * 3 - 4096, 1 << 40)
        .l1_word(0, 1 << 50)
        .l1_word(1, 1 << 51);
    let (found, _) = findings(&last.build(), false);
    let extents: Vec<_> = found.iter().map(extent).collect();
    assert_eq!(extents, [(2, MIB / 2), (2, 4096 + 5)]);
}

#[test]
fn flaws_of_other_kinds_or_apart_are_findings_of_their_own() {
    let mut builder = ImageBuilder::new(2 * MIB);
    // Misaligned, past the end, good, past the end, a stream of no bytes.
    builder
        .data(4096 * 2, &pattern(1, 4096))
        .l2_word(0, 513)
        .l2_word(4096, 1 << 40)
        .l2_word(4096 * 3, 1 << 40)
        .l2_word(4096 * 4, 1 << 63);
    let (found, summary) = findings(&builder.build(), false);
    assert!(found.iter().all(|finding| extent(finding) == (1, 4096)), "{found:?}");
    assert_eq!((found.len(), summary.findings), (4, 4));
}

#[test]
fn two_l1_words_that_lead_to_one_table_are_found_at_any_offset() {
    for table in 0x1000..0x1202 {
        let mut builder = ImageBuilder::new(1 << 16).bits(9, 6);
        builder.table_at(0, table).l1_word(1, table);
        builder.raw(0x1fff, &[0]);
        assert_eq!(
            check(&builder.build(), true).0,
            [(CorruptPart::L2Table, Some(0x8000), Some(table))],
            "{table:#x}"
        );
    }
    // Adjacent tables do not overlap.
    let mut builder = ImageBuilder::new(1 << 16).bits(9, 6);
    builder.table_at(0, 0x1001).table_at(0x8000, 0x1201);
    assert_eq!(find_flaws(&builder), []);
}

#[test]
fn parts_past_the_end_of_the_file_overlap_nothing() {
    // Two streams start near the end of the file, and reach past it to the same offset.
    for len in 0x2000..0x2000 + 2049 {
        let mut builder = ImageBuilder::new(1 << 16).bits(12, 6);
        builder.table_at(0, 0x200);
        builder
            .stream_at(0, 0x1fff, &[0], 4000)
            .stream_at(4096, 0x1ffe, &[0], 4001);
        let mut file = builder.build();
        file.resize(len, 0);
        let (found, _) = findings(&file, true);
        // They overlap as soon as the file has a byte of a sector that both fill.
        assert_eq!(found.len(), usize::from(len > 0x2000), "{len:#x}: {found:?}");
    }
    // A stream in the truncated part of the L1: after the end of the file, and at the end itself.
    let mut builder = ImageBuilder::new(1 << 20).bits(9, 6).l1_at(0x2000);
    builder.table_at(0, 0x200).stream_at(0, 0x2080, &[0], 16);
    for len in [0x2040, 0x2080] {
        let mut file = builder.build();
        file.truncate(len);
        assert_eq!(findings(&file, true).0, [], "{len:#x}");
    }
    // Clusters and a table wholly past the end of the file.
    let mut builder = ImageBuilder::new(1 << 19).bits(12, 6);
    builder
        .l2_word(0, 0x1_0000)
        .l2_word(4096, 0x1_0000)
        .l1_word(1, 0x1_0000);
    let (found, summary) = findings(&builder.build(), true);
    assert_eq!((found, summary.hole_bytes), (vec![], 1 << 19));
}

#[test]
fn a_failed_request_ends_a_check_and_the_findings_before_it_are_reported() {
    let mut builder = ImageBuilder::new(4 * MIB).bits(12, 6);
    builder.l2_word(0, 513).l2_word(4096, 513).data(8192, &pattern(1, 4096));
    builder.l2_word(MIB, 1 << 40);
    // Two L1 words that point to one table.
    builder.l1_word(2, 0x200).l1_word(3, 0x200);
    let file = builder.build();
    for (block, lent) in [(1, 512), (512, 512), (512, 20_000)] {
        let mut memory = vec![0; lent];
        let device = TestDevice::new(&file, block);
        let log = device.log.clone();
        let mut image = Image::open(device, &mut memory).unwrap();
        let mut bitmap = vec![0; image.check_bitmap_len()];
        let mut run = |fails: Option<u64>| {
            let mut found = Vec::new();
            if let Some(fails) = fails {
                log.fail_after(fails);
            }
            let options = CheckOptions::new().bitmap(&mut bitmap);
            let summary = image.check_with(options, |finding| found.push(finding));
            (summary, found, log.cancel_failure())
        };
        let (right, all, _) = run(None);
        assert_eq!(all.len(), 3, "{all:?}");
        for k in 0.. {
            let (summary, found, pending) = run(Some(k));
            if pending {
                // The check makes fewer than k requests.
                assert_eq!((summary, &found), (right, &all));
                assert!(k > 0);
                break;
            }
            // A read of tables is tried again for less.
            assert!(summary == right || summary == Err(Error::Io(Broken)), "request {k}");
            assert!(found.len() <= all.len());
            for (found, all) in found.iter().zip(&all) {
                assert!(
                    found.corrupt == all.corrupt && found.count <= all.count,
                    "request {k}: {found:?}"
                );
            }
            let (summary, found, _) = run(None);
            assert_eq!((summary, &found), (right, &all), "after request {k} failed");
        }
    }
}

#[test]
fn parts_that_touch_the_header_and_the_l1_without_a_gap_are_clean() {
    // The table starts at the first sector after the header, and the cluster ends at the start of
    // the L1.
    let mut builder = ImageBuilder::new(4096).l1_at(0x3000);
    builder.table_at(0, 0x1000).data_at(0, 0x2000, &pattern(1, 4096));
    assert_eq!(find_flaws(&builder), []);
}

#[test]
fn salvaged_tables_at_the_end_of_the_file_are_holes_however_many_there_are() {
    let mut builder = ImageBuilder::new(2000 * 2 * MIB);
    let end = builder.build().len() as u64;
    for index in 0..2000 {
        builder.l1_word(index, end);
    }
    let file = builder.build();
    assert_eq!(file.len() as u64, end);
    let mut memory = [0; 512];
    let mut image = Image::open_with(OpenOptions::new().salvage(true), &file[..], &mut memory).unwrap();
    let summary = image.check(|finding| panic!("{finding}")).unwrap();
    assert_eq!(summary.findings, 0);
}
