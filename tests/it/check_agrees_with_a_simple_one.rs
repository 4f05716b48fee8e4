//! The crate's check finds the same as a simple one, on images whose words point to random and
//! shared places.

use crate::common::checker::{self, Rules, agrees, join_streams, to_flaw};
use crate::common::futures::{Slow, finish};
use crate::common::{Log, Random, TestDevice};
use qcow1::{CheckOptions, Image, OpenOptions, aio};
use std::collections::BTreeMap;

/// A usage map that is sparse, not a slice.
#[derive(Default)]
struct Sparse(BTreeMap<usize, u8>);

impl qcow1::UsageMap for Sparse {
    fn clear(&mut self, _len: usize) -> bool {
        self.0.clear();
        true
    }

    fn byte(&mut self, index: usize) -> Option<&mut u8> {
        Some(self.0.entry(index).or_insert(0))
    }

    fn next_used(&self, index: usize) -> Option<(usize, u8)> {
        let mut used = self.0.range(index..).filter(|(_, byte)| **byte != 0);
        used.next().map(|(index, byte)| (*index, *byte))
    }
}

/// Returns a small image most of whose words point to places that other words point to as well.
fn hostile(random: &mut Random) -> Vec<u8> {
    let cluster_bits = 9 + random.below(3) as u8;
    let l2_bits = 6 + random.below(2) as u8;
    let (cluster, entries) = (1_u64 << cluster_bits, 1_u64 << l2_bits);
    let spans = 1 + random.below(6);
    let size = 2 + random.below(spans * cluster * entries);
    let mut file = vec![0; 600 + random.below(20_000) as usize];
    let len = file.len() as u64;
    let odd = random.below(3) == 0;
    let l1 = match random.below(8) {
        0 => random.below(64),
        1 => 509,
        2 => len - random.below(64),
        _ => 48,
    };
    // Few places, so that words share them.
    let places: Vec<u64> = (0..1 + random.below(12))
        .map(|_| match random.below(8) {
            0 => random.below(600),
            1 => len - random.below(1100).min(len),
            2 if odd => random.below(len),
            _ => random.below(len) / 512 * 512,
        })
        .collect();
    let l1_entries = size.div_ceil(cluster * entries);
    let write = |file: &mut Vec<u8>, at: u64, word: u64| {
        for (byte, at) in word.to_be_bytes().into_iter().zip(at..) {
            if let Some(to) = file.get_mut(at as usize) {
                *to = byte;
            }
        }
    };
    let good = random.below(4) == 0;
    let mut tables = Vec::new();
    for entry in 0..l1_entries {
        let table = match random.below(if good { 6 } else { 12 }) {
            0 => 0,
            9 => 1 << 63 | random.below(1000),
            10 => len + random.below(1000),
            11 => random.next(),
            _ => places[random.below(places.len() as u64) as usize],
        };
        write(&mut file, l1.saturating_add(entry * 8), table);
        tables.push(table);
    }
    for table in tables {
        if table >= len {
            continue;
        }
        let stretch = random.below(3);
        let mut kind = 0;
        for entry in 0..entries {
            // Often the same kind as before, so that there are runs.
            if stretch == 0 || random.below(6) == 0 {
                kind = random.below(if good { 8 } else { 14 });
            }
            let place = places[random.below(places.len() as u64) as usize];
            let word = match kind {
                0..=3 => continue,
                4..=6 => place / 512 * 512,
                7 => places[0] / 512 * 512 + entry * cluster,
                8 => place | 1,
                9 => 1 << 63 | place,
                10 | 11 => 1 << 63 | (1 + random.below(cluster - 1)) << (63 - cluster_bits) | place,
                12 => len / 512 * 512 + random.below(4) * 512,
                _ => random.next(),
            };
            write(&mut file, table + entry * 8, word);
        }
    }
    if random.below(3) == 0 {
        // A valid stream.
        let stream = miniz_oxide::deflate::compress_to_vec(&vec![7; cluster as usize], 6);
        for (byte, at) in stream.iter().zip(places[0] as usize..) {
            if let Some(to) = file.get_mut(at) {
                *to = *byte;
            }
        }
    }
    file[..4].copy_from_slice(b"QFI\xfb");
    file[4..8].copy_from_slice(&1_u32.to_be_bytes());
    file[8..24].fill(0);
    if random.below(4) == 0 {
        let name = random.below(len).max(1);
        file[8..16].copy_from_slice(&name.to_be_bytes());
        file[16..20].copy_from_slice(&(random.below(1024.min(len - name)) as u32).to_be_bytes());
    }
    file[24..32].copy_from_slice(&size.to_be_bytes());
    (file[32], file[33]) = (cluster_bits, l2_bits);
    file[34..40].fill(0);
    file[39] = u8::from(random.below(4) == 0);
    file[40..48].copy_from_slice(&l1.to_be_bytes());
    if random.below(3) == 0 {
        file.truncate(64 + random.below(len - 64) as usize);
    }
    file
}

const ROUNDS: u64 = 4000;

#[test]
fn sync_and_async_checks_find_what_a_simple_check_finds_within_the_documented_reads() {
    let mut random = Random(20_241_124);
    let mut checked = 0;
    for round in 0..ROUNDS {
        let file = hostile(&mut random);
        let salvage = random.below(2) == 0;
        let overlaps = random.below(4) != 0;
        let inflate = random.below(2) == 0;
        let block = [1, 512, 4096][random.below(3) as usize];
        // One slot or several; enough for streams only if the check inflates.
        let lent = if inflate {
            30_000 + random.below(30_000)
        } else {
            4096 + random.below(9000)
        };
        let mut memories = [vec![0xdd; lent as usize], vec![0xdd; lent as usize]];
        let [first, second] = &mut memories;
        let device = TestDevice::new(&file, block);
        let log: Log = device.log.clone();
        let open = OpenOptions::new().salvage(salvage);
        let Ok(mut image) = Image::open_with(open, device, first) else {
            continue;
        };
        checked += 1;
        let report = checker::check(
            &file,
            Rules {
                salvage,
                overlaps,
                inflate,
            },
        );
        let mut bitmap = vec![0xff; image.check_bitmap_len() + 3];
        let mut sparse = Sparse::default();
        let plain = CheckOptions::new().inflate(inflate);
        let mut found = Vec::new();
        let before = log.requests();
        let summary = match (overlaps, random.below(2)) {
            (false, _) => image.check_with(plain, |finding| found.push(to_flaw(&finding))),
            (true, 0) => image.check_with(plain.bitmap(&mut bitmap), |finding| found.push(to_flaw(&finding))),
            (true, _) => image.check_with(plain.usage_map(&mut sparse), |finding| found.push(to_flaw(&finding))),
        };
        let cost = log.requests() - before;
        let summary = summary.unwrap();
        let joined = join_streams(&found);
        let differs = joined.iter().zip(&report.flaws).find(|(ours, theirs)| ours != theirs);
        assert!(
            agrees(summary, &found, &report),
            "round {round}, salvage {salvage}, inflate {inflate}, {} and {} findings: {summary:?} {differs:#?} {report:?}",
            joined.len(),
            report.flaws.len()
        );
        let clusters = summary.compressed_bytes.div_ceil(1 << file[32]);
        let inflating = if inflate { clusters * 11 } else { 0 };
        assert!(cost <= 4 * report.words + inflating, "round {round}: {cost} reads");

        let device = TestDevice::new(&file, block);
        let async_log = device.log.clone();
        let mut image = finish(aio::Image::open_with(open, Slow(device), second)).unwrap();
        let before = async_log.requests();
        let mut async_found = Vec::new();
        let options = if overlaps {
            plain_with(inflate).bitmap(&mut bitmap)
        } else {
            plain_with(inflate)
        };
        let async_summary = finish(image.check_with(options, |finding| async_found.push(to_flaw(&finding)))).unwrap();
        assert_eq!(async_summary, summary, "round {round}");
        assert_eq!(async_found, found, "round {round}");
        assert_eq!(async_log.requests() - before, cost, "round {round}");
    }
    assert!(checked > ROUNDS / 3, "{checked} images opened");
}

fn plain_with<'b>(inflate: bool) -> CheckOptions<'b> {
    CheckOptions::new().inflate(inflate)
}
