//! File names on the command line: paths and `file://` URLs. For other URLs the error shows how to pipe the data in.

use crate::failure::Failure;
use std::path::{Path, PathBuf};

/// The path of a local file. `pipe` is the command that reads the standard input, for the error about a remote URL.
///
/// # Errors
/// A usage failure for a remote URL.
pub fn local(name: &Path, pipe: &str) -> Result<PathBuf, Failure> {
    let Some(text) = name.to_str() else { return Ok(name.to_owned()) };
    let Some((scheme, rest)) = text.split_once("://") else { return Ok(name.to_owned()) };
    match scheme.to_ascii_lowercase().as_str() {
        "file" => path_of(rest).map(PathBuf::from).ok_or_else(|| {
            Failure::Usage(format!("{text} is not a file of this machine: such a URL is file:// and an absolute path"))
        }),
        "http" | "https" | "ftp" | "ftps" => Err(Failure::Usage(format!(
            "{text}: only files and the standard input are read: curl -fsSL {text} | {pipe}"
        ))),
        _ => Ok(name.to_owned()),
    }
}

/// The path of a `file` URL (RFC 8089) without its scheme.
fn path_of(rest: &str) -> Option<String> {
    let (host, path) = rest.split_at(rest.find('/')?);
    if !matches!(host, "" | "localhost") {
        return None;
    }
    let mut parts = path.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str) -> Result<String, String> {
        let path = local(Path::new(name), "entail load - --format turtle");
        path.map(|path| path.display().to_string()).map_err(|failure| failure.message().unwrap_or_default())
    }

    #[test]
    fn files_have_paths_and_urls() {
        for (name, expected) in [
            ("data.ttl", "data.ttl"),
            ("-", "-"),
            ("file:///a/b%20c.ttl", "/a/b c.ttl"),
            ("FILE://localhost/a", "/a"),
            ("odd://name", "odd://name"),
        ] {
            assert_eq!(found(name).as_deref(), Ok(expected), "{name}");
        }
        for bad in ["file://host/a", "file://a.ttl", "file:///a%2", "file:///%ff"] {
            assert!(found(bad).unwrap_err().contains("is not a file of this machine"), "{bad}");
        }
        let elsewhere = found("https://e/x.ttl").unwrap_err();
        assert!(elsewhere.contains("curl -fsSL https://e/x.ttl | entail load - --format turtle"), "{elsewhere}");
    }
}
