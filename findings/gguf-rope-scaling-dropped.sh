#!/usr/bin/env bash
# transformers drops a GGUF file's context extension.
#
# Good guess:  from_pretrained(folder, gguf_file=...) restores the model that the file describes; it does
#              read the rope base, the head counts and the tokenizer's splitting rule.
# What happens: <arch>.rope.scaling.* is ignored, and so is the tensor rope_freqs.weight, in which llama.cpp's
#              converter stores the frequencies of Llama 3.1 and later. The model computes with plain
#              RoPE: near the first token the logits agree, further on they do not. Nothing warns.
# Seen with:   transformers 5.24.0, gguf 0.19.0, torch 2.15.0, architecture llama.
# Hurts:       evaluation or LoRA training on a GGUF through transformers, and tests that take it for the
#              reference of another reader of GGUF.
# Do:          set config.rope_parameters by hand before loading, or start from the safetensors.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q torch==2.15.0 transformers==5.24.0 gguf==0.19.0 accelerate==1.15.0
venv/bin/python -W ignore - <<'EOF'
import math, gguf, numpy as np, torch, transformers
from importlib.metadata import version
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

print("transformers", transformers.__version__, "gguf", version("gguf"), "torch", torch.__version__)
HEADS, DIM = 4, 8
WIDTH = HEADS * DIM
names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
layer = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
names |= {f"model.layers.0.{a}": f"blk.0.{b}" for a, b in layer.items()}

def write(path, model, scaling, frequencies):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(64)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(64)
    writer.add_rope_dimension_count(DIM)
    writer.add_rope_freq_base(10000.0)
    if scaling:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(scaling)
    if frequencies is not None:
        writer.add_tensor("rope_freqs.weight", np.array(frequencies, dtype=np.float32))
    for ours, theirs in names.items():
        tensor = model.state_dict()[f"{ours}.weight"].numpy()
        if theirs.endswith(("attn_q", "attn_k")):   # GGUF interleaves the halves of a llama's heads
            tensor = tensor.reshape(HEADS, 2, DIM // 2, WIDTH).swapaxes(1, 2).reshape(WIDTH, WIDTH)
        writer.add_tensor(f"{theirs}.weight", np.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

llama3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
plain = {"rope_type": "default", "rope_theta": 10000.0}
linear = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
tokens = torch.arange(200)[None] % 64
gaps = {}
for name, rope in (("plain", plain), ("linear", linear), ("llama3", llama3)):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=64, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=1, rms_norm_eps=1e-6,
        num_attention_heads=HEADS, max_position_embeddings=512, rope_parameters=rope, initializer_range=0.5))
    base = 1 / 10000.0 ** (torch.arange(0, DIM, 2) / DIM)
    factors = (base / model.model.rotary_emb.inv_freq).tolist() if name == "llama3" else None
    write(f"{name}.gguf", model, rope.get("factor") if name == "linear" else None, factors)
    loaded = AutoModelForCausalLM.from_pretrained(".", gguf_file=f"{name}.gguf", dtype=torch.float32)
    with torch.no_grad():
        gap = (loaded(tokens).logits - model(tokens).logits).abs().amax(-1)[0]
    gaps[name] = gap[0].item(), gap[-1].item()
    print(f"{name:7} off by {gap[0]:.1e} at the first token, {gap[-1]:.1e} at the 200th; "
          f"loaded with {loaded.config.rope_parameters}")
    assert loaded.config.rope_parameters["rope_type"] == "default"
assert max(gaps["plain"]) < 1e-4
assert all(gaps[name][0] < 1e-4 and gaps[name][1] > 1e-2 for name in ("linear", "llama3"))
EOF
