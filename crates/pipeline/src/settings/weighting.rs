//! How deviation becomes a weight.

use rarebit_deviation::{Kinds, Mix, Weighting};
use serde::{Deserialize, Serialize};

use super::{is_off, named};

/// How deviations become weights: see [`Weighting`] for the formulas.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Weighting")]
pub struct WeightingSettings {
    /// The kinds of deviation that the weights follow [default: both; train: the data's weights]
    #[arg(long, value_name = "KINDS", value_parser = named::<Kinds>(&["semantic", "style", "both", "none"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weighting: Option<Kinds>,
    /// Raise each response's mixed deviation (0 to 1) to at least this before it becomes a weight.
    /// Without it, the least deviating response of each prompt has weight 0; the paper's code uses
    /// 0.1
    #[arg(long, value_name = "SCORE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// Weight by the rank of a deviation within its prompt instead of by its place between the
    /// smallest and the largest
    #[arg(long, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    #[serde(skip_serializing_if = "is_off")]
    pub rank: bool,
    /// Pull weights towards 1: w becomes 1 + (w - 1) n / (n + KAPPA)
    #[arg(long, value_name = "KAPPA")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shrinkage: Option<f64>,
    /// Raise weights to this power and rescale them to mean 1: above 1 sharpens, below 1 flattens,
    /// 0 makes all of them 1
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tau: Option<f64>,
    /// Mix both kinds as semantic^SHARE style^(1 - SHARE); without it, by the geometric mean
    #[arg(long, value_name = "SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semantic_share: Option<f64>,
    /// Weight by a sum of signals, each scaled to 0..1 within its prompt, as CrPO does:
    /// diversity=1,novelty=1,surprise=0.5,quality=1. diversity is the deviation, novelty how unusual
    /// a response's word distances are, surprise its perplexity (the column `surprise`, see
    /// `rarebit prepare --surprise-model`), quality its score
    #[arg(long, value_name = "SIGNAL=LAMBDA,..")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
}

impl WeightingSettings {
    /// The weighting that is asked for.
    pub fn weighting(&self) -> Weighting {
        Weighting {
            kinds: self.weighting.unwrap_or_default(),
            floor: self.floor,
            rank: self.rank,
            shrinkage: self.shrinkage,
            tau: self.tau,
            semantic_share: self.semantic_share,
            mix: self.mix,
        }
    }

    /// Whether anything is asked for.
    pub fn is_set(&self) -> bool {
        *self != Self::default()
    }
}

/// What training does with the weights that it reads.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Weighting")]
pub struct WeightUse {
    /// Shuffle the weights among each prompt's responses, as a control for whether deviation is
    /// what helps
    #[arg(long, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    #[serde(skip_serializing_if = "is_off")]
    pub shuffle_weights: bool,
    /// Rescale the weights that the loss reads (for pairs, the chosen responses') to mean 1
    #[arg(long, num_args = 0..=1, default_value = "false", default_missing_value = "true", action = clap::ArgAction::Set)]
    #[serde(skip_serializing_if = "is_off")]
    pub renormalise: bool,
}
