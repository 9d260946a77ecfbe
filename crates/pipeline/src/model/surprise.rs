//! The language model of `--surprise-model`: how little it expected a response.

use rarebit_data::steps::surprise::SurpriseModel;
use rarebit_data::{Response, Text};
use rarebit_train::{ExampleTokenizer, SftTokens, TruncationMode, perplexities};

use crate::error::{Context as _, Result};
use crate::event::{Events, Stage};
use crate::model::{self, LoadedModel};
use crate::session::Session;
use crate::settings::chat::FIXED_DATE;

/// Responses of one forward pass, as many as TRL evaluates at once.
const BATCH_SIZE: usize = 8;

/// A language model that says how surprising responses are.
pub struct Perplexity {
    loaded: LoadedModel,
    events: Events,
}

impl Perplexity {
    /// Reads a language model by its name, on the session's device.
    ///
    /// # Errors
    /// When it cannot be found or read.
    pub fn open(name: &str, session: &Session) -> Result<Self> {
        let open = || -> Result<LoadedModel> {
            let mut loaded = model::load(name, session.models.as_ref(), &session.device)?;
            // The same input shall give the same output on any day.
            loaded.template = loaded.template.at(FIXED_DATE)?;
            Ok(loaded)
        };
        Ok(Self {
            loaded: open().with_context(|| format!("cannot open --surprise-model {name}"))?,
            events: session.events.clone(),
        })
    }
}

impl SurpriseModel for Perplexity {
    fn id(&self) -> &str {
        &self.loaded.hash
    }

    fn perplexities(
        &self,
        responses: &[(&Text, &Response)],
    ) -> Result<Vec<f64>, Box<dyn std::error::Error + Send + Sync>> {
        let LoadedModel {
            model,
            tokenizer,
            template,
            ..
        } = &self.loaded;
        let limit = model.config().max_position_embeddings();
        let encoder = ExampleTokenizer {
            tokenizer,
            template,
            max_length: Some(limit),
            truncation_mode: TruncationMode::KeepStart,
        };
        let tokens = SftTokens {
            completion_only_loss: true,
            assistant_only_loss: false,
        };
        let mut sequences = Vec::with_capacity(responses.len());
        for (prompt, response) in responses {
            let sequence = encoder.supervised(prompt, &response.beside(prompt), tokens)?;
            if sequence.completion_tokens() == 0 {
                return Err(format!(
                    "the prompt {:?} leaves no room for a response in the {limit} tokens that the \
                     model reads; drop what is too long with --tokenizer and --max-tokens",
                    beginning(&prompt.flat())
                )
                .into());
            }
            sequences.push(sequence);
        }
        let total = Some(sequences.len() as u64);
        let work = self.events.begin(Stage::Surprise, total);
        let mut progress = |done: usize, _| work.set(done as u64);
        let pad = tokenizer.pad;
        Ok(perplexities(
            model,
            sequences,
            BATCH_SIZE,
            pad,
            &mut progress,
        )?)
    }
}

/// Enough of a text to know it by.
fn beginning(text: &str) -> String {
    text.chars().take(60).collect()
}
