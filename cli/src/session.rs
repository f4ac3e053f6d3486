//! Shared state of all commands: the connection to the cluster, timeouts, and output settings.

use crate::arguments::Globals;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::{self, Form};
use crate::prefixes::Known;
use entail_client::retry::Policy;
use entail_client::{Client, Options};
use serde_json::Value;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

/// The hint when no server answers.
const UNREACHED_HINT: &str = "is `entail serve` running? see --server";

/// The default timeout of reading commands.
const ASK_MAX: Duration = Duration::from_secs(30);

/// One run of the program.
#[derive(Clone, Debug)]
pub struct Session {
    globals: Globals,
    /// The parts of the configuration that are not defaults of flags.
    pub config: Arc<Config>,
}

impl Session {
    pub fn new(globals: Globals, config: Config) -> Self {
        Self { globals, config: Arc::new(config) }
    }

    /// The prefixes that need no declaration.
    pub fn prefixes(&self) -> &Known {
        &self.config.prefixes
    }

    /// The global options.
    pub fn globals(&self) -> &Globals {
        &self.globals
    }

    /// A client for reading commands; the default timeout is 30 seconds.
    pub fn asking(&self) -> Result<Client, Failure> {
        self.client(Some(ASK_MAX))
    }

    /// A client for commands that change the graph or write all of it; by default without a timeout.
    pub fn working(&self) -> Result<Client, Failure> {
        self.client(None)
    }

    /// A client for callers with their own retries: each call is sent once.
    pub fn polling(&self, call_max: Option<Duration>) -> Result<Client, Failure> {
        self.connect(Options { timeout: call_max, retry: Policy::never(), ..Options::default() })
    }

    fn client(&self, default: Option<Duration>) -> Result<Client, Failure> {
        self.connect(Options { timeout: self.timeout(default), ..Options::default() })
    }

    fn connect(&self, options: Options) -> Result<Client, Failure> {
        let outgoing = Some(Arc::new(entail_telemetry::inject) as entail_client::Outgoing);
        let options = Options { outgoing, unreached_hint: UNREACHED_HINT, ..options };
        Ok(Client::connect(&self.globals.server, options)?)
    }

    /// The host and port of the cluster.
    pub fn address(&self) -> (&str, u16) {
        let server = self.globals.server.as_str();
        let place = server.split_once("://").map_or(server, |(_, rest)| rest).trim_end_matches('/');
        let (host, port) = place.rsplit_once(':').unwrap_or((place, "80"));
        (host, port.parse().unwrap_or(80))
    }

    fn timeout(&self, default: Option<Duration>) -> Option<Duration> {
        self.globals.timeout.map_or(default, |timeout| timeout.0)
    }

    /// The timeout of reading commands.
    pub fn ask_max(&self) -> Option<Duration> {
        self.timeout(Some(ASK_MAX))
    }

    /// The timeout of commands that have none by default.
    pub fn working_max(&self) -> Option<Duration> {
        self.timeout(None)
    }

    /// May progress be drawn on the standard error?
    pub fn shows_progress(&self) -> bool {
        !self.globals.quiet && io::stderr().is_terminal()
    }

    /// Prints a note to the standard error.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.globals.quiet {
            eprintln!("{}", text.as_ref());
        }
    }

    /// Reports the outcome of a command that writes no data: a summary on the standard error, or one JSON object on the
    /// standard output.
    pub fn summarize(&self, form: Form, summary: &str, json: &Value) -> Result<(), Failure> {
        match form {
            Form::Table => {
                self.note(summary);
                Ok(())
            }
            Form::Json => output::json(json),
        }
    }
}
