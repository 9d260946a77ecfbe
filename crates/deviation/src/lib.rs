//! How far each response is from the others to its prompt, and the weight that follows.
//!
//! The definitions are those of "Modifying Large Language Model Post-Training for Diverse Creative
//! Writing" (Chung, Padmakumar, Roemmele, Sun, Kreminski, [arXiv 2503.17126]). For a prompt with
//! responses `y_1 .. y_n` the way from texts to weights is:
//!
//! 1. an [`Embedder`] gives each text a vector (one embedder per [`Kind`]),
//! 2. [`DistanceMatrix::from_embeddings`] gives the cosine distances between the responses,
//! 3. [`deviations`] gives each response its mean distance to the others, `d_i`, or a [`Measure`]
//!    another number of the same sense,
//! 4. [`normalise`] spreads the deviations of a prompt over `[0, 1]`,
//! 5. [`weights`] mixes the kinds and scales the result to a mean of 1, or [`additive_weights`]
//!    adds them to other signals, as "Creative Preference Optimization" does ([arXiv 2505.14442]);
//!    [`Weighting::weigh`] picks between the two and checks the [`Measurements`] first.
//!
//! ```
//! use rarebit_deviation::{DistanceMatrix, Kinds, Weighting, deviations, embed, weights};
//!
//! let texts = ["The fox ran home.", "The fox ran to its home.", "Rain fell on the sea."];
//! let embedder = embed::builtin("builtin:lexical").ok_or("unknown embedder")?;
//! let matrix = DistanceMatrix::from_embeddings(&embedder.embed(&texts)?)?;
//! let raw: Vec<f64> = deviations(&matrix).into_iter().flatten().collect();
//! let weighting = Weighting { kinds: Kinds::Semantic, ..Weighting::default() };
//! let weight = weights(&[&raw], &weighting);
//! assert!(weight[2] > weight[0], "the tale of the sea stands apart");
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```
//!
//! # Repeated texts
//!
//! Each sample counts once: a text that occurs three times is three responses, each at distance 0
//! from its copies. Copies of one text therefore share one deviation and one weight, and pull each
//! other's deviation down. (The reference code keys by text, so that copies collapse in the mean
//! but not in the deviation.) To count copies as one response, remove the repeats first.
//!
//! [arXiv 2503.17126]: https://arxiv.org/abs/2503.17126
//! [arXiv 2505.14442]: https://arxiv.org/abs/2505.14442

mod additive;
mod deviation;
mod distance;
pub mod embed;
mod error;
mod kind;
mod measure;
mod measurements;
mod mix;
mod name;
mod novelty;
mod signal;
mod weight;

pub use additive::{Signals, additive_weights};
pub use deviation::{TIE_TOLERANCE, deviations, mean_distances, normalise, normalise_ranks};
pub use distance::DistanceMatrix;
pub use embed::{EmbedError, Embedder};
pub use error::DeviationError;
pub use kind::{Kind, Kinds};
pub use measure::Measure;
pub use measurements::Measurements;
pub use mix::Mix;
pub use name::UnknownName;
pub use novelty::{WordVectors, distinct_words, novelty};
pub use signal::Signal;
pub use weight::{Weighting, renormalise, weights};
