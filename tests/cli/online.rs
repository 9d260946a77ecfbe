//! `train --online`: rounds of writing, judging and learning, killed and resumed.

use std::fs;
use std::time::Duration;

use super::resume::{kill, without_hashes};
use super::sandbox::{Sandbox, Tree, assert_holds, policy};

fn online(extra: &str) -> String {
    format!(
        "train --objective ddpo --model-name-or-path {} --train-file prompts.jsonl --output-dir run \
         --online --reward-model-path {} --num-rounds 3 --num-generations 4 \
         --prompts-per-round 4 --max-new-tokens 16 --semantic builtin:lexical --gap 0 \
         --per-device-train-batch-size 2 --learning-rate 1e-3 --logging-steps 1 --save-steps 1 {extra}",
        policy(),
        policy().replace("losses/policy", "reward"),
    )
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let prompts: String = (0..6)
        .map(|i| format!("{{\"prompt\": \"Write about a fox and {i} lamps.\"}}\n"))
        .collect();
    sandbox.write("prompts.jsonl", prompts);
    sandbox
}

/// What does not depend on the clock.
fn outcome(sandbox: &Sandbox) -> Tree {
    let mut tree = sandbox.tree("run");
    tree.retain(|path, _| {
        let name = path.to_string_lossy();
        let is_log = name.starts_with("rounds") && name.ends_with("metrics.jsonl");
        !(is_log || name.contains("tfevents") || name.ends_with(".burnpack"))
    });
    without_hashes(&mut tree);
    tree
}

#[test]
fn rounds_are_kept_and_a_killed_run_goes_on_bit_for_bit() {
    // Full fine-tuning takes its reference from disk, an adapter from the model under it.
    for extra in ["", "--lora-r 2"] {
        let arguments = online(extra);
        let unbroken = sandbox();
        assert_eq!(unbroken.succeeds(&arguments).trim(), "run/model");
        let log = unbroken.rows("run/metrics.jsonl");
        assert_eq!(log.len(), 3);
        for (i, row) in log.iter().enumerate() {
            assert_eq!(row["round"], i + 1);
            assert_eq!(
                row["responses"],
                row["prompts"].as_u64().expect("a number") * 4
            );
            for name in [
                "reward",
                "deviation_semantic",
                "deviation_style",
                "kl",
                "loss",
            ] {
                assert!(row[name].is_f64(), "no {name} in {row}");
            }
        }
        // The first round is written by the reference itself.
        assert!(
            log[0]["kl"].as_f64().expect("a number").abs() < 1e-4,
            "{}",
            log[0]
        );
        for round in 1..=3 {
            for name in [
                "samples.jsonl",
                "scored.jsonl",
                "prepared/train/pairs.parquet",
                "prepared/train/groups.parquet",
                "metrics.jsonl",
                "round.json",
            ] {
                let path = unbroken.path(&format!("run/rounds/round-{round:04}/{name}"));
                assert!(path.is_file(), "{}", path.display());
            }
        }
        let expected = outcome(&unbroken);
        unbroken.succeeds(&arguments);
        assert!(
            outcome(&unbroken) == expected,
            "a finished run is left as it is"
        );

        let killed = sandbox();
        let there = |name: &str| killed.path(&format!("run/rounds/{name}")).exists();
        let mut kills = 0;
        for (name, delay) in [
            ("round-0001", 5),
            ("round-0001/samples.jsonl", 0),
            ("round-0001/checkpoints/step-00000002", 0),
            ("round-0002/prepared/summary.json", 3),
            ("round-0003/checkpoints/step-00000001", 0),
        ] {
            let delay = Duration::from_millis(delay);
            kills += usize::from(kill(&killed, &arguments, delay, || there(name)));
        }
        assert!(
            kills >= 3,
            "the run was too fast to be killed: {kills} kills"
        );
        killed.succeeds(&arguments);
        let found = outcome(&killed);
        let names = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&expected));
        for (path, content) in &expected {
            assert!(
                &found[path] == content,
                "{extra}: {} differs",
                path.display()
            );
        }
    }
}

#[test]
fn what_cannot_be_learned_online_is_named() {
    let sandbox = sandbox();
    let error = sandbox.refused(1, &online("--eval-file prompts.jsonl"));
    assert_holds(&error, &["`eval_file` does not apply"]);
    let error = sandbox.refused(1, &online("").replace("ddpo", "sft"));
    assert_holds(&error, &["makes pairs"]);
    let error = sandbox.refused(1, &online("").replace("--online ", ""));
    assert_holds(&error, &["has no effect without online"]);
    sandbox.succeeds(&online("").replace("--num-rounds 3", "--num-rounds 1"));
    let config = fs::read(sandbox.path("run/config.toml")).expect("a configuration");
    let error = sandbox.refused(1, &online(""));
    assert_holds(&error, &["other settings", "output_dir"]);
    assert_eq!(fs::read(sandbox.path("run/config.toml")).ok(), Some(config));
}
