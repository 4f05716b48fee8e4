//! `completions` and `man`: completions for shells, and manual pages.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::Args;
use crate::failure::Failure;
use crate::output::Lines;

/// Prints the script that completes the tool's command line.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "qcow1", &mut script);
    print(&script)
}

/// Prints the manual page of the tool, or of one of its commands.
pub(crate) fn man(command: Option<&str>) -> Result<(), Failure> {
    let mut tool = Args::command();
    // Names the commands' pages after the tool.
    tool.build();
    let about = match command {
        None => tool,
        Some(name) => match tool.find_subcommand(name) {
            Some(command) => command.clone(),
            None => {
                return Err(Failure::message(format!(
                    "there is no command '{name}' (see qcow1 --help)"
                )));
            }
        },
    };
    let mut page = Vec::new();
    Man::new(about)
        .render(&mut page)
        .map_err(|error| Failure::message(format!("the manual page cannot be made: {error}")))?;
    print(&page)
}

fn print(text: &[u8]) -> Result<(), Failure> {
    let mut lines = Lines::new()?;
    lines.text(String::from_utf8_lossy(text))?;
    lines.finish()
}
