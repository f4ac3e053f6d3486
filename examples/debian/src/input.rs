//! Finds and opens control files: the machine's own indexes and status file, or files that the user names.
//!
//! Compression is detected from the first bytes. gzip and Zstandard are decoded here; for other formats of apt (lz4 in
//! small images, xz, bzip2) its own helper, `apt-helper cat-file`, is used if it is installed.

use entail_model::{Fault, Reason};
use flate2::bufread::MultiGzDecoder;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// The file with dpkg's installed packages.
pub const STATUS: &str = "/var/lib/dpkg/status";
/// The directory with apt's package indexes.
pub const LISTS: &str = "/var/lib/apt/lists";
const HELPER: &str = "/usr/lib/apt/apt-helper";
const BUFFER_BYTES: usize = 1 << 18;

/// The compression of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
    Zstandard,
    /// A compression that only apt's helper decodes.
    Other,
}

impl Coding {
    fn of(head: &[u8]) -> Self {
        const LZ4: &[u8] = &[0x04, 0x22, 0x4d, 0x18];
        const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
        if head.starts_with(&[0x1f, 0x8b]) {
            Self::Gzip
        } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Self::Zstandard
        } else if head.starts_with(LZ4) || head.starts_with(XZ) || head.starts_with(b"BZh") {
            Self::Other
        } else {
            Self::Plain
        }
    }
}

/// The machine's package indexes for its own architecture, in the order of their names; none when apt has none.
pub fn indexes() -> Result<Vec<PathBuf>, Fault> {
    indexes_in(Path::new(LISTS), &native_architecture())
}

fn indexes_in(directory: &Path, architecture: &str) -> Result<Vec<PathBuf>, Fault> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| unreadable(directory, &error))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(directory, &error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_index = name.ends_with("_Packages") || name.contains("_Packages.");
        if is_index && name.contains(&format!("_binary-{architecture}_")) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Debian's name for this machine: dpkg knows it, and the compiler knows it nearly always.
fn native_architecture() -> String {
    let asked = Command::new("dpkg").arg("--print-architecture").stderr(Stdio::null()).output();
    let told =
        asked.ok().filter(|output| output.status.success()).and_then(|output| String::from_utf8(output.stdout).ok());
    told.map(|name| name.trim().to_owned()).unwrap_or_else(|| {
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "i386",
            "powerpc64" => "ppc64el",
            other => other,
        }
        .to_owned()
    })
}

/// Opens a control file, compressed or not; `-` is the standard input.
pub fn open(path: &Path) -> Result<Box<dyn BufRead>, Fault> {
    if path == Path::new("-") {
        return decode(path, BufReader::with_capacity(BUFFER_BYTES, io::stdin()));
    }
    let is_directory = fs::metadata(path).map_err(|error| unreadable(path, &error))?.is_dir();
    if is_directory {
        return Err(Fault::new(Reason::InvalidRequest, "a directory, not a control file").in_file(shown(path)));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    decode(path, BufReader::with_capacity(BUFFER_BYTES, file))
}

fn decode(path: &Path, mut input: BufReader<impl Read + 'static>) -> Result<Box<dyn BufRead>, Fault> {
    let coding = Coding::of(input.fill_buf().map_err(|error| unreadable(path, &error))?);
    let buffered = |reader: Box<dyn Read>| Box::new(BufReader::with_capacity(BUFFER_BYTES, reader));
    Ok(match coding {
        Coding::Plain => Box::new(input),
        Coding::Gzip => buffered(Box::new(MultiGzDecoder::new(input))),
        Coding::Zstandard => {
            let decoder = zstd::Decoder::with_buffer(input).map_err(|error| unreadable(path, &error))?;
            buffered(Box::new(decoder))
        }
        Coding::Other => buffered(Box::new(Helper::start(path)?)),
    })
}

/// A running apt helper. Its exit status is checked at the end of its output, so that a corrupt file is not taken for a
/// short one.
struct Helper {
    child: Child,
    output: ChildStdout,
}

impl Helper {
    fn start(path: &Path) -> Result<Self, Fault> {
        if path == Path::new("-") || !Path::new(HELPER).exists() {
            let why = format!("compressed in a way that only {HELPER} decodes, and it is not there for this input");
            return Err(Fault::new(Reason::Unsupported, why).in_file(shown(path)));
        }
        let started =
            Command::new(HELPER).arg("cat-file").arg(path).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = started.map_err(|error| unreadable(Path::new(HELPER), &error))?;
        let output = child.stdout.take().expect("its output is piped");
        Ok(Self { child, output })
    }
}

impl Read for Helper {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.output.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            let status = self.child.wait()?;
            if !status.success() {
                return Err(io::Error::other(format!("{HELPER} failed: {status}")));
            }
        }
        Ok(read)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Both fail only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A path as messages show it.
pub fn shown(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// The fault of a file that cannot be opened, read or written.
pub fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => Reason::NotFound,
        io::ErrorKind::StorageFull => Reason::DiskFull,
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Reason::Corrupt,
        _ => Reason::InvalidRequest,
    };
    Fault::new(reason, error.to_string()).in_file(shown(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(name: &str, bytes: &[u8]) -> Result<String, Fault> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        let mut text = String::new();
        open(&path)?.read_to_string(&mut text).map_err(|error| unreadable(&path, &error))?;
        Ok(text)
    }

    #[test]
    fn compression_is_told_by_the_first_bytes() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"text").unwrap();
        let gzip = gzip.finish().unwrap();
        let zstandard = zstd::encode_all(&b"text"[..], 1).unwrap();
        for (name, bytes) in [("a", &b"text"[..]), ("b.zst", &gzip), ("c.gz", &zstandard)] {
            assert_eq!(read(name, bytes).unwrap(), "text");
        }
        assert_eq!(read("d.gz", &gzip[..gzip.len() - 6]).unwrap_err().reason, Reason::Corrupt);
        assert_eq!(read("e", b"").unwrap(), "");
        assert_eq!(Coding::of(&[0x04, 0x22, 0x4d, 0x18, 0]), Coding::Other);
    }

    #[test]
    fn what_is_not_a_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |path: &Path| open(path).err().unwrap().reason;
        assert_eq!(refused(&directory.path().join("none")), Reason::NotFound);
        assert_eq!(refused(directory.path()), Reason::InvalidRequest);
    }

    #[test]
    fn indexes_are_those_of_one_architecture() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "x_main_binary-amd64_Packages",
            "a_main_binary-amd64_Packages.lz4",
            "x_main_binary-i386_Packages",
            "x_InRelease",
        ] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let found = indexes_in(directory.path(), "amd64").unwrap();
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a_main_binary-amd64_Packages.lz4", "x_main_binary-amd64_Packages"]);
        assert_eq!(indexes_in(&directory.path().join("none"), "amd64").unwrap(), Vec::<PathBuf>::new());
    }
}
