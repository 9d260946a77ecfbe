//! Chat models behind an HTTP API: any OpenAI-compatible endpoint, and Anthropic's.

mod api;
mod client;
mod key;
mod refusal;
mod retry;

pub(crate) use api::{Api, Settings};
pub(crate) use client::{Client, ClientOptions};
pub(crate) use retry::Backoff;
