//! The whole public API of qcow1 as tables of function pointers. complete.sh finds functions that are in no table.
//!
//! Linking this static library with only such a table as its root proves that no panic path is left: the panic handler
//! calls an undefined symbol, so a remaining panic path makes the link fail. The proof does not include formatting,
//! because core's own has panic paths, the `aes` feature, and the asynchronous loops.
//!
//! The compiler does not know the callers of these pointers, nor what a [`Device`] does, so it cannot remove code.
#![no_std]

use core::convert::Infallible;
use core::sync::atomic::AtomicU8;

use embedded_io::{Read, Seek, SeekFrom, Write};
use qcow1::{
    Aligned, BlockRead, BlockSize, Blocks, Bounced, Chain, CheckOptions, CheckSummary, ClusterBits, Corrupt,
    CorruptKind, CorruptPart, Counts, Cursor, Error, Extent, Extents, Finding, FromIo, FromIoError, GuestDisk,
    GuestRead, Header, Image, L2Bits, Limited, MapErr, MemoryNeeds, OpenError, OpenOptions, Partition, Probe,
    PushError, ReadOnly, ReadOnlyError, ReadRequest, SectorCipher, Tracer, UsageMap,
};

/// A device whose driver is unknown to the compiler.
pub struct Device {
    pub block_size: BlockSize,
    pub len: u64,
    pub read: fn(lba: u64, buf: &mut [u8]) -> Result<(), DeviceError>,
}

/// A driver's own error code.
#[derive(Clone, Copy, Debug)]
pub struct DeviceError(pub u32);

impl core::fmt::Display for DeviceError {
    fn fmt(&self, _: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        Ok(())
    }
}

impl core::error::Error for DeviceError {}

impl embedded_io::Error for DeviceError {
    fn kind(&self) -> embedded_io::ErrorKind {
        embedded_io::ErrorKind::Other
    }
}

impl BlockRead for Device {
    type Error = DeviceError;

    fn block_size(&self) -> BlockSize {
        self.block_size
    }

    fn size(&mut self) -> Result<u64, DeviceError> {
        Ok(self.len)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), DeviceError> {
        (self.read)(lba, buf)
    }
}

/// A stream that is unknown to the compiler.
pub struct Stream {
    pub read: fn(&mut [u8]) -> Result<usize, DeviceError>,
    pub seek: fn(SeekFrom) -> Result<u64, DeviceError>,
}

impl embedded_io::ErrorType for Stream {
    type Error = DeviceError;
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, DeviceError> {
        (self.read)(buf)
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, DeviceError> {
        (self.seek)(to)
    }
}

pub type Disk = Image<Device, &'static mut [u8]>;
pub type Disks = Chain<Image<Device, &'static mut [u8]>, 3>;
pub type Opened = Result<Disk, OpenError<Device, Memory, DeviceError>>;
pub type Trace = fn(ReadRequest);
pub type Memory = &'static mut [u8];
pub type Map = fn(DeviceError) -> embedded_io::ErrorKind;
pub type Outcome<T> = Result<T, Error<DeviceError>>;
pub type ReadOnlyOutcome<T> = Result<T, ReadOnlyError<Error<DeviceError>>>;

/// The minimum that a boot loader calls.
#[repr(C)]
pub struct Reader {
    pub open: fn(Device, Memory) -> Opened,
    pub read_at: fn(&mut Disk, u64, &mut [u8]) -> Outcome<()>,
}

/// The calls of the public API whose code is counted.
#[repr(C)]
pub struct Api {
    pub reader: Reader,
    pub open_raw: fn(Device, Memory) -> Opened,
    pub options: fn() -> OpenOptions,
    pub salvage: fn(OpenOptions, bool) -> OpenOptions,
    pub or_raw: fn(OpenOptions, bool) -> OpenOptions,
    pub open_with: fn(OpenOptions, Device, Memory) -> Opened,
    pub header: fn(&Disk) -> Option<&Header>,
    pub size: fn(&Disk) -> u64,
    pub extent_at: fn(&mut Disk, u64, u64) -> Outcome<Extent>,
    pub extents: for<'a> fn(&'a mut Disk) -> Extents<'a, Disk>,
    pub next_extent: fn(&mut Extents<'static, Disk>) -> Option<Outcome<Extent>>,
    pub extent_end: fn(&Extent) -> u64,
    pub join: fn(&mut Extent, &Extent) -> bool,
    pub check: fn(&mut Disk, fn(Finding)) -> Outcome<CheckSummary>,
    pub check_with: fn(&mut Disk, CheckOptions<'static>, fn(Finding)) -> Outcome<CheckSummary>,
    pub check_bitmap_len: fn(&Disk) -> usize,
    pub check_inflate: fn(CheckOptions<'static>, bool) -> CheckOptions<'static>,
    pub check_bitmap: fn(CheckOptions<'static>, &'static mut [u8]) -> CheckOptions<'static>,
    pub backing_name: for<'b> fn(&mut Disk, &'b mut [u8]) -> Outcome<Option<&'b [u8]>>,
    pub into_parts: fn(Disk) -> (Device, Memory),
    pub memory_needed: fn(OpenOptions, &mut Device, usize) -> Outcome<usize>,
    pub read_sectors: fn(&mut Disk, u64, &mut [u8]) -> Outcome<()>,

    pub chain: fn() -> Disks,
    pub push: fn(&mut Disks, Disk) -> Result<(), PushError<Disk>>,
    pub pop: fn(&mut Disks) -> Option<Disk>,
    pub images: fn(&Disks) -> &[Disk],
    pub image_mut: fn(&mut Disks, usize) -> Option<&mut Disk>,
    pub chain_size: fn(&Disks) -> u64,
    pub chain_read_at: fn(&mut Disks, u64, &mut [u8]) -> Outcome<()>,
    pub chain_extent_at: fn(&mut Disks, u64, u64) -> Outcome<(usize, Extent)>,

    pub cursor: for<'a> fn(&'a mut Disk) -> Cursor<&'a mut Disk>,
    pub read: fn(&mut Cursor<&'static mut Disk>, &mut [u8]) -> Outcome<usize>,
    pub seek: fn(&mut Cursor<&'static mut Disk>, SeekFrom) -> Outcome<u64>,
    pub position: fn(&Cursor<&'static mut Disk>) -> u64,
    pub chain_cursor: for<'a> fn(&'a mut Disks) -> Cursor<&'a mut Disks>,
    pub chain_read: fn(&mut Cursor<&'static mut Disks>, &mut [u8]) -> Outcome<usize>,
    pub chain_seek: fn(&mut Cursor<&'static mut Disks>, SeekFrom) -> Outcome<u64>,

    pub probe: fn(&[u8]) -> Probe,
    pub parse: fn(&[u8]) -> Result<Header, Error<Infallible>>,
    pub memory_for: fn(&Header, BlockSize, u64) -> MemoryNeeds,
    pub virtual_size: fn(&Header) -> u64,
    pub cluster_bits: fn(&Header) -> ClusterBits,
    pub l2_bits: fn(&Header) -> L2Bits,
    pub l1_entries: fn(&Header) -> u64,
    pub l1_offset: fn(&Header) -> u64,
    pub is_encrypted: fn(&Header) -> bool,
    pub has_backing: fn(&Header) -> bool,
    pub backing_name_len: fn(&Header) -> u32,
    pub mtime: fn(&Header) -> u32,
    pub is_xen: fn(&Header) -> bool,
    pub l1_is_little_endian: fn(&Header) -> bool,

    pub new_cluster_bits: fn(u8) -> Option<ClusterBits>,
    pub cluster_size: fn(ClusterBits) -> u32,
    pub new_l2_bits: fn(u8) -> Option<L2Bits>,
    pub entries: fn(L2Bits) -> u32,
    pub new_block_size: fn(u32) -> Option<BlockSize>,
    pub block_bytes: fn(BlockSize) -> u32,
    pub blocks: fn(Device, BlockSize) -> Blocks<Device>,
    pub blocks_read: fn(&mut Blocks<Device>, u64, &mut [u8]) -> Result<(), DeviceError>,
    pub slice_read: fn(&mut &'static [u8], u64, &mut [u8]) -> Result<(), Infallible>,
    pub aligned: fn(Device, u32, Memory) -> Result<Aligned<Device, Memory>, OpenError<Device, Memory, DeviceError>>,
    pub aligned_read: fn(&mut Aligned<Device, Memory>, u64, &mut [u8]) -> Result<(), DeviceError>,
    pub bounced: fn(Device, u32, Memory) -> Result<Bounced<Device, Memory>, OpenError<Device, Memory, DeviceError>>,
    pub bounced_read: fn(&mut Bounced<Device, Memory>, u64, &mut [u8]) -> Result<(), DeviceError>,
    pub limited: fn(Device, usize) -> Limited<Device>,
    pub limited_read: fn(&mut Limited<Device>, u64, &mut [u8]) -> Result<(), DeviceError>,
    pub tracer: fn(Device, Trace) -> Tracer<Device, Trace>,
    pub tracer_read: fn(&mut Tracer<Device, Trace>, u64, &mut [u8]) -> Result<(), DeviceError>,
    pub counts: fn(&Tracer<Device, Trace>) -> Counts,

    pub corrupt_kind: fn(&Corrupt) -> CorruptKind,
    pub corrupt_part: fn(&Corrupt) -> CorruptPart,
    pub part_of_kind: fn(CorruptKind) -> CorruptPart,
    pub guest_offset: fn(&Corrupt) -> Option<u64>,
    pub host_offset: fn(&Corrupt) -> Option<u64>,
    pub error_kind: fn(&Error<DeviceError>) -> embedded_io::ErrorKind,
    pub into_error: fn(OpenError<Device, Memory, DeviceError>) -> Error<DeviceError>,
    pub open_error_parts: fn(OpenError<Device, Memory, DeviceError>) -> (Device, Memory, Error<DeviceError>),
    pub push_into_image: fn(PushError<Disk>) -> Disk,

    /// It has the size of an image without its device.
    pub image_bytes: &'static [AtomicU8; size_of::<Image<(), &'static mut [u8]>>()],
    /// It has the size of a chain of three images without their devices.
    pub chain_bytes: &'static [AtomicU8; size_of::<Chain<Image<(), &'static mut [u8]>, 3>>()],
}

/// The rest of the public API, which is proved but not counted: accessors, forwarding calls, and adapters of the
/// caller's streams.
#[repr(C)]
pub struct Rest {
    pub device_mut: fn(&mut Disk) -> &mut Device,
    pub cursor_inner: fn(Cursor<&'static mut Disk>) -> &'static mut Disk,
    pub set_cipher: fn(&mut Disk, &'static (dyn SectorCipher + Sync)),
    pub image_size: fn(&Disk) -> u64,
    pub image_read: fn(&mut Disk, u64, &mut [u8]) -> Outcome<()>,
    pub chain_size: fn(&Disks) -> u64,
    pub chain_read: fn(&mut Disks, u64, &mut [u8]) -> Outcome<()>,
    pub default_chain: fn() -> Disks,
    pub lent_size: fn(&&'static mut Disk) -> u64,
    pub lent_read: fn(&mut &'static mut Disk, u64, &mut [u8]) -> Outcome<()>,
    pub lent_read_sectors: fn(&mut &'static mut Disk, u64, &mut [u8]) -> Outcome<()>,
    pub default_options: fn() -> OpenOptions,
    pub check_options: fn() -> CheckOptions<'static>,
    pub default_check_options: fn() -> CheckOptions<'static>,
    pub check_usage_map: fn(CheckOptions<'static>, &'static mut [u8]) -> CheckOptions<'static>,
    pub clear_map: fn(&mut [u8], usize) -> bool,
    pub map_byte: for<'a> fn(&'a mut [u8], usize) -> Option<&'a mut u8>,
    pub next_used: fn(&[u8], usize) -> Option<(usize, u8)>,
    pub get_cluster_bits: fn(ClusterBits) -> u8,
    pub get_l2_bits: fn(L2Bits) -> u8,

    pub open_error: for<'a> fn(&'a OpenError<Device, Memory, DeviceError>) -> &'a Error<DeviceError>,
    pub open_error_device: fn(OpenError<Device, Memory, DeviceError>) -> Device,
    pub from_open_error: fn(OpenError<Device, Memory, DeviceError>) -> Error<DeviceError>,
    pub stream_error_kind: fn(&FromIoError<DeviceError>) -> embedded_io::ErrorKind,

    pub lent_device_block_size: fn(&&'static mut Device) -> BlockSize,
    pub lent_device_size: fn(&mut &'static mut Device) -> Result<u64, DeviceError>,
    pub lent_device_read: fn(&mut &'static mut Device, u64, &mut [u8]) -> Result<(), DeviceError>,
    pub slice_block_size: fn(&&'static [u8]) -> BlockSize,
    pub slice_size: fn(&mut &'static [u8]) -> Result<u64, Infallible>,
    pub blocks_block_size: fn(&Blocks<Device>) -> BlockSize,
    pub blocks_size: fn(&mut Blocks<Device>) -> Result<u64, DeviceError>,
    pub blocks_inner: fn(Blocks<Device>) -> Device,
    pub aligned_block_size: fn(&Aligned<Device, Memory>) -> BlockSize,
    pub aligned_size: fn(&mut Aligned<Device, Memory>) -> Result<u64, DeviceError>,
    pub aligned_parts: fn(Aligned<Device, Memory>) -> (Device, Memory),
    pub bounced_block_size: fn(&Bounced<Device, Memory>) -> BlockSize,
    pub bounced_size: fn(&mut Bounced<Device, Memory>) -> Result<u64, DeviceError>,
    pub bounced_parts: fn(Bounced<Device, Memory>) -> (Device, Memory),
    pub limited_block_size: fn(&Limited<Device>) -> BlockSize,
    pub limited_size: fn(&mut Limited<Device>) -> Result<u64, DeviceError>,
    pub limited_inner: fn(Limited<Device>) -> Device,
    pub map_err: fn(Device, Map) -> MapErr<Device, Map>,
    pub map_err_block_size: fn(&MapErr<Device, Map>) -> BlockSize,
    pub map_err_size: fn(&mut MapErr<Device, Map>) -> Result<u64, embedded_io::ErrorKind>,
    pub map_err_read: fn(&mut MapErr<Device, Map>, u64, &mut [u8]) -> Result<(), embedded_io::ErrorKind>,
    pub map_err_inner: fn(MapErr<Device, Map>) -> Device,
    pub tracer_counting: fn(Device) -> Tracer<Device, Trace>,
    pub tracer_block_size: fn(&Tracer<Device, Trace>) -> BlockSize,
    pub tracer_size: fn(&mut Tracer<Device, Trace>) -> Result<u64, DeviceError>,
    pub tracer_reset: fn(&mut Tracer<Device, Trace>),
    pub tracer_mut: fn(&mut Tracer<Device, Trace>) -> &mut Device,
    pub tracer_inner: fn(Tracer<Device, Trace>) -> Device,
    pub stream_block_size: fn(&FromIo<Stream>) -> BlockSize,
    pub stream_size: fn(&mut FromIo<Stream>) -> Result<u64, FromIoError<DeviceError>>,
    pub stream_read: fn(&mut FromIo<Stream>, u64, &mut [u8]) -> Result<(), FromIoError<DeviceError>>,
    pub array_block_size: fn(&[u8; 64]) -> BlockSize,
    pub array_size: fn(&mut [u8; 64]) -> Result<u64, Infallible>,
    pub array_read: fn(&mut [u8; 64], u64, &mut [u8]) -> Result<(), Infallible>,
    pub lent_array_block_size: fn(&&'static [u8; 64]) -> BlockSize,
    pub lent_array_size: fn(&mut &'static [u8; 64]) -> Result<u64, Infallible>,
    pub lent_array_read: fn(&mut &'static [u8; 64], u64, &mut [u8]) -> Result<(), Infallible>,

    pub new_cursor: fn(&'static mut Disk) -> Cursor<&'static mut Disk>,
    pub partition: fn(Disk, u64, u64) -> Partition<Disk>,
    pub partition_inner: fn(Partition<Disk>) -> Disk,
    pub partition_size: fn(&Partition<Disk>) -> u64,
    pub partition_read: fn(&mut Partition<Disk>, u64, &mut [u8]) -> Outcome<()>,
    pub read_only_read: fn(&mut ReadOnly<Cursor<&'static mut Disk>>, &mut [u8]) -> ReadOnlyOutcome<usize>,
    pub read_only_seek: fn(&mut ReadOnly<Cursor<&'static mut Disk>>, SeekFrom) -> ReadOnlyOutcome<u64>,
    pub read_only_write: fn(&mut ReadOnly<Cursor<&'static mut Disk>>, &[u8]) -> ReadOnlyOutcome<usize>,
    pub read_only_flush: fn(&mut ReadOnly<Cursor<&'static mut Disk>>) -> ReadOnlyOutcome<()>,
    pub read_only_kind: fn(&ReadOnlyError<DeviceError>) -> embedded_io::ErrorKind,
}

const READER_CALLS: Reader = Reader {
    open: Image::open,
    read_at: Image::read_at,
};

/// The root of the link for a reader alone.
// The roots are in sections of their own, which are not counted as qcow1's.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".entry.reader")]
pub static READER: Reader = READER_CALLS;

/// The root of the link whose code is counted.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".entry.api")]
pub static API: Api = Api {
    reader: READER_CALLS,
    open_raw: Image::open_raw,
    options: OpenOptions::new,
    salvage: OpenOptions::salvage,
    or_raw: OpenOptions::or_raw,
    open_with: Image::open_with,
    header: Image::header,
    size: Image::size,
    extent_at: Image::extent_at,
    extents: Image::extents,
    next_extent: <Extents<_> as Iterator>::next,
    extent_end: Extent::end,
    join: Extent::join,
    check: Image::check,
    check_with: Image::check_with,
    check_bitmap_len: Image::check_bitmap_len,
    check_inflate: CheckOptions::inflate,
    check_bitmap: CheckOptions::bitmap,
    backing_name: Image::backing_name,
    into_parts: Image::into_parts,
    memory_needed: OpenOptions::memory_needed,
    read_sectors: GuestRead::read_sectors,

    chain: Chain::new,
    push: Chain::push,
    pop: Chain::pop,
    images: Chain::images,
    image_mut: Chain::image_mut,
    chain_size: Chain::size,
    chain_read_at: Disks::read_at,
    chain_extent_at: Disks::extent_at,

    cursor: Image::cursor,
    read: <Cursor<_> as Read>::read,
    seek: <Cursor<_> as Seek>::seek,
    position: Cursor::position,
    chain_cursor: Chain::cursor,
    chain_read: <Cursor<_> as Read>::read,
    chain_seek: <Cursor<_> as Seek>::seek,

    probe: qcow1::probe,
    parse: Header::parse,
    memory_for: Header::memory_for,
    virtual_size: Header::virtual_size,
    cluster_bits: Header::cluster_bits,
    l2_bits: Header::l2_bits,
    l1_entries: Header::l1_entries,
    l1_offset: Header::l1_offset,
    is_encrypted: Header::is_encrypted,
    has_backing: Header::has_backing,
    backing_name_len: Header::backing_name_len,
    mtime: Header::mtime,
    is_xen: Header::is_xen,
    l1_is_little_endian: Header::l1_is_little_endian,

    new_cluster_bits: ClusterBits::new,
    cluster_size: ClusterBits::cluster_size,
    new_l2_bits: L2Bits::new,
    entries: L2Bits::entries,
    new_block_size: BlockSize::new,
    block_bytes: BlockSize::bytes,
    blocks: Blocks::new,
    blocks_read: <Blocks<_> as BlockRead>::read_blocks,
    slice_read: <&[u8] as BlockRead>::read_blocks,
    aligned: Aligned::new,
    aligned_read: <Aligned<_, _> as BlockRead>::read_blocks,
    bounced: Bounced::new,
    bounced_read: <Bounced<_, _> as BlockRead>::read_blocks,
    limited: Limited::new,
    limited_read: <Limited<_> as BlockRead>::read_blocks,
    tracer: Tracer::new,
    tracer_read: <Tracer<_, _> as BlockRead>::read_blocks,
    counts: Tracer::counts,

    corrupt_kind: Corrupt::kind,
    corrupt_part: Corrupt::part,
    part_of_kind: CorruptKind::part,
    guest_offset: Corrupt::guest_offset,
    host_offset: Corrupt::host_offset,
    error_kind: <Error<_> as embedded_io::Error>::kind,
    into_error: OpenError::into_error,
    open_error_parts: OpenError::into_parts,
    push_into_image: PushError::into_image,

    image_bytes: &IMAGE_SIZE,
    chain_bytes: &CHAIN_SIZE,
};

/// The root of the link for the rest.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".entry.rest")]
pub static REST: Rest = Rest {
    device_mut: Image::device_mut,
    cursor_inner: Cursor::into_inner,
    set_cipher: Image::set_cipher,
    image_size: <Disk as GuestDisk>::size,
    image_read: <Disk as GuestRead>::read_at,
    chain_size: <Disks as GuestDisk>::size,
    chain_read: <Disks as GuestRead>::read_at,
    default_chain: <Disks as Default>::default,
    lent_size: <&mut Disk as GuestDisk>::size,
    lent_read: <&mut Disk as GuestRead>::read_at,
    lent_read_sectors: <&mut Disk as GuestRead>::read_sectors,
    default_options: <OpenOptions as Default>::default,
    check_options: CheckOptions::new,
    default_check_options: <CheckOptions as Default>::default,
    check_usage_map: CheckOptions::usage_map,
    clear_map: <[u8] as UsageMap>::clear,
    map_byte: <[u8] as UsageMap>::byte,
    next_used: <[u8] as UsageMap>::next_used,
    get_cluster_bits: ClusterBits::get,
    get_l2_bits: L2Bits::get,

    open_error: OpenError::error,
    open_error_device: OpenError::into_device,
    from_open_error: <Error<_> as From<_>>::from,
    stream_error_kind: <FromIoError<_> as embedded_io::Error>::kind,

    lent_device_block_size: <&mut Device as BlockRead>::block_size,
    lent_device_size: <&mut Device as BlockRead>::size,
    lent_device_read: <&mut Device as BlockRead>::read_blocks,
    slice_block_size: <&[u8] as BlockRead>::block_size,
    slice_size: <&[u8] as BlockRead>::size,
    blocks_block_size: <Blocks<_> as BlockRead>::block_size,
    blocks_size: <Blocks<_> as BlockRead>::size,
    blocks_inner: Blocks::into_inner,
    aligned_block_size: <Aligned<_, _> as BlockRead>::block_size,
    aligned_size: <Aligned<_, _> as BlockRead>::size,
    aligned_parts: Aligned::into_parts,
    bounced_block_size: <Bounced<_, _> as BlockRead>::block_size,
    bounced_size: <Bounced<_, _> as BlockRead>::size,
    bounced_parts: Bounced::into_parts,
    limited_block_size: <Limited<_> as BlockRead>::block_size,
    limited_size: <Limited<_> as BlockRead>::size,
    limited_inner: Limited::into_inner,
    map_err: MapErr::new,
    map_err_block_size: <MapErr<_, _> as BlockRead>::block_size,
    map_err_size: <MapErr<_, _> as BlockRead>::size,
    map_err_read: <MapErr<_, _> as BlockRead>::read_blocks,
    map_err_inner: MapErr::into_inner,
    tracer_counting: Tracer::counting,
    tracer_block_size: <Tracer<_, _> as BlockRead>::block_size,
    tracer_size: <Tracer<_, _> as BlockRead>::size,
    tracer_reset: Tracer::reset,
    tracer_mut: Tracer::get_mut,
    tracer_inner: Tracer::into_inner,
    stream_block_size: <FromIo<_> as BlockRead>::block_size,
    stream_size: <FromIo<_> as BlockRead>::size,
    stream_read: <FromIo<_> as BlockRead>::read_blocks,
    array_block_size: <_ as BlockRead>::block_size,
    array_size: <_ as BlockRead>::size,
    array_read: <_ as BlockRead>::read_blocks,
    lent_array_block_size: <&_ as BlockRead>::block_size,
    lent_array_size: <&_ as BlockRead>::size,
    lent_array_read: <&_ as BlockRead>::read_blocks,

    new_cursor: Cursor::new,
    partition: Partition::new,
    partition_inner: Partition::into_inner,
    partition_size: <Partition<_> as GuestDisk>::size,
    partition_read: <Partition<_> as GuestRead>::read_at,
    read_only_read: <ReadOnly<_> as Read>::read,
    read_only_seek: <ReadOnly<_> as Seek>::seek,
    read_only_write: <ReadOnly<_> as Write>::write,
    read_only_flush: <ReadOnly<_> as Write>::flush,
    read_only_kind: <ReadOnlyError<_> as embedded_io::Error>::kind,
};

// Atomics, so that they are neither code nor constants. Only their lengths are used.
#[unsafe(no_mangle)]
static IMAGE_SIZE: [AtomicU8; size_of::<Image<(), &'static mut [u8]>>()] = [const { AtomicU8::new(0) }; _];
#[unsafe(no_mangle)]
static CHAIN_SIZE: [AtomicU8; size_of::<Chain<Image<(), &'static mut [u8]>, 3>>()] = [const { AtomicU8::new(0) }; _];

/// A panic path that the proof must find.
#[cfg(feature = "unchecked-index")]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".entry.control")]
pub static CONTROL: fn(&[u8], usize) -> u8 = |bytes, at| bytes[at];

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn a_panic_path_is_left() -> !;
    }
    a_panic_path_is_left()
}
