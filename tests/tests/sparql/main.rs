//! The SPARQL front over a cluster in memory: the W3C suites, and random queries beside spareval on the same facts.

mod ask;
mod front;
mod oracle;
mod random_query;
mod w3c;
