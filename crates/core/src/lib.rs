//! Log-probabilities and preference losses on Burn tensors, as the papers write them.
//!
//! Every loss is one pure function in one file of [`loss`]: it takes log-probabilities and returns
//! one value per example (`[batch]`). Reduction, batching, models and devices are elsewhere, so
//! that a loss can be read beside its equation. Weights are an input like any other: a
//! loss only multiplies by them.
//!
//! # Example
//! ```
//! use burn::tensor::{Device, Tensor};
//! use rarebit_core::{loss, PairLogps};
//!
//! let device = Device::flex();
//! let logps = |chosen: f32, rejected: f32| PairLogps {
//!     chosen: Tensor::from_floats([chosen], &device),
//!     rejected: Tensor::from_floats([rejected], &device),
//! };
//! let weight = Tensor::from_floats([1.6], &device);
//! let ddpo = loss::dpo(&logps(-10.0, -14.0), &logps(-11.0, -12.0), weight, 0.1);
//! assert!((ddpo.into_scalar::<f32>() - 0.886968).abs() < 1e-5);
//! ```

mod logps;
pub mod loss;
pub mod numerics;

pub use logps::{CompletionLogps, PairLogps, token_logps};
