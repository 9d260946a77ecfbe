//! A judged response.

use serde::{Deserialize, Serialize};

/// A response as the reward model judges it, and as it should.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The model's reward.
    pub reward: f64,
    /// The score, on the scale that the model learned.
    pub score: f64,
}
