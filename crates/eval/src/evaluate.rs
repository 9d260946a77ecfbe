//! From samples to an [`Evaluation`].

use std::collections::{BTreeMap, HashMap, HashSet};

use rarebit_deviation::{DistanceMatrix, Embedder};
use rayon::prelude::*;

use crate::bootstrap::Bootstrap;
use crate::compare::{Measured, differences, side_by_side, summarise};
use crate::error::EvalError;
use crate::evaluation::{Distances, Evaluation, Mode, PromptSystem, Thresholds, VERSION};
use crate::frontier::equal_quality;
use crate::metrics::histogram::distance_histogram;
use crate::metrics::{catalogue, measure};
use crate::samples::{PromptSamples, SystemSamples};

/// Roughly how many responses are embedded at once: enough to fill an accelerator's batches, few
/// enough to fit into memory and to show progress.
const RESPONSES_AT_ONCE: usize = 256;

/// The kinds of embedders, as `evaluation.json` names them.
const SEMANTIC: &str = "semantic";
const STYLE: &str = "style";

/// The settings of an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct EvalOptions {
    /// Seed of the bootstrap.
    pub seed: u64,
    /// Bootstrap resamples. Default: 10,000.
    pub resamples: usize,
    /// Confidence of the intervals. Default: 0.95.
    pub confidence: f64,
    /// Whether metrics are correct or the reference code's.
    pub mode: Mode,
    /// The system that the others are compared with. Default: the first.
    pub baseline: Option<String>,
    /// The score from which responses are good, and the distance up to which they are alike. Without
    /// a score, the median score of the baseline's responses is used.
    pub thresholds: Thresholds,
    /// The number of prompts of each system whose pairwise distances are kept. Default: 50.
    pub distances_for: usize,
}

impl Default for EvalOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            resamples: 10_000,
            confidence: 0.95,
            mode: Mode::Correct,
            baseline: None,
            thresholds: Thresholds::default(),
            distances_for: 50,
        }
    }
}

/// The progress of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The current system.
    pub system: &'a str,
    /// The current stage.
    pub stage: Stage,
    /// The number of the system's prompts that are done.
    pub done: usize,
    /// The number of the system's prompts.
    pub total: usize,
}

/// A stage of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Embedding and measuring responses, prompt by prompt.
    Measuring,
    /// Resampling prompts for intervals and differences, all at once.
    Resampling,
}

/// Measures every system, its intervals, and its differences to the baseline.
///
/// Prompts are matched between systems by `prompt_id`. A system's means are over all of its
/// prompts; differences are over the prompts that both systems have, and the prompts that a system
/// lacks are listed in [`System::missing`](crate::evaluation::System::missing). Where a metric is
/// undefined (diversity of a single response, quality without scores), the prompt is left out of
/// that metric's mean.
///
/// # Errors
/// On duplicate systems or prompts, one id for two prompts, non-finite scores, settings out of range,
/// and a failing embedder.
pub fn evaluate(
    systems: &[SystemSamples],
    semantic: &dyn Embedder,
    style: &dyn Embedder,
    options: &EvalOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Evaluation, EvalError> {
    check_options(options)?;
    check_samples(systems)?;
    let baseline = named(systems, options.baseline.as_deref())?;
    let thresholds = Thresholds {
        quality: options
            .thresholds
            .quality
            .or_else(|| median_score(&systems[baseline])),
        ..options.thresholds
    };
    let mut metrics = catalogue(&thresholds);
    let bootstrap = Bootstrap {
        resamples: options.resamples,
        confidence: options.confidence,
        seed: options.seed,
    };
    let mut measured = Vec::with_capacity(systems.len());
    for samples in systems {
        let measuring = Measuring {
            semantic,
            style,
            options,
            thresholds: &thresholds,
        };
        measured.push(measuring.system(samples, progress)?);
    }
    let mut summaries = Vec::with_capacity(systems.len());
    let mut all_differences = Vec::new();
    for (i, system) in measured.iter().enumerate() {
        let total = system.prompts.len();
        let mut tell = |done| {
            progress(Progress {
                system: &system.samples.name,
                stage: Stage::Resampling,
                done,
                total,
            });
        };
        tell(0);
        summaries.push(summarise(system, &measured, &metrics, &bootstrap));
        if i != baseline {
            all_differences.extend(differences(
                system,
                &measured[baseline],
                &metrics,
                &bootstrap,
            ));
        }
        tell(total);
    }
    let is_measured = |name: &str| {
        let mut systems = summaries.iter();
        systems.any(|system| system.metrics.contains_key(name))
    };
    metrics.retain(|metric| is_measured(&metric.name));
    let prompts = side_by_side(measured);
    let names: Vec<&str> = systems.iter().map(|system| &*system.name).collect();
    let (frontiers, equal_quality) = equal_quality(&names, &prompts, names[baseline], &bootstrap);
    Ok(Evaluation {
        version: VERSION,
        seed: options.seed,
        resamples: options.resamples,
        mode: options.mode,
        thresholds,
        embedders: [(SEMANTIC, semantic), (STYLE, style)]
            .map(|(kind, embedder)| (kind.to_owned(), embedder.id().to_owned()))
            .into(),
        metrics,
        systems: summaries,
        differences: all_differences,
        frontiers,
        equal_quality,
        prompts,
    })
}

fn check_options(options: &EvalOptions) -> Result<(), EvalError> {
    if options.resamples == 0 {
        return Err(EvalError::NoResamples);
    }
    if !(options.confidence > 0.0 && options.confidence < 1.0) {
        return Err(EvalError::Confidence(options.confidence));
    }
    let distinct = options.thresholds.distinct;
    if !(0.0..=2.0).contains(&distinct) {
        return Err(EvalError::DistinctThreshold(distinct));
    }
    if let Some(quality) = options.thresholds.quality.filter(|it| !it.is_finite()) {
        return Err(EvalError::QualityThreshold(quality));
    }
    Ok(())
}

pub(crate) fn check_samples(systems: &[SystemSamples]) -> Result<(), EvalError> {
    let mut names = HashSet::new();
    let mut texts: HashMap<&str, &str> = HashMap::new();
    for system in systems {
        if !names.insert(&system.name) {
            return Err(EvalError::RepeatedSystem(system.name.clone()));
        }
        let mut ids = HashSet::new();
        for prompt in &system.prompts {
            let place = || (system.name.clone(), prompt.prompt_id.clone());
            if !ids.insert(&prompt.prompt_id) {
                let (system, prompt_id) = place();
                return Err(EvalError::RepeatedPrompt { system, prompt_id });
            }
            let text = prompt.prompt.trim();
            if *texts.entry(&prompt.prompt_id).or_insert(text) != text {
                let (system, prompt_id) = place();
                return Err(EvalError::PromptText { system, prompt_id });
            }
            for (response, value) in prompt.responses.iter().map(|r| r.score).enumerate() {
                if let Some(value) = value.filter(|value| !value.is_finite()) {
                    let (system, prompt_id) = place();
                    return Err(EvalError::Score {
                        system,
                        prompt_id,
                        response,
                        value,
                    });
                }
            }
        }
    }
    Ok(())
}

/// The index of the system with this name; the first without a name.
pub(crate) fn named(systems: &[SystemSamples], name: Option<&str>) -> Result<usize, EvalError> {
    if systems.is_empty() {
        return Err(EvalError::NoSystems);
    }
    let Some(name) = name else {
        return Ok(0);
    };
    let place = systems.iter().position(|system| system.name == name);
    place.ok_or_else(|| EvalError::UnknownBaseline {
        name: name.to_owned(),
        known: systems
            .iter()
            .map(|system| system.name.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    })
}

/// The median of all scores; the greater of two middle ones, so that it is an actual score.
fn median_score(system: &SystemSamples) -> Option<f64> {
    let responses = system.prompts.iter().flat_map(|prompt| &prompt.responses);
    let mut scores: Vec<f64> = responses.filter_map(|response| response.score).collect();
    scores.sort_by(f64::total_cmp);
    scores.get(scores.len() / 2).copied()
}

/// What all systems are measured with: embedders and settings.
struct Measuring<'a> {
    semantic: &'a dyn Embedder,
    style: &'a dyn Embedder,
    options: &'a EvalOptions,
    thresholds: &'a Thresholds,
}

impl Measuring<'_> {
    fn system<'a>(
        &self,
        system: &'a SystemSamples,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Measured<'a>, EvalError> {
        let total = system.prompts.len();
        let (mode, thresholds) = (self.options.mode, self.thresholds);
        let mut measured = Measured {
            samples: system,
            prompts: Vec::with_capacity(total),
            histograms: BTreeMap::new(),
        };
        let mut tell = |done| {
            progress(Progress {
                system: &system.name,
                stage: Stage::Measuring,
                done,
                total,
            });
        };
        let mut rest = system.prompts.as_slice();
        while !rest.is_empty() {
            tell(measured.prompts.len());
            let (batch, later) = rest.split_at(batch_size(rest));
            rest = later;
            let by_semantic = distances(&system.name, batch, self.semantic)?;
            let by_style = distances(&system.name, batch, self.style)?;
            for (kind, matrices) in [(SEMANTIC, &by_semantic), (STYLE, &by_style)] {
                let rows = measured.histograms.entry(kind.to_owned()).or_default();
                rows.extend(matrices.iter().filter_map(distance_histogram));
            }
            let values: Vec<_> = (batch, &by_semantic, &by_style)
                .into_par_iter()
                .map(|(prompt, semantic, style)| {
                    measure(&prompt.responses, semantic, style, mode, thresholds)
                })
                .collect();
            let matrices = by_semantic.iter().zip(&by_style);
            for ((prompt, metrics), (semantic, style)) in batch.iter().zip(values).zip(matrices) {
                let keep = measured.prompts.len() < self.options.distances_for;
                measured.prompts.push(PromptSystem {
                    metrics,
                    responses: prompt.responses.clone(),
                    distances: keep.then(|| Distances {
                        semantic: rows(semantic),
                        style: rows(style),
                    }),
                });
            }
        }
        tell(total);
        Ok(measured)
    }
}

/// How many prompts, at least one, hold about [`RESPONSES_AT_ONCE`] responses.
fn batch_size(prompts: &[PromptSamples]) -> usize {
    let mut responses = 0;
    let full = prompts.iter().position(|prompt| {
        responses += prompt.responses.len();
        responses >= RESPONSES_AT_ONCE
    });
    full.map_or(prompts.len(), |last| last + 1)
}

/// The distances between the responses to each prompt.
fn distances(
    system: &str,
    prompts: &[PromptSamples],
    embedder: &dyn Embedder,
) -> Result<Vec<DistanceMatrix>, EvalError> {
    let texts: Vec<&str> = prompts
        .iter()
        .flat_map(|prompt| &prompt.responses)
        .map(|response| response.text.as_str())
        .collect();
    let embeddings = embedder.embed(&texts).map_err(|source| EvalError::Embed {
        embedder: embedder.id().to_owned(),
        system: system.to_owned(),
        source,
    })?;
    if embeddings.len() != texts.len() {
        return Err(EvalError::Rows {
            embedder: embedder.id().to_owned(),
            expected: texts.len(),
            found: embeddings.len(),
        });
    }
    let mut rest = embeddings.as_slice();
    prompts
        .iter()
        .map(|prompt| {
            let (own, later) = rest.split_at(prompt.responses.len());
            rest = later;
            DistanceMatrix::from_embeddings(own).map_err(|source| EvalError::Distances {
                embedder: embedder.id().to_owned(),
                system: system.to_owned(),
                prompt_id: prompt.prompt_id.clone(),
                source,
            })
        })
        .collect()
}

fn rows(matrix: &DistanceMatrix) -> Vec<Vec<f32>> {
    matrix.rows().map(<[f32]>::to_vec).collect()
}
