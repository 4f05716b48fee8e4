//! Images on top of others.

use super::key;
use crate::case::{Backing, Case, Disk, Expect, Read, with};
use crate::common::{ImageBuilder, Refusal};

const FORMAT: &str = "format: backing";
const SPAN: usize = 512 << 6;

/// Returns lines that differ from those of [`crate::case::text`].
fn base_text(len: usize) -> Vec<u8> {
    let lines = (0..).flat_map(|line| format!("BASE  {:09x}\n", line * 16).into_bytes());
    lines.take(len).collect()
}

fn raw(name: &'static str, bytes: Vec<u8>) -> Backing {
    Backing {
        name,
        is_qcow: false,
        bytes,
    }
}

/// Returns an image whose guest sees [`base_text`] in some clusters, and the guest's disk.
fn qcow(name: &'static str, size: usize, image: ImageBuilder, clusters: &[usize]) -> (Backing, Vec<u8>) {
    let mut image = image;
    let step = image.cluster_size() as usize;
    let all = base_text(size.next_multiple_of(step));
    let mut guest = vec![0; all.len()];
    for at in clusters.iter().map(|cluster| cluster * step) {
        let bytes = &all[at..at + step];
        image.data(at as u64, bytes);
        guest[at..at + step].copy_from_slice(bytes);
    }
    guest.truncate(size);
    let bytes = image.build();
    let file = Backing {
        name,
        is_qcow: true,
        bytes,
    };
    (file, guest)
}

fn named(name: &[u8]) -> impl FnOnce(ImageBuilder) -> ImageBuilder {
    move |image| {
        let l1 = 48 + name.len().next_multiple_of(8) as u64;
        image.backing_at(48, name).l1_at(l1)
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    lengths(&mut cases);
    kinds(&mut cases);
    precedence(&mut cases);
    names(&mut cases);
    missing(&mut cases);
    cases
}

/// An image of a chain: its number, log2 of its cluster size and of the entries of its tables, and
/// the clusters that it stores.
struct Layer {
    name: &'static str,
    number: usize,
    size: usize,
    bits: (u8, u8),
    has: fn(usize) -> bool,
}

impl Layer {
    /// Returns the image over `below`, the disk that the guest sees below it.
    fn on(&self, below: &[u8], name: &[u8]) -> Disk {
        let shape = |image: ImageBuilder| named(name)(image.bits(self.bits.0, self.bits.1));
        let mut disk = Disk::new(self.size, shape).over(below);
        let cluster = 1 << self.bits.0;
        for at in (0..self.size).step_by(cluster).filter(|at| (self.has)(at / cluster)) {
            let bytes = self.text(at, cluster);
            disk.image.data(at as u64, &bytes);
            disk.sees(at, &bytes);
        }
        disk
    }

    /// Returns lines that differ from those of any other layer.
    fn text(&self, at: usize, len: usize) -> Vec<u8> {
        let lines = (at / 16..).flat_map(|line| format!("LAYER{} {:08x}\n", self.number, line * 16).into_bytes());
        lines.take(len).collect()
    }
}

/// Returns a chain of these layers, top first, on a raw disk: the top disk, and the files below it.
fn stack(layers: &[Layer], raw_base: &Backing) -> (Disk, Vec<Backing>) {
    let (top, lower) = layers.split_first().unwrap();
    let mut files = vec![raw_base.clone()];
    let mut below = raw_base.bytes.clone();
    for layer in lower.iter().rev() {
        let disk = layer.on(&below, files[0].name.as_bytes());
        let file = Backing {
            name: layer.name,
            is_qcow: true,
            bytes: disk.image.build(),
        };
        files.insert(0, file);
        below = disk.guest;
    }
    (top.on(&below, files[0].name.as_bytes()), files)
}

/// If two images of a chain store a cluster, the upper one counts, for reads of any length and for
/// all cluster sizes.
fn precedence(cases: &mut Vec<Case>) {
    let mut add = |name, source, shows, layers: &[Layer], raw_base: &Backing| {
        let (disk, files) = stack(layers, raw_base);
        let guest = &disk.guest;
        // All of it at once; then pieces that begin and end inside sectors.
        let mut reads = vec![Read::gives(0, guest)];
        for start in [1, 511, guest.len() / 3 + 7, guest.len() - 5000] {
            reads.push(Read::gives(start as u64, &guest[start..start + 4999]));
        }
        let case = Case::reads(name, source, shows, &disk);
        cases.push(case.over(&files.iter().collect::<Vec<_>>()).then(reads));
    };
    let base = raw("base-40448.raw", base_text(40_448));
    let layer = |name, number, has| Layer {
        name,
        number,
        size: 40_448,
        bits: (9, 6),
        has,
    };
    // The second span is a hole in some L1 tables.
    let layers = [
        layer("", 0, |cluster| cluster % 5 == 0),
        layer("first-below.qcow", 1, |cluster| cluster % 5 < 2 && cluster < 64),
        layer("second-below.qcow", 2, |cluster| cluster % 5 < 3 || cluster >= 70),
    ];
    let shows =
        "One read that takes some clusters of each of four levels, each of which has clusters that one above it hides.";
    add("precedence-in-a-long-read", FORMAT, shows, &layers, &base);

    let base = raw("base-25088.raw", base_text(25_088));
    let layer = |name, number, bits, has| Layer {
        name,
        number,
        size: 29_696 - number * 1024,
        bits,
        has,
    };
    let layers = [
        layer("", 0, (9, 6), |cluster| cluster % 3 == 0),
        layer("clusters-of-16384-below.qcow", 1, (14, 6), |cluster| cluster == 1),
        layer("clusters-of-4096-below.qcow", 2, (12, 9), |cluster| cluster % 2 == 0),
    ];
    let shows = "Clusters of 512 bytes over clusters of 16 KiB over clusters of 4 KiB, each disk shorter than the one above it.";
    add("unequal-clusters", FORMAT, shows, &layers, &base);
    let layers = [
        layer("", 0, (14, 6), |cluster| cluster == 1),
        layer("clusters-of-512-below.qcow", 1, (9, 7), |cluster| cluster % 3 == 0),
        layer("clusters-of-8192-below.qcow", 2, (13, 6), |cluster| cluster % 2 == 0),
    ];
    let shows = "Clusters of 16 KiB over clusters of 512 bytes over clusters of 8 KiB, each disk shorter than the one above it.";
    add("unequal-clusters-large-first", FORMAT, shows, &layers, &base);
}

fn lengths(cases: &mut Vec<Case>) {
    for (name, file, len, shows) in [
        (
            "raw",
            "base-4096.raw",
            4096,
            "Holes read from a raw backing disk of the same size.",
        ),
        (
            "shorter",
            "base-2000.raw",
            2000,
            "Zeros follow the last byte of a shorter backing disk, and begin no sooner.",
        ),
        (
            "shorter-by-sectors",
            "base-2048.raw",
            2048,
            "A backing disk that ends with a sector.",
        ),
        (
            "longer",
            "base-6000.raw",
            6000,
            "A longer backing disk is cut at the image's size.",
        ),
        (
            "empty",
            "base-0.raw",
            0,
            "A backing file of no bytes: all holes are zeros.",
        ),
    ] {
        let base = raw(file, base_text(len));
        let disk = Disk::new(4096, named(file.as_bytes()))
            .over(&base.bytes)
            .data(512, 512)
            .data(3072, 512);
        cases.push(Case::reads(name, FORMAT, shows, &disk).over(&[&base]));
    }
    let base = raw("base-6000.raw", base_text(6000));
    let disk = Disk::new(3001, named(b"base-6000.raw"))
        .over(&base.bytes)
        .data(512, 512);
    let shows = "An image whose size is odd, on a longer backing disk.";
    cases.push(Case::reads("odd-on-longer", FORMAT, shows, &disk).over(&[&base]));

    let shows = "A hole in the L1 reads from the backing disk too, not only one in an L2 table.";
    let base = raw("base-70144.raw", base_text(70_144));
    let disk = Disk::new(70_144, named(b"base-70144.raw"))
        .over(&base.bytes)
        .data(512, 512);
    cases.push(Case::reads("l1-hole", "defect: keramics", shows, &disk).over(&[&base]));
    let disk = Disk::new(2 * SPAN, named(b"base-70144.raw")).over(&base.bytes);
    let shows = "An image with no table at all.";
    cases.push(Case::reads("nothing-but-backing", FORMAT, shows, &disk).over(&[&base]));
}

fn kinds(cases: &mut Vec<Case>) {
    let shape = |size| ImageBuilder::new(size).bits(9, 6).aligned();
    let (base, guest) = qcow("base.qcow", 4096, shape(4096), &[1, 2, 5]);
    let disk = Disk::new(4096, named(b"base.qcow"))
        .over(&guest)
        .data(1024, 512)
        .compressed(3072);
    let shows = "A backing image that is QCOW itself, with holes.";
    cases.push(Case::reads("qcow", FORMAT, shows, &disk).over(&[&base]));

    let (odd, guest) = qcow("odd.qcow", 1001, shape(1001), &[0, 1]);
    let disk = Disk::new(4096, named(b"odd.qcow")).over(&guest).data(2048, 512);
    let shows = "A shorter backing image whose size is odd: what its last cluster has beyond that is not seen.";
    cases.push(Case::reads("odd-qcow", FORMAT, shows, &disk).over(&[&odd]));

    let (large, guest) = qcow(
        "clusters-of-4096.qcow",
        19_968,
        ImageBuilder::new(19_968).bits(12, 9).aligned(),
        &[0, 2, 4],
    );
    let disk = Disk::new(19_968, named(b"clusters-of-4096.qcow"))
        .over(&guest)
        .data(512, 512)
        .data(9216, 512);
    let shows = "Clusters of 512 bytes over clusters of 4 KiB.";
    cases.push(Case::reads("small-over-large", FORMAT, shows, &disk).over(&[&large]));
    let disk = Disk::new(16_384, |image| named(b"base.qcow")(image.bits(12, 9)))
        .over(&qcow("base.qcow", 4096, shape(4096), &[1, 2, 5]).1)
        .data(8192, 4096);
    let shows = "Clusters of 4 KiB over clusters of 512 bytes, and a backing image of one cluster.";
    cases.push(Case::reads("large-over-small", FORMAT, shows, &disk).over(&[&base]));

    let raw_base = raw("base-2000.raw", base_text(2000));
    let mut middle = Disk::new(3000, named(b"base-2000.raw"))
        .over(&raw_base.bytes)
        .data(512, 512);
    middle.guest.resize(4096, 0);
    let between = Backing {
        name: "middle.qcow",
        is_qcow: true,
        bytes: middle.image.build(),
    };
    let disk = Disk::new(4096, named(b"middle.qcow"))
        .over(&middle.guest)
        .data(1024, 512)
        .data(3584, 512);
    let shows = "A chain of three on a raw disk, each of its own size.";
    cases.push(Case::reads("chain", FORMAT, shows, &disk).over(&[&between, &raw_base]));

    let long = raw("base-6000.raw", base_text(6000));
    let small = Disk::new(1024, named(b"base-6000.raw")).over(&long.bytes);
    let between = Backing {
        name: "small-middle.qcow",
        is_qcow: true,
        bytes: small.image.build(),
    };
    let disk = Disk::new(4096, named(b"small-middle.qcow"))
        .over(&small.guest)
        .data(512, 512);
    let shows = "What the lowest disk has beyond the end of the one above it is not seen.";
    cases.push(Case::reads("short-in-the-middle", FORMAT, shows, &disk).over(&[&between, &long]));

    let mut lure = ImageBuilder::new(4096)
        .bits(9, 6)
        .backing_at(48, b"base-4096.raw")
        .l1_at(64)
        .build();
    lure.resize(4096, 0);
    let lure = raw("looks-like-qcow.raw", lure);
    let disk = Disk::new(4096, named(b"looks-like-qcow.raw"))
        .over(&lure.bytes)
        .data(2048, 512);
    let shows = "A raw disk that begins with a QCOW header is raw, because it is declared raw.";
    cases.push(Case::reads("raw-that-looks-like-qcow", "CVE-2008-2004", shows, &disk).over(&[&lure]));

    let base = raw("base-70144.raw", base_text(70_144));
    let shows = "An overlay as QEMU makes it: clusters of 512 bytes, tables of 32 KiB after a padded name.";
    let mut disk = Disk::new(70_144, |image| image.overlay_on(b"base-70144.raw")).over(&base.bytes);
    disk.image.table_at(0, 0x400);
    let disk = disk.data(512, 1024).data(69_632, 512);
    cases.push(Case::reads("as-qemu-makes-it", "defect: libqcow", shows, &disk).over(&[&base]));

    let base = raw("base-4096.raw", base_text(4096));
    let disk = Disk::new(4096, |image| {
        named(b"base-4096.raw")(image).encrypted(key("passphrase"))
    })
    .over(&base.bytes)
    .data(512, 512)
    .compressed(1024);
    let shows = "Holes of an encrypted image read from a plain disk, and are not decrypted.";
    cases.push(
        Case::reads("encrypted-on-plain", "format: encryption", shows, &disk)
            .over(&[&base])
            .key("passphrase"),
    );
    let encrypted = Disk::new(4096, |image| image.encrypted(key("passphrase")))
        .data(0, 1024)
        .data(3072, 512);
    let base = Backing {
        name: "encrypted.qcow",
        is_qcow: true,
        bytes: encrypted.image.build(),
    };
    let disk = Disk::new(4096, named(b"encrypted.qcow"))
        .over(&encrypted.guest)
        .data(512, 512);
    let shows = "A plain image on an encrypted one, whose sectors have the numbers of the guest's.";
    cases.push(
        Case::reads("plain-on-encrypted", "format: encryption", shows, &disk)
            .over(&[&base])
            .key("passphrase"),
    );
}

fn names(cases: &mut Vec<Case>) {
    let base = raw("base-4096.raw", base_text(4096));
    let name = b"base-4096.raw";
    for at in [49, 61, 333] {
        let shows = format!("The name may stand at any byte: here at {at}.");
        let disk = Disk::new(4096, |image| image.backing_at(at, name).l1_at(400))
            .over(&base.bytes)
            .data(512, 512);
        cases.push(Case::reads(&format!("name-at-{at}"), FORMAT, &shows, &disk).over(&[&base]));
    }
    let shows = "The name may be the last thing in the file.";
    let disk = Disk::small(4096).over(&base.bytes).data(512, 512);
    let mut file = disk.image.build();
    let at = file.len() as u64;
    file.extend(name);
    let file = with(with(file, 8, &at.to_be_bytes()), 16, &(name.len() as u32).to_be_bytes());
    cases.push(Case::reads_as("name-at-the-end", FORMAT, shows, file.clone(), &disk.guest).over(&[&base]));

    let shows = "A name that ends one byte past the end of the file.";
    let mut cut = file.clone();
    cut.pop();
    cases.push(Case::cut("name-cut", FORMAT, shows, cut, &disk.guest).over(&[&base]));
    for (name, at) in [("name-past-the-end", 1_u64 << 40), ("name-wraps", u64::MAX - 3)] {
        let shows = "A name past the end of the file.";
        let file = with(file.clone(), 8, &at.to_be_bytes());
        cases.push(Case::cut(name, FORMAT, shows, file, &disk.guest).over(&[&base]));
    }
    let shows = "A name of 1023 bytes, the longest that is legal.";
    let long = ["./".repeat(505).as_bytes(), name].concat();
    assert_eq!(long.len(), 1023);
    let disk = Disk::new(4096, named(&long)).over(&base.bytes).data(512, 512);
    cases.push(Case::reads("name-of-1023", FORMAT, shows, &disk).over(&[&base]));
}

fn missing(cases: &mut Vec<Case>) {
    let refusal = Refusal::BackingRequired;
    let disk = Disk::new(2048, named(b"no such file")).data(512, 1024);
    let shows = "A hole is an error without the named backing file, never zeros; stored clusters can be read.";
    let reads = vec![
        Read::gives(512, &disk.guest[512..1536]),
        Read::fails(0, 512, refusal),
        Read::fails(1536, 512, refusal),
    ];
    cases.push(Case::refused("missing", FORMAT, shows, disk.image.build(), refusal).then(reads));
    let disk = Disk::new(70_144, named(b"no such file")).data(0, 32_768);
    let shows = "A hole in the L1, without the backing file that is named.";
    cases.push(Case::refused(
        "missing-under-l1-hole",
        FORMAT,
        shows,
        disk.image.build(),
        refusal,
    ));
    let shows = "An image without holes needs no backing file, whatever bytes its name has.";
    let disk = Disk::new(2048, named(b"\xff\xfe/no such file\n")).data(0, 2048);
    cases.push(Case::reads("missing-but-never-needed", FORMAT, shows, &disk));
    let shows = "A chain whose lowest file is missing: what the upper two have reads.";
    let middle = Backing {
        name: "middle-without-base.qcow",
        is_qcow: true,
        bytes: Disk::new(2048, named(b"no such file")).data(0, 1024).image.build(),
    };
    let disk = Disk::new(2048, named(b"middle-without-base.qcow")).data(512, 512);
    let top = disk.guest[512..1024].to_vec();
    let reads = vec![Read::gives(512, &top), Read::fails(1024, 512, refusal)];
    let case = Case::refused("missing-below", FORMAT, shows, disk.image.build(), refusal);
    cases.push(case.over(&[&middle]).then(reads));

    let shows = "A table that cannot be read is an error, and does not let the backing disk through.";
    let base = raw("base-4096.raw", base_text(4096));
    let mut disk = Disk::new(4096, named(b"base-4096.raw")).over(&base.bytes);
    disk.image.l1_word(0, 1 << 63 | 512);
    let source = "defect: Xen, Mac-on-Linux, tcmu-runner, QEMU before 2.11";
    cases.push(Case::corrupt("l1-bit-63", source, shows, disk.image.build()).over(&[&base]));
    disk.image.l1_word(0, 1 << 40);
    let shows = "A table past the end is an error; salvage takes it for zeros, which are holes.";
    let case = Case::corrupt("l2-past-the-end", source, shows, disk.image.build());
    cases.push(case.salvages(Expect::bytes(&base.bytes)).over(&[&base]));
}
