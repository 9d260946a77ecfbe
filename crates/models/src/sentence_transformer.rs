//! A sentence-transformers folder as an [`Embedder`](rarebit_deviation::Embedder): prompt,
//! tokenizer, encoder, pooling, further modules, normalization.

use std::path::{Path, PathBuf};

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use crate::config_file;
use crate::encoder::Encoder;
use crate::error::ModelError;
use crate::files;
use crate::pooling::Pooling;
use crate::sentence_folder::SentenceFolder;
use crate::sentence_head::Head;
use crate::tokenizer::TOKENIZER;

mod embedding;
mod sequences;

pub use embedding::Embedding;
pub use sequences::LongTexts;
use sequences::{Sequence, Sequences};

/// Options that override the settings in the folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EmbedOptions {
    /// What to do with a text that is too long.
    pub long_texts: LongTexts,
    /// Name of the prompt for every text, from the folder's `config_sentence_transformers.json`. If
    /// absent, the folder's default prompt, if it has one.
    pub prompt_name: Option<String>,
    /// The task adapter to use (jina-embeddings-v3), or `none`. If absent, `text-matching`, if the
    /// model has it. The model's instruction for the task precedes every text unless a prompt is
    /// named.
    pub task: Option<String>,
    /// Number of dimensions to keep, for models trained with Matryoshka representations (Kusupati
    /// et al., arXiv 2205.13147).
    pub truncate_dim: Option<usize>,
}

/// A sentence embedder.
#[derive(Debug)]
pub struct SentenceTransformer {
    id: String,
    sequences: Sequences,
    encoder: Encoder,
    pooling: Pooling,
    head: Head,
    dims: usize,
    device: Device,
}

impl SentenceTransformer {
    /// Loads a sentence-transformers folder onto a device. A bare encoder is pooled by the mean, a
    /// bare decoder by the last token. The embedder's id consists of `name`, the options, and a
    /// hash of every file that affects the vectors.
    ///
    /// # Errors
    /// If a file is missing or damaged, a weight is missing or has the wrong shape, the tokenizer
    /// does not fit the encoder, or the folder or the options need something that is not supported.
    pub fn open(
        folder: &Path,
        name: &str,
        options: &EmbedOptions,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let layout = SentenceFolder::read(folder)?;
        let device = device.clone().inner();
        let encoder = Encoder::open(&layout.encoder, options.task.as_deref(), &device)?;
        let pooling = layout.pooling.clone();
        let pooling = pooling.unwrap_or_else(|| encoder.default_pooling.clone());
        let head = Head::load(&layout.head, pooling.dims(encoder.hidden_size), &device)?;
        let asked = options.truncate_dim.or(layout.truncate_dim);
        let dims = asked.or(encoder.truncate_dim).unwrap_or(head.dims);
        if dims == 0 || dims > head.dims {
            let reason = format!("is {dims}; vectors have {} dimensions", head.dims);
            return Err(config_file::wrong(folder, "truncate_dim", reason));
        }
        let prompt = match (&options.prompt_name, &encoder.instruction) {
            (Some(name), _) => layout.prompts.named(name)?,
            (None, Some(instruction)) => instruction,
            (None, None) => layout.prompts.default_text()?.unwrap_or_default(),
        };
        let sequences = Sequences::new(
            &layout,
            &encoder,
            prompt.to_owned(),
            pooling.includes_prompt(),
            options.long_texts,
        )?;

        let mut files = layout.files;
        files.push(layout.encoder.join(TOKENIZER));
        files.extend(encoder.files.iter().chain(&head.files).cloned());
        let hash = fingerprint(folder, files)?;
        let asked = described(options, encoder.task.as_deref());
        Ok(Self {
            id: format!("{name}{asked}@{}", &hash.to_hex()[..16]),
            sequences,
            encoder,
            pooling,
            head,
            dims,
            device,
        })
    }

    /// Longest text in tokens that is embedded without truncation or chunks, special tokens
    /// included.
    pub fn max_tokens(&self) -> usize {
        self.sequences.max_tokens()
    }

    /// The pooled vectors of some sequences, `[batch, dims]`.
    fn pooled(&self, sequences: &[&Sequence]) -> Tensor<2> {
        let (batch, seq) = (
            sequences.len(),
            sequences.iter().map(|one| one.ids.len()).max().unwrap_or(0),
        );
        let mut ids = Vec::with_capacity(batch * seq);
        let mut mask = Vec::with_capacity(batch * seq);
        let mut counted = Vec::with_capacity(batch * seq);
        for sequence in sequences {
            let length = sequence.ids.len();
            let row = sequence.ids.iter().map(|&id| id as i32);
            let padding = std::iter::repeat_n(self.encoder.pad_token_id as i32, seq - length);
            ids.extend(row.chain(padding));
            mask.extend((0..seq).map(|place| place < length));
            counted.extend((0..seq).map(|place| place >= sequence.skipped && place < length));
        }
        let padded = mask.iter().any(|&token| !token);
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [batch, seq]), &self.device);
        let bools = |values| {
            Tensor::<2, Bool>::from_data(TensorData::new(values, [batch, seq]), &self.device)
        };
        let (mask, counted) = (bools(mask), bools(counted));

        let tokens = self.encoder.forward(ids, padded.then(|| mask.clone())); // [batch, seq, hidden]
        let pooled = self.pooling.forward(tokens, mask, counted); // [batch, pooled]
        self.head.forward(pooled).narrow(1, 0, self.dims)
    }
}

/// The options and the active task as part of an id.
fn described(options: &EmbedOptions, task: Option<&str>) -> String {
    let mut parts = String::new();
    if options.long_texts == LongTexts::MeanOfChunks {
        parts += "+chunks";
    }
    if let Some(task) = task {
        parts += &format!("+task={task}");
    }
    if let Some(name) = &options.prompt_name {
        parts += &format!("+prompt={name}");
    }
    if let Some(dims) = options.truncate_dim {
        parts += &format!("+dims={dims}");
    }
    parts
}

/// A hash of the relative names and the contents of some files.
fn fingerprint(folder: &Path, mut paths: Vec<PathBuf>) -> Result<blake3::Hash, ModelError> {
    paths.sort();
    paths.dedup();
    let mut hasher = blake3::Hasher::new();
    for path in paths {
        let failed = |source| ModelError::Read {
            path: path.clone(),
            source,
        };
        let name = path
            .strip_prefix(folder)
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        // Lengths make the concatenation unambiguous.
        hasher
            .update(&(name.len() as u64).to_le_bytes())
            .update(name.as_bytes());
        files::hash(&path, &mut hasher).map_err(failed)?;
    }
    Ok(hasher.finalize())
}
