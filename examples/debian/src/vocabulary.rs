//! The IRIs of the converter's output: one IRI per resource, one property per field.
//!
//! ```text
//! urn:debian:package:NAME      a package, or a virtual package of that name
//! urn:debian:versioned:NAME>=1 a name with a condition on version or architecture
//! urn:debian:need:a|b>=1       one item of Depends: any alternative will do; shared by all packages that write it
//! urn:debian:maintainer:EMAIL  a maintainer of packages
//! urn:debian:source:NAME       a source package
//! urn:debian:v:PROPERTY        classes and properties
//! ```
//! All characters except letters, digits and `-._~+:@` are percent-encoded, so two names never share an IRI.

use super::package::Maintainer;
use super::relation::{Need, Target};
use std::fmt::Write;

pub const TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";
pub const INTEGER: &str = "http://www.w3.org/2001/XMLSchema#integer";

/// A class or property of the vocabulary.
pub fn term(name: &str) -> String {
    format!("urn:debian:v:{name}")
}

/// The package, or the virtual package, of that name.
pub fn package(name: &str) -> String {
    iri("package", name)
}

/// The source package of that name.
pub fn source(name: &str) -> String {
    iri("source", name)
}

/// The IRI of a maintainer: identified by the address, in lower case.
pub fn maintainer(maintainer: &Maintainer) -> String {
    match &maintainer.email {
        Some(email) => iri("maintainer", &email.to_lowercase()),
        None => iri("maintainer", &maintainer.name),
    }
}

/// The node of a target: of the bare name, or of the name with its conditions.
pub fn target(target: &Target) -> String {
    match target.is_plain() {
        true => package(&target.name),
        false => iri("versioned", &compact(&target.to_string())),
    }
}

/// The node of a need, equal for all occurrences of the same need.
pub fn need(need: &Need) -> String {
    iri("need", &compact(&need.to_string()))
}

/// A text without the white space and parentheses of a control field, which would only lengthen an IRI.
fn compact(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ' ' | '(' | ')')).collect()
}

fn iri(kind: &str, name: &str) -> String {
    let mut iri = format!("urn:debian:{kind}:");
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b':' | b'@' => {
                iri.push(char::from(byte));
            }
            _ => write!(iri, "%{byte:02X}").expect("a string takes all that is written"),
        }
    }
    iri
}

#[cfg(test)]
mod tests {
    use super::super::relation::parse_needs;
    use super::*;

    #[test]
    fn names_become_iris() {
        assert_eq!(package("libstdc++6"), "urn:debian:package:libstdc++6");
        let needs = parse_needs("a | b (>= 1:2), c:i386").unwrap();
        assert_eq!(need(&needs[0]), "urn:debian:need:a%7Cb%3E%3D1:2");
        assert_eq!(target(&needs[0].alternatives[0]), "urn:debian:package:a");
        assert_eq!(target(&needs[0].alternatives[1]), "urn:debian:versioned:b%3E%3D1:2");
        assert_eq!(target(&needs[1].alternatives[0]), "urn:debian:versioned:c:i386");
    }

    #[test]
    fn maintainers_are_told_apart_by_address() {
        let by = |name: &str, email: Option<&str>| {
            maintainer(&Maintainer { name: name.into(), email: email.map(Box::from) })
        };
        assert_eq!(by("A", Some("Me@x.example")), by("B", Some("me@x.example")));
        assert_eq!(by("Zo\u{eb}", None), "urn:debian:maintainer:Zo%C3%AB");
    }
}
