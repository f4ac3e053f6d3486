//! Web pages in place of RDF: what a server sends for a file that is gone, saved under the name of the file.

use memchr::memmem;

/// Is the text the beginning of a web page? `None`: more of it is needed to tell.
///
/// `<html>` alone is a relative IRI in Turtle, so the element must have attributes or a child that only HTML has.
pub(crate) fn is_page(text: &[u8]) -> Option<bool> {
    let mut rest = text.trim_ascii_start();
    loop {
        let end = match (begins(rest, "<?xml")?, begins(rest, "<!--")?) {
            (true, _) => "?>",
            (_, true) => "-->",
            _ => break,
        };
        rest = rest[memmem::find(rest, end.as_bytes())? + end.len()..].trim_ascii_start();
    }
    if begins(rest, "<!doctype")? {
        return begins(rest["<!doctype".len()..].trim_ascii_start(), "html");
    }
    if !begins(rest, "<html")? {
        return Some(false);
    }
    let (next, rest) = rest["<html".len()..].split_first()?;
    if *next != b'>' {
        return Some(next.is_ascii_whitespace());
    }
    let children = ["<head>", "<head ", "<body>", "<body ", "<title>", "<meta ", "<script", "<!"];
    let found = children.map(|child| begins(rest.trim_ascii_start(), child));
    if found.contains(&Some(true)) {
        return Some(true);
    }
    if found.contains(&None) { None } else { Some(false) }
}

/// Does the text begin with a word, in any case? `None`: it ends within the word.
fn begins(text: &[u8], word: &str) -> Option<bool> {
    let common = text.len().min(word.len());
    let is_same = text[..common].eq_ignore_ascii_case(&word.as_bytes()[..common]);
    if is_same && common < word.len() { None } else { Some(is_same) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_told_from_documents() {
        let pages = [
            "<!DOCTYPE html>",
            " \n<!doctype HTML PUBLIC \"-//W3C//DTD\">",
            "<html lang='en'>",
            "<HTML><HEAD>",
            "<html>\n <body>",
            "<?xml version='1.0'?>\n<!-- c -->\n<!DOCTYPE html PUBLIC ''>",
        ];
        for page in pages {
            assert_eq!(is_page(page.as_bytes()), Some(true), "{page}");
            let known = (0..page.len()).find(|cut| is_page(&page.as_bytes()[..*cut]).is_some());
            assert!(known.is_none_or(|cut| is_page(&page.as_bytes()[..cut]) == Some(true)), "{page}: {known:?}");
        }
        let others = [
            "<html> a <x> .",
            "<html> <headline> <x> .",
            "<html5> a <x> .",
            "<a:s> <a:p> <a:o> .",
            "<!DOCTYPE rdf:RDF [",
            "<?xml version='1.0'?><rdf:RDF",
            "{\"@id\": 1}",
            "@prefix",
            "# <html>",
        ];
        for other in others {
            assert_ne!(is_page(other.as_bytes()), Some(true), "{other}");
        }
        assert_eq!(is_page(b"<a:s>"), Some(false));
    }
}
