//! A tag of an XML document: its name and its attributes, as ranges of its bytes.

use std::ops::Range;

/// A start tag or the tag of an empty element.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) name: Range<usize>,
    pub(crate) attributes: Vec<Attribute>,
    /// Is it the tag of an empty element, `<a/>`?
    pub(crate) is_empty: bool,
}

/// The name and the value of an attribute; the value is without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) name: Range<usize>,
    pub(crate) value: Range<usize>,
}

impl Tag {
    /// Reads a tag that begins after its `<` and ends with its `>`; `None` if it is malformed.
    pub(crate) fn read(tag: &[u8]) -> Option<Self> {
        let mut read = Self::default();
        read.read_again(tag)?;
        Some(read)
    }

    /// Reads another tag, as [`Self::read`] does, into the memory of this one; `None` if it is malformed.
    pub(crate) fn read_again(&mut self, tag: &[u8]) -> Option<()> {
        let (end, is_empty) = match tag {
            [.., b'/', b'>'] => (tag.len() - 2, true),
            [.., b'>'] => (tag.len() - 1, false),
            _ => return None,
        };
        let mut at = name_len(&tag[..end]);
        (self.name, self.is_empty) = (0..at, is_empty);
        self.attributes.clear();
        loop {
            let space = blank_len(&tag[at..end]);
            if at + space == end {
                return (!self.name.is_empty()).then_some(());
            }
            if space == 0 {
                return None;
            }
            let start = at + space;
            let name = start..start + name_len(&tag[start..end]);
            at = name.end + blank_len(&tag[name.end..end]);
            if name.is_empty() || tag.get(at) != Some(&b'=') {
                return None;
            }
            at += 1;
            at += blank_len(&tag[at..end]);
            let quote = *tag[at..end].first().filter(|quote| matches!(quote, b'"' | b'\''))?;
            let length = memchr::memchr(quote, &tag[at + 1..end])?;
            self.attributes.push(Attribute { name, value: at + 1..at + 1 + length });
            at += length + 2;
        }
    }
}

/// Replaces line ends and tabs within the values of attributes by spaces, as XML demands.
pub(crate) fn normalize_values(tag: &mut [u8]) {
    if memchr::memchr2(b'\n', b'\t', tag).is_none() {
        return;
    }
    let mut quote = None;
    for byte in tag {
        match (quote, *byte) {
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == byte => quote = None,
            (Some(_), b'\n' | b'\t') => *byte = b' ',
            _ => {}
        }
    }
}

/// The prefix of a name, or nothing, and the rest of it.
pub(crate) fn split_name(name: &[u8]) -> (&[u8], &[u8]) {
    memchr::memchr(b':', name).map_or((b"", name), |at| (&name[..at], &name[at + 1..]))
}

fn name_len(text: &[u8]) -> usize {
    text.iter()
        .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'=' | b'"' | b'\'' | b'<'))
        .unwrap_or(text.len())
}

fn blank_len(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tag as a text: its name, its attributes in brackets, and a slash for an empty element.
    fn read(tag: &str) -> Option<String> {
        let found = Tag::read(tag.as_bytes())?;
        let pair = |it: &Attribute| format!("[{}|{}]", &tag[it.name.clone()], &tag[it.value.clone()]);
        let pairs: String = found.attributes.iter().map(pair).collect();
        Some(format!("{}{pairs}{}", &tag[found.name.clone()], if found.is_empty { "/" } else { "" }))
    }

    #[test]
    fn tags_have_names_and_attributes() {
        assert_eq!(read("a>").as_deref(), Some("a"));
        assert_eq!(read("a:b  c = 'x>\"' \n d=\"'/\" />").as_deref(), Some("a:b[c|x>\"][d|'/]/"));
        for malformed in ["", ">", " a>", "a b>", "a b=>", "a b=c>", "a b='c>", "a b='c'd='e'>", "a ='c'>", "a"] {
            assert_eq!(read(malformed), None, "{malformed}");
        }
    }

    #[test]
    fn white_space_in_values_becomes_spaces() {
        let mut tag = b"a\n b='x\ny\tz'\tc=\"'\n\">".to_vec();
        normalize_values(&mut tag);
        assert_eq!(tag, b"a\n b='x y z'\tc=\"' \">");
    }
}
