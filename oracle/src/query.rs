//! Queries as data: what a text of SPARQL says, before the standard's translation to its algebra (18.2).
//!
//! Only what the oracle judges is here. Names of variables have no question mark; blank nodes of patterns are labels.

use oxrdf::{NamedNode, Term};

/// A place in a pattern.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Variable(String),
    /// A blank node of the text, which matches any term.
    Blank(String),
    Term(Term),
    /// A triple term with places of its own.
    Triple(Box<TriplePattern>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct TriplePattern {
    pub subject: Node,
    pub predicate: Node,
    pub object: Node,
}

/// A property path.
#[derive(Clone, Debug, PartialEq)]
pub enum Path {
    Link(NamedNode),
    Inverse(Box<Path>),
    Sequence(Box<Path>, Box<Path>),
    Alternative(Box<Path>, Box<Path>),
    ZeroOrOne(Box<Path>),
    ZeroOrMore(Box<Path>),
    OneOrMore(Box<Path>),
    /// `!(:a | ^:b)`: the predicates that a step forward does not have, and those that a step backward does not have.
    Negated {
        forward: Vec<NamedNode>,
        backward: Vec<NamedNode>,
    },
}

/// What stands between two braces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group(pub Vec<Element>);

#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    Triple(TriplePattern),
    Path(Node, Path, Node),
    Filter(Expression),
    Bind(Expression, String),
    Optional(Group),
    Minus(Group),
    /// The graph's name: a variable or a term.
    Graph(Node, Group),
    /// The branches of a UNION; one branch is a group within the group.
    Union(Vec<Group>),
    Values(Values),
    Select(Box<Select>),
}

/// Rows of VALUES; `None` is UNDEF.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    pub variables: Vec<String>,
    pub rows: Vec<Vec<Option<Term>>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    Variable(String),
    Term(Term),
    Or(Box<Expression>, Box<Expression>),
    And(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    In(Box<Expression>, Vec<Expression>),
    NotIn(Box<Expression>, Vec<Expression>),
    Compute(Arithmetic, Box<Expression>, Box<Expression>),
    Negative(Box<Expression>),
    Call(Function, Vec<Expression>),
    Exists(Group),
    Aggregate(Box<Aggregate>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// Functions and functional forms, by their names in SPARQL; casts by the local name of their datatype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Bound,
    If,
    Coalesce,
    SameTerm,
    Str,
    Lang,
    LangMatches,
    HasLang,
    Datatype,
    Iri,
    Bnode,
    StrDt,
    StrLang,
    IsIri,
    IsBlank,
    IsLiteral,
    IsNumeric,
    IsTriple,
    Triple,
    Subject,
    Predicate,
    Object,
    Abs,
    Ceil,
    Floor,
    Round,
    StrLen,
    SubStr,
    UCase,
    LCase,
    EncodeForUri,
    Contains,
    StrStarts,
    StrEnds,
    StrBefore,
    StrAfter,
    Concat,
    Replace,
    Regex,
    Year,
    Month,
    Day,
    Hours,
    Minutes,
    Seconds,
    Tz,
    Timezone,
    Cast(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    pub function: Fold,
    pub is_distinct: bool,
    /// `None` is the `*` of COUNT.
    pub argument: Option<Expression>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Fold {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    Sample,
    /// With its separator.
    GroupConcat(String),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    #[default]
    Kept,
    Removed,
    /// REDUCED: an evaluator may keep any number of them.
    Open,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Projection {
    Star,
    /// Variables, and the expressions that they are names of.
    Items(Vec<(Option<Expression>, String)>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    pub duplicates: Duplicates,
    pub projection: Projection,
    pub pattern: Group,
    /// The keys with their names, if any; empty without GROUP BY.
    pub group_by: Vec<(Expression, Option<String>)>,
    pub having: Vec<Expression>,
    pub order_by: Vec<OrderKey>,
    pub offset: usize,
    pub limit: Option<usize>,
    pub values: Option<Values>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OrderKey {
    pub expression: Expression,
    pub is_descending: bool,
}

impl Select {
    /// `SELECT *` of a pattern.
    pub fn all(pattern: Group) -> Self {
        Self {
            duplicates: Duplicates::Kept,
            projection: Projection::Star,
            pattern,
            group_by: Vec::new(),
            having: Vec::new(),
            order_by: Vec::new(),
            offset: 0,
            limit: None,
            values: None,
        }
    }

    /// The expressions in which aggregates may stand.
    fn outer_expressions(&self) -> impl Iterator<Item = &Expression> {
        let items = match &self.projection {
            Projection::Star => &[][..],
            Projection::Items(items) => items,
        };
        let named = items.iter().filter_map(|(expression, _)| expression.as_ref());
        named.chain(&self.having).chain(self.order_by.iter().map(|key| &key.expression))
    }

    /// Are solutions grouped, by GROUP BY or because there are aggregates?
    pub fn is_grouped(&self) -> bool {
        !self.group_by.is_empty() || self.outer_expressions().any(Expression::has_aggregate)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    Select(Select),
    Ask(Group),
    Construct(Vec<TriplePattern>, Group),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub form: Form,
    pub from: Vec<NamedNode>,
    pub from_named: Vec<NamedNode>,
}

impl Query {
    /// A query of the whole dataset.
    pub fn new(form: Form) -> Self {
        Self { form, from: Vec::new(), from_named: Vec::new() }
    }
}

impl Expression {
    /// The expressions directly below.
    pub fn children(&self) -> Vec<&Expression> {
        match self {
            Self::Variable(_) | Self::Term(_) | Self::Exists(_) => Vec::new(),
            Self::Or(one, other) | Self::And(one, other) => vec![one, other],
            Self::Compare(_, one, other) | Self::Compute(_, one, other) => vec![one, other],
            Self::Not(one) | Self::Negative(one) => vec![one],
            Self::In(one, list) | Self::NotIn(one, list) => std::iter::once(&**one).chain(list).collect(),
            Self::Call(_, arguments) => arguments.iter().collect(),
            Self::Aggregate(aggregate) => aggregate.argument.iter().collect(),
        }
    }

    /// The expressions directly below, to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut Expression> {
        match self {
            Self::Variable(_) | Self::Term(_) | Self::Exists(_) => Vec::new(),
            Self::Or(one, other) | Self::And(one, other) => vec![one, other],
            Self::Compare(_, one, other) | Self::Compute(_, one, other) => vec![one, other],
            Self::Not(one) | Self::Negative(one) => vec![one],
            Self::In(one, list) | Self::NotIn(one, list) => std::iter::once(&mut **one).chain(list).collect(),
            Self::Call(_, arguments) => arguments.iter_mut().collect(),
            Self::Aggregate(aggregate) => aggregate.argument.iter_mut().collect(),
        }
    }

    fn has_aggregate(&self) -> bool {
        matches!(self, Self::Aggregate(_)) || self.children().into_iter().any(Self::has_aggregate)
    }
}
