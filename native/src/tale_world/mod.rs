//! What `rarebit demo` and `rarebit reproduce` share: a base model, the world's prompts, recipes,
//! and samples of what a model writes.

pub(crate) mod files;
pub(crate) mod untrained;

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, ensure};
use rarebit_deviation::embed::{Lexical, Style};
use rarebit_models::generation::{GenerationConfig, LogitsProcessors};
use rarebit_pipeline::generate::{Job, Prompt, Respondent, Writer};
use rarebit_pipeline::settings::reward::RewardConfig;
use rarebit_pipeline::settings::run::RunConfig;
use rarebit_pipeline::settings::source::SourceSettings;
use rarebit_pipeline::{Session, model, output};
use rarebit_tales::{Split, World};

/// The base model, read-only in the program.
pub(crate) const BASE: [(&str, &[u8]); 4] = [
    ("config.json", include_bytes!("../../demo/config.json")),
    (
        "model.safetensors",
        include_bytes!("../../demo/model.safetensors"),
    ),
    (
        "tokenizer.json",
        include_bytes!("../../demo/tokenizer.json"),
    ),
    (
        "tokenizer_config.json",
        include_bytes!("../../demo/tokenizer_config.json"),
    ),
];
/// The recipe of the first stage, which both stages of preferences follow.
pub(crate) const SFT: &str = include_str!("../../recipes/demo-sft.toml");
/// The recipe of the second stage without weights.
pub(crate) const DPO: &str = include_str!("../../recipes/demo-dpo.toml");
/// The recipe of the second stage with weights.
pub(crate) const DDPO: &str = include_str!("../../recipes/demo-ddpo.toml");
/// The recipe of odds-ratio preferences, which start from the base model.
pub(crate) const ORPO: &str = include_str!("../../recipes/demo-orpo.toml");
/// The recipe of a reward model of tales.
const REWARD: &str = include_str!("../../recipes/reward/tales.toml");
/// The world's own tales, as a system beside the models.
pub(crate) const GOLD: &str = "gold";
/// How tales are embedded: a world of known words needs no trained embedder.
pub(crate) const SEMANTIC: Lexical = Lexical;
/// The same for style.
pub(crate) const STYLE: Style = Style;
/// The world that the base model was trained on: its held-out prompts are new to the model.
const WORLD: u64 = 42;
/// Responses that are written side by side.
const BATCH: usize = 96;

/// The world of the base model.
pub(crate) fn world() -> World {
    World::seeded(WORLD)
}

/// Writes the base model as a user would have it on disk.
pub(crate) fn write_base(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for (name, bytes) in BASE {
        output::write_atomically(&folder.join(name), |file| Ok(file.write_all(bytes)?))?;
    }
    Ok(())
}

/// `count` prompts of the world for a seed; each seed begins at another one, `stride` further.
pub(crate) fn prompts(
    world: &World,
    split: Split,
    seed: u64,
    stride: usize,
    count: usize,
) -> anyhow::Result<Vec<rarebit_tales::Prompt>> {
    let prompts = world.prompts(split);
    ensure!(
        count <= prompts.len(),
        "the world has {} such prompts, not {count}",
        prompts.len()
    );
    let start = (seed % prompts.len() as u64) as usize * stride % prompts.len();
    let prompts = prompts.iter().cycle().skip(start).take(count);
    Ok(prompts.cloned().collect())
}

/// A recipe of a policy with the places and the seed of this run.
pub(crate) fn recipe(
    recipe: &str,
    start: &Path,
    output_dir: &Path,
    seed: u64,
) -> anyhow::Result<RunConfig> {
    let mut config = RunConfig::from_toml(recipe)?;
    place(&mut config.model, start, output_dir);
    config.arguments.seed = seed;
    Ok(config)
}

/// The recipe of a reward model with the places and the seed of this run.
pub(crate) fn reward_recipe(
    start: &Path,
    output_dir: &Path,
    data: &Path,
    seed: u64,
) -> anyhow::Result<RewardConfig> {
    let mut config = RewardConfig::from_toml(REWARD)?;
    place(&mut config.model, start, output_dir);
    config.model.train_file = None;
    config.model.dataset_name = Some(data.to_owned());
    // What is held out is the data's own test split.
    config.scores.test_size = None;
    config.arguments.seed = seed;
    Ok(config)
}

fn place(source: &mut SourceSettings, start: &Path, output_dir: &Path) {
    source.model_name_or_path = start.to_string_lossy().into_owned();
    source.output_dir = output_dir.to_owned();
}

/// The paper's sampling, but for its repetition penalty: tales repeat their few words rightly.
pub(crate) fn sampling(seed: u64) -> GenerationConfig {
    GenerationConfig {
        max_new_tokens: 128,
        do_sample: true,
        logits: LogitsProcessors {
            top_k: 50,
            top_p: 0.95,
            ..LogitsProcessors::default()
        },
        seed,
    }
}

/// Lets a model write `samples` tales to each prompt.
pub(crate) fn write_samples(
    model: &Path,
    prompts: &[rarebit_tales::Prompt],
    samples: usize,
    seed: u64,
    path: &Path,
    session: &Session,
) -> anyhow::Result<()> {
    let prompts: Vec<Prompt> = prompts
        .iter()
        .map(|prompt| Prompt {
            id: prompt.id.clone(),
            text: prompt.text.clone().into(),
        })
        .collect();
    let name = model.to_string_lossy();
    let loaded = model::load(&name, session.models.as_ref(), &session.device)?;
    let writer = Writer {
        loaded: &loaded,
        config: &sampling(seed),
        batch_size: BATCH,
    };
    let job = Job::to_file(&prompts, samples, path, session);
    Ok(job.run(&Respondent::Local(&writer))?)
}
