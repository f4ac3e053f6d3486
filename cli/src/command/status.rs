//! `entail status`: the status of the cluster; with `--wait` once it is ready; with `--watch` repeatedly.

mod watch;

use crate::failure::Failure;
use crate::output::grid::{Align, Fitting, Grid, fold};
use crate::output::{self, Form};
use crate::session::Session;
use crate::units::{bytes, count, counted, seconds};
use clap::Args;
use entail_client::v1::{NodeStatus, ShardStatus, StatusRequest, StatusResponse};
use entail_client::{Client, Error};
use entail_model::{Fault, Reason};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const EXAMPLES: &str = "\
Examples:
  entail status
  entail status --shards --output json
  entail status --watch
  entail status --wait --wait-nodes 3 --timeout 1m     until the cluster serves with three nodes";

/// The interval of polls while the cluster is not ready.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// The timeout of one poll.
const POLL_MAX: Duration = Duration::from_secs(5);
/// The state of a cluster that is ready.
const SERVING: &str = "serving";
const UP: &str = "up";
const STOPPED: &str = "stopped";
const DOWN: &str = "down";
/// The width of the title column.
const TITLE_WIDTH: usize = 8;

/// Shows the status of the cluster: its epoch, nodes, facts, memory and disk.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// Lists the shards as well
    #[arg(long)]
    shards: bool,

    /// Waits until the cluster serves, as long as --timeout allows
    #[arg(long)]
    wait: bool,

    /// Waits until the cluster serves and this many nodes are up
    #[arg(long, value_name = "COUNT", default_value_t = 0, hide_default_value = true)]
    wait_nodes: usize,

    /// Refreshes the status every second, with rates, until Ctrl-C or --timeout
    #[arg(long, conflicts_with_all = ["wait", "wait_nodes"])]
    pub watch: bool,

    /// The format of the output
    #[arg(long, value_enum, value_name = "FORM", env = "ENTAIL_OUTPUT", default_value = "table")]
    output: Form,
}

pub async fn run(arguments: Arguments, session: &Session) -> Result<(), Failure> {
    if arguments.watch {
        return watch::run(&arguments, session).await;
    }
    let request = StatusRequest { shards: arguments.shards };
    let mut status = if arguments.wait || arguments.wait_nodes > 0 {
        ready(request, arguments.wait_nodes, session).await?
    } else {
        session.asking()?.status(request).await?
    };
    status.nodes.sort_by_cached_key(shown);
    output::show(arguments.output, |out| table(&status, output::width(), out), &json(&status))
}

/// Waits until the cluster is ready, and returns its status.
async fn ready(request: StatusRequest, nodes: usize, session: &Session) -> Result<StatusResponse, Failure> {
    let started = Instant::now();
    let limit = session.ask_max();
    let client = session.polling(Some(POLL_MAX))?;
    loop {
        let lack = match poll(&client, request, nodes).await? {
            Ok(status) => return Ok(status),
            Err(lack) => lack,
        };
        let left = limit.map_or(POLL_EVERY, |limit| limit.saturating_sub(started.elapsed()));
        if left.is_zero() {
            let waited = seconds(started.elapsed().as_secs_f64());
            return Err(Fault::new(Reason::DeadlineExceeded, format!("not ready after {waited}: {lack}")).into());
        }
        sleep(left.min(POLL_EVERY)).await;
    }
}

/// The status of a cluster that is ready, or the reason why it is not.
async fn poll(
    client: &Client,
    request: StatusRequest,
    nodes: usize,
) -> Result<Result<StatusResponse, String>, Failure> {
    let status = match client.status(request).await {
        Ok(status) => status,
        Err(Error::Failed(fault)) if fault.is_retryable() || fault.reason == Reason::DeadlineExceeded => {
            return Ok(Err(fault.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let up = status.nodes.iter().filter(|node| node.state == UP).count();
    Ok(match status.state.as_str() {
        SERVING if up >= nodes => Ok(status),
        SERVING => Err(format!("{up} of {nodes} nodes are up")),
        state => Err(state.to_owned()),
    })
}

/// The columns of nodes that a narrow terminal does not show, the least important ones first.
const EXPENDABLE: [&str; 9] = ["terms", "cache", "epoch", "address", "queries", "free", "memory", "shards", "disk"];

/// Writes the status as text, in lines no wider than `width`.
fn table(status: &StatusResponse, width: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    head(status).iter().try_for_each(|line| line_within(line, width, out))?;
    details(status, width, out)
}

/// Writes the tables of nodes and of shards.
fn details(status: &StatusResponse, width: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    if !status.nodes.is_empty() {
        writeln!(out)?;
        nodes(&status.nodes, width, out)?;
    }
    if !status.shards.is_empty() {
        writeln!(out)?;
        shards(&status.shards, &status.nodes, width, out)?;
    }
    Ok(())
}

/// Writes a line whose first word is a title of eight columns.
fn line_within(line: &str, width: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    match width {
        Some(width) => writeln!(out, "{}", fold(line, width, TITLE_WIDTH)),
        None => writeln!(out, "{line}"),
    }
}

/// The lines about the cluster as a whole.
fn head(status: &StatusResponse) -> Vec<String> {
    let up = status.nodes.iter().filter(|node| node.state == UP).count();
    let (cluster, epoch) = (&status.cluster_id, status.epoch);
    let state = match status.state.as_str() {
        SERVING => format!("cluster {cluster} is serving, epoch {epoch}"),
        why => format!("cluster {cluster} is not serving, epoch {epoch}: {why}"),
    };
    let (asserted, derived) = (count(status.facts_asserted), count(status.facts_derived));
    let (all, parts) = (status.nodes.len(), counted(status.shard_count.into(), "shard"));
    vec![
        state,
        format!("facts   {asserted} asserted, {derived} derived"),
        format!("nodes   {up} of {all} up, {parts}, placement {}", status.placement_version),
        format!("server  version {}, up for {}", status.version, seconds(status.uptime_seconds)),
    ]
}

fn nodes(nodes: &[NodeStatus], width: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let row = |node: &NodeStatus| {
        // A node that has not reported, or is down.
        let is_known = node.disk_free_bytes > 0;
        let bytes = |size: u64| if is_known { bytes(size) } else { "-".to_owned() };
        vec![
            shown(node),
            node.state.clone(),
            node.address.clone(),
            count(node.shards.into()),
            count(node.facts_asserted),
            count(node.facts_derived),
            count(node.terms),
            bytes(node.memory_bytes),
            bytes(node.cache_bytes),
            bytes(node.disk_bytes),
            bytes(node.disk_free_bytes),
            count(node.queries.into()),
            node.epoch.to_string(),
        ]
    };
    let left = ["node", "state", "address"].map(|title| (title, Align::Left));
    let right = ["shards", "asserted", "derived", "terms", "memory", "cache", "disk", "free", "queries", "epoch"];
    let columns = left.into_iter().chain(right.map(|title| (title, Align::Right))).collect();
    let mut table = Fitting { columns, rows: nodes.iter().map(row).collect() };
    let hidden = width.map_or_else(Vec::new, |width| table.fit(width, &EXPENDABLE));
    table.write(width, out)?;
    let mut lines: Vec<String> = nodes.iter().filter_map(silence).collect();
    if !hidden.is_empty() {
        lines.push(format!("…       no room for {}; --output json has everything", hidden.join(", ")));
    }
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    lines.iter().try_for_each(|line| line_within(line, width, out))
}

/// When a node that does not run was last seen.
fn silence(node: &NodeStatus) -> Option<String> {
    let why = match node.state.as_str() {
        STOPPED => "was shut down",
        DOWN => "is down",
        _ => return None,
    };
    let seen = node.silent_seconds.map_or_else(
        || "not seen since the coordinator started".to_owned(),
        |silent| format!("last seen {} ago", seconds(silent)),
    );
    Some(format!("silent  {} {why}, {seen}", shown(node)))
}

fn shards(shards: &[ShardStatus], nodes: &[NodeStatus], width: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let holder = |id: &str| nodes.iter().find(|node| node.node_id == id).map_or_else(|| id.to_owned(), shown);
    let row = |shard: &ShardStatus| {
        vec![
            shard.shard.to_string(),
            holder(&shard.node_id),
            if shard.available { "available" } else { "missing" }.to_owned(),
            count(shard.facts_asserted),
            count(shard.facts_derived),
            count(shard.terms),
        ]
    };
    let left = ["node", "state"].map(|title| (title, Align::Left));
    let right = ["asserted", "derived", "terms"].map(|title| (title, Align::Right));
    let columns = [("shard", Align::Right)].into_iter().chain(left).chain(right);
    Grid::new(columns).write_within(width, &shards.iter().map(row).collect::<Vec<_>>(), out)
}

/// The name of a node, as displayed.
fn shown(node: &NodeStatus) -> String {
    if node.name.is_empty() { node.node_id.clone() } else { node.name.clone() }
}

fn json(status: &StatusResponse) -> Value {
    let node = |node: &NodeStatus| {
        json!({
            "node_id": node.node_id, "name": node.name, "address": node.address, "state": node.state,
            "shard_count": node.shards, "facts_asserted": node.facts_asserted, "facts_derived": node.facts_derived,
            "terms": node.terms, "memory_bytes": node.memory_bytes, "cache_bytes": node.cache_bytes,
            "disk_bytes": node.disk_bytes, "disk_free_bytes": node.disk_free_bytes, "epoch": node.epoch,
            "version": node.version, "queries_at_work": node.queries, "silent_seconds": node.silent_seconds,
        })
    };
    let shard = |shard: &ShardStatus| {
        json!({
            "shard": shard.shard, "node_id": shard.node_id, "available": shard.available,
            "facts_asserted": shard.facts_asserted, "facts_derived": shard.facts_derived, "terms": shard.terms,
        })
    };
    json!({
        "cluster_id": status.cluster_id,
        "epoch": status.epoch,
        "state": status.state,
        "facts_asserted": status.facts_asserted,
        "facts_derived": status.facts_derived,
        "shard_count": status.shard_count,
        "version": status.version,
        "placement_version": status.placement_version,
        "uptime_seconds": status.uptime_seconds,
        "queries_at_work": status.queries_at_work,
        "changes_at_work": status.changes_at_work,
        "queries_since_start": status.queries_total,
        "rows_since_start": status.rows_total,
        "facts_asserted_since_start": status.asserted_total,
        "facts_derived_since_start": status.derived_total,
        "nodes": status.nodes.iter().map(node).collect::<Vec<_>>(),
        "shards": status.shards.iter().map(shard).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_shown() {
        let node = NodeStatus {
            node_id: "00a1".to_owned(),
            name: "node-0".to_owned(),
            address: "http://127.0.0.1:7411".to_owned(),
            state: "up".to_owned(),
            shards: 2,
            facts_asserted: 1200,
            memory_bytes: 1 << 30,
            disk_free_bytes: 5 << 30,
            epoch: 4,
            ..Default::default()
        };
        let silent = NodeStatus { name: "node-1".to_owned(), state: "down".to_owned(), ..Default::default() };
        let stopped = NodeStatus {
            name: "node-2".to_owned(),
            state: "stopped".to_owned(),
            silent_seconds: Some(125.0),
            ..Default::default()
        };
        let shard = ShardStatus { shard: 1, node_id: "00a1".to_owned(), available: false, ..Default::default() };
        let status = StatusResponse {
            cluster_id: "c0ffee".to_owned(),
            epoch: 4,
            state: "serving".to_owned(),
            nodes: vec![node, silent, stopped],
            shards: vec![shard],
            facts_asserted: 1200,
            shard_count: 2,
            version: "0.1.0".to_owned(),
            placement_version: 1,
            uptime_seconds: 61.0,
            ..Default::default()
        };
        let mut out = Vec::new();
        table(&status, None, &mut out).unwrap();
        let expected = "\
cluster c0ffee is serving, epoch 4
facts   1,200 asserted, 0 derived
nodes   1 of 3 up, 2 shards, placement 1
server  version 0.1.0, up for 1 min 01 s

node    state    address                shards  asserted  derived  terms   memory  cache  disk     free  queries  epoch
──────  ───────  ─────────────────────  ──────  ────────  ───────  ─────  ───────  ─────  ────  ───────  ───────  ─────
node-0  up       http://127.0.0.1:7411       2     1,200        0      0  1.0 GiB    0 B   0 B  5.0 GiB        0      4
node-1  down                                 0         0        0      0        -      -     -        -        0      0
node-2  stopped                              0         0        0      0        -      -     -        -        0      0

silent  node-1 is down, not seen since the coordinator started
silent  node-2 was shut down, last seen 2 min 05 s ago

shard  node    state    asserted  derived  terms
─────  ──────  ───────  ────────  ───────  ─────
    1  node-0  missing         0        0      0
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(json(&status)["shards"][0]["available"], false);
        for (width, expected) in [
            (80, "node    state    shards  asserted  derived   memory  disk     free  queries  …"),
            (40, "node    state    asserted  derived  …"),
        ] {
            let mut out = Vec::new();
            table(&status, Some(width), &mut out).unwrap();
            let narrow = String::from_utf8(out).unwrap();
            assert!(narrow.contains(expected), "{width}:\n{narrow}");
            assert!(narrow.contains("…       no room for terms, cache, epoch"), "{width}:\n{narrow}");
            let widest = narrow.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width, "{widest} in {width}:\n{narrow}");
        }
        let status = StatusResponse { state: "1 of 2 shards are missing".to_owned(), ..status };
        let mut out = Vec::new();
        table(&status, None, &mut out).unwrap();
        assert!(out.starts_with(b"cluster c0ffee is not serving, epoch 4: 1 of 2 shards are missing\n"));
    }
}
