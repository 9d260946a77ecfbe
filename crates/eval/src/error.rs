//! What can be wrong with samples and settings.

use rarebit_deviation::{DeviationError, EmbedError};

/// Why an evaluation could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// There is nothing to evaluate.
    #[error("no system to evaluate: give at least one file of samples")]
    NoSystems,
    /// Two systems share a name, so that results could not be told apart.
    #[error("two systems are named `{0}`; give each its own name")]
    RepeatedSystem(String),
    /// A prompt occurs twice in one system.
    #[error("system `{system}` has prompt `{prompt_id}` twice")]
    RepeatedPrompt {
        /// The system.
        system: String,
        /// The prompt's id.
        prompt_id: String,
    },
    /// One id stands for two different prompts, so that matching by id would compare the
    /// incomparable.
    #[error(
        "prompt `{prompt_id}` of system `{system}` has another text than the same id had before; \
         samples of different prompts cannot be compared"
    )]
    PromptText {
        /// The system with the second text.
        system: String,
        /// The prompt's id.
        prompt_id: String,
    },
    /// A score is NaN or infinite.
    #[error("system `{system}`, prompt `{prompt_id}`, response {response}: the score is {value}")]
    Score {
        /// The system.
        system: String,
        /// The prompt's id.
        prompt_id: String,
        /// Index of the response within the prompt.
        response: usize,
        /// The score.
        value: f64,
    },
    /// The baseline is none of the systems.
    #[error("there is no system named `{name}` to compare with; the systems are {known}")]
    UnknownBaseline {
        /// The baseline that was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// No resamples were asked for.
    #[error("a bootstrap needs at least one resample")]
    NoResamples,
    /// The confidence is no probability.
    #[error("the confidence of the intervals is {0}; it must lie between 0 and 1, like 0.95")]
    Confidence(f64),
    /// The distance up to which responses are alike is no cosine distance.
    #[error("the threshold of distinct responses is {0}; a cosine distance lies between 0 and 2")]
    DistinctThreshold(f64),
    /// The score from which on responses are good is no number.
    #[error("the threshold of quality is {0}; give a finite number")]
    QualityThreshold(f64),
    /// The embedder failed.
    #[error("{embedder} could not embed the responses of `{system}`")]
    Embed {
        /// Identity of the embedder.
        embedder: String,
        /// The system.
        system: String,
        /// What it said.
        #[source]
        source: EmbedError,
    },
    /// The embedder gave more or fewer rows than it got texts.
    #[error("{embedder} gave {found} rows for {expected} texts")]
    Rows {
        /// Identity of the embedder.
        embedder: String,
        /// Number of texts.
        expected: usize,
        /// Number of rows.
        found: usize,
    },
    /// The embeddings of a prompt's responses have no distances.
    #[error("{embedder} gave unusable rows for prompt `{prompt_id}` of `{system}`")]
    Distances {
        /// Identity of the embedder.
        embedder: String,
        /// The system.
        system: String,
        /// The prompt's id.
        prompt_id: String,
        /// What is wrong with them.
        #[source]
        source: DeviationError,
    },
}
