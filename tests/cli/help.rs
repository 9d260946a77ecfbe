//! What `--help` says, word for word: a change of it is a change to look at.

use super::sandbox::Sandbox;

/// The commands that the help of `command` lists, as `--help` takes them.
fn subcommands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let name = line.strip_prefix("  ")?;
            name.starts_with(char::is_alphabetic)
                .then(|| name.split_whitespace().next().map(str::to_owned))?
        })
        .filter(|name| name != "help")
        .collect()
}

fn help(command: &str) -> String {
    let output = Sandbox::new()
        .rarebit(&format!("{command} --help"))
        .output()
        .expect("help");
    assert!(output.status.success(), "{command}");
    String::from_utf8(output.stdout).expect("text")
}

fn snapshot(command: &str) {
    let text = help(command);
    let name = match command {
        "" => "rarebit".to_owned(),
        _ => format!("rarebit {command}").replace(' ', "-"),
    };
    insta::assert_snapshot!(name, text);
    for subcommand in subcommands(&text) {
        snapshot(format!("{command} {subcommand}").trim());
    }
}

#[test]
fn help_of_every_command() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| snapshot(""));
}

#[test]
fn no_arguments_show_the_help_and_the_version_is_told() {
    let sandbox = Sandbox::new();
    let mut bare = assert_cmd::Command::new(super::sandbox::RAREBIT);
    let output = bare.output().expect("the program runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("  demo  "));
    let version = sandbox
        .rarebit("--version")
        .output()
        .expect("the program runs");
    assert_eq!(
        String::from_utf8_lossy(&version.stdout),
        format!("rarebit {}\n", env!("CARGO_PKG_VERSION"))
    );
}
