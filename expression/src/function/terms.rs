//! Functions of terms: their parts, and terms that are made.

use super::Call;
use crate::compare::parse;
use crate::value::number::Number;
use crate::value::{Lexical, LiteralKind, Value, View};
use entail_model::Fault;
use entail_syntax::ast::Function;
use oxiri::Iri;
use oxrdf::vocab::rdf;
use oxrdf::{BaseDirection, Literal, NamedOrBlankNode, Term, Triple};

/// The form of a string without a language; `None` for anything else.
pub(super) fn plain(view: View<'_>) -> Result<Option<&str>, Fault> {
    Ok(match super::strings::string(view)? {
        Some((form, LiteralKind::String)) => Some(form),
        _ => None,
    })
}

fn iri(text: &str) -> Value {
    let mut bytes = Vec::with_capacity(text.len() + 1);
    bytes.push(b'I');
    bytes.extend_from_slice(text.as_bytes());
    Value::Term(bytes.into())
}

/// STR, LANG, LANGDIR, DATATYPE, IRI, STRDT, STRLANG and STRLANGDIR.
pub(super) fn call(function: Function, arguments: &[View<'_>], call: &mut Call<'_, '_, '_>) -> Result<Value, Fault> {
    let first = arguments[0];
    match function {
        Function::Str => {
            call.budget.build(first.bytes())?;
            Ok(match first.lexical()? {
                Lexical::Iri(text) => Value::string(text),
                Lexical::Literal { form, .. } => Value::string(&form),
                _ => Value::Error,
            })
        }
        Function::Lang | Function::LangDir | Function::Datatype => Ok(match first.lexical()? {
            Lexical::Literal { kind, .. } => part(function, kind),
            _ => Value::Error,
        }),
        Function::Iri => make_iri(first, call),
        _ => make_literal(function, arguments, call),
    }
}

fn part(function: Function, kind: LiteralKind<'_>) -> Value {
    match (function, kind) {
        (Function::Datatype, kind) => iri(kind.datatype()),
        (Function::Lang, LiteralKind::Language(tag, _)) => Value::string(tag),
        (Function::LangDir, LiteralKind::Language(_, direction)) => Value::string(direction),
        _ => Value::string(""),
    }
}

fn make_iri(argument: View<'_>, call: &mut Call<'_, '_, '_>) -> Result<Value, Fault> {
    call.budget.build(argument.bytes())?;
    if let Lexical::Iri(text) = argument.lexical()? {
        return Ok(iri(text));
    }
    let Some(text) = plain(argument)? else { return Ok(Value::Error) };
    let resolved = match call.context.base {
        Some(base) => base.resolve(text),
        None => Iri::parse(text.to_owned()),
    };
    Ok(resolved.map_or(Value::Error, |resolved| iri(resolved.as_str())))
}

fn make_literal(function: Function, arguments: &[View<'_>], call: &mut Call<'_, '_, '_>) -> Result<Value, Fault> {
    call.budget.build(arguments[0].bytes() + arguments[1].bytes())?;
    let Some(form) = plain(arguments[0])? else { return Ok(Value::Error) };
    if function == Function::StrDt {
        return Ok(match arguments[1].lexical()? {
            // A form alone does not make these.
            Lexical::Iri(datatype) if datatype == rdf::LANG_STRING.as_str() => Value::Error,
            Lexical::Iri(datatype) if datatype == rdf::DIR_LANG_STRING.as_str() => Value::Error,
            Lexical::Iri(datatype) if datatype == oxrdf::vocab::xsd::STRING.as_str() => Value::string(form),
            Lexical::Iri(datatype) => LiteralKind::Typed(datatype).literal(form),
            _ => Value::Error,
        });
    }
    let Some(tag) = plain(arguments[1])? else { return Ok(Value::Error) };
    let literal = if function == Function::StrLang {
        Literal::new_language_tagged_literal(form, tag)
    } else {
        let direction = match plain(arguments[2])? {
            Some("ltr") => BaseDirection::Ltr,
            Some("rtl") => BaseDirection::Rtl,
            _ => return Ok(Value::Error),
        };
        Literal::new_directional_language_tagged_literal(form, tag, direction)
    };
    Ok(literal.map_or(Value::Error, |literal| Value::of(literal.as_ref().into())))
}

/// hasLANG; `None` is an error.
pub(super) fn has_language(view: View<'_>) -> Result<Option<bool>, Fault> {
    literal_kind(view, |kind| matches!(kind, LiteralKind::Language(..)))
}

/// hasLANGDIR; `None` is an error.
pub(super) fn has_direction(view: View<'_>) -> Result<Option<bool>, Fault> {
    literal_kind(view, |kind| matches!(kind, LiteralKind::Language(_, direction) if !direction.is_empty()))
}

/// A term that is no literal has no such kind.
fn literal_kind(view: View<'_>, is: impl Fn(LiteralKind<'_>) -> bool) -> Result<Option<bool>, Fault> {
    Ok(match view.lexical()? {
        Lexical::Error => None,
        Lexical::Literal { kind, .. } => Some(is(kind)),
        _ => Some(false),
    })
}

/// LANGMATCHES: basic filtering of RFC 4647; `None` is an error.
pub(super) fn language_matches(tag: View<'_>, range: View<'_>) -> Result<Option<bool>, Fault> {
    let (Some(tag), Some(range)) = (plain(tag)?, plain(range)?) else { return Ok(None) };
    if range == "*" {
        return Ok(Some(!tag.is_empty()));
    }
    let begins = tag.get(..range.len()).is_some_and(|start| start.eq_ignore_ascii_case(range));
    Ok(Some(begins && matches!(tag.as_bytes().get(range.len()), None | Some(b'-'))))
}

/// TRIPLE, SUBJECT, PREDICATE and OBJECT.
pub(super) fn triples(function: Function, arguments: &[View<'_>]) -> Result<Value, Fault> {
    if function == Function::Triple {
        return make_triple(arguments);
    }
    let Lexical::Triple(text) = arguments[0].lexical()? else { return Ok(Value::Error) };
    let Triple { subject, predicate, object } = parse(text)?;
    let part = match function {
        Function::Subject => subject.into(),
        Function::Predicate => predicate.into(),
        _ => object,
    };
    Ok(Value::of(part.as_ref()))
}

fn make_triple(arguments: &[View<'_>]) -> Result<Value, Fault> {
    let [subject, predicate, object] = [arguments[0].term()?, arguments[1].term()?, arguments[2].term()?];
    let subject = match subject {
        Some(Term::NamedNode(node)) => NamedOrBlankNode::from(node),
        Some(Term::BlankNode(node)) => node.into(),
        _ => return Ok(Value::Error),
    };
    let (Some(Term::NamedNode(predicate)), Some(object)) = (predicate, object) else { return Ok(Value::Error) };
    Ok(Value::of(Term::from(Triple { subject, predicate, object }).as_ref()))
}

/// BNODE, UUID, STRUUID and RAND.
pub(super) fn fresh(function: Function, arguments: &[View<'_>], call: &mut Call<'_, '_, '_>) -> Result<Value, Fault> {
    call.budget.build(64)?;
    let number = || call.context.fresh(call.row, call.place);
    Ok(match (function, arguments) {
        // One label gives one node in a solution, wherever it stands.
        (Function::BNode, [label]) => match plain(*label)? {
            Some(label) => blank(call.context.labelled(call.row, label)),
            None => Value::Error,
        },
        (Function::BNode, _) => blank(number()),
        (Function::Uuid, _) => iri(&format!("urn:uuid:{}", uuid(number()))),
        (Function::StrUuid, _) => Value::string(&uuid(number())),
        _ => {
            // 53 bits, the precision of a double.
            let bits = (number() >> 75) as u64;
            Value::Number(Number::Double(bits as f64 / (1u64 << 53) as f64))
        }
    })
}

fn blank(number: u128) -> Value {
    Value::Term(format!("Be{number:032x}").into_bytes().into())
}

/// A UUID of version 4: random but for its version and variant.
fn uuid(number: u128) -> String {
    let number = number & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = format!("{number:032x}");
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}
