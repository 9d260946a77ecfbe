//! Arguments shared by the commands that read responses and weigh them.

use std::cell::RefCell;
use std::path::Path;

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rarebit_data::steps::weigh::Embedders;
use rarebit_data::{Columns, SourceOptions};
use rarebit_deviation::{Embedder, Kinds, Measure, Mix, Weighting};
use serde::de::DeserializeOwned;

use super::Global;
use crate::progress;
use crate::surprise::Perplexity;

/// How a source of responses is read
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct SourceArgs {
    /// Count and skip rows that cannot be used instead of stopping at the first
    #[arg(long)]
    skip_bad: bool,
    /// The longest line, or CSV record, to read
    #[arg(long, value_name = "BYTES", default_value_t = rarebit_data::source::DEFAULT_MAX_LINE_BYTES)]
    max_line_bytes: usize,
    #[command(flatten)]
    columns: ColumnArgs,
}

/// Which column holds what
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Columns")]
struct ColumnArgs {
    /// The prompt: text, or a list of messages
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().prompt)]
    prompt_column: String,
    /// An id of the prompt, where the source has one
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().prompt_id)]
    prompt_id_column: String,
    /// One response per row
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().response)]
    response_column: String,
    /// One response per row, as TRL calls it
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().completion)]
    completion_column: String,
    /// The conversation in rows of messages
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().messages)]
    messages_column: String,
    /// The list of responses in grouped rows
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().responses)]
    responses_column: String,
    /// The score of a response
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().score)]
    score_column: String,
    /// The preferred response in preference rows
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().chosen)]
    chosen_column: String,
    /// The other response in preference rows
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().rejected)]
    rejected_column: String,
    /// The score of the preferred response
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().score_chosen)]
    score_chosen_column: String,
    /// The score of the other response
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().score_rejected)]
    score_rejected_column: String,
    /// The title of a post
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().title)]
    title_column: String,
    /// The text of a post
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().text)]
    text_column: String,
    /// The list of comments under a post
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().comments)]
    comments_column: String,
    /// The list of their votes
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().comment_scores)]
    comment_scores_column: String,
    /// The list of generated texts
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().generations)]
    generations_column: String,
    /// The list of their scores
    #[arg(long, value_name = "NAME", default_value_t = Columns::default().generation_scores)]
    generation_scores_column: String,
}

impl SourceArgs {
    /// `spool_folder` is where rows that stand apart are brought together.
    pub(crate) fn options(&self, strip_tag: bool, spool_folder: Option<&Path>) -> SourceOptions {
        let columns = self.columns.clone();
        SourceOptions {
            columns: Columns {
                prompt: columns.prompt_column,
                prompt_id: columns.prompt_id_column,
                response: columns.response_column,
                completion: columns.completion_column,
                messages: columns.messages_column,
                responses: columns.responses_column,
                score: columns.score_column,
                chosen: columns.chosen_column,
                rejected: columns.rejected_column,
                score_chosen: columns.score_chosen_column,
                score_rejected: columns.score_rejected_column,
                title: columns.title_column,
                text: columns.text_column,
                comments: columns.comments_column,
                comment_scores: columns.comment_scores_column,
                generations: columns.generations_column,
                generation_scores: columns.generation_scores_column,
                ..Columns::default()
            },
            skip_bad: self.skip_bad,
            max_line_bytes: self.max_line_bytes,
            strip_tag,
            spool_folder: spool_folder.map(Path::to_path_buf),
        }
    }
}

/// How deviation is measured and becomes a weight
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Deviation and weights")]
pub(crate) struct WeightingArgs {
    /// Embedder of what is told: builtin:lexical, a sentence-transformers folder, a Hugging Face
    /// id, vectors:FILE with {text, embedding} on each line, or none. Settings may follow a folder
    /// or id: ,prompt-name=NAME ,task=NAME ,truncate-dim=N
    #[arg(
        long,
        value_name = "EMBEDDER",
        default_value = "sentence-transformers/all-MiniLM-L6-v2"
    )]
    semantic: String,
    /// Embedder of how it is told: builtin:style, a sentence-transformers folder, a Hugging Face
    /// id, vectors:FILE, or none
    #[arg(long, value_name = "EMBEDDER", default_value = "builtin:style")]
    style: String,
    /// What is far: by the mean distance to the other responses, by the distance to the nearest, or
    /// by what a response adds to the log-determinant of their similarities
    #[arg(long, default_value = "mean", value_parser = named::<Measure>(&["mean", "nearest", "logdet"]))]
    deviation: Measure,
    /// The kinds of deviation that the weights follow
    #[arg(long, default_value = "both", value_parser = named::<Kinds>(&["semantic", "style", "both", "none"]))]
    weighting: Kinds,
    /// The least mixed score of a response before the mean is taken, from 0 to 1; without it the
    /// least deviating response of each prompt has weight 0 (the reference code's floor is 0.1)
    #[arg(long, value_name = "SCORE")]
    floor: Option<f64>,
    /// Weigh by the rank of a deviation instead of its min-max
    #[arg(long)]
    rank: bool,
    /// Pull weights towards 1: w becomes 1 + (w - 1) n / (n + KAPPA)
    #[arg(long, value_name = "KAPPA")]
    shrinkage: Option<f64>,
    /// Raise weights to this power and scale them to mean 1 again: below 1 they are more alike,
    /// above 1 less, 0 makes all of them 1
    #[arg(long)]
    tau: Option<f64>,
    /// Mix both kinds as semantic^SHARE style^(1 - SHARE) [default: 0.5]
    #[arg(long, value_name = "SHARE")]
    semantic_share: Option<f64>,
    /// Weigh by a sum of signals, each spread over 0 to 1 within its prompt, as CrPO does:
    /// diversity=1,novelty=1,surprise=0.5,quality=1. diversity is the deviation, novelty how
    /// otherwise the words of a response lie apart than all, surprise the column `surprise` or that of
    /// --surprise-model, quality the score
    #[arg(long, value_name = "SIGNAL=LAMBDA,..")]
    mix: Option<Mix>,
    /// The language model, a folder or a Hugging Face id, whose perplexity of each response given its
    /// prompt becomes the column `surprise`; as a rule the model that training starts from
    #[arg(long, value_name = "MODEL")]
    surprise_model: Option<String>,
}

impl WeightingArgs {
    pub(crate) fn weighting(&self) -> Weighting {
        Weighting {
            kinds: self.weighting,
            floor: self.floor,
            rank: self.rank,
            shrinkage: self.shrinkage,
            tau: self.tau,
            semantic_share: self.semantic_share,
            mix: self.mix,
        }
    }

    pub(crate) fn measure(&self) -> Measure {
        self.deviation
    }

    /// Makes the embedders that are asked for.
    pub(crate) fn embedders(&self, global: &Global) -> anyhow::Result<LoadedEmbedders> {
        let load = |flag: &str, name: &str| match name {
            "none" => Ok(None),
            _ => global
                .embedder(name)
                .map(Some)
                .with_context(|| format!("cannot load the embedder of --{flag} {name}")),
        };
        Ok(LoadedEmbedders {
            semantic: load("semantic", &self.semantic)?,
            style: load("style", &self.style)?,
        })
    }

    /// Opens the model that is asked how surprising responses are, if one is named.
    pub(crate) fn surprise<'a>(
        &self,
        global: &Global,
        progress: &'a dyn Fn(usize, usize),
    ) -> anyhow::Result<Option<Perplexity<'a>>> {
        let Some(name) = &self.surprise_model else {
            return Ok(None);
        };
        Perplexity::open(name, &global.open_device()?, progress).map(Some)
    }
}

/// The embedders of a run.
pub(crate) struct LoadedEmbedders {
    semantic: Option<Box<dyn Embedder>>,
    style: Option<Box<dyn Embedder>>,
}

impl LoadedEmbedders {
    pub(crate) fn as_ref(&self) -> Embedders<'_> {
        Embedders {
            semantic: self.semantic.as_deref(),
            style: self.style.as_deref(),
        }
    }
}

/// A value whose names are those of its serialised form.
pub(crate) fn named<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names)
        .try_map(|name| serde_json::from_value(serde_json::Value::String(name)))
}

/// A bar per stage of the library's progress.
#[derive(Default)]
pub(crate) struct Bars {
    stage: RefCell<Option<(rarebit_data::Stage, progress::Progress)>>,
}

impl Bars {
    pub(crate) fn show(&self, step: rarebit_data::Progress) {
        let mut stage = self.stage.borrow_mut();
        let same = stage
            .as_ref()
            .is_some_and(|(stage, _)| *stage == step.stage);
        if !same {
            // The old bar goes before the new one comes.
            *stage = None;
            *stage = Some((step.stage, progress::bar(step.total, step.stage.as_str())));
        }
        if let Some((_, bar)) = &*stage {
            bar.set_message("");
            bar.set_position(step.done);
        }
    }

    /// Says behind the bar what a step spends its time with.
    pub(crate) fn tell(&self, details: &str) {
        if let Some((_, bar)) = &*self.stage.borrow() {
            bar.set_message(details);
            bar.inc(0);
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        *self.stage.borrow_mut() = None;
    }
}
