//! Images of Xen's tapdisk.

use crate::case::{Backing, Case, Disk, with};

const SOURCE: &str = "format: Xen";
const SPAN: usize = 512 << 6;

fn disk(flags: u32) -> Disk {
    Disk::new(3 * SPAN + 512, |image| image.xen(flags))
        .data(512, 1024)
        .data(2 * SPAN, 512)
        .data(3 * SPAN, 512)
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (flags, shows) in [
        (0, "Old tapdisk wrote a little-endian L1, which a clear flag marks."),
        (1, "A sparse image whose L1 is little-endian."),
        (2, "Newer tapdisk says that the L1 is big-endian."),
        (3, "A sparse image whose L1 is big-endian."),
        (
            0xffff_fffd,
            "Flags that no one knows, and a clear one: the L1 is little-endian.",
        ),
        (
            0xffff_fffe,
            "Flags that no one knows, and a set one: the L1 is big-endian.",
        ),
    ] {
        cases.push(Case::reads(&format!("flags-{flags:x}"), SOURCE, shows, &disk(flags)));
    }
    let shows = "An L1 that is not at a multiple of 4096 is not tapdisk's, and is big-endian.";
    let plain = Disk::new(2 * SPAN, |image| image.l1_at(4104))
        .data(512, 512)
        .data(SPAN, 512);
    let file = with(plain.image.build(), 48, b"XEN\xfb");
    cases.push(Case::reads_as("l1-at-4104", SOURCE, shows, file, &plain.guest));
    let plain = Disk::new(2 * SPAN, |image| image.l1_at(512))
        .data(512, 512)
        .data(SPAN, 512);
    let file = with(plain.image.build(), 48, b"XEN\xfb");
    cases.push(Case::reads_as("l1-at-512", SOURCE, shows, file, &plain.guest));
    let shows = "Another magic number after the header is no extension.";
    let plain = Disk::new(2 * SPAN, |image| image.l1_at(4096))
        .data(512, 512)
        .data(SPAN, 512);
    let file = with(plain.image.build(), 48, b"XEN\xfa");
    cases.push(Case::reads_as("another-magic", SOURCE, shows, file, &plain.guest));
    let shows = "An L1 at 4096 alone does not make it little-endian.";
    cases.push(Case::reads("no-extension", SOURCE, shows, &plain));

    let base = Backing {
        name: "xen-base.raw",
        is_qcow: false,
        bytes: crate::case::text(1 << 20, 4096),
    };
    let shows = "A backing name follows the extension, at 64.";
    let over = Disk::new(4096, |image| image.xen(0).backing_at(64, b"xen-base.raw"));
    let over = over.over(&base.bytes).data(512, 512);
    cases.push(Case::reads("backing", SOURCE, shows, &over).over(&[&base]));
    let shows = "A backing name at 48 that begins with the magic number of the extension.";
    let name = Backing {
        name: "XEN.raw",
        ..base.clone()
    };
    let over = Disk::new(4096, |image| image.backing_at(48, b"XEN.raw").l1_at(56));
    let over = over.over(&name.bytes).data(512, 512);
    cases.push(Case::reads("name-like-an-extension", SOURCE, shows, &over).over(&[&name]));

    let shows = "A little-endian L1 word past the end of the file.";
    let mut wrong = disk(0);
    wrong.image.l1_word(1, 1 << 40);
    cases.push(Case::cut(
        "l2-past-the-end",
        SOURCE,
        shows,
        wrong.image.build(),
        &wrong.guest,
    ));
    let shows = "Bit 63 of a little-endian L1 word, which is in its last byte.";
    wrong.image.l1_word(1, 1 << 63 | 512);
    cases.push(Case::corrupt("l1-bit-63", SOURCE, shows, wrong.image.build()));
    cases
}
