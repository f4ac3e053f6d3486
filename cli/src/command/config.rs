//! `entail config show`: every setting, with the origin of its value.

use crate::config::{Config, Setting};
use crate::failure::Failure;
use crate::output::grid::{Align, Fitting, Grid};
use crate::output::{self, Form};
use crate::session::Session;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::io::{self, Write};

const EXAMPLES: &str = "\
Examples:
  entail config show
  entail config show --output json
  entail config show --config other.toml

A setting is a flag that takes a value. A flag wins over its environment variable, that over the configuration file, and
that over the default. The file is the one of --config or ENTAIL_CONFIG, or else the first that exists of
$XDG_CONFIG_HOME/entail/config.toml (~/.config/entail/config.toml) and /etc/entail/config.toml.";

/// Shows the configuration and where each setting comes from
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    Show(Show),
}

/// Shows every setting of every command, with its value and origin
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Show {
    /// The format of the output
    #[arg(long, value_enum, value_name = "FORM", env = "ENTAIL_OUTPUT", default_value = "table")]
    output: Form,
}

pub fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let Command::Show(Show { output }) = command;
    let config = &session.config;
    output::show(output, |out| table(config, out), &json(config))
}

fn table(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    match &config.path {
        Some(path) => writeln!(out, "configuration file: {}\n", path.display())?,
        None => writeln!(out, "configuration file: none\n")?,
    }
    let row = |setting: &Setting| {
        let value = setting.value.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            setting.name.clone(),
            value,
            setting.origin.name().to_owned(),
            setting.variable.clone().unwrap_or_default(),
        ]
    };
    let columns = ["setting", "value", "from", "variable"].map(|title| (title, Align::Left)).to_vec();
    let mut settings = Fitting { columns, rows: config.settings.iter().map(row).collect() };
    if let Some(width) = output::width() {
        // The names of variables follow from those of the settings.
        settings.fit(width, &["variable"]);
    }
    settings.write(output::width(), out)?;
    writeln!(out)?;
    let columns = ["prefix", "IRI"].map(|title| (title, Align::Left));
    let rows: Vec<_> =
        config.prefixes.all().iter().map(|(name, iri)| vec![format!("{name}:"), format!("<{iri}>")]).collect();
    Grid::new(columns).write_within(output::width(), &rows, out)
}

fn json(config: &Config) -> Value {
    let object = |setting: &Setting| {
        json!({
            "name": setting.name, "value": setting.value, "from": setting.origin.name(), "variable": setting.variable,
        })
    };
    let prefixes: serde_json::Map<String, Value> =
        config.prefixes.all().iter().map(|(name, iri)| (name.clone(), Value::from(iri.as_str()))).collect();
    json!({
        "file": config.path.as_ref().map(|path| path.display().to_string()),
        "settings": config.settings.iter().map(object).collect::<Vec<_>>(),
        "prefixes": prefixes,
    })
}
