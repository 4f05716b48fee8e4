//! Compressed clusters.

use crate::case::{Case, Disk, text};
use crate::deflate::{Deflate, deflate};

const FORMAT: &str = "format: compressed clusters";

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    places(&mut cases);
    streams(&mut cases);
    distances(&mut cases);
    ends(&mut cases);
    words(&mut cases);
    bad_streams(&mut cases);
    cases
}

/// Returns a disk of three clusters, of which the first and the last are plain.
fn around() -> Disk {
    Disk::small(1536).data(0, 512).data(1024, 512)
}

/// Adds the case of this disk with `stream` in the middle, which is read as `cluster`.
fn legal(cases: &mut Vec<Case>, name: &str, shows: &str, stream: &[u8], cluster: &[u8]) {
    cases.push(Case::reads(name, FORMAT, shows, &around().stream(512, stream, cluster)));
}

/// Adds the case of this disk with `stream` in the middle, which is corrupt.
fn corrupt(cases: &mut Vec<Case>, name: &str, shows: &str, stream: &[u8]) {
    let disk = around().stream(512, stream, &[0; 512]);
    cases.push(Case::corrupt(name, FORMAT, shows, disk.image.build()));
}

fn places(cases: &mut Vec<Case>) {
    let shows = "Streams packed one after the other, many to a sector.";
    let disk = (0..16).fold(Disk::small(8192), |disk, i| disk.compressed(i * 512));
    cases.push(Case::reads("packed", FORMAT, shows, &disk));

    let shows = "Plain and compressed clusters alternate, and each starts at a sector of the file.";
    let disk = (0..8).fold(Disk::small(8192), |disk, i| {
        disk.compressed(i * 1024).data(i * 1024 + 512, 512)
    });
    cases.push(Case::reads("mixed", FORMAT, shows, &disk));

    let stream = deflate(&text(512, 512));
    for skew in [1, 2, 3, 5, 7] {
        let shows = format!("A stream may start at any byte: here {skew} after a sector's start.");
        let disk = around().stream_at(512, 4096 + skew, &stream, &text(512, 512));
        cases.push(Case::reads(&format!("at-{skew}"), FORMAT, &shows, &disk));
    }
    for inside in [1, stream.len() as u64 / 2, stream.len() as u64 - 1] {
        let shows = format!("A stream that crosses a sector and a cluster after its byte {inside}.");
        let disk = around().stream_at(512, 4096 - inside, &stream, &text(512, 512));
        cases.push(Case::reads(&format!("across-{inside}"), FORMAT, &shows, &disk));
    }
    let shows = "Two streams of several sectors each, in clusters of 4 KiB, and a file that ends inside a sector.";
    let disk = Disk::new(19_968, |image| image.bits(12, 9))
        .compressed(0)
        .data(4096, 4096)
        .compressed(8192)
        .compressed(12_288);
    assert_ne!(disk.image.build().len() % 512, 0);
    cases.push(Case::reads("of-4096", FORMAT, shows, &disk));

    let shows = "One stream that two clusters name.";
    let mut disk = around().stream_at(512, 4096, &stream, &text(512, 512));
    disk.image.stream_at(0, 4096, &stream, stream.len() as u64);
    disk.sees(0, &text(512, 512));
    cases.push(Case::reads("a-stream-twice", FORMAT, shows, &disk));

    let shows = "The last cluster, of which half is inside the disk, inflates to a whole one.";
    let disk = || Disk::new(1536, |image| image.bits(10, 6)).data(0, 1024);
    cases.push(Case::reads("last-cluster", FORMAT, shows, &disk().compressed(1024)));

    let shows = "A stream of half a cluster is too short, even if the other half is outside the disk.";
    let (mut disk, short) = (disk(), deflate(&text(1024, 512)));
    disk.image.stream_at(1024, 8192, &short, short.len() as u64);
    cases.push(Case::corrupt("last-cluster-short", FORMAT, shows, disk.image.build()));

    for bits in 9..=16 {
        let cluster = 1 << bits;
        let shows = format!("In clusters of {cluster} bytes the size is the {bits} bits below the highest.");
        let disk = Disk::new(3 * cluster, |image| image.bits(bits, 6)).compressed(cluster);
        cases.push(Case::reads(&format!("cluster-bits-{bits}"), FORMAT, &shows, &disk));
    }

    let shows = "All clusters are compressed, as `qemu-img convert -c` leaves them, whose exit status 1 means nothing.";
    let disk = (0..5).fold(Disk::new(20_480, |image| image.bits(12, 9)), |disk, i| {
        disk.compressed(i * 4096)
    });
    cases.push(Case::reads("all", "defect: qemu-img convert -c", shows, &disk));
}

fn streams(cases: &mut Vec<Case>) {
    let bytes = text(512, 512);
    let (start, rest) = bytes.split_at(100);
    let stream = Deflate::new().stored(false, start).then(&deflate(rest)).build();
    legal(
        cases,
        "stored",
        "A stored block, and another after it.",
        &stream,
        &bytes,
    );

    let stream = Deflate::new()
        .stored(false, b"")
        .stored(false, start)
        .stored(false, b"")
        .then(&deflate(rest))
        .build();
    legal(
        cases,
        "empty-blocks",
        "Empty stored blocks among the others.",
        &stream,
        &bytes,
    );

    let stream = Deflate::new()
        .block(false, 1)
        .end()
        .block(false, 1)
        .end()
        .stored(false, start)
        .then(&deflate(rest))
        .build();
    legal(
        cases,
        "empty-fixed-blocks",
        "Empty blocks of fixed codes before the others.",
        &stream,
        &bytes,
    );

    let mut cluster = start.to_vec();
    cluster.resize(512, *start.last().unwrap());
    let stream = Deflate::new()
        .block(true, 1)
        .literals(start)
        .repeat(1, 412)
        .end()
        .build();
    legal(
        cases,
        "fixed",
        "A block of fixed codes, with matches at distance 1.",
        &stream,
        &cluster,
    );

    let high: Vec<u8> = (0..=255).collect();
    let cluster = [high.as_slice(), high.as_slice()].concat();
    let stream = Deflate::new()
        .block(true, 1)
        .literals(&high)
        .repeat(256, 256)
        .end()
        .build();
    legal(
        cases,
        "fixed-all-literals",
        "Every byte as a literal of a fixed code, of 8 and 9 bits.",
        &stream,
        &cluster,
    );

    let mut cluster = vec![b'a'; 512];
    cluster[511] = b'b';
    let stream = Deflate::new()
        .block(false, 1)
        .literals(b"a")
        .repeat(1, 258)
        .end()
        .block(true, 1)
        .repeat(1, 252)
        .literals(b"b")
        .end()
        .build();
    legal(
        cases,
        "match-into-last-block",
        "A match that reaches back into the block before.",
        &stream,
        &cluster,
    );

    let shows = "The format's own example, 0x80b0000000002000: 22 bytes at 0x2000, in clusters of 4 KiB.";
    let mut stream = deflate(&[0x5a; 4096]);
    assert!(stream.len() <= 22);
    stream.resize(22, 0);
    let mut disk = Disk::new(8192, |image| image.bits(12, 9)).stream_at(0, 0x2000, &stream, &[0x5a; 4096]);
    disk.image.l2_word(0, 0x80b0_0000_0000_2000);
    cases.push(Case::reads("22-bytes-at-2000", FORMAT, shows, &disk));
}

fn distances(cases: &mut Vec<Case>) {
    for distance in [4096, 4097, 6000, 32_768] {
        let shows =
            format!("A match at distance {distance}; the first encoder's window was 4096, which no reader enforces.");
        let start = text(0, distance);
        let cluster: Vec<u8> = start.iter().copied().cycle().take(65_536).collect();
        let stream = Deflate::new()
            .stored(false, &start)
            .block(true, 1)
            .repeat(distance as u32, 65_536 - distance)
            .end()
            .build();
        let disk = Disk::new(2 * 65_536, |image| image.bits(16, 6)).stream(0, &stream, &cluster);
        cases.push(Case::reads(&format!("distance-{distance}"), FORMAT, &shows, &disk));
    }
}

/// Adds streams that end before or after the cluster, or before or after their stored length.
fn ends(cases: &mut Vec<Case>) {
    let bytes = text(512, 512);
    let (start, rest) = bytes.split_at(100);
    let body = Deflate::new().block(false, 1).literals(start).repeat(16, 412).end();
    let mut cluster = start.to_vec();
    for i in 100..512 {
        cluster.push(cluster[i - 16]);
    }
    let whole = body.clone().stored(true, b"").build();
    legal(
        cases,
        "empty-last-block",
        "The last block has nothing in it.",
        &whole,
        &cluster,
    );
    for cut in 1..=5 {
        let shows = format!("The stream's last {cut} bytes are missing, after the cluster is full.");
        legal(
            cases,
            &format!("without-last-{cut}"),
            &shows,
            &whole[..whole.len() - cut],
            &cluster,
        );
    }
    let full = Deflate::new().block(true, 1).literals(start).repeat(16, 412).build();
    legal(
        cases,
        "without-end-of-block",
        "The end of the last block is missing, after the cluster is full.",
        &full,
        &cluster,
    );

    let mut garbage = deflate(&bytes);
    garbage.extend([0xa5; 50]);
    legal(
        cases,
        "garbage-behind",
        "Bytes after the stream's end are ignored.",
        &garbage,
        &bytes,
    );
    garbage.resize(511, 0xff);
    legal(
        cases,
        "511-bytes",
        "The longest stream that the word has room for: a cluster less one byte.",
        &garbage,
        &bytes,
    );

    let longer = deflate(&text(512, 1024));
    legal(
        cases,
        "longer",
        "A stream of two clusters: the first is what counts.",
        &longer,
        &bytes,
    );
    let longer = deflate(&text(512, 513));
    legal(
        cases,
        "longer-by-1",
        "A stream of a cluster and one byte.",
        &longer,
        &bytes,
    );
    corrupt(
        cases,
        "shorter-by-1",
        "A stream of one byte less than a cluster.",
        &deflate(&bytes[..511]),
    );
    corrupt(cases, "shorter", "A stream of half a cluster.", &deflate(&bytes[..256]));
    corrupt(
        cases,
        "nothing",
        "A stream of nothing.",
        &Deflate::new().stored(true, b"").build(),
    );
    corrupt(
        cases,
        "nothing-fixed",
        "A stream of nothing, in fixed codes.",
        &Deflate::new().block(true, 1).end().build(),
    );
    let stream = deflate(&bytes);
    corrupt(
        cases,
        "cut",
        "A stream of which half is given.",
        &stream[..stream.len() / 2],
    );
    let stream = Deflate::new().stored(true, &bytes[..400]).build();
    corrupt(
        cases,
        "stored-cut",
        "A stored block that is longer than the stream.",
        &stream[..200],
    );
    corrupt(
        cases,
        "two-streams",
        "The end of a stream is the end, though another follows it.",
        &[deflate(start), deflate(rest)].concat(),
    );
}

fn words(cases: &mut Vec<Case>) {
    let stream = deflate(&text(512, 512));
    let disk = around().stream_at(512, 4096, &stream, &text(512, 512));
    for (name, word, shows) in [
        ("size-0", 1 << 63 | 4096, "A size of 0 is corrupt."),
        (
            "only-bit-63",
            1 << 63,
            "A word of nothing but bit 63 is no hole, but a stream of no bytes.",
        ),
        (
            "size-1",
            1 << 63 | 1 << 54 | 4096,
            "No stream of one byte gives a cluster.",
        ),
        ("at-0", 1 << 63 | 100 << 54, "The header, taken for a stream."),
    ] {
        let disk = disk.clone().word(512, word);
        cases.push(Case::corrupt(name, FORMAT, shows, disk.image.build()));
    }
    for (name, word, shows) in [
        (
            "past-the-end",
            1 << 63 | 100 << 54 | 1 << 30,
            "A stream past the end of the file: salvage yields zeros.",
        ),
        (
            "at-2-to-54-less-1",
            1 << 63 | 100 << 54 | ((1 << 54) - 1),
            "A stream at the last offset that the word can hold.",
        ),
        ("all-ones", u64::MAX, "A word of all ones."),
    ] {
        let disk = disk.clone().word(512, word);
        let left = disk.lost(512..1024);
        cases.push(Case::cut(name, FORMAT, shows, disk.image.build(), &left));
    }
}

fn bad_streams(cases: &mut Vec<Case>) {
    let start = text(512, 100);
    let fixed = || Deflate::new().block(true, 1).literals(&start);
    for (name, shows, stream) in [
        (
            "block-type-3",
            "Block type 3 does not exist.",
            Deflate::new().block(true, 3).stored(true, &start),
        ),
        (
            "stored-lengths-differ",
            "A stored block whose length and complement differ.",
            Deflate::new()
                .stored_saying(false, 100, !101, &start)
                .stored(true, &start),
        ),
        (
            "distance-before-the-start",
            "A match that reaches back before the cluster.",
            fixed().repeat(101, 412).end(),
        ),
        (
            "distance-first",
            "A match before there is any byte.",
            Deflate::new().block(true, 1).repeat(1, 512).end(),
        ),
        (
            "distance-code-30",
            "Distance code 30 does not exist.",
            fixed().symbol(257).distance_code(30).repeat(1, 409).end(),
        ),
        (
            "length-code-286",
            "Length code 286 does not exist.",
            fixed().symbol(286).distance_code(0).repeat(1, 409).end(),
        ),
        (
            "dynamic-oversubscribed",
            "A dynamic block with more codes than there is room for.",
            (0..19)
                .fold(Deflate::new().block(true, 2).bits(0, 10).bits(15, 4), |stream, _| {
                    stream.bits(1, 3)
                })
                .stored(true, &start),
        ),
        (
            "dynamic-286-lengths",
            "A dynamic block of more length codes than there are.",
            Deflate::new()
                .block(true, 2)
                .bits(31, 5)
                .bits(0, 5)
                .bits(15, 4)
                .stored(true, &start),
        ),
    ] {
        corrupt(cases, name, shows, &stream.build());
    }
}
