//! REGEX and REPLACE, and the patterns that were compiled.
//!
//! A program keeps its compiled patterns ([`Cache`]), at most [`PATTERNS_MAX`] of them. A [`Matcher`] is used by one call
//! over many rows and remembers the last pattern, so that a constant one is not looked up for each row.

use super::Call;
use super::strings::string;
use super::terms::plain;
use crate::regex::{Pattern, Refusal, Replacement};
use crate::value::{Value, View};
use entail_model::Fault;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Patterns of one program that are kept.
const PATTERNS_MAX: usize = 64;

type Compiled = Result<Arc<Pattern>, Refusal>;

/// The compiled patterns of a program, by pattern and flags.
#[derive(Default)]
pub struct Cache {
    patterns: Mutex<HashMap<(String, String), Compiled>>,
}

impl Cache {
    fn get(&self, pattern: &str, flags: &str) -> Compiled {
        let key = (pattern.to_owned(), flags.to_owned());
        let lock = || self.patterns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = lock().get(&key) {
            return compiled.clone();
        }
        // Not under the lock, which other threads wait for.
        let compiled = Pattern::compile(pattern, flags).map(Arc::new);
        let mut patterns = lock();
        if patterns.len() >= PATTERNS_MAX {
            patterns.clear();
        }
        patterns.insert(key, compiled.clone());
        compiled
    }
}

/// The last pattern and replacement of a call.
pub struct Matcher<'e> {
    cache: &'e Cache,
    last: Option<Last>,
}

struct Last {
    pattern: String,
    flags: String,
    compiled: Option<Arc<Pattern>>,
    /// A replacement that was read for this pattern; `None` within is an error.
    replacement: Option<(String, Option<Replacement>)>,
}

impl<'e> Matcher<'e> {
    pub fn new(cache: &'e Cache) -> Self {
        Self { cache, last: None }
    }

    /// The pattern; `None` within is an error of the expression.
    fn pattern(&mut self, pattern: &str, flags: &str) -> Result<&mut Last, Fault> {
        let is_last = self.last.as_ref().is_some_and(|last| last.pattern == pattern && last.flags == flags);
        if !is_last {
            let compiled = expected(self.cache.get(pattern, flags))?;
            let (pattern, flags) = (pattern.to_owned(), flags.to_owned());
            self.last = Some(Last { pattern, flags, compiled, replacement: None });
        }
        self.last.as_mut().ok_or_else(|| Fault::internal("a pattern that was just compiled is gone"))
    }
}

/// `None` for what is not in the language; a fault for what is refused.
fn expected<T>(compiled: Result<T, Refusal>) -> Result<Option<T>, Fault> {
    match compiled {
        Ok(compiled) => Ok(Some(compiled)),
        Err(Refusal::Invalid(_)) => Ok(None),
        Err(Refusal::Refused(fault)) => Err(fault),
    }
}

/// The flags that a call has, or none.
fn flags<'v>(argument: Option<&View<'v>>) -> Result<Option<&'v str>, Fault> {
    argument.map_or(Ok(Some("")), |argument| plain(*argument))
}

/// REGEX; `None` is an error.
pub(super) fn matches(arguments: &[View<'_>], call: &mut Call<'_, '_, '_>) -> Result<Option<bool>, Fault> {
    let Some((text, _)) = string(arguments[0])? else { return Ok(None) };
    let (Some(pattern), Some(flags)) = (plain(arguments[1])?, flags(arguments.get(2))?) else { return Ok(None) };
    match &call.matcher.pattern(pattern, flags)?.compiled {
        Some(pattern) => pattern.is_match(text, call.budget).map(Some),
        None => Ok(None),
    }
}

/// REPLACE.
pub(super) fn replace(arguments: &[View<'_>], call: &mut Call<'_, '_, '_>) -> Result<Value, Fault> {
    let Some((text, kind)) = string(arguments[0])? else { return Ok(Value::Error) };
    let (Some(pattern), Some(replacement)) = (plain(arguments[1])?, plain(arguments[2])?) else {
        return Ok(Value::Error);
    };
    let Some(flags) = flags(arguments.get(3))? else { return Ok(Value::Error) };
    let last = call.matcher.pattern(pattern, flags)?;
    let Some(pattern) = &last.compiled else { return Ok(Value::Error) };
    if last.replacement.as_ref().is_none_or(|(text, _)| text != replacement) {
        let read = expected(pattern.replacement(replacement))?;
        last.replacement = Some((replacement.to_owned(), read));
    }
    let Some((_, Some(replacement))) = &last.replacement else { return Ok(Value::Error) };
    let result = pattern.replace(text, replacement, call.budget)?;
    Ok(result.map_or(Value::Error, |result| kind.literal(&result)))
}
