//! The grammar of regular expressions: XSD 1.1 appendix G with the additions of XPath Functions 3.1 (5.6.1).
//!
//! Invariant: brackets nest at most [`DEPTH_MAX`] deep, so the parser may recurse.

use super::flags::Flags;
use super::{Refusal, class, invalid, unsupported};
use regex_syntax::hir::{Capture, Class, ClassUnicode, Hir, Look, Repetition};

const DEPTH_MAX: usize = 100;
/// The largest number in a quantifier; a larger one gives no automaton of the size that is allowed.
const REPEATS_MAX: u32 = 100_000;

pub struct Parsed {
    pub tree: Hir,
    /// How many groups capture.
    pub groups: usize,
}

/// Reads a pattern.
pub fn parse(pattern: &str, flags: Flags) -> Result<Parsed, Refusal> {
    if flags.is_literal {
        let parser = Parser { letters: Vec::new(), at: 0, flags, groups: 0, depth: 0 };
        let tree = Hir::concat(pattern.chars().map(|letter| parser.literal(letter)).collect());
        return Ok(Parsed { tree, groups: 0 });
    }
    let letters = if flags.ignores_whitespace { without_whitespace(pattern) } else { pattern.chars().collect() };
    let mut parser = Parser { letters, at: 0, flags, groups: 0, depth: 0 };
    let tree = parser.alternatives()?;
    match parser.peek() {
        None => Ok(Parsed { tree, groups: parser.groups as usize }),
        Some(letter) => Err(invalid(format!("a regular expression with {letter} out of place"))),
    }
}

/// With flag `x`: whitespace outside of classes is left out.
fn without_whitespace(pattern: &str) -> Vec<char> {
    let (mut letters, mut brackets, mut is_escaped) = (Vec::new(), 0usize, false);
    for letter in pattern.chars() {
        match letter {
            _ if is_escaped => {}
            '[' => brackets += 1,
            ']' => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        if brackets > 0 || !matches!(letter, '\t' | '\n' | '\r' | ' ') {
            is_escaped = letter == '\\' && !is_escaped;
            letters.push(letter);
        }
    }
    letters
}

struct Parser {
    letters: Vec<char>,
    at: usize,
    flags: Flags,
    groups: u32,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek();
        self.at += 1;
        letter
    }

    fn eat(&mut self, letter: char) -> bool {
        let is_next = self.peek() == Some(letter);
        self.at += usize::from(is_next);
        is_next
    }

    fn enter(&mut self) -> Result<(), Refusal> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(super::too_large(format!(
                "a regular expression with more than {DEPTH_MAX} brackets in each other"
            )));
        }
        Ok(())
    }

    fn alternatives(&mut self) -> Result<Hir, Refusal> {
        let mut branches = vec![self.branch()?];
        while self.eat('|') {
            branches.push(self.branch()?);
        }
        Ok(Hir::alternation(branches))
    }

    fn branch(&mut self) -> Result<Hir, Refusal> {
        let mut parts = Vec::new();
        while let Some(letter) = self.peek() {
            if matches!(letter, '|' | ')') {
                break;
            }
            let atom = self.atom()?;
            parts.push(self.repeated(atom)?);
        }
        Ok(Hir::concat(parts))
    }

    fn atom(&mut self) -> Result<Hir, Refusal> {
        let Some(letter) = self.next() else { return Err(invalid("a regular expression that ends too early")) };
        Ok(match letter {
            '(' => return self.group(),
            '[' => set(self.class()?),
            '\\' => return self.escaped(),
            '.' if self.flags.dot_matches_all => set(class::without(class::of(&[]))),
            '.' => set(class::without(class::of(&[('\n', '\n'), ('\r', '\r')]))),
            '^' => Hir::look(if self.flags.is_multiline { Look::StartLF } else { Look::Start }),
            '$' => Hir::look(if self.flags.is_multiline { Look::EndLF } else { Look::End }),
            '*' | '+' | '?' | '{' => return Err(invalid(format!("a regular expression with {letter} after nothing"))),
            '}' | ']' => return Err(invalid(format!("a regular expression with {letter} out of place"))),
            other => self.literal(other),
        })
    }

    /// A character, in both cases if the flag says so.
    fn literal(&self, letter: char) -> Hir {
        let folded = self.flags.ignores_case.then(|| class::folded(class::single(letter)));
        match folded {
            Some(class) if class.ranges().len() > 1 => set(class),
            _ => Hir::literal(letter.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    fn group(&mut self) -> Result<Hir, Refusal> {
        self.enter()?;
        let captures = !self.eat('?');
        if !captures && !self.eat(':') {
            return Err(invalid("a regular expression with (? that is not (?:"));
        }
        let index = self.groups + 1;
        if captures {
            self.groups = index;
        }
        let inner = self.alternatives()?;
        if !self.eat(')') {
            return Err(invalid("a regular expression without the ) of a ("));
        }
        self.depth -= 1;
        Ok(if captures { Hir::capture(Capture { index, name: None, sub: Box::new(inner) }) } else { inner })
    }

    fn escaped(&mut self) -> Result<Hir, Refusal> {
        match self.peek() {
            Some('1'..='9') => Err(unsupported("back references in regular expressions are not supported")),
            _ => Ok(match self.escape()? {
                Escape::Letter(letter) => self.literal(letter),
                Escape::Class(class) => set(class),
            }),
        }
    }

    /// What stands after a backslash, in classes and outside.
    fn escape(&mut self) -> Result<Escape, Refusal> {
        let Some(letter) = self.next() else { return Err(invalid("a regular expression that ends with \\")) };
        Ok(match letter {
            'n' => Escape::Letter('\n'),
            'r' => Escape::Letter('\r'),
            't' => Escape::Letter('\t'),
            '\\' | '|' | '.' | '?' | '*' | '+' | '(' | ')' | '{' | '}' | '-' | '[' | ']' | '^' | '$' => {
                Escape::Letter(letter)
            }
            'p' | 'P' => {
                let class = self.property()?;
                Escape::Class(if letter == 'P' { class::without(class) } else { class })
            }
            other => match class::escape(other) {
                Some(class) => Escape::Class(class),
                None => return Err(invalid(format!("\\{other} in a regular expression"))),
            },
        })
    }

    fn property(&mut self) -> Result<ClassUnicode, Refusal> {
        if !self.eat('{') {
            return Err(invalid("\\p without {"));
        }
        let mut name = String::new();
        loop {
            match self.next() {
                Some('}') => return class::property(&name),
                Some(letter) => name.push(letter),
                None => return Err(invalid("\\p{ without }")),
            }
        }
    }

    /// After `[`: a set, what it leaves out, and `]`.
    fn class(&mut self) -> Result<ClassUnicode, Refusal> {
        self.enter()?;
        let is_negated = self.eat('^');
        let mut class = class::of(&[]);
        let mut is_empty = true;
        loop {
            let Some(letter) = self.peek() else { return Err(invalid("a regular expression without the ] of a [")) };
            if letter == ']' && !is_empty {
                break;
            }
            if letter == '-' && self.letters.get(self.at + 1) == Some(&'[') && !is_empty {
                break;
            }
            class.union(&self.member(is_empty)?);
            is_empty = false;
        }
        if is_negated {
            class.negate();
        }
        if self.eat('-') {
            self.eat('[');
            class.difference(&self.class()?);
        }
        if !self.eat(']') {
            return Err(invalid("a class with more after what it leaves out"));
        }
        self.depth -= 1;
        Ok(class)
    }

    /// A character, a range or an escape within a class. Only characters and ranges are folded: `\p{Lu}` stays as it is.
    fn member(&mut self, is_first: bool) -> Result<ClassUnicode, Refusal> {
        let start = match self.next() {
            Some('\\') => match self.escape()? {
                Escape::Class(class) => return Ok(class),
                Escape::Letter(letter) => letter,
            },
            Some(letter @ ('[' | ']')) => return Err(invalid(format!("{letter} in a class without \\"))),
            // A hyphen stands for itself at the start or at the end.
            Some('-') if !is_first && self.peek() != Some(']') => {
                return Err(invalid("- in a class that is neither first nor last, nor in a range"));
            }
            Some(letter) => letter,
            None => return Err(invalid("a regular expression without the ] of a [")),
        };
        let end = self.range_end()?.unwrap_or(start);
        if end < start {
            return Err(invalid(format!("the range {start}-{end}")));
        }
        let class = class::of(&[(start, end)]);
        Ok(if self.flags.ignores_case { class::folded(class) } else { class })
    }

    fn range_end(&mut self) -> Result<Option<char>, Refusal> {
        let is_range = self.peek() == Some('-') && !matches!(self.letters.get(self.at + 1), None | Some('[' | ']'));
        if !is_range {
            return Ok(None);
        }
        self.at += 1;
        match self.next() {
            Some('\\') => match self.escape()? {
                Escape::Letter(letter) => Ok(Some(letter)),
                Escape::Class(_) => Err(invalid("a range that ends with a class")),
            },
            end => Ok(end),
        }
    }

    /// The quantifiers after an atom: at most one, and `?` after it.
    fn repeated(&mut self, atom: Hir) -> Result<Hir, Refusal> {
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                self.at += 1;
                self.quantity()?
            }
            _ => return Ok(atom),
        };
        self.at += 1;
        let greedy = !self.eat('?');
        if max.is_some_and(|max| max < min) {
            return Err(invalid("a quantifier whose greatest number is less than its least"));
        }
        if min.max(max.unwrap_or(0)) > REPEATS_MAX {
            return Err(super::too_large(format!("a regular expression that repeats more than {REPEATS_MAX} times")));
        }
        Ok(Hir::repetition(Repetition { min, max, greedy, sub: Box::new(atom) }))
    }

    /// `{n}`, `{n,}` or `{n,m}`, up to the closing brace.
    fn quantity(&mut self) -> Result<(u32, Option<u32>), Refusal> {
        let min = self.number().ok_or_else(|| invalid("{ without a number"))?;
        let max = if self.eat(',') { self.number() } else { Some(min) };
        if self.peek() == Some('}') { Ok((min, max)) } else { Err(invalid("a quantifier without }")) }
    }

    fn number(&mut self) -> Option<u32> {
        let mut number = None;
        while let Some(digit) = self.peek().filter(char::is_ascii_digit).and_then(|letter| letter.to_digit(10)) {
            number = Some(number.unwrap_or(0u32).saturating_mul(10).saturating_add(digit));
            self.at += 1;
        }
        number
    }
}

enum Escape {
    Letter(char),
    Class(ClassUnicode),
}

fn set(class: ClassUnicode) -> Hir {
    Hir::class(Class::Unicode(class))
}
