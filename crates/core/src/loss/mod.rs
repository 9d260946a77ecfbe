//! One file per objective; each function returns one value per example.

mod dpo;
#[cfg(test)]
mod gradients;
mod orpo;
mod sft;

pub use dpo::{dpo, dpo_rewards};
pub use orpo::{log_odds, orpo, orpo_weight_inside};
pub use sft::sft;
