//! Chat templates (Jinja, as transformers renders them), and what prompts and completions look
//! like to a model.

mod assistant;
mod encode;
mod files;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::DateTime;
use minijinja::Environment;
use minijinja::value::Serde;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::ModelError;
use crate::jinja::{environment, has_marks, render};
use crate::tokenizer::Tokenizer;
pub use assistant::Conversation;
pub use encode::Encoded;
pub use files::ADDITIONAL_TEMPLATES;
use files::{DEFAULT, Named};

/// What a template is given by name and no setting may stand for.
const RESERVED: [&str; 4] = ["messages", "tools", "documents", "add_generation_prompt"];

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
    /// Who speaks, for templates that tell participants apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Message {
    /// What `role` says.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
            name: None,
        }
    }
}

/// A prompt or a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns<'a> {
    /// Plain text. To a chat template a prompt is a user's turn, a completion the assistant's.
    Plain(&'a str),
    /// Turns of a conversation, which need a chat template.
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

/// How a model folder wants prompts and completions written.
#[derive(Debug)]
pub struct ChatTemplate {
    /// None for a base model, whose prompts are plain text.
    templates: Vec<Named>,
    /// The one in use; none while there are several and none of them is the default.
    chosen: Option<Chosen>,
    /// By the names that templates know them by.
    special_tokens: BTreeMap<String, String>,
    /// What the user sets beside them.
    kwargs: Map<String, Value>,
    now: Option<DateTime>,
    /// Named where there is no template.
    folder: PathBuf,
}

#[derive(Debug)]
struct Chosen {
    environment: Arc<Environment<'static>>,
    /// Its place among the templates.
    place: usize,
}

impl ChatTemplate {
    /// Reads the chat templates of a model folder, if it has any. Of several the one called
    /// `default` is in use.
    ///
    /// The template knows no date (`strftime_now` is not defined) before [`Self::at`] tells it.
    ///
    /// # Errors
    /// When a file cannot be read, or the template does not parse.
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

    /// The same with another of the folder's templates in use.
    ///
    /// # Errors
    /// When the folder has none of that name, or it does not parse.
    pub fn named(mut self, name: &str) -> Result<Self, ModelError> {
        let place = self.templates.iter().position(|t| t.name == name);
        if place.is_none() {
            return Err(self.refused(format!(
                "there is no template {name:?}; the folder has {}",
                self.names()
            )));
        }
        self.choose(place)?;
        Ok(self)
    }

    /// The same with variables that the template may ask for, such as `enable_thinking`. They
    /// stand before special tokens of the same name.
    ///
    /// # Errors
    /// When one has a name that stands for something else.
    pub fn with_kwargs(mut self, kwargs: Map<String, Value>) -> Result<Self, ModelError> {
        if let Some(taken) = RESERVED.iter().find(|name| kwargs.contains_key(**name)) {
            return Err(self.refused(format!(
                "chat_template_kwargs cannot set {taken:?}, which is what the template is asked to write"
            )));
        }
        self.kwargs = kwargs;
        Ok(self)
    }

    /// The same as it writes on another date; this crate knows no clock.
    ///
    /// # Errors
    /// Never for a template that has been read.
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

    /// Whether what the template writes may depend on the date.
    pub fn asks_for_date(&self) -> bool {
        self.source()
            .is_some_and(|source| source.contains("strftime_now"))
    }

    /// Whether the template marks what the assistant writes, by `{% generation %}`.
    pub fn marks_assistant(&self) -> bool {
        self.source().is_some_and(has_marks)
    }

    /// The text of a conversation.
    ///
    /// # Errors
    /// When the folder has no template, the conversation is empty, or the template refuses it.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, ModelError> {
        self.render_with(messages, add_generation_prompt, [])
    }

    /// The same with more variables.
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
        // There, and none: templates test either.
        context.insert("tools", ().into());
        context.insert("documents", ().into());
        context.insert("add_generation_prompt", add_generation_prompt.into());
        let path = &self.templates[chosen.place].path;
        render(&chosen.environment, path, context.into())
    }

    fn chosen(&self) -> Result<&Chosen, ModelError> {
        self.chosen.as_ref().ok_or_else(|| {
            self.refused(match self.templates.is_empty() {
                true => "is absent: a conversation needs a model with a chat template".to_owned(),
                false => format!(
                    "none of the templates is called {DEFAULT:?}: choose one of {}",
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

    /// The file to name in an error.
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
            .map(|template| format!("{:?}", template.name))
            .collect();
        match names.is_empty() {
            true => "none".to_owned(),
            false => names.join(", "),
        }
    }

    fn refused(&self, reason: String) -> ModelError {
        ModelError::Setting {
            path: self.path().to_owned(),
            key: "chat_template".to_owned(),
            reason,
        }
    }
}
