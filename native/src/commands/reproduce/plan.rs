//! The plan: the systems, what each learns from, and the sizes of everything.

use std::fmt;

use rarebit_data::steps::divpo::DivpoOptions;
use rarebit_data::steps::pairs::PairOptions;
use rarebit_data::steps::weigh::DeviationOver;
use rarebit_data::{Pairing, PrepareOptions};
use rarebit_deviation::Kinds;
use rarebit_pipeline::settings::objective::ObjectiveName;
use rarebit_pipeline::settings::run::RunConfig;
use serde::Serialize;

use crate::tale_world::{DPO, GOLD, ORPO, SFT};

/// A system under comparison.
#[derive(Debug)]
pub(super) struct System {
    pub(super) name: &'static str,
    /// A short description for the report.
    pub(super) about: &'static str,
    /// `None` for the world's own tales.
    pub(super) training: Option<Training>,
}

/// How a system is trained.
#[derive(Debug)]
pub(super) struct Training {
    pub(super) start: Start,
    pub(super) recipe: &'static str,
    pub(super) data: Data,
    /// What differs from the recipe.
    pub(super) change: Change,
}

/// The model that a training starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Base,
    Sft,
}

/// The pairs that a training learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Data {
    /// Pairs of all responses.
    All,
    /// Two pairs of each prompt, and deviation over their four responses.
    Four,
    /// The same with the two best-scored pairs.
    FourBest,
    /// Two pairs of each prompt, chosen by score and deviation.
    DivPo,
}

/// How a training differs from its recipe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// The weighted objective and the kinds of deviation that its weights follow.
    weights: Option<(ObjectiveName, Kinds)>,
    floor: Option<f64>,
    shuffle: bool,
}

impl Change {
    /// The recipe as it is.
    const NONE: Self = Self {
        weights: None,
        floor: None,
        shuffle: false,
    };
    /// The paper's ablation with a floor.
    const FLOOR: Self = Self {
        floor: Some(0.1),
        ..Self::ddpo(Kinds::Both)
    };
    /// The control with weights that belong to other responses.
    const SHUFFLED: Self = Self {
        shuffle: true,
        ..Self::ddpo(Kinds::Both)
    };

    const fn ddpo(kinds: Kinds) -> Self {
        Self {
            weights: Some((ObjectiveName::Ddpo, kinds)),
            ..Self::NONE
        }
    }

    const fn dorpo(kinds: Kinds) -> Self {
        Self {
            weights: Some((ObjectiveName::Dorpo, kinds)),
            ..Self::NONE
        }
    }

    /// Changes a recipe.
    pub(super) fn apply(self, config: &mut RunConfig) {
        if let Some((objective, kinds)) = self.weights {
            config.set_objective(objective);
            config.weighting.weighting = Some(kinds);
        }
        config.weighting.floor = self.floor;
        config.weights.shuffle_weights = self.shuffle;
    }
}

/// Every system, in the order of the story.
pub(super) static SYSTEMS: [System; 19] = [
    System {
        name: GOLD,
        about: "the world's own tales",
        training: None,
    },
    trained(
        "sft",
        "fine-tuned on all tales",
        Start::Base,
        SFT,
        Data::All,
        Change::NONE,
    ),
    from_sft("dpo", "no weights", Data::All, Change::NONE),
    from_sft(
        "ddpo-sem",
        "weights by semantic deviation",
        Data::All,
        Change::ddpo(Kinds::Semantic),
    ),
    from_sft(
        "ddpo-style",
        "weights by style deviation",
        Data::All,
        Change::ddpo(Kinds::Style),
    ),
    from_sft(
        "ddpo-both",
        "weights by both",
        Data::All,
        Change::ddpo(Kinds::Both),
    ),
    from_sft(
        "ddpo-ones",
        "control: ddpo with every weight 1",
        Data::All,
        Change::ddpo(Kinds::None),
    ),
    from_sft(
        "ddpo-shuffled",
        "control: the weights of ddpo-both, shuffled within each prompt",
        Data::All,
        Change::SHUFFLED,
    ),
    from_sft(
        "divpo",
        "pairs selected by deviation, no weights",
        Data::DivPo,
        Change::NONE,
    ),
    from_sft(
        "ddpo-both-divpo",
        "DivPO's pairs, weights by both",
        Data::DivPo,
        Change::ddpo(Kinds::Both),
    ),
    from_base("orpo", "no weights", Change::NONE),
    from_base(
        "dorpo-sem",
        "weights by semantic deviation",
        Change::dorpo(Kinds::Semantic),
    ),
    from_base(
        "dorpo-style",
        "weights by style deviation",
        Change::dorpo(Kinds::Style),
    ),
    from_base("dorpo-both", "weights by both", Change::dorpo(Kinds::Both)),
    from_sft(
        "dpo-4",
        "4 responses per prompt, no weights",
        Data::Four,
        Change::NONE,
    ),
    from_sft(
        "ddpo-both-4",
        "4 responses per prompt",
        Data::Four,
        Change::ddpo(Kinds::Both),
    ),
    from_sft(
        "ddpo-both-4-floor",
        "4 responses per prompt, no weight of 0",
        Data::Four,
        Change::FLOOR,
    ),
    from_sft(
        "dpo-4-best",
        "the best-scored pairs of 4 responses per prompt, no weights",
        Data::FourBest,
        Change::NONE,
    ),
    from_sft(
        "ddpo-both-4-best",
        "the best-scored pairs of 4 responses per prompt",
        Data::FourBest,
        Change::ddpo(Kinds::Both),
    ),
];

const fn trained(
    name: &'static str,
    about: &'static str,
    start: Start,
    recipe: &'static str,
    data: Data,
    change: Change,
) -> System {
    System {
        name,
        about,
        training: Some(Training {
            start,
            recipe,
            data,
            change,
        }),
    }
}

const fn from_sft(name: &'static str, about: &'static str, data: Data, change: Change) -> System {
    trained(name, about, Start::Sft, DPO, data, change)
}

const fn from_base(name: &'static str, about: &'static str, change: Change) -> System {
    trained(name, about, Start::Base, ORPO, Data::All, change)
}

/// The sizes of everything.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Settings {
    pub(super) seeds: Vec<u64>,
    /// Prompts to train on; [`MORE_PROMPTS`] times as many with four responses to each.
    pub(super) train_prompts: usize,
    /// Tales to each of them.
    pub(super) responses: usize,
    /// Held-out prompts to write to.
    pub(super) test_prompts: usize,
    /// Samples to each of them.
    pub(super) samples: usize,
    /// Steps of supervised fine-tuning.
    pub(super) sft_steps: u64,
    /// Steps of every other training.
    pub(super) steps: u64,
    /// Steps of the reward model.
    pub(super) reward_steps: u64,
    /// Bootstrap resamples.
    pub(super) resamples: usize,
}

/// With two pairs of each prompt instead of six, this many times the prompts give as many pairs: few
/// responses per prompt should not mean fewer pairs.
pub(super) const MORE_PROMPTS: usize = 3;

impl Data {
    /// Whether it uses [`MORE_PROMPTS`].
    pub(super) fn takes_more_prompts(self) -> bool {
        self != Self::All
    }

    /// How it is prepared.
    pub(super) fn options(self, seed: u64) -> PrepareOptions {
        let defaults = PrepareOptions {
            seed,
            ..PrepareOptions::default()
        };
        match self {
            Self::All => defaults,
            Self::DivPo => PrepareOptions {
                pairs: Pairing::Divpo(DivpoOptions::default()),
                ..defaults
            },
            Self::Four | Self::FourBest => PrepareOptions {
                pairs: Pairing::Score(PairOptions {
                    max_pairs: Some(2),
                    best_first: self == Self::FourBest,
                    ..PairOptions::default()
                }),
                deviation_over: DeviationOver::Paired,
                ..defaults
            },
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all responses",
            Self::Four => "four responses",
            Self::FourBest => "four responses, best pairs",
            Self::DivPo => "DivPO",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;
    use crate::tale_world;

    #[test]
    fn every_system_has_a_name_of_its_own_and_settings_that_resolve() {
        let mut names = HashSet::new();
        for system in &SYSTEMS {
            assert!(names.insert(system.name), "{}", system.name);
            let Some(training) = &system.training else {
                continue;
            };
            let mut config =
                tale_world::recipe(training.recipe, Path::new("m"), Path::new("o"), 1).unwrap();
            training.change.apply(&mut config);
            let resolved = config.to_toml().expect(system.name);
            assert_eq!(RunConfig::from_toml(&resolved).expect(system.name), config);
        }
    }
}
