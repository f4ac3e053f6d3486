//! Cuts a JSON-LD file into documents that can be parsed one by one and together have the meaning of the file.
//!
//! ```text
//! [ {a}, {b}, {c} ]                        ──►  [{a},{b}]   [{c}]
//! {"@context": C, "@graph": [ {a}, {b} ]}  ──►  unchanged, or if it is too large for memory:
//!                                               {"@context": C, "@graph": [{a}]}   {"@context": C, "@graph": [{b}]}
//! ```
//!
//! The parser buffers every object as a whole, because the context may come last in it, and it fails on strings of
//! 16 MiB when it reads from a stream. Cutting bounds memory and allows long strings.

use crate::read::json::text::{HELD_VALUES, JsonText};
use crate::read::source::Bytes;
use entail_model::{Fault, Reason};
use std::ops::Range;

/// Elements are collected until a document has this many bytes.
const GROUP_BYTES: usize = 1 << 20;

/// A position in the file, counted from one.
pub(crate) type LineColumn = (u64, u64);

/// A text that the parser reads as a separate document.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) text: Vec<u8>,
    /// The independent parts: each of them, with the text before the first and after the last, is a document too.
    pub(crate) parts: Vec<Part>,
    /// The position in the file of the text before the first part, and the offset at which that text begins.
    pub(crate) anchor: (usize, LineColumn),
    /// The number of the document within the file.
    pub(crate) order: u64,
}

/// A part of a document's text, and its position in the file.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) range: Range<usize>,
    pub(crate) place: LineColumn,
}

impl Document {
    /// The text before the first part.
    pub(crate) fn prefix(&self) -> &[u8] {
        &self.text[..self.parts.first().map_or(0, |part| part.range.start)]
    }

    /// The text after the last part.
    pub(crate) fn suffix(&self) -> &[u8] {
        &self.text[self.parts.last().map_or(self.text.len(), |part| part.range.end)..]
    }
}

/// Takes documents; returns false to stop.
pub(crate) type Take<'t> = &'t mut dyn FnMut(Document) -> Result<bool, Fault>;

/// The position of an object in the document tree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Root,
    InRootArray,
}

/// The keys that may come before `@graph` in an object that is cut.
#[derive(Default)]
struct Keys {
    id: bool,
    other: bool,
}

/// An object being read.
struct Object {
    place: LineColumn,
    at: Where,
    keys: Keys,
    document: Document,
    /// Was a part of the document passed to the parser already?
    is_cut: bool,
}

impl Object {
    /// Are the parts of its `@graph` independent? In an array, a graph without a name gets a new name.
    fn can_be_cut(&self) -> bool {
        !self.keys.other && (self.at == Where::Root || self.keys.id)
    }

    fn is_large(&self, values: usize, bytes: usize) -> bool {
        self.document.text.len() > bytes || values > HELD_VALUES
    }
}

/// Cuts one file.
pub(crate) struct Splitter<'t, B> {
    text: JsonText<'t, B>,
    /// The largest object that is held in memory.
    object_bytes: usize,
    order: u64,
}

impl<'t, B: Bytes> Splitter<'t, B> {
    pub(crate) fn new(text: JsonText<'t, B>, object_bytes: usize) -> Self {
        Self { text, object_bytes, order: 0 }
    }

    /// Passes each document of the file to `take`.
    ///
    /// # Errors
    /// `Syntax` for malformed JSON, `LimitExceeded`, or the input's error, with a position if there is one.
    pub(crate) fn run(&mut self, take: Take<'_>) -> Result<(), Fault> {
        self.text.skip_space(None)?;
        let go_on = match self.text.peek()? {
            None => return Err(self.text.syntax("the document is empty: JSON-LD is an object or an array")),
            Some(b'[') => self.root_array(take)?,
            Some(b'{') => self.object(Where::Root, None, take)?.is_some_and(|_| true),
            Some(_) => self.root_value(take)?,
        };
        if !go_on {
            return Ok(());
        }
        self.text.skip_space(None)?;
        match self.text.peek()? {
            None => Ok(()),
            Some(_) => Err(self.text.syntax("there is more after the end of the document")),
        }
    }

    fn hand_on(&mut self, mut document: Document, take: Take<'_>) -> Result<bool, Fault> {
        self.order += 1;
        document.order = self.order;
        take(document)
    }

    fn root_value(&mut self, take: Take<'_>) -> Result<bool, Fault> {
        let place = self.text.place();
        let mut document = Document { anchor: (0, place), ..Document::default() };
        self.text.value(&mut document.text)?;
        document.parts.push(Part { range: 0..document.text.len(), place });
        self.hand_on(document, take)
    }

    /// An array: its elements are collected into documents of about [`GROUP_BYTES`].
    fn root_array(&mut self, take: Take<'_>) -> Result<bool, Fault> {
        self.text.bump(None)?;
        let mut group = Document::default();
        let result = self.root_elements(&mut group, take);
        // The text before an error is well-formed, or has an earlier error.
        if matches!(result, Ok(false)) || group.parts.is_empty() {
            return result;
        }
        let go_on = self.hand_on_group(&mut group, take)?;
        result.map(|_| go_on)
    }

    fn root_elements(&mut self, group: &mut Document, take: Take<'_>) -> Result<bool, Fault> {
        let mut is_first = true;
        while self.next_element(&mut is_first)? {
            if self.text.peek()? == Some(b'{') {
                if self.object(Where::InRootArray, Some(group), take)?.is_none() {
                    return Ok(false);
                }
            } else {
                let place = self.text.place();
                let start = begin_element(group);
                if let Err(fault) = self.text.value(&mut group.text) {
                    group.text.truncate(start - 1);
                    return Err(fault);
                }
                group.parts.push(Part { range: start..group.text.len(), place });
            }
            if group.text.len() >= GROUP_BYTES && !self.hand_on_group(group, take)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn hand_on_group(&mut self, group: &mut Document, take: Take<'_>) -> Result<bool, Fault> {
        let mut document = std::mem::take(group);
        document.text.push(b']');
        let place = document.parts.first().map_or((1, 1), |part| part.place);
        document.anchor = (1, place);
        self.hand_on(document, take)
    }

    /// Advances to the next element of an open array; returns whether there is one.
    fn next_element(&mut self, is_first: &mut bool) -> Result<bool, Fault> {
        self.text.skip_space(None)?;
        let first = std::mem::take(is_first);
        match self.text.peek()? {
            Some(b']') => {
                self.text.bump(None)?;
                return Ok(false);
            }
            Some(b',') if !first => self.text.bump(None)?,
            Some(_) if first => return Ok(true),
            Some(_) => return Err(self.text.syntax("expected , or ] in an array")),
            None => return Err(self.text.ends_early()),
        }
        self.text.skip_space(None)?;
        match self.text.peek()? {
            None => Err(self.text.ends_early()),
            Some(b']' | b',') => Err(self.text.syntax("expected a value after the comma")),
            Some(_) => Ok(true),
        }
    }

    /// Reads an object: into `group` if it is an element of the root array and fits into memory, or else into
    /// separate documents. `None` means to stop.
    fn object(&mut self, at: Where, mut group: Option<&mut Document>, take: Take<'_>) -> Result<Option<()>, Fault> {
        let place = self.text.place();
        let mut document = Document::default();
        if at == Where::InRootArray {
            document.text.push(b'[');
        }
        document.anchor = (document.text.len(), place);
        let mut object = Object { place, at, keys: Keys::default(), document, is_cut: false };
        self.text.start_values();
        self.text.bump(Some(&mut object.document.text))?;
        let mut has_graph = false;
        while let Some(key) = self.key(&mut object)? {
            if object.is_cut {
                let message = "keys after @graph in an object that is too large for memory: put @graph last";
                return Err(self.text.fault(Reason::Unsupported, message));
            }
            if key == b"\"@graph\"" && self.text.peek()? == Some(b'[') && !has_graph {
                has_graph = true;
                if !self.graph(&mut object, group.as_deref_mut(), take)? {
                    return Ok(None);
                }
                continue;
            }
            object.keys.id |= key == b"\"@id\"" && self.text.peek()? == Some(b'"');
            object.keys.other |= has_graph || !matches!(key.as_slice(), b"\"@id\"" | b"\"@context\"");
            self.text.value(&mut object.document.text)?;
            self.check_size(&object)?;
        }
        self.finish(object, group, take)
    }

    fn check_size(&self, object: &Object) -> Result<(), Fault> {
        if !object.is_large(self.text.values(), self.object_bytes) {
            return Ok(());
        }
        let message = "an object that is too large for memory; JSON-LD can be larger only within a @graph that is an array \
                       and the last key of its object, after @context and @id only";
        Err(self.text.fault_at(object.place, Reason::LimitExceeded, message))
    }

    /// The next key of an open object, with its quotes; the text is then at its value.
    fn key(&mut self, object: &mut Object) -> Result<Option<Vec<u8>>, Fault> {
        let text = &mut object.document.text;
        self.text.skip_space(Some(text))?;
        if self.text.peek()? == Some(b',') {
            self.text.bump(Some(text))?;
            self.text.skip_space(Some(text))?;
        }
        match self.text.peek()? {
            Some(b'}') => {
                self.text.bump(Some(text))?;
                return Ok(None);
            }
            Some(b'"') => {}
            Some(_) => return Err(self.text.syntax("expected a key in quotes or }")),
            None => return Err(self.text.ends_early()),
        }
        let start = text.len();
        self.text.value(text)?;
        let key = text[start..].to_vec();
        self.text.skip_space(Some(text))?;
        if self.text.peek()? != Some(b':') {
            return Err(self.text.syntax("expected : after a key"));
        }
        self.text.bump(Some(text))?;
        self.text.skip_space(Some(text))?;
        Ok(Some(key))
    }

    /// Reads the array of a `@graph`, passing parts of it on while the object is too large for memory.
    fn graph(&mut self, object: &mut Object, mut group: Option<&mut Document>, take: Take<'_>) -> Result<bool, Fault> {
        self.text.bump(Some(&mut object.document.text))?;
        let mut is_first = true;
        while self.next_element(&mut is_first)? {
            let place = self.text.place();
            let text = &mut object.document.text;
            if !object.document.parts.is_empty() {
                text.push(b',');
            }
            let start = text.len();
            self.text.value(text)?;
            object.document.parts.push(Part { range: start..text.len(), place });
            let is_group = object.is_cut && object.document.text.len() > GROUP_BYTES;
            if (is_group || object.is_large(self.text.values(), self.object_bytes)) && object.can_be_cut() {
                // Text before the object goes first, so that errors are found in order.
                let before = group.take().filter(|group| !group.parts.is_empty());
                if let Some(before) = before
                    && !self.hand_on_group(before, take)?
                {
                    return Ok(false);
                }
                if !self.hand_on(after_cut(object), take)? {
                    return Ok(false);
                }
                self.text.start_values();
            }
            self.check_size(object)?;
        }
        object.document.text.push(b']');
        Ok(true)
    }

    /// Ends an object that was read completely: as an element it joins `group`, unless it was cut.
    fn finish(
        &mut self,
        mut object: Object,
        group: Option<&mut Document>,
        take: Take<'_>,
    ) -> Result<Option<()>, Fault> {
        if object.is_cut && object.document.parts.is_empty() {
            return Ok(Some(()));
        }
        let start = object.document.anchor.0;
        match group {
            Some(group) if !object.is_cut => {
                let from = begin_element(group);
                group.text.extend_from_slice(&object.document.text[start..]);
                group.parts.push(Part { range: from..group.text.len(), place: object.place });
                return Ok(Some(()));
            }
            Some(_) => object.document.text.push(b']'),
            None if !object.can_be_cut() => object.document.parts.clear(),
            None => {}
        }
        let mut document = object.document;
        if document.parts.is_empty() {
            document.parts.push(Part { range: 0..document.text.len(), place: object.place });
        }
        Ok(self.hand_on(document, take)?.then_some(()))
    }
}

/// Starts one more element in a document that is an array; returns its offset.
fn begin_element(group: &mut Document) -> usize {
    group.text.push(if group.parts.is_empty() { b'[' } else { b',' });
    group.text.len()
}

/// Takes the members of an object that were read so far as a document, and leaves the object with the members that must
/// precede the rest.
fn after_cut(object: &mut Object) -> Document {
    let prefix = object.document.prefix().to_vec();
    let anchor = object.document.anchor;
    let next = Document { text: prefix, anchor, ..Document::default() };
    let mut done = std::mem::replace(&mut object.document, next);
    done.text.extend_from_slice(if object.at == Where::Root { b"]}" } else { b"]}]" });
    object.is_cut = true;
    done
}
