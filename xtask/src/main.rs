//! `cargo xtask web` builds the page and the npm package, and serves or tests them; `cargo xtask
//! cycles` looks for files that import each other.
//!
//! It has no dependencies, so it compiles in a moment.

mod build;
mod cycles;
mod serve;
mod shell;
mod tools;

use std::process::{Command, ExitCode};

use shell::{Result, report, root, run};

/// The longest that the tests of one file may take: Node counts a file as a test, too.
const TEST_TIMEOUT_MS: u32 = 600_000;

const USAGE: &str = "\
Usage: cargo xtask web [--serve [PORT]] [--test [FILTER]]
       cargo xtask cycles

  web             build the page into web/dist/site and the npm package into web/dist/package
  --serve [PORT]  then serve the page, at http://localhost:8080 unless PORT says otherwise
  --test [FILTER] then run the tests in Chromium, or those whose name matches FILTER
  cycles          list the files of each crate that import each other, and fail if there are any
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["cycles"] => cycles::cycles(),
        ["web"] => build::web(),
        ["web", "--serve"] => web_served(8080),
        ["web", "--serve", port] => match port.parse() {
            Ok(port) => web_served(port),
            Err(_) => Err(format!(
                "`{port}` is no port; take a number from 1 to 65535"
            )),
        },
        ["web", "--test"] => web_tested(None),
        ["web", "--test", filter] => web_tested(Some(filter)),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            report(&problem);
            ExitCode::FAILURE
        }
    }
}

fn web_served(port: u16) -> Result {
    build::web()?;
    let server = serve::Server::bind(&root().join("web/dist/site"), port)?;
    report(&format!("The page is at {}. Ctrl+C ends it.", server.url()));
    server.run();
    Ok(())
}

fn web_tested(filter: Option<&str>) -> Result {
    build::web()?;
    let server = serve::Server::bind(&root().join("web/dist/site"), 0)?;
    let url = server.url();
    std::thread::spawn(move || server.run());
    let mut tests = Command::new("node");
    tests
        .current_dir(root().join("web"))
        .env("RAREBIT_PAGE", url);
    tests.args(["--test", "--test-reporter=spec", "--test-concurrency=1"]);
    // A test that waits for what does not come fails, and the others are still run.
    tests.arg(format!("--test-timeout={TEST_TIMEOUT_MS}"));
    if let Some(filter) = filter {
        tests.arg(format!("--test-name-pattern={filter}"));
    }
    run(tests.arg("tests/"))
}
