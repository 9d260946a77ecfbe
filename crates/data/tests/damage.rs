//! Parquet with a flipped bit or a lost end: an error or rows, but never a panic.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::Path;

use rarebit_data::{SourceOptions, read_group_scores, read_samples};

/// Reads a file to its end, or to its error.
fn read(path: &Path) {
    if let Ok(groups) = read_samples(path, &SourceOptions::default()) {
        groups.take_while(Result::is_ok).for_each(drop);
    }
    if let Ok(scores) = read_group_scores(path) {
        scores.take_while(Result::is_ok).for_each(drop);
    }
}

#[test]
fn a_damaged_file_is_an_error() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/cases");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    for name in ["duck_flat.parquet", "duck_weight.parquet"] {
        let whole = fs::read(cases.join(name)).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            for damaged in [&flipped[..], &whole[..at]] {
                fs::write(&path, damaged).unwrap();
                read(&path);
            }
        }
    }
}
