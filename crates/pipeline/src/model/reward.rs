//! A reward model: how it reads a response, and what it thinks of it.

use std::path::Path;

use rarebit_data::Group;
use rarebit_eval::SystemSamples;
use rarebit_eval::reward::Judged;
use rarebit_models::chat::{ChatTemplate, Message};
use rarebit_models::reward::pair_text;
use rarebit_models::sequence_classifier::SequenceClassifier;
use rarebit_models::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Result, ensure};
use crate::event::{Events, Stage};
use crate::model::folder::ModelFolder;
use crate::on_cores;
use crate::session::Session;

/// Tokens of one forward pass, padding counted: enough to fill a processor, little enough that the
/// attention of long stories fits beside the weights.
const TOKENS_PER_BATCH: usize = 4096;

/// How a reward model reads a prompt and a response.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RewardFormat {
    /// Between tags, as the paper's reads them: <prompt>P</prompt><response>R</response>
    #[default]
    Tags,
    /// As a conversation in the model's own chat template
    Chat,
}

/// Turns a prompt and a response into what a reward model reads.
pub struct RewardReader {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// None for tags.
    template: Option<ChatTemplate>,
}

impl RewardReader {
    /// The tokenizer, and for conversations the chat template, of a folder.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(folder: &Path, format: RewardFormat, vocab_size: usize) -> Result<Self> {
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
    ///
    /// # Errors
    /// When the tokenizer or the template fails.
    pub fn encode(&self, prompt: &str, response: &str) -> Result<Vec<u32>> {
        let Some(template) = &self.template else {
            return Ok(self.tokenizer.encode(&pair_text(prompt, response), true)?);
        };
        let messages = [("user", prompt), ("assistant", response)]
            .map(|(role, content)| Message::new(role, content));
        // The template writes the special tokens itself.
        Ok(self
            .tokenizer
            .encode(&template.render(&messages, false)?, false)?)
    }
}

/// A reward model with what it needs to read text.
pub struct RewardModel {
    name: String,
    model: SequenceClassifier,
    reader: RewardReader,
    events: Events,
}

impl RewardModel {
    /// Reads a reward model by its name, on the session's device.
    ///
    /// # Errors
    /// When it cannot be found, read, or is no reward model.
    pub fn open(name: &str, format: RewardFormat, session: &Session) -> Result<Self> {
        let device = &session.device;
        let open = || -> Result<Self> {
            let folder = ModelFolder::open(name, session.models.as_ref())?;
            let model = match &folder.adapter {
                Some(adapter) => {
                    SequenceClassifier::load_reward_with_adapter(&folder.base, adapter, device)?
                }
                None => SequenceClassifier::load_reward(&folder.base, device)?,
            };
            let vocab_size = model.config().vocab_size();
            let reader = RewardReader::read(folder.companions(), format, vocab_size)?;
            Ok(Self::new(name, model, reader, session.events.clone()))
        };
        open().with_context(|| format!("cannot open the reward model {name}"))
    }

    /// A model that is in memory already.
    pub fn new(
        name: &str,
        model: SequenceClassifier,
        reader: RewardReader,
        events: Events,
    ) -> Self {
        Self {
            name: name.to_owned(),
            model,
            reader,
            events,
        }
    }

    /// What a person calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives every response its reward as its score.
    ///
    /// # Errors
    /// When a response cannot be tokenised or scored.
    pub fn judge(&self, systems: &mut [SystemSamples]) -> Result<()> {
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
    ///
    /// # Errors
    /// As for [`Self::judge`].
    pub fn judge_groups<'g>(&self, groups: impl Iterator<Item = &'g mut Group>) -> Result<()> {
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

    /// The model's rewards beside the scores of the responses, by prompt; the scores give way to them.
    ///
    /// # Errors
    /// As for [`Self::judge`].
    pub fn judged(&self, groups: &mut [Group]) -> Result<Vec<Vec<Judged>>> {
        let column = |groups: &[Group]| -> Vec<Vec<f64>> {
            let of = |group: &Group| group.responses.iter().filter_map(|it| it.score).collect();
            groups.iter().map(of).collect()
        };
        let scores = column(groups);
        self.judge_groups(groups.iter_mut())?;
        let rewards = column(groups);
        Ok(rewards
            .into_iter()
            .zip(scores)
            .map(|(rewards, scores)| {
                let pairs = rewards.into_iter().zip(scores);
                pairs
                    .map(|(reward, score)| Judged { reward, score })
                    .collect()
            })
            .collect())
    }

    /// The reward of each prompt with its response.
    fn rewards<'t>(&self, texts: impl Iterator<Item = (&'t str, &'t str)>) -> Result<Vec<f64>> {
        let sequences = texts
            .map(|(prompt, response)| self.reader.encode(prompt, response))
            .collect::<Result<Vec<_>>>()?;
        let limit = self.model.config().max_position_embeddings();
        let longer = sequences.iter().filter(|ids| ids.len() > limit).count();
        if longer > 0 {
            self.events.note(&format!(
                "{longer} of {} responses are longer than the reward model reads ({limit} tokens \
                 with the prompt): it does not see their ends",
                sequences.len()
            ));
        }
        let bar = self
            .events
            .begin(Stage::Judging, Some(sequences.len() as u64));
        let score = |model: &SequenceClassifier, sequences: &[&Vec<u32>]| {
            let sequences: Vec<Vec<u32>> = sequences.iter().map(|ids| (*ids).clone()).collect();
            model.score(&sequences, TOKENS_PER_BATCH, &mut |scored| {
                bar.add(scored as u64);
            })
        };
        let device = self.model.device();
        let rewards = on_cores::each(&device, self.model.clone(), &sequences, Vec::len, score)?;
        Ok(rewards.into_iter().map(f64::from).collect())
    }
}
