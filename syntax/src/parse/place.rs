//! What triples may hold where they stand.

/// Where a block of triples stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `DATA` of a rule text.
    Data,
    /// The head of a rule.
    Head,
    /// The body of a rule.
    Body,
    /// A group graph pattern.
    Where,
    /// `CONSTRUCT WHERE`, which is pattern and template.
    ConstructWhere,
    /// The template of CONSTRUCT.
    Construct,
    Insert,
    InsertData,
    Delete,
    DeleteData,
    DeleteWhere,
    Values,
}

/// Which paths may be predicates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Paths {
    None,
    /// Sequences and inverses, which are written out as triples.
    Expanded,
    All,
}

impl Place {
    pub fn paths(self) -> Paths {
        match self {
            Self::Where => Paths::All,
            Self::Body => Paths::Expanded,
            _ => Paths::None,
        }
    }

    pub fn has_variables(self) -> bool {
        !matches!(self, Self::Data | Self::InsertData | Self::DeleteData | Self::Values)
    }

    pub fn has_blank_nodes(self) -> bool {
        !matches!(self, Self::Delete | Self::DeleteData | Self::DeleteWhere | Self::Values)
    }

    /// The place as messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "DATA",
            Self::Head => "the head of a rule",
            Self::Body => "the body of a rule",
            Self::Where => "WHERE",
            Self::ConstructWhere => "CONSTRUCT WHERE",
            Self::Construct => "the template of CONSTRUCT",
            Self::Insert => "INSERT",
            Self::InsertData => "INSERT DATA",
            Self::Delete => "DELETE",
            Self::DeleteData => "DELETE DATA",
            Self::DeleteWhere => "DELETE WHERE",
            Self::Values => "VALUES",
        }
    }
}
