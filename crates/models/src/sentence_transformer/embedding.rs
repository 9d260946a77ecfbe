//! Step-wise embedding, one batch at a time.

use std::ops::Deref;
use std::vec::IntoIter;

use burn::tensor::Tensor;
use rarebit_deviation::{EmbedError, Embedder};

use super::SentenceTransformer;
use super::sequences::Sequence;
use crate::error::ModelError;
use crate::length_batches::length_batches;

/// Tokens per forward pass, padding included: enough to keep the processor busy, few enough for the
/// widest activations to stay in its cache.
const TOKENS_PER_BATCH: usize = 2048;

/// Step-wise embedding, for callers that cannot block.
///
/// Each batch returns its vectors on the device; the caller reads them back, synchronously or, in a
/// browser, asynchronously. [`Embedder::embed`] is the synchronous loop.
#[derive(Debug)]
pub struct Embedding<E> {
    embedder: E,
    sequences: Vec<Sequence>,
    batches: IntoIter<Vec<usize>>,
    /// The sequences of the batch whose vectors are outstanding.
    awaited: Vec<usize>,
    rows: Vec<Vec<f32>>,
}

impl<E: Deref<Target = SentenceTransformer>> Embedding<E> {
    /// Groups the texts into batches. `embedder` can be any kind of reference.
    ///
    /// # Errors
    /// If the tokenizer fails.
    pub fn begin(embedder: E, texts: &[&str]) -> Result<Self, ModelError> {
        let sequences = embedder.sequences.of(texts)?;
        let lengths: Vec<usize> = (sequences.iter())
            .map(|sequence| sequence.ids.len())
            .collect();
        Ok(Self {
            rows: vec![vec![0.0; embedder.dims]; texts.len()],
            embedder,
            batches: length_batches(&lengths, TOKENS_PER_BATCH).into_iter(),
            sequences,
            awaited: Vec::new(),
        })
    }

    /// Number of batches left.
    pub fn remaining(&self) -> usize {
        self.batches.len()
    }

    /// Computes the vectors of the next batch, `[batch, dims]`. Read them back and pass them to
    /// [`Self::take`].
    pub fn next_batch(&mut self) -> Option<Tensor<2>> {
        self.awaited = self.batches.next()?;
        let batch = self.awaited.iter().map(|&place| &self.sequences[place]);
        Some(self.embedder.pooled(&batch.collect::<Vec<_>>()))
    }

    /// Takes the vectors of the batch, flattened from `[batch, dims]`.
    pub fn take(&mut self, vectors: &[f32]) {
        let vectors = vectors.chunks_exact(self.embedder.dims);
        for (&place, vector) in self.awaited.iter().zip(vectors) {
            let sequence = &self.sequences[place];
            let scale = sequence.ids.len() as f32 / length(vector).max(f32::MIN_POSITIVE);
            for (sum, value) in self.rows[sequence.text].iter_mut().zip(vector) {
                *sum += value * scale;
            }
        }
    }

    /// One unit vector per text, in order.
    pub fn finish(mut self) -> Vec<Vec<f32>> {
        for row in &mut self.rows {
            let scale = 1.0 / length(row).max(f32::MIN_POSITIVE);
            row.iter_mut().for_each(|value| *value *= scale);
        }
        self.rows
    }
}

impl Embedder for SentenceTransformer {
    fn id(&self) -> &str {
        &self.id
    }

    fn dims(&self) -> usize {
        self.dims
    }

    /// Vectors are normalized even if the folder has no Normalize module. The vector of an empty
    /// text is that of its special tokens.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut embedding = Embedding::begin(self, texts)?;
        while let Some(vectors) = embedding.next_batch() {
            let vectors = (vectors.try_into_vec_as::<f32>()).map_err(|error| {
                let reason = error.to_string();
                ModelError::Readback { reason }
            })?;
            embedding.take(&vectors);
        }
        Ok(embedding.finish())
    }
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}
