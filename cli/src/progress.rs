//! Progress bars and spinners on the standard error, for terminals.

use crate::session::Session;
use crate::units::count;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

/// A progress display; it is removed from the terminal when it is dropped.
pub struct Moving(ProgressBar);

impl Drop for Moving {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Moving {
    /// A spinner, for work of unknown length.
    pub fn wheel(session: &Session, what: &str) -> Self {
        let bar = if session.shows_progress() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        bar.set_style(style("{spinner} {msg} {elapsed}"));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// A bar over the bytes of a load; a spinner if their number is unknown.
    pub fn load(session: &Session, bytes: Option<u64>) -> Self {
        let bar = match (session.shows_progress(), bytes) {
            (false, _) => ProgressBar::hidden(),
            (true, None) => ProgressBar::new_spinner(),
            (true, Some(bytes)) => ProgressBar::new(bytes),
        };
        bar.set_style(style(match bytes {
            Some(_) => "{bar:20} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} ETA {eta} {wide_msg}",
            None => "{spinner} {binary_bytes} {binary_bytes_per_sec} {elapsed} {wide_msg}",
        }));
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// Shows the progress of a load.
    pub fn show(&self, progress: &entail_client::Progress) {
        self.0.set_position(progress.bytes_sent);
        let round = if progress.round > 0 { format!(", round {}", progress.round) } else { String::new() };
        self.0.set_message(format!("{} triples, {}{round}", count(progress.triples), progress.phase));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are ours")
}
