//! Reward models from outside: trained, killed and resumed, scoring, measured.

use std::time::Duration;

use serde_json::Value;

use super::resume::{kill, last_checkpoint};
use super::sandbox::{Sandbox, assert_holds, policy};

fn train(extra: &str) -> String {
    format!(
        "reward train --model-name-or-path {} --output-dir run --learning-rate 1e-3 --logging-steps 2 \
         --eval-steps 5 {extra}",
        policy()
    )
}

/// Toy responses whose score says something of their text: the longer, the better.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_groups("rows.jsonl");
    sandbox
}

#[test]
fn a_language_model_becomes_a_judge_that_every_command_takes() {
    let sandbox = sandbox();
    let model = sandbox.succeeds(&train("--train-file rows.jsonl --max-steps 10"));
    assert_eq!(model.trim(), "run/model");
    let log = sandbox.rows("run/metrics.jsonl");
    for name in ["loss", "mean_reward", "mean_score", "learning_rate"] {
        assert!(log[0][name].is_f64(), "no {name} in {}", log[0]);
    }
    assert!(log.iter().any(|row| row["eval_loss"].is_f64()));
    // What transformers' AutoModelForSequenceClassification asks for.
    let config: Value = serde_json::from_str(&sandbox.read("run/model/config.json")).expect("JSON");
    assert_eq!(config["architectures"][0], "LlamaForSequenceClassification");
    assert_eq!(config["id2label"]["0"], "LABEL_0");
    assert!(config["pad_token_id"].is_u64(), "{config}");

    sandbox.succeeds("reward score run/model rows.jsonl --output scored.jsonl");
    let scores = |file: &str| -> Vec<f64> {
        let rows = sandbox.rows(file);
        let responses = rows
            .iter()
            .flat_map(|row| row["responses"].as_array().unwrap());
        responses
            .map(|it| it["score"].as_f64().expect("a score"))
            .collect()
    };
    assert_eq!(scores("scored.jsonl").len(), 72);

    let told = sandbox.succeeds("reward evaluate run/model rows.jsonl --html reward.html --json");
    let found: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(
        (&found["prompts"], &found["responses"]),
        (&12.into(), &72.into())
    );
    for name in ["mae", "spearman", "pair_accuracy"] {
        assert!(found[name]["mean"].is_f64(), "no {name} in {found}");
    }
    assert_holds(
        &sandbox.read("reward.html"),
        &["Calibration", "<svg", "Pair accuracy"],
    );
    assert_holds(
        &sandbox.succeeds("reward evaluate run/model rows.jsonl"),
        &["Spearman", "mean absolute error"],
    );

    // It goes on from where it is, and as an adapter.
    sandbox.succeeds(
        &train("--train-file rows.jsonl --max-steps 2 --lora-r 2")
            .replace(&policy(), "run/model")
            .replace("--output-dir run ", "--output-dir adapted "),
    );
    let adapter = sandbox.read("adapted/model/adapter_config.json");
    assert_holds(&adapter, &["SEQ_CLS", "\"score\""]);
    sandbox.succeeds("reward score adapted/model rows.jsonl scored.jsonl --output many");
    assert_eq!(scores("many/rows.jsonl").len(), 72);
    assert_eq!(scores("many/scored.jsonl"), scores("many/rows.jsonl"));
    every_column_stays(&sandbox);
}

/// What a model wrote, and a preference set, get scores and lose nothing.
fn every_column_stays(sandbox: &Sandbox) {
    sandbox.succeeds(&format!(
        "generate {} --prompt Tale --prompt Song -n 2 --max-new-tokens 5 --output samples.jsonl",
        policy()
    ));
    sandbox.write_pairs("pairs.jsonl", 3, 5);
    sandbox.succeeds("reward score run/model samples.jsonl pairs.jsonl --output scored");
    for (file, scores) in [
        ("samples.jsonl", &["score"][..]),
        ("pairs.jsonl", &["score_chosen", "score_rejected"]),
    ] {
        let (before, after) = (sandbox.rows(file), sandbox.rows(&format!("scored/{file}")));
        assert_eq!(before.len(), after.len());
        for (before, mut after) in before.into_iter().zip(after) {
            let columns = after.as_object_mut().expect("a row");
            for name in scores {
                let score = columns.remove(*name).expect("a score");
                assert!(score.is_f64(), "{file}: {name} is {score}");
            }
            assert_eq!(before, after);
        }
    }
    // A score that was there is replaced.
    sandbox.succeeds("reward score run/model scored/samples.jsonl --output again.jsonl");
    assert!(sandbox.read("again.jsonl") == sandbox.read("scored/samples.jsonl"));
}

#[test]
fn a_prepared_folder_is_learned_from_and_evaluated_on() {
    let sandbox = sandbox();
    sandbox.succeeds(
        "prepare rows.jsonl --output prepared --test-size 0.3 --semantic builtin:lexical",
    );
    sandbox.succeeds(&train("--dataset-name prepared --max-steps 4"));
    let found = sandbox.succeeds("reward evaluate run/model prepared/test/groups.parquet --json");
    let found: Value = serde_json::from_str(&found).expect("JSON");
    assert!(found["responses"].as_u64().expect("a number") > 0);
}

#[test]
fn a_killed_run_goes_on_bit_for_bit() {
    let arguments = train(
        "--train-file rows.jsonl --max-steps 40 --save-steps 5 --eval-steps 10 --lora-r 2 --lora-dropout 0.1",
    );
    let arguments = arguments.replace("--eval-steps 5 ", "");
    let unbroken = sandbox();
    unbroken.succeeds(&arguments);
    let killed = sandbox();
    let run = killed.path("run");
    let kills = [(0, 10), (5, 3), (15, 9)].map(|(step, delay)| {
        kill(&killed, &arguments, Duration::from_millis(delay), || {
            last_checkpoint(&run) >= step
        })
    });
    assert!(kills.contains(&true), "the run was too fast to be killed");
    killed.succeeds(&arguments);
    for name in ["adapter_model.safetensors", "adapter_config.json"] {
        let read = |sandbox: &Sandbox| std::fs::read(sandbox.path(&format!("run/model/{name}")));
        let (one, other) = (read(&unbroken), read(&killed));
        assert!(
            one.expect("a file") == other.expect("a file"),
            "{name} differs"
        );
    }
}

#[test]
fn what_cannot_be_learned_from_is_named() {
    let sandbox = sandbox();
    sandbox.write("bare.jsonl", "{\"prompt\":\"p\",\"response\":\"r\"}\n");
    let error = sandbox.refused(1, &train("--train-file bare.jsonl"));
    assert_holds(
        &error,
        &["bare.jsonl", "no response has a score", "--score-column"],
    );
    let error = sandbox.refused(1, &train("--train-file rows.jsonl --test-size 0"));
    assert_holds(&error, &["needs evaluation data"]);
    let error = sandbox.refused(1, "reward train --output-dir run --train-file rows.jsonl");
    assert_holds(&error, &["`model_name_or_path` is missing"]);
    let error = sandbox.refused(
        1,
        &format!("reward score {} rows.jsonl --output scored.jsonl", policy()),
    );
    assert_holds(&error, &["cannot open the reward model", "score.weight"]);
}
