//! An untrained base model of the tales' world.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use rarebit_models::CONFIG;
use rarebit_models::decoder::DecoderConfig;
use rarebit_models::init::random_llama;
use rarebit_models::safetensors_file::{Precision, SINGLE, save};
use rarebit_models::tokenizer::{TOKENIZER, TOKENIZER_CONFIG};
use rarebit_pipeline::output;
use rarebit_tales::World;
use serde_json::{Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, TokenizerBuilder};

/// How large the model is
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Shape {
    /// Tokens of the vocabulary
    #[arg(long, default_value_t = 1024)]
    vocab_size: usize,
    /// Width of the residual stream
    #[arg(long, default_value_t = 160)]
    hidden_size: usize,
    /// Width of the feed-forward layers
    #[arg(long, default_value_t = 448)]
    intermediate_size: usize,
    /// Blocks
    #[arg(long, default_value_t = 4)]
    num_hidden_layers: usize,
    /// Attention heads
    #[arg(long, default_value_t = 5)]
    num_attention_heads: usize,
    /// Decides weights and world
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

/// What marks the parts of a tale's text for the model.
const SPECIAL: [&str; 4] = ["<|pad|>", "<|end|>", "<|prompt|>", "<|tale|>"];
const CHAT_TEMPLATE: &str = "{% for message in messages %}{% if message['role'] == 'assistant' %}\
{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}\
{% else %}<|prompt|>{{ message['content'] }}<|tale|>{% endif %}{% endfor %}";
/// Tales that the tokenizer learns its merges from.
const TOKENIZER_TALES: usize = 4000;

/// Writes a base model with random weights, and a tokenizer that was trained on the world.
pub(crate) fn write_untrained(args: &Shape, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let world = World::seeded(args.seed);
    let texts: Vec<String> = world
        .corpus()
        .take(TOKENIZER_TALES)
        .flat_map(|(prompt, tale)| [prompt.text.clone(), tale.text])
        .collect();
    train_tokenizer(&texts, args.vocab_size, &folder.join(TOKENIZER))?;
    let json = json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": args.vocab_size,
        "hidden_size": args.hidden_size,
        "intermediate_size": args.intermediate_size,
        "num_hidden_layers": args.num_hidden_layers,
        "num_attention_heads": args.num_attention_heads,
        "num_key_value_heads": args.num_attention_heads,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "max_position_embeddings": 512,
        "tie_word_embeddings": true,
        "attention_bias": false,
        "mlp_bias": false,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": null,
    });
    let config = DecoderConfig::from_json(&folder.join(CONFIG), &json)?;
    write_json(&folder.join(CONFIG), &json)?;
    let settings = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": SPECIAL[0],
        "eos_token": SPECIAL[1],
        "chat_template": CHAT_TEMPLATE,
        "model_max_length": config.max_position_embeddings,
        "clean_up_tokenization_spaces": false,
    });
    write_json(&folder.join(TOKENIZER_CONFIG), &settings)?;
    save(
        &folder.join(SINGLE),
        &random_llama(&config, args.seed),
        Precision::F32,
        &[("format".to_owned(), "pt".to_owned())].into(),
    )?;
    Ok(())
}

fn write_json(path: &Path, value: &Value) -> anyhow::Result<()> {
    Ok(output::write_atomically(path, |file| {
        Ok(serde_json::to_writer_pretty(file, value)?)
    })?)
}

/// A byte-level BPE tokenizer in the layout of GPT-2's.
fn train_tokenizer(texts: &[String], vocab_size: usize, path: &Path) -> anyhow::Result<()> {
    let failed = |error: tokenizers::Error| anyhow::anyhow!("cannot train the tokenizer: {error}");
    let byte_level = ByteLevel::new(false, true, true);
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None::<tokenizers::normalizers::Sequence>)
        .with_pre_tokenizer(Some(byte_level))
        .with_post_processor(Some(byte_level))
        .with_decoder(Some(byte_level))
        .build()
        .map_err(failed)?;
    let special: Vec<AddedToken> = SPECIAL
        .iter()
        .map(|token| AddedToken::from(*token, true))
        .collect();
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(vocab_size)
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(special)
        .build();
    tokenizer
        .train(&mut trainer, texts.iter().map(String::as_str))
        .map_err(failed)?;
    let json = tokenizer.to_string(true).map_err(failed)?;
    Ok(output::write_atomically(path, |file| {
        Ok(file.write_all(json.as_bytes())?)
    })?)
}
