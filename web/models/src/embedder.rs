//! Models that give a text a vector.

use std::rc::Rc;

use rarebit_deviation::Embedder as _;
use rarebit_models::files::Mount;
use rarebit_models::sentence_transformer::{EmbedOptions, Embedding, SentenceTransformer};
use serde::Serialize;
use wasm_bindgen::prelude::*;

use crate::failure::Failure;
use crate::folder::{Files, mount};
use crate::{device, room};

/// A sentence embedder.
#[wasm_bindgen]
pub struct Embedder {
    inner: Rc<SentenceTransformer>,
    info: Info,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    id: String,
    dims: usize,
    bytes: u64,
    parameters: u64,
    context_length: usize,
}

#[wasm_bindgen]
impl Embedder {
    /// Reads a folder in the layout of sentence-transformers.
    ///
    /// # Errors
    /// When the files hold no embedder that is known here, or it has no room.
    #[wasm_bindgen(constructor)]
    pub fn new(files: Files, name: &str, backend: &str) -> Result<Embedder, JsValue> {
        let folder = mount(files, name);
        Ok(Self::read(&folder, name, backend)?)
    }

    fn read(folder: &Mount, name: &str, backend: &str) -> Result<Self, Failure> {
        let path = folder.path();
        let room = room::check(path, backend)?;
        let options = EmbedOptions::default();
        let inner = SentenceTransformer::open(path, name, &options, &device::named(backend)?)?;
        device::check()?;
        let info = Info {
            id: inner.id().to_owned(),
            dims: inner.dims(),
            bytes: room.bytes,
            parameters: room.parameters,
            context_length: inner.max_tokens(),
        };
        let inner = Rc::new(inner);
        Ok(Self { inner, info })
    }

    /// `{id, dims, bytes, parameters, contextLength}`
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn info(&self) -> Result<JsValue, JsValue> {
        Ok(serde_wasm_bindgen::to_value(&self.info).map_err(Failure::from)?)
    }

    /// Begins to embed texts.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn begin(&self, texts: Vec<String>) -> Result<Vectors, JsValue> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let embedding = Embedding::begin(Rc::clone(&self.inner), &texts).map_err(Failure::from)?;
        Ok(Vectors { embedding })
    }
}

/// Texts that are being embedded.
#[wasm_bindgen]
pub struct Vectors {
    embedding: Embedding<Rc<SentenceTransformer>>,
}

#[wasm_bindgen]
impl Vectors {
    /// Embeds a batch of the texts; false when there was none left.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn step(&mut self) -> Result<bool, JsValue> {
        Ok(self.batch().await?)
    }

    async fn batch(&mut self) -> Result<bool, Failure> {
        let Some(vectors) = self.embedding.next_batch() else {
            return Ok(false);
        };
        let vectors = vectors.into_data_async().await;
        let vectors = vectors.map_err(|error| Failure::unreadable(error.to_string()))?;
        device::check()?;
        let vectors = vectors.try_into_vec_as::<f32>();
        let vectors = vectors.map_err(|error| Failure::new("internal", error.to_string()))?;
        self.embedding.take(&vectors);
        Ok(true)
    }

    /// Batches that are left.
    #[wasm_bindgen(getter)]
    pub fn remaining(&self) -> usize {
        self.embedding.remaining()
    }

    /// The vectors, row after row.
    pub fn finish(self) -> Vec<f32> {
        self.embedding.finish().concat()
    }
}
