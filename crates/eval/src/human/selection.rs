//! The selection of prompts and responses that people are shown.

use std::collections::{HashMap, HashSet};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::study::{Item, Key, KeyItem, KeySet, Study, Text, VERSION};
use crate::error::EvalError;
use crate::evaluate::{check_samples, named};
use crate::samples::{PromptSamples, SystemSamples};

/// The settings of a selection.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectionOptions {
    /// Prompts, the same for every comparison. Default: 20.
    pub prompts: usize,
    /// Responses on each side. Default: 4, as in the paper.
    pub responses: usize,
    /// The system that every other is compared with. Default: the first.
    pub baseline: Option<String>,
    /// The seed of the selection, the sides and the order.
    pub seed: u64,
}

impl Default for SelectionOptions {
    fn default() -> Self {
        Self {
            prompts: 20,
            responses: 4,
            baseline: None,
            seed: 0,
        }
    }
}

/// Prompts to which all systems have enough responses, and the responses drawn from each.
#[derive(Debug, Clone)]
pub struct Selection<'a> {
    systems: &'a [SystemSamples],
    baseline: usize,
    seed: u64,
    prompts: Vec<Drawn<'a>>,
    /// The number of prompts to draw from.
    pub available: usize,
}

/// One prompt and, by system, the responses drawn from its own.
#[derive(Debug, Clone)]
struct Drawn<'a> {
    prompt: &'a PromptSamples,
    responses: Vec<Vec<(usize, &'a str)>>,
}

/// A prompt that asks a model for a summary of one response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SummaryPrompt {
    /// [`summary_id`] of the response.
    pub prompt_id: String,
    /// What to ask.
    pub prompt: String,
}

/// The id under which the summary of a response is looked up.
#[must_use]
pub fn summary_id(response: &str) -> String {
    hash(response.as_bytes())
}

impl<'a> Selection<'a> {
    /// Draws prompts and responses; fewer prompts than asked for if there are no more.
    ///
    /// Responses are drawn at random rather than taken from the front, where a file may have its best
    /// ones; blank ones are skipped.
    ///
    /// # Errors
    /// On duplicate systems or prompts, one id for two prompts, an unknown baseline, fewer than two
    /// systems, and when no prompt has enough responses of every system.
    pub fn draw(
        systems: &'a [SystemSamples],
        options: &SelectionOptions,
    ) -> Result<Self, EvalError> {
        check_samples(systems)?;
        let baseline = named(systems, options.baseline.as_deref())?;
        if systems.len() < 2 {
            return Err(EvalError::OneSystem);
        }
        if options.prompts == 0 || options.responses == 0 {
            return Err(EvalError::NothingToJudge);
        }
        let by_id: Vec<HashMap<&str, &PromptSamples>> = systems
            .iter()
            .map(|system| {
                let prompts = system.prompts.iter();
                prompts.map(|it| (it.prompt_id.as_str(), it)).collect()
            })
            .collect();
        let mut shared: Vec<_> = systems[baseline]
            .prompts
            .iter()
            .filter_map(|prompt| {
                let of_system = |by_id: &HashMap<&str, &'a PromptSamples>| {
                    let told = non_blank(by_id.get(prompt.prompt_id.as_str())?);
                    (told.len() >= options.responses).then_some(told)
                };
                Some((
                    prompt,
                    by_id.iter().map(of_system).collect::<Option<Vec<_>>>()?,
                ))
            })
            .collect();
        if shared.is_empty() {
            return Err(EvalError::NoSharedPrompt {
                responses: options.responses,
            });
        }
        let available = shared.len();
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        shuffle(&mut shared, &mut rng);
        shared.truncate(options.prompts);
        let prompts = shared
            .into_iter()
            .map(|(prompt, mut responses)| {
                for told in &mut responses {
                    shuffle(told, &mut rng);
                    told.truncate(options.responses);
                }
                Drawn { prompt, responses }
            })
            .collect();
        Ok(Self {
            systems,
            baseline,
            seed: options.seed,
            prompts,
            available,
        })
    }

    /// How many prompts were drawn.
    #[must_use]
    pub fn prompts(&self) -> usize {
        self.prompts.len()
    }

    /// Prompts for a model, one for each drawn text, so that people read `words` words instead of a
    /// whole response. They name no system.
    #[must_use]
    pub fn summary_prompts(&self, words: usize) -> Vec<SummaryPrompt> {
        let mut seen = HashSet::new();
        self.texts()
            .filter(|text| seen.insert(*text))
            .map(|text| SummaryPrompt {
                prompt_id: summary_id(text),
                prompt: format!(
                    "Summarise the following text in about {words} words. Say what happens and how it is told; \
                     add nothing and do not judge it. Answer with the summary alone.\n\n{text}"
                ),
            })
            .collect()
    }

    /// Pairs every system's responses with the baseline's. `summaries` are by [`summary_id`].
    ///
    /// In each comparison the baseline comes first for half of the prompts. The items of all
    /// comparisons are shuffled.
    ///
    /// # Errors
    /// When summaries are given, but not for every response.
    pub fn study(&self, summaries: Option<&HashMap<String, String>>) -> Result<Study, EvalError> {
        self.check_summaries(summaries)?;
        let text = |response: &str| Text {
            text: response.to_owned(),
            summary: summaries.and_then(|it| it.get(&summary_id(response)).cloned()),
        };
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed.wrapping_add(1));
        let mut placed: Vec<(&Drawn<'_>, [usize; 2])> = Vec::new();
        let others = (0..self.systems.len()).filter(|&system| system != self.baseline);
        for system in others {
            let mut order: Vec<&Drawn<'_>> = self.prompts.iter().collect();
            shuffle(&mut order, &mut rng);
            // With an odd number of prompts, the last goes to either side.
            let start = rng.random_range(0..2_u32) as usize;
            placed.extend(order.into_iter().enumerate().map(|(i, drawn)| {
                match (i + start).is_multiple_of(2) {
                    true => (drawn, [self.baseline, system]),
                    false => (drawn, [system, self.baseline]),
                }
            }));
        }
        shuffle(&mut placed, &mut rng);
        let (mut items, mut keys) = (Vec::new(), Vec::new());
        for (index, (drawn, systems)) in placed.into_iter().enumerate() {
            let id = (index + 1).to_string();
            items.push(Item {
                id: id.clone(),
                prompt: drawn.prompt.prompt.clone(),
                sets: systems.map(|system| {
                    let responses = drawn.responses[system].iter();
                    responses.map(|(_, response)| text(response)).collect()
                }),
            });
            keys.push(KeyItem {
                id,
                prompt_id: drawn.prompt.prompt_id.clone(),
                sets: systems.map(|system| KeySet {
                    system: self.systems[system].name.clone(),
                    responses: drawn.responses[system].iter().map(|(at, _)| *at).collect(),
                }),
            });
        }
        let study = hash(&serde_json::to_vec(&items).unwrap_or_default());
        Ok(Study {
            key: Key {
                version: VERSION,
                study: study.clone(),
                seed: self.seed,
                baseline: self.systems[self.baseline].name.clone(),
                items: keys,
            },
            study,
            items,
        })
    }

    fn check_summaries(
        &self,
        summaries: Option<&HashMap<String, String>>,
    ) -> Result<(), EvalError> {
        let Some(summaries) = summaries else {
            return Ok(());
        };
        let lacks = |text: &&str| {
            let summary = summaries.get(&summary_id(text));
            summary.is_none_or(|summary| summary.trim().is_empty())
        };
        let missing: HashSet<&str> = self.texts().filter(lacks).collect();
        match missing.iter().min() {
            Some(first) => Err(EvalError::Summaries {
                missing: missing.len(),
                first: summary_id(first),
            }),
            None => Ok(()),
        }
    }

    fn texts(&self) -> impl Iterator<Item = &'a str> {
        let systems = self.prompts.iter().flat_map(|drawn| &drawn.responses);
        systems.flatten().map(|(_, text)| *text)
    }
}

/// The responses that are not blank, each with its index among all.
fn non_blank(prompt: &PromptSamples) -> Vec<(usize, &str)> {
    let responses = prompt.responses.iter().map(|it| it.text.as_str());
    let told = responses.enumerate();
    told.filter(|(_, text)| !text.trim().is_empty()).collect()
}

/// Fisher and Yates, with draws that are the same on 32-bit machines.
fn shuffle<T>(values: &mut [T], rng: &mut ChaCha8Rng) {
    for i in (1..values.len()).rev() {
        let last = u32::try_from(i).unwrap_or(u32::MAX);
        values.swap(i, rng.random_range(0..=last) as usize);
    }
}

/// Sixteen hexadecimal digits of the SHA-256 hash.
fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
