//! Tables in JSON, CSV and TSV, written from the canonical bytes of terms: dictionary entries go into the answer
//! without being decoded into terms. A test compares the output with that of sparesults, byte by byte; only in CSV it
//! differs, where sparesults writes a field without quotes that needs them.

use entail_model::{Fault, term};
use oxrdf::vocab::xsd;
use oxrdf::{Term, Variable};

/// The form of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Csv,
    Tsv,
}

/// A table that is being written.
pub struct Table {
    form: Form,
    /// The text before a value of each column.
    keys: Vec<Vec<u8>>,
    rows: u64,
}

/// The parts of a term's canonical bytes.
enum Parts<'t> {
    Iri(&'t [u8]),
    Blank(&'t [u8]),
    /// With its language, or its direction too, or its datatype, if that is not a string.
    Literal {
        value: &'t [u8],
        language: Option<&'t [u8]>,
        direction: Option<&'t [u8]>,
        datatype: Option<&'t [u8]>,
    },
    /// The canonical bytes of subject, predicate and object.
    Triple([Vec<u8>; 3]),
}

impl<'t> Parts<'t> {
    fn of(text: &'t [u8]) -> Result<Self, Fault> {
        let plain = |value, language, direction, datatype| Self::Literal { value, language, direction, datatype };
        let (kind, rest) = text.split_first().ok_or_else(|| Fault::corrupt("an empty term"))?;
        Ok(match kind {
            b'I' => Self::Iri(rest),
            b'B' => Self::Blank(rest),
            b'S' => plain(rest, None, None, None),
            b'G' => {
                let (language, value) = split(rest)?;
                plain(value, Some(language), None, None)
            }
            b'W' => {
                let (language, rest) = split(rest)?;
                let (direction, value) = split(rest)?;
                plain(value, Some(language), Some(direction), None)
            }
            b'D' => {
                let (datatype, value) = split(rest)?;
                plain(value, None, None, Some(datatype))
            }
            _ => {
                let Term::Triple(triple) = term::decode(text)? else {
                    return Err(Fault::corrupt("a term with an unknown kind"));
                };
                let parts = [triple.subject.into(), triple.predicate.into(), triple.object];
                Self::Triple(parts.map(|part: Term| {
                    let mut bytes = Vec::new();
                    term::encode(part.as_ref(), &mut bytes);
                    bytes
                }))
            }
        })
    }
}

fn split(text: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let at = memchr::memchr(0, text).ok_or_else(|| Fault::corrupt("a literal without its separator"))?;
    Ok((&text[..at], &text[at + 1..]))
}

impl Table {
    /// Begins a table.
    pub fn begin(form: Form, variables: &[Variable], out: &mut Vec<u8>) -> Self {
        let mut keys = Vec::new();
        let names = || variables.iter().map(|variable| variable.as_str().as_bytes());
        match form {
            Form::Json => {
                out.extend_from_slice(b"{\"head\":{\"vars\":[");
                for (place, name) in names().enumerate() {
                    let mut key = Vec::new();
                    json_string(name, &mut key);
                    out.extend_from_slice(if place > 0 { b"," } else { b"" });
                    out.extend_from_slice(&key);
                    key.push(b':');
                    keys.push(key);
                }
                out.extend_from_slice(b"]},\"results\":{\"bindings\":[");
            }
            Form::Csv => {
                out.extend_from_slice(&names().collect::<Vec<_>>().join(&b','));
                out.extend_from_slice(b"\r\n");
            }
            Form::Tsv => {
                let names: Vec<Vec<u8>> = names().map(|name| [b"?", name].concat()).collect();
                out.extend_from_slice(&names.join(&b'\t'));
                out.push(b'\n');
            }
        }
        Self { form, keys, rows: 0 }
    }

    /// Writes a row of canonical bytes.
    ///
    /// # Errors
    /// `Corrupt` for bytes that do not encode a term.
    pub fn row<'t>(&mut self, cells: impl Iterator<Item = Option<&'t [u8]>>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let is_first = self.rows == 0;
        self.rows += 1;
        let (separator, end): (&[u8], &[u8]) = match self.form {
            Form::Json => return self.json_row(is_first, cells, out),
            Form::Csv => (b",", b"\r\n"),
            Form::Tsv => (b"\t", b"\n"),
        };
        for (place, cell) in cells.enumerate() {
            if place > 0 {
                out.extend_from_slice(separator);
            }
            match cell {
                None => {}
                Some(text) if self.form == Form::Csv => csv_field(text, out)?,
                Some(text) => tsv_term(text, out)?,
            }
        }
        out.extend_from_slice(end);
        Ok(())
    }

    fn json_row<'t>(
        &self,
        is_first: bool,
        cells: impl Iterator<Item = Option<&'t [u8]>>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        out.extend_from_slice(if is_first { b"{" } else { b",{" });
        let mut separator: &[u8] = b"";
        for (key, cell) in self.keys.iter().zip(cells) {
            let Some(text) = cell else { continue };
            out.extend_from_slice(separator);
            out.extend_from_slice(key);
            json_term(text, out)?;
            separator = b",";
        }
        out.push(b'}');
        Ok(())
    }

    /// Ends the table.
    pub fn end(self, out: &mut Vec<u8>) {
        if self.form == Form::Json {
            out.extend_from_slice(b"]}}");
        }
    }
}

/// A field, in quotes if its text has a character that separates fields or rows: also an IRI may contain a comma.
fn csv_field(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let start = out.len();
    csv_text(text, out)?;
    if out[start..].iter().any(|byte| b"\",\n\r".contains(byte)) {
        let field = out.split_off(start);
        out.push(b'"');
        escaped(&field, out, |byte| (byte == b'"').then_some(b"\"\""));
        out.push(b'"');
    }
    Ok(())
}

fn csv_text(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    match Parts::of(text)? {
        Parts::Iri(iri) => out.extend_from_slice(iri),
        Parts::Blank(label) => {
            out.extend_from_slice(b"_:");
            out.extend_from_slice(label);
        }
        Parts::Literal { value, .. } => out.extend_from_slice(value),
        Parts::Triple(parts) => {
            for (place, part) in parts.iter().enumerate() {
                out.extend_from_slice(if place > 0 { b" " } else { b"" });
                csv_text(part, out)?;
            }
        }
    }
    Ok(())
}

fn tsv_term(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    match Parts::of(text)? {
        Parts::Iri(iri) => {
            out.push(b'<');
            out.extend_from_slice(iri);
            out.push(b'>');
        }
        Parts::Blank(label) => {
            out.extend_from_slice(b"_:");
            out.extend_from_slice(label);
        }
        Parts::Literal { value, datatype: Some(datatype), .. } if is_short(datatype, value) => {
            out.extend_from_slice(value);
        }
        Parts::Literal { value, language, direction, datatype } => {
            out.push(b'"');
            escaped(value, out, tsv_escape);
            out.push(b'"');
            between(b"@", language, b"", out);
            between(b"--", direction, b"", out);
            between(b"^^<", datatype, b">", out);
        }
        Parts::Triple(parts) => {
            out.extend_from_slice(b"<<( ");
            for part in &parts {
                tsv_term(part, out)?;
                out.push(b' ');
            }
            out.extend_from_slice(b")>>");
        }
    }
    Ok(())
}

/// Writes an optional part between a prefix and a suffix.
fn between(before: &[u8], part: Option<&[u8]>, after: &[u8], out: &mut Vec<u8>) {
    if let Some(part) = part {
        [before, part, after].iter().for_each(|bytes| out.extend_from_slice(bytes));
    }
}

fn tsv_escape(byte: u8) -> Option<&'static [u8; 2]> {
    match byte {
        b'\t' => Some(b"\\t"),
        b'\n' => Some(b"\\n"),
        b'\r' => Some(b"\\r"),
        b'"' => Some(b"\\\""),
        b'\\' => Some(b"\\\\"),
        _ => None,
    }
}

/// May the literal be written as in Turtle, without quotes?
fn is_short(datatype: &[u8], value: &[u8]) -> bool {
    let is = |node: oxrdf::NamedNodeRef<'_>| node.as_str().as_bytes() == datatype;
    if is(xsd::BOOLEAN) {
        return [&b"true"[..], b"false"].contains(&value);
    }
    let unsigned = value.strip_prefix(b"+").or_else(|| value.strip_prefix(b"-")).unwrap_or(value);
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(unsigned);
    if is(xsd::INTEGER) {
        return whole > 0 && whole == unsigned.len();
    }
    let (point, fraction) = match unsigned[whole..].split_first() {
        Some((b'.', rest)) => (1, digits(rest)),
        _ => (0, 0),
    };
    let rest = &unsigned[whole + point + fraction..];
    if is(xsd::DECIMAL) {
        return fraction > 0 && rest.is_empty();
    }
    let [b'e' | b'E', exponent @ ..] = rest else { return false };
    let exponent = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
    is(xsd::DOUBLE) && whole + fraction > 0 && !exponent.is_empty() && digits(exponent) == exponent.len()
}

fn json_term(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let (kind, value): (&[u8], &[u8]) = match Parts::of(text)? {
        Parts::Iri(iri) => (b"uri", iri),
        Parts::Blank(label) => (b"bnode", label),
        Parts::Literal { value, language, direction, datatype } => {
            out.extend_from_slice(b"{\"type\":\"literal\",\"value\":");
            json_string(value, out);
            for (before, part) in
                [(&b",\"xml:lang\":"[..], language), (b",\"its:dir\":", direction), (b",\"datatype\":", datatype)]
            {
                let Some(part) = part else { continue };
                out.extend_from_slice(before);
                json_string(part, out);
            }
            out.push(b'}');
            return Ok(());
        }
        Parts::Triple(parts) => {
            out.extend_from_slice(b"{\"type\":\"triple\",\"value\":{");
            for (before, part) in [&b"\"subject\":"[..], b",\"predicate\":", b",\"object\":"].iter().zip(&parts) {
                out.extend_from_slice(before);
                json_term(part, out)?;
            }
            out.extend_from_slice(b"}}");
            return Ok(());
        }
    };
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind);
    out.extend_from_slice(b"\",\"value\":");
    json_string(value, out);
    out.push(b'}');
    Ok(())
}

fn json_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte < 32 || matches!(byte, b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Writes `text` with other bytes for some of its bytes.
fn escaped(text: &[u8], out: &mut Vec<u8>, escape: impl Fn(u8) -> Option<&'static [u8; 2]>) {
    let mut rest = text;
    while let Some((at, other)) = rest.iter().enumerate().find_map(|(at, byte)| Some((at, escape(*byte)?))) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(other);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxrdf::{BaseDirection, BlankNode, Literal, NamedNode, Triple};
    use proptest::prelude::*;
    use sparesults::{QueryResultsFormat, QueryResultsSerializer};

    fn literal() -> impl Strategy<Value = Literal> {
        let datatypes = [xsd::STRING, xsd::INTEGER, xsd::DECIMAL, xsd::DOUBLE, xsd::BOOLEAN, xsd::DATE];
        let values = prop_oneof![
            "[-+]?[0-9]{0,3}[.]?[0-9]{0,3}([eE][-+]?[0-9]{0,2})?",
            "true|false|1",
            "[a\"\\\\,\r\n\t\u{8}\u{c}\u{1}\u{1f}\u{7f}é😀]{0,8}",
        ];
        let direction = prop::sample::select(vec![None, Some(BaseDirection::Ltr), Some(BaseDirection::Rtl)]);
        prop_oneof![
            3 => (values.clone(), prop::sample::select(datatypes.to_vec()))
                .prop_map(|(value, datatype)| Literal::new_typed_literal(value, datatype)),
            1 => (values, direction).prop_map(|(value, direction)| match direction {
                None => Literal::new_language_tagged_literal_unchecked(value, "en-gb"),
                Some(direction) => {
                    Literal::new_directional_language_tagged_literal_unchecked(value, "ar", direction)
                }
            }),
        ]
    }

    fn any_term() -> impl Strategy<Value = Term> {
        let node = "[a-z]{0,4}".prop_map(|name| NamedNode::new_unchecked(format!("http://e.org/{name}é")));
        let simple = prop_oneof![
            node.clone().prop_map(Term::from),
            "[a-z][a-z0-9]{0,3}".prop_map(|label| BlankNode::new_unchecked(label).into()),
            literal().prop_map(Term::from),
        ];
        simple.prop_recursive(2, 6, 1, move |object| {
            (node.clone(), object)
                .prop_map(|(node, object)| Term::Triple(Box::new(Triple::new(node.clone(), node, object))))
        })
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_sparesults(
            rows in prop::collection::vec(prop::collection::vec(prop::option::of(any_term()), 2), 0..5),
        ) {
            let variables = ["a", "bé"].map(Variable::new_unchecked);
            for (form, format) in [
                (Form::Json, QueryResultsFormat::Json),
                (Form::Csv, QueryResultsFormat::Csv),
                (Form::Tsv, QueryResultsFormat::Tsv),
            ] {
                let mut written = Vec::new();
                let mut table = Table::begin(form, &variables, &mut written);
                let mut oracle = QueryResultsSerializer::from_format(format)
                    .serialize_solutions_to_writer(Vec::new(), variables.to_vec())
                    .expect("in memory");
                let is_same = |cell: &Option<Term>| form != Form::Csv || !matches!(cell, Some(Term::Triple(_)));
                for row in rows.iter().filter(|row| row.iter().all(is_same)) {
                    let texts: Vec<Option<Vec<u8>>> = row
                        .iter()
                        .map(|cell| {
                            let mut bytes = Vec::new();
                            term::encode(cell.as_ref()?.as_ref(), &mut bytes);
                            Some(bytes)
                        })
                        .collect();
                    table.row(texts.iter().map(Option::as_deref), &mut written).expect("our own bytes");
                    let bound = variables.iter().zip(row).filter_map(|(v, cell)| Some((v, cell.as_ref()?)));
                    oracle.serialize(bound).expect("in memory");
                }
                table.end(&mut written);
                let oracle = oracle.finish().expect("in memory");
                prop_assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&oracle));
            }
        }
    }

    #[test]
    fn junk_is_corrupt() {
        let mut table = Table::begin(Form::Tsv, &[Variable::new_unchecked("a")], &mut Vec::new());
        for junk in [&b""[..], b"X", b"Gen", b"T not a triple"] {
            assert!(table.row([Some(junk)].into_iter(), &mut Vec::new()).is_err(), "{junk:?}");
        }
    }
}
