//! Objectives beside those of the pipeline, their data and their weights.

use serde_json::{Value, json};

use super::sandbox::{Sandbox, assert_holds, policy};

const LEXICAL: &str = "--semantic builtin:lexical";

fn prepared(extra: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write_groups("rows.jsonl");
    sandbox.succeeds(&format!(
        "prepare rows.jsonl --output prepared --test-size 0.25 {LEXICAL} {extra}"
    ));
    sandbox
}

fn train(run: &str, extra: &str) -> String {
    format!(
        "train --model-name-or-path {} --output-dir {run} --max-steps 2 --logging-steps 1 \
         --learning-rate 1e-3 {extra}",
        policy()
    )
}

/// The rows of a JSONL file that `prepare --jsonl` wrote.
fn pairs(sandbox: &Sandbox) -> Vec<Value> {
    let mut pairs = sandbox.rows("prepared/train/pairs.jsonl");
    pairs.extend(sandbox.rows("prepared/test/pairs.jsonl"));
    pairs
}

#[test]
fn variants_simpo_and_kto_train_with_and_without_weights() {
    let sandbox = prepared("");
    let pairs = [
        "rewards/chosen",
        "rewards/margins",
        "rewards/accuracies",
        "logps/rejected",
    ];
    let labels = [
        "kl",
        "rewards/chosen",
        "rewards/rejected",
        "rewards/margins",
        "logps/rejected",
    ];
    for (objective, names) in [
        ("dsft", &["logps/chosen"][..]),
        ("dpo --loss-type ipo", &pairs),
        ("ddpo --loss-type hinge --policy-beta 0.15", &pairs),
        ("ddpo --loss-type sigmoid_norm --beta 2", &pairs),
        ("dorpo --orpo-nll sequence", &pairs),
        ("simpo", &pairs),
        ("dsimpo --simpo-gamma 1", &pairs),
        ("kto --desirable-weight 1.2", &labels),
        ("dkto --renormalise", &labels),
    ] {
        let run = objective.replace([' ', '-'], "_");
        let flags = format!("--objective {objective} --dataset-name prepared");
        sandbox.succeeds(&train(&run, &flags));
        let log = sandbox.rows(&format!("{run}/metrics.jsonl"));
        for name in ["loss", "weight", "grad_norm"].iter().chain(names) {
            assert!(
                log[1][name].is_f64(),
                "{objective}: no {name} in {}",
                log[1]
            );
        }
        let evaluated = log.iter().find(|row| row["eval_loss"].is_f64());
        let evaluated = evaluated.unwrap_or_else(|| panic!("{objective} is not evaluated"));
        for name in names {
            let name = format!("eval_{name}");
            assert!(evaluated[&name].is_f64(), "{objective}: no {name}");
        }
        assert!(log.iter().all(|row| row.get("count/chosen").is_none()));
    }
}

#[test]
fn divpo_draws_two_pairs_of_the_best_and_the_worst() {
    let sandbox = prepared("--pairs divpo --jsonl");
    let drawn = pairs(&sandbox);
    // Six responses each: the best two against the worst two of twelve prompts.
    assert_eq!(drawn.len(), 24);
    for pair in &drawn {
        assert!(pair["score_chosen"].as_f64() > pair["score_rejected"].as_f64());
    }
    let summary: Value = serde_json::from_str(&sandbox.read("prepared/summary.json")).unwrap();
    assert_eq!(summary["options"]["pairs"]["divpo"]["rho"], 0.25);
    sandbox.succeeds(&train("run", "--objective dpo --dataset-name prepared"));

    let one = prepared("--pairs divpo --max-pairs 1 --deviation-over paired --jsonl");
    assert_eq!(pairs(&one).len(), 12);
    let groups = one.rows("prepared/train/groups.jsonl").len()
        + one.rows("prepared/test/groups.jsonl").len();
    assert_eq!(groups, 24, "only those in a pair are left");

    let error = one.refused(
        1,
        &format!("prepare rows.jsonl --output again --pairs divpo --weighting none {LEXICAL}"),
    );
    assert_holds(&error, &["DivPO", "semantic"]);
}

#[test]
fn pairs_of_a_bounded_length_difference_are_kept() {
    let words = |row: &Value, side: &str| row[side].as_str().unwrap().split_whitespace().count();
    let difference = |row: &Value| words(row, "chosen").abs_diff(words(row, "rejected"));
    let all = pairs(&prepared("--jsonl"));
    let most = all.iter().map(difference).max().unwrap();
    assert!(most > 1, "the toys differ in length");
    for way in ["score", "divpo"] {
        let flags = format!("--jsonl --pairs {way} --max-length-difference 1");
        let bounded = pairs(&prepared(&flags));
        assert!(bounded.iter().all(|row| difference(row) <= 1), "{way}");
    }
}

#[test]
fn shuffled_weights_are_a_control() {
    let sandbox = prepared("");
    let weights = |flag: &str, run: &str| {
        let flags = format!("--objective dsft --dataset-name prepared {flag}");
        sandbox.succeeds(&train(run, &flags));
        sandbox.read(&format!("{run}/config.toml"))
    };
    assert!(!weights("", "plain").contains("shuffle_weights"));
    assert_holds(
        &weights("--shuffle-weights", "control"),
        &["shuffle_weights = true"],
    );
    assert!(sandbox.tree("plain/model") != sandbox.tree("control/model"));

    sandbox.write(
        "alone.jsonl",
        "{\"prompt\": \"p\", \"completion\": \"c\", \"weight\": 1}\n",
    );
    let error = sandbox.refused(
        1,
        &train(
            "run",
            "--objective dsft --train-file alone.jsonl --shuffle-weights",
        ),
    );
    assert_holds(&error, &["groups.parquet", "shuffle_weights"]);
}

#[test]
fn weights_and_labels_of_any_origin_are_read() {
    let sandbox = Sandbox::new();
    let rows = |with: &dyn Fn(usize) -> Value| -> String {
        (0..8)
            .map(|i| {
                let mut row = json!({"prompt": format!("Tell {}", i / 2), "completion": format!("A tale of {i}.")});
                for (key, value) in with(i).as_object().unwrap() {
                    row[key] = value.clone();
                }
                format!("{row}\n")
            })
            .collect()
    };
    sandbox.write(
        "weights.jsonl",
        rows(&|i| json!({"weight": i as f64 / 4.0})),
    );
    sandbox.succeeds(&train("sft", "--objective dsft --train-file weights.jsonl"));
    let log = sandbox.rows("sft/metrics.jsonl");
    assert!(log[0]["weight"].as_f64().unwrap() > 0.0);

    sandbox.write(
        "labels.jsonl",
        rows(&|i| json!({"label": i % 2 == 0, "weight": 1.5})),
    );
    sandbox.succeeds(&train("kto", "--objective dkto --train-file labels.jsonl"));
    let log = sandbox.rows("kto/metrics.jsonl");
    assert_eq!(log[0]["weight"], 1.5);

    sandbox.write("bare.jsonl", rows(&|_| json!({})));
    let error = sandbox.refused(1, &train("run", "--objective kto --train-file bare.jsonl"));
    assert_holds(&error, &["`label`", "`score`"]);
    let error = sandbox.refused(1, &train("run", "--objective dsft --train-file bare.jsonl"));
    assert_holds(&error, &["`weight`", "bare.jsonl"]);
    sandbox.write("negative.jsonl", rows(&|_| json!({"weight": -1.0})));
    let error = sandbox.refused(
        1,
        &train("run", "--objective dsft --train-file negative.jsonl"),
    );
    assert_holds(&error, &["0 or more", "weight"]);
}
