//! The formats and compressions that Entail reads and writes, and how they are recognised.
//!
//! A format given by the user (`--format`) takes precedence over the file's name; without a compression in the file's
//! name, the first bytes of the content determine it.

use entail_model::{Fault, Reason};
use oxrdfio::{JsonLdProfileSet, RdfFormat};
use std::fmt;
use std::str::FromStr;

/// A concrete syntax of RDF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    NTriples,
    NQuads,
    Turtle,
    TriG,
    RdfXml,
    JsonLd,
}

/// One row per format: its name, the other names it is known by, the extensions of its files, its media type.
struct Row {
    format: Format,
    name: &'static str,
    aliases: &'static [&'static str],
    extensions: &'static [&'static str],
    media_type: &'static str,
}

const ROWS: [Row; 6] = [
    Row {
        format: Format::NTriples,
        name: "ntriples",
        aliases: &["nt", "n-triples"],
        extensions: &["nt", "ntriples"],
        media_type: "application/n-triples",
    },
    Row {
        format: Format::NQuads,
        name: "nquads",
        aliases: &["nq", "n-quads"],
        extensions: &["nq", "nquads"],
        media_type: "application/n-quads",
    },
    Row {
        format: Format::Turtle,
        name: "turtle",
        aliases: &["ttl"],
        extensions: &["ttl", "turtle"],
        media_type: "text/turtle",
    },
    Row { format: Format::TriG, name: "trig", aliases: &[], extensions: &["trig"], media_type: "application/trig" },
    Row {
        format: Format::RdfXml,
        name: "rdfxml",
        aliases: &["rdf", "rdf/xml", "rdf-xml", "xml"],
        extensions: &["rdf", "owl", "xml", "rdfs"],
        media_type: "application/rdf+xml",
    },
    Row {
        format: Format::JsonLd,
        name: "jsonld",
        aliases: &["json-ld", "json"],
        extensions: &["jsonld", "json"],
        media_type: "application/ld+json",
    },
];

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] = [Self::NTriples, Self::NQuads, Self::Turtle, Self::TriG, Self::RdfXml, Self::JsonLd];

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// The name that `--format` takes.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The usual extension of its files, without the dot.
    pub fn extension(self) -> &'static str {
        self.row().extensions[0]
    }

    /// The registered media type.
    pub fn media_type(self) -> &'static str {
        self.row().media_type
    }

    /// Does it support named graphs?
    pub fn has_graphs(self) -> bool {
        matches!(self, Self::NQuads | Self::TriG | Self::JsonLd)
    }

    /// Is every fact a separate line, so that parts of a file can be parsed independently?
    pub fn is_line_based(self) -> bool {
        matches!(self, Self::NTriples | Self::NQuads)
    }

    /// The format of files with this extension.
    pub fn from_extension(extension: &str) -> Option<Self> {
        let known = |row: &&Row| row.extensions.iter().any(|known| known.eq_ignore_ascii_case(extension));
        ROWS.iter().find(known).map(|row| row.format)
    }

    pub(crate) fn to_oxrdfio(self) -> RdfFormat {
        match self {
            Self::NTriples => RdfFormat::NTriples,
            Self::NQuads => RdfFormat::NQuads,
            Self::Turtle => RdfFormat::Turtle,
            Self::TriG => RdfFormat::TriG,
            Self::RdfXml => RdfFormat::RdfXml,
            Self::JsonLd => RdfFormat::JsonLd { profile: JsonLdProfileSet::empty() },
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = Fault;

    /// The format of that name, alias, extension or media type.
    fn from_str(name: &str) -> Result<Self, Fault> {
        let wanted = name.trim().to_ascii_lowercase();
        let known = |row: &&Row| {
            row.name == wanted
                || row.media_type == wanted
                || row.aliases.contains(&wanted.as_str())
                || row.extensions.contains(&wanted.as_str())
        };
        ROWS.iter().find(known).map(|row| row.format).ok_or_else(|| {
            let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
            Fault::new(
                Reason::InvalidRequest,
                format!("unknown format {name:?}; known formats are {}", names.join(", ")),
            )
        })
    }
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// Every compression, and none.
    pub const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    /// The name that `--compression` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The extension that it adds to a file's name, without the dot.
    pub fn extension(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gz"),
            Self::Zstd => Some("zst"),
        }
    }

    /// The compression of files with this extension.
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "gz" | "gzip" => Some(Self::Gzip),
            "zst" | "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The compression of content that begins with these bytes: the magic numbers of RFC 1952 and RFC 8878.
    pub fn from_content(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = Fault;

    fn from_str(name: &str) -> Result<Self, Fault> {
        let wanted = name.trim().to_ascii_lowercase();
        Self::ALL.into_iter().find(|known| known.name() == wanted).or_else(|| Self::from_extension(&wanted)).ok_or_else(
            || {
                let message = format!("unknown compression {name:?}; known ones are none, gzip, zstd");
                Fault::new(Reason::InvalidRequest, message)
            },
        )
    }
}

/// The format and compression in a file's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detected {
    pub format: Option<Format>,
    pub compression: Option<Compression>,
}

/// Reads format and compression from a file's name: `facts.nt.gz` is N-Triples in gzip.
pub fn detect(file_name: &str) -> Detected {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    let Some((stem, last)) = name.rsplit_once('.') else { return Detected::default() };
    let Some(compression) = Compression::from_extension(last) else {
        return Detected { format: Format::from_extension(last), compression: None };
    };
    let format = stem.rsplit_once('.').and_then(|(_, inner)| Format::from_extension(inner));
    Detected { format, compression: Some(compression) }
}

/// The format for reading a file: the requested one, or else the one of its name.
///
/// # Errors
/// `InvalidRequest`, naming the known formats or extensions.
pub fn format_of(file_name: &str, asked: Option<&str>) -> Result<Format, Fault> {
    if let Some(name) = asked {
        return name.parse();
    }
    detect(file_name).format.ok_or_else(|| {
        let extensions: Vec<String> =
            ROWS.iter().flat_map(|row| row.extensions).map(|extension| format!(".{extension}")).collect();
        let message = format!(
            "the name of {file_name} does not tell its format; say it with --format, or use one of {}, with .gz or .zst \
             after it if it is compressed",
            extensions.join(" ")
        );
        Fault::new(Reason::InvalidRequest, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_order_of_the_formats() {
        for format in Format::ALL {
            assert_eq!(format.row().format, format);
            assert_eq!(format.name().parse::<Format>().expect("its own name"), format);
            assert_eq!(format.media_type().parse::<Format>().expect("its media type"), format);
            assert_eq!(Format::from_extension(format.extension()), Some(format));
        }
    }

    #[test]
    fn names_of_files_tell_format_and_compression() {
        let cases: [(&str, Option<Format>, Option<Compression>); 10] = [
            ("data.nt.gz", Some(Format::NTriples), Some(Compression::Gzip)),
            ("/a/b.c/data.TTL", Some(Format::Turtle), None),
            ("x.nq.zst", Some(Format::NQuads), Some(Compression::Zstd)),
            ("x.owl.zstd", Some(Format::RdfXml), Some(Compression::Zstd)),
            ("x.jsonld", Some(Format::JsonLd), None),
            ("x.gz", None, Some(Compression::Gzip)),
            ("x.unknown.gz", None, Some(Compression::Gzip)),
            ("/data.nt/x", None, None),
            ("-", None, None),
            ("", None, None),
        ];
        for (name, format, compression) in cases {
            assert_eq!(detect(name), Detected { format, compression }, "{name}");
        }
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        let fault = "n3".parse::<Format>().expect_err("unknown");
        assert_eq!(fault.reason, Reason::InvalidRequest);
        assert!(fault.message.contains("ntriples, nquads, turtle, trig, rdfxml, jsonld"), "{fault}");
        let fault = format_of("facts.csv", None).expect_err("unknown");
        assert!(fault.message.contains(".ttl") && fault.message.contains("--format"), "{fault}");
        assert_eq!(format_of("facts.csv", Some("TTL")).expect("asked for"), Format::Turtle);
        assert!("lz4".parse::<Compression>().expect_err("unknown").message.contains("gzip"));
    }
}
