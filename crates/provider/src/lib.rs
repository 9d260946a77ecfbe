//! Chat models behind an HTTP API: any OpenAI-compatible endpoint, and Anthropic's.
//!
//! A [`Client`] is a [`ChatService`](rarebit_pipeline::generate::ChatService) that asks one model:
//! it retries what may pass, heeds a server that asks to wait, and never shows the key. Nothing is
//! sent before the first question.

mod api;
mod client;
mod error;
mod key;
mod refusal;
mod retry;

pub use api::{Api, Settings};
pub use client::{Client, ClientOptions};
pub use error::ProviderError;
pub use retry::Backoff;
