//! What an evaluation knows beside its rows: the time of the request, the base, and where new names come from.
//!
//! Nothing here is drawn by chance: random numbers, UUIDs and labels of new blank nodes are hashes of a seed, a row and a
//! place in the program, so the same request with the same seed gives the same answer.

use crate::value::instant::Instant;
use oxiri::Iri;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// What an evaluation knows beside its rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'c> {
    /// The value of NOW(), with a timezone; without one, NOW() is an error.
    pub now: Option<Instant>,
    /// What relative IRIs are resolved against.
    pub base: Option<&'c Iri<String>>,
    /// A secret of the request. Expressions over the same solutions get the same seed, so that BNODE gives one node for one
    /// label in one solution; any two other evaluations get seeds that differ.
    pub seed: [u64; 2],
    /// The number of the first row among those of this seed.
    pub first_row: u64,
    /// The number of the expression among those of this seed.
    pub expression: u32,
}

impl Context<'_> {
    /// A number that is new for each row and place of a call.
    pub(crate) fn fresh(&self, row: u32, place: u32) -> u128 {
        let mut hasher = self.of_row(row);
        hasher.write_u8(0);
        hasher.write(&self.expression.to_le_bytes());
        hasher.write(&place.to_le_bytes());
        hasher.finish128().as_u128()
    }

    /// A number that is new for each row and label, whatever the expression and the place in it.
    pub(crate) fn labelled(&self, row: u32, label: &str) -> u128 {
        let mut hasher = self.of_row(row);
        hasher.write_u8(1);
        hasher.write(label.as_bytes());
        hasher.finish128().as_u128()
    }

    fn of_row(&self, row: u32) -> SipHasher13 {
        let mut hasher = SipHasher13::new_with_keys(self.seed[0], self.seed[1]);
        hasher.write(&(self.first_row + u64::from(row)).to_le_bytes());
        hasher
    }
}
