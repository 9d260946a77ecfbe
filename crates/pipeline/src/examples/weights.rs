//! The weights that a run's loss reads: the data's own, made again from its deviations, or shuffled.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rarebit_data::steps::weigh::shuffle;
use rarebit_data::{GroupScore, read_group_scores};
use rarebit_deviation::{Measurements, Weighting};

use crate::error::{Context as _, Result, ensure};
use crate::settings::run::RunConfig;

/// Where the weights of a file's examples come from.
pub(crate) enum Weights {
    /// The loss reads none; those that the rows have are logged.
    Unread,
    /// The rows have them.
    Given {
        /// The file with the rows.
        path: PathBuf,
    },
    /// They were made of all responses to each prompt, by prompt and response.
    Made {
        /// The `groups.parquet` they were made from.
        path: PathBuf,
        weights: HashMap<(String, u32), f64>,
    },
}

impl Weights {
    /// For the examples of the file `path`.
    pub(crate) fn read(path: &Path, config: &RunConfig) -> Result<Self> {
        if !config.objective().is_weighted() {
            return Ok(Self::Unread);
        }
        let shuffles = config.weights.shuffle_weights;
        if !config.reweighs() && !shuffles {
            let path = path.to_owned();
            return Ok(Self::Given { path });
        }
        let groups = path.with_file_name("groups.parquet");
        ensure!(
            groups.is_file(),
            "weighting, floor, rank, shrinkage, tau, semantic_share, mix and shuffle_weights make weights anew from \
             those of all responses, which {} would hold; leave them out to use the `weight` column as it is",
            groups.display()
        );
        let mut made = Vec::new();
        for (prompt, responses) in read_groups(&groups)? {
            let mut weights = match config.reweighs() {
                true => reweighed(&groups, &prompt, &responses, &config.weighting.weighting())?,
                false => responses.iter().map(|response| response.weight).collect(),
            };
            if shuffles {
                shuffle(&mut weights, config.arguments.seed, &prompt);
            }
            let keys = responses.into_iter().map(|response| response.response_id);
            made.extend(keys.map(|id| (prompt.clone(), id)).zip(weights));
        }
        Ok(Self::Made {
            path: groups,
            weights: made.into_iter().collect(),
        })
    }

    /// The weight of a response, which its row gives as `given`.
    pub(crate) fn of(&self, prompt: &str, response: u32, given: Option<f64>) -> Result<f64> {
        match self {
            Self::Unread => Ok(given.unwrap_or(1.0)),
            Self::Given { path } => given.with_context(|| {
                format!(
                    "the response {response} to the prompt {prompt} has no `weight`: make weights with `rarebit prepare {}`",
                    path.display()
                )
            }),
            Self::Made { path, weights } => {
                let key = (prompt.to_owned(), response);
                weights.get(&key).copied().with_context(|| {
                    format!("{} has no response {response} of the prompt {prompt}", path.display())
                })
            }
        }
    }
}

/// The numbers of each prompt's responses.
fn read_groups(path: &Path) -> Result<Vec<(String, Vec<GroupScore>)>> {
    let mut groups: Vec<(String, Vec<GroupScore>)> = Vec::new();
    for score in read_group_scores(path)? {
        let score = score?;
        match groups
            .last_mut()
            .filter(|(prompt, _)| *prompt == score.prompt_id)
        {
            Some((_, responses)) => responses.push(score),
            None => groups.push((score.prompt_id.clone(), vec![score])),
        }
    }
    Ok(groups)
}

/// The weights of one prompt's responses, recomputed from their measurements.
fn reweighed(
    path: &Path,
    prompt: &str,
    responses: &[GroupScore],
    weighting: &Weighting,
) -> Result<Vec<f64>> {
    let measurements: Vec<Measurements> = responses
        .iter()
        .map(|score| Measurements {
            semantic: score.deviation_semantic,
            style: score.deviation_style,
            novelty: score.novelty,
            surprise: score.surprise,
            quality: score.score,
        })
        .collect();
    weighting.weigh(&measurements).with_context(|| {
        let remedy = match &weighting.mix {
            Some(mix) => format!("`rarebit prepare --mix {mix}` writes what is missing"),
            None => "make the file again with `rarebit prepare`".to_owned(),
        };
        format!("{}, prompt {prompt}: {remedy}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use rarebit_data::GroupRow;
    use rarebit_data::output::{Compression, Layout, TableWriter};
    use toml::Table;

    use super::*;

    fn groups(deviations: [f64; 3]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("groups.parquet");
        let mut table = TableWriter::create(&path, Compression::None, Layout::Plain).unwrap();
        for prompt in ["a", "b"] {
            for (response_id, deviation) in (0..).zip(deviations) {
                let row = GroupRow {
                    prompt_id: prompt.to_owned(),
                    prompt: "Tell.".into(),
                    response_id,
                    response: "A tale.".into(),
                    score: Some(deviation * deviation),
                    transformed_score: None,
                    deviation_semantic: Some(deviation),
                    deviation_style: Some(deviation),
                    normalized_semantic: None,
                    normalized_style: None,
                    novelty: Some(0.5 - deviation),
                    surprise: None,
                    weight: f64::from(response_id) * 0.5 + 0.5,
                };
                table.write(row).unwrap();
            }
        }
        table.finish().unwrap().commit().unwrap();
        (folder, path)
    }

    fn config(extra: &str) -> RunConfig {
        let text = format!(
            "model_name_or_path = 'm'\noutput_dir = 'o'\ndataset_name = 'd'\nobjective = 'ddpo'\n{extra}"
        );
        RunConfig::resolve(None, toml::from_str::<Table>(&text).unwrap()).unwrap()
    }

    fn of_prompt(weights: &Weights, prompt: &str) -> [f64; 3] {
        [0, 1, 2].map(|id| (weights.of(prompt, id, None).unwrap() * 1e9).round() / 1e9)
    }

    #[test]
    fn weights_are_made_again_from_a_files_deviations() {
        let (_folder, path) = groups([0.2, 0.3, 0.4]);
        let made = Weights::read(&path, &config("weighting = 'both'")).unwrap();
        assert_eq!(of_prompt(&made, "a"), [0.0, 1.0, 2.0]);
        let sharp = Weights::read(&path, &config("tau = 2.0")).unwrap();
        assert_eq!(of_prompt(&sharp, "b"), [0.0, 0.6, 2.4]);
        let ones = Weights::read(&path, &config("weighting = 'none'")).unwrap();
        assert_eq!(of_prompt(&ones, "a"), [1.0; 3]);
    }

    #[test]
    fn a_mix_is_made_of_a_files_signals() {
        let (_folder, path) = groups([0.2, 0.3, 0.4]);
        let mixed = |mix: &str| Weights::read(&path, &config(&format!("mix = {{ {mix} }}")));
        // u of the scores, which are the deviations' squares: (0, 5/12, 1).
        let both = of_prompt(&mixed("diversity = 1, quality = 1").unwrap(), "a");
        let sum = 11.0 / 24.0 + 1.0;
        for (found, s) in both.iter().zip([0.0, 11.0 / 24.0, 1.0]) {
            assert!((found - 3.0 * s / sum).abs() < 1e-8, "{both:?}");
        }
        // Novelty falls as deviation rises.
        let opposites = mixed("diversity = 2.0, novelty = 2.0").unwrap();
        assert_eq!(of_prompt(&opposites, "b"), [1.0; 3]);
        let error = mixed("surprise = 1").err().unwrap().chain();
        for part in [
            "groups.parquet",
            "prompt a",
            "--mix surprise=1",
            "no surprise",
        ] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }

    #[test]
    fn shuffled_weights_stay_with_their_prompt() {
        let (_folder, path) = groups([0.2, 0.3, 0.4]);
        let mut elsewhere = 0;
        for seed in 0..20 {
            let config = config(&format!("shuffle_weights = true\nseed = {seed}"));
            let weights = Weights::read(&path, &config).unwrap();
            for prompt in ["a", "b"] {
                let mut found = of_prompt(&weights, prompt);
                elsewhere += usize::from(found != [0.5, 1.0, 1.5]);
                found.sort_by(f64::total_cmp);
                assert_eq!(found, [0.5, 1.0, 1.5]);
            }
        }
        assert!((20..40).contains(&elsewhere), "{elsewhere} of 40");
    }

    #[test]
    fn given_weights_are_asked_for_where_the_loss_reads_them() {
        let given = Weights::read(Path::new("rows.jsonl"), &config("")).unwrap();
        assert_eq!(given.of("a", 0, Some(1.5)).unwrap(), 1.5);
        let error = given.of("a", 7, None).unwrap_err().to_string();
        assert!(
            error.contains("`weight`") && error.contains("rows.jsonl"),
            "{error}"
        );
        assert_eq!(Weights::Unread.of("a", 0, None).unwrap(), 1.0);
    }

    #[test]
    fn a_deviation_that_is_no_number_is_an_error_that_names_file_and_prompt() {
        for bad in [f64::NAN, f64::INFINITY] {
            let (_folder, path) = groups([0.2, bad, 0.4]);
            let error = Weights::read(&path, &config("rank = true")).err().unwrap();
            let error = error.to_string();
            assert!(
                error.contains("groups.parquet") && error.contains("prompt a"),
                "{error}"
            );
        }
    }
}
