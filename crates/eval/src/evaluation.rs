//! The types of `evaluation.json`: what was measured, for which systems, with which settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The format version that this crate writes.
pub const VERSION: u32 = 1;

/// The results of [`evaluate`](crate::evaluate), as stored in `evaluation.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The format version, [`VERSION`].
    pub version: u32,
    /// The seed of the bootstrap.
    pub seed: u64,
    /// Bootstrap resamples.
    pub resamples: usize,
    /// Whether metrics are correct or the reference code's.
    #[serde(default)]
    pub mode: Mode,
    /// The score from which responses are good, and the distance up to which they are alike.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// The identity of the embedder of each kind, by the kind's name.
    pub embedders: BTreeMap<String, String>,
    /// The metrics that any system has, in the order in which they are shown.
    pub metrics: Vec<MetricInfo>,
    /// The systems, in the order in which they were given.
    pub systems: Vec<System>,
    /// Paired differences of every other system to the baseline.
    #[serde(default)]
    pub differences: Vec<Difference>,
    /// The Pareto frontier of each model over its settings, where systems are named `MODEL@SETTING`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frontiers: Vec<Frontier>,
    /// Diversity at equal quality of each model against the baseline's model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub equal_quality: Vec<EqualQuality>,
    /// The prompts, in the order of the first system that has them.
    pub prompts: Vec<Prompt>,
}

/// Which form of a metric is computed where the reference code is wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The correct value.
    #[default]
    Correct,
    /// The reference code's value, for comparison with published numbers. Affects the compression
    /// ratio, the ROUGE-L homogenisation and the n-gram diversity.
    ReferenceCompat,
}

/// The thresholds of the metrics that have one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Responses at most this semantic distance apart count as one response.
    pub distinct: f64,
    /// Responses with at least this score are good; `None` when no response has one.
    #[serde(default)]
    pub quality: Option<f64>,
}

impl Default for Thresholds {
    /// At 0.3, all-MiniLM-L6-v2 finds as many distinct responses as NoveltyBench's classifier on its
    /// curated prompts (arXiv 2504.05228): 1.8 among ten of one model. Other embedders need other
    /// thresholds.
    fn default() -> Self {
        Self {
            distinct: 0.3,
            quality: None,
        }
    }
}

/// The name of a metric and how to read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricInfo {
    /// The key of the metric in every map.
    pub name: String,
    /// Its name in reports.
    pub label: String,
    /// Which direction is better.
    pub better: Better,
    /// Where the definition comes from.
    pub source: String,
}

/// Which direction of a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Higher is better.
    Higher,
    /// Lower is better.
    Lower,
    /// Neither: a property of the texts that helps to explain other metrics.
    Neither,
}

/// One system over all its prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct System {
    /// The name it was given.
    pub name: String,
    /// The file its samples came from.
    pub file: String,
    /// Number of prompts.
    pub prompts: usize,
    /// Number of responses.
    pub responses: usize,
    /// Prompts with a single response, which have no diversity.
    #[serde(default)]
    pub alone: usize,
    /// Responses that are blank.
    #[serde(default)]
    pub empty: usize,
    /// Responses that are not an answer and take no part in any metric, by reason: `empty`, `error`,
    /// `content_filter`, `refusal`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unanswered: BTreeMap<String, usize>,
    /// Ids of the prompts that some other system has and this one lacks. They are excluded from the
    /// paired differences.
    #[serde(default)]
    pub missing: Vec<String>,
    /// The mean over prompts of each metric that any prompt has.
    pub metrics: BTreeMap<String, Interval>,
    /// The distribution of distances between a prompt's responses, by kind of embedder.
    #[serde(default)]
    pub histograms: BTreeMap<String, Histogram>,
}

impl System {
    /// How many responses were left out and why, in words; `None` if none was.
    pub fn left_out(&self) -> Option<String> {
        let count: usize = self.unanswered.values().sum();
        let reasons = self.unanswered.iter();
        let reasons: Vec<String> = reasons
            .map(|(reason, count)| format!("{count} {}", reason.replace('_', " ")))
            .collect();
        (count > 0).then(|| {
            format!(
                "{count} of {} responses left out, which are not answers: {}",
                count + self.responses,
                reasons.join(", ")
            )
        })
    }
}

/// The shares of a prompt's pairs of responses by their distance, averaged over prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Width of a bin; the first begins at distance 0.
    pub width: f64,
    /// The mean share of pairs in each bin, up to the last that has any.
    pub bins: Vec<Interval>,
}

/// A mean over prompts and its bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean over the prompts.
    pub mean: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Number of prompts that have a value.
    #[serde(default)]
    pub prompts: usize,
}

/// A system's metric minus the baseline's, prompt by prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The system.
    pub system: String,
    /// The system it is compared with.
    pub baseline: String,
    /// The metric's name.
    pub metric: String,
    /// Mean over the prompts that both have.
    pub mean: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// Two-sided bootstrap p of no difference.
    pub p: f64,
    /// Number of prompts that both have.
    #[serde(default)]
    pub prompts: usize,
}

/// A model's settings by quality and one diversity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frontier {
    /// The model: the part of its systems' names before the last `@`.
    pub family: String,
    /// The diversity.
    pub metric: String,
    /// A point per setting, in the order of the systems.
    pub points: Vec<FrontierPoint>,
}

/// A setting of a model: means over the prompts that all settings of all models have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrontierPoint {
    /// The system.
    pub system: String,
    /// Its quality.
    pub quality: f64,
    /// Its diversity.
    pub diversity: f64,
    /// Whether no other setting of the model is as good and as diverse.
    pub is_best: bool,
}

/// How diverse two models are where their quality is the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EqualQuality {
    /// The model.
    pub family: String,
    /// The model it is compared with.
    pub baseline: String,
    /// The diversity.
    pub metric: String,
    /// The level within the quality range that both reach, 0 at its lower end; `None` for the mean
    /// over all levels.
    #[serde(default)]
    pub level: Option<usize>,
    /// The quality there.
    pub quality: Interval,
    /// The model's diversity at that quality.
    pub diversity: Interval,
    /// The baseline's.
    pub baseline_diversity: Interval,
    /// The first minus the second.
    pub difference: Interval,
    /// Two-sided bootstrap p of no difference.
    pub p: f64,
}

/// One prompt and the results of each system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    /// The id that matches it between systems.
    pub prompt_id: String,
    /// The text.
    pub prompt: String,
    /// The systems that responded to it, by name.
    pub systems: BTreeMap<String, PromptSystem>,
}

/// One system's responses to one prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromptSystem {
    /// The metrics that are defined for these responses.
    pub metrics: BTreeMap<String, f64>,
    /// The responses, in order of sampling.
    pub responses: Vec<Response>,
    /// Distances between the responses, kept for the first prompts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distances: Option<Distances>,
}

/// One response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// The text.
    pub text: String,
    /// Its quality, from readers or a reward model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// Pairwise distances between the responses to one prompt, as rows of a square matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distances {
    /// By the semantic embedder.
    pub semantic: Vec<Vec<f32>>,
    /// By the style embedder.
    pub style: Vec<Vec<f32>>,
}
