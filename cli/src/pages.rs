//! Keeps `docs/cli.md` and `docs/grpc.md` true: every flag, variable, command and reason has its place there.

use crate::arguments::Arguments;
use clap::{Command, CommandFactory};
use entail_model::Reason;
use entail_proto::status;

const CLI: &str = include_str!("../../docs/cli.md");
const GRPC: &str = include_str!("../../docs/grpc.md");

fn check(command: &Command, path: &str) {
    for argument in command.get_arguments() {
        if let Some(flag) = argument.get_long() {
            assert!(CLI.contains(&format!("`--{flag}")), "docs/cli.md does not tell of {path} --{flag}");
        }
        if let Some(variable) = argument.get_env().and_then(|variable| variable.to_str()) {
            assert!(CLI.contains(&format!("`{variable}`")), "docs/cli.md does not tell of {variable}");
        }
    }
    for inner in command.get_subcommands() {
        let path = format!("{path} {}", inner.get_name());
        assert!(CLI.contains(&path), "docs/cli.md does not tell of {path}");
        check(inner, &path);
    }
}

#[test]
fn every_flag_is_described() {
    check(&Arguments::command(), "entail");
}

#[test]
fn every_reason_is_described() {
    for reason in Reason::ALL {
        let code = format!("{:?}", status::code(reason));
        let row = GRPC.lines().find(|line| line.starts_with(&format!("| `{}` |", reason.name())));
        let cells: Vec<&str> = row.unwrap_or_else(|| panic!("{}", reason.name())).split('|').map(str::trim).collect();
        assert_eq!(cells[2].replace('_', "").to_lowercase(), code.to_lowercase());
        assert_eq!(cells[3] == "yes", reason.is_retryable(), "{}", reason.name());
    }
}
