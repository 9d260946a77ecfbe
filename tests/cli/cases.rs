//! Files as users have them, through the program. What is read from each is tested in
//! `crates/data/tests/cases.rs`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::sandbox::{Sandbox, assert_holds, policy};

const EMBEDDERS: &str = "--semantic builtin:lexical --style builtin:style";

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/cases")
        .join(name)
}

/// A sandbox with copies of these files.
fn with(names: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    for name in names {
        sandbox.write(name, std::fs::read(case(name)).expect("the fixture"));
    }
    sandbox
}

/// Standard error of a command that succeeds.
fn told(sandbox: &Sandbox, arguments: &str) -> String {
    let output = sandbox.rarebit(arguments).output().expect("it runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments}: {error}");
    error
}

#[test]
fn what_is_no_answer_makes_no_system_more_diverse() {
    let sandbox = with(&["answered.jsonl", "one_failed.jsonl", "one_refused.jsonl"]);
    let error = told(
        &sandbox,
        &format!(
            "evaluate all=answered.jsonl failed=one_failed.jsonl refused=one_refused.jsonl {EMBEDDERS} --output e.json"
        ),
    );
    for (name, reason) in [("failed", "content filter"), ("refused", "refusal")] {
        let note = format!("{name}: 5 of 20 responses left out, which are not answers: 5 {reason}");
        assert_holds(&error, &[&note]);
    }
    let evaluation: Value = serde_json::from_str(&sandbox.read("e.json")).expect("JSON");
    let systems = evaluation["systems"].as_array().expect("systems");
    let diversity = |system: &Value| {
        let mean = &system["metrics"]["semantic_diversity"]["mean"];
        mean.as_f64().expect("a number")
    };
    let all = diversity(&systems[0]);
    for system in &systems[1..] {
        // Three of the same four texts.
        assert!(
            diversity(system) < 2.0 * all,
            "{} against {all}",
            diversity(system)
        );
        assert_eq!(system["responses"], 15);
    }
    assert_eq!(systems[1]["unanswered"]["content_filter"], 5);
    sandbox.succeeds("report e.json --output report.html");
    assert_holds(
        &sandbox.read("report.html"),
        &["5 of 20 responses left out, which are not answers: 5 refusal"],
    );
}

#[test]
fn kto_learns_the_labels_that_are_given() {
    let names = [
        "kto_bool_score.jsonl",
        "kto_float_score.jsonl",
        "kto_float.jsonl",
        "kto_words.jsonl",
    ];
    let sandbox = with(&names);
    let train = |file: &str, run: &str| {
        format!(
            "train --objective kto --train-file {file} --model-name-or-path {} --output-dir {run} \
             --max-steps 2 --per-device-train-batch-size 4 --logging-steps 1",
            policy()
        )
    };
    let losses = |name: &str| -> Vec<Value> {
        sandbox.succeeds(&train(name, "run"));
        let log = sandbox.rows("run/metrics.jsonl");
        std::fs::remove_dir_all(sandbox.path("run")).expect("a run");
        log.iter().map(|row| row["loss"].clone()).collect()
    };
    let expected = losses(names[0]);
    assert!(expected.len() >= 2);
    for name in &names[1..] {
        assert_eq!(losses(name), expected, "{name}");
    }
    let unreadable = sandbox.read(names[3]).replace("good", "joyful");
    sandbox.write("unreadable.jsonl", unreadable);
    let error = sandbox.refused(1, &train("unreadable.jsonl", "run"));
    assert_holds(
        &error,
        &[
            "unreadable.jsonl",
            "\"joyful\"",
            "true or false",
            "--label-column",
        ],
    );
}

#[test]
fn columns_can_be_named_wherever_such_files_are_read() {
    let sandbox = with(&[
        "alpaca_outputs.jsonl",
        "alpaca_prompts.jsonl",
        "prompts.csv",
    ]);
    let names = "--prompt-column instruction --response-column output";
    sandbox.succeeds(&format!(
        "evaluate alpaca_outputs.jsonl {names} {EMBEDDERS} --output e.json"
    ));
    sandbox.succeeds(&format!(
        "train --objective sft --train-file alpaca_outputs.jsonl {names} --model-name-or-path {} \
         --output-dir run --max-steps 1",
        policy()
    ));
    assert_holds(
        &sandbox.read("run/config.toml"),
        &[
            "prompt_column = \"instruction\"",
            "response_column = \"output\"",
        ],
    );
    let generate = |file: &str, flags: &str| {
        format!(
            "generate {} --prompts-file {file} {flags} -n 1 --max-new-tokens 2 --output out.jsonl",
            policy()
        )
    };
    sandbox.succeeds(&generate(
        "alpaca_prompts.jsonl",
        "--prompt-column instruction",
    ));
    assert_eq!(sandbox.rows("out.jsonl").len(), 3);
    std::fs::remove_file(sandbox.path("out.jsonl")).expect("a file");
    sandbox.succeeds(&generate("prompts.csv", ""));
    assert_eq!(sandbox.rows("out.jsonl")[0]["prompt"], "once upon a time");
}

#[test]
fn what_is_odd_about_pairs_is_said() {
    let sandbox = with(&["shp_mapped.jsonl", "pairs_equal.jsonl", "reddit.jsonl"]);
    let prepare = |file: &str, flags: &str| {
        let flags = format!("{EMBEDDERS} --score-transform none --test-size 0 --jsonl {flags}");
        told(&sandbox, &format!("prepare {file} --output out {flags}"))
    };
    let shp = "--prompt-column history --chosen-column human_ref_A --rejected-column human_ref_B \
               --score-chosen-column score_A --score-rejected-column score_B";
    let error = prepare("shp_mapped.jsonl", shp);
    assert_holds(
        &error,
        &[
            "preference rows; prompt from \"history\"",
            "of 3 pairs: 1 whose chosen response has the lower score",
        ],
    );
    let summary: Value = serde_json::from_str(&sandbox.read("out/summary.json")).expect("JSON");
    assert_eq!(summary["given_pairs"]["contradicting"], 1);
    prepare("shp_mapped.jsonl", &format!("{shp} --contradicting swap"));
    for row in sandbox.rows("out/train/pairs.jsonl") {
        assert!(
            row["score_chosen"].as_f64() > row["score_rejected"].as_f64(),
            "{row}"
        );
    }
    assert_holds(
        &prepare("pairs_equal.jsonl", ""),
        &["of 3 pairs: 1 with equal texts dropped"],
    );
    assert_holds(
        &prepare("reddit.jsonl", ""),
        &["dropped    2 responses: deleted"],
    );
}
