"""Tiny tokenizers in the manner of the model families, each with a chat template of its kind."""

import json
import string
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

from tiny import CORPUS, SPLIT

# A turn with the mark around what an assistant's turn adds to the prompt that opens it.
CHATML = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.role == 'assistant' %}{% generation %}{{- message.content + '<|im_end|>' }}{% endgeneration %}"
    "{%- else %}{{- message.content + '<|im_end|>' }}{%- endif %}{{- '\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
LLAMA3 = (
    "{{- bos_token }}{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}"
    "{%- if message['role'] == 'assistant' %}{% generation %}{{- message['content'] | trim + '<|eot_id|>' }}{% endgeneration %}"
    "{%- else %}{{- message['content'] | trim + '<|eot_id|>' }}{%- endif %}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"
)
LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}"
    "{% else %}{% set loop_messages = messages %}{% set system = '' %}{% endif %}"
    "{% for message in loop_messages %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + (system if loop.first else '') + message['content'].strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{% generation %}{{ ' ' + message['content'].strip() + ' ' + eos_token }}{% endgeneration %}{% endif %}"
    "{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '<start_of_turn>model\\n' }}{% generation %}{{ message['content'] | trim + '<end_of_turn>' }}{% endgeneration %}{{ '\\n' }}"
    "{% else %}{{ '<start_of_turn>' + message['role'] + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)
# No special token at all: nothing stands between the tokens of the prompt and those of the answer.
BARE = (
    "{% for message in messages %}{{ message.role + ':' }}"
    "{% if message.role == 'assistant' %}{% generation %}{{ ' ' + message.content + '\\n' }}{% endgeneration %}"
    "{% else %}{{ ' ' + message.content + '\\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"
)


def byte_level(special: list[str]) -> Tokenizer:
    """Byte-level BPE with the split rule of Llama 3."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def with_bytes(special: list[str], size: int) -> Tokenizer:
    """BPE over pieces that begin with `▁`, and over bytes for all that is no piece, as SentencePiece has it."""
    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    pieces.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=size, show_progress=False))
    learned = json.loads(pieces.to_str())["model"]
    tokens = special + [f"<0x{byte:02X}>" for byte in range(256)] + sorted(learned["vocab"], key=learned["vocab"].get)
    merges = [tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in learned["merges"]]
    vocab = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return tokenizer


def template(tokenizer: Tokenizer, single: str, tokens: list[str]) -> processors.PostProcessor:
    return processors.TemplateProcessing(single=single, special_tokens=[(token, tokenizer.token_to_id(token)) for token in tokens])


def chatml() -> tuple[Tokenizer, dict]:
    """Qwen: byte-level, no BOS; the template ends a turn with a token and a line break."""
    tokenizer = byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer, {"bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": CHATML}


def llama3() -> tuple[Tokenizer, dict]:
    """Llama 3: byte-level, BOS by the post-processor, and by the template."""
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = byte_level(special)
    bos = template(tokenizer, "<|begin_of_text|> $A", special[:1])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), bos])
    return tokenizer, {"bos_token": special[0], "eos_token": special[4], "pad_token": special[1], "chat_template": LLAMA3}


def llama2() -> tuple[Tokenizer, dict]:
    """Llama 2: a prefix space wherever text begins, bytes for what is unknown, BOS by post-processor and template.

    `add_eos_token` is what transformers passes over beside a tokenizer.json.
    """
    tokenizer = with_bytes(["<unk>", "<s>", "</s>"], 90)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = template(tokenizer, "<s> $A", ["<s>"])
    settings = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<unk>", "add_eos_token": True}
    return tokenizer, settings | {"chat_template": LLAMA2}


def gemma() -> tuple[Tokenizer, dict]:
    """Gemma: as Llama 2 without the prefix space; turns are special tokens, and end with a line break."""
    tokenizer = with_bytes(["<unk>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"], 90)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = template(tokenizer, "<bos> $A", ["<bos>"])
    return tokenizer, {"bos_token": "<bos>", "eos_token": "<end_of_turn>", "pad_token": "<eos>", "chat_template": GEMMA}


def unigram() -> tuple[Tokenizer, dict]:
    """Unigram with a prefix space, and EOS by the post-processor, as encoders of SentencePiece have it."""
    special = ["<pad>", "</s>", "<unk>"]
    letters = sorted(set(string.ascii_letters + "▁.,:;?!\n"))
    pieces = ["▁the", "▁The", "▁and", "▁story", "▁se", "he", "ea", "er", "in", "on", "an", "st", "▁f", "ox", "user", "assist", "ant"]
    scored = [(token, 0.0) for token in special] + [(c, -6.0) for c in letters] + [(p, -3.0 - i / 8) for i, p in enumerate(pieces)]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=2, byte_fallback=False))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    tokenizer.post_processor = template(tokenizer, "$A </s>", ["</s>"])
    return tokenizer, {"bos_token": None, "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "chat_template": BARE}


STYLES = {"chatml": chatml, "llama3": llama3, "llama2": llama2, "gemma": gemma, "unigram": unigram}
# Those whose template ends with the end-of-turn token itself.
ENDS_IN_EOS = ("llama3", "llama2")
# Those whose post-processor ends a text with it, so that TRL, which appends it first, has it twice.
ENDS_TWICE = ("unigram",)


def save(path: Path, style: str):
    """Writes a folder with the tokenizer, and reads it as transformers does."""
    tokenizer, settings = STYLES[style]()
    path.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, "model_max_length": 512} | settings
    (path / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    return AutoTokenizer.from_pretrained(path)
