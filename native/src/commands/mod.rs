//! One file per command.

mod command_line;
pub(crate) mod completions;
mod counts;
pub(crate) mod demo;
pub(crate) mod deviation;
pub(crate) mod devices;
pub(crate) mod evaluate;
mod evaluation_table;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod human;
mod human_results;
pub(crate) mod man;
mod measure_args;
pub(crate) mod prepare;
pub(crate) mod reference;
pub(crate) mod report;
pub(crate) mod reproduce;
pub(crate) mod reward;
mod source_args;
pub(crate) mod sweep;
pub(crate) mod tales;
pub(crate) mod train;

use clap::ArgMatches;

use crate::global::Global;

/// What to do
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Demo(demo::DemoArgs),
    Reproduce(reproduce::ReproduceArgs),
    Prepare(prepare::PrepareArgs),
    Deviation(deviation::DeviationArgs),
    Train(Box<train::TrainArgs>),
    Generate(Box<generate::GenerateArgs>),
    Evaluate(evaluate::EvaluateArgs),
    #[command(subcommand)]
    Reward(reward::RewardCommand),
    Sweep(Box<sweep::SweepArgs>),
    Report(report::ReportArgs),
    #[command(subcommand)]
    Human(human::HumanCommand),
    Export(export::ExportArgs),
    Devices(devices::Args),
    #[command(subcommand)]
    Tales(tales::TalesCommand),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Reference(reference::ReferenceArgs),
}

/// Runs a command; `matches` tells which of its flags were given, `command_line` is what
/// completions, manual pages and the reference describe.
pub(crate) fn run(
    command: Command,
    global: &Global,
    matches: &ArgMatches,
    command_line: clap::Command,
) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => demo::run(args, global),
        Command::Reproduce(args) => reproduce::run(args, global),
        Command::Prepare(args) => prepare::run(args, global),
        Command::Deviation(args) => deviation::run(args, global),
        Command::Train(args) => train::run(&args, global, matches),
        Command::Generate(args) => generate::run(&args, global, matches),
        Command::Evaluate(args) => evaluate::run(args, global),
        Command::Reward(command) => reward::run(command, global, matches),
        Command::Sweep(args) => sweep::run(*args, global),
        Command::Report(args) => report::run(args),
        Command::Human(command) => human::run(command),
        Command::Export(args) => export::run(args, global),
        Command::Devices(args) => devices::run(&args),
        Command::Tales(command) => tales::run(command),
        Command::Completions(args) => completions::run(&args, command_line),
        Command::Man(args) => man::run(&args, command_line),
        Command::Reference(_) => reference::run(command_line),
    }
}
