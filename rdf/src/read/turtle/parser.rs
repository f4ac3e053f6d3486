//! The parser of either format, fed piece by piece, and the context that its successor needs.

use crate::format::Format;
use crate::read::position::earlier;
use crate::request::ParseRequest;
use entail_model::{Fault, Reason};
use oxrdf::{GraphName, Quad};
use oxttl::trig::LowLevelTriGParser;
use oxttl::turtle::LowLevelTurtleParser;
use oxttl::{TriGParser, TurtleParser, TurtleSyntaxError};

/// The declarations that are in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    base: Option<String>,
    prefixes: Vec<(String, String)>,
}

impl Context {
    /// The context at the start of a file.
    pub(crate) fn of(request: &ParseRequest) -> Self {
        Self { base: request.base_iri.clone(), prefixes: Vec::new() }
    }

    /// Is this the well-formed opening of a graph in TriG?
    pub(crate) fn opens_graph(&self, opening: &[u8]) -> bool {
        Statements::in_context(Format::TriG, self).is_ok_and(|mut parser| {
            parser.extend(opening);
            parser.end_after(b"\n}");
            parser.next().is_none()
        })
    }
}

/// The parser, fed piece by piece.
pub(crate) struct Statements {
    parser: Parser,
    /// The item after an error, read ahead to compare its position.
    ahead: Option<Result<Quad, TurtleSyntaxError>>,
}

/// The parser of either format.
enum Parser {
    Turtle(LowLevelTurtleParser),
    TriG(LowLevelTriGParser),
}

impl Statements {
    /// A parser that begins in this context.
    ///
    /// # Errors
    /// `InvalidRequest` for a base that is not an absolute IRI.
    pub(crate) fn in_context(format: Format, context: &Context) -> Result<Self, Fault> {
        let bad = |error| Fault::new(Reason::InvalidRequest, format!("the base is not an absolute IRI: {error}"));
        let parser = if format == Format::TriG {
            let mut parser = TriGParser::new();
            for (name, iri) in &context.prefixes {
                parser = parser.with_prefix(name, iri).map_err(bad)?;
            }
            if let Some(base) = &context.base {
                parser = parser.with_base_iri(base).map_err(bad)?;
            }
            Parser::TriG(parser.low_level())
        } else {
            let mut parser = TurtleParser::new();
            for (name, iri) in &context.prefixes {
                parser = parser.with_prefix(name, iri).map_err(bad)?;
            }
            if let Some(base) = &context.base {
                parser = parser.with_base_iri(base).map_err(bad)?;
            }
            Parser::Turtle(parser.low_level())
        };
        Ok(Self { parser, ahead: None })
    }

    /// The declarations so far.
    pub(crate) fn context(&self) -> Context {
        let owned = |(name, iri): (&str, &str)| (name.to_owned(), iri.to_owned());
        match &self.parser {
            Parser::Turtle(parser) => {
                Context { base: parser.base_iri().map(str::to_owned), prefixes: parser.prefixes().map(owned).collect() }
            }
            Parser::TriG(parser) => {
                Context { base: parser.base_iri().map(str::to_owned), prefixes: parser.prefixes().map(owned).collect() }
            }
        }
    }

    pub(crate) fn extend(&mut self, text: &[u8]) {
        match &mut self.parser {
            Parser::Turtle(parser) => parser.extend_from_slice(text),
            Parser::TriG(parser) => parser.extend_from_slice(text),
        }
    }

    pub(crate) fn end_after(&mut self, text: &[u8]) {
        self.extend(text);
        match &mut self.parser {
            Parser::Turtle(parser) => parser.end(),
            Parser::TriG(parser) => parser.end(),
        }
    }

    /// The next quad or error, of which there is one per place.
    pub(crate) fn next(&mut self) -> Option<Result<Quad, TurtleSyntaxError>> {
        let mut error = match self.ahead.take().or_else(|| self.next_of_any()) {
            Some(Err(error)) => error,
            other => return other,
        };
        loop {
            match self.next_of_any() {
                Some(Err(next)) if next.location().start == error.location().start => error = earlier(error, next),
                other => {
                    self.ahead = other;
                    return Some(Err(error));
                }
            }
        }
    }

    fn next_of_any(&mut self) -> Option<Result<Quad, TurtleSyntaxError>> {
        match &mut self.parser {
            Parser::Turtle(parser) => Some(parser.parse_next()?.map(|triple| triple.in_graph(GraphName::DefaultGraph))),
            Parser::TriG(parser) => parser.parse_next(),
        }
    }
}
