//! XML markup as far as the limits need it: attributes by name, and the expansion of entities.

use entail_model::xml::is_char;
use entail_model::{Fault, Reason};
use hashbrown::HashMap;
use memchr::{memchr, memmem};
use std::ops::Range;

/// The largest total expansion of all entities. Real entities are namespaces.
const ENTITIES_BYTES_MAX: usize = 1 << 20;

/// The values of the attributes of a tag whose names end in `name_end`, as written.
pub(crate) fn attribute_values<'t>(tag: &'t [u8], name_end: &'static str) -> impl Iterator<Item = &'t [u8]> {
    memmem::find_iter(tag, name_end).filter_map(move |at| {
        let rest = tag[at + name_end.len()..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
        let quote = *rest.first().filter(|quote| matches!(quote, b'"' | b'\''))?;
        let value = &rest[1..];
        Some(&value[..memchr(quote, value).unwrap_or(value.len())])
    })
}

/// The general entities of a document type, by their text.
#[derive(Default)]
pub(crate) struct Entities {
    texts: HashMap<Vec<u8>, Vec<u8>>,
    total: usize,
}

impl Entities {
    /// Records the entities that a document type declares, and returns it with all of them in double quotes, which are the
    /// only ones that the parser reads.
    ///
    /// # Errors
    /// `LimitExceeded` for an entity with too large an expansion: nested entities can expand a line to gigabytes.
    pub(crate) fn declare(&mut self, doctype: &[u8]) -> Result<Vec<u8>, Fault> {
        let (mut quoted, mut copied) = (Vec::new(), 0);
        for at in memmem::find_iter(doctype, b"<!ENTITY") {
            let Some((name, value)) = declaration(doctype, at + b"<!ENTITY".len()) else { continue };
            let text = &doctype[value.clone()];
            self.total = self.total.saturating_add(self.expanded_len(text));
            if self.total > ENTITIES_BYTES_MAX {
                let message = format!("XML entities that expand to more than {ENTITIES_BYTES_MAX} bytes");
                return Err(Fault::new(Reason::LimitExceeded, message));
            }
            // The parser reports what cannot be resolved.
            let resolved = self.resolved(text).unwrap_or_else(|_| text.to_vec());
            // The first declaration of a name counts for XML, but the last one for the parser.
            self.texts.insert(doctype[name].to_vec(), resolved);
            if doctype[value.start - 1] == b'\'' {
                quoted.extend_from_slice(&doctype[copied..value.start - 1]);
                quoted.push(b'"');
                text.iter().for_each(|byte| match byte {
                    b'"' => quoted.extend_from_slice(b"&#34;"),
                    byte => quoted.push(*byte),
                });
                quoted.push(b'"');
                copied = value.end + 1;
            }
        }
        quoted.extend_from_slice(&doctype[copied..]);
        Ok(quoted)
    }

    /// The length of a text after expansion of its entities.
    pub(crate) fn expanded_len(&self, text: &[u8]) -> usize {
        if self.texts.is_empty() {
            return text.len();
        }
        let references = memchr::memchr_iter(b'&', text).filter_map(|at| {
            let rest = &text[at + 1..];
            rest.split(|byte| *byte == b';').next().and_then(|name| self.texts.get(name)).map(Vec::len)
        });
        text.len() + references.sum::<usize>()
    }

    /// A text with its references resolved.
    ///
    /// # Errors
    /// `Syntax` for a reference to nothing.
    pub(crate) fn resolved(&self, text: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut resolved = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = memchr(b'&', rest) {
            resolved.extend_from_slice(&rest[..at]);
            let end = memchr(b';', &rest[at..]).ok_or_else(|| unresolved(&rest[at..]))?;
            let name = &rest[at + 1..at + end];
            match (name, character(name)) {
                (_, Some(character)) => resolved.extend_from_slice(character?.to_string().as_bytes()),
                (b"amp", _) => resolved.push(b'&'),
                (b"lt", _) => resolved.push(b'<'),
                (b"gt", _) => resolved.push(b'>'),
                (b"quot", _) => resolved.push(b'"'),
                (b"apos", _) => resolved.push(b'\''),
                (name, _) => resolved.extend_from_slice(self.texts.get(name).ok_or_else(|| unresolved(name))?),
            }
            rest = &rest[at + end + 1..];
        }
        resolved.extend_from_slice(rest);
        Ok(resolved)
    }
}

/// The name and the value of the entity that is declared here, if it has a value.
fn declaration(doctype: &[u8], at: usize) -> Option<(Range<usize>, Range<usize>)> {
    let blank = |at: usize| at + doctype[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let mut start = blank(at);
    if doctype.get(start) == Some(&b'%') {
        start = blank(start + 1);
    }
    let end = start + doctype[start..].iter().position(u8::is_ascii_whitespace)?;
    let open = blank(end);
    let quote = *doctype.get(open).filter(|quote| matches!(quote, b'"' | b'\''))?;
    let length = memchr(quote, &doctype[open + 1..])?;
    Some((start..end, open + 1..open + 1 + length))
}

/// The character of a reference `#10` or `#xA`; `None` if it is the name of an entity.
fn character(name: &[u8]) -> Option<Result<char, Fault>> {
    let digits = std::str::from_utf8(name.strip_prefix(b"#")?).unwrap_or_default();
    let number = match digits.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    let found = number.ok().and_then(char::from_u32).filter(|found| is_char(*found));
    Some(found.ok_or_else(|| {
        let message = format!("&{}; is a reference to what no XML document can contain", String::from_utf8_lossy(name));
        Fault::new(Reason::Syntax, message)
    }))
}

fn unresolved(name: &[u8]) -> Fault {
    let name = String::from_utf8_lossy(&name[..name.len().min(40)]);
    Fault::new(Reason::Syntax, format!("the entity {name} is not declared"))
}

/// Is it a control character that no XML document can contain?
fn is_control(byte: u8) -> bool {
    byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')
}

/// May the byte be or begin what [`check_characters`] refuses?
#[inline]
pub(crate) fn is_special(byte: u8) -> bool {
    (byte < 0x20) & (byte != b'\t') & (byte != b'\n') & (byte != b'\r') | (byte == b'&') | (byte == 0xef)
}

/// Checks that a text has only characters that XML documents can contain, directly and by reference.
///
/// # Errors
/// `Syntax`, and the offset.
pub(crate) fn check_characters(text: &[u8]) -> Result<(), (usize, Fault)> {
    if let Some(at) = text.iter().position(|byte| is_control(*byte)) {
        let message = format!("the character U+{:04X}, which no XML document can contain", text[at]);
        return Err((at, Fault::new(Reason::Syntax, message)));
    }
    for bad in ["\u{fffe}", "\u{ffff}"] {
        if let Some(at) = memmem::find(text, bad.as_bytes()) {
            let message = format!(
                "the character U+{:04X}, which no XML document can contain",
                bad.chars().map(u32::from).sum::<u32>()
            );
            return Err((at, Fault::new(Reason::Syntax, message)));
        }
    }
    for at in memmem::find_iter(text, b"&#") {
        let name = text[at + 1..].split(|byte| *byte == b';').next().unwrap_or_default();
        if let Some(Err(fault)) = character(name) {
            return Err((at, fault));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_by_the_end_of_their_name() {
        let tag = br#"ex:p rdf:nodeID = "a" rdf:annotationNodeID='b' x="nodeID" rdf:nodeID"#;
        assert_eq!(attribute_values(tag, "odeID").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(attribute_values(tag, "parseType").count(), 0);
    }

    #[test]
    fn entities_of_entities_are_measured_and_bounded() {
        let mut entities = Entities::default();
        entities.declare(b"<!DOCTYPE r [<!ENTITY a \"12345\"> <!ENTITY b \"&a;&a;\">]>").expect("small");
        assert_eq!(entities.expanded_len(b"x&b;y"), 5 + 10);
        assert_eq!(entities.resolved(b"x&b;&#x41;&amp;").expect("declared"), b"x1234512345A&");
        assert!(entities.resolved(b"&c;").is_err() && entities.resolved(b"&#1;").is_err());
        let quoted = entities.declare(b"!DOCTYPE r [<!ENTITY c 'say \"hi\"'> <!ENTITY d \"it's\">]>").expect("small");
        assert_eq!(quoted, b"!DOCTYPE r [<!ENTITY c \"say &#34;hi&#34;\"> <!ENTITY d \"it's\">]>");
        assert_eq!(entities.resolved(b"&c;&d;").expect("declared"), b"say \"hi\"it's");
        let laughs: String = (1..40).map(|n| format!("<!ENTITY l{n} \"&l{0};&l{0};\">", n - 1)).collect();
        let laughs = format!("<!DOCTYPE r [<!ENTITY l0 \"ha\">{laughs}]>");
        assert_eq!(Entities::default().declare(laughs.as_bytes()).expect_err("too much").reason, Reason::LimitExceeded);
    }
}
