//! The metrics: each a function of one prompt's responses in a file of its own.

pub mod compression;
pub mod distinct_k;
pub mod diversity;
pub mod duplicates;
pub mod effective;
#[cfg(test)]
mod golden;
pub mod histogram;
pub mod length;
pub mod ngrams;
pub mod quality;
pub mod rouge_l;
pub mod self_bleu;
pub mod vendi;

use std::collections::BTreeMap;

use rarebit_deviation::DistanceMatrix;

use crate::evaluation::{Better, MetricInfo, Mode, Response, Thresholds};
use compression::compression_ratio;
use distinct_k::{classes, distinct_k, utility};
use diversity::{diversity, nearest_distance};
use duplicates::duplicate_share;
use effective::{effective_diversity, good_share};
use length::mean_words;
use ngrams::{distinct_ngrams, ngram_diversity};
use quality::mean_score;
use rouge_l::homogenisation;
use self_bleu::self_bleu;
use vendi::vendi_score;

/// The metrics in the order in which they are shown.
#[must_use]
pub fn catalogue(thresholds: &Thresholds) -> Vec<MetricInfo> {
    let info = |name: &str, label: &str, better, source: &str| MetricInfo {
        name: name.to_owned(),
        label: label.to_owned(),
        better,
        source: source.to_owned(),
    };
    let paper = "arXiv 2503.17126";
    let distinct = "arXiv 1510.03055";
    let vendi = "arXiv 2210.02410";
    let good = thresholds.quality.map_or_else(
        || "no response has a score".to_owned(),
        |quality| format!("of score {} or more", plain(quality)),
    );
    let near = format!("within a distance of {}", plain(thresholds.distinct));
    use Better::{Higher, Lower, Neither};
    vec![
        info("quality", "Quality", Higher, "mean of the samples' scores"),
        info(
            "good_share",
            "Good responses",
            Higher,
            &format!("share {good}"),
        ),
        info("semantic_diversity", "Semantic diversity", Higher, paper),
        info("style_diversity", "Style diversity", Higher, paper),
        info(
            "effective_semantic_diversity",
            "Effective semantic diversity",
            Higher,
            &format!("arXiv 2504.12522, among responses {good}"),
        ),
        info("semantic_vendi", "Vendi score, semantic", Higher, vendi),
        info("style_vendi", "Vendi score, style", Higher, vendi),
        info(
            "distinct_k",
            "Distinct responses",
            Higher,
            &format!("distinct_k of arXiv 2504.05228; alike {near}"),
        ),
        info(
            "utility",
            "Utility",
            Higher,
            &format!("utility of arXiv 2504.05228, patience 0.8; alike {near}"),
        ),
        info(
            "semantic_nearest",
            "Distance to the nearest",
            Higher,
            "Chamfer distance of arXiv 2101.06030, semantic",
        ),
        info(
            "ngram_diversity",
            "N-gram diversity",
            Higher,
            "arXiv 2202.00666",
        ),
        info("distinct_1", "Distinct words", Higher, distinct),
        info("distinct_2", "Distinct 2-grams", Higher, distinct),
        info("distinct_3", "Distinct 3-grams", Higher, distinct),
        info("distinct_4", "Distinct 4-grams", Higher, distinct),
        info(
            "self_bleu",
            "Self-BLEU",
            Lower,
            "arXiv 1802.01886; sacrebleu's sentence BLEU",
        ),
        info(
            "compression_ratio",
            "Compression ratio",
            Lower,
            "arXiv 2403.00553",
        ),
        info(
            "rouge_l",
            "ROUGE-L homogenisation",
            Lower,
            "arXiv 2309.05196",
        ),
        info(
            "duplicates",
            "Exact repeats",
            Lower,
            "share of responses that repeat another",
        ),
        info(
            "length",
            "Words per response",
            Neither,
            "words between white space",
        ),
    ]
}

/// A threshold to three decimals, without trailing zeros.
fn plain(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The metrics that are defined for one system's responses to one prompt, by the names of
/// [`catalogue`].
#[must_use]
pub fn measure(
    responses: &[Response],
    semantic: &DistanceMatrix,
    style: &DistanceMatrix,
    mode: Mode,
    thresholds: &Thresholds,
) -> BTreeMap<String, f64> {
    let texts: Vec<&str> = responses
        .iter()
        .map(|response| response.text.as_str())
        .collect();
    let scores: Vec<Option<f64>> = responses.iter().map(|response| response.score).collect();
    let distinct = distinct_ngrams(&texts, mode);
    let classes = classes(semantic, thresholds.distinct);
    let (good, effective) = thresholds.quality.map_or((None, None), |quality| {
        (
            good_share(&scores, quality),
            effective_diversity(semantic, &scores, quality),
        )
    });
    let values = [
        ("quality", mean_score(responses)),
        ("good_share", good),
        ("semantic_diversity", diversity(semantic)),
        ("style_diversity", diversity(style)),
        ("effective_semantic_diversity", effective),
        ("semantic_vendi", vendi_score(semantic)),
        ("style_vendi", vendi_score(style)),
        ("distinct_k", distinct_k(&classes)),
        ("utility", utility(&classes, &scores)),
        ("semantic_nearest", nearest_distance(semantic)),
        ("ngram_diversity", ngram_diversity(&distinct)),
        ("distinct_1", distinct[0]),
        ("distinct_2", distinct[1]),
        ("distinct_3", distinct[2]),
        ("distinct_4", distinct[3]),
        ("self_bleu", self_bleu(&texts)),
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

    const THRESHOLDS: Thresholds = Thresholds {
        distinct: 0.3,
        quality: Some(0.5),
    };

    #[test]
    fn every_metric_is_in_the_catalogue_and_the_other_way_round() {
        let responses = ["one two three four", "one two three five"].map(|text| Response {
            text: text.to_owned(),
            score: Some(1.0),
        });
        let matrix = DistanceMatrix::from_embeddings(&[vec![1.0], vec![1.0]]).unwrap();
        let measured = measure(&responses, &matrix, &matrix, Mode::Correct, &THRESHOLDS);
        let mut names: Vec<String> = catalogue(&THRESHOLDS)
            .into_iter()
            .map(|info| info.name)
            .collect();
        names.sort();
        assert_eq!(measured.into_keys().collect::<Vec<_>>(), names);
    }

    #[test]
    fn sources_say_which_thresholds_were_taken() {
        let source = |name: &str| {
            let infos = catalogue(&THRESHOLDS);
            infos
                .into_iter()
                .find(|info| info.name == name)
                .unwrap()
                .source
        };
        assert!(source("distinct_k").ends_with("alike within a distance of 0.3"));
        assert!(source("good_share").ends_with("of score 0.5 or more"));
    }
}
