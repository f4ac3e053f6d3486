//! SPARQL, over a cluster in memory and over whole clusters on loopback: the W3C suites, random queries compared with
//! spareval on the same facts, groups and first rows, plans and their profiles, and queries that have to stop.

mod ask;
mod cyclic;
mod folds;
mod front;
mod graphs;
mod large;
mod letter;
mod naive;
mod oracle;
mod order;
mod profile;
mod random_query;
mod stopping;
mod w3c;
