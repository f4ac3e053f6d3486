//! The line of a text or a file that an error refers to, with a caret under the column.

use entail_rdf::Compression;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use unicode_width::UnicodeWidthChar;

/// The largest number of columns that are shown.
const WIDTH_MAX: usize = 100;
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

/// A line with its number, and a caret under the column.
fn shown(found: &str, line: u64, column: u64) -> String {
    let characters: Vec<char> = found.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let at = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX).min(characters.len());
    // A long line is cut so that the column stays visible.
    let start = at.saturating_sub(WIDTH_MAX / 2);
    let end = (start + WIDTH_MAX).min(characters.len());
    let before = if start > 0 { "…" } else { "" };
    let after = if end < characters.len() { "…" } else { "" };
    let shown: String = characters[start..end].iter().collect();
    let offset: usize = characters[start..at].iter().map(|c| c.width().unwrap_or(0)).sum();
    let number = line.to_string();
    let (gap, indent) = (" ".repeat(number.len()), " ".repeat(before.chars().count() + offset));
    format!("  {number} | {before}{shown}{after}\n  {gap} | {indent}^")
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let shown = of(&text, 1, 501).unwrap();
        let (line, caret) = shown.split_once('\n').unwrap();
        assert_eq!(line.chars().count(), 6 + 2 + WIDTH_MAX);
        let column = caret.find('^').unwrap();
        assert_eq!(line.chars().nth(column), Some('!'));
    }
}
