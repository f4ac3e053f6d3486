//! The names of the grammar: the characters that they may have, and how one is cut from the text.

use super::Cursor;
use super::token::Kind;
use entail_model::Fault;
use std::borrow::Cow;

/// PN_CHARS_BASE of the grammar.
fn is_letter(c: char) -> bool {
    matches!(c,
        'A'..='Z' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

/// The characters, besides `-`, that names may contain but not begin with.
fn is_extender(c: char) -> bool {
    matches!(c, '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// PN_CHARS of the grammar.
fn is_name_char(c: char) -> bool {
    is_letter(c) || is_extender(c) || matches!(c, '_' | '-')
}

/// May a prefixed name or a keyword begin with this character?
pub(super) fn starts_name(c: char) -> bool {
    is_letter(c) || c == ':'
}

/// A variable; `None` if no name follows the `?` or `$` at the cursor.
pub(super) fn variable<'a>(cursor: &mut Cursor<'a>) -> Option<Kind<'a>> {
    let mut ahead = *cursor;
    ahead.bump();
    ahead.peek().filter(|&c| is_letter(c) || c == '_' || c.is_ascii_digit())?;
    let name = ahead.take_while(|c| is_letter(c) || is_extender(c) || c == '_');
    *cursor = ahead;
    Some(Kind::Variable(name))
}

/// The label of a blank node, after its `_:`.
pub(super) fn blank<'a>(cursor: &mut Cursor<'a>) -> Result<Kind<'a>, Fault> {
    let spot = cursor.spot();
    cursor.skip("_:");
    let from = *cursor;
    match cursor.peek() {
        Some(c) if is_letter(c) || c == '_' || c.is_ascii_digit() => take_dotted(cursor, is_name_char),
        _ => return Err(spot.syntax("expected the label of a blank node after `_:`")),
    }
    Ok(Kind::Blank(from.until(cursor)))
}

/// A prefixed name, or else a word: the longest match decides.
pub(super) fn prefixed_or_word<'a>(cursor: &mut Cursor<'a>) -> Result<Kind<'a>, Fault> {
    let from = *cursor;
    if cursor.peek().is_some_and(is_letter) {
        take_dotted(cursor, is_name_char);
    }
    if cursor.peek() == Some(':') {
        let prefix = from.until(cursor);
        cursor.bump();
        return Ok(Kind::Prefixed { prefix, local: local(cursor) });
    }
    *cursor = from;
    match cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_') {
        "" => Err(cursor.unexpected()),
        word => Ok(Kind::Word(word)),
    }
}

/// PN_LOCAL of the grammar, with its backslashes resolved; empty where there is none.
fn local<'a>(cursor: &mut Cursor<'a>) -> Cow<'a, str> {
    let from = *cursor;
    let first = cursor.peek().is_some_and(|c| is_letter(c) || c.is_ascii_digit() || matches!(c, '_' | ':'));
    if first || take_escape(cursor) {
        take_dotted(cursor, |c| is_name_char(c) || c == ':');
    }
    let written = from.until(cursor);
    if written.contains('\\') { Cow::Owned(written.replace('\\', "")) } else { Cow::Borrowed(written) }
}

/// Takes characters that `allowed` accepts, escapes, and dots, except for dots at the end.
///
/// Only local names have escapes; they are the names that allow `:`.
fn take_dotted(cursor: &mut Cursor<'_>, allowed: impl Fn(char) -> bool) {
    let with_escapes = allowed(':');
    let mut good = *cursor;
    while let Some(c) = cursor.peek() {
        if allowed(c) {
            cursor.bump();
            good = *cursor;
        } else if c == '.' {
            cursor.bump();
        } else if with_escapes && take_escape(cursor) {
            good = *cursor;
        } else {
            break;
        }
    }
    *cursor = good;
}

/// PLX of the grammar: `%` and two hex digits, or `\` and a reserved character.
fn take_escape(cursor: &mut Cursor<'_>) -> bool {
    const RESERVED: &str = "_~.-!$&'()*+,;=/?#@%";
    let mut ahead = *cursor;
    let found = match ahead.bump() {
        Some('%') => (0..2).all(|_| ahead.bump().is_some_and(|c| c.is_ascii_hexdigit())),
        Some('\\') => ahead.bump().is_some_and(|c| RESERVED.contains(c)),
        _ => false,
    };
    if found {
        *cursor = ahead;
    }
    found
}

/// `@` and a language, with its direction: the shape of LANG_DIR.
pub(super) fn language<'a>(cursor: &mut Cursor<'a>) -> Result<Kind<'a>, Fault> {
    let spot = cursor.spot();
    cursor.bump();
    let from = *cursor;
    if cursor.take_while(|c| c.is_ascii_alphabetic()).is_empty() {
        return Err(spot.syntax("expected a language after `@`"));
    }
    loop {
        let mut ahead = *cursor;
        let taken = if ahead.skip("--") {
            ahead.take_while(|c| c.is_ascii_alphabetic())
        } else if ahead.skip("-") {
            ahead.take_while(|c| c.is_ascii_alphanumeric())
        } else {
            ""
        };
        if taken.is_empty() {
            return Ok(Kind::Language(from.until(cursor)));
        }
        *cursor = ahead;
    }
}
