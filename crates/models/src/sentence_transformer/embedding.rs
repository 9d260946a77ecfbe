//! Texts that are being embedded, one batch at a time.

use std::ops::Deref;
use std::vec::IntoIter;

use burn::tensor::Tensor;
use rarebit_deviation::{EmbedError, Embedder};

use super::SentenceTransformer;
use super::sequences::Sequence;
use crate::error::ModelError;
use crate::length_batches::length_batches;

/// Tokens that one forward pass reads, padding counted: enough to fill the processor, little enough
/// that the widest activations stay near it.
const TOKENS_PER_BATCH: usize = 2048;

/// Texts that are being embedded.
///
/// A batch ends where its vectors have to leave the device, so that a program reads them as it must:
/// at once, or, in a browser, by waiting. The embedder's own `embed` is the loop that reads them at
/// once.
#[derive(Debug)]
pub struct Embedding<E> {
    embedder: E,
    sequences: Vec<Sequence>,
    batches: IntoIter<Vec<usize>>,
    /// The sequences whose vectors are awaited.
    awaited: Vec<usize>,
    rows: Vec<Vec<f32>>,
}

impl<E: Deref<Target = SentenceTransformer>> Embedding<E> {
    /// Cuts the texts into batches; `embedder` is a reference, of whatever kind.
    ///
    /// # Errors
    /// When the tokenizer fails.
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

    /// How many batches are left.
    pub fn remaining(&self) -> usize {
        self.batches.len()
    }

    /// Computes the next batch: its vectors, `[batch, dims]`, to be read and given to [`Self::take`].
    pub fn next_batch(&mut self) -> Option<Tensor<2>> {
        self.awaited = self.batches.next()?;
        let batch = self.awaited.iter().map(|&place| &self.sequences[place]);
        Some(self.embedder.pooled(&batch.collect::<Vec<_>>()))
    }

    /// Takes the vectors of the batch, `[batch, dims]` flattened.
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

    /// One vector of length 1 for each text, in their order.
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

    /// Rows have length 1 whether the folder names a Normalize module or not. An empty text has
    /// the vector that the model gives to its special tokens alone.
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
