//! Whatever happens to the files of a cluster that is stopped: it answers as before, or says CORRUPT, or a role refuses to
//! start and leaves its directory as it is. And directories of earlier formats are read, and converted.

use crate::harness::{Process, Running, entail, eventually, free_address, lines, text};
use entail_directory::damage::{self, Files};
use entail_model::random::Random;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How long a damaged cluster may take until it serves or ends.
const PATIENCE: Duration = Duration::from_secs(60);

const RULES: &str = "RULE { ?x <urn:ancestor> ?y } WHERE { ?x <urn:parent> ?y }
RULE { ?x <urn:ancestor> ?z } WHERE { ?x <urn:ancestor> ?y . ?y <urn:parent> ?z }
";

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// `entail serve` on a directory.
struct Serve {
    process: Process,
    server: String,
}

/// What became of a start.
enum Start {
    Serves,
    /// Its last line.
    Ended(String),
}

impl Serve {
    fn new(place: &Path, data: &Path) -> Self {
        let (listen, peers, http) = (free_address(), free_address(), free_address());
        let arguments = [
            &["serve", "--data", text(data), "--memory", "64MiB", "--nodes", "2"][..],
            &["--listen", &listen, "--peer-listen", &peers, "--http-listen", &http],
        ];
        Self { process: Process::new("serve", place, &[], &arguments.concat()), server: format!("http://{listen}") }
    }

    fn start(&mut self) -> Start {
        self.process.start();
        let until = Instant::now() + PATIENCE;
        while self.process.http("/readyz").is_none_or(|(status, _)| status != 200) {
            if !self.process.is_running() {
                assert_eq!(self.process.ended().code(), Some(1), "{}", self.process.log());
                return Start::Ended(self.process.log().lines().last().unwrap_or_default().to_owned());
            }
            assert!(Instant::now() < until, "it neither serves nor ends\n{}", self.process.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        Start::Serves
    }

    fn must_start(&mut self) {
        if let Start::Ended(why) = self.start() {
            panic!("it does not start: {why}");
        }
    }

    /// The output of a command, or its error.
    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let arguments = [arguments, &["--server", &self.server]].concat();
        let done = Running::new(entail(&arguments), Stdio::null()).done();
        if done.code == Some(0) { Ok(done.out) } else { Err(done.err) }
    }

    fn must(&self, arguments: &[&str]) -> String {
        self.run(arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    /// All facts, asserted and derived, and how many the cluster counts.
    fn said(&self) -> Result<Said, String> {
        let dump = |content| self.run(&["dump", "--all-graphs", "--content", content]).map(|out| lines(&out));
        let count = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }";
        Ok(Said {
            asserted: dump("asserted")?,
            derived: dump("derived")?,
            count: self.run(&["query", count, "--output", "csv"])?,
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Said {
    asserted: BTreeSet<String>,
    derived: BTreeSet<String>,
    count: String,
}

/// The files of a cluster that was stopped and killed several times, those of an earlier time, and what it says.
fn original() -> (Files, Files, Said) {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let files = || damage::read(&data).unwrap();
    let mut serve = Serve::new(place.path(), &data);
    serve.must_start();
    let parents: String = (0..40).map(|n| format!("<urn:n:{n}> <urn:parent> <urn:n:{}> .\n", n + 1)).collect();
    let (facts, rules) = (place.path().join("facts.nt"), place.path().join("rules.srl"));
    std::fs::write(&facts, parents).unwrap();
    std::fs::write(&rules, RULES).unwrap();
    serve.must(&["load", text(&facts)]);
    serve.must(&["rules", "apply", text(&rules)]);
    serve.process.signal("TERM");
    assert_eq!(serve.process.ended().code(), Some(0));
    let older = files();
    serve.must_start();
    serve.must(&["update", "INSERT DATA { <urn:n:41> <urn:parent> <urn:n:42> ; <urn:name> 'x'@en }"]);
    serve.process.kill();
    serve.must_start();
    for n in 50..53 {
        serve.must(&["update", &format!("INSERT DATA {{ <urn:n:{n}> <urn:parent> <urn:n:0> }}")]);
    }
    let said = serve.said().unwrap();
    serve.process.kill();
    (files(), older, said)
}

/// The files of one role.
fn of(role: &Path, files: &Files) -> Files {
    files.iter().filter(|(name, _)| name.starts_with(role)).map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
}

#[test]
fn a_damaged_cluster_gives_no_wrong_answer() {
    let (count, seed) = (setting("ENTAIL_CLUSTER_DAMAGES", 10), setting("ENTAIL_DAMAGE_SEED", 1));
    let (newest, older, said) = original();
    for seed in seed..seed + count {
        let mut random = Random::new(seed);
        // One role's directory is damaged, so that an earlier copy of all is one of another time than the rest.
        let role = PathBuf::from(["coordinator", "node-0", "node-1"][random.below(3) as usize]);
        let damaged = damage::damage(&mut random, &of(&role, &newest), &of(&role, &older));
        println!("ENTAIL_DAMAGE_SEED={seed} ENTAIL_CLUSTER_DAMAGES=1: in {}, {}", role.display(), damaged.what);
        let place = tempfile::tempdir().unwrap();
        let data = place.path().join("data");
        let others = newest.iter().filter(|(name, _)| !name.starts_with(&role));
        let all: Files =
            others.map(|(name, bytes)| (name.clone(), bytes.clone())).chain(damaged.files.clone()).collect();
        damage::write(&data, &all).unwrap();
        let mut serve = Serve::new(place.path(), &data);
        match serve.start() {
            Start::Ended(why) => {
                assert!(why.contains("(CORRUPT)"), "{why}");
                if why.contains("nothing was changed") {
                    let left = of(&role, &damage::read(&data).unwrap());
                    assert!(left == damaged.files, "a directory that is refused stays as it is: {why}");
                } else {
                    assert!(damaged.file.is_none(), "only a whole copy is not found before anything is opened: {why}");
                }
                println!("  refused: {why}");
            }
            Start::Serves => match serve.said() {
                Ok(found) => {
                    assert_eq!(found, said);
                    println!("  right");
                }
                Err(error) => {
                    assert!(error.contains("CORRUPT"), "{error}");
                    println!("  {error}");
                }
            },
        }
    }
}

/// A directory that version 0.1 (format 1, no inventory) has left: killed after an update, with tables and logs.
#[test]
fn a_directory_of_format_1_is_read_and_converted() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1");
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    damage::write(&data, &damage::read(&fixture).unwrap()).unwrap();
    let mut serve = Serve::new(place.path(), &data);
    let nodes = ["b", "c", "d", "e"];
    let before = |at: usize| if at == 0 { "a" } else { nodes[at - 1] };
    let parents = (0..4).map(|at| format!("<urn:{}> <urn:parent> <urn:{}> .", before(at), nodes[at]));
    let others =
        ["<urn:a> <urn:age> \"7\"^^<http://www.w3.org/2001/XMLSchema#integer> .", "<urn:a> <urn:name> \"Ada\"@en ."];
    let asserted: BTreeSet<String> = parents.chain(others.map(str::to_owned)).collect();
    let pairs = (0..4).flat_map(|from| (from..4).map(move |to| (from, to)));
    let derived: BTreeSet<String> =
        pairs.map(|(from, to)| format!("<urn:{}> <urn:ancestor> <urn:{}> .", before(from), nodes[to])).collect();
    for start in 0..2 {
        serve.must_start();
        let said = serve.said().unwrap();
        assert_eq!((&said.asserted, &said.derived), (&asserted, &derived), "start {start}");
        serve.process.kill();
        for role in ["coordinator", "node-0", "node-1"] {
            let identity = std::fs::read_to_string(data.join(role).join("IDENTITY")).unwrap();
            let format = if role == "coordinator" { "\"format\": 2" } else { "\"format\": 3" };
            assert!(identity.contains(format), "{identity}");
            assert!(data.join(role).join("INVENTORY").exists(), "{role}");
        }
    }
    serve.must_start();
    serve.must(&["update", "INSERT DATA { <urn:e> <urn:parent> <urn:f> }"]);
    assert_eq!(serve.said().unwrap().derived.len(), derived.len() + 5, "it goes on from there");
    eventually("it is ready", || serve.process.http("/readyz").is_some_and(|(status, _)| status == 200));
}
