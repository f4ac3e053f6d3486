//! Relations between packages as control fields write them (Debian Policy 7.1).
//!
//! ```text
//! Depends: mail-agent | exim4:any (>= 4.9), libc6 (>= 2.34)
//!          └───────────── a need ─────────┘  └─ a need ──┘
//!          └─ target ─┘ └──── target ─────┘
//! ```
//! All needs of a field must be met; one of its targets meets a need. The qualifiers `:any` and `:native` only restrict
//! architectures, which has no effect in an archive of one architecture, so they are dropped.

use super::version::Version;
use std::fmt;

/// How the version of a package must compare with a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Earlier,
    EarlierOrEqual,
    Equal,
    LaterOrEqual,
    Later,
}

impl Comparison {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "<<" => Some(Self::Earlier),
            // dpkg still reads the obsolete single signs as "or equal".
            "<=" | "<" => Some(Self::EarlierOrEqual),
            "=" => Some(Self::Equal),
            ">=" | ">" => Some(Self::LaterOrEqual),
            ">>" => Some(Self::Later),
            _ => None,
        }
    }

    /// The sign in a control field.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Earlier => "<<",
            Self::EarlierOrEqual => "<=",
            Self::Equal => "=",
            Self::LaterOrEqual => ">=",
            Self::Later => ">>",
        }
    }
}

/// A condition on a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub comparison: Comparison,
    pub version: Version,
}

impl Bound {
    /// Does the version meet the condition?
    pub fn admits(&self, version: &Version) -> bool {
        let order = version.cmp(&self.version);
        match self.comparison {
            Comparison::Earlier => order.is_lt(),
            Comparison::EarlierOrEqual => order.is_le(),
            Comparison::Equal => order.is_eq(),
            Comparison::LaterOrEqual => order.is_ge(),
            Comparison::Later => order.is_gt(),
        }
    }
}

/// A name, real or virtual, with the conditions on the packages that provide it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub name: Box<str>,
    /// Only of this architecture, as in `libc6:i386`.
    pub architecture: Option<Box<str>>,
    pub bound: Option<Bound>,
}

impl Target {
    /// Is it a bare name, which every package and provider of that name meets?
    pub fn is_plain(&self) -> bool {
        self.architecture.is_none() && self.bound.is_none()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (head, bound) = match text.split_once('(') {
            Some((head, rest)) => (head, Some(parse_bound(text, rest)?)),
            None => (text, None),
        };
        let (name, qualifier) = match head.trim().split_once(':') {
            Some((name, qualifier)) => (name, Some(qualifier)),
            None => (head.trim(), None),
        };
        check_name(name).map_err(|why| format!("`{text}`: {why}"))?;
        if let Some(qualifier) = qualifier {
            check_name(qualifier).map_err(|why| format!("`{text}`: {why}"))?;
        }
        let architecture = qualifier.filter(|&which| which != "any" && which != "native").map(Box::from);
        Ok(Self { name: name.into(), architecture, bound })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(architecture) = &self.architecture {
            write!(f, ":{architecture}")?;
        }
        match &self.bound {
            Some(bound) => write!(f, " ({} {})", bound.comparison.sign(), bound.version),
            None => Ok(()),
        }
    }
}

/// One comma-separated item of a field: any of its targets meets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub alternatives: Vec<Target>,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, target) in self.alternatives.iter().enumerate() {
            if i > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{target}")?;
        }
        Ok(())
    }
}

/// Reads a field that allows alternatives: `Depends`, `Pre-Depends`, `Recommends`, `Suggests`.
pub fn parse_needs(field: &str) -> Result<Vec<Need>, String> {
    items(field)
        .map(|item| {
            let alternatives = item.split('|').map(|target| Target::parse(target.trim())).collect::<Result<_, _>>()?;
            Ok(Need { alternatives })
        })
        .collect()
}

/// Reads a field without alternatives: `Conflicts`, `Breaks`, `Provides`.
pub fn parse_targets(field: &str) -> Result<Vec<Target>, String> {
    items(field).map(Target::parse).collect()
}

/// The non-empty items; a comma at the end is common in the wild.
fn items(field: &str) -> impl Iterator<Item = &str> {
    field.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn parse_bound(target: &str, rest: &str) -> Result<Bound, String> {
    let Some(inner) = rest.trim_end().strip_suffix(')') else {
        return Err(format!("`{target}` has no closing parenthesis at its end"));
    };
    let inner = inner.trim();
    let signs = inner.find(|c| !matches!(c, '<' | '=' | '>')).unwrap_or(inner.len());
    let (sign, version) = inner.split_at(signs);
    let Some(comparison) = Comparison::parse(sign) else {
        return Err(format!("`{target}` needs one of << <= = >= >> before its version"));
    };
    let version = Version::parse(version.trim()).map_err(|why| format!("`{target}`: {why}"))?;
    Ok(Bound { comparison, version })
}

/// Names are checked loosely: other archives than Debian's own use capitals and underscores.
pub fn check_name(name: &str) -> Result<(), String> {
    let Some(first) = name.chars().next() else {
        return Err("a name is empty".to_owned());
    };
    if !first.is_ascii_alphanumeric() {
        return Err(format!("the name `{name}` begins with {first:?}"));
    }
    match name.chars().find(|&c| !c.is_ascii_alphanumeric() && !"+-._~".contains(c)) {
        Some(bad) => Err(format!("the name `{name}` has the character {bad:?}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(field: &str) -> String {
        let needs = parse_needs(field).unwrap();
        needs.iter().map(Need::to_string).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn fields_are_read_and_written_in_one_spelling() {
        for (field, expected) in [
            ("a", "a"),
            ("a|b(>=1)", "a | b (>= 1)"),
            ("a | b (>= 1), c ( << 2:1.0~rc1-3 ) ,", "a | b (>= 1), c (<< 2:1.0~rc1-3)"),
            ("python3:any (>= 3.11), gcc:native, libc6:i386 (= 1)", "python3 (>= 3.11), gcc, libc6:i386 (= 1)"),
            ("old (< 1), older (> 2)", "old (<= 1), older (>= 2)"),
            ("a,\n b,\n c | d", "a, b, c | d"),
            ("", ""),
        ] {
            assert_eq!(shown(field), expected);
        }
    }

    #[test]
    fn broken_relations_are_refused() {
        for field in
            ["a |", "| a", "a (>= 1", "a (1)", "a (>= )", "a (=> 1)", "a b", "a [amd64]", "-a", "a:", "a (>= 1) x"]
        {
            assert!(parse_needs(field).is_err(), "{field:?}");
        }
        assert!(parse_targets("a | b").is_err());
    }

    #[test]
    fn bounds_admit_what_they_say() {
        for (field, version, admitted) in [
            ("a (>= 1.0)", "1.0", true),
            ("a (>= 1.0)", "1.0~rc1", false),
            ("a (<< 1:1)", "9", true),
            ("a (>> 1)", "1-0", false),
            ("a (<= 1)", "1", true),
            ("a (= 1)", "1-1", false),
        ] {
            let target = &parse_targets(field).unwrap()[0];
            let bound = target.bound.as_ref().unwrap();
            assert_eq!(bound.admits(&Version::parse(version).unwrap()), admitted, "{field} and {version}");
        }
    }
}
