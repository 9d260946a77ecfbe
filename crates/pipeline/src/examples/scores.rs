//! From any source of responses to the scores that a reward model learns or is measured by.

use std::path::Path;

use rarebit_data::steps::clean::{CleanOptions, clean};
use rarebit_data::steps::split::{Split, split};
use rarebit_data::steps::transform::{ScoreTransform, Transform};
use rarebit_data::{Group, Source, SourceOptions};
use rarebit_train::ScoredExample;

use crate::error::{Context as _, Result, ensure};
use crate::event::{Events, Stage};
use crate::model::reward::RewardReader;
use crate::settings::reward::RewardConfig;

/// The column of `groups.parquet` that holds scores on the scale of a reward model.
const TRANSFORMED: &str = "transformed_score";

/// Which scores of a source are meant.
#[derive(Clone, Debug, Default)]
pub struct ScoreReading {
    /// Their column; by default the one that `rarebit prepare` writes for reward models where it is
    /// there, else the source's own.
    pub column: Option<String>,
    /// What becomes of scores that `rarebit prepare` has not transformed already.
    pub transform: ScoreTransform,
    /// The lowest and the highest score that there are; by default those of the source.
    pub range: Option<(f64, f64)>,
}

/// Responses with scores on the scale of a reward model.
pub struct ScoredGroups {
    /// The responses that have a score, by prompt.
    pub groups: Vec<Group>,
    /// The range that scores were transformed over, where they were.
    pub range: Option<(f64, f64)>,
}

impl ScoreReading {
    /// Reads the responses that have a score. Bot comments and empty responses are left out, as by
    /// `rarebit prepare`.
    ///
    /// # Errors
    /// When the file cannot be read, or no response has a score.
    pub fn read(&self, path: &Path, events: &Events) -> Result<ScoredGroups> {
        let read = || self.read_source(path, events);
        read().with_context(|| format!("cannot read the scores in {}", path.display()))
    }

    fn read_source(&self, path: &Path, events: &Events) -> Result<ScoredGroups> {
        let work = events.begin(Stage::Scores, None);
        let mut options = SourceOptions::default();
        let mut source = Source::open(path, &options, &mut |_| ())?;
        let has_transformed = || {
            source
                .survey()
                .columns
                .iter()
                .any(|name| name == TRANSFORMED)
        };
        let column = match &self.column {
            Some(column) => Some(column.as_str()),
            None => has_transformed().then_some(TRANSFORMED),
        };
        if let Some(column) = column {
            options.columns.score = column.to_owned();
            source = Source::open(path, &options, &mut |_| ())?;
        }
        let found = source.survey().score_range.with_context(|| {
            format!(
                "no response has a score in `{}`: name the column with --score-column",
                options.columns.score
            )
        })?;
        let range = match options.columns.score == TRANSFORMED {
            true => None,
            false => Some(self.range.unwrap_or(found)),
        };
        let transform = match range {
            Some(range) if self.transform != ScoreTransform::None => {
                let transform = Transform::new(self.transform, range);
                Some((
                    transform.with_context(|| {
                        format!(
                            "the reference's transform takes the logarithm of the lowest score plus 1, and \
                             the lowest score is {}: use `correct`",
                            range.0
                        )
                    })?,
                    range,
                ))
            }
            _ => None,
        };
        let (mut groups, mut responses) = (Vec::new(), 0);
        for group in source.groups(&mut |_| ())? {
            let mut group = group?;
            clean(&mut group, &CleanOptions::default(), None, &mut |_| ())?;
            group.responses.retain(|response| response.score.is_some());
            if let Some((transform, (low, high))) = &transform {
                for response in &mut group.responses {
                    // Outside its range the transform has no meaning.
                    let score = response.score.map(|score| score.clamp(*low, *high));
                    response.score = score.map(|score| transform.apply(score));
                }
            }
            if !group.responses.is_empty() {
                responses += group.responses.len();
                groups.push(group);
            }
        }
        work.finish(&format!(
            "{}: {} prompts, {responses} responses with a score",
            path.display(),
            groups.len()
        ));
        Ok(ScoredGroups {
            groups,
            range: transform.and(range),
        })
    }
}

/// Responses to learn from and to be judged by.
pub(crate) struct RewardData {
    pub(crate) train: Vec<Group>,
    pub(crate) eval: Vec<Group>,
}

/// Reads what the configuration names.
pub(crate) fn read(config: &RewardConfig, events: &Events) -> Result<RewardData> {
    let model = &config.model;
    let of = &config.scores;
    let file = |folder: &Path, split: &str| folder.join(split).join("groups.parquet");
    let (train_file, eval_file) = match (&model.dataset_name, &model.train_file) {
        (Some(folder), _) => (
            file(folder, "train"),
            model
                .eval_file
                .clone()
                .or_else(|| Some(file(folder, "test")).filter(|file| file.is_file())),
        ),
        (None, file) => (file.clone().unwrap_or_default(), model.eval_file.clone()),
    };
    let mut reading = ScoreReading {
        column: of.score_column.clone(),
        transform: of.score_transform,
        range: None,
    };
    let scored = reading.read(&train_file, events)?;
    let mut data = RewardData {
        train: scored.groups,
        eval: Vec::new(),
    };
    match (eval_file, of.test_size) {
        (Some(file), _) => {
            reading.range = scored.range;
            data.eval = reading.read(&file, events)?.groups;
        }
        (None, Some(share)) => {
            let seed = config.arguments.seed;
            (data.train, data.eval) = std::mem::take(&mut data.train)
                .into_iter()
                .partition(|group| split(&group.prompt.flat(), seed, share) == Split::Train);
        }
        (None, None) => {}
    }
    ensure!(
        !data.train.is_empty(),
        "{} holds no response with a score to learn from",
        train_file.display()
    );
    Ok(data)
}

/// Groups as examples; those with more than `max_length` tokens lose their end.
pub(crate) fn examples(
    groups: &[Group],
    reader: &RewardReader,
    max_length: usize,
    events: &Events,
) -> Result<Vec<ScoredExample>> {
    let (mut examples, mut long) = (Vec::new(), 0);
    for group in groups {
        let prompt = group.prompt.flat();
        for response in &group.responses {
            let id = format!("{}#{}", group.id, response.id);
            let mut ids = reader
                .encode(&prompt, &response.text)
                .with_context(|| format!("in {id}"))?;
            long += usize::from(ids.len() > max_length);
            ids.truncate(max_length);
            if let Some(score) = response.score {
                let score = score as f32;
                examples.push(ScoredExample { id, ids, score });
            }
        }
    }
    if long > 0 {
        events.note(&format!(
            "{long} of {} responses are truncated: with the prompt they have more than {max_length} tokens",
            examples.len()
        ));
    }
    Ok(examples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(rows: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.jsonl");
        std::fs::write(&path, rows).expect("rows");
        (folder, path)
    }

    fn scores(groups: &[Group]) -> Vec<f64> {
        let responses = groups.iter().flat_map(|group| &group.responses);
        responses.filter_map(|response| response.score).collect()
    }

    #[test]
    fn votes_are_transformed_over_the_range_of_their_source_or_another() {
        let (_folder, path) = file(
            "{\"prompt\":\"p\",\"response\":\"a\",\"score\":1}\n\
             {\"prompt\":\"p\",\"response\":\"b\",\"score\":20000}\n\
             {\"prompt\":\"q\",\"response\":\"c\"}\n\
             {\"prompt\":\"q\",\"response\":\"\",\"score\":9}\n",
        );
        let found = ScoreReading::default()
            .read(&path, &Events::default())
            .expect("scores");
        assert_eq!(found.range, Some((1.0, 20_000.0)));
        assert_eq!(found.groups.len(), 1);
        let expected = [-1.0, 1.0];
        for (found, expected) in scores(&found.groups).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found}");
        }
        let narrower = ScoreReading {
            range: Some((1.0, 10.0)),
            ..ScoreReading::default()
        };
        let found = scores(
            &narrower
                .read(&path, &Events::default())
                .expect("scores")
                .groups,
        );
        assert!((found[1] - 1.0).abs() < 1e-9, "{found:?}");
        let plain = ScoreReading {
            transform: ScoreTransform::None,
            ..ScoreReading::default()
        };
        let found = plain.read(&path, &Events::default()).expect("scores");
        assert_eq!(
            (scores(&found.groups), found.range),
            (vec![1.0, 20_000.0], None)
        );
    }

    #[test]
    fn a_transformed_column_is_taken_as_it_is() {
        let (_folder, path) =
            file("{\"prompt\":\"p\",\"response\":\"a\",\"score\":7,\"transformed_score\":-0.5}\n");
        let found = ScoreReading::default()
            .read(&path, &Events::default())
            .expect("scores");
        assert_eq!(scores(&found.groups), [-0.5]);
        let votes = ScoreReading {
            column: Some("score".to_owned()),
            transform: ScoreTransform::None,
            range: None,
        };
        assert_eq!(
            scores(
                &votes
                    .read(&path, &Events::default())
                    .expect("scores")
                    .groups
            ),
            [7.0]
        );
        let none = ScoreReading {
            column: Some("votes".to_owned()),
            ..ScoreReading::default()
        };
        let error = none
            .read(&path, &Events::default())
            .err()
            .expect("no scores")
            .chain();
        assert!(
            error.contains("\"votes\"") && error.contains("rows.jsonl"),
            "{error}"
        );
    }
}
