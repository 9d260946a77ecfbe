//! Models with what they need to read and write text: language models, reward models, whoever
//! judges responses.

pub mod folder;
pub mod reward;
pub mod scorer;
pub mod surprise;

use std::path::Path;

use burn::tensor::Device;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::chat::ChatTemplate;
use rarebit_models::lora::{Adaptable, LoraConfig};
use rarebit_models::safetensors_file::Precision;
use rarebit_models::tokenizer::Tokenizer;

use crate::error::Result;
use crate::session::ModelSource;
use folder::ModelFolder;

/// A model, ready to train or to write.
pub struct LoadedModel {
    /// The model.
    pub model: CausalLm,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Its chat template.
    pub template: ChatTemplate,
    /// The adapter's settings, if the folder is one.
    pub adapter: Option<LoraConfig>,
    folder: ModelFolder,
    /// A hash of everything that the log-probabilities of a text depend on.
    pub hash: String,
}

/// Reads a model by its name, on the device.
///
/// # Errors
/// When it cannot be found, read, or computed by rarebit.
pub fn load(name: &str, models: &dyn ModelSource, device: &Device) -> Result<LoadedModel> {
    let folder = ModelFolder::open(name, models)?;
    let model = CausalLm::load(&folder.base, device)?;
    let (model, adapter) = match &folder.adapter {
        Some(adapter) => {
            let (model, config) = model.with_adapter(adapter)?;
            (model, Some(config))
        }
        None => (model, None),
    };
    let tokenizer = Tokenizer::read(folder.companions(), model.config().vocab_size())?;
    let template = ChatTemplate::read(folder.companions(), &tokenizer)?;
    Ok(LoadedModel {
        model,
        tokenizer,
        template,
        adapter,
        hash: folder.hash()?,
        folder,
    })
}

impl LoadedModel {
    /// Whether the folder is or holds one that this model was read from, so that writing there would
    /// take its ground away.
    pub fn stands_in(&self, folder: &Path) -> bool {
        self.folder.stands_in(folder)
    }

    /// Writes the model as a Hugging Face folder: as an adapter if it carries one, else whole. A
    /// model that stood there before is replaced once the new one is complete.
    ///
    /// # Errors
    /// When the folder holds something else, or cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        self.folder
            .write(folder, &self.model, Precision::F32, u64::MAX)
    }
}
