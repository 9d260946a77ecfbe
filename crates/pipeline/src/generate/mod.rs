//! Several responses to each prompt, from a model on this machine or behind an API.
//!
//! A [`Job`] asks for what is missing, writes each answer down as it comes, and brings the responses
//! to their place when all are there; a job that was killed goes on.

mod answer;
mod job;
mod journal;
mod price;
mod prompts;
mod questions;
mod samples;
mod verbalized;
mod writer;

pub use answer::{Answer, ChatService, Usage};
pub(crate) use job::remove_partial;
pub use job::{Job, Respondent, Sink};
pub use price::Price;
pub use prompts::{Prompt, read_prompts};
pub use questions::{Questions, Strategy, check_begun, check_system};
pub use samples::{Layout, Sample};
pub use writer::{BATCH_SIZE, Writer};
