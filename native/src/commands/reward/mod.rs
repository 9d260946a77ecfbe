//! `rarebit reward`: models that judge responses.

mod evaluate;
mod score;
mod train;

use clap::ArgMatches;

use crate::global::Global;

/// Train, use and measure reward models, which judge responses
///
/// A reward model is a language model whose head gives a text one number. It learns the votes of
/// responses, transformed to a scale from -1 to 1, as in the paper (arXiv 2503.17126), and then
/// scores what models write: quality in `rarebit evaluate --reward-model`, and what is better in
/// `rarebit train --online`.
#[derive(clap::Subcommand, Clone, Debug)]
pub(crate) enum RewardCommand {
    Train(Box<train::TrainArgs>),
    Score(score::ScoreArgs),
    Evaluate(evaluate::EvaluateArgs),
}

pub(crate) fn run(
    command: RewardCommand,
    global: &Global,
    matches: &ArgMatches,
) -> anyhow::Result<()> {
    match command {
        RewardCommand::Train(args) => train::run(&args, global, matches),
        RewardCommand::Score(args) => score::run(&args, global),
        RewardCommand::Evaluate(args) => evaluate::run(&args, global),
    }
}
