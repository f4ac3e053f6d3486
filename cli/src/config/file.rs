//! The configuration file: its values become the defaults of flags.

use crate::config::Concerns;
use crate::failure::Failure;
use crate::prefixes::Prefix;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};
use oxrdf::NamedNode;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use toml::{Table, Value};

/// The table of prefixes, which belongs to no command.
const PREFIXES: &str = "prefixes";
/// The least similarity, from 0 to 1, for which an error suggests a known name instead of an unknown one.
const ALIKE_MIN: f64 = 0.75;

/// The contents of a file.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// The flags whose defaults the file sets: `server`, `rules.apply.graph`.
    pub set: BTreeSet<String>,
    pub prefixes: Vec<Prefix>,
}

/// Reads a file into the defaults of a command line.
///
/// # Errors
/// A usage failure that names the file and the key.
pub fn read(path: &Path, command: Command, concerns: Concerns) -> Result<(Command, File), Failure> {
    let unreadable = |error| Failure::input(path.display().to_string(), error).message().unwrap_or_default();
    let text = fs::read_to_string(path).map_err(|error| Failure::Usage(unreadable(error)))?;
    with_defaults(command, &text, concerns).map_err(|why| Failure::Usage(format!("{}: {why}", path.display())))
}

fn with_defaults(mut command: Command, text: &str, concerns: Concerns) -> Result<(Command, File), String> {
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
    let mut file = File::default();
    if let Some(value) = table.remove(PREFIXES) {
        file.prefixes = prefixes(value)?;
    }
    table.retain(|key, value| !value.is_table() || concerns(key));
    command = fill(command, table, "", &mut file)?;
    Ok((command, file))
}

fn prefixes(value: Value) -> Result<Vec<Prefix>, String> {
    let Value::Table(table) = value else {
        return Err("`prefixes` is a table, with a line such as ex = \"http://example.org/\"".to_owned());
    };
    table.into_iter().map(|(name, value)| prefix(name, value)).collect()
}

fn prefix(name: String, value: Value) -> Result<Prefix, String> {
    let is_name = |name: &str| name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let is_begun = |name: &str| name.is_empty() || name.starts_with(char::is_alphabetic);
    if !is_name(&name) || !is_begun(&name) || name.ends_with('.') {
        return Err(format!("`prefixes.{name}`: a prefix is a letter, then letters, digits, `-`, `_` and `.`"));
    }
    match value {
        Value::String(iri) if NamedNode::new(iri.as_str()).is_ok() => Ok((name, iri)),
        Value::String(iri) => Err(format!("`prefixes.{name}`: `{iri}` is not an absolute IRI")),
        other => Err(format!("`prefixes.{name}` has to be an IRI in quotes, not {}", article(&other))),
    }
}

fn fill(mut command: Command, table: Table, inside: &str, file: &mut File) -> Result<Command, String> {
    for (key, value) in table {
        let name = format!("{inside}{key}");
        command = match value {
            Value::Table(table) => {
                if command.find_subcommand(&key).is_none() {
                    let known = command.get_subcommands().map(|inner| inner.get_name().to_owned());
                    let known = known.chain(inside.is_empty().then(|| PREFIXES.to_owned()));
                    return Err(format!("there is no command `{name}`{}", meant(&key, known, inside)));
                }
                let mut filled = Ok(());
                let command = command.mut_subcommand(&key, |command| {
                    fill(command.clone(), table, &format!("{name}."), file).unwrap_or_else(|why| {
                        filled = Err(why);
                        command
                    })
                });
                filled.map(|()| command)?
            }
            value => set(command, &key, &value, inside)?,
        };
        file.set.insert(name);
    }
    Ok(command)
}

/// Sets a value as the default of a flag.
fn set(command: Command, key: &str, value: &Value, inside: &str) -> Result<Command, String> {
    let name = format!("{inside}{key}");
    // The file cannot set its own path.
    let can_be_set = |arg: &&Arg| arg.get_action().takes_values() && arg.get_id() != "config";
    let Some(arg) = command.get_arguments().find(|arg| arg.get_long() == Some(key)) else {
        return Err(unknown(&command, key, &name, inside));
    };
    if !can_be_set(&arg) {
        return Err(format!("`{name}` can be given only on the command line"));
    }
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        other => return Err(format!("`{name}` has to be a text or a whole number, not {}", article(other))),
    };
    check(arg, &text).map_err(|why| format!("`{name}`: {why}"))?;
    let id = arg.get_id().clone();
    Ok(command.mut_arg(id, |arg| arg.default_value(text).required(false)))
}

/// Validates a value as the flag would on a command line.
fn check(arg: &Arg, text: &str) -> Result<(), String> {
    let alone = Arg::new("value").long("value").value_parser(arg.get_value_parser().clone());
    let parsed =
        Command::new("value").no_binary_name(true).arg(alone).try_get_matches_from([format!("--value={text}")]);
    let Err(error) = parsed else { return Ok(()) };
    if let Some(ContextValue::Strings(known)) = error.get(ContextKind::ValidValue)
        && !known.is_empty()
    {
        return Err(format!("`{text}` is not one of {}", known.join(", ")));
    }
    let error = error.to_string();
    let first = error.lines().next().unwrap_or_default();
    // Keeps the text after the name of the flag, or all of it.
    Err(first.split_once("<value>': ").map_or(first, |(_, why)| why).trim_start_matches("error: ").to_owned())
}

/// The error for an unknown key: a similar name, or the table that the key belongs to.
fn unknown(command: &Command, key: &str, name: &str, inside: &str) -> String {
    let has = |inner: &&Command| inner.get_arguments().any(|arg| arg.get_long() == Some(key));
    let owners: Vec<&str> = command.get_subcommands().filter(has).map(Command::get_name).collect();
    if let Some(first) = owners.first() {
        return format!("`{name}` is a setting of {}: write it below a line [{inside}{first}]", owners.join(", "));
    }
    let flags = command.get_arguments().filter(|arg| arg.get_action().takes_values());
    let known = flags.filter_map(|arg| arg.get_long().map(str::to_owned));
    format!("`{name}` is not a setting{}", meant(key, known, inside))
}

/// A suggestion of the most similar known name, if it is similar enough.
fn meant(written: &str, known: impl Iterator<Item = String>, inside: &str) -> String {
    let alike = known.map(|name| (strsim::jaro_winkler(&name, written), name)).filter(|(alike, _)| *alike >= ALIKE_MIN);
    let best = alike.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.map_or_else(String::new, |(_, name)| format!(": did you mean `{inside}{name}`?"))
}

fn article(value: &Value) -> String {
    let name = value.type_str();
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Arguments;
    use clap::{CommandFactory, FromArgMatches};

    const ALL: Concerns = |_| true;
    const FILE: &str = "server = \"http://file:1\"\n[load]\ngraph = \"http://g\"\nskip-max = 7\n[rules.apply]\n\
                        graph = \"http://r\"\n[prefixes]\nex = \"http://e/\"\n\"\" = \"http://d/\"\n";

    fn server(file: &str, words: &[&str]) -> String {
        let (command, _) = with_defaults(Arguments::command(), file, ALL).unwrap();
        let matches = command.try_get_matches_from(words).unwrap();
        Arguments::from_arg_matches(&matches).unwrap().globals.server
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
        with_defaults(Arguments::command(), FILE, ALL).unwrap().0.debug_assert();
    }

    #[test]
    fn flags_win_over_the_file() {
        assert_eq!(server("", &["entail", "status"]), "http://127.0.0.1:7400");
        assert_eq!(server(FILE, &["entail", "status"]), "http://file:1");
        assert_eq!(server(FILE, &["entail", "status", "--server", "http://flag:1"]), "http://flag:1");
        assert_eq!(server(FILE, &["entail", "--server=http://flag:1", "status"]), "http://flag:1");
    }

    #[test]
    fn what_is_set_is_known() {
        let (_, file) = with_defaults(Arguments::command(), FILE, ALL).unwrap();
        assert!(file.set.contains("server") && file.set.contains("rules.apply.graph"), "{:?}", file.set);
        let pair = |name: &str, iri: &str| (name.to_owned(), iri.to_owned());
        assert_eq!(file.prefixes, [pair("", "http://d/"), pair("ex", "http://e/")]);
    }

    #[test]
    fn mistakes_in_the_file_are_told() {
        for (text, expected) in [
            ("sevrer = \"x\"", "`sevrer` is not a setting: did you mean `server`?"),
            ("elephant = \"x\"", "`elephant` is not a setting"),
            ("[laod]\ngraph = \"x\"", "there is no command `laod`: did you mean `load`?"),
            ("[prefix]\na = \"x\"", "there is no command `prefix`: did you mean `prefixes`?"),
            ("[rules.apply]\ngrpah = \"x\"", "`rules.apply.grpah` is not a setting: did you mean `rules.apply.graph`?"),
            ("memory = \"1GiB\"", "`memory` is a setting of serve, coordinator, node: write it below a line [serve]"),
            ("quiet = true", "`quiet` can be given only on the command line"),
            ("config = \"x\"", "`config` can be given only on the command line"),
            ("server = 1.5", "`server` has to be a text or a whole number, not a float"),
            ("timeout = \"often\"", "`timeout`: `often` is not a time such as 500ms, 30s, 5m, 2h"),
            ("prefixes = 1", "`prefixes` is a table, with a line such as ex = \"http://example.org/\""),
            ("[prefixes]\nex = 1", "`prefixes.ex` has to be an IRI in quotes, not an integer"),
            ("[prefixes]\nex = \"e\"", "`prefixes.ex`: `e` is not an absolute IRI"),
            (
                "[prefixes]\n\"a b\" = \"http://e\"",
                "`prefixes.a b`: a prefix is a letter, then letters, digits, `-`, `_` and `.`",
            ),
        ] {
            assert_eq!(with_defaults(Arguments::command(), text, ALL).unwrap_err(), expected);
        }
        assert!(with_defaults(Arguments::command(), "a = ", ALL).unwrap_err().contains("line 1"));
    }

    #[test]
    fn tables_of_other_programs_are_left_alone() {
        let file = "[bench.lubm]\nruns = 5\n";
        assert!(with_defaults(Arguments::command(), file, ALL).is_err());
        assert!(with_defaults(Arguments::command(), file, |table| table != "bench").is_ok());
    }
}
