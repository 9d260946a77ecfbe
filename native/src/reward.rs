//! A reward model: how it reads a response, and what it thinks of it.

use std::path::Path;

use anyhow::{Context, ensure};
use burn::tensor::Device;
use rarebit_data::Group;
use rarebit_eval::SystemSamples;
use rarebit_models::chat::{ChatTemplate, Message};
use rarebit_models::reward::pair_text;
use rarebit_models::sequence_classifier::SequenceClassifier;
use rarebit_models::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};

use crate::model_folder::ModelFolder;
use crate::{on_cores, progress};

/// Tokens of one forward pass, padding counted: enough to fill a processor, little enough that the
/// attention of long stories fits beside the weights.
const TOKENS_PER_BATCH: usize = 4096;

/// How a reward model reads a prompt and a response.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RewardFormat {
    /// Between tags, as the paper's reads them: <prompt>P</prompt><response>R</response>
    #[default]
    Tags,
    /// As a conversation in the model's own chat template
    Chat,
}

/// Turns a prompt and a response into what a reward model reads.
pub(crate) struct RewardReader {
    pub(crate) tokenizer: Tokenizer,
    /// None for tags.
    template: Option<ChatTemplate>,
}

impl RewardReader {
    /// The tokenizer, and for conversations the chat template, of a folder.
    pub(crate) fn read(
        folder: &Path,
        format: RewardFormat,
        vocab_size: usize,
    ) -> anyhow::Result<Self> {
        let tokenizer = Tokenizer::read(folder, vocab_size)?;
        let template = match format {
            RewardFormat::Tags => None,
            RewardFormat::Chat => Some(ChatTemplate::read(folder, &tokenizer)?),
        };
        ensure!(
            template
                .as_ref()
                .is_none_or(ChatTemplate::is_conversational),
            "there is no chat template; --reward-format tags needs none"
        );
        Ok(Self {
            tokenizer,
            template,
        })
    }

    /// Token ids of a prompt and a response.
    pub(crate) fn encode(&self, prompt: &str, response: &str) -> anyhow::Result<Vec<u32>> {
        let Some(template) = &self.template else {
            return Ok(self.tokenizer.encode(&pair_text(prompt, response), true)?);
        };
        let messages = [("user", prompt), ("assistant", response)].map(|(role, content)| Message {
            role: role.to_owned(),
            content: content.to_owned(),
        });
        // The template writes the special tokens itself.
        Ok(self
            .tokenizer
            .encode(&template.render(&messages, false)?, false)?)
    }
}

/// A reward model with what it needs to read text.
pub(crate) struct RewardModel {
    name: String,
    model: SequenceClassifier,
    reader: RewardReader,
}

impl RewardModel {
    /// Reads a folder or Hugging Face id, on the device.
    pub(crate) fn open(name: &str, format: RewardFormat, device: &Device) -> anyhow::Result<Self> {
        let open = || -> anyhow::Result<Self> {
            let folder = ModelFolder::resolve(name)?;
            let model = match &folder.adapter {
                Some(adapter) => {
                    SequenceClassifier::load_reward_with_adapter(&folder.base, adapter, device)?
                }
                None => SequenceClassifier::load_reward(&folder.base, device)?,
            };
            let vocab_size = model.config().vocab_size();
            let reader = RewardReader::read(folder.companions(), format, vocab_size)?;
            Ok(Self::new(name, model, reader))
        };
        open().with_context(|| format!("cannot open the reward model {name}"))
    }

    /// A model that is at hand already.
    pub(crate) fn new(name: &str, model: SequenceClassifier, reader: RewardReader) -> Self {
        Self {
            name: name.to_owned(),
            model,
            reader,
        }
    }

    /// What a person calls it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Gives every response its reward as its score.
    pub(crate) fn judge(&self, systems: &mut [SystemSamples]) -> anyhow::Result<()> {
        let texts = systems
            .iter()
            .flat_map(|system| &system.prompts)
            .flat_map(|prompt| {
                let responses = prompt.responses.iter();
                responses.map(move |response| (prompt.prompt.as_str(), response.text.as_str()))
            });
        let rewards = self.rewards(texts)?;
        let responses = systems
            .iter_mut()
            .flat_map(|system| &mut system.prompts)
            .flat_map(|prompt| &mut prompt.responses);
        for (response, reward) in responses.zip(rewards) {
            response.score = Some(reward);
        }
        Ok(())
    }

    /// The same for groups as their source gives them.
    pub(crate) fn judge_groups<'g>(
        &self,
        groups: impl Iterator<Item = &'g mut Group>,
    ) -> anyhow::Result<()> {
        let mut groups: Vec<&mut Group> = groups.collect();
        let prompts: Vec<String> = groups
            .iter()
            .map(|group| group.prompt.to_string())
            .collect();
        let texts = groups.iter().zip(&prompts).flat_map(|(group, prompt)| {
            let responses = group.responses.iter();
            responses.map(move |response| (prompt.as_str(), response.text.as_str()))
        });
        let rewards = self.rewards(texts)?;
        let responses = groups.iter_mut().flat_map(|group| &mut group.responses);
        for (response, reward) in responses.zip(rewards) {
            response.score = Some(reward);
        }
        Ok(())
    }

    /// The reward of each prompt with its response.
    fn rewards<'t>(
        &self,
        texts: impl Iterator<Item = (&'t str, &'t str)>,
    ) -> anyhow::Result<Vec<f64>> {
        let sequences = texts
            .map(|(prompt, response)| self.reader.encode(prompt, response))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let limit = self.model.config().max_position_embeddings();
        let longer = sequences.iter().filter(|ids| ids.len() > limit).count();
        if longer > 0 {
            progress::note(&format!(
                "{longer} of {} responses are longer than the reward model reads ({limit} tokens \
                 with the prompt): it does not see their ends",
                sequences.len()
            ));
        }
        let bar = progress::bar(sequences.len() as u64, "judging");
        let score = |model: &SequenceClassifier, sequences: &[&Vec<u32>]| {
            let sequences: Vec<Vec<u32>> = sequences.iter().map(|ids| (*ids).clone()).collect();
            model.score(&sequences, TOKENS_PER_BATCH, &mut |scored| {
                bar.inc(scored as u64);
            })
        };
        let device = self.model.device();
        let rewards = on_cores::each(&device, self.model.clone(), &sequences, Vec::len, score)?;
        Ok(rewards.into_iter().map(f64::from).collect())
    }
}
