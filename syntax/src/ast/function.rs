//! The functions with a name of their own in the grammar, in one table.

use serde::{Deserialize, Serialize};

/// A function of SPARQL 1.1 or 1.2, or ADJUST of SEP-0002.
///
/// Not in here: operators, aggregates, EXISTS, and what is named by an IRI (the casts).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Function {
    // Terms in general.
    Str,
    Lang,
    LangMatches,
    LangDir,
    Datatype,
    Bound,
    Iri,
    BNode,
    StrDt,
    StrLang,
    StrLangDir,
    SameTerm,
    IsIri,
    IsBlank,
    IsLiteral,
    IsNumeric,
    HasLang,
    HasLangDir,
    // Control.
    If,
    Coalesce,
    // Numbers.
    Abs,
    Ceil,
    Floor,
    Round,
    Rand,
    // Strings.
    Concat,
    SubStr,
    StrLen,
    Replace,
    UCase,
    LCase,
    EncodeForUri,
    Contains,
    StrStarts,
    StrEnds,
    StrBefore,
    StrAfter,
    Regex,
    // Dates and times.
    Now,
    Year,
    Month,
    Day,
    Hours,
    Minutes,
    Seconds,
    Timezone,
    Tz,
    Adjust,
    // Identifiers and digests.
    Uuid,
    StrUuid,
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
    // Triple terms.
    IsTriple,
    Triple,
    Subject,
    Predicate,
    Object,
}

/// What the table says about a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    pub function: Function,
    /// The name as the standard writes it; case does not matter in a text.
    pub name: &'static str,
    pub arguments_least: usize,
    /// `usize::MAX`: any number.
    pub arguments_most: usize,
    /// May its value differ between two calls with the same arguments, or between two evaluations of a query?
    pub is_volatile: bool,
    /// Does it resolve relative IRIs against the base?
    pub needs_base: bool,
}

const MANY: usize = usize::MAX;

const fn fixed(function: Function, name: &'static str, arguments: usize) -> Signature {
    between(function, name, arguments, arguments)
}

const fn between(function: Function, name: &'static str, least: usize, most: usize) -> Signature {
    Signature { function, name, arguments_least: least, arguments_most: most, is_volatile: false, needs_base: false }
}

const fn volatile(function: Function, name: &'static str, least: usize, most: usize) -> Signature {
    Signature { is_volatile: true, ..between(function, name, least, most) }
}

/// Every function, in the order of [`Function`].
static TABLE: [Signature; 60] = [
    fixed(Function::Str, "STR", 1),
    fixed(Function::Lang, "LANG", 1),
    fixed(Function::LangMatches, "LANGMATCHES", 2),
    fixed(Function::LangDir, "LANGDIR", 1),
    fixed(Function::Datatype, "DATATYPE", 1),
    fixed(Function::Bound, "BOUND", 1),
    Signature { needs_base: true, ..fixed(Function::Iri, "IRI", 1) },
    volatile(Function::BNode, "BNODE", 0, 1),
    fixed(Function::StrDt, "STRDT", 2),
    fixed(Function::StrLang, "STRLANG", 2),
    fixed(Function::StrLangDir, "STRLANGDIR", 3),
    fixed(Function::SameTerm, "sameTerm", 2),
    fixed(Function::IsIri, "isIRI", 1),
    fixed(Function::IsBlank, "isBLANK", 1),
    fixed(Function::IsLiteral, "isLITERAL", 1),
    fixed(Function::IsNumeric, "isNUMERIC", 1),
    fixed(Function::HasLang, "hasLANG", 1),
    fixed(Function::HasLangDir, "hasLANGDIR", 1),
    fixed(Function::If, "IF", 3),
    between(Function::Coalesce, "COALESCE", 0, MANY),
    fixed(Function::Abs, "ABS", 1),
    fixed(Function::Ceil, "CEIL", 1),
    fixed(Function::Floor, "FLOOR", 1),
    fixed(Function::Round, "ROUND", 1),
    volatile(Function::Rand, "RAND", 0, 0),
    between(Function::Concat, "CONCAT", 0, MANY),
    between(Function::SubStr, "SUBSTR", 2, 3),
    fixed(Function::StrLen, "STRLEN", 1),
    between(Function::Replace, "REPLACE", 3, 4),
    fixed(Function::UCase, "UCASE", 1),
    fixed(Function::LCase, "LCASE", 1),
    fixed(Function::EncodeForUri, "ENCODE_FOR_URI", 1),
    fixed(Function::Contains, "CONTAINS", 2),
    fixed(Function::StrStarts, "STRSTARTS", 2),
    fixed(Function::StrEnds, "STRENDS", 2),
    fixed(Function::StrBefore, "STRBEFORE", 2),
    fixed(Function::StrAfter, "STRAFTER", 2),
    between(Function::Regex, "REGEX", 2, 3),
    volatile(Function::Now, "NOW", 0, 0),
    fixed(Function::Year, "YEAR", 1),
    fixed(Function::Month, "MONTH", 1),
    fixed(Function::Day, "DAY", 1),
    fixed(Function::Hours, "HOURS", 1),
    fixed(Function::Minutes, "MINUTES", 1),
    fixed(Function::Seconds, "SECONDS", 1),
    fixed(Function::Timezone, "TIMEZONE", 1),
    fixed(Function::Tz, "TZ", 1),
    fixed(Function::Adjust, "ADJUST", 2),
    volatile(Function::Uuid, "UUID", 0, 0),
    volatile(Function::StrUuid, "STRUUID", 0, 0),
    fixed(Function::Md5, "MD5", 1),
    fixed(Function::Sha1, "SHA1", 1),
    fixed(Function::Sha256, "SHA256", 1),
    fixed(Function::Sha384, "SHA384", 1),
    fixed(Function::Sha512, "SHA512", 1),
    fixed(Function::IsTriple, "isTRIPLE", 1),
    fixed(Function::Triple, "TRIPLE", 3),
    fixed(Function::Subject, "SUBJECT", 1),
    fixed(Function::Predicate, "PREDICATE", 1),
    fixed(Function::Object, "OBJECT", 1),
];

impl Function {
    /// Every function, with what the table says about it.
    pub fn all() -> impl Iterator<Item = &'static Signature> {
        TABLE.iter()
    }

    /// The function of a name, in any case. `URI` and `isURI` are other names of `IRI` and `isIRI`.
    pub fn named(name: &str) -> Option<Self> {
        let name = match name {
            _ if name.eq_ignore_ascii_case("URI") => "IRI",
            _ if name.eq_ignore_ascii_case("isURI") => "isIRI",
            _ => name,
        };
        TABLE.iter().find(|signature| signature.name.eq_ignore_ascii_case(name)).map(|signature| signature.function)
    }

    /// What the table says about this function.
    pub fn signature(self) -> &'static Signature {
        &TABLE[self as usize]
    }

    /// The name as the standard writes it.
    pub fn name(self) -> &'static str {
        self.signature().name
    }

    /// May its value differ between two calls with the same arguments, or between two evaluations of a query?
    pub fn is_volatile(self) -> bool {
        self.signature().is_volatile
    }

    /// May its value differ between two calls with the same arguments in one query? NOW has one value for a query.
    pub fn is_random(self) -> bool {
        self.is_volatile() && self != Self::Now
    }

    /// Does it resolve relative IRIs against the base?
    pub fn needs_base(self) -> bool {
        self.signature().needs_base
    }

    /// Is it a function of SPARQL-RL?
    pub fn is_in_rules(self) -> bool {
        !matches!(
            self,
            Self::Bound
                | Self::Coalesce
                | Self::Rand
                | Self::Adjust
                | Self::Md5
                | Self::Sha1
                | Self::Sha256
                | Self::Sha384
                | Self::Sha512
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_functions() {
        for (index, signature) in TABLE.iter().enumerate() {
            assert_eq!(signature.function as usize, index, "{}", signature.name);
            assert_eq!(Function::named(&signature.name.to_lowercase()), Some(signature.function));
            assert!(signature.arguments_least <= signature.arguments_most, "{}", signature.name);
        }
        assert_eq!(Function::Object as usize + 1, TABLE.len(), "the last function has the last row");
        assert_eq!((Function::named("uri"), Function::named("ISURI")), (Some(Function::Iri), Some(Function::IsIri)));
        assert_eq!(Function::named("SQRT"), None);
    }
}
