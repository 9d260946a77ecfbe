//! Killed at any instant and started again, a run ends as if nothing had happened.

use std::fs;
use std::path::Path;
#[cfg(unix)]
use std::process::Command;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::sandbox::{Sandbox, Tree, assert_holds, fails, policy, rows};

/// Sixty steps with evaluations and checkpoints, long enough that a kill lands among them.
fn ddpo(extra: &str) -> String {
    format!(
        "train --objective ddpo --model-name-or-path {} --train-file pairs.jsonl --output-dir run \
         --eval-file held-out.jsonl --max-steps 60 --save-steps 5 --eval-steps 10 --logging-steps 3 \
         --per-device-train-batch-size 4 --learning-rate 1e-3 {extra}",
        policy()
    )
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_pairs("pairs.jsonl", 60, 3);
    sandbox.write_pairs("held-out.jsonl", 9, 4);
    sandbox
}

/// What does not depend on the clock: the log without times, the last checkpoint's state and
/// weights, the configuration, the model.
fn outcome(sandbox: &Sandbox) -> (Vec<Value>, Tree) {
    let mut log = sandbox.rows("run/metrics.jsonl");
    for row in &mut log {
        let row = row.as_object_mut().expect("an object");
        row.retain(|name, _| !matches!(name.as_str(), "tokens_per_second" | "eval_runtime"));
    }
    let mut tree = sandbox.tree("run");
    tree.retain(|path, _| {
        let name = path.to_string_lossy();
        // Event files hold times; the optimizer's file holds its tensors in any order.
        !name.contains("tfevents") && !name.ends_with(".burnpack") && name != "metrics.jsonl"
    });
    without_hashes(&mut tree);
    (log, tree)
}

/// Takes the hashes out of checkpoints: they are of the optimizer's file, too.
pub(super) fn without_hashes(tree: &mut Tree) {
    for (path, content) in tree {
        if path.ends_with("state.json") {
            let mut state: Value = serde_json::from_slice(content).expect("JSON");
            state.as_object_mut().expect("an object").remove("files");
            *content = state.to_string().into_bytes();
        }
    }
}

/// The newest step of which there is a checkpoint.
pub(super) fn last_checkpoint(run: &Path) -> u64 {
    fs::read_dir(run.join("checkpoints"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_prefix("step-")?
                .parse()
                .ok()
        })
        .max()
        .unwrap_or(0)
}

/// Starts the command and kills it `delay` after `is_time`. Whether the kill came before the end.
pub(super) fn kill(
    sandbox: &Sandbox,
    arguments: &str,
    delay: Duration,
    is_time: impl Fn() -> bool,
) -> bool {
    let mut process = sandbox
        .process(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    let patience = Instant::now() + Duration::from_secs(60);
    while !is_time() && process.try_wait().expect("a process").is_none() {
        assert!(Instant::now() < patience, "{arguments} stands still");
        sleep(Duration::from_millis(1));
    }
    sleep(delay);
    process.kill().expect("a process of ours");
    !process.wait().expect("a process").success()
}

/// Starts the command, sends it a signal (INT, TERM) when it is time, and waits for its end: its exit
/// code and what it said on standard error.
#[cfg(unix)]
pub(super) fn signal(
    mut command: Command,
    signals: &[&str],
    is_time: impl Fn() -> bool,
) -> (Option<i32>, String) {
    let process = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let process = process.spawn().expect("the program runs");
    let patience = Instant::now() + Duration::from_secs(60);
    while !is_time() {
        assert!(Instant::now() < patience, "the program stands still");
        sleep(Duration::from_millis(1));
    }
    for signal in signals {
        let pid = process.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &pid])
            .status();
        assert!(
            sent.expect("a signal").success(),
            "the program ended too early"
        );
        sleep(Duration::from_millis(100));
    }
    let output = process.wait_with_output().expect("a process of ours");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), told)
}

#[cfg(unix)]
#[test]
fn a_signal_stops_a_run_after_its_step_and_the_same_command_goes_on() {
    let arguments = ddpo("--num-train-epochs 3");
    let unbroken = sandbox();
    unbroken.succeeds(&arguments);
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let stopped = sandbox();
        let run = stopped.path("run");
        let (ended, told) = signal(stopped.process(&arguments), &[name], || {
            last_checkpoint(&run) >= 5
        });
        assert_eq!(ended, Some(code), "{told}");
        let step = last_checkpoint(&run);
        let line = format!(
            "stopped after step {step}: run/checkpoints/step-{step:08} is written, and the same command goes on"
        );
        assert_holds(&told, &[&line]);
        assert!(
            !told.contains("error") && !run.join("model").exists(),
            "{told}"
        );
        resumes(&stopped, &arguments);
        assert!(outcome(&stopped) == outcome(&unbroken));
    }
}

/// Writes responses to 40 prompts as `whole.jsonl`; returns the command, but for its output.
fn generated_whole(sandbox: &Sandbox) -> String {
    let prompts: Vec<String> = (0..40)
        .map(|i| format!("{{\"prompt\": \"Tale {i}\"}}\n"))
        .collect();
    sandbox.write("prompts.jsonl", prompts.concat());
    let arguments = format!(
        "generate {} --prompts-file prompts.jsonl -n 3 --max-new-tokens 90 --batch-size 6 --output ",
        policy()
    );
    sandbox.succeeds(&format!("{arguments} whole.jsonl"));
    arguments
}

#[cfg(unix)]
#[test]
fn a_signal_stops_generation_after_its_batch() {
    let sandbox = Sandbox::new();
    let arguments = generated_whole(&sandbox);
    let arguments = format!("{arguments} stopped.jsonl");
    let has_begun = || {
        let names = fs::read_dir(sandbox.path("")).expect("a folder").flatten();
        let mut sizes = names
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(".partial"))
            .map(|entry| entry.metadata().map_or(0, |it| it.len()));
        sizes.any(|size| size > 0)
    };
    let (ended, told) = signal(sandbox.process(&arguments), &["INT"], has_begun);
    assert_eq!(ended, Some(130), "{told}");
    assert_holds(
        &told,
        &[
            "stopped; stopped.",
            "of 120 responses, and the same command resumes",
        ],
    );
    assert!(!sandbox.path("stopped.jsonl").exists());
    assert_holds(&resumes(&sandbox, &arguments), &["are there already"]);
    assert_eq!(sandbox.read("stopped.jsonl"), sandbox.read("whole.jsonl"));
}

/// Runs unbroken and killed, and compares.
fn resumed_run_equals_unbroken(extra: &str) {
    let arguments = ddpo(extra);
    let unbroken = sandbox();
    unbroken.succeeds(&arguments);

    let killed = sandbox();
    let run = killed.path("run");
    // Moments from before the first checkpoint to the second half; the delays lead anywhere
    // between two checkpoints, and into the writing of one.
    let mut kills = 0;
    for (step, delay) in [(0, 20), (5, 7), (10, 0), (15, 23)] {
        let delay = Duration::from_millis(delay);
        kills += usize::from(kill(&killed, &arguments, delay, || {
            last_checkpoint(&run) >= step
        }));
    }
    assert!(
        kills >= 3,
        "the run was too fast to be killed: {kills} kills"
    );
    let output = killed
        .rarebit(&arguments)
        .output()
        .expect("the program runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_holds(&told, &["resuming from the checkpoint of step"]);

    let (expected_log, expected) = outcome(&unbroken);
    let (log, tree) = outcome(&killed);
    assert_eq!(expected_log.last().expect("a row")["step"], 60);
    assert_eq!(log, expected_log);
    let names = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&tree), names(&expected));
    for (path, content) in &expected {
        assert!(&tree[path] == content, "{} differs", path.display());
    }
}

#[test]
fn full_fine_tuning_resumes_bit_for_bit() {
    resumed_run_equals_unbroken("--weight-decay 0.01 --lr-scheduler-type cosine --warmup-steps 4");
}

#[test]
fn lora_with_dropout_and_accumulation_resumes_bit_for_bit() {
    resumed_run_equals_unbroken(
        "--use-peft --lora-r 4 --lora-dropout 0.1 --gradient-accumulation-steps 3",
    );
}

#[test]
fn a_run_stopped_between_last_step_and_end_is_evaluated_all_the_same() {
    let sandbox = sandbox();
    let arguments = ddpo("--eval-steps 0");
    sandbox.succeeds(&arguments.replace("--eval-steps 10", ""));
    let log = sandbox.rows("run/metrics.jsonl");
    assert!(
        log.last().expect("a row").get("eval_loss").is_some(),
        "{log:?}"
    );
    // No checkpoint of the last step is there before the evaluation is in the log, so that a run
    // killed in between takes the last steps again.
    fs::remove_dir_all(sandbox.path("run/checkpoints/step-00000060")).expect("a checkpoint");
    let expected = outcome(&sandbox).0;
    sandbox.succeeds(&arguments.replace("--eval-steps 10", ""));
    assert_eq!(outcome(&sandbox).0, expected);
}

#[test]
fn a_finished_run_is_left_as_it_is() {
    let sandbox = sandbox();
    let arguments = ddpo("--max-steps 6").replace("--max-steps 60", "");
    sandbox.succeeds(&arguments);
    let finished = sandbox.tree("run");
    sandbox.succeeds(&arguments);
    assert!(sandbox.tree("run") == finished);
    // The resolved configuration is the run's own.
    sandbox.succeeds("train --config run/config.toml");
    assert!(sandbox.tree("run") == finished);
}

/// Runs a command that resumes; what it says on standard error.
fn resumes(sandbox: &Sandbox, arguments: &str) -> String {
    let output = sandbox.rarebit(arguments).output();
    let output = output.expect("the program runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    told
}

const CHECKPOINT_FILES: [&str; 3] = ["state.json", "parameters.safetensors", "optimizer.burnpack"];

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_it_serves() {
    let sandbox = sandbox();
    let arguments = ddpo("--max-steps 12").replace("--max-steps 60", "");
    sandbox.succeeds(&arguments);
    let expected = outcome(&sandbox);
    for file in CHECKPOINT_FILES {
        let path = format!("run/checkpoints/step-00000012/{file}");
        let serves = |damage: &dyn Fn(&mut Vec<u8>)| {
            let mut content = fs::read(sandbox.path(&path)).expect("a file of the checkpoint");
            damage(&mut content);
            sandbox.write(&path, content);
            let told = resumes(&sandbox, &arguments);
            assert_holds(
                &told,
                &[
                    &path,
                    "is damaged",
                    "resuming from the checkpoint of step 10\n",
                ],
            );
            assert!(outcome(&sandbox) == expected, "{path}");
        };
        serves(&|content| content.truncate(content.len() / 2));
        // One bit of one byte, anywhere.
        for place in [1, 3, 5, 7] {
            serves(&|content| {
                let at = content.len() * place / 8;
                // A blank between two values of JSON means nothing.
                let at = at
                    + content[at..]
                        .iter()
                        .position(|it| *it != b' ')
                        .expect("a byte");
                content[at] ^= 1;
            });
        }
        fs::remove_file(sandbox.path(&path)).expect("a file of the checkpoint");
        assert_holds(&resumes(&sandbox, &arguments), &[&path, "it is missing"]);
        assert!(outcome(&sandbox) == expected, "{path}");
    }
}

#[test]
fn damaged_checkpoints_alone_are_refused_with_a_remedy() {
    let sandbox = sandbox();
    let arguments = ddpo("--max-steps 12").replace("--max-steps 60", "");
    sandbox.succeeds(&arguments);
    for entry in fs::read_dir(sandbox.path("run/checkpoints")).expect("a folder") {
        fs::write(entry.expect("a checkpoint").path().join("state.json"), "{").expect("a file");
    }
    let error = sandbox.refused(1, &arguments);
    let newest = "run/checkpoints/step-00000012/state.json";
    assert_holds(&error, &[newest, "remove run/checkpoints to start over"]);
}

#[test]
fn a_damaged_best_model_is_not_replaced_by_another() {
    let sandbox = sandbox();
    // So large a step that the lowest loss comes early.
    let arguments = ddpo("--load-best-model-at-end")
        .replace("--max-steps 60", "--max-steps 12")
        .replace("--eval-steps 10", "--eval-steps 2")
        .replace("--learning-rate 1e-3", "--learning-rate 1e-1");
    let told = resumes(&sandbox, &arguments);
    let best = told.rsplit("at step ").next().expect("a step").trim();
    let best: u64 = best
        .lines()
        .next()
        .expect("a line")
        .parse()
        .expect("a step");
    assert!(best < 12, "{told}");
    let path = format!("run/checkpoints/step-{best:08}/parameters.safetensors");
    let mut content = fs::read(sandbox.path(&path)).expect("a file of the checkpoint");
    *content.last_mut().expect("a byte") ^= 1;
    sandbox.write(&path, content);
    let error = sandbox.refused(1, &arguments);
    assert_holds(
        &error,
        &[
            &path,
            "of the best model",
            "remove run/checkpoints to start over",
        ],
    );
}

#[test]
fn a_checkpoint_of_an_older_version_serves_and_is_told() {
    let sandbox = sandbox();
    let arguments = ddpo("--max-steps 12").replace("--max-steps 60", "");
    sandbox.succeeds(&arguments);
    let expected = outcome(&sandbox);
    fs::remove_dir_all(sandbox.path("run/checkpoints/step-00000012")).expect("a checkpoint");
    let path = "run/checkpoints/step-00000010/state.json";
    let mut state: Value = serde_json::from_str(&sandbox.read(path)).expect("JSON");
    state.as_object_mut().expect("an object").remove("files");
    sandbox.write(path, state.to_string());
    let told = resumes(&sandbox, &arguments);
    assert_holds(
        &told,
        &["the checkpoint of step 10; it is of an older version"],
    );
    assert!(sandbox.path("run/model").is_dir());
    assert_eq!(outcome(&sandbox).0, expected.0);
}

#[test]
fn a_run_folder_of_other_settings_is_refused() {
    let sandbox = sandbox();
    let arguments = ddpo("--max-steps 6 --use-peft --lora-alpha 8").replace("--max-steps 60", "");
    sandbox.succeeds(&arguments);
    for (from, to) in [
        ("--learning-rate 1e-3", "--learning-rate 2e-3"),
        ("--train-file pairs.jsonl", "--train-file held-out.jsonl"),
        ("--objective ddpo", "--objective dpo"),
        ("--lora-alpha 8", "--lora-alpha 16"),
        ("--lora-alpha 8", "--lora-r 8"),
    ] {
        let error = sandbox.refused(1, &arguments.replace(from, to));
        assert_holds(
            &error,
            &["run/checkpoints/", "other settings", "output_dir"],
        );
    }
    // How often it saves is no part of what it is.
    sandbox.succeeds(&arguments.replace("--save-steps 5", "--save-steps 2"));
}

#[test]
fn a_non_finite_loss_stops_the_run_and_says_where() {
    let sandbox = sandbox();
    let arguments = ddpo("--save-steps 1 --learning-rate 1e30")
        .replace("--save-steps 5", "")
        .replace("--learning-rate 1e-3", "");
    let error = fails(&mut sandbox.rarebit(&arguments), 1, &arguments);
    let step = last_checkpoint(&sandbox.path("run"));
    assert!(step > 0, "{error}");
    let good = format!("the last good checkpoint is run/checkpoints/step-{step:08}");
    let failed = format!("at step {}", step + 1);
    assert_holds(
        &error,
        &[
            "the loss became",
            &failed,
            "prompt-",
            &good,
            "learning_rate",
        ],
    );
    assert!(!sandbox.path("run/model").exists());

    let arguments = arguments
        .replace("--save-steps 1 ", "--save-steps 0 ")
        .replace("dir run", "dir other");
    let error = fails(&mut sandbox.rarebit(&arguments), 1, &arguments);
    assert_holds(&error, &["there is no checkpoint before it"]);
}

#[test]
fn generation_killed_and_resumed_writes_the_same_file() {
    let sandbox = Sandbox::new();
    let arguments = generated_whole(&sandbox);
    let partial_rows = || {
        let partial = fs::read_dir(sandbox.path(""))
            .expect("a folder")
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy().ends_with(".partial"));
        partial.map_or(0, |entry| {
            fs::read_to_string(entry.path()).map_or(0, |text| text.lines().count())
        })
    };
    let killed = format!("{arguments} killed.jsonl");
    let mut kills = 0;
    for (rows, delay) in [(0, 30), (6, 0), (18, 3), (30, 11)] {
        let delay = Duration::from_millis(delay);
        kills += usize::from(kill(&sandbox, &killed, delay, || partial_rows() >= rows));
    }
    assert!(
        kills >= 3,
        "the run was too fast to be killed: {kills} kills"
    );
    // Half a row, as a kill in the middle of a write leaves it.
    for entry in fs::read_dir(sandbox.path("")).expect("a folder").flatten() {
        if entry.file_name().to_string_lossy().ends_with(".partial") {
            let mut text = fs::read(entry.path()).expect("rows");
            text.extend(b"{\"prompt_id\": \"");
            fs::write(entry.path(), text).expect("rows");
        }
    }
    sandbox.succeeds(&killed);
    assert_eq!(sandbox.read("killed.jsonl"), sandbox.read("whole.jsonl"));
    assert_eq!(rows(&sandbox.read("whole.jsonl")).len(), 120);
    assert_eq!(sandbox.tree(".").len(), 3);
}
