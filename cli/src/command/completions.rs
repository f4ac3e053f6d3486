//! `entail completions`: shell completions.

use crate::arguments::Arguments as Line;
use crate::failure::Failure;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::io::{self, Write};

const EXAMPLES: &str = "\
Examples:
  entail completions bash > ~/.local/share/bash-completion/completions/entail
  entail completions zsh > \"${fpath[1]}/_entail\"
  entail completions fish > ~/.config/fish/completions/entail.fish";

/// Writes the completions of a shell to the standard output
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    // The generator panics on write errors; writing to memory cannot fail.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Line::command(), "entail", &mut script);
    let mut out = io::stdout().lock();
    out.write_all(&script).and_then(|()| out.flush()).map_err(Failure::Output)
}
