//! Functions on terms, numbers and dates, and casts (17.4.2, 17.4.4, 17.4.5, 17.5).

use crate::expression::{boolean, number_of, same};
use crate::number::{Number, parse};
use crate::query::Function;
use crate::time::{Moment, zone_text};
use crate::value::{Value, is_true};
use crate::{Fail, strings, undecided};
use oxrdf::vocab::{rdf, xsd};
use oxrdf::{Literal, NamedNode, NamedOrBlankNode, Term, Triple};

fn simple(text: impl Into<String>) -> Term {
    Literal::new_simple_literal(text).into()
}

fn iri(text: &str) -> Result<Term, Fail> {
    let has_scheme = text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|character| character.is_ascii_alphanumeric())
    });
    let is_plain = text.chars().all(|character| character.is_alphanumeric() || ":/#.-_~?=&".contains(character));
    if has_scheme && is_plain {
        Ok(NamedNode::new_unchecked(text).into())
    } else {
        Err(undecided("a text that may be no IRI"))
    }
}

/// Calls a function on the values of its arguments.
pub fn call(function: Function, arguments: &[Term]) -> Result<Term, Fail> {
    use Function::*;
    match (function, arguments) {
        (SameTerm, [one, other]) => Ok(same(one, other)),
        (Str, [term]) => text_of(term),
        (Lang, [Term::Literal(literal)]) => Ok(simple(literal.language().unwrap_or_default())),
        (HasLang, [term]) => Ok(boolean(matches!(term, Term::Literal(literal) if literal.language().is_some()))),
        (LangMatches, [tag, range]) => lang_matches(tag, range),
        (Datatype, [Term::Literal(literal)]) => Ok(literal.datatype().into_owned().into()),
        (Iri, [term]) => match (term, Value::of(term)?) {
            (Term::NamedNode(_), _) => Ok(term.clone()),
            (_, Value::Text(text)) => iri(text),
            _ => Err(Fail::Error),
        },
        (StrDt, [form, datatype]) => with_datatype(form, datatype),
        (StrLang, [form, tag]) => with_language(form, tag),
        (IsIri, [term]) => Ok(boolean(matches!(term, Term::NamedNode(_)))),
        (IsBlank, [term]) => Ok(boolean(matches!(term, Term::BlankNode(_)))),
        (IsLiteral, [term]) => Ok(boolean(matches!(term, Term::Literal(_)))),
        (IsNumeric, [term]) => Ok(boolean(matches!(Value::of(term)?, Value::Number(_)))),
        (IsTriple, [term]) => Ok(boolean(matches!(term, Term::Triple(_)))),
        (Triple, [subject, predicate, object]) => triple(subject, predicate, object),
        (Subject, [Term::Triple(triple)]) => Ok(triple.subject.clone().into()),
        (Predicate, [Term::Triple(triple)]) => Ok(triple.predicate.clone().into()),
        (Object, [Term::Triple(triple)]) => Ok(triple.object.clone()),
        (Lang | Datatype | Subject | Predicate | Object, [_]) => Err(Fail::Error),
        (Abs, [term]) => Ok(number_of(term)?.absolute().literal().into()),
        (Ceil, [term]) => Ok(number_of(term)?.ceiling()?.literal().into()),
        (Floor, [term]) => Ok(number_of(term)?.floor()?.literal().into()),
        (Round, [term]) => Ok(number_of(term)?.rounded()?.literal().into()),
        (Year | Month | Day | Hours | Minutes | Seconds | Tz | Timezone, [term]) => moment_part(function, term),
        (Cast(datatype), [term]) => cast(datatype, term),
        _ => strings::call(function, arguments),
    }
}

/// STR: the lexical form as stored. How a computed float or a whole decimal is written is left open.
fn text_of(term: &Term) -> Result<Term, Fail> {
    match term {
        Term::NamedNode(node) => Ok(simple(node.as_str())),
        Term::BlankNode(_) | Term::Triple(_) => Err(Fail::Error),
        Term::Literal(literal) => {
            let computed = match Value::of(term) {
                Ok(Value::Number(number @ (Number::Float(_) | Number::Double(_)))) => Some(number.literal()),
                Ok(Value::Number(number @ Number::Decimal(_))) => {
                    Some(number.literal()).filter(|literal| !literal.value().contains('.'))
                }
                _ => None,
            };
            if computed.as_ref() == Some(literal) {
                return Err(undecided("the text of a number that may be computed"));
            }
            Ok(simple(literal.value()))
        }
    }
}

/// Basic filtering of language tags.
fn lang_matches(tag: &Term, range: &Term) -> Result<Term, Fail> {
    let (Value::Text(tag), Value::Text(range)) = (Value::of(tag)?, Value::of(range)?) else { return Err(Fail::Error) };
    let (tag, range) = (tag.to_lowercase(), range.to_lowercase());
    let matches = if range == "*" { !tag.is_empty() } else { tag == range || tag.starts_with(&format!("{range}-")) };
    Ok(boolean(matches))
}

fn with_datatype(form: &Term, datatype: &Term) -> Result<Term, Fail> {
    let (Value::Text(form), Term::NamedNode(datatype)) = (Value::of(form)?, datatype) else { return Err(Fail::Error) };
    if [rdf::LANG_STRING, rdf::DIR_LANG_STRING].contains(&datatype.as_ref()) {
        return Err(Fail::Error);
    }
    Ok(Literal::new_typed_literal(form, datatype.clone()).into())
}

fn with_language(form: &Term, tag: &Term) -> Result<Term, Fail> {
    let (Value::Text(form), Value::Text(tag)) = (Value::of(form)?, Value::of(tag)?) else { return Err(Fail::Error) };
    let is_tag = !tag.is_empty() && tag.chars().all(|character| character.is_ascii_lowercase());
    if !is_tag || tag.len() > 3 {
        return Err(undecided("a text that may be no language tag"));
    }
    Ok(Literal::new_language_tagged_literal_unchecked(form, tag).into())
}

fn triple(subject: &Term, predicate: &Term, object: &Term) -> Result<Term, Fail> {
    let subject = match subject {
        Term::NamedNode(node) => NamedOrBlankNode::from(node.clone()),
        Term::BlankNode(node) => node.clone().into(),
        Term::Literal(_) | Term::Triple(_) => return Err(Fail::Error),
    };
    let Term::NamedNode(predicate) = predicate else { return Err(Fail::Error) };
    Ok(Triple { subject, predicate: predicate.clone(), object: object.clone() }.into())
}

fn moment_part(function: Function, term: &Term) -> Result<Term, Fail> {
    let (Value::DateTime(moment), Term::Literal(literal)) = (Value::of(term)?, term) else {
        return match Value::of(term)? {
            Value::Date(_) => Err(undecided("a part of a date")),
            _ => Err(Fail::Error),
        };
    };
    let integer = |number: i64| Ok(Literal::from(number).into());
    match function {
        Function::Year => integer(moment.year),
        Function::Month => integer(moment.month),
        Function::Day => integer(moment.day),
        Function::Hours => integer(moment.hour),
        Function::Minutes => integer(moment.minute),
        Function::Seconds => Ok(Number::Decimal(moment.seconds()).literal().into()),
        Function::Tz => Ok(simple(zone_text(literal.value()))),
        _ => timezone(moment),
    }
}

fn timezone(moment: Moment) -> Result<Term, Fail> {
    let minutes = moment.zone.ok_or(Fail::Error)?;
    let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
    let mut text = String::from(if minutes < 0 { "-PT" } else { "PT" });
    if hours > 0 {
        text.push_str(&format!("{hours}H"));
    }
    if rest > 0 {
        text.push_str(&format!("{rest}M"));
    }
    if minutes == 0 {
        text.push_str("0S");
    }
    Ok(Literal::new_typed_literal(text, xsd::DAY_TIME_DURATION).into())
}

/// Casts (17.5; XPath Functions, 19). Texts with white space around a form are not judged.
fn cast(datatype: &str, term: &Term) -> Result<Term, Fail> {
    let value = Value::of(term)?;
    if let Value::IllTyped = value {
        return Err(Fail::Error);
    }
    if let Value::Unknown = value {
        return Err(undecided("a cast of a literal of an unknown datatype"));
    }
    match (datatype, value) {
        (_, Value::Language(_)) => Err(undecided("a cast of a text with a language")),
        ("string", Value::Iri(text) | Value::Text(text)) => Ok(simple(text)),
        ("string", Value::Boolean(value)) => Ok(simple(value.to_string())),
        ("string", Value::Number(number)) => Ok(simple(number.plain()?)),
        ("string", Value::DateTime(_) | Value::Date(_)) => Err(undecided("the canonical text of a date")),
        ("boolean", Value::Boolean(value)) => Ok(boolean(value)),
        ("boolean", Value::Number(_)) => is_true(term).map(boolean),
        ("dateTime" | "date", Value::DateTime(_) | Value::Date(_)) => Err(undecided("a cast between dates")),
        ("boolean" | "dateTime" | "date", Value::Text(text)) => of_form(text, datatype),
        ("boolean" | "dateTime" | "date", _) => Err(Fail::Error),
        (_, Value::Text(text)) if text.trim() != text => Err(undecided("white space around a number")),
        (_, Value::Text(text)) => Ok(parse(text, datatype).ok_or(Fail::Error)?.literal().into()),
        (_, Value::Boolean(value)) => Ok(Number::Integer(value.into()).cast(datatype)?.literal().into()),
        (_, Value::Number(number)) => Ok(number.cast(datatype)?.literal().into()),
        _ => Err(Fail::Error),
    }
}

/// A text as a boolean or a date.
fn of_form(text: &str, datatype: &str) -> Result<Term, Fail> {
    if text.trim() != text {
        return Err(undecided("white space around a form"));
    }
    let datatype = if datatype == "boolean" {
        xsd::BOOLEAN
    } else if datatype == "date" {
        xsd::DATE
    } else {
        xsd::DATE_TIME
    };
    let term = Term::from(Literal::new_typed_literal(text, datatype));
    match Value::of(&term)? {
        Value::Boolean(value) => Ok(boolean(value)),
        Value::IllTyped => Err(Fail::Error),
        _ => Ok(term),
    }
}
