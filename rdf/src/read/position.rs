//! Positions in texts: the ends of lines, and the order of two errors.

use oxttl::TurtleSyntaxError;

/// The error to report of two consecutive ones. The parser may find several errors in one place, one for each expected
/// token, and returns the first of them last.
pub(crate) fn earlier(one: TurtleSyntaxError, next: TurtleSyntaxError) -> TurtleSyntaxError {
    if next.location().start.offset <= one.location().start.offset { next } else { one }
}

/// The number of line ends in a text.
pub(crate) fn count_line_ends(text: &[u8]) -> u64 {
    let feeds = memchr::memchr_iter(b'\n', text).count();
    let lone_returns = memchr::memchr_iter(b'\r', text).filter(|at| text.get(at + 1) != Some(&b'\n')).count();
    (feeds + lone_returns) as u64
}
