//! What tracing costs: the processor time of whole clusters that differ in nothing else, measured in turns.
//!
//! `cargo test -p entail-cli --test processes tracing_cost -- --ignored --nocapture`; docs/tracing.md has figures.

use crate::harness::{Cluster, Shape};
use crate::receiver::Receiver;
use entail_bench::lubm::{self, Lubm};
use entail_client::v1::QueryRequest;
use entail_client::{Client, Options};
use std::fs;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const LOADS: usize = 7;
const UNIVERSITIES: u32 = 5;
const TURNS: usize = 12;
/// In one turn: a process's time is counted in hundredths of a second.
const QUERIES: usize = 1500;
const POINT: &str = "PREFIX ub: <http://swat.cse.lehigh.edu/onto/univ-bench.owl#> \
    SELECT ?x { ?x ub:worksFor <http://www.Department0.University0.edu> }";

/// A way of tracing, and what it came to.
struct Way {
    name: &'static str,
    environment: Vec<(&'static str, String)>,
    /// Processor and wall time of each load, and of one query in each turn.
    loads: Vec<(Duration, Duration)>,
    queries: Vec<(Duration, Duration)>,
}

fn ways(receiver: &Receiver) -> Vec<Way> {
    let way = |name, environment| Way { name, environment, loads: Vec::new(), queries: Vec::new() };
    let sampled = |ratio: &str| {
        let sampler = ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio".to_owned());
        let mut environment = receiver.environment();
        environment.retain(|(name, _)| *name != "OTEL_BSP_SCHEDULE_DELAY");
        environment.extend([sampler, ("OTEL_TRACES_SAMPLER_ARG", ratio.to_owned())]);
        environment
    };
    vec![
        way("off", vec![("OTEL_SDK_DISABLED", "true".to_owned())]),
        way("nothing set", Vec::new()),
        way("5 % sent", sampled("0.05")),
        way("all sent", sampled("1")),
    ]
}

/// The processor time of all processes of a cluster, threads that have ended included.
fn spent(cluster: &mut Cluster) -> Duration {
    let ticks = |pid: u32| -> u64 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // After the name, which may hold anything: user and system time are the 12th and 13th.
        let fields = stat.rsplit_once(") ").unwrap().1;
        fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    };
    let pids: Vec<u32> = cluster.processes().map(|process| process.pid()).collect();
    // Linux counts in hundredths of a second for whoever asks.
    Duration::from_millis(pids.into_iter().map(ticks).sum::<u64>() * 10)
}

fn median(times: impl Iterator<Item = Duration>) -> f64 {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn show(what: &str, ways: &[Way], times: impl Fn(&Way) -> Vec<(Duration, Duration)>) {
    println!("{what}: processor ms, to off; wall ms, to off; least processor ms, to off");
    let figures = |way: &Way| {
        let times = times(way);
        let least = times.iter().map(|(cpu, _)| *cpu).min().unwrap().as_secs_f64() * 1e3;
        [median(times.iter().map(|(cpu, _)| *cpu)), median(times.iter().map(|(_, wall)| *wall)), least]
    };
    let off = figures(&ways[0]);
    for way in ways {
        let cells =
            figures(way).into_iter().zip(off).map(|(it, off)| format!("{it:9.3} {:+6.1} %", (it / off - 1.0) * 100.0));
        println!("  {:16}{}", way.name, cells.collect::<Vec<_>>().join("  "));
    }
}

#[test]
#[ignore = "measures for minutes"]
fn tracing_cost() {
    let receiver = Receiver::start();
    let mut ways = ways(&receiver);
    let mut data = Vec::new();
    Lubm { universities: UNIVERSITIES, seed: 7 }.write(&mut data).unwrap();
    let mut clusters = Vec::new();
    for turn in 0..LOADS {
        clusters.clear();
        for index in 0..ways.len() {
            let way = &mut ways[(index + turn) % 4];
            let mut cluster = Cluster::of(Shape { environment: way.environment.clone(), ..Shape::default() });
            let (file, rules) = (cluster.file("l.nt", &data), cluster.file("l.srl", lubm::RULES));
            cluster.must(&["rules", "apply", &rules]);
            let (before, started) = (spent(&mut cluster), Instant::now());
            cluster.must(&["load", &file]);
            way.loads.push((spent(&mut cluster) - before, started.elapsed()));
            clusters.push(((index + turn) % 4, cluster));
        }
    }
    let runtime = Runtime::new().unwrap();
    for turn in 0..TURNS {
        for index in 0..ways.len() {
            let (way, cluster) = &mut clusters[(index + turn) % 4];
            let (before, started) = (spent(cluster), Instant::now());
            runtime.block_on(async {
                let client = Client::connect(cluster.server(), Options::default()).unwrap();
                for _ in 0..QUERIES {
                    let request = QueryRequest { query: POINT.to_owned(), ..QueryRequest::default() };
                    assert!(client.query_all(request, 1 << 20).await.unwrap().summary.rows > 0);
                }
            });
            let per_query = |time: Duration| time / QUERIES as u32;
            ways[*way].queries.push((per_query(spent(cluster) - before), per_query(started.elapsed())));
        }
    }
    show("a load of LUBM-5", &ways, |way| way.loads.clone());
    show("a point query", &ways, |way| way.queries.clone());
}
