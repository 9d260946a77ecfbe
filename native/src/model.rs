//! A language model with its tokenizer, ready to train or to write.

use std::path::Path;

use burn::tensor::Device;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::chat::ChatTemplate;
use rarebit_models::lora::{Adaptable, LoraConfig};
use rarebit_models::safetensors_file::Precision;
use rarebit_models::tokenizer::Tokenizer;

use crate::model_folder::ModelFolder;

/// A model, ready to train or to write.
pub(crate) struct LoadedModel {
    pub(crate) model: CausalLm,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) template: ChatTemplate,
    /// The adapter's settings, if the folder is one.
    pub(crate) adapter: Option<LoraConfig>,
    folder: ModelFolder,
    /// A hash of everything that the log-probabilities of a text depend on.
    pub(crate) hash: String,
}

/// Reads a folder or Hugging Face id, on the device.
pub(crate) fn load(name: &str, device: &Device) -> anyhow::Result<LoadedModel> {
    let folder = ModelFolder::resolve(name)?;
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
    /// Whether the folder is one that this model was read from, so that writing there would take its
    /// ground away.
    pub(crate) fn stands_in(&self, folder: &Path) -> bool {
        self.folder.stands_in(folder)
    }

    /// Writes the model as a Hugging Face folder: as an adapter if it carries one, else whole. A
    /// model that stood there before is replaced once the new one is complete.
    pub(crate) fn save(&self, folder: &Path) -> anyhow::Result<()> {
        self.folder
            .write(folder, &self.model, Precision::F32, u64::MAX)
    }
}
