//! The line of a text or a file that an error refers to, with a caret under the column.

use crate::output;
use entail_rdf::Compression;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use unicode_width::UnicodeWidthChar;

/// The largest number of columns of a line that are shown, and the least, however narrow the terminal is.
const WIDTH_MAX: usize = 100;
const WIDTH_MIN: usize = 20;
/// The largest beginning of a file that is searched for a line.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The line with a caret under the column, both counted from one in characters; `None` if the text has no such line.
pub fn of(text: &str, line: u64, column: u64) -> Option<String> {
    let index = usize::try_from(line.checked_sub(1)?).ok()?;
    text.lines().nth(index).map(|found| shown(found, line, column))
}

/// The line of a file with a caret under the column; `None` if the file is compressed, not a regular one, or has no such line
/// near its beginning.
pub fn of_file(path: &Path, line: u64, column: u64) -> Option<String> {
    if line == 0 || !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut reader = BufReader::new(File::open(path).ok()?.take(FILE_BYTES_MAX));
    if Compression::from_content(reader.fill_buf().ok()?) != Compression::None {
        return None;
    }
    let mut text = Vec::new();
    for _ in 0..line {
        text.clear();
        if reader.read_until(b'\n', &mut text).ok()? == 0 {
            return None;
        }
    }
    let text = String::from_utf8_lossy(&text);
    Some(shown(text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']), line, column))
}

fn shown(found: &str, line: u64, column: u64) -> String {
    shown_within(output::error_width(), found, line, column)
}

/// A line with its number, and a caret under the column, no wider than `width`.
fn shown_within(width: Option<usize>, found: &str, line: u64, column: u64) -> String {
    let characters: Vec<char> = found.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let at = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX).min(characters.len());
    // The number, the marks of what is left out, and a caret after the end need room, too.
    let others = line.to_string().len() + 8;
    let room = width.map_or(WIDTH_MAX, |width| width.saturating_sub(others).clamp(WIDTH_MIN, WIDTH_MAX));
    // A long line is cut so that the column stays visible.
    let (start, end) = visible(&characters, at, room);
    let before = if start > 0 { "…" } else { "" };
    let after = if end < characters.len() { "…" } else { "" };
    let shown: String = characters[start..end].iter().collect();
    let offset: usize = characters[start..at].iter().map(|c| c.width().unwrap_or(0)).sum();
    let number = line.to_string();
    let (gap, indent) = (" ".repeat(number.len()), " ".repeat(before.chars().count() + offset));
    format!("  {number} | {before}{shown}{after}\n  {gap} | {indent}^")
}

/// The range of characters around a place that fits into some columns, half of them before it.
fn visible(characters: &[char], at: usize, columns: usize) -> (usize, usize) {
    let start = at - fitting(characters[..at].iter().rev(), columns / 2);
    (start, start + fitting(characters[start..].iter(), columns))
}

/// How many characters fit into some columns.
fn fitting<'c>(characters: impl Iterator<Item = &'c char>, columns: usize) -> usize {
    let mut used = 0;
    let fits = |c: &&char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    characters.take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr;

    #[test]
    fn long_lines_fit_into_a_terminal() {
        let text = format!("{}!{}", "語".repeat(200), "y".repeat(200));
        for (width, line, column) in
            [(80, 1, 1), (80, 12_345, 201), (60, 7, 201), (60, 7, 401), (60, 7, 402), (40, 1, 300)]
        {
            let shown = shown_within(Some(width), &text, line, column);
            for line in shown.lines() {
                assert!(line.width() <= width, "{} in {width}:\n{shown}", line.width());
            }
            assert!(shown.contains('^'), "{shown}");
        }
    }

    #[test]
    fn the_caret_is_under_the_place() {
        assert_eq!(of("a\nb c\n", 2, 3).unwrap(), "  2 | b c\n    |   ^");
        assert_eq!(of("\tx", 1, 2).unwrap(), "  1 |  x\n    |  ^");
        assert_eq!(of("語x", 1, 2).unwrap(), "  1 | 語x\n    |   ^");
        // The column after the end of a line marks missing text.
        assert_eq!(of("ab", 1, 9).unwrap(), "  1 | ab\n    |   ^");
        assert_eq!(of("ab", 2, 1), None);
        assert_eq!(of("ab", 0, 0), None);
    }

    #[test]
    fn lines_of_files_are_found() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.ttl");
        std::fs::write(&path, b"\xef\xbb\xbfa b\r\nc \xff d\nlast").unwrap();
        assert_eq!(of_file(&path, 1, 3).unwrap(), "  1 | a b\n    |   ^");
        assert_eq!(of_file(&path, 2, 3).unwrap(), "  2 | c \u{fffd} d\n    |   ^");
        assert_eq!(of_file(&path, 3, 5).unwrap(), "  3 | last\n    |     ^");
        assert_eq!(of_file(&path, 4, 1), None);
        assert_eq!(of_file(place.path(), 1, 1), None);
        std::fs::write(&path, b"\x1f\x8bgzip\n").unwrap();
        assert_eq!(of_file(&path, 1, 1), None);
        assert_eq!(of_file(&place.path().join("none.ttl"), 1, 1), None);
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let text = format!("{}!{}", "x".repeat(500), "y".repeat(500));
        let shown = shown_within(None, &text, 1, 501);
        let (line, caret) = shown.split_once('\n').unwrap();
        assert_eq!(line.chars().count(), 6 + 2 + WIDTH_MAX);
        let column = caret.find('^').unwrap();
        assert_eq!(line.chars().nth(column), Some('!'));
    }
}
