//! What can go wrong in a run, and how an error says where it happened.

use std::error::Error as StdError;

use rarebit_data::DataError;
use rarebit_deviation::DeviationError;
use rarebit_eval::EvalError;
use rarebit_models::ModelError;
use rarebit_train::TrainError;

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A setting, or a combination of settings or inputs, that cannot be run; the message names it
    /// and what to change.
    #[error("{0}")]
    Invalid(String),
    /// Responses were being written, and the caller asked to stop.
    #[error("{0}")]
    Stopped(String),
    /// Where something else went wrong.
    #[error("{context}")]
    In {
        /// The file, row or setting that was being worked on.
        context: String,
        /// What went wrong there.
        #[source]
        source: Box<PipelineError>,
    },
    /// Responses could not be read, prepared or written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A model, tokenizer or chat template failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// An evaluation failed.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// Weights cannot be made of what was measured.
    #[error(transparent)]
    Deviation(#[from] DeviationError),
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A configuration is not valid TOML, or has a key or value that is not known.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// A configuration could not be written.
    #[error(transparent)]
    TomlOut(#[from] toml::ser::Error),
    /// JSON that does not parse, or could not be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// What the caller provided, such as a chat service, an embedder or a source of models, failed.
    #[error(transparent)]
    Caller(#[from] Box<dyn StdError + Send + Sync>),
}

/// What this crate's functions return.
pub type Result<T, E = PipelineError> = std::result::Result<T, E>;

impl PipelineError {
    /// The error and its causes in one line, outermost first.
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            line += ": ";
            line += &error.to_string();
            cause = error.source();
        }
        line
    }

    /// The error of the system that this is or that caused it.
    pub fn io_error(&self) -> Option<&std::io::Error> {
        match self {
            Self::Io(error) => Some(error),
            Self::In { source, .. } => source.io_error(),
            Self::Caller(error) => io_error(error.as_ref()),
            error => error.source().and_then(io_error),
        }
    }

    /// Whether nothing went wrong, but the caller asked to [stop](rarebit_train::Stop).
    pub fn is_stopped(&self) -> bool {
        match self {
            Self::Stopped(_) | Self::Train(TrainError::Stopped { .. }) => true,
            Self::In { source, .. } => source.is_stopped(),
            _ => false,
        }
    }

    /// Whether this or what caused it is a full disk or an exhausted quota.
    pub(crate) fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let error = self.io_error();
        error.is_some_and(|error| matches!(error.kind(), StorageFull | QuotaExceeded))
    }
}

/// The first error of the system in a chain of causes.
fn io_error<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e std::io::Error> {
    if let Some(error) = error.downcast_ref::<PipelineError>() {
        return error.io_error();
    }
    match error.downcast_ref() {
        Some(error) => Some(error),
        None => error.source().and_then(io_error),
    }
}

/// Says where an error happened.
pub(crate) trait Context<T> {
    /// Puts a message before the error.
    fn context(self, context: impl Into<String>) -> Result<T>;

    /// Puts a message before the error, made only if there is one.
    fn with_context<C: Into<String>>(self, context: impl FnOnce() -> C) -> Result<T>;
}

impl<T, E: Into<PipelineError>> Context<T> for std::result::Result<T, E> {
    fn context(self, context: impl Into<String>) -> Result<T> {
        self.with_context(|| context)
    }

    fn with_context<C: Into<String>>(self, context: impl FnOnce() -> C) -> Result<T> {
        self.map_err(|error| PipelineError::In {
            context: context().into(),
            source: Box::new(error.into()),
        })
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, context: impl Into<String>) -> Result<T> {
        self.with_context(|| context)
    }

    fn with_context<C: Into<String>>(self, context: impl FnOnce() -> C) -> Result<T> {
        self.ok_or_else(|| PipelineError::Invalid(context().into()))
    }
}

/// Returns [`PipelineError::Invalid`] with a formatted message.
macro_rules! bail {
    ($($message:tt)*) => {
        return Err($crate::error::PipelineError::Invalid(format!($($message)*)))
    };
}

/// Returns [`PipelineError::Invalid`] with a formatted message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            $crate::error::bail!($($message)*)
        }
    };
}

pub(crate) use {bail, ensure};

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn a_full_disk_is_seen_behind_any_context() {
        let full = || Error::from(ErrorKind::StorageFull);
        assert!(PipelineError::from(full()).is_disk_full());
        let within: Result<()> = Err(full()).context("while writing");
        assert!(within.unwrap_err().is_disk_full());
        let boxed: Box<dyn StdError + Send + Sync> = full().into();
        assert!(PipelineError::from(boxed).is_disk_full());
        assert!(!PipelineError::from(Error::from(ErrorKind::NotFound)).is_disk_full());
    }

    #[test]
    fn context_stands_before_what_went_wrong() {
        let error = None::<()>.context("no rows").context("rows.jsonl");
        let error = error.unwrap_err();
        assert_eq!(error.to_string(), "rows.jsonl");
        assert_eq!(error.source().unwrap().to_string(), "no rows");
    }
}
