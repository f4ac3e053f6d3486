//! Sets of characters: `\d`, `\p{Lu}`, `\i`, `[a-z-[aeiou]]` and the like (XSD 1.1, appendix G).

use super::{Refusal, blocks, invalid};
use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange, HirKind};

/// The general categories of Unicode that have a name in XSD.
const CATEGORIES: [&str; 36] = [
    "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe", "Pi",
    "Pf", "Po", "Z", "Zs", "Zl", "Zp", "S", "Sm", "Sc", "Sk", "So", "C", "Cc", "Cf", "Co", "Cn",
];

/// The characters with which a name begins (NameStartChar of XML).
const NAME_STARTS: [(char, char); 16] = [
    (':', ':'),
    ('A', 'Z'),
    ('_', '_'),
    ('a', 'z'),
    ('\u{c0}', '\u{d6}'),
    ('\u{d8}', '\u{f6}'),
    ('\u{f8}', '\u{2ff}'),
    ('\u{370}', '\u{37d}'),
    ('\u{37f}', '\u{1fff}'),
    ('\u{200c}', '\u{200d}'),
    ('\u{2070}', '\u{218f}'),
    ('\u{2c00}', '\u{2fef}'),
    ('\u{3001}', '\u{d7ff}'),
    ('\u{f900}', '\u{fdcf}'),
    ('\u{fdf0}', '\u{fffd}'),
    ('\u{10000}', '\u{effff}'),
];

/// The other characters of names (NameChar).
const NAME_CONTINUES: [(char, char); 6] =
    [('-', '-'), ('.', '.'), ('0', '9'), ('\u{b7}', '\u{b7}'), ('\u{300}', '\u{36f}'), ('\u{203f}', '\u{2040}')];

/// The set of these ranges.
pub fn of(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|(first, last)| ClassUnicodeRange::new(*first, *last)))
}

/// The set of one character.
pub fn single(letter: char) -> ClassUnicode {
    of(&[(letter, letter)])
}

/// All characters but these.
pub fn without(class: ClassUnicode) -> ClassUnicode {
    let mut class = class;
    class.negate();
    class
}

/// The set of `\letter`, if it stands for one.
pub fn escape(letter: char) -> Option<ClassUnicode> {
    let class = match letter.to_ascii_lowercase() {
        's' => of(&[('\t', '\n'), ('\r', '\r'), (' ', ' ')]),
        'i' => of(&NAME_STARTS),
        'c' => {
            let mut class = of(&NAME_STARTS);
            class.union(&of(&NAME_CONTINUES));
            class
        }
        'd' => category("Nd")?,
        'w' => {
            let mut others = category("P")?;
            others.union(&category("Z")?);
            others.union(&category("C")?);
            without(others)
        }
        _ => return None,
    };
    Some(if letter.is_ascii_uppercase() { without(class) } else { class })
}

/// The set of `\p{name}`.
pub fn property(name: &str) -> Result<ClassUnicode, Refusal> {
    let unknown = || invalid(format!("\\p{{{name}}}"));
    match name.strip_prefix("Is") {
        Some(block) => blocks::find(block).map(|range| of(&[range])).ok_or_else(unknown),
        None => category(name).ok_or_else(unknown),
    }
}

/// The characters of a general category.
fn category(name: &str) -> Option<ClassUnicode> {
    if !CATEGORIES.contains(&name) {
        return None;
    }
    match regex_syntax::parse(&format!("\\p{{{name}}}")).ok()?.into_kind() {
        HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => Some(class),
        // A category of one character.
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok()?.chars().next().map(single),
        _ => None,
    }
}

/// With the other case of each character.
pub fn folded(class: ClassUnicode) -> ClassUnicode {
    let mut class = class;
    class.case_fold_simple();
    class
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(class: &ClassUnicode, letter: char) -> bool {
        class.iter().any(|range| (range.start()..=range.end()).contains(&letter))
    }

    #[test]
    fn escapes_are_those_of_xsd() {
        for (escaped, inside, outside) in [
            ('d', "0٣", "a "),
            ('s', " \t\n\r", "\u{a0}a"),
            ('w', "aé$1", "-., "),
            ('i', "a:_é", "1-."),
            ('c', "a:1-.·", " $"),
        ] {
            let (class, other) = (escape(escaped).unwrap(), escape(escaped.to_ascii_uppercase()).unwrap());
            assert!(inside.chars().all(|letter| has(&class, letter) && !has(&other, letter)), "{escaped}");
            assert!(outside.chars().all(|letter| !has(&class, letter) && has(&other, letter)), "{escaped}");
        }
        assert!(escape('b').is_none() && escape('n').is_none());
    }

    #[test]
    fn every_category_and_block_has_a_set() {
        for name in CATEGORIES {
            assert!(category(name).is_some(), "{name}");
        }
        assert!(has(&property("IsGreek").unwrap(), 'α') && has(&property("Lu").unwrap(), 'É'));
        for name in ["IsNothing", "Letter", "lu", "Cs", "Greek", ""] {
            assert!(matches!(property(name), Err(Refusal::Invalid(_))), "{name}");
        }
    }
}
