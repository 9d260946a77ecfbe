//! Conversations stay conversations: from every shape, through the tables, and back.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::{Path, PathBuf};

use rarebit_data::output::{Compression, GroupRow, Layout, TableWriter, group_rows};
use rarebit_data::steps::weigh::{Embedders, Weigher};
use rarebit_data::{
    DataError, Group, Message, PairRow, PrepareOptions, Reason, Shape, Source, SourceOptions, Text,
    prepare, read_pairs, read_samples, weigh_source,
};
use rarebit_deviation::{Kinds, Weighting};
use serde_json::{Value, json};

fn system() -> Value {
    json!({"role": "system", "content": "You tell tales. Ünïcode 🦊"})
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

fn answer(text: &str) -> Value {
    json!({"role": "assistant", "content": text})
}

fn lines(folder: &Path, name: &str, rows: &[Value]) -> PathBuf {
    let path = folder.join(name);
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    std::fs::write(&path, text).unwrap();
    path
}

fn chat(turns: &[Value]) -> Text {
    serde_json::from_value(Value::Array(turns.to_vec())).unwrap()
}

fn groups(path: &Path) -> Vec<Group> {
    read_samples(path, &SourceOptions::default())
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// One prompt of three turns with two answers, in each shape that can hold it.
#[test]
fn every_shape_keeps_the_turns_of_its_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let prompt = [
        system(),
        user("A tale!"),
        answer("Of whom?"),
        user("A fox."),
    ];
    let whole = |text: &str| {
        let mut turns = prompt.to_vec();
        turns.push(answer(text));
        Value::Array(turns)
    };
    for (shape, rows) in [
        (
            Shape::Groups,
            vec![
                json!({"prompt": prompt, "responses": [{"text": "One."}, {"text": [answer("Two.")]}]}),
            ],
        ),
        (
            Shape::NoveltyBench,
            vec![json!({"prompt": prompt, "generations": ["One.", [answer("Two.")]]})],
        ),
        (
            Shape::Flat,
            vec![
                json!({"prompt": prompt, "response": "One."}),
                json!({"prompt": prompt, "response": [answer("Two.")]}),
            ],
        ),
        (
            Shape::Flat,
            vec![
                json!({"prompt": prompt, "completion": [answer("One.")]}),
                json!({"prompt": prompt, "completion": [answer("Two.")]}),
            ],
        ),
        (
            Shape::Messages,
            vec![
                json!({"messages": whole("One.")}),
                json!({"messages": whole("Two.")}),
            ],
        ),
        (
            Shape::Preference,
            vec![json!({"chosen": whole("One."), "rejected": whole("Two.")})],
        ),
    ] {
        let path = lines(folder.path(), "rows.jsonl", &rows);
        let source = Source::open(&path, &SourceOptions::default(), &mut |_| ()).unwrap();
        assert_eq!(source.survey().shape, shape);
        assert!(source.survey().conversational, "{shape:?}");
        let groups = groups(&path);
        assert_eq!(groups.len(), 1, "{shape:?}");
        assert_eq!(groups[0].prompt, chat(&prompt), "{shape:?}");
        let texts: Vec<&str> = groups[0].responses.iter().map(|r| &*r.text).collect();
        assert_eq!(texts, ["One.", "Two."], "{shape:?}");
        assert!(groups[0].responses.iter().all(|r| r.turns.is_empty()));
    }
}

#[test]
fn a_conversation_is_another_prompt_than_the_text_it_reads_as() {
    let folder = tempfile::tempdir().unwrap();
    let turns = [system(), user("A tale!")];
    let flat = chat(&turns).to_string();
    let row = |prompt: Value, text: &str| json!({"prompt": prompt, "response": text});
    // Scattered, so that prompts are brought together by their keys.
    let path = lines(
        folder.path(),
        "rows.jsonl",
        &[
            row(json!(turns), "a"),
            row(json!(flat), "b"),
            row(json!(turns), "c"),
            row(json!(flat), "d"),
        ],
    );
    let groups = groups(&path);
    let texts = |i: usize| -> Vec<&str> { groups[i].responses.iter().map(|r| &*r.text).collect() };
    assert_eq!(groups.len(), 2);
    assert_eq!((texts(0), texts(1)), (vec!["a", "c"], vec!["b", "d"]));
    assert_eq!(
        (&groups[0].prompt, &groups[1].prompt),
        (&chat(&turns), &Text::from(flat))
    );
}

fn prepared(rows: &[Value], folder: &Path) -> PathBuf {
    let options = PrepareOptions {
        test_size: 0.0,
        jsonl: true,
        weighting: Weighting {
            kinds: Kinds::None,
            ..Weighting::default()
        },
        ..PrepareOptions::default()
    };
    let path = lines(folder, "source.jsonl", rows);
    let out = folder.join("out");
    prepare(
        &path,
        &out,
        &options,
        Embedders::default(),
        None,
        None,
        &mut |_| (),
    )
    .unwrap();
    out.join("train")
}

fn pairs(path: &Path) -> Vec<PairRow> {
    read_pairs(path, &SourceOptions::default())
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

#[test]
fn tables_hold_message_lists_and_read_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let train = prepared(
        &[
            json!({"prompt": [system(), user("A tale!")], "chosen": [answer("One.")], "rejected": [answer("Two.")]}),
            json!({"prompt": [user("More?")],
                   "chosen": [answer("Yes."), user("Then?"), answer("The end.")],
                   "rejected": [answer("No.")]}),
        ],
        folder.path(),
    );
    let found = pairs(&train.join("pairs.parquet"));
    assert_eq!(found, pairs(&train.join("pairs.jsonl")));
    assert_eq!(found[0].prompt, chat(&[system(), user("A tale!")]));
    assert_eq!(found[0].chosen, chat(&[answer("One.")]));
    assert_eq!(
        found[1].chosen,
        chat(&[answer("Yes."), user("Then?"), answer("The end.")])
    );

    // Each row of the JSONL is TRL's conversational preference format as it stands.
    let text = std::fs::read_to_string(train.join("pairs.jsonl")).unwrap();
    let row: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(row["prompt"], json!([system(), user("A tale!")]));
    assert_eq!(row["rejected"], json!([answer("Two.")]));

    for table in ["groups.parquet", "groups.jsonl"] {
        let groups = groups(&train.join(table));
        assert_eq!(
            groups[0].prompt,
            chat(&[system(), user("A tale!")]),
            "{table}"
        );
        assert_eq!(groups[0].responses[0].text, "One.");
        assert_eq!(groups[1].responses[0].turns.len(), 3, "{table}");
        assert_eq!(
            groups[1].responses[0].text,
            "assistant: Yes.\n\nuser: Then?\n\nassistant: The end."
        );
    }
}

/// A column has one type: where one row is a conversation, plain rows become conversations of a
/// user's turn and an answer, which is what a chat template makes of them anyway.
#[test]
fn one_conversation_makes_a_table_conversational() {
    let folder = tempfile::tempdir().unwrap();
    let train = prepared(
        &[
            json!({"prompt": "Plain?", "chosen": "Yes.", "rejected": "No."}),
            json!({"prompt": [system(), user("A tale!")], "chosen": "One.", "rejected": "Two."}),
        ],
        folder.path(),
    );
    let found = pairs(&train.join("pairs.parquet"));
    assert_eq!(
        found[0].prompt,
        Text::Chat(vec![Message::new("user", "Plain?")])
    );
    assert_eq!(
        found[0].chosen,
        Text::Chat(vec![Message::new("assistant", "Yes.")])
    );
    assert_eq!(found[1].prompt, chat(&[system(), user("A tale!")]));
    assert_eq!(found, pairs(&train.join("pairs.jsonl")));
}

#[test]
fn plain_sources_give_plain_tables() {
    let folder = tempfile::tempdir().unwrap();
    let train = prepared(
        &[json!({"prompt": "Plain?", "chosen": "Yes.", "rejected": "No."})],
        folder.path(),
    );
    let text = std::fs::read_to_string(train.join("pairs.jsonl")).unwrap();
    let row: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&row["prompt"], &row["chosen"]),
        (&json!("Plain?"), &json!("Yes."))
    );
    assert_eq!(
        pairs(&train.join("pairs.parquet"))[0].prompt,
        Text::from("Plain?")
    );
}

#[test]
fn weighed_groups_are_laid_out_alike() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [json!({"messages": [system(), user("A tale!"), answer("One.")]})];
    let path = lines(folder.path(), "rows.jsonl", &rows);
    let source = Source::open(&path, &SourceOptions::default(), &mut |_| ()).unwrap();
    let out = folder.path().join("weighed.parquet");
    let mut table =
        TableWriter::<GroupRow>::create(&out, Compression::None, Layout::of(&source)).unwrap();
    let weighting = Weighting {
        kinds: Kinds::None,
        ..Weighting::default()
    };
    weigh_source::<DataError>(
        &source,
        Weigher::new(weighting, Embedders::default()).unwrap(),
        false,
        &mut |_| (),
        &mut |group| group_rows(&group, None).try_for_each(|row| table.write(row)),
    )
    .unwrap();
    table.finish().unwrap().commit().unwrap();
    assert_eq!(groups(&out)[0].prompt, chat(&[system(), user("A tale!")]));
}

#[test]
fn a_conversation_without_an_answer_is_a_bad_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = lines(
        folder.path(),
        "rows.jsonl",
        &[
            json!({"messages": [user("A tale!"), answer("One.")]}),
            json!({"messages": [user("A tale!")]}),
        ],
    );
    let error = Source::open(&path, &SourceOptions::default(), &mut |_| ()).unwrap_err();
    assert!(
        matches!(&error, DataError::Row(row) if row.reason == Reason::NoCompletion),
        "{error}"
    );
    assert!(
        error.to_string().contains("line 2, field \"messages\""),
        "{error}"
    );
}
