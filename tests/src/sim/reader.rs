//! A simulated reader: pins the latest epoch at some time and reads it completely, from every node, or fails.

use super::wire::{Action, Process, Timer, Wire};
use entail_logic::fixpoint::Base;
use entail_model::random::Random;
use entail_model::{Epoch, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// The number of ticks after which a read fails.
const READ_TICKS: u64 = 150;

/// Reads repeatedly, one read at a time.
pub struct Reader {
    random: Random,
    call: u64,
    /// The oldest epoch that the read may see: the latest acknowledged one when it started.
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

    /// Handles a timer; `acknowledged` is the last epoch that was acknowledged to a client.
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

    /// Handles a message.
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

    /// Ends the read and schedules the next one.
    fn end(&mut self, out: &mut Vec<Action>) {
        self.read = None;
        // Later timeouts of this read are ignored.
        self.call += 1;
        out.push(Action::Wake { after: self.random.among(5..=80), timer: Timer::Next });
    }
}
