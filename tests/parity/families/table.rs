//! `docs/families.md`: the largest errors that the tests saw, written by them.
//!
//! `RAREBIT_UPDATE_DOCS=1` writes the file. Otherwise the committed one is checked: it must have this
//! run's rows and columns, and no figure above what the tests tolerate. Last digits differ by machine.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::super::embedders;
use super::super::fixture::TOLERANCE;
use super::fixture::{Settings, Variant};
use super::{COLUMNS, Column, gpu};

const UPDATE: &str = "RAREBIT_UPDATE_DOCS";
const PACKAGES: [&str; 4] = ["torch", "transformers", "trl", "peft"];
/// What the GPU's section begins with.
const GPU: &str = "## On a GPU";
/// What the embedders' section begins with.
const EMBEDDERS: &str = "## Embedders";
const EMBEDDED: &str = "\
- *hidden states*: every block's, padded on the right and, where a tokenizer may pad there, on the left.
- *embeddings*: texts as sentence-transformers embeds them, alone and in company: empty ones, long ones, \
any script, with every prompt, task and width that the folder has.

BERT and the real all-MiniLM-L6-v2 are compared in `crates/models/tests/sentence_embedder.rs`.
";

const ON_A_GPU: &str = "\
*LoRA* is logits without training here, and embeddings are those of whole batches.
";

const INTRODUCTION: &str = "\
# Families of models

Written by the tests (`RAREBIT_UPDATE_DOCS=1 cargo test --release -p rarebit-cli --test rarebit -- families`), \
which compare a tiny random model of each kind with the libraries that define it. A figure is the \
largest error seen, relative for values above 1.
";

const CPU: &str = "\
- *load*: every tensor as the file has it; `config.json` as transformers 5 writes it and as the hub \
has it give the same logits to the last bit.
- *logits*: embedding, every block, final norm, logits and log-probabilities of next tokens, padded \
on the right and on the left, read at once and through the cache.
- *gradients*: losses of SFT, DPO, DDPO, ORPO and DORPO, their gradients for every parameter, and \
losses over ten steps of AdamW.
- *LoRA*: logits under an adapter of every linear layer, unmerged and merged, and the same ten steps \
of training it.
- *generate*: tokens that differ in greedy continuations of a batch padded on the left.
- *reward*: labels of the sequence classifier.
";

/// A row's first cells.
fn label(variant: &Variant) -> String {
    let expected = &variant.expected;
    format!("| {} | {} |", expected.family, expected.about)
}

fn heading<'a>(titles: impl ExactSizeIterator<Item = &'a str>) -> String {
    let rule = "---|".repeat(2 + titles.len());
    let titles: String = titles.map(|title| format!(" {title} |")).collect();
    format!("| family | what is special |{titles}\n|{rule}\n")
}

/// The figures of a row, each with the bar behind it.
fn cells(errors: &[f32]) -> String {
    let figures = errors.iter().copied().map(figure);
    figures.map(|figure| format!(" {figure} |")).collect()
}

fn tolerances(columns: &[Column]) -> Vec<f32> {
    columns.iter().map(|column| column.tolerance).collect()
}

fn figure(error: f32) -> String {
    match error {
        0.0 => "0".to_owned(),
        error => format!("{error:.0e}"),
    }
}

fn section(columns: &[Column], errors: impl Fn(&str) -> Vec<f32>) -> String {
    let mut text = heading(columns.iter().map(|column| column.title));
    for variant in Variant::all() {
        let cells = cells(&errors(&variant.name));
        writeln!(text, "{}{cells}", label(&variant)).expect("a string takes all");
    }
    text
}

fn embedders_table(rows: &[embedders::Row]) -> String {
    let mut table = heading(["hidden states", "embeddings"].into_iter());
    for row in rows {
        let (family, about, cells) = (row.family, row.about, cells(&row.errors));
        writeln!(table, "| {family} | {about} |{cells}").expect("a string takes all");
    }
    table
}

fn embedders_section() -> String {
    let table = embedders_table(embedders::on_the_cpu());
    let version = &Settings::read().versions["transformers"];
    let against =
        format!("Against transformers {version} and sentence-transformers; f32, on the CPU.");
    format!("{EMBEDDERS}\n\n{against}\n\n{table}\n{EMBEDDED}\n")
}

fn cpu_section() -> String {
    let errors: Vec<&BTreeMap<String, f32>> = COLUMNS.iter().map(Column::errors).collect();
    let versions = Settings::read().versions;
    let libraries: Vec<String> = PACKAGES
        .iter()
        .map(|name| format!("{name} {}", versions[*name]))
        .collect();
    let table = section(&COLUMNS, |name| {
        errors.iter().map(|column| column[name]).collect()
    });
    let libraries = libraries.join(", ");
    format!("{INTRODUCTION}\n## On the CPU\n\nAgainst {libraries}; f32.\n\n{table}\n{CPU}\n")
}

fn gpu_section() -> Option<String> {
    let seen = gpu::seen()?;
    let decoders = section(&gpu::COLUMNS, |name| seen.errors[name].to_vec());
    let embedders = embedders_table(&seen.embedders);
    let adapter = &seen.adapter;
    Some(format!(
        "{GPU}\n\nThrough wgpu, here {adapter}.\n\n{decoders}\n{ON_A_GPU}\n{embedders}"
    ))
}

/// Fails unless two sections have the same lines but for figures, which stay within tolerance.
fn assert_same_but_for_figures(committed: &str, found: &str, tolerances: &[f32]) {
    let advice = format!("docs/families.md is out of date: run the tests with {UPDATE}=1");
    let rows = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (committed, found) = (rows(committed), rows(found));
    assert_eq!(committed.len(), found.len(), "{advice}");
    for (committed, found) in committed.iter().zip(&found) {
        let cells = |row: &str| {
            let cells: Vec<String> = row.split('|').map(|cell| cell.trim().to_owned()).collect();
            cells
        };
        let (committed, found) = (cells(committed), cells(found));
        assert_eq!(committed.len(), found.len(), "{advice}: {committed:?}");
        for (i, (committed, found)) in committed.iter().zip(&found).enumerate() {
            match (committed.parse::<f32>(), found.parse::<f32>()) {
                (Ok(error), Ok(_)) => {
                    assert!(
                        error <= tolerances[i - 3],
                        "column {i}: {error} is too much"
                    );
                }
                _ => assert_eq!(committed, found, "{advice}"),
            }
        }
    }
}

fn before_and_from<'a>(text: &'a str, heading: &str) -> (&'a str, &'a str) {
    text.split_at(text.find(heading).unwrap_or(text.len()))
}

#[test]
fn the_documented_errors_are_those_of_the_tests() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/families.md");
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let (committed, committed_gpu) = before_and_from(&committed, GPU);
    let (committed_decoders, committed_embedders) = before_and_from(committed, EMBEDDERS);
    let (decoders, embedders, gpu) = (cpu_section(), embedders_section(), gpu_section());
    if std::env::var_os(UPDATE).is_some() {
        // A machine without GPU keeps the figures of one that has it.
        let gpu = gpu.as_deref().unwrap_or(committed_gpu);
        std::fs::write(&path, format!("{decoders}{embedders}{gpu}")).expect("the table is written");
        return;
    }
    assert_same_but_for_figures(committed_decoders, &decoders, &tolerances(&COLUMNS));
    assert_same_but_for_figures(committed_embedders, &embedders, &[TOLERANCE; 2]);
    if let Some(gpu) = gpu {
        // The adapter's name is the committing machine's.
        let without_name = |text: &str| {
            let lines = text.lines().filter(|line| !line.starts_with("Through"));
            lines.collect::<Vec<_>>().join("\n")
        };
        let (committed, found) = (without_name(committed_gpu), without_name(&gpu));
        assert_same_but_for_figures(&committed, &found, &tolerances(&gpu::COLUMNS));
    }
}
