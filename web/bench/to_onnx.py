"""Writes a BERT sentence encoder as ONNX in the layout that transformers.js reads.

    python web/bench/to_onnx.py MINILM web/bench/models/minilm

Needs torch, transformers and onnx (measured with 2.15.0, 5.23.0, 1.23.2). The graph gives `last_hidden_state`; transformers.js pools it.
"""

import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoModel

source, target = map(Path, sys.argv[1:3])
(target / "onnx").mkdir(parents=True, exist_ok=True)
for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]:
    if (source / name).exists():
        shutil.copy(source / name, target / name)

model = AutoModel.from_pretrained(source, attn_implementation="eager").eval().requires_grad_(False)


class LastHiddenState(torch.nn.Module):
    """The encoder with what transformers.js feeds it and reads from it."""

    def __init__(self):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids, attention_mask, token_type_ids).last_hidden_state


names = ["input_ids", "attention_mask", "token_type_ids"]
ids = torch.ones(2, 8, dtype=torch.long)
torch.onnx.export(
    LastHiddenState(),
    (ids, ids, torch.zeros_like(ids)),
    str(target / "onnx/model.onnx"),
    input_names=names,
    output_names=["last_hidden_state"],
    dynamic_axes={name: {0: "batch", 1: "tokens"} for name in [*names, "last_hidden_state"]},
    opset_version=17,
    dynamo=False,
)
