//! Union plans: the bodies of a leaf as plans over ids, and their rows.
//!
//! ```text
//! Body (terms, variables) ──lookup──► compile::Body (ids, slots) ──compile──► Plan ──► Rows
//! ```
//!
//! A union plan has a branch for each body. A body with a term that the dictionary does not know, or that reads no
//! graph, has no rows and no branch.

use crate::cluster::{Interrupt, NodeProfile, Rows, Wanted};
use crate::plan::codes::{Codes, RowSet};
use crate::rewrite::body::{Body, Pattern, Position};
use crate::rewrite::fold::Repetitions;
use crate::session::code::Code;
use crate::session::memory::Reservation;
use crate::session::{Session, internal_id};
use entail_logic::eval::Batch;
use entail_logic::plan::lower::{self, Lowering, Terms};
use entail_logic::plan::{Arg, Atom, Condition, Plan, Slot, compile};
use entail_model::{Fault, TermId};
use entail_syntax::algebra::Expression;
use oxrdf::{Term, Variable};
use std::collections::HashMap;
use std::sync::Arc;

/// A union of plans with common output columns.
#[derive(Debug)]
pub struct UnionPlan {
    pub variables: Vec<Variable>,
    pub branches: Vec<Branch>,
    pub repetitions: Repetitions,
}

/// A plan, and the sources of the union's columns.
#[derive(Debug)]
pub struct Branch {
    /// `None`: one row, without a call of the cluster.
    pub plan: Option<Arc<Plan>>,
    pub cells: Vec<Cell>,
    /// The slot with the number of rows that a row stands for; `None`: each stands for one.
    pub times: Option<Slot>,
    /// The variables of the slots, for explanations.
    pub names: Vec<Variable>,
    /// The terms that were looked up, for explanations.
    pub constants: HashMap<TermId, Term>,
}

/// The source of a variable's value in the rows of a branch.
#[derive(Clone, Copy, Debug)]
pub enum Cell {
    Slot(Slot),
    Fixed(Code),
    Unbound,
}

/// All constants of a body, to be looked up together.
pub fn constants(body: &Body) -> Vec<Term> {
    let of_pattern = |pattern: &Pattern| {
        let graph = match &pattern.graph {
            crate::rewrite::body::Graph::Named(node) => Some(Term::from(node.clone())),
            _ => None,
        };
        let positions = [&pattern.subject, &pattern.predicate, &pattern.object].map(|position| match position {
            Position::Term(term) => Some(term.clone()),
            Position::Variable(_) => None,
        });
        positions.into_iter().flatten().chain(graph).collect::<Vec<_>>()
    };
    body.patterns.iter().flat_map(of_pattern).chain(body.fixed.values().cloned()).collect()
}

impl UnionPlan {
    /// Compiles the bodies, with `variables` as columns.
    pub fn compile(
        session: &Session,
        bodies: &[Body],
        variables: Vec<Variable>,
        repetitions: Repetitions,
    ) -> Result<Self, Interrupt> {
        session.learn(&bodies.iter().flat_map(constants).collect::<Vec<_>>())?;
        let mut branches = Vec::new();
        for body in bodies {
            branches.extend(BodyLowering::new(session).branch(body, &variables, repetitions)?);
        }
        Ok(Self { variables, branches, repetitions })
    }
}

/// Resolves a body's terms to ids, and records them for explanations.
struct Constants<'s> {
    session: &'s Session,
    met: HashMap<TermId, Term>,
}

impl Terms for Constants<'_> {
    type Error = Interrupt;

    fn id(&mut self, term: &Term) -> Result<Option<TermId>, Interrupt> {
        let id = self.session.id_of(term)?;
        self.met.extend(id.map(|id| (id, term.clone())));
        Ok(id)
    }
}

/// Turns one body into ids and slots.
struct BodyLowering<'s> {
    session: &'s Session,
    lowering: Lowering<Constants<'s>>,
}

impl<'s> BodyLowering<'s> {
    fn new(session: &'s Session) -> Self {
        Self { session, lowering: Lowering::new(Constants { session, met: HashMap::new() }) }
    }

    /// The branch; `None` if it cannot have rows.
    fn branch(
        mut self,
        body: &Body,
        variables: &[Variable],
        repetitions: Repetitions,
    ) -> Result<Option<Branch>, Interrupt> {
        let mut lowered = compile::Body::default();
        for pattern in &body.patterns {
            let Some(atom) = self.atom(pattern)? else { return Ok(None) };
            lowered.atoms.push(atom);
        }
        for filter in &body.filters {
            lowered.conditions.push(self.condition(filter)?);
        }
        lowered.width = self.lowering.slots.width();
        let cells = variables.iter().map(|variable| self.cell(body, variable)).collect::<Result<Vec<_>, _>>()?;
        let is_one_row = lowered.atoms.is_empty() && lowered.conditions.is_empty();
        let output: Vec<Slot> =
            cells.iter().filter_map(|cell| if let Cell::Slot(slot) = cell { Some(*slot) } else { None }).collect();
        let counts = matches!(repetitions, Repetitions::Counted | Repetitions::Dropped);
        let is_tally = !is_one_row && counts && !output.is_empty();
        let times = is_tally.then_some(lowered.width);
        let compile = match repetitions {
            _ if is_tally => compile::compile_tally,
            Repetitions::Together => compile::compile_in_order,
            _ => compile::compile_query,
        };
        let plan = (!is_one_row).then(|| Arc::new(compile(&self.session.context, &lowered, output)));
        let Lowering { terms, slots } = self.lowering;
        Ok(Some(Branch { plan, cells, times, names: slots.into_names(), constants: terms.met }))
    }

    /// A filter as a condition. Where a graph with a blank name was put in place of its variable, it sees the blank node.
    fn condition(&mut self, filter: &Expression) -> Result<Condition, Fault> {
        let mut condition = self.lowering.condition(filter)?;
        for bytes in condition.program.constants_mut() {
            if let Some(id) = internal_id(bytes)
                && let Some(text) = self.session.texts(&[id])?.pop().flatten()
            {
                *bytes = text.to_vec().into();
            }
        }
        Ok(condition)
    }

    fn cell(&self, body: &Body, variable: &Variable) -> Result<Cell, Interrupt> {
        if let Some(slot) = self.lowering.slots.find(variable) {
            return Ok(Cell::Slot(slot));
        }
        let Some(term) = body.fixed.get(variable) else { return Ok(Cell::Unbound) };
        Ok(Cell::Fixed(self.session.code_of(term)?))
    }

    fn atom(&mut self, pattern: &Pattern) -> Result<Option<Atom>, Interrupt> {
        let Some(subject) = self.arg(&pattern.subject)? else { return Ok(None) };
        let Some(predicate) = self.arg(&pattern.predicate)? else { return Ok(None) };
        let Some(object) = self.arg(&pattern.object)? else { return Ok(None) };
        let session = self.session;
        let graph = session.scope(&pattern.graph, || match &pattern.graph {
            crate::rewrite::body::Graph::Variable(variable) => self.lowering.slots.of(variable),
            _ => unreachable!("only variable graphs have slots"),
        })?;
        // Literals are never subjects, and only IRIs are predicates: such facts cannot exist.
        let is_possible = |arg: Arg| !matches!(arg, Arg::Const(id) if id.is_inline());
        if !is_possible(subject) || !is_possible(predicate) {
            return Ok(None);
        }
        Ok(graph.map(|graph| Atom { graph, subject, predicate, object }))
    }

    fn arg(&mut self, position: &Position) -> Result<Option<Arg>, Interrupt> {
        self.lowering.arg(match position {
            Position::Variable(variable) => lower::Position::Variable(variable),
            Position::Term(term) => lower::Position::Term(term),
        })
    }
}

/// The rows of a union plan, branch after branch.
pub struct UnionRows {
    session: Arc<Session>,
    union: Arc<UnionPlan>,
    /// The branch that runs now.
    branch: usize,
    rows: Option<Box<dyn Rows>>,
    rows_max: Option<u64>,
    /// The rows returned so far, if rows are returned only once.
    seen: Option<Seen>,
    /// The work of the nodes, by branch.
    profiles: Vec<(usize, Vec<NodeProfile>)>,
}

/// The measured work of one run of a union plan.
#[derive(Debug, Default)]
pub struct Measured {
    /// By branch, the work of the nodes that had finished.
    pub branches: Vec<(usize, Vec<NodeProfile>)>,
    /// The branch that was stopped because there were enough rows.
    pub stopped: Option<usize>,
}

/// Rows of one branch: its columns and how many there are.
pub struct Columns {
    pub batch: Batch,
    pub branch: usize,
}

impl UnionRows {
    /// Starts a union plan. After `rows_max` rows nodes may stop.
    pub fn new(session: Arc<Session>, union: Arc<UnionPlan>, rows_max: Option<u64>) -> Self {
        let seen = (union.repetitions == Repetitions::Dropped).then(|| Seen::of(&session, &union));
        Self { session, union, branch: 0, rows: None, rows_max, seen, profiles: Vec::new() }
    }

    /// The plan of these rows.
    pub fn plan(&self) -> &UnionPlan {
        &self.union
    }

    /// The next rows; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Columns>, Interrupt> {
        let union = Arc::clone(&self.union);
        while let Some(branch) = union.branches.get(self.branch) {
            self.session.check()?;
            let Some(plan) = &branch.plan else {
                self.branch += 1;
                return Ok(Some(Columns { batch: Batch { rows: 1, ..Batch::default() }, branch: self.branch - 1 }));
            };
            if self.rows.is_none() {
                let wanted = Wanted { rows_max: self.rows_max, profile: self.session.profile };
                self.rows = Some(self.session.cluster.execute(Arc::clone(plan), wanted)?);
            }
            let rows = self.rows.as_mut().expect("the rows were just started");
            match rows.next()? {
                Some(batch) if batch.rows > 0 => return Ok(Some(Columns { batch, branch: self.branch })),
                Some(_) => {}
                None => {
                    self.profiles.push((self.branch, rows.profile()));
                    self.rows = None;
                    self.branch += 1;
                }
            }
        }
        Ok(None)
    }

    /// The work of the run; to be called when no more rows are needed.
    pub fn measured(&mut self) -> Measured {
        let stopped = self.rows.take().map(|mut rows| {
            self.profiles.push((self.branch, rows.profile()));
            self.branch
        });
        Measured { branches: std::mem::take(&mut self.profiles), stopped }
    }

    /// The number of rows that a row stands for.
    pub fn times(&self, columns: &Columns, row: usize) -> u64 {
        self.union.branches[columns.branch].times.map_or(1, |slot| columns.batch.columns[slot][row].0)
    }

    /// Is the row new, or may rows repeat?
    ///
    /// # Errors
    /// `LimitExceeded` if there are too many distinct rows.
    pub fn is_new(&mut self, columns: &Columns, row: usize) -> Result<bool, Fault> {
        self.seen.as_mut().map_or(Ok(true), |seen| seen.is_new(columns, row))
    }
}

/// The rows returned so far.
struct Seen {
    codes: Codes,
    rows: RowSet,
    row: Vec<Code>,
    held: Reservation,
}

impl Seen {
    fn of(session: &Arc<Session>, union: &UnionPlan) -> Self {
        let rows = RowSet::new(union.variables.len());
        Self { codes: Codes::of(union), rows, row: Vec::new(), held: session.reservation() }
    }

    fn is_new(&mut self, columns: &Columns, row: usize) -> Result<bool, Fault> {
        self.codes.read(columns, row, &mut self.row);
        let is_new = self.rows.is_new(&self.row);
        if is_new {
            self.held.set(self.rows.bytes())?;
        }
        Ok(is_new)
    }
}
