//! From texts to vectors.
//!
//! The embedders here need no model weights; the demo, the tests and the web page use them. Neural
//! embedders implement [`Embedder`] elsewhere.

mod embedder;
mod function_words;
mod lexical;
mod style;
#[cfg(test)]
mod tests;

pub use embedder::{EmbedError, Embedder};
pub use function_words::is_function_word;
pub use lexical::Lexical;
pub use style::Style;

/// The embedder of this name: `builtin:lexical` or `builtin:style`.
#[must_use]
pub fn builtin(name: &str) -> Option<Box<dyn Embedder>> {
    match name {
        "builtin:lexical" => Some(Box::new(Lexical)),
        "builtin:style" => Some(Box::new(Style)),
        _ => None,
    }
}
