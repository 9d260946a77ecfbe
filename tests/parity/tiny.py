"""The tiny random LLaMA and the tiny tokenizer that all causal fixtures share."""

import json
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaPreTrainedModel,
    PreTrainedModel,
)
from transformers.pytorch_utils import Conv1D

BOS, EOS, PAD, START, END = "<|bos|>", "<|eos|>", "<|pad|>", "<|im_start|>", "<|im_end|>"
VOCAB = 300

# ChatML with the generation marker that assistant-only losses need. It renders the
# BOS token itself, so the text must be tokenised without special tokens.
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}"
    "{{ '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

CORPUS = [
    "The fox and the hen went to the sea.",
    "A story about the last lamp in the house, and the one who lit it.",
    "She said that there was nothing there; he said that there was.",
    "user system assistant the and ing er on in an re at or",
]

# The split rule of Llama 3, which readers of real checkpoints have to understand.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def save_tokenizer(path: Path):
    """Trains a byte-level BPE with BOS added by the post-processor, and writes it as a checkpoint would."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=VOCAB,
            special_tokens=[PAD, BOS, EOS, START, END],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    assert tokenizer.get_vocab_size() == VOCAB
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS}:1 $B:1", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    tokenizer.save(str(path / "tokenizer.json"))
    (path / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "bos_token": BOS,
                "eos_token": EOS,
                "pad_token": PAD,
                "model_max_length": 128,
                "tokenizer_class": "PreTrainedTokenizerFast",
                "clean_up_tokenization_spaces": False,
                "chat_template": CHAT_TEMPLATE,
            },
            indent=2,
        )
        + "\n"
    )
    return load_tokenizer(path)


def load_tokenizer(path: Path):
    """The tokenizer as transformers reads it."""
    tokenizer = AutoTokenizer.from_pretrained(path)
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    return tokenizer


def config(**changes) -> LlamaConfig:
    """Two layers, four heads on two key-value heads."""
    settings = dict(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        attn_implementation="eager",
    )
    return LlamaConfig(**(settings | changes))


def model(seed: int, architecture: type[LlamaPreTrainedModel] = LlamaForCausalLM, **changes) -> LlamaPreTrainedModel:
    """A tiny LLaMA with random weights."""
    torch.manual_seed(seed)
    return randomise(architecture(config(**changes)))


def randomise(tiny: PreTrainedModel, norms: float = 1.0, spread: float = 0.2) -> PreTrainedModel:
    """Random weights, wide enough that attention and logits are far from uniform; biases and norms are not left at 0 and 1.

    `norms` is what the weights of norms lie around, by `spread`.
    """
    transposed = {module.weight for module in tiny.modules() if isinstance(module, Conv1D)}
    with torch.no_grad():
        for name, parameter in tiny.named_parameters():
            if parameter.dim() == 1:
                parameter.normal_(0.0 if name.endswith("bias") else norms, spread)
            else:
                parameter.normal_(0.0, 1.5 / parameter.shape[0 if parameter in transposed else 1] ** 0.5)
    return tiny.eval()


def load_model(path: Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A saved model, in eval mode and with plain attention."""
    return AutoModelForCausalLM.from_pretrained(path, dtype=dtype, attn_implementation="eager").eval()
