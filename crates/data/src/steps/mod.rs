//! The steps from groups to weighted pairs, each a pure function of one group and the seed.

pub mod clean;
pub mod divpo;
pub mod given;
pub mod label;
pub mod pairs;
pub mod split;
pub mod surprise;
pub mod transform;
pub mod weigh;

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

/// The random numbers of one prompt: they depend on the seed, the step and the prompt alone, so
/// that neither the order of the file nor the size of a batch changes what is drawn.
pub(crate) fn rng(seed: u64, step: &str, id: &str, prompt: &str) -> ChaCha12Rng {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    for part in [step, id, prompt] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    ChaCha12Rng::from_seed(*hasher.finalize().as_bytes())
}
