//! Random weights for training a model from scratch.

use burn::tensor::TensorData;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::decoder::DecoderConfig;
use crate::parameters::NamedTensors;

/// Standard deviation of transformers' `initializer_range`.
pub(crate) const DEVIATION: f32 = 0.02;

/// Random weights for the Llama that `config` describes, initialized as in transformers: matrices
/// from a normal distribution with standard deviation 0.02, norms 1, biases 0. The same seed gives
/// the same weights on every machine.
pub fn random_llama(config: &DecoderConfig, seed: u64) -> NamedTensors {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (hidden, inner, head_dim) = (
        config.hidden_size,
        config.intermediate_size,
        config.head_dim,
    );
    let (q, kv) = (
        config.num_attention_heads * head_dim,
        config.num_key_value_heads * head_dim,
    );
    let mut tensors = vec![(
        "model.embed_tokens.weight".to_owned(),
        normal(&mut rng, [config.vocab_size, hidden], DEVIATION),
    )];
    for i in 0..config.layers.len() {
        let mut linear = |part: &str, [out, input]: [usize; 2], bias: bool| {
            tensors.push((
                format!("model.layers.{i}.{part}.weight"),
                normal(&mut rng, [out, input], DEVIATION),
            ));
            if bias {
                tensors.push((format!("model.layers.{i}.{part}.bias"), constant(0.0, out)));
            }
        };
        linear("self_attn.q_proj", [q, hidden], config.qkv_bias);
        linear("self_attn.k_proj", [kv, hidden], config.qkv_bias);
        linear("self_attn.v_proj", [kv, hidden], config.qkv_bias);
        linear("self_attn.o_proj", [hidden, q], config.o_bias);
        linear("mlp.gate_proj", [inner, hidden], config.mlp_bias);
        linear("mlp.up_proj", [inner, hidden], config.mlp_bias);
        linear("mlp.down_proj", [hidden, inner], config.mlp_bias);
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            tensors.push((
                format!("model.layers.{i}.{norm}.weight"),
                constant(1.0, hidden),
            ));
        }
    }
    tensors.push(("model.norm.weight".to_owned(), constant(1.0, hidden)));
    if !config.tie_word_embeddings {
        tensors.push((
            "lm_head.weight".to_owned(),
            normal(&mut rng, [config.vocab_size, hidden], DEVIATION),
        ));
    }
    tensors
}

fn constant(value: f32, length: usize) -> TensorData {
    TensorData::new(vec![value; length], [length])
}

/// The Box-Muller transform: one normal sample from two uniform ones.
pub(crate) fn normal(rng: &mut ChaCha8Rng, shape: [usize; 2], deviation: f32) -> TensorData {
    let mut draw = || {
        let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
        radius * (2.0 * std::f32::consts::PI * rng.random::<f32>()).cos() * deviation
    };
    TensorData::new(
        (0..shape[0] * shape[1]).map(|_| draw()).collect::<Vec<_>>(),
        shape,
    )
}
