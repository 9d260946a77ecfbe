//! From each family's `config.json` to [`DecoderConfig`]. All differences between families are in
//! this file.
//!
//! Keys and defaults are those of transformers 5.23. Folders written before version 5 keep the
//! rotary settings in `rope_theta`, `rope_scaling` and `rope_local_base_freq`, later ones in
//! `rope_parameters`; both are read.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::config::{DecoderConfig, LayerKind};
use crate::activation::Activation;
use crate::config_file::{self, check_sizes, wrong};
use crate::error::ModelError;
use crate::rope::{LongRopeScaling, RopeConfig, RopeScaling};

/// The values of `model_type` that [`super::Decoder`] supports.
pub const FAMILIES: [&str; 8] = [
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "smollm3",
    "gemma2",
    "gemma3_text",
    "phi3",
];

/// The keys of all families.
#[derive(Deserialize)]
struct File {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    hidden_act: Option<Value>,
    hidden_activation: Option<Value>,
    max_position_embeddings: usize,
    rms_norm_eps: Option<f64>,
    tie_word_embeddings: Option<bool>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    sliding_window: Option<usize>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<usize>,
    sliding_window_pattern: Option<usize>,
    layer_types: Option<Vec<String>>,
    no_rope_layers: Option<Vec<u8>>,
    no_rope_layer_interval: Option<usize>,
    query_pre_attn_scalar: Option<f64>,
    attn_logit_softcapping: Option<f64>,
    final_logit_softcapping: Option<f64>,
    rope_theta: Option<f64>,
    rope_local_base_freq: Option<f64>,
    partial_rotary_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    rope_scaling: Option<Value>,
    rope_parameters: Option<Value>,
}

impl DecoderConfig {
    /// The settings in a parsed `config.json`; `path` is for error messages.
    ///
    /// # Errors
    /// If the architecture or a value is not supported by [`super::Decoder`].
    pub fn from_json(path: &Path, value: &Value) -> Result<Self, ModelError> {
        // Bidirectional attention, which transformers enables for some embedders.
        config_file::check_switch(path, value, "is_causal", true)?;
        let file: File = config_file::parse(path, value)?;
        let reader = Reader { path, value, file };
        reader.check()?;
        let config = match reader.file.model_type.as_str() {
            "llama" => reader.llama(),
            "mistral" => reader.mistral(),
            "qwen2" => reader.qwen(true),
            "qwen3" => reader.qwen(false),
            "smollm3" => reader.smollm3(),
            "gemma2" => reader.gemma2(),
            "gemma3_text" => reader.gemma3(),
            "phi3" => reader.phi3(),
            other => Err(reader.unsupported(format!("the architecture `{other}`"))),
        }?;
        reader.check_heads(&config)?;
        Ok(config)
    }
}

/// A configuration that is being read.
struct Reader<'a> {
    path: &'a Path,
    value: &'a Value,
    file: File,
}

impl Reader<'_> {
    /// Llama 2 to 3.3, SmolLM2, TinyLlama.
    fn llama(&self) -> Result<DecoderConfig, ModelError> {
        let bias = self.file.attention_bias;
        Ok(DecoderConfig {
            qkv_bias: bias,
            o_bias: bias,
            mlp_bias: self.file.mlp_bias,
            ..self.plain(Defaults::default())?
        })
    }

    /// A Llama with sliding-window attention in every layer if `sliding_window` is a number.
    fn mistral(&self) -> Result<DecoderConfig, ModelError> {
        let plain = self.plain(Defaults {
            kv_heads: Some(8),
            ..Defaults::default()
        })?;
        let window = self.or_absent("sliding_window", self.file.sliding_window, 4096);
        let sliding = window.is_some();
        Ok(DecoderConfig {
            sliding_window: window,
            layers: self.layers(|_| LayerKind {
                sliding,
                rope: Some(0),
            }),
            ..plain
        })
    }

    /// Qwen2 and 2.5 have biases in the query, key and value projections; Qwen3 has query and key
    /// norms instead.
    fn qwen(&self, version_2: bool) -> Result<DecoderConfig, ModelError> {
        let file = &self.file;
        let bias = version_2 || file.attention_bias;
        let window = file
            .sliding_window
            .filter(|_| file.use_sliding_window == Some(true));
        let first = file.max_window_layers.unwrap_or(28);
        let kinds = self.sliding_layers(|i| window.is_some() && i >= first)?;
        let plain = self.plain(Defaults {
            head_dim: (!version_2).then_some(128),
            kv_heads: Some(32),
            ..Defaults::default()
        })?;
        Ok(DecoderConfig {
            qkv_bias: bias,
            o_bias: !version_2 && bias,
            qk_norm: !version_2,
            sliding_window: window,
            layers: self.layers(|i| LayerKind {
                sliding: kinds[i] && window.is_some(),
                rope: Some(0),
            }),
            ..plain
        })
    }

    /// A Llama without positions in about every fourth layer.
    fn smollm3(&self) -> Result<DecoderConfig, ModelError> {
        let file = &self.file;
        let interval = file.no_rope_layer_interval.unwrap_or(4).max(1);
        let rotates: Vec<bool> = match &file.no_rope_layers {
            Some(layers) => layers.iter().map(|&rope| rope != 0).collect(),
            None => (1..=file.num_hidden_layers)
                .map(|i| i % interval != 0)
                .collect(),
        };
        if rotates.len() < file.num_hidden_layers {
            return Err(wrong(
                self.path,
                "no_rope_layers",
                format!("has {} of {} layers", rotates.len(), file.num_hidden_layers),
            ));
        }
        let window = file
            .sliding_window
            .filter(|_| file.use_sliding_window == Some(true));
        let kinds = self.sliding_layers(|i| window.is_some() && !rotates[i])?;
        let plain = self.plain(Defaults {
            theta: 2_000_000.0,
            kv_heads: Some(4),
            tie: true,
            ..Defaults::default()
        })?;
        Ok(DecoderConfig {
            qkv_bias: file.attention_bias,
            o_bias: file.attention_bias,
            mlp_bias: file.mlp_bias,
            sliding_window: window,
            layers: self.layers(|i| LayerKind {
                sliding: kinds[i] && window.is_some(),
                rope: rotates[i].then_some(0),
            }),
            ..plain
        })
    }

    /// Norms before and after both sublayers, soft caps, a sliding window in every other layer.
    fn gemma2(&self) -> Result<DecoderConfig, ModelError> {
        let file = &self.file;
        let kinds = self.sliding_layers(|i| i % 2 == 0)?;
        let plain = self.gemma()?;
        let bound = |key, value, default| self.or_absent(key, value, default);
        Ok(DecoderConfig {
            attn_logit_softcapping: bound(
                "attn_logit_softcapping",
                file.attn_logit_softcapping,
                50.0,
            ),
            final_logit_softcapping: bound(
                "final_logit_softcapping",
                file.final_logit_softcapping,
                30.0,
            ),
            layers: self.layers(|i| LayerKind {
                sliding: kinds[i] && plain.sliding_window.is_some(),
                rope: Some(0),
            }),
            ..plain
        })
    }

    /// Gemma 2 with query and key norms instead of soft caps, five sliding-window layers per global
    /// layer, and rotary settings for each kind.
    fn gemma3(&self) -> Result<DecoderConfig, ModelError> {
        let file = &self.file;
        let pattern = file.sliding_window_pattern.unwrap_or(6).max(1);
        let kinds = self.sliding_layers(|i| (i + 1) % pattern != 0)?;
        let plain = self.gemma()?;
        let of_kind = |kind| {
            file.rope_parameters
                .as_ref()
                .and_then(|rope| rope.get(kind))
        };
        let global_theta = file.rope_theta.unwrap_or(1_000_000.0);
        let local_theta = file.rope_local_base_freq.unwrap_or(10_000.0);
        let global = of_kind("full_attention").or(file.rope_scaling.as_ref());
        Ok(DecoderConfig {
            qk_norm: true,
            attn_logit_softcapping: file.attn_logit_softcapping,
            final_logit_softcapping: file.final_logit_softcapping,
            ropes: vec![
                self.rope(global, global_theta, plain.head_dim, None)?,
                self.rope(
                    of_kind("sliding_attention"),
                    local_theta,
                    plain.head_dim,
                    None,
                )?,
            ],
            layers: self.layers(|i| LayerKind {
                sliding: kinds[i] && plain.sliding_window.is_some(),
                rope: Some(usize::from(kinds[i])),
            }),
            ..plain
        })
    }

    /// What Gemma 2 and 3 share.
    fn gemma(&self) -> Result<DecoderConfig, ModelError> {
        let file = &self.file;
        config_file::check_switch(self.path, self.value, "use_bidirectional_attention", false)?;
        Ok(DecoderConfig {
            qkv_bias: file.attention_bias,
            o_bias: file.attention_bias,
            sandwich_norms: true,
            norms_from_one: true,
            embedding_scale: Some((file.hidden_size as f64).sqrt()),
            query_pre_attn_scalar: file.query_pre_attn_scalar.unwrap_or(256.0),
            sliding_window: self.or_absent("sliding_window", file.sliding_window, 4096),
            ..self.plain(Defaults {
                head_dim: Some(256),
                kv_heads: Some(4),
                tie: true,
                act: Activation::GeluTanh,
                ..Defaults::default()
            })?
        })
    }

    /// A Llama with fused projections, Mistral's sliding window, and LongRoPE.
    fn phi3(&self) -> Result<DecoderConfig, ModelError> {
        let sliding = self.file.sliding_window.is_some();
        let plain = self.plain(Defaults {
            eps: 1e-5,
            original: Some(4096.0),
            ..Defaults::default()
        })?;
        Ok(DecoderConfig {
            fused: true,
            sliding_window: self.file.sliding_window,
            layers: self.layers(|_| LayerKind {
                sliding,
                rope: Some(0),
            }),
            ..plain
        })
    }

    /// A Llama without biases, the common starting point.
    fn plain(&self, defaults: Defaults) -> Result<DecoderConfig, ModelError> {
        let file = &self.file;
        let head_dim = file
            .head_dim
            .or(defaults.head_dim)
            .unwrap_or(file.hidden_size / file.num_attention_heads);
        let scaling = file.rope_parameters.as_ref().or(file.rope_scaling.as_ref());
        // Gemma 3 has an entry per kind of layer there and overrides these settings.
        let scaling = scaling.filter(|scaling| scaling.get("full_attention").is_none());
        let theta = file.rope_theta.unwrap_or(defaults.theta);
        Ok(DecoderConfig {
            model_type: file.model_type.clone(),
            vocab_size: file.vocab_size,
            hidden_size: file.hidden_size,
            intermediate_size: file.intermediate_size,
            num_attention_heads: file.num_attention_heads,
            num_key_value_heads: defaults
                .kv_heads
                .and_then(|heads| self.or_absent("num_key_value_heads", None, heads))
                .or(file.num_key_value_heads)
                .unwrap_or(file.num_attention_heads),
            head_dim,
            max_position_embeddings: file.max_position_embeddings,
            rms_norm_eps: file.rms_norm_eps.unwrap_or(defaults.eps),
            tie_word_embeddings: file.tie_word_embeddings.unwrap_or(defaults.tie),
            hidden_act: self.activation(defaults.act)?,
            qkv_bias: false,
            o_bias: false,
            mlp_bias: false,
            qk_norm: false,
            fused: false,
            sandwich_norms: false,
            norms_from_one: false,
            embedding_scale: None,
            query_pre_attn_scalar: head_dim as f64,
            attn_logit_softcapping: None,
            final_logit_softcapping: None,
            sliding_window: None,
            ropes: vec![self.rope(scaling, theta, head_dim, defaults.original)?],
            layers: self.layers(|_| LayerKind {
                sliding: false,
                rope: Some(0),
            }),
        })
    }

    /// The value of a key, or the default if the file does not have the key; `null` is `None`.
    fn or_absent<T>(&self, key: &str, value: Option<T>, default: T) -> Option<T> {
        match self.value.get(key) {
            None => Some(default),
            Some(_) => value,
        }
    }

    fn layers(&self, kind: impl Fn(usize) -> LayerKind) -> Vec<LayerKind> {
        (0..self.file.num_hidden_layers).map(kind).collect()
    }

    /// Which layers have a sliding window, by `layer_types` or else by `pattern`.
    fn sliding_layers(&self, pattern: impl Fn(usize) -> bool) -> Result<Vec<bool>, ModelError> {
        let layers = self.file.num_hidden_layers;
        let Some(types) = &self.file.layer_types else {
            return Ok((0..layers).map(pattern).collect());
        };
        if types.len() < layers {
            let reason = format!("has {} of {layers} layers", types.len());
            return Err(wrong(self.path, "layer_types", reason));
        }
        types
            .iter()
            .map(|kind| match kind.as_str() {
                "sliding_attention" => Ok(true),
                "full_attention" => Ok(false),
                other => Err(self.unsupported(format!("the layer type `{other}`"))),
            })
            .collect()
    }

    /// Gemma uses the key `hidden_activation`. Gemma 2's first files also have `hidden_act`, which
    /// transformers ignores.
    fn activation(&self, default: Activation) -> Result<Activation, ModelError> {
        let named = match default {
            Activation::GeluTanh => &self.file.hidden_activation,
            _ => &self.file.hidden_act,
        };
        match named {
            None | Some(Value::Null) => Ok(default),
            Some(name) => serde_json::from_value(name.clone())
                .map_err(|_| self.unsupported(format!("the activation {name}"))),
        }
    }

    /// Rotary settings from an entry of `rope_parameters`, or from `rope_scaling`.
    fn rope(
        &self,
        entry: Option<&Value>,
        theta: f64,
        head_dim: usize,
        original: Option<f64>,
    ) -> Result<RopeConfig, ModelError> {
        let empty = Value::Object(serde_json::Map::new());
        let entry = entry.filter(|entry| !entry.is_null()).unwrap_or(&empty);
        let number = |key: &str| entry.get(key).and_then(Value::as_f64);
        let partial = number("partial_rotary_factor")
            .or(self.file.partial_rotary_factor)
            .unwrap_or(1.0);
        let kind = ["rope_type", "type"]
            .iter()
            .find_map(|key| entry.get(*key)?.as_str());
        // The context length of pre-training may be next to the entry, or be that of the model.
        let mut whole = entry.clone();
        let original = (self.file.original_max_position_embeddings)
            .or_else(|| number("original_max_position_embeddings"))
            .or(original)
            .unwrap_or(self.file.max_position_embeddings as f64);
        let set = |whole: &mut Value, key: &str, value: f64| {
            if let Value::Object(entry) = whole {
                entry.insert(key.to_owned(), value.into());
            }
        };
        set(&mut whole, "original_max_position_embeddings", original);
        let parse = |what: &str, source: serde_json::Error| {
            wrong(self.path, "rope_parameters", format!("{what}: {source}"))
        };
        let scaling = match kind {
            None | Some("default") => RopeScaling::Default,
            Some("linear") => RopeScaling::Linear {
                factor: number("factor").ok_or_else(|| {
                    wrong(
                        self.path,
                        "rope_parameters",
                        "linear: no `factor`".to_owned(),
                    )
                })?,
            },
            Some("llama3") => RopeScaling::Llama3(
                serde_json::from_value(whole).map_err(|error| parse("llama3", error))?,
            ),
            Some("yarn") => RopeScaling::Yarn(
                serde_json::from_value(whole).map_err(|error| parse("yarn", error))?,
            ),
            Some("longrope" | "su") => {
                let factor =
                    number("factor").unwrap_or(self.file.max_position_embeddings as f64 / original);
                let attention = match factor <= 1.0 {
                    true => 1.0,
                    false => (1.0 + factor.ln() / original.ln()).sqrt(),
                };
                let attention = number("attention_factor").unwrap_or(attention);
                set(&mut whole, "attention_factor", attention);
                let long: LongRopeScaling =
                    serde_json::from_value(whole).map_err(|error| parse("longrope", error))?;
                RopeScaling::LongRope(long)
            }
            Some(other) => return Err(self.unsupported(format!("the rope type `{other}`"))),
        };
        let config = RopeConfig {
            theta: number("rope_theta").unwrap_or(theta),
            dims: (head_dim as f64 * partial) as usize,
            scaling,
        };
        self.check_rope(&config, head_dim)?;
        Ok(config)
    }

    fn check_rope(&self, config: &RopeConfig, head_dim: usize) -> Result<(), ModelError> {
        if config.dims > head_dim {
            let reason = format!("rotates {} dimensions of {head_dim}", config.dims);
            return Err(wrong(self.path, "partial_rotary_factor", reason));
        }
        if config.dims == 0 || !config.dims.is_multiple_of(2) {
            let reason = format!(
                "rotates {} dimensions of a head, but rotary positions need an even number",
                config.dims
            );
            return Err(wrong(self.path, "head_dim", reason));
        }
        if let RopeScaling::LongRope(long) = &config.scaling {
            for (key, factors) in [
                ("short_factor", &long.short_factor),
                ("long_factor", &long.long_factor),
            ] {
                if factors.len() != config.dims / 2 {
                    let reason = format!("has {} numbers, not {}", factors.len(), config.dims / 2);
                    return Err(wrong(self.path, key, reason));
                }
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ModelError> {
        let file = &self.file;
        let sizes = [
            ("vocab_size", file.vocab_size),
            ("hidden_size", file.hidden_size),
            ("intermediate_size", file.intermediate_size),
            ("num_hidden_layers", file.num_hidden_layers),
            ("num_attention_heads", file.num_attention_heads),
            ("num_key_value_heads", file.num_key_value_heads.unwrap_or(1)),
            ("head_dim", file.head_dim.unwrap_or(1)),
            ("sliding_window", file.sliding_window.unwrap_or(1)),
            ("max_position_embeddings", file.max_position_embeddings),
        ];
        check_sizes(self.path, &sizes)?;
        let (hidden, heads) = (file.hidden_size, file.num_attention_heads);
        if file.head_dim.is_none() && !hidden.is_multiple_of(heads) {
            let reason = format!("{heads} does not divide hidden_size {hidden}");
            return Err(wrong(self.path, "num_attention_heads", reason));
        }
        Ok(())
    }

    fn check_heads(&self, config: &DecoderConfig) -> Result<(), ModelError> {
        let (heads, kv_heads) = (config.num_attention_heads, config.num_key_value_heads);
        if !heads.is_multiple_of(kv_heads) {
            let reason = format!("{kv_heads} does not divide num_attention_heads {heads}");
            return Err(wrong(self.path, "num_key_value_heads", reason));
        }
        Ok(())
    }

    fn unsupported(&self, what: String) -> ModelError {
        ModelError::Unsupported {
            path: self.path.to_owned(),
            what,
        }
    }
}

/// A family's default values.
struct Defaults {
    head_dim: Option<usize>,
    kv_heads: Option<usize>,
    original: Option<f64>,
    theta: f64,
    eps: f64,
    tie: bool,
    act: Activation,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            head_dim: None,
            kv_heads: None,
            original: None,
            theta: 10_000.0,
            eps: 1e-6,
            tie: false,
            act: Activation::Silu,
        }
    }
}
