//! Programs: expressions over slots, in the form that travels between processes.
//!
//! A program is a list of steps, each after those that it reads, so that decoding needs no recursion; the last one is the
//! result. Invariants, kept by [`Builder`] and checked by [`Program::check`]: a step reads earlier ones, a call has as many
//! arguments as the table of functions says, and no step is more than [`DEPTH_MAX`] steps above a constant or a slot.

mod algebra;
mod compile;
mod print;

pub use compile::Scope;

use crate::column::Slot;
use crate::function;
use crate::value::datatype::Datatype;
use entail_model::{Fault, Reason, term};
use entail_syntax::ast::{Arithmetic, Comparison, Function, Membership, Unary};
use oxrdf::{NamedNode, TermRef};
use serde::{Deserialize, Serialize};

/// How high an expression may be; chains of operators count once.
pub const DEPTH_MAX: usize = 256;

/// The place of a step.
pub type Index = u32;

/// An expression over slots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Program {
    steps: Vec<Step>,
}

/// One step of a program. Operands are the indexes of earlier steps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Step {
    /// The canonical bytes of a term; empty for a variable that has no value.
    Constant(Box<[u8]>),
    Slot(Slot),
    Or(Vec<Index>),
    And(Vec<Index>),
    Compare(Comparison, Index, Index),
    Member(Membership, Index, Vec<Index>),
    /// From left to right.
    Chain(Index, Vec<(Arithmetic, Index)>),
    Unary(Unary, Index),
    /// A function; the argument of BOUND is a slot.
    Call(Function, Vec<Index>),
    /// A cast to a datatype whose values are known.
    Cast(Datatype, Index),
    CastString(Index),
}

impl Step {
    fn operands(&self) -> Vec<Index> {
        match self {
            Self::Constant(_) | Self::Slot(_) => Vec::new(),
            Self::Or(list) | Self::And(list) | Self::Call(_, list) => list.clone(),
            Self::Compare(_, left, right) => vec![*left, *right],
            Self::Member(_, element, list) => [*element].into_iter().chain(list.iter().copied()).collect(),
            Self::Chain(first, rest) => [*first].into_iter().chain(rest.iter().map(|(_, index)| *index)).collect(),
            Self::Unary(_, operand) | Self::Cast(_, operand) | Self::CastString(operand) => vec![*operand],
        }
    }
}

impl Program {
    /// The steps, the result last.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(crate) fn root(&self) -> Index {
        (self.steps.len() - 1) as Index
    }

    /// Checks a program that another process made.
    ///
    /// # Errors
    /// `Corrupt` if it is not one that a [`Builder`] makes.
    pub fn check(&self) -> Result<(), Fault> {
        let corrupt = |what: &str| Err(Fault::corrupt(format!("an expression {what}")));
        let mut heights: Vec<usize> = Vec::with_capacity(self.steps.len());
        let mut is_read = vec![false; self.steps.len()];
        for step in &self.steps {
            let operands = step.operands();
            if operands.iter().any(|operand| *operand as usize >= heights.len()) {
                return corrupt("with a step that reads a later one");
            }
            let height = operands.iter().map(|operand| heights[*operand as usize] + 1).max().unwrap_or(0);
            if height > DEPTH_MAX {
                return corrupt("of too many levels");
            }
            // Otherwise a short program could be a number of computations that doubles with each step.
            for operand in operands.iter().filter(|operand| heights[**operand as usize] > 0) {
                if std::mem::replace(&mut is_read[*operand as usize], true) {
                    return corrupt("with a step that is read twice");
                }
            }
            match step {
                Step::Constant(bytes) if !bytes.is_empty() => {
                    term::decode(bytes)?;
                }
                Step::Call(called, arguments) => {
                    let signature = called.signature();
                    if !(signature.arguments_least..=signature.arguments_most).contains(&arguments.len()) {
                        return corrupt("with a call of the wrong number of arguments");
                    }
                }
                _ => {}
            }
            heights.push(height);
        }
        if self.steps.is_empty() { corrupt("without steps") } else { Ok(()) }
    }

    /// The slots that are read, in order, each once.
    pub fn slots(&self) -> Vec<Slot> {
        let slots = self.steps.iter().filter_map(|step| match step {
            Step::Slot(slot) => Some(*slot),
            _ => None,
        });
        let mut slots: Vec<Slot> = slots.collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Do the ids of all slots suffice? True if each is read only by sameTerm of slots, BOUND and the tests of kinds.
    pub fn is_decided_by_ids(&self) -> bool {
        let is_slot = |index: &Index| matches!(self.steps[*index as usize], Step::Slot(_));
        let reads_ids = |step: &Step| match step {
            Step::Call(Function::SameTerm, sides) => sides.iter().all(is_slot),
            Step::Call(function, _) => function::needs_kind_only(*function),
            _ => !step.operands().iter().any(is_slot),
        };
        self.steps.len() > 1 && self.steps.iter().all(reads_ids)
    }

    /// May two evaluations over the same rows differ?
    pub fn is_volatile(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Call(function, _) if function.is_volatile()))
    }

    /// May two evaluations over the same rows differ within one query?
    pub fn is_random(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Call(function, _) if function.is_random()))
    }

    /// The constants: the canonical bytes of terms.
    pub fn constants_mut(&mut self) -> impl Iterator<Item = &mut Box<[u8]>> {
        self.steps.iter_mut().filter_map(|step| if let Step::Constant(bytes) = step { Some(bytes) } else { None })
    }

    /// Bytes that the program takes, roughly.
    pub fn weight(&self) -> usize {
        let step = |step: &Step| match step {
            Step::Constant(bytes) => bytes.len(),
            other => other.operands().len() * size_of::<Index>(),
        };
        self.steps.iter().map(|one| size_of::<Step>() + step(one)).sum()
    }
}

/// Makes a program, step by step.
#[derive(Debug, Default)]
pub struct Builder {
    steps: Vec<Step>,
    heights: Vec<usize>,
}

impl Builder {
    /// Adds a step and gives its index.
    ///
    /// # Errors
    /// `LimitExceeded` if it is too high.
    ///
    /// # Panics
    /// If it reads a step that is not there yet.
    pub fn add(&mut self, step: Step) -> Result<Index, Fault> {
        let height = step.operands().iter().map(|operand| self.heights[*operand as usize] + 1).max().unwrap_or(0);
        if height > DEPTH_MAX {
            return Err(Fault::new(Reason::LimitExceeded, format!("an expression of more than {DEPTH_MAX} levels")));
        }
        self.steps.push(step);
        self.heights.push(height);
        Ok((self.steps.len() - 1) as Index)
    }

    /// Adds a constant.
    ///
    /// # Errors
    /// None: a constant has no height.
    pub fn constant(&mut self, term: TermRef<'_>) -> Result<Index, Fault> {
        let mut bytes = Vec::new();
        term::encode(term, &mut bytes);
        self.add(Step::Constant(bytes.into()))
    }

    /// Adds a call of a function that is named by an IRI: a cast.
    ///
    /// # Errors
    /// `Unsupported` for other functions, `InvalidRequest` for a wrong number of arguments.
    pub fn custom(&mut self, name: &NamedNode, arguments: &[Index]) -> Result<Index, Fault> {
        let cast = function::cast(name.as_str());
        let Some(cast) = cast else {
            return Err(Fault::new(Reason::Unsupported, format!("the function {name} is not supported")));
        };
        let [argument] = arguments else {
            let message = format!("{name} takes 1 argument, found {}", arguments.len());
            return Err(Fault::new(Reason::InvalidRequest, message));
        };
        self.add(match cast {
            function::Cast::String => Step::CastString(*argument),
            function::Cast::To(datatype) => Step::Cast(datatype, *argument),
        })
    }

    /// The program whose result is the last step.
    ///
    /// # Panics
    /// If there are no steps.
    pub fn finish(self) -> Program {
        assert!(!self.steps.is_empty(), "an expression has a step");
        Program { steps: self.steps }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxrdf::vocab::xsd;

    fn program(steps: Vec<Step>) -> Program {
        Program { steps }
    }

    #[test]
    fn programs_of_others_are_checked() {
        let slot = Step::Slot(0);
        let good = program(vec![slot.clone(), Step::Call(Function::Str, vec![0])]);
        assert_eq!(good.check(), Ok(()));
        let bytes = postcard::to_stdvec(&good).unwrap();
        assert_eq!(postcard::from_bytes::<Program>(&bytes).unwrap(), good);
        let mut deep = vec![slot.clone()];
        deep.extend((0..=DEPTH_MAX as Index).map(|index| Step::Unary(Unary::Not, index)));
        for bad in [
            vec![],
            vec![Step::Unary(Unary::Not, 0)],
            vec![Step::Unary(Unary::Not, 7)],
            vec![slot.clone(), Step::Call(Function::Str, vec![])],
            vec![slot.clone(), Step::Call(Function::If, vec![0, 0])],
            vec![slot.clone(), Step::Unary(Unary::Not, 0), Step::And(vec![1, 1])],
            vec![Step::Constant(b"?".as_slice().into())],
            deep,
        ] {
            assert_eq!(program(bad).check().unwrap_err().reason, Reason::Corrupt);
        }
    }

    #[test]
    fn ids_suffice_for_terms_that_are_not_looked_into() {
        let slots = || vec![Step::Slot(0), Step::Slot(1)];
        let with = |more: &[Step]| program([&slots()[..], more].concat());
        let same = Step::Call(Function::SameTerm, vec![0, 1]);
        assert!(with(std::slice::from_ref(&same)).is_decided_by_ids());
        assert!(with(&[same.clone(), Step::Unary(Unary::Not, 2)]).is_decided_by_ids());
        assert!(with(&[same.clone(), Step::Call(Function::IsIri, vec![0]), Step::And(vec![2, 3])]).is_decided_by_ids());
        for more in [
            vec![Step::Compare(Comparison::Equal, 0, 1)],
            vec![same.clone(), Step::And(vec![0, 2])],
            vec![Step::Call(Function::Str, vec![0]), Step::Call(Function::SameTerm, vec![2, 1])],
            vec![Step::Call(Function::IsNumeric, vec![0])],
            vec![same, Step::Call(Function::If, vec![2, 0, 1])],
        ] {
            assert!(!with(&more).is_decided_by_ids(), "{more:?}");
        }
        assert!(!program(vec![Step::Slot(0)]).is_decided_by_ids());
        assert_eq!(with(&[]).slots(), [0, 1]);
    }

    #[test]
    fn only_casts_are_named_by_iris() {
        let mut builder = Builder::default();
        let slot = builder.add(Step::Slot(0)).unwrap();
        assert!(builder.custom(&xsd::INTEGER.into(), &[slot]).is_ok());
        assert_eq!(builder.custom(&xsd::INTEGER.into(), &[]).unwrap_err().reason, Reason::InvalidRequest);
        assert_eq!(builder.custom(&xsd::INT.into(), &[slot]).unwrap_err().reason, Reason::Unsupported);
    }
}
