//! A simulated client: the real retry machine around a list of changes, made one after the other.
//!
//! When the machine gives up with a retryable failure, the client repeats the request with the same request id, as the
//! fault advises.

use super::wire::{Action, Change, Process, Timer, Wire};
use entail_client::retry::{Budget, Effect, Event, Policy, Retry};
use entail_coordinator::metalog::RequestId;
use entail_model::random::Random;
use entail_model::{Epoch, Fault, Reason};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The number of ticks without an answer after which a connection counts as broken.
const CALL_TICKS: u64 = 1_000;

/// The retry policy; one tick is a millisecond.
const POLICY: Policy =
    Policy { sends_max: 6, wait_first: Duration::from_millis(10), wait_max: Duration::from_millis(100) };

/// A client and its remaining changes.
pub struct Client {
    number: u64,
    random: Random,
    budget: Budget,
    changes: VecDeque<Arc<Change>>,
    requests: u64,
    call: u64,
    current: Option<Current>,
}

struct Current {
    request: RequestId,
    change: Arc<Change>,
    retry: Retry,
    started: u64,
    /// Is the last call unanswered?
    is_waiting: bool,
    /// Has an earlier call remained without an answer?
    in_doubt: bool,
}

impl Client {
    pub fn new(number: u64, changes: Vec<Change>, random: Random) -> Self {
        let changes = changes.into_iter().map(Arc::new).collect();
        Self { number, random, budget: Budget::default(), changes, requests: 0, call: 0, current: None }
    }

    /// Are all changes answered?
    pub fn is_done(&self) -> bool {
        self.current.is_none() && self.changes.is_empty()
    }

    /// Handles a timer.
    pub fn wake(&mut self, now: u64, timer: Timer, out: &mut Vec<Action>) {
        match timer {
            Timer::Next => self.ask(now, out),
            Timer::Timeout(call) if call == self.call => {
                let fault = Fault::new(Reason::OutcomeUnknown, "the connection broke");
                self.failed(now, fault, out);
            }
            Timer::Resend(call) if call == self.call => {
                let Some(current) = &mut self.current else { return };
                let elapsed = Duration::from_millis(now - current.started);
                match current.retry.step(Event::Waited { elapsed }, &mut self.budget) {
                    Effect::Resend { .. } => self.send(out),
                    Effect::GiveUp(fault) => self.give_up(fault, out),
                    other => out.push(Action::Defect(format!("after waiting a retry wants {other:?}"))),
                }
            }
            Timer::Cancel(call) if call == self.call => {
                let Some(current) = &self.current else { return };
                let wire = Wire::Cancel { request: current.request.clone() };
                out.push(Action::Send { to: Process::Coordinator, wire });
            }
            Timer::Timeout(_) | Timer::Resend(_) | Timer::Cancel(_) => {}
        }
    }

    /// Handles a message.
    pub fn receive(&mut self, now: u64, wire: Wire, out: &mut Vec<Action>) {
        let Wire::Written { call, result } = wire else { return };
        let Some(current) = self.current.as_mut().filter(|current| current.is_waiting && call == self.call) else {
            return;
        };
        match result {
            Ok(epoch) => {
                current.retry.step(Event::Succeeded, &mut self.budget);
                self.conclude(Ok(epoch), out);
            }
            Err(fault) => self.failed(now, fault, out),
        }
    }

    /// Sends the next change, or the last one again.
    fn ask(&mut self, now: u64, out: &mut Vec<Action>) {
        let (request, change, in_doubt) = match self.current.take() {
            Some(current) => (current.request, current.change, current.in_doubt),
            None => {
                let Some(change) = self.changes.pop_front() else { return };
                self.requests += 1;
                (RequestId(format!("{}-{}", self.number, self.requests)), change, false)
            }
        };
        let retry = Retry::new(POLICY, None, self.random.next(), &mut self.budget);
        self.current = Some(Current { request, change, retry, started: now, is_waiting: false, in_doubt });
        self.send(out);
    }

    fn send(&mut self, out: &mut Vec<Action>) {
        let current = self.current.as_mut().expect("something is asked for");
        self.call += 1;
        current.is_waiting = true;
        let (request, change, call) = (current.request.clone(), Arc::clone(&current.change), self.call);
        out.push(Action::Send { to: Process::Coordinator, wire: Wire::Write { request, call, change } });
        out.push(Action::Wake { after: CALL_TICKS, timer: Timer::Timeout(call) });
        if self.random.chance(300) {
            out.push(Action::Wake { after: self.random.among(1..=200), timer: Timer::Cancel(call) });
        }
    }

    fn failed(&mut self, now: u64, fault: Fault, out: &mut Vec<Action>) {
        let Some(current) = self.current.as_mut().filter(|current| current.is_waiting) else { return };
        current.is_waiting = false;
        current.in_doubt |= fault.reason == Reason::OutcomeUnknown;
        let elapsed = Duration::from_millis(now - current.started);
        match current.retry.step(Event::Failed { fault, elapsed }, &mut self.budget) {
            Effect::Wait(wait) => {
                let after = 1 + wait.as_millis() as u64;
                out.push(Action::Wake { after, timer: Timer::Resend(self.call) });
            }
            Effect::GiveUp(fault) => self.give_up(fault, out),
            other => out.push(Action::Defect(format!("after a failure a retry wants {other:?}"))),
        }
    }

    fn give_up(&mut self, fault: Fault, out: &mut Vec<Action>) {
        if fault.is_retryable() {
            out.push(Action::Wake { after: self.random.among(20..=100), timer: Timer::Next });
        } else {
            self.conclude(Err(fault), out);
        }
    }

    fn conclude(&mut self, result: Result<Epoch, Fault>, out: &mut Vec<Action>) {
        let Current { request, in_doubt, .. } = self.current.take().expect("something was asked for");
        out.push(Action::Concluded { request, result, in_doubt });
        out.push(Action::Wake { after: self.random.among(1..=60), timer: Timer::Next });
    }
}
