//! People's judgements: from samples to a page and its key, from saved answers to rates.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::sandbox::{Sandbox, assert_holds, rows};

/// Two systems with three responses to each of four prompts.
fn samples() -> Sandbox {
    let sandbox = Sandbox::new();
    for (system, word) in [("dpo", "rain"), ("ddpo", "sun")] {
        let mut text = String::new();
        for (prompt, sample) in (0..12).map(|i| (i / 3, i % 3)) {
            let row = json!({
                "prompt_id": format!("p{prompt}"), "prompt": format!("Tell {prompt}."),
                "sample": sample, "response": format!("The {word} fell, {prompt} and {sample}."),
            });
            writeln!(text, "{row}").expect("text");
        }
        sandbox.write(&format!("{system}.jsonl"), text);
    }
    sandbox
}

const PREPARE: &str = "human prepare dpo=dpo.jsonl ddpo=ddpo.jsonl --prompts 4 --responses 2";

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

/// An annotator who takes the set of `favourite` for more diverse, and sees no better writing.
fn judge(sandbox: &Sandbox, annotator: &str, favourite: &str) {
    let key = json_of(&sandbox.read("human-key.json"));
    let answers: Vec<Value> = key["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| {
            let is_first = item["sets"][0]["system"] == favourite;
            json!({
                "item": item["id"], "left": "second", "quality": "tie", "seconds": 3.5,
                "diversity": if is_first { "first" } else { "second" },
            })
        })
        .collect();
    let file =
        json!({"version": 1, "study": key["study"], "annotator": annotator, "answers": answers});
    sandbox.write(&format!("{annotator}.json"), file.to_string());
}

#[test]
fn from_samples_to_a_page_and_from_answers_to_a_report() {
    let sandbox = samples();
    assert_eq!(sandbox.succeeds(PREPARE), "human.html\n");
    let page = sandbox.read("human.html");
    assert_holds(
        &page,
        &["<!DOCTYPE html>", "Tell 3.", "The sun fell", "2 texts each"],
    );
    assert!(!page.contains("dpo"), "the page names a system");
    let key = json_of(&sandbox.read("human-key.json"));
    assert_eq!(key["items"].as_array().map(Vec::len), Some(4));

    for (annotator, favourite) in [("ann", "ddpo"), ("bo", "ddpo"), ("cy", "dpo")] {
        judge(&sandbox, annotator, favourite);
    }
    let table = sandbox.succeeds("human analyse ann.json bo.json cy.json --output human.json");
    assert_holds(
        &table,
        &[
            "Which set is more diverse?",
            "67 % [67, 67]",
            "4 : 0 : 0, p = 0.125",
            "0 : 4 : 0, p = 1.000",
            "bo: 4 prompts",
        ],
    );
    let printed = sandbox.succeeds("human analyse ann.json bo.json cy.json --json");
    assert_eq!(json_of(&printed), json_of(&sandbox.read("human.json")));

    sandbox.succeeds("evaluate dpo.jsonl ddpo.jsonl --semantic builtin:lexical --resamples 100");
    sandbox.succeeds("report evaluation.json --human human.json");
    assert_holds(
        &sandbox.read("report.html"),
        &["What people say", "67 % [67, 67]"],
    );
}

#[test]
fn the_same_seed_writes_the_same_page_and_no_key_is_lost() {
    let sandbox = samples();
    sandbox.succeeds(PREPARE);
    let first = sandbox.tree(".");
    sandbox.succeeds(PREPARE);
    assert!(sandbox.tree(".") == first);
    let error = sandbox.refused(1, &format!("{PREPARE} --seed 7"));
    assert_holds(&error, &["human-key.json", "give another --key"]);
    sandbox.succeeds(&format!(
        "{PREPARE} --seed 7 --key other.json --output other.html"
    ));
    assert_ne!(sandbox.read("other.html"), sandbox.read("human.html"));
}

#[test]
fn summaries_stand_in_the_place_of_texts() {
    let sandbox = samples();
    let asked = format!("{PREPARE} --summary-prompts ask.jsonl --summary-words 30");
    assert_eq!(sandbox.succeeds(&asked), "ask.jsonl\n");
    assert!(!sandbox.path("human.html").exists());
    let asked = sandbox.rows("ask.jsonl");
    assert_eq!(asked.len(), 16);
    let answer = |row: &Value| {
        let response = format!("Short {}.", row["prompt_id"]);
        json!({"prompt_id": row["prompt_id"], "prompt": row["prompt"], "sample": 0, "response": response})
    };
    let mut answers: Vec<String> = asked
        .iter()
        .map(|row| answer(row).to_string() + "\n")
        .collect();
    sandbox.write("summaries.jsonl", answers.concat());
    sandbox.succeeds(&format!("{PREPARE} --summaries summaries.jsonl"));
    assert_holds(
        &sandbox.read("human.html"),
        &["the summaries of 2 texts each", "Short "],
    );

    answers.truncate(15);
    sandbox.write("summaries.jsonl", answers.concat());
    let error = sandbox.refused(1, &format!("{PREPARE} --summaries summaries.jsonl"));
    assert_holds(&error, &["1 of the responses have no summary"]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let sandbox = samples();
    let error = sandbox.refused(1, "human prepare dpo.jsonl");
    assert_holds(&error, &["at least two"]);
    let error = sandbox.refused(1, "human prepare dpo.jsonl ddpo.jsonl --responses 9");
    assert_holds(
        &error,
        &["no prompt has 9 non-blank responses of every system"],
    );
    let error = sandbox.refused(1, "human analyse ann.json");
    assert_holds(
        &error,
        &["human-key.json does not exist", "rarebit human prepare"],
    );
    sandbox.succeeds(PREPARE);
    let error = sandbox.refused(1, "human analyse ann.json");
    assert_holds(&error, &["ann.json does not exist"]);
    sandbox.write("ann.json", "{\"version\": 1, \"stu");
    let error = sandbox.refused(1, "human analyse ann.json");
    assert_holds(
        &error,
        &["ann.json cannot be read", "annotation page saved"],
    );
    judge(&sandbox, "ann", "dpo");
    let twice = sandbox.refused(1, "human analyse ann.json ann.json");
    assert_holds(&twice, &["two files have the annotator `ann`"]);
    let other = sandbox
        .read("ann.json")
        .replace("\"study\":\"", "\"study\":\"0");
    sandbox.write("ann.json", other);
    let error = sandbox.refused(1, "human analyse ann.json");
    assert_holds(&error, &["`ann` belong to study 0", "the key to study"]);
    sandbox.write("human.json", "[]");
    sandbox.succeeds("evaluate dpo.jsonl --semantic builtin:lexical --resamples 100");
    let error = sandbox.refused(1, "report evaluation.json --human human.json");
    assert_holds(&error, &["human.json cannot be read"]);
}

#[test]
fn measures_have_thresholds_and_tables_their_histograms() {
    let sandbox = samples();
    let evaluate = "evaluate dpo.jsonl ddpo.jsonl --semantic builtin:lexical --resamples 100";
    let table = sandbox.succeeds(&format!("{evaluate} --csv table.csv"));
    assert_holds(
        &table,
        &[
            "Vendi score, semantic",
            "Self-BLEU",
            "Distinct responses",
            "Semantic distances",
            "0 ",
        ],
    );
    assert_holds(
        &sandbox.read("table.csv"),
        &["\ndpo,semantic_vendi,", "\nddpo,self_bleu,"],
    );
    let distinct = |threshold: &str| {
        let flags = format!("{evaluate} --distinct-threshold {threshold} --json");
        let found = json_of(&sandbox.succeeds(&flags));
        assert!(found["systems"][0]["histograms"]["style"]["bins"][0]["low"].is_f64());
        found["systems"][0]["metrics"]["distinct_k"]["mean"].clone()
    };
    assert_eq!((distinct("0"), distinct("2")), (json!(3.0), json!(1.0)));
    let error = sandbox.refused(1, &format!("{evaluate} --distinct-threshold 3"));
    assert_holds(&error, &["threshold of distinct responses is 3"]);
    // Without scores nothing is good or bad.
    let found = sandbox.rows("evaluation.json");
    assert!(
        found[0]["systems"][0]["metrics"]
            .get("good_share")
            .is_none()
    );
    let judged: Vec<Value> = rows(&sandbox.read("dpo.jsonl"))
        .into_iter()
        .map(|mut row| {
            row["score"] = row["sample"].clone();
            row
        })
        .collect();
    let judged: String = judged.iter().map(|row| format!("{row}\n")).collect();
    sandbox.write("judged.jsonl", judged);
    let evaluate = "evaluate judged.jsonl --semantic builtin:lexical --resamples 100 --json";
    let good = |flags: &str| {
        let found = json_of(&sandbox.succeeds(&format!("{evaluate} {flags}")));
        found["systems"][0]["metrics"]["good_share"]["mean"].as_f64()
    };
    assert_eq!(good("--quality-threshold 2"), Some(1.0 / 3.0));
    assert_eq!(good("--quality-threshold -1"), Some(1.0));
    assert_eq!(good(""), Some(2.0 / 3.0));
}
