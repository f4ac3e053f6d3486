//! Recursive descent over the grammar of SPARQL-RL: the document, its prologue, rules and bodies.
//!
//! Invariants: the parser looks at most one token ahead, nests at most [`DEPTH_MAX`] deep, and builds at most
//! [`EXPANDED_BYTES_MAX`] bytes.

use super::ast::{Ast, Blank, Element, Negation, Node, Pattern, RuleText, Value};
use super::expression::Expressions;
use super::lexer::Lexer;
use super::token::{Kind, Quotes, Spot, Token};
use super::triples::{Place, Triples};
use super::{DEPTH_MAX, ELEMENTS_MAX, EXPANDED_BYTES_MAX, RULES_MAX};
use entail_model::Fault;
use oxiri::Iri;
use std::collections::HashMap;

/// The state of a parse. `triples`, `term`, `path` and `expression` add the methods for their part of the grammar.
pub(super) struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    next: Token<'a>,
    depth: u32,
    pub prefixes: HashMap<&'a str, String>,
    pub base: Option<Iri<String>>,
    expanded_bytes: usize,
    blanks: u32,
    written: Option<Written>,
}

/// The text of the rule that is being read, without comments, with one space for each stretch of white space.
struct Written {
    text: String,
    end: usize,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Result<Self, Fault> {
        let mut lexer = Lexer::new(text);
        let next = lexer.token()?;
        let (prefixes, base) = (HashMap::new(), None);
        Ok(Self { text, lexer, next, depth: 0, prefixes, base, expanded_bytes: 0, blanks: 0, written: None })
    }

    /// The whole text.
    pub fn document(mut self, fingerprint: u64) -> Result<Ast, Fault> {
        let mut ast = Ast { versions: vec![], imports: vec![], rules: vec![], data: vec![], fingerprint };
        while self.next.kind != Kind::End {
            let spot = self.next.spot;
            if self.next.is_word("RULE") {
                if ast.rules.len() == RULES_MAX {
                    return Err(spot.limit(format!("more than {RULES_MAX} rules in one text")));
                }
                ast.rules.push(self.rule()?);
            } else if self.eat_word("DATA")? {
                ast.data.append(&mut self.triples_only(Place::Data)?);
            } else {
                self.prologue(&mut ast)?;
            }
        }
        Ok(ast)
    }

    fn prologue(&mut self, ast: &mut Ast) -> Result<(), Fault> {
        let spot = self.next.spot;
        if self.eat_word("PREFIX")? {
            let prefix = match self.advance()? {
                Token { kind: Kind::Prefixed { prefix, local }, .. } if local.is_empty() => prefix,
                token => return Err(self.expected("a prefix that ends in `:`", &token)),
            };
            let iri = self.iri_reference()?;
            self.prefixes.insert(prefix, iri);
        } else if self.eat_word("BASE")? {
            let base = self.iri_reference()?;
            self.base = Some(Iri::parse_unchecked(base));
        } else if self.eat_word("VERSION")? {
            match self.advance()? {
                Token { kind: Kind::String { value, quotes: Quotes::Short }, .. } => {
                    ast.versions.push((value.into_owned(), spot));
                }
                token => return Err(self.expected("a version in quotes", &token)),
            }
        } else if self.eat_word("IMPORTS")? {
            ast.imports.push((self.iri()?, spot));
        } else {
            return Err(self.unexpected("RULE, DATA, PREFIX, BASE, VERSION or IMPORTS"));
        }
        Ok(())
    }

    /// A block of triples only, with its braces.
    fn triples_only(&mut self, place: Place) -> Result<Vec<Pattern>, Fault> {
        self.expect("{")?;
        let mut triples = Triples::new(self, place);
        triples.block()?;
        let found = triples.found;
        if self.eat("}")? { Ok(found) } else { Err(self.unexpected("a triple or `}`")) }
    }

    fn rule(&mut self) -> Result<RuleText, Fault> {
        let spot = self.next.spot;
        self.written = Some(Written { text: String::new(), end: self.next.start });
        self.expect_word("RULE")?;
        let name = if self.next.is_mark("{") { None } else { Some(self.iri()?) };
        let head = self.triples_only(Place::Head)?;
        self.check_size(head.len())?;
        self.expect_word("WHERE")?;
        let base_only = self.base_only()?;
        self.expect("{")?;
        let body = self.body()?;
        self.expect("}")?;
        let text = self.written.take().map(|written| written.text).unwrap_or_default();
        Ok(RuleText { name, head, body, base_only, spot, text })
    }

    /// An optional `DATA`, which limits the block after it to asserted facts.
    fn base_only(&mut self) -> Result<Option<Spot>, Fault> {
        let spot = self.next.spot;
        Ok(self.eat_word("DATA")?.then_some(spot))
    }

    fn body(&mut self) -> Result<Vec<Element>, Fault> {
        let mut body = Vec::new();
        self.body_triples(&mut body)?;
        while !self.next.is_mark("}") {
            let element = self.body_element()?;
            body.push(element);
            self.eat(".")?;
            self.body_triples(&mut body)?;
        }
        Ok(body)
    }

    fn body_triples(&mut self, body: &mut Vec<Element>) -> Result<(), Fault> {
        let mut triples = Triples::new(self, Place::Body);
        triples.block()?;
        body.extend(triples.found.into_iter().map(Element::Pattern));
        self.check_size(body.len())
    }

    fn check_size(&self, elements: usize) -> Result<(), Fault> {
        if elements > ELEMENTS_MAX {
            return Err(self.next.spot.limit(format!("a rule with more than {ELEMENTS_MAX} triples or filters")));
        }
        Ok(())
    }

    fn body_element(&mut self) -> Result<Element, Fault> {
        let spot = self.next.spot;
        if self.eat_word("FILTER")? {
            Ok(Element::Filter(Expressions::new(self).constraint()?))
        } else if self.eat_word("NOT")? {
            self.negation(spot)
        } else if self.eat_word("SET")? {
            self.assignment(spot)
        } else {
            Err(self.unexpected("a triple pattern, FILTER, NOT, SET or `}`"))
        }
    }

    fn negation(&mut self, spot: Spot) -> Result<Element, Fault> {
        let base_only = self.base_only()?;
        self.expect("{")?;
        let mut inner = Vec::new();
        self.body_triples(&mut inner)?;
        while self.eat_word("FILTER")? {
            inner.push(Element::Filter(Expressions::new(self).constraint()?));
            self.eat(".")?;
            self.body_triples(&mut inner)?;
        }
        if !self.eat("}")? {
            return Err(self.unexpected("a triple pattern, FILTER or `}`"));
        }
        Ok(Element::Negation(Negation { inner, base_only, spot }))
    }

    fn assignment(&mut self, spot: Spot) -> Result<Element, Fault> {
        self.expect("(")?;
        let variable = self.variable_name()?;
        self.expect(":=")?;
        let value = Expressions::new(self).whole()?;
        self.expect(")")?;
        Ok(Element::Assignment { variable, value, spot })
    }
}

/// Moving through the tokens, and the limits.
impl<'a> Parser<'a> {
    pub fn peek(&self) -> &Token<'a> {
        &self.next
    }

    pub fn advance(&mut self) -> Result<Token<'a>, Fault> {
        let following = self.lexer.token()?;
        let token = std::mem::replace(&mut self.next, following);
        if let Some(written) = &mut self.written {
            if token.start > written.end {
                written.text.push(' ');
            }
            written.text.push_str(&self.text[token.start..token.end]);
            written.end = token.end;
        }
        Ok(token)
    }

    pub fn eat(&mut self, mark: &str) -> Result<bool, Fault> {
        let found = self.next.is_mark(mark);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub fn expect(&mut self, mark: &str) -> Result<(), Fault> {
        if self.eat(mark)? { Ok(()) } else { Err(self.unexpected(&format!("`{mark}`"))) }
    }

    pub fn eat_word(&mut self, keyword: &str) -> Result<bool, Fault> {
        let found = self.next.is_word(keyword);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub fn expect_word(&mut self, keyword: &str) -> Result<(), Fault> {
        if self.eat_word(keyword)? { Ok(()) } else { Err(self.unexpected(keyword)) }
    }

    /// The fault for an unexpected next token.
    pub fn unexpected(&self, expected: &str) -> Fault {
        self.expected(expected, &self.next)
    }

    /// The fault for an unexpected token.
    pub fn expected(&self, expected: &str, found: &Token<'a>) -> Fault {
        found.spot.syntax(format!("expected {expected}, found {}", found.shown(self.text)))
    }

    /// Runs `inner` one level deeper.
    pub fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.enter()?;
        let found = inner(self);
        self.leave();
        found
    }

    pub fn enter(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.next.spot.limit(format!("more than {DEPTH_MAX} levels of nesting")));
        }
        Ok(())
    }

    pub fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Counts `bytes` of memory against the limit: names are short in the text and long once resolved.
    pub fn charge(&mut self, bytes: usize, spot: Spot) -> Result<(), Fault> {
        self.expanded_bytes = self.expanded_bytes.saturating_add(bytes);
        if self.expanded_bytes > EXPANDED_BYTES_MAX {
            let mebibytes = EXPANDED_BYTES_MAX >> 20;
            return Err(spot.limit(format!("the rules take more than {mebibytes} MiB with names written out")));
        }
        Ok(())
    }

    /// A fresh blank node, distinct from all others in the text.
    pub fn fresh(&mut self, spot: Spot) -> Node {
        self.blanks += 1;
        Node { value: Value::Blank(Blank::Fresh(self.blanks)), spot }
    }
}
