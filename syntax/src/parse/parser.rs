//! The state of a parse, the movement through the tokens, and the limits.
//!
//! Invariants: the parser looks at most one token ahead, nests at most as deep as its language allows, and builds at most
//! [`EXPANDED_BYTES_MAX`] bytes.

use super::aggregate::Aggregates;
use crate::ast::{Blank, Node, Value};
use crate::lexer::{Kind, Lexer, Token};
use crate::limits::{CLAUSE_OPERATORS, EXPANDED_BYTES_MAX, OPERATORS_MAX, TOKENS_MAX};
use crate::{Language, Nesting, Spot};
use entail_model::{Fault, Reason};
use oxiri::Iri;
use std::collections::HashMap;

/// The state of a parse.
pub(super) struct Parser<'a> {
    text: &'a str,
    pub language: Language,
    lexer: Lexer<'a>,
    next: Token<'a>,
    depth: usize,
    nesting: Nesting,
    /// Are the tokens those of a data block, where nothing nests?
    pub in_data: bool,
    pub prefixes: HashMap<&'a str, String>,
    pub base: Option<Iri<String>>,
    pub versions: Vec<(String, Spot)>,
    expanded_bytes: usize,
    blanks: u32,
    /// The first occurrence of each variable.
    pub mentions: HashMap<&'a str, Spot>,
    /// May an aggregate stand here?
    pub aggregates: Aggregates,
    written: Option<Written>,
}

/// The text of the rule that is being read, without comments, with one space for each stretch of white space.
struct Written {
    text: String,
    end: usize,
}

/// An open bracket.
#[derive(Clone, Copy)]
pub(super) struct Bracket {
    mark: &'static str,
    spot: Spot,
}

/// Words of clauses, each of which may nest in the one before.
const CLAUSES: [&str; 9] = ["UNION", "OPTIONAL", "MINUS", "FILTER", "BIND", "GRAPH", "SERVICE", "SELECT", "EXISTS"];

impl<'a> Parser<'a> {
    /// # Errors
    /// `LimitExceeded` for a text that is too long; `Syntax` if it begins with no token.
    pub fn new(text: &'a str, language: Language, base: Option<Iri<String>>) -> Result<Self, Fault> {
        let most = language.text_bytes_max();
        if text.len() > most {
            let what = if language == Language::Rules { "a rule text" } else { "a text" };
            let message = format!("{what} of {} bytes; at most {most} are read", text.len());
            return Err(Fault::new(Reason::LimitExceeded, message));
        }
        let mut lexer = Lexer::new(text, language);
        let next = lexer.token()?;
        Ok(Self {
            text,
            language,
            lexer,
            next,
            depth: 0,
            nesting: Nesting::default(),
            in_data: false,
            prefixes: HashMap::new(),
            base,
            versions: Vec::new(),
            expanded_bytes: 0,
            blanks: 0,
            mentions: HashMap::new(),
            aggregates: Aggregates::Forbidden,
            written: None,
        })
    }

    /// How deep recursion over what was read may get.
    pub fn nesting(&self) -> Nesting {
        self.nesting
    }

    pub fn is_rules(&self) -> bool {
        self.language == Language::Rules
    }

    pub fn peek(&self) -> &Token<'a> {
        &self.next
    }

    pub fn spot(&self) -> Spot {
        self.next.spot
    }

    pub fn advance(&mut self) -> Result<Token<'a>, Fault> {
        self.count()?;
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

    pub fn at_word(&self, keyword: &str) -> bool {
        self.next.is_word(keyword)
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
        match found.kind {
            Kind::Mark("?") => found.spot.syntax("expected the name of a variable after `?` or `$`"),
            _ => found.spot.syntax(format!("expected {expected}, found {}", found.shown(self.text))),
        }
    }

    /// The text of a token, as messages show it.
    pub fn shown(&self, token: &Token<'a>) -> String {
        token.shown(self.text)
    }
}

/// Brackets.
impl<'a> Parser<'a> {
    /// Reads an opening bracket, and goes one level deeper.
    pub fn open(&mut self, mark: &'static str) -> Result<Bracket, Fault> {
        let bracket = Bracket { mark, spot: self.spot() };
        if self.next.is_mark(mark) {
            self.enter()?;
        }
        self.expect(mark)?;
        Ok(bracket)
    }

    /// Reads the bracket that closes `opened`. `expected` names what else may stand there.
    pub fn close(&mut self, opened: Bracket, expected: &str) -> Result<(), Fault> {
        let mark = opened.closing();
        if !self.eat(mark)? {
            return Err(self.unclosed(opened, expected));
        }
        self.leave();
        Ok(())
    }

    /// The fault for a next token that neither continues nor closes a bracket.
    pub fn unclosed(&self, opened: Bracket, expected: &str) -> Fault {
        let Bracket { mark, spot } = opened;
        let or = if expected.is_empty() { "" } else { " or " };
        self.unexpected(&format!("{expected}{or}`{}` for the `{mark}` at {spot}", opened.closing()))
    }

    pub fn enter(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        let most = self.language.depth_max();
        if self.depth > most {
            return Err(self.next.spot.limit(format!("more than {most} levels of nesting")));
        }
        self.nesting.depth = self.nesting.depth.max(self.depth);
        Ok(())
    }

    pub fn leave(&mut self) {
        self.depth -= 1;
    }
}

impl Bracket {
    fn closing(self) -> &'static str {
        match self.mark {
            "(" => ")",
            "[" => "]",
            "<<" => ">>",
            "<<(" => ")>>",
            "{|" => "|}",
            _ => "}",
        }
    }
}

/// Limits and notes.
impl<'a> Parser<'a> {
    /// Counts the next token.
    fn count(&mut self) -> Result<(), Fault> {
        if self.in_data || self.is_rules() {
            return Ok(());
        }
        let (links, operators) = match self.next.kind {
            Kind::Variable(name) => {
                self.mentions.entry(name).or_insert(self.next.spot);
                (1, 0)
            }
            Kind::Word(word) if CLAUSES.iter().any(|clause| word.eq_ignore_ascii_case(clause)) => (1, CLAUSE_OPERATORS),
            Kind::Word(_) => (1, 0),
            Kind::Mark("." | "," | ";" | "^^") => (0, 0),
            Kind::Mark("{" | "}" | "(" | ")" | "[" | "]" | "<<" | ">>" | "<<(" | ")>>" | "{|" | "|}" | "~") => (1, 0),
            Kind::Mark(_) => (1, 1),
            Kind::Integer(number) | Kind::Decimal(number) | Kind::Double(number) if number.starts_with(['+', '-']) => {
                (1, 1)
            }
            _ => (0, 0),
        };
        self.nesting.links += links;
        self.nesting.operators += operators;
        if self.nesting.links > TOKENS_MAX {
            return Err(self.next.spot.limit(format!("more than {TOKENS_MAX} tokens outside of data blocks")));
        }
        if self.nesting.operators > OPERATORS_MAX {
            return Err(self
                .next
                .spot
                .limit(format!("more than {OPERATORS_MAX} operators, where a clause counts for {CLAUSE_OPERATORS}")));
        }
        Ok(())
    }

    /// Counts `bytes` of memory against the limit: names are short in the text and long once resolved.
    pub fn charge(&mut self, bytes: usize, spot: Spot) -> Result<(), Fault> {
        self.expanded_bytes = self.expanded_bytes.saturating_add(bytes);
        if self.expanded_bytes > EXPANDED_BYTES_MAX {
            let mebibytes = EXPANDED_BYTES_MAX >> 20;
            let what = if self.is_rules() { "the rules take" } else { "the text takes" };
            return Err(spot.limit(format!("{what} more than {mebibytes} MiB with names written out")));
        }
        Ok(())
    }

    /// A fresh blank node, distinct from all others in the text.
    pub fn fresh(&mut self, spot: Spot) -> Node {
        self.blanks += 1;
        Node { value: Value::Blank(Blank::Fresh(self.blanks)), spot }
    }

    /// Begins to keep the text from the next token on.
    pub fn begin_writing(&mut self) {
        self.written = Some(Written { text: String::new(), end: self.next.start });
    }

    /// Ends what [`Self::begin_writing`] began.
    pub fn end_writing(&mut self) -> String {
        self.written.take().map(|written| written.text).unwrap_or_default()
    }
}
