//! From files of pairs or responses to training examples.

pub mod scores;
pub(crate) mod weights;

use std::collections::HashMap;
use std::path::Path;

use rarebit_data::steps::label::labels;
use rarebit_data::{Group, Label, PairRow, Response, Shape, Source, Text, read_pairs};
use rarebit_deviation::renormalise;
use rarebit_train::{Completion, Example, ExampleTokenizer, Labelled, LearnsFrom, Pair, SftTokens};

use crate::error::{Context as _, Result, bail, ensure};
use crate::event::{Events, Stage};
use crate::settings::run::RunConfig;
use weights::Weights;

/// Examples to learn from and to be judged by.
pub(crate) struct TrainingData {
    pub(crate) train: Vec<Example>,
    pub(crate) eval: Vec<Example>,
}

/// Reads what the configuration names.
pub(crate) fn read(
    config: &RunConfig,
    encoder: &ExampleTokenizer<'_>,
    events: &Events,
) -> Result<TrainingData> {
    let table = match config.objective().learns_from() {
        LearnsFrom::Pairs => "pairs",
        LearnsFrom::Completions | LearnsFrom::Labelled => "groups",
    };
    let (train_file, eval_file) = match (&config.model.dataset_name, &config.model.train_file) {
        (Some(folder), _) => {
            let file = |split: &str| folder.join(split).join(format!("{table}.parquet"));
            let eval = config
                .model
                .eval_file
                .clone()
                .or_else(|| Some(file("test")).filter(|file| file.is_file()));
            (file("train"), eval)
        }
        (None, Some(file)) => (file.clone(), config.model.eval_file.clone()),
        (None, None) => bail!("there is nothing to train on"),
    };
    let train = examples(&train_file, config, encoder, events, Stage::TrainingData)?;
    ensure!(
        !train.is_empty(),
        "{} holds no example that could be trained on: it has no rows, or `max_length` cuts off all of \
         their completions",
        train_file.display()
    );
    let eval = match eval_file {
        Some(file) => examples(&file, config, encoder, events, Stage::EvaluationData)?,
        None => Vec::new(),
    };
    Ok(TrainingData { train, eval })
}

fn examples(
    path: &Path,
    config: &RunConfig,
    encoder: &ExampleTokenizer<'_>,
    events: &Events,
    stage: Stage,
) -> Result<Vec<Example>> {
    let work = events.begin(stage, None);
    let source = Source::open(path, &config.columns.options(), &mut |_| ())?;
    let shape = source.survey().shape;
    let is_preference = shape == Shape::Preference;
    let reading = Reading {
        path,
        config,
        encoder,
        events,
        weights: Weights::read(path, config)
            .with_context(|| format!("cannot train on {}", path.display()))?,
    };
    let mut examples = match (config.objective().learns_from(), is_preference) {
        (LearnsFrom::Pairs, true) => reading.pairs(),
        (LearnsFrom::Pairs, false) => bail!(
            "{} holds responses, not pairs: make pairs with `rarebit prepare {}`",
            path.display(),
            path.display()
        ),
        (LearnsFrom::Completions, true) => {
            sft_tokens(config, shape, encoder).and_then(|tokens| reading.chosen(tokens))
        }
        (LearnsFrom::Completions, false) => sft_tokens(config, shape, encoder)
            .and_then(|tokens| reading.completions(&source, tokens)),
        (LearnsFrom::Labelled, true) => reading.unpaired(),
        (LearnsFrom::Labelled, false) => reading.labelled(&source),
    }
    .with_context(|| format!("cannot train on {}", path.display()))?;
    let read = examples.len();
    examples.retain(has_completion);
    let mut summary = format!("{}: {} examples", path.display(), examples.len());
    if examples.len() < read {
        summary += &format!(
            ", {} dropped: nothing of their completion is within max_length",
            read - examples.len()
        );
    }
    let reaches = |example: &&Example| {
        encoder
            .max_length
            .is_some_and(|max| example.length() >= max)
    };
    let long = examples.iter().filter(reaches).count();
    if long > 0 {
        summary += &format!(", {long} reach max_length");
    }
    let diverging = examples
        .iter()
        .filter(|example| example.sequences().any(|sequence| sequence.diverges))
        .count();
    if diverging > 0 {
        summary += &format!(
            ", {diverging} whose prompt the chat template writes otherwise once it is answered: \
             they are learned as they are written then, as in TRL"
        );
    }
    work.finish(&summary);
    Ok(examples)
}

/// Which tokens supervised fine-tuning learns: as in TRL, the completion where rows have one, all
/// tokens of conversations that are not split.
fn sft_tokens(
    config: &RunConfig,
    shape: Shape,
    encoder: &ExampleTokenizer<'_>,
) -> Result<SftTokens> {
    let assistant_only_loss = config.objective.assistant_only_loss.unwrap_or(false);
    ensure!(
        !assistant_only_loss || encoder.template.is_conversational(),
        "assistant_only_loss needs a model with a chat template, by which turns are told apart"
    );
    let is_split = shape != Shape::Messages;
    let completion_only_loss = config.objective.completion_only_loss.unwrap_or(is_split);
    ensure!(
        !completion_only_loss || is_split,
        "completion_only_loss needs rows with a prompt and a completion, and these are whole \
         conversations: set assistant_only_loss to learn what the assistant says in them"
    );
    Ok(SftTokens {
        completion_only_loss,
        assistant_only_loss,
    })
}

/// Whether anything of a completion is left to learn from after truncation.
fn has_completion(example: &Example) -> bool {
    example
        .sequences()
        .all(|sequence| sequence.completion_tokens() > 0)
}

/// One file on its way to examples.
struct Reading<'a> {
    path: &'a Path,
    config: &'a RunConfig,
    encoder: &'a ExampleTokenizer<'a>,
    events: &'a Events,
    weights: Weights,
}

/// A labelled completion as text.
struct LabelledText {
    id: String,
    prompt_id: String,
    prompt: Text,
    completion: Text,
    desirable: bool,
    weight: f64,
}

impl Reading<'_> {
    /// Every response as a completion of its own.
    fn completions(&self, source: &Source, tokens: SftTokens) -> Result<Vec<Example>> {
        let mut examples = Vec::new();
        for group in source.groups(&mut |_| ())? {
            let group = group?;
            for response in &group.responses {
                let id = format!("{}#{}", group.id, response.id);
                let completion = response.beside(&group.prompt);
                let weight = self.weights.of(&group.id, response.id, response.weight)?;
                let sequence = self
                    .encoder
                    .supervised(&group.prompt, &completion, tokens)
                    .with_context(|| format!("in {id}"))?;
                examples.push(Example::Completion(Completion {
                    id,
                    weight: weight as f32,
                    sequence,
                }));
            }
        }
        self.renormalised(&mut examples);
        Ok(examples)
    }

    /// The chosen completion of each pair.
    fn chosen(&self, tokens: SftTokens) -> Result<Vec<Example>> {
        let mut examples = Vec::new();
        for row in self.rows()? {
            let sequence = self
                .encoder
                .supervised(&row.prompt, &row.chosen, tokens)
                .with_context(|| format!("in {}", id(&row)))?;
            examples.push(Example::Completion(Completion {
                id: id(&row),
                weight: self.weight(&row)?,
                sequence,
            }));
        }
        self.renormalised(&mut examples);
        Ok(examples)
    }

    fn pairs(&self) -> Result<Vec<Example>> {
        let mut examples = Vec::new();
        for row in self.rows()? {
            let [chosen, rejected] = self
                .encoder
                .pair(&row.prompt, &row.chosen, &row.rejected)
                .with_context(|| format!("in {}", id(&row)))?;
            examples.push(Example::Pair(Pair {
                id: id(&row),
                weight: self.weight(&row)?,
                chosen,
                rejected,
            }));
        }
        self.renormalised(&mut examples);
        Ok(examples)
    }

    /// Both completions of each pair, taken apart as TRL does: all chosen ones, then all rejected
    /// ones. The weight of a pair is that of both, unless it is made anew for each.
    fn unpaired(&self) -> Result<Vec<Example>> {
        let rows = self.rows()?;
        let side = |row: &PairRow, desirable: bool| -> Result<LabelledText> {
            let (response, completion) = match desirable {
                true => (row.chosen_id, &row.chosen),
                false => (row.rejected_id, &row.rejected),
            };
            Ok(LabelledText {
                id: format!("{}#{response}", row.prompt_id),
                prompt_id: row.prompt_id.clone(),
                prompt: row.prompt.clone(),
                completion: completion.clone(),
                desirable,
                weight: self.weights.of(&row.prompt_id, response, row.weight)?,
            })
        };
        let chosen = rows.iter().map(|row| side(row, true));
        let rejected = rows.iter().map(|row| side(row, false));
        self.mismatched(chosen.chain(rejected).collect::<Result<_, _>>()?)
    }

    /// Every response that has a label, or, in a source without labels, that is among the better or
    /// the worse half of its prompt's by score.
    fn labelled(&self, source: &Source) -> Result<Vec<Example>> {
        let groups = source
            .groups(&mut |_| ())?
            .collect::<Result<Vec<Group>, _>>()?;
        let responses = || groups.iter().flat_map(|group| &group.responses);
        let has_labels = responses().any(|response| response.label.is_some());
        ensure!(
            has_labels || responses().any(|response| response.score.is_some()),
            "kto learns from desirable and undesirable completions, and neither a `label` (true or false) nor a \
             `score` says which is which"
        );
        let (mut labelled, mut without) = (Vec::new(), 0);
        for group in groups {
            let scores: Vec<Option<f64>> = group.responses.iter().map(|r| r.score).collect();
            let known = match has_labels {
                true => given_labels(&group)?,
                false => labels(&scores),
            };
            for (response, label) in group.responses.iter().zip(known) {
                let Some(desirable) = label else {
                    without += 1;
                    continue;
                };
                labelled.push(LabelledText {
                    id: format!("{}#{}", group.id, response.id),
                    prompt_id: group.id.clone(),
                    prompt: group.prompt.clone(),
                    completion: response.beside(&group.prompt),
                    desirable,
                    weight: self.weights.of(&group.id, response.id, response.weight)?,
                });
            }
        }
        if without > 0 {
            self.events.note(&format!(
                "{}: {without} responses have no label and are left out",
                self.path.display()
            ));
        }
        self.mismatched(labelled)
    }

    /// Completions with, beside each, its prompt under the completion of another one: from these the
    /// KL divergence is estimated.
    ///
    /// TRL turns completions by one within stretches of a batch. Here all are turned, by as many as a
    /// prompt has, so that a completion never meets another one's prompt that is its own.
    fn mismatched(&self, labelled: Vec<LabelledText>) -> Result<Vec<Example>> {
        let turn = longest_run(labelled.iter().map(|one| &one.prompt_id));
        let n = labelled.len();
        let mut examples = Vec::with_capacity(n);
        for (i, one) in labelled.iter().enumerate() {
            let other = &labelled[(i + n - turn % n) % n].completion;
            let [own, mismatched] = self
                .encoder
                .pair(&one.prompt, &one.completion, other)
                .with_context(|| format!("in {}", one.id))?;
            examples.push(Example::Labelled(Labelled {
                id: one.id.clone(),
                weight: one.weight as f32,
                own,
                mismatched,
                desirable: one.desirable,
            }));
        }
        self.renormalised(&mut examples);
        Ok(examples)
    }

    fn weight(&self, row: &PairRow) -> Result<f32> {
        let weight = self.weights.of(&row.prompt_id, row.chosen_id, row.weight);
        Ok(weight? as f32)
    }

    fn renormalised(&self, examples: &mut [Example]) {
        if self.config.weights.renormalise {
            let weights = examples.iter().map(|example| f64::from(example.weight()));
            let weights = renormalise(&weights.collect::<Vec<_>>());
            for (example, weight) in examples.iter_mut().zip(weights) {
                *example.weight_mut() = weight as f32;
            }
        }
    }

    /// The pairs of the file, at most `max_pairs` of each prompt.
    fn rows(&self) -> Result<Vec<PairRow>> {
        let mut rows = Vec::new();
        let mut of_prompt: HashMap<String, usize> = HashMap::new();
        let mut pairs = read_pairs(self.path, &self.config.columns.options())?;
        for row in &mut pairs {
            let row = row?;
            let count = of_prompt.entry(row.prompt_id.clone()).or_default();
            *count += 1;
            let max_pairs = self.config.task.max_pairs;
            if max_pairs.is_none_or(|most| *count <= most) {
                rows.push(row);
            }
        }
        if let Some(note) = pairs.counts().note() {
            self.events
                .note(&format!("{}: {note}", self.path.display()));
        }
        Ok(rows)
    }
}

/// The labels that a source gives.
fn given_labels(group: &Group) -> Result<Vec<Option<bool>>> {
    let label = |response: &Response| match &response.label {
        None => Ok(None),
        Some(Label::Desirable) => Ok(Some(true)),
        Some(Label::Undesirable) => Ok(Some(false)),
        Some(Label::Unknown(found)) => bail!(
            "the label of {}#{} is {found}: write true or false, yes or no, 1 or 0, or name another column with --label-column",
            group.id,
            response.id
        ),
    };
    group.responses.iter().map(label).collect()
}

fn id(row: &PairRow) -> String {
    format!("{}#{}>{}", row.prompt_id, row.chosen_id, row.rejected_id)
}

/// The most equal values that follow each other.
fn longest_run<T: PartialEq>(values: impl Iterator<Item = T>) -> usize {
    let (mut longest, mut run, mut last) = (0, 0, None);
    for value in values {
        run = if last.as_ref() == Some(&value) {
            run + 1
        } else {
            1
        };
        longest = longest.max(run);
        last = Some(value);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_run_is_found_wherever_it_is() {
        for (text, expected) in [("", 0), ("a", 1), ("abab", 1), ("aab", 2), ("abccc", 3)] {
            assert_eq!(longest_run(text.chars()), expected, "{text}");
        }
    }
}
