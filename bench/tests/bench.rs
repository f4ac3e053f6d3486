//! End-to-end tests of the program: small workloads on real clusters, whose facts and answers must equal those of the
//! peer.
//!
//! Servers are processes of `entail`, which lies beside this program: cargo builds it for tests of the whole workspace.
//! For tests of this crate alone it has to be there: `cargo build --bin entail`.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_entail-bench");

/// The program with arguments. It gets no environment variables, and finds `entail` beside itself.
fn command(arguments: &[&str]) -> Command {
    let entail = Path::new(PROGRAM).with_file_name("entail");
    assert!(entail.exists(), "{} is not there: cargo build --bin entail", entail.display());
    let mut command = Command::new(PROGRAM);
    command.env_remove("ENTAIL").args(arguments);
    command
}

fn bench(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// The output lines of a benchmark that succeeds. The benchmark itself fails if Entail and the peer disagree.
fn lines(arguments: &[&str]) -> Vec<Value> {
    let output = bench(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn step<'a>(lines: &'a [Value], subject: &str, run: u64, step: &str) -> &'a Value {
    let fits = |line: &&Value| line["subject"] == subject && line["run"] == run && line["step"] == step;
    lines.iter().find(fits).unwrap_or_else(|| panic!("no {step} of {subject}"))
}

#[test]
fn a_university_is_what_the_peer_makes_of_it() {
    let shape = ["--nodes", "2", "--shards", "4", "--against", "ascent"];
    let lines = lines(&[&["lubm", "--universities", "1", "--points"], &shape[..]].concat());
    assert_eq!(lines[0]["line"], "machine");
    let entail = |name: &str| step(&lines, "entail", 1, name);
    assert!(entail("load")["facts"].as_u64().unwrap() > 90_000);
    assert!(entail("rules")["facts"].as_u64().unwrap() > 30_000);
    assert!(entail("rules")["bytes_exchanged"].as_u64().unwrap() > 0);
    assert!(entail("total")["peak_rss_bytes"].as_u64().unwrap() > 1 << 20);
    assert_eq!(entail("total")["facts"], step(&lines, "ascent", 1, "total")["facts"]);
    let resident = |name: &str| entail(name)["rss_bytes"].as_u64().unwrap();
    assert!(
        resident("start") < resident("rest") && resident("rest") <= entail("rest")["peak_rss_bytes"].as_u64().unwrap()
    );
    let rows = |query: &str| entail(query)["rows"].as_u64().unwrap();
    // A query with no results on either side would prove nothing.
    for query in ["q01", "q03", "q04", "q05", "q07", "q08", "q09", "q10", "q11", "q13", "q14"] {
        assert!(rows(query) > 0, "{query}");
        let seconds = |field: &str| entail(query)[field].as_f64().unwrap();
        assert!(seconds("server_seconds") > 0.0 && seconds("server_seconds") < seconds("seconds"), "{query}");
    }
    assert_eq!(rows("q12"), 15, "each department has a chair");
    assert!(rows("q06") > rows("q14"), "graduates are students by a rule only");
    for (name, clients) in [("empty_call", 1), ("point_query", 1), ("point_query", 8), ("write_one", 1)] {
        let is_point = |line: &&Value| line["step"] == name && line["clients"] == clients;
        let point = lines.iter().find(is_point).unwrap_or_else(|| panic!("no {name} by {clients}"));
        assert!(point["seconds"].as_f64() <= point["p99_seconds"].as_f64() && point["calls"].as_u64().unwrap() > 10);
    }
    for name in ["rules", "q02", "q09"] {
        assert!(entail(name)["messages"].as_u64().unwrap() > 0, "{name} joins over both nodes");
    }
    let ratios: Vec<_> = lines.iter().filter(|line| line["line"] == "ratio").collect();
    let against = |whom: &str| ratios.iter().filter(|ratio| ratio["against"] == whom).count();
    assert_eq!((against("ascent"), against("facts"), ratios.len()), (4, 5, 9));
}

#[test]
fn a_closure_is_what_the_peer_makes_of_it() {
    let size = ["--edges", "300", "--vertices", "90"];
    let shape = ["--nodes", "3", "--shards", "8", "--runs", "2", "--against", "ascent"];
    let lines = lines(&[&["closure"], &size[..], &shape[..]].concat());
    for run in [1, 2] {
        let pairs = &step(&lines, "entail", run, "rules")["facts"];
        assert_eq!(pairs, &step(&lines, "ascent", run, "fixpoint")["facts"]);
        assert!(pairs.as_u64().unwrap() > 3_000, "{pairs}");
    }
    let subjects = lines.iter().filter(|line| line["step"] == "total").map(|line| line["subject"].as_str().unwrap());
    assert_eq!(subjects.collect::<Vec<_>>(), ["entail", "ascent", "ascent", "entail"], "they take turns");
    let ratio = lines.iter().find(|line| line["of"] == "cpu_seconds").unwrap();
    assert_eq!((&ratio["runs"], &ratio["against"]), (&2.into(), &"ascent".into()));
}

#[test]
fn every_graph_is_what_the_peer_makes_of_it() {
    // Facts derived by the rules, and rows of a query: both are also compared with the peer's.
    let cases = [
        (&["closure", "--graph", "grid", "--side", "6"][..], 405, ("count", 405)),
        (&["closure", "--graph", "chain", "--vertices", "40"], 780, ("from", 39)),
        (&["same-generation", "--graph", "grid", "--side", "6"], 135, ("self", 25)),
        (&["same-generation", "--graph", "chain", "--vertices", "5"], 0, ("count", 0)),
    ];
    for (arguments, derived, (query, rows)) in cases {
        let lines = lines(&[arguments, &["--nodes", "2", "--shards", "4", "--against", "ascent"]].concat());
        let of = |name: &str, field: &str| step(&lines, "entail", 1, name)[field].as_u64().unwrap();
        assert_eq!((of("rules", "facts"), of(query, "rows")), (derived, rows), "{arguments:?}");
    }
    let random = ["same-generation", "--vertices", "60", "--edges", "120", "--shards", "4", "--against", "ascent"];
    assert!(step(&lines(&random), "entail", 1, "rules")["facts"].as_u64().unwrap() > 1_000);
}

#[test]
fn packages_are_what_the_peer_makes_of_them() {
    let shape = ["--nodes", "2", "--shards", "4", "--against", "ascent"];
    let drawn = lines(&[&["debian", "--packages", "1500"], &shape[..]].concat());
    let of = |lines: &[Value], name: &str, field: &str| step(lines, "entail", 1, name)[field].as_u64().unwrap();
    assert!(of(&drawn, "load", "facts") > 15_000 && of(&drawn, "rules", "facts") > 20_000);
    assert!(of(&drawn, "excluded", "rows") > 0 && of(&drawn, "trusts", "rows") > 5_000);

    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let control = "Package: a\nVersion: 1\nMaintainer: M <m@x.example>\nDepends: b | c (>= 2), v\nBreaks: v\n\n\
        Package: b\nVersion: 1\nProvides: v\nDepends: d\n\nPackage: c\nVersion: 3\n\n\
        Package: d\nVersion: 1\nMaintainer: N <n@x.example>\n";
    let mut triples = Vec::new();
    entail_example_debian::convert(control.as_bytes(), &mut triples).unwrap();
    fs::write(path("debian.nt"), triples).unwrap();
    let archive = lines(&[&["debian", "--archive", &path("debian.nt")], &shape[..]].concat());
    // a needs b, c and d; b needs d. a and b exclude each other. a trusts m and n; b and d trust n.
    assert_eq!((of(&archive, "excluded", "rows"), of(&archive, "trusts", "rows")), (1, 4));
}

#[test]
fn a_chain_is_cut_and_joined_again() {
    let lines = lines(&["maintain", "--graph", "chain", "--vertices", "150", "--nodes", "2", "--shards", "4"]);
    let of = |name: &str, field: &str| step(&lines, "entail", 1, name)[field].as_f64().unwrap();
    for name in ["cut", "join"] {
        // Each of 75 vertices reached each of 75 others.
        assert_eq!((of(name, "asserted"), of(name, "derived")), (1.0, 5625.0), "{name}");
        assert!(of(name, "seconds") <= of(name, "p90_seconds") && of(name, "server_seconds") < of(name, "seconds"));
    }
    assert_eq!(of("delete_100", "asserted"), 100.0);
    assert_eq!((of("drop_rules", "derived"), of("recompute", "derived")), (11_175.0, 11_175.0));
    assert!(!lines.iter().any(|line| line["step"] == "delete_10000"), "there are 149 edges");
    assert!(of("write_one", "epochs") <= of("write_one", "calls") && of("write_one", "calls") >= 64.0);
    let ratio = |against: &str, of: &str| {
        let fits = |line: &&Value| line["against"] == against && line["of"] == of;
        lines.iter().find(fits).unwrap_or_else(|| panic!("no {of} against {against}"))["median"].as_f64().unwrap()
    };
    let is_ratio = |against: &str, step: &str| {
        let expected = of("cut", "seconds") / of(step, "seconds");
        assert!((ratio(against, "cut") / expected - 1.0).abs() < 1e-9, "{against}");
    };
    is_ratio("recomputing", "recompute");
    is_ratio("inserting", "join");
    assert!(ratio("guard", "join") > 0.0 && ratio("deriving", "cut") > 0.0);
}

#[test]
fn changes_of_every_size_are_undone() {
    let sizes = [(1.0, "1"), (100.0, "100"), (10_000.0, "10000")];
    for workload in [["--universities", "1"], ["--packages", "1500"]] {
        let lines = lines(&[&["maintain"], &workload[..], &["--shards", "4"]].concat());
        for (facts, name) in sizes {
            let of =
                |verb: &str, field: &str| step(&lines, "entail", 1, &format!("{verb}_{name}"))[field].as_f64().unwrap();
            assert_eq!((of("delete", "asserted"), of("insert", "asserted")), (facts, facts), "{workload:?}");
            assert_eq!(of("delete", "derived"), of("insert", "derived"), "{workload:?}");
        }
    }
}

#[test]
fn results_become_tables() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chain.jsonl");
    let measured = bench(&["closure", "--graph", "chain", "--vertices", "20", "--against", "ascent"]);
    fs::write(&file, &measured.stdout).unwrap();
    let output = bench(&["tables", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("### closure-chain-20, 1 run\n\n1 node, 16 shards; "), "{text}");
    for row in ["| entail, rules | 190 |", "| ascent, total | 209 |", "| Entail over ascent |", "| from | 19 |"] {
        assert!(text.contains(row), "{row}\n{text}");
    }
}

#[test]
fn a_cluster_of_many_processes_is_measured_as_one() {
    let size = ["closure", "--edges", "200", "--vertices", "60", "--against", "ascent"];
    let lines = lines(&[&size[..], &["--nodes", "2", "--shards", "4", "--processes", "many", "--pin"]].concat());
    assert_eq!((&lines[1]["layout"], &lines[1]["pinned"]), (&"many".into(), &true.into()));
    let of = |field: &str| step(&lines, "entail", 1, "rules")[field].as_u64().unwrap();
    for field in ["messages", "bytes_exchanged", "disk_bytes"] {
        assert!(of(field) > 0, "{field}");
    }
    // One process alone takes some 30 MB.
    assert!(of("rss_bytes") > 60 << 20, "three processes");
}

#[test]
fn inputs_are_written_on_request() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chain.nt");
    let output = bench(&["closure", "--graph", "chain", "--vertices", "3", "--write", file.to_str().unwrap()]);
    assert!(output.status.success() && output.stdout.is_empty());
    let mut lines: Vec<String> = fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    let edge =
        |from: u8, to: u8| format!("<urn:entail:bench:v{from}> <urn:entail:bench:edge> <urn:entail:bench:v{to}> .");
    assert_eq!(lines, [edge(0, 1), edge(1, 2)]);
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let output = bench(&["closure", "--graph", "chain", "--vertices", "3", "--program", "/nowhere/entail"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/entail: No such file"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let output = bench(&["closure", "--graph", "grid", "--vertices", "9"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("a grid has --side only"));
    let output = bench(&["maintain", "--side", "9"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--vertices, --edges and --side are for --graph"));
    let output = bench(&["maintain", "--universities", "1", "--graph", "grid"]);
    assert_eq!(output.status.code(), Some(2));
    let output = bench(&["debian", "--archive", "/nowhere/debian.nt"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/debian.nt: No such file"));

    let output = bench(&["closure", "--edges", "21", "--vertices", "5"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("5 vertices cannot have 21 different edges"), "{said}");
    let kept = tempfile::tempdir().unwrap();
    fs::create_dir(kept.path().join("run-1")).unwrap();
    let keep = kept.path().to_str().unwrap();
    let output = bench(&["closure", "--edges", "20", "--vertices", "5", "--keep", keep]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("run-1: File exists"), "{said}");
}

#[test]
fn work_ends_with_its_time() {
    let kept = tempfile::tempdir().unwrap();
    // A closure of 25 million pairs, which cannot be computed within a second.
    let output = bench(&["closure", "--graph", "grid", "--timeout", "1s", "--keep", kept.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not done after --timeout (1 s)"));
    assert_eq!(servers(kept.path()), Vec::<String>::new());
}

/// The processes of clusters whose data is below a directory.
fn servers(directory: &Path) -> Vec<String> {
    let directory = directory.to_str().unwrap();
    let is_server = |name: &String| {
        let line = fs::read(format!("/proc/{name}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let roles = ["serve", "coordinator", "node"];
        line.split('\0').nth(1).is_some_and(|role| roles.contains(&role)) && line.contains(directory)
    };
    let names = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(is_server).collect()
}

#[test]
fn nothing_is_left_running_when_it_is_told_to_end() {
    for processes in ["one", "many"] {
        end_early(processes);
    }
}

fn end_early(processes: &str) {
    let kept = tempfile::tempdir().unwrap();
    let mut command = command(&["closure", "--processes", processes, "--keep"]);
    command.arg(kept.path());
    let mut bench = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while servers(kept.path()).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60), "no cluster was started");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(Command::new("kill").arg(bench.id().to_string()).status().unwrap().success());
    assert_eq!(bench.wait().unwrap().code(), Some(130));
    assert_eq!(servers(kept.path()), Vec::<String>::new());
}
