//! What is in scope in an element: namespaces by prefix, and the base.

use crate::format::Format;
use crate::read::relative::relative;
use entail_model::{Fault, Reason};
use oxiri::Iri;

const XML: &[u8] = b"http://www.w3.org/XML/1998/namespace";

/// The declarations of the open elements.
pub(crate) struct Scope {
    /// The depth of the element, the prefix, and the namespace.
    namespaces: Vec<(usize, Vec<u8>, Vec<u8>)>,
    /// The depth of the element, and the base.
    bases: Vec<(usize, Iri<String>)>,
}

impl Scope {
    /// The scope outside of the root element.
    pub(crate) fn new(base: Option<&str>) -> Self {
        let base = base.and_then(|base| Iri::parse(base.to_owned()).ok());
        Self { namespaces: Vec::new(), bases: base.into_iter().map(|base| (0, base)).collect() }
    }

    /// Declares a namespace in the element at this depth.
    pub(crate) fn declare(&mut self, depth: usize, prefix: &[u8], namespace: Vec<u8>) {
        self.namespaces.push((depth, prefix.to_vec(), namespace));
    }

    /// The namespace of a prefix; the empty prefix is the default namespace.
    pub(crate) fn namespace(&self, prefix: &[u8]) -> Option<&[u8]> {
        if prefix == b"xml" {
            return Some(XML);
        }
        let found = self.namespaces.iter().rev().find(|(_, known, _)| known == prefix);
        found.map(|(_, _, namespace)| &**namespace).filter(|namespace| !namespace.is_empty())
    }

    /// Sets the base of the element at this depth, which may be relative to the base around it, and returns it.
    ///
    /// # Errors
    /// `Syntax` for what is no IRI, or a relative one without a base.
    pub(crate) fn set_base(&mut self, depth: usize, text: &str) -> Result<&str, Fault> {
        let resolved = match (Iri::parse(text.to_owned()), self.bases.last()) {
            (Ok(iri), _) => Ok(iri),
            (Err(_), Some((_, base))) => base.resolve(text).map_err(|error| format!("xml:base=\"{text}\": {error}")),
            (Err(_), None) => Err(relative(Format::RdfXml, Some(text))),
        };
        let base = resolved.map_err(|message| Fault::new(Reason::Syntax, message))?;
        self.bases.push((depth, base));
        Ok(self.bases.last().map_or("", |(_, base)| base.as_str()))
    }

    /// Forgets the declarations of elements deeper than this.
    pub(crate) fn close(&mut self, depth: usize) {
        while self.namespaces.pop_if(|(of, _, _)| *of > depth).is_some() {}
        while self.bases.pop_if(|(of, _)| *of > depth).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_end_with_their_element() {
        let mut scope = Scope::new(Some("http://a/b/c"));
        scope.declare(1, b"p", b"http://p/".to_vec());
        scope.declare(2, b"p", b"http://q/".to_vec());
        scope.declare(2, b"", b"".to_vec());
        assert_eq!(scope.set_base(2, "../d#e").expect("relative"), "http://a/d#e");
        assert_eq!(scope.set_base(3, "").expect("the same document"), "http://a/d");
        assert_eq!((scope.namespace(b"p"), scope.namespace(b"")), (Some(&b"http://q/"[..]), None));
        scope.close(1);
        assert_eq!(scope.namespace(b"p"), Some(&b"http://p/"[..]));
        assert_eq!(scope.set_base(2, "x").expect("relative"), "http://a/b/x");
        let fault = Scope::new(None).set_base(1, "x/").expect_err("no base");
        assert!(fault.message.contains("<x/>") && fault.message.contains("--base"), "{fault}");
    }
}
