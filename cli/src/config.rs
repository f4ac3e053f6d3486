//! Merges the command line with the environment and the configuration file: flag > environment (`ENTAIL_*`) > file >
//! default.
//!
//! The file is TOML: keys are the names of flags; the flags of one command are in a table of its name. `[prefixes]`
//! lists prefixes that need no declaration.
//!
//! ```toml
//! server = "http://entail.example:7400"
//! [node]
//! memory = "8GiB"
//! [rules.apply]
//! graph = "http://example.org/g"
//! [prefixes]
//! ex = "http://example.org/"
//! ```
//! Empty variables count as not set. Several programs can share a file: each reads the tables of its own commands.

mod file;
mod settings;

pub use settings::Setting;

use crate::failure::Failure;
use crate::prefixes::Known;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, FromArgMatches};
use file::File;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Does a table of the file, by its name, belong to the program that reads the file?
pub type Concerns = fn(&str) -> bool;

/// The parts of the configuration that are not defaults of flags.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The path of the file, if there is one.
    pub path: Option<PathBuf>,
    pub prefixes: Known,
    /// Every setting of every command, with its value and its origin.
    pub settings: Vec<Setting>,
}

/// Parses a command line, completed from the environment and from the configuration file.
pub fn load<A: CommandFactory + FromArgMatches>(
    words: Vec<OsString>,
    concerns: Concerns,
) -> Result<(A, Config), Failure> {
    let command = without_empty_variables(A::command());
    let path = path(&words);
    let (command, file) = match &path {
        Some(path) => file::read(path, command, concerns)?,
        None => (command, File::default()),
    };
    let parsed = command.clone().try_get_matches_from(&words);
    let matches = parsed.map_err(|error| traced_back(error, &words, &command))?;
    let arguments = A::from_arg_matches(&matches).map_err(|error| Failure::Clap(Box::new(error)))?;
    let settings = settings::all(&command, &matches, &file);
    Ok((arguments, Config { path, prefixes: Known::with(file.prefixes), settings }))
}

/// Ignores environment variables that are empty.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |name: &OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| if arg.get_env().is_some_and(is_empty) { arg.env(None::<&str>) } else { arg })
        .mut_subcommands(without_empty_variables)
}

/// Clap's error about a value, with the variable that the value comes from. Values of the file have been checked
/// before.
fn traced_back(error: clap::Error, words: &[OsString], command: &Command) -> Failure {
    let is_value = matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue);
    let invalid = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) if is_value => value.clone(),
        _ => return Failure::Clap(Box::new(error)),
    };
    let is_on_the_line = words.iter().any(|word| word.to_string_lossy().contains(&invalid));
    let Some(variable) = variable_with(command, &invalid).filter(|_| !is_on_the_line) else {
        return Failure::Clap(Box::new(error));
    };
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    Failure::Usage(format!("{first} (the value is that of the environment variable {variable})"))
}

/// The variable of a flag that has this value.
fn variable_with(command: &Command, value: &str) -> Option<String> {
    let has = |variable: &&OsStr| env::var_os(variable).is_some_and(|found| found.to_string_lossy() == value);
    let own = command.get_arguments().filter_map(clap::Arg::get_env).find(has);
    own.map(|variable| variable.to_string_lossy().into_owned())
        .or_else(|| command.get_subcommands().find_map(|inner| variable_with(inner, value)))
}

/// The path of the file, which must be known before the command line can be parsed: the `--config` option, or else the
/// first existing file in the usual places.
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
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let named = variable("ENTAIL_CONFIG").map(PathBuf::from);
    named.or_else(|| places(&variable).into_iter().find(|place| place.is_file()))
}

/// The paths to search for a configuration file: the user's directory (XDG Base Directory), then the system's.
fn places(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let xdg = variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".config"));
    let own = xdg.or_else(home).map(|directory| directory.join("entail/config.toml"));
    own.into_iter().chain([PathBuf::from("/etc/entail/config.toml")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_found_on_the_command_line() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(path(&words(&["entail", "status", "--config", "a"])), Some(PathBuf::from("a")));
        assert_eq!(path(&words(&["entail", "--config=b", "status"])), Some(PathBuf::from("b")));
    }

    #[test]
    fn the_user_comes_before_the_system() {
        let places = |variables: &[(&str, &str)]| {
            let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
            places(&find).iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        const SYSTEM: &str = "/etc/entail/config.toml";
        assert_eq!(places(&[]), [SYSTEM]);
        assert_eq!(places(&[("HOME", "/h")]), ["/h/.config/entail/config.toml", SYSTEM]);
        assert_eq!(places(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]), ["/x/entail/config.toml", SYSTEM]);
        // The XDG specification ignores relative paths.
        assert_eq!(places(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "x")])[0], "/h/.config/entail/config.toml");
    }
}
