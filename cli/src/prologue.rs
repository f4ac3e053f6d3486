//! The prefixes that a query declares, so that its answer can use them.

/// The declared prefixes, name and IRI, in order. Reads only the prologue and stops at what it does not know: the
/// server is the one that judges the query.
pub fn prefixes(query: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(declared) = declaration(&mut rest) {
        found.extend(declared);
    }
    found
}

/// The next declaration: a prefix, or nothing of interest. `None` at the end of the prologue.
fn declaration(rest: &mut &str) -> Option<Option<(String, String)>> {
    let keyword = word(rest)?;
    if keyword.eq_ignore_ascii_case("BASE") {
        iri(rest)?;
        return Some(None);
    }
    if !keyword.eq_ignore_ascii_case("PREFIX") {
        return None;
    }
    skip(rest);
    let (name, after) = rest.split_once(':')?;
    *rest = after;
    let iri = iri(rest)?;
    Some(Some((name.trim_end().to_owned(), iri)))
}

fn word<'a>(rest: &mut &'a str) -> Option<&'a str> {
    skip(rest);
    let end = rest.find(|c: char| !c.is_ascii_alphabetic())?;
    let (word, after) = rest.split_at(end);
    *rest = after;
    (!word.is_empty()).then_some(word)
}

fn iri(rest: &mut &str) -> Option<String> {
    skip(rest);
    let (iri, after) = rest.strip_prefix('<')?.split_once('>')?;
    *rest = after;
    Some(iri.to_owned())
}

/// Skips blanks and comments.
fn skip(rest: &mut &str) {
    loop {
        *rest = rest.trim_start();
        if !rest.starts_with('#') {
            return;
        }
        *rest = rest.find('\n').map_or("", |end| &rest[end..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: &[(&str, &str)]) {
        let owned: Vec<_> = expected.iter().map(|(name, iri)| ((*name).to_owned(), (*iri).to_owned())).collect();
        assert_eq!(prefixes(query), owned, "{query}");
    }

    #[test]
    fn only_the_prologue_counts() {
        check("PREFIX ex: <http://e/>\n prefix : <http://d/> SELECT", &[("ex", "http://e/"), ("", "http://d/")]);
        check("# PREFIX no: <n>\nBASE <http://b/> PREFIX ex:<e#> # c\nASK {}", &[("ex", "e#")]);
        check("SELECT ?s { ?s ?p \"PREFIX ex: <e>\" }", &[]);
        check("PREFIX", &[]);
        check("PREFIX ex", &[]);
        check("PREFIX ex: <http://cut", &[]);
        check("", &[]);
        check("#", &[]);
    }
}
