//! The command line: what is common to all commands, and the list of them.

use crate::address;
use crate::command::{
    bench, completions, config, convert, coordinator, dump, load, man, node, queries, query, rules, serve, status,
    update,
};
use crate::units::Timeout;
use clap::{Args, Parser, Subcommand, ValueEnum};
use entail_telemetry::LogFormat;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::PathBuf;
use std::time::Duration;
use tracing::level_filters::LevelFilter;

const EXAMPLES: &str = "\
Examples:
  entail serve --data /var/lib/entail --nodes 3      a whole cluster in one process
  entail load data.ttl.gz                            load a file
  entail rules apply family.srl                      derive what follows from it
  entail query 'SELECT * { ?s ?p ?o } LIMIT 10'      ask

Ctrl-C or SIGTERM stops `entail serve`; all data stays in --data. To start over, stop it and remove that directory.

Exit codes: 0 fine, 1 failed, 2 wrong use, 3 not now (the same again may succeed), 4 the time was up, 130 interrupted.";

/// A distributed, sharded reasoning cluster for RDF.
#[derive(Parser, Clone, Debug)]
#[command(name = "entail", version, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Common options")]
pub struct Globals {
    /// Where the cluster is, for commands that talk to one: http://HOST:PORT, HOST or HOST:PORT
    #[arg(long, global = true, value_name = "URL", env = "ENTAIL_SERVER", default_value = "http://127.0.0.1:7400", value_parser = address::server)]
    pub server: String,

    /// How long a command may take: 500ms, 30s, 5m, 2h or none [default: 30s to ask, none to change]
    #[arg(long, global = true, value_name = "TIME", env = "ENTAIL_TIMEOUT")]
    pub timeout: Option<Timeout>,

    /// A TOML file with defaults: `server = "URL"`, and a table per command [default: ~/.config/entail/config.toml, or
    /// else /etc/entail/config.toml]
    #[arg(long, global = true, value_name = "FILE", env = "ENTAIL_CONFIG")]
    pub config: Option<PathBuf>,

    /// How the log on the standard error looks
    #[arg(long, global = true, value_enum, value_name = "FORM", env = "ENTAIL_LOG_FORMAT", default_value = "text")]
    pub log_format: LogForm,

    /// No progress and no summaries, and only errors in the log
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// More in the log; twice for everything. ENTAIL_LOG=FILTER says it in detail
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    Text,
    Json,
}

/// What to do.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    Serve(serve::Arguments),
    Coordinator(coordinator::Arguments),
    Node(node::Arguments),
    Load(load::Arguments),
    Dump(dump::Arguments),
    Query(query::Arguments),
    Queries(queries::Arguments),
    Update(update::Arguments),
    #[command(subcommand)]
    Rules(rules::Command),
    Status(status::Arguments),
    Convert(convert::Arguments),
    #[command(subcommand)]
    Config(config::Command),
    Completions(completions::Arguments),
    Man(man::Arguments),
    Bench(bench::Arguments),
}

impl Arguments {
    /// What is logged, and as what.
    pub fn telemetry(&self) -> entail_telemetry::Options {
        let role = self.command.role();
        let log = match self.globals.log_format {
            LogForm::Text => LogFormat::Text,
            LogForm::Json => LogFormat::Json,
        };
        let default_level = match (self.globals.quiet, self.globals.verbose, role) {
            (true, ..) => LevelFilter::ERROR,
            (_, 0, None) => LevelFilter::WARN,
            (_, 0, Some(_)) => LevelFilter::INFO,
            (_, 1, None) => LevelFilter::INFO,
            (_, 1, Some(_)) => LevelFilter::DEBUG,
            (_, _, _) => LevelFilter::TRACE,
        };
        entail_telemetry::Options {
            service_name: role.unwrap_or("entail-cli").to_owned(),
            instance: self.command.instance(),
            log,
            default_level,
            asks: self.command.wants_trace(),
            serves: role.is_some(),
            // Somebody waits for a command to end; a role has a grace period.
            flush_max: Duration::from_secs(if role.is_some() { 2 } else { 1 }),
        }
    }
}

impl Command {
    /// Has the user asked for the trace of what the command does?
    fn wants_trace(&self) -> bool {
        match self {
            Self::Load(load::Arguments { trace, .. })
            | Self::Query(query::Arguments { trace, .. })
            | Self::Update(update::Arguments { trace, .. })
            | Self::Rules(
                rules::Command::Apply(rules::Apply { trace, .. }) | rules::Command::Drop(rules::Remove { trace, .. }),
            ) => *trace,
            _ => false,
        }
    }

    /// Tells this process from others of its role: a node's name, or something that nobody else has.
    fn instance(&self) -> String {
        match self {
            Self::Node(node::Arguments { name: Some(name), .. }) => name.clone(),
            // The hasher's keys come from the system's randomness.
            _ => format!("{:016x}", RandomState::new().hash_one(std::process::id())),
        }
    }

    /// The name of a role that serves; none for commands.
    pub fn role(&self) -> Option<&'static str> {
        match self {
            Self::Serve(_) => Some("entail"),
            Self::Coordinator(_) => Some("entail-coordinator"),
            Self::Node(_) => Some("entail-node"),
            _ => None,
        }
    }
}
