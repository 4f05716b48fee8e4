//! The host tool: shows what is in QCOW1 images, and writes the guest's disk to a file.
//!
//! It is a thin layer over the crate's public API, so it is also an example of each call. `disk.rs` opens images and
//! chains, each module of `commands/` is one command, and the other files are arguments, output and errors.

#![forbid(unsafe_code)]

mod args;
mod commands;
mod disk;
mod failure;
mod identity;
mod output;
mod sink;
mod text;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Args, Command};
use commands::Verdict;
use failure::Failure;

/// The exit status of `check` for a corrupt image: qemu-img's convention, so no error exits with it.
const CORRUPT: u8 = 2;

/// The exit status of `check` if part of the file is unused and nothing else is wrong.
const UNREACHABLE: u8 = 3;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(asked) if !asked.use_stderr() => {
            // --help and --version. A closed pipe is not an error.
            let _ = asked.print();
            return ExitCode::SUCCESS;
        }
        Err(wrong) => return usage(&wrong).report(),
    };
    let done = match &args.command {
        Command::Info { image, json, open } => commands::info(image, open, *json),
        Command::Map { image, json, open } => commands::map(image, open, *json),
        Command::Dump { image, out, guest } => commands::dump(image, out, guest),
        Command::Read {
            image,
            offset,
            length,
            guest,
        } => commands::read(image, *offset, *length, guest),
        Command::Check { image, json, open } => match commands::check(image, open, *json) {
            Ok(Verdict::Clean) => Ok(()),
            Ok(Verdict::Corrupt) => return ExitCode::from(CORRUPT),
            Ok(Verdict::Unreachable) => return ExitCode::from(UNREACHABLE),
            Err(failure) => Err(failure),
        },
        Command::Completions { shell } => commands::completions(*shell),
        Command::Man { command } => commands::man(command.as_deref()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Returns a usage error on one line. clap's own report has several lines, and its exit status means "corrupt" here.
fn usage(wrong: &clap::Error) -> Failure {
    let message = if wrong.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "a command is missing: info, map, dump, read or check".to_owned()
    } else {
        let report = wrong.render().to_string();
        // The first paragraph says what is wrong; the others, how to do it.
        let lines = report.lines().take_while(|line| !line.is_empty()).map(str::trim);
        let joined = lines.collect::<Vec<_>>().join(" ");
        joined.strip_prefix("error: ").unwrap_or(&joined).to_owned()
    };
    Failure::told(format!("{message} (see qcow1 --help)"))
}
