//! Where a statement is: in which graph, and at which position of the file.

/// The graph that the text is in.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Outside of braces.
    Outside,
    /// In the graph that this text opens, whose name has this random label.
    Graph { opening: Vec<u8>, label: Option<u128> },
    /// In a graph whose name is malformed: its statements are left out with it.
    Lost,
}

impl Place {
    /// The text that brings a parser to this place; it ends with a line end.
    pub(crate) fn replay(&self) -> Vec<u8> {
        let Self::Graph { opening, label } = self else { return Vec::new() };
        let text = opening.trim_ascii_start();
        let is_keyword = text.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"GRAPH"));
        let name = if is_keyword { text[5..].trim_ascii_start() } else { text };
        match label {
            // The brackets would make another node.
            Some(label) if name.starts_with(b"[") => format!("_:{label:x} {{\n").into_bytes(),
            _ => opening.clone(),
        }
    }
}

/// The position in the file of what a parser read after its opening.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) opening_lines: u64,
    pub(crate) opening_bytes: u64,
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl Origin {
    /// The position in the file, counted from zero.
    pub(crate) fn place(self, line: u64, column: u64) -> (u64, u64) {
        match line.saturating_sub(self.opening_lines) {
            0 => (self.line, self.column + column),
            lines => (self.line + lines, column),
        }
    }
}
