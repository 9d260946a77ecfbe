//! Language models and sentence embedders in the browser, on WebGPU or the CPU.
//!
//! JavaScript gives the files, this module computes what the command line computes with them. It is
//! apart from the scoring module, which needs neither a GPU runtime nor a tokenizer.

#[cfg(target_arch = "wasm32")]
mod complaint;
#[cfg(target_arch = "wasm32")]
pub mod device;
#[cfg(target_arch = "wasm32")]
pub mod embedder;
#[cfg(target_arch = "wasm32")]
mod failure;
#[cfg(target_arch = "wasm32")]
pub mod folder;
#[cfg(target_arch = "wasm32")]
pub mod hasher;
#[cfg(target_arch = "wasm32")]
mod room;
#[cfg(target_arch = "wasm32")]
pub mod writer;
