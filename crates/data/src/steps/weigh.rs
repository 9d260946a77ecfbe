//! Step 3: how far each response is from the others, and the weight that follows.

use std::collections::HashSet;

use rand::seq::SliceRandom;
use rarebit_deviation::{
    DistanceMatrix, Embedder, Kind, Kinds, Measure, Weighting, normalise, weights,
};
use serde::{Deserialize, Serialize};

use super::divpo::{DivpoOptions, divpo};
use super::rng;
use crate::error::DataError;
use crate::group::{Group, Pair, Response};
use crate::text::Text;

/// Embeddings are asked for so many texts at once, so that an embedder can sort them by length
/// and fill its batches.
pub const EMBED_BATCH: usize = 512;

/// The embedder of each kind; a kind without one has no deviation.
#[derive(Clone, Copy, Default)]
pub struct Embedders<'a> {
    /// What is told.
    pub semantic: Option<&'a dyn Embedder>,
    /// How it is told.
    pub style: Option<&'a dyn Embedder>,
}

impl<'a> Embedders<'a> {
    /// The embedder of a kind.
    pub fn get(&self, kind: Kind) -> Option<&'a dyn Embedder> {
        match kind {
            Kind::Semantic => self.semantic,
            Kind::Style => self.style,
        }
    }
}

/// Over which responses of a prompt deviation is measured and weights average 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviationOver {
    /// Every response that is kept, in a pair or not: the most that is known about the prompt.
    #[default]
    All,
    /// Only those in a kept pair, as the reference code does.
    Paired,
}

/// A response with its deviations and its weight.
#[derive(Debug, Clone, PartialEq)]
pub struct WeighedResponse {
    /// The response.
    pub response: Response,
    /// Distance to the prompt's other responses by the [`Measure`] that was asked for, `[0, 2]`;
    /// `None` when alone.
    pub deviation_semantic: Option<f64>,
    /// The same for style.
    pub deviation_style: Option<f64>,
    /// Deviation spread over `[0, 1]` within the prompt.
    pub normalized_semantic: Option<f64>,
    /// The same for style.
    pub normalized_style: Option<f64>,
    /// The weight; the prompt's average 1.
    pub weight: f64,
}

/// A group with the deviations and weights of its responses.
#[derive(Debug, Clone, PartialEq)]
pub struct WeighedGroup {
    /// See [`Group::id`].
    pub id: String,
    /// What the responses answer.
    pub prompt: Text,
    /// The responses that deviation was measured over.
    pub responses: Vec<WeighedResponse>,
    /// The pairs among them.
    pub pairs: Vec<Pair>,
}

impl WeighedGroup {
    /// The response with this id.
    pub fn response(&self, id: u32) -> Option<&WeighedResponse> {
        self.responses
            .iter()
            .find(|weighed| weighed.response.id == id)
    }
}

/// Whether every kind that the weights follow has an embedder, and the weighting's numbers are in
/// their ranges.
fn validate(weighting: &Weighting, embedders: &Embedders<'_>) -> Result<(), DataError> {
    weighting.validate().map_err(DataError::Weighting)?;
    let without = |kind: &&Kind| embedders.get(**kind).is_none();
    match weighting.kinds.as_slice().iter().find(without) {
        Some(kind) => Err(DataError::Option {
            option: "weighting",
            value: weighting.kinds.to_string(),
            problem: format!("it follows {kind} deviation, for which no embedder is given"),
        }),
        None => Ok(()),
    }
}

/// Shuffles the weights of one prompt's responses among them: the same weights, that have lost
/// their sense. What training on them brings is not deviation's doing.
pub fn shuffle<T>(weights: &mut [T], seed: u64, prompt_id: &str) {
    weights.shuffle(&mut rng(seed, "shuffle", prompt_id, ""));
}

/// Leaves only the responses that stand in a pair.
pub fn keep_paired(group: &mut Group, pairs: &[Pair]) {
    let ids = ids(pairs);
    group
        .responses
        .retain(|response| ids.contains(&response.id));
}

/// The places of those responses.
fn paired(group: &Group, pairs: &[Pair]) -> Vec<usize> {
    let ids = ids(pairs);
    let stands = |&place: &usize| ids.contains(&group.responses[place].id);
    (0..group.responses.len()).filter(stands).collect()
}

fn ids(pairs: &[Pair]) -> HashSet<u32> {
    let both = pairs.iter().flat_map(|pair| [pair.chosen, pair.rejected]);
    both.collect()
}

/// Weighs groups as they come, many prompts to one call of each embedder.
pub struct Weigher<'a> {
    embedders: Embedders<'a>,
    weighting: Weighting,
    measure: Measure,
    divpo: Option<Divpo>,
    waiting: Vec<(Group, Vec<Pair>)>,
    texts: usize,
}

/// Pairs that are drawn where deviations are known.
struct Divpo {
    options: DivpoOptions,
    seed: u64,
    over: DeviationOver,
}

impl<'a> Weigher<'a> {
    /// A weigher of valid settings, by the mean distance.
    ///
    /// # Errors
    /// When a kind that the weights follow has no embedder, or a number is out of its range.
    pub fn new(weighting: Weighting, embedders: Embedders<'a>) -> Result<Self, DataError> {
        validate(&weighting, &embedders)?;
        Ok(Self {
            embedders,
            weighting,
            measure: Measure::default(),
            divpo: None,
            waiting: Vec::new(),
            texts: 0,
        })
    }

    /// The same by another measure of deviation.
    #[must_use]
    pub fn by(mut self, measure: Measure) -> Self {
        self.measure = measure;
        self
    }

    /// The same, drawing DivPO's pairs in groups that bring none; `over` says whether the others
    /// are left out of the weights then.
    ///
    /// # Errors
    /// When the weights follow no kind of deviation, by which pairs could be chosen.
    pub fn drawing(
        mut self,
        options: DivpoOptions,
        seed: u64,
        over: DeviationOver,
    ) -> Result<Self, DataError> {
        options.validate()?;
        if self.weighting.kinds == Kinds::None {
            return Err(DataError::Option {
                option: "weighting",
                value: Kinds::None.to_string(),
                problem: "DivPO chooses pairs by deviation: give semantic, style or both"
                    .to_owned(),
            });
        }
        self.divpo = Some(Divpo {
            options,
            seed,
            over,
        });
        Ok(self)
    }

    /// Takes a group with its pairs; gives back those that are ready, in the order of their coming.
    ///
    /// # Errors
    /// When an embedder fails, or gives vectors that cannot be compared.
    pub fn push(&mut self, group: Group, pairs: Vec<Pair>) -> Result<Vec<WeighedGroup>, DataError> {
        self.texts += group.responses.len();
        self.waiting.push((group, pairs));
        if self.texts < EMBED_BATCH {
            Ok(Vec::new())
        } else {
            self.finish()
        }
    }

    /// The groups that still wait.
    ///
    /// # Errors
    /// As for [`Weigher::push`].
    pub fn finish(&mut self) -> Result<Vec<WeighedGroup>, DataError> {
        self.texts = 0;
        let waiting = std::mem::take(&mut self.waiting);
        let of_kind = |kind| match self.embedders.get(kind) {
            Some(embedder) => distances(&waiting, embedder),
            None => Ok(waiting.iter().map(|_| None).collect()),
        };
        let (semantic, style) = (of_kind(Kind::Semantic)?, of_kind(Kind::Style)?);
        let distances = semantic.into_iter().zip(style);
        Ok(waiting
            .into_iter()
            .zip(distances)
            .map(|((group, pairs), (semantic, style))| {
                self.weighed(group, pairs, [semantic, style])
            })
            .collect())
    }

    /// `distances` by kind, in the order of [`Kind::ALL`].
    fn weighed(
        &self,
        mut group: Group,
        mut pairs: Vec<Pair>,
        mut distances: Distances,
    ) -> WeighedGroup {
        if let Some(draw) = self.divpo.as_ref().filter(|_| group.pairs.is_none()) {
            let kinds = self.weighting.kinds.as_slice().iter();
            let mixed: Vec<&DistanceMatrix> = kinds
                .filter_map(|&kind| distances[kind as usize].as_ref())
                .collect();
            pairs = divpo(
                &group,
                &mixed,
                self.measure,
                &self.weighting,
                &draw.options,
                draw.seed,
            );
            if draw.over == DeviationOver::Paired {
                let kept = paired(&group, &pairs);
                distances = distances.map(|matrix| Some(matrix?.select(&kept)));
                keep_paired(&mut group, &pairs);
            }
        }
        let raw = |kind: Kind| match &distances[kind as usize] {
            Some(matrix) => self.measure.deviations(matrix),
            None => vec![None; group.responses.len()],
        };
        let (semantic, style) = (raw(Kind::Semantic), raw(Kind::Style));
        weighed(group, pairs, &semantic, &style, &self.weighting)
    }
}

/// A group's distances by kind, in the order of [`Kind::ALL`].
type Distances = [Option<DistanceMatrix>; Kind::ALL.len()];

/// Per group, for one kind.
fn distances(
    groups: &[(Group, Vec<Pair>)],
    embedder: &dyn Embedder,
) -> Result<Vec<Option<DistanceMatrix>>, DataError> {
    let texts: Vec<&str> = groups
        .iter()
        .flat_map(|(group, _)| {
            group
                .responses
                .iter()
                .map(|response| response.text.as_str())
        })
        .collect();
    let vectors_error = |problem: String| DataError::Vectors {
        embedder: embedder.id().to_owned(),
        problem,
    };
    let vectors = embedder.embed(&texts).map_err(|source| DataError::Embed {
        embedder: embedder.id().to_owned(),
        source,
    })?;
    if vectors.len() != texts.len() {
        return Err(vectors_error(format!(
            "{} vectors for {} texts",
            vectors.len(),
            texts.len()
        )));
    }
    let mut rest = vectors.as_slice();
    let mut matrices = Vec::with_capacity(groups.len());
    for (group, _) in groups {
        let (own, others) = rest.split_at(group.responses.len());
        rest = others;
        let matrix = DistanceMatrix::from_embeddings(own)
            .map_err(|error| vectors_error(format!("prompt {:?}: {error}", group.id)))?;
        matrices.push(Some(matrix));
    }
    Ok(matrices)
}

fn weighed(
    group: Group,
    pairs: Vec<Pair>,
    semantic: &[Option<f64>],
    style: &[Option<f64>],
    weighting: &Weighting,
) -> WeighedGroup {
    // Alone, a response has no deviation; any number does, since its weight is 1 by definition.
    let filled =
        |raw: &[Option<f64>]| -> Vec<f64> { raw.iter().map(|d| d.unwrap_or(0.0)).collect() };
    let (semantic_raw, style_raw) = (filled(semantic), filled(style));
    let weight = match weighting.kinds {
        Kinds::None => vec![1.0; group.responses.len()],
        Kinds::Semantic => weights(&[&semantic_raw], weighting),
        Kinds::Style => weights(&[&style_raw], weighting),
        Kinds::Both => weights(&[&semantic_raw, &style_raw], weighting),
    };
    let (unit_semantic, unit_style) = (normalise(&semantic_raw), normalise(&style_raw));
    let responses = group
        .responses
        .into_iter()
        .enumerate()
        .map(|(i, response)| WeighedResponse {
            response,
            deviation_semantic: semantic[i],
            deviation_style: style[i],
            normalized_semantic: semantic[i].map(|_| unit_semantic[i]),
            normalized_style: style[i].map(|_| unit_style[i]),
            weight: weight[i],
        })
        .collect();
    WeighedGroup {
        id: group.id,
        prompt: group.prompt,
        responses,
        pairs,
    }
}

#[cfg(test)]
mod tests {
    use rarebit_deviation::embed::builtin;

    use super::*;

    fn group(texts: &[&str]) -> Group {
        let responses = (0..)
            .zip(texts)
            .map(|(id, text)| Response::new(id, (*text).into(), None))
            .collect();
        Group {
            id: "g:1".to_owned(),
            prompt: "p".into(),
            responses,
            pairs: None,
        }
    }

    fn weighed_alone(texts: &[&str], kinds: Kinds) -> WeighedGroup {
        let (semantic, style) = (
            builtin("builtin:lexical").unwrap(),
            builtin("builtin:style").unwrap(),
        );
        let embedders = Embedders {
            semantic: Some(&*semantic),
            style: Some(&*style),
        };
        let weighting = Weighting {
            kinds,
            ..Weighting::default()
        };
        let mut weigher = Weigher::new(weighting, embedders).unwrap();
        assert!(weigher.push(group(texts), Vec::new()).unwrap().is_empty());
        weigher.finish().unwrap().remove(0)
    }

    #[test]
    fn the_weights_of_a_prompt_average_one() {
        let texts = [
            "The fox ran.",
            "The fox ran home.",
            "Rain! Oh, rain?",
            "I slept.",
        ];
        for kinds in [Kinds::Semantic, Kinds::Style, Kinds::Both, Kinds::None] {
            let group = weighed_alone(&texts, kinds);
            let sum: f64 = group.responses.iter().map(|r| r.weight).sum();
            assert!((sum / 4.0 - 1.0).abs() < 1e-12, "{kinds}: {sum}");
        }
    }

    #[test]
    fn one_or_two_responses_weigh_one() {
        let alone = weighed_alone(&["The fox ran."], Kinds::Both);
        assert_eq!(alone.responses[0].weight, 1.0);
        assert_eq!(alone.responses[0].deviation_semantic, None);
        let two = weighed_alone(&["The fox ran.", "Rain!"], Kinds::Both);
        assert!(two.responses.iter().all(|r| r.weight == 1.0));
    }

    #[test]
    fn shuffled_weights_are_the_same_weights_elsewhere() {
        let straight: Vec<usize> = (0..9).collect();
        let shuffled = |seed, prompt| {
            let mut weights = straight.clone();
            shuffle(&mut weights, seed, prompt);
            weights
        };
        let one = shuffled(42, "a");
        assert_eq!(one, shuffled(42, "a"));
        assert!(one != straight && one != shuffled(43, "a") && one != shuffled(42, "b"));
        let mut sorted = one;
        sorted.sort_unstable();
        assert_eq!(sorted, straight);
    }

    #[test]
    fn batching_changes_nothing() {
        let (semantic, style) = (
            builtin("builtin:lexical").unwrap(),
            builtin("builtin:style").unwrap(),
        );
        let embedders = Embedders {
            semantic: Some(&*semantic),
            style: Some(&*style),
        };
        let mut weigher = Weigher::new(Weighting::default(), embedders).unwrap();
        let texts = ["The fox ran.", "The fox slept.", "Rain! Oh, rain?"];
        let mut found = Vec::new();
        for _ in 0..400 {
            found.extend(weigher.push(group(&texts), Vec::new()).unwrap());
        }
        assert!(!found.is_empty() && found.len() < 400);
        found.extend(weigher.finish().unwrap());
        assert_eq!(found.len(), 400);
        let alone = weighed_alone(&texts, Kinds::Both);
        assert!(found.iter().all(|group| *group == alone));
    }

    #[test]
    fn a_kind_without_embedder_is_refused() {
        let error = Weigher::new(Weighting::default(), Embedders::default())
            .err()
            .unwrap();
        assert!(error.to_string().contains("semantic"), "{error}");
    }
}
