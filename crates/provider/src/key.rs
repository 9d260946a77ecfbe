//! A secret that only the server sees.

use std::env::{self, VarError};
use std::fmt;

use ureq::http::HeaderValue;

use crate::error::{ProviderError, Result};

/// An API key. It cannot leak into a message: printing it prints a placeholder, and
/// [`Self::redact`] removes it from the messages of others.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ApiKey(String);

const PLACEHOLDER: &str = "[key]";

impl ApiKey {
    /// The key in an environment variable; `None` if it is unset or blank.
    ///
    /// # Errors
    /// When the value cannot be sent in a header.
    pub(crate) fn from_env(variable: &str) -> Result<Option<Self>> {
        match env::var(variable) {
            Ok(value) => Self::new(&value, variable),
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(_)) => Err(ProviderError::Invalid(format!(
                "{variable} does not hold a valid key: it is not text"
            ))),
        }
    }

    fn new(value: &str, variable: &str) -> Result<Option<Self>> {
        let value = value.trim();
        if !value.chars().all(|character| character.is_ascii_graphic()) {
            return Err(ProviderError::Invalid(format!(
                "{variable} does not hold a valid key: it contains spaces or other characters that no key has"
            )));
        }
        Ok((!value.is_empty()).then(|| Self(value.to_owned())))
    }

    /// The key behind a prefix, for a header that no log shows.
    pub(crate) fn header(&self, prefix: &str) -> Result<HeaderValue> {
        // The error does not show the value; besides, the characters were checked above.
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", self.0))
            .map_err(|error| ProviderError::Invalid(error.to_string()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// The text without the key, which some servers echo in their errors.
    pub(crate) fn redact(&self, text: &str) -> String {
        text.replace(&self.0, PLACEHOLDER)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PLACEHOLDER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_printed() {
        let key = ApiKey::new(" sk-123\n", "KEY").unwrap().unwrap();
        let header = key.header("Bearer ").unwrap();
        assert_eq!(header.as_bytes(), b"Bearer sk-123");
        assert_eq!(format!("{key:?} {header:?}"), "[key] Sensitive");
        assert_eq!(key.redact("no sk-123 here"), "no [key] here");
    }

    #[test]
    fn an_invalid_key_is_reported_but_not_shown() {
        assert_eq!(ApiKey::new("  ", "KEY").unwrap(), None);
        for value in ["two words", "sch\u{fc}ssel", "a\nb"] {
            let error = ApiKey::new(value, "KEY").unwrap_err().to_string();
            assert!(
                error.starts_with("KEY does not hold a valid key"),
                "{error}"
            );
            assert!(!error.contains(value), "{error}");
        }
    }
}
