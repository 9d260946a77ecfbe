//! `rarebit man`: manual pages, one for each command.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Command;
use clap_mangen::Man;
use rarebit_pipeline::output::write_atomically;

/// Write the manual pages, one for each command
///
/// The paths of the pages are printed. To read one, run `man --local-file PATH`; to install them,
/// write them to a man1 folder on your MANPATH, such as ~/.local/share/man/man1.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ManArgs {
    /// The folder to write rarebit.1, rarebit-train.1 and the others to
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn run(args: &ManArgs, command: Command) -> anyhow::Result<()> {
    // A built command has the names `rarebit-train` and `rarebit-reward-train` for its subcommands.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut out = io::stdout().lock();
    for command in with_subcommands(&command) {
        let page = Man::new(command.clone()).source(concat!("rarebit ", env!("CARGO_PKG_VERSION")));
        let path = args.folder.join(page.get_filename());
        write_atomically(&path, |file| Ok(page.render(file)?))?;
        writeln!(out, "{}", path.display())?;
    }
    Ok(())
}

/// The command and everything below it, depth first.
fn with_subcommands(command: &Command) -> Vec<&Command> {
    let below = command.get_subcommands().flat_map(with_subcommands);
    std::iter::once(command).chain(below).collect()
}
