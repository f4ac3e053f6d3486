//! The canonical text of a tree: `Display` for its parts.
//!
//! What is printed is in the language again and means the same: names are written out, every operator has its brackets. Blank
//! nodes that the text did not name get labels that no other has.

mod expression;
mod pattern;
mod query;
mod term;
mod update;

use std::fmt::{self, Display, Formatter};

/// Things with a separator between them.
fn list<T: Display>(f: &mut Formatter<'_>, separator: &str, items: impl IntoIterator<Item = T>) -> fmt::Result {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}
