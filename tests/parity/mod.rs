//! Against the libraries that define the numbers: each file reads what the script of its name wrote
//! to `fixtures` (`fixtures/README.md` names every key).
//!
//! Computation is in f32 on the CPU. Where nothing else is said the tolerance is 1e-4, a hundred
//! times the rounding that the fixtures record (`f64_difference`) and a hundredth of what any
//! mistake of substance makes.

mod adapters;
mod additive;
mod chat;
mod conversations;
mod deviation;
mod embedders;
mod families;
mod fixture;
mod generation;
mod llama;
mod lora;
mod losses;
mod pairs;
mod reward;
mod reward_training;
mod training;
