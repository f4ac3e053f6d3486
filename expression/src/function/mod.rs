//! The functions, one row at a time, and the casts.
//!
//! ```text
//! test ── sameTerm, isIRI, CONTAINS, REGEX, ... ──► a boolean, or an error
//! call ── STR, CONCAT, YEAR, ... ─────────────────► a value, or an error
//! ```
//!
//! An error of the expression is `None` or [`Value::Error`]; a `Fault` ends the request. IF, COALESCE and BOUND are not here:
//! they do not evaluate all their arguments.

mod cast;
mod dates;
mod digest;
mod patterns;
mod strings;
mod terms;

pub use cast::{cast_string, cast_to};
pub use patterns::{Cache, Matcher};

use crate::value::datatype::Datatype;
use crate::value::number::Number;
use crate::value::{Typed, Value, View};
use crate::{Budget, Context};
use entail_model::{Fault, TermKind};
use entail_syntax::ast::Function;

/// What a call may use.
pub struct Call<'e, 'b, 'm> {
    pub context: &'e Context<'e>,
    pub budget: &'e mut Budget<'b>,
    pub matcher: &'e mut Matcher<'m>,
    /// The row, and the place of the call in its program: what new names depend on.
    pub row: u32,
    pub place: u32,
}

/// A cast that is named by an IRI.
pub enum Cast {
    String,
    To(Datatype),
}

/// The cast of that IRI: to the datatypes of XPath's constructors that SPARQL has (17.5), and to dates and durations.
pub fn cast(iri: &str) -> Option<Cast> {
    use crate::value::datatype::Range;
    if iri == oxrdf::vocab::xsd::STRING.as_str() {
        return Some(Cast::String);
    }
    match Datatype::of(iri)? {
        Datatype::Integer(range) if range != Range::All => None,
        Datatype::DateTimeStamp => None,
        datatype => Some(Cast::To(datatype)),
    }
}

/// Is the kind of its arguments' terms, or whether they have one, all that a function looks at?
pub fn needs_kind_only(function: Function) -> bool {
    matches!(function, Function::Bound | Function::IsIri | Function::IsBlank | Function::IsLiteral | Function::IsTriple)
}

/// Does the function give a boolean, by [`test`]?
pub fn is_test(function: Function) -> bool {
    use Function as F;
    matches!(
        function,
        F::SameTerm
            | F::IsIri
            | F::IsBlank
            | F::IsLiteral
            | F::IsTriple
            | F::IsNumeric
            | F::HasLang
            | F::HasLangDir
            | F::LangMatches
            | F::Contains
            | F::StrStarts
            | F::StrEnds
            | F::Regex
    )
}

/// A function that gives a boolean. `None` is an error.
///
/// # Errors
/// What the budget says; `Unsupported` or `LimitExceeded` for a regular expression that is not evaluated; `Internal` if only the
/// id of a term is known that is looked into.
pub fn test(function: Function, arguments: &[View<'_>], call: &mut Call<'_, '_, '_>) -> Result<Option<bool>, Fault> {
    let kind = |kind: TermKind| Ok(arguments[0].kind()?.map(|found| found == kind));
    match function {
        Function::SameTerm => arguments[0].is_same(arguments[1]),
        Function::IsIri => kind(TermKind::Iri),
        Function::IsBlank => kind(TermKind::BlankNode),
        Function::IsLiteral => kind(TermKind::Literal),
        Function::IsTriple => kind(TermKind::Triple),
        Function::IsNumeric => Ok(match arguments[0].typed()? {
            Typed::Error => None,
            value => Some(matches!(value, Typed::Number(_) | Typed::TooLarge)),
        }),
        Function::HasLang => terms::has_language(arguments[0]),
        Function::HasLangDir => terms::has_direction(arguments[0]),
        Function::LangMatches => terms::language_matches(arguments[0], arguments[1]),
        Function::Regex => patterns::matches(arguments, call),
        Function::Contains | Function::StrStarts | Function::StrEnds => strings::test(function, arguments, call),
        _ => Err(Fault::internal(format!("{} does not give a boolean", function.name()))),
    }
}

/// A function that gives a value.
///
/// # Errors
/// What the budget says; `Unsupported` or `LimitExceeded` for a regular expression that is not evaluated; `Internal` if only the
/// id of a term is known that is looked into.
pub fn call(function: Function, arguments: &[View<'_>], call: &mut Call<'_, '_, '_>) -> Result<Value, Fault> {
    use Function as F;
    Ok(match function {
        F::Str | F::Lang | F::LangDir | F::Datatype | F::Iri | F::StrDt | F::StrLang | F::StrLangDir => {
            terms::call(function, arguments, call)?
        }
        F::Triple | F::Subject | F::Predicate | F::Object => terms::triples(function, arguments)?,
        F::BNode | F::Uuid | F::StrUuid | F::Rand => terms::fresh(function, arguments, call)?,
        F::Abs | F::Ceil | F::Floor | F::Round => match arguments[0].typed()? {
            Typed::Number(number) => numeric(function, number),
            _ => Value::Error,
        },
        F::Concat => strings::concat(arguments, call.budget)?,
        F::SubStr | F::StrLen | F::UCase | F::LCase | F::EncodeForUri | F::StrBefore | F::StrAfter => {
            strings::call(function, arguments, call)?
        }
        F::Replace => patterns::replace(arguments, call)?,
        F::Now => call.context.now.map_or(Value::Error, Value::Instant),
        F::Year | F::Month | F::Day | F::Hours | F::Minutes | F::Seconds | F::Timezone | F::Tz | F::Adjust => {
            dates::call(function, arguments)?
        }
        F::Md5 | F::Sha1 | F::Sha256 | F::Sha384 | F::Sha512 => digest::call(function, arguments[0], call.budget)?,
        _ => return Err(Fault::internal(format!("{} is not called with values", function.name()))),
    })
}

fn numeric(function: Function, number: Number) -> Value {
    match function {
        Function::Abs => number.checked_abs().map_or(Value::Error, Value::Number),
        Function::Ceil => Value::Number(number.ceil()),
        Function::Floor => Value::Number(number.floor()),
        _ => Value::Number(number.round()),
    }
}
