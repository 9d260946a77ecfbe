//! One request to a chat model, retried until it succeeds or retrying is pointless.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rarebit_pipeline::Events;
use rarebit_pipeline::generate::{Answer, ChatService, Usage};
use rarebit_text::Message;
use serde_json::Value;
use ureq::http::{Response, StatusCode, Uri};
use ureq::{Agent, Body};

use crate::api::{Api, NEWER_LIMIT, Settings};
use crate::error::{ProviderError, Result};
use crate::key::ApiKey;
use crate::refusal::{Asked, Refusal, refusal};
use crate::retry::{Backoff, PATIENCE, retry_after};

/// Larger than any response body.
const LARGEST_ANSWER: u64 = 64 << 20;
/// Longer server messages are truncated to this many characters.
const LONGEST_MESSAGE: usize = 300;
/// The version of Anthropic's API.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Where to send requests, and how patiently.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// What the endpoint speaks.
    pub api: Api,
    /// The provider's own endpoint when `None`.
    pub base_url: Option<String>,
    /// The service's name of the model.
    pub model: String,
    /// The environment variable with the key; the API's usual one when `None`.
    pub key_variable: Option<String>,
    /// How it samples.
    pub settings: Settings,
    /// How long to wait before a retry.
    pub backoff: Backoff,
    /// The limit for one attempt, from connecting to the last byte.
    pub timeout: Duration,
}

/// A client for one model, shared by threads.
#[derive(Debug)]
pub struct Client {
    options: ClientOptions,
    events: Events,
    agent: Agent,
    url: String,
    key: Option<ApiKey>,
    variable: String,
    /// No thread sends a request before this time: a rate limit hits all of them alike.
    gate: Mutex<Instant>,
    /// No further requests are sent.
    stopped: AtomicBool,
    /// The endpoint knows the longest response only by its newer name.
    newer_limit: AtomicBool,
}

/// How an attempt ended.
enum Attempt {
    Answer(Answer),
    /// The server asks for [`NEWER_LIMIT`].
    OlderLimit,
    Failed {
        why: String,
        asked_to_wait: Option<Duration>,
    },
}

impl Client {
    /// Checks the URL and the key; sends nothing yet. `events` hears of retries.
    ///
    /// # Errors
    /// When a setting is not supported, the URL is not valid or not encrypted, or there is no key.
    pub fn new(options: ClientOptions, events: Events) -> Result<Self> {
        let ClientOptions { api, settings, .. } = &options;
        if let Some(flag) = api.lacks(settings) {
            return Err(ProviderError::Invalid(format!(
                "{flag} is not supported by the provider {}; leave it out",
                api.name()
            )));
        }
        let base = options.base_url.as_deref().unwrap_or(api.base_url());
        let address = checked(base)?;
        let variable = options.key_variable.as_deref();
        let key = ApiKey::from_env(variable.unwrap_or(api.key_variable()))?;
        let variable = variable.unwrap_or(api.key_variable()).to_owned();
        // Self-hosted servers often need none.
        if key.is_none() && (options.base_url.is_none() || options.key_variable.is_some()) {
            return Err(ProviderError::Invalid(format!(
                "no API key: set the environment variable {variable}{}",
                match options.key_variable {
                    Some(_) => "",
                    None => ", or name another with --api-key-env",
                }
            )));
        }
        if key.is_some() && address.scheme_str() != Some("https") && !is_here(&address) {
            return Err(ProviderError::Invalid(format!(
                "{base} is not encrypted, so the key in {variable} is not sent to it; give an https URL, or unset {variable}"
            )));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // A request, and the key with it, goes only where the user said.
            .max_redirects(0)
            .timeout_global(Some(options.timeout))
            .user_agent(concat!("rarebit/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self {
            url: format!("{}{}", base.trim_end_matches('/'), api.path()),
            agent,
            key,
            variable,
            gate: Mutex::new(Instant::now()),
            stopped: AtomicBool::new(false),
            newer_limit: AtomicBool::new(options.base_url.is_none()),
            options,
            events,
        })
    }

    /// Sends a request until it is answered; `None` once [`ChatService::stop`] was called.
    fn ask_until_answered(&self, messages: &[Message], sample: usize) -> Result<Option<Answer>> {
        let mut settings = self.options.settings.clone();
        // One seed for all samples would make them identical.
        settings.seed = settings.seed.map(|seed| seed.wrapping_add(sample as u64));
        let mut failures = 0;
        loop {
            if !self.wait_for_gate() {
                return Ok(None);
            }
            let ClientOptions { api, model, .. } = &self.options;
            let newer_limit = self.newer_limit.load(Ordering::Relaxed);
            let body = api.body(model, messages, &settings, newer_limit);
            let (why, asked_to_wait) = match self.attempt(&body)? {
                Attempt::Answer(answer) => return Ok(Some(answer)),
                Attempt::OlderLimit => {
                    self.newer_limit.store(true, Ordering::Relaxed);
                    continue;
                }
                Attempt::Failed { why, asked_to_wait } => (why, asked_to_wait),
            };
            failures += 1;
            if failures > self.options.backoff.retries {
                return Err(self.unanswered(format!("{why}, {failures} times in a row")));
            }
            if let Some(asked) = asked_to_wait.filter(|asked| *asked > PATIENCE) {
                return Err(self.unanswered(format!(
                    "{why}; the server asks to wait {} minutes: run the same command again after that",
                    asked.as_secs() / 60
                )));
            }
            let wait = self.options.backoff.wait(failures, asked_to_wait);
            if asked_to_wait.is_some() {
                self.close_gate(wait);
            }
            self.events.note(&format!(
                "{why}; retrying in {:.1} s ({failures} of {})",
                wait.as_secs_f64(),
                self.options.backoff.retries
            ));
            if !self.sleep_until(Instant::now() + wait) {
                return Ok(None);
            }
        }
    }

    fn attempt(&self, body: &Value) -> Result<Attempt> {
        let api = self.options.api;
        let mut request = self.agent.post(&self.url);
        if let Some(key) = &self.key {
            let (name, prefix) = api.key_header();
            request = request.header(name, key.header(prefix)?);
        }
        if api == Api::Anthropic {
            request = request.header("anthropic-version", ANTHROPIC_VERSION);
        }
        let failed = |why: String, asked_to_wait| {
            Ok(Attempt::Failed {
                why: self.shown(&why),
                asked_to_wait,
            })
        };
        let mut response = match request.send_json(body) {
            Ok(response) => response,
            Err(error) if may_pass(&error) => return failed(told(&error), None),
            Err(error) => return Err(self.unanswered(self.shown(&told(&error)))),
        };
        let asked_to_wait = retry_after(response.headers(), Timestamp::now());
        let status = response.status();
        let text = match read(&mut response) {
            Ok(text) => text,
            Err(error) => return failed(told(&error), asked_to_wait),
        };
        let json: Option<Value> = serde_json::from_str(&text).ok();
        // Models behind Azure or a proxy, such as GPT-5. Both names are in the message.
        let knows_newer = || message(json.as_ref(), &text).contains(NEWER_LIMIT);
        if status == StatusCode::BAD_REQUEST
            && api == Api::Openai
            && body.get(NEWER_LIMIT).is_none()
            && knows_newer()
        {
            return Ok(Attempt::OlderLimit);
        }
        if !status.is_success() {
            return self.refused(status, &text, json.as_ref(), asked_to_wait);
        }
        let read = match &json {
            Some(json) => api.read(json),
            None => Err("it is not JSON".to_owned()),
        };
        match read {
            Ok(answer) => Ok(Attempt::Answer(answer)),
            Err(problem) => {
                let said = message(json.as_ref(), &text);
                failed(
                    format!("cannot read the response ({problem}): {said}"),
                    asked_to_wait,
                )
            }
        }
    }

    fn refused(
        &self,
        status: StatusCode,
        text: &str,
        json: Option<&Value>,
        asked_to_wait: Option<Duration>,
    ) -> Result<Attempt> {
        let error = json.map(|json| &json["error"]);
        let code = error.and_then(|error| {
            let names = [&error["code"], &error["type"]];
            names.into_iter().find_map(Value::as_str)
        });
        let said = self.shown(&message(json, text));
        let asked = Asked {
            url: &self.url,
            model: &self.options.model,
            variable: &self.variable,
            has_key: self.key.is_some(),
        };
        match refusal(status, &said, code.unwrap_or_default(), &asked) {
            Refusal::Passing(why) => Ok(Attempt::Failed { why, asked_to_wait }),
            Refusal::Filtered => Ok(Attempt::Answer(Answer {
                text: String::new(),
                finish_reason: "content_filter".to_owned(),
                usage: Usage::default(),
                model: None,
            })),
            Refusal::Final(text) => Err(ProviderError::Refused(text)),
        }
    }

    fn unanswered(&self, why: String) -> ProviderError {
        ProviderError::Unanswered {
            url: self.url.clone(),
            why,
        }
    }

    /// A server's message, redacted and truncated.
    fn shown(&self, text: &str) -> String {
        let text = match &self.key {
            Some(key) => key.redact(text),
            None => text.to_owned(),
        };
        let mut short: String = text.chars().take(LONGEST_MESSAGE).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        short
    }

    fn close_gate(&self, wait: Duration) {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        *gate = (*gate).max(Instant::now() + wait);
    }

    fn wait_for_gate(&self) -> bool {
        let until = *self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleep_until(until)
    }

    /// Waits; whether to go on after that.
    fn sleep_until(&self, until: Instant) -> bool {
        while !self.stopped.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
        false
    }
}

/// The base URL, if requests can be sent to it.
fn checked(base: &str) -> Result<Uri> {
    let invalid = |what: &str| Err(ProviderError::Invalid(format!("--base-url {what}")));
    // What cannot be parsed is not repeated: it may contain a key.
    let Ok(address) = base.parse::<Uri>() else {
        return invalid("is not a valid URL; give one like https://host/v1");
    };
    if !matches!(address.scheme_str(), Some("http" | "https")) || address.host().is_none() {
        return invalid("is not an http or https URL; give one like https://host/v1");
    }
    let has_user = |authority: &ureq::http::uri::Authority| authority.as_str().contains('@');
    if address.authority().is_some_and(has_user) || address.query().is_some() {
        return invalid(
            "contains a user name, a password or a query; give the bare URL, and the key in an environment variable",
        );
    }
    Ok(address)
}

/// Whether a URL points to this machine.
fn is_here(address: &Uri) -> bool {
    let host = address.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn read(response: &mut Response<Body>) -> Result<String, ureq::Error> {
    let body = response.body_mut().with_config().limit(LARGEST_ANSWER);
    body.lossy_utf8(true).read_to_string()
}

/// A server's error message.
fn message(json: Option<&Value>, text: &str) -> String {
    let said = json.and_then(|json| {
        let (error, of_choice) = (&json["error"], &json["choices"][0]["error"]);
        let places = [&error["message"], error, &of_choice["message"]];
        places.into_iter().find_map(Value::as_str)
    });
    said.unwrap_or(text)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether a retry may succeed.
fn may_pass(error: &ureq::Error) -> bool {
    use ureq::Error;
    matches!(
        error,
        Error::Io(_)
            | Error::Timeout(_)
            | Error::Protocol(_)
            | Error::ConnectionFailed
            | Error::HostNotFound
            | Error::BodyStalled
            | Error::Decompress(..)
    )
}

fn told(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "no response in time (--timeout)".to_owned(),
        error => error.to_string(),
    }
}

impl ChatService for Client {
    fn describe(&self) -> Value {
        serde_json::json!({
            "provider": self.options.api.name(),
            "url": self.url,
            "model": self.options.model,
            "settings": self.options.settings,
        })
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn ask(
        &self,
        messages: &[Message],
        sample: usize,
    ) -> Result<Option<Answer>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.ask_until_answered(messages, sample)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_checked_and_secrets_in_them_not_repeated() {
        assert!(checked("http://127.0.0.1:8000/v1").is_ok());
        for base in [
            "host",
            "ftp://host/v1",
            "http://",
            "https://me:pw@host/v1",
            "https://h/v1?key=pw",
        ] {
            let error = checked(base).unwrap_err().to_string();
            assert!(error.starts_with("--base-url"), "{error}");
            assert!(!error.contains("pw"), "{error}");
        }
    }

    #[test]
    fn this_machine_is_recognised() {
        for (address, here) in [
            ("http://localhost:1/v1", true),
            ("http://127.0.0.1/v1", true),
            ("http://[::1]:80/v1", true),
            ("http://10.0.0.1/v1", false),
            ("http://localhost.example.org/v1", false),
        ] {
            assert_eq!(is_here(&address.parse().unwrap()), here, "{address}");
        }
    }

    #[test]
    fn a_servers_message_is_found() {
        let of = |text: &str| message(serde_json::from_str(text).ok().as_ref(), text);
        assert_eq!(of(r#"{"error": {"message": "too\nfast"}}"#), "too fast");
        assert_eq!(of(r#"{"error": "no such model"}"#), "no such model");
        assert_eq!(of("<html>\n502"), "<html> 502");
        let failed = r#"{"choices": [{"error": {"code": 502, "message": "gone"}}]}"#;
        assert_eq!(of(failed), "gone");
    }
}
