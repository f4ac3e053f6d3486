//! The cost of tracing: the processor time of clusters that differ in their trace settings only, measured in turns.
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

const UNIVERSITIES: u32 = 5;
/// The number of sets with one cluster for each setting: clusters of the same setting differ by the placement of
/// shards.
const SETS: usize = 4;
/// The turns in each set; they are short, so that other load of the machine affects all settings alike.
const TURNS: usize = 40;
const QUERIES: usize = 150;
const POINT: &str = "PREFIX ub: <http://swat.cse.lehigh.edu/onto/univ-bench.owl#> \
    SELECT ?x { ?x ub:worksFor <http://www.Department0.University0.edu> }";

/// A trace setting and its measurements.
struct Way {
    name: &'static str,
    environment: Vec<(&'static str, String)>,
    /// Processor and wall time of each load, and of a query in each set of clusters.
    loads: Vec<(Duration, Duration)>,
    points: Vec<(Duration, Duration)>,
    queries: Vec<(Duration, Duration)>,
}

fn ways(receiver: &Receiver) -> Vec<Way> {
    let way = |name, environment| Way { name, environment, loads: Vec::new(), points: Vec::new(), queries: Vec::new() };
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
        // The fields after the name, which may contain anything: user and system time are the 12th and 13th.
        let fields = stat.rsplit_once(") ").unwrap().1;
        fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    };
    let pids: Vec<u32> = cluster.processes().map(|process| process.pid()).collect();
    // Linux reports these times in hundredths of a second.
    Duration::from_millis(pids.into_iter().map(ticks).sum::<u64>() * 10)
}

fn median(times: impl Iterator<Item = Duration>) -> f64 {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn show(what: &str, ways: &[Way], times: impl Fn(&Way) -> Vec<(Duration, Duration)>) {
    println!(
        "{what}: processor ms, to off; wall ms, to off; least processor ms, to off; processor time to off, in turns"
    );
    let figures = |way: &Way| {
        let times = times(way);
        let least = times.iter().map(|(cpu, _)| *cpu).min().unwrap().as_secs_f64() * 1e3;
        [median(times.iter().map(|(cpu, _)| *cpu)), median(times.iter().map(|(_, wall)| *wall)), least]
    };
    let off = figures(&ways[0]);
    for way in ways {
        let cells =
            figures(way).into_iter().zip(off).map(|(it, off)| format!("{it:9.3} {:+6.1} %", (it / off - 1.0) * 100.0));
        let turns = times(way).into_iter().zip(times(&ways[0]));
        let turns =
            turns.map(|((cpu, _), (off, _))| format!("{:+.1}", (cpu.as_secs_f64() / off.as_secs_f64() - 1.0) * 100.0));
        let turns = turns.collect::<Vec<_>>().join(" ");
        println!("  {:16}{}  {turns}", way.name, cells.collect::<Vec<_>>().join("  "));
    }
}

/// Queries the clusters in turns, equally often; returns the time of a query, by setting.
fn ask(clusters: &mut [(usize, Cluster)], texts: &[&str]) -> Vec<(usize, (Duration, Duration))> {
    let runtime = Runtime::new().unwrap();
    let connected = |(_, cluster): &(usize, Cluster)| {
        runtime.block_on(async { Client::connect(cluster.server(), Options::default()).unwrap() })
    };
    let clients: Vec<Client> = clusters.iter().map(connected).collect();
    let mut spent_by = vec![(Duration::ZERO, Duration::ZERO); clusters.len()];
    for turn in 0..=TURNS {
        for index in 0..clusters.len() {
            let place = (index + turn) % clusters.len();
            let (before, started) = (spent(&mut clusters[place].1), Instant::now());
            runtime.block_on(async {
                for text in texts {
                    let request = QueryRequest { query: (*text).to_owned(), ..QueryRequest::default() };
                    assert!(clients[place].query_all(request, 64 << 20).await.unwrap().summary.rows > 0);
                }
            });
            // The first turn warms up.
            if turn > 0 {
                let (cpu, wall) = &mut spent_by[place];
                *cpu += spent(&mut clusters[place].1) - before;
                *wall += started.elapsed();
            }
        }
    }
    let per_query = |time: Duration| time / (TURNS * texts.len()) as u32;
    let ways = clusters.iter().map(|(way, _)| *way);
    ways.zip(spent_by).map(|(way, (cpu, wall))| (way, (per_query(cpu), per_query(wall)))).collect()
}

#[test]
#[ignore = "measures for minutes"]
fn tracing_cost() {
    let receiver = Receiver::start();
    let mut ways = ways(&receiver);
    let mut data = Vec::new();
    Lubm { universities: UNIVERSITIES, seed: 7 }.write(&mut data).unwrap();
    for set in 0..SETS {
        let mut clusters = Vec::new();
        for index in 0..ways.len() {
            let way = &mut ways[(index + set) % 4];
            let mut cluster = Cluster::of(Shape { environment: way.environment.clone(), ..Shape::default() });
            let (file, rules) = (cluster.file("l.nt", &data), cluster.file("l.srl", lubm::RULES));
            cluster.must(&["rules", "apply", &rules]);
            let (before, started) = (spent(&mut cluster), Instant::now());
            cluster.must(&["load", &file]);
            way.loads.push((spent(&mut cluster) - before, started.elapsed()));
            clusters.push(((index + set) % 4, cluster));
        }
        for (way, time) in ask(&mut clusters, &vec![POINT; QUERIES]) {
            ways[way].points.push(time);
        }
        for (way, time) in ask(&mut clusters, &lubm::QUERIES.map(|query| query.text)) {
            ways[way].queries.push(time);
        }
    }
    show("a load of LUBM-5", &ways, |way| way.loads.clone());
    show("a point query", &ways, |way| way.points.clone());
    show("one of LUBM's queries", &ways, |way| way.queries.clone());
}
