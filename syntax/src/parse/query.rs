//! Queries and subqueries.

use super::aggregate::Aggregates;
use super::parser::Parser;
use super::place::Place;
use super::similar::suggestion;
use super::triples::Triples;
use crate::Spot;
use crate::ast::{
    Column, Columns, Dataset, Described, Duplicates, Element, Expression, Form, Group, Pattern, Projection, Query,
    Select, Solutions, VariableAt,
};
use crate::lexer::Kind;
use crate::scope;
use entail_model::Fault;

const FORMS: [&str; 4] = ["SELECT", "CONSTRUCT", "DESCRIBE", "ASK"];
/// Words with which the clauses after a pattern begin.
const CLAUSES: [&str; 6] = ["GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "VALUES"];

impl Parser<'_> {
    /// The whole text of a query.
    pub fn query_unit(&mut self) -> Result<Query, Fault> {
        self.prologue()?;
        let spot = self.spot();
        let (form, dataset, solutions) = if self.at_word("SELECT") {
            self.select()?
        } else if self.eat_word("CONSTRUCT")? {
            self.construct()?
        } else if self.eat_word("DESCRIBE")? {
            self.describe()?
        } else if self.eat_word("ASK")? {
            let dataset = self.dataset("FROM")?;
            (Form::Ask, dataset, self.solutions()?)
        } else {
            return Err(self.no_form(spot));
        };
        self.end_of_query()?;
        let (base, versions) = (self.base.clone(), std::mem::take(&mut self.versions));
        Ok(Query { base, versions, form, dataset, solutions })
    }

    fn no_form(&self, spot: Spot) -> Fault {
        const UPDATES: [&str; 10] =
            ["INSERT", "DELETE", "WITH", "LOAD", "CLEAR", "DROP", "CREATE", "ADD", "MOVE", "COPY"];
        if matches!(self.peek().kind, Kind::End) {
            return spot.syntax("there is no query: expected SELECT, CONSTRUCT, DESCRIBE or ASK");
        }
        let Kind::Word(word) = self.peek().kind else {
            return self.unexpected("SELECT, CONSTRUCT, DESCRIBE, ASK, PREFIX, BASE or VERSION");
        };
        if UPDATES.iter().any(|update| word.eq_ignore_ascii_case(update)) {
            return spot.syntax("this is an update, not a query");
        }
        let suggestion = suggestion(word, FORMS.into_iter().chain(["PREFIX", "BASE", "VERSION"]));
        let expected = "expected SELECT, CONSTRUCT, DESCRIBE, ASK, PREFIX, BASE or VERSION";
        spot.syntax(format!("{expected}, found `{word}`{suggestion}"))
    }

    fn end_of_query(&self) -> Result<(), Fault> {
        match self.peek().kind {
            Kind::End => Ok(()),
            Kind::Word(word) if CLAUSES.iter().any(|clause| word.eq_ignore_ascii_case(clause)) => {
                let order = "GROUP BY, HAVING, ORDER BY, LIMIT and OFFSET, VALUES, each once";
                let clause = word.to_ascii_uppercase();
                Err(self.spot().syntax(format!("{clause} may not stand here: the order is {order}")))
            }
            _ => Err(self.unexpected("GROUP BY, HAVING, ORDER BY, LIMIT, OFFSET, VALUES or the end of the query")),
        }
    }

    /// A subquery; the next token is its SELECT.
    pub fn subquery(&mut self) -> Result<Select, Fault> {
        let mut projection = self.projection()?;
        if self.at_word("FROM") {
            return Err(self.spot().syntax("a subquery has no FROM: the query's dataset holds for it"));
        }
        let solutions = self.solutions()?;
        self.show_all(&mut projection, &solutions);
        Ok(Select { projection, solutions })
    }

    fn select(&mut self) -> Result<(Form, Dataset, Solutions), Fault> {
        let mut projection = self.projection()?;
        let dataset = self.dataset("FROM")?;
        let solutions = self.solutions()?;
        self.show_all(&mut projection, &solutions);
        Ok((Form::Select(projection), dataset, solutions))
    }

    /// Fills in the columns of `*`, in the order in which the text first has the variables.
    fn show_all(&self, projection: &mut Projection, solutions: &Solutions) {
        if let Columns::Star(columns) = &mut projection.columns {
            let start = projection.spot;
            let at = |name: &str| self.mentions.get(name).copied().unwrap_or(start);
            let visible = scope::visible(&solutions.pattern, solutions.values.as_ref());
            let column = |variable: oxrdf::Variable| VariableAt { spot: at(variable.as_str()), variable };
            *columns = visible.into_iter().map(column).collect();
            columns.sort_by_key(|column| column.spot);
        }
    }

    fn projection(&mut self) -> Result<Projection, Fault> {
        let spot = self.spot();
        self.expect_word("SELECT")?;
        let duplicates = if self.eat_word("DISTINCT")? {
            Duplicates::Removed
        } else if self.eat_word("REDUCED")? {
            Duplicates::Reduced
        } else {
            Duplicates::Kept
        };
        if self.eat("*")? {
            return Ok(Projection { duplicates, columns: Columns::Star(Vec::new()), spot });
        }
        let mut list = Vec::new();
        while let Some(column) = self.column(!list.is_empty())? {
            list.push(column);
        }
        Ok(Projection { duplicates, columns: Columns::List(list), spot })
    }

    /// The next column; `None` if no other follows.
    fn column(&mut self, has_others: bool) -> Result<Option<Column>, Fault> {
        const EXPECTED: &str = "`*`, a variable or `(expression AS ?name)`";
        match self.peek().kind {
            Kind::Variable(_) => Ok(Some(Column { variable: self.variable_at()?, expression: None })),
            Kind::Mark("(") => {
                let bracket = self.open("(")?;
                let expression = self.with_aggregates(Aggregates::Allowed, Self::expression)?;
                if !self.eat_word("AS")? {
                    return Err(self.unexpected("an operator or AS and a variable, as in `(expression AS ?name)`"));
                }
                let variable = self.variable_at()?;
                self.close(bracket, "")?;
                Ok(Some(Column { variable, expression: Some(expression) }))
            }
            Kind::Mark(",") => Err(self.spot().syntax("no comma between the columns of SELECT: a space is enough")),
            Kind::Word(word) if !is_clause(word) => Err(self.bare_expression(EXPECTED)),
            Kind::Mark("}") | Kind::End if has_others => Ok(None),
            _ if has_others => Ok(None),
            _ => Err(self.unexpected(EXPECTED)),
        }
    }

    /// The fault for a word that begins no column.
    fn bare_expression(&self, expected: &str) -> Fault {
        let Kind::Word(word) = self.peek().kind else { return self.unexpected(expected) };
        let is_function = super::aggregate::is_aggregate(word) || crate::ast::Function::named(word).is_some();
        if is_function {
            let word = word.to_ascii_uppercase();
            return self
                .spot()
                .syntax(format!("an expression in SELECT needs brackets and a name: `({word}(...) AS ?name)`"));
        }
        let suggestion = suggestion(word, ["WHERE", "FROM", "DISTINCT", "REDUCED"]);
        self.spot().syntax(format!("expected {expected}, or WHERE, found `{word}`{suggestion}"))
    }

    fn construct(&mut self) -> Result<(Form, Dataset, Solutions), Fault> {
        if self.peek().is_mark("{") {
            let template = self.template(Place::Construct)?;
            let dataset = self.dataset("FROM")?;
            return Ok((Form::Construct(template), dataset, self.solutions()?));
        }
        let dataset = self.dataset("FROM")?;
        if !self.eat_word("WHERE")? {
            return Err(self.unexpected("the template `{ ... }`, FROM or WHERE after CONSTRUCT"));
        }
        let spot = self.spot();
        let template = self.template(Place::ConstructWhere)?;
        let pattern = Group { elements: template.into_iter().map(Element::Triple).collect(), spot };
        Ok((Form::ConstructWhere, dataset, self.after_pattern(pattern)?))
    }

    /// Triples in braces, without paths.
    fn template(&mut self, place: Place) -> Result<Vec<Pattern>, Fault> {
        let bracket = self.open("{")?;
        let mut triples = Triples::new(self, place);
        triples.block()?;
        let template = triples.patterns();
        if let Kind::Word(word) = self.peek().kind {
            let name = place.name();
            return Err(self.spot().syntax(format!("`{word}` may not stand in {name}, which has triples only")));
        }
        self.close(bracket, "a triple")?;
        Ok(template)
    }

    fn describe(&mut self) -> Result<(Form, Dataset, Solutions), Fault> {
        let described = if self.eat("*")? {
            Described::Star
        } else {
            let mut nodes = vec![self.variable_or_iri()?];
            while self.at_variable() || self.at_iri() {
                nodes.push(self.variable_or_iri()?);
            }
            Described::Nodes(nodes)
        };
        let dataset = self.dataset("FROM")?;
        let solutions = if self.at_word("WHERE") || self.peek().is_mark("{") {
            self.solutions()?
        } else {
            let pattern = Group { elements: Vec::new(), spot: self.spot() };
            self.after_pattern(pattern)?
        };
        Ok((Form::Describe(described), dataset, solutions))
    }

    /// `FROM` or `USING`, which `keyword` names, as often as they are there.
    pub fn dataset(&mut self, keyword: &str) -> Result<Dataset, Fault> {
        let mut dataset = Dataset::default();
        while self.eat_word(keyword)? {
            if self.eat_word("NAMED")? {
                dataset.named.push(self.iri()?);
            } else {
                dataset.default.push(self.iri()?);
            }
        }
        Ok(dataset)
    }

    /// A pattern and what follows it.
    fn solutions(&mut self) -> Result<Solutions, Fault> {
        let pattern = self.where_clause()?;
        self.after_pattern(pattern)
    }

    /// A pattern, with an optional WHERE before it.
    pub fn where_clause(&mut self) -> Result<Group, Fault> {
        let has_keyword = self.eat_word("WHERE")?;
        if self.peek().is_mark("{") {
            return self.group();
        }
        if let Kind::Word(word) = self.peek().kind
            && !has_keyword
        {
            let suggestion = suggestion(word, ["WHERE", "FROM"]);
            return Err(self.spot().syntax(format!("expected WHERE or `{{`, found `{word}`{suggestion}")));
        }
        Err(self.unexpected(if has_keyword { "`{` after WHERE" } else { "WHERE or `{`" }))
    }

    fn after_pattern(&mut self, pattern: Group) -> Result<Solutions, Fault> {
        let modifiers = self.modifiers()?;
        let values = if self.at_word("VALUES") { Some(self.values()?) } else { None };
        Ok(Solutions { pattern, modifiers, values })
    }

    /// Does the next token begin another condition of HAVING, or key of GROUP BY or ORDER BY?
    pub fn at_condition(&self) -> bool {
        match self.peek().kind {
            Kind::Mark("(") | Kind::Iri(_) | Kind::Prefixed { .. } => true,
            Kind::Word(word) => !is_clause(word),
            _ => false,
        }
    }

    /// An expression in which aggregates may stand.
    pub fn aggregated(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Expression, Fault>,
    ) -> Result<Expression, Fault> {
        self.with_aggregates(Aggregates::Allowed, read)
    }
}

/// Does a clause after the columns of SELECT begin with the word?
fn is_clause(word: &str) -> bool {
    CLAUSES.iter().chain(&["WHERE", "FROM", "SELECT"]).any(|clause| word.eq_ignore_ascii_case(clause))
}
