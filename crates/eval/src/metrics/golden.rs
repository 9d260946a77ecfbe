//! The metrics against the packages that define them: rouge-score, Python's gzip, sacrebleu, NLTK,
//! vendi-score and scikit-learn, and against the reference code's definitions.

use rarebit_deviation::DistanceMatrix;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::compression::compression_ratio;
use super::distinct_k::{classes, distinct_k, utility};
use super::diversity::nearest_distance;
use super::effective::effective_diversity;
use super::histogram::distance_histogram;
use super::ngrams::{distinct_ngrams, ngram_diversity};
use super::rouge_l::{homogenisation, pairwise_f1};
use super::self_bleu::self_bleu;
use super::vendi::vendi_score;
use crate::evaluation::Mode;

/// Tolerated difference to another deflate implementation at the same level: a share of the size, or
/// some bytes of a short text.
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
    read(include_str!(
        "../../../../tests/fixtures/rouge/rouge_l.json"
    ))
}

/// `tests/parity/measures.py` writes it.
#[derive(Deserialize)]
struct Measures {
    texts: Vec<Texts>,
    rows: Vec<Rows>,
}

#[derive(Deserialize)]
struct Texts {
    texts: Vec<String>,
    self_bleu: f64,
    distinct: [Option<f64>; 4],
}

/// Embeddings with scores.
#[derive(Deserialize)]
struct Rows {
    rows: Vec<Vec<f32>>,
    scores: Vec<Option<f64>>,
    threshold: f64,
    quality: f64,
    vendi: f64,
    nearest: f64,
    classes: Vec<usize>,
    utility: f64,
    effective: f64,
    histogram: Vec<f64>,
}

fn measures() -> Measures {
    read(include_str!(
        "../../../../tests/fixtures/measures/measures.json"
    ))
}

fn read<T: DeserializeOwned>(json: &str) -> T {
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

#[test]
fn self_bleu_is_sacrebleus() {
    for set in measures().texts {
        let texts: Vec<&str> = set.texts.iter().map(String::as_str).collect();
        assert_close(self_bleu(&texts), set.self_bleu, &set.texts);
    }
}

#[test]
fn distinct_ngrams_are_nltks() {
    for set in measures().texts {
        let texts: Vec<&str> = set.texts.iter().map(String::as_str).collect();
        assert_eq!(distinct_ngrams(&texts, Mode::Correct), set.distinct);
    }
}

/// Distances are f32, accurate to 1e-6, and the entropy adds a little.
#[test]
fn values_of_embeddings() {
    let close = |found: Option<f64>, expected: f64, tolerance: f64| {
        let found = found.unwrap();
        assert!(
            (found - expected).abs() < tolerance,
            "{found} is not {expected}"
        );
    };
    for set in measures().rows {
        let matrix = DistanceMatrix::from_embeddings(&set.rows).unwrap();
        close(vendi_score(&matrix), set.vendi, 1e-5);
        close(nearest_distance(&matrix), set.nearest, 1e-6);
        let effective = effective_diversity(&matrix, &set.scores, set.quality);
        close(effective, set.effective, 1e-6);
        let found = classes(&matrix, set.threshold);
        assert_eq!(found, set.classes);
        let distinct = set.classes.iter().max().unwrap() + 1;
        assert_eq!(distinct_k(&found), Some(distinct as f64));
        close(utility(&found, &set.scores), set.utility, 1e-12);
        let histogram = distance_histogram(&matrix).unwrap();
        for (found, expected) in histogram.iter().zip(&set.histogram) {
            assert!((found - expected).abs() < 1e-12, "{histogram:?}");
        }
    }
}
