//! Tests of the languages: golden scripts of errors, the public suites, hostile texts.

mod golden;
mod hostile;
mod printing;
mod suites;
