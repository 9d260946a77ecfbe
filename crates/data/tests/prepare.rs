//! Whole preparations: every shape in, the tables and the summary out.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use rarebit_data::steps::weigh::{DeviationOver, Embedders};
use rarebit_data::{
    DataError, GroupRow, Message, PairRow, PrepareOptions, Reason, Shape, Source, SourceOptions,
    Summary, Text, prepare, read_group_scores, read_pairs, read_samples,
};
use rarebit_deviation::embed::builtin;
use serde_json::{Value, json};

const TABLES: [&str; 4] = [
    "train/groups.parquet",
    "train/pairs.parquet",
    "test/groups.parquet",
    "test/pairs.parquet",
];

fn run(input: &Path, output: &Path, options: &PrepareOptions) -> Result<Summary, DataError> {
    let semantic = builtin("builtin:lexical").unwrap();
    let style = builtin("builtin:style").unwrap();
    let embedders = Embedders {
        semantic: Some(&*semantic),
        style: Some(&*style),
    };
    prepare(input, output, options, embedders, None, None, &mut |_| ())
}

struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn lines(&self, name: &str, rows: &[Value]) -> PathBuf {
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        self.write(name, lines)
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

const TALES: [&str; 5] = [
    "The fox ran home before the rain.",
    "The fox ran home before the snow.",
    "\"Who goes there?\" she cried; nobody answered!",
    "I counted stars. I lost count. I slept.",
    "Seven kings drowned, and the sea kept their crowns.",
];

fn scores() -> [f64; 5] {
    [1.0, 40.0, 12.0, -3.0, 7.5]
}

fn prompt(i: usize) -> String {
    format!("Tell a tale about thing {i}")
}

/// The same thirty prompts in each grouped or flat shape.
fn grouped(i: usize) -> Value {
    let responses: Vec<Value> = TALES
        .iter()
        .zip(scores())
        .map(|(text, score)| json!({"text": text, "score": score}))
        .collect();
    json!({"prompt": prompt(i), "responses": responses})
}

fn flat_rows() -> Vec<Value> {
    // Scattered: all first responses, then all second ones.
    let mut rows = Vec::new();
    for (text, score) in TALES.iter().zip(scores()) {
        rows.extend(
            (0..30).map(|i| json!({"prompt": prompt(i), "response": text, "score": score})),
        );
    }
    rows
}

/// All rows of a table, by the JSONL twin of its content.
fn texts_of(path: &Path) -> Vec<(String, Vec<String>)> {
    read_samples(path, &SourceOptions::default())
        .unwrap()
        .map(|group| {
            let group = group.unwrap();
            (
                group.prompt.to_string(),
                group
                    .responses
                    .into_iter()
                    .map(|response| response.text)
                    .collect(),
            )
        })
        .collect()
}

#[test]
fn every_shape_gives_the_same_groups() {
    let case = Case::new();
    let rows = |row: fn(usize) -> Value| (0..30).map(row).collect::<Vec<_>>();
    let mut csv = "question,answer,votes\n".to_owned();
    for row in flat_rows() {
        csv += &format!(
            "{},\"{}\",{}\n",
            row["prompt"].as_str().unwrap(),
            row["response"].as_str().unwrap().replace('"', "\"\""),
            row["score"]
        );
    }
    let sources = [
        case.lines("groups.jsonl", &rows(grouped)),
        case.lines("flat.jsonl", &flat_rows()),
        case.lines(
            "novelty.jsonl",
            &rows(|i| json!({"prompt": prompt(i), "generations": TALES, "generation_scores": scores()})),
        ),
        case.lines(
            "posts.jsonl",
            &rows(|i| {
                json!({"post_title": format!("[WP] {}", prompt(i)), "post_text": "",
                       "comment_texts": TALES, "comment_scores": scores()})
            }),
        ),
        case.write("flat.csv", csv),
    ];
    let mut found = Vec::new();
    for source in &sources {
        let name = source.file_name().unwrap().to_str().unwrap();
        let out = case.out(&format!("out-{name}"));
        let mut options = PrepareOptions::default();
        if name == "flat.csv" {
            let columns = &mut options.source.columns;
            columns.prompt = "question".to_owned();
            columns.response = "answer".to_owned();
            columns.score = "votes".to_owned();
        }
        let summary = run(source, &out, &options).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (summary.prompts.read, summary.prompts.kept),
            (30, 30),
            "{name}"
        );
        assert_eq!(summary.source.responses, 150, "{name}");
        assert_eq!(
            (summary.source.score_min, summary.source.score_max),
            (Some(-3.0), Some(40.0))
        );
        found.push(["train", "test"].map(|side| texts_of(&out.join(side).join("groups.parquet"))));
    }
    assert!(
        !found[0][1].is_empty(),
        "a tenth of thirty prompts is held out"
    );
    assert_eq!(found[0][0].len() + found[0][1].len(), 30);
    for other in &found[1..] {
        assert_eq!(other, &found[0]);
    }
}

#[test]
fn preference_rows_keep_their_pairs() {
    let case = Case::new();
    let pair = |chosen: usize, rejected: usize| {
        json!({"chosen": [{"role": "user", "content": prompt(0)}, {"role": "assistant", "content": TALES[chosen]}],
               "rejected": [{"role": "user", "content": prompt(0)}, {"role": "assistant", "content": TALES[rejected]}],
               "score_chosen": 5, "score_rejected": 4})
    };
    let path = case.lines("trl.jsonl", &[pair(0, 1), pair(0, 2), pair(3, 0)]);
    let out = case.out("out");
    let summary = run(
        &path,
        &out,
        &PrepareOptions {
            test_size: 0.0,
            ..PrepareOptions::default()
        },
    )
    .unwrap();
    assert_eq!(summary.source.shape, Shape::Preference);
    let pairs: Vec<PairRow> =
        read_pairs(&out.join("train/pairs.parquet"), &SourceOptions::default())
            .unwrap()
            .map(Result::unwrap)
            .collect();
    let texts: Vec<(String, String)> = pairs
        .iter()
        .map(|pair| (pair.chosen.to_string(), pair.rejected.to_string()))
        .collect();
    assert_eq!(
        texts,
        [
            (TALES[0], TALES[1]),
            (TALES[0], TALES[2]),
            (TALES[3], TALES[0])
        ]
        .map(|(chosen, rejected)| (chosen.to_owned(), rejected.to_owned()))
    );
    assert_eq!(
        pairs[0].prompt,
        Text::Chat(vec![Message::new("user", prompt(0))])
    );
    assert_eq!(pairs[0].prompt_id, "trl:1");
    assert_eq!(
        pairs[0].chosen_id, pairs[1].chosen_id,
        "one response, one id"
    );
    let groups = texts_of(&out.join("train/groups.parquet"));
    assert_eq!(groups[0].1.len(), 4, "distinct responses, each once");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let case = Case::new();
    let path = case.lines("flat.jsonl", &flat_rows());
    let bytes = |out: &str, seed| {
        let out = case.out(out);
        let options = PrepareOptions {
            seed,
            jsonl: true,
            ..PrepareOptions::default()
        };
        run(&path, &out, &options).unwrap();
        let mut names: Vec<String> = TABLES.iter().map(|name| (*name).to_owned()).collect();
        names.extend(TABLES.iter().map(|name| name.replace("parquet", "jsonl")));
        names.push("summary.json".to_owned());
        names
            .iter()
            .map(|name| fs::read(out.join(name)).unwrap())
            .collect::<Vec<_>>()
    };
    let first = bytes("a", 1);
    assert_eq!(first, bytes("b", 1));
    assert_ne!(first, bytes("c", 2));
}

#[test]
fn the_jsonl_twin_says_the_same() {
    let case = Case::new();
    let path = case.lines("groups.jsonl", &(0..30).map(grouped).collect::<Vec<_>>());
    let out = case.out("out");
    run(
        &path,
        &out,
        &PrepareOptions {
            jsonl: true,
            ..PrepareOptions::default()
        },
    )
    .unwrap();
    let pairs = |name: &str| -> Vec<PairRow> {
        let path = out.join("train").join(name);
        read_pairs(&path, &SourceOptions::default())
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    assert!(!pairs("pairs.parquet").is_empty());
    assert_eq!(pairs("pairs.parquet"), pairs("pairs.jsonl"));

    let jsonl = fs::read_to_string(out.join("train/groups.jsonl")).unwrap();
    let rows: Vec<GroupRow> = jsonl
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let scores: Vec<_> = read_group_scores(&out.join("train/groups.parquet"))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), scores.len());
    for (row, score) in rows.iter().zip(&scores) {
        assert_eq!(
            (&row.prompt_id, row.response_id),
            (&score.prompt_id, score.response_id)
        );
        assert_eq!(row.deviation_semantic, score.deviation_semantic);
        assert!((-1.0..=1.0).contains(&row.transformed_score.unwrap()));
    }
    for prompt in rows.chunk_by(|a, b| a.prompt_id == b.prompt_id) {
        let sum: f64 = prompt.iter().map(|row| row.weight).sum();
        assert!((sum / prompt.len() as f64 - 1.0).abs() < 1e-12);
    }
    for pair in pairs("pairs.parquet") {
        let chosen = rows
            .iter()
            .find(|row| row.prompt_id == pair.prompt_id && row.response_id == pair.chosen_id)
            .unwrap();
        assert_eq!(
            (&chosen.response, Some(chosen.weight)),
            (&pair.chosen, pair.weight)
        );
        assert!(pair.score_chosen > pair.score_rejected);
    }
}

#[test]
fn odd_groups_are_kept_and_counted() {
    let case = Case::new();
    let group = |i: usize, responses: Value| json!({"prompt": prompt(i), "responses": responses});
    let path = case.lines(
        "odd.jsonl",
        &[
            group(0, json!([{"text": "alone", "score": 1}])),
            group(1, json!([{"text": "a b", "score": 2}, {"text": "c d", "score": 2}])),
            group(2, json!([{"text": "same", "score": 1}, {"text": "same", "score": 9}, {"text": "same", "score": 3}])),
            group(3, json!([{"text": "", "score": 1}])),
            group(4, json!(["no score", "none here"])),
        ],
    );
    let options = PrepareOptions {
        test_size: 0.0,
        ..PrepareOptions::default()
    };
    let summary = run(&path, &case.out("all"), &options).unwrap();
    let prompts = &summary.prompts;
    assert_eq!((prompts.read, prompts.kept, prompts.emptied), (5, 4, 1));
    assert_eq!(
        (prompts.alone, prompts.all_tied, prompts.without_scores),
        (1, 1, 1)
    );
    assert_eq!((prompts.all_repeats, prompts.without_pairs), (1, 4));
    assert_eq!(summary.repeated_responses, 2);
    let json: Value =
        serde_json::from_slice(&fs::read(case.out("all/summary.json")).unwrap()).unwrap();
    assert_eq!(json["dropped_responses"]["empty"], 1);
    assert_eq!(json["splits"]["train"]["pairs"], 0);

    let paired = PrepareOptions {
        deviation_over: DeviationOver::Paired,
        ..options
    };
    let summary = run(&path, &case.out("paired"), &paired).unwrap();
    assert_eq!((summary.prompts.kept, summary.prompts.emptied), (0, 5));
}

#[test]
fn bad_rows_stop_with_their_place_or_are_counted() {
    let case = Case::new();
    let bad: [(&[u8], Reason, &str); 7] = [
        (
            b"{\"prompt\":\"p\",\"response\":\"r\",\"score\":\"many\"}",
            Reason::NotANumber,
            "score",
        ),
        (
            b"{\"prompt\":\"p\",\"response\":\"r\",\"score\":NaN}",
            Reason::NonFiniteScore,
            "score",
        ),
        (
            b"{\"prompt\":\"p\",\"score\":1}",
            Reason::MissingField,
            "response",
        ),
        (
            b"{\"prompt\":7,\"response\":\"r\"}",
            Reason::NotText,
            "prompt",
        ),
        (
            b"{\"prompt\":\"p\",\"response\":\"\xff\"}",
            Reason::InvalidUtf8,
            "iconv",
        ),
        (
            b"{\"prompt\":\"p\"",
            Reason::MalformedJson,
            "one object per line",
        ),
        (b"[1]", Reason::MalformedJson, "one object per line"),
    ];
    let good = b"{\"prompt\":\"q\",\"response\":\"r\",\"score\":1}\n{\"prompt\":\"q\",\"response\":\"s\",\"score\":9}\n";
    for (line, reason, mention) in bad {
        let mut bytes = good.to_vec();
        bytes.extend(line);
        bytes.push(b'\n');
        let path = case.write("bad.jsonl", bytes);
        let out = case.out("out");
        let error = run(&path, &out, &PrepareOptions::default()).unwrap_err();
        let message = error.to_string();
        assert!(
            matches!(&error, DataError::Row(row) if row.reason == reason),
            "{message}"
        );
        for part in ["bad.jsonl", "line 3", mention, "--skip-bad"] {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
        assert!(!out.exists(), "a failed run leaves nothing");

        let mut options = PrepareOptions::default();
        options.source.skip_bad = true;
        let summary = run(&path, &out, &options).unwrap();
        assert_eq!(summary.source.skipped_rows[&reason].first, 3);
        assert_eq!(
            (
                summary.source.rows,
                summary.source.skipped_rows[&reason].count
            ),
            (2, 1)
        );
        fs::remove_dir_all(out).unwrap();
    }
}

#[test]
fn lists_of_different_lengths_are_a_bad_row() {
    let case = Case::new();
    let row = json!({"post_title": "t", "post_text": "", "comment_texts": ["a", "b"], "comment_scores": [1]});
    let error = run(
        &case.lines("a.jsonl", &[row]),
        &case.out("out"),
        &PrepareOptions::default(),
    )
    .unwrap_err();
    assert!(
        matches!(&error, DataError::Row(row) if row.reason == Reason::LengthMismatch),
        "{error}"
    );
}

#[test]
fn a_wrong_column_is_told_the_right_ones() {
    let case = Case::new();
    let path = case.lines("flat.jsonl", &flat_rows());
    let mut options = PrepareOptions::default();
    options.source.columns.score = "votes".to_owned();
    let message = run(&path, &case.out("out"), &options)
        .unwrap_err()
        .to_string();
    for part in ["votes", "prompt", "response", "score"] {
        assert!(message.contains(part), "{message}");
    }
    let foreign = case.lines("foreign.jsonl", &[json!({"question": "q", "answer": "a"})]);
    let message = run(&foreign, &case.out("out"), &PrepareOptions::default())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("--prompt-column") && message.contains("question"),
        "{message}"
    );
    let unscored = case.lines("unscored.jsonl", &[json!({"prompt": "q", "response": "a"})]);
    let message = run(&unscored, &case.out("out"), &PrepareOptions::default())
        .unwrap_err()
        .to_string();
    assert!(message.contains("--score-column"), "{message}");
}

#[test]
fn a_failed_run_leaves_the_earlier_output() {
    let case = Case::new();
    let out = case.out("out");
    run(
        &case.lines("good.jsonl", &flat_rows()),
        &out,
        &PrepareOptions::default(),
    )
    .unwrap();
    let before = fs::read(out.join("train/pairs.parquet")).unwrap();

    // Truncated gzip: the failure comes in the middle of the file.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let noise = |i: u32| blake3::hash(&i.to_le_bytes()).to_hex();
    for i in 0..2000 {
        writeln!(
            encoder,
            "{}",
            json!({"prompt": prompt(0), "response": noise(i).as_str(), "score": i})
        )
        .unwrap();
    }
    let bytes = encoder.finish().unwrap();
    let path = case.write("cut.jsonl.gz", &bytes[..bytes.len() * 2 / 3]);
    let error = run(&path, &out, &PrepareOptions::default()).unwrap_err();
    assert!(
        matches!(error, DataError::Damaged { format: "gzip", .. }),
        "{error}"
    );
    assert_eq!(fs::read(out.join("train/pairs.parquet")).unwrap(), before);
    let names: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_damages_nothing() {
    // Writing to this device fails as a full disk does; where it is missing there is nothing to try.
    let full = Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let case = Case::new();
    let out = case.out("out");
    let path = case.lines("good.jsonl", &flat_rows());
    run(&path, &out, &PrepareOptions::default()).unwrap();
    let before = fs::read(out.join("train/pairs.parquet")).unwrap();
    std::os::unix::fs::symlink(full, out.join("train/.pairs.parquet.partial")).unwrap();
    let error = run(
        &path,
        &out,
        &PrepareOptions {
            seed: 7,
            ..PrepareOptions::default()
        },
    )
    .unwrap_err();
    assert!(matches!(error, DataError::Write { .. }), "{error}");
    assert_eq!(fs::read(out.join("train/pairs.parquet")).unwrap(), before);
    assert!(!out.join("train/.pairs.parquet.partial").exists());
}

#[test]
fn truncated_parquet_is_named() {
    let case = Case::new();
    let out = case.out("out");
    run(
        &case.lines("good.jsonl", &flat_rows()),
        &out,
        &PrepareOptions::default(),
    )
    .unwrap();
    let bytes = fs::read(out.join("train/groups.parquet")).unwrap();
    let cut = case.write("cut.parquet", &bytes[..bytes.len() / 2]);
    let error = run(&cut, &case.out("again"), &PrepareOptions::default()).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Damaged {
                format: "Parquet",
                ..
            }
        ),
        "{error}"
    );
    assert!(read_group_scores(&cut).is_err());
}

#[test]
fn a_line_of_a_megabyte_is_an_ordinary_line() {
    let case = Case::new();
    let long = "word ".repeat(210_000);
    let rows = [
        json!({"prompt": "p", "response": long, "score": 1}),
        json!({"prompt": "p", "response": "short", "score": 9}),
    ];
    let summary = run(
        &case.lines("long.jsonl", &rows),
        &case.out("out"),
        &PrepareOptions::default(),
    )
    .unwrap();
    assert_eq!(summary.prompts.without_pairs, 0);
}

#[test]
fn generated_samples_keep_their_ids() {
    let case = Case::new();
    let path = case.lines(
        "samples.jsonl",
        &[
            json!({"prompt_id": "x:1", "prompt": "p", "sample": 0, "response": "a", "tokens": 1, "finish_reason": "stop"}),
            json!({"prompt_id": "x:1", "prompt": "p", "sample": 1, "response": "", "tokens": 0, "finish_reason": "stop"}),
        ],
    );
    let groups: Vec<_> = read_samples(&path, &SourceOptions::default())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        (groups[0].id.as_str(), groups[0].responses.len()),
        ("x:1", 2)
    );
    assert_eq!(groups[0].responses[1].id, 1);
    let source = Source::open(&path, &SourceOptions::default(), &mut |_| ()).unwrap();
    assert!(!source.survey().scattered);
}
