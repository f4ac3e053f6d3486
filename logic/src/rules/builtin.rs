//! The functions of the language: how each is called in the algebra, and how many arguments it takes.

use oxrdf::NamedNodeRef;
use oxrdf::vocab::xsd;
use spargebra::algebra::{Expression, Function};

/// A function with a name of its own in the grammar.
pub(super) struct Builtin {
    pub name: &'static str,
    call: Call,
    pub least: usize,
    pub most: usize,
}

enum Call {
    Function(Function),
    If,
    SameTerm,
}

const fn function(name: &'static str, function: Function, least: usize, most: usize) -> Builtin {
    Builtin { name, call: Call::Function(function), least, most }
}

static BUILTINS: [Builtin; 53] = [
    function("STR", Function::Str, 1, 1),
    function("LANG", Function::Lang, 1, 1),
    function("LANGMATCHES", Function::LangMatches, 2, 2),
    function("LANGDIR", Function::LangDir, 1, 1),
    function("DATATYPE", Function::Datatype, 1, 1),
    function("IRI", Function::Iri, 1, 1),
    function("URI", Function::Iri, 1, 1),
    function("BNODE", Function::BNode, 0, 1),
    function("ABS", Function::Abs, 1, 1),
    function("CEIL", Function::Ceil, 1, 1),
    function("FLOOR", Function::Floor, 1, 1),
    function("ROUND", Function::Round, 1, 1),
    function("CONCAT", Function::Concat, 0, usize::MAX),
    function("SUBSTR", Function::SubStr, 2, 3),
    function("STRLEN", Function::StrLen, 1, 1),
    function("REPLACE", Function::Replace, 3, 4),
    function("UCASE", Function::UCase, 1, 1),
    function("LCASE", Function::LCase, 1, 1),
    function("ENCODE_FOR_URI", Function::EncodeForUri, 1, 1),
    function("CONTAINS", Function::Contains, 2, 2),
    function("STRSTARTS", Function::StrStarts, 2, 2),
    function("STRENDS", Function::StrEnds, 2, 2),
    function("STRBEFORE", Function::StrBefore, 2, 2),
    function("STRAFTER", Function::StrAfter, 2, 2),
    function("YEAR", Function::Year, 1, 1),
    function("MONTH", Function::Month, 1, 1),
    function("DAY", Function::Day, 1, 1),
    function("HOURS", Function::Hours, 1, 1),
    function("MINUTES", Function::Minutes, 1, 1),
    function("SECONDS", Function::Seconds, 1, 1),
    function("TIMEZONE", Function::Timezone, 1, 1),
    function("TZ", Function::Tz, 1, 1),
    function("NOW", Function::Now, 0, 0),
    function("UUID", Function::Uuid, 0, 0),
    function("STRUUID", Function::StrUuid, 0, 0),
    Builtin { name: "IF", call: Call::If, least: 3, most: 3 },
    function("STRLANG", Function::StrLang, 2, 2),
    function("STRLANGDIR", Function::StrLangDir, 3, 3),
    function("STRDT", Function::StrDt, 2, 2),
    Builtin { name: "SAMETERM", call: Call::SameTerm, least: 2, most: 2 },
    function("ISIRI", Function::IsIri, 1, 1),
    function("ISURI", Function::IsIri, 1, 1),
    function("ISBLANK", Function::IsBlank, 1, 1),
    function("ISLITERAL", Function::IsLiteral, 1, 1),
    function("ISNUMERIC", Function::IsNumeric, 1, 1),
    function("HASLANG", Function::HasLang, 1, 1),
    function("HASLANGDIR", Function::HasLangDir, 1, 1),
    function("REGEX", Function::Regex, 2, 3),
    function("ISTRIPLE", Function::IsTriple, 1, 1),
    function("TRIPLE", Function::Triple, 3, 3),
    function("SUBJECT", Function::Subject, 1, 1),
    function("PREDICATE", Function::Predicate, 1, 1),
    function("OBJECT", Function::Object, 1, 1),
];

/// Functions of SPARQL that the draft leaves out, so that the message can say so.
const SPARQL_ONLY: &str = "BOUND COALESCE EXISTS RAND MD5 SHA1 SHA256 SHA384 SHA512 COUNT SUM MIN MAX AVG SAMPLE \
    GROUP_CONCAT ADJUST";

/// The function of that name; upper and lower case are the same.
pub(super) fn find(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name.eq_ignore_ascii_case(name))
}

pub(super) fn is_sparql_only(name: &str) -> bool {
    SPARQL_ONLY.split(' ').any(|other| other.eq_ignore_ascii_case(name))
}

/// Does the evaluator have this function? Of functions named by an IRI it has only the casts of SPARQL.
pub(super) fn is_cast(function: NamedNodeRef<'_>) -> bool {
    [xsd::STRING, xsd::BOOLEAN, xsd::DOUBLE, xsd::FLOAT, xsd::INTEGER, xsd::DECIMAL, xsd::DATE_TIME].contains(&function)
}

impl Builtin {
    /// Does the value depend on where or when the function is evaluated? Rules must not call it: every shard and every
    /// later epoch must derive the same facts.
    pub fn is_volatile(&self) -> bool {
        matches!(self.call, Call::Function(Function::Now | Function::Uuid | Function::StrUuid | Function::BNode))
    }

    /// Does the function resolve relative IRIs?
    pub fn needs_base(&self) -> bool {
        matches!(self.call, Call::Function(Function::Iri))
    }

    /// The call as algebra. The number of arguments is between [`Self::least`] and [`Self::most`].
    pub fn call(&self, arguments: Vec<Expression>) -> Expression {
        match &self.call {
            Call::Function(function) => Expression::FunctionCall(function.clone(), arguments),
            Call::If => {
                let [test, then, otherwise] = boxed(arguments);
                Expression::If(test, then, otherwise)
            }
            Call::SameTerm => {
                let [left, right] = boxed(arguments);
                Expression::SameTerm(left, right)
            }
        }
    }
}

fn boxed<const N: usize>(arguments: Vec<Expression>) -> [Box<Expression>; N] {
    let arguments: [Expression; N] = arguments.try_into().expect("the caller counted the arguments");
    arguments.map(Box::new)
}
