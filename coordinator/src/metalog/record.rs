//! The bytes of the metadata log's file.
//!
//! ```text
//! file     magic: 8 | version: u32 | crc32c of both: u32 | record ...
//! record   payload length: u32 | crc32c of payload: u32 | crc32c of both: u32 | payload (postcard)
//! ```
//!
//! The first record may be a snapshot: the state after every entry up to its index. Every other one is an entry with
//! the next index.
//!
//! Records are written one at a time, each synced before the next, so a crash can tear only the last one. Unreadable bytes
//! are therefore a *torn tail*, cut off on opening, if no readable record follows them, and damage otherwise. The
//! length has a checksum of its own, or one flipped bit in it could make all that follows look like a torn tail.
//! (Damage of the very last record looks like a torn write; no single file can tell the two apart.)

use super::entry::Entry;
use super::state::State;
use crc32c::crc32c;
use entail_model::{Fault, Reason};
use serde::{Deserialize, Serialize};

const MAGIC: [u8; 8] = *b"ENTAILML";
const VERSION: u32 = 2;
/// The first version, whose entries are a part of those of the second.
const VERSION_FIRST: u32 = 1;
const FILE_HEADER: usize = 16;
const RECORD_HEADER: usize = 12;

/// The limit of a payload's size. The limits of the state keep snapshots well below it.
const PAYLOAD_MAX: usize = 64 << 20;

/// The content of a file, up to the length that is valid.
#[derive(Debug)]
pub struct Replayed {
    pub state: State,
    pub length: usize,
    /// Did an earlier version write it? Then it must not be appended to.
    pub is_old: bool,
}

/// The start of every file.
pub fn file_header() -> Vec<u8> {
    let mut header = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
    header.extend(crc32c(&header).to_le_bytes());
    header
}

/// The record of an entry.
pub fn entry(index: u64, entry: &Entry) -> Result<Vec<u8>, Fault> {
    record(&Payload::Entry(index, entry))
}

/// The record of a snapshot.
pub fn snapshot(state: &State) -> Result<Vec<u8>, Fault> {
    record(&Payload::Snapshot(state))
}

/// A record's payload, owned when read and borrowed when written.
#[derive(Serialize, Deserialize)]
enum Payload<E, S> {
    Entry(u64, E),
    Snapshot(S),
}

fn record(payload: &Payload<&Entry, &State>) -> Result<Vec<u8>, Fault> {
    let payload = postcard::to_stdvec(payload).map_err(|error| Fault::internal(format!("metadata log: {error}")))?;
    if payload.len() > PAYLOAD_MAX {
        return Err(Fault::new(Reason::LimitExceeded, "the metadata is too large for one record"));
    }
    let mut record = Vec::with_capacity(RECORD_HEADER + payload.len());
    record.extend((payload.len() as u32).to_le_bytes());
    record.extend(crc32c(&payload).to_le_bytes());
    record.extend(crc32c(&record).to_le_bytes());
    record.extend(payload);
    Ok(record)
}

/// Reads a whole file.
///
/// # Errors
/// [`Reason::Corrupt`] if it is not a metadata log, or is damaged anywhere but at its torn end;
/// [`Reason::Unsupported`] if a later version wrote it.
pub fn replay(bytes: &[u8]) -> Result<Replayed, Fault> {
    check_file_header(bytes)?;
    let is_old = number(bytes, 8) != VERSION;
    let mut replayed = Replayed { state: State::default(), length: FILE_HEADER, is_old };
    loop {
        match next(bytes, replayed.length) {
            Next::Record { payload, end } => {
                apply(&mut replayed, payload).map_err(|what| damaged(replayed.length, &what))?;
                replayed.length = end;
            }
            Next::End => return Ok(replayed),
            Next::Damaged(what) => return Err(damaged(replayed.length, what)),
        }
    }
}

fn damaged(at: usize, what: &str) -> Fault {
    Fault::corrupt(format!("the metadata log is damaged at byte {at}: {what}"))
}

fn check_file_header(bytes: &[u8]) -> Result<(), Fault> {
    let header = bytes.get(..FILE_HEADER).filter(|header| header.starts_with(&MAGIC));
    let header = header.ok_or_else(|| Fault::corrupt("the file is not a metadata log of Entail"))?;
    if number(header, 12) != crc32c(&header[..12]) {
        return Err(damaged(0, "wrong checksum of the header"));
    }
    match number(header, 8) {
        VERSION | VERSION_FIRST => Ok(()),
        other => Err(Fault::new(Reason::Unsupported, format!("the metadata log has version {other}, not {VERSION}"))),
    }
}

fn apply(replayed: &mut Replayed, payload: &[u8]) -> Result<(), String> {
    let (payload, rest) = postcard::take_from_bytes::<Payload<Entry, Box<State>>>(payload)
        .map_err(|error| format!("a record that is no entry: {error}"))?;
    match payload {
        _ if !rest.is_empty() => Err("a record with bytes after its entry".to_owned()),
        Payload::Snapshot(state) if replayed.length == FILE_HEADER => {
            replayed.state = *state;
            Ok(())
        }
        Payload::Snapshot(_) => Err("a snapshot after other records".to_owned()),
        Payload::Entry(index, _) if Some(index) != replayed.state.index().checked_add(1) => {
            Err(format!("entry {index} after entry {}", replayed.state.index()))
        }
        // Refused entries are never written here.
        Payload::Entry(index, entry) => match replayed.state.apply(index, &entry) {
            Ok(_) => Ok(()),
            Err(refused) => Err(format!("entry {index} contradicts those before: {refused}")),
        },
    }
}

/// The record at an offset of the file.
enum Next<'a> {
    Record {
        payload: &'a [u8],
        end: usize,
    },
    /// Nothing, or a torn tail.
    End,
    Damaged(&'static str),
}

fn next(bytes: &[u8], at: usize) -> Next<'_> {
    let rest = &bytes[at..];
    let Some(header) = rest.get(..RECORD_HEADER) else { return Next::End };
    let Some(length) = payload_length(header) else {
        return if holds_record(&rest[1..]) { Next::Damaged("wrong checksum of a length") } else { Next::End };
    };
    let Some(payload) = rest[RECORD_HEADER..].get(..length) else { return Next::End };
    let end = RECORD_HEADER + length;
    if number(header, 4) == crc32c(payload) {
        Next::Record { payload, end: at + end }
    } else if rest.len() == end {
        Next::End
    } else {
        Next::Damaged("wrong checksum of a record")
    }
}

/// The payload's length, if the header is whole.
fn payload_length(header: &[u8]) -> Option<usize> {
    let length = number(header, 0) as usize;
    (number(header, 8) == crc32c(&header[..8]) && length <= PAYLOAD_MAX).then_some(length)
}

/// Is there a whole record anywhere in `bytes`? Then the bytes before it were synced once, and are damaged now.
fn holds_record(bytes: &[u8]) -> bool {
    bytes.windows(RECORD_HEADER).enumerate().any(|(at, header)| {
        let payload = payload_length(header).and_then(|length| bytes[at + RECORD_HEADER..].get(..length));
        payload.is_some_and(|payload| number(header, 4) == crc32c(payload))
    })
}

/// The number at `at`; the caller has checked that it is in bounds.
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
