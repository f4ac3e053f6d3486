//! XML literals: the content of an element in exclusive canonical XML with comments, as RDF/XML asks for.
//!
//! Every element declares the namespaces that its own name and its attributes' names use, unless an element around it in
//! the literal has declared them; attributes are sorted; references and CDATA sections are replaced by their text.

use crate::read::xml::markup::Entities;
use crate::read::xml::scope::Scope;
use crate::read::xml::tag::{Tag, split_name};
use entail_model::{Fault, Reason};

/// A literal that is being written.
#[derive(Default)]
pub(crate) struct Canonical {
    out: Vec<u8>,
    /// The names of the open elements.
    open: Vec<Vec<u8>>,
    /// The number of open elements, the prefix, and the namespace of each declaration that was written.
    written: Vec<(usize, Vec<u8>, Vec<u8>)>,
}

/// An attribute: its namespace, local name, name and value, in the order in which attributes are sorted.
type Attribute<'t> = (&'t [u8], &'t [u8], &'t [u8], Vec<u8>);

impl Canonical {
    /// The number of open elements.
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    /// The number of bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// The text of the literal.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Adds character data whose references are resolved.
    pub(crate) fn text(&mut self, text: &[u8]) {
        escape(text, b"&<>\r", &mut self.out);
    }

    /// Adds a comment or an instruction; it begins after its `<`.
    pub(crate) fn other(&mut self, markup: &[u8]) {
        self.out.push(b'<');
        self.out.extend_from_slice(markup);
    }

    /// Adds a start tag, whose own declarations are in the scope.
    ///
    /// # Errors
    /// `Syntax` for a malformed tag or a prefix that is not declared.
    pub(crate) fn start(&mut self, text: &[u8], scope: &Scope, entities: &Entities) -> Result<(), Fault> {
        let tag = Tag::read(text).ok_or_else(|| syntax("a malformed tag"))?;
        let name = &text[tag.name.clone()];
        let attributes = attributes(text, &tag, scope, entities)?;
        let depth = self.open.len() + 1;
        let mut used: Vec<&[u8]> = attributes.iter().map(|it| split_name(it.2).0).filter(|it| !it.is_empty()).collect();
        used.push(split_name(name).0);
        used.sort_unstable();
        used.dedup();
        self.out.push(b'<');
        self.out.extend_from_slice(name);
        for prefix in used {
            self.declare(depth, prefix, scope)?;
        }
        for (_, _, name, value) in &attributes {
            self.attribute(name, value);
        }
        self.out.push(b'>');
        self.open.push(name.to_vec());
        if tag.is_empty { self.end(name) } else { Ok(()) }
    }

    /// Adds an end tag, given the element's name.
    ///
    /// # Errors
    /// `Syntax` if it is not the name of the element that is open.
    pub(crate) fn end(&mut self, name: &[u8]) -> Result<(), Fault> {
        let open = self.open.pop().unwrap_or_default();
        if open != name.trim_ascii_end() {
            let (name, open) = (String::from_utf8_lossy(name), String::from_utf8_lossy(&open));
            return Err(syntax(format!("</{name}> ends an element that <{open}> began")));
        }
        let depth = self.open.len();
        while self.written.pop_if(|(of, _, _)| *of > depth).is_some() {}
        self.out.extend_from_slice(b"</");
        self.out.extend_from_slice(&open);
        self.out.push(b'>');
        Ok(())
    }

    /// Writes the declaration of a prefix, unless it is in force.
    fn declare(&mut self, depth: usize, prefix: &[u8], scope: &Scope) -> Result<(), Fault> {
        if prefix == b"xml" {
            return Ok(());
        }
        let namespace = match scope.namespace(prefix) {
            Some(namespace) => namespace,
            None if prefix.is_empty() => b"",
            None => return Err(syntax(format!("Unknown prefix {}:", String::from_utf8_lossy(prefix)))),
        };
        let known = self.written.iter().rev().find(|(_, known, _)| known == prefix);
        if known.map_or(&b""[..], |(_, _, known)| known) == namespace {
            return Ok(());
        }
        let name = if prefix.is_empty() { b"xmlns".to_vec() } else { [b"xmlns:", prefix].concat() };
        self.attribute(&name, namespace);
        self.written.push((depth, prefix.to_vec(), namespace.to_vec()));
        Ok(())
    }

    fn attribute(&mut self, name: &[u8], value: &[u8]) {
        self.out.push(b' ');
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(b"=\"");
        escape(value, b"&<\"\t\n\r", &mut self.out);
        self.out.push(b'"');
    }
}

/// The attributes of a tag except declarations, sorted by namespace and local name.
fn attributes<'t>(
    text: &'t [u8],
    tag: &Tag,
    scope: &'t Scope,
    entities: &Entities,
) -> Result<Vec<Attribute<'t>>, Fault> {
    let mut found = Vec::new();
    for attribute in &tag.attributes {
        let name = &text[attribute.name.clone()];
        let (prefix, local) = split_name(name);
        if prefix == b"xmlns" || name == b"xmlns" {
            continue;
        }
        // A prefix without a declaration is reported with the declarations.
        let namespace = if prefix.is_empty() { b"" } else { scope.namespace(prefix).unwrap_or_default() };
        found.push((namespace, local, name, entities.resolved(&text[attribute.value.clone()])?));
    }
    found.sort_unstable();
    match found.windows(2).find(|pair| (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1)) {
        Some(pair) => Err(syntax(format!("the attribute {} is there twice", String::from_utf8_lossy(pair[1].2)))),
        None => Ok(found),
    }
}

fn syntax(message: impl Into<String>) -> Fault {
    Fault::new(Reason::Syntax, message)
}

/// Writes a text with references for those of its bytes that are in `special`.
pub(crate) fn escape(text: &[u8], special: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        let reference: &[u8] = match byte {
            byte if !special.contains(byte) => {
                out.push(*byte);
                continue;
            }
            b'&' => b"&amp;",
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            b'"' => b"&quot;",
            b'\t' => b"&#x9;",
            b'\n' => b"&#xA;",
            _ => b"&#xD;",
        };
        out.extend_from_slice(reference);
    }
}
