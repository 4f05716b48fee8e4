//! The public types that implement `defmt::Format`. Their output needs a microcontroller's logger
//! and is not tested.

use std::collections::BTreeSet;

use crate::doc_examples::exported;

/// Asserts that each type implements `Format`, and returns the names of all.
macro_rules! formats {
    ($($name:ident $(<$($argument:ty),*>)?)*) => {{
        $(has_format::<qcow1::$name $(<$($argument),*>)?>();)*
        BTreeSet::from([$(stringify!($name).to_owned()),*])
    }};
}

fn has_format<T: defmt::Format>() {}

/// A device, a disk or an image, which need not implement it.
type Silent = std::fs::File;

#[test]
fn each_public_type_is_a_trait_or_owns_a_device_or_implements_format() {
    let with_format = formats! {
        BlockSize CheckSummary CipherFailed ClusterBits Corrupt CorruptKind CorruptPart Counts DiskError<()>
        Error<()> Extent ExtentKind Finding FromIoError<()> Header L2Bits MemoryNeeds OpenError<Silent, Silent, ()>
        OpenOptions Probe PushError<Silent> ReadOnlyError<()> ReadRequest StorageError<()> Unsupported
    };
    let traits = [
        "BlockRead",
        "GuestDisk",
        "GuestRead",
        "Memory",
        "SectorCipher",
        "UsageMap",
    ];
    let owners = [
        "Aligned",
        "Blocks",
        "Bounced",
        "Chain",
        "Cursor",
        "Extents",
        "FromBlockIo",
        "FromIo",
        "FromNorFlash",
        "FromStorage",
        "Image",
        "Limited",
        "MapErr",
        "Partition",
        "ReadOnly",
        "ToBlockDevice",
        "ToBlockIo",
        "ToStorage",
        "TooLarge",
        "Tracer",
    ];
    // A key is never logged, and `CheckOptions` holds the caller's memory.
    let others = ["AesCipher", "CheckOptions", "Key"];
    let known: BTreeSet<_> = traits
        .into_iter()
        .chain(owners)
        .chain(others)
        .map(str::to_owned)
        .collect();
    let exported = exported(include_str!("../../src/lib.rs"));
    assert_eq!(exported, &with_format | &known);
}
