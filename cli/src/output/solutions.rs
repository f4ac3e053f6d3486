//! Streams a query's solutions as a table.
//!
//! The first page determines the widths of the columns and which of them are numeric; all later rows are written at
//! once, so that a large answer needs neither memory nor a long wait.

use crate::failure::Failure;
use crate::output::grid::{Align, Grid};
use crate::output::term::{Prefixes, is_numeric};
use bytes::Bytes;
use entail_model::Fault;
use sparesults::{
    QueryResultsFormat, QueryResultsParseError, QueryResultsParser, QuerySolution, ReaderQueryResultsParserOutput,
};
use std::io::{self, Read, Write};
use tokio::sync::mpsc::Receiver;

/// The number of rows that are buffered to size the columns.
const PAGE_ROWS: usize = 1000;

/// Bytes from another task as a reader. The sender must run on a different thread.
pub struct Chunks {
    chunks: Receiver<Bytes>,
    current: Bytes,
}

impl Chunks {
    pub fn new(chunks: Receiver<Bytes>) -> Self {
        Self { chunks, current: Bytes::new() }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let count = self.current.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

/// Reads results in JSON and writes them as a table, or as one word for a boolean answer. A table that is wider than
/// `width` is truncated; returns whether it was.
pub fn write(json: impl Read, prefixes: &Prefixes, width: Option<usize>, out: &mut dyn Write) -> Result<bool, Failure> {
    let mut is_cut = false;
    match QueryResultsParser::from_format(QueryResultsFormat::Json).for_reader(json).map_err(bad)? {
        ReaderQueryResultsParserOutput::Boolean(answer) => writeln!(out, "{answer}").map_err(Failure::Output)?,
        ReaderQueryResultsParserOutput::Solutions(solutions) => {
            let titles = solutions.variables().iter().map(|variable| variable.as_str().to_owned()).collect();
            let mut table = Table { titles, prefixes, page: Vec::new(), numbers: Vec::new(), width, grid: None };
            for solution in solutions {
                table.add(&solution.map_err(bad)?, out).map_err(Failure::Output)?;
            }
            is_cut = table.finish(out).map_err(Failure::Output)?;
        }
    }
    out.flush().map_err(Failure::Output)?;
    Ok(is_cut)
}

/// The failure for an answer of the server that the parser rejects.
fn bad(error: QueryResultsParseError) -> Failure {
    Fault::corrupt(format!("the server's answer is malformed: {error}")).into()
}

struct Table<'a> {
    titles: Vec<String>,
    prefixes: &'a Prefixes,
    page: Vec<Vec<String>>,
    /// For each column: were all values of the page numbers?
    numbers: Vec<bool>,
    width: Option<usize>,
    grid: Option<Grid>,
}

impl Table<'_> {
    fn add(&mut self, solution: &QuerySolution, out: &mut dyn Write) -> io::Result<()> {
        let row = solution.values().iter();
        let row = row.map(|term| term.as_ref().map_or_else(String::new, |term| self.prefixes.shown(term.as_ref())));
        let row = row.collect::<Vec<_>>();
        if let Some(grid) = &self.grid {
            return grid.row(&row, out);
        }
        self.numbers.resize(self.titles.len(), true);
        for (is_number, term) in self.numbers.iter_mut().zip(solution.values()) {
            *is_number &= term.as_ref().is_none_or(|term| is_numeric(term.as_ref()));
        }
        self.page.push(row);
        if self.page.len() < PAGE_ROWS { Ok(()) } else { self.flush(out) }
    }

    /// Writes the remaining rows, and returns whether something was truncated.
    fn finish(mut self, out: &mut dyn Write) -> io::Result<bool> {
        if self.grid.is_none() {
            self.flush(out)?;
        }
        Ok(self.grid.is_some_and(|grid| grid.is_cut()))
    }

    /// Sizes the columns and writes the page.
    fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.numbers.resize(self.titles.len(), false);
        let align = |is_number: &bool| if *is_number { Align::Right } else { Align::Left };
        let mut grid = Grid::new(self.titles.iter().map(String::as_str).zip(self.numbers.iter().map(align)));
        self.page.iter().for_each(|row| grid.fit(row));
        if let Some(width) = self.width {
            grid.narrow(width);
        }
        grid.head(out)?;
        self.page.drain(..).try_for_each(|row| grid.row(&row, out))?;
        self.grid = Some(grid);
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefixes::Known;

    fn drawn(json: &str) -> Result<String, Failure> {
        let prefixes = Prefixes::new(vec![("ex".to_owned(), "http://e/".to_owned())], &Known::default());
        let mut out = Vec::new();
        write(json.as_bytes(), &prefixes, None, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn number(value: &str) -> String {
        let datatype = "http://www.w3.org/2001/XMLSchema#integer";
        format!(r#"{{"type":"literal","value":"{value}","datatype":"{datatype}"}}"#)
    }

    #[test]
    fn solutions_become_a_table() {
        let rows = [
            format!(r#"{{"who":{{"type":"uri","value":"http://e/ann"}},"age":{}}}"#, number("7")),
            r#"{"who":{"type":"literal","value":"Bob the Second"}}"#.to_owned(),
            format!(r#"{{"age":{}}}"#, number("1234")),
        ];
        let json = format!(r#"{{"head":{{"vars":["who","age"]}},"results":{{"bindings":[{}]}}}}"#, rows.join(","));
        let expected =
            "who              age\n──────────────  ────\nex:ann             7\nBob the Second\n                1234\n";
        assert_eq!(drawn(&json).unwrap(), expected);
    }

    #[test]
    fn the_small_answers() {
        assert_eq!(drawn(r#"{"head":{},"boolean":true}"#).unwrap(), "true\n");
        assert_eq!(drawn(r#"{"head":{"vars":["a"]},"results":{"bindings":[]}}"#).unwrap(), "a\n─\n");
        assert!(drawn("{").is_err());
    }

    #[test]
    fn later_pages_keep_the_columns() {
        let rows: Vec<String> =
            (0..PAGE_ROWS + 2).map(|row| format!(r#"{{"n":{}}}"#, number(&row.to_string()))).collect();
        let json = format!(r#"{{"head":{{"vars":["n"]}},"results":{{"bindings":[{}]}}}}"#, rows.join(","));
        let drawn = drawn(&json).unwrap();
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(
            (lines.len(), lines[2], lines[1001], lines[1002], lines[1003]),
            (1004, "  0", "999", "1000", "1001")
        );
    }
}
