//! The line of a text that an error refers to, with a caret under the column.

use unicode_width::UnicodeWidthChar;

/// The largest number of columns that are shown.
const WIDTH_MAX: usize = 100;

/// The line with a caret under the column, both counted from one in characters; `None` if the text has no such line.
pub fn of(text: &str, line: u64, column: u64) -> Option<String> {
    let index = usize::try_from(line.checked_sub(1)?).ok()?;
    let found = text.lines().nth(index)?;
    let characters: Vec<char> = found.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let at = usize::try_from(column.saturating_sub(1)).ok()?.min(characters.len());
    // A long line is cut so that the column stays visible.
    let start = at.saturating_sub(WIDTH_MAX / 2);
    let end = (start + WIDTH_MAX).min(characters.len());
    let before = if start > 0 { "…" } else { "" };
    let after = if end < characters.len() { "…" } else { "" };
    let shown: String = characters[start..end].iter().collect();
    let offset: usize = characters[start..at].iter().map(|c| c.width().unwrap_or(0)).sum();
    let number = line.to_string();
    let (gap, indent) = (" ".repeat(number.len()), " ".repeat(before.chars().count() + offset));
    Some(format!("  {number} | {before}{shown}{after}\n  {gap} | {indent}^"))
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
    fn long_lines_are_cut_around_the_place() {
        let text = format!("{}!{}", "x".repeat(500), "y".repeat(500));
        let shown = of(&text, 1, 501).unwrap();
        let (line, caret) = shown.split_once('\n').unwrap();
        assert_eq!(line.chars().count(), 6 + 2 + WIDTH_MAX);
        let column = caret.find('^').unwrap();
        assert_eq!(line.chars().nth(column), Some('!'));
    }
}
