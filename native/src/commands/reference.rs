//! `rarebit reference`: every command, flag and key as Markdown.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, Command};

/// Print a reference of all commands, flags and keys as Markdown
///
/// docs/reference.md is this output; a test compares them. To write it again:
/// rarebit reference > docs/reference.md
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ReferenceArgs {}

pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let page = page(&command)?;
    io::stdout().lock().write_all(page.as_bytes())?;
    Ok(())
}

fn page(root: &Command) -> Result<String, std::fmt::Error> {
    let mut page = format!("# Reference\n\n{INTRODUCTION}\n");
    writeln!(page, "\n| command | what it does |\n|---|---|")?;
    for command in commands(root) {
        let name = name(command);
        let about = command.get_about().map(ToString::to_string);
        let link = name.replace(' ', "-");
        writeln!(
            page,
            "| [`{name}`](#{link}) | {} |",
            escaped(&about.unwrap_or_default())
        )?;
    }
    page.push_str("\n## Flags of every command\n\n| flag | what it does |\n|---|---|\n");
    for arg in root.get_arguments().filter(|arg| arg.is_global_set()) {
        row(arg, false, &mut page)?;
    }
    for command in commands(root) {
        section(command, &mut page)?;
    }
    Ok(page)
}

const INTRODUCTION: &str = "Written by `rarebit reference`; a test compares it with the program.

A default in brackets is what applies where a flag is not given. Commands that take `--config` read \
the same settings from a TOML file, under the keys named here; flags override the file. `--flag_name` \
is read as `--flag-name`.";

/// The commands that do something, in the order of `--help`.
fn commands(command: &Command) -> Vec<&Command> {
    match command.has_subcommands() {
        true => command.get_subcommands().flat_map(commands).collect(),
        false => vec![command],
    }
}

fn name(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    name.to_owned()
}

fn section(command: &Command, page: &mut String) -> std::fmt::Result {
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    write!(page, "\n## {}\n\n{}\n", name(command), prose(&about))?;
    let args: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_global_set() && !arg.is_hide_set())
        .filter(|arg| !matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpLong))
        .filter(|arg| !matches!(arg.get_action(), ArgAction::Version))
        .collect();
    let mut headings: Vec<Option<&str>> = Vec::new();
    for arg in &args {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    let has_keys = args.iter().any(|arg| arg.get_id() == "config");
    for heading in headings {
        if let Some(heading) = heading {
            write!(page, "\n### {heading}\n")?;
        }
        match has_keys {
            true => page.push_str("\n| flag | key | what it does |\n|---|---|---|\n"),
            false => page.push_str("\n| flag | what it does |\n|---|---|\n"),
        }
        for arg in args.iter().filter(|arg| arg.get_help_heading() == heading) {
            row(arg, has_keys, page)?;
        }
    }
    Ok(())
}

fn row(arg: &Arg, has_keys: bool, page: &mut String) -> std::fmt::Result {
    write!(page, "| {} |", written(arg))?;
    if has_keys {
        match arg.get_id() == "config" {
            true => page.push_str(" |"),
            false => write!(page, " `{}` |", arg.get_id())?,
        }
    }
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let mut help = help.map(ToString::to_string).unwrap_or_default();
    let defaults = arg.get_default_values();
    if !defaults.is_empty() && !arg.is_hide_default_value_set() && arg.get_action().takes_values() {
        let defaults = defaults.iter().map(|value| value.to_string_lossy());
        write!(
            help,
            " [default: {}]",
            defaults.collect::<Vec<_>>().join(" ")
        )?;
    }
    let values = values(arg);
    if !values.is_empty() && !is_switch(arg) {
        let each = values.iter().map(|value| match value.get_help() {
            Some(help) => format!("`{}` ({help})", value.get_name()),
            None => format!("`{}`", value.get_name()),
        });
        write!(help, ". Values: {}", each.collect::<Vec<_>>().join(", "))?;
    }
    writeln!(page, " {} |", escaped(&help))
}

/// The values that an argument can take, if they are few and have names.
fn values(arg: &Arg) -> Vec<PossibleValue> {
    let mut values = match arg.get_action().takes_values() {
        true => arg.get_possible_values(),
        false => Vec::new(),
    };
    values.retain(|value| !value.is_hide_set());
    values
}

/// Whether an argument is true or false.
fn is_switch(arg: &Arg) -> bool {
    let values = values(arg);
    let mut names = values.iter().map(PossibleValue::get_name);
    !values.is_empty() && names.all(|name| matches!(name, "true" | "false"))
}

/// An argument as it is written on the command line.
fn written(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let is_optional = arg
        .get_num_args()
        .is_some_and(|range| range.min_values() == 0);
    let value = match arg.get_action().takes_values() {
        true if is_switch(arg) => "[true|false]".to_owned(),
        true if is_optional && !arg.is_positional() => format!("[{}]", joined(names)),
        true => joined(names),
        false => String::new(),
    };
    let flags: Vec<String> = [
        arg.get_short().map(|short| format!("-{short}")),
        arg.get_long().map(|long| format!("--{long}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    let text = format!("{} {value}", flags.join(", "));
    format!("`{}`", text.trim().replace('|', "\\|"))
}

fn joined(names: &[clap::builder::Str]) -> String {
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    names.join(" ")
}

/// Text for a cell of a table.
fn escaped(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.replace('|', "\\|")
        .replace('<', "&lt;")
        .replace('*', "\\*")
}

/// Text for a paragraph.
fn prose(text: &str) -> String {
    text.replace('<', "&lt;")
}
