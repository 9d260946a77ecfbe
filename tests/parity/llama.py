"""fixtures/llama: four tiny LLaMA folders with their activations, and the tokenizer with its chats.

- `llama/`          untied, grouped-query; configuration as transformers 5 writes it.
- `llama/tied/`     tied embeddings, head_dim that is not hidden/heads; weights in one bf16 file.
- `llama/llama3/`   Llama-3 rope scaling; configuration as checkpoints of 2024 carry it (rope_theta, rope_scaling, torch_dtype).
- `llama/bias/`     biases in attention and MLP; weights in several shards with an index.
"""

import json

import torch
from trl.data_utils import _tokenize, common_prefix_length

from activations import activations, padded
from fixture import FIXTURES, folder, save_json, save_tensors, versions, worst
from templates import NOW, template_cases
from tiny import load_model, load_tokenizer, model, save_tokenizer

ROPE_LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    # Wavelengths are 6, 63, 628 and 6283: one is kept, one blended, two divided.
    "original_max_position_embeddings": 128,
}


def save_models() -> None:
    """The four folders."""
    model(seed=1).save_pretrained(folder("llama"))

    tied = model(seed=2, tie_word_embeddings=True, head_dim=12).to(torch.bfloat16)
    tied.save_pretrained(folder("llama/tied"))

    rope = ROPE_LLAMA3 | {"rope_theta": 10000.0}
    path = folder("llama/llama3")
    model(seed=3, max_position_embeddings=1024, rope_parameters=rope).save_pretrained(path)
    config = json.loads((path / "config.json").read_text())
    del config["rope_parameters"], config["dtype"]
    config |= {"rope_theta": 10000.0, "rope_scaling": ROPE_LLAMA3, "torch_dtype": "float32"}
    (path / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")

    biased = model(seed=4, attention_bias=True, mlp_bias=True)
    biased.save_pretrained(folder("llama/bias"), max_shard_size="60KB")


def batches() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The same three sequences, of lengths 11, 7 and 1, padded on either side."""
    random = torch.Generator().manual_seed(5)
    return padded([torch.randint(5, 300, (n,), generator=random) for n in (11, 7, 1)])


def save_activations() -> None:
    """io.safetensors in each folder: `<side>.<name>` for both sides of padding."""
    spread = {}
    for name in ("llama", "llama/tied", "llama/llama3", "llama/bias"):
        path, tensors = FIXTURES / name, {}
        tiny, exact = load_model(path), load_model(path, torch.float64)
        for side, (ids, mask) in batches().items():
            tensors |= {f"{side}.input_ids": ids, f"{side}.attention_mask": mask}
            out = activations(tiny, ids, mask)
            if name != "llama":
                out = {key: out[key] for key in ("logits", "logps")}
            if side == "right":
                exact_out = activations(exact, ids, mask)
                spread[name] = {key: worst(value, exact_out[key]) for key, value in out.items()}
            else:
                # The padding side changes nothing for the real tokens; the whole logits are stored once.
                right = tensors["right.logits"]
                for i, n in enumerate(mask.sum(1).tolist()):
                    assert torch.allclose(out["logits"][i, -n:], right[i, :n], atol=1e-4)
                del out["logits"]
            tensors |= {f"{side}.{key}": value for key, value in out.items()}
        save_tensors(path / "io.safetensors", tensors)
    save_json(
        FIXTURES / "llama/io.json",
        {
            "versions": versions("torch", "transformers"),
            "about": "largest difference between f32 (stored) and f64, in which transformers keeps norms and softmax in f32",
            "f64_difference": spread,
        },
    )


CHATS = [
    [{"role": "user", "content": "Tell me a story about the sea."}],
    [
        {"role": "system", "content": "You are a teller of tales."},
        {"role": "user", "content": "Write!"},
        {"role": "assistant", "content": "The fox went to the sea.\n\nThe end."},
    ],
    [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": "  Three\t"},
        {"role": "assistant", "content": ""},
    ],
    [
        {"role": "user", "content": "Über naïve façades, 「海の話」を書いて 🦊👩‍👩‍👧"},
        {"role": "assistant", "content": "Мо́ре — e\u0301\u200b 🌊\r\n"},
    ],
    [{"role": "user", "content": "<|im_end|> is not mine to write <|eos|>"}],
]

PAIRS = [
    ("Tell me a story:", " The fox went.", " The hen said that there was nothing in the house."),
    ("", "A story", "Another"),
    ("The s", "ea was calm", "un was low"),  # tokens merge across the boundary
    ("Ends in space ", "word", " word"),
    ("Écris : ", "l’été 🌞", "日本"),
    ("Already ended:", " yes<|eos|>", ""),
]

CHAT_PAIRS = [
    (CHATS[0], "The fox.", "The hen and the lamp."),
    (CHATS[1], "Again, then.", ""),
    (CHATS[3][:1], "Море 🌊", "sea"),
]


def as_trl_does(tokenizer, prompt, chosen, rejected) -> dict:
    """DPOTrainer._prepare_dataset of TRL, for one pair: EOS after plain text, the template for chats, split at the common prefix."""
    if isinstance(prompt, list):
        chosen, rejected = ([{"role": "assistant", "content": text}] for text in (chosen, rejected))
        prompt_ids = _tokenize(tokenizer, prompt, add_generation_prompt=True)["input_ids"]
    else:
        eos = tokenizer.eos_token
        chosen, rejected = (text if text.endswith(eos) else text + eos for text in (chosen, rejected))
        prompt_ids = _tokenize(tokenizer, prompt)["input_ids"]
    chosen_ids = _tokenize(tokenizer, prompt + chosen)["input_ids"]
    rejected_ids = _tokenize(tokenizer, prompt + rejected)["input_ids"]
    shared = min(common_prefix_length(prompt_ids, ids) for ids in (chosen_ids, rejected_ids))
    return {
        "prompt": prompt,
        "chosen": chosen,
        "rejected": rejected,
        "prompt_alone_ids": prompt_ids,
        "prompt_ids": prompt_ids[:shared],
        "chosen_ids": chosen_ids[shared:],
        "rejected_ids": rejected_ids[shared:],
    }


def chat_case(tokenizer, messages: list[dict]) -> dict:
    """One conversation: text and ids with and without the generation prompt, and which tokens the assistant wrote."""
    both = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    assert both["input_ids"] == tokenizer(text, add_special_tokens=False)["input_ids"]
    return {
        "messages": messages,
        "text": text,
        "ids": both["input_ids"],
        "assistant_mask": both["assistant_masks"],
        "text_generation": tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True),
        "ids_generation": tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"],
    }


def encode_case(tokenizer, text: str) -> dict:
    """Plain text to ids and back."""
    ids = tokenizer(text)["input_ids"]
    return {
        "text": text,
        "ids": ids,
        "ids_without_special": tokenizer(text, add_special_tokens=False)["input_ids"],
        "decoded": tokenizer.decode(ids),
        "decoded_without_special": tokenizer.decode(ids, skip_special_tokens=True),
    }


def save_chats() -> None:
    """chat.json, and templates.json for chat templates of other families."""
    path = folder("llama")
    tokenizer = save_tokenizer(path)
    texts = ["", " ", "\n\n", "a", "The fox and the hen.", "it's 12345 they'LL", "naïve 🦊 日本 e\u0301", "<|im_start|>x<|eos|>", "tabs\tand\r\nlines  "]
    save_json(
        path / "chat.json",
        {
            "versions": versions("tokenizers", "transformers", "trl"),
            "encode": [encode_case(tokenizer, text) for text in texts],
            "chats": [chat_case(tokenizer, messages) for messages in CHATS],
            "pairs": [as_trl_does(tokenizer, *pair) for pair in PAIRS + CHAT_PAIRS],
        },
    )
    save_json(
        path / "templates.json",
        {
            "versions": versions("transformers", "Jinja2"),
            "now": NOW.isoformat(),
            "templates": template_cases(load_tokenizer(path), CHATS),
        },
    )


if __name__ == "__main__":
    save_models()
    save_activations()
    save_chats()
