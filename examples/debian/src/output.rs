//! The output of the converter: the standard output, or a file that appears only when it is complete.
//!
//! The ending of the file's name chooses compression: `.gz`, `.zst`, or none.

use super::input::unreadable;
use entail_model::Fault;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const BUFFER_BYTES: usize = 1 << 18;
/// Near the best that Zstandard does without long memory.
const ZSTANDARD_LEVEL: i32 = 19;

/// Runs `write` with the output named by `path`; a failed write leaves no file behind. `None` if the reader of the
/// standard output has closed the pipe, as `head` does.
pub fn to<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> Result<Option<T>, Fault> {
    if path == Path::new("-") {
        return to_standard_output(write);
    }
    let partial = partial_path(path);
    let written = to_file(&partial, path, write).and_then(|value| fs::rename(&partial, path).map(|()| Some(value)));
    written.map_err(|error| {
        // The failed write is reported; that its partial file cannot be removed adds nothing.
        let _ = fs::remove_file(&partial);
        unreadable(path, &error)
    })
}

fn to_standard_output<T>(write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> Result<Option<T>, Fault> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
    match write(&mut out).and_then(|value| out.flush().map(|()| value)) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
        Err(error) => Err(unreadable(Path::new("standard output"), &error)),
    }
}

fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

fn to_file<T>(partial: &Path, path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
    let file = BufWriter::with_capacity(BUFFER_BYTES, File::create(partial)?);
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => {
            let mut out = flate2::write::GzEncoder::new(file, flate2::Compression::best());
            let value = write(&mut out)?;
            out.finish()?.flush()?;
            Ok(value)
        }
        Some("zst") => {
            let mut out = zstd::Encoder::new(file, ZSTANDARD_LEVEL)?;
            let value = write(&mut out)?;
            out.finish()?.flush()?;
            Ok(value)
        }
        _ => {
            let mut out = file;
            let value = write(&mut out)?;
            out.flush()?;
            Ok(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::input;
    use super::*;
    use std::io::Read;

    #[test]
    fn files_are_compressed_by_their_ending() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a.nt", "a.nt.gz", "a.nt.zst"] {
            let path = directory.path().join(name);
            let length = to(&path, |out| out.write_all(b"text").map(|()| 4)).unwrap();
            let mut text = String::new();
            input::open(&path).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!((text.as_str(), length), ("text", Some(4)));
        }
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.nt");
        let failed = to(&path, |out| {
            out.write_all(b"half")?;
            Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert_eq!(failed.unwrap_err().reason, entail_model::Reason::DiskFull);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
