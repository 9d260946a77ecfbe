//! The metrics by name, and their values for one prompt.

use std::collections::BTreeMap;

use rarebit_deviation::DistanceMatrix;

use crate::compression::compression_ratio;
use crate::diversity::diversity;
use crate::duplicates::duplicate_share;
use crate::evaluation::{Better, MetricInfo, Mode, Response};
use crate::length::mean_words;
use crate::ngrams::{distinct_ngrams, ngram_diversity};
use crate::quality::mean_score;
use crate::rouge_l::homogenisation;

/// The metrics in the order in which they are shown.
#[must_use]
pub fn catalogue() -> Vec<MetricInfo> {
    let paper = "arXiv 2503.17126";
    let distinct = "arXiv 1510.03055";
    [
        (
            "quality",
            "Quality",
            Better::Higher,
            "mean of the samples' scores",
        ),
        (
            "semantic_diversity",
            "Semantic diversity",
            Better::Higher,
            paper,
        ),
        ("style_diversity", "Style diversity", Better::Higher, paper),
        (
            "ngram_diversity",
            "N-gram diversity",
            Better::Higher,
            "arXiv 2202.00666",
        ),
        ("distinct_1", "Distinct words", Better::Higher, distinct),
        ("distinct_2", "Distinct 2-grams", Better::Higher, distinct),
        ("distinct_3", "Distinct 3-grams", Better::Higher, distinct),
        ("distinct_4", "Distinct 4-grams", Better::Higher, distinct),
        (
            "compression_ratio",
            "Compression ratio",
            Better::Lower,
            "arXiv 2403.00553",
        ),
        (
            "rouge_l",
            "ROUGE-L homogenisation",
            Better::Lower,
            "arXiv 2309.05196",
        ),
        (
            "duplicates",
            "Exact repeats",
            Better::Lower,
            "share of responses that repeat another",
        ),
        (
            "length",
            "Words per response",
            Better::Neither,
            "words between white space",
        ),
    ]
    .map(|(name, label, better, source)| MetricInfo {
        name: name.to_owned(),
        label: label.to_owned(),
        better,
        source: source.to_owned(),
    })
    .into()
}

/// The metrics that exist for one system's responses to one prompt, by the names of [`catalogue`].
#[must_use]
pub fn measure(
    responses: &[Response],
    semantic: &DistanceMatrix,
    style: &DistanceMatrix,
    mode: Mode,
) -> BTreeMap<String, f64> {
    let texts: Vec<&str> = responses
        .iter()
        .map(|response| response.text.as_str())
        .collect();
    let distinct = distinct_ngrams(&texts, mode);
    let values = [
        ("quality", mean_score(responses)),
        ("semantic_diversity", diversity(semantic)),
        ("style_diversity", diversity(style)),
        ("ngram_diversity", ngram_diversity(&distinct)),
        ("distinct_1", distinct[0]),
        ("distinct_2", distinct[1]),
        ("distinct_3", distinct[2]),
        ("distinct_4", distinct[3]),
        ("compression_ratio", compression_ratio(&texts, mode)),
        ("rouge_l", homogenisation(&texts, mode)),
        ("duplicates", duplicate_share(&texts)),
        ("length", mean_words(&texts)),
    ];
    values
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_in_the_catalogue_and_the_other_way_round() {
        let responses = ["one two three four", "one two three five"].map(|text| Response {
            text: text.to_owned(),
            score: Some(1.0),
        });
        let matrix = DistanceMatrix::from_embeddings(&[vec![1.0], vec![1.0]]).unwrap();
        let measured = measure(&responses, &matrix, &matrix, Mode::Correct);
        let mut names: Vec<String> = catalogue().into_iter().map(|info| info.name).collect();
        names.sort();
        assert_eq!(measured.into_keys().collect::<Vec<_>>(), names);
    }
}
