//! Training runs: a policy from pairs or responses, a policy from what it writes itself, a reward
//! model.

mod online;
mod reward;
mod start;

use rarebit_train::{ExampleTokenizer, Outcome, PolicyRun, train};

use self::start::{Start, max_length, save_config};
use crate::error::{Result, ensure};
use crate::event::Event;
use crate::examples;
use crate::session::Session;
use crate::settings::run::RunConfig;

pub use online::train_online;
pub use reward::{RewardOutcome, train_reward};

/// Trains a policy as configured and writes it into the run folder, as `model`. A run that was
/// killed goes on from its last checkpoint.
///
/// # Errors
/// When a setting, the model or the data cannot be used, the folder holds another run, or the loss
/// is not finite.
pub fn train_policy(config: &RunConfig, session: &Session) -> Result<Outcome> {
    ensure!(
        config.online.is_none(),
        "these are the settings of an online run: call `train_online`"
    );
    let Start {
        config,
        mut loaded,
        adapter,
        ..
    } = Start::read(config, session)?;
    let output_dir = &config.model.output_dir;
    let encoder = ExampleTokenizer {
        tokenizer: &loaded.tokenizer,
        template: &loaded.template,
        max_length: Some(max_length(
            &config.arguments,
            loaded.model.config().max_position_embeddings(),
            &session.events,
        )),
        truncation_mode: config.arguments.truncation_mode,
    };
    let data = examples::read(&config, &encoder, &session.events)?;
    let run = PolicyRun {
        output_dir,
        arguments: &config.arguments,
        objective: config.objective(),
        train: &data.train,
        eval: &data.eval,
        pad: loaded.tokenizer.pad,
        policy: loaded.hash.clone(),
        adapter: adapter.as_ref(),
        reference_cache: Some(session.reference_cache()),
        round: None,
        stop: session.stop.clone(),
    };
    // The configuration of another run stays as it is.
    run.check()?;
    save_config(&config.to_toml()?, output_dir)?;
    let events = &session.events;
    let outcome = train(loaded.model, &run, &mut |event| {
        events.send(&Event::Training(&event));
    })?;
    loaded.model = outcome.model.clone();
    loaded.save(&output_dir.join("model"))?;
    Ok(outcome)
}
