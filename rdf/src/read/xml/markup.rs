//! XML markup as far as the limits need it: attributes by name, and the expansion of entities.

use entail_model::{Fault, Reason};
use hashbrown::HashMap;
use memchr::{memchr, memmem};

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

/// The general entities of a document type, by the length of their expansion.
#[derive(Default)]
pub(crate) struct Entities {
    lengths: HashMap<Vec<u8>, usize>,
    total: usize,
}

impl Entities {
    /// Records the entities that a document type declares.
    ///
    /// # Errors
    /// `LimitExceeded` for an entity with too large an expansion: nested entities can expand a line to gigabytes.
    pub(crate) fn declare(&mut self, doctype: &[u8]) -> Result<(), Fault> {
        for at in memmem::find_iter(doctype, b"<!ENTITY") {
            let declaration = doctype[at + b"<!ENTITY".len()..].trim_ascii_start();
            let declaration = declaration.strip_prefix(b"%").unwrap_or(declaration).trim_ascii_start();
            let name_len = declaration.iter().position(u8::is_ascii_whitespace).unwrap_or(declaration.len());
            let (name, rest) = declaration.split_at(name_len);
            let Some(value) = rest.trim_ascii_start().strip_prefix(b"\"") else { continue };
            let value = &value[..memchr(b'"', value).unwrap_or(value.len())];
            let length = self.expanded_len(value);
            self.total = self.total.saturating_add(length);
            if self.total > ENTITIES_BYTES_MAX {
                let message = format!("XML entities that expand to more than {ENTITIES_BYTES_MAX} bytes");
                return Err(Fault::new(Reason::LimitExceeded, message));
            }
            self.lengths.insert(name.to_vec(), length);
        }
        Ok(())
    }

    /// The length of a text after expansion of its entities.
    pub(crate) fn expanded_len(&self, text: &[u8]) -> usize {
        if self.lengths.is_empty() {
            return text.len();
        }
        let references = memchr::memchr_iter(b'&', text).filter_map(|at| {
            let rest = &text[at + 1..];
            rest.split(|byte| *byte == b';').next().and_then(|name| self.lengths.get(name))
        });
        text.len() + references.sum::<usize>()
    }
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
        assert_eq!(entities.expanded_len(b"x&b;y"), 5 + (10 + 6));
        let laughs: String = (1..40).map(|n| format!("<!ENTITY l{n} \"&l{0};&l{0};\">", n - 1)).collect();
        let laughs = format!("<!DOCTYPE r [<!ENTITY l0 \"ha\">{laughs}]>");
        assert_eq!(Entities::default().declare(laughs.as_bytes()).expect_err("too much").reason, Reason::LimitExceeded);
    }
}
