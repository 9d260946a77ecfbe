//! A sentence-transformers folder as an [`Embedder`]: tokenizer, encoder, pooling, unit length.

use std::fs::File;
use std::path::{Path, PathBuf};

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use rarebit_deviation::{EmbedError, Embedder};
use tokenizers::Tokenizer;

use crate::bert::{BertConfig, BertModel};
use crate::error::ModelError;
use crate::length_batches::length_batches;
use crate::pooling::Pooling;
use crate::safetensors_file::TensorFile;
use crate::sentence_folder::SentenceFolder;
use crate::tokenizer::{TOKENIZER, read_plain};

/// Tokens that one forward pass reads, padding counted: enough to fill the processor, little enough
/// that the widest activations stay near it.
const TOKENS_PER_BATCH: usize = 2048;

/// What becomes of a text that is longer than the encoder reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LongTexts {
    /// Its end is cut off, as sentence-transformers does.
    #[default]
    Truncate,
    /// It is cut into chunks; its vector is the mean of theirs, weighted by their tokens.
    MeanOfChunks,
}

/// A sentence embedder of the BERT family.
#[derive(Debug)]
pub struct SentenceTransformer {
    id: String,
    tokenizer: Tokenizer,
    tokenizer_path: PathBuf,
    bert: BertModel,
    pooling: Pooling,
    dims: usize,
    pad_token_id: u32,
    do_lower_case: bool,
    long_texts: LongTexts,
    device: Device,
}

impl SentenceTransformer {
    /// Opens a folder in the layout of sentence-transformers (or a bare encoder, pooled by the
    /// mean), onto a device. The embedder's id is `name` with a hash of every file that its vectors
    /// depend on.
    ///
    /// # Errors
    /// When a file is missing or damaged, a weight is missing or has another shape, the tokenizer
    /// does not fit the encoder, or the folder asks for something that is not known here.
    pub fn open(
        folder: &Path,
        name: &str,
        long_texts: LongTexts,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let layout = SentenceFolder::read(folder)?;
        let encoder = &layout.encoder;
        let config = BertConfig::read(encoder)?;
        let max_tokens = layout
            .max_tokens
            .unwrap_or(usize::MAX)
            .min(config.max_tokens());
        let tokenizer = read_plain(encoder, config.vocab_size, Some(max_tokens))?;
        let weights = TensorFile::open(encoder)?;
        let device = device.clone().inner();
        let bert = BertModel::load(&weights, &config, &device)?;

        let mut files = layout.files;
        files.extend([encoder.join("config.json"), encoder.join(TOKENIZER)]);
        files.extend(weights.files().map(Path::to_owned));
        let hash = fingerprint(folder, files)?;
        let long = match long_texts {
            LongTexts::Truncate => "",
            LongTexts::MeanOfChunks => "+chunks",
        };
        Ok(Self {
            id: format!("{name}{long}@{}", &hash.to_hex()[..16]),
            tokenizer,
            tokenizer_path: encoder.join(TOKENIZER),
            bert,
            dims: layout.pooling.dims(config.hidden_size),
            pooling: layout.pooling,
            pad_token_id: config.pad_token_id,
            do_lower_case: layout.do_lower_case,
            long_texts,
            device,
        })
    }

    /// The sequences that stand for a text: one, or a long text's chunks.
    fn sequences(&self, texts: &[&str]) -> Result<Vec<Sequence>, ModelError> {
        let failed = |error: tokenizers::Error| ModelError::Tokenizer {
            path: self.tokenizer_path.clone(),
            reason: error.to_string(),
        };
        let encodings = if self.do_lower_case {
            let texts = texts
                .iter()
                .map(|text| text.to_lowercase())
                .collect::<Vec<_>>();
            self.tokenizer.encode_batch_fast(texts, true)
        } else {
            self.tokenizer.encode_batch_fast(texts.to_vec(), true)
        };
        let mut sequences = Vec::with_capacity(texts.len());
        for (text, encoding) in encodings.map_err(failed)?.iter().enumerate() {
            let overflowing = match self.long_texts {
                LongTexts::Truncate => &[],
                LongTexts::MeanOfChunks => encoding.get_overflowing().as_slice(),
            };
            let chunks = std::iter::once(encoding).chain(overflowing);
            let sequence = |ids: &[u32]| Sequence {
                text,
                ids: ids.to_vec(),
            };
            sequences.extend(chunks.map(|chunk| sequence(chunk.get_ids())));
        }
        // A tokenizer without special tokens gives an empty text no token at all.
        sequences.retain(|sequence| !sequence.ids.is_empty());
        Ok(sequences)
    }

    /// The pooled vectors of some sequences, one after the other.
    fn pooled(&self, sequences: &[&Sequence]) -> Result<Vec<f32>, ModelError> {
        let (batch, seq) = (
            sequences.len(),
            sequences.iter().map(|one| one.ids.len()).max().unwrap_or(0),
        );
        let mut ids = Vec::with_capacity(batch * seq);
        let mut mask = Vec::with_capacity(batch * seq);
        for sequence in sequences {
            let row = sequence.ids.iter().map(|&id| id as i32);
            let padding = std::iter::repeat_n(self.pad_token_id as i32, seq - sequence.ids.len());
            ids.extend(row.chain(padding));
            mask.extend((0..seq).map(|place| place < sequence.ids.len()));
        }
        let padded = mask.iter().any(|&token| !token);
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [batch, seq]), &self.device);
        let mask = Tensor::<2, Bool>::from_data(TensorData::new(mask, [batch, seq]), &self.device);

        let tokens = self.bert.forward(ids, padded.then(|| mask.clone())); // [batch, seq, hidden]
        let pooled = self.pooling.forward(tokens, mask); // [batch, dims]
        let unread = |reason: String| ModelError::Readback { reason };
        let data = pooled
            .try_into_data()
            .map_err(|error| unread(error.to_string()))?;
        data.try_to_vec_as::<f32>()
            .map_err(|error| unread(error.to_string()))
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
        let sequences = self.sequences(texts)?;
        let lengths: Vec<usize> = sequences
            .iter()
            .map(|sequence| sequence.ids.len())
            .collect();
        let mut rows = vec![vec![0.0; self.dims]; texts.len()];
        for batch in length_batches(&lengths, TOKENS_PER_BATCH) {
            let batch: Vec<&Sequence> = batch.iter().map(|&i| &sequences[i]).collect();
            let pooled = self.pooled(&batch)?;
            for (sequence, vector) in batch.iter().zip(pooled.chunks_exact(self.dims)) {
                let scale = sequence.ids.len() as f32 / length(vector).max(f32::MIN_POSITIVE);
                for (sum, value) in rows[sequence.text].iter_mut().zip(vector) {
                    *sum += value * scale;
                }
            }
        }
        for row in &mut rows {
            let scale = 1.0 / length(row).max(f32::MIN_POSITIVE);
            row.iter_mut().for_each(|value| *value *= scale);
        }
        Ok(rows)
    }
}

/// Token ids, and the text that they come from.
struct Sequence {
    text: usize,
    ids: Vec<u32>,
}

fn length(vector: &[f32]) -> f32 {
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}

/// A hash of the files' names in the folder and their contents.
fn fingerprint(folder: &Path, mut files: Vec<PathBuf>) -> Result<blake3::Hash, ModelError> {
    files.sort();
    files.dedup();
    let mut hasher = blake3::Hasher::new();
    for path in files {
        let failed = |source| ModelError::Read {
            path: path.clone(),
            source,
        };
        let file = File::open(&path).map_err(failed)?;
        let name = path
            .strip_prefix(folder)
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        // Lengths keep apart what names and contents would otherwise blur.
        hasher
            .update(&(name.len() as u64).to_le_bytes())
            .update(name.as_bytes());
        hasher.update(&file.metadata().map_err(failed)?.len().to_le_bytes());
        hasher.update_reader(file).map_err(failed)?;
    }
    Ok(hasher.finalize())
}
