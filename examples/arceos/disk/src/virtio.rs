//! The machine's virtio disks, through ArceOS's driver.

use core::ptr::NonNull;

use axalloc::{UsageKind, global_allocator};
use axdriver_block::{DevResult, DeviceType};
use axdriver_virtio::{BufferDirection, MmioTransport, PhysAddr, VirtIoBlkDev, VirtIoHal, probe_mmio_device};
use axhal::mem::{PAGE_SIZE_4K, phys_to_virt, virt_to_phys};

/// ArceOS's driver of a virtio disk.
pub type Disk = VirtIoBlkDev<Kernel, MmioTransport>;

/// Returns the disks in the order of their slots.
pub fn disks() -> impl Iterator<Item = DevResult<Disk>> {
    axconfig::devices::VIRTIO_MMIO_RANGES
        .iter()
        .filter_map(|&(base, size)| {
            let (kind, transport) = probe_mmio_device(phys_to_virt(base.into()).as_mut_ptr(), size)?;
            (kind == DeviceType::Block).then(|| Disk::try_new(transport))
        })
}

/// The kernel's memory, for the driver.
pub struct Kernel;

// SAFETY: `dma_alloc` returns zeroed, aligned pages that nothing else uses. The kernel maps all memory
// with one offset, so a buffer is contiguous for devices too.
unsafe impl VirtIoHal for Kernel {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let start = global_allocator().alloc_pages(pages, PAGE_SIZE_4K, UsageKind::Dma);
        let Some(start) = start.ok().and_then(|start| NonNull::new(start as *mut u8)) else {
            // The address 0 tells the driver that there is no memory.
            return (0, NonNull::dangling());
        };
        // SAFETY: these are the pages that the allocator has returned.
        unsafe { start.write_bytes(0, pages * PAGE_SIZE_4K) };
        (virt_to_phys((start.as_ptr() as usize).into()).into(), start)
    }

    unsafe fn dma_dealloc(_: PhysAddr, start: NonNull<u8>, pages: usize) -> i32 {
        global_allocator().dealloc_pages(start.as_ptr() as usize, pages, UsageKind::Dma);
        0
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, _: usize) -> NonNull<u8> {
        NonNull::new(phys_to_virt(address.into()).as_mut_ptr()).unwrap_or(NonNull::dangling())
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        virt_to_phys((buffer.cast::<u8>().as_ptr() as usize).into()).into()
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
