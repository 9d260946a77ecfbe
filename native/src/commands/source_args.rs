//! Arguments shared by the commands that read responses and weigh them.

use std::path::Path;

use anyhow::Context;
use rarebit_data::SourceOptions;
use rarebit_data::steps::weigh::Embedders;
use rarebit_deviation::{Embedder, Measure, Weighting};
use rarebit_pipeline::model::surprise::Perplexity;
use rarebit_pipeline::settings::columns::ColumnSettings;
use rarebit_pipeline::settings::embedders::EmbedderSettings;
use rarebit_pipeline::settings::named;
use rarebit_pipeline::settings::weighting::WeightingSettings;

use crate::global::Global;

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
    columns: ColumnSettings,
}

impl SourceArgs {
    /// `spool_folder` is where scattered rows are gathered.
    pub(crate) fn options(&self, strip_tag: bool, spool_folder: Option<&Path>) -> SourceOptions {
        SourceOptions {
            skip_bad: self.skip_bad,
            max_line_bytes: self.max_line_bytes,
            strip_tag,
            spool_folder: spool_folder.map(Path::to_path_buf),
            ..self.columns.options()
        }
    }
}

/// How deviation is measured and becomes a weight
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Deviation and weights")]
pub(crate) struct WeightingArgs {
    #[command(flatten)]
    embedders: EmbedderSettings,
    /// How deviation is measured: by the mean distance to the other responses, by the distance to
    /// the nearest, or by what a response adds to the log-determinant of the similarities
    #[arg(long, default_value = "mean", value_parser = named::<Measure>(&["mean", "nearest", "logdet"]))]
    deviation: Measure,
    #[command(flatten)]
    weighting: WeightingSettings,
    /// The language model, a folder or a Hugging Face id, whose perplexity of each response given its
    /// prompt becomes the column `surprise`; usually the model that training starts from
    #[arg(long, value_name = "MODEL")]
    surprise_model: Option<String>,
}

impl WeightingArgs {
    pub(crate) fn weighting(&self) -> Weighting {
        self.weighting.weighting()
    }

    pub(crate) fn measure(&self) -> Measure {
        self.deviation
    }

    /// The files that embedders are read from.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.embedders.files()
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
            semantic: load("semantic", &self.embedders.semantic)?,
            style: load("style", &self.embedders.style)?,
        })
    }

    /// Opens the model that is asked how surprising responses are, if one is named.
    pub(crate) fn surprise(&self, global: &Global) -> anyhow::Result<Option<Perplexity>> {
        let Some(name) = &self.surprise_model else {
            return Ok(None);
        };
        Ok(Some(Perplexity::open(name, &global.session()?)?))
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
