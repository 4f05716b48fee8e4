//! A read-only server of the Network Block Device protocol: fixed newstyle, structured replies,
//! `base:allocation`.
//!
//! <https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md> has the names and the
//! rules.

use std::io::{self, Read, Write};

const NBDMAGIC: u64 = 0x4e42_444d_4147_4943;
const IHAVEOPT: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const SIMPLE_REPLY: u32 = 0x6744_6698;
const STRUCTURED_REPLY: u32 = 0x668e_33ef;

const FLAG_FIXED_NEWSTYLE: u16 = 1;
const FLAG_NO_ZEROES: u16 = 2;

/// HAS_FLAGS, READ_ONLY, SEND_FLUSH, SEND_DF, CAN_MULTI_CONN, SEND_CACHE.
const TRANSMISSION: u16 = 1 | 2 | 4 | 1 << 7 | 1 << 8 | 1 << 10;

const OPT_EXPORT_NAME: u32 = 1;
const OPT_ABORT: u32 = 2;
const OPT_LIST: u32 = 3;
const OPT_INFO: u32 = 6;
const OPT_GO: u32 = 7;
const OPT_STRUCTURED_REPLY: u32 = 8;
const OPT_LIST_META_CONTEXT: u32 = 9;
const OPT_SET_META_CONTEXT: u32 = 10;

const REP_ACK: u32 = 1;
const REP_SERVER: u32 = 2;
const REP_INFO: u32 = 3;
const REP_META_CONTEXT: u32 = 4;
const REP_ERR_UNSUP: u32 = 1 << 31 | 1;
const REP_ERR_INVALID: u32 = 1 << 31 | 3;

const INFO_EXPORT: u16 = 0;
const INFO_BLOCK_SIZE: u16 = 3;

const CMD_READ: u16 = 0;
const CMD_WRITE: u16 = 1;
const CMD_DISC: u16 = 2;
const CMD_FLUSH: u16 = 3;
const CMD_CACHE: u16 = 5;
const CMD_BLOCK_STATUS: u16 = 7;
const CMD_FLAG_REQ_ONE: u16 = 1 << 3;

const CHUNK_DONE: u16 = 1;
const CHUNK_NONE: u16 = 0;
const CHUNK_OFFSET_DATA: u16 = 1;
const CHUNK_BLOCK_STATUS: u16 = 5;
const CHUNK_ERROR: u16 = 1 << 15 | 1;

pub(crate) const EPERM: u32 = 1;
pub(crate) const EIO: u32 = 5;
const EINVAL: u32 = 22;
const EOVERFLOW: u32 = 75;

/// HOLE and ZERO of `base:allocation`.
const STATE_ZEROS: u32 = 3;

const ALLOCATION: &[u8] = b"base:allocation";
const ALLOCATION_ID: u32 = 1;

/// The maximum length of an option in bytes: a name has at most 4,096, and a query adds few.
const MAX_OPTION: u32 = 8192;

/// The maximum length of one read in bytes. Clients assume it unless the server states another.
const MAX_READ: u32 = 32 << 20;

/// The maximum number of runs in one reply.
const MAX_RUNS: usize = 1024;

/// A disk to serve. Both methods get ranges inside the disk, and return an error of the protocol.
pub(crate) trait Export {
    fn size(&self) -> u64;

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), u32>;

    /// Returns the length of the run at `offset`, at most `most`, and whether it reads as zeros and
    /// is not stored.
    fn run(&self, offset: u64, most: u64) -> Result<(u64, bool), u32>;
}

/// Serves one client until it disconnects. `is_ready` is called when the negotiation is over.
///
/// # Errors
/// The connection failed, or the client broke the protocol.
pub(crate) fn serve<S: Read + Write>(stream: S, export: &impl Export, is_ready: impl FnOnce(&S)) -> io::Result<()> {
    let mut client = Client {
        stream,
        structured: false,
        allocation: false,
    };
    if client.negotiate(export)? {
        is_ready(&client.stream);
        while client.answer(export)? {}
    }
    Ok(())
}

struct Client<S> {
    stream: S,
    structured: bool,
    /// Whether the client selected `base:allocation`.
    allocation: bool,
}

impl<S: Read + Write> Client<S> {
    /// Returns `true` if the client continues with reading the disk.
    fn negotiate(&mut self, export: &impl Export) -> io::Result<bool> {
        let flags = FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES;
        self.send(&[&NBDMAGIC.to_be_bytes(), &IHAVEOPT.to_be_bytes(), &flags.to_be_bytes()])?;
        let client_flags = self.u32()?;
        if client_flags & !u32::from(flags) != 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let no_zeroes = client_flags & u32::from(FLAG_NO_ZEROES) != 0;
        loop {
            let (magic, option, len) = (self.u64()?, self.u32()?, self.u32()?);
            if magic != IHAVEOPT || len > MAX_OPTION {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut data = vec![0; len as usize];
            self.stream.read_exact(&mut data)?;
            let (size, flags) = (export.size().to_be_bytes(), TRANSMISSION.to_be_bytes());
            match option {
                // The export has no name, and every name selects it, as with qemu-nbd without a
                // name.
                OPT_EXPORT_NAME => {
                    let zeroes = [0; 124];
                    self.send(&[&size, &flags, &zeroes[..if no_zeroes { 0 } else { 124 }]])?;
                    return Ok(true);
                }
                OPT_ABORT => {
                    self.reply(option, REP_ACK, &[])?;
                    return Ok(false);
                }
                OPT_LIST if data.is_empty() => {
                    // The length of the name, which is empty.
                    self.reply(option, REP_SERVER, &[&0_u32.to_be_bytes()])?;
                    self.reply(option, REP_ACK, &[])?;
                }
                OPT_INFO | OPT_GO => match info_requests(&data) {
                    Some(requests) => {
                        self.reply(option, REP_INFO, &[&INFO_EXPORT.to_be_bytes(), &size, &flags])?;
                        if requests.contains(&INFO_BLOCK_SIZE) {
                            let sizes = [1, 4096, MAX_READ].map(u32::to_be_bytes);
                            self.reply(
                                option,
                                REP_INFO,
                                &[&INFO_BLOCK_SIZE.to_be_bytes(), sizes.as_flattened()],
                            )?;
                        }
                        self.reply(option, REP_ACK, &[])?;
                        if option == OPT_GO {
                            return Ok(true);
                        }
                    }
                    None => self.reply(option, REP_ERR_INVALID, &[])?,
                },
                OPT_STRUCTURED_REPLY if data.is_empty() => {
                    self.structured = true;
                    self.reply(option, REP_ACK, &[])?;
                }
                OPT_LIST_META_CONTEXT | OPT_SET_META_CONTEXT if self.structured => match queries(&data) {
                    Some(queries) => {
                        let lists_all = option == OPT_LIST_META_CONTEXT && queries.is_empty();
                        let found = lists_all || queries.iter().any(|query| is_allocation(query, option));
                        if option == OPT_SET_META_CONTEXT {
                            self.allocation = found;
                        }
                        if found {
                            self.reply(option, REP_META_CONTEXT, &[&ALLOCATION_ID.to_be_bytes(), ALLOCATION])?;
                        }
                        self.reply(option, REP_ACK, &[])?;
                    }
                    None => self.reply(option, REP_ERR_INVALID, &[])?,
                },
                OPT_LIST | OPT_STRUCTURED_REPLY | OPT_LIST_META_CONTEXT | OPT_SET_META_CONTEXT => {
                    self.reply(option, REP_ERR_INVALID, &[])?;
                }
                _ => self.reply(option, REP_ERR_UNSUP, &[])?,
            }
        }
    }

    /// Answers one request. Returns `false` if the client disconnects.
    fn answer(&mut self, export: &impl Export) -> io::Result<bool> {
        let mut head = [0; 28];
        // A client may disconnect without `CMD_DISC`.
        if self.stream.read(&mut head[..1])? == 0 {
            return Ok(false);
        }
        self.stream.read_exact(&mut head[1..])?;
        let number = |at: usize, len: usize| {
            head[at..][..len]
                .iter()
                .fold(0, |number, byte| number << 8 | u64::from(*byte))
        };
        if number(0, 4) != u64::from(REQUEST) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (flags, kind, cookie) = (number(4, 2) as u16, number(6, 2) as u16, number(8, 8));
        let (offset, len) = (number(16, 8), number(24, 4) as u32);
        let is_inside = offset.checked_add(len.into()).is_some_and(|end| end <= export.size());
        match kind {
            CMD_READ if len > MAX_READ => self.error(cookie, EOVERFLOW)?,
            CMD_READ | CMD_CACHE | CMD_BLOCK_STATUS if !is_inside || len == 0 => self.error(cookie, EINVAL)?,
            CMD_READ => {
                let mut bytes = vec![0; len as usize];
                match export.read(offset, &mut bytes) {
                    Ok(()) if self.structured => {
                        self.chunk(cookie, CHUNK_OFFSET_DATA, &[&offset.to_be_bytes(), &bytes])?;
                    }
                    Ok(()) => self.simple(cookie, 0, &bytes)?,
                    Err(error) => self.error(cookie, error)?,
                }
            }
            CMD_BLOCK_STATUS if self.allocation => {
                let most = if flags & CMD_FLAG_REQ_ONE != 0 { 1 } else { MAX_RUNS };
                match runs(export, offset, len, most) {
                    Ok(runs) => self.chunk(cookie, CHUNK_BLOCK_STATUS, &[&ALLOCATION_ID.to_be_bytes(), &runs])?,
                    Err(error) => self.error(cookie, error)?,
                }
            }
            CMD_FLUSH | CMD_CACHE => self.done(cookie)?,
            CMD_DISC => return Ok(false),
            CMD_WRITE => {
                // The bytes to write follow the request.
                let sent = io::copy(&mut Read::by_ref(&mut self.stream).take(len.into()), &mut io::sink())?;
                if sent != u64::from(len) {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.error(cookie, EPERM)?;
            }
            // TRIM and WRITE_ZEROES.
            4 | 6 => self.error(cookie, EPERM)?,
            _ => self.error(cookie, EINVAL)?,
        }
        Ok(true)
    }

    fn done(&mut self, cookie: u64) -> io::Result<()> {
        match self.structured {
            true => self.chunk(cookie, CHUNK_NONE, &[]),
            false => self.simple(cookie, 0, &[]),
        }
    }

    fn error(&mut self, cookie: u64, error: u32) -> io::Result<()> {
        match self.structured {
            // The length of the message: there is none.
            true => self.chunk(cookie, CHUNK_ERROR, &[&error.to_be_bytes(), &0_u16.to_be_bytes()]),
            false => self.simple(cookie, error, &[]),
        }
    }

    fn simple(&mut self, cookie: u64, error: u32, bytes: &[u8]) -> io::Result<()> {
        self.send(&[
            &SIMPLE_REPLY.to_be_bytes(),
            &error.to_be_bytes(),
            &cookie.to_be_bytes(),
            bytes,
        ])
    }

    /// Sends the only chunk of a structured reply.
    fn chunk(&mut self, cookie: u64, kind: u16, payload: &[&[u8]]) -> io::Result<()> {
        let (magic, flags, kind) = (
            STRUCTURED_REPLY.to_be_bytes(),
            CHUNK_DONE.to_be_bytes(),
            kind.to_be_bytes(),
        );
        let (cookie, len) = (cookie.to_be_bytes(), len_of(payload));
        self.send(&[&[&magic[..], &flags, &kind, &cookie, &len].concat()[..]])?;
        self.send(payload)
    }

    fn reply(&mut self, option: u32, kind: u32, payload: &[&[u8]]) -> io::Result<()> {
        let (option, kind) = (option.to_be_bytes(), kind.to_be_bytes());
        self.send(&[&OPTION_REPLY.to_be_bytes(), &option, &kind, &len_of(payload)])?;
        self.send(payload)
    }

    /// Sends short parts together, because each write may be a packet.
    fn send(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        match parts.iter().map(|part| part.len()).sum() {
            0..=65_536 => self.stream.write_all(&parts.concat()),
            _ => parts.iter().try_for_each(|part| self.stream.write_all(part)),
        }
    }

    fn u32(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.stream.read_exact(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn u64(&mut self) -> io::Result<u64> {
        Ok(u64::from(self.u32()?) << 32 | u64::from(self.u32()?))
    }
}

/// Returns the runs of a range as the protocol has them, at most `most`.
fn runs(export: &impl Export, offset: u64, len: u32, most: usize) -> Result<Vec<u8>, u32> {
    let end = offset + u64::from(len);
    let (mut runs, mut at) = (Vec::<(u32, u32)>::new(), offset);
    while at < end {
        let (len, is_zero) = export.run(at, end - at)?;
        let state = if is_zero { STATE_ZEROS } else { 0 };
        // Inside a range whose length has 32 bits.
        let is_full = runs.len() == most;
        match runs.last_mut().filter(|last| last.1 == state) {
            Some(last) => last.0 += len as u32,
            None if is_full => break,
            None => runs.push((len as u32, state)),
        }
        at += len;
    }
    Ok(runs
        .iter()
        .flat_map(|run| [run.0.to_be_bytes(), run.1.to_be_bytes()])
        .flatten()
        .collect())
}

fn len_of(payload: &[&[u8]]) -> [u8; 4] {
    // At most the maximum length of a read, and few bytes more.
    (payload.iter().map(|part| part.len()).sum::<usize>() as u32).to_be_bytes()
}

/// Returns what INFO and GO ask for, or `None` if the option contradicts its own length.
fn info_requests(data: &[u8]) -> Option<Vec<u16>> {
    let (_name, rest) = string(data)?;
    let (count, rest) = rest.split_first_chunk()?;
    let (requests, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*count)) * 2)?;
    let requests = requests
        .chunks_exact(2)
        .map(|request| u16::from_be_bytes([request[0], request[1]]));
    rest.is_empty().then(|| requests.collect())
}

/// Returns the queries for contexts, or `None` if the option contradicts its own length.
fn queries(data: &[u8]) -> Option<Vec<&[u8]>> {
    let (_name, rest) = string(data)?;
    let (count, mut rest) = rest.split_first_chunk()?;
    let mut queries = Vec::new();
    // Bound: a query takes 4 bytes of an option of at most MAX_OPTION bytes.
    for _ in 0..u32::from_be_bytes(*count) {
        let (query, after) = string(rest)?;
        queries.push(query);
        rest = after;
    }
    rest.is_empty().then_some(queries)
}

fn is_allocation(query: &[u8], option: u32) -> bool {
    query == ALLOCATION || (query == b"base:" && option == OPT_LIST_META_CONTEXT)
}

/// Splits a string off, which its length precedes.
fn string(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = data.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)
}
