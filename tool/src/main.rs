//! The host tool: shows what is in QCOW1 images, and writes the guest's disk to a file.
//!
//! It is a thin layer over the crate's public API, so it is also an example of each call. `disk.rs`
//! opens images and chains, each module of `commands/` is one command, and the other files are
//! arguments, output and errors.

#![forbid(unsafe_code)]

mod args;
mod commands;
mod direct;
mod disk;
mod failure;
mod holes;
mod identity;
mod in_use;
mod interrupt;
mod lost;
mod medium;
mod nbd;
mod output;
mod past_end;
mod replacement;
mod secret;
mod sink;
mod text;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Args, Command};
use failure::{Failure, status};

fn main() -> ExitCode {
    interrupt::survive_size_limit();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(help) if !help.use_stderr() => {
            // --help and --version. A closed pipe is not an error.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => return usage_failure(&error).report().into(),
    };
    if args.quiet {
        output::be_quiet();
    }
    run(args.command).unwrap_or_else(|failure| failure.report()).into()
}

/// Runs a command, and returns the exit status.
fn run(command: Command) -> Result<u8, Failure> {
    let done = match command {
        Command::Info { images, json, open } => return commands::info(&images, &open, json),
        Command::Check { images, json, open } => return commands::check(&images, &open, json),
        Command::Dump {
            image,
            out,
            keep_going,
            json,
            guest,
        } => return commands::dump(&image, &out, keep_going, json.as_deref(), guest),
        Command::Map {
            image,
            json,
            open,
            lower,
        } => commands::map(&image, &open, &lower, json),
        Command::Read {
            image,
            offset,
            length,
            guest,
        } => commands::read(&image, offset, length, &guest),
        Command::Serve {
            image,
            unix,
            port,
            guest,
        } => commands::serve(&image, unix.as_deref(), port, &guest),
        Command::Completions { shell } => commands::completions(shell),
        Command::Man { command } => commands::man(command.as_deref()),
    };
    done.map(|()| status::SUCCESS)
}

/// Returns a usage error on one line. clap's own report has several lines, and its exit status
/// means "corrupt" here.
fn usage_failure(error: &clap::Error) -> Failure {
    let message = if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "a command is missing: info, map, dump, read, check or serve".to_owned()
    } else {
        let report = error.render().to_string();
        // The first paragraph states the mistake, the others how to mend it.
        let lines = report.lines().take_while(|line| !line.is_empty()).map(str::trim);
        let joined = lines.collect::<Vec<_>>().join(" ");
        joined.strip_prefix("error: ").unwrap_or(&joined).to_owned()
    };
    Failure::message(format!("{message} (see qcow1 --help)"))
}
