//! The text of an identity: a JSON object whose last field is a checksum of everything before it.
//!
//! ```text
//! {
//!   "role": "node",
//!   ...
//!   "checksum": "8a9136aa"
//! }
//! ```
//!
//! A text without one is of an earlier version, or was written by hand, and is taken as it is.

use std::fmt::Write;

/// What stands before the checksum; the text before this is what it is of.
const BEFORE: &str = ",\n  \"checksum\": \"";
const AFTER: &str = "\"\n}";

/// The text of a JSON object with its checksum.
///
/// # Panics
/// If it is no object with fields as `serde_json` writes it.
pub fn with_checksum(object: &str) -> String {
    let mut text = object.strip_suffix("\n}").expect("an object with fields").to_owned();
    let sum = crc32c::crc32c(text.as_bytes());
    _ = write!(text, "{BEFORE}{sum:08x}{AFTER}");
    text
}

/// Does the text match its checksum, or has it none?
pub fn is_whole(text: &[u8]) -> bool {
    let Some(at) = text.windows(BEFORE.len()).rposition(|window| window == BEFORE.as_bytes()) else { return true };
    let (object, rest) = text.split_at(at);
    rest[BEFORE.len()..] == *format!("{:08x}{AFTER}", crc32c::crc32c(object)).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_does_not_match_or_is_in_the_checksum_field() {
        let object = "{\n  \"role\": \"node\",\n  \"node\": 1234567\n}";
        let text = with_checksum(object);
        assert!(is_whole(text.as_bytes()) && is_whole(object.as_bytes()));
        let field = object.len() - 2..object.len() - 2 + BEFORE.len();
        for bit in 0..text.len() * 8 {
            let mut flipped = text.clone().into_bytes();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_whole(&flipped) || field.contains(&(bit / 8)), "bit {bit}");
        }
    }

    #[test]
    fn the_text_is_json_with_one_field_more() {
        let text = with_checksum("{\n  \"role\": \"node\"\n}");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["role"], "node");
        assert_eq!(value["checksum"].as_str().map(str::len), Some(8));
    }
}
