//! Arguments shared by the commands that train: adapters and the loop.

use rarebit_train::TruncationMode;
use rarebit_train::schedule::LrSchedulerType;
use serde::Serialize;
use toml::Table;

use super::source_args::named;
use crate::chat_settings;
use crate::reward::RewardFormat;

/// The adapter that is trained
#[derive(clap::Args, Clone, Debug, Default, Serialize)]
pub(crate) struct LoraFlags {
    /// Train a LoRA adapter instead of the whole model
    #[arg(long, num_args = 0..=1, default_missing_value = "true", help_heading = "LoRA")]
    use_peft: Option<bool>,
    /// Rank [default: 16]
    #[arg(long, help_heading = "LoRA")]
    lora_r: Option<usize>,
    /// Scale: the adapter is multiplied by alpha / r [default: 32]
    #[arg(long, help_heading = "LoRA")]
    lora_alpha: Option<f64>,
    /// Dropout of the adapter's input [default: 0]
    #[arg(long, help_heading = "LoRA")]
    lora_dropout: Option<f64>,
    /// Layers with an adapter: ends of their names, all-linear, or one regular expression for the
    /// full name [default: queries and values]
    #[arg(long, value_name = "NAME", num_args = 1.., help_heading = "LoRA")]
    lora_target_modules: Option<Vec<String>>,
    /// Modules that are trained whole beside the adapter, such as lm_head
    #[arg(long, value_name = "NAME", num_args = 1.., help_heading = "LoRA")]
    lora_modules_to_save: Option<Vec<String>>,
    /// Scale by alpha / √r
    #[arg(long, num_args = 0..=1, default_missing_value = "true", help_heading = "LoRA")]
    use_rslora: Option<bool>,
}

/// How the loop runs
#[derive(clap::Args, Clone, Debug, Default, Serialize)]
pub(crate) struct LoopFlags {
    /// [default: 5e-6]
    #[arg(long, help_heading = "Loop", allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// [default: linear]
    #[arg(long, value_parser = named::<LrSchedulerType>(&["linear", "cosine", "constant", "constant_with_warmup", "reduce_lr_on_plateau"]), help_heading = "Loop")]
    lr_scheduler_type: Option<LrSchedulerType>,
    /// reduce_lr_on_plateau: torch's settings as JSON: '{"factor": 0.1, "patience": 10, "threshold":
    /// 1e-4, "cooldown": 0, "min_lr": 0}', its defaults
    #[arg(long, value_name = "JSON", value_parser = chat_settings::parse_kwargs, help_heading = "Loop")]
    lr_scheduler_kwargs: Option<Table>,
    /// [default: 0]
    #[arg(long, help_heading = "Loop")]
    warmup_steps: Option<u64>,
    /// [default: 0]
    #[arg(long, help_heading = "Loop")]
    warmup_ratio: Option<f64>,
    /// [default: 3]
    #[arg(long, help_heading = "Loop")]
    num_train_epochs: Option<f64>,
    /// In place of num-train-epochs
    #[arg(long, help_heading = "Loop")]
    max_steps: Option<u64>,
    /// [default: 2]
    #[arg(long, help_heading = "Loop")]
    per_device_train_batch_size: Option<usize>,
    /// [default: 8]
    #[arg(long, help_heading = "Loop")]
    per_device_eval_batch_size: Option<usize>,
    /// [default: 1]
    #[arg(long, help_heading = "Loop")]
    gradient_accumulation_steps: Option<usize>,
    /// [default: 0]
    #[arg(long, help_heading = "Loop")]
    weight_decay: Option<f64>,
    /// [default: 0.9]
    #[arg(long, help_heading = "Loop")]
    adam_beta1: Option<f64>,
    /// [default: 0.999]
    #[arg(long, help_heading = "Loop")]
    adam_beta2: Option<f64>,
    /// [default: 1e-8]
    #[arg(long, help_heading = "Loop")]
    adam_epsilon: Option<f64>,
    /// 0 does not clip [default: 1]
    #[arg(long, help_heading = "Loop")]
    max_grad_norm: Option<f64>,
    /// Longest sequence in tokens, 0 for no limit [default: 2048]
    #[arg(long, help_heading = "Loop")]
    max_length: Option<usize>,
    /// [default: keep_start]
    #[arg(long, value_parser = named::<TruncationMode>(&["keep_start", "keep_end"]), help_heading = "Loop")]
    truncation_mode: Option<TruncationMode>,
    /// [default: 42]
    #[arg(long, help_heading = "Loop")]
    seed: Option<u64>,

    /// Steps between lines of the log [default: 10]
    #[arg(long, help_heading = "Log, evaluation, checkpoints")]
    logging_steps: Option<u64>,
    /// Steps between evaluations; 0 evaluates at the end only [default: 0]
    #[arg(long, help_heading = "Log, evaluation, checkpoints")]
    eval_steps: Option<u64>,
    /// Steps between checkpoints; 0 saves at the end only [default: 200]
    #[arg(long, help_heading = "Log, evaluation, checkpoints")]
    save_steps: Option<u64>,
    /// Checkpoints that are kept, the best one aside [default: 2]
    #[arg(long, help_heading = "Log, evaluation, checkpoints")]
    save_total_limit: Option<usize>,
    /// Evaluations without improvement after which to stop; 0 never stops early [default: 0]
    #[arg(long, help_heading = "Log, evaluation, checkpoints")]
    early_stopping_patience: Option<u64>,
    /// Finish with the best evaluated model instead of the last
    #[arg(long, num_args = 0..=1, default_missing_value = "true", help_heading = "Log, evaluation, checkpoints")]
    load_best_model_at_end: Option<bool>,
}

/// How rounds of learning from the policy's own responses go
#[derive(clap::Args, Clone, Debug, Default, Serialize)]
#[command(next_help_heading = "Online")]
pub(crate) struct OnlineFlags {
    /// Learn from what the policy writes to the data's prompts, round by round
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    online: Option<bool>,
    /// Who judges it: a reward model's folder, an adapter's folder, or a Hugging Face id;
    /// builtin:tales is the oracle of the demo's world
    #[arg(long, value_name = "MODEL")]
    reward_model_path: Option<String>,
    /// How the reward model reads a prompt and a response [default: tags]
    #[arg(long, value_enum)]
    reward_format: Option<RewardFormat>,
    /// [default: 4]
    #[arg(long, value_name = "N")]
    num_rounds: Option<u64>,
    /// Prompts that are written to in a round [default: all]
    #[arg(long, value_name = "N")]
    prompts_per_round: Option<usize>,
    /// Responses to each prompt [default: 8]
    #[arg(long, value_name = "K")]
    num_generations: Option<usize>,
    /// Prefer pairs whose scores are at least this far apart [default: 0]
    #[arg(long, allow_negative_numbers = true)]
    gap: Option<f64>,
    /// Embedder of what is told [default: sentence-transformers/all-MiniLM-L6-v2]
    #[arg(long, value_name = "EMBEDDER")]
    semantic: Option<String>,
    /// Embedder of how it is told [default: builtin:style]
    #[arg(long, value_name = "EMBEDDER")]
    style: Option<String>,
    /// Responses that are written side by side [default: 64]
    #[arg(long, value_name = "N")]
    generation_batch_size: Option<usize>,
    /// Longest response, in tokens [default: 2048]
    #[arg(long)]
    max_new_tokens: Option<usize>,
    /// [default: 1]
    #[arg(long, allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// [default: 50]
    #[arg(long)]
    top_k: Option<usize>,
    /// [default: 0.95]
    #[arg(long, allow_negative_numbers = true)]
    top_p: Option<f64>,
    /// [default: 0]
    #[arg(long, allow_negative_numbers = true)]
    min_p: Option<f64>,
    /// [default: 1.1]
    #[arg(long, allow_negative_numbers = true)]
    repetition_penalty: Option<f64>,
}
