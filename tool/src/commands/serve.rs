//! `serve`: a server from which other programs read the disk.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use qcow1::ExtentKind;

use crate::args::Guest;
use crate::disk::Disk;
use crate::failure::{Failure, status};
use crate::interrupt::Interrupt;
use crate::nbd::{self, EIO, Export};
use crate::output::{Lines, say};

/// The maximum number of clients at a time. Each may take the memory of one read.
const CLIENTS: usize = 16;

/// The time that a client has for the negotiation of each option, so that idle clients do not take
/// all places.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time in which a client must take a part of a reply.
const DEADLINE: Duration = Duration::from_secs(300);

pub(crate) fn serve(image: &Path, unix: Option<&Path>, port: Option<u16>, guest: &Guest) -> Result<(), Failure> {
    let disk = Disk::open(image, guest)?;
    let interrupt = Interrupt::new(status::SUCCESS);
    let server = Server {
        disk: Arc::new(Mutex::new(disk)),
        clients: Arc::new(()),
    };
    #[cfg(unix)]
    if let Some(path) = unix {
        use std::os::unix::net::UnixListener;

        let listener = {
            let mut ending = interrupt.lock();
            // Only this user may connect.
            let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
            let listener = UnixListener::bind(path);
            rustix::process::umask(mask);
            let listener = listener.map_err(|error| Failure::of(path, format_args!("cannot be made: {error}")))?;
            *ending = crate::interrupt::Ending::Remove(path.to_owned());
            listener
        };
        let uri = percent_encoded(path);
        announce(&format!("nbd+unix:///?socket={uri}"))?;
        server.accept(|| listener.accept().map(|(stream, _)| stream));
    }
    #[cfg(not(unix))]
    if let Some(path) = unix {
        return Err(Failure::of(path, "cannot be made: this system has no Unix sockets"));
    }
    if let Some(port) = port {
        let failed = |error| Failure::message(format_args!("port {port} of the loopback interface: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        announce(&format!("nbd://localhost:{port}"))?;
        server.accept(|| {
            let stream = listener.accept()?.0;
            // A reply is one write, so there is nothing to wait for.
            stream.set_nodelay(true)?;
            Ok(stream)
        });
    }
    drop(interrupt);
    Ok(())
}

/// Prints the address, so that the user and scripts know that the server is ready.
fn announce(uri: &str) -> Result<(), Failure> {
    let mut lines = Lines::new()?;
    lines.line(uri)?;
    lines.finish()
}

#[cfg(unix)]
fn percent_encoded(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;

    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let bytes = path.as_os_str().as_bytes().iter();
    bytes
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => char::from(*byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

struct Server {
    disk: Arc<Mutex<Disk>>,
    /// Held by each client's thread, to count them.
    clients: Arc<()>,
}

impl Server {
    /// Serves clients forever, each in its own thread.
    fn accept<S: Stream>(&self, mut next: impl FnMut() -> std::io::Result<S>) {
        loop {
            let Ok(stream) = next() else {
                // A client left at once, or too many files are open until other clients leave.
                thread::sleep(Duration::from_millis(10));
                continue;
            };
            if Arc::strong_count(&self.clients) > CLIENTS {
                // Dropping the connection closes it.
                continue;
            }
            let (disk, held) = (Arc::clone(&self.disk), Arc::clone(&self.clients));
            // A client that breaks the protocol or leaves ends only its own thread.
            let served = thread::Builder::new().spawn(move || {
                let _held = held;
                let patience = stream.set_patience(Some(PATIENCE), Some(PATIENCE));
                patience.and_then(|()| {
                    nbd::serve(stream, &Shared(disk), |stream| {
                        // A client may pause between requests, but not before it has taken a reply.
                        let _ = stream.set_patience(None, Some(DEADLINE));
                    })
                })
            });
            drop(served);
        }
    }
}

/// A connection.
trait Stream: Read + Write + Send + 'static {
    /// Sets the times after which a read and a write fail.
    fn set_patience(&self, read: Option<Duration>, write: Option<Duration>) -> std::io::Result<()>;
}

impl Stream for TcpStream {
    fn set_patience(&self, read: Option<Duration>, write: Option<Duration>) -> std::io::Result<()> {
        self.set_read_timeout(read)?;
        self.set_write_timeout(write)
    }
}

#[cfg(unix)]
impl Stream for std::os::unix::net::UnixStream {
    fn set_patience(&self, read: Option<Duration>, write: Option<Duration>) -> std::io::Result<()> {
        self.set_read_timeout(read)?;
        self.set_write_timeout(write)
    }
}

/// The disk, which clients read one at a time.
struct Shared(Arc<Mutex<Disk>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Disk> {
        // The disk stays usable after any error, and so after a panic in another thread.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prints the cause of a failed read, of which the client sees only `EIO`.
fn report(failure: &Failure) -> u32 {
    if let Failure::Message(message, _) = failure {
        say(message);
    }
    EIO
}

impl Export for Shared {
    fn size(&self) -> u64 {
        self.lock().size()
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), u32> {
        self.lock().read_at(offset, buf).map_err(|failure| report(&failure))
    }

    fn run(&self, offset: u64, most: u64) -> Result<(u64, bool), u32> {
        let mut disk = self.lock();
        Ok(match disk.find(offset, most) {
            Ok(found) => (found.extent.len, found.extent.kind == ExtentKind::Zero),
            // Shown as data, because reading them returns the error to the client.
            Err(flaw) => (flaw.len, false),
        })
    }
}
