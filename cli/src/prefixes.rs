//! Prefixes: the well-known ones, those of the configuration file, and those that a text declares.
//!
//! ```text
//! text of a query, an update or rules ──► prefixes that it uses and does not declare ──► one line before it
//! answers ──► IRIs are shortened by the declared prefixes, then by the known ones
//! ```
//! Missing declarations are added in one line before the text; positions in errors are moved back by that line, so that
//! they refer to the user's text.

use std::collections::BTreeSet;

/// Well-known prefixes, with their IRIs.
const WELL_KNOWN: [(&str, &str); 14] = [
    ("dc", "http://purl.org/dc/elements/1.1/"),
    ("dcat", "http://www.w3.org/ns/dcat#"),
    ("dcterms", "http://purl.org/dc/terms/"),
    ("foaf", "http://xmlns.com/foaf/0.1/"),
    ("geo", "http://www.opengis.net/ont/geosparql#"),
    ("owl", "http://www.w3.org/2002/07/owl#"),
    ("prov", "http://www.w3.org/ns/prov#"),
    ("rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"),
    ("rdfs", "http://www.w3.org/2000/01/rdf-schema#"),
    ("schema", "https://schema.org/"),
    ("sh", "http://www.w3.org/ns/shacl#"),
    ("skos", "http://www.w3.org/2004/02/skos/core#"),
    ("void", "http://rdfs.org/ns/void#"),
    ("xsd", "http://www.w3.org/2001/XMLSchema#"),
];

/// A prefix and the IRI that it stands for.
pub type Prefix = (String, String);

/// The prefixes that need no declaration.
#[derive(Clone, Debug)]
pub struct Known(Vec<Prefix>);

impl Default for Known {
    fn default() -> Self {
        Self::with(Vec::new())
    }
}

impl Known {
    /// The well-known prefixes and additional ones, which override well-known ones of the same name.
    pub fn with(mut more: Vec<Prefix>) -> Self {
        let is_free = |name: &str| more.iter().all(|(other, _)| other != name);
        let known: Vec<_> = WELL_KNOWN.iter().filter(|(name, _)| is_free(name)).collect();
        more.extend(known.into_iter().map(|(name, iri)| ((*name).to_owned(), (*iri).to_owned())));
        Self(more)
    }

    /// All prefixes, those of the configuration file first.
    pub fn all(&self) -> &[Prefix] {
        &self.0
    }

    /// The line that declares the known prefixes which a text uses without a declaration; empty if there are none.
    pub fn prologue(&self, text: &str) -> String {
        let names = Names::of(text);
        let lacking = self.0.iter().filter(|(name, _)| names.used.contains(name.as_str()) && !names.has(name));
        let mut line: String = lacking.map(|(name, iri)| format!("PREFIX {name}: <{iri}> ")).collect();
        if !line.is_empty() {
            line.pop();
            line.push('\n');
        }
        line
    }
}

/// The prefixes that a query, an update or a rules text declares, in order.
pub fn declared(text: &str) -> Vec<Prefix> {
    let names = Names::of(text);
    names.declared.into_iter().map(|(name, iri)| (name.to_owned(), iri.to_owned())).collect()
}

/// The prefixes of a text. The text is only scanned, not parsed: the cluster validates it.
#[derive(Default)]
struct Names<'a> {
    declared: Vec<(&'a str, &'a str)>,
    used: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn of(text: &'a str) -> Self {
        let mut names = Self::default();
        let mut rest = text;
        let mut is_declaration = false;
        while let Some(first) = rest.chars().next() {
            let (length, word) = match first {
                '#' => (rest.find('\n').unwrap_or(rest.len()), None),
                '<' => (iri(rest).map_or(1, |iri| iri.len() + 2), None),
                '"' | '\'' => (quoted(rest), None),
                '?' | '$' => (1 + name(&rest[1..]), None),
                _ => match name(rest) {
                    0 if first != ':' => (first.len_utf8(), None),
                    length => (length, Some(&rest[..length])),
                },
            };
            rest = &rest[length..];
            let Some(word) = word else { continue };
            let Some(local) = rest.strip_prefix(':') else {
                is_declaration = word.eq_ignore_ascii_case("PREFIX");
                continue;
            };
            if is_declaration {
                names.declared.extend(iri(skip_space(local)).map(|iri| (word, iri)));
                rest = local;
            } else {
                names.used.insert(word);
                rest = &local[local_name(local)..];
            }
            is_declaration = false;
        }
        names
    }

    fn has(&self, name: &str) -> bool {
        self.declared.iter().any(|(other, _)| *other == name)
    }
}

/// The IRI in angle brackets at the start of a text; `None` if the bracket is an operator.
fn iri(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('<')?;
    let end = inside.find(|c: char| matches!(c, '>' | '<' | '"' | '{' | '}') || c.is_whitespace())?;
    inside[end..].starts_with('>').then(|| &inside[..end])
}

/// The length of the quoted string at the start of a text; the whole text if it does not end.
fn quoted(text: &str) -> usize {
    let mark = &text[..1];
    let long = mark.repeat(3);
    let end = if text.starts_with(&long) { long.as_str() } else { mark };
    let mut at = end.len();
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with(end) {
            return at + end.len();
        }
        let skipped = if rest.starts_with('\\') { 2 } else { 1 };
        at += rest.chars().take(skipped).map(char::len_utf8).sum::<usize>();
    }
    text.len()
}

/// The length of the name at the start of a text.
fn name(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.')).unwrap_or(text.len())
}

/// The length of the local name after a prefix.
fn local_name(text: &str) -> usize {
    let mut is_escaped = false;
    let ends = |c: char| {
        let ends = !is_escaped && !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.' | ':' | '%' | '\\');
        is_escaped = c == '\\' && !is_escaped;
        ends
    };
    text.find(ends).unwrap_or(text.len())
}

/// A text without leading whitespace and comments.
fn skip_space(text: &str) -> &str {
    let mut rest = text.trim_start();
    while rest.starts_with('#') {
        rest = rest.find('\n').map_or("", |end| rest[end..].trim_start());
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let owned: Vec<_> = expected.iter().map(|(name, iri)| ((*name).to_owned(), (*iri).to_owned())).collect();
        assert_eq!(declared(text), owned, "{text}");
    }

    #[test]
    fn declarations_are_found() {
        check("PREFIX ex: <http://e/>\n prefix : <http://d/> SELECT", &[("ex", "http://e/"), ("", "http://d/")]);
        check("# PREFIX no: <n>\nBASE <http://b/> PREFIX ex:<e#> # c\nASK {}", &[("ex", "e#")]);
        check("PREFIX a: # why\n <a> ASK {}", &[("a", "a")]);
        check("RULE {} WHERE {} PREFIX late: <l> RULE {} WHERE {}", &[("late", "l")]);
        check("SELECT ?s { ?s ?p \"PREFIX ex: <e>\" }", &[]);
        for cut in ["PREFIX", "PREFIX ex", "PREFIX ex:", "PREFIX ex: <http://cut", "", "#", "\"", "'''", "<", "?"] {
            check(cut, &[]);
        }
    }

    #[test]
    fn what_a_text_lacks_is_declared_before_it() {
        let known = Known::with(vec![("ex".into(), "http://e/".into()), ("owl".into(), "http://birds/".into())]);
        const RDFS: &str = "PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>\n";
        const XSD: &str = "PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>\n";
        for (text, expected) in [
            ("SELECT * { ?s a rdfs:Class }", RDFS),
            ("ASK { ex:a owl:b ?xsd }", "PREFIX ex: <http://e/> PREFIX owl: <http://birds/>\n"),
            ("PREFIX ex: <http://mine/> ASK { ex:a ex:b ex:c }", ""),
            ("ASK { ?s ?p 'rdfs:x', \"\"\"a \" rdfs:x\"\"\", \"\\\"rdfs:x\" } # rdfs:y", ""),
            ("ASK { <http://e/rdfs:x> ?rdfs:p _:b, other:rdfs:x, other:a\\,rdfs:x }", ""),
            ("ASK { ?s ?p ?o FILTER(?x<xsd:a) }", XSD),
            ("ASK { ?s ^rdfs:a/rdfs:b* ?o }", RDFS),
            ("ASK { ?s ?p 1^^xsd:byte }", XSD),
        ] {
            assert_eq!(known.prologue(text), expected, "{text}");
        }
        let own = Known::with(vec![(String::new(), "http://e/".into())]);
        assert_eq!(own.prologue("ASK { :a ?p ?o }"), "PREFIX : <http://e/>\n");
    }
}
