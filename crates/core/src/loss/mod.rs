//! One file per objective; each function returns one value per example.

mod dpo;
#[cfg(test)]
mod gradients;
mod hinge;
mod ipo;
mod kto;
mod l1;
mod margin;
mod orpo;
mod sft;
mod simpo;

pub use dpo::dpo;
pub use hinge::hinge;
pub use ipo::ipo;
pub use kto::{KtoSettings, kl_estimate, kto};
pub use l1::l1;
pub use margin::{Betas, dpo_rewards};
pub use orpo::{log_odds, orpo, orpo_weight_inside};
pub use sft::sft;
pub use simpo::simpo;
