//! `debian-to-rdf`: the converter as a program. Exit code 1 if it fails, 2 for an invalid command line.

use clap::Parser;
use entail_example_debian::{Arguments, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {fault}");
            ExitCode::FAILURE
        }
    }
}
