//! Images that are shared and sent: between threads, between tasks of tokio and embassy, and out of
//! the function that opened them.

use std::convert::Infallible;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use crate::common::disks::{fat_volume, image_of};
use crate::common::{ImageBuilder, pattern};
use qcow1::{
    Aligned, BlockRead, BlockSize, Blocks, Bounced, Chain, Cursor, Error, GuestRead, Image, Key, Limited, MapErr,
    Memory, Partition, ReadOnly, Tracer, aio,
};

const SIZE: usize = 100_000;

/// Returns an image that stores its whole disk, which it returns too.
fn plain() -> (&'static [u8], Vec<u8>) {
    let disk = pattern(11, SIZE);
    let file = ImageBuilder::new(SIZE as u64).data(0, &disk).build();
    (file.leak(), disk)
}

type Shared = Image<&'static [u8], Vec<u8>>;

const fn send<T: Send>() {}
const fn sync<T: Sync>() {}

const _: () = {
    send::<Shared>();
    sync::<Shared>();
    send::<Image<&'static [u8], &'static mut [u8; 512]>>();
    sync::<Chain<Image<std::fs::File, [u8; 4096]>, 3>>();
    send::<Chain<Image<Box<dyn BlockRead<Error = io::Error> + Send>, Box<[u8]>>, 3>>();
    sync::<aio::Image<Steady, Vec<u8>>>();
    send::<Chain<aio::Image<Steady, Vec<u8>>, 2>>();
    sync::<Cursor<Partition<Chain<Shared, 3>>>>();
    send::<ReadOnly<Cursor<&'static mut Shared>>>();
    sync::<Aligned<Bounced<Limited<Blocks<&'static [u8]>>, [u8; 512]>, Vec<u8>>>();
    send::<MapErr<Tracer<&'static [u8], fn(qcow1::ReadRequest)>, fn(Infallible) -> io::Error>>();
    sync::<qcow1::ToBlockIo<Shared>>();
    sync::<qcow1::ToStorage<Shared>>();
    // It reads through a shared reference, so it has a cell.
    send::<qcow1::ToBlockDevice<Shared>>();
};

/// Ambiguous for a type that is `Send`, so naming `passes` compiles only for one that is not.
trait NotSend<A> {
    fn passes() {}
}
struct IsSend;
impl<T: ?Sized> NotSend<()> for T {}
impl<T: ?Sized + Send> NotSend<IsSend> for T {}

/// A device that is not `Send`.
struct Local(#[expect(dead_code, reason = "only its type matters")] Rc<()>);

const _: fn() = <Image<Local, [u8; 512]> as NotSend<_>>::passes;
const _: fn() = <aio::Image<Local, [u8; 512]> as NotSend<_>>::passes;

static DISK: Mutex<Option<Image<&'static [u8], [u8; 4096]>>> = Mutex::new(None);

#[test]
fn an_image_in_a_static_is_read_by_two_threads() {
    let (file, disk) = plain();
    *DISK.lock().unwrap() = Some(
        Image::open(file, [0; 4096])
            .map_err(|error| error.into_error())
            .unwrap(),
    );
    std::thread::scope(|scope| {
        for half in 0..2 {
            let disk = &disk;
            scope.spawn(move || {
                for at in (half * 50_000..half * 50_000 + 49_000).step_by(1000) {
                    let mut bytes = [0; 1000];
                    let mut image = DISK.lock().unwrap();
                    image.as_mut().unwrap().read_at(at as u64, &mut bytes).unwrap();
                    assert!(bytes == disk[at..at + 1000]);
                }
            });
        }
    });
}

/// The trait of a kernel's block devices.
trait BlockDevice: Send + Sync {
    fn read(&self, sector: u64, buf: &mut [u8]) -> Result<(), String>;
}

/// Any disk of this crate as a kernel's block device.
struct Kernel<G>(Mutex<G>);

impl<G: GuestRead<Error: std::fmt::Debug> + Send> BlockDevice for Kernel<G> {
    fn read(&self, sector: u64, buf: &mut [u8]) -> Result<(), String> {
        let mut disk = self.0.lock().unwrap();
        disk.read_sectors(sector, buf).map_err(|error| error.to_string())
    }
}

/// A virtio disk with an error of its own.
struct Virtio(&'static [u8]);

#[derive(Debug)]
struct VirtioError;

impl BlockRead for Virtio {
    type Error = VirtioError;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    fn size(&mut self) -> Result<u64, VirtioError> {
        Ok(self.0.len() as u64)
    }

    fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), VirtioError> {
        buf.copy_from_slice(&self.0[lba as usize..][..buf.len()]);
        Ok(())
    }
}

#[test]
fn plain_and_encrypted_images_and_a_chain_of_two_device_types_are_block_devices_of_a_kernel() {
    type Device = Box<dyn BlockRead<Error = VirtioError> + Send + Sync>;

    let (file, disk) = plain();
    let plain = Image::open(file, vec![0; 4096]).unwrap();

    let mut builder = ImageBuilder::new(SIZE as u64).encrypted(*b"sixteen byte key");
    let file = builder.data(0, &disk[..98_304]).build();
    let mut encrypted = Image::open(Blocks::new(&*file.leak(), BlockSize::B512), [0; 4096]).unwrap();
    encrypted.set_key(&Key::from_bytes(*b"sixteen byte key"));

    let overlay = ImageBuilder::new(SIZE as u64)
        .overlay_on(b"base")
        .data(512, &[9; 512])
        .build();
    let top: Device = Box::new(Virtio(overlay.leak()));
    let base: Device = Box::new(MapErr::new(&*disk.clone().leak(), |never: Infallible| match never {}));
    let mut chain = Chain::<_, 2>::new();
    chain.push(Image::open(top, vec![0; 4096]).unwrap()).unwrap();
    chain.push(Image::open_raw(base, vec![0; 512]).unwrap()).unwrap();

    let devices: Vec<Arc<dyn BlockDevice>> = vec![
        Arc::new(Kernel(Mutex::new(plain))),
        Arc::new(Kernel(Mutex::new(encrypted))),
        Arc::new(Kernel(Mutex::new(chain))),
    ];
    for (number, device) in devices.into_iter().enumerate() {
        let mut right = disk[..2048].to_vec();
        if number == 2 {
            right[512..1024].fill(9);
        }
        let second = Arc::clone(&device);
        let first = std::thread::spawn(move || {
            let mut bytes = vec![0; 1024];
            device.read(0, &mut bytes).unwrap();
            bytes
        });
        let mut bytes = vec![0; 1024];
        second.read(2, &mut bytes).unwrap();
        assert!([first.join().unwrap(), bytes].concat() == right, "{number}");
        assert!(second.read(SIZE as u64, &mut [0; 512]).unwrap_err().contains("disk"));
    }
}

/// An asynchronous device whose futures are `Send`.
struct Steady(&'static [u8]);

impl aio::BlockRead for Steady {
    type Error = Infallible;

    fn block_size(&self) -> BlockSize {
        BlockSize::BYTE
    }

    async fn size(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.len() as u64)
    }

    async fn read_blocks(&mut self, lba: u64, buf: &mut [u8]) -> Result<(), Infallible> {
        tokio::task::yield_now().await;
        buf.copy_from_slice(&self.0[lba as usize..][..buf.len()]);
        Ok(())
    }
}

#[test]
fn a_service_of_tokio_spawns_every_call_of_an_image() {
    let (file, disk) = plain();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let read = runtime.block_on(async {
        let (requests, mut served) = tokio::sync::mpsc::channel::<(u64, tokio::sync::oneshot::Sender<Vec<u8>>)>(4);
        let service = tokio::spawn(async move {
            let mut image = aio::Image::open(Steady(file), vec![0; 4096])
                .await
                .map_err(Error::from)?;
            image.extent_at(0, 1).await?;
            image.extents().next().await.unwrap()?;
            image.check(|_| {}).await?;
            image.backing_name(&mut []).await?;
            while let Some((offset, answer)) = served.recv().await {
                let mut bytes = vec![0; 5000];
                image.read_at(offset, &mut bytes).await?;
                let _ = answer.send(bytes);
            }
            Ok::<_, Error<Infallible>>(())
        });
        let (answer, answered) = tokio::sync::oneshot::channel();
        requests.send((777, answer)).await.unwrap();
        drop(requests);
        let bytes = answered.await.unwrap();
        service.await.unwrap().unwrap();
        bytes
    });
    assert!(read == disk[777..5777]);
}

#[test]
fn two_tasks_share_an_image_in_a_static_mutex_of_embassy() {
    use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
    use embassy_sync::mutex::Mutex;

    static DISK: Mutex<CriticalSectionRawMutex, Option<aio::Image<Steady, [u8; 4096]>>> = Mutex::new(None);

    async fn read(at: u64) -> [u8; 512] {
        let mut bytes = [0; 512];
        DISK.lock()
            .await
            .as_mut()
            .unwrap()
            .read_at(at, &mut bytes)
            .await
            .unwrap();
        bytes
    }
    let (file, disk) = plain();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let opened = aio::Image::open(Steady(file), [0; 4096]).await;
        *DISK.lock().await = Some(opened.map_err(Error::from).unwrap());
        let tasks = [1000, 50_000].map(|at| (at, tokio::spawn(read(at as u64))));
        for (at, task) in tasks {
            assert!(task.await.unwrap() == disk[at..at + 512]);
        }
    });
}

/// An image and what belongs to it, returned from the function that opened them.
struct Opened<M> {
    name: &'static str,
    image: Image<&'static [u8], M>,
}

fn open<M: Memory>(file: &'static [u8], memory: M) -> Result<Opened<M>, Error<Infallible>> {
    let image = Image::open(file, memory)?;
    Ok(Opened { name: "disk", image })
}

#[test]
fn a_struct_that_owns_image_and_memory_is_returned() {
    let (file, disk) = plain();
    let mut disks = vec![open(file, vec![0; 9000]).unwrap(), open(file, vec![0; 512]).unwrap()];
    disks.swap(0, 1);
    for Opened { name, image } in &mut disks {
        let mut bytes = vec![0; SIZE];
        image.read_at(0, &mut bytes).unwrap();
        assert!(*name == "disk" && bytes == disk);
    }
}

/// A FAT file system in an image.
type FileSystem = fatfs::FileSystem<ReadOnly<Cursor<Image<std::fs::File, Vec<u8>>>>>;

fn mount(path: &std::path::Path) -> io::Result<FileSystem> {
    let mut file = std::fs::File::open(path)?;
    let memory = vec![0; qcow1::OpenOptions::new().memory_needed(&mut file, 65_536)?];
    let image = Image::open(file, memory)?;
    fatfs::FileSystem::new(ReadOnly(Cursor::new(image)), fatfs::FsOptions::new())
}

#[test]
fn a_file_system_in_an_image_is_returned_from_the_function_that_mounts_it() {
    use std::io::Read as _;

    let mut file = tempfile::NamedTempFile::new().unwrap();
    io::Write::write_all(&mut file, &image_of(&fat_volume())).unwrap();
    let fat = mount(file.path()).unwrap();
    let mut text = String::new();
    fat.root_dir()
        .open_file("README.TXT")
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(!text.is_empty());
}
