//! Models from folders that are not on disk, as a browser has them, are the same models.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use rarebit_deviation::Embedder;
use rarebit_models::TextStream;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::chat::ChatTemplate;
use rarebit_models::files::{Folder, Mount};
use rarebit_models::generation::{
    DecodingSession, FinishReason, GenerationConfig, LogitsProcessors, Request, generate,
};
use rarebit_models::sentence_transformer::{EmbedOptions, Embedding, SentenceTransformer};
use rarebit_models::tokenizer::Tokenizer;

struct Memory(BTreeMap<String, Vec<u8>>);

impl Memory {
    /// The files of a folder on disk and of the folders in it.
    fn copy(folder: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut open = vec![folder.to_owned()];
        while let Some(next) = open.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                    files.insert(name.to_owned(), fs::read(&path).unwrap());
                }
            }
        }
        Self(files)
    }
}

impl Folder for Memory {
    fn files(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn length(&self, file: &str) -> Option<u64> {
        Some(self.0.get(file)?.len() as u64)
    }

    fn read(&self, file: &str, start: u64, into: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.get(file).ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(start).map_err(io::Error::other)?;
        let bytes = bytes.get(start..start + into.len());
        into.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn a_mounted_model_writes_as_the_one_on_disk_step_by_step_too() {
    let folder = repository().join("native/demo");
    let mount = Mount::new("mounted/demo", Memory::copy(&folder));
    let config = GenerationConfig {
        max_new_tokens: 20,
        do_sample: true,
        logits: LogitsProcessors::default(),
        seed: 5,
    };
    let mut texts = Vec::new();
    for place in [folder.as_path(), mount.path()] {
        let model = CausalLm::load(place, &Device::flex()).unwrap();
        let tokenizer = Tokenizer::read(place, model.config().vocab_size()).unwrap();
        let template = ChatTemplate::read(place, &tokenizer).unwrap();
        let ids = template.encode_prompt(&tokenizer, "Write a short tale about a fox.");
        let prompts = [ids.unwrap()];
        let request = Request {
            prompts: &prompts,
            first_prompt: 0,
            first_sample: 0,
            samples: 3,
            eos: &tokenizer.eos,
            pad: tokenizer.pad,
        };
        let at_once = generate(&model, request, &config, &mut |_, _| {}).unwrap();
        let (mut session, mut next) = DecodingSession::begin(&model, request, &config).unwrap();
        // What is written lives on its own.
        drop(model);
        assert_eq!(session.finish_reason(0), None);
        let mut streams = vec![TextStream::default(); 3];
        let mut pieces = vec![String::new(); 3];
        while let Some(logits) = next {
            let logits = logits.try_into_vec_as::<f32>().unwrap();
            next = session.step(logits, &mut |sample, token| {
                pieces[sample] += &streams[sample].push(&tokenizer, token).unwrap();
            });
        }
        for (sample, stream) in streams.iter_mut().enumerate() {
            pieces[sample] += &stream.finish(&tokenizer).unwrap();
            let reason = session.finish_reason(sample).unwrap();
            assert_eq!(reason, at_once[sample].finish_reason);
        }
        assert_eq!(session.finish_reason(3), None::<FinishReason>);
        assert_eq!(session.finish(), at_once);
        let whole = at_once.iter().map(|one| tokenizer.decode(&one.tokens));
        assert_eq!(pieces, whole.collect::<Result<Vec<_>, _>>().unwrap());
        texts.push(pieces);
    }
    assert_eq!(texts[0], texts[1]);
    assert!(texts[0].iter().all(|text| text.len() > 20));
}

#[test]
fn a_mounted_embedder_has_the_id_and_the_vectors_of_the_one_on_disk() {
    let folder = repository().join("tests/fixtures/bert");
    let mount = Mount::new("mounted/bert", Memory::copy(&folder));
    let texts = ["a fox", "", "the hen went to the sea and the fox stayed"];
    let [disk, mounted] = [folder.as_path(), mount.path()].map(|place| {
        SentenceTransformer::open(place, "bert", &EmbedOptions::default(), &Device::flex()).unwrap()
    });
    assert_eq!(disk.id(), mounted.id());
    let vectors = disk.embed(&texts).unwrap();
    let mut embedding = Embedding::begin(&mounted, &texts).unwrap();
    assert_eq!(embedding.remaining(), 1);
    while let Some(batch) = embedding.next_batch() {
        embedding.take(&batch.try_into_vec_as::<f32>().unwrap());
    }
    assert_eq!(embedding.finish(), vectors);
    assert!(disk.max_tokens() > 2);
}
