//! Models that write.

use std::rc::Rc;

use burn::tensor::Tensor;
use rarebit_models::TextStream;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::chat::{ChatTemplate, Message};
use rarebit_models::files::Mount;
use rarebit_models::generation::{
    DecodingSession, FinishReason, GenerationConfig, LogitsProcessors, Request,
};
use rarebit_models::lora::{ADAPTER_MODEL, Adaptable};
use rarebit_models::tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use crate::failure::Failure;
use crate::folder::{Files, mount};
use crate::{device, room};

/// A model with its tokenizer and chat template.
#[wasm_bindgen]
pub struct Writer {
    model: CausalLm,
    words: Rc<Words>,
    info: Info,
}

struct Words {
    tokenizer: Tokenizer,
    template: ChatTemplate,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    bytes: u64,
    parameters: u64,
    context_length: usize,
    chat: bool,
}

/// What is asked of a generation; the package's `GenerateOptions` with every value set.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    max_new_tokens: usize,
    temperature: f32,
    top_p: f32,
    top_k: usize,
    min_p: f32,
    repetition_penalty: f32,
    seed: u64,
    num_return_sequences: usize,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Prompt {
    Text(String),
    Conversation(Vec<Message>),
}

#[wasm_bindgen]
impl Writer {
    /// Reads a model folder. `now` is the time for templates that ask for it, as
    /// `2026-11-27T18:00:00`.
    ///
    /// # Errors
    /// When the files hold no model that is known here, or it has no room.
    #[wasm_bindgen(constructor)]
    pub fn new(files: Files, name: &str, backend: &str, now: &str) -> Result<Writer, JsValue> {
        let folder = mount(files, name);
        Ok(Self::read(&folder, backend, now)?)
    }

    fn read(folder: &Mount, backend: &str, now: &str) -> Result<Self, Failure> {
        let room = room::check(folder.path(), backend)?;
        let model = CausalLm::load(folder.path(), &device::named(backend)?)?;
        let tokenizer = Tokenizer::read(folder.path(), model.config().vocab_size())?;
        let mut template = ChatTemplate::read(folder.path(), &tokenizer)?;
        if template.asks_for_date()
            && let Ok(now) = now.parse()
        {
            template = template.at(now)?;
        }
        let info = Info {
            bytes: room.bytes,
            parameters: room.parameters,
            context_length: model.config().max_position_embeddings(),
            chat: template.is_conversational(),
        };
        device::check()?;
        let words = Rc::new(Words {
            tokenizer,
            template,
        });
        Ok(Self { model, words, info })
    }

    /// The same model with an adapter; both share the weights below it.
    ///
    /// # Errors
    /// When the files hold no adapter that fits this model.
    #[wasm_bindgen(js_name = withAdapter)]
    pub fn with_adapter(&self, files: Files, name: &str) -> Result<Writer, JsValue> {
        let folder = mount(files, name);
        Ok(self.adapted(&folder)?)
    }

    fn adapted(&self, folder: &Mount) -> Result<Self, Failure> {
        let room = room::check(&folder.path().join(ADAPTER_MODEL), "cpu")?;
        let (model, _) = self.model.clone().with_adapter(folder.path())?;
        device::check()?;
        let info = Info {
            bytes: room.bytes,
            parameters: self.info.parameters + room.parameters,
            ..self.info.clone()
        };
        let words = Rc::clone(&self.words);
        Ok(Self { model, words, info })
    }

    /// `{bytes, parameters, contextLength, chat}`
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn info(&self) -> Result<JsValue, JsValue> {
        Ok(serde_wasm_bindgen::to_value(&self.info).map_err(Failure::from)?)
    }

    /// Reads a prompt, a text or `{role, content}[]`, and begins to write.
    ///
    /// # Errors
    /// When the prompt is empty or too long, or an option out of range.
    pub fn begin(&self, prompt: JsValue, options: JsValue) -> Result<Texts, JsValue> {
        let prompt = serde_wasm_bindgen::from_value(prompt).map_err(Failure::from)?;
        let options = serde_wasm_bindgen::from_value(options).map_err(Failure::from)?;
        Ok(self.texts(&prompt, &options)?)
    }

    fn texts(&self, prompt: &Prompt, options: &Options) -> Result<Texts, Failure> {
        let Words {
            tokenizer,
            template,
        } = &*self.words;
        let greedy = options.temperature == 0.0;
        let config = GenerationConfig {
            max_new_tokens: options.max_new_tokens,
            do_sample: !greedy,
            logits: LogitsProcessors {
                repetition_penalty: options.repetition_penalty,
                temperature: if greedy { 1.0 } else { options.temperature },
                top_k: options.top_k,
                top_p: options.top_p,
                min_p: options.min_p,
            },
            seed: options.seed,
        };
        if let Some(problem) = config.logits.problem() {
            return Err(Failure::new("input", problem));
        }
        let ids = match prompt {
            Prompt::Text(text) => template.encode_prompt(tokenizer, text)?,
            Prompt::Conversation(turns) => template.encode_prompt(tokenizer, turns)?,
        };
        let samples = options.num_return_sequences;
        let request = Request {
            prompts: &[ids],
            first_prompt: 0,
            first_sample: 0,
            samples,
            eos: &tokenizer.eos,
            pad: tokenizer.pad,
        };
        let (session, next) = DecodingSession::begin(&self.model, request, &config)?;
        Ok(Texts {
            session,
            next,
            words: Rc::clone(&self.words),
            streams: vec![TextStream::default(); samples],
            ended: vec![false; samples],
        })
    }
}

/// Texts that are being written, side by side.
#[wasm_bindgen]
pub struct Texts {
    session: DecodingSession,
    next: Option<Tensor<2>>,
    words: Rc<Words>,
    streams: Vec<TextStream>,
    ended: Vec<bool>,
}

/// What was added to one of the texts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Piece {
    sample: usize,
    text: String,
    token: Option<u32>,
    done: bool,
    finish_reason: Option<FinishReason>,
}

#[wasm_bindgen]
impl Texts {
    /// Writes a token of each text, and returns what that adds: `{sample, text, token, done,
    /// finishReason}[]`; nothing once all have ended.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn step(&mut self) -> Result<JsValue, JsValue> {
        let pieces = self.pieces().await?;
        Ok(serde_wasm_bindgen::to_value(&pieces).map_err(Failure::from)?)
    }

    async fn pieces(&mut self) -> Result<Vec<Piece>, Failure> {
        let mut tokens = Vec::new();
        if let Some(logits) = self.next.take() {
            let logits = logits.into_data_async().await;
            let logits = logits.map_err(|error| Failure::unreadable(error.to_string()))?;
            device::check()?;
            let logits = logits.try_into_vec_as::<f32>();
            let logits = logits.map_err(|error| Failure::new("internal", error.to_string()))?;
            self.next =
                (self.session).step(logits, &mut |sample, token| tokens.push((sample, token)));
        }
        let tokenizer = &self.words.tokenizer;
        let mut pieces = Vec::with_capacity(tokens.len());
        for (sample, token) in tokens {
            pieces.push(Piece {
                sample,
                text: self.streams[sample].push(tokenizer, token)?,
                token: Some(token),
                done: false,
                finish_reason: None,
            });
        }
        for sample in 0..self.ended.len() {
            let finish_reason = self.session.finish_reason(sample);
            if finish_reason.is_some() && !self.ended[sample] {
                self.ended[sample] = true;
                pieces.push(Piece {
                    sample,
                    text: self.streams[sample].finish(tokenizer)?,
                    token: None,
                    done: true,
                    finish_reason,
                });
            }
        }
        Ok(pieces)
    }
}
