//! From texts to vectors.
//!
//! The embedders here need no weights: they serve the demo, the tests and the page. Neural ones
//! implement [`Embedder`] elsewhere.

mod function_words;
mod lexical;
mod style;
#[cfg(test)]
mod tests;

pub use function_words::is_function_word;
pub use lexical::Lexical;
pub use style::Style;

/// Whatever went wrong inside an embedder.
pub type EmbedError = Box<dyn std::error::Error + Send + Sync>;

/// Gives each text a vector whose direction says what the text is like.
pub trait Embedder {
    /// Stable identity: a name and what determines the vectors. Caches use it as their key, so two
    /// embedders that can give one text different vectors have different ids.
    fn id(&self) -> &str;

    /// The number of components of each vector.
    fn dims(&self) -> usize;

    /// One row per text, of length 1, in the order of the texts.
    ///
    /// A text without content (empty or white space) may be the zero vector, which
    /// [`DistanceMatrix`](crate::DistanceMatrix) understands.
    ///
    /// # Errors
    /// Whatever keeps the embedder from reading the texts.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// The embedder of this name: `builtin:lexical` or `builtin:style`.
#[must_use]
pub fn builtin(name: &str) -> Option<Box<dyn Embedder>> {
    match name {
        "builtin:lexical" => Some(Box::new(Lexical)),
        "builtin:style" => Some(Box::new(Style)),
        _ => None,
    }
}

/// Scales a vector to length 1; the zero vector stays.
fn unit(values: &[f64]) -> Vec<f32> {
    let length = values.iter().map(|v| v * v).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    values.iter().map(|v| (v * scale) as f32).collect()
}
