//! What an embedder is.

/// What can go wrong inside an embedder.
pub type EmbedError = Box<dyn std::error::Error + Send + Sync>;

/// Maps texts to vectors whose directions can be compared.
pub trait Embedder {
    /// A stable identity: a name and everything that determines the vectors. Caches use it as their
    /// key, so two embedders that can give the same text different vectors must have different ids.
    fn id(&self) -> &str;

    /// The number of components of each vector.
    fn dims(&self) -> usize;

    /// One row per text, of length 1, in the order of the texts.
    ///
    /// A text without content (empty or white space) may be the zero vector, which
    /// [`DistanceMatrix`](crate::DistanceMatrix) understands.
    ///
    /// # Errors
    /// When the embedder cannot read the texts.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// Scales a vector to length 1; the zero vector stays.
pub(super) fn unit(values: &[f64]) -> Vec<f32> {
    let length = values.iter().map(|v| v * v).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    values.iter().map(|v| (v * scale) as f32).collect()
}
