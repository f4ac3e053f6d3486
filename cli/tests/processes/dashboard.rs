//! Queries of the overview dashboard, run by a real Prometheus that scrapes a real cluster under load: no panel is
//! empty.
//!
//! Needs Debian's package `prometheus` (or `make check-tools`); without it the test prints a note and passes.

use crate::harness::{Cluster, Random, Shape, eventually, free_address, text};
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

const DASHBOARD: &str = include_str!("../../../deploy/dashboards/overview.json");
/// The range that Grafana inserts for a short interval.
const RANGE: &str = "10s";
/// Longer than the range: every rate has its two points.
const SOAK: Duration = Duration::from_secs(14);

struct Prometheus {
    child: Child,
    address: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Starts a Prometheus that scrapes these addresses, if it is installed.
    fn start(place: &Path, targets: &[String]) -> Option<Self> {
        let address = free_address();
        let config = place.join("prometheus.yaml");
        let scrapes = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n  - job_name: entail\n";
        fs::write(&config, format!("{scrapes}    static_configs: [{{targets: {targets:?}}}]\n")).unwrap();
        let log = File::create(place.join("prometheus.log")).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", text(&config)))
            .arg(format!("--storage.tsdb.path={}", text(&place.join("prometheus"))))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Some(Self { child: child.ok()?, address })
    }

    /// The current values of a query.
    fn ask(&self, query: &str) -> Result<Vec<f64>, String> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = crate::harness::get(&self.address, &format!("/api/v1/query?query={encoded}"));
        let (status, body) = answer.ok_or_else(|| "nobody answers".to_owned())?;
        let answer: Value = serde_json::from_str(&body).map_err(|error| format!("{status}: {error}: {body}"))?;
        let results = answer["data"]["result"].as_array().ok_or_else(|| body.clone())?;
        let value = |result: &Value| result["value"][1].as_str().and_then(|value| value.parse::<f64>().ok());
        Ok(results.iter().filter_map(value).filter(|value| !value.is_nan()).collect())
    }
}

/// Stops the load when it is dropped.
struct Stopping<'s>(&'s AtomicBool);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Generates load: valid and invalid queries, changes, loads and rules, one after the other.
fn work(cluster: &Cluster, stop: &AtomicBool) {
    let random = Random::new(7);
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let (a, b) = (random.below(5000), random.below(5000));
        let parent = format!("<urn:p:{a}> <urn:parent> <urn:p:{b}> .\n");
        match turn % 6 {
            0 => cluster.load("more.nt", &parent.repeat(50)),
            1 => drop(cluster.must(&["update", &format!("INSERT DATA {{ {parent} }}")])),
            2 => drop(cluster.run(&["query", "SELECT nonsense"])),
            _ => drop(cluster.must(&["query", "SELECT * { ?a <urn:parent> ?b . ?b <urn:parent> ?c } LIMIT 1000"])),
        }
        if turn % 20 == 0 {
            let rule =
                format!("RULE {{ ?a <urn:grand{turn}> ?c }} WHERE {{ ?a <urn:parent> ?b . ?b <urn:parent> ?c }}");
            let file = cluster.file("grand.srl", rule);
            cluster.must(&["rules", "apply", &file]);
        }
    }
}

/// The query as Grafana sends it with *All* selected for each variable of the dashboard.
fn filled_in(dashboard: &Value, query: &str) -> String {
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter().filter(|entry| entry["type"] == "query");
    variables.fold(query.replace("$__rate_interval", RANGE), |query, variable| {
        query.replace(&format!("${}", variable["name"].as_str().unwrap()), variable["allValue"].as_str().unwrap())
    })
}

/// The title, and the query, of each line of each panel.
fn panels() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let queries = panels.flat_map(|panel| {
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(|target| (panel["title"].to_string(), filled_in(&dashboard, target["expr"].as_str().unwrap())))
    });
    queries.collect()
}

#[test]
fn no_panel_is_empty() {
    let cluster = Cluster::of(Shape::default());
    let people: String = (0..5000).map(|n| format!("<urn:p:{n}> <urn:parent> <urn:p:{}> .\n", n / 2)).collect();
    cluster.load("people.nt", &people);
    let targets: Vec<String> =
        [&cluster.coordinator].into_iter().chain(&cluster.nodes).map(|role| role.http_address().to_owned()).collect();
    let Some(prometheus) = Prometheus::start(cluster.place(), &targets) else {
        eprintln!("SKIPPED: there is no prometheus (make check-tools, or Debian's package)");
        return;
    };
    let stop = AtomicBool::new(false);
    scope(|threads| {
        // The scope joins the load's thread, also when an assertion below fails.
        let stopping = Stopping(&stop);
        threads.spawn(|| work(&cluster, &stop));
        eventually("Prometheus sees all roles", || prometheus.ask("up == 1").is_ok_and(|up| up.len() == targets.len()));
        sleep(SOAK);
        let started = Instant::now();
        let (mut empty, panels) = (Vec::new(), panels());
        assert!(panels.len() > 50, "{} queries", panels.len());
        for (title, query) in &panels {
            // The rate of a rare event may be missing at a single point in time.
            let mut answer = Ok(Vec::new());
            for _ in 0..10 {
                answer = prometheus.ask(query);
                if answer.as_ref().is_ok_and(|values| !values.is_empty()) {
                    break;
                }
                sleep(Duration::from_millis(500));
            }
            if answer.as_ref().map_or(true, Vec::is_empty) {
                empty.push(format!("{title}: {query}: {answer:?}"));
            }
        }
        println!("{} queries in {:?}", panels.len(), started.elapsed());
        drop(stopping);
        assert!(empty.is_empty(), "{}", empty.join("\n"));
    });
}
