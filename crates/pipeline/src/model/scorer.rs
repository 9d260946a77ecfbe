//! Who says how good a response is: a reward model, or the oracle of the tales' world.

use rarebit_data::Group;

use crate::error::Result;
use crate::model::folder::ModelFolder;
use crate::model::reward::{RewardFormat, RewardModel};
use crate::session::Session;

/// The name of the tales' oracle, which needs no model.
const TALES: &str = "builtin:tales";

/// A judge of responses.
pub enum Scorer {
    /// A reward model.
    Model(Box<RewardModel>),
    /// The oracle of the tales' world.
    Tales,
}

impl Scorer {
    /// Opens `builtin:tales`, or a reward model by its name.
    ///
    /// # Errors
    /// As for [`RewardModel::open`].
    pub fn open(name: &str, format: RewardFormat, session: &Session) -> Result<Self> {
        match name {
            TALES => Ok(Self::Tales),
            _ => Ok(Self::Model(Box::new(RewardModel::open(
                name, format, session,
            )?))),
        }
    }

    /// What changes when the scorer does.
    ///
    /// # Errors
    /// When the reward model cannot be found or read.
    pub fn hash(name: &str, session: &Session) -> Result<String> {
        match name {
            TALES => Ok(format!("{TALES} {}", env!("CARGO_PKG_VERSION"))),
            _ => ModelFolder::open(name, session.models.as_ref())?.hash(),
        }
    }

    /// Gives every response its score.
    ///
    /// # Errors
    /// As for [`RewardModel::judge`].
    pub fn judge<'g>(&self, groups: impl Iterator<Item = &'g mut Group>) -> Result<()> {
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
