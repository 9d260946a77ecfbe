//! Completion scripts, manual pages and the reference, all derived from the commands.

use std::path::Path;

use super::sandbox::{Sandbox, assert_holds};

/// What a completion script of each shell must say of `rarebit`: how the shell is told to use it,
/// a command, a flag of it, and a value that the flag takes.
const SCRIPTS: [(&str, &str); 5] = [
    ("bash", "complete -F _rarebit"),
    ("elvish", "set edit:completion:arg-completer[rarebit]"),
    ("fish", "complete -c rarebit"),
    (
        "powershell",
        "Register-ArgumentCompleter -Native -CommandName 'rarebit'",
    ),
    ("zsh", "#compdef rarebit"),
];

#[test]
fn every_shell_has_a_completion_script() {
    let sandbox = Sandbox::new();
    for (shell, registration) in SCRIPTS {
        let script = sandbox.succeeds(&format!("completions {shell}"));
        assert_holds(&script, &[registration, "max-shard-size"]);
        // clap_complete offers the values of a flag to these shells only.
        if matches!(shell, "bash" | "fish" | "zsh") {
            assert_holds(&script, &["bfloat16"]);
        }
    }
}

#[test]
fn bash_completes_a_flag_and_its_values() {
    let sandbox = Sandbox::new();
    sandbox.write("rarebit.bash", sandbox.succeeds("completions bash"));
    let complete = |words: &str, last: usize| {
        let script = format!(
            "source rarebit.bash; COMP_WORDS=({words}); COMP_CWORD={last}; \
             _rarebit rarebit \"${{COMP_WORDS[{last}]}}\" \"${{COMP_WORDS[{before}]}}\"; \
             echo \"${{COMPREPLY[*]}}\"",
            before = last - 1
        );
        let output = std::process::Command::new("bash")
            .args(["--norc", "-c", script.as_str()])
            .current_dir(sandbox.path("."))
            .output()
            .expect("bash runs");
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(complete("rarebit gen", 1), "generate\n");
    assert_eq!(complete("rarebit export --max-s", 2), "--max-shard-size\n");
    assert_eq!(complete("rarebit export --dtype b", 3), "bfloat16\n");
}

#[test]
fn the_reference_in_the_documentation_is_the_programs() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference.md");
    let page = std::fs::read_to_string(page).expect("the reference");
    assert!(
        Sandbox::new().succeeds("reference") == page,
        "docs/reference.md is out of date: run `rarebit reference > docs/reference.md`"
    );
}

#[test]
fn an_unknown_shell_is_refused_with_those_that_are_known() {
    let error = Sandbox::new().refused(2, "completions tcsh");
    assert_holds(
        &error,
        &["'tcsh'", "bash", "elvish", "fish", "powershell", "zsh"],
    );
}

#[test]
fn every_command_has_a_manual_page() {
    let sandbox = Sandbox::new();
    let printed = sandbox.succeeds("man share/man1");
    let mut pages: Vec<&str> = printed.lines().collect();
    for page in &pages {
        let name = page
            .strip_prefix("share/man1/")
            .and_then(|name| name.strip_suffix(".1"))
            .expect("a page of section 1 in the folder");
        let text = sandbox.read(page);
        assert_holds(
            &text,
            &[
                ".TH",
                &name.replace('-', "\\-"),
                "NAME",
                "SYNOPSIS",
                "DESCRIPTION",
            ],
        );
    }
    for name in [
        "rarebit",
        "rarebit-train",
        "rarebit-reward-train",
        "rarebit-man",
    ] {
        let page = format!("share/man1/{name}.1");
        assert!(
            pages.contains(&page.as_str()),
            "{name} is missing in {printed}"
        );
    }
    // Each page is printed once, and nothing else is in the folder.
    pages.sort_unstable();
    let files: Vec<_> = sandbox.tree("share/man1").into_keys().collect();
    let names: Vec<_> = files
        .iter()
        .map(|file| format!("share/man1/{}", file.display()))
        .collect();
    assert_eq!(pages, names);
    let train = sandbox.read("share/man1/rarebit-train.1");
    assert_holds(&train, &["\\-\\-objective"]);
}

#[test]
fn a_folder_for_manual_pages_that_is_a_file_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("man1", "a file");
    let error = sandbox.refused(1, "man man1");
    assert_holds(&error, &["man1"]);
}
