//! What JavaScript is told when something fails: a code for programs, a message for people.

use rarebit_deviation::EmbedError;
use rarebit_models::ModelError;
use wasm_bindgen::prelude::*;

use crate::complaint;

#[wasm_bindgen]
extern "C" {
    /// An `Error` of JavaScript's with a code.
    #[wasm_bindgen(extends = js_sys::Error)]
    #[derive(Clone)]
    type Coded;

    #[wasm_bindgen(method, setter)]
    fn set_code(this: &Coded, code: &str);
}

/// An error on its way to JavaScript. The codes are those of the package's `ErrorCode`.
#[derive(Debug)]
pub(crate) struct Failure {
    code: &'static str,
    message: String,
}

impl Failure {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    /// The failure behind a result that could not be read back: either memory ran out, or the device
    /// was lost and everything on it with it.
    pub(crate) fn unreadable(message: String) -> Self {
        match complaint::first() {
            Some((code @ "out-of-memory", message)) => Self::new(code, message),
            _ => Self::new("device-lost", message),
        }
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let code = match &error {
            ModelError::Unsupported { .. } | ModelError::Dtype { .. } => "unsupported",
            ModelError::Prompt { .. } => "input",
            ModelError::Readback { .. } => return Self::unreadable(error.to_string()),
            _ => "file",
        };
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message += &format!(": {cause}");
            source = cause.source();
        }
        Self::new(code, message)
    }
}

impl From<EmbedError> for Failure {
    fn from(error: EmbedError) -> Self {
        Self::new("input", error.to_string())
    }
}

impl From<JsValue> for Failure {
    fn from(value: JsValue) -> Self {
        let message = match value.dyn_ref::<js_sys::Error>() {
            Some(error) => String::from(error.message()),
            None => format!("{value:?}"),
        };
        Self::new("internal", message)
    }
}

impl From<serde_wasm_bindgen::Error> for Failure {
    fn from(error: serde_wasm_bindgen::Error) -> Self {
        Self::new("input", error.to_string())
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        let error: Coded = js_sys::Error::new(&failure.message).unchecked_into();
        error.set_code(failure.code);
        error.into()
    }
}
