//! From any source of responses to weighted preference pairs.

use std::path::Path;

use rarebit_data::steps::clean::CountTokens;
use rarebit_data::steps::surprise::SurpriseModel;
use rarebit_data::steps::weigh::Embedders;
use rarebit_data::{PrepareOptions, Response, Summary, Text};
use rarebit_deviation::Embedder;
use rarebit_models::chat::ChatTemplate;
use rarebit_models::tokenizer::Tokenizer;

use crate::error::{Context as _, Result};
use crate::event::{Event, Events};
use crate::settings::chat::FIXED_DATE;

/// What a preparation does, and the models that it does it with.
#[derive(Clone, Default)]
pub struct Preparation<'a> {
    /// Its choices.
    pub options: PrepareOptions,
    /// Measure deviation; a kind without an embedder has none.
    pub embedders: Embedders<'a>,
    /// Measures the perplexity of each response, if wanted.
    pub surprise: Option<&'a dyn SurpriseModel>,
    /// Counts tokens, if responses are filtered by them.
    pub counter: Option<&'a TokenCounter>,
}

impl<'a> Preparation<'a> {
    /// The paper's choices, with an embedder for each kind of deviation.
    pub fn new(semantic: &'a dyn Embedder, style: &'a dyn Embedder) -> Self {
        Self {
            embedders: Embedders {
                semantic: Some(semantic),
                style: Some(style),
            },
            ..Self::default()
        }
    }
}

/// Splits, cleans, pairs, embeds and weighs the responses in `source`, and writes
/// `{train,test}/{groups,pairs}.parquet` and `summary.json` into `folder`. The same input, options
/// and seed give the same bytes.
///
/// # Errors
/// When the source cannot be read, an option cannot be used, or the folder cannot be written.
pub fn prepare(
    source: &Path,
    folder: &Path,
    preparation: &Preparation<'_>,
    events: &Events,
) -> Result<Summary> {
    let count = |prompt: &Text, response: &Response| match preparation.counter {
        Some(counter) => counter.count(prompt, response),
        None => Ok(0),
    };
    let summary = rarebit_data::prepare(
        source,
        folder,
        &preparation.options,
        preparation.embedders,
        preparation.surprise,
        preparation
            .counter
            .is_some()
            .then_some(&count as &CountTokens<'_>),
        &mut |step| events.send(&Event::Preparing(step)),
    );
    events.send(&Event::Prepared);
    Ok(summary?)
}

/// Counts tokens with the tokenizer and chat template of a model folder.
pub struct TokenCounter {
    tokenizer: Tokenizer,
    template: ChatTemplate,
}

impl TokenCounter {
    /// Reads them.
    ///
    /// # Errors
    /// When the folder holds no tokenizer or a chat template that cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let context = || format!("cannot count tokens with {}", folder.display());
        // Only lengths matter: there is no model that the ids would have to fit.
        let tokenizer = Tokenizer::read(folder, usize::MAX).with_context(context)?;
        // All dates have the same length, and the same input must give the same output.
        let template = ChatTemplate::read(folder, &tokenizer)
            .and_then(|template| template.at(FIXED_DATE))
            .with_context(context)?;
        Ok(Self {
            tokenizer,
            template,
        })
    }

    /// The tokens of a prompt and its response, special ones included.
    fn count(
        &self,
        prompt: &Text,
        response: &Response,
    ) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
        let response = response.beside(prompt);
        let encoded = self.template.encode(&self.tokenizer, prompt, &response)?;
        Ok(encoded.prompt.len() + encoded.completion.len())
    }
}
