//! What a command tells a chat template: which of several, its variables, the date.

use std::path::Path;

use anyhow::Context;
use jiff::civil::{DateTime, date};
use rarebit_models::chat::ChatTemplate;
use serde_json::{Map, Value};
use toml::Table;

use crate::run_config::RunConfig;

/// What a template that asks for the date is told where the day shall not matter.
pub(crate) const SETTLED_DATE: DateTime = date(2024, 7, 26).at(0, 0, 0, 0);

/// What the chat template is told
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Chat template")]
pub(crate) struct ChatArgs {
    /// The name of one of several templates that the model's folder has [default: default]
    #[arg(long, value_name = "NAME")]
    chat_template: Option<String>,
    /// Variables that the template asks for, as JSON: '{"enable_thinking": false}'
    #[arg(long, value_name = "JSON", value_parser = parse_kwargs)]
    chat_template_kwargs: Option<Table>,
    /// The date and time that the template is told, as 2026-11-24T01:30:57 [default: now]
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    chat_template_date: Option<DateTime>,
}

impl ChatArgs {
    /// The template as the arguments want it.
    pub(crate) fn apply(&self, template: ChatTemplate) -> anyhow::Result<ChatTemplate> {
        let template = told(
            template,
            self.chat_template.as_deref(),
            self.chat_template_kwargs.as_ref(),
        )?;
        match template.asks_for_date() {
            true => Ok(template.at(self.chat_template_date.unwrap_or_else(now))?),
            false => Ok(template),
        }
    }

    /// What was asked for; nothing where nothing was.
    pub(crate) fn fingerprint(&self) -> String {
        match self {
            Self {
                chat_template: None,
                chat_template_kwargs: None,
                chat_template_date: None,
            } => String::new(),
            asked => format!("{asked:?}"),
        }
    }
}

/// The template as a training run wants it. The date it is told goes into the configuration where
/// it writes one; a run that goes on is told the date of its beginning.
pub(crate) fn apply(
    config: &mut RunConfig,
    template: ChatTemplate,
) -> anyhow::Result<ChatTemplate> {
    let model = &mut config.model;
    let template = told(
        template,
        model.chat_template.as_deref(),
        model.chat_template_kwargs.as_ref(),
    )?;
    if !template.asks_for_date() {
        return Ok(template);
    }
    let date = match &model.chat_template_date {
        Some(date) => Some(date.clone()),
        None => recorded_date(&model.output_dir.join("config.toml"))?,
    };
    let date = match date {
        Some(date) => parse_date(&date)?,
        None => now(),
    };
    model.chat_template_date = Some(date.to_string());
    Ok(template.at(date)?)
}

/// The date that the run in a folder was told at its beginning.
fn recorded_date(config: &Path) -> anyhow::Result<Option<String>> {
    let Ok(text) = std::fs::read_to_string(config) else {
        return Ok(None);
    };
    let table: Table = toml::from_str(&text)
        .with_context(|| format!("{} is not a configuration", config.display()))?;
    let date = table
        .get("chat_template_date")
        .and_then(toml::Value::as_str);
    Ok(date.map(str::to_owned))
}

fn told(
    mut template: ChatTemplate,
    name: Option<&str>,
    kwargs: Option<&Table>,
) -> anyhow::Result<ChatTemplate> {
    if let Some(name) = name {
        template = template.named(name)?;
    }
    if let Some(kwargs) = kwargs {
        let kwargs: Map<String, Value> = kwargs
            .iter()
            .map(|(key, value)| Ok((key.clone(), serde_json::to_value(value)?)))
            .collect::<Result<_, serde_json::Error>>()?;
        template = template.with_kwargs(kwargs)?;
    }
    Ok(template)
}

/// The local date and time, to the second.
fn now() -> DateTime {
    let now = jiff::Zoned::now().datetime();
    now.with().subsec_nanosecond(0).build().unwrap_or(now)
}

/// Reads a date as [`DateTime`] writes it.
pub(crate) fn parse_date(text: &str) -> anyhow::Result<DateTime> {
    text.parse()
        .with_context(|| format!("{text:?} is no date and time such as 2026-11-24T01:30:57"))
}

/// Reads variables of a template.
pub(crate) fn parse_kwargs(text: &str) -> anyhow::Result<Table> {
    serde_json::from_str(text).with_context(
        || "not a JSON object of names and values other than null: '{\"enable_thinking\": false}'",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_they_are_written() {
        let date = parse_date("2026-11-24T01:30:57").expect("a date");
        assert_eq!(date.to_string(), "2026-11-24T01:30:57");
        assert_eq!(
            parse_date(&now().to_string())
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
