//! Progress bars and spinners on the standard error, for terminals.

use crate::output;
use crate::session::Session;
use crate::units::count;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);

/// Displays of the bytes of a load, with the least widths of the terminals that they are for. What is not in `wide_msg` is as wide
/// as it is, and a line that wraps is drawn again and again.
const OF_BYTES: [(usize, &str); 3] = [
    (80, "{bar:20} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} ETA {eta} {wide_msg}"),
    (50, "{bar:8} {binary_bytes}/{binary_total_bytes} ETA {eta} {wide_msg}"),
    (0, "{binary_bytes}/{binary_total_bytes} {wide_msg}"),
];
const OF_UNKNOWN_BYTES: [(usize, &str); 2] = [
    (60, "{spinner} {binary_bytes} {binary_bytes_per_sec} {elapsed} {wide_msg}"),
    (0, "{spinner} {binary_bytes} {wide_msg}"),
];

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
        bar.set_style(style("{spinner} {elapsed} {wide_msg}"));
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
        bar.set_style(style(of_load(bytes.is_some(), output::error_width())));
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

/// The display of a load for a terminal.
fn of_load(is_known: bool, width: Option<usize>) -> &'static str {
    let displays = if is_known { &OF_BYTES[..] } else { &OF_UNKNOWN_BYTES };
    let fits = |(least, _): &&(usize, &str)| width.is_none_or(|width| width >= *least);
    displays.iter().find(fits).map_or("{wide_msg}", |(_, template)| template)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are ours")
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::{ProgressDrawTarget, TermLike};
    use std::io;
    use std::sync::{Arc, Mutex};
    use unicode_width::UnicodeWidthStr;

    /// A terminal that remembers what was written.
    #[derive(Clone, Debug)]
    struct Narrow(u16, Arc<Mutex<Vec<String>>>);

    impl TermLike for Narrow {
        fn width(&self) -> u16 {
            self.0
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.1.lock().unwrap().push(text.to_owned());
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_display_wraps() {
        for width in [120, 80, 60, 40] {
            for template in [of_load(true, Some(width)), of_load(false, Some(width)), "{spinner} {elapsed} {wide_msg}"]
            {
                let terminal = Narrow(width as u16, Arc::default());
                let bar = ProgressBar::new(1023 << 30);
                bar.set_draw_target(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
                bar.set_style(style(template));
                bar.set_position((1023 << 20) + 12_345);
                bar.set_message("1,234,567,890 triples, deriving, round 12");
                bar.force_draw();
                let lines = terminal.1.lock().unwrap().clone();
                assert!(lines.iter().any(|line| line.contains('i')), "{template}: {lines:?}");
                for line in lines {
                    assert!(line.width() <= width, "{} in {width}: {line:?}", line.width());
                }
            }
        }
    }
}
