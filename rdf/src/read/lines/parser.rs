//! N-Triples and N-Quads, one block of whole lines at a time.
//!
//! Most lines are [plain](super::plain) and read in place; oxttl reads the others, a run of them at a time. A block
//! with an error is parsed again line by line, so that each malformed line is reported by its number, and every other
//! line gives its fact.

use crate::batch::builder::TRIPLE_DEPTH_MAX;
use crate::read::lines::plain::{self, LineFormat, PlainLine};
use crate::read::outlet::Outlet;
use crate::read::position::earlier;
use crate::read::relative::explained;
use entail_model::{Fault, Reason};
use memchr::memmem;
use oxrdf::{GraphName, Quad};
use oxttl::{NQuadsParser, NTriplesParser, TurtleSyntaxError};

/// A malformed line within a block.
pub(crate) struct BadLine {
    /// The line within the block, counted from zero.
    pub(crate) line: u64,
    /// The column, counted from one.
    pub(crate) column: u64,
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

/// Pushes the facts of a block of whole lines, if every line is well-formed.
///
/// # Errors
/// `Err` means that some line is malformed: the outlet then has some of the facts, to be rolled back, and
/// [`parse_each_line`] finds the malformed lines.
pub(crate) fn parse_lines(block: &[u8], format: LineFormat, outlet: &mut Outlet<'_, '_>) -> Result<(), ()> {
    let text = std::str::from_utf8(block).map_err(|_| ())?;
    let mut rest = text;
    // The start of pending lines that are not plain.
    let mut others: Option<&str> = None;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |end| end + 1);
        let line = rest[..end].strip_suffix('\n').unwrap_or(rest);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let plain = plain::parse(line, format, outlet.known());
        match (&plain, others) {
            (Some(_), Some(begin)) => {
                parse_others(&begin[..begin.len() - rest.len()], format, outlet)?;
                others = None;
            }
            (None, None) => others = Some(rest),
            _ => {}
        }
        if let Some(PlainLine::Fact(fact)) = plain {
            outlet.push_plain(fact).map_err(|_| ())?;
        }
        rest = &rest[end..];
    }
    others.map_or(Ok(()), |text| parse_others(text, format, outlet))
}

/// Pushes the facts of lines that are not plain.
fn parse_others(lines: &str, format: LineFormat, outlet: &mut Outlet<'_, '_>) -> Result<(), ()> {
    if nests_too_deep(lines.as_bytes()) {
        return Err(());
    }
    each_quad(lines.as_bytes(), format, |quad| outlet.push(quad.map_err(|_| ())?.as_ref()).map_err(|_| ()))
}

/// Pushes the facts of the well-formed lines of a block and reports the others, until `on_bad` returns false.
pub(crate) fn parse_each_line(
    block: &[u8],
    format: LineFormat,
    outlet: &mut Outlet<'_, '_>,
    mut on_bad: impl FnMut(BadLine) -> bool,
) {
    for (number, line) in lines(block).enumerate() {
        let result = parse_line(line, format).and_then(|quads| {
            let push = |quad: &Quad| outlet.push(quad.as_ref());
            quads.iter().try_for_each(push).map_err(|fault| (1, fault))
        });
        if let Err((column, Fault { reason, message, .. })) = result
            && !on_bad(BadLine { line: number as u64, column, reason, message })
        {
            return;
        }
    }
}

/// The facts of one line; at most one if the line is well-formed.
fn parse_line(line: &[u8], format: LineFormat) -> Result<Vec<Quad>, (u64, Fault)> {
    if nests_too_deep(line) {
        return Err((1, crate::batch::builder::too_deep()));
    }
    let (mut quads, mut refused) = (Vec::new(), None::<TurtleSyntaxError>);
    let _: Result<(), ()> = each_quad(line, format, |quad| {
        match quad {
            Ok(quad) => quads.push(quad),
            Err(error) => {
                refused = Some(match refused.take() {
                    Some(first) => earlier(first, error),
                    None => error,
                });
            }
        }
        Ok(())
    });
    refused.map_or(Ok(quads), |error| {
        let place = error.location();
        let message = match error.message() {
            "Unexpected end of file" | "Unexpected end" => "the line ends in the middle of a statement".to_owned(),
            other => explained(format.into(), other, line.get(place.start.offset as usize..place.end.offset as usize)),
        };
        Err((place.start.column + 1, Fault::new(Reason::Syntax, message)))
    })
}

pub(crate) fn each_quad<E>(
    text: &[u8],
    format: LineFormat,
    mut take: impl FnMut(Result<Quad, TurtleSyntaxError>) -> Result<(), E>,
) -> Result<(), E> {
    match format {
        LineFormat::NTriples => NTriplesParser::new()
            .for_slice(text)
            .try_for_each(|triple| take(triple.map(|triple| triple.in_graph(GraphName::DefaultGraph)))),
        LineFormat::NQuads => NQuadsParser::new().for_slice(text).try_for_each(take),
    }
}

/// Does a line nest triple terms deeper than the limit? The parser would build them, and dropping them is recursive.
fn nests_too_deep(text: &[u8]) -> bool {
    let mut openings = memmem::find_iter(text, b"<<(");
    // Most files have none. A line with more openings than the limit may still have them side by side, or in a literal,
    // so each such line is checked.
    openings.nth(TRIPLE_DEPTH_MAX).is_some() && lines(text).any(|line| triple_depth(line) > TRIPLE_DEPTH_MAX)
}

fn triple_depth(line: &[u8]) -> usize {
    let (mut depth, mut deepest, mut at) = (0usize, 0, 0);
    while at < line.len() {
        let rest = &line[at..];
        if rest.starts_with(b"<<(") {
            depth += 1;
            deepest = deepest.max(depth);
            at += 3;
        } else if rest.starts_with(b")>>") {
            depth = depth.saturating_sub(1);
            at += 3;
        } else if rest[0] == b'"' {
            at += 1 + string_len(&rest[1..]);
        } else if rest[0] == b'<' {
            at += 1 + memchr::memchr(b'>', rest).unwrap_or(rest.len());
        } else {
            at += 1;
        }
    }
    deepest
}

/// The length of a string's content and closing quote.
fn string_len(content: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &content[at.min(content.len())..]) {
        at += found + 1;
        if content[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    content.len()
}

/// The lines of a text without their ends: LF, CR LF or CR, as in the grammar.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
            return Some(std::mem::take(&mut rest));
        };
        let line = &rest[..end];
        let ended_by = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = &rest[end + ended_by..];
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::position::count_line_ends;

    #[test]
    fn lines_end_in_three_ways() {
        let text = b"a\nb\r\nc\rd\n\n\re";
        let parts: Vec<&[u8]> = lines(text).collect();
        assert_eq!(parts, [&b"a"[..], b"b", b"c", b"d", b"", b"", b"e"]);
        assert_eq!(count_line_ends(text), 6);
        assert_eq!(count_line_ends(b"a\r"), 1);
        assert_eq!(count_line_ends(b""), 0);
    }

    #[test]
    fn depth_is_counted_outside_of_strings_and_iris() {
        let nested = format!("<a:s> <a:p> {}<a:o>{} .", "<<( <a:s> <a:p> ".repeat(3), ")>>".repeat(3));
        assert_eq!(triple_depth(nested.as_bytes()), 3);
        assert_eq!(triple_depth(br#"<a:s> <a:p> "<<( \" <<(" ."#), 0);
        assert_eq!(triple_depth(b"<a:<<(s> <<("), 1);
        assert_eq!(triple_depth(br#""unclosed \"#), 0);
        assert!(nests_too_deep("<<(".repeat(1000).as_bytes()));
        assert!(!nests_too_deep("<<( )>>\n".repeat(1000).as_bytes()));
    }
}
