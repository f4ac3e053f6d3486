//! The fingerprint of a query text: its key in the plan cache, and the values of its parameters.
//!
//! ```text
//! SELECT ?o {  <http://e/a> ?p ?o } # all      text
//! SELECT ?o { <> ?p ?o }                       key, with the parameter http://e/a
//! ```
//!
//! Comments and the amount of white space do not matter. In a *plain* text, which has nothing but triple patterns,
//! nested groups and UNION under solution modifiers, absolute IRIs in the position of a term are parameters: two plain
//! texts with the same key are the same query except for the values of their parameters. In any other text IRIs may
//! name functions, graphs or datatypes, and whether a rewriting applies may depend on them: its key has the whole text.

use crate::algebra::parameters::MARKER;
use entail_syntax::Language;
use entail_syntax::lexer::{Kind, Lexer, Token};
use oxrdf::NamedNode;

/// The identity of a query text in the plan cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub key: String,
    /// The values of the parameters, in the order of the text. Empty for a text that is not plain.
    pub parameters: Vec<NamedNode>,
}

/// The fingerprint of a text; `None` for a text that is not made of tokens.
pub(crate) fn fingerprint(text: &str) -> Option<Fingerprint> {
    if let Some(plain) = plain(text) {
        return Some(plain);
    }
    // No key of a plain text begins with this character.
    let mut key = String::with_capacity(text.len() + 1);
    key.push('=');
    let is_whole = normalise(text, &mut key, |piece, _, key| {
        key.push_str(piece);
        Some(())
    });
    is_whole.map(|()| Fingerprint { key, parameters: Vec::new() })
}

/// The fingerprint of a plain text.
fn plain(text: &str) -> Option<Fingerprint> {
    let mut parameters = Vec::new();
    let mut key = String::with_capacity(text.len());
    each_parameter(text, &mut key, |iri, key| {
        // An absolute IRI without escapes stands for itself.
        parameters.push(NamedNode::new(iri).ok()?);
        key.push_str("<>");
        Some(())
    })?;
    let is_marked = memchr::memmem::find(text.as_bytes(), MARKER.as_bytes()).is_some();
    (!is_marked).then_some(Fingerprint { key, parameters })
}

/// A plain text with markers in place of its parameters; `None` if the text is not plain.
pub(crate) fn with_markers(text: &str) -> Option<String> {
    let mut next = 0;
    let mut marked = String::with_capacity(text.len());
    each_parameter(text, &mut marked, |_, marked| {
        marked.push_str(&format!("<{MARKER}{next}>"));
        next += 1;
        Some(())
    })?;
    Some(marked)
}

/// Copies a plain text to `copy`; `parameter` writes the replacement of each IRI that is a parameter.
fn each_parameter(
    text: &str,
    copy: &mut String,
    mut parameter: impl FnMut(&str, &mut String) -> Option<()>,
) -> Option<()> {
    let mut grammar = Plain::default();
    normalise(text, copy, |piece, token, copy| match grammar.take(piece, token)? {
        Role::Parameter => parameter(&piece[1..piece.len() - 1], copy),
        Role::Other => {
            copy.push_str(piece);
            Some(())
        }
    })
}

/// Passes each token of a text to `take`, and turns white space and comments into one space; `None` if `take` refuses a
/// token, or where no token begins.
fn normalise<'t>(
    text: &'t str,
    copy: &mut String,
    mut take: impl FnMut(&'t str, &Token<'t>, &mut String) -> Option<()>,
) -> Option<()> {
    let mut lexer = Lexer::new(text, Language::Query);
    let (start, mut end) = (copy.len(), 0);
    loop {
        let token = lexer.token().ok()?;
        if token.kind == Kind::End {
            return Some(());
        }
        if token.start > end && copy.len() > start {
            copy.push(' ');
        }
        end = token.end;
        take(&text[token.start..token.end], &token, copy)?;
    }
}

/// The kind of a piece of a plain text.
enum Role {
    Parameter,
    Other,
}

/// Recognises plain texts, piece by piece. Stricter than necessary: a text that it rejects is cached as a whole.
#[derive(Default)]
struct Plain {
    has_form: bool,
    /// Was the piece before `SELECT`, `DISTINCT` or `REDUCED`, so that an asterisk means all variables?
    after_select: bool,
    /// Was the previous piece one after which an IRI is not a term: a declared prefix, or the mark of a datatype?
    before_name: bool,
}

impl Plain {
    /// The role of the next piece; `None` if the text is not plain.
    fn take(&mut self, piece: &str, token: &Token<'_>) -> Option<Role> {
        let after_select = std::mem::take(&mut self.after_select);
        let before_name = std::mem::replace(&mut self.before_name, piece.ends_with([':', '^']));
        match token.kind {
            Kind::Word(word) => self.word(word)?,
            Kind::Mark("*") if after_select => {}
            Kind::Mark("/" | "^" | "^^" | "{" | "}" | "[" | "]" | "." | ";" | ",") => {}
            Kind::Iri(_) if !before_name => return Some(Role::Parameter),
            Kind::Iri(_) | Kind::Prefixed { .. } | Kind::Blank(_) | Kind::Variable(_) => {}
            Kind::String { .. } | Kind::Language(_) => {}
            Kind::Integer(number) | Kind::Decimal(number) | Kind::Double(number) if !number.starts_with(['+', '-']) => {
            }
            _ => return None,
        }
        Some(Role::Other)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let is = |keywords: &[&str]| keywords.iter().any(|keyword| word.eq_ignore_ascii_case(keyword));
        if is(&["select", "ask"]) {
            // A second one begins a subquery.
            let is_first = !std::mem::replace(&mut self.has_form, true);
            self.after_select = true;
            return is_first.then_some(());
        }
        if is(&["distinct", "reduced"]) {
            self.after_select = true;
            return Some(());
        }
        let is_known = is(&["a", "limit", "offset", "prefix", "union", "where", "true", "false"]);
        is_known.then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_key(text: &str) -> Option<(String, Vec<String>)> {
        plain(text).map(|found| (found.key, found.parameters.into_iter().map(NamedNode::into_string).collect()))
    }

    fn some(key: &str, parameters: &[&str]) -> Option<(String, Vec<String>)> {
        Some((key.to_owned(), parameters.iter().map(|iri| (*iri).to_owned()).collect()))
    }

    #[test]
    fn only_what_does_not_matter_is_left_out() {
        let text = " PREFIX e: <http://e/>\n\tSELECT ?o # <x>\n{ <http://e/a>e:p ?o; e: \"a  # <http://b>\" } ";
        assert_eq!(
            plain_key(text),
            some("PREFIX e: <http://e/> SELECT ?o { <>e:p ?o; e: \"a  # <http://b>\" }", &["http://e/a"])
        );
        assert_eq!(plain_key("ASK{?x<http://a>?y}"), some("ASK{?x<>?y}", &["http://a"]));
        assert_eq!(plain_key("ASK { ?s ?p '1'^^<http://d> }"), some("ASK { ?s ?p '1'^^<http://d> }", &[]));
        assert_eq!(
            plain_key("SELECT DISTINCT * { { ?s <http://a>/<http://b> 1 } UNION { ?s a _:b } } LIMIT 3"),
            some("SELECT DISTINCT * { { ?s <>/<> 1 } UNION { ?s a _:b } } LIMIT 3", &["http://a", "http://b"])
        );
    }

    #[test]
    fn iris_that_may_be_more_than_terms_are_no_parameters() {
        for text in [
            "ASK FROM <http://g> { ?s ?p 1 }",
            "ASK { ?s ?p ?o FILTER(<http://f>(?o)) }",
            "ASK { GRAPH <http://g> { ?s ?p ?o } }",
            "ASK { ?s <http://p>* ?o }",
            "ASK { ?s <http://p>+ ?o }",
            "ASK { ?s <http://p>? ?o }",
            "ASK { ?s !<http://p> ?o }",
            "ASK { ?s <http://p>|<http://q> ?o }",
            "ASK { { SELECT ?s { ?s <http://p> ?o } } }",
            "ASK { <<( <http://s> <http://p> ?o )>> ?q ?r }",
            "ASK { << <http://s> <http://p> ?o >> ?q ?r }",
            "ASK { ?s <http://p> ?o {| <http://q> 1 |} }",
            "SELECT (<http://a> AS ?x) {}",
            "DESCRIBE <http://a>",
            "CONSTRUCT { <http://a> ?p ?o } WHERE { ?s ?p ?o }",
            "BASE <http://e/> ASK { <http://e/a> ?p ?o }",
            "ASK { ?s ?p <http://a> } VALUES ?s { <http://b> }",
            "ASK { <a> ?p ?o }",
            "ASK { <http://e/\\u0061> ?p ?o }",
            "PREFIX h: <entail:parameter:> ASK { <http://e/a> ?p h:0 }",
        ] {
            assert_eq!(plain_key(text), None, "{text}");
            let exact = fingerprint(text).unwrap();
            assert_eq!((exact.key, exact.parameters), (format!("={text}"), Vec::new()));
        }
        assert_eq!(fingerprint("\\é"), None);
    }

    #[test]
    fn markers_are_numbered() {
        let marked = with_markers("ASK { <http://a>  ?p <http://b> }").unwrap();
        assert_eq!(marked, "ASK { <entail:parameter:0> ?p <entail:parameter:1> }");
    }
}
