//! The metrics of texts against rouge-score, Python's gzip and the reference code's definitions.

use serde::Deserialize;

use crate::compression::compression_ratio;
use crate::evaluation::Mode;
use crate::ngrams::{distinct_ngrams, ngram_diversity};
use crate::rouge_l::{homogenisation, pairwise_f1};

/// Another deflate at the same level may make so much more or less of a text: a share of its size,
/// or some bytes of a short one.
const COMPRESSOR: (f64, f64) = (0.03, 5.0);

/// `tests/parity/rouge.py` writes it.
#[derive(Deserialize)]
struct Fixture {
    pairs: Vec<Pair>,
    sets: Vec<Set>,
}

#[derive(Deserialize)]
struct Pair {
    a: String,
    b: String,
    f1: f64,
}

#[derive(Deserialize)]
struct Set {
    texts: Vec<String>,
    rouge_l: f64,
    compression_ratio: f64,
    reference: Reference,
}

#[derive(Deserialize)]
struct Reference {
    homogenisation: f64,
    compression_ratio: f64,
    ngram_diversity: f64,
}

impl Set {
    fn texts(&self) -> Vec<&str> {
        self.texts.iter().map(String::as_str).collect()
    }
}

fn fixture() -> Fixture {
    let json = include_str!("../../../tests/fixtures/rouge/rouge_l.json");
    serde_json::from_str(json).unwrap()
}

fn assert_close(found: Option<f64>, expected: f64, texts: &[String]) {
    let found = found.unwrap();
    assert!(
        (found - expected).abs() < 1e-12,
        "{found} is not {expected}: {texts:?}"
    );
}

fn assert_same_compression(found: Option<f64>, expected: f64, texts: &[String]) {
    let raw = texts.join(" ").len() as f64;
    let [found, expected] = [found.unwrap(), expected].map(|ratio| raw / ratio);
    let (share, bytes) = COMPRESSOR;
    assert!(
        (found - expected).abs() <= bytes.max(share * expected),
        "{found} is not {expected}: {texts:?}"
    );
}

#[test]
fn rouge_l_of_pairs() {
    for Pair { a, b, f1 } in fixture().pairs {
        let found = pairwise_f1(&[&a, &b], Mode::ReferenceCompat)[1];
        assert!(
            (found - f1).abs() < 1e-12,
            "{found} is not {f1}: {a:?} {b:?}"
        );
    }
}

#[test]
fn correct_values_of_sets() {
    for set in fixture().sets {
        let texts = set.texts();
        assert_close(
            homogenisation(&texts, Mode::Correct),
            set.rouge_l,
            &set.texts,
        );
        let ratio = compression_ratio(&texts, Mode::Correct);
        assert_same_compression(ratio, set.compression_ratio, &set.texts);
    }
}

#[test]
fn reference_values_of_sets() {
    for set in fixture().sets {
        let (texts, expected) = (set.texts(), &set.reference);
        let mode = Mode::ReferenceCompat;
        assert_close(
            homogenisation(&texts, mode),
            expected.homogenisation,
            &set.texts,
        );
        let ratio = compression_ratio(&texts, mode);
        assert_same_compression(ratio, expected.compression_ratio, &set.texts);
        let ngrams = ngram_diversity(&distinct_ngrams(&texts, mode));
        assert_close(ngrams, expected.ngram_diversity, &set.texts);
    }
}

#[test]
fn the_two_modes_differ_where_the_reference_code_is_wrong() {
    let set = &fixture().sets[0];
    let texts = set.texts();
    let both = |metric: fn(&[&str], Mode) -> Option<f64>| {
        [Mode::Correct, Mode::ReferenceCompat].map(|mode| metric(&texts, mode).unwrap())
    };
    let [correct, reference] = both(homogenisation);
    assert!(reference < correct);
    let [correct, reference] = both(compression_ratio);
    assert!(reference < correct);
}
