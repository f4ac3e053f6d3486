//! Bytes of an answer, with a line break at the end.

use std::io::{self, Write};

/// Passes bytes on and records whether they end with a line break.
pub struct Lines<W> {
    out: W,
    last: u8,
}

impl<W: Write> Lines<W> {
    pub fn new(out: W) -> Self {
        Self { out, last: b'\n' }
    }

    /// Writes a piece.
    pub fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.last = piece.last().copied().unwrap_or(self.last);
        self.out.write_all(piece)
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the last line, if the format does not.
    pub fn finish(mut self) -> io::Result<()> {
        if self.last != b'\n' {
            self.out.write_all(b"\n")?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_ends_once() {
        for (pieces, expected) in
            [(vec!["{}"], "{}\n"), (vec!["a\n", ""], "a\n"), (vec![], ""), (vec!["a\n", "b"], "a\nb\n")]
        {
            let mut out = Vec::new();
            let mut lines = Lines::new(&mut out);
            pieces.iter().try_for_each(|piece: &&str| lines.write(piece.as_bytes())).unwrap();
            lines.finish().unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
