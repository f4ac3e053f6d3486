//! The root of a request's trace, which is the command, and `--trace`, which shows the whole of it afterwards.
//!
//! ```text
//! root span ──► work, over the client ──► answer
//!     └ ended, with --trace: ask the coordinator for what it and the nodes still have ──► waterfall
//! ```

use crate::failure::Failure;
use crate::output::trace::Tree;
use crate::session::Session;
use entail_client::v1::TraceRequest;
use entail_telemetry::trace;
use std::io::{self, Write};
use std::time::Duration;
use tokio::time::sleep;
use tracing::{Instrument, Span, info_span};

/// How often is asked for spans that have not ended yet, and how long is waited in between.
const TRIES: u32 = 12;
const WAIT: Duration = Duration::from_millis(50);

/// How long the coordinator may take to collect a trace.
const COLLECT_MAX: Duration = Duration::from_secs(5);

/// How the trace is shown afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Not,
    /// A waterfall.
    Tree,
    /// One JSON object.
    Json,
}

impl Shown {
    /// What the flag `--trace` means beside the form of the answer.
    pub fn of(is_wanted: bool, is_for_people: bool) -> Self {
        match (is_wanted, is_for_people) {
            (false, _) => Self::Not,
            (true, true) => Self::Tree,
            (true, false) => Self::Json,
        }
    }
}

impl Session {
    /// Does a request's work as the root of its trace. A trace that was asked for is shown on the standard error, also of
    /// work that failed.
    pub async fn traced<T>(
        &self,
        operation: &'static str,
        shown: Shown,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let span = self.root(operation);
        let result = work.instrument(span.clone()).await;
        if let Err(failure) = &result {
            let message = failure.message().unwrap_or_default();
            entail_telemetry::fail(&span, failure.kind(), message.lines().next().unwrap_or_default());
        }
        let id = entail_telemetry::trace_id(&span);
        drop(span);
        if shown != Shown::Not {
            self.show(id, shown).await;
        }
        result
    }

    fn root(&self, operation: &'static str) -> Span {
        let (host, port) = self.address();
        info_span!(
            "command",
            otel.name = operation,
            otel.kind = "client",
            "db.system.name" = "entail",
            "db.operation.name" = operation,
            "server.address" = host,
            "server.port" = i64::from(port),
        )
    }

    /// A trace that cannot be shown does not make the request a failure.
    async fn show(&self, id: Option<[u8; 16]>, shown: Shown) {
        let Some(id) = id else {
            return eprintln!("there is no trace: OTEL_SDK_DISABLED is set");
        };
        let (tree, missing) = self.collect(id).await;
        let mut out = io::stderr().lock();
        let written = match shown {
            Shown::Json => writeln!(out, "{:#}", tree.json()),
            _ => tree.write(&mut out),
        };
        for why in missing {
            _ = writeln!(out, "not in it: {why}");
        }
        // Nobody is left to be told that the standard error went away.
        _ = written;
    }

    /// The spans of all processes, as soon as nothing is missing between them, or as they are after a while; and whose
    /// could not be had.
    async fn collect(&self, id: [u8; 16]) -> (Tree, Vec<String>) {
        let mut tries = 1;
        loop {
            let (bytes, missing) = self.spans(id).await;
            let tree = match trace::decode(&bytes) {
                Ok(spans) => Tree::new(spans),
                Err(why) => return (Tree::new(Vec::new()), vec![why]),
            };
            if tree.is_whole() || tries == TRIES {
                return (tree, missing);
            }
            tries += 1;
            sleep(WAIT).await;
        }
    }

    async fn spans(&self, id: [u8; 16]) -> (Vec<u8>, Vec<String>) {
        let trace_id = format!("{:032x}", u128::from_be_bytes(id));
        let mut bytes = entail_telemetry::recent(id);
        let answer =
            async { Ok::<_, Failure>(self.polling(Some(COLLECT_MAX))?.trace(TraceRequest { trace_id }).await?) };
        match answer.await {
            Ok(parts) => {
                parts.iter().for_each(|part| bytes.extend_from_slice(&part.spans));
                let missing = parts.into_iter().filter(|part| !part.missing.is_empty());
                (bytes, missing.map(|part| format!("{}: {}", part.process, part.missing)).collect())
            }
            Err(failure) => (bytes, failure.message().into_iter().collect()),
        }
    }
}
