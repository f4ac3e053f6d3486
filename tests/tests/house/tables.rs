//! The tables of the architecture tests. A change of the architecture changes a row here, and ARCHITECTURE.md.

/// A crate of the workspace, by its folder, with exactly the workspace crates that it depends on.
pub struct Room {
    pub name: &'static str,
    pub uses: &'static [&'static str],
    /// Additional dependencies of its tests and benchmarks.
    pub tests_use: &'static [&'static str],
}

const fn room(name: &'static str, uses: &'static [&'static str], tests_use: &'static [&'static str]) -> Room {
    Room { name, uses, tests_use }
}

pub const ROOMS: [Room; 18] = [
    room("model", &[], &[]),
    room("directory", &["model"], &[]),
    room("syntax", &["model"], &[]),
    room("expression", &["model", "syntax"], &[]),
    room("logic", &["model", "syntax", "expression"], &[]),
    room("rdf", &["model"], &[]),
    room("sparql", &["model", "syntax", "expression", "logic"], &[]),
    room("proto", &["model"], &[]),
    room("telemetry", &[], &[]),
    room("node-api", &["model", "logic", "proto", "telemetry"], &[]),
    room("node", &["model", "directory", "logic", "proto", "telemetry", "node-api"], &[]),
    room("coordinator", &["model", "directory", "logic", "rdf", "sparql", "proto", "telemetry", "node-api"], &[]),
    room("client", &["model", "proto"], &[]),
    room("cli", &["model", "directory", "rdf", "proto", "telemetry", "node", "coordinator", "client"], &["bench"]),
    room("bench", &["model", "client", "cli"], &["logic", "rdf", "node", "examples/debian"]),
    room("examples/debian", &["model"], &[]),
    room("oracle", &[], &[]),
    room(
        "tests",
        &[
            "model",
            "syntax",
            "logic",
            "sparql",
            "proto",
            "telemetry",
            "client",
            "node-api",
            "node",
            "coordinator",
            "examples/debian",
            "oracle",
        ],
        &[],
    ),
];

/// The crates that the programs of a cluster are made of.
pub const PRODUCT: [&str; 14] = [
    "model",
    "directory",
    "syntax",
    "expression",
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

/// Engines that Entail is compared with, and tools of tests: never part of a program of a cluster.
pub const NOT_IN_THE_PRODUCT: [&str; 8] =
    ["ascent", "criterion", "entail-bench", "entail-oracle", "proptest", "spareval", "spargebra", "sparopt"];

/// Pure crates, without input or output: time, randomness and data come in as arguments.
pub const PURE: [&str; 6] = ["model", "syntax", "expression", "logic", "rdf", "sparql"];

/// Interfaces to the outside, as code names them.
pub const WORLD: [(&str, &[&str]); 5] = [
    ("the clock", &["Instant::now", ".elapsed()", "SystemTime", "UNIX_EPOCH"]),
    ("the network", &["std::net", "TcpStream", "TcpListener", "UdpSocket", "UnixStream", "tokio::", "tonic::"]),
    ("the disk", &["std::fs", "fs::", "File::", "OpenOptions", "tempfile::"]),
    ("randomness", &["RandomState", "getrandom", "urandom", "rand::", "thread_rng"]),
    ("the process", &["std::env", "std::process", "env::var"]),
];

/// Places where pure code uses such an interface nevertheless: the file, the interface, and the reason.
pub const EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "sparql/src/session/seed.rs",
    "RandomState",
    "new blank nodes, UUIDs and RAND() of a query are made from a secret that no other query has; nothing is decided by them",
)];

/// Names that the files of a folder must not contain: the service is independent of transports, so that every protocol
/// is a thin layer above it.
pub const ABSENT: [(&str, &[&str]); 1] =
    [("coordinator/src/service/", &["tonic", "entail_proto::status", "entail_proto::deadline", "crate::api"])];

/// External crates that provide such interfaces.
pub const WORLDLY: [&str; 8] = ["getrandom", "hyper", "rand", "rocksdb", "rustix", "tempfile", "tokio", "tonic"];

/// Packages whose library has another name.
pub const LIBRARIES: [(&str, &str); 1] = [("md-5", "md5")];

/// External dependencies with an owner: the crate's name in Rust, and the only files that may name it.
pub const OWNED: [(&str, &[&str]); 15] = [
    ("rocksdb", &["node/src/store/rocks.rs", "node/src/store/rocks/"]),
    ("opentelemetry", &["telemetry/"]),
    ("opentelemetry_http", &["telemetry/src/export/otlp.rs"]),
    ("opentelemetry_otlp", &["telemetry/"]),
    // The tests implement a collector.
    ("opentelemetry_proto", &["telemetry/", "cli/tests/processes/receiver.rs"]),
    ("opentelemetry_sdk", &["telemetry/"]),
    ("prometheus", &["telemetry/src/metrics/"]),
    // TLS, so far for traces only.
    ("rustls", &["telemetry/src/export/otlp.rs"]),
    ("tikv_jemallocator", &["cli/src/main.rs", "bench/src/main.rs"]),
    ("tracing_opentelemetry", &["telemetry/"]),
    // The coordinator stores the response of a write in its log, encoded as for the client; spans are encoded as OTLP.
    ("prost", &["proto/", "coordinator/src/writer/", "telemetry/"]),
    ("ascent", &["bench/src/peer/"]),
    // The benchmark sees a cluster from outside; its kernels are functions of these.
    ("entail_logic", &["logic/", "sparql/", "node-api/", "node/", "coordinator/", "tests/", "bench/benches/"]),
    ("entail_rdf", &["rdf/", "coordinator/", "cli/", "bench/benches/"]),
    ("entail_node", &["node/", "cli/", "tests/", "bench/benches/"]),
];

/// Text that no file may contain, with its replacement.
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

/// Phrases that comments, protocols and pages do not use, and what they say instead.
pub const PHRASES: [(&str, &str); 12] = [
    ("anybody", "the client, the caller, the process"),
    ("as good as", "what it is equal to"),
    ("everybody", "all clients, all nodes"),
    ("in copies", "inverse copies"),
    ("in copy", "inverse copy"),
    ("nobody", "no client, no node, no task"),
    ("out copies", "forward copies"),
    ("out copy", "forward copy"),
    ("somebody", "a client, an operator, a task"),
    ("what goes on", "requests in progress"),
    ("whoever", "the client, the caller, the process that"),
    ("whom", "the client, the node that"),
];
