//! Places in texts: the ends of lines, and which of two errors comes first.

use oxttl::TurtleSyntaxError;

/// The error to tell of two that follow each other. The parser may find several in one place, one for each thing that
/// was expected there, and gives the first that it found last.
pub(crate) fn earlier(one: TurtleSyntaxError, next: TurtleSyntaxError) -> TurtleSyntaxError {
    if next.location().start.offset <= one.location().start.offset { next } else { one }
}

/// The number of line ends in a text.
pub(crate) fn count_line_ends(text: &[u8]) -> u64 {
    let feeds = memchr::memchr_iter(b'\n', text).count();
    let lone_returns = memchr::memchr_iter(b'\r', text).filter(|at| text.get(at + 1) != Some(&b'\n')).count();
    (feeds + lone_returns) as u64
}
