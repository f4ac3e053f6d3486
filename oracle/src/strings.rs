//! Functions on strings (17.4.3), by characters. Patterns are literal texts: other regular expressions are not judged.

use crate::number::Number;
use crate::query::Function;
use crate::value::Value;
use crate::{Fail, expression, undecided};
use oxrdf::{Literal, Term};
use std::cmp::Ordering;

/// A string literal: its text, and its language.
#[derive(Clone)]
struct Text {
    text: String,
    language: Option<String>,
}

impl Text {
    fn of(term: &Term) -> Result<Self, Fail> {
        match (Value::of(term)?, term) {
            (Value::Text(text), _) => Ok(Self { text: text.to_owned(), language: None }),
            (Value::Language(text), Term::Literal(literal)) if literal.direction().is_none() => {
                Ok(Self { text: text.to_owned(), language: literal.language().map(str::to_owned) })
            }
            (Value::Language(_), _) => Err(undecided("a text with a direction")),
            _ => Err(Fail::Error),
        }
    }

    /// Another text in the same language.
    fn with(&self, text: String) -> Term {
        match &self.language {
            Some(language) => Literal::new_language_tagged_literal_unchecked(text, language).into(),
            None => simple(text),
        }
    }
}

fn simple(text: String) -> Term {
    Literal::new_simple_literal(text).into()
}

/// The second argument of a function whose arguments must be compatible (17.4.3.1.2).
fn compatible(first: &Text, term: &Term) -> Result<String, Fail> {
    let second = Text::of(term)?;
    let is_compatible = second.language.is_none() || second.language == first.language;
    if is_compatible { Ok(second.text) } else { Err(Fail::Error) }
}

/// A text without a language.
fn plain(term: &Term) -> Result<String, Fail> {
    match Value::of(term)? {
        Value::Text(text) => Ok(text.to_owned()),
        _ => Err(Fail::Error),
    }
}

/// Calls a function on strings.
pub fn call(function: Function, arguments: &[Term]) -> Result<Term, Fail> {
    if function == Function::Concat {
        return concat(arguments);
    }
    let [first, rest @ ..] = arguments else { return Err(Fail::Error) };
    let first = Text::of(first)?;
    let text = &first.text;
    match (function, rest) {
        (Function::StrLen, []) => Ok(Literal::from(text.chars().count() as i64).into()),
        (Function::UCase, []) => Ok(first.with(text.to_uppercase())),
        (Function::LCase, []) => Ok(first.with(text.to_lowercase())),
        (Function::EncodeForUri, []) => Ok(simple(encoded(text))),
        (Function::SubStr, [start, length @ ..]) => Ok(first.with(part(text, start, length.first())?)),
        (Function::Contains, [other]) => Ok(expression::boolean(text.contains(&compatible(&first, other)?))),
        (Function::StrStarts, [other]) => Ok(expression::boolean(text.starts_with(&compatible(&first, other)?))),
        (Function::StrEnds, [other]) => Ok(expression::boolean(text.ends_with(&compatible(&first, other)?))),
        (Function::StrBefore, [other]) => {
            let found = text.split_once(&compatible(&first, other)?);
            Ok(found.map_or_else(|| simple(String::new()), |(before, _)| first.with(before.to_owned())))
        }
        (Function::StrAfter, [other]) => {
            let found = text.split_once(&compatible(&first, other)?);
            Ok(found.map_or_else(|| simple(String::new()), |(_, after)| first.with(after.to_owned())))
        }
        (Function::Regex, [pattern, flags @ ..]) => {
            let (pattern, is_insensitive) = (literal_pattern(pattern)?, has_flag_i(flags)?);
            let found = if is_insensitive {
                text.to_lowercase().contains(&pattern.to_lowercase())
            } else {
                text.contains(&pattern)
            };
            Ok(expression::boolean(found))
        }
        (Function::Replace, [pattern, replacement]) => {
            let (pattern, replacement) = (literal_pattern(pattern)?, plain(replacement)?);
            if pattern.is_empty() {
                return Err(Fail::Error);
            }
            if replacement.contains(['$', '\\']) {
                return Err(undecided("a replacement with groups"));
            }
            Ok(first.with(text.replace(&pattern, &replacement)))
        }
        _ => Err(undecided("a call that the oracle does not know")),
    }
}

fn literal_pattern(term: &Term) -> Result<String, Fail> {
    let pattern = plain(term)?;
    let is_literal = pattern.chars().all(|character| character.is_ascii_alphanumeric() || character == ' ');
    if is_literal { Ok(pattern) } else { Err(undecided("a regular expression")) }
}

fn has_flag_i(flags: &[Term]) -> Result<bool, Fail> {
    match flags {
        [] => Ok(false),
        [flags] => match plain(flags)?.as_str() {
            "" => Ok(false),
            "i" => Ok(true),
            _ => Err(undecided("flags of a regular expression")),
        },
        _ => Err(undecided("a call that the oracle does not know")),
    }
}

/// SPARQL's arguments are integers, XPath's are numbers.
fn position(term: &Term) -> Result<Number, Fail> {
    match expression::number_of(term)? {
        integer @ Number::Integer(_) => Ok(integer),
        _ => Err(undecided("a position that is no integer")),
    }
}

/// fn:substring: positions count from 1, and those outside of the text do not matter.
fn part(text: &str, start: &Term, length: Option<&Term>) -> Result<String, Fail> {
    let start = position(start)?;
    let end = match length {
        Some(length) => Some(start.plus(position(length)?, 1)?),
        None => None,
    };
    let mut part = String::new();
    for (position, character) in (1..).zip(text.chars()) {
        let position = Number::Integer(position);
        let is_after = position.compare(start)?.is_some_and(Ordering::is_ge);
        let is_before = match end {
            Some(end) => position.compare(end)?.is_some_and(Ordering::is_lt),
            None => true,
        };
        if is_after && is_before {
            part.push(character);
        }
    }
    Ok(part)
}

/// The result has the language that all arguments have.
fn concat(arguments: &[Term]) -> Result<Term, Fail> {
    let texts = arguments.iter().map(Text::of).collect::<Result<Vec<Text>, Fail>>()?;
    let all: String = texts.iter().map(|text| text.text.as_str()).collect();
    match texts.as_slice() {
        [first, others @ ..] if others.iter().all(|other| other.language == first.language) => Ok(first.with(all)),
        _ => Ok(simple(all)),
    }
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => (byte as char).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
