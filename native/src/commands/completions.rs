//! `rarebit completions`: the script by which a shell completes commands and flags.

use std::io::{self, Write};

use clap::Command;
use clap_complete::Shell;

/// Print a completion script for a shell
///
/// The script goes to standard output. Write it to where your shell loads completions from, and
/// again after an update of rarebit.
///
/// Examples:
/// rarebit completions bash > ~/.local/share/bash-completion/completions/rarebit;
/// rarebit completions fish > ~/.config/fish/completions/rarebit.fish
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell to complete in
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, mut command: Command) -> anyhow::Result<()> {
    // clap_complete panics where it cannot write: a closed pipe is our own error.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "rarebit", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(())
}
