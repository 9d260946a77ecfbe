//! Training a reward model.

use burn::module::Module;
use burn::tensor::Device;
use rarebit_eval::reward::Judged;
use rarebit_models::lora::{LoraConfig, read_adapter_config};
use rarebit_models::safetensors_file::Precision;
use rarebit_models::sequence_classifier::SequenceClassifier;
use rarebit_train::{Outcome, RewardRun};

use super::start::{check_result, max_length, save_config};
use crate::error::{Result, bail};
use crate::event::Event;
use crate::examples::scores;
use crate::model::folder::ModelFolder;
use crate::model::reward::{RewardModel, RewardReader};
use crate::session::Session;
use crate::settings::reward::RewardConfig;

/// How a reward model's run ended.
pub struct RewardOutcome {
    /// The model, the steps, the lowest evaluation loss.
    pub training: Outcome<SequenceClassifier>,
    /// The trained model's rewards beside the scores of the held-out responses, by prompt; empty if
    /// none were held out.
    pub held_out: Vec<Vec<Judged>>,
}

/// Trains a reward model as configured and writes it into the run folder, as `model`. A run that
/// was killed goes on from its last checkpoint.
///
/// # Errors
/// When a setting, the model or the data cannot be used, the folder holds another run, or the loss
/// is not finite.
pub fn train_reward(config: &RewardConfig, session: &Session) -> Result<RewardOutcome> {
    let events = &session.events;
    let device = session.device.clone().autodiff();
    let mut config = config.clone();
    let mut start = Start::read(&config, session, &device)?;
    let output_dir = config.model.output_dir.clone();
    check_result(&output_dir, |result| start.folder.stands_in(result))?;
    let (adapted, adapter) = config.lora.adapt(
        start.model,
        start.adapter.clone(),
        &config.model.model_name_or_path,
        config.arguments.seed,
        &device,
    )?;
    start.model = adapted;
    let limit = max_length(
        &config.arguments,
        start.model.config().max_position_embeddings(),
        events,
    );
    let mut data = scores::read(&config, events)?;
    let train = scores::examples(&data.train, &start.reader, limit, events)?;
    let eval = scores::examples(&data.eval, &start.reader, limit, events)?;
    config.settle_evaluation(train.len(), !eval.is_empty());
    let run = RewardRun {
        output_dir: &output_dir,
        arguments: &config.arguments,
        train: &train,
        eval: &eval,
        start: start.hash,
        adapter: adapter.as_ref(),
        stop: session.stop.clone(),
    };
    // The configuration of another run stays as it is.
    run.check()?;
    save_config(&config.to_toml()?, &output_dir)?;
    let training = rarebit_train::train_reward(start.model, &run, &mut |event| {
        events.send(&Event::Training(&event));
    })?;
    start.folder.write(
        &output_dir.join("model"),
        &training.model,
        Precision::F32,
        u64::MAX,
    )?;
    let held_out = match data.eval.is_empty() {
        true => Vec::new(),
        false => {
            let model = training.model.clone().valid();
            let model = RewardModel::new("the model", model, start.reader, events.clone());
            model.judged(&mut data.eval)?
        }
    };
    Ok(RewardOutcome { training, held_out })
}

/// What a run starts from.
struct Start {
    model: SequenceClassifier,
    /// The adapter's settings, if the folder is one.
    adapter: Option<LoraConfig>,
    reader: RewardReader,
    folder: ModelFolder,
    hash: String,
}

impl Start {
    fn read(config: &RewardConfig, session: &Session, device: &Device) -> Result<Self> {
        let (name, seed) = (&config.model.model_name_or_path, config.arguments.seed);
        let folder = ModelFolder::open(name, session.models.as_ref())?;
        let vocab_size = rarebit_models::BackboneConfig::read(&folder.base)?.vocab_size();
        let reader =
            RewardReader::read(folder.companions(), config.scores.reward_format, vocab_size)?;
        let mut hash = folder.hash()?;
        let model = match (&folder.adapter, folder.is_classifier()?) {
            (Some(adapter), true) => {
                SequenceClassifier::load_reward_with_adapter(&folder.base, adapter, device)?
            }
            (Some(_), false) => bail!(
                "{name} is the adapter of a language model: fold it into its base with `rarebit export --merge`, \
                 and start from the result"
            ),
            (None, true) => SequenceClassifier::load_reward(&folder.base, device)?,
            (None, false) => {
                hash += &format!("head {seed}");
                let pad = reader.tokenizer.pad;
                SequenceClassifier::begin_reward(&folder.base, pad, seed, device)?
            }
        };
        let adapter = folder.adapter.as_deref().map(read_adapter_config);
        Ok(Self {
            model,
            adapter: adapter.transpose()?,
            reader,
            folder,
            hash,
        })
    }
}
