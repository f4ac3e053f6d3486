//! Words that a text may have meant.

/// The first of `known` that differs from `word` by little: one change in a short word, two in a longer one.
pub(super) fn similar<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    /// No known word is longer.
    const CHARS_MAX: usize = 20;
    let word: Vec<char> = word.chars().take(CHARS_MAX + 1).map(|c| c.to_ascii_uppercase()).collect();
    if word.len() < 3 || word.len() > CHARS_MAX {
        return None;
    }
    let most = if word.len() < 5 { 1 } else { 2 };
    let measured = known.into_iter().map(|other| (distance(&word, other), other));
    measured.filter(|(changes, _)| *changes <= most).min_by_key(|(changes, _)| *changes).map(|(_, other)| other)
}

/// `, did you mean ...?`, if there is a similar word.
pub(super) fn suggestion<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    similar(word, known).map(|other| format!("; did you mean {other}?")).unwrap_or_default()
}

/// How many characters must be put in, taken out, replaced or swapped with their neighbour (the restricted distance of
/// Damerau and Levenshtein).
fn distance(word: &[char], other: &str) -> usize {
    let other: Vec<char> = other.chars().map(|c| c.to_ascii_uppercase()).collect();
    let mut before = vec![0; other.len() + 1];
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (row, &c) in word.iter().enumerate() {
        let mut current = vec![row + 1; other.len() + 1];
        for (column, &d) in other.iter().enumerate() {
            let replaced = above[column] + usize::from(c != d);
            current[column + 1] = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && c == other[column - 1] && word[row - 1] == d {
                current[column + 1] = current[column + 1].min(before[column - 1] + 1);
            }
        }
        before = std::mem::replace(&mut above, current);
    }
    above[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_slips_are_found() {
        let known = ["SELECT", "ASK", "WHERE"];
        for (word, found) in [
            ("SELCT", Some("SELECT")),
            ("slect", Some("SELECT")),
            ("WEHRE", Some("WHERE")),
            ("AKS", Some("ASK")),
            ("DESCRIBE", None),
            ("S", None),
        ] {
            assert_eq!(similar(word, known), found, "{word}");
        }
    }
}
