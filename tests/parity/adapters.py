"""fixtures/adapters: adapters that peft trained for a few steps, and the logits of their bases under them.

| folder | base | settings |
|---|---|---|
| `pattern/` | `losses/policy` | regular expression with a look-ahead, rank and alpha patterns, rslora, embedding and head trained whole |
| `all/` | `losses/policy` | `all-linear` without `o_proj`, which peft writes out as names |
| `blocks/` | `losses/policy` | names' ends, in block 1 only |
| `conv1d/` | `adapters/gpt2` | `all-linear` on layers that are stored `[in, out]` |
| `reward/` | `losses/policy` | a sequence classifier of one label on a base without that head |
| `tied_both/` | `adapters/tied` | embedding and head of a tied model trained whole, which unties them |
| `tied_kept/` | `adapters/tied` | the same with `ensure_weight_tying`, which keeps one weight for both |
| `tied_embedding/` | `adapters/tied` | only the embedding: the head stays the base's |
| `tied_head/` | `adapters/tied` | only the head: the embedding stays the base's |
| `tied_gpt2/` | `adapters/gpt2` | an embedding of another name, which `ensure_weight_tying` passes over |
"""

import json

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from fixture import FIXTURES, folder, save_json, save_tensors, versions, worst

ROWS, LENGTH, STEPS = 2, 6, 3

CASES = {
    "pattern": dict(
        target_modules=r"model\.layers\.\d+\.(?!.*k_proj)(self_attn|mlp)\.(q|k|down)_proj",
        r=4,
        lora_alpha=6,
        use_rslora=True,
        rank_pattern={"q_proj": 6, r"1\.mlp\.down_proj": 2},
        alpha_pattern={r"layers\.0\..*": 10},
        modules_to_save=["embed_tokens", "lm_head"],
    ),
    "all": dict(target_modules="all-linear", exclude_modules=["o_proj"], r=3, lora_alpha=5, lora_dropout=0.1),
    "blocks": dict(target_modules=["q_proj", "mlp.gate_proj"], layers_to_transform=[1], layers_pattern="layers", r=2),
    "conv1d": dict(target_modules="all-linear", r=2, lora_alpha=4),
    "reward": dict(target_modules=["v_proj"], r=2, lora_alpha=4, task_type=TaskType.SEQ_CLS),
    "tied_both": dict(target_modules=["q_proj"], r=2, modules_to_save=["lm_head", "embed_tokens"]),
    "tied_kept": dict(target_modules=["q_proj"], r=2, modules_to_save=["lm_head", "embed_tokens"], ensure_weight_tying=True),
    "tied_embedding": dict(target_modules=["q_proj"], r=2, modules_to_save=["embed_tokens"]),
    "tied_head": dict(target_modules=["q_proj"], r=2, modules_to_save=["lm_head"]),
    "tied_gpt2": dict(target_modules=["c_attn"], r=2, modules_to_save=["wte"], ensure_weight_tying=True),
}
BASES = {"conv1d": "adapters/gpt2", "tied_gpt2": "adapters/gpt2"} | {case: "adapters/tied" for case in CASES if case.startswith("tied") and case != "tied_gpt2"}


def save_gpt2() -> None:
    """A tiny GPT-2 with random weights, biases and norms."""
    torch.manual_seed(21)
    config = GPT2Config(vocab_size=64, n_positions=32, n_embd=12, n_layer=2, n_head=3, bos_token_id=1, eos_token_id=2)
    tiny = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, parameter in tiny.named_parameters():
            if parameter.dim() == 1:
                parameter.normal_(0.0 if name.endswith("bias") else 1.0, 0.2)
            else:
                parameter.normal_(0.0, 0.3)
    tiny.save_pretrained(folder("adapters/gpt2"))


def save_tied() -> None:
    """A tiny LLaMA whose head is its embedding."""
    torch.manual_seed(23)
    config = LlamaConfig(vocab_size=64, hidden_size=12, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=32, tie_word_embeddings=True)
    tiny = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in tiny.parameters():
            parameter.normal_(float(parameter.dim() == 1), 0.3)
    tiny.save_pretrained(folder("adapters/tied"))


def base(case: str, dtype: torch.dtype = torch.float32):
    """The model under an adapter."""
    if case == "reward":
        torch.manual_seed(22)
        path = FIXTURES / "losses/policy"
        return AutoModelForSequenceClassification.from_pretrained(path, num_labels=1, dtype=dtype, attn_implementation="eager")
    path = FIXTURES / BASES.get(case, "losses/policy")
    return AutoModelForCausalLM.from_pretrained(path, dtype=dtype, attn_implementation="eager")


def train(model, ids: torch.Tensor, case: str) -> None:
    """A few large steps, so that no part of the adapter is as it began."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05, weight_decay=0.0, foreach=False)
    for _ in range(STEPS):
        optimizer.zero_grad()
        logits = model(input_ids=ids).logits
        loss = logits.square().mean() if case == "reward" else torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()


def logits(case: str, ids: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What the saved adapter gives on its base."""
    model = PeftModel.from_pretrained(base(case, dtype), folder(f"adapters/{case}")).eval()
    with torch.no_grad():
        return model(input_ids=ids).logits


def main() -> None:
    save_gpt2()
    save_tied()
    tensors, differences = {}, {}
    for seed, (case, settings) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        path = folder(f"adapters/{case}")
        model = get_peft_model(base(case), LoraConfig(**({"task_type": TaskType.CAUSAL_LM} | settings)))
        ids = torch.randint(3, model.config.vocab_size, (ROWS, LENGTH))
        plain = base(case)(input_ids=ids).logits
        model.train()
        train(model, ids, case)
        model.save_pretrained(path)
        (path / "README.md").unlink(missing_ok=True)
        config = path / "adapter_config.json"
        saved = json.loads(config.read_text())
        # Sets are written in an order that differs from run to run, and the path is this machine's.
        for key in ("target_modules", "exclude_modules", "modules_to_save"):
            if isinstance(saved[key], list):
                saved[key].sort()
        saved["base_model_name_or_path"] = "base"
        config.write_text(json.dumps(saved, indent=2, sort_keys=True) + "\n")

        found = logits(case, ids, torch.float32)
        assert (found - plain).abs().max() > 0.1, case
        differences[case] = worst(found, logits(case, ids, torch.float64))
        tensors |= {f"{case}.input_ids": ids, f"{case}.logits": found}
    path = folder("adapters")
    save_tensors(path / "logits.safetensors", tensors)
    save_json(path / "logits.json", {"versions": versions("torch", "transformers", "peft"), "f64_difference": differences})


if __name__ == "__main__":
    main()
