//! docs/metrics.md lists exactly the metrics of a working cluster: names, types, labels, descriptions and roles.

use crate::harness::{Cluster, Shape, eventually};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Instant;

const DOCUMENT: &str = include_str!("../../../docs/metrics.md");

/// A family of metrics, as exported or as documented.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Family {
    kind: String,
    meaning: String,
    labels: BTreeSet<String>,
}

type Families = BTreeMap<String, Family>;

/// The families of a page, and its samples by what stands before the value.
fn parse(page: &str) -> (Families, BTreeMap<String, f64>) {
    let mut families = Families::new();
    let mut samples = BTreeMap::new();
    for line in page.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => families.entry(name.to_owned()).or_default().meaning = help.to_owned(),
            ["#", "TYPE", name, kind] => families.entry(name.to_owned()).or_default().kind = kind.to_owned(),
            _ => {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
                let name = base.filter(|base| families.contains_key(*base)).unwrap_or(name);
                let labels = labels.trim_end_matches('}').split(',').filter_map(|label| label.split_once('='));
                let labels = labels.map(|(label, _)| label.to_owned()).filter(|label| label != "le");
                families.get_mut(name).expect("told before it is used").labels.extend(labels);
                assert!(samples.insert(series.to_owned(), value.parse().unwrap()).is_none(), "{series} comes twice");
            }
        }
    }
    (families, samples)
}

/// The rows of the document's table whose metrics a role has.
fn documented(role: &str) -> Families {
    let row = |line: &str| {
        let is_metric = line.starts_with("| `entail_") || line.starts_with("| `process_");
        let cells: Vec<&str> =
            line.strip_prefix("| `").filter(|_| is_metric)?.trim_end_matches(" |").split(" | ").collect();
        let [name, kind, labels, unit, from, meaning] = cells[..] else { panic!("{line} has other columns") };
        let name = name.trim_end_matches('`').to_owned();
        assert_eq!(unit_of(&name), unit, "the unit of {name}");
        let labels = labels.split(", ").filter(|label| *label != "-").map(|label| label.trim_matches('`').to_owned());
        let family = Family { kind: kind.to_owned(), meaning: meaning.to_owned(), labels: labels.collect() };
        from.split(", ").any(|from| from == role).then_some((name, family))
    };
    DOCUMENT.lines().filter_map(row).collect()
}

/// The unit that a name ends with.
fn unit_of(name: &str) -> &'static str {
    let name = name.trim_end_matches("_total");
    match () {
        () if name.ends_with("_bytes_per_second") => "bytes/second",
        () if name.ends_with("_seconds") => "seconds",
        () if name.ends_with("_bytes") => "bytes",
        () if name.ends_with("_ratio") => "ratio",
        () => "count",
    }
}

/// Exercises the cluster: loads, rules, changes, queries, dumps, and failures.
fn work(cluster: &mut Cluster) {
    let mut people = String::new();
    for n in 0..2000 {
        writeln!(people, "<urn:p:{n}> <urn:parent> <urn:p:{}> .", n / 2).unwrap();
    }
    cluster.load("people.nt", &people);
    let rule = "RULE { ?a <urn:ancestor> ?b } WHERE { ?a <urn:parent> ?b }\n\
                RULE { ?a <urn:ancestor> ?c } WHERE { ?a <urn:ancestor> ?b . ?b <urn:parent> ?c }";
    let file = cluster.file("ancestor.srl", rule);
    cluster.must(&["rules", "apply", &file]);
    cluster.must(&["rules", "list"]);
    cluster.must(&["update", "INSERT DATA { <urn:p:1> <urn:name> \"one\" }"]);
    for _ in 0..3 {
        cluster.must(&["query", "SELECT * { ?a <urn:parent> ?b . ?b <urn:parent> ?c }"]);
    }
    cluster.must(&["query", "ASK { <urn:p:1> <urn:name> ?name }", "--trace"]);
    cluster.must(&["dump", "--all-graphs"]);
    assert_eq!(cluster.run(&["query", "SELECT nonsense"]).code, Some(1));
    cluster.nodes[2].kill();
    assert_eq!(cluster.run(&["query", "SELECT * { ?a <urn:parent> ?b }", "--timeout", "2s"]).code, Some(3));
    // The concurrent calls beside the failing ones are cancelled, some before they have been read: no server error.
    for _ in 0..30 {
        let join = "SELECT * { ?a <urn:parent> ?b . ?b <urn:parent> ?c . ?d <urn:parent> ?c }";
        assert_eq!(cluster.run(&["query", join, "--timeout", "300ms"]).out, "");
    }
    cluster.nodes[2].start();
    // The coordinator may still hold the registration of the previous process.
    eventually("the node has registered", || cluster.nodes[2].http("/readyz").is_some_and(|(status, _)| status == 200));
    cluster.ready();
    cluster.must(&["query", "SELECT * { ?a <urn:ancestor> ?b }"]);
    cluster.must(&["rules", "drop", "ancestor"]);
}

#[test]
fn the_document_tells_what_a_cluster_shows() {
    let mut cluster = Cluster::of(Shape { shards: 4, ..Shape::default() });
    work(&mut cluster);
    let mut facts = 0.0;
    for process in cluster.processes() {
        let started = Instant::now();
        let (status, page) = process.http("/metrics").unwrap();
        println!("{}: {} bytes in {:?}", process.name, page.len(), started.elapsed());
        assert_eq!(status, 200);
        let (mut shown, samples) = parse(&page);
        let role = process.name.split('-').next().unwrap();
        // A constant label of all metrics of a node.
        for (name, family) in &mut shown {
            let of_process = ["process_", "entail_resident_", "entail_tokio_", "entail_build_", "entail_trace_"];
            let is_own = !of_process.iter().any(|of| name.starts_with(of));
            assert_eq!(family.labels.remove("node"), role == "node" && is_own, "{name}");
        }
        assert_eq!(shown, documented(role), "of a {role}, shown and documented");
        assert!(!page.contains("code=\"INTERNAL\""), "a defect:\n{page}");
        assert!(!page.contains("method=\"other\""), "a method is missing in the list:\n{page}");
        let sum = |start: &str| samples.iter().filter(|(name, _)| name.starts_with(start)).map(|(_, n)| n).sum::<f64>();
        let grows = match role {
            "node" => {
                &["entail_query_part_rows_total", "entail_exchange_bytes_total", "entail_rocksdb_wal_syncs_total"][..]
            }
            _ => &["entail_query_rows_total", "entail_query_answer_bytes_total", "entail_fanout_slowest_ratio_count"],
        };
        for name in grows.iter().chain(&["process_resident_memory_bytes", "entail_tokio_busy_seconds_total"]) {
            assert!(sum(name) > 0.0, "{name} is nothing:\n{page}");
        }
        // Whole seconds, of a moment ago.
        let (shown, used) = (samples["process_cpu_seconds_total"], processor_seconds(process.pid()));
        assert!((used - 5.0..=used).contains(&shown), "{shown} s are shown of {used} s");
        let (peak, resident) = (sum("entail_resident_memory_peak_bytes"), sum("process_resident_memory_bytes"));
        assert!(peak > resident / 2.0, "peak {peak}, resident {resident}");
        assert_eq!(sum("entail_ready"), 1.0);
        match role {
            "node" => facts += sum("entail_shard_facts"),
            _ => {
                let of = |labels: &str| samples[&format!("entail_rpc_server_requests_total{{{labels}}}")];
                assert!(of(r#"code="UNAVAILABLE",method="Query",service="entail.v1.QueryService""#) >= 1.0);
                assert_eq!(of(r#"code="INVALID_ARGUMENT",method="Query",service="entail.v1.QueryService""#), 1.0);
                assert_eq!(of(r#"code="OK",method="Query",service="entail.v1.QueryService""#), 5.0);
                assert!(of(r#"code="OK",method="Trace",service="entail.v1.AdminService""#) >= 1.0);
                assert_eq!(samples["entail_load_triples_total"], 2000.0);
                assert_eq!(samples["entail_facts_asserted_total"], 2001.0);
                assert_eq!(sum("entail_epochs_total"), 4.0);
                assert_eq!(samples["entail_epoch"], 4.0);
            }
        }
        promtool(&page);
    }
    assert_eq!(facts, 2001.0, "what was derived is gone again");
}

/// Processor time of a process, in user and system mode, as proc_pid_stat(5) describes it.
fn processor_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// The lint of Prometheus' own tool, if it is installed.
fn promtool(page: &str) {
    let tool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut tool) = tool else {
        eprintln!("SKIPPED promtool check metrics: there is no promtool (make check-tools)");
        return;
    };
    tool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let done = tool.wait_with_output().unwrap();
    assert!(done.status.success(), "promtool: {}", String::from_utf8_lossy(&done.stdout));
}
