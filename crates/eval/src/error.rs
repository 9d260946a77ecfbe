//! Errors in samples and settings.

use rarebit_deviation::{DeviationError, EmbedError};

/// Why an evaluation could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// There is nothing to evaluate.
    #[error("no system to evaluate: give at least one file of samples")]
    NoSystems,
    /// Two systems have the same name.
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
    /// One id has two different prompts, so that matching by id would compare unrelated responses.
    #[error(
        "prompt `{prompt_id}` of system `{system}` differs from the prompt with the same id in another \
         system or row; give each prompt its own id"
    )]
    PromptText {
        /// The system with the second text.
        system: String,
        /// The prompt's id.
        prompt_id: String,
    },
    /// A score is NaN or infinite.
    #[error(
        "system `{system}`, prompt `{prompt_id}`, response {response}: the score is {value}; scores \
         must be finite"
    )]
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
    /// The baseline is not among the systems.
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
    /// The confidence is not between 0 and 1.
    #[error("the confidence of the intervals is {0}; it must lie between 0 and 1, like 0.95")]
    Confidence(f64),
    /// The threshold of distinct responses is not a cosine distance.
    #[error("the threshold of distinct responses is {0}; a cosine distance lies between 0 and 2")]
    DistinctThreshold(f64),
    /// The threshold of quality is not finite.
    #[error("the threshold of quality is {0}; give a finite number")]
    QualityThreshold(f64),
    /// The embedder failed.
    #[error("{embedder} could not embed the responses of `{system}`")]
    Embed {
        /// Identity of the embedder.
        embedder: String,
        /// The system.
        system: String,
        /// Its error.
        #[source]
        source: EmbedError,
    },
    /// The embedder returned a different number of rows than texts.
    #[error("{embedder} returned {found} rows for {expected} texts")]
    Rows {
        /// Identity of the embedder.
        embedder: String,
        /// Number of texts.
        expected: usize,
        /// Number of rows.
        found: usize,
    },
    /// The embeddings of a prompt's responses are unusable.
    #[error("{embedder} returned unusable rows for prompt `{prompt_id}` of `{system}`")]
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
    /// There is only one system.
    #[error("a human evaluation compares systems: give the files of at least two")]
    OneSystem,
    /// No prompts or no responses were asked for.
    #[error("there is nothing to judge: ask for at least one prompt and one response")]
    NothingToJudge,
    /// No prompt has enough responses of every system.
    #[error(
        "no prompt has {responses} non-blank responses of every system; ask for fewer responses, or \
         sample more"
    )]
    NoSharedPrompt {
        /// Responses on each side.
        responses: usize,
    },
    /// Some of the responses have no summary.
    #[error(
        "{missing} of the responses have no summary, the first with prompt_id {first}; write one for \
         each summary prompt of these files and this seed"
    )]
    Summaries {
        /// How many.
        missing: usize,
        /// The id of one.
        first: String,
    },
    /// There is nothing to analyse.
    #[error("the files contain no answers; give files that the annotation page saved")]
    NoAnswers,
    /// Judgements in another format version.
    #[error(
        "the judgements of `{annotator}` have format version {version}, which this version of \
         rarebit does not read"
    )]
    JudgementsVersion {
        /// Whose.
        annotator: String,
        /// The version.
        version: u32,
    },
    /// Judgements of a different study than the key's.
    #[error(
        "the judgements of `{annotator}` belong to study {found}, the key to study {expected}; give \
         the key that was written with their page"
    )]
    OtherStudy {
        /// Whose.
        annotator: String,
        /// Their study.
        found: String,
        /// The key's.
        expected: String,
    },
    /// Two files have the same annotator.
    #[error(
        "two files have the annotator `{0}`; keep the later one, or give each a name of its own"
    )]
    RepeatedAnnotator(String),
    /// An answer to an unknown item, or a second one to the same item.
    #[error(
        "`{annotator}` has an answer to item {item}, which does not exist or is answered already; use \
         the file as the page saved it"
    )]
    Answer {
        /// Whose.
        annotator: String,
        /// The item's number.
        item: String,
    },
}
