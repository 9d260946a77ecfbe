//! Sentence embedders of every architecture against transformers and sentence-transformers
//! (`embedders.py`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use burn::tensor::{Device, TensorData};
use rarebit_deviation::Embedder as _;
use rarebit_models::ModelError;
use rarebit_models::encoder::Encoder;
use rarebit_models::safetensors_file::{Precision, SINGLE, TensorFile, save};
use rarebit_models::sentence_transformer::{EmbedOptions, LongTexts, SentenceTransformer};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::fixture::{self, TOLERANCE, Tensors, assert_close, values};

/// A folder, what it is, and the sides on which its batch is padded.
struct Folder {
    name: &'static str,
    family: &'static str,
    about: &'static str,
    sides: &'static [&'static str],
}

const RIGHT: &[&str] = &["right"];
const BOTH: &[&str] = &["right", "left"];

const fn folder(
    name: &'static str,
    family: &'static str,
    about: &'static str,
    sides: &'static [&'static str],
) -> Folder {
    Folder {
        name,
        family,
        about,
        sides,
    }
}

const FOLDERS: [Folder; 8] = [
    folder(
        "roberta",
        "RoBERTa",
        "positions from the padding's id on",
        BOTH,
    ),
    folder("xlm-roberta", "XLM-RoBERTa", "unigram tokenizer", RIGHT),
    folder("modernbert", "ModernBERT", "windows, two rotations", BOTH),
    folder(
        "modernbert-bias",
        "ModernBERT",
        "biases, several poolings joined",
        BOTH,
    ),
    folder(
        "jina-v3",
        "jina-embeddings-v3",
        "an adapter for each task, shortened vectors",
        BOTH,
    ),
    folder(
        "jina-v3-flash",
        "jina-embeddings-v3",
        "keys of the first checkpoint",
        RIGHT,
    ),
    folder("qwen3", "Qwen3-Embedding", "last token, prompts", BOTH),
    folder("dense", "BERT", "Dense and Normalize modules", RIGHT),
];

/// What was compared of a folder.
pub(crate) struct Row {
    pub(crate) family: &'static str,
    pub(crate) about: &'static str,
    /// The largest errors of hidden states and of embeddings.
    pub(crate) errors: [f32; 2],
}

/// The comparison on the CPU, once per process.
pub(crate) fn on_the_cpu() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| compare(&Device::flex(), true))
}

/// Compares every folder; if `alone`, also each text by itself.
pub(crate) fn compare(device: &Device, alone: bool) -> Vec<Row> {
    let row = |folder: &Folder| Row {
        family: folder.family,
        about: folder.about,
        errors: [
            hidden_states(folder, device),
            embeddings(folder, device, alone),
        ],
    };
    FOLDERS.iter().map(row).collect()
}

#[derive(Deserialize)]
struct Expected {
    texts: Vec<String>,
    cases: BTreeMap<String, Case>,
}

/// What to ask of a folder.
#[derive(Deserialize)]
struct Case {
    prompt_name: Option<String>,
    task: Option<String>,
    truncate_dim: Option<usize>,
}

impl From<Case> for EmbedOptions {
    fn from(case: Case) -> Self {
        Self {
            prompt_name: case.prompt_name,
            task: case.task,
            truncate_dim: case.truncate_dim,
            ..Self::default()
        }
    }
}

fn tensors(folder: &str) -> Tensors {
    Tensors::read(&fixture::path(&format!(
        "embedders/{folder}/expected.safetensors"
    )))
}

fn expected(folder: &str) -> Expected {
    fixture::json(&format!("embedders/{folder}/expected.json"))
}

fn open(folder: &Path, options: &EmbedOptions) -> Result<SentenceTransformer, ModelError> {
    SentenceTransformer::open(folder, "tiny", options, &Device::flex())
}

fn embed(model: &SentenceTransformer, texts: &[String]) -> Vec<f32> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    model.embed(&texts).expect("embeddings").concat()
}

/// Each row scaled to length 1, which is how rarebit gives all embeddings.
fn unit_rows(rows: &fixture::Array<f32>) -> Vec<f32> {
    rows.rows()
        .flat_map(|row| {
            let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            row.iter().map(move |value| value / length)
        })
        .collect()
}

#[test]
fn every_block_and_every_embedding_is_the_librarys() {
    assert_eq!(on_the_cpu().len(), FOLDERS.len());
}

/// The largest error of any block.
fn hidden_states(folder: &Folder, device: &Device) -> f32 {
    let Folder { name, sides, .. } = *folder;
    let io = tensors(name);
    let path = fixture::path(&format!("embedders/{name}"));
    let encoder = Encoder::open(&path, None, device).expect("a model folder");
    let mut worst = 0f32;
    for side in sides {
        let mask = io.i64(&format!("{side}.attention_mask"));
        let ids = io.i64(&format!("{side}.input_ids")).ids(device);
        let states = encoder.hidden_states(ids, Some(mask.mask(device)));
        let blocks = states.len() - 2;
        let keys = (0..blocks).map(|i| format!("{side}.block.{i}"));
        let keys: Vec<String> = keys.chain([format!("{side}.last")]).collect();
        assert!(keys.iter().all(|key| io.names().contains(key)));
        // The first is the embedding's output, which the first block's follows from.
        for (key, state) in keys.iter().zip(states.into_iter().skip(1)) {
            let width = state.dims()[2];
            let mut found = values(state);
            for (row, mask) in found.chunks_mut(width).zip(&mask.values) {
                assert!(row.iter().all(|value| value.is_finite()), "{name}: {key}");
                row.iter_mut().for_each(|value| *value *= *mask as f32);
            }
            let expected = io.f32(key).values;
            let what = format!("{name}: {key}");
            worst = worst.max(assert_close(&what, &found, &expected, TOLERANCE));
        }
    }
    worst
}

/// The largest error of any text's vector, in a batch and alone.
fn embeddings(folder: &Folder, device: &Device, alone: bool) -> f32 {
    let Folder { name, .. } = *folder;
    let (io, expected) = (tensors(name), expected(name));
    let path = fixture::path(&format!("embedders/{name}"));
    let mut worst = 0f32;
    for (case_name, case) in expected.cases {
        let model = SentenceTransformer::open(&path, "tiny", &case.into(), device)
            .expect("a sentence-transformers folder");
        let rows = io.f32(&format!("embeddings.{case_name}"));
        assert_eq!(model.dims(), rows.shape[1]);
        let unit = unit_rows(&rows);
        let found = embed(&model, &expected.texts);
        let what = format!("{name}: {case_name}");
        worst = worst.max(assert_close(&what, &found, &unit, TOLERANCE));
        // Company in a batch changes nothing.
        let texts = expected.texts.iter().filter(|_| alone);
        for (text, row) in texts.zip(unit.chunks(model.dims())) {
            let alone = embed(&model, std::slice::from_ref(text));
            let what = format!("{name}: {case_name}, alone");
            worst = worst.max(assert_close(&what, &alone, row, TOLERANCE));
        }
    }
    worst
}

#[test]
fn padding_written_out_in_a_text_takes_no_position() {
    let path = fixture::path("embedders/roberta");
    let model = open(&path, &EmbedOptions::default()).expect("a folder");
    let found = embed(&model, &["the <pad> fox".to_owned()]);
    let row = unit_rows(&tensors("roberta").f32("padding_inside"));
    assert_close("padding inside", &found, &row, TOLERANCE);
}

/// transformers 5 writes the flash implementation's keys; its own are read as well, bare or under
/// `roberta.`.
#[test]
fn the_keys_of_transformers_own_jina_model_are_read() {
    let names = [
        ("encoder.layers.", "layers."),
        ("mixer.out_proj", "self_attn.o_proj"),
        ("norm1", "post_attention_layernorm"),
        ("norm2", "post_mlp_layernorm"),
        ("emb_ln", "embeddings.LayerNorm"),
    ];
    let weights = TensorFile::open(fixture::path("embedders/jina-v3")).expect("weights");
    for prefix in ["", "roberta."] {
        let mut tensors = Vec::new();
        for name in weights.names() {
            let data = weights.data(name).expect("a tensor");
            let own = names.iter().fold(name.to_owned(), |name, (flash, own)| {
                name.replace(flash, own)
            });
            if !own.contains("mixer.Wqkv") {
                tensors.push((format!("{prefix}{own}"), data));
                continue;
            }
            let values = data.try_to_vec::<f32>().expect("f32");
            let mut shape = data.shape().to_vec();
            shape[0] /= 3;
            let parts = values.chunks(values.len() / 3);
            for (part, values) in ["q_proj", "k_proj", "v_proj"].into_iter().zip(parts) {
                let own = own.replace("mixer.Wqkv", &format!("self_attn.{part}"));
                let data = TensorData::new(values.to_vec(), shape.clone());
                tensors.push((format!("{prefix}{own}"), data));
            }
        }
        let copy = copy("jina-v3");
        let file = copy.path().join(SINGLE);
        save(&file, &tensors, Precision::F32, &BTreeMap::new()).expect("a file");
        let model = open(copy.path(), &EmbedOptions::default()).expect("a folder");
        let found = embed(&model, &expected("jina-v3").texts);
        let rows = unit_rows(&self::tensors("jina-v3").f32("embeddings.text_matching"));
        assert_close("own keys", &found, &rows, TOLERANCE);
    }
}

/// A configuration that promises adapters which the checkpoint does not hold.
#[test]
fn stacked_adapters_that_are_not_there() {
    let copy = copy("jina-v3");
    let promise = json!({"lora_adaptations": ["text-matching"], "lora_rank": 2, "lora_alpha": 1});
    set(&copy.path().join("config.json"), &promise);
    let found = error(copy.path(), &EmbedOptions::default());
    assert!(
        found.contains("no tensor `parametrizations.weight.0.lora_A`"),
        "{found}"
    );
}

#[test]
fn padding_without_an_embedding_does_no_harm() {
    let copy = copy("modernbert");
    set(
        &copy.path().join("config.json"),
        &json!({"pad_token_id": 50283}),
    );
    let model = open(copy.path(), &EmbedOptions::default()).expect("a folder");
    let found = embed(&model, &expected("modernbert").texts);
    let rows = unit_rows(&tensors("modernbert").f32("embeddings.default"));
    assert_close("another padding", &found, &rows, TOLERANCE);
}

#[test]
fn chunks_change_long_texts_only() {
    for folder in ["xlm-roberta", "dense"] {
        let expected = expected(folder);
        let path = fixture::path(&format!("embedders/{folder}"));
        let options = EmbedOptions {
            long_texts: LongTexts::MeanOfChunks,
            ..EmbedOptions::default()
        };
        let model = open(&path, &options).expect("a folder");
        let rows = unit_rows(&tensors(folder).f32("embeddings.default"));
        let found = embed(&model, &expected.texts);
        let row = |rows: &[f32], i| rows[i * model.dims()..][..model.dims()].to_vec();
        for (i, long) in [(0, false), (1, false), (2, true), (6, false)] {
            let (found, row) = (row(&found, i), row(&rows, i));
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let cosine = dot(&found, &row);
            assert_eq!(cosine < 0.9999, long, "{folder}, text {i}: {cosine}");
            let length = dot(&found, &found);
            assert!((length - 1.0).abs() < 1e-5, "{folder}, text {i}: {length}");
        }
    }
}

#[test]
fn ids_differ_by_everything_that_changes_vectors() {
    let mut ids = Vec::new();
    for Folder { name: folder, .. } in FOLDERS {
        for (_, case) in expected(folder).cases {
            let path = fixture::path(&format!("embedders/{folder}"));
            ids.push(open(&path, &case.into()).expect("a folder").id().to_owned());
        }
    }
    ids.sort();
    // `text-matching` is what jina-embeddings-v3 does where nothing else is asked for.
    let same = ids
        .iter()
        .filter(|id| id.contains("task=text-matching@"))
        .count();
    assert_eq!(same, 2);
    ids.dedup();
    assert_eq!(ids.len(), 20, "{ids:#?}");
}

/// A copy of a folder to change.
fn copy(folder: &str) -> TempDir {
    fn all(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("a file");
            let to = to.join(entry.file_name());
            match entry.path().is_dir() {
                true => all(&entry.path(), &to),
                false => drop(fs::copy(entry.path(), to).expect("a file")),
            }
        }
    }
    let copy = tempfile::tempdir().expect("a folder");
    all(&fixture::path(&format!("embedders/{folder}")), copy.path());
    copy
}

/// Sets keys of a JSON file.
fn set(path: &Path, changes: &Value) {
    let text = fs::read_to_string(path).expect("a file");
    let mut value: Value = serde_json::from_str(&text).expect("JSON");
    let object = value.as_object_mut().expect("an object");
    object.extend(changes.as_object().expect("an object").clone());
    fs::write(path, value.to_string()).expect("a file");
}

/// What opening says, its cause included.
fn error(folder: &Path, options: &EmbedOptions) -> String {
    let error = open(folder, options).expect_err("this folder is wrong");
    let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

#[test]
fn unknown_settings_are_told_by_name() {
    let cases = [
        (
            "modernbert",
            "config.json",
            json!({"hidden_activation": "mish"}),
            "`mish`",
        ),
        (
            "modernbert",
            "config.json",
            json!({"layer_types": ["full_attention"]}),
            "1 entries for 3 layers",
        ),
        (
            "modernbert",
            "config.json",
            json!({"layer_types": ["some", "full_attention", "full_attention"]}),
            "`some`",
        ),
        (
            "modernbert",
            "config.json",
            json!({"rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 2.0}}}),
            "`yarn`",
        ),
        (
            "modernbert",
            "config.json",
            json!({"num_attention_heads": 3}),
            "num_attention_heads",
        ),
        (
            "modernbert",
            "config.json",
            json!({"norm_bias": true}),
            "embeddings.norm.bias",
        ),
        (
            "jina-v3",
            "config.json",
            json!({"rope_parameters": {"rope_type": "linear", "factor": 2.0}}),
            "`linear`",
        ),
        (
            "jina-v3",
            "text_matching/adapter_config.json",
            json!({"use_dora": true}),
            "use_dora",
        ),
        (
            "jina-v3",
            "text_matching/adapter_config.json",
            json!({"r": 3}),
            "[2, ",
        ),
        (
            "jina-v3-flash",
            "config.json",
            json!({"lora_rank": 3}),
            "[3, 77, 3]",
        ),
        (
            "jina-v3-flash",
            "config.json",
            json!({"lora_adaptations": ["separation"]}),
            "only for separation",
        ),
        (
            "jina-v3-flash",
            "config.json",
            json!({"position_embedding_type": "alibi"}),
            "`alibi`",
        ),
        (
            "qwen3",
            "config.json",
            json!({"model_type": "t5"}),
            "architecture `t5`",
        ),
        (
            "qwen3",
            "config_sentence_transformers.json",
            json!({"default_prompt_name": "passage"}),
            "no prompt `passage`, only document, query",
        ),
        (
            "qwen3",
            "config_sentence_transformers.json",
            json!({"model_type": "CrossEncoder"}),
            "`CrossEncoder`",
        ),
        (
            "qwen3",
            "sentence_bert_config.json",
            json!({"modality_config": {"message": {}}}),
            "chat template",
        ),
        (
            "qwen3",
            "sentence_bert_config.json",
            json!({"transformer_task": "fill-mask"}),
            "`fill-mask`",
        ),
        (
            "qwen3",
            "sentence_bert_config.json",
            json!({"config_kwargs": {"is_causal": false}}),
            "`config_kwargs`",
        ),
        (
            "qwen3",
            "tokenizer_config.json",
            json!({"truncation_side": "middle"}),
            "`middle`",
        ),
        (
            "qwen3",
            "sentence_bert_config.json",
            json!({"max_seq_length": 1}),
            "leave no room for text",
        ),
        (
            "dense",
            "sentence_bert_config.json",
            json!({"max_seq_length": 4}),
            "the prompt alone",
        ),
        (
            "dense",
            "2_Dense/config.json",
            json!({"in_features": 63}),
            "the previous module outputs 64",
        ),
        (
            "dense",
            "2_Dense/config.json",
            json!({"activation_function": "torch.nn.modules.activation.PReLU"}),
            "activation.PReLU`",
        ),
        (
            "dense",
            "2_Dense/config.json",
            json!({"module_input_name": "token_embeddings"}),
            "`token_embeddings`",
        ),
        (
            "dense",
            "3_Normalize/config.json",
            json!({"module_input_name": "token_embeddings"}),
            "`token_embeddings`",
        ),
        (
            "dense",
            "config_sentence_transformers.json",
            json!({"truncate_dim": 17}),
            "is 17; vectors have 16",
        ),
    ];
    for (folder, file, change, part) in cases {
        let copy = copy(folder);
        set(&copy.path().join(file), &change);
        let found = error(copy.path(), &EmbedOptions::default());
        assert!(found.contains(part), "`{part}` is not in `{found}`");
    }
}

#[test]
fn what_a_folder_does_not_have_is_refused() {
    let options = |prompt_name: Option<&str>, task: Option<&str>, truncate_dim| EmbedOptions {
        prompt_name: prompt_name.map(str::to_owned),
        task: task.map(str::to_owned),
        truncate_dim,
        ..EmbedOptions::default()
    };
    let cases = [
        (
            "roberta",
            options(Some("query"), None, None),
            "no prompt `query`, nor any other",
        ),
        (
            "roberta",
            options(None, Some("separation"), None),
            "has no task adapters",
        ),
        (
            "roberta",
            options(None, None, Some(0)),
            "is 0; vectors have 16",
        ),
        (
            "jina-v3",
            options(None, Some("classification"), None),
            "only for separation, text_matching",
        ),
        (
            "jina-v3-flash",
            options(None, Some("classification"), None),
            "only for retrieval.query, separation, text-matching",
        ),
    ];
    for (folder, options, part) in cases {
        let found = error(&fixture::path(&format!("embedders/{folder}")), &options);
        assert!(found.contains(part), "`{part}` is not in `{found}`");
    }
}

#[test]
fn adapters_that_do_not_fit_or_are_gone() {
    let without = copy("jina-v3");
    for task in ["text_matching", "separation"] {
        fs::remove_dir_all(without.path().join(task)).expect("a folder");
    }
    let bare = open(without.path(), &EmbedOptions::default()).expect("a model without adapters");
    let rows = unit_rows(&tensors("jina-v3").f32("embeddings.none"));
    let found = embed(&bare, &expected("jina-v3").texts);
    assert_close("without adapters", &found, &rows, TOLERANCE);
    let task = EmbedOptions {
        task: Some("separation".to_owned()),
        ..EmbedOptions::default()
    };
    assert!(error(without.path(), &task).contains("or any other task"));

    let truncated = copy("jina-v3");
    let file = truncated
        .path()
        .join("text_matching/adapter_model.safetensors");
    let bytes = fs::read(&file).expect("a file");
    fs::write(&file, &bytes[..bytes.len() - 1]).expect("a file");
    let found = error(truncated.path(), &EmbedOptions::default());
    assert!(found.contains("not a whole safetensors file"), "{found}");

    let fewer = copy("jina-v3");
    set(
        &fewer.path().join("config.json"),
        &json!({"num_hidden_layers": 1}),
    );
    let found = error(fewer.path(), &EmbedOptions::default());
    assert!(found.contains("layers.1"), "{found}");
}
