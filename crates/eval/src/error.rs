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
    /// One system has nothing to be compared with.
    #[error("people compare systems: give the files of at least two")]
    OneSystem,
    /// No prompts or no responses were asked for.
    #[error("there is nothing to judge: ask for at least one prompt and one response")]
    NothingToJudge,
    /// No prompt has enough responses of every system.
    #[error(
        "no prompt has {responses} responses of every system that are not blank; ask for fewer \
         responses, or sample more"
    )]
    NoSharedPrompt {
        /// Responses on each side.
        responses: usize,
    },
    /// Some of the responses have no summary.
    #[error(
        "{missing} of the responses have no summary, the first under prompt_id {first}; write one \
         for each of the summary prompts that belong to these files and this seed"
    )]
    Summaries {
        /// How many.
        missing: usize,
        /// The id of one.
        first: String,
    },
    /// There is nothing to analyse.
    #[error("the files hold no answer")]
    NoAnswers,
    /// Judgements in a format of another version.
    #[error("the judgements of `{annotator}` are of version {version}, which is not read")]
    JudgementsVersion {
        /// Whose.
        annotator: String,
        /// The version.
        version: u32,
    },
    /// Judgements of another study than the key's.
    #[error(
        "the judgements of `{annotator}` are of study {found}, the key is of study {expected}; \
         give the key that was written with their page"
    )]
    OtherStudy {
        /// Whose.
        annotator: String,
        /// Their study.
        found: String,
        /// The key's.
        expected: String,
    },
    /// Two files are of one annotator.
    #[error("two files are of annotator `{0}`; keep the later one, or give each their own name")]
    RepeatedAnnotator(String),
    /// An answer to no item of the study, or a second one.
    #[error("`{annotator}` has an answer to item {item}, which does not exist or has one already")]
    Answer {
        /// Whose.
        annotator: String,
        /// The item's number.
        item: String,
    },
}
