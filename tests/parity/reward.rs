//! The reward model against transformers' `SequenceClassifier`, and as the judge of
//! `rarebit evaluate` (`reward.py`).

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use rarebit_models::CONFIG;
use rarebit_models::chat::{ChatTemplate, Message};
use rarebit_models::reward::pair_text;
use rarebit_models::safetensors_file::{Precision, SINGLE, TensorFile, save};
use rarebit_models::sequence_classifier::SequenceClassifier;
use rarebit_models::tokenizer::Tokenizer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::fixture::{self, TOLERANCE, assert_close, path, values};

#[derive(Deserialize)]
struct Expected {
    pairs: Vec<(String, String)>,
    /// The pairs between tags, and a text that ends in the padding's token.
    texts: Vec<String>,
    ids: Vec<Vec<u32>>,
    rewards: Rewards,
    chat: Chat,
}

#[derive(Deserialize)]
struct Rewards {
    right: Vec<f32>,
    left: Vec<f32>,
    single: Vec<f32>,
}

#[derive(Deserialize)]
struct Chat {
    ids: Vec<Vec<u32>>,
    rewards: Vec<f32>,
}

fn expected() -> Expected {
    fixture::json("reward/expected.json")
}

fn model() -> SequenceClassifier {
    SequenceClassifier::load_reward(&path("reward"), &Device::flex()).expect("a model folder")
}

fn tokenizer() -> Tokenizer {
    Tokenizer::read(&path("reward"), 300).expect("the tokenizer is in the folder")
}

/// The rewards of one batch; `before` says how much of a row's padding stands on its left.
fn forward(rows: &[Vec<u32>], before: fn(usize) -> usize) -> Vec<f32> {
    let seq = rows.iter().map(Vec::len).max().expect("rows");
    let (mut ids, mut mask) = (Vec::new(), Vec::new());
    for row in rows {
        let start = before(seq - row.len());
        let place = |i: usize| i.checked_sub(start).and_then(|i| row.get(i));
        ids.extend((0..seq).map(|i| place(i).map_or(0, |&id| i64::from(id))));
        mask.extend((0..seq).map(|i| place(i).is_some()));
    }
    let (shape, device) = ([rows.len(), seq], Device::flex());
    values(model().forward(
        Tensor::from_data(TensorData::new(ids, shape), &device),
        Tensor::from_data(TensorData::new(mask, shape), &device),
    ))
}

#[test]
fn rewards_are_transformers_on_either_side_of_padding() {
    let Expected { ids, rewards, .. } = expected();
    let right = forward(&ids, |_| 0);
    assert_close("right", &right, &rewards.right, TOLERANCE);
    let left = forward(&ids, |padding| padding);
    assert_close("left", &left, &rewards.left, TOLERANCE);
    // The same places, so the same rewards wherever the padding is.
    let around = forward(&ids, |padding| padding / 2);
    assert_close("around", &around, &rewards.single, TOLERANCE);
}

#[test]
fn rewards_keep_the_order_of_the_texts_whatever_the_batches() {
    let Expected { ids, rewards, .. } = expected();
    for tokens_per_batch in [1, 100, 10_000] {
        let mut scored = 0;
        let found = model()
            .score(&ids, tokens_per_batch, &mut |more| scored += more)
            .expect("rewards");
        assert_eq!(scored, ids.len());
        let what = format!("batches of {tokens_per_batch} tokens");
        assert_close(&what, &found, &rewards.single, TOLERANCE);
    }
    let none = model().score(&[], 100, &mut |_| {}).expect("no rewards");
    assert!(none.is_empty());
}

#[test]
fn pairs_are_written_and_tokenised_as_the_fixture_was() {
    let expected = expected();
    let tokenizer = tokenizer();
    let template = ChatTemplate::read(&path("reward"), &tokenizer).expect("a template");
    for (i, (prompt, response)) in expected.pairs.iter().enumerate() {
        assert_eq!(pair_text(prompt, response), expected.texts[i]);
        let messages = [("user", prompt), ("assistant", response)]
            .map(|(role, content)| Message::new(role, content.as_str()));
        let text = template.render(&messages, false).expect("a conversation");
        let ids = tokenizer.encode(&text, false).expect("ids");
        assert_eq!(ids, expected.chat.ids[i]);
    }
    for (text, ids) in expected.texts.iter().zip(&expected.ids) {
        assert_eq!(&tokenizer.encode(text, true).expect("ids"), ids);
    }
}

#[test]
fn what_is_longer_than_the_model_reads_is_cut_at_its_end() {
    let long: Vec<u32> = (0..200).map(|i| 5 + i % 290).collect();
    let found = model()
        .score(&[long.clone(), long[..128].to_vec()], 4096, &mut |_| {})
        .expect("rewards");
    assert_eq!(found[0], found[1]);
}

#[test]
fn sequences_that_cannot_be_read_are_named() {
    let score = |ids: Vec<u32>| model().score(&[ids], 100, &mut |_| {});
    let error = score(Vec::new()).expect_err("nothing to read");
    assert!(error.to_string().contains("no tokens"), "{error}");
    let error = score(vec![1, 300]).expect_err("300 tokens end at 299");
    assert!(error.to_string().contains("token 300"), "{error}");
}

/// A model folder with a head of another shape, or none.
fn folder_with_head(labels: Option<usize>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::copy(path("reward").join(CONFIG), folder.path().join(CONFIG)).expect("config.json");
    let file = TensorFile::open(path("reward")).expect("weights");
    let mut tensors: Vec<_> = file
        .names()
        .filter(|name| *name != "score.weight")
        .map(|name| (name.to_owned(), file.data(name).expect("a tensor")))
        .collect();
    if let Some(labels) = labels {
        let head = TensorData::new(vec![0.5f32; labels * 16], [labels, 16]);
        tensors.push(("score.weight".to_owned(), head));
    }
    let weights = folder.path().join(SINGLE);
    save(&weights, &tensors, Precision::F32, &Default::default()).expect("weights are written");
    folder
}

#[test]
fn a_classifier_of_several_labels_is_no_reward_model() {
    let error = |labels| {
        SequenceClassifier::load_reward(folder_with_head(labels).path(), &Device::flex())
            .expect_err("no reward model")
            .to_string()
    };
    let several = error(Some(2));
    assert!(several.contains("`num_labels` in"), "{several}");
    assert!(several.contains("this model has 2"), "{several}");
    let none = error(None);
    assert!(none.starts_with("no tensor `score.weight`"), "{none}");
}

/// `rarebit evaluate` on one response to each of the fixture's prompts, and what it wrote.
fn evaluate(folder: &Path, flags: &[&str]) -> Value {
    let samples = folder.join("tiny.jsonl");
    let rows: String = expected()
        .pairs
        .iter()
        .enumerate()
        .filter(|(_, (prompt, response))| !prompt.is_empty() && !response.is_empty())
        .map(|(i, (prompt, response))| {
            let id = i.to_string();
            // The score must give way to the reward.
            let row = json!({"prompt_id": id, "prompt": prompt, "response": response, "score": 9});
            format!("{row}\n")
        })
        .collect();
    std::fs::write(&samples, rows).expect("the samples are written");
    let evaluation = folder.join("evaluation.json");
    assert_cmd::cargo::cargo_bin_cmd!("rarebit")
        .args(["--device", "cpu", "evaluate", "--semantic"])
        .args(["builtin:lexical", "--resamples", "10", "--output"])
        .arg(&evaluation)
        .args(flags)
        .arg(&samples)
        .assert()
        .success();
    let text = std::fs::read_to_string(evaluation).expect("the evaluation");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn evaluate_takes_rewards_for_quality() {
    let expected = expected();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let reward = path("reward").display().to_string();
    let flags = ["--reward-model", &reward];
    let chat = [&flags[..], &["--reward-format", "chat"]].concat();
    for (flags, rewards) in [
        (&flags[..], &expected.rewards.single),
        (&chat, &expected.chat.rewards),
    ] {
        let evaluation = evaluate(folder.path(), flags);
        let prompts = evaluation["prompts"].as_array().expect("prompts");
        assert_eq!(prompts.len(), 3);
        for prompt in prompts {
            let id = prompt["prompt_id"].as_str().expect("an id");
            let place: usize = id.parse().expect("the place among the pairs");
            let system = &prompt["systems"]["tiny"];
            for found in [
                &system["metrics"]["quality"],
                &system["responses"][0]["score"],
            ] {
                let found = found.as_f64().expect("a number") as f32;
                assert_close(id, &[found], &rewards[place..=place], TOLERANCE);
            }
        }
        let quality = &evaluation["metrics"][0];
        assert_eq!(quality["name"], "quality");
        assert_eq!(quality["source"], format!("mean reward of {reward}"));
    }
    let votes = evaluate(folder.path(), &[]);
    assert_eq!(votes["systems"][0]["metrics"]["quality"]["mean"], 9.0);
}

#[test]
fn evaluate_says_what_is_no_reward_model() {
    let folder = folder_with_head(Some(3));
    let samples = folder.path().join("samples.jsonl");
    std::fs::write(&samples, r#"{"prompt":"P","response":"R"}"#).expect("the samples are written");
    let run = |flags: &[&str]| {
        let output = assert_cmd::cargo::cargo_bin_cmd!("rarebit")
            .args(["--device", "cpu", "evaluate"])
            .arg(&samples)
            .args(flags)
            .output()
            .expect("rarebit runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let error = run(&["--reward-model", &folder.path().display().to_string()]);
    assert!(error.contains("this model has 3"), "{error}");
    let error = run(&["--reward-format", "chat"]);
    assert!(error.contains("--reward-model"), "{error}");
    let adapter = path("train/adapter").display().to_string();
    let error = run(&["--reward-model", &adapter]);
    assert!(error.contains("the base model of the adapter"), "{error}");
}
