//! Plain and conversational rows, from a file of rows to token ids and labels, against TRL's own
//! trainers (`conversations.py`), for tokenizers of five styles (`styles.py`).
//!
//! # Departures
//! What rarebit learns from differs from TRL's on purpose, in these ways and no others:
//! - The prompt is always the prompt alone, as sampling will see it. Where a token would reach across
//!   the end of the prompt, TRL moves the split; rarebit tokenises the completion by itself.
//! - What a template writes after the last end-of-turn token, a line break as a rule, is not learned,
//!   since it is never generated. A conversation without such a token gets one, so that stopping is
//!   learned; TRL only appends one to plain text.
//! - A tokenizer whose post-processor appends the end token to every text gets one, not two.
//! - The first token of a sequence without a prompt is not predicted, so nothing is learned where
//!   only it is left.

use std::path::Path;

use rarebit_data::{Shape, Source, SourceOptions, read_pairs};
use rarebit_models::chat::{ChatTemplate, Message};
use rarebit_models::tokenizer::{TOKENIZER, TOKENIZER_CONFIG, Tokenizer};
use rarebit_train::{ExampleTokenizer, Sequence, SftTokens, TruncationMode};
use serde::Deserialize;
use serde_json::Value;

use super::fixture::{json, path};

const STYLES: [&str; 5] = ["chatml", "llama3", "llama2", "gemma", "unigram"];

#[derive(Deserialize)]
struct Cases {
    encode: Vec<EncodeCase>,
    pairs: Vec<PairRow>,
    supervised: Vec<SftRow>,
}

#[derive(Deserialize)]
struct EncodeCase {
    text: String,
    ids: Vec<u32>,
    ids_without_special: Vec<u32>,
}

#[derive(Deserialize)]
struct PairRow {
    row: Value,
    prompt_alone_ids: Vec<u32>,
    cases: Vec<PairCase>,
}

#[derive(Deserialize)]
struct PairCase {
    #[serde(flatten)]
    limit: Limit,
    dpo: Option<[Side; 2]>,
    orpo: Option<[Side; 2]>,
}

#[derive(Deserialize)]
struct Limit {
    max_length: Option<usize>,
    truncation_mode: TruncationMode,
}

#[derive(Deserialize, Clone)]
struct Side {
    ids: Vec<u32>,
    start: usize,
}

#[derive(Deserialize)]
struct SftRow {
    row: Value,
    cases: Vec<SftCase>,
}

#[derive(Deserialize)]
struct SftCase {
    #[serde(flatten)]
    limit: Limit,
    completion_only_loss: Option<bool>,
    assistant_only_loss: bool,
    sft: Option<Labelled>,
}

/// Token ids, and which of them are learned.
#[derive(Deserialize, Clone, Debug, PartialEq)]
struct Labelled {
    ids: Vec<u32>,
    labelled: Vec<u8>,
}

impl From<&Sequence> for Labelled {
    fn from(sequence: &Sequence) -> Self {
        let mut labelled = vec![0; sequence.ids.len()];
        for span in &sequence.loss_spans {
            labelled[span.clone()].fill(1);
        }
        Self {
            ids: sequence.ids.clone(),
            labelled,
        }
    }
}

impl From<&Side> for Labelled {
    fn from(side: &Side) -> Self {
        let completion = side.ids.len() - side.start;
        Self {
            ids: side.ids.clone(),
            labelled: [vec![0; side.start], vec![1; completion]].concat(),
        }
    }
}

impl Labelled {
    /// TRL's, ended as rarebit ends it.
    fn ended(mut self, style: &Style) -> Self {
        let eos = style.tokenizer.eos[0];
        let is_blank = |id: u32| {
            let token = style.tokenizer.token(id).expect("a token");
            ["Ċ", "<0x0A>"].contains(&&*token)
        };
        let last = |ids: &[u32]| ids.iter().rposition(|&id| !is_blank(id)).expect("a word");
        let mut end = last(&self.ids);
        if self.ids[end] != eos {
            self.ids.push(eos);
            self.labelled.extend(self.labelled.last().copied());
            return self;
        }
        // The post-processor's, or what ORPOTrainer appends behind the line break.
        let before = last(&self.ids[..end]);
        if self.ids[before] == eos {
            end = before;
        }
        self.ids.truncate(end + 1);
        self.labelled.truncate(end + 1);
        self
    }
}

struct Style {
    name: &'static str,
    tokenizer: Tokenizer,
    /// None is there for plain rows, which TRL keeps from the template.
    template: ChatTemplate,
    plain: ChatTemplate,
    cases: Cases,
}

impl Style {
    fn read(name: &'static str) -> Self {
        let folder = path(&format!("conversations/{name}"));
        let tokenizer = Tokenizer::read(&folder, 1000).expect("a tokenizer");
        let template = ChatTemplate::read(&folder, &tokenizer).expect("a template");
        let plain = tempfile::tempdir().expect("a folder");
        let plain = ChatTemplate::read(plain.path(), &tokenizer).expect("no template");
        assert!(template.is_conversational() && !plain.is_conversational());
        Self {
            name,
            tokenizer,
            template,
            plain,
            cases: json(&format!("conversations/{name}/cases.json")),
        }
    }

    fn encoder(&self, conversational: bool, limit: &Limit) -> ExampleTokenizer<'_> {
        ExampleTokenizer {
            tokenizer: &self.tokenizer,
            template: match conversational {
                true => &self.template,
                false => &self.plain,
            },
            max_length: limit.max_length,
            truncation_mode: limit.truncation_mode,
        }
    }
}

impl Style {
    /// A prompt's ids without the end token of the post-processor, which nothing follows on.
    fn alone<'a>(&self, ids: &'a [u32]) -> &'a [u32] {
        let eos = &self.tokenizer.eos[..1];
        match self.name {
            "unigram" => ids.strip_suffix(eos).unwrap_or(ids),
            _ => ids,
        }
    }

    /// Whether TRL splits a row before the end of its prompt.
    fn merges(&self, pairs: &PairRow) -> bool {
        let uncut = pairs.cases[0].dpo.as_ref().expect("kept without a limit");
        uncut[0].start != self.alone(&pairs.prompt_alone_ids).len()
    }
}

/// Whether a row has lists of messages.
fn is_conversational(row: &Value) -> bool {
    let fields = row.as_object().expect("a row");
    fields.values().all(Value::is_array)
}

/// A file of one row.
fn written(row: &Value) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, format!("{row}\n")).expect("written");
    (folder, path)
}

fn pair(path: &Path, encoder: &ExampleTokenizer<'_>) -> [Sequence; 2] {
    let row = read_pairs(path, &SourceOptions::default())
        .expect("a file of pairs")
        .next()
        .expect("a row")
        .expect("a pair");
    encoder
        .pair(&row.prompt, &row.chosen, &row.rejected)
        .expect("encoded")
}

fn supervised(path: &Path, encoder: &ExampleTokenizer<'_>, case: &SftCase) -> Sequence {
    let source = Source::open(path, &SourceOptions::default(), &mut |_| ()).expect("a known shape");
    let is_split = source.survey().shape != Shape::Messages;
    let group = source
        .groups(&mut |_| ())
        .expect("groups")
        .next()
        .expect("a row")
        .expect("a group");
    let completion = group.responses[0].beside(&group.prompt);
    let tokens = SftTokens {
        completion_only_loss: case.completion_only_loss.unwrap_or(is_split),
        assistant_only_loss: case.assistant_only_loss,
    };
    encoder
        .supervised(&group.prompt, &completion, tokens)
        .expect("encoded")
}

fn styles() -> impl Iterator<Item = Style> {
    STYLES.into_iter().map(Style::read)
}

#[test]
fn each_styles_text_becomes_transformers_ids() {
    for style in styles() {
        for case in &style.cases.encode {
            let ids = |special| style.tokenizer.encode(&case.text, special).expect("ids");
            let what = format!("{}: {:?}", style.name, case.text);
            assert_eq!(ids(true), case.ids, "{what}");
            assert_eq!(ids(false), case.ids_without_special, "{what}");
        }
    }
}

/// The template writes BOS where the model wants one; the post-processor adds none on top.
#[test]
fn no_conversation_begins_twice() {
    for style in styles() {
        let Some(bos) = style.tokenizer.bos else {
            continue;
        };
        let prompt = vec![Message::new("user", "One")];
        let ids = style
            .template
            .encode_prompt(&style.tokenizer, &prompt)
            .expect("ids");
        assert_eq!(
            ids.iter().filter(|&&id| id == bos).count(),
            1,
            "{}",
            style.name
        );
        assert_eq!(ids[0], bos, "{}", style.name);
        let plain = style
            .plain
            .encode_prompt(&style.tokenizer, "One")
            .expect("ids");
        assert_eq!(
            (plain[0], plain.contains(&style.tokenizer.eos[0])),
            (bos, false)
        );
    }
}

/// Both sides of every pair as DPOTrainer batches them and as ORPOTrainer tokenises them, under
/// every limit; where TRL drops a pair, or leaves a side without completion, nothing is left here
/// either.
#[test]
fn pairs_are_trls() {
    let (mut compared, mut merged, mut dropped) = (0, 0, 0);
    for style in styles() {
        for pairs in &style.cases.pairs {
            let PairRow {
                row,
                prompt_alone_ids,
                cases,
            } = pairs;
            let conversational = is_conversational(row);
            let (_folder, path) = written(row);
            let alone = style.alone(prompt_alone_ids);
            let merges = style.merges(pairs);
            for case in cases {
                let sides = pair(&path, &style.encoder(conversational, &case.limit));
                let what = format!("{}, {:?}: {row}", style.name, case.limit.max_length);
                if merges {
                    assert!(!conversational, "{what}");
                    if case.limit.max_length.is_none() {
                        assert!(
                            sides.iter().all(|side| side.ids.starts_with(alone)),
                            "{what}"
                        );
                        merged += 1;
                    }
                    continue;
                }
                let trls = [&case.dpo, &case.orpo].into_iter().enumerate();
                for (i, trl) in trls {
                    let is_orpo = i == 1;
                    let Some(trl) = trl else {
                        if !is_orpo {
                            assert!(
                                sides.iter().any(|side| side.completion_tokens() == 0),
                                "{what}"
                            );
                            dropped += 1;
                        }
                        continue;
                    };
                    for (ours, theirs) in sides.iter().zip(trl) {
                        if theirs.start >= theirs.ids.len() {
                            // ORPOTrainer keeps the prompt, whole, and learns nothing.
                            assert_eq!(ours.completion_tokens(), 0, "{what}");
                            continue;
                        }
                        let mut expected = Labelled::from(theirs);
                        if case.limit.max_length.is_none() {
                            expected = expected.ended(&style);
                        }
                        assert_eq!(Labelled::from(ours), expected, "{what}");
                        compared += 1;
                    }
                }
            }
        }
    }
    assert!(compared > 300, "{compared} sides compared");
    assert!(
        merged >= 5,
        "{merged} pairs merge across the end of the prompt"
    );
    assert!(dropped >= 10, "{dropped} pairs dropped");
}

/// What TRL cannot split without a token of the prompt is split behind it; both parts together
/// still say what the row says.
#[test]
fn a_completion_that_would_merge_is_tokenised_by_itself() {
    for style in styles() {
        let decode = |ids: &[u32]| style.tokenizer.decode(ids).expect("text");
        for (prompt, completion) in [
            ("The s", "ea was calm"),
            ("Ends in space ", "word"),
            ("a\n", "\nb"),
        ] {
            let encoded = style
                .plain
                .encode(&style.tokenizer, prompt, completion)
                .expect("encoded");
            let alone = style
                .plain
                .encode_prompt(&style.tokenizer, prompt)
                .expect("ids");
            assert_eq!(encoded.prompt, alone);
            let both = [&encoded.prompt[..], &encoded.completion].concat();
            assert_eq!(
                decode(&both),
                [prompt, completion].concat(),
                "{}",
                style.name
            );
            assert_eq!(encoded.completion.last(), style.tokenizer.eos.first());
        }
    }
}

/// Ids and labels of every row and setting as SFTTrainer prepares them.
#[test]
fn supervised_rows_are_trls() {
    let (mut compared, mut dropped) = (0, 0);
    for style in styles() {
        for SftRow { row, cases } in &style.cases.supervised {
            let conversational = is_conversational(row);
            let (_folder, path) = written(row);
            // Whether a token reaches across the split is a matter of both sides; here one is left.
            let merges = style.cases.pairs.iter().any(|pairs| {
                !conversational && pairs.row["prompt"] == row["prompt"] && style.merges(pairs)
            });
            if merges {
                continue;
            }
            let uncut = |case: &SftCase| case.limit.max_length.is_none();
            for case in cases {
                let sequence = supervised(&path, &style.encoder(conversational, &case.limit), case);
                let what = format!(
                    "{}, {:?}, completion {:?}, assistant {}: {row}",
                    style.name,
                    case.limit.max_length,
                    case.completion_only_loss,
                    case.assistant_only_loss
                );
                let Some(theirs) = case.sft.clone() else {
                    assert_eq!(sequence.completion_tokens(), 0, "{what}");
                    dropped += 1;
                    continue;
                };
                let ours = Labelled::from(&sequence);
                let theirs = if uncut(case) {
                    theirs.ended(&style)
                } else {
                    theirs
                };
                assert_eq!(ours, theirs, "{what}");
                compared += 1;
            }
        }
    }
    assert!(compared > 150, "{compared} rows compared");
    assert!(dropped >= 5, "{dropped} rows dropped");
}

/// Without marks the assistant's tokens are told by prefixes: the same as with them.
#[test]
fn unmarked_templates_tell_the_assistant_by_prefix() {
    let mut turns = 0;
    for style in styles() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::copy(
            path(&format!("conversations/{}", style.name)).join(TOKENIZER),
            folder.path().join(TOKENIZER),
        )
        .expect("copied");
        let mut settings: Value = json(&format!(
            "conversations/{}/tokenizer_config.json",
            style.name
        ));
        let marked = settings["chat_template"]
            .as_str()
            .expect("a template")
            .to_owned();
        let unmarked = marked
            .replace("{% generation %}", "")
            .replace("{% endgeneration %}", "");
        settings["chat_template"] = unmarked.into();
        std::fs::write(folder.path().join(TOKENIZER_CONFIG), settings.to_string())
            .expect("written");
        let unmarked = ChatTemplate::read(folder.path(), &style.tokenizer).expect("a template");
        assert!(style.template.has_generation_spans() && !unmarked.has_generation_spans());
        for SftRow { row, .. } in &style.cases.supervised {
            let Some(messages) = row.get("messages") else {
                continue;
            };
            let messages: Vec<Message> =
                serde_json::from_value(messages.clone()).expect("messages");
            let [by_mark, by_prefix] = [&style.template, &unmarked].map(|template| {
                template
                    .encode_conversation(&style.tokenizer, &messages)
                    .expect("ids")
            });
            assert_eq!(by_mark, by_prefix, "{}", style.name);
            turns += by_mark.assistant.len();
        }
    }
    assert!(turns >= 12, "{turns} turns compared");
}

/// A template without marks that writes a turn otherwise once more turns follow cannot tell.
#[test]
fn a_template_that_changes_its_mind_is_refused_for_assistant_tokens() {
    let style = Style::read("chatml");
    let folder = tempfile::tempdir().expect("a folder");
    let changing = "{% for m in messages %}{{ m.role }}:{{ ' (last)' if loop.last }}{{ m.content }}<|im_end|>{% endfor %}";
    std::fs::write(folder.path().join("chat_template.jinja"), changing).expect("written");
    let template = ChatTemplate::read(folder.path(), &style.tokenizer).expect("a template");
    let message = |role: &str| Message::new(role, "x");
    for (turns, needle) in [
        (
            vec![
                message("user"),
                message("assistant"),
                message("user"),
                message("assistant"),
            ],
            "turn 2",
        ),
        (
            vec![message("assistant"), message("user")],
            "starts with it",
        ),
    ] {
        let error = template
            .encode_conversation(&style.tokenizer, &turns)
            .expect_err("refused")
            .to_string();
        assert!(
            error.contains(needle) && error.contains("generation"),
            "{error}"
        );
    }
}

/// Where the template writes the prompt otherwise once it is answered, the completion begins where
/// both part, for both sides of a pair alike.
#[test]
fn a_template_that_rewrites_the_prompt_is_followed_as_trl_does() {
    let style = Style::read("chatml");
    let folder = tempfile::tempdir().expect("a folder");
    let opening = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}\
                   {% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}";
    std::fs::write(folder.path().join("chat_template.jinja"), opening).expect("written");
    let template = ChatTemplate::read(folder.path(), &style.tokenizer).expect("a template");
    let encoder = ExampleTokenizer {
        tokenizer: &style.tokenizer,
        template: &template,
        max_length: None,
        truncation_mode: TruncationMode::KeepStart,
    };
    let sides = encoder
        .pair(&"One".into(), &"<think about it".into(), &"Two".into())
        .expect("encoded");
    let ids = |text: &str| style.tokenizer.encode(text, false).expect("ids");
    let opened = ids("<|im_start|>user\nOne<|im_end|><|im_start|>assistant\n");
    for (side, text) in sides.iter().zip(["<think about it", "Two"]) {
        assert!(side.diverges);
        assert_eq!(
            side.ids,
            [&opened[..], &ids(&format!("{text}<|im_end|>"))].concat()
        );
        assert_eq!(
            side.loss_spans.first(),
            Some(&(opened.len()..side.ids.len()))
        );
    }
}
