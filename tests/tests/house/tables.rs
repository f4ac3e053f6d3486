//! The tables that the tests hold the house to. Whoever changes the shape changes a row here, and ARCHITECTURE.md.

/// A crate of the workspace, by its folder, and exactly which others of ours it uses.
pub struct Room {
    pub name: &'static str,
    pub uses: &'static [&'static str],
    /// For its tests and kernels only.
    pub tests_use: &'static [&'static str],
}

const fn room(name: &'static str, uses: &'static [&'static str], tests_use: &'static [&'static str]) -> Room {
    Room { name, uses, tests_use }
}

pub const ROOMS: [Room; 15] = [
    room("model", &[], &[]),
    room("directory", &["model"], &[]),
    room("logic", &["model"], &[]),
    room("rdf", &["model"], &[]),
    room("sparql", &["model", "logic"], &[]),
    room("proto", &["model"], &[]),
    room("telemetry", &[], &[]),
    room("node-api", &["model", "logic", "proto", "telemetry"], &[]),
    room("node", &["model", "directory", "logic", "proto", "telemetry", "node-api"], &[]),
    room("coordinator", &["model", "directory", "logic", "rdf", "sparql", "proto", "telemetry", "node-api"], &[]),
    room("client", &["model", "proto"], &[]),
    room("cli", &["model", "directory", "rdf", "proto", "telemetry", "node", "coordinator", "client"], &["bench"]),
    room("bench", &["model", "client", "cli"], &["logic", "rdf", "node", "examples/debian"]),
    room("examples/debian", &["model"], &[]),
    room(
        "tests",
        &[
            "model",
            "logic",
            "sparql",
            "proto",
            "telemetry",
            "client",
            "node-api",
            "node",
            "coordinator",
            "examples/debian",
        ],
        &[],
    ),
];

/// The crates that the programs of a cluster are made of.
pub const PRODUCT: [&str; 12] = [
    "model",
    "directory",
    "logic",
    "rdf",
    "sparql",
    "proto",
    "telemetry",
    "node-api",
    "node",
    "coordinator",
    "client",
    "cli",
];

/// Engines that Entail is compared with, and tools of tests: in no program of a cluster.
pub const NOT_IN_THE_PRODUCT: [&str; 4] = ["ascent", "criterion", "entail-bench", "proptest"];

/// Crates whose code computes and does nothing else: what it needs of the world comes in as arguments.
pub const PURE: [&str; 4] = ["model", "logic", "rdf", "sparql"];

/// The world, as code names it.
pub const WORLD: [(&str, &[&str]); 5] = [
    ("the clock", &["Instant::now", ".elapsed()", "SystemTime", "UNIX_EPOCH"]),
    ("the network", &["std::net", "TcpStream", "TcpListener", "UdpSocket", "UnixStream", "tokio::", "tonic::"]),
    ("the disk", &["std::fs", "fs::", "File::", "OpenOptions", "tempfile::"]),
    ("randomness", &["RandomState", "getrandom", "urandom", "rand::", "thread_rng"]),
    ("the process", &["std::env", "std::process", "env::var"]),
];

/// Where pure code touches the world all the same, by what, and why.
pub const EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "sparql/src/session/term.rs",
    "RandomState",
    "blank nodes of an answer get names that no other answer has; nothing is decided by them",
)];

/// What the files of a folder never name: the service knows no transport, so that every protocol is an edge over it.
pub const ABSENT: [(&str, &[&str]); 1] =
    [("coordinator/src/service/", &["tonic", "entail_proto::status", "entail_proto::deadline", "crate::api"])];

/// Crates of others that would bring the world along.
pub const WORLDLY: [&str; 8] = ["getrandom", "hyper", "rand", "rocksdb", "rustix", "tempfile", "tokio", "tonic"];

/// Dependencies that one part of the house hides from the others: its name in Rust, and the only files that name it.
pub const OWNED: [(&str, &[&str]); 15] = [
    ("rocksdb", &["node/src/store/rocks.rs"]),
    ("opentelemetry", &["telemetry/"]),
    ("opentelemetry_http", &["telemetry/src/export/otlp.rs"]),
    ("opentelemetry_otlp", &["telemetry/"]),
    // A test has a collector of its own.
    ("opentelemetry_proto", &["telemetry/", "cli/tests/processes/receiver.rs"]),
    ("opentelemetry_sdk", &["telemetry/"]),
    ("prometheus", &["telemetry/src/metrics/"]),
    // TLS, so far for traces alone.
    ("rustls", &["telemetry/src/export/otlp.rs"]),
    ("tikv_jemallocator", &["cli/src/main.rs", "bench/src/main.rs"]),
    ("tracing_opentelemetry", &["telemetry/"]),
    // The coordinator keeps a write's answer in its log, as the message that the client gets; spans travel as OTLP.
    ("prost", &["proto/", "coordinator/src/writer/", "telemetry/"]),
    ("ascent", &["bench/src/peer/"]),
    // The benchmark sees a cluster from outside; its kernels are functions of these.
    ("entail_logic", &["logic/", "sparql/", "node-api/", "node/", "coordinator/", "tests/", "bench/benches/"]),
    ("entail_rdf", &["rdf/", "coordinator/", "cli/", "bench/benches/"]),
    ("entail_node", &["node/", "cli/", "tests/", "bench/benches/"]),
];

/// What no file of ours holds, and what to use instead.
pub const BANNED: [(&str, &str); 5] = [
    ("unbounded_channel", "a bounded channel"),
    ("UnboundedSender", "a bounded channel"),
    ("todo!(", "code"),
    ("unimplemented!(", "a fault that says what is not supported"),
    ("TODO", "code, or an issue"),
];

/// Identifiers that were replaced, and by what: one word for each idea (the glossary of ARCHITECTURE.md).
pub const RETIRED: [(&str, &str); 26] = [
    ("AtHand", "LocalSnapshot, or the local fast path"),
    ("ByReference", "LocalNodes"),
    ("Census", "ClusterHealth"),
    ("Door", "Listener"),
    ("Heard", "RoundStats"),
    ("House", "Coordinator"),
    ("Lives", "IncarnationWatch"),
    ("Nearby", "LocalNodes"),
    ("Packed", "PackedPairs"),
    ("Parcel", "Envelope"),
    ("Pile", "BlockBuffer"),
    ("Plans", "PlanCache"),
    ("Pushed", "bodies, pushed down"),
    ("Rest", "residual"),
    ("Stager", "FactLoader"),
    ("Territories", "AddressedShardMap"),
    ("Territory", "ShardMap"),
    ("Uses", "InFlight"),
    ("are_near", "NodeApi"),
    ("doom", "mark_deleted"),
    ("in_copies", "inverse copies"),
    ("inward", "inverse"),
    ("only_near", "NodeApi"),
    ("to_spread", "to_broadcast"),
    ("take_turns", "first_rule_wins"),
    ("too_much", "an enum"),
];
