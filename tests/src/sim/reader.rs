//! A simulated reader: pins the latest epoch at some moment and reads it, whole, from every node, or fails.

use super::wire::{Action, Process, Timer, Wire};
use entail_logic::fixpoint::Base;
use entail_model::random::Random;
use entail_model::{Epoch, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// Ticks after which a read fails.
const READ_TICKS: u64 = 150;

/// Reads, one at a time, for ever.
pub struct Reader {
    random: Random,
    call: u64,
    /// What the reader must see at least: what anyone knew to be committed when it asked.
    floor: Epoch,
    read: Option<Read>,
}

struct Read {
    epoch: Epoch,
    missing: BTreeSet<NodeId>,
    parts: BTreeMap<NodeId, Base>,
}

impl Reader {
    pub fn new(random: Random) -> Self {
        Self { random, call: 0, floor: Epoch(0), read: None }
    }

    /// The clock rings; `acknowledged` is the last epoch that a client was told of.
    pub fn wake(&mut self, timer: Timer, acknowledged: Epoch, out: &mut Vec<Action>) {
        match timer {
            Timer::Next => {}
            Timer::Timeout(call) if call == self.call => {}
            _ => return,
        }
        self.call += 1;
        self.floor = acknowledged;
        self.read = None;
        out.push(Action::Send { to: Process::Coordinator, wire: Wire::Pin { call: self.call } });
        out.push(Action::Wake { after: READ_TICKS, timer: Timer::Timeout(self.call) });
    }

    /// A message has come.
    pub fn receive(&mut self, from: Process, wire: Wire, out: &mut Vec<Action>) {
        match (from, wire) {
            (_, Wire::Pinned { call, result }) if call == self.call => match result {
                Ok((epoch, nodes)) => self.pinned(epoch, nodes, out),
                Err(_) => self.end(out),
            },
            (Process::Node(node), Wire::Facts { call, facts }) if call == self.call => match facts {
                Ok(facts) => self.add(node, facts, out),
                Err(_) => self.end(out),
            },
            _ => {}
        }
    }

    fn pinned(&mut self, epoch: Epoch, nodes: BTreeSet<NodeId>, out: &mut Vec<Action>) {
        if epoch < self.floor {
            let floor = self.floor;
            return out
                .push(Action::Defect(format!("a reader was given epoch {epoch} after {floor} was acknowledged")));
        }
        for node in &nodes {
            out.push(Action::Send { to: Process::Node(*node), wire: Wire::Read { call: self.call, epoch } });
        }
        self.read = Some(Read { epoch, missing: nodes, parts: BTreeMap::new() });
    }

    fn add(&mut self, node: NodeId, facts: Base, out: &mut Vec<Action>) {
        let Some(read) = &mut self.read else { return };
        read.missing.remove(&node);
        read.parts.insert(node, facts);
        if read.missing.is_empty() {
            let Read { epoch, parts, .. } = self.read.take().expect("it was just used");
            out.push(Action::HasRead { epoch, parts });
            self.end(out);
        }
    }

    /// Until the next one.
    fn end(&mut self, out: &mut Vec<Action>) {
        self.read = None;
        // No timeout of this read rings any more.
        self.call += 1;
        out.push(Action::Wake { after: self.random.among(5..=80), timer: Timer::Next });
    }
}
