//! Every setting with its value and its origin, for `entail config show`.

use super::file::File;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use std::env;

/// A flag that takes a value, of all commands or of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The setting's name in the file: `server`, `rules.apply.graph`.
    pub name: String,
    /// `None` if it has no value.
    pub value: Option<String>,
    pub origin: Origin,
    /// The environment variable that sets the flag.
    pub variable: Option<String>,
}

/// The origin of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Flag,
    Environment,
    File,
    Default,
}

impl Origin {
    /// The origin's name in the output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        }
    }
}

/// The settings of all commands, as they apply to a process started with these arguments.
pub fn all(command: &Command, matches: &ArgMatches, file: &File) -> Vec<Setting> {
    let mut settings = Vec::new();
    collect(command, Some(matches), "", file, &mut settings);
    settings
}

fn collect(command: &Command, matches: Option<&ArgMatches>, inside: &str, file: &File, settings: &mut Vec<Setting>) {
    let flags = command.get_arguments().filter(|arg| arg.get_action().takes_values() && !arg.is_positional());
    settings.extend(flags.filter_map(|arg| setting(arg, matches, inside, file)));
    for inner in command.get_subcommands() {
        let name = format!("{inside}{}.", inner.get_name());
        let matches = matches.and_then(|matches| matches.subcommand_matches(inner.get_name()));
        collect(inner, matches, &name, file, settings);
    }
}

fn setting(arg: &Arg, matches: Option<&ArgMatches>, inside: &str, file: &File) -> Option<Setting> {
    let name = format!("{inside}{}", arg.get_long()?);
    let variable = arg.get_env().map(|variable| variable.to_string_lossy().into_owned());
    let given = matches.filter(|matches| is_given(matches, arg)).and_then(|matches| raw(matches, arg));
    let of_variable = variable.as_ref().and_then(env::var_os).map(|value| value.to_string_lossy().into_owned());
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let default = Some(defaults.join(" ")).filter(|text| !text.is_empty());
    let (value, origin) = match (given, of_variable) {
        (Some(given), _) => (Some(given), Origin::Flag),
        (None, Some(value)) => (Some(value), Origin::Environment),
        (None, None) if file.set.contains(&name) => (default, Origin::File),
        (None, None) => (default, Origin::Default),
    };
    // A hidden default of 0 stands for no limit of its own; the server's limit applies.
    let value = value.filter(|value| !(arg.is_hide_default_value_set() && origin == Origin::Default && value == "0"));
    Some(Setting { name, value, origin, variable })
}

fn is_given(matches: &ArgMatches, arg: &Arg) -> bool {
    // The global flags are defined for every command; the flags of one command are unknown to the others.
    matches.try_contains_id(arg.get_id().as_str()).unwrap_or(false)
        && matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
}

fn raw(matches: &ArgMatches, arg: &Arg) -> Option<String> {
    let words = matches.get_raw(arg.get_id().as_str())?;
    Some(words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Arguments;
    use clap::CommandFactory;

    #[test]
    fn settings_say_where_they_come_from() {
        let command = Arguments::command();
        let matches = command.clone().try_get_matches_from(["entail", "--server", "h", "config", "show"]).unwrap();
        let file = File { set: ["load.skip-max".to_owned()].into(), ..File::default() };
        let settings = all(&command, &matches, &file);
        let of = |name: &str| settings.iter().find(|setting| setting.name == name).unwrap();
        assert_eq!((of("server").value.as_deref(), of("server").origin), (Some("h"), Origin::Flag));
        assert_eq!(of("server").variable.as_deref(), Some("ENTAIL_SERVER"));
        assert_eq!((of("load.skip-max").value.as_deref(), of("load.skip-max").origin), (Some("1000"), Origin::File));
        assert_eq!(of("serve.nodes").origin, Origin::Default);
        assert_eq!(of("query.epoch").value, None);
    }
}
