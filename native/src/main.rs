//! Train language models that write well and differently each time.

mod cache;
mod commands;
mod device;
mod event_view;
mod global;
mod hub;
mod logging;
mod panics;
mod progress;
mod signals;
mod tale_world;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};
use rarebit_pipeline::PipelineError;
use rarebit_pipeline::settings::reward::RewardConfig;

use commands::Command;

/// Train language models that write well, and differently each time.
///
/// A response's deviation, how far it is from the other responses to its prompt, weights the
/// preference loss, so that a model learns from rare, good samples: DPO becomes DDPO, ORPO becomes
/// DORPO (arXiv 2503.17126). No Python, any GPU or none.
///
/// Start with `rarebit demo`.
#[derive(Parser)]
#[command(
    name = "rarebit",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    global: global::Global,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    panics::run(rarebit)
}

fn rarebit() -> ExitCode {
    let command_line = command();
    let matches = command_line
        .clone()
        .get_matches_from(dashed(std::env::args_os()));
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    logging::start();
    match commands::run(cli.command, &cli.global, innermost(&matches), command_line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if is_stopped(&error) => {
            progress::note(&format!("{error:#}"));
            signals::exit_code()
        }
        Err(error) => {
            // Nothing is left to say it to when standard error is closed, too.
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("error: {error:#}\n"),
            );
            ExitCode::FAILURE
        }
    }
}

/// The command line, with the defaults of reward models where `reward train` differs from `train`.
fn command() -> clap::Command {
    let reward_train = |mut train: clap::Command| {
        for (key, value) in RewardConfig::DEFAULTS {
            let value = value.trim_matches('"');
            train = train.mut_arg(key, |arg| match arg.is_hide_default_value_set() {
                true => arg,
                false => arg.default_value(value),
            });
        }
        train
    };
    // `mut_subcommand` would move the command to the end of the list.
    Cli::command().mut_subcommands(|command| match command.get_name() {
        "reward" => command.mut_subcommands(|command| match command.get_name() {
            "train" => reward_train(command),
            _ => command,
        }),
        _ => command,
    })
}

/// The matches of the command that was asked for, below all others.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    match matches.subcommand() {
        Some((_, matches)) => innermost(matches),
        None => matches,
    }
}

/// Lets flags be written as TRL writes them: `--learning_rate` is `--learning-rate`. What stands
/// after `--` is no flag.
fn dashed(arguments: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut flags = true;
    arguments.map(move |argument| {
        flags &= argument != "--";
        match argument.to_str() {
            Some(flag) if flags && flag.starts_with("--") => {
                let (name, value) = flag.split_at(flag.find('=').unwrap_or(flag.len()));
                (name.replace('_', "-") + value).into()
            }
            _ => argument,
        }
    })
}

/// Whether the run did what a signal asked of it.
fn is_stopped(error: &anyhow::Error) -> bool {
    let stopped = |cause: &PipelineError| cause.is_stopped();
    error
        .chain()
        .any(|cause| cause.downcast_ref().is_some_and(stopped))
}

/// `rarebit ... | head` ends quietly.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = match cause.downcast_ref::<PipelineError>() {
            Some(error) => error.io_error(),
            None => cause.downcast_ref(),
        };
        io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
