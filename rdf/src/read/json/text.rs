//! The text of a JSON file, read piece by piece: values as text, with their positions.

use crate::read::outlet::Job;
use crate::read::source::Bytes;
use entail_model::{Fault, Reason};
use memchr::memchr2;

/// The deepest nesting of values. The parser is recursive, and buffers values once per level.
const DEPTH_MAX: usize = 256;
/// Objects with more values than this are too large for memory: the parser takes some 100 bytes for each value.
pub(crate) const HELD_VALUES: usize = 1 << 20;

/// A reader that copies text, value by value.
pub(crate) struct JsonText<'t, B> {
    job: &'t Job<'t>,
    bytes: B,
    held: Vec<u8>,
    at: usize,
    line: u64,
    column: u64,
    values: usize,
}

impl<'t, B: Bytes> JsonText<'t, B> {
    pub(crate) fn new(job: &'t Job<'t>, bytes: B) -> Self {
        Self { job, bytes, held: Vec::new(), at: 0, line: 1, column: 1, values: 0 }
    }

    /// The position of the next byte, counted from one.
    pub(crate) fn place(&self) -> (u64, u64) {
        (self.line, self.column)
    }

    /// The values since [`start_values`](Self::start_values).
    pub(crate) fn values(&self) -> usize {
        self.values
    }

    pub(crate) fn start_values(&mut self) {
        self.values = 0;
    }

    pub(crate) fn syntax(&self, message: &str) -> Fault {
        self.fault(Reason::Syntax, message)
    }

    pub(crate) fn ends_early(&self) -> Fault {
        self.syntax("the document ends too early")
    }

    pub(crate) fn fault(&self, reason: Reason, message: &str) -> Fault {
        self.fault_at(self.place(), reason, message)
    }

    pub(crate) fn fault_at(&self, place: (u64, u64), reason: Reason, message: &str) -> Fault {
        Fault::new(reason, message).at(place.0, place.1).in_file(&self.job.request.file)
    }

    /// The next byte, if there is one.
    pub(crate) fn peek(&mut self) -> Result<Option<u8>, Fault> {
        if self.at == self.held.len() {
            self.held.clear();
            self.at = 0;
            self.bytes.read_into(&mut self.held)?;
        }
        Ok(self.held.get(self.at).copied())
    }

    /// Copies the next byte and advances.
    pub(crate) fn bump(&mut self, copy: Option<&mut Vec<u8>>) -> Result<(), Fault> {
        self.peek()?;
        self.go_over((self.held.len() - self.at).min(1), copy);
        Ok(())
    }

    /// Copies white space and advances.
    pub(crate) fn skip_space(&mut self, mut copy: Option<&mut Vec<u8>>) -> Result<(), Fault> {
        while matches!(self.peek()?, Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.bump(copy.as_deref_mut())?;
        }
        Ok(())
    }

    /// Copies `count` buffered bytes and advances.
    fn go_over(&mut self, count: usize, copy: Option<&mut Vec<u8>>) {
        let text = &self.held[self.at..self.at + count];
        for byte in text {
            if *byte == b'\n' {
                self.line += 1;
                self.column = 1;
            } else if byte & 0xc0 != 0x80 {
                self.column += 1;
            }
        }
        if let Some(copy) = copy {
            copy.extend_from_slice(text);
        }
        self.at += count;
    }

    /// Copies one value. The text between its brackets need not be well-formed: the parser checks it.
    ///
    /// # Errors
    /// `Syntax` if it does not end, `LimitExceeded` if it is too long or too deep.
    pub(crate) fn value(&mut self, copy: &mut Vec<u8>) -> Result<(), Fault> {
        let limits = self.job.request.limits;
        let (place, start, values) = (self.place(), copy.len(), self.values);
        let mut depth = 0usize;
        loop {
            let Some(byte) = self.peek()? else { return Err(self.ends_early()) };
            match byte {
                b'"' => self.string(copy)?,
                b'[' | b'{' => {
                    depth += 1;
                    self.values += 1;
                    if depth > DEPTH_MAX {
                        let message = format!("values nested more than {DEPTH_MAX} deep");
                        return Err(self.fault(Reason::LimitExceeded, &message));
                    }
                    self.bump(Some(copy))?;
                    continue;
                }
                b']' | b'}' if depth == 0 => return Err(self.syntax("expected a value")),
                b']' | b'}' => {
                    depth -= 1;
                    self.bump(Some(copy))?;
                }
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' if depth > 0 => self.bump(Some(copy))?,
                _ => self.scalar(copy)?,
            }
            if depth == 0 {
                return Ok(());
            }
            if copy.len() - start > limits.object_bytes.max(limits.term_bytes) || self.values - values > HELD_VALUES {
                return Err(self.fault_at(place, Reason::LimitExceeded, "a value that is too large for memory"));
            }
        }
    }

    /// A number, `true`, `false`, `null`, or junk up to where one of these would end.
    fn scalar(&mut self, copy: &mut Vec<u8>) -> Result<(), Fault> {
        self.values += 1;
        let (place, start) = (self.place(), copy.len());
        while let Some(byte) = self.peek()? {
            if matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b'"' | b'[' | b']' | b'{' | b'}') {
                break;
            }
            self.bump(Some(copy))?;
            if copy.len() - start > self.job.request.limits.term_bytes {
                return Err(self.fault_at(place, Reason::LimitExceeded, "a number that is too long"));
            }
        }
        if copy.len() == start { Err(self.syntax("expected a value")) } else { Ok(()) }
    }

    fn string(&mut self, copy: &mut Vec<u8>) -> Result<(), Fault> {
        self.values += 1;
        let (place, start) = (self.place(), copy.len());
        let limit = self.job.request.limits.term_bytes;
        self.bump(Some(copy))?;
        loop {
            if self.peek()?.is_none() {
                return Err(self.fault_at(place, Reason::Syntax, "a string without its closing quote"));
            }
            let rest = &self.held[self.at..];
            let found = memchr2(b'"', b'\\', rest);
            let ends = found.is_some_and(|at| rest[at] == b'"');
            self.go_over(found.map_or(rest.len(), |at| at + 1), Some(copy));
            if found.is_some() && !ends {
                self.bump(Some(copy))?;
            }
            if copy.len() - start > limit {
                let message = format!("a string of more than {limit} bytes (is its closing quote missing?)");
                return Err(self.fault_at(place, Reason::LimitExceeded, &message));
            }
            if ends {
                return Ok(());
            }
        }
    }
}
