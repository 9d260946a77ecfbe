"""`config.json` of the checkpoints that the tiny decoders stand for, as their makers published them.

Written the way transformers 4 wrote it at the time, but for sizes and special tokens; what the makers left
out is left out here, so that each family's defaults are read, too.
"""

from decoders import (
    LLAMA3,
    LLAMA3_ORIGINAL,
    LONGROPE,
    LONGROPE_3,
    ORIGINAL,
    POSITIONS,
    SMALL,
    SPECIAL,
    DECODERS,
    WINDOW,
    YARN,
)


def published(architecture: str, model_type: str, version: str, dtype: str = "bfloat16", **more) -> dict:
    """What every `config.json` on the hub has."""
    return {
        "architectures": [architecture],
        "initializer_range": 0.02,
        "model_type": model_type,
        "torch_dtype": dtype,
        "transformers_version": version,
        "use_cache": True,
    } | more


def llama(version: str, **more) -> dict:
    return published("LlamaForCausalLM", "llama", version, hidden_act="silu", pretraining_tp=1, rms_norm_eps=1e-5, **more)


def mistral(version: str, **more) -> dict:
    return published("MistralForCausalLM", "mistral", version, hidden_act="silu", rms_norm_eps=1e-5, tie_word_embeddings=False, **more)


def qwen2(**more) -> dict:
    more = {"rope_theta": 1000000.0, "attention_dropout": 0.0, "use_mrope": False, "hidden_act": "silu"} | more
    return published("Qwen2ForCausalLM", "qwen2", "4.40.1", rms_norm_eps=1e-6, **more)


def qwen3(**more) -> dict:
    more = {"rope_theta": 1000000, "attention_bias": False, "attention_dropout": 0.0, "hidden_act": "silu", "head_dim": 6} | more
    more |= {"max_window_layers": 28, "sliding_window": None, "use_sliding_window": False}
    return published("Qwen3ForCausalLM", "qwen3", "4.51.0", rms_norm_eps=1e-6, **more)


def phi3(**more) -> dict:
    code = {"AutoConfig": "configuration_phi3.Phi3Config", "AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM"}
    more = {"embd_pdrop": 0.0, "resid_pdrop": 0.0, "attention_dropout": 0.0, "attention_bias": False, "auto_map": code} | more
    return published("Phi3ForCausalLM", "phi3", "4.40.2", hidden_act="silu", rms_norm_eps=1e-5, rope_theta=10000.0, **more)


GEMMA_HUB = dict(attention_bias=False, attention_dropout=0.0, cache_implementation="hybrid", pad_token_id=0, rms_norm_eps=1e-6)

# Each under the comment that names its checkpoint.
HUB = {
    # meta-llama/Llama-2-7b-hf
    "llama2": llama("4.31.0.dev0", dtype="float16", rope_scaling=None, tie_word_embeddings=False),
    # meta-llama/Meta-Llama-3-8B
    "llama3": llama("4.40.0.dev0", attention_bias=False, rope_scaling=None, rope_theta=500000.0, tie_word_embeddings=False),
    # meta-llama/Llama-3.2-1B
    "llama31": llama(
        "4.45.0.dev0",
        attention_bias=False,
        mlp_bias=False,
        head_dim=8,
        rope_theta=500000.0,
        rope_scaling=LLAMA3 | {"original_max_position_embeddings": LLAMA3_ORIGINAL, "rope_type": "llama3"},
        tie_word_embeddings=True,
    ),
    # mistralai/Mistral-7B-v0.1
    "mistral": mistral("4.34.0.dev0", rope_theta=10000.0, sliding_window=WINDOW),
    # mistralai/Mistral-7B-v0.3
    "mistral_v03": mistral("4.42.0.dev0", rope_theta=1000000.0, sliding_window=None, attention_dropout=0.0),
    # Qwen/Qwen2.5-0.5B
    # A window that is switched off.
    "qwen2": qwen2(max_window_layers=1, sliding_window=WINDOW, tie_word_embeddings=True, use_sliding_window=False),
    # Qwen/Qwen2-7B
    "qwen2_window": qwen2(max_window_layers=1, sliding_window=WINDOW, tie_word_embeddings=False, use_sliding_window=True),
    # Qwen/Qwen3-0.6B
    "qwen3": qwen3(tie_word_embeddings=True, rope_scaling=None),
    # Qwen/Qwen3-8B, as its card says for long texts
    "qwen3_yarn": qwen3(tie_word_embeddings=False, rope_theta=10000, rope_scaling={"rope_type": "yarn"} | YARN),
    # HuggingFaceTB/SmolLM2-135M
    "smollm2": llama(
        "4.40.1",
        attention_bias=False,
        is_llama_config=True,
        rope_interleaved=False,
        rope_scaling=None,
        rope_theta=100000,
        tie_word_embeddings=True,
    ),
    # HuggingFaceTB/SmolLM3-3B
    "smollm3": published(
        "SmolLM3ForCausalLM",
        "smollm3",
        "4.54.0.dev0",
        attention_bias=False,
        attention_dropout=0.0,
        hidden_act="silu",
        layer_types=["full_attention"] * 3,
        max_window_layers=28,
        mlp_bias=False,
        no_rope_layer_interval=4,
        no_rope_layers=[1, 0, 1],
        pad_token_id=0,
        pretraining_tp=2,
        rms_norm_eps=1e-6,
        rope_scaling=None,
        rope_theta=5000000.0,
        sliding_window=None,
        use_sliding_window=False,
    ),
    # google/gemma-2-2b
    "gemma2": published(
        "Gemma2ForCausalLM",
        "gemma2",
        "4.42.4",
        "float32",
        attn_logit_softcapping=2.0,
        final_logit_softcapping=3.0,
        head_dim=6,
        hidden_act="gelu_pytorch_tanh",
        hidden_activation="gelu_pytorch_tanh",
        query_pre_attn_scalar=3,
        rope_theta=10000.0,
        sliding_window=WINDOW,
        **GEMMA_HUB,
    ),
    # google/gemma-3-1b-pt, with the rope scaling of 4b
    "gemma3": published(
        "Gemma3ForCausalLM",
        "gemma3_text",
        "4.50.0.dev0",
        attn_logit_softcapping=None,
        final_logit_softcapping=None,
        head_dim=6,
        hidden_activation="gelu_pytorch_tanh",
        query_pre_attn_scalar=24,
        rope_local_base_freq=10000,
        rope_scaling={"factor": 8.0, "rope_type": "linear"},
        rope_theta=1000000,
        sliding_window=WINDOW,
        sliding_window_pattern=6,
        **GEMMA_HUB,
    ),
    # openai-community/gpt2
    "gpt2": {
        "activation_function": "gelu_new",
        "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.1,
        "embd_pdrop": 0.1,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-5,
        "model_type": "gpt2",
        "n_ctx": POSITIONS,
        "resid_pdrop": 0.1,
        "summary_activation": None,
        "summary_first_dropout": 0.1,
        "summary_proj_to_labels": True,
        "summary_type": "cls_index",
        "summary_use_proj": True,
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    },
    # microsoft/Phi-3-mini-4k-instruct
    "phi3": phi3(original_max_position_embeddings=POSITIONS, pad_token_id=0, rope_scaling=None, sliding_window=WINDOW, tie_word_embeddings=False),
    # microsoft/Phi-3-mini-128k-instruct
    "phi3_long": phi3(
        original_max_position_embeddings=ORIGINAL,
        pad_token_id=0,
        rope_scaling={"type": "longrope"} | LONGROPE,
        sliding_window=4 * POSITIONS,
        tie_word_embeddings=False,
    ),
    # microsoft/Phi-4-mini-instruct
    "phi4_mini": phi3(
        full_attn_mod=1,
        interpolate_factor=1,
        lm_head_bias=False,
        mlp_bias=False,
        original_max_position_embeddings=ORIGINAL,
        pad_token_id=0,
        partial_rotary_factor=0.75,
        rope_scaling={"type": "longrope"} | LONGROPE_3,
        sliding_window=4 * POSITIONS,
        tie_word_embeddings=True,
    ),
}

# What GPT-2 calls the sizes.
GPT2_NAMES = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
}


def hub_json(name: str) -> dict:
    """The family's keys, this model's sizes."""
    tiny, names = DECODERS[name].tiny(), GPT2_NAMES if name == "gpt2" else {}
    sizes = {names.get(key, key): getattr(tiny, key) for key in SMALL if hasattr(tiny, key)}
    return dict(sorted((sizes | SPECIAL | HUB[name]).items()))
