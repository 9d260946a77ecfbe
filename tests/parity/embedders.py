"""fixtures/embedders: tiny random sentence embedders of every architecture, with the hidden states that transformers gives and the embeddings that sentence-transformers gives."""

import json
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    JinaEmbeddingsV3Config,
    JinaEmbeddingsV3Model,
    ModernBertConfig,
    ModernBertForMaskedLM,
    ModernBertModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3Model,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from fixture import folder, save_json, save_tensors, versions
from minilm import LETTERS, TEXTS, embed, save_wordpiece
from tiny import CORPUS

MAX_LENGTH = 16
WIDTH = 16
SIZES = dict(hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)
TASKS = ["retrieval.query", "separation", "text-matching"]


def randomise(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """Random weights that make every part matter: norms, biases, positions, segments."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.normal_(0.0 if name.endswith("bias") else 1.0, 0.2)
            elif "embeddings" in name or "embed_tokens" in name:
                parameter.normal_(0.0, 0.5)
            else:
                parameter.normal_(0.0, 1.5 / parameter.shape[1] ** 0.5)
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model.eval()


def save_unigram(path: Path, **settings) -> int:
    """A sentencepiece-type tokenizer as XLM-RoBERTa has it; returns its size."""
    words = "the fox hen sea lamp house story of and to in went was it that there said lit nothing".split()
    pieces = ["▁" + word for word in words] + [*LETTERS, *"TF.,!?;:'-0123456789", "▁", "é", "ï", "海", "日", "ing", "ed", "s"]
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    vocab = [(token, 0.0) for token in special]
    vocab += [(piece, -2.0 - 0.05 * i) for i, piece in enumerate(dict.fromkeys(pieces))] + [("<mask>", 0.0)]
    unigram = Tokenizer(models.Unigram(vocab, unk_id=3, byte_fallback=False))
    unigram.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    unigram.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    unigram.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    save_as_pretrained(unigram, path, cls_token="<s>", pad_token="<pad>", sep_token="</s>", unk_token="<unk>", mask_token="<mask>", **settings)
    return len(vocab)


def save_byte_level(path: Path, special: list[str], template: str, **settings) -> int:
    """A byte-level BPE that puts its special tokens around a text as the template says; returns its size."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=290, special_tokens=special, initial_alphabet=alphabet, show_progress=False))
    around = [(token, bpe.token_to_id(token)) for token in special if token in template]
    bpe.post_processor = processors.TemplateProcessing(single=template, special_tokens=around)
    save_as_pretrained(bpe, path, **settings)
    return bpe.get_vocab_size()


def save_as_pretrained(tokenizer: Tokenizer, path: Path, **settings) -> None:
    path.mkdir(parents=True, exist_ok=True)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **({"model_max_length": MAX_LENGTH} | settings)).save_pretrained(path)


def wrap(path: Path, *modules: torch.nn.Module, **settings) -> SentenceTransformer:
    """Saves the encoder in a folder as a sentence-transformers folder of the current layout, and opens it again."""
    SentenceTransformer(modules=[Transformer(str(path)), *modules], device="cpu", **settings).save(str(path), create_model_card=False)
    # How the tokenizer was loaded, which an environment variable decides, is none of its settings.
    written = json.loads((path / "tokenizer_config.json").read_text(encoding="utf-8"))
    written.pop("local_files_only", None)
    (path / "tokenizer_config.json").write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return SentenceTransformer(str(path), device="cpu")


def legacy(path: Path, kind: str, pooling: str) -> SentenceTransformer:
    """Writes the files that older versions of sentence-transformers wrote around an encoder."""
    names = [("", kind), ("1_Pooling", "sentence_transformers.models.Pooling"), ("2_Normalize", "sentence_transformers.models.Normalize")]
    save_json(path / "modules.json", [{"idx": i, "name": str(i), "path": at, "type": name} for i, (at, name) in enumerate(names)])
    save_json(path / "sentence_bert_config.json", {"max_seq_length": MAX_LENGTH, "do_lower_case": False})
    (path / "1_Pooling").mkdir(exist_ok=True)
    save_json(path / "1_Pooling/config.json", {"word_embedding_dimension": WIDTH, f"pooling_mode_{pooling}": True})


def hidden_states(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, blocks: torch.nn.ModuleList, sides: list[str]) -> dict[str, torch.Tensor]:
    """Token ids, mask, each block's output and the last hidden states, of a batch with padding, an empty text and a cut one."""
    tensors = {}
    for side in sides:
        tokenizer.padding_side = side
        batch = tokenizer(TEXTS[:4], padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
        seen = []
        hooks = [block.register_forward_hook(lambda _, __, out: seen.append(out[0] if isinstance(out, tuple) else out)) for block in blocks]
        with torch.no_grad():
            last = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        for hook in hooks:
            hook.remove()
        mask = batch["attention_mask"]
        states = {f"block.{i}": state for i, state in enumerate(seen)} | {"last": last}
        tensors |= {f"{side}.{name}": state * mask[..., None] for name, state in states.items()}
        tensors |= {f"{side}.input_ids": batch["input_ids"], f"{side}.attention_mask": mask}
    return tensors


def distance(rows: torch.Tensor) -> float:
    """The mean cosine distance between texts."""
    unit = torch.nn.functional.normalize(rows, dim=1)
    return (1 - unit @ unit.T).mean().item()


def save_expected(path: Path, tensors: dict[str, torch.Tensor], cases: dict[str, tuple[dict, torch.Tensor]]) -> None:
    """`expected.safetensors`, and `expected.json` with what to ask the folder for in each case."""
    # Vectors that hardly differ would hide mistakes.
    spread = {name: distance(rows) for name, (_, rows) in cases.items()}
    assert min(spread.values()) > 0.03, (path, spread)
    save_tensors(path / "expected.safetensors", tensors | {f"embeddings.{name}": rows for name, (_, rows) in cases.items()})
    save_json(
        path / "expected.json",
        {
            "versions": versions("torch", "transformers", "tokenizers", "sentence-transformers", "peft"),
            "texts": TEXTS,
            "cases": {name: options for name, (options, _) in cases.items()},
        },
    )


def save_roberta() -> None:
    """AnnaWegmann/Style-Embedding's architecture and layout: byte-level BPE, mean pooling."""
    path = folder("embedders/roberta")
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    names = dict(cls_token="<s>", pad_token="<pad>", sep_token="</s>", unk_token="<unk>", mask_token="<mask>")
    size = save_byte_level(path, special, "<s> $A </s>", **names)
    config = RobertaConfig(**SIZES, vocab_size=size, max_position_embeddings=MAX_LENGTH + 4, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5)
    randomise(RobertaModel(config), 51).save_pretrained(path)
    legacy(path, "sentence_transformers.models.Transformer", "mean_tokens")
    model = SentenceTransformer(str(path), device="cpu")
    encoder = model[0].auto_model
    # Padding written out in a text takes no position.
    rows = embed(model, [*TEXTS, "the <pad> fox"])
    tensors = hidden_states(encoder, model.tokenizer, encoder.encoder.layer, ["right", "left"])
    save_expected(path, tensors | {"padding_inside": rows[-1:]}, {"default": ({}, rows[:-1])})


def save_xlm_roberta() -> None:
    """A tokenizer that cuts long texts at their start."""
    path = folder("embedders/xlm-roberta")
    size = save_unigram(path, truncation_side="left")
    config = XLMRobertaConfig(**SIZES, vocab_size=size, max_position_embeddings=MAX_LENGTH + 2, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5)
    randomise(XLMRobertaModel(config), 52).save_pretrained(path)
    model = wrap(path, Pooling(WIDTH, "cls"), Normalize())
    encoder = model[0].auto_model
    tensors = hidden_states(encoder, model.tokenizer, encoder.encoder.layer, ["right"])
    save_expected(path, tensors, {"default": ({}, embed(model, TEXTS))})


def save_modernbert() -> None:
    """Two folders: no biases, as published; every bias, other layers, keys under `model.`, a config as transformers 4 wrote it."""
    path = folder("embedders/modernbert")
    size = save_wordpiece(path, MAX_LENGTH)
    settings = SIZES | dict(num_hidden_layers=3, vocab_size=size, pad_token_id=0, max_position_embeddings=64, local_attention=8, global_attn_every_n_layers=2)
    randomise(ModernBertModel(ModernBertConfig(**settings)), 53).save_pretrained(path)
    model = wrap(path, Pooling(WIDTH, "cls"))
    encoder = model[0].auto_model
    tensors = hidden_states(encoder, model.tokenizer, encoder.layers, ["right", "left"])
    save_expected(path, tensors, {"default": ({}, embed(model, TEXTS))})

    path = folder("embedders/modernbert-bias")
    save_wordpiece(path, MAX_LENGTH)
    old = dict(global_rope_theta=80000.0, local_rope_theta=500.0, local_attention=5, global_attn_every_n_layers=3, hidden_activation="silu")
    settings |= old | dict(norm_bias=True, attention_bias=True, mlp_bias=True, norm_eps=1e-3)
    masked = randomise(ModernBertForMaskedLM(ModernBertConfig(**settings)), 54)
    masked.save_pretrained(path)
    expected = {f"model.{name}" for name in masked.model.state_dict()}
    assert expected <= load_file(path / "model.safetensors").keys()
    written = masked.config.to_dict()
    for key in ["rope_parameters", "layer_types", "transformers_version"]:
        written.pop(key)
    save_json(path / "config.json", written | old)
    legacy(path, "sentence_transformers.models.Transformer", "weightedmean_tokens")
    model = SentenceTransformer(str(path), device="cpu")
    encoder = model[0].auto_model
    assert encoder.config.rope_parameters["full_attention"]["rope_theta"] == 80000.0
    tensors = hidden_states(encoder, model.tokenizer, encoder.layers, ["right", "left"])
    save_expected(path, tensors, {"default": ({}, embed(model, TEXTS))})


def jina_config(size: int) -> JinaEmbeddingsV3Config:
    return JinaEmbeddingsV3Config(**SIZES, vocab_size=size, max_position_embeddings=64, pad_token_id=1, rope_parameters={"rope_type": "default", "rope_theta": 300.0})


def save_jina_v3() -> None:
    """transformers' layout: its own folder, and a peft folder for each task."""
    path = folder("embedders/jina-v3")
    size = save_unigram(path)
    randomise(JinaEmbeddingsV3Model(jina_config(size), add_pooling_layer=False), 55).save_pretrained(path)
    model = wrap(path, Pooling(WIDTH, "mean"), Normalize(), prompts={"retrieval.query": "the house: "})
    encoder = model[0].auto_model
    cases = {"none": ({"task": "none"}, embed(model, TEXTS))}
    layers = ["q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2", "word_embeddings", "token_type_embeddings"]
    for seed, task in enumerate(["text_matching", "separation"]):
        adapter = LoraConfig(r=2, lora_alpha=3, target_modules=layers, use_rslora=task == "separation")
        adapted = AutoModel.from_pretrained(path)
        adapted.add_adapter(adapter, task)
        torch.manual_seed(60 + seed)
        with torch.no_grad():
            for name, parameter in adapted.named_parameters():
                if "lora" in name:
                    parameter.normal_(0.0, 0.5)
        (path / task).mkdir(exist_ok=True)
        adapted.save_pretrained(path / task)
        # peft keeps the names in a set, whose order changes from run to run.
        written = json.loads((path / task / "adapter_config.json").read_text())
        changes = {"target_modules": sorted(written["target_modules"]), "base_model_name_or_path": None}
        save_json(path / task / "adapter_config.json", written | changes)
        encoder.load_adapter(str(path / task), adapter_name=task)
        encoder.set_adapter(task)
        encoder.eval()
        cases[task] = ({} if task == "text_matching" else {"task": task}, embed(model, TEXTS))
        if task == "text_matching":
            tensors = hidden_states(encoder, model.tokenizer, encoder.layers, ["right", "left"])
            cases["prompt"] = ({"prompt_name": "retrieval.query"}, embed(model, TEXTS, prompt_name="retrieval.query"))
            cases["truncated"] = ({"truncate_dim": 5}, embed(model, TEXTS, truncate_dim=5))
    save_expected(path, tensors, cases)


def save_jina_v3_flash() -> None:
    """The original layout of jinaai/jina-embeddings-v3: keys of its flash implementation, adapters of all tasks stacked beside each weight."""
    path = folder("embedders/jina-v3-flash")
    size = save_unigram(path)
    tiny = randomise(JinaEmbeddingsV3Model(jina_config(size), add_pooling_layer=False), 57)
    tiny.save_pretrained(path)
    base = load_file(path / "model.safetensors")
    # transformers writes the names of the flash implementation, which knows no adapters to it.
    assert "encoder.layers.0.mixer.Wqkv.weight" in base and "emb_ln.weight" in base
    rank, alpha = 2, 1
    torch.manual_seed(58)
    stored, adapted = {}, [{} for _ in TASKS]
    for name, weight in base.items():
        if weight.dim() == 1:
            stored[f"roberta.{name}"] = weight
            for one in adapted:
                one[name] = weight
            continue
        out, fan_in = weight.shape
        embedding = "embeddings" in name
        # modeling_lora.py: a linear layer adds B A to its [out, in], an embedding A B to its [rows, dims].
        a = 0.5 * torch.randn(len(TASKS), *([out, rank] if embedding else [rank, fan_in]))
        b = 0.5 * torch.randn(len(TASKS), *([rank, fan_in] if embedding else [out, rank]))
        layer = f"roberta.{name.removesuffix('.weight')}.parametrizations.weight"
        stored |= {f"{layer}.original": weight, f"{layer}.0.lora_A": a, f"{layer}.0.lora_B": b}
        for task, one in enumerate(adapted):
            product = a[task] @ b[task] if embedding else b[task] @ a[task]
            one[name] = weight + product * (alpha / rank)
    save_file(stored, path / "model.safetensors", {"format": "pt"})
    instructions = {"retrieval.query": "the story of ", "separation": "", "text-matching": ""}
    save_json(
        path / "config.json",
        {
            "architectures": ["XLMRobertaLoRA"],
            "model_type": "xlm-roberta",
            "position_embedding_type": "rotary",
            "rotary_emb_base": 300.0,
            "hidden_act": "gelu",
            "vocab_size": size,
            "max_position_embeddings": 64,
            "type_vocab_size": 1,
            "pad_token_id": 1,
            "layer_norm_eps": 1e-5,
            "lora_adaptations": TASKS,
            "lora_alpha": alpha,
            "lora_dropout_p": 0.0,
            "lora_rank": rank,
            "matryoshka_dimensions": [8, 16],
            "task_instructions": instructions,
            "truncate_dim": None,
            "use_flash_attn": True,
        }
        | SIZES,
    )
    legacy(path, "custom_st.Transformer", "mean_tokens")
    cases, tensors = {}, {}
    with_task = folder("embedders/jina-v3-flash/merged")
    save_unigram(with_task)
    jina_config(size).save_pretrained(with_task)
    for task, weights in [*zip(TASKS, adapted), ("none", base)]:
        save_file(weights, with_task / "model.safetensors", {"format": "pt"})
        model = SentenceTransformer(modules=[Transformer(str(with_task)), Pooling(WIDTH, "mean"), Normalize()], device="cpu")
        # As the model's own `encode` does, a task brings its instruction.
        cases[task] = ({"task": task}, embed(model, TEXTS, prompt=instructions.get(task)))
        if task == "text-matching":
            encoder = model[0].auto_model
            cases["default"] = ({}, cases[task][1])
            tensors = hidden_states(encoder, model.tokenizer, encoder.layers, ["right"])
    for file in with_task.iterdir():
        file.unlink()
    with_task.rmdir()
    save_expected(path, tensors, cases)


def save_qwen3() -> None:
    """Qwen3-Embedding's layout: a decoder without head or prefix, its last token pooled, padded with the token that ends texts."""
    path = folder("embedders/qwen3")
    end = "<|endoftext|>"
    size = save_byte_level(path, [end, "<|im_end|>"], f"$A {end}", pad_token=end, eos_token="<|im_end|>", model_max_length=1000, padding_side="left")
    config = Qwen3Config(
        **SIZES,
        vocab_size=size,
        num_key_value_heads=2,
        head_dim=10,
        max_position_embeddings=3 * MAX_LENGTH,
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=None,
        architectures=["Qwen3ForCausalLM"],
    )
    randomise(Qwen3Model(config), 59).save_pretrained(path)
    prompts = {"query": "Instruct: find the fox\nQuery:", "document": ""}
    model = wrap(path, Pooling(WIDTH, "lasttoken"), Normalize(), prompts=prompts)
    assert model.max_seq_length == 3 * MAX_LENGTH and "layers.0.mlp.up_proj.weight" in load_file(path / "model.safetensors")
    decoder = model[0].auto_model
    assert len(model.tokenizer(TEXTS[2])["input_ids"]) > model.max_seq_length
    cases = {
        "default": ({}, embed(model, TEXTS)),
        "query": ({"prompt_name": "query"}, embed(model, TEXTS, prompt_name="query")),
        "document": ({"prompt_name": "document"}, embed(model, TEXTS, prompt_name="document")),
    }
    save_expected(path, hidden_states(decoder, model.tokenizer, decoder.layers, ["right", "left"]), cases)


def save_dense() -> None:
    """Every module behind a BERT: two poolings joined, Dense, Normalize, Dense with a projected residual, and a default prompt that the pooling leaves out."""
    path = folder("embedders/dense")
    size = save_wordpiece(path, MAX_LENGTH, lowercase=False)
    randomise(BertModel(BertConfig(**SIZES, vocab_size=size, max_position_embeddings=32)), 61).save_pretrained(path)
    torch.manual_seed(62)
    modules = [
        Pooling(WIDTH, ["weightedmean", "cls", "lasttoken", "mean"], include_prompt=False),
        Dense(4 * WIDTH, 24, activation_function=torch.nn.Tanh()),
        Normalize(),
        Dense(24, 16, bias=False, activation_function=torch.nn.GELU(), use_residual=True),
        Dense(16, 16, activation_function=torch.nn.Identity(), use_residual=True),
    ]
    for module in modules:
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter, 0.0, 0.3)
    prompts = {"story": "The story: ", "none": "", "long": "the fox and the hen " * 2}
    settings = dict(prompts=prompts, default_prompt_name="story", truncate_dim=12)
    wrap(path, *modules, **settings)
    # Version 6 writes the lowering into the tokenizer, but reads what older versions wrote.
    save_json(path / "sentence_bert_config.json", {"max_seq_length": MAX_LENGTH, "do_lower_case": True})
    model = SentenceTransformer(str(path), device="cpu")
    cases = {
        "default": ({}, embed(model, TEXTS)),
        "none": ({"prompt_name": "none"}, embed(model, TEXTS, prompt_name="none")),
        "long": ({"prompt_name": "long"}, embed(model, TEXTS, prompt_name="long")),
        "whole": ({"truncate_dim": 16}, embed(model, TEXTS, truncate_dim=16)),
    }
    bert = model[0].auto_model
    save_expected(path, hidden_states(bert, model.tokenizer, bert.encoder.layer, ["right"]), cases)


if __name__ == "__main__":
    save_roberta()
    save_xlm_roberta()
    save_modernbert()
    save_jina_v3()
    save_jina_v3_flash()
    save_qwen3()
    save_dense()
