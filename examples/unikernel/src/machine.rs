//! QEMU's RISC-V machine `virt`: all access to hardware, and all `unsafe` code of this program.

use core::arch::global_asm;
use core::fmt;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};

use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::{DeviceType, Transport};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

const UART: usize = 0x1000_0000;
const POWER: usize = 0x10_0000;
const VIRTIO: usize = 0x1000_1000;
const VIRTIO_SLOT: usize = 0x1000;

// The first hart sets up a stack and continues; any other harts sleep. Floating-point registers are enabled, because
// the compiler may use them.
global_asm!(
    ".section .text.start",
    ".globl start",
    "start:",
    "bnez a0, 1f",
    "li t0, 0x6000",
    "csrs mstatus, t0",
    "la sp, stack_top",
    "call {enter}",
    "1: wfi",
    "j 1b",
    enter = sym enter,
);

extern "C" fn enter() -> ! {
    match crate::main() {
        Ok(()) => power_off(0),
        Err(failure) => {
            println!("failed: {failure}");
            power_off(1)
        }
    }
}

fn power_off(status: u32) -> ! {
    let command = if status == 0 { 0x5555 } else { 0x3333 | status << 16 };
    // SAFETY: this is the register of the machine's test device, and writing to it has no effect on memory.
    unsafe { ptr::write_volatile(POWER as *mut u32, command) };
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("{info}");
    power_off(2)
}

/// The serial port.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const READY: u8 = 1 << 5;
        for byte in text.bytes() {
            // SAFETY: these are the line status and the transmit register of the machine's UART, which have no effect
            // on memory.
            unsafe {
                while ptr::read_volatile((UART + 5) as *const u8) & READY == 0 {}
                ptr::write_volatile(UART as *mut u8, byte);
            }
        }
        Ok(())
    }
}

macro_rules! print {
    ($($part:tt)*) => {
        // The console never fails.
        { let _ = core::fmt::Write::write_fmt(&mut $crate::machine::Console, format_args!($($part)*)); }
    };
}
macro_rules! println {
    ($($part:tt)*) => { $crate::machine::print!("{}\n", format_args!($($part)*)) };
}
pub(crate) use {print, println};

/// The virtio disk in a slot.
pub fn transport(slot: usize) -> Option<MmioTransport<'static>> {
    let header = NonNull::new((VIRTIO + slot * VIRTIO_SLOT) as *mut _)?;
    // SAFETY: the machine has eight such slots at these addresses as long as it runs, and each is opened once.
    let transport = unsafe { MmioTransport::new(header, VIRTIO_SLOT) }.ok()?;
    (transport.device_type() == DeviceType::Block).then_some(transport)
}

const DMA_PAGES: usize = 16;

/// The pages of the queues.
#[repr(C, align(4096))]
struct Pages(core::cell::UnsafeCell<[u8; DMA_PAGES * PAGE_SIZE]>);

// SAFETY: each page is handed out once, to one queue.
unsafe impl Sync for Pages {}

static PAGES: Pages = Pages(core::cell::UnsafeCell::new([0; DMA_PAGES * PAGE_SIZE]));
static USED: AtomicUsize = AtomicUsize::new(0);

/// Memory that devices can access. There is no paging, so both use the same addresses.
pub struct Dma;

// SAFETY: `dma_alloc` returns zeroed, aligned pages that nothing else uses, each only once.
unsafe impl Hal for Dma {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let first = USED.fetch_add(pages, Ordering::Relaxed);
        if first.saturating_add(pages) > DMA_PAGES {
            // The address 0 tells the driver that there is no memory.
            return (0, NonNull::dangling());
        }
        // SAFETY: the pages that start at `first` lie inside the array.
        let start = unsafe { PAGES.0.get().cast::<u8>().add(first * PAGE_SIZE) };
        (start as PhysAddr, NonNull::new(start).unwrap_or(NonNull::dangling()))
    }

    /// Does nothing: disks are opened once and never closed.
    unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        0
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, _: usize) -> NonNull<u8> {
        NonNull::new(address as *mut u8).unwrap_or(NonNull::dangling())
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().as_ptr() as PhysAddr
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
