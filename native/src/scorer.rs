//! Who says how good a response is: a reward model, or the oracle of the tales' world.

use burn::tensor::Device;
use rarebit_data::Group;

use crate::model_folder::ModelFolder;
use crate::reward::{RewardFormat, RewardModel};

/// The name of the tales' oracle, which needs no model.
const TALES: &str = "builtin:tales";

/// A judge of responses.
pub(crate) enum Scorer {
    Model(Box<RewardModel>),
    Tales,
}

impl Scorer {
    /// Opens `builtin:tales`, a reward model's folder, or a Hugging Face id.
    pub(crate) fn open(name: &str, format: RewardFormat, device: &Device) -> anyhow::Result<Self> {
        match name {
            TALES => Ok(Self::Tales),
            _ => Ok(Self::Model(Box::new(RewardModel::open(
                name, format, device,
            )?))),
        }
    }

    /// What changes when the scorer does.
    pub(crate) fn hash(name: &str) -> anyhow::Result<String> {
        match name {
            TALES => Ok(format!("{TALES} {}", env!("CARGO_PKG_VERSION"))),
            _ => ModelFolder::resolve(name)?.hash(),
        }
    }

    /// Gives every response its score.
    pub(crate) fn judge<'g>(
        &self,
        groups: impl Iterator<Item = &'g mut Group>,
    ) -> anyhow::Result<()> {
        match self {
            Self::Model(model) => model.judge_groups(groups),
            Self::Tales => {
                for group in groups {
                    let prompt = group.prompt.flat();
                    for response in &mut group.responses {
                        let reading = rarebit_tales::read(&prompt, &response.text);
                        response.score = Some(f64::from(reading.quality));
                    }
                }
                Ok(())
            }
        }
    }
}
