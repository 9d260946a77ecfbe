//! From files of pairs or responses to training examples.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use rarebit_data::{PairRow, Shape, Source, SourceOptions, read_group_scores, read_pairs};
use rarebit_deviation::{Kind, Weighting, renormalise, weights};
use rarebit_train::{Encoder, Example, SftTokens};

use crate::progress;
use crate::run_config::RunConfig;

/// Examples to learn from and to be judged by.
pub(crate) struct TrainingData {
    pub(crate) train: Vec<Example>,
    pub(crate) eval: Vec<Example>,
}

/// Reads what the configuration names.
pub(crate) fn read(config: &RunConfig, encoder: &Encoder<'_>) -> anyhow::Result<TrainingData> {
    let table = if config.objective().is_pairwise() {
        "pairs"
    } else {
        "groups"
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
    let train = examples(&train_file, config, encoder, "reading training data")?;
    ensure!(
        !train.is_empty(),
        "{} holds no example that could be trained on: it has no rows, or `max_length` cuts off all of \
         their completions",
        train_file.display()
    );
    let eval = match eval_file {
        Some(file) => examples(&file, config, encoder, "reading evaluation data")?,
        None => Vec::new(),
    };
    Ok(TrainingData { train, eval })
}

fn examples(
    path: &Path,
    config: &RunConfig,
    encoder: &Encoder<'_>,
    what: &str,
) -> anyhow::Result<Vec<Example>> {
    let bar = progress::spinner(what);
    let source = Source::open(path, &SourceOptions::default(), &mut |_| ())?;
    let shape = source.survey().shape;
    let is_preference = shape == Shape::Preference;
    let mut examples = match config.objective().is_pairwise() {
        true => {
            ensure!(
                is_preference,
                "{} holds responses, not pairs: make pairs with `rarebit prepare {}`",
                path.display(),
                path.display()
            );
            pairs(path, config, encoder)
        }
        false => {
            let tokens = sft_tokens(config, shape, encoder)
                .with_context(|| format!("cannot train on {}", path.display()))?;
            match is_preference {
                true => chosen(path, config, encoder, tokens),
                false => completions(&source, encoder, tokens),
            }
        }
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
    bar.finish(&summary);
    Ok(examples)
}

/// Which tokens supervised fine-tuning learns: as in TRL, the completion where rows have one, all
/// tokens of conversations that are not split.
fn sft_tokens(
    config: &RunConfig,
    shape: Shape,
    encoder: &Encoder<'_>,
) -> anyhow::Result<SftTokens> {
    let assistant_only_loss = config.model.assistant_only_loss.unwrap_or(false);
    ensure!(
        !assistant_only_loss || encoder.template.is_conversational(),
        "assistant_only_loss needs a model with a chat template, by which turns are told apart"
    );
    let is_split = shape != Shape::Messages;
    let completion_only_loss = config.model.completion_only_loss.unwrap_or(is_split);
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

/// Every response as a completion of its own.
fn completions(
    source: &Source,
    encoder: &Encoder<'_>,
    tokens: SftTokens,
) -> anyhow::Result<Vec<Example>> {
    let mut examples = Vec::new();
    for group in source.groups(&mut |_| ())? {
        let group = group?;
        for response in &group.responses {
            let id = format!("{}#{}", group.id, response.id);
            let completion = response.beside(&group.prompt);
            let example = Example {
                chosen: encoder
                    .supervised(&group.prompt, &completion, tokens)
                    .with_context(|| format!("in {id}"))?,
                id,
                rejected: None,
                weight: 1.0,
            };
            examples.push(example);
        }
    }
    Ok(examples)
}

/// The chosen completion of each pair.
fn chosen(
    path: &Path,
    config: &RunConfig,
    encoder: &Encoder<'_>,
    tokens: SftTokens,
) -> anyhow::Result<Vec<Example>> {
    let rows = pair_rows(path, config)?;
    rows.iter()
        .map(|row| {
            Ok(Example {
                id: id(row),
                chosen: encoder
                    .supervised(&row.prompt, &row.chosen, tokens)
                    .with_context(|| format!("in {}", id(row)))?,
                rejected: None,
                weight: 1.0,
            })
        })
        .collect()
}

fn pairs(path: &Path, config: &RunConfig, encoder: &Encoder<'_>) -> anyhow::Result<Vec<Example>> {
    let rows = pair_rows(path, config)?;
    let weights = match config.objective().is_weighted() {
        true => pair_weights(path, &rows, config)?,
        false => rows.iter().map(|row| row.weight.unwrap_or(1.0)).collect(),
    };
    let mut examples = Vec::with_capacity(rows.len());
    for (row, weight) in rows.iter().zip(weights) {
        let [chosen, rejected] = encoder
            .pair(&row.prompt, &row.chosen, &row.rejected)
            .with_context(|| format!("in {}", id(row)))?;
        let example = Example {
            id: id(row),
            chosen,
            rejected: Some(rejected),
            weight: weight as f32,
        };
        examples.push(example);
    }
    Ok(examples)
}

fn id(row: &PairRow) -> String {
    format!("{}#{}>{}", row.prompt_id, row.chosen_id, row.rejected_id)
}

/// The pairs of a file, at most `max_pairs` of each prompt.
fn pair_rows(path: &Path, config: &RunConfig) -> anyhow::Result<Vec<PairRow>> {
    let mut rows = Vec::new();
    let mut of_prompt: HashMap<String, usize> = HashMap::new();
    for row in read_pairs(path, &SourceOptions::default())? {
        let row = row?;
        let count = of_prompt.entry(row.prompt_id.clone()).or_default();
        *count += 1;
        if config.model.max_pairs.is_none_or(|most| *count <= most) {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// The weights that the loss reads: the data's own, or made again from its deviations.
fn pair_weights(path: &Path, rows: &[PairRow], config: &RunConfig) -> anyhow::Result<Vec<f64>> {
    let mut chosen = if config.reweighs() {
        let groups = path.with_file_name("groups.parquet");
        ensure!(
            groups.is_file(),
            "weighting, floor, rank and shrinkage make weights anew from the deviations of all responses, \
             which {} would hold; leave them out to use the `weight` column as it is",
            groups.display()
        );
        let made = group_weights(&groups, &config.weighting())?;
        rows.iter()
            .map(|row| {
                made.get(&(row.prompt_id.clone(), row.chosen_id))
                    .copied()
                    .with_context(|| {
                        format!(
                            "{} has no response {} of the prompt {}",
                            groups.display(),
                            row.chosen_id,
                            row.prompt_id
                        )
                    })
            })
            .collect::<anyhow::Result<Vec<f64>>>()?
    } else {
        rows.iter()
            .map(|row| {
                row.weight.with_context(|| {
                    format!(
                        "the pair {} has no `weight`: make weights with `rarebit prepare {}`",
                        id(row),
                        path.display()
                    )
                })
            })
            .collect::<anyhow::Result<Vec<f64>>>()?
    };
    if config.model.renormalise == Some(true) {
        chosen = renormalise(&chosen);
    }
    Ok(chosen)
}

/// A response's id and its raw deviation of each kind.
type ResponseDeviations = (u32, [Option<f64>; Kind::ALL.len()]);

/// The weight of every response by prompt and response id.
fn group_weights(
    path: &Path,
    weighting: &Weighting,
) -> anyhow::Result<HashMap<(String, u32), f64>> {
    let mut groups: Vec<(String, Vec<ResponseDeviations>)> = Vec::new();
    for score in read_group_scores(path)? {
        let score = score?;
        let response = (
            score.response_id,
            [score.deviation_semantic, score.deviation_style],
        );
        match groups
            .last_mut()
            .filter(|(prompt, _)| *prompt == score.prompt_id)
        {
            Some((_, responses)) => responses.push(response),
            None => groups.push((score.prompt_id, vec![response])),
        }
    }
    let mut made = HashMap::new();
    for (prompt, responses) in groups {
        let raw = |kind: Kind| -> anyhow::Result<Vec<f64>> {
            responses
                .iter()
                .map(|(_, deviations)| match deviations[kind as usize] {
                    Some(deviation) if deviation.is_finite() => Ok(deviation),
                    Some(deviation) => bail!(
                        "{} holds {deviation} as a {kind} deviation of the prompt {prompt}: make it again with `rarebit prepare`",
                        path.display()
                    ),
                    None if responses.len() == 1 => Ok(0.0),
                    None => bail!(
                        "{} holds no {kind} deviation of the prompt {prompt}",
                        path.display()
                    ),
                })
                .collect()
        };
        let mut kinds: Vec<Vec<f64>> = weighting
            .kinds
            .as_slice()
            .iter()
            .map(|&kind| raw(kind))
            .collect::<Result<_, _>>()?;
        if kinds.is_empty() {
            kinds.push(vec![0.0; responses.len()]);
        }
        let slices: Vec<&[f64]> = kinds.iter().map(Vec::as_slice).collect();
        for ((response, _), weight) in responses.iter().zip(weights(&slices, weighting)) {
            made.insert((prompt.clone(), *response), weight);
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use rarebit_data::GroupRow;
    use rarebit_data::output::{Compression, Layout, TableWriter};

    use super::*;

    fn groups(deviations: [f64; 3]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("groups.parquet");
        let mut table = TableWriter::create(&path, Compression::None, Layout::Plain).unwrap();
        for (response_id, deviation) in deviations.into_iter().enumerate() {
            let row = GroupRow {
                prompt_id: "a".to_owned(),
                prompt: "Tell.".into(),
                response_id: response_id as u32,
                response: "A tale.".into(),
                score: None,
                transformed_score: None,
                deviation_semantic: Some(deviation),
                deviation_style: Some(deviation),
                normalized_semantic: None,
                normalized_style: None,
                weight: 1.0,
            };
            table.write(row).unwrap();
        }
        table.finish().unwrap().commit().unwrap();
        (folder, path)
    }

    #[test]
    fn weights_are_made_again_from_a_files_deviations() {
        let (_folder, path) = groups([0.2, 0.3, 0.4]);
        let made = group_weights(&path, &Weighting::default()).unwrap();
        let weight = |id| made[&("a".to_owned(), id)];
        assert_eq!(
            [weight(0), weight(1), weight(2)].map(|w| (w * 1e9).round() / 1e9),
            [0.0, 1.0, 2.0]
        );
    }

    #[test]
    fn a_deviation_that_is_no_number_is_an_error_that_names_file_and_prompt() {
        for bad in [f64::NAN, f64::INFINITY] {
            let (_folder, path) = groups([0.2, bad, 0.4]);
            let error = group_weights(&path, &Weighting::default())
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("groups.parquet") && error.contains("prompt a"),
                "{error}"
            );
        }
    }
}
