//! The public types that implement `defmt::Format`. What they log needs a microcontroller's logger and is not tested.

use qcow1::{
    BlockSize, CheckSummary, CipherFailed, ClusterBits, Corrupt, CorruptKind, CorruptPart, Counts, DiskError, Error,
    Extent, ExtentKind, Finding, FromIoError, Header, L2Bits, MemoryNeeds, OpenError, OpenOptions, Probe, PushError,
    ReadOnlyError, ReadRequest, StorageError, Unsupported,
};

fn has_format<T: defmt::Format>() {}

#[test]
fn each_public_type_that_is_printed_implements_format() {
    has_format::<Error<embedded_io::ErrorKind>>();
    has_format::<(Corrupt, CorruptPart, Unsupported)>();
    has_format::<(Extent, ExtentKind, Finding, CheckSummary)>();
    has_format::<(BlockSize, ClusterBits, L2Bits)>();
    has_format::<(Header, Probe, MemoryNeeds)>();
    // The device or image inside of these need not implement it.
    has_format::<(
        OpenError<std::fs::File, &'static mut [u8], ()>,
        PushError<std::fs::File>,
    )>();
    has_format::<(OpenOptions, CipherFailed, CorruptKind)>();
    has_format::<(Counts, ReadRequest)>();
    has_format::<(FromIoError<()>, ReadOnlyError<()>, StorageError<()>, DiskError<()>)>();
}
