//! Aligned columns of text, without frames.
//!
//! ```text
//! name   facts
//! ─────  ─────
//! node-0    12
//! ```

use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Cells are padded to at most this many columns; longer ones push their own row aside and no other.
const WIDTH_MAX: usize = 72;
const GAP: &str = "  ";

/// On which side a column has its blanks.
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
}

impl Grid {
    /// Columns as wide as their titles.
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Align)>) -> Self {
        let (titles, aligns): (Vec<String>, Vec<Align>) =
            columns.into_iter().map(|(title, align)| (title.to_owned(), align)).unzip();
        let widths = titles.iter().map(|title| title.width().min(WIDTH_MAX)).collect();
        Self { titles, aligns, widths }
    }

    /// Makes room for a row.
    pub fn fit(&mut self, row: &[String]) {
        assert_eq!(row.len(), self.widths.len(), "one cell per column");
        for (width, cell) in self.widths.iter_mut().zip(row) {
            *width = cell.width().min(WIDTH_MAX).max(*width);
        }
    }

    /// Writes titles and lines under them.
    pub fn head(&self, out: &mut dyn Write) -> io::Result<()> {
        self.row(&self.titles, out)?;
        let lines: Vec<String> = self.widths.iter().map(|width| "─".repeat(*width)).collect();
        self.row(&lines, out)
    }

    /// Writes a row; nothing follows the last cell.
    pub fn row(&self, cells: &[String], out: &mut dyn Write) -> io::Result<()> {
        let mut line = String::new();
        for ((cell, width), align) in cells.iter().zip(&self.widths).zip(&self.aligns) {
            let blanks = " ".repeat(width.saturating_sub(cell.width()));
            match align {
                Align::Left => line.extend([cell.as_str(), &blanks]),
                Align::Right => line.extend([blanks.as_str(), cell]),
            }
            line.push_str(GAP);
        }
        writeln!(out, "{}", line.trim_end_matches(' '))
    }

    /// Writes a whole table.
    pub fn write(mut self, rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
        rows.iter().for_each(|row| self.fit(row));
        self.head(out)?;
        rows.iter().try_for_each(|row| self.row(row, out))
    }
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
}
