//! `serve`, with a client that knows the protocol's bytes, and with other programs.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::place::{CLUSTER, Place, Qcow, SPAN, sha256, tool_path};

/// A running server, which is stopped at the end.
struct Server {
    tool: Child,
    uri: String,
}

impl Server {
    fn start(place: &Place, args: &[&str]) -> Self {
        let mut tool = Command::new(tool_path());
        tool.arg("serve")
            .args(args)
            .current_dir(place.path(""))
            .stdout(Stdio::piped());
        let mut tool = tool.spawn().unwrap();
        let mut uri = String::new();
        BufReader::new(tool.stdout.take().unwrap()).read_line(&mut uri).unwrap();
        Self {
            tool,
            uri: uri.trim_end().to_owned(),
        }
    }

    /// Sends SIGTERM, and returns the exit status.
    fn stop(mut self) -> Option<i32> {
        let kill = Command::new("kill").arg(self.tool.id().to_string()).status();
        assert!(kill.unwrap().success());
        self.tool.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.tool.kill();
        let _ = self.tool.wait();
    }
}

/// A client of a server at the socket `s`.
struct Client(UnixStream);

impl Client {
    /// Connects, and reads the server's greeting.
    fn connect(place: &Place) -> Self {
        let mut client = Self(UnixStream::connect(place.path("s")).unwrap());
        assert_eq!(client.take(18), b"NBDMAGICIHAVEOPT\0\x03");
        client
    }

    /// Connects, and begins to read the disk without structured replies.
    fn plain(place: &Place) -> Self {
        let mut client = Self::connect(place);
        client.send(&[
            &3_u32.to_be_bytes(),
            b"IHAVEOPT",
            &1_u32.to_be_bytes(),
            &0_u32.to_be_bytes(),
        ]);
        client.take(10);
        client
    }

    fn send(&mut self, parts: &[&[u8]]) {
        self.0.write_all(&parts.concat()).unwrap();
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Sends a request, and returns the error of its simple reply.
    fn ask(&mut self, kind: u16, offset: u64, len: u32) -> u32 {
        let head = [&0x2560_9513_u32.to_be_bytes()[..], &[0; 2], &kind.to_be_bytes()].concat();
        self.send(&[&head, b"a cookie", &offset.to_be_bytes(), &len.to_be_bytes()]);
        let reply = self.take(16);
        assert_eq!(reply[..4], 0x6744_6698_u32.to_be_bytes());
        assert_eq!(&reply[8..], b"a cookie");
        u32::from_be_bytes(reply[4..8].try_into().unwrap())
    }

    /// Waits until the server ends the connection.
    fn assert_ended(mut self) {
        let mut rest = Vec::new();
        // It may be reset, because the server does not read what is still to come.
        let _ = self.0.read_to_end(&mut rest);
    }
}

fn image(place: &Place) {
    place.write(
        "image.qcow",
        Qcow::new(SPAN + 100).data(0x5000, 5).word(0x8000, 0x2001).build(),
    );
}

#[test]
fn a_client_reads_the_disk_and_cannot_write() {
    let place = Place::new();
    image(&place);
    let server = Server::start(&place, &["image.qcow", "--unix", "s"]);
    assert!(
        server.uri.starts_with("nbd+unix:///?socket=/") && server.uri.ends_with("/s"),
        "{}",
        server.uri
    );
    let mut client = Client::plain(&place);
    assert_eq!(client.ask(0, 0x4fff, 2), 0);
    assert_eq!(client.take(2), [0, 5]);
    // Out of range, by one byte and by an overflow; too long; and of length 0.
    for (offset, len) in [(SPAN + 99, 2), (u64::MAX, 2), (0, 0)] {
        assert_eq!(client.ask(0, offset, len), 22);
    }
    assert_eq!(client.ask(0, 0, (32 << 20) + 1), 75);
    // A corrupt cluster is an error of this read only.
    assert_eq!(client.ask(0, 0x8000, 1), 5);
    // TRIM and WRITE_ZEROES, an unknown command, and a write, whose bytes are taken.
    for (kind, error) in [(4, 1), (6, 1), (99, 22), (7, 22)] {
        assert_eq!(client.ask(kind, 0, 512), error);
    }
    client.send(&[
        &0x2560_9513_u32.to_be_bytes(),
        &[0, 0, 0, 1],
        b"a cookie",
        &0_u64.to_be_bytes(),
        &512_u32.to_be_bytes(),
        &[9; 512],
    ]);
    assert_eq!(client.take(16)[4..8], 1_u32.to_be_bytes());
    assert_eq!(client.ask(0, SPAN + 99, 1), 0);
    assert_eq!(client.take(1), [0]);
    assert_eq!(server.stop(), Some(0));
    assert_eq!(place.names(), ["image.qcow"]);
}

#[test]
fn a_hostile_client_ends_its_own_connection_and_nothing_else() {
    let place = Place::new();
    image(&place);
    let server = Server::start(&place, &["image.qcow", "--unix", "s"]);
    let mut good = Client::plain(&place);
    let option = |option: u32, len: u32| [b"IHAVEOPT", &option.to_be_bytes()[..], &len.to_be_bytes()].concat();
    let flags = 3_u32.to_be_bytes();
    let greetings = [
        // Unknown flags, no magic number, and an option that is too long.
        0xffff_ffff_u32.to_be_bytes().to_vec(),
        [&flags[..], &[0xaa; 64]].concat(),
        [&flags[..], &option(7, u32::MAX), &[0; 64]].concat(),
    ];
    for bytes in &greetings {
        let mut client = Client::connect(&place);
        let _ = client.0.write_all(bytes);
        client.assert_ended();
    }
    // Lengths inside options that contradict those of the options: errors, after which the client
    // may continue.
    for (kind, data) in [
        (7, vec![0xff; 10]),
        (7, vec![0; 3]),
        (6, [&0_u32.to_be_bytes()[..], &[0xff, 0xff, 0, 0]].concat()),
        (9, vec![0; 4]),
        (8, vec![1]),
        (3, vec![1]),
        (1234, vec![7; 8192]),
    ] {
        let mut client = Client::connect(&place);
        client.send(&[&flags, &option(kind, data.len() as u32), &data]);
        let reply = client.take(20);
        assert_eq!(reply[12] & 0x80, 0x80, "{kind} {reply:?}");
        assert_eq!(reply[16..], [0; 4]);
        client.send(&[&option(2, 0)]);
        client.take(20);
        client.assert_ended();
    }
    // A query with a length that contradicts that of the option, and many that do not.
    let mut client = Client::connect(&place);
    client.send(&[&flags, &option(8, 0)]);
    client.take(20);
    let queries = [&0_u32.to_be_bytes()[..], &u32::MAX.to_be_bytes(), &[0; 8000]].concat();
    client.send(&[&option(10, queries.len() as u32), &queries]);
    assert_eq!(client.take(20)[12] & 0x80, 0x80);
    // Requests without a magic number, and a write that ends early.
    for bytes in [
        vec![7; 28],
        [&0x2560_9513_u32.to_be_bytes()[..], &[0, 0, 0, 1], &[0xff; 20]].concat(),
    ] {
        let mut client = Client::plain(&place);
        client.send(&[&bytes]);
        client.0.shutdown(std::net::Shutdown::Write).unwrap();
        client.assert_ended();
    }
    // Clients that leave at any moment.
    for len in 0..40 {
        let mut client = Client::connect(&place);
        client.send(&[&[&flags[..], &option(1, 0), &[0x25; 28]].concat()[..len]]);
    }
    // The client that came first is still served, and so is a new one.
    for client in [&mut good, &mut Client::plain(&place)] {
        assert_eq!(client.ask(0, 0x5000, 1), 0);
        assert_eq!(client.take(1), [5]);
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn more_clients_than_places_are_turned_away_until_one_leaves() {
    let place = Place::new();
    image(&place);
    let _server = Server::start(&place, &["image.qcow", "--unix", "s"]);
    let mut clients: Vec<_> = (0..16).map(|_| Client::plain(&place)).collect();
    let mut refused = UnixStream::connect(place.path("s")).unwrap();
    assert_eq!(refused.read(&mut [0]).unwrap(), 0);
    clients.pop();
    // The server notices soon that a client has left.
    let served = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        let mut client = UnixStream::connect(place.path("s")).unwrap();
        client.read(&mut [0]).unwrap() == 1
    });
    assert!(served);
}

#[test]
fn the_socket_is_private_and_replaces_nothing() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    image(&place);
    let server = Server::start(&place, &["image.qcow", "--unix", "s"]);
    let mode = std::fs::metadata(place.path("s")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for path in ["s", "image.qcow", "gone/s"] {
        let error = place.error(&["serve", "image.qcow", "--unix", path]);
        assert!(error.starts_with(&format!("{path}: cannot be made: ")), "{error}");
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn an_image_that_cannot_be_opened_is_not_served() {
    let place = Place::new();
    place.write("raw", [1; 512]);
    let error = place.error_with(5, &["serve", "raw", "--port", "0"]);
    assert_eq!(error, "raw: not a QCOW image: the magic number is missing");
}

/// Runs a program of others, and returns its output.
fn run(place: &Place, program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(place.path("")).output();
    let output = output.unwrap_or_else(|_| panic!("{program} can't be run"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {text} {error}");
    text
}

#[test]
#[ignore = "needs nbdinfo and nbdcopy"]
fn libnbd_reads_the_map_and_the_bytes() {
    let place = Place::new();
    let image = Qcow::new(4 * SPAN)
        .backing("base.raw")
        .data(0x5000, 5)
        .data(SPAN, 0)
        .data(2 * SPAN, 7);
    place.write("top.qcow", image.build());
    place.write("base.raw", [9; 8192]);
    for listen in [["--unix", "a socket"], ["--port", "0"]] {
        let server = Server::start(&place, &[&["top.qcow", "--follow"], &listen[..]].concat());
        let map = run(&place, "nbdinfo", &["--map", "--json", &server.uri]);
        let map: Value = serde_json::from_str(&map).unwrap();
        let map: Vec<_> = map
            .as_array()
            .unwrap()
            .iter()
            .map(|run| {
                let number = |name| run[name].as_u64().unwrap();
                (number("offset"), number("length"), number("type"))
            })
            .collect();
        assert_eq!(
            map,
            [
                (0, 0x2000, 0),
                (0x2000, 0x3000, 3),
                (0x5000, CLUSTER, 0),
                (0x6000, SPAN - 0x6000, 3),
                (SPAN, CLUSTER, 0),
                (SPAN + CLUSTER, SPAN - CLUSTER, 3),
                (2 * SPAN, CLUSTER, 0),
                (2 * SPAN + CLUSTER, 2 * SPAN - CLUSTER, 3),
            ]
        );
        run(&place, "nbdcopy", &[&server.uri, "copy.raw"]);
        assert!(place.read("copy.raw") == place.output(&["dump", "top.qcow", "-", "--follow"]));
        assert_eq!(server.stop(), Some(0));
    }
}

#[test]
#[ignore = "needs nbdinfo"]
fn a_flaw_is_data_in_the_map_and_an_error_only_when_it_is_read() {
    let place = Place::new();
    place.write("image.qcow", Qcow::new(SPAN).word(0, 0x2001).data(0x5000, 5).build());
    let server = Server::start(&place, &["image.qcow", "--unix", "s"]);
    let map = run(&place, "nbdinfo", &["--map", "--json", &server.uri]);
    let map: Value = serde_json::from_str(&map).unwrap();
    let map: Vec<_> = map
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["type"].as_u64().unwrap())
        .collect();
    assert_eq!(map, [0, 3, 0, 3]);
    let mut client = Client::plain(&place);
    assert_eq!(client.ask(0, 0, 512), 5);
    assert_eq!(client.ask(0, 0x5000, 1), 0);
    assert_eq!(client.take(1), [5]);
}

#[test]
#[ignore = "needs qemu-img"]
fn qemu_reads_each_vector_from_the_server_as_it_was_dumped() {
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors");
    let manifest = std::fs::read_to_string(format!("{vectors}/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let place = Place::new();
    let mut compared = 0;
    for vector in manifest["images"].as_array().unwrap() {
        // Not those that cannot be read as a whole.
        let Some(digest) = vector["strict"]["sha256"].as_str() else {
            continue;
        };
        let file = format!("{vectors}/images/{}", vector["file"].as_str().unwrap());
        let mut options = vec!["-q".to_owned()];
        let file_of = |name: &Value| format!("{vectors}/images/{}", name.as_str().unwrap());
        for backing in vector["backing"].as_array().into_iter().flatten() {
            let format = backing["format"].as_str().unwrap();
            options.extend([
                "--backing".to_owned(),
                format!("{format}:{}", file_of(&backing["file"])),
            ]);
        }
        if let Some(key) = vector["key"]
            .as_str()
            .filter(|_| !file.ends_with("-for-a-plain-image.qcow"))
        {
            place.write("key", key);
            options.extend(["--key-file".to_owned(), "key".to_owned()]);
        }
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        let _ = std::fs::remove_file(place.path("out.raw"));
        place.output(&[&["dump", &file, "out.raw"], &options[..]].concat());
        assert_eq!(sha256(&place.read("out.raw")), digest, "{file}");
        let server = Server::start(&place, &[&[&file, "--unix", "s"], &options[..]].concat());
        let same = run(
            &place,
            "qemu-img",
            &["compare", "-f", "raw", "-F", "raw", &server.uri, "out.raw"],
        );
        assert!(same.contains("Images are identical."), "{file}: {same}");
        assert_eq!(server.stop(), Some(0));
        compared += 1;
    }
    assert!(compared > 150, "{compared}");
}
