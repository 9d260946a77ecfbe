//! Chat templates, rendered as in transformers, and the tokenization of prompts and completions.

mod assistant;
mod continuation;
mod encode;
mod files;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::DateTime;
use minijinja::Environment;
use minijinja::value::Serde;
pub use rarebit_text::{Message, Text};
use serde_json::{Map, Value};

use crate::error::ModelError;
use crate::jinja::{environment, has_generation_tags, render};
use crate::tokenizer::Tokenizer;
pub use assistant::Conversation;
pub use encode::Encoded;
pub use files::ADDITIONAL_TEMPLATES;
use files::{DEFAULT, Named};

/// Variables of every template, which settings must not override.
const RESERVED: [&str; 4] = ["messages", "tools", "documents", "add_generation_prompt"];

/// A prompt or a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns<'a> {
    /// Plain text. For a chat template, a prompt is a turn of the user and a completion one of the
    /// assistant.
    Plain(&'a str),
    /// Turns of a conversation; several turns need a chat template.
    Chat(&'a [Message]),
}

impl<'a> From<&'a str> for Turns<'a> {
    fn from(text: &'a str) -> Self {
        Self::Plain(text)
    }
}

impl<'a> From<&'a String> for Turns<'a> {
    fn from(text: &'a String) -> Self {
        Self::Plain(text)
    }
}

impl<'a> From<&'a Text> for Turns<'a> {
    fn from(text: &'a Text) -> Self {
        match text {
            Text::Plain(text) => Self::Plain(text),
            Text::Chat(messages) => Self::Chat(messages),
        }
    }
}

impl<'a> From<&'a [Message]> for Turns<'a> {
    fn from(messages: &'a [Message]) -> Self {
        Self::Chat(messages)
    }
}

impl<'a> From<&'a Vec<Message>> for Turns<'a> {
    fn from(messages: &'a Vec<Message>) -> Self {
        Self::Chat(messages)
    }
}

/// The chat templates of a model folder.
#[derive(Debug)]
pub struct ChatTemplate {
    /// Empty for a base model, whose prompts are plain text.
    templates: Vec<Named>,
    /// The one in use; `None` if there are several and none is the default.
    chosen: Option<Chosen>,
    /// By their names in templates.
    special_tokens: BTreeMap<String, String>,
    /// Further variables that the user sets.
    kwargs: Map<String, Value>,
    now: Option<DateTime>,
    /// Named in errors if there is no template.
    folder: PathBuf,
}

#[derive(Debug)]
struct Chosen {
    environment: Arc<Environment<'static>>,
    /// Its index in the templates.
    place: usize,
}

impl ChatTemplate {
    /// Reads the chat templates of a model folder, if it has any. If there are several, `default`
    /// is used.
    ///
    /// `strftime_now` is undefined until [`Self::at`] sets a date.
    ///
    /// # Errors
    /// If a file cannot be read, or the template is invalid.
    pub fn read(folder: &Path, tokenizer: &Tokenizer) -> Result<Self, ModelError> {
        let mut template = Self {
            templates: files::read(folder)?,
            chosen: None,
            special_tokens: tokenizer.named().clone(),
            kwargs: Map::new(),
            now: None,
            folder: folder.to_owned(),
        };
        let default = template.templates.iter().position(|t| t.name == DEFAULT);
        template.choose(default)?;
        Ok(template)
    }

    /// Uses another of the folder's templates.
    ///
    /// # Errors
    /// If the folder has no template of that name, or it is invalid.
    pub fn named(mut self, name: &str) -> Result<Self, ModelError> {
        let place = self.templates.iter().position(|t| t.name == name);
        if place.is_none() {
            return Err(self.refused(format!(
                "the folder has no template `{name}`, only {}",
                self.names()
            )));
        }
        self.choose(place)?;
        Ok(self)
    }

    /// Sets variables of the template such as `enable_thinking`. They override special tokens of
    /// the same name.
    ///
    /// # Errors
    /// If one has a reserved name.
    pub fn with_kwargs(mut self, kwargs: Map<String, Value>) -> Result<Self, ModelError> {
        if let Some(taken) = RESERVED.iter().find(|name| kwargs.contains_key(**name)) {
            return Err(self.refused(format!(
                "chat_template_kwargs cannot set `{taken}`, which is reserved"
            )));
        }
        self.kwargs = kwargs;
        Ok(self)
    }

    /// Sets the date for `strftime_now`. This crate reads no clock.
    ///
    /// # Errors
    /// Never for a template that has been loaded.
    pub fn at(mut self, now: DateTime) -> Result<Self, ModelError> {
        self.now = Some(now);
        let place = self.chosen.as_ref().map(|chosen| chosen.place);
        self.choose(place)?;
        Ok(self)
    }

    /// Whether the folder has a template.
    pub fn is_conversational(&self) -> bool {
        !self.templates.is_empty()
    }

    /// Whether the output can depend on the date.
    pub fn asks_for_date(&self) -> bool {
        self.source()
            .is_some_and(|source| source.contains("strftime_now"))
    }

    /// Whether the template marks the assistant's text with `{% generation %}`.
    pub fn has_generation_spans(&self) -> bool {
        self.source().is_some_and(has_generation_tags)
    }

    /// Renders a conversation.
    ///
    /// # Errors
    /// If the folder has no template, the conversation is empty, or the template raises an error.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, ModelError> {
        self.render_with(messages, add_generation_prompt, [])
    }

    /// [`Self::render`] with further variables.
    fn render_with<const N: usize>(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        more: [(&'static str, minijinja::Value); N],
    ) -> Result<String, ModelError> {
        let chosen = self.chosen()?;
        if messages.is_empty() {
            return Err(ModelError::Prompt {
                reason: "an empty conversation: a chat template needs at least one message"
                    .to_owned(),
            });
        }
        let mut context: BTreeMap<&str, minijinja::Value> = BTreeMap::new();
        context.extend(
            self.special_tokens
                .iter()
                .map(|(name, text)| (&**name, text.into())),
        );
        context.extend(
            self.kwargs
                .iter()
                .map(|(name, value)| (&**name, minijinja::Value::from(Serde(value)))),
        );
        context.extend(more);
        context.insert("messages", minijinja::Value::from(Serde(messages)));
        // Defined as none: templates test for either.
        context.insert("tools", ().into());
        context.insert("documents", ().into());
        context.insert("add_generation_prompt", add_generation_prompt.into());
        let path = &self.templates[chosen.place].path;
        render(&chosen.environment, path, context.into())
    }

    fn chosen(&self) -> Result<&Chosen, ModelError> {
        self.chosen.as_ref().ok_or_else(|| {
            self.refused(match self.templates.is_empty() {
                true => "is missing: a conversation needs a model with a chat template".to_owned(),
                false => format!(
                    "no template is called `{DEFAULT}`; choose one of {}",
                    self.names()
                ),
            })
        })
    }

    fn choose(&mut self, place: Option<usize>) -> Result<(), ModelError> {
        self.chosen = match place {
            Some(place) => {
                let template = &self.templates[place];
                let environment = environment(&template.source, &template.path, self.now)?;
                Some(Chosen {
                    environment: Arc::new(environment),
                    place,
                })
            }
            None => None,
        };
        Ok(())
    }

    fn source(&self) -> Option<&str> {
        let chosen = self.chosen.as_ref()?;
        Some(&self.templates[chosen.place].source)
    }

    /// The file to name in errors.
    fn path(&self) -> &Path {
        let place = self.chosen.as_ref().map_or(0, |chosen| chosen.place);
        self.templates
            .get(place)
            .map_or(&self.folder, |template| &template.path)
    }

    fn names(&self) -> String {
        let names: Vec<String> = self
            .templates
            .iter()
            .map(|template| format!("`{}`", template.name))
            .collect();
        match names.is_empty() {
            true => "none".to_owned(),
            false => names.join(", "),
        }
    }

    fn refused(&self, reason: String) -> ModelError {
        ModelError::chat_template(self.path(), reason)
    }
}
