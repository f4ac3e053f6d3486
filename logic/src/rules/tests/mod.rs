//! Tests of the rule language: golden scripts, the public suite, hostile texts.

mod examples;
mod golden;
mod hostile;
mod printing;
mod suite;
