//! Conversion of requests to nodes and their answers to and from `entail.internal.v1`: for callers and for a node's server.

use crate::encoded::decode;
use crate::{
    Block, Call, Encoded, Exchange, Execute, FirstRound, FlowId, OperationFacts, Part, Profile, RelationChange,
    RoundAnswer, RoundRequest, Rows, Scan, Staged, StagedChange, StagedFacts, Summary,
};
use bytes::Bytes;
use entail_logic::eval::meter;
use entail_logic::exchange::wire;
use entail_logic::fixpoint::{FoldCounts, Graphs, Mode, OperationCounts, Phase, RemovalCounts, Report, Step};
use entail_logic::plan::Program;
use entail_model::{
    Attempt, ClusterId, Direction, Epoch, Fact, Fault, NodeId, Reason, Relation, Round, ShardId, TermId,
};
use entail_proto::convert;
use entail_proto::internal::exchange_request::Flow;
use entail_proto::internal::stage_request::Graphs as WireGraphs;
use entail_proto::internal::{self, *};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

fn incomplete(what: &str) -> Fault {
    Fault::new(Reason::InvalidRequest, format!("{what} is missing in a request"))
}

/// A query's part, as a request.
///
/// # Errors
/// `Internal` for a plan that cannot be encoded.
pub fn execute_request(cluster: ClusterId, execute: &Execute) -> Result<ExecuteRequest, Fault> {
    let rdf_type = execute.profile.and_then(|profile| profile.rdf_type);
    Ok(ExecuteRequest {
        cluster: cluster.0,
        query: execute.query,
        epoch: execute.epoch.0,
        plan: execute.plan.bytes()?,
        placement: Some(PlacementMap::clone(&execute.placement)),
        participants: execute.participants.iter().map(|node| node.0).collect(),
        rows_max: execute.rows_max,
        profile: execute.profile.is_some(),
        rdf_type: rdf_type.map_or(0, |id| id.0),
        has_rdf_type: rdf_type.is_some(),
    })
}

/// The query's part in a request.
///
/// # Errors
/// `Corrupt` for a plan that does not decode, `InvalidRequest` for an incomplete request.
pub fn execute(request: ExecuteRequest) -> Result<Execute, Fault> {
    let rdf_type = Some(TermId(request.rdf_type)).filter(|_| request.has_rdf_type);
    Ok(Execute {
        query: request.query,
        epoch: Epoch(request.epoch),
        plan: Encoded::new(decode(&request.plan)?),
        placement: Arc::new(request.placement.ok_or_else(|| incomplete("the placement"))?),
        participants: request.participants.into_iter().map(NodeId).collect(),
        rows_max: request.rows_max,
        profile: request.profile.then_some(Profile { rdf_type }),
    })
}

/// A piece of a part, as a response.
pub fn execute_response(part: Part) -> ExecuteResponse {
    match part {
        Part::Rows(rows) => ExecuteResponse { rows: rows.into_bytes(), summary: None },
        Part::Done(summary) => ExecuteResponse { rows: Bytes::new(), summary: Some(execute_summary(&summary)) },
    }
}

/// The piece of a part in a response.
pub fn part(response: ExecuteResponse) -> Part {
    match response.summary {
        None => Part::Rows(Rows::Encoded(response.rows)),
        Some(done) => Part::Done(summary(&done)),
    }
}

fn execute_summary(summary: &Summary) -> ExecuteSummary {
    let work = summary.work.iter().map(|(((stage, operator), shard), work)| Work {
        stage: *stage as u32,
        operator: *operator as u32,
        shard: shard.map(|shard| u32::from(shard.0)),
        rows: work.rows,
        bytes: work.bytes,
        messages: work.messages,
        nanoseconds: work.nanoseconds,
    });
    ExecuteSummary { rows: summary.rows, nanoseconds: summary.nanoseconds, work: work.collect() }
}

fn summary(done: &ExecuteSummary) -> Summary {
    let work = done.work.iter().map(|work| {
        let place = (work.stage as usize, work.operator as usize);
        let shard = work.shard.map(|shard| ShardId(shard as u16));
        let Work { rows, bytes, messages, nanoseconds, .. } = *work;
        ((place, shard), meter::Work { rows, bytes, messages, nanoseconds })
    });
    Summary { rows: done.rows, nanoseconds: done.nanoseconds, work: work.collect() }
}

/// Changes to stage, as a request.
pub fn stage_request(call: Call, staged: &Staged) -> StageRequest {
    let blocks = |facts: &[StagedFacts]| {
        facts.iter().map(|of| convert::staged_block(of.relation, of.copies, &of.pairs)).collect()
    };
    let mut request = StageRequest {
        cluster: call.cluster.0,
        secret: call.secret.0,
        attempt: staged.attempt.0,
        sequence: staged.sequence,
        previous: staged.previous.0,
        operation: staged.operation,
        ..StageRequest::default()
    };
    match &staged.change {
        StagedChange::Facts { removed, added } => (request.removed, request.blocks) = (blocks(removed), blocks(added)),
        StagedChange::Group(operations) => {
            let operation = |of: &OperationFacts| StagedOperation {
                operation: of.operation,
                removed: blocks(&of.removed),
                added: blocks(&of.added),
            };
            request.operations = operations.iter().map(operation).collect();
        }
        StagedChange::Clear(graphs) => request.graphs = Some(WireGraphs::Clear(clear_graphs(*graphs))),
        StagedChange::Transfer { from, to } => {
            request.graphs = Some(WireGraphs::Transfer(TransferGraph { from: from.0, to: to.0 }));
        }
    }
    request
}

fn clear_graphs(graphs: Graphs) -> ClearGraphs {
    let (scope, graph) = match graphs {
        Graphs::One(graph) => (GraphScope::One, graph.0),
        Graphs::Named => (GraphScope::Named, 0),
        Graphs::All => (GraphScope::All, 0),
    };
    ClearGraphs { scope: scope.into(), graph }
}

/// The graphs that a request clears.
///
/// # Errors
/// `InvalidRequest` for an incomplete request.
pub fn graphs(clear: &ClearGraphs) -> Result<Graphs, Fault> {
    match clear.scope() {
        GraphScope::One => Ok(Graphs::One(TermId(clear.graph))),
        GraphScope::Named => Ok(Graphs::Named),
        GraphScope::All => Ok(Graphs::All),
        GraphScope::Unspecified => Err(incomplete("the graphs to clear")),
    }
}

/// A round, as a request.
///
/// # Errors
/// `Internal` for a program that cannot be encoded.
pub fn reason_request(call: Call, request: RoundRequest) -> Result<ReasonRequest, Fault> {
    let (attempt, round) = (request.attempt.0, request.round.0);
    let (cluster, secret) = (call.cluster.0, call.secret.0);
    let mut reason = ReasonRequest { cluster, secret, attempt, round, ..ReasonRequest::default() };
    reason.stratum = request.step.stratum;
    reason.set_phase(match request.step.phase {
        Phase::Delete => ReasonPhase::Delete,
        Phase::Insert => ReasonPhase::Insert,
        Phase::Recompute => ReasonPhase::Recompute,
    });
    if let Some(first) = request.first {
        reason.set_mode(match &first.mode {
            Mode::Increment => ReasonMode::Increment,
            Mode::NewRules(_) => ReasonMode::NewRules,
            Mode::Rebuild => ReasonMode::Rebuild,
            Mode::Maintain { .. } => ReasonMode::Maintain,
        });
        let numbers = |rules: &BTreeSet<usize>| rules.iter().map(|rule| *rule as u32).collect();
        match &first.mode {
            Mode::NewRules(rules) => reason.new_rules = numbers(rules),
            Mode::Maintain { new, dropped } => {
                (reason.new_rules, reason.dropped_rules) = (numbers(new), numbers(dropped));
            }
            Mode::Increment | Mode::Rebuild => {}
        }
        reason.effort_milliseconds_max = first.effort_max.map_or(0, |time| (time.as_millis() as u64).max(1));
        reason.program = first.program.bytes()?;
        reason.placement = Some(PlacementMap::clone(&first.placement));
        (reason.staged, reason.facts_max, reason.previous) = (first.staged, first.facts_max, first.previous.0);
    }
    Ok(reason)
}

/// The round in a request; `program` gives the program of its encoding, [decoded](decode_program) or from a cache.
///
/// # Errors
/// Those of `program`; `InvalidRequest` for an incomplete request.
pub fn round_request(
    request: ReasonRequest,
    program: impl FnOnce(&Bytes) -> Result<Arc<Program>, Fault>,
) -> Result<RoundRequest, Fault> {
    let (attempt, round) = (Attempt(request.attempt), Round(request.round));
    let phase = match request.phase() {
        ReasonPhase::Delete => Phase::Delete,
        ReasonPhase::Insert => Phase::Insert,
        ReasonPhase::Recompute => Phase::Recompute,
        ReasonPhase::Unspecified => return Err(incomplete("the phase of a round")),
    };
    let step = Step { stratum: request.stratum, phase };
    if round != Round(1) {
        return Ok(RoundRequest { attempt, round, step, first: None });
    }
    let numbers = |rules: &[u32]| rules.iter().map(|rule| *rule as usize).collect();
    let mode = match request.mode() {
        ReasonMode::Increment => Mode::Increment,
        ReasonMode::NewRules => Mode::NewRules(numbers(&request.new_rules)),
        ReasonMode::Rebuild => Mode::Rebuild,
        ReasonMode::Maintain => {
            Mode::Maintain { new: numbers(&request.new_rules), dropped: numbers(&request.dropped_rules) }
        }
        ReasonMode::Unspecified => return Err(incomplete("the mode of a first round")),
    };
    let first = FirstRound {
        mode,
        program: Encoded::new(program(&request.program)?),
        placement: Arc::new(request.placement.ok_or_else(|| incomplete("the placement"))?),
        staged: request.staged,
        facts_max: request.facts_max,
        previous: Epoch(request.previous),
        effort_max: Some(Duration::from_millis(request.effort_milliseconds_max)).filter(|time| !time.is_zero()),
    };
    Ok(RoundRequest { attempt, round, step, first: Some(first) })
}

/// The program in its encoding.
///
/// # Errors
/// `Corrupt`.
pub fn decode_program(bytes: &[u8]) -> Result<Arc<Program>, Fault> {
    decode(bytes)
}

/// The result of a round, as a response.
pub fn reason_response(answer: RoundAnswer) -> ReasonResponse {
    let count = |(node, messages): (&NodeId, &u64)| PeerCount { node: node.0, messages: *messages };
    ReasonResponse {
        active: answer.report.active,
        new_facts: answer.new_facts(),
        asserted: answer.asserted,
        removed: answer.staged.removal.removed,
        derived_only: answer.staged.removal.derived_only,
        derived_only_fact: answer.staged.removal.example.map(fact_message),
        operations: answer.staged.operations.iter().map(operation_message).collect(),
        sent: answer.report.sent.iter().map(count).collect(),
        received: answer.report.received.iter().map(count).collect(),
        bytes_sent: answer.bytes_sent,
        to_broadcast: answer.report.to_broadcast,
        gave_up: answer.report.gave_up,
        derived: answer.report.derived,
    }
}

/// The result of a round in a response.
pub fn round_answer(round: Round, response: ReasonResponse) -> RoundAnswer {
    let counts =
        |counts: Vec<PeerCount>| counts.into_iter().map(|count| (NodeId(count.node), count.messages)).collect();
    let report = Report {
        round,
        active: response.active,
        derived: response.derived,
        sent: counts(response.sent),
        received: counts(response.received),
        to_broadcast: response.to_broadcast,
        gave_up: response.gave_up,
    };
    let example = response.derived_only_fact.map(fact);
    let operations = response.operations.into_iter().map(operation).collect();
    let ReasonResponse { asserted, removed, derived_only, bytes_sent, .. } = response;
    let staged = FoldCounts { removal: RemovalCounts { removed, derived_only, example }, operations };
    RoundAnswer { report, asserted, staged, bytes_sent }
}

fn fact_message(fact: Fact) -> StagedFact {
    let Fact { graph, predicate, subject, object } = fact;
    StagedFact { graph: graph.0, predicate: predicate.0, subject: subject.0, object: object.0 }
}

fn fact(message: StagedFact) -> Fact {
    Fact {
        graph: TermId(message.graph),
        predicate: TermId(message.predicate),
        subject: TermId(message.subject),
        object: TermId(message.object),
    }
}

fn operation_message(counts: &OperationCounts) -> internal::OperationCounts {
    let OperationCounts { operation, added, removal } = *counts;
    let RemovalCounts { removed, derived_only, example } = removal;
    let derived_only_fact = example.map(fact_message);
    internal::OperationCounts { operation, added, removed, derived_only, derived_only_fact }
}

fn operation(message: internal::OperationCounts) -> OperationCounts {
    let internal::OperationCounts { operation, added, removed, derived_only, derived_only_fact } = message;
    let removal = RemovalCounts { removed, derived_only, example: derived_only_fact.map(fact) };
    OperationCounts { operation, added, removal }
}

/// What an attempt changes in a relation, as a message.
pub fn relation_change_message((relation, change): &(Relation, RelationChange)) -> internal::RelationChange {
    let RelationChange { asserted, removed, derived, derived_removed } = *change;
    let (graph, predicate) = (relation.graph.0, relation.predicate.0);
    internal::RelationChange { graph, predicate, asserted, removed, derived, derived_removed }
}

/// What an attempt changes in a relation, of a message.
pub fn relation_change(message: &internal::RelationChange) -> (Relation, RelationChange) {
    let internal::RelationChange { graph, predicate, asserted, removed, derived, derived_removed } = *message;
    (convert::relation(graph, predicate), RelationChange { asserted, removed, derived, derived_removed })
}

/// A scan, as a request.
pub fn scan_request(cluster: ClusterId, scan: Scan) -> ScanRequest {
    ScanRequest {
        cluster: cluster.0,
        epoch: scan.epoch.0,
        asserted: scan.asserted,
        derived: scan.derived,
        query: scan.query,
        one_graph: scan.graph.is_some(),
        graph: scan.graph.map_or(0, |graph| graph.0),
    }
}

/// The scan in a request.
pub fn scan(request: &ScanRequest) -> Scan {
    let graph = Some(TermId(request.graph)).filter(|_| request.one_graph);
    let ScanRequest { query, epoch, asserted, derived, .. } = *request;
    Scan { query, epoch: Epoch(epoch), asserted, derived, graph }
}

/// Facts of a scan, as a response.
pub fn scan_response(block: &Block) -> ScanResponse {
    ScanResponse { block: Some(convert::block(block.relation, Direction::Forward, &block.pairs)) }
}

/// The facts of a scan in a response.
///
/// # Errors
/// `Corrupt`.
pub fn block(response: &ScanResponse) -> Result<Block, Fault> {
    let block = response.block.as_ref().ok_or_else(|| Fault::corrupt("a scan's block is missing"))?;
    let (relation, _, pairs) = convert::block_parts(block)?;
    Ok(Block { relation, pairs })
}

/// A message between nodes, as a request.
pub fn exchange_request(call: Call, exchange: &Exchange) -> ExchangeRequest {
    let flow = match exchange.flow {
        FlowId::Attempt(attempt) => Flow::Attempt(attempt.0),
        FlowId::Query(query) => Flow::Query(query),
    };
    let message = wire::encode(&exchange.message).into();
    let (cluster, secret) = (call.cluster.0, call.secret.0);
    ExchangeRequest { cluster, secret, flow: Some(flow), from: exchange.from.0, message }
}

/// The message in a request.
///
/// # Errors
/// `Corrupt` for a message that does not decode, `InvalidRequest` for an incomplete request.
pub fn exchange(request: &ExchangeRequest) -> Result<Exchange, Fault> {
    let flow = match request.flow.ok_or_else(|| incomplete("a message's flow"))? {
        Flow::Attempt(attempt) => FlowId::Attempt(Attempt(attempt)),
        Flow::Query(query) => FlowId::Query(query),
    };
    Ok(Exchange { flow, from: NodeId(request.from), message: wire::decode(&request.message)? })
}
