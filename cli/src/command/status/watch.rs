//! `entail status --watch`: the status every second, with rates since the previous one.
//!
//! On a terminal the display is updated in place, on the alternate screen; the last status remains when the command
//! ends. In other outputs one status follows the other.

use super::{Arguments, details, head, json, line_within, shown};
use crate::failure::Failure;
use crate::output::{self, Form};
use crate::session::Session;
use crate::units::{count, counted};
use entail_client::v1::{StatusRequest, StatusResponse};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// The interval of the requests.
const EVERY: Duration = Duration::from_secs(1);
/// The timeout of one request.
const ASK_MAX: Duration = Duration::from_secs(5);

/// Counters at a point in time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Totals {
    at: Instant,
    queries: u64,
    rows: u64,
    asserted: u64,
    derived: u64,
}

impl Totals {
    fn of(status: &StatusResponse, at: Instant) -> Self {
        let (queries, rows) = (status.queries_total, status.rows_total);
        // The facts present are no counter: those of a node that was down come back with it.
        Self { at, queries, rows, asserted: status.asserted_total, derived: status.derived_total }
    }

    /// Rates per second since an earlier point in time. A counter that has decreased was reset.
    fn since(&self, earlier: &Self) -> [u64; 4] {
        let time = self.at.duration_since(earlier.at).as_secs_f64().max(1e-3);
        let rate = |now: u64, before: u64| (now.saturating_sub(before) as f64 / time).round() as u64;
        [
            rate(self.queries, earlier.queries),
            rate(self.rows, earlier.rows),
            rate(self.asserted, earlier.asserted),
            rate(self.derived, earlier.derived),
        ]
    }
}

/// Shows the status until the timeout or a signal ends the command.
pub async fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    let client = session.polling(Some(ASK_MAX))?;
    let request = StatusRequest { shards: arguments.shards };
    let mut screen = Screen::new(arguments.output);
    let mut last: Option<Totals> = None;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| Failure::input("the signals", error))?;
    let over = async {
        match session.working_max() {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    loop {
        let asked = async {
            ticks.tick().await;
            client.status(request).await
        };
        let answer = tokio::select! {
            answer = asked => answer,
            _ = ctrl_c() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            () = &mut over => return Ok(()),
        };
        let picture = match answer {
            Ok(mut status) => {
                status.nodes.sort_by_cached_key(shown);
                let now = Totals::of(&status, Instant::now());
                let rates = last.map(|last| now.since(&last));
                last = Some(now);
                match arguments.output {
                    Form::Json => format!("{}\n", json(&status)),
                    Form::Table => picture(&status, rates, output::width()).map_err(Failure::Output)?,
                }
            }
            // The cluster may be starting or stopping: the watch goes on.
            Err(error) => match Failure::from(error) {
                Failure::Fault(fault) => format!("the cluster does not answer: {fault}\n"),
                failure => return Err(failure),
            },
        };
        screen.show(&picture).map_err(Failure::Output)?;
    }
}

/// A status with its rates, in lines no wider than `width`.
fn picture(status: &StatusResponse, rates: Option<[u64; 4]>, width: Option<usize>) -> io::Result<String> {
    let [queries, rows, asserted, derived] =
        rates.map_or_else(|| ["-"; 4].map(str::to_owned), |rates| rates.map(count));
    let queries_word = if status.queries_at_work == 1 { "query" } else { "queries" };
    let (at_work, changes) = (count(status.queries_at_work.into()), counted(status.changes_at_work.into(), "change"));
    let mut lines = head(status);
    // Inserted before the last line, which is about the server.
    let at = lines.len() - 1;
    let rates = format!("rates   {queries} queries/s, {rows} rows/s, {asserted} asserted/s, {derived} derived/s");
    lines.splice(at..at, [format!("work    {at_work} {queries_word} and {changes} at work"), rates]);
    let mut out = Vec::new();
    lines.iter().try_for_each(|line| line_within(line, width, &mut out))?;
    details(status, width, &mut out)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// The display of the status.
struct Screen {
    is_own: bool,
    form: Form,
    last: String,
}

/// Switches to the alternate screen, hides the cursor and disables line wrapping; and undoes that.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";

impl Screen {
    fn new(form: Form) -> Self {
        let is_own = form == Form::Table && io::stdout().is_terminal();
        if is_own {
            // An error here occurs again with the first status, which reports it.
            _ = write!(io::stdout(), "{ENTER}");
        }
        Self { is_own, form, last: String::new() }
    }

    fn show(&mut self, picture: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.is_own {
            // Each line is cleared to its end, then everything below: this avoids flicker.
            write!(out, "\u{1b}[H")?;
            let lines: Vec<&str> = picture.lines().take(height()).collect();
            write!(out, "{}\u{1b}[K\u{1b}[J", lines.join("\u{1b}[K\r\n"))?;
            picture.clone_into(&mut self.last);
        } else if self.form == Form::Table {
            write!(out, "{}\n{picture}\n", clock())?;
        } else {
            write!(out, "{picture}")?;
        }
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_own {
            // If the terminal is gone, nothing has to be restored.
            let mut out = io::stdout().lock();
            _ = write!(out, "{LEAVE}{}", self.last).and_then(|()| out.flush());
        }
    }
}

/// The number of lines of the terminal.
fn height() -> usize {
    rustix::termios::tcgetwinsize(io::stdout()).map_or(24, |size| usize::from(size.ws_row).max(1))
}

/// The time of day, which distinguishes one status from the next.
fn clock() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("at {:02}:{:02}:{:02} UTC", now / 3600 % 24, now / 60 % 60, now % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_a_second_and_never_below_nothing() {
        let start = Instant::now();
        let earlier = Totals { at: start, queries: 10, rows: 1000, asserted: 5, derived: 7 };
        let later = Totals { at: start + Duration::from_secs(2), queries: 30, rows: 1001, asserted: 5, derived: 0 };
        assert_eq!(later.since(&earlier), [10, 1, 0, 0]);
    }

    #[test]
    fn facts_of_a_node_that_comes_back_are_not_new() {
        let start = Instant::now();
        let status = |facts_asserted| StatusResponse { facts_asserted, asserted_total: 7, ..Default::default() };
        let later = Totals::of(&status(1_000_000), start + Duration::from_secs(1));
        assert_eq!(later.since(&Totals::of(&status(0), start)), [0; 4]);
    }

    #[test]
    fn work_and_rates_are_told_between_the_nodes_and_the_server() {
        let status = StatusResponse {
            state: "serving".to_owned(),
            queries_at_work: 3,
            changes_at_work: 1,
            ..Default::default()
        };
        let lines = |rates| picture(&status, rates, None).unwrap();
        assert!(lines(None).contains("\nrates   - queries/s, - rows/s"), "{}", lines(None));
        let told = lines(Some([1200, 34_000, 0, 5]));
        let expected = "\nwork    3 queries and 1 change at work\n\
                        rates   1,200 queries/s, 34,000 rows/s, 0 asserted/s, 5 derived/s\nserver  version";
        assert!(told.contains(expected), "{told}");
        let narrow = picture(&status, Some([1200, 34_000, 0, 5]), Some(40)).unwrap();
        let expected = "\nrates   1,200 queries/s, 34,000 rows/s,\n        0 asserted/s, 5 derived/s\n";
        assert!(narrow.contains(expected), "{narrow}");
    }
}
