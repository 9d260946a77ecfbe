//! A sentence-transformers folder as an [`Embedder`](rarebit_deviation::Embedder): prompt, tokenizer, encoder, pooling, the
//! modules after it, unit length.

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

/// What a caller asks of an embedder beyond what its folder says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EmbedOptions {
    /// What becomes of a text that is too long.
    pub long_texts: LongTexts,
    /// The name of the prompt that goes before every text, one of those that the folder's
    /// `config_sentence_transformers.json` holds; absent, its default, if it has one.
    pub prompt_name: Option<String>,
    /// The task whose adapter is in effect (jina-embeddings-v3), or `none`; absent,
    /// `text-matching` where there is one. The model's instruction for the task goes before every
    /// text, unless a prompt is named.
    pub task: Option<String>,
    /// How many components of a vector to keep, of a model that was trained so that the first ones
    /// say most (Kusupati et al., arXiv 2205.13147).
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
    /// Opens a folder in the layout of sentence-transformers (or a bare encoder, pooled by the
    /// mean, or the last token of a decoder), onto a device. The embedder's id is `name` with what
    /// the options ask for and a hash of every file that its vectors depend on.
    ///
    /// # Errors
    /// When a file is missing or damaged, a weight is missing or has another shape, the tokenizer
    /// does not fit the encoder, or folder or options ask for something that is not known here.
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
            let reason = format!("{dims}, where vectors have {} components", head.dims);
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

    /// Tokens of the longest text that is embedded in one piece, special tokens included.
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

/// What the options and the task in effect change, as part of an id.
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

/// A hash of the files' names in the folder and their contents.
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
        // Lengths keep apart what names and contents would otherwise blur.
        hasher
            .update(&(name.len() as u64).to_le_bytes())
            .update(name.as_bytes());
        files::hash(&path, &mut hasher).map_err(failed)?;
    }
    Ok(hasher.finalize())
}
