//! The host tool: looks into QCOW1 images and takes the guest's disk out of them.
//!
//! It is as thin over the crate's public API as a tool can be, so it is also an example of each call: `disk.rs` opens
//! images and chains, one module of `commands/` each is a command, and the rest is arguments, output and errors.

#![forbid(unsafe_code)]

mod args;
mod commands;
mod disk;
mod failure;
mod output;
mod text;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Args, Command};
use commands::Verdict;
use failure::Failure;

/// What `check` exits with where the image is corrupt: qemu-img's convention, and why no error exits with it.
const CORRUPT: u8 = 2;

/// What it exits with where some of the file is of no use, and nothing else is wrong.
const UNREACHABLE: u8 = 3;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(asked) if !asked.use_stderr() => {
            // --help and --version. That nobody reads them is no error.
            let _ = asked.print();
            return ExitCode::SUCCESS;
        }
        Err(wrong) => return usage(&wrong).report(),
    };
    let done = match &args.command {
        Command::Info { image, json, open } => commands::info(image, open, *json),
        Command::Map {
            image,
            json,
            open,
            backing,
        } => commands::map(image, open, backing, *json),
        Command::Dump {
            image,
            out,
            open,
            backing,
        } => commands::dump(image, out, open, backing),
        Command::Read {
            image,
            offset,
            length,
            open,
            backing,
        } => commands::read(image, *offset, *length, open, backing),
        Command::Check { image, json, open } => match commands::check(image, open, *json) {
            Ok(Verdict::Clean) => Ok(()),
            Ok(Verdict::Corrupt) => return ExitCode::from(CORRUPT),
            Ok(Verdict::Unreachable) => return ExitCode::from(UNREACHABLE),
            Err(failure) => Err(failure),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// A usage error on one line. clap's own report has several, and exits with what means "corrupt" here.
fn usage(wrong: &clap::Error) -> Failure {
    let message = if wrong.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        "a command is missing: info, map, dump, read or check".to_owned()
    } else {
        let report = wrong.render().to_string();
        // The first paragraph says what is wrong; the others, how it is done.
        let lines = report.lines().take_while(|line| !line.is_empty()).map(str::trim);
        let joined = lines.collect::<Vec<_>>().join(" ");
        joined.strip_prefix("error: ").unwrap_or(&joined).to_owned()
    };
    Failure::told(format!("{message} (qcow1 --help tells more)"))
}
