//! RDF formats. Reading: bytes in, batches of facts over distinct terms out, in bounded memory for every format.
//!
//! ```text
//!              N-Triples, N-Quads   blocks cut at line ends ──► several parsers at once ─┐
//! input ─ decompress ─┤                                                                  ├─► relabel, intern ─► sink
//!              Turtle, TriG, RDF/XML, JSON-LD ──► one parser on a thread of its own ─────┘
//! ```
//!
//! The crate has no sockets and is independent of the cluster: the caller's sink receives the batches. It is called
//! from several threads and may block, which throttles the parsers.
//!
//! Folders: `batch` (facts over distinct terms), `read` (one folder for each family of formats), `write` (serializers).
//!
//! Invariants: memory is bounded by [`Limits`] and the number of threads, not by the input; the reported error
//! is the first one in the file, however the work was divided; the same input with the same request gives the same
//! facts, including blank nodes; malformed input is an error and never a panic.

mod batch;
mod format;
mod read;
mod request;
#[cfg(test)]
mod tests;
mod write;

pub use batch::blank::blank_scope;
pub use batch::quads::QuadBatches;
pub use batch::{Batch, Slot, SlotFact, TermTable};
pub use format::{Compression, Detected, Format, detect, format_of};
pub use read::parse;
pub use read::source::Input;
pub use request::{Limits, OnError, ParseReport, ParseRequest, Progress, Sink};
pub use write::{Compressor, Serializer};
