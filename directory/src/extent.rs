//! What is known of a file that only grows: its first bytes, by their number and their checksum.
//!
//! An extent is a lower bound. A file keeps it when it has at least that many bytes and the first of them have that
//! checksum, whatever follows. So a cut, a flipped bit, another file under the same name and an older copy of the file are
//! told from a file that has grown since.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes that are read at a time.
const PIECE: u64 = 256 << 10;

/// The first bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    pub length: u64,
    /// CRC-32C of these bytes.
    pub sum: u32,
}

/// How a file compares with an extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The bytes are there.
    Yes,
    /// The file ends before them.
    Cut { length: u64 },
    /// Other bytes are there.
    Changed,
    /// There is no such file.
    Missing,
}

impl Extent {
    /// The extent of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::default().and(bytes)
    }

    /// The extent with these bytes after it.
    #[must_use]
    pub fn and(self, bytes: &[u8]) -> Self {
        Self { length: self.length + bytes.len() as u64, sum: crc32c::crc32c_append(self.sum, bytes) }
    }

    /// Extends to the first `length` bytes of a file, of which the extent has the first ones.
    ///
    /// # Errors
    /// What reading gives; a file that is shorter is `UnexpectedEof`. The extent is as before.
    pub fn grow(&mut self, file: &File, length: u64) -> io::Result<()> {
        let mut grown = *self;
        let mut piece = vec![0; (length.saturating_sub(grown.length)).min(PIECE) as usize];
        while grown.length < length {
            let size = (length - grown.length).min(PIECE) as usize;
            file.read_exact_at(&mut piece[..size], grown.length)?;
            grown = grown.and(&piece[..size]);
        }
        *self = grown;
        Ok(())
    }

    /// Does the file at `path` have these bytes first? Changes nothing.
    pub fn kept_by(&self, path: &Path) -> io::Result<Kept> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::Missing),
            opened => opened?,
        };
        let length = file.metadata()?.len();
        if length < self.length {
            return Ok(Kept::Cut { length });
        }
        let mut found = Self::default();
        found.grow(&file, self.length)?;
        Ok(if found == *self { Kept::Yes } else { Kept::Changed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_grows_keeps_its_extent_and_no_other_does() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let path = place.path().join("file");
        let bytes: Vec<u8> = (0..3 * PIECE + 17).map(|n| ((n * n) >> 5) as u8).collect();
        fs::write(&path, &bytes).expect("room");
        let mut extent = Extent::of(&bytes[..100]);
        extent.grow(&File::open(&path).expect("it is there"), bytes.len() as u64 - 5).expect("readable");
        assert_eq!(extent, Extent::of(&bytes[..bytes.len() - 5]));
        let kept = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("room");
            extent.kept_by(&path).expect("readable")
        };
        assert_eq!(kept(&bytes), Kept::Yes);
        assert_eq!(kept(&[&bytes[..], b"more"].concat()), Kept::Yes);
        assert_eq!(kept(&bytes[..bytes.len() - 6]), Kept::Cut { length: bytes.len() as u64 - 6 });
        for at in [0, 1, bytes.len() / 2, bytes.len() - 6] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert_eq!(kept(&flipped), Kept::Changed, "byte {at}");
        }
        fs::remove_file(&path).expect("it is there");
        assert_eq!(extent.kept_by(&path).expect("no error"), Kept::Missing);
        assert_eq!(Extent::default().kept_by(&path).expect("no error"), Kept::Missing);
    }

    #[test]
    fn a_file_that_is_too_short_leaves_the_extent_as_it_was() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let path = place.path().join("file");
        fs::write(&path, b"short").expect("room");
        let mut extent = Extent::of(b"sh");
        assert!(extent.grow(&File::open(&path).expect("it is there"), 6).is_err());
        assert_eq!(extent, Extent::of(b"sh"));
    }
}
