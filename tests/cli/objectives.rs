//! Objectives beside those of the pipeline, their data and their weights.

use serde_json::{Value, json};

use super::sandbox::{self, Sandbox, assert_holds, policy};

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

/// The weights of rows of one prompt as CrPO adds signals up, by its formula spelled out here.
fn added(rows: &[Value], signals: &[(&str, f64)]) -> Vec<f64> {
    let mut scores = vec![0.0; rows.len()];
    for (column, lambda) in signals {
        let number = |row: &Value| row[column].as_f64();
        let values: Vec<f64> = rows.iter().map(|row| number(row).expect(column)).collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for (score, value) in scores.iter_mut().zip(values) {
            *score += match most > least {
                true => lambda * (value - least) / (most - least),
                false => lambda * 0.5,
            };
        }
    }
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    scores.iter().map(|score| score / mean).collect()
}

#[test]
fn signals_are_added_up_to_weights() {
    let sandbox = prepared(&format!(
        "--jsonl --weighting semantic --mix diversity=1,novelty=1,surprise=0.5,quality=1 \
         --surprise-model {}",
        policy()
    ));
    let mut groups = sandbox.rows("prepared/train/groups.jsonl");
    groups.extend(sandbox.rows("prepared/test/groups.jsonl"));
    assert_eq!(groups.len(), 72);
    let all = [
        ("deviation_semantic", 1.0),
        ("novelty", 1.0),
        ("surprise", 0.5),
        ("score", 1.0),
    ];
    for prompt in groups.chunk_by(|a, b| a["prompt_id"] == b["prompt_id"]) {
        for (row, expected) in prompt.iter().zip(added(prompt, &all)) {
            let weight = row["weight"].as_f64().unwrap();
            assert!((weight - expected).abs() < 1e-9, "{weight}, not {expected}");
            // A random model of 300 tokens expects none of them.
            assert!(row["surprise"].as_f64().unwrap() > 50.0, "{row}");
            assert!(row["novelty"].as_f64().unwrap() >= 0.0, "{row}");
        }
    }
    let summary: Value = serde_json::from_str(&sandbox.read("prepared/summary.json")).unwrap();
    assert_eq!(summary["options"]["weighting"]["mix"]["surprise"], 0.5);
    assert!(summary["surprise_model"].is_string());

    // `train` mixes anew from what is there.
    let flags = "--objective ddpo --dataset-name prepared --mix novelty=1,quality=2";
    sandbox.succeeds(&train("run", flags));
    assert_holds(
        &sandbox.read("run/config.toml"),
        &["[mix]", "novelty = 1.0", "quality = 2.0"],
    );
    sandbox.succeeds("train --config run/config.toml --output_dir again");
    assert!(sandbox.tree("again/model") == sandbox.tree("run/model"));
}

#[test]
fn surprise_of_any_origin_is_read_and_what_is_missing_is_named() {
    let sandbox = Sandbox::new();
    let rows = |with: &dyn Fn(usize) -> Value| -> String {
        (0..8)
            .map(|i| {
                let (prompt, response) = (format!("Tell {}", i / 4), format!("A tale of {i}."));
                let mut row = json!({"prompt": prompt, "response": response, "score": i});
                for (key, value) in with(i).as_object().unwrap() {
                    row[key] = value.clone();
                }
                format!("{row}\n")
            })
            .collect()
    };
    let deviation = |file: &str, flags: &str| format!("deviation {file} --json {LEXICAL} {flags}");
    sandbox.write(
        "rows.jsonl",
        rows(&|i| json!({"surprise": ([9, 1, 4, 6][i % 4])})),
    );
    let printed = sandbox.succeeds(&deviation("rows.jsonl", "--mix surprise=2"));
    let weights: Vec<f64> = sandbox::rows(&printed)
        .iter()
        .map(|row| row["weight"].as_f64().unwrap())
        .collect();
    for (i, weight) in weights.iter().enumerate() {
        let expected = [2.0, 0.0, 0.75, 1.25][i % 4];
        assert!((weight - expected).abs() < 1e-9, "{weights:?}");
    }
    // A model that is named is believed before the file.
    let asked = format!("--mix surprise=2 --surprise-model {}", policy());
    let asked = sandbox.succeeds(&deviation("rows.jsonl", &asked));
    assert!(sandbox::rows(&asked)[0]["surprise"].as_f64().unwrap() > 9.0);

    sandbox.write("bare.jsonl", rows(&|_| json!({})));
    sandbox.write("bad.jsonl", rows(&|_| json!({"surprise": "much"})));
    sandbox.write(
        "votes.jsonl",
        rows(&|i| json!({"score": (i != 5).then_some(i)})),
    );
    // A column that the mix does not count is not read.
    sandbox.succeeds("deviation bad.jsonl --json --mix novelty=1 --semantic builtin:lexical");
    for (file, mix, parts) in [
        (
            "bare.jsonl",
            "surprise=1",
            &["bare:", "no surprise", "--surprise-model"][..],
        ),
        (
            "bad.jsonl",
            "surprise=1",
            &["bad:", "no surprise", "a number `surprise`"],
        ),
        (
            "votes.jsonl",
            "quality=1",
            &["votes:", "response 1 has no quality", "score"],
        ),
        (
            "bare.jsonl",
            "novelty=1 --semantic none --weighting none",
            &["novelty", "semantic"],
        ),
        (
            "bare.jsonl",
            "diversity=1 --weighting none",
            &["diversity counts"],
        ),
        (
            "bare.jsonl",
            "quality=1 --surprise-model nowhere",
            &["--surprise-model nowhere"],
        ),
    ] {
        let flags = format!("deviation {file} --json --mix {mix}");
        let flags = match mix.contains("--semantic") {
            true => flags,
            false => format!("{flags} {LEXICAL}"),
        };
        assert_holds(&sandbox.refused(1, &flags), parts);
    }
    for (mix, parts) in [
        ("wit=1", "`wit` is not one of diversity"),
        ("novelty", "SIGNAL=LAMBDA"),
        ("novelty=-1", "novelty is -1"),
    ] {
        let error = sandbox.refused(2, &deviation("bare.jsonl", &format!("--mix {mix}")));
        assert_holds(&error, &[parts]);
    }

    // What was prepared without a signal cannot be mixed from it.
    sandbox.succeeds(&format!(
        "prepare rows.jsonl --output prepared --test-size 0 {LEXICAL}"
    ));
    let flags = "--objective ddpo --dataset-name prepared --mix novelty=1";
    let error = sandbox.refused(1, &train("run", flags));
    assert_holds(
        &error,
        &[
            "groups.parquet",
            "no novelty",
            "rarebit prepare --mix novelty=1",
        ],
    );
}

#[test]
fn tau_and_semantic_share_make_weights_anew() {
    let sandbox = prepared("--jsonl");
    let trained = |run: &str, flags: &str| {
        let flags = format!("--objective dsft --dataset-name prepared {flags}");
        sandbox.succeeds(&train(run, &flags));
        sandbox.tree(&format!("{run}/model"))
    };
    let plain = trained("plain", "");
    for (run, flags, kept) in [
        ("tau", "--tau 2", "tau = 2.0"),
        ("share", "--semantic-share 0.9", "semantic_share = 0.9"),
        ("both", "--tau 0.5 --semantic-share 0.1", "tau = 0.5"),
    ] {
        assert!(trained(run, flags) != plain, "{flags}");
        assert_holds(&sandbox.read(&format!("{run}/config.toml")), &[kept]);
    }
    // 1 and a half are what `prepare` did, but for rounding; 0 makes plain fine-tuning of it.
    trained("same", "--tau 1 --semantic-share 0.5");
    let logged = |run: &str, name: &str| {
        let log = sandbox.rows(&format!("{run}/metrics.jsonl"));
        log[0][name].as_f64().expect("a number")
    };
    for name in ["loss", "weight"] {
        let difference = (logged("same", name) - logged("plain", name)).abs();
        assert!(difference < 1e-5, "{name} is off by {difference}");
    }
    trained("flat", "--tau 0");
    assert_eq!(logged("flat", "weight"), 1.0);

    for (flags, parts) in [
        ("--tau=-1", "tau is -1"),
        ("--semantic-share 1.5", "semantic share is 1.5"),
        (
            "--semantic-share 0.5 --weighting style",
            "both kinds must be mixed",
        ),
    ] {
        let flags = format!("--objective dsft --dataset-name prepared {flags}");
        assert_holds(&sandbox.refused(1, &train("run", &flags)), &[parts]);
    }
    let error = sandbox.refused(
        1,
        &train("run", "--objective dpo --dataset-name prepared --tau 2"),
    );
    assert_holds(&error, &["`tau` does not apply"]);
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
