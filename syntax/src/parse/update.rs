//! Updates.

use super::parser::Parser;
use super::place::Place;
use super::similar::suggestion;
use crate::ast::{Dataset, GraphTarget, Loudness, Operation, OperationKind, Transfer, Update};
use crate::lexer::Kind;
use entail_model::Fault;
use oxrdf::NamedNode;

const WORDS: [&str; 11] =
    ["INSERT", "DELETE", "WITH", "LOAD", "CLEAR", "DROP", "CREATE", "ADD", "MOVE", "COPY", "PREFIX"];

impl Parser<'_> {
    /// The whole text of an update.
    pub fn update_unit(&mut self) -> Result<Update, Fault> {
        let mut operations = Vec::new();
        loop {
            self.prologue()?;
            if self.peek().kind == Kind::End {
                break;
            }
            let spot = self.spot();
            operations.push(Operation { kind: self.operation()?, spot });
            if !self.eat(";")? {
                break;
            }
        }
        if self.peek().kind != Kind::End {
            return Err(self.unexpected("`;` and another operation, or the end of the update"));
        }
        let (base, versions) = (self.base.clone(), std::mem::take(&mut self.versions));
        Ok(Update { base, versions, operations })
    }

    fn operation(&mut self) -> Result<OperationKind, Fault> {
        if self.eat_word("INSERT")? {
            self.insert(None)
        } else if self.eat_word("DELETE")? {
            self.delete(None)
        } else if self.eat_word("WITH")? {
            let with = Some(self.iri()?);
            if self.eat_word("DELETE")? {
                self.delete(with)
            } else if self.eat_word("INSERT")? {
                self.insert(with)
            } else {
                Err(self.unexpected("DELETE or INSERT after WITH"))
            }
        } else if self.eat_word("LOAD")? {
            let loudness = self.loudness()?;
            let source = self.iri()?;
            let into = if self.eat_word("INTO")? { Some(self.graph_reference()?) } else { None };
            Ok(OperationKind::Load { loudness, source, into })
        } else if self.eat_word("CLEAR")? {
            Ok(OperationKind::Clear(self.loudness()?, self.target("CLEAR")?))
        } else if self.eat_word("DROP")? {
            Ok(OperationKind::Drop(self.loudness()?, self.target("DROP")?))
        } else if self.eat_word("CREATE")? {
            Ok(OperationKind::Create(self.loudness()?, self.graph_reference()?))
        } else if self.eat_word("ADD")? {
            self.transfer(Transfer::Add)
        } else if self.eat_word("MOVE")? {
            self.transfer(Transfer::Move)
        } else if self.eat_word("COPY")? {
            self.transfer(Transfer::Copy)
        } else {
            Err(self.no_operation())
        }
    }

    fn no_operation(&self) -> Fault {
        let expected = "INSERT, DELETE, WITH, LOAD, CLEAR, DROP, CREATE, ADD, MOVE, COPY, PREFIX, BASE or VERSION";
        let Kind::Word(word) = self.peek().kind else { return self.unexpected(expected) };
        if ["SELECT", "CONSTRUCT", "DESCRIBE", "ASK"].iter().any(|form| word.eq_ignore_ascii_case(form)) {
            return self.spot().syntax("this is a query, not an update");
        }
        self.spot().syntax(format!("expected {expected}, found `{word}`{}", suggestion(word, WORDS)))
    }

    fn loudness(&mut self) -> Result<Loudness, Fault> {
        Ok(if self.eat_word("SILENT")? { Loudness::Silent } else { Loudness::Loud })
    }

    /// `GRAPH` and a name.
    fn graph_reference(&mut self) -> Result<NamedNode, Fault> {
        if !self.eat_word("GRAPH")? {
            return Err(self.unexpected("GRAPH and the name of a graph"));
        }
        self.iri()
    }

    fn target(&mut self, operation: &str) -> Result<GraphTarget, Fault> {
        if self.eat_word("DEFAULT")? {
            Ok(GraphTarget::Default)
        } else if self.eat_word("NAMED")? {
            Ok(GraphTarget::Named)
        } else if self.eat_word("ALL")? {
            Ok(GraphTarget::All)
        } else if self.at_word("GRAPH") {
            self.graph_reference().map(GraphTarget::Graph)
        } else {
            Err(self.unexpected(&format!("GRAPH and a name, DEFAULT, NAMED or ALL after {operation}")))
        }
    }

    fn transfer(&mut self, kind: Transfer) -> Result<OperationKind, Fault> {
        let name = kind.name();
        let loudness = self.loudness()?;
        let from = self.graph_or_default(&format!("DEFAULT or a graph after {name}"))?;
        if !self.eat_word("TO")? {
            return Err(self.unexpected(&format!("TO, as in `{name} <graph> TO <graph>`")));
        }
        let to = self.graph_or_default("DEFAULT or a graph after TO")?;
        Ok(OperationKind::Transfer { kind, loudness, from, to })
    }

    fn graph_or_default(&mut self, expected: &str) -> Result<Option<NamedNode>, Fault> {
        if self.eat_word("DEFAULT")? {
            return Ok(None);
        }
        if self.eat_word("GRAPH")? || self.at_iri() {
            return self.iri().map(Some);
        }
        Err(self.unexpected(expected))
    }

    /// What follows INSERT.
    fn insert(&mut self, with: Option<NamedNode>) -> Result<OperationKind, Fault> {
        if with.is_none() && self.eat_word("DATA")? {
            return Ok(OperationKind::InsertData(self.quads(Place::InsertData)?));
        }
        if !self.peek().is_mark("{") {
            return Err(self.unexpected(if with.is_none() { "DATA or `{` after INSERT" } else { "`{` after INSERT" }));
        }
        let insert = Some(self.quads(Place::Insert)?);
        self.modify(with, None, insert)
    }

    /// What follows DELETE.
    fn delete(&mut self, with: Option<NamedNode>) -> Result<OperationKind, Fault> {
        if with.is_none() && self.eat_word("DATA")? {
            return Ok(OperationKind::DeleteData(self.quads(Place::DeleteData)?));
        }
        if with.is_none() && self.eat_word("WHERE")? {
            return Ok(OperationKind::DeleteWhere(self.quads(Place::DeleteWhere)?));
        }
        if !self.peek().is_mark("{") {
            let expected = if with.is_none() { "DATA, WHERE or `{` after DELETE" } else { "`{` after DELETE" };
            return Err(self.unexpected(expected));
        }
        let delete = Some(self.quads(Place::Delete)?);
        let insert = if self.eat_word("INSERT")? { Some(self.quads(Place::Insert)?) } else { None };
        self.modify(with, delete, insert)
    }

    fn modify(
        &mut self,
        with: Option<NamedNode>,
        delete: Option<Vec<crate::ast::Quad>>,
        insert: Option<Vec<crate::ast::Quad>>,
    ) -> Result<OperationKind, Fault> {
        let using: Dataset = self.dataset("USING")?;
        if !self.at_word("WHERE") {
            return Err(self.unexpected("USING or WHERE"));
        }
        let pattern = self.where_clause()?;
        Ok(OperationKind::Modify { with, delete, insert, using, pattern })
    }
}
