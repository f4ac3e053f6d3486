//! The crate `ascent`: the rules of a workload as Rust code, one relation a class or predicate, over numbers of 32 bits.

mod answers;
pub mod closure;
pub mod debian;
pub mod generation;
pub mod lubm;
