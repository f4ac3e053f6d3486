//! Aligned columns of text, without frames.
//!
//! ```text
//! name   facts
//! ─────  ─────
//! node-0    12
//! ```
//!
//! A table that must fit into a width truncates its texts, never its numbers, and then leaves out columns: the last
//! ones, or the least important ones. Each omission is marked with `…`.

use std::io::{self, Write};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Cells are padded to at most this many columns; a longer cell shifts only its own row.
const WIDTH_MAX: usize = 72;
const GAP: &str = "  ";
/// Texts are not truncated to less than this many columns.
const TEXT_MIN: usize = 12;
/// The mark of an omission.
const CUT: &str = "…";

/// The alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// The columns of a table, with their widths.
#[derive(Clone, Debug)]
pub struct Grid {
    titles: Vec<String>,
    aligns: Vec<Align>,
    widths: Vec<usize>,
    /// The number of leading columns that are shown; all, unless the table must fit into a width.
    shown: usize,
    is_cut: bool,
}

impl Grid {
    /// Columns as wide as their titles.
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Align)>) -> Self {
        let (titles, aligns): (Vec<String>, Vec<Align>) =
            columns.into_iter().map(|(title, align)| (title.to_owned(), align)).unzip();
        let widths: Vec<usize> = titles.iter().map(|title| title.width().min(WIDTH_MAX)).collect();
        Self { titles, aligns, shown: widths.len(), widths, is_cut: false }
    }

    /// Widens the columns for a row.
    pub fn fit(&mut self, row: &[String]) {
        assert_eq!(row.len(), self.widths.len(), "one cell per column");
        for (width, cell) in self.widths.iter_mut().zip(row) {
            *width = cell.width().min(WIDTH_MAX).max(*width);
        }
    }

    /// Narrows the columns until a line fits into this width. Numbers are shown in full or not at all.
    pub fn narrow(&mut self, width: usize) {
        let is_text = |index: &usize| self.aligns[*index] == Align::Left;
        let texts: Vec<usize> = (0..self.widths.len()).filter(is_text).collect();
        while self.width() > width {
            let widest = texts.iter().copied().filter(|&text| self.widths[text] > TEXT_MIN);
            let Some(widest) = widest.max_by_key(|&text| self.widths[text]) else { break };
            self.widths[widest] -= 1;
            self.is_cut = true;
        }
        while self.width() > width && self.shown > 1 {
            self.shown -= 1;
            self.is_cut = true;
        }
    }

    /// The width of a line.
    fn width(&self) -> usize {
        let more = if self.shown < self.widths.len() { GAP.width() + CUT.width() } else { 0 };
        let gaps = GAP.width() * self.shown.saturating_sub(1);
        self.widths[..self.shown].iter().sum::<usize>() + gaps + more
    }

    /// Has something been left out?
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Writes the titles, and a line under each.
    pub fn head(&self, out: &mut dyn Write) -> io::Result<()> {
        self.line(&self.titles, CUT, out)?;
        let lines: Vec<String> = self.widths.iter().map(|width| "─".repeat(*width)).collect();
        self.line(&lines, "─", out)
    }

    /// Writes a row without trailing spaces.
    pub fn row(&self, cells: &[String], out: &mut dyn Write) -> io::Result<()> {
        self.line(cells, "", out)
    }

    /// Writes a line; `rest` stands for the columns that are not shown.
    fn line(&self, cells: &[String], rest: &str, out: &mut dyn Write) -> io::Result<()> {
        let mut line = String::new();
        for ((cell, width), align) in cells.iter().zip(&self.widths).zip(&self.aligns).take(self.shown) {
            let cut = if self.is_cut && *align == Align::Left { cut(cell, *width) } else { None };
            let cell = cut.as_deref().unwrap_or(cell);
            let blanks = " ".repeat(width.saturating_sub(cell.width()));
            match align {
                Align::Left => line.extend([cell, &blanks]),
                Align::Right => line.extend([blanks.as_str(), cell]),
            }
            line.push_str(GAP);
        }
        if self.shown < cells.len() {
            line.push_str(rest);
        }
        writeln!(out, "{}", line.trim_end_matches(' '))
    }

    /// Writes a whole table, within a width if one is given.
    pub fn write_within(mut self, width: Option<usize>, rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
        rows.iter().for_each(|row| self.fit(row));
        if let Some(width) = width {
            self.narrow(width);
        }
        self.head(out)?;
        rows.iter().try_for_each(|row| self.row(row, out))
    }

    /// Writes a whole table.
    pub fn write(self, rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
        self.write_within(None, rows, out)
    }
}

/// A table from which columns are removed until it fits into a width: the least important ones first. A column `…`
/// replaces them.
pub struct Fitting<'a> {
    pub columns: Vec<(&'a str, Align)>,
    pub rows: Vec<Vec<String>>,
}

impl<'a> Fitting<'a> {
    /// Removes columns of `expendable`, in its order, until a line is no wider than `width`; returns the removed ones.
    pub fn fit(&mut self, width: usize, expendable: &[&'a str]) -> Vec<&'a str> {
        let mut hidden = Vec::new();
        for title in expendable {
            // The mark needs a column of its own.
            let room = if hidden.is_empty() { width } else { width.saturating_sub(GAP.width() + CUT.width()) };
            if self.width() <= room {
                break;
            }
            let Some(index) = self.columns.iter().position(|(other, _)| other == title) else { continue };
            self.columns.remove(index);
            self.rows.iter_mut().for_each(|row| drop(row.remove(index)));
            hidden.push(*title);
        }
        if !hidden.is_empty() {
            self.columns.push((CUT, Align::Left));
            self.rows.iter_mut().for_each(|row| row.push(String::new()));
        }
        hidden
    }

    fn width(&self) -> usize {
        let mut grid = Grid::new(self.columns.iter().copied());
        self.rows.iter().for_each(|row| grid.fit(row));
        grid.width()
    }

    /// Writes the table.
    pub fn write(self, width: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
        Grid::new(self.columns).write_within(width, &self.rows, out)
    }
}

/// A text truncated to a width, if it is too wide; of an IRI the end is kept, which is more specific than its middle.
fn cut(text: &str, width: usize) -> Option<String> {
    if text.width() <= width {
        return None;
    }
    let room = width.saturating_sub(CUT.width());
    let end = if text.starts_with('<') { room / 2 } else { 0 };
    let first = taken(text.chars(), room - end);
    let last: String = taken(text.chars().rev(), end).chars().rev().collect();
    Some(first + CUT + &last)
}

/// The characters that fit into a width.
fn taken(characters: impl Iterator<Item = char>, width: usize) -> String {
    let mut left = width;
    let fits = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    characters.take_while(fits).collect()
}

/// Wraps a line that is too wide; each line but the first is indented. A word that is too wide stays whole.
pub fn fold(line: &str, width: usize, indent: usize) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in line.split_inclusive(' ') {
        if column > indent && column + word.trim_end().width() > width {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
        }
        text.push_str(word);
        column += word.width();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(columns: &[(&str, Align)], rows: &[&[&str]]) -> String {
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|&cell| cell.to_owned()).collect()).collect();
        let mut out = Vec::new();
        Grid::new(columns.iter().copied()).write(&rows, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let rows: &[&[&str]] = &[&["zoë", "7", "x"], &["日本", "1,234", ""]];
        let drawn = drawn(&[("name", Align::Left), ("facts", Align::Right), ("a", Align::Left)], rows);
        assert_eq!(drawn, "name  facts  a\n────  ─────  ─\nzoë       7  x\n日本  1,234\n");
    }

    #[test]
    fn one_long_cell_does_not_widen_the_others() {
        let long = "y".repeat(100);
        let drawn = drawn(&[("a", Align::Left), ("b", Align::Left)], &[&["x", "1"], &[&long, "2"]]);
        let lines: Vec<usize> = drawn.lines().map(|line| line.chars().count()).collect();
        assert_eq!(lines, [75, 75, 75, 103]);
    }

    /// A table of two texts and a number in a width.
    fn within(width: usize) -> String {
        let columns = [("iri", Align::Left), ("label", Align::Left), ("count", Align::Right)];
        let row = ["<http://example.org/a/long/path/to/a-name>", "a label of some length", "1,234,567"];
        let mut out = Vec::new();
        Grid::new(columns).write_within(Some(width), &[row.map(str::to_owned).to_vec()], &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_is_cut_to_a_width() {
        assert!(!within(100).contains(CUT));
        let expected = "\
iri                   label                     count
────────────────────  ────────────────────  ─────────
<http://ex…o/a-name>  a label of some len…  1,234,567
";
        assert_eq!(within(53), expected);
        let expected = "iri           label         …\n────────────  ────────────  ─\n<http:…name>  a label of …\n";
        assert_eq!(within(30), expected);
        for width in 1..90 {
            let widest = within(width).lines().map(UnicodeWidthStr::width).max().unwrap();
            assert!(widest <= width.max(TEXT_MIN + 3), "{widest} in {width}");
        }
    }

    #[test]
    fn columns_that_matter_least_go_first() {
        let columns = ["node", "terms", "disk", "queries"].map(|title| (title, Align::Right));
        let table = || Fitting { columns: columns.to_vec(), rows: vec![vec!["1".to_owned(); 4]] };
        let mut whole = table();
        assert!(whole.fit(26, &["disk", "terms"]).is_empty());
        let mut narrow = table();
        assert_eq!(narrow.fit(25, &["disk", "terms"]), ["disk"]);
        let mut out = Vec::new();
        narrow.write(None, &mut out).unwrap();
        let expected = "node  terms  queries  …\n────  ─────  ───────  ─\n   1      1        1\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn lines_are_folded_between_words() {
        assert_eq!(fold("rates   1 queries/s, 2 rows/s", 80, 8), "rates   1 queries/s, 2 rows/s");
        assert_eq!(fold("rates   1 queries/s, 2 rows/s", 22, 8), "rates   1 queries/s, 2\n        rows/s");
        assert_eq!(fold("a-word-that-is-too-wide b", 5, 2), "a-word-that-is-too-wide\n  b");
    }
}
