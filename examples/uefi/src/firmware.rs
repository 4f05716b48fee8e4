//! The services of the firmware that the loader and the driver use.

use core::fmt::{self, Write};
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;

use qcow1::{Aligned, BlockRead, BlockSize, Probe, probe};
use uefi::boot::{
    self, AllocateType, HandleBuffer, LoadImageSource, MemoryType, OpenProtocolAttributes, OpenProtocolParams,
    PAGE_SIZE, ScopedProtocol, SearchType,
};
use uefi::data_types::PoolString;
use uefi::mem::memory_map::MemoryMap;
use uefi::proto::console::text::Key;
use uefi::proto::device_path::DevicePath;
use uefi::proto::device_path::build::{self, DevicePathBuilder};
use uefi::proto::device_path::text::{AllowShortcuts, DevicePathToText, DisplayOnly};
use uefi::proto::media::block::BlockIO;
use uefi::proto::{BootPolicy, ProtocolPointer};
use uefi::{CStr16, Handle, Identify, Status, system, table};
use zeroize::Zeroize;

/// Allocates zeroed, page-aligned memory of `len` bytes. It stays allocated until [`free`].
pub fn pages(len: usize) -> uefi::Result<&'static mut [u8]> {
    let count = len.div_ceil(PAGE_SIZE).max(1);
    let start = boot::allocate_pages(AllocateType::AnyPages, MemoryType::BOOT_SERVICES_DATA, count)?;
    // SAFETY: the firmware has allocated these pages for this call, and they have at least `len` bytes.
    Ok(unsafe {
        start.write_bytes(0, count * PAGE_SIZE);
        core::slice::from_raw_parts_mut(start.as_ptr(), len)
    })
}

/// Frees memory of [`pages`]. It is wiped first, because it may hold keys or decrypted bytes.
pub fn free(memory: &'static mut [u8]) {
    memory.zeroize();
    let count = memory.len().div_ceil(PAGE_SIZE).max(1);
    let start = NonNull::from(memory).cast();
    // SAFETY: the slice is from `pages`, and as it was passed by value, no reference to it is left. If the firmware
    // refuses, it stays allocated.
    let _ = unsafe { boot::free_pages(start, count) };
}

/// Returns the number of bytes of free memory.
pub fn free_memory() -> uefi::Result<u64> {
    let map = boot::memory_map(MemoryType::BOOT_SERVICES_DATA)?;
    let unused = map.entries().filter(|entry| entry.ty == MemoryType::CONVENTIONAL);
    let pages = unused.fold(0_u64, |sum, entry| sum.saturating_add(entry.page_count));
    Ok(pages.saturating_mul(PAGE_SIZE as u64))
}

/// Prints a line: the name of the program, the device that it is about, and the text. Without a console, it does nothing.
pub fn report(program: &str, device: Option<Handle>, text: fmt::Arguments<'_>) {
    // SAFETY: the table exists as long as this program runs.
    let console = table::system_table_raw().map(|table| unsafe { table.as_ref() }.stdout);
    if console.is_none_or(|console| console.is_null()) {
        return;
    }
    // Errors of the console are ignored, because they cannot be printed.
    let _ = system::with_stdout(|console| match device.map(device_path_text) {
        Some(Ok(path)) => writeln!(console, "{program}: {}: {text}", &*path),
        _ => writeln!(console, "{program}: {text}"),
    });
}

/// Opens a protocol of a handle, which others may use at the same time.
///
/// It is never closed, which the UEFI specification allows: closing it would close it for every user in this program.
pub fn protocol<P: ProtocolPointer + ?Sized>(handle: Handle) -> uefi::Result<ManuallyDrop<ScopedProtocol<P>>> {
    let params = OpenProtocolParams {
        handle,
        agent: boot::image_handle(),
        controller: None,
    };
    // SAFETY: the protocols that are opened in this way belong to disks, to this program or to the firmware itself. They
    // exist as long as they are used: the loader removes no device, and the driver is stopped before one is removed.
    unsafe { boot::open_protocol(params, OpenProtocolAttributes::GetProtocol) }.map(ManuallyDrop::new)
}

/// Returns the handles that have a protocol. If there is none, the error is [`Status::NOT_FOUND`].
pub fn handles<P: Identify>() -> uefi::Result<HandleBuffer> {
    boot::locate_handle_buffer(SearchType::ByProtocol(&P::GUID))
}

/// Returns the device path of a handle.
pub fn device_path(handle: Handle) -> uefi::Result<&'static DevicePath> {
    let path = protocol::<DevicePath>(handle)?;
    let bytes = path.as_ffi_ptr();
    // SAFETY: a device path lives as long as its device, and no device is removed while this program uses it.
    Ok(unsafe { DevicePath::from_ffi_ptr(bytes) })
}

/// Returns the nodes of the device path of a handle, without its end node.
pub fn path_nodes(handle: Handle) -> uefi::Result<&'static [u8]> {
    let path = device_path(handle)?.as_bytes();
    // The end node has 4 bytes.
    Ok(&path[..path.len().saturating_sub(4)])
}

/// Returns the device path of a handle as text.
pub fn device_path_text(handle: Handle) -> uefi::Result<PoolString> {
    let path = device_path(handle)?;
    let converter = protocol::<DevicePathToText>(boot::get_handle_for_protocol::<DevicePathToText>()?)?;
    converter.convert_device_path_to_text(path, DisplayOnly(false), AllowShortcuts(false))
}

/// Loads the program at a path on a volume.
pub fn load(volume: Handle, path_name: &CStr16) -> uefi::Result<Handle> {
    let mut buf = [MaybeUninit::uninit(); 512];
    let mut path = DevicePathBuilder::with_buf(&mut buf);
    for node in device_path(volume)?.node_iter() {
        path = path.push(&node).map_err(|_| Status::BUFFER_TOO_SMALL)?;
    }
    let path = path
        .push(&build::media::FilePath { path_name })
        .and_then(DevicePathBuilder::finalize)
        .map_err(|_| Status::BUFFER_TOO_SMALL)?;
    let source = LoadImageSource::FromDevicePath {
        device_path: path,
        boot_policy: BootPolicy::ExactMatch,
    };
    boot::load_image(boot::image_handle(), source)
}

/// Connects every device to its drivers: firmware connects only the devices of its boot order.
pub fn connect_all() -> uefi::Result {
    for &handle in boot::locate_handle_buffer(SearchType::AllHandles)?.iter() {
        // Errors are ignored: most handles are not devices, and have no drivers.
        let _ = boot::connect_controller(handle, &[], None, true);
    }
    Ok(())
}

/// Waits for a key.
pub fn key() -> uefi::Result<Key> {
    system::with_stdin(|input| {
        loop {
            if let Some(key) = input.read_key()? {
                return Ok(key);
            }
            let event = input.wait_for_key_event()?;
            boot::wait_for_event(&[event]).map_err(|error| error.status())?;
        }
    })
}

/// A block device of the firmware.
pub struct Disk {
    io: ManuallyDrop<ScopedProtocol<BlockIO>>,
    block_size: BlockSize,
    size: u64,
    /// The medium that was there when the device was opened. The firmware refuses to read another one, on which the
    /// tables of an open image would lead to wrong bytes.
    media_id: u32,
}

/// A block device whose driver requires aligned buffers.
pub type AlignedDisk = Aligned<Disk, &'static mut [u8]>;

/// The number of bytes of one read by a driver that requires aligned buffers.
const BOUNCE: usize = 1 << 16;

impl Disk {
    /// Opens the block device of a handle. Returns `None` if it has no medium, or a medium with an unsupported block
    /// size.
    pub fn open(handle: Handle) -> uefi::Result<Option<Self>> {
        let io = protocol::<BlockIO>(handle)?;
        let media = io.media();
        let Some(block_size) = BlockSize::new(media.block_size()).filter(|_| media.is_media_present()) else {
            return Ok(None);
        };
        let blocks = media.last_block().saturating_add(1);
        Ok(Some(Self {
            block_size,
            size: blocks.saturating_mul(block_size.bytes().into()),
            media_id: media.media_id(),
            io,
        }))
    }

    /// Returns the size of the device in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns `true` if the device begins as an image does, and `false` if it cannot be read.
    pub fn is_image(&mut self) -> bool {
        // Pages have the alignment that any driver requires.
        let Ok(first) = pages(self.block_size.bytes() as usize) else {
            return false;
        };
        let is_image = self.read_blocks(0, first).is_ok() && probe(first) == Probe::Qcow1;
        free(first);
        is_image
    }

    /// Lets the device be read into any buffer. [`close`] frees the memory for that.
    pub fn aligned(self) -> uefi::Result<AlignedDisk> {
        let align = self.io.media().io_align();
        let bounce = if align > 1 { BOUNCE } else { 0 };
        let bounce = pages(
            bounce
                .max(self.block_size.bytes() as usize)
                .saturating_add(align as usize),
        )?;
        Aligned::new(self, align, bounce).map_err(|error| {
            let (_, bounce, _) = error.into_parts();
            free(bounce);
            Status::OUT_OF_RESOURCES.into()
        })
    }
}

/// Frees the memory of a device.
pub fn close(disk: AlignedDisk) {
    let (_, bounce) = disk.into_parts();
    free(bounce);
}

impl BlockRead for Disk {
    type Error = Status;

    fn block_size(&self) -> BlockSize {
        self.block_size
    }

    fn size(&mut self) -> Result<u64, Status> {
        Ok(self.size)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Status> {
        self.io
            .read_blocks(self.media_id, lba, buf)
            .map_err(|error| error.status())
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    uefi::println!("{info}");
    loop {
        core::hint::spin_loop();
    }
}
