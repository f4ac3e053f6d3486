//! The command's span, the root of the request's trace, and `--trace`, which prints the whole trace afterwards.
//!
//! ```text
//! root span ──► work, over the client ──► answer
//!     └ ended, with --trace: ask the coordinator for the spans that it and the nodes have ──► waterfall
//! ```

use crate::failure::Failure;
use crate::output;
use crate::output::trace::Tree;
use crate::session::Session;
use entail_client::v1::TraceRequest;
use entail_telemetry::trace;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::{Instrument, Span, info_span};

/// The number of requests for spans that have not ended yet, with a pause after each.
const TRIES: u32 = 12;
const WAIT: Duration = Duration::from_millis(50);

/// After this many responses without new spans, missing spans are considered lost.
const UNCHANGED: u32 = 4;

/// The longest time that the command spends on collecting its trace after its work is done.
const COLLECT_MAX: Duration = Duration::from_secs(5);

/// The result of one request: encoded spans, and the names of the processes whose spans are missing.
type Brought = (Vec<u8>, Vec<String>);

/// How the trace is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Not,
    /// As a waterfall.
    Tree,
    /// As one JSON object.
    Json,
}

impl Shown {
    /// The form that `--trace` prints, depending on the form of the output.
    pub fn of(is_wanted: bool, is_for_people: bool) -> Self {
        match (is_wanted, is_for_people) {
            (false, _) => Self::Not,
            (true, true) => Self::Tree,
            (true, false) => Self::Json,
        }
    }
}

impl Session {
    /// Runs a request as the root of its trace. A requested trace is printed on the standard error, also if the request
    /// failed.
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

    /// Prints the trace; a trace that cannot be printed does not fail the request.
    async fn show(&self, id: Option<[u8; 16]>, shown: Shown) {
        let Some(id) = id else {
            return eprintln!("there is no trace: OTEL_SDK_DISABLED is set");
        };
        let (tree, missing) = collect(COLLECT_MAX, async |left| self.spans(id, left).await).await;
        let mut out = io::stderr().lock();
        let written = match shown {
            Shown::Json => writeln!(out, "{:#}", tree.json()),
            _ => tree.write(output::error_width(), &mut out),
        };
        for why in missing {
            _ = writeln!(out, "not in it: {why}");
        }
        // A closed standard error cannot be reported anywhere.
        _ = written;
    }

    async fn spans(&self, id: [u8; 16], left: Duration) -> Brought {
        let trace_id = format!("{:032x}", u128::from_be_bytes(id));
        let mut bytes = entail_telemetry::recent(id);
        let answer = async { Ok::<_, Failure>(self.polling(Some(left))?.trace(TraceRequest { trace_id }).await?) };
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

/// Collects the spans of all processes until the trace has no gaps, or until the time or the tries are over; returns
/// also the processes whose spans are missing, which are not asked again. `ask` gets the remaining time.
async fn collect(time: Duration, ask: impl AsyncFn(Duration) -> Brought) -> (Tree, Vec<String>) {
    let until = Instant::now() + time;
    let mut tries = 1;
    let mut unchanged = 0;
    // Keeps the spans of earlier tries: the last try may return fewer.
    let mut known = BTreeMap::new();
    loop {
        let (bytes, mut missing) = ask(until - Instant::now()).await;
        let before = known.len();
        match trace::decode(&bytes) {
            Ok(spans) => known.extend(spans.into_iter().map(|span| (span.id, span))),
            Err(why) => missing.push(why),
        }
        let tree = Tree::new(known.values().cloned().collect());
        unchanged = if known.len() > before { 0 } else { unchanged + 1 };
        let is_gone = !known.is_empty() && unchanged >= UNCHANGED;
        let is_over = is_gone || tries == TRIES || Instant::now() + WAIT >= until;
        if tree.is_whole() || !missing.is_empty() || is_over {
            if is_gone {
                missing.push("spans that are too old: each process keeps its last 4,096".to_owned());
            }
            return (tree, missing);
        }
        tries += 1;
        sleep(WAIT).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// The number of tries when each response only names missing processes and takes a part of the time.
    fn tries(time: Duration, missing: &[&str], part: u32) -> u32 {
        let asked = Cell::new(0);
        let ask = async |left: Duration| {
            asked.set(asked.get() + 1);
            if part > 0 {
                sleep(left / part).await;
            }
            (Vec::new(), missing.iter().map(|&name| name.to_owned()).collect())
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (_, told) = runtime.block_on(collect(time, ask));
        assert_eq!(told, missing);
        asked.get()
    }

    #[test]
    fn spans_that_have_not_ended_are_asked_for_again_and_nobody_waits_for_what_does_not_come() {
        let minute = Duration::from_secs(60);
        assert_eq!(tries(minute, &[], 0), TRIES, "nobody has answered: it may have gone on");
        assert_eq!(tries(minute, &["node-1: it is down"], 0), 1, "it will be down again");
        assert_eq!(tries(Duration::from_millis(100), &[], 1), 1, "the first answer has taken all the time");
        assert!(tries(Duration::from_millis(400), &[], 2) < 5, "the time is one for all tries");
    }
}
