"""The decoders that rarebit reads, each as a tiny configuration of transformers. `hub.py` has the same as their makers published them."""

from dataclasses import dataclass, field

from transformers import (
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

VOCAB, POSITIONS = 40, 64
# Two layers of width 16; two query heads share a key head.
SMALL = dict(
    vocab_size=VOCAB,
    hidden_size=16,
    intermediate_size=20,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=POSITIONS,
)
# Token ids of all variants; each hub file would have its own.
SPECIAL = dict(bos_token_id=1, eos_token_id=2)
# Shorter than every sequence that matters.
WINDOW = 4


@dataclass
class Variant:
    """One tiny model."""

    # As the documentation calls it, and what this one is to show.
    family: str
    about: str
    config: type[PreTrainedConfig]
    # Over `SMALL`.
    settings: dict
    # Changes of the configuration that must each move the logits, or the fixture would not see them forgotten.
    matters: list[dict] = field(default_factory=list)
    # Rows of a second batch, for what changes with length.
    long: tuple[int, ...] = ()

    def tiny(self, **changes) -> PreTrainedConfig:
        """The configuration as transformers 5 has it."""
        sizes = {key: value for key, value in SMALL.items() if key in self.config.__dataclass_fields__ or key in self.config.attribute_map}
        return self.config(**({"pad_token_id": 0, "attn_implementation": "eager"} | SPECIAL | sizes | self.settings | changes))


def rope(kind: str = "default", theta: float = 10000.0, **more) -> dict:
    """`rope_parameters`, as transformers 5 gathers them."""
    return {"rope_parameters": {"rope_type": kind, "rope_theta": theta, **more}}


def gemma3_ropes(full: float, sliding: float, factor: float) -> dict:
    """A rotation for each kind of layer."""
    return {
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": factor, "rope_theta": full},
            "sliding_attention": {"rope_type": "default", "rope_theta": sliding},
        }
    }


# Half of the head dimension, or of the part of it that rotates, is as many factors. The rows of the
# first batch and all pairs are shorter than the original length, those of `long` are longer.
ORIGINAL = 24
LONGROPE = {"short_factor": [1.05, 1.3], "long_factor": [1.5, 3.5]}
LONGROPE_3 = {"short_factor": [1.0, 1.1, 1.4], "long_factor": [1.2, 2.5, 5.0]}
LLAMA3 = dict(factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0)
# With a base of 500000 and heads of 8 the wavelengths are 6, 167, 4443 and more: one is kept, one blended, two divided.
LLAMA3_ORIGINAL = 256
# With a base of 10000 and heads of 6, of three frequencies one is kept, one blended, one divided.
YARN = dict(factor=4.0, original_max_position_embeddings=256)

DECODERS = {
    "llama2": Variant(
        "Llama 2",
        "as many key as query heads, untied",
        LlamaConfig,
        dict(num_key_value_heads=4, tie_word_embeddings=False, rms_norm_eps=1e-5) | rope(),
        [{"rms_norm_eps": 0.1}],
    ),
    "llama3": Variant(
        "Llama 3",
        "grouped-query attention, base 500000",
        LlamaConfig,
        dict(tie_word_embeddings=False, rms_norm_eps=1e-5) | rope(theta=500000.0),
        [rope()],
    ),
    "llama31": Variant(
        "Llama 3.1, 3.2",
        "rope `llama3`, tied",
        LlamaConfig,
        dict(tie_word_embeddings=True, head_dim=8, rms_norm_eps=1e-5, max_position_embeddings=512)
        | rope("llama3", 500000.0, original_max_position_embeddings=LLAMA3_ORIGINAL, **LLAMA3),
        [rope(theta=500000.0)],
    ),
    "mistral": Variant(
        "Mistral v0.1",
        "sliding window",
        MistralConfig,
        dict(sliding_window=WINDOW, tie_word_embeddings=False, rms_norm_eps=1e-5) | rope(),
        [{"sliding_window": None}, {"sliding_window": WINDOW + 1}, {"sliding_window": WINDOW - 1}],
    ),
    "mistral_v03": Variant(
        "Mistral v0.3",
        "no window",
        MistralConfig,
        dict(sliding_window=None, tie_word_embeddings=False, rms_norm_eps=1e-5) | rope(theta=1000000.0),
        [{"sliding_window": WINDOW}, rope()],
    ),
    "qwen2": Variant(
        "Qwen2, 2.5",
        "biases, tied, window switched off",
        Qwen2Config,
        dict(tie_word_embeddings=True, sliding_window=WINDOW, max_window_layers=1) | rope(theta=1000000.0),
        [{"use_sliding_window": True}],
    ),
    "qwen2_window": Variant(
        "Qwen2, 2.5",
        "window from the second layer on, untied",
        Qwen2Config,
        dict(tie_word_embeddings=False, use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1, num_hidden_layers=3)
        | rope(theta=1000000.0),
        [{"use_sliding_window": False}, {"max_window_layers": 0}, {"max_window_layers": 2}],
    ),
    "qwen3": Variant(
        "Qwen3",
        "norms of queries and keys",
        Qwen3Config,
        dict(tie_word_embeddings=True, head_dim=6) | rope(theta=1000000.0),
        [rope()],
    ),
    "qwen3_yarn": Variant(
        "Qwen3",
        "rope `yarn`, untied",
        Qwen3Config,
        dict(tie_word_embeddings=False, head_dim=6, max_position_embeddings=1024) | rope("yarn", **YARN),
        [rope(), rope("yarn", **YARN, attention_factor=1.0), rope("linear", factor=4.0)],
    ),
    "smollm2": Variant(
        "SmolLM2",
        "three query heads to one key head",
        LlamaConfig,
        dict(hidden_size=24, num_attention_heads=3, num_key_value_heads=1, tie_word_embeddings=True, rms_norm_eps=1e-5)
        | rope(theta=100000.0),
        [rope()],
    ),
    "smollm3": Variant(
        "SmolLM3",
        "a layer without positions",
        SmolLM3Config,
        # Not the pattern that an interval gives.
        dict(num_hidden_layers=3, no_rope_layers=[1, 0, 1], tie_word_embeddings=True) | rope(theta=5000000.0),
        [{"no_rope_layers": [1, 1, 1]}, {"no_rope_layers": [1, 1, 0]}],
    ),
    "gemma2": Variant(
        "Gemma 2",
        "bounded scores and logits, window in every other layer",
        Gemma2Config,
        # Caps and scale at which logits and scores of this size bend; heads that are not hidden / heads wide.
        dict(
            head_dim=6,
            query_pre_attn_scalar=3,
            attn_logit_softcapping=2.0,
            final_logit_softcapping=3.0,
            sliding_window=WINDOW,
            num_hidden_layers=3,
        )
        | rope(),
        [
            {"attn_logit_softcapping": None},
            {"final_logit_softcapping": None},
            {"query_pre_attn_scalar": 6},
            {"layer_types": ["full_attention"] * 3},
            {"layer_types": ["full_attention", "sliding_attention", "full_attention"]},
        ],
    ),
    "gemma3": Variant(
        "Gemma 3",
        "seven layers, one of them global, rope `linear` there",
        Gemma3TextConfig,
        # Seven layers: the sixth sees everything, as every sixth of the real ones does.
        dict(
            head_dim=6,
            query_pre_attn_scalar=24,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=12,
            sliding_window=WINDOW,
            num_hidden_layers=7,
        )
        | gemma3_ropes(1000000.0, 10000.0, factor=8.0),
        [
            {"layer_types": ["full_attention"] * 7},
            {"layer_types": ["sliding_attention"] * 7},
            {"query_pre_attn_scalar": 6},
            gemma3_ropes(10000.0, 10000.0, factor=8.0),
            gemma3_ropes(1000000.0, 1000000.0, factor=8.0),
            gemma3_ropes(1000000.0, 10000.0, factor=1.0),
        ],
    ),
    "gpt2": Variant(
        "GPT-2",
        "learned positions, `Conv1D`",
        GPT2Config,
        # transformers' trainers would drop; the comparison must not.
        dict(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, n_inner=None),
        [{"layer_norm_epsilon": 0.1}, {"activation_function": "relu"}],
    ),
    "phi3": Variant(
        "Phi-3",
        "fused projections, sliding window",
        Phi3Config,
        dict(num_key_value_heads=4, sliding_window=WINDOW, tie_word_embeddings=False, original_max_position_embeddings=POSITIONS) | rope(),
        [{"sliding_window": None}],
    ),
    "phi3_long": Variant(
        "Phi-3",
        "rope `longrope`, short and long",
        Phi3Config,
        dict(num_key_value_heads=4, sliding_window=4 * POSITIONS, tie_word_embeddings=False, original_max_position_embeddings=ORIGINAL)
        | rope("longrope", original_max_position_embeddings=ORIGINAL, **LONGROPE),
        [rope()],
        long=(29, 25),
    ),
    "phi4_mini": Variant(
        "Phi-4-mini",
        "rope `longrope` on three quarters of a head, tied",
        Phi3Config,
        # Six of eight dimensions rotate.
        dict(
            hidden_size=16,
            num_attention_heads=2,
            num_key_value_heads=1,
            sliding_window=4 * POSITIONS,
            tie_word_embeddings=True,
            original_max_position_embeddings=ORIGINAL,
        )
        | rope("longrope", original_max_position_embeddings=ORIGINAL, partial_rotary_factor=0.75, **LONGROPE_3),
        [rope(partial_rotary_factor=0.75)],
        long=(29, 25),
    ),
}
