//! The command line: the options that all commands share, and the list of commands.

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

Exit codes: 0 success, 1 failure, 2 usage error, 3 unavailable (a retry may succeed), 4 timeout, 130 interrupted.";

/// A distributed, sharded reasoning cluster for RDF.
#[derive(Parser, Clone, Debug)]
#[command(name = "entail", version, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

/// The options of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Common options")]
pub struct Globals {
    /// The URL of the cluster, for client commands: http://HOST:PORT, HOST or HOST:PORT
    #[arg(long, global = true, value_name = "URL", env = "ENTAIL_SERVER", default_value = "http://127.0.0.1:7400", value_parser = address::server)]
    pub server: String,

    /// The timeout of a command: 500ms, 30s, 5m, 2h or none [default: 30s for reads, none for changes]
    #[arg(long, global = true, value_name = "TIME", env = "ENTAIL_TIMEOUT")]
    pub timeout: Option<Timeout>,

    /// A TOML file with defaults: `server = "URL"`, and a table per command [default: ~/.config/entail/config.toml, or
    /// else /etc/entail/config.toml]
    #[arg(long, global = true, value_name = "FILE", env = "ENTAIL_CONFIG")]
    pub config: Option<PathBuf>,

    /// The format of the log on the standard error
    #[arg(long, global = true, value_enum, value_name = "FORM", env = "ENTAIL_LOG_FORMAT", default_value = "text")]
    pub log_format: LogForm,

    /// Disables progress and summaries, and logs only errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Logs more; given twice, everything. ENTAIL_LOG=FILTER sets a detailed filter
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    Text,
    Json,
}

/// The commands.
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
    /// The telemetry options of the command: log level, log format, traces.
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
            // A user waits for the end of a command; a role has a grace period.
            flush_max: Duration::from_secs(if role.is_some() { 2 } else { 1 }),
        }
    }
}

impl Command {
    /// Did the user request the trace of the command?
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

    /// Distinguishes this process from others of the same role: the node's name, or a random number.
    fn instance(&self) -> String {
        match self {
            Self::Node(node::Arguments { name: Some(name), .. }) => name.clone(),
            // The hasher's keys come from the system's randomness.
            _ => format!("{:016x}", RandomState::new().hash_one(std::process::id())),
        }
    }

    /// The name of a role that serves; `None` for other commands.
    pub fn role(&self) -> Option<&'static str> {
        match self {
            Self::Serve(_) => Some("entail"),
            Self::Coordinator(_) => Some("entail-coordinator"),
            Self::Node(_) => Some("entail-node"),
            _ => None,
        }
    }
}
