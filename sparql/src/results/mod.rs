//! Results: rows to the bytes of the SPARQL result formats, in parts of bounded size.

pub(crate) mod output;
mod table;
