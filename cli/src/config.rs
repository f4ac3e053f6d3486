//! The command line with the defaults of a file: flag > environment (`ENTAIL_*`) > file > default.
//!
//! The file is TOML: keys are the names of flags, those of one command in a table of its name.
//!
//! ```toml
//! server = "http://entail.example:7400"
//! [node]
//! memory = "8GiB"
//! [rules.apply]
//! graph = "http://example.org/g"
//! ```
//! Programs that run beside each other share a file: each reads the tables of its own commands.

use crate::failure::Failure;
use clap::{Command, CommandFactory, FromArgMatches};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Says of a table of the file, by its name, whether it is for the program that reads it.
pub type Concerns = fn(&str) -> bool;

/// The words of a command line, completed from the file that they or the environment name.
pub fn arguments<A: CommandFactory + FromArgMatches>(words: Vec<OsString>, concerns: Concerns) -> Result<A, Failure> {
    let mut command = A::command();
    if let Some(path) = path(&words) {
        let unreadable = |error| Failure::input(path.display().to_string(), error).message().unwrap_or_default();
        let text = fs::read_to_string(&path).map_err(|error| Failure::Usage(unreadable(error)))?;
        command = with_defaults(command, &text, concerns)
            .map_err(|why| Failure::Usage(format!("{}: {why}", path.display())))?;
    }
    let matches = command.try_get_matches_from(words).map_err(|error| Failure::Clap(Box::new(error)))?;
    A::from_arg_matches(&matches).map_err(|error| Failure::Clap(Box::new(error)))
}

/// The file, which has to be known before the command line can be read as a whole.
fn path(words: &[OsString]) -> Option<PathBuf> {
    let mut words = words.iter().skip(1).take_while(|word| *word != "--");
    while let Some(word) = words.next() {
        if word == "--config" {
            return words.next().map(PathBuf::from);
        }
        if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--config=")) {
            return Some(Path::new(path).to_owned());
        }
    }
    std::env::var_os("ENTAIL_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn with_defaults(command: Command, text: &str, concerns: Concerns) -> Result<Command, String> {
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    table.retain(|key, value| !value.is_table() || concerns(key));
    fill(command, table, "")
}

fn fill(mut command: Command, table: Table, inside: &str) -> Result<Command, String> {
    for (key, value) in table {
        let name = format!("{inside}{key}");
        command = match value {
            Value::Table(table) => {
                if command.find_subcommand(&key).is_none() {
                    return Err(format!("there is no command `{name}`"));
                }
                let mut filled = Ok(());
                let command = command.mut_subcommand(&key, |command| {
                    fill(command.clone(), table, &format!("{name}.")).unwrap_or_else(|why| {
                        filled = Err(why);
                        command
                    })
                });
                filled.map(|()| command)?
            }
            value => set(command, &key, &value)
                .ok_or_else(|| format!("`{name}` is no flag that can be set to a {}", value.type_str()))?,
        };
    }
    Ok(command)
}

/// Makes a value the default of a flag; nothing for flags that do not exist or take no value.
fn set(command: Command, key: &str, value: &Value) -> Option<Command> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        _ => return None,
    };
    let has_key = |arg: &&clap::Arg| arg.get_long() == Some(key) && arg.get_action().takes_values();
    let id = command.get_arguments().find(has_key)?.get_id().clone();
    // Its own file cannot be named in it.
    (id != "config").then(|| command.mut_arg(id, |arg| arg.default_value(text).required(false)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Arguments;

    const ALL: Concerns = |_| true;
    const FILE: &str =
        "server = \"http://file\"\n[load]\ngraph = \"http://g\"\nskip-max = 7\n[rules.apply]\ngraph = \"http://r\"\n";

    fn server(file: &str, words: &[&str]) -> String {
        let command = with_defaults(Arguments::command(), file, ALL).unwrap();
        let matches = command.try_get_matches_from(words).unwrap();
        Arguments::from_arg_matches(&matches).unwrap().globals.server
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
        with_defaults(Arguments::command(), FILE, ALL).unwrap().debug_assert();
    }

    #[test]
    fn flags_win_over_the_file() {
        assert_eq!(server("", &["entail", "status"]), "http://127.0.0.1:7400");
        assert_eq!(server(FILE, &["entail", "status"]), "http://file");
        assert_eq!(server(FILE, &["entail", "status", "--server", "http://flag"]), "http://flag");
        assert_eq!(server(FILE, &["entail", "--server=http://flag", "status"]), "http://flag");
    }

    #[test]
    fn mistakes_in_the_file_are_told() {
        for (text, expected) in [
            ("sevrer = \"x\"", "`sevrer` is no flag that can be set to a string"),
            ("[laod]\ngraph = \"x\"", "there is no command `laod`"),
            ("[rules.apply]\ngrpah = \"x\"", "`rules.apply.grpah` is no flag that can be set to a string"),
            ("quiet = true", "`quiet` is no flag that can be set to a boolean"),
            ("config = \"x\"", "`config` is no flag that can be set to a string"),
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

    #[test]
    fn the_file_is_found_on_the_command_line() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(path(&words(&["entail", "status", "--config", "a"])), Some(PathBuf::from("a")));
        assert_eq!(path(&words(&["entail", "--config=b", "status"])), Some(PathBuf::from("b")));
    }
}
