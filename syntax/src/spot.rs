//! Places in a text, and the faults that name them.

use entail_model::{Fault, Reason};
use std::fmt;

/// A place in a text, counted from one; columns are characters, not bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    pub line: u32,
    pub column: u32,
}

impl Spot {
    /// A text that is not in the language.
    pub fn syntax(self, message: impl Into<String>) -> Fault {
        self.fault(Reason::Syntax, message)
    }

    /// A text of the language that goes past what this version evaluates.
    pub fn unsupported(self, feature: impl fmt::Display) -> Fault {
        self.fault(Reason::Unsupported, format!("{feature} is not supported yet"))
    }

    /// A text that is too large or too deep.
    pub fn limit(self, message: impl Into<String>) -> Fault {
        self.fault(Reason::LimitExceeded, message)
    }

    fn fault(self, reason: Reason, message: impl Into<String>) -> Fault {
        Fault::new(reason, message).at(self.line.into(), self.column.into())
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}
