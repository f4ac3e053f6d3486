//! `entail man`: the help of all commands as manual pages.

use crate::arguments::Arguments as Line;
use crate::failure::Failure;
use crate::session::Session;
use crate::units::counted;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  entail man | man -l -
  entail man --dir ~/.local/share/man/man1";

/// Writes manual pages: the page of `entail` to the standard output, or a page for each command into a directory
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The directory for the pages entail.1, entail-load.1, ...; created if missing
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    let command = Line::command();
    match &arguments.dir {
        None => {
            let mut out = io::stdout().lock();
            let page = page(command).map_err(Failure::Output)?;
            out.write_all(&page).and_then(|()| out.flush()).map_err(Failure::Output)
        }
        Some(dir) => {
            let written = fs::create_dir_all(dir).and_then(|()| write(command, "entail", dir));
            let pages = written.map_err(|error| Failure::input(dir.display().to_string(), error))?;
            session.note(format!("{} in {}", counted(pages, "page"), dir.display()));
            Ok(())
        }
    }
}

/// Writes the pages of a command and its subcommands; returns their number.
fn write(mut command: Command, name: &str, dir: &Path) -> io::Result<u64> {
    // Pages of subcommands include the global options, and their usage line has the full command name.
    command.build();
    let inner: Vec<Command> = command.get_subcommands().filter(|inner| inner.get_name() != "help").cloned().collect();
    let mut pages = 1;
    for inner in inner {
        let name = format!("{name}-{}", inner.get_name());
        pages += write(inner, &name, dir)?;
    }
    fs::write(dir.join(format!("{name}.1")), page(command.name(name.to_owned()))?)?;
    Ok(pages)
}

fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).manual("Entail").render(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let place = tempfile::tempdir().unwrap();
        let pages = write(Line::command(), "entail", place.path()).unwrap();
        assert_eq!(fs::read_dir(place.path()).unwrap().count() as u64, pages);
        let page = fs::read_to_string(place.path().join("entail-rules-apply.1")).unwrap();
        for expected in ["\\-\\-graph", "\\-\\-server", "entail rules apply"] {
            assert!(page.contains(expected), "{expected} is not in\n{page}");
        }
    }
}
