//! Chat templates (Jinja, as transformers renders them) and what a prompt looks like to a model.

use std::path::Path;

use minijinja::{Environment, context};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::ModelError;
use crate::jinja::{CHAT, environment};
use crate::tokenizer::{TOKENIZER_CONFIG, Tokenizer, read_json};

/// File of the template in folders that do not keep it in `tokenizer_config.json`.
const TEMPLATE: &str = "chat_template.jinja";

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
}

/// How a model folder wants prompts and completions written.
#[derive(Debug)]
pub struct ChatTemplate {
    /// None for a base model: prompts are then plain text.
    environment: Option<Environment<'static>>,
    bos: String,
    eos: String,
    path: std::path::PathBuf,
}

/// A prompt and a completion as token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The prompt, with whatever the template puts before the completion.
    pub prompt: Vec<u32>,
    /// The completion, with its end-of-turn token.
    pub completion: Vec<u32>,
}

impl ChatTemplate {
    /// Reads the chat template of a model folder, if it has one.
    ///
    /// # Errors
    /// When the template does not parse.
    pub fn read(folder: &Path, tokenizer: &Tokenizer) -> Result<Self, ModelError> {
        let written = |id: Option<u32>| id.and_then(|id| tokenizer.token(id)).unwrap_or_default();
        let (bos, eos) = (
            written(tokenizer.bos),
            written(tokenizer.eos.first().copied()),
        );
        let file = folder.join(TEMPLATE);
        let (path, source) = if file.is_file() {
            let text = std::fs::read_to_string(&file).map_err(|source| ModelError::Read {
                path: file.clone(),
                source,
            })?;
            (file, Some(text))
        } else {
            let path = folder.join(TOKENIZER_CONFIG);
            let settings = read_json(&path)?;
            (
                path,
                settings
                    .get("chat_template")
                    .and_then(default_template)
                    .map(str::to_owned),
            )
        };
        let environment = source
            .map(|source| environment(&source, &path))
            .transpose()?;
        Ok(Self {
            environment,
            bos,
            eos,
            path,
        })
    }

    /// Whether the folder has a template.
    pub fn is_conversational(&self) -> bool {
        self.environment.is_some()
    }

    /// The text of a conversation.
    ///
    /// # Errors
    /// When the folder has no template, or it refuses the conversation.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, ModelError> {
        let failed = |reason: String| ModelError::Setting {
            path: self.path.clone(),
            key: "chat_template".to_owned(),
            reason,
        };
        let environment = self
            .environment
            .as_ref()
            .ok_or_else(|| failed("is absent".to_owned()))?;
        environment
            .get_template(CHAT)
            .and_then(|template| {
                template.render(context! {
                    messages => minijinja::Value::from(minijinja::value::Serde(messages)),
                    // There, and none: templates test either.
                    tools => (),
                    documents => (),
                    add_generation_prompt => add_generation_prompt,
                    bos_token => &self.bos,
                    eos_token => &self.eos,
                })
            })
            .map_err(|error| failed(format!("{error:#}")))
    }

    /// Token ids of a prompt, ready for a completion to follow.
    ///
    /// # Errors
    /// When the template or the tokenizer fails.
    pub fn encode_prompt(
        &self,
        tokenizer: &Tokenizer,
        prompt: &str,
    ) -> Result<Vec<u32>, ModelError> {
        if self.is_conversational() {
            // The template writes the special tokens itself.
            tokenizer.encode(&self.render(&[user(prompt)], true)?, false)
        } else {
            tokenizer.encode(prompt, true)
        }
    }

    /// Token ids of a prompt and its completion, split where the completion begins.
    ///
    /// With a template, the completion is what the template adds to the prompt for an assistant's
    /// turn; without one, it is the plain text and the end-of-text token.
    ///
    /// # Errors
    /// When the template or the tokenizer fails, or the template does not continue the prompt.
    pub fn encode(
        &self,
        tokenizer: &Tokenizer,
        prompt: &str,
        completion: &str,
    ) -> Result<Encoded, ModelError> {
        let prompt_ids = self.encode_prompt(tokenizer, prompt)?;
        let mut completion_ids = if self.is_conversational() {
            let before = self.render(&[user(prompt)], true)?;
            let assistant = Message {
                role: "assistant".to_owned(),
                content: completion.to_owned(),
            };
            let whole = self.render(&[user(prompt), assistant], false)?;
            let added = whole
                .strip_prefix(&before)
                .ok_or_else(|| ModelError::Setting {
                    path: self.path.clone(),
                    key: "chat_template".to_owned(),
                    reason:
                        "does not continue the prompt it opened when the assistant's turn is added"
                            .to_owned(),
                })?;
            tokenizer.encode(added, false)?
        } else {
            tokenizer.encode(completion, false)?
        };
        // What templates write after the end of the turn (often a line break) is never generated.
        if let Some(end) = completion_ids
            .iter()
            .position(|id| tokenizer.eos.contains(id))
        {
            completion_ids.truncate(end + 1);
        } else if let Some(&eos) = tokenizer.eos.first() {
            completion_ids.push(eos);
        }
        Ok(Encoded {
            prompt: prompt_ids,
            completion: completion_ids,
        })
    }
}

/// The template itself, or the one called `default` among several.
fn default_template(setting: &Value) -> Option<&str> {
    setting.as_str().or_else(|| {
        let named =
            |template: &&Value| template.get("name").and_then(Value::as_str) == Some("default");
        setting
            .as_array()?
            .iter()
            .find(named)?
            .get("template")?
            .as_str()
    })
}

fn user(content: &str) -> Message {
    Message {
        role: "user".to_owned(),
        content: content.to_owned(),
    }
}
