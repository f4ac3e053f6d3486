//! Functions of strings. Long ones are worked on in pieces, and the budget is asked between them.

use super::Call;
use crate::Budget;
use crate::value::{Lexical, LiteralKind, Text, Typed, Value, View};
use entail_model::Fault;
use entail_syntax::ast::Function;
use std::borrow::Cow;
use std::sync::Arc;

/// Bytes of a piece.
const PIECE: usize = 64 << 10;

/// The form of a string, with or without a language; `None` for anything else.
pub(super) fn string(view: View<'_>) -> Result<Option<(&str, LiteralKind<'_>)>, Fault> {
    Ok(match view {
        View::Stored { text: Some(_), .. } | View::Term(_) => match view.lexical()? {
            Lexical::Literal {
                form: Cow::Borrowed(form),
                kind: kind @ (LiteralKind::String | LiteralKind::Language(..)),
            } => Some((form, kind)),
            _ => None,
        },
        // No inline value is a string.
        View::Stored { .. } => view.typed().map(|_| None)?,
        _ => None,
    })
}

/// Two strings that may be compared: the second one has no language, or that of the first (17.4.3.1.2).
fn compatible<'v>(one: View<'v>, other: View<'v>) -> Result<Option<(&'v str, &'v str, LiteralKind<'v>)>, Fault> {
    let (Some((one, kind)), Some((other, other_kind))) = (string(one)?, string(other)?) else { return Ok(None) };
    Ok((other_kind == LiteralKind::String || kind == other_kind).then_some((one, other, kind)))
}

/// CONTAINS, STRSTARTS and STRENDS; `None` is an error.
pub(super) fn test(
    function: Function,
    arguments: &[View<'_>],
    call: &mut Call<'_, '_, '_>,
) -> Result<Option<bool>, Fault> {
    let Some((text, part, _)) = compatible(arguments[0], arguments[1])? else { return Ok(None) };
    Ok(Some(match function {
        Function::StrStarts => text.starts_with(part),
        Function::StrEnds => text.ends_with(part),
        _ => find(text, part, call.budget)?.is_some(),
    }))
}

/// SUBSTR, STRLEN, UCASE, LCASE, ENCODE_FOR_URI, STRBEFORE and STRAFTER.
pub(super) fn call(function: Function, arguments: &[View<'_>], call: &mut Call<'_, '_, '_>) -> Result<Value, Fault> {
    let Some((text, kind)) = string(arguments[0])? else { return Ok(Value::Error) };
    let budget = &mut *call.budget;
    if let (Function::UCase | Function::LCase, Some(term)) = (function, arguments[0].text())
        && let Some(changed) = in_case(function, term, text, budget)?
    {
        return Ok(changed);
    }
    match function {
        Function::StrLen => length(text, budget),
        Function::SubStr => substring(text, kind, &arguments[1..], budget),
        Function::StrBefore | Function::StrAfter => around(function, arguments, budget),
        Function::UCase => mapped(text, kind, budget, upper),
        Function::LCase => mapped(text, kind, budget, lower),
        _ => mapped(text, LiteralKind::String, budget, encode),
    }
}

/// CONCAT.
pub(super) fn concat(arguments: &[View<'_>], budget: &mut Budget<'_>) -> Result<Value, Fault> {
    let mut parts = Vec::with_capacity(arguments.len());
    let mut common: Option<LiteralKind<'_>> = None;
    for argument in arguments {
        let Some((text, kind)) = string(*argument)? else { return Ok(Value::Error) };
        // Only what all have in common is kept.
        common = Some(match common {
            Some(common) if common != kind => LiteralKind::String,
            _ => kind,
        });
        parts.push(text);
    }
    budget.build(parts.iter().map(|part| part.len()).sum())?;
    let mut result = String::new();
    for piece in parts.iter().flat_map(|part| pieces(part)) {
        budget.work(piece.len())?;
        result.push_str(piece);
    }
    Ok(common.unwrap_or(LiteralKind::String).literal(&result))
}

fn length(text: &str, budget: &mut Budget<'_>) -> Result<Value, Fault> {
    let mut count = 0;
    for piece in pieces(text) {
        budget.work(piece.len())?;
        count += piece.chars().count();
    }
    Ok(Value::integer(count as i128))
}

/// fn:substring, for integers: characters from `start`, counted from one, and fewer than `start + length`.
fn substring(
    text: &str,
    kind: LiteralKind<'_>,
    arguments: &[View<'_>],
    budget: &mut Budget<'_>,
) -> Result<Value, Fault> {
    let mut numbers = [i128::MIN, i128::MAX];
    for (number, argument) in numbers.iter_mut().zip(arguments) {
        match integer(*argument)? {
            Some(integer) => *number = integer,
            None => return Ok(Value::Error),
        }
    }
    let [start, length] = numbers;
    let end = if arguments.len() == 2 { start.saturating_add(length) } else { i128::MAX };
    let from = place(text, start.max(1), budget)?;
    let to = from + place(&text[from..], end.saturating_sub(start.max(1)).saturating_add(1).max(1), budget)?;
    budget.build(to - from)?;
    Ok(kind.literal(&text[from..to]))
}

fn integer(view: View<'_>) -> Result<Option<i128>, Fault> {
    Ok(match view.typed()? {
        Typed::Number(crate::value::number::Number::Integer(number)) => Some(number.get()),
        _ => None,
    })
}

/// The byte at which the character of that number begins, counted from one; the end if there are less.
fn place(text: &str, number: i128, budget: &mut Budget<'_>) -> Result<usize, Fault> {
    let mut left = usize::try_from(number - 1).unwrap_or(usize::MAX);
    let mut passed = 0;
    for piece in pieces(text) {
        budget.work(piece.len().min(left.saturating_mul(4)))?;
        // No piece has more characters than bytes.
        if left < piece.len()
            && let Some((at, _)) = piece.char_indices().nth(left)
        {
            return Ok(passed + at);
        }
        left -= left.min(piece.chars().count());
        passed += piece.len();
    }
    Ok(passed)
}

/// STRBEFORE and STRAFTER: without a match an empty string without a language.
fn around(function: Function, arguments: &[View<'_>], budget: &mut Budget<'_>) -> Result<Value, Fault> {
    let Some((text, part, kind)) = compatible(arguments[0], arguments[1])? else { return Ok(Value::Error) };
    let Some(at) = find(text, part, budget)? else { return Ok(Value::string("")) };
    let result = if function == Function::StrBefore { &text[..at] } else { &text[at + part.len()..] };
    budget.build(result.len())?;
    Ok(kind.literal(result))
}

/// UCASE and LCASE of a short string of ASCII, which ends its term: a copy of the term is changed in place. `None` for
/// other strings.
fn in_case(function: Function, term: &[u8], text: &str, budget: &mut Budget<'_>) -> Result<Option<Value>, Fault> {
    if text.len() > PIECE || !text.is_ascii() {
        return Ok(None);
    }
    budget.work(text.len())?;
    budget.build(text.len())?;
    let mut changed = Text::from(term);
    // Nothing else refers to the copy, so that it is not copied again.
    let form = &mut Arc::make_mut(&mut changed)[term.len() - text.len()..];
    if function == Function::UCase {
        form.make_ascii_uppercase();
    } else {
        form.make_ascii_lowercase();
    }
    Ok(Some(Value::Term(changed)))
}

fn mapped(
    text: &str,
    kind: LiteralKind<'_>,
    budget: &mut Budget<'_>,
    map: impl Fn(&str, &mut String),
) -> Result<Value, Fault> {
    let mut result = String::with_capacity(text.len());
    for piece in pieces(text) {
        budget.work(8 * piece.len())?;
        map(piece, &mut result);
        if result.len() > budget.literal_bytes_max {
            break;
        }
    }
    // It fails if there is too much by now.
    budget.build(result.len())?;
    Ok(kind.literal(&result))
}

fn upper(piece: &str, result: &mut String) {
    let from = result.len();
    if piece.is_ascii() {
        result.push_str(piece);
        result[from..].make_ascii_uppercase();
    } else {
        result.push_str(&piece.to_uppercase());
    }
}

fn lower(piece: &str, result: &mut String) {
    let from = result.len();
    if piece.is_ascii() {
        result.push_str(piece);
        result[from..].make_ascii_lowercase();
    } else {
        result.push_str(&piece.to_lowercase());
    }
}

/// fn:encode-for-uri: all but the unreserved characters of RFC 3986.
fn encode(piece: &str, result: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in piece.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => result.push(byte.into()),
            other => {
                result.push('%');
                result.push(DIGITS[usize::from(other >> 4)].into());
                result.push(DIGITS[usize::from(other & 15)].into());
            }
        }
    }
}

/// The place of the first occurrence.
fn find(text: &str, part: &str, budget: &mut Budget<'_>) -> Result<Option<usize>, Fault> {
    if text.len() <= PIECE {
        budget.work(text.len())?;
        return Ok(text.find(part));
    }
    // A long part is found by its beginning. That may take many tries, each of which can be stopped.
    let (head, _) = part.split_at(boundary(part, PIECE));
    let mut from = 0;
    while from + part.len() <= text.len() {
        budget.work(PIECE)?;
        let end = boundary(text, from + PIECE + head.len());
        match text[from..end].find(head) {
            Some(at) => {
                budget.work(part.len())?;
                from += at;
                if text.as_bytes()[from..].starts_with(part.as_bytes()) {
                    return Ok(Some(from));
                }
                from += text[from..].chars().next().map_or(1, char::len_utf8);
            }
            None => from = boundary(text, from + PIECE),
        }
    }
    Ok(None)
}

/// The last place between two characters that is not after this one.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A text in pieces that end between words, where there are some: case depends on neighbours within a word.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = boundary(rest, PIECE);
        if end < rest.len()
            && let Some(space) = rest.as_bytes()[..end].iter().rposition(|byte| *byte == b' ')
        {
            end = space + 1;
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// With and without a language, of ASCII and of other letters.
        #[test]
        fn short_ascii_changes_case_as_any_string(text in "[a-zA-Z0-9 ÄßİσΣ]{0,20}|[ -~]{0,30}", head in 0..3usize) {
            let head = ["S", "Gde-at\0", "War\0rtl\0"][head];
            let term = [head.as_bytes(), text.as_bytes()].concat();
            let mut budget = Budget::new(u64::MAX, &|| Ok(()));
            let (form, kind) = string(View::Term(&term)).unwrap().unwrap();
            prop_assert_eq!(form, &text);
            type Map = fn(&str, &mut String);
            let maps: [(_, Map); 2] = [(Function::UCase, upper), (Function::LCase, lower)];
            for (function, map) in maps {
                let fast = in_case(function, &term, form, &mut budget).unwrap();
                prop_assert_eq!(fast.is_some(), text.is_ascii());
                let general = mapped(form, kind, &mut budget, map).unwrap();
                let fast = fast.unwrap_or_else(|| general.clone());
                prop_assert_eq!(fast.view().text(), general.view().text());
                let whole = if function == Function::UCase { text.to_uppercase() } else { text.to_lowercase() };
                prop_assert_eq!(general.view().text(), Some(&[head.as_bytes(), whole.as_bytes()].concat()[..]));
            }
        }
    }

    #[test]
    fn long_texts_are_searched_in_pieces() {
        let mut budget = Budget::new(u64::MAX, &|| Ok(()));
        let filler = "abcé ".repeat(40_000);
        for part in ["needle", "é needle", &("needle".to_owned() + &filler)] {
            for before in [0, PIECE - 3, PIECE, 3 * PIECE + 1] {
                let before = boundary(&filler, before);
                let text = format!("{}{part}{filler}", &filler[..before]);
                assert_eq!(find(&text, part, &mut budget).unwrap(), text.find(part), "{before}");
                assert_eq!(find(&text, "absent", &mut budget).unwrap(), None);
            }
        }
        assert_eq!(pieces(&filler).collect::<String>(), filler);
        assert!(pieces(&filler).all(|piece| piece.len() <= PIECE));
        assert_eq!(place(&filler, 150_002, &mut budget).unwrap(), filler.char_indices().nth(150_001).unwrap().0);
    }
}
