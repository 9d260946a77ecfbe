//! The two wire formats: request bodies and how responses are read.

use rarebit_pipeline::generate::{Answer, Usage};
use rarebit_text::Message;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// OpenAI's newer name of the longest response.
pub(crate) const NEWER_LIMIT: &str = "max_completion_tokens";

/// Whose API an endpoint speaks.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// OpenAI's chat completions, also served by vLLM, llama.cpp, Ollama, OpenRouter, DeepSeek and
    /// many others
    Openai,
    /// Anthropic's messages
    Anthropic,
}

/// Sampling settings. What is `None` is not sent, so the provider's default applies.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Settings {
    /// Longest response in tokens.
    pub max_new_tokens: usize,
    /// Divides the logits.
    pub temperature: Option<f32>,
    /// Keeps the k likeliest tokens.
    pub top_k: Option<usize>,
    /// Keeps the likeliest tokens that together reach this probability.
    pub top_p: Option<f32>,
    /// Keeps tokens at least this probable relative to the likeliest one.
    pub min_p: Option<f32>,
    /// Makes tokens that already occur less likely.
    pub repetition_penalty: Option<f32>,
    /// The seed of the first sample of each prompt.
    pub seed: Option<u64>,
}

impl Api {
    /// Its value for `--provider`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
        }
    }

    /// The provider's own endpoint.
    pub(crate) fn base_url(self) -> &'static str {
        match self {
            Self::Openai => "https://api.openai.com/v1",
            Self::Anthropic => "https://api.anthropic.com/v1",
        }
    }

    /// The path below the base URL.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Openai => "/chat/completions",
            Self::Anthropic => "/messages",
        }
    }

    /// The environment variable with the API key.
    pub(crate) fn key_variable(self) -> &'static str {
        match self {
            Self::Openai => "OPENAI_API_KEY",
            Self::Anthropic => "ANTHROPIC_API_KEY",
        }
    }

    /// The header for the key, and the prefix of its value.
    pub(crate) fn key_header(self) -> (&'static str, &'static str) {
        match self {
            Self::Openai => ("authorization", "Bearer "),
            Self::Anthropic => ("x-api-key", ""),
        }
    }

    /// The flag of the first requested setting that the API does not support.
    pub(crate) fn lacks(self, settings: &Settings) -> Option<&'static str> {
        let asked = [
            ("--min-p", settings.min_p.is_some()),
            (
                "--repetition-penalty",
                settings.repetition_penalty.is_some(),
            ),
            ("--seed", settings.seed.is_some()),
        ];
        let mut asked = asked.into_iter();
        match self {
            // Compatible servers support all of them; OpenAI itself rejects what it does not.
            Self::Openai => None,
            Self::Anthropic => asked.find_map(|(flag, is_asked)| is_asked.then_some(flag)),
        }
    }

    /// The request body. `newer_limit` selects OpenAI's newer name of the longest response.
    pub(crate) fn body(
        self,
        model: &str,
        messages: &[Message],
        settings: &Settings,
        newer_limit: bool,
    ) -> Value {
        let mut body = Map::new();
        body.insert("model".to_owned(), model.into());
        let limit = match self {
            // OpenAI's reasoning models reject the older name, many other servers do not know the
            // newer one.
            Self::Openai if newer_limit => NEWER_LIMIT,
            _ => "max_tokens",
        };
        body.insert(limit.to_owned(), settings.max_new_tokens.into());
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        set("temperature", settings.temperature.map(short));
        set("top_p", settings.top_p.map(short));
        set("top_k", settings.top_k.map(Value::from));
        set("min_p", settings.min_p.map(short));
        set("repetition_penalty", settings.repetition_penalty.map(short));
        set("seed", settings.seed.map(Value::from));
        let turns = match self {
            Self::Openai => messages,
            Self::Anthropic => {
                // Here the system prompt is a field of its own.
                let own = messages.iter().take_while(|it| it.role == "system").count();
                let system: Vec<&str> = messages[..own].iter().map(|it| &*it.content).collect();
                set("system", (own > 0).then(|| system.join("\n\n").into()));
                &messages[own..]
            }
        };
        let mut turns = turns.to_vec();
        if self == Self::Anthropic {
            // Its turns have no name.
            turns.iter_mut().for_each(|turn| turn.name = None);
        }
        set("messages", Some(json!(turns)));
        Value::Object(body)
    }

    /// Reads a response body; the error says what is wrong with it.
    pub(crate) fn read(self, answer: &Value) -> Result<Answer, String> {
        let (text, finish_reason) = match self {
            Self::Openai => openai_text(answer)?,
            Self::Anthropic => anthropic_text(answer)?,
        };
        let count = |names: &[&str]| -> u64 {
            let usage = &answer["usage"];
            names.iter().filter_map(|name| usage[name].as_u64()).sum()
        };
        let usage = match self {
            Self::Openai => Usage {
                input_tokens: count(&["prompt_tokens"]),
                output_tokens: count(&["completion_tokens"]),
            },
            Self::Anthropic => Usage {
                input_tokens: count(&[
                    "input_tokens",
                    "cache_creation_input_tokens",
                    "cache_read_input_tokens",
                ]),
                output_tokens: count(&["output_tokens"]),
            },
        };
        Ok(Answer {
            text: without_thoughts(&text).to_owned(),
            finish_reason,
            usage,
            model: answer["model"].as_str().map(str::to_owned),
        })
    }
}

/// A number as the user typed it: 0.7, not 0.699999988079071.
fn short(number: f32) -> Value {
    number
        .to_string()
        .parse::<f64>()
        .map_or(Value::Null, Value::from)
}

fn openai_text(answer: &Value) -> Result<(String, String), String> {
    let choice = &answer["choices"][0];
    let message = choice
        .get("message")
        .filter(|message| message.is_object())
        .ok_or("`choices[0].message` is missing")?;
    let finish_reason = choice["finish_reason"].as_str().unwrap_or("stop");
    // OpenRouter's word for a provider that failed while it answered.
    if finish_reason == "error" {
        return Err("its `finish_reason` is `error`".to_owned());
    }
    if let Some(refusal) = message["refusal"].as_str().filter(|it| !it.is_empty()) {
        return Ok((refusal.to_owned(), "refusal".to_owned()));
    }
    let text = match &message["content"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts_of(parts),
        _ => return Err("`choices[0].message.content` is not text".to_owned()),
    };
    Ok((text, finish_reason.to_owned()))
}

fn anthropic_text(answer: &Value) -> Result<(String, String), String> {
    let parts = answer["content"]
        .as_array()
        .ok_or("the list `content` is missing")?;
    let finish_reason = match answer["stop_reason"].as_str() {
        None | Some("end_turn" | "stop_sequence") => "stop",
        Some("max_tokens") => "length",
        Some(other) => other,
    };
    Ok((parts_of(parts), finish_reason.to_owned()))
}

/// The text parts, joined.
fn parts_of(parts: &[Value]) -> String {
    parts
        .iter()
        .filter(|part| matches!(part["type"].as_str(), Some("text" | "output_text")))
        .filter_map(|part| part["text"].as_str())
        .collect()
}

/// The text without a leading `<think>` block, which servers of reasoning models may leave in it.
/// Where the chat template opens the block, only its end is in the text.
fn without_thoughts(text: &str) -> &str {
    let opened = text.trim_start().strip_prefix("<think>");
    match opened.unwrap_or(text).split_once("</think>") {
        Some((thoughts, rest)) if opened.is_some() || !thoughts.contains("<think>") => {
            rest.trim_start()
        }
        None if opened.is_some() => "",
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages() -> Vec<Message> {
        vec![
            Message::new("system", "Be brief."),
            Message::new("user", "Sky?"),
        ]
    }

    #[test]
    fn only_requested_settings_are_sent() {
        let settings = Settings {
            max_new_tokens: 9,
            temperature: Some(0.7),
            ..Settings::default()
        };
        let turns = json!([
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Sky?"}
        ]);
        assert_eq!(
            Api::Openai.body("m", &messages(), &settings, true),
            json!({"model": "m", "max_completion_tokens": 9, "temperature": 0.7, "messages": turns})
        );
        let body = Api::Openai.body("m", &messages(), &settings, false);
        assert_eq!(body["max_tokens"], 9);
        assert_eq!(
            Api::Anthropic.body("m", &messages(), &settings, true),
            json!({
                "model": "m", "max_tokens": 9, "temperature": 0.7, "system": "Be brief.",
                "messages": [{"role": "user", "content": "Sky?"}],
            })
        );
    }

    #[test]
    fn an_unsupported_setting_is_named() {
        let settings = Settings {
            min_p: Some(0.1),
            ..Settings::default()
        };
        assert_eq!(Api::Anthropic.lacks(&settings), Some("--min-p"));
        assert_eq!(Api::Anthropic.lacks(&Settings::default()), None);
        assert_eq!(Api::Openai.lacks(&settings), None);
    }

    #[test]
    fn responses_of_both_apis_are_read() {
        let found = Api::Openai
            .read(&json!({
                "model": "m-2026", "usage": {"prompt_tokens": 3, "completion_tokens": 4},
                "choices": [{"message": {"content": "Blau. 蓝"}, "finish_reason": "stop"}],
            }))
            .unwrap();
        assert_eq!((&*found.text, &*found.finish_reason), ("Blau. 蓝", "stop"));
        assert_eq!(found.model.as_deref(), Some("m-2026"));
        assert_eq!(
            (found.usage.input_tokens, found.usage.output_tokens),
            (3, 4)
        );

        let found = Api::Anthropic
            .read(&json!({
                "content": [
                    {"type": "thinking", "thinking": "hm"},
                    {"type": "text", "text": "Bl"}, {"type": "text", "text": "au."},
                ],
                "stop_reason": "max_tokens",
                "usage": {"input_tokens": 3, "cache_read_input_tokens": 5, "output_tokens": 4},
            }))
            .unwrap();
        assert_eq!((&*found.text, &*found.finish_reason), ("Blau.", "length"));
        assert_eq!(
            (found.usage.input_tokens, found.usage.output_tokens),
            (8, 4)
        );
    }

    #[test]
    fn refusals_and_empty_responses_are_answers_and_malformed_ones_are_errors() {
        let read = |message: Value| {
            Api::Openai.read(&json!({"choices": [{"message": message, "finish_reason": "length"}]}))
        };
        let found = read(json!({"content": null, "refusal": "No."})).unwrap();
        assert_eq!((&*found.text, &*found.finish_reason), ("No.", "refusal"));
        let found = read(json!({"content": null})).unwrap();
        assert_eq!((&*found.text, &*found.finish_reason), ("", "length"));
        let parts = json!({"content": [{"type": "text", "text": "Blue."}]});
        assert_eq!(read(parts).unwrap().text, "Blue.");
        let thoughts = json!({"content": "<think>\nIs it?\n</think>\n\nBlue."});
        assert_eq!(read(thoughts).unwrap().text, "Blue.");
        assert_eq!(read(json!({"content": "<think>\nIs"})).unwrap().text, "");
        let thoughts = json!({"content": null, "reasoning_content": "Is it?"});
        assert_eq!(read(thoughts).unwrap().text, "");
        assert!(read(json!({"content": 3})).is_err());
        let failed = json!({"message": {"content": "Bl"}, "finish_reason": "error"});
        assert!(Api::Openai.read(&json!({"choices": [failed]})).is_err());
        assert!(Api::Openai.read(&json!({"choices": []})).is_err());
        assert!(Api::Openai.read(&json!([1])).is_err());
        assert!(Api::Anthropic.read(&json!({"content": "text"})).is_err());
    }

    #[test]
    fn thoughts_are_removed_whether_or_not_they_are_opened() {
        for (text, answer) in [
            ("<think>\nIs it?\n</think>\n\nBlue.", "Blue."),
            ("Is it?\n</think>\n\nBlue.", "Blue."),
            ("</think>Blue.", "Blue."),
            ("<think>\nIs it", ""),
            ("Is it?", "Is it?"),
            // Neither block is before the answer.
            ("Write <think>x</think>.", "Write <think>x</think>."),
        ] {
            assert_eq!(without_thoughts(text), answer, "{text:?}");
        }
    }
}
