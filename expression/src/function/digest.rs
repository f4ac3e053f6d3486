//! MD5 and the SHA family.

use super::terms::plain;
use crate::Budget;
use crate::value::{Value, View};
use entail_model::Fault;
use entail_syntax::ast::Function;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::fmt::Write;

pub(super) fn call(function: Function, argument: View<'_>, budget: &mut Budget<'_>) -> Result<Value, Fault> {
    let Some(text) = plain(argument)? else { return Ok(Value::Error) };
    budget.build(128)?;
    let digest = match function {
        Function::Md5 => digest::<Md5>(text, budget)?,
        Function::Sha1 => digest::<Sha1>(text, budget)?,
        Function::Sha256 => digest::<Sha256>(text, budget)?,
        Function::Sha384 => digest::<Sha384>(text, budget)?,
        _ => digest::<Sha512>(text, budget)?,
    };
    Ok(Value::string(&digest))
}

/// The digest of the UTF-8 bytes, in lower case.
fn digest<D: Digest>(text: &str, budget: &mut Budget<'_>) -> Result<String, Fault> {
    let mut digest = D::new();
    for piece in text.as_bytes().chunks(64 << 10) {
        budget.work(4 * piece.len())?;
        digest.update(piece);
    }
    let mut hexadecimal = String::new();
    for byte in digest.finalize().iter() {
        let _ = write!(hexadecimal, "{byte:02x}");
    }
    Ok(hexadecimal)
}
