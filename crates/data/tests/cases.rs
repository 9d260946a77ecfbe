//! What users really have: files as other programs write them, with the values they stand for.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rarebit_data::steps::clean::Dropped;
use rarebit_data::steps::given::{Contradicting, PairCounts};
use rarebit_data::steps::weigh::Embedders;
use rarebit_data::{
    Columns, DataError, Group, Label, Message, PairRow, PrepareOptions, Shape, Source,
    SourceOptions, Summary, Text, Unanswered, prepare, read_pairs, read_prompts, read_samples,
};
use rarebit_deviation::embed::builtin;

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/cases")
        .join(name)
}

/// The columns under which a file has what rarebit reads.
fn named(columns: &[(&str, &str)]) -> SourceOptions {
    let renamed: BTreeMap<&str, &str> = columns.iter().copied().collect();
    SourceOptions {
        columns: serde_json::from_value(serde_json::to_value(renamed).unwrap()).unwrap(),
        ..SourceOptions::default()
    }
}

fn groups(name: &str, options: &SourceOptions) -> Vec<Group> {
    let read = read_samples(&case(name), options).unwrap_or_else(|error| panic!("{name}: {error}"));
    read.map(|group| group.unwrap_or_else(|error| panic!("{name}: {error}")))
        .collect()
}

type Scored<'a> = Vec<(&'a str, Vec<(&'a str, Option<f64>)>)>;

/// Prompts with their responses and scores.
fn scored(groups: &[Group]) -> Scored<'_> {
    let mut scored = Vec::new();
    for group in groups {
        let prompt = match &group.prompt {
            Text::Plain(text) => text.as_str(),
            Text::Chat(turns) => turns.last().unwrap().content.as_str(),
        };
        let responses = group.responses.iter();
        let responses = responses.map(|it| (it.text.as_str(), it.score));
        scored.push((prompt, responses.collect()));
    }
    scored
}

fn prepared(name: &str, options: PrepareOptions) -> (Summary, Vec<PairRow>) {
    let folder = tempfile::tempdir().unwrap();
    let lexical = builtin("builtin:lexical").unwrap();
    let style = builtin("builtin:style").unwrap();
    let embedders = Embedders {
        semantic: Some(&*lexical),
        style: Some(&*style),
    };
    let options = PrepareOptions {
        test_size: 0.0,
        ..options
    };
    let out = folder.path().join("out");
    let input = case(name);
    let summary = prepare(&input, &out, &options, embedders, None, None, &mut |_| ())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let pairs = read_pairs(&out.join("train/pairs.parquet"), &SourceOptions::default()).unwrap();
    (summary, pairs.map(Result::unwrap).collect())
}

fn reading(source: SourceOptions) -> PrepareOptions {
    PrepareOptions {
        source,
        ..PrepareOptions::default()
    }
}

#[test]
fn every_writer_and_type_gives_the_same_rows() {
    let floats = [
        Some(1.0),
        None,
        Some(3.5),
        Some(4.0),
        Some(-5.25),
        Some(6.0),
    ];
    let whole = [Some(1.0), None, Some(3.0), Some(4.0), Some(-5.0), Some(6.0)];
    let texts = ["a", "b", "c", "d", "e", "été"];
    let mut files = 0;
    for file in fs::read_dir(case("writers")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let scores = match name.starts_with("whole") {
            true => whole,
            false => floats,
        };
        let half = |range: std::ops::Range<usize>| -> Vec<(&str, Option<f64>)> {
            texts[range.clone()]
                .iter()
                .copied()
                .zip(scores[range].iter().copied())
                .collect()
        };
        let expected: Scored<'_> = vec![("p", half(0..3)), ("q", half(3..6))];
        let found = groups(&format!("writers/{name}"), &SourceOptions::default());
        assert_eq!(scored(&found), expected, "{name}");
        files += 1;
    }
    assert_eq!(files, 39);
}

#[test]
fn decimals_are_the_doubles_that_they_stand_for() {
    let options = SourceOptions::default();
    let of = |name: &str| -> Vec<Group> {
        let mut groups = groups(name, &options);
        // The id holds the file's name.
        groups.iter_mut().for_each(|group| group.id.clear());
        groups
    };
    assert_eq!(of("decimal.parquet"), of("double.parquet"));
    assert_eq!(of("duck_flat.parquet"), of("duck_double.parquet"));
    let pairs = read_pairs(&case("duck_weight.parquet"), &options).unwrap();
    let weights: Vec<Option<f64>> = pairs.map(|pair| pair.unwrap().weight).collect();
    assert_eq!(weights, [Some(0.0), Some(4.0)]);
}

#[test]
fn json_in_parquet_is_parsed() {
    let options = SourceOptions::default();
    assert_eq!(
        scored(&groups("resp.parquet", &options)),
        [
            ("p", vec![("a", Some(1.0)), ("b", Some(2.5))]),
            ("q", vec![("c", None), ("d", None)])
        ]
    );
    assert_eq!(
        scored(&groups("fp.parquet", &options)),
        [
            ("p", vec![("once upon", Some(1.0)), ("twice", Some(2.0))]),
            ("q", vec![("a", Some(3.0)), ("b", Some(4.0))])
        ]
    );
    assert_eq!(
        scored(&groups("q29.parquet", &options)),
        [("a", vec![("b", None)]), ("c", vec![("d", None)])]
    );
    let mixed = groups("promptmix.parquet", &options);
    assert_eq!(mixed[0].prompt, Text::from("p"));
    assert_eq!(mixed[1].prompt, Text::Chat(vec![Message::new("user", "x")]));
    assert_eq!(
        scored(&groups("binary.parquet", &options))[0].1[0],
        ("once upon a time there was an old king", Some(1.0))
    );
}

#[test]
fn a_column_of_a_type_that_is_not_read_is_named_where_it_is_needed() {
    let options = named(&[("score", "i")]);
    let error = read_samples(&case("writers/duckdb_types.parquet"), &options)
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("\"i\"") && error.contains("Interval"),
        "{error}"
    );
    let options = named(&[("prompt", "question")]);
    let error = Source::open(&case("double.parquet"), &options, &mut |_| ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("question"), "{error}");
    let error = Source::open(&case("prompts.csv"), &SourceOptions::default(), &mut |_| ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("\"prompt\" (text)"), "{error}");
    // What the columns are taken for.
    let source = Source::open(
        &case("decimal.parquet"),
        &SourceOptions::default(),
        &mut |_| (),
    );
    let source = source.unwrap();
    let survey = source.survey();
    assert_eq!(
        survey.reading,
        "flat rows; prompt from \"prompt\", response from \"response\", score from \"score\""
    );
    assert!(
        survey
            .column_types
            .contains("\"score\" (Decimal128(10, 2))"),
        "{survey:?}"
    );
}

#[test]
fn labels_are_read_as_they_are_written() {
    let labels = |name: &str| -> Vec<Option<Label>> {
        let groups = groups(name, &SourceOptions::default());
        let responses = groups.into_iter().flat_map(|group| group.responses);
        responses.map(|response| response.label).collect()
    };
    let expected = labels("kto_bool_score.jsonl");
    assert_eq!(expected.len(), 12);
    assert_eq!(expected[0], Some(Label::Desirable));
    assert_eq!(expected[3], Some(Label::Undesirable));
    for name in [
        "kto_float_score.jsonl",
        "kto_float.jsonl",
        "kto_words.jsonl",
    ] {
        assert_eq!(labels(name), expected, "{name}");
    }
}

#[test]
fn deleted_comments_are_dropped_and_entities_decoded() {
    let (summary, pairs) = prepared("reddit.jsonl", PrepareOptions::default());
    assert_eq!(summary.dropped_responses[&Dropped::Deleted], 2);
    assert!(!pairs.is_empty());
    for pair in &pairs {
        assert!(!pair.chosen.flat().starts_with('['), "{pair:?}");
    }
    let groups = groups("reddit.jsonl", &SourceOptions::default());
    assert_eq!(
        groups[0].responses[3].text,
        "She lit it with a lie, and it > burned & burned.\n\n\u{200b}\n\nThe end."
    );
}

#[test]
fn only_the_response_without_text_is_dropped() {
    for (name, columns) in [
        (
            "distilabel_none.jsonl",
            &[("prompt", "instruction"), ("generation_scores", "ratings")][..],
        ),
        ("null_text_groups.jsonl", &[]),
    ] {
        let (summary, _) = prepared(name, reading(named(columns)));
        assert_eq!(summary.dropped_responses[&Dropped::Empty], 3, "{name}");
        let prompts = &summary.prompts;
        assert_eq!((prompts.read, prompts.kept), (3, 3), "{name}");
        assert_eq!(
            summary.splits.values().map(|it| it.responses).sum::<u64>(),
            9
        );
    }
}

#[test]
fn sharegpt_in_its_three_forms() {
    let tale = "The lamp burned low and nobody came.";
    let prompt = vec![Message::new("user", "Write a tale about a lamp.")];
    let sft = &groups("sharegpt_sft.jsonl", &SourceOptions::default())[0];
    let mut with_system = prompt.clone();
    with_system.insert(0, Message::new("system", "You tell tales."));
    assert_eq!(sft.prompt, Text::Chat(with_system));
    assert_eq!(sft.responses[0].text, tale);
    for name in [
        "sharegpt_dpo_lists.jsonl",
        "sharegpt_dpo_llamafactory.jsonl",
    ] {
        let pairs = read_pairs(&case(name), &SourceOptions::default()).unwrap();
        let pairs: Vec<PairRow> = pairs.map(Result::unwrap).collect();
        assert_eq!(pairs.len(), 3, "{name}");
        assert_eq!(pairs[0].prompt, Text::Chat(prompt.clone()), "{name}");
        assert_eq!(
            pairs[0].chosen,
            Text::Chat(vec![Message::new("assistant", tale)]),
            "{name}"
        );
    }
}

#[test]
fn what_is_odd_about_given_pairs_is_counted() {
    let shp = [
        ("prompt", "history"),
        ("chosen", "human_ref_A"),
        ("rejected", "human_ref_B"),
        ("score_chosen", "score_A"),
        ("score_rejected", "score_B"),
    ];
    let expected = PairCounts {
        given: 3,
        contradicting: 1,
        ..PairCounts::default()
    };
    for (contradicting, pairs) in [
        (Contradicting::Keep, 3),
        (Contradicting::Drop, 2),
        (Contradicting::Swap, 3),
    ] {
        let options = PrepareOptions {
            contradicting,
            ..reading(named(&shp))
        };
        let (summary, rows) = prepared("shp_mapped.jsonl", options);
        assert_eq!(summary.given_pairs, Some(expected));
        assert_eq!(rows.len(), pairs);
        let right = rows
            .iter()
            .filter(|row| row.score_chosen > row.score_rejected);
        let is_right = contradicting != Contradicting::Keep;
        assert_eq!(right.count() == rows.len(), is_right, "{contradicting:?}");
    }
    for name in ["pairs_equal.jsonl", "pairs_equal_chat.jsonl"] {
        let (summary, rows) = prepared(name, PrepareOptions::default());
        let counts = summary.given_pairs.unwrap();
        assert_eq!(
            (counts.given, counts.equal, rows.len()),
            (3, 1, 2),
            "{name}"
        );
        let mut pairs = read_pairs(&case(name), &SourceOptions::default()).unwrap();
        assert_eq!(pairs.by_ref().map(Result::unwrap).count(), 2, "{name}");
        assert_eq!(pairs.counts(), counts, "{name}");
    }
}

#[test]
fn ranks_are_scores_where_lower_is_better() {
    let options = SourceOptions {
        lower_is_better: true,
        ..named(&[
            ("responses", "answers"),
            ("response", "answer"),
            ("score", "rank"),
        ])
    };
    let found = groups("nectar.jsonl", &options);
    let scores =
        |group: &Group| -> Vec<f64> { group.responses.iter().filter_map(|it| it.score).collect() };
    assert_eq!(scores(&found[0]), [-1.0, -3.0, -2.0, -4.0]);
    let (_, pairs) = prepared("nectar.jsonl", reading(options));
    assert!(!pairs.is_empty());
    assert!(
        pairs
            .iter()
            .all(|pair| pair.score_chosen > pair.score_rejected)
    );
}

#[test]
fn empty_contents_and_names_are_kept() {
    let found = groups("null_system.jsonl", &SourceOptions::default());
    let Text::Chat(turns) = &found[1].prompt else {
        panic!("not a conversation");
    };
    assert_eq!(turns[0], Message::new("system", ""));
    let prompts = read_prompts(&case("null_name.jsonl"), &SourceOptions::default()).unwrap();
    let Text::Chat(turns) = &prompts[0].text else {
        panic!("not a conversation");
    };
    let names: Vec<Option<&str>> = turns.iter().map(|turn| turn.name.as_deref()).collect();
    assert_eq!(names, [None, None, Some("Ann")]);
    let named = groups("q29.parquet", &SourceOptions::default());
    let Text::Chat(turns) = &named[1].prompt else {
        panic!("not a conversation");
    };
    assert_eq!(turns[0].name.as_deref(), Some("Ann"));
    // Through the tables and back.
    let folder = tempfile::tempdir().unwrap();
    let rows = [1.0, 9.0].map(|score| {
        serde_json::json!({"prompt": [{"role": "user", "content": "a", "name": "Ann"}],
            "response": format!("text {score}"), "score": score})
    });
    let input = folder.path().join("rows.jsonl");
    fs::write(&input, rows.map(|row| format!("{row}\n")).concat()).unwrap();
    let lexical = builtin("builtin:lexical").unwrap();
    let embedders = Embedders {
        semantic: Some(&*lexical),
        style: Some(&*lexical),
    };
    let options = PrepareOptions {
        test_size: 0.0,
        ..PrepareOptions::default()
    };
    let out = folder.path().join("out");
    prepare(&input, &out, &options, embedders, None, None, &mut |_| ()).unwrap();
    let pairs = read_pairs(&out.join("train/pairs.parquet"), &SourceOptions::default()).unwrap();
    let pairs: Vec<PairRow> = pairs.map(Result::unwrap).collect();
    let Text::Chat(turns) = &pairs[0].prompt else {
        panic!("not a conversation");
    };
    assert_eq!(turns[0].name.as_deref(), Some("Ann"));
}

#[test]
fn columns_that_nobody_asked_for_are_no_fault() {
    for name in ["sample_text.jsonl", "emotion.jsonl"] {
        let found = groups(name, &SourceOptions::default());
        assert_eq!(found.len(), 3, "{name}");
        assert!(
            found.iter().all(|group| group.responses.len() == 4),
            "{name}"
        );
        assert!(
            found
                .iter()
                .flat_map(|it| &it.responses)
                .all(|it| it.surprise.is_none())
        );
    }
}

#[test]
fn a_system_column_and_turns_in_csv_are_read() {
    let orca = groups("orca.jsonl", &named(&[("prompt", "question")]));
    assert_eq!(
        orca[0].prompt,
        Text::Chat(vec![
            Message::new("system", "You answer in rhyme."),
            Message::new("user", "Write a tale about a lamp.")
        ])
    );
    let chat = groups("chat_as_text.csv", &SourceOptions::default());
    assert_eq!(
        chat[0].prompt,
        Text::Chat(vec![Message::new("user", "Write a tale about a lamp.")])
    );
    assert_eq!(
        chat[0].responses[0].text,
        "The lamp burned low and nobody came."
    );
    let semicolons = groups("semicolon.csv", &SourceOptions::default());
    assert_eq!(
        scored(&semicolons),
        [(
            "A lamp.",
            vec![
                ("It burned low, and nobody came.", Some(3.5)),
                ("A thief cried.", Some(1.25))
            ]
        )]
    );
}

#[test]
fn prompts_alone_are_read_from_every_format() {
    let prompts = read_prompts(&case("prompts.csv"), &SourceOptions::default()).unwrap();
    let texts: Vec<String> = prompts.iter().map(|it| it.text.to_string()).collect();
    assert_eq!(texts, ["once upon a time"]);
    let options = named(&[("prompt", "instruction")]);
    let prompts = read_prompts(&case("alpaca_prompts.jsonl"), &options).unwrap();
    assert_eq!(prompts.len(), 3);
    assert_eq!(prompts[2].text, Text::from("Write a tale about a clock."));
    let outputs = named(&[("prompt", "instruction"), ("response", "output")]);
    let found = groups("alpaca_outputs.jsonl", &outputs);
    assert_eq!(found.len(), 3);
    assert_eq!(found[0].responses.len(), 4);
}

#[test]
fn what_is_no_answer_is_known_by_its_finish_reason_or_its_lack_of_text() {
    let unanswered = |name: &str| -> Vec<Option<Unanswered>> {
        let groups = groups(name, &SourceOptions::default());
        groups[0]
            .responses
            .iter()
            .map(|it| it.unanswered())
            .collect()
    };
    assert_eq!(unanswered("answered.jsonl"), [None; 4]);
    let failed = [None, None, None, Some(Unanswered::ContentFilter)];
    assert_eq!(unanswered("one_failed.jsonl"), failed);
    let refused = [None, None, None, Some(Unanswered::Refusal)];
    assert_eq!(unanswered("one_refused.jsonl"), refused);
}

#[test]
fn helpsteer3s_context_is_a_prompt() {
    let options = named(&[
        ("prompt", "context"),
        ("chosen", "response1"),
        ("rejected", "response2"),
    ]);
    let source = Source::open(&case("helpsteer3.jsonl"), &options, &mut |_| ()).unwrap();
    assert_eq!(source.survey().shape, Shape::Preference);
    assert!(source.survey().reading.contains("prompt from \"context\""));
    let error = Source::open(
        &case("helpsteer3.jsonl"),
        &SourceOptions {
            columns: Columns::default(),
            ..SourceOptions::default()
        },
        &mut |_| (),
    );
    assert!(matches!(error, Err(DataError::UnknownShape { .. })));
}
