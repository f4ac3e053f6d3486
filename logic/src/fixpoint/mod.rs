//! The fixpoint: distributed semi-naive evaluation of one epoch at one node.
//!
//! ```text
//! stage facts ─► round 1: saturate locally ─► rows (levels) ─► heads and copies ─► accept ─► round 2 … ─► sealed runs
//! ```
//!
//! # Two kinds of rules
//! A *local* rule has a variable whose home holds a copy of every fact that an instance needs. It is evaluated to its
//! local fixpoint, in steps, before anything is exchanged. A step's delta is the facts that the step before found; in
//! the first step, the facts that the last exchange brought. Each atom of a local rule always reads the same copy, so
//! the usual triangle (old before the delta, all after it) is exact on that copy. At a single node an atom may read
//! either copy: both get a step's facts at its end. Inverse copies that no plan reads after the first step are sorted only
//! when the round is over, all at once. Relations that recursion makes dense are kept as bit matrices, in which one
//! lookup shows whether a fact is new (`dense.rs`).
//!
//! A relation that no rule derives may be *broadcast* (`broadcast.rs`, `plan/broadcast.rs`): at the beginning of the first
//! round every node sends its facts of the relation to all others. The rules that read it are local if their other
//! atoms are, which decide where rows are. Staged facts of the relation are new in the first step only, when both
//! copies of every fact agree at all nodes, so those deltas may be read anywhere.
//!
//! A relation that rules derive only from underived relations may be broadcast as well, before the second round's work. A
//! rule that reads it everywhere is *late*: it does not fire in the first round. When all facts of the relation have
//! arrived, it fires over everything known at its node, except for the next step's delta; from then on it is like any
//! rule that reads broadcast relations. So an instance has its broadcast facts from the beginning, and each of its
//! other facts either was known by then or is new in that step or a later one. The facts with one object, such as the
//! members of a class, are broadcast separately (`plan/extent.rs`).
//!
//! A *shipped* rule moves rows between nodes. Its atoms read copies at several homes, so its deltas need a state that
//! both copies of every fact agree on: each fact is *published* in the round after the one that found it, when its
//! inverse copy has arrived.
//!
//! ```text
//!            settled            published               pending
//! facts of   earlier rounds     published this round    found this round, or just accepted
//! shipped    old                delta                   -
//! local      old + delta of earlier steps; the latest facts (of published and pending) are the first step's delta
//! ```
//!
//! # How facts go
//! An attempt has *phases* (`phase.rs`), and each phase has rounds of its own; the coordinator opens them
//! ([`epoch`](crate::epoch)).
//!
//! *Delete.* The facts that are no longer asserted are deleted, and with them every derived fact that is the head of an instance
//! with a deleted fact, or of a rule that no longer holds. The machine is the one for new facts, with two differences: the
//! delta is what the step before has deleted, and a head becomes part of the next delta if it is there, derived and not
//! asserted (`reasoner/delete.rs`). What the attempt adds is not seen. `state/views.rs` has the views.
//!
//! *Insert.* In its first round, beside what is new, each rule looks for those deleted facts that it derives from facts that are
//! there (`RulePlans::rederive`). They come back as new facts, and whatever else is derived from them as well.
//!
//! *Recompute.* All derived facts are dropped, and every rule is evaluated over everything. An attempt that has cost too much
//! goes on with this phase at all nodes, from any round ([`Setup::give_up`](reasoner::Setup)): what it has found is dropped.
//!
//! This is exact. Every derived fact of the old state has a finite derivation from asserted facts. A fact that *Delete* leaves has
//! lost no instance, so the facts of all its instances are left, and by induction its whole derivation: what is left
//! is entailed. (Facts that support only each other do not stay, since one of them has lost an instance that supported it
//! from outside.) Nothing that is entailed is missing after *Insert*, since every instance over what is there has fired: if
//! none of its facts is new in this attempt, its head was left, or was deleted, and its rule's re-derivation finds it; otherwise
//! it fires when the last of its facts is new.
//!
//! At the seal, a fact that was deleted and came back has not changed, unless it was asserted before and is only derived now
//! (`state/changes.rs`).
//!
//! # Invariants
//! - The runs of a copy (base, settled, published, pending, recent) are pairwise disjoint.
//! - The forward copy decides: a candidate becomes a fact only at its subject's home, once.
//! - A fact found in round r has both copies in place, and is published, in round r+1 (an inverse copy that no plan reads may
//!   come later, when nothing new is found: `deferred_inverse.rs`); one accepted at the end of round
//!   r (its head came from another node) is found in round r+1.
//! - Nothing is derived in the last round of an attempt, at any node, so every instance over the final facts has fired.

pub mod base;
mod broadcast;
mod deferred_inverse;
mod dense;
mod heads;
mod morsels;
pub mod phase;
mod reads;
pub mod reasoner;
pub mod staging;
pub mod state;

#[cfg(test)]
mod tests;

pub use base::Base;
pub use phase::{Phase, Step};
pub use reasoner::{Effect, Event, Mode, Reasoner, Report};
pub use staging::{
    Effect as StagedEffect, FoldCounts, Graphs, OperationCounts, RemovalCounts, StagedChanges, StagedFacts,
    Step as StagedStep,
};
pub use state::{Changes, State};
