//! Checks `docs/cli.md` and `docs/grpc.md`: every flag, variable, command and reason is documented there, and every
//! command line in the pages and in the help texts is valid.

use crate::arguments::Arguments;
use clap::{Command, CommandFactory, Parser};
use entail_model::Reason;
use entail_proto::status;

const CLI: &str = include_str!("../../docs/cli.md");
const GRPC: &str = include_str!("../../docs/grpc.md");

fn check(command: &Command, path: &str) {
    for argument in command.get_arguments() {
        if let Some(flag) = argument.get_long() {
            assert!(CLI.contains(&format!("`--{flag}")), "docs/cli.md does not document {path} --{flag}");
        }
        if let Some(variable) = argument.get_env().and_then(|variable| variable.to_str()) {
            assert!(CLI.contains(&format!("`{variable}`")), "docs/cli.md does not document {variable}");
        }
    }
    for inner in command.get_subcommands() {
        let path = format!("{path} {}", inner.get_name());
        assert!(CLI.contains(&path), "docs/cli.md does not document {path}");
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

/// The pages with shell examples.
const PAGES: [&str; 4] = [CLI, GRPC, include_str!("../../README.md"), include_str!("../../docs/kubernetes.md")];

/// The words of a command line as a shell splits them, up to the next command or a comment.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for (at, character) in line.char_indices() {
        let word = words.last_mut().expect("there is one");
        match (quote, character) {
            (Some(open), character) if open == character => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None, '#' | '|' | '&' | '>' | '<' | ';') if word.is_empty() => break,
            (None, ';') => break,
            // Help texts have a description three spaces after the example.
            (None, ' ') if line[at..].starts_with("   ") => break,
            (None, ' ') if !word.is_empty() => words.push(String::new()),
            (None, ' ') => {}
            (_, character) => word.push(character),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The command lines of `entail` in a text: one for each line that begins with it or pipes into it.
fn command_lines(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let own = |line: &str| {
        let line = line.trim_start();
        let piped = line.find("| entail ").map(|at| at + 2).filter(|_| !line.starts_with("entail "));
        Some(words(&line[piped.unwrap_or(0)..])).filter(|words| words.first().is_some_and(|word| word == "entail"))
    };
    text.lines().filter_map(own).collect()
}

fn check_line(words: &[String], place: &str) {
    if let Err(error) = Arguments::try_parse_from(words) {
        assert!(!error.use_stderr(), "{place}: {words:?}: {error}");
    }
}

#[test]
fn command_lines_of_the_pages_are_right() {
    let mut count = 0;
    for page in PAGES {
        for block in page.split("\n```sh\n").skip(1) {
            let lines = command_lines(block.split("\n```").next().unwrap_or_default());
            count += lines.len();
            lines.iter().for_each(|words| check_line(words, "a page"));
        }
    }
    assert!(count >= 15, "only {count} command lines are found");
}

fn check_help(command: &Command, count: &mut usize) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let examples = help.lines().filter(|line| line.starts_with("  ")).collect::<Vec<_>>().join("\n");
    let lines = command_lines(&examples);
    *count += lines.len();
    lines.iter().for_each(|words| check_line(words, command.get_name()));
    command.get_subcommands().for_each(|inner| check_help(inner, count));
}

#[test]
fn command_lines_of_the_help_texts_are_right() {
    let mut count = 0;
    check_help(&Arguments::command(), &mut count);
    assert!(count >= 30, "only {count} command lines are found");
}
