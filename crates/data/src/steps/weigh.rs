//! Step 3: the deviation of each response and the weight that follows from it.

use std::collections::{BTreeSet, HashSet};

use rand::seq::SliceRandom;
use rarebit_deviation::{
    DistanceMatrix, Embedder, Kind, Kinds, Measure, Measurements, Signal, Weighting, WordVectors,
    distinct_words, mean_distances, normalise, novelty,
};
use serde::{Deserialize, Serialize};

use super::divpo::{DivpoOptions, divpo};
use super::rng;
use super::surprise::{SurpriseModel, surprise};
use crate::error::DataError;
use crate::group::{Group, Pair, Response};
use rarebit_text::Text;

/// Texts embedded in one call, enough for an embedder to sort them by length and fill its batches.
pub const EMBED_BATCH: usize = 512;

/// The embedder of each kind; a kind without one has no deviation.
#[derive(Clone, Copy, Default)]
pub struct Embedders<'a> {
    /// For semantic deviation.
    pub semantic: Option<&'a dyn Embedder>,
    /// For style deviation.
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
    /// Every kept response, in a pair or not, which uses all that is known about the prompt.
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
    /// [`novelty`] among the prompt's responses, `[0, 4]`; `None` unless the weights count it.
    pub novelty: Option<f64>,
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

/// Checks that the weighting is valid and that every kind it follows, and novelty where it counts,
/// has an embedder.
fn validate(weighting: &Weighting, embedders: &Embedders<'_>) -> Result<(), DataError> {
    weighting.validate().map_err(DataError::Weighting)?;
    let lacks_words = embedders.semantic.is_none() && counts_novelty(weighting);
    if let Some(mix) = weighting.mix.filter(|_| lacks_words) {
        return Err(DataError::Option {
            option: "mix",
            value: mix.to_string(),
            problem: "novelty needs a semantic embedder for its word vectors, and none is given"
                .to_owned(),
        });
    }
    validate_kinds(weighting.follows(), embedders)
}

fn validate_kinds(kinds: Kinds, embedders: &Embedders<'_>) -> Result<(), DataError> {
    let without = |kind: &&Kind| embedders.get(**kind).is_none();
    match kinds.as_slice().iter().find(without) {
        Some(kind) => Err(DataError::Option {
            option: "weighting",
            value: kinds.to_string(),
            problem: format!("it follows {kind} deviation, for which no embedder is given"),
        }),
        None => Ok(()),
    }
}

fn counts_novelty(weighting: &Weighting) -> bool {
    weighting.mix.is_some_and(|mix| mix.counts(Signal::Novelty))
}

/// Shuffles the weights among one prompt's responses: a control whose weights have the same values
/// but say nothing about the responses.
pub fn shuffle<T>(weights: &mut [T], seed: u64, prompt_id: &str) {
    weights.shuffle(&mut rng(seed, "shuffle", prompt_id, ""));
}

/// Keeps only the responses that are in a pair.
pub fn keep_paired(group: &mut Group, pairs: &[Pair]) {
    let ids = ids(pairs);
    group
        .responses
        .retain(|response| ids.contains(&response.id));
}

/// The positions of the responses that are in a pair.
fn paired(group: &Group, pairs: &[Pair]) -> Vec<usize> {
    let ids = ids(pairs);
    let stands = |&place: &usize| ids.contains(&group.responses[place].id);
    (0..group.responses.len()).filter(stands).collect()
}

fn ids(pairs: &[Pair]) -> HashSet<u32> {
    let both = pairs.iter().flat_map(|pair| [pair.chosen, pair.rejected]);
    both.collect()
}

/// Weighs groups as they come, embedding many prompts in one call.
pub struct Weigher<'a> {
    embedders: Embedders<'a>,
    weighting: Weighting,
    measure: Measure,
    surprise: Option<&'a dyn SurpriseModel>,
    divpo: Option<Divpo>,
    waiting: Vec<(Group, Vec<Pair>)>,
    texts: usize,
}

/// How DivPO draws its pairs, once deviations are known.
struct Divpo {
    options: DivpoOptions,
    seed: u64,
    over: DeviationOver,
}

impl<'a> Weigher<'a> {
    /// A weigher that measures deviation by the mean distance.
    ///
    /// # Errors
    /// When a kind that the weights follow has no embedder, or a number is out of its range.
    pub fn new(weighting: Weighting, embedders: Embedders<'a>) -> Result<Self, DataError> {
        validate(&weighting, &embedders)?;
        Ok(Self {
            embedders,
            weighting,
            measure: Measure::default(),
            surprise: None,
            divpo: None,
            waiting: Vec::new(),
            texts: 0,
        })
    }

    /// Measures deviation another way.
    #[must_use]
    pub fn by(mut self, measure: Measure) -> Self {
        self.measure = measure;
        self
    }

    /// Computes each response's surprise with a model.
    #[must_use]
    pub fn asking(mut self, model: Option<&'a dyn SurpriseModel>) -> Self {
        self.surprise = model;
        self
    }

    /// Draws DivPO's pairs in groups that bring none; `over` says whether the responses outside of
    /// pairs are left out of the weights.
    ///
    /// # Errors
    /// When the weighting has no kind of deviation to choose pairs by, or a kind has no embedder.
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
        validate_kinds(self.weighting.kinds, &self.embedders)?;
        self.divpo = Some(Divpo {
            options,
            seed,
            over,
        });
        Ok(self)
    }

    /// Takes a group with its pairs; returns the groups that are ready, in the order they came.
    ///
    /// # Errors
    /// When an embedder or the surprise model fails, vectors cannot be compared, or a signal that the
    /// weights count is missing.
    pub fn push(&mut self, group: Group, pairs: Vec<Pair>) -> Result<Vec<WeighedGroup>, DataError> {
        self.texts += group.responses.len();
        self.waiting.push((group, pairs));
        if self.texts < EMBED_BATCH {
            Ok(Vec::new())
        } else {
            self.finish()
        }
    }

    /// The groups that are still waiting.
    ///
    /// # Errors
    /// As for [`Weigher::push`].
    pub fn finish(&mut self) -> Result<Vec<WeighedGroup>, DataError> {
        self.texts = 0;
        let mut waiting = std::mem::take(&mut self.waiting);
        if let Some(model) = self.surprise {
            surprise(waiting.iter_mut().map(|(group, _)| group), model)?;
        }
        let words = match self
            .embedders
            .semantic
            .filter(|_| counts_novelty(&self.weighting))
        {
            Some(embedder) => Some(words(&waiting, embedder)?),
            None => None,
        };
        let needs_pairs = self.measure != Measure::Mean || self.divpo.is_some();
        let of_kind = |kind| match self.embedders.get(kind) {
            Some(embedder) => distances(&waiting, embedder, needs_pairs),
            None => Ok(waiting.iter().map(|_| None).collect()),
        };
        let (semantic, style) = (of_kind(Kind::Semantic)?, of_kind(Kind::Style)?);
        let distances = semantic.into_iter().zip(style);
        waiting
            .into_iter()
            .zip(distances)
            .map(|((group, pairs), (semantic, style))| {
                self.weighed(group, pairs, [semantic, style], words.as_ref())
            })
            .collect()
    }

    /// `distances` by kind, in the order of [`Kind::ALL`].
    fn weighed(
        &self,
        mut group: Group,
        mut pairs: Vec<Pair>,
        mut distances: [Option<Distances>; Kind::ALL.len()],
        words: Option<&WordVectors>,
    ) -> Result<WeighedGroup, DataError> {
        if let Some(draw) = self.divpo.as_ref().filter(|_| group.pairs.is_none()) {
            let kinds = self.weighting.kinds.as_slice().iter();
            let mixed: Vec<&DistanceMatrix> = kinds
                .filter_map(|&kind| distances[kind as usize].as_ref()?.pairwise())
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
                distances = distances.map(|of_kind| Some(of_kind?.select(&kept)));
                keep_paired(&mut group, &pairs);
            }
        }
        let raw = |kind: Kind| match &distances[kind as usize] {
            Some(Distances::Pairwise(matrix)) => self.measure.deviations(matrix),
            Some(Distances::Mean(means)) => means.clone(),
            None => vec![None; group.responses.len()],
        };
        let measured = Measured {
            semantic: raw(Kind::Semantic),
            style: raw(Kind::Style),
            novelty: words.map(|words| {
                let texts = group.responses.iter().map(|it| it.text.as_str());
                novelty(&texts.collect::<Vec<_>>(), words)
            }),
        };
        weighed(group, pairs, &measured, &self.weighting)
    }
}

/// Groups of more responses than this have their mean distances computed without those of pairs,
/// where nothing else needs them.
const MOST_PAIRWISE: usize = 512;

/// The distances between the responses of a group, of one kind.
enum Distances {
    /// Of each pair.
    Pairwise(DistanceMatrix),
    /// Of each response to the others, on average.
    Mean(Vec<Option<f64>>),
}

impl Distances {
    fn pairwise(&self) -> Option<&DistanceMatrix> {
        match self {
            Self::Pairwise(matrix) => Some(matrix),
            Self::Mean(_) => None,
        }
    }

    /// Those between some of the responses. Means are never selected from: whoever selects needs
    /// pairs.
    fn select(self, kept: &[usize]) -> Self {
        match self {
            Self::Pairwise(matrix) => Self::Pairwise(matrix.select(kept)),
            Self::Mean(means) => Self::Mean(kept.iter().map(|&i| means[i]).collect()),
        }
    }
}

/// The measurements of a group's responses.
struct Measured {
    semantic: Vec<Option<f64>>,
    style: Vec<Option<f64>>,
    novelty: Option<Vec<f64>>,
}

/// The texts of all waiting responses.
fn texts(groups: &[(Group, Vec<Pair>)]) -> impl Iterator<Item = &str> {
    let responses = groups.iter().flat_map(|(group, _)| &group.responses);
    responses.map(|response| response.text.as_str())
}

/// A vector for each text.
fn embedded(embedder: &dyn Embedder, texts: &[&str]) -> Result<Vec<Vec<f32>>, DataError> {
    let vectors = embedder.embed(texts).map_err(|source| DataError::Embed {
        embedder: embedder.id().to_owned(),
        source,
    })?;
    if vectors.len() != texts.len() {
        let problem = format!("{} vectors for {} texts", vectors.len(), texts.len());
        return Err(vectors_error(embedder, problem));
    }
    Ok(vectors)
}

fn vectors_error(embedder: &dyn Embedder, problem: String) -> DataError {
    DataError::Vectors {
        embedder: embedder.id().to_owned(),
        problem,
    }
}

/// The vectors of all words of the waiting responses; each word is embedded once.
fn words(groups: &[(Group, Vec<Pair>)], embedder: &dyn Embedder) -> Result<WordVectors, DataError> {
    let words: BTreeSet<String> = texts(groups).flat_map(distinct_words).collect();
    let rows = embedded(
        embedder,
        &words.iter().map(String::as_str).collect::<Vec<_>>(),
    )?;
    WordVectors::new(words, &rows).map_err(|error| vectors_error(embedder, error.to_string()))
}

/// Per group, for one kind.
fn distances(
    groups: &[(Group, Vec<Pair>)],
    embedder: &dyn Embedder,
    needs_pairs: bool,
) -> Result<Vec<Option<Distances>>, DataError> {
    let vectors = embedded(embedder, &texts(groups).collect::<Vec<_>>())?;
    let mut rest = vectors.as_slice();
    let mut all = Vec::with_capacity(groups.len());
    for (group, _) in groups {
        let (own, others) = rest.split_at(group.responses.len());
        rest = others;
        let distances = match needs_pairs || own.len() <= MOST_PAIRWISE {
            true => DistanceMatrix::from_embeddings(own).map(Distances::Pairwise),
            false => mean_distances(own).map(Distances::Mean),
        };
        let distances = distances
            .map_err(|error| vectors_error(embedder, format!("prompt {:?}: {error}", group.id)))?;
        all.push(Some(distances));
    }
    Ok(all)
}

fn weighed(
    group: Group,
    pairs: Vec<Pair>,
    measured: &Measured,
    weighting: &Weighting,
) -> Result<WeighedGroup, DataError> {
    let measurements: Vec<Measurements> = (group.responses.iter().enumerate())
        .map(|(i, response)| Measurements {
            semantic: measured.semantic[i],
            style: measured.style[i],
            novelty: measured.novelty.as_ref().map(|novelty| novelty[i]),
            surprise: response.surprise,
            quality: response.score,
        })
        .collect();
    let weights = weighting
        .weigh(&measurements)
        .map_err(|problem| DataError::Signal {
            prompt: group.id.clone(),
            problem,
        })?;
    let [unit_semantic, unit_style] = [&measured.semantic, &measured.style].map(|raw| {
        // Either all responses have a deviation of a kind or none has.
        let known: Vec<f64> = raw.iter().copied().flatten().collect();
        normalise(&known)
    });
    let responses = (group.responses.into_iter().zip(measurements))
        .enumerate()
        .map(|(i, (response, measured))| WeighedResponse {
            response,
            deviation_semantic: measured.semantic,
            deviation_style: measured.style,
            normalized_semantic: unit_semantic.get(i).copied(),
            normalized_style: unit_style.get(i).copied(),
            novelty: measured.novelty,
            weight: weights[i],
        })
        .collect();
    Ok(WeighedGroup {
        id: group.id,
        prompt: group.prompt,
        responses,
        pairs,
    })
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
    fn signals_are_asked_for_where_they_count() {
        struct Lengths;
        impl SurpriseModel for Lengths {
            fn id(&self) -> &str {
                "lengths"
            }
            fn perplexities(
                &self,
                responses: &[(&Text, &Response)],
            ) -> Result<Vec<f64>, Box<dyn std::error::Error + Send + Sync>> {
                let lengths = responses.iter().map(|(_, it)| it.text.len() as f64);
                Ok(lengths.filter(|length| *length < 100.0).collect())
            }
        }
        let semantic = builtin("builtin:lexical").unwrap();
        let embedders = Embedders {
            semantic: Some(&*semantic),
            style: None,
        };
        let weighed = |mix: &str, model: Option<&dyn SurpriseModel>, text: &str| {
            let weighting = Weighting {
                mix: Some(mix.parse().unwrap()),
                ..Weighting::default()
            };
            let mut weigher = Weigher::new(weighting, embedders)?.asking(model);
            weigher.push(group(&["ab", "abcd", text]), Vec::new())?;
            weigher.finish()
        };
        let found = weighed("surprise=1", Some(&Lengths), "abc")
            .unwrap()
            .remove(0);
        let weights: Vec<f64> = found.responses.iter().map(|it| it.weight).collect();
        assert_eq!(weights, [0.0, 2.0, 1.0]);
        assert_eq!(found.responses[1].response.surprise, Some(4.0));
        assert!(found.responses[0].novelty.is_none());
        let found = weighed("novelty=1", None, "ab cd").unwrap().remove(0);
        assert!(found.responses.iter().all(|it| it.novelty.is_some()));

        let error = |mix: &str, model: Option<&dyn SurpriseModel>, text: &str| {
            weighed(mix, model, text).unwrap_err().to_string()
        };
        let missing = error("surprise=1", None, "abc");
        assert!(missing.contains("--surprise-model"), "{missing}");
        let unscored = error("quality=1", None, "abc");
        assert!(
            unscored.contains("\"g:1\": response 0 has no quality"),
            "{unscored}"
        );
        let few = error("surprise=1", Some(&Lengths), &"a".repeat(100));
        assert!(few.contains("lengths failed"), "{few}");
        // Without diversity, the kind that has no embedder is not missed; with it, it is.
        let unembedded = error("diversity=1", None, "abc");
        assert!(unembedded.contains("style"), "{unembedded}");
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
