//! `entail rules`: applies, lists, shows and drops rule sets.

use crate::command::Text;
use crate::failure::Failure;
use crate::output::grid::{Align, Grid};
use crate::output::{self, Form, change};
use crate::progress::Moving;
use crate::session::Session;
use crate::traced::Shown;
use crate::units::{count, counted};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use entail_client::v1::{ApplyRulesRequest, DropRulesRequest, RuleSet};
use entail_model::{Fault, Reason};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  entail rules apply family.srl
  entail rules apply family.srl --graph http://example.org/g
  entail rules list
  entail rules show family > family.srl
  entail rules drop family";

/// Manages rule sets, which derive facts from facts.
#[derive(Subcommand, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    Apply(Apply),
    List(List),
    Show(Show),
    Drop(Remove),
}

/// Adds or replaces a rule set (SPARQL-RL), and waits until all derived facts are committed.
#[derive(Args, Clone, Debug)]
pub struct Apply {
    /// The rules, or `-` for the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The name of the rule set; an existing set of this name is replaced [default: the file's name without its
    /// extension]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// The graph that the rules read and write [default: the default graph]
    #[arg(long, value_name = "IRI", value_parser = NonEmptyStringValueParser::new())]
    graph: Option<String>,

    /// Makes retries of this command safe: a change with this id is applied once [default: a random id]
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    request_id: Option<String>,

    /// Prints a trace to the standard error afterwards: the time spent in each process
    #[arg(long)]
    pub trace: bool,

    /// The format of the output
    #[arg(long, value_enum, value_name = "FORM", env = "ENTAIL_OUTPUT", default_value = "table")]
    output: Form,
}

/// Lists the rule sets. The JSON output includes their texts.
#[derive(Args, Clone, Debug)]
pub struct List {
    /// The format of the output
    #[arg(long, value_enum, value_name = "FORM", env = "ENTAIL_OUTPUT", default_value = "table")]
    output: Form,
}

/// Shows the text of a rule set.
#[derive(Args, Clone, Debug)]
pub struct Show {
    /// The rule set
    #[arg(value_name = "NAME")]
    name: String,

    /// The format of the output
    #[arg(long, value_enum, value_name = "FORM", env = "ENTAIL_OUTPUT", default_value = "table")]
    output: Form,
}

/// Drops a rule set and everything that only it entailed.
#[derive(Args, Clone, Debug)]
pub struct Remove {
    /// The rule set
    #[arg(value_name = "NAME")]
    name: String,

    /// Makes retries of this command safe: a change with this id is applied once [default: a random id]
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    request_id: Option<String>,

    /// Prints a trace to the standard error afterwards: the time spent in each process
    #[arg(long)]
    pub trace: bool,

    /// The format of the output
    #[arg(long, value_enum, value_name = "FORM", env = "ENTAIL_OUTPUT", default_value = "table")]
    output: Form,
}

pub async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Apply(arguments) => {
            let shown = Shown::of(arguments.trace, arguments.output == Form::Table);
            session.traced("rules apply", shown, apply(arguments, session)).await
        }
        Command::List(arguments) => list(arguments, session).await,
        Command::Show(arguments) => show(arguments, session).await,
        Command::Drop(arguments) => {
            let shown = Shown::of(arguments.trace, arguments.output == Form::Table);
            session.traced("rules drop", shown, remove(arguments, session)).await
        }
    }
}

async fn apply(arguments: Apply, session: &Session) -> Result<(), Failure> {
    if arguments.file.is_dir() {
        let why = std::io::Error::other("is a directory; a rule set is a file");
        return Err(Failure::input(arguments.file.display().to_string(), why));
    }
    let name = name(arguments.name, &arguments.file)?;
    let pipe = format!("entail rules apply - --name {name}");
    let text = Text::read(&arguments.file, &pipe)?.knowing(session.prefixes());
    let Apply { graph, request_id, output, .. } = arguments;
    let (graph, request_id) = (graph.unwrap_or_default(), request_id.unwrap_or_default());
    let request = ApplyRulesRequest { name: name.clone(), text: text.whole(), graph, request_id };
    let wheel = Moving::wheel(session, "reasoning");
    let response = session.working()?.apply_rules(request).await;
    drop(wheel);
    let response = response.map_err(|error| text.failure(error))?;
    let (rules, change) = (response.rules, response.change.unwrap_or_default());
    let mut json = change::json(&change);
    json["name"] = Value::from(name.as_str());
    json["rule_count"] = Value::from(rules);
    let summary = format!("{name}, {}, {}", counted(rules.into(), "rule"), change::line(&change));
    session.summarize(output, &summary, &json)
}

/// The given name, or the file's name without its extension.
fn name(given: Option<String>, file: &Path) -> Result<String, Failure> {
    let stem = || file.file_stem().filter(|_| file != Path::new("-")).and_then(|stem| stem.to_str()).map(str::to_owned);
    given.or_else(stem).ok_or_else(|| Failure::Usage("rules from the standard input need a --name".to_owned()))
}

async fn list(arguments: List, session: &Session) -> Result<(), Failure> {
    let sets = session.asking()?.list_rules().await?.rule_sets;
    let json = json!({ "rule_sets": sets.iter().map(object).collect::<Vec<_>>() });
    output::show(arguments.output, |out| table(&sets, out), &json)
}

fn object(set: &RuleSet) -> Value {
    json!({
        "name": set.name, "graph": set.graph, "rule_count": set.rules, "version": set.version, "text": set.text,
    })
}

async fn show(arguments: Show, session: &Session) -> Result<(), Failure> {
    let sets = session.asking()?.list_rules().await?.rule_sets;
    let Some(set) = sets.iter().find(|set| set.name == arguments.name) else {
        let names: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let message = format!("there is no rule set {}; there are: {names}", arguments.name);
        return Err(Fault::new(Reason::NotFound, message).into());
    };
    let end = if set.text.ends_with('\n') { "" } else { "\n" };
    output::show(arguments.output, |out| write!(out, "{}{end}", set.text), &object(set))
}

fn table(sets: &[RuleSet], out: &mut dyn Write) -> io::Result<()> {
    if sets.is_empty() {
        return writeln!(out, "no rules");
    }
    let row = |set: &RuleSet| {
        let graph = if set.graph.is_empty() { "default".to_owned() } else { format!("<{}>", set.graph) };
        vec![set.name.clone(), count(set.rules.into()), graph, set.version.to_string()]
    };
    let columns = [("name", Align::Left), ("rules", Align::Right), ("graph", Align::Left), ("version", Align::Right)];
    Grid::new(columns).write_within(output::width(), &sets.iter().map(row).collect::<Vec<_>>(), out)
}

async fn remove(arguments: Remove, session: &Session) -> Result<(), Failure> {
    let Remove { name, request_id, output, .. } = arguments;
    let request_id = request_id.unwrap_or_default();
    let wheel = Moving::wheel(session, "reasoning");
    let response = session.working()?.drop_rules(DropRulesRequest { name, request_id }).await;
    drop(wheel);
    let change = response?.change.unwrap_or_default();
    session.summarize(output, &change::line(&change), &change::json(&change))
}
