//! The reference policy's log-probabilities. They never change, so they are computed once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::TensorData;
use rarebit_models::causal_lm::CausalLm;
use rarebit_models::safetensors_file::{Precision, TensorFile, save};

use crate::batch::{by_length, read_logps};
use crate::checkpoint::fingerprint;
use crate::error::TrainError;
use crate::example::Example;

const NAME: &str = "reference_logps";

/// Where reference log-probabilities are cached between runs, and of which policy.
#[derive(Debug, Clone)]
pub struct ReferenceCache {
    /// The folder of the cache.
    pub folder: PathBuf,
    /// A hash of the reference policy's files.
    pub policy: String,
}

impl ReferenceCache {
    /// One file per policy and set of examples.
    fn path(&self, examples: &[Example]) -> PathBuf {
        let mut ids = Vec::new();
        for sequence in examples.iter().flat_map(Example::sequences) {
            ids.extend((sequence.ids.len() as u64).to_le_bytes());
            for span in &sequence.loss_spans {
                ids.extend((span.start as u64).to_le_bytes());
                ids.extend((span.end as u64).to_le_bytes());
            }
            ids.extend(sequence.ids.iter().flat_map(|id| id.to_le_bytes()));
        }
        let key = fingerprint(&[self.policy.as_bytes(), &ids]);
        self.folder.join(format!("{key}.safetensors"))
    }
}

/// Summed log-probabilities under the policy as it is now, from the cache if it has them: of chosen
/// and rejected, or of own and mismatched completions. Single completions have no reference.
///
/// # Errors
/// When the device fails or the cache cannot be written.
pub fn reference_logps(
    policy: &CausalLm,
    examples: &[Example],
    batch_size: usize,
    pad: u32,
    cache: Option<&ReferenceCache>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<[f32; 2]>, TrainError> {
    let path = cache.map(|cache| cache.path(examples));
    if let Some(logps) = path.as_deref().and_then(|path| read(path, examples.len())) {
        return Ok(logps);
    }
    let model = policy.valid();
    let lengths: Vec<usize> = examples.iter().map(Example::length).collect();
    let mut logps = vec![[0.0; 2]; examples.len()];
    let mut done = 0;
    for places in by_length(&lengths, batch_size) {
        let batch: Vec<&Example> = places.iter().map(|&i| &examples[i]).collect();
        let [chosen, rejected] = read_logps(&model, &batch, pad, |it| it.logps)?;
        for (place, (chosen, rejected)) in places.iter().zip(chosen.into_iter().zip(rejected)) {
            logps[*place] = [chosen, rejected];
        }
        done += places.len();
        progress(done, examples.len());
    }
    if let Some(path) = path {
        write(&path, &logps)?;
    }
    Ok(logps)
}

/// The cached values; `None` if they are missing or unreadable, so that they are computed again.
fn read(path: &Path, examples: usize) -> Option<Vec<[f32; 2]>> {
    let values = TensorFile::open(path)
        .ok()?
        .data(NAME)
        .ok()?
        .try_to_vec::<f32>()
        .ok()?;
    (values.len() == 2 * examples).then(|| values.as_chunks::<2>().0.to_vec())
}

fn write(path: &Path, logps: &[[f32; 2]]) -> Result<(), TrainError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(TrainError::write(folder))?;
    }
    let data = TensorData::new(logps.as_flattened().to_vec(), [logps.len(), 2]);
    Ok(save(
        path,
        &[(NAME.to_owned(), data)],
        Precision::F32,
        &BTreeMap::new(),
    )?)
}
