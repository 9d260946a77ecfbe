//! Steps 0 to 3, from a source to the prepared folder.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::group::{Group, Pair};
use crate::options::{Pairing, PrepareOptions};
use crate::output::{
    GroupRow, Layout, MadeFolders, OutputFile, PairRow, TableWriter, group_rows, pair_rows,
};
use crate::progress::{Progress, Stage};
use crate::source::{Shape, Source};
use crate::steps::clean::{CountTokens, Dropped, clean, repeats};
use crate::steps::given::{PairCounts, check_given};
use crate::steps::pairs::pairs;
use crate::steps::split::{Split, split};
use crate::steps::surprise::SurpriseModel;
use crate::steps::transform::{ScoreTransform, Transform};
use crate::steps::weigh::{DeviationOver, Embedders, WeighedGroup, Weigher, keep_paired};
use crate::summary::{EmbedderIds, PromptCounts, SourceSummary, SplitCounts, Summary};

/// The file that says what was kept and dropped.
const SUMMARY: &str = "summary.json";

/// Reads `input` and writes `{train,test}/{groups,pairs}.parquet` and `summary.json` into `output`.
///
/// Nothing in `output` changes until everything is written; then the files are renamed to their
/// paths, the summary last. The same input, options and embedders give the same bytes.
///
/// # Errors
/// When the source cannot be read, an option is invalid, an embedder or the surprise model fails, or
/// the output cannot be written.
pub fn prepare(
    input: &Path,
    output: &Path,
    options: &PrepareOptions,
    embedders: Embedders<'_>,
    surprise: Option<&dyn SurpriseModel>,
    count_tokens: Option<&CountTokens<'_>>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Summary, DataError> {
    options.validate()?;
    let mut weigher = Weigher::new(options.weighting, embedders)?
        .by(options.deviation)
        .asking(surprise);
    if let Pairing::Divpo(divpo) = &options.pairs {
        weigher = weigher.drawing(divpo.clone(), options.seed, options.deviation_over)?;
    }
    let source = Source::open(input, &options.source, progress)?;
    let transform = transform(&source, options)?;
    let mut folder = PreparedFolder::create(output, options, transform, Layout::of(&source))?;

    let mut counts = Counts::default();
    let mut groups = source.groups(progress)?;
    let mut weigh = |(done, total)| {
        progress(Progress {
            stage: Stage::Weigh,
            done,
            total,
        });
    };
    weigh(groups.position());
    while let Some(group) = groups.next() {
        let (group, pairs) = counts.steps(group?, options, count_tokens)?;
        for weighed in weigher.push(group, pairs)? {
            counts.keep(&weighed, &mut folder)?;
        }
        weigh(groups.position());
    }
    for weighed in weigher.finish()? {
        counts.keep(&weighed, &mut folder)?;
    }

    let survey = source.survey();
    let summary = Summary {
        version: env!("CARGO_PKG_VERSION"),
        source: SourceSummary {
            file: input
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            shape: survey.shape,
            reading: survey.reading.clone(),
            rows: survey.rows,
            skipped_rows: survey.skipped.clone(),
            responses: survey.responses,
            score_min: survey.score_range.map(|(min, _)| min),
            score_max: survey.score_range.map(|(_, max)| max),
        },
        embedders: EmbedderIds {
            semantic: embedders.semantic.map(|embedder| embedder.id().to_owned()),
            style: embedders.style.map(|embedder| embedder.id().to_owned()),
        },
        surprise_model: surprise.map(|model| model.id().to_owned()),
        prompts: counts.prompts,
        dropped_responses: counts.dropped,
        given_pairs: (survey.shape == Shape::Preference).then_some(counts.given),
        repeated_responses: counts.repeated,
        splits: folder
            .sides
            .iter()
            .map(|side| (side.split, side.counts.summary()))
            .collect(),
        options: options.clone(),
    };
    folder.commit(&summary)?;
    Ok(summary)
}

fn transform(source: &Source, options: &PrepareOptions) -> Result<Option<Transform>, DataError> {
    let survey = source.survey();
    let Some(range) = survey.score_range else {
        if survey.shape == Shape::Preference {
            return Ok(None);
        }
        return Err(DataError::NoScores {
            path: source.path().to_path_buf(),
            columns: survey.column_types.clone(),
            reading: survey.reading.clone(),
        });
    };
    let transform = Transform::new(options.score_transform, range);
    if options.score_transform == ScoreTransform::Reference && transform.is_none() {
        return Err(DataError::Option {
            option: "score-transform",
            value: "reference".to_owned(),
            problem: format!(
                "it takes the logarithm of the lowest score plus 1, and the lowest score is {}; use `correct`",
                range.0
            ),
        });
    }
    Ok(transform)
}

/// What became of prompts and responses.
#[derive(Default)]
struct Counts {
    prompts: PromptCounts,
    dropped: BTreeMap<Dropped, u64>,
    given: PairCounts,
    repeated: u64,
}

impl Counts {
    /// Step 1 on one group, and step 2 where pairs are drawn by score.
    fn steps(
        &mut self,
        mut group: Group,
        options: &PrepareOptions,
        count_tokens: Option<&CountTokens<'_>>,
    ) -> Result<(Group, Vec<Pair>), DataError> {
        self.prompts.read += 1;
        clean(&mut group, &options.clean, count_tokens, &mut |reason| {
            *self.dropped.entry(reason).or_default() += 1;
        })?;
        check_given(&mut group, options.contradicting, &mut self.given);
        self.scores(&group);
        let pairs = match (&options.pairs, &group.pairs) {
            (Pairing::Score(by_score), _) => pairs(&group, by_score, options.seed),
            (Pairing::Divpo(_), Some(given)) => given.clone(),
            // These need deviations.
            (Pairing::Divpo(_), None) => return Ok((group, Vec::new())),
        };
        if options.deviation_over == DeviationOver::Paired {
            keep_paired(&mut group, &pairs);
        }
        Ok((group, pairs))
    }

    /// Counts a group and writes it, if anything is left of it.
    fn keep(&mut self, group: &WeighedGroup, folder: &mut PreparedFolder) -> Result<(), DataError> {
        if group.responses.is_empty() {
            self.prompts.emptied += 1;
            return Ok(());
        }
        let repeated = repeats(group.responses.iter().map(|weighed| &weighed.response));
        self.repeated += repeated;
        self.prompts.all_repeats +=
            u64::from(repeated > 0 && repeated + 1 == group.responses.len() as u64);
        self.prompts.kept += 1;
        self.prompts.alone += u64::from(group.responses.len() == 1);
        self.prompts.without_pairs += u64::from(group.pairs.is_empty());
        folder.write(group)
    }

    fn scores(&mut self, group: &Group) {
        let mut scores = group.responses.iter().filter_map(|response| response.score);
        match (scores.next(), scores.next()) {
            (Some(first), Some(second)) => {
                let tied = first == second && scores.all(|score| score == first);
                self.prompts.all_tied += u64::from(tied);
            }
            _ => self.prompts.without_scores += u64::from(group.responses.len() > 1),
        }
    }
}

/// The files that [`prepare`] writes into a folder.
pub fn prepared_files(folder: &Path, options: &PrepareOptions) -> Vec<PathBuf> {
    let tables = Split::ALL.into_iter().flat_map(|split| {
        let folder = folder.join(split.as_str());
        let tables = formats(options)
            .iter()
            .flat_map(|format| ["groups", "pairs"].map(|table| format!("{table}.{format}")));
        tables.map(move |name| folder.join(name))
    });
    tables.chain([folder.join(SUMMARY)]).collect()
}

/// The endings of the tables' names.
fn formats(options: &PrepareOptions) -> &'static [&'static str] {
    match options.jsonl {
        true => &["parquet", "jsonl"],
        false => &["parquet"],
    }
}

/// The files of a preparation while they are written.
struct PreparedFolder {
    sides: Vec<Side>,
    summary: OutputFile,
    transform: Option<Transform>,
    seed: u64,
    test_size: f64,
    /// Last, so that they outlive the files in them.
    _folders: Vec<MadeFolders>,
}

struct Side {
    split: Split,
    counts: SplitCounts,
    groups: Vec<TableWriter<GroupRow>>,
    pairs: Vec<TableWriter<PairRow>>,
}

impl PreparedFolder {
    fn create(
        output: &Path,
        options: &PrepareOptions,
        transform: Option<Transform>,
        layout: Layout,
    ) -> Result<Self, DataError> {
        let make = |folder: &Path| {
            MadeFolders::create(folder).map_err(|source| DataError::write(folder, source))
        };
        let outer = make(output)?;
        let inner = Split::ALL.map(|split| make(&output.join(split.as_str())));
        let mut folders = inner.into_iter().collect::<Result<Vec<_>, _>>()?;
        folders.push(outer);
        let summary = OutputFile::create(&output.join(SUMMARY))?;
        let mut sides = Vec::new();
        for split in Split::ALL {
            let folder = output.join(split.as_str());
            let (mut groups, mut pairs) = (Vec::new(), Vec::new());
            for format in formats(options) {
                let path = |table| folder.join(format!("{table}.{format}"));
                let compression = options.compression;
                groups.push(TableWriter::create(&path("groups"), compression, layout)?);
                pairs.push(TableWriter::create(&path("pairs"), compression, layout)?);
            }
            sides.push(Side {
                split,
                counts: SplitCounts::default(),
                groups,
                pairs,
            });
        }
        Ok(Self {
            sides,
            summary,
            transform,
            seed: options.seed,
            test_size: options.test_size,
            _folders: folders,
        })
    }

    fn write(&mut self, group: &WeighedGroup) -> Result<(), DataError> {
        let split = split(&group.prompt.flat(), self.seed, self.test_size);
        let Some(side) = self.sides.iter_mut().find(|side| side.split == split) else {
            return Ok(());
        };
        side.counts.add(group);
        for table in &mut side.groups {
            group_rows(group, self.transform.as_ref()).try_for_each(|row| table.write(row))?;
        }
        for table in &mut side.pairs {
            pair_rows(group).try_for_each(|row| table.write(row))?;
        }
        Ok(())
    }

    fn commit(self, summary: &Summary) -> Result<(), DataError> {
        let mut files = Vec::new();
        for side in self.sides {
            for table in side.groups {
                files.push(table.finish()?);
            }
            for table in side.pairs {
                files.push(table.finish()?);
            }
        }
        let mut file = self.summary;
        let json = serde_json::to_string_pretty(summary)
            .map_err(|error| DataError::write(file.path(), error.into()))?;
        writeln!(file, "{json}").map_err(|source| DataError::write(file.path(), source))?;
        file.finish()?;
        files.push(file);
        files.into_iter().try_for_each(OutputFile::commit)
    }
}
