//! What a chat template is told: which of several it is, its variables, the date.

use std::path::Path;

use jiff::civil::{DateTime, date};
use rarebit_models::chat::ChatTemplate;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use toml::Table;

use crate::error::{Context as _, Result};

/// The date that a template is told where the result must not depend on the day.
pub const FIXED_DATE: DateTime = date(2024, 7, 26).at(0, 0, 0, 0);

/// What a chat template is told.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Chat template")]
pub struct ChatSettings {
    /// The name of one of several chat templates in the model's folder; without it, the one called
    /// `default`
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<String>,
    /// Variables for the chat template as JSON: '{"enable_thinking": false}'
    #[arg(long, value_name = "JSON", value_parser = parse_kwargs)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_template_kwargs: Option<Table>,
    /// The date and time for templates that ask for it, as 2026-11-24T01:30:57; without it, now (a
    /// training run keeps the date of its start in config.toml)
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_template_date: Option<String>,
}

impl ChatSettings {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What was asked for, to tell runs apart; empty if nothing was.
    pub fn fingerprint(&self) -> String {
        match self.is_empty() {
            true => String::new(),
            false => format!("{self:?}"),
        }
    }

    /// The template with these settings, on the date that is set or today.
    ///
    /// # Errors
    /// When there is no such template, or it cannot be rendered with these variables.
    pub fn apply(&self, template: ChatTemplate) -> Result<ChatTemplate> {
        let template = self.without_date(template)?;
        match template.asks_for_date() {
            true => Ok(template.at(self.date()?.unwrap_or_else(now))?),
            false => Ok(template),
        }
    }

    /// The template as a training run in `output_dir` needs it. The date goes into the settings, and
    /// so into config.toml; a resumed run gets the date of its start.
    pub(crate) fn apply_to_run(
        &mut self,
        template: ChatTemplate,
        output_dir: &Path,
    ) -> Result<ChatTemplate> {
        let template = self.without_date(template)?;
        if !template.asks_for_date() {
            return Ok(template);
        }
        if self.chat_template_date.is_none() {
            self.chat_template_date = recorded_date(&output_dir.join("config.toml"))?;
        }
        let date = self.date()?.unwrap_or_else(now);
        self.chat_template_date = Some(date.to_string());
        Ok(template.at(date)?)
    }

    /// Whether the settings can be read.
    pub(crate) fn validate(&self) -> Result<()> {
        self.date()
            .context("`chat_template_date` cannot be read")
            .map(drop)
    }

    fn date(&self) -> Result<Option<DateTime>> {
        let date = self.chat_template_date.as_deref();
        date.map(read_date).transpose()
    }

    fn without_date(&self, mut template: ChatTemplate) -> Result<ChatTemplate> {
        if let Some(name) = &self.chat_template {
            template = template.named(name)?;
        }
        if let Some(kwargs) = &self.chat_template_kwargs {
            let kwargs: Map<String, Value> = kwargs
                .iter()
                .map(|(key, value)| Ok((key.clone(), serde_json::to_value(value)?)))
                .collect::<Result<_, serde_json::Error>>()?;
            template = template.with_kwargs(kwargs)?;
        }
        Ok(template)
    }
}

/// The date that the run in a folder was told at its start.
fn recorded_date(config: &Path) -> Result<Option<String>> {
    let Ok(text) = std::fs::read_to_string(config) else {
        return Ok(None);
    };
    let table: Table = toml::from_str(&text)
        .with_context(|| format!("{} is not a valid configuration", config.display()))?;
    let date = table
        .get("chat_template_date")
        .and_then(toml::Value::as_str);
    Ok(date.map(str::to_owned))
}

/// The local date and time, to the second.
fn now() -> DateTime {
    let now = jiff::Zoned::now().datetime();
    now.with().subsec_nanosecond(0).build().unwrap_or(now)
}

/// Reads a date as [`DateTime`] writes it.
fn read_date(text: &str) -> Result<DateTime> {
    text.parse::<DateTime>().map_err(|_| {
        crate::PipelineError::Invalid(format!(
            "{text:?} is not a date and time such as 2026-11-24T01:30:57"
        ))
    })
}

/// A date that can be read.
fn parse_date(text: &str) -> Result<String> {
    read_date(text).map(|date| date.to_string())
}

/// Reads variables of a template.
fn parse_kwargs(text: &str) -> Result<Table> {
    serde_json::from_str(text).context(
        "not a JSON object of names and values other than null: '{\"enable_thinking\": false}'",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_they_are_written() {
        assert_eq!(
            parse_date("2026-11-24T01:30:57").expect("a date"),
            "2026-11-24T01:30:57"
        );
        assert_eq!(
            read_date(&now().to_string())
                .expect("a date")
                .subsec_nanosecond(),
            0
        );
        assert!(parse_date("yesterday").is_err());
    }

    #[test]
    fn variables_are_a_json_object() {
        let table =
            parse_kwargs(r#"{"enable_thinking": false, "more": [1, "a"]}"#).expect("a table");
        assert_eq!(table["enable_thinking"].as_bool(), Some(false));
        for bad in ["enable_thinking", "[1]", r#"{"a": null}"#] {
            assert!(parse_kwargs(bad).is_err(), "{bad}");
        }
    }
}
