//! Tests of the rule language: golden scripts, the public suite, hostile texts.

mod golden;
mod hostile;
mod printing;
mod suite;
