//! One binary package: the fields of its stanza that the converter reads, validated, and the conversion back to a
//! stanza.
//!
//! Invariant: a package that was written by [`Package::write_stanza`] is read back as the same package.

use super::relation::{Need, Target, check_name, parse_needs, parse_targets};
use super::stanza::{Field, Stanza};
use super::version::Version;
use entail_model::{Fault, Reason};
use std::io::{self, Write};

/// The fields that are kept of a stanza, in the order in which they are written.
pub const FIELDS: &[&str] = &[
    "Package",
    "Source",
    "Version",
    "Architecture",
    "Essential",
    "Section",
    "Priority",
    "Installed-Size",
    "Maintainer",
    "Homepage",
    "Pre-Depends",
    "Depends",
    "Recommends",
    "Suggests",
    "Conflicts",
    "Breaks",
    "Provides",
    "Description",
    "Status",
];

/// A binary package of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    pub name: Box<str>,
    /// The source package it is built from.
    pub source: Box<str>,
    pub version: Version,
    pub architecture: Box<str>,
    pub essential: bool,
    pub section: Option<Box<str>>,
    pub priority: Option<Box<str>>,
    /// In KiB.
    pub installed_size: Option<u64>,
    pub maintainer: Option<Maintainer>,
    pub homepage: Option<Box<str>>,
    /// The first line of the description.
    pub summary: Option<Box<str>>,
    pub pre_depends: Vec<Need>,
    pub depends: Vec<Need>,
    pub recommends: Vec<Need>,
    pub suggests: Vec<Need>,
    pub conflicts: Vec<Target>,
    pub breaks: Vec<Target>,
    pub provides: Vec<Target>,
}

/// The maintainer of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintainer {
    pub name: Box<str>,
    pub email: Option<Box<str>>,
}

impl Maintainer {
    /// Reads `Name <address>`; of several maintainers the first one counts, as the policy allows only one.
    fn parse(text: &str) -> Self {
        let Some((name, rest)) = text.split_once('<') else {
            return Self { name: text.trim().into(), email: None };
        };
        let email = rest.split('>').next().unwrap_or_default().trim();
        let name = name.trim().trim_matches('"');
        let name = if name.is_empty() { email } else { name };
        Self { name: name.into(), email: (!email.is_empty()).then(|| email.into()) }
    }
}

/// Does the stanza of a status file describe an installed package? Stanzas of an index have no status and count as
/// installed.
pub fn is_installed(stanza: &Stanza) -> bool {
    stanza.value("Status").is_none_or(|status| status.split_whitespace().nth(2) == Some("installed"))
}

impl Package {
    /// Validates a stanza; faults carry the line of the invalid field.
    pub fn from_stanza(stanza: &Stanza) -> Result<Self, Fault> {
        let text = |name| stanza.value(name).map(in_one_line);
        let name = required(stanza, "Package", |value| check_name(value).map(|()| Box::from(value)))?;
        let source = optional(stanza, "Source", source_name)?.unwrap_or_else(|| Box::clone(&name));
        Ok(Self {
            source,
            version: required(stanza, "Version", Version::parse)?,
            architecture: text("Architecture").unwrap_or_else(|| "all".into()),
            essential: stanza.value("Essential") == Some("yes"),
            section: text("Section"),
            priority: text("Priority"),
            installed_size: optional(stanza, "Installed-Size", size)?,
            maintainer: stanza.value("Maintainer").map(|value| Maintainer::parse(&in_one_line(value))),
            homepage: text("Homepage"),
            summary: stanza.value("Description").and_then(|text| text.lines().next()).map(Box::from),
            pre_depends: optional(stanza, "Pre-Depends", parse_needs)?.unwrap_or_default(),
            depends: optional(stanza, "Depends", parse_needs)?.unwrap_or_default(),
            recommends: optional(stanza, "Recommends", parse_needs)?.unwrap_or_default(),
            suggests: optional(stanza, "Suggests", parse_needs)?.unwrap_or_default(),
            conflicts: optional(stanza, "Conflicts", parse_targets)?.unwrap_or_default(),
            breaks: optional(stanza, "Breaks", parse_targets)?.unwrap_or_default(),
            provides: optional(stanza, "Provides", parse_targets)?.unwrap_or_default(),
            name,
        })
    }

    /// The needs that must be met for the package to work: `Pre-Depends` and `Depends`.
    pub fn mandatory_needs(&self) -> impl Iterator<Item = &Need> {
        self.pre_depends.iter().chain(&self.depends)
    }

    /// Writes the package as a stanza with an empty line after it.
    pub fn write_stanza(&self, out: &mut dyn Write) -> io::Result<()> {
        for &name in FIELDS {
            let value = self.field(name);
            if !value.is_empty() {
                writeln!(out, "{name}: {value}")?;
            }
        }
        writeln!(out)
    }

    fn field(&self, name: &str) -> String {
        let optional = |value: &Option<Box<str>>| value.as_deref().unwrap_or_default().to_owned();
        match name {
            "Package" => self.name.to_string(),
            "Source" if self.source != self.name => self.source.to_string(),
            "Version" => self.version.to_string(),
            "Architecture" => self.architecture.to_string(),
            "Essential" if self.essential => "yes".to_owned(),
            "Section" => optional(&self.section),
            "Priority" => optional(&self.priority),
            "Installed-Size" => self.installed_size.map(|size| size.to_string()).unwrap_or_default(),
            "Maintainer" => self.maintainer.as_ref().map(write_maintainer).unwrap_or_default(),
            "Homepage" => optional(&self.homepage),
            "Pre-Depends" => join(&self.pre_depends),
            "Depends" => join(&self.depends),
            "Recommends" => join(&self.recommends),
            "Suggests" => join(&self.suggests),
            "Conflicts" => join(&self.conflicts),
            "Breaks" => join(&self.breaks),
            "Provides" => join(&self.provides),
            "Description" => optional(&self.summary),
            _ => String::new(),
        }
    }
}

fn write_maintainer(maintainer: &Maintainer) -> String {
    match &maintainer.email {
        Some(email) => format!("{} <{email}>", maintainer.name),
        None => maintainer.name.to_string(),
    }
}

fn join(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn in_one_line(value: &str) -> Box<str> {
    value.replace('\n', " ").into()
}

/// `openssl (3.0.1-1)` names its version when that differs from the binary package's.
fn source_name(value: &str) -> Result<Box<str>, String> {
    let name = value.split('(').next().unwrap_or_default().trim();
    check_name(name).map(|()| name.into())
}

fn size(value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("`{value}` is not a number of KiB"))
}

fn required<T>(stanza: &Stanza, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, Fault> {
    let missing = || Fault::new(Reason::Syntax, format!("a stanza without the field `{name}`")).at(stanza.line, 1);
    optional(stanza, name, parse)?.ok_or_else(missing)
}

fn optional<T>(stanza: &Stanza, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Fault> {
    let Some(field) = stanza.field(name).filter(|field| !field.value.is_empty()) else {
        return Ok(None);
    };
    parse(&field.value).map(Some).map_err(|why| misread(field, &why))
}

fn misread(field: &Field, why: &str) -> Fault {
    Fault::new(Reason::Syntax, format!("in `{}`: {why}", field.name)).at(field.line, 1)
}

#[cfg(test)]
mod tests {
    use super::super::stanza::StanzaReader;
    use super::*;

    fn read(text: &str) -> Result<Package, Fault> {
        let stanza = StanzaReader::new(text.as_bytes(), FIELDS).read().unwrap().unwrap();
        Package::from_stanza(&stanza)
    }

    const FULL: &str = "Package: libcurl4\nSource: curl (7.88-1)\nVersion: 7.88-1+b1\nArchitecture: amd64\n\
        Essential: yes\nSection: libs\nPriority: optional\nInstalled-Size: 860\nMaintainer: \"A. B\" <a@b.example>\n\
        Homepage: https://curl.example/\nPre-Depends: dpkg\nDepends: libc6 (>= 2.36),\n libssl3 | libssl4:any\n\
        Recommends: ca-certificates\nSuggests: x, y\nConflicts: old\nBreaks: other (<< 2)\n\
        Provides: libcurl (= 7.88), v\nDescription: a library\n more of it\n";

    #[test]
    fn a_full_stanza() {
        let package = read(FULL).unwrap();
        assert_eq!(&*package.source, "curl");
        assert_eq!(package.maintainer, Some(Maintainer { name: "A. B".into(), email: Some("a@b.example".into()) }));
        assert_eq!(join(&package.depends), "libc6 (>= 2.36), libssl3 | libssl4");
        assert_eq!(package.provides.len(), 2);
        assert_eq!(package.summary.as_deref(), Some("a library"));
        assert_eq!(package.installed_size, Some(860));
        assert_eq!(package.mandatory_needs().count(), 3);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in [FULL, "Package: a\nVersion: 1\n", "Package: a\nVersion: 1\nMaintainer: Nobody\n"] {
            let package = read(text).unwrap();
            let mut written = Vec::new();
            package.write_stanza(&mut written).unwrap();
            assert_eq!(read(&String::from_utf8(written).unwrap()).unwrap(), package);
        }
    }

    #[test]
    fn wrong_fields_are_refused_with_their_line() {
        for (text, line) in [
            ("Version: 1\nSection: x\n", 1),
            ("Package: a\n", 1),
            ("Package: a b\nVersion: 1\n", 1),
            ("Package: a\nVersion: 1 2\n", 2),
            ("Package: a\nVersion: 1\nInstalled-Size: big\n", 3),
            ("Package: a\nVersion: 1\nDepends: b,\n c (>= \n", 3),
            ("Package: a\nVersion: 1\nProvides: b | c\n", 3),
        ] {
            let fault = read(text).unwrap_err();
            assert_eq!((fault.reason, fault.position.unwrap().line), (Reason::Syntax, line), "{text}");
        }
    }

    #[test]
    fn only_installed_packages_of_a_status_file_count() {
        for (status, expected) in [
            ("", true),
            ("Status: install ok installed\n", true),
            ("Status: hold ok installed\n", true),
            ("Status: deinstall ok config-files\n", false),
            ("Status: purge ok not-installed\n", false),
        ] {
            let text = format!("Package: a\n{status}");
            let stanza = StanzaReader::new(text.as_bytes(), FIELDS).read().unwrap().unwrap();
            assert_eq!(is_installed(&stanza), expected, "{status}");
        }
    }
}
