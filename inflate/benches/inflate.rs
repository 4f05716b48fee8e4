//! Compares the decoder with zlib, libdeflate and miniz_oxide: `cargo bench --package qcow1-inflate --bench inflate`.
//!
//! The input is clusters of 4, 16 and 64 KiB of text and of a program's machine code, compressed as QEMU does it. The
//! decoders take turns at pieces of 256 KiB, with state that is set up once. A speed is that of the median piece, and a
//! ratio the median of the pairs of turns, so that other load on the machine affects it little.

use std::path::Path;
use std::time::Instant;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use qcow1_inflate::{Workspace, inflate};

const ROUNDS: usize = 15;

/// The size of one set of clusters in bytes.
const SET: usize = 2 << 20;

/// The size of what a decoder decodes in a turn.
const PIECE: usize = 256 << 10;

struct Block {
    stream: Vec<u8>,
    bytes: Vec<u8>,
}

/// Returns the Markdown and Rust files of this repository, repeated.
fn text() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..")];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() && !path.ends_with("target") && !path.ends_with(".git") {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "rs" || extension == "md")
            {
                bytes.extend(std::fs::read(path).unwrap());
            }
        }
    }
    bytes
}

/// Returns this program's file.
fn elf() -> Vec<u8> {
    std::fs::read(std::env::current_exe().unwrap()).unwrap()
}

fn blocks(bytes: &[u8], size: usize) -> Vec<Block> {
    let mut blocks = Vec::new();
    for bytes in bytes.chunks_exact(size).cycle().take(SET / size) {
        // A window of 2^12 bytes and the default level, as in QEMU.
        let mut zlib = Compress::new_with_window_bits(Compression::new(6), false, 12);
        let mut stream = Vec::with_capacity(size * 2);
        zlib.compress_vec(bytes, &mut stream, FlushCompress::Finish).unwrap();
        // A cluster that does not get smaller is not stored compressed.
        if stream.len() < size {
            let bytes = bytes.to_vec();
            blocks.push(Block { stream, bytes });
        }
    }
    blocks
}

/// Fills the output from a stream.
type Decode<'a> = Box<dyn FnMut(&[u8], &mut [u8]) + 'a>;

struct Peer<'a> {
    name: &'static str,
    decode: Decode<'a>,
    seconds: Vec<f64>,
}

fn main() {
    // `cargo test --benches` passes no `--bench`, and only checks that the bench runs.
    let rounds = if std::env::args().any(|argument| argument == "--bench") {
        ROUNDS
    } else {
        1
    };
    let mut fast_memory = [0; Workspace::FAST];
    let mut fast = Workspace::new(&mut fast_memory).unwrap();
    let mut small_memory = [0; Workspace::SMALL];
    let mut small = Workspace::new(&mut small_memory).unwrap();
    let mut zlib = Decompress::new(false);
    let mut libdeflate = libdeflater::Decompressor::new();
    let mut miniz = Box::<DecompressorOxide>::default();
    let new = |name, decode| Peer {
        name,
        decode,
        seconds: Vec::new(),
    };
    let mut peers: [Peer<'_>; 5] = [
        new(
            "qcow1-inflate",
            Box::new(|stream, output| inflate(stream, output, &mut fast).unwrap()),
        ),
        new(
            "qcow1-inflate in 1 KiB",
            Box::new(|stream, output| inflate(stream, output, &mut small).unwrap()),
        ),
        new(
            "zlib",
            Box::new(|stream, output| {
                zlib.reset(false);
                zlib.decompress(stream, output, FlushDecompress::Finish).unwrap();
            }),
        ),
        new(
            "libdeflate",
            Box::new(|stream, output| {
                libdeflate.deflate_decompress(stream, output).unwrap();
            }),
        ),
        new(
            "miniz_oxide",
            Box::new(|stream, output| {
                *miniz = DecompressorOxide::new();
                let flags = inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
                assert_eq!(decompress(&mut miniz, stream, output, 0, flags).2, output.len());
            }),
        ),
    ];

    println!(
        "| MB/s of output | qcow1-inflate | in 1 KiB | zlib | libdeflate | miniz_oxide | to zlib | to libdeflate |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let mut means = [0.0; 2];
    for (name, bytes) in [("text", text()), ("ELF", elf())] {
        for size in [4096, 16384, 65536] {
            let set = blocks(&bytes, size);
            let mut output = vec![0; size];
            for _ in 0..rounds {
                // The last piece may be shorter.
                for piece in set.chunks_exact(PIECE / size) {
                    for peer in &mut peers {
                        let start = Instant::now();
                        for block in piece {
                            (peer.decode)(&block.stream, &mut output);
                            std::hint::black_box(&output);
                        }
                        peer.seconds.push(start.elapsed().as_secs_f64());
                        assert!(
                            piece.last().is_none_or(|last| last.bytes == output),
                            "{} is wrong",
                            peer.name
                        );
                    }
                }
            }
            let speed = |peer: &Peer<'_>| PIECE as f64 / 1e6 / median(peer.seconds.iter().copied());
            let speeds: Vec<f64> = peers.iter().map(speed).collect();
            // In turns, so that other load on the machine affects all decoders.
            let ratio = |peer: &Peer<'_>| {
                median(
                    peer.seconds
                        .iter()
                        .zip(&peers[0].seconds)
                        .map(|(theirs, ours)| theirs / ours),
                )
            };
            let ratios = [ratio(&peers[2]), ratio(&peers[3])];
            peers.iter_mut().for_each(|peer| peer.seconds.clear());
            print!("| {name}, {} KiB |", size >> 10);
            speeds.iter().for_each(|speed| print!(" {speed:.0} |"));
            println!(" {:.2} | {:.2} |", ratios[0], ratios[1]);
            means = [means[0] + ratios[0] / 6.0, means[1] + ratios[1] / 6.0];
        }
    }
    println!("| mean | | | | | | {:.2} | {:.2} |", means[0], means[1]);
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
