//! Debian package versions and their order (Debian Policy 5.6.12, `deb-version(7)`).
//!
//! A version is `[epoch:]upstream[-revision]`. Its parts are compared as alternating stretches of non-digits and
//! digits: digits by number, letters before other characters, and `~` before everything, even the end.
//!
//! Invariant: equality follows the order, so `1.0` and `1.00` are equal although they are spelled differently.

use std::cmp::Ordering;
use std::fmt;

/// A validated version.
#[derive(Clone, Debug)]
pub struct Version {
    text: Box<str>,
}

impl Version {
    /// Validates the form; the error is a sentence for users.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a version is empty".to_owned());
        }
        if let Some(bad) = text.chars().find(|&c| !c.is_ascii_alphanumeric() && !".+-:~_".contains(c)) {
            return Err(format!("the version `{text}` has the character {bad:?}"));
        }
        if let Some((epoch, _)) = text.split_once(':')
            && epoch.parse::<u32>().is_err()
        {
            return Err(format!("the version `{text}` has an epoch that is not a number"));
        }
        Ok(Self { text: text.into() })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Epoch, upstream version, revision.
    fn parts(&self) -> (u32, &str, &str) {
        let (epoch, rest) = match self.text.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().expect("the epoch was checked by parse"), rest),
            None => (0, &*self.text),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch, upstream, revision)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let (epoch, upstream, revision) = self.parts();
        let (other_epoch, other_upstream, other_revision) = other.parts();
        epoch
            .cmp(&other_epoch)
            .then_with(|| compare_part(upstream.as_bytes(), other_upstream.as_bytes()))
            .then_with(|| compare_part(revision.as_bytes(), other_revision.as_bytes()))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

/// Compares stretch by stretch: first non-digits, then digits, until both are used up.
fn compare_part(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (left_word, left_rest) = split_while(left, |byte| !byte.is_ascii_digit());
        let (right_word, right_rest) = split_while(right, |byte| !byte.is_ascii_digit());
        let (left_number, left_rest) = split_while(left_rest, |byte| byte.is_ascii_digit());
        let (right_number, right_rest) = split_while(right_rest, |byte| byte.is_ascii_digit());
        let order = compare_words(left_word, right_word).then_with(|| compare_numbers(left_number, right_number));
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

fn split_while(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(|&byte| !belongs(byte)).unwrap_or(bytes.len()))
}

fn compare_words(left: &[u8], right: &[u8]) -> Ordering {
    let length = left.len().max(right.len());
    let weights = |word: &[u8]| (0..length).map(|i| weight(word.get(i).copied())).collect::<Vec<_>>();
    weights(left).cmp(&weights(right))
}

/// `~` sorts before the end of the stretch, letters after it, and everything else after letters.
fn weight(byte: Option<u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(byte),
        Some(byte) => i32::from(byte) + 256,
    }
}

/// Compares numbers by value, whatever their length: dates and hashes exceed every integer type.
fn compare_numbers(left: &[u8], right: &[u8]) -> Ordering {
    let significant = |number: &[u8]| {
        let zeros = number.iter().take_while(|&&digit| digit == b'0').count();
        number[zeros..].to_vec()
    };
    let (left, right) = (significant(left), significant(right));
    left.len().cmp(&right.len()).then_with(|| left.cmp(&right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_as_dpkg_sorts_them() {
        // In ascending order; the pairs come from the policy's text and from packages of the archive.
        let ascending = [
            "0~~",
            "0~~a",
            "0~",
            "0",
            "0.0.1",
            "1.0~beta1~svn1245",
            "1.0~beta1",
            "1.0",
            "1.0-1~bpo12+1",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1.1",
            "1.0a",
            "1.0+dfsg-1",
            "1.0.1",
            "1.2",
            "1.10",
            "9.9.9-9",
            "20230101120000000000001",
            "1:0.1",
            "1:1.2.13.dfsg-1",
            "2:0",
        ];
        for (i, left) in ascending.iter().enumerate() {
            for (j, right) in ascending.iter().enumerate() {
                let order = Version::parse(left).unwrap().cmp(&Version::parse(right).unwrap());
                assert_eq!(order, i.cmp(&j), "{left} against {right}");
            }
        }
    }

    #[test]
    fn different_spellings_are_equal() {
        for (left, right) in [("1.0", "1.00"), ("0:1.0", "1.0"), ("1.0-0", "1.0"), ("1.0-", "1.0")] {
            assert_eq!(Version::parse(left).unwrap(), Version::parse(right).unwrap());
        }
    }

    #[test]
    fn broken_versions_are_refused() {
        for text in ["", "1 0", "x:1", ":1", "99999999999:1", "1.0\u{e9}"] {
            assert!(Version::parse(text).is_err(), "{text:?}");
        }
    }
}
