//! Scoring texts in the browser: how far each is from the others, and how diverse the set is.
//!
//! This module holds no model and no GPU runtime, so that a page that only scores stays small.
//! Vectors come from the built-in embedders or from elsewhere; all that follows from them is the
//! same code that the command line runs.

pub mod mds;
pub mod overlap;

#[cfg(target_arch = "wasm32")]
pub mod api;
