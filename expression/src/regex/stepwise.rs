//! Searches that can be stopped: the automata of `regex-automata`, driven byte by byte.
//!
//! Whether there is a match is found by its lazy DFA. Where the groups are is found by a simulation of its NFA, all states
//! side by side (Thompson; with captures, Pike): the thread with the highest priority wins, as in any backtracking engine.

use super::Spans;
use crate::Budget;
use entail_model::Fault;
use regex_automata::Input;
use regex_automata::hybrid::dfa::DFA;
use regex_automata::nfa::thompson::{self, NFA, State, WhichCaptures};
use regex_automata::util::look::Look;
use regex_automata::util::primitives::StateID;
use regex_syntax::hir::Hir;

/// States times places that a search with captures keeps.
const CAPTURES_MAX: usize = 1 << 20;

/// Both automata of a pattern.
pub struct Stepwise {
    nfa: NFA,
    dfa: Option<DFA>,
}

impl Stepwise {
    /// `None` if the automaton takes more than so many bytes.
    pub fn new(tree: &Hir, bytes_max: usize) -> Option<Self> {
        let config =
            thompson::Config::new().which_captures(WhichCaptures::All).nfa_size_limit(Some(bytes_max)).utf8(true);
        let nfa = thompson::Compiler::new().configure(config).build_from_hir(tree).ok()?;
        if nfa.states().len() * nfa.group_info().slot_len() > CAPTURES_MAX {
            return None;
        }
        // Without one, the simulation of the NFA answers everything.
        let config = DFA::config().skip_cache_capacity_check(true).cache_capacity(4 << 20);
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa.clone()).ok();
        Some(Self { nfa, dfa })
    }

    /// The size of the automaton.
    pub fn states(&self) -> usize {
        self.nfa.states().len()
    }

    /// The work of a step that captures.
    pub fn states_with_captures(&self) -> usize {
        self.states() * self.nfa.group_info().slot_len()
    }

    /// Bytes after which the budget is asked, for a step that looks at so many states.
    fn stride(states: usize) -> usize {
        ((64 << 10) / states.max(1)).clamp(1, 4096)
    }

    /// Does a part of the text match? Lines at the end of the text are as `regex-automata` has them.
    pub fn is_match(&self, text: &str, budget: &mut Budget<'_>) -> Result<bool, Fault> {
        let found = match &self.dfa {
            Some(dfa) => self.steps(dfa, text.as_bytes(), budget)?,
            None => None,
        };
        match found {
            Some(found) => Ok(found),
            None => Ok(self.captures(text, 0, false, budget)?.is_some()),
        }
    }

    /// `None` if the automaton gives up.
    fn steps(&self, dfa: &DFA, text: &[u8], budget: &mut Budget<'_>) -> Result<Option<bool>, Fault> {
        let mut cache = dfa.create_cache();
        let Ok(mut state) = dfa.start_state_forward(&mut cache, &Input::new(text)) else { return Ok(None) };
        let stride = Self::stride(self.states());
        for piece in text.chunks(stride) {
            budget.look_after(piece.len(), stride)?;
            for byte in piece {
                let Ok(next) = dfa.next_state(&mut cache, state, *byte) else { return Ok(None) };
                state = next;
                if state.is_tagged() {
                    if state.is_match() {
                        return Ok(Some(true));
                    }
                    if state.is_dead() {
                        return Ok(Some(false));
                    }
                    if state.is_quit() {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(dfa.next_eoi_state(&mut cache, state).ok().map(|state| state.is_match()))
    }

    /// The leftmost match that starts at or after `from`, with its groups. If `ends_with_line` holds, the text ends with a
    /// newline, and after it neither `^` nor `$` of a line matches.
    pub fn captures(
        &self,
        text: &str,
        from: usize,
        ends_with_line: bool,
        budget: &mut Budget<'_>,
    ) -> Result<Option<Spans>, Fault> {
        let slots = self.nfa.group_info().slot_len();
        let mut search = Search {
            nfa: &self.nfa,
            text: text.as_bytes(),
            ends_with_line,
            slots,
            stack: Vec::new(),
            scratch: vec![None; slots],
        };
        let (mut now, mut next) = (Threads::new(&self.nfa, slots), Threads::new(&self.nfa, slots));
        let mut best: Option<Vec<Option<usize>>> = None;
        let stride = Self::stride(self.states_with_captures());
        for at in from..=text.len() {
            if (at - from).is_multiple_of(stride) {
                budget.look_after(stride, stride)?;
            }
            if best.is_none() && text.is_char_boundary(at) {
                search.add(&mut now, self.nfa.start_anchored(), at, None);
            }
            if now.order.is_empty() && best.is_some() {
                break;
            }
            next.clear();
            // Threads of a lower priority than one that matches are given up.
            let matching = now.order.iter().find(|id| search.step(&now, &mut next, **id, at));
            if let Some(id) = matching {
                best = Some(now.slots(*id, slots).to_vec());
            }
            std::mem::swap(&mut now, &mut next);
        }
        Ok(best.map(|slots| slots.chunks(2).map(|pair| Some((pair[0]?, pair[1]?))).collect()))
    }
}

/// The states that are alive, by priority, each with the places that it has captured.
struct Threads {
    order: Vec<StateID>,
    is_in: Vec<bool>,
    captured: Vec<Option<usize>>,
}

impl Threads {
    fn new(nfa: &NFA, slots: usize) -> Self {
        let states = nfa.states().len();
        Self { order: Vec::new(), is_in: vec![false; states], captured: vec![None; states * slots] }
    }

    fn clear(&mut self) {
        self.order.iter().for_each(|id| self.is_in[id.as_usize()] = false);
        self.order.clear();
    }

    /// Was the state not yet in?
    fn insert(&mut self, id: StateID) -> bool {
        let is_new = !std::mem::replace(&mut self.is_in[id.as_usize()], true);
        if is_new {
            self.order.push(id);
        }
        is_new
    }

    fn slots(&self, id: StateID, slots: usize) -> &[Option<usize>] {
        &self.captured[id.as_usize() * slots..][..slots]
    }
}

enum Step {
    Visit(StateID),
    Restore(usize, Option<usize>),
}

struct Search<'s> {
    nfa: &'s NFA,
    text: &'s [u8],
    ends_with_line: bool,
    slots: usize,
    stack: Vec<Step>,
    /// The captures of the thread that is followed.
    scratch: Vec<Option<usize>>,
}

impl Search<'_> {
    /// Moves a thread over the byte at a place. Is it at a match instead?
    fn step(&mut self, now: &Threads, next: &mut Threads, id: StateID, at: usize) -> bool {
        let target = match self.nfa.state(id) {
            State::ByteRange { trans } => trans.matches(self.text, at).then_some(trans.next),
            State::Sparse(sparse) => sparse.matches(self.text, at),
            State::Dense(dense) => dense.matches(self.text, at),
            State::Match { .. } => return true,
            _ => None,
        };
        if let Some(target) = target {
            self.add(next, target, at + 1, Some(now.slots(id, self.slots)));
        }
        false
    }

    /// Adds a state and all that are reached from it without a byte, by priority.
    fn add(&mut self, threads: &mut Threads, id: StateID, at: usize, captured: Option<&[Option<usize>]>) {
        match captured {
            Some(captured) => self.scratch.copy_from_slice(captured),
            None => self.scratch.fill(None),
        }
        self.stack.push(Step::Visit(id));
        while let Some(step) = self.stack.pop() {
            match step {
                Step::Restore(slot, place) => self.scratch[slot] = place,
                Step::Visit(id) => self.visit(threads, id, at),
            }
        }
    }

    fn visit(&mut self, threads: &mut Threads, id: StateID, at: usize) {
        if !threads.insert(id) {
            return;
        }
        match self.nfa.state(id) {
            State::Look { look, next } => {
                if self.looks(*look, at) {
                    self.stack.push(Step::Visit(*next));
                }
            }
            State::Union { alternates } => self.stack.extend(alternates.iter().rev().map(|id| Step::Visit(*id))),
            State::BinaryUnion { alt1, alt2 } => {
                self.stack.push(Step::Visit(*alt2));
                self.stack.push(Step::Visit(*alt1));
            }
            State::Capture { next, slot, .. } => {
                let slot = slot.as_usize();
                self.stack.push(Step::Restore(slot, self.scratch[slot]));
                self.scratch[slot] = Some(at);
                self.stack.push(Step::Visit(*next));
            }
            State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) | State::Match { .. } => {
                threads.captured[id.as_usize() * self.slots..][..self.slots].copy_from_slice(&self.scratch);
            }
            State::Fail => {}
        }
    }

    fn looks(&self, look: Look, at: usize) -> bool {
        let is_after_last_line = self.ends_with_line && at == self.text.len();
        if is_after_last_line && matches!(look, Look::StartLF | Look::EndLF) {
            return false;
        }
        self.nfa.look_matcher().matches(look, self.text, at)
    }
}
