#!/usr/bin/env bash
# A reward model behind a pipeline or a CrossEncoder gives its best answers the same score.
#
# Good guess:  pipeline("text-classification") and CrossEncoder.predict return the single output of a model
#              with num_labels=1, as model(...).logits does.
# What happens: both apply a sigmoid when there is one label. In 32 bits it is 1.0 from about 17 on, and reward
#              models give such values to good answers: 25 and 40 are both 1.0. The order among
#              the best is lost; max() takes the first.
# Seen with:   transformers 5.24.0, sentence-transformers 6.2.0, torch 2.15.0.
# Hurts:       best-of-n, preference pairs from top scores, reward correlations.
# Do:          pipeline(..., function_to_apply="none"); predict(..., activation_fn=torch.nn.Identity()).
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q torch==2.15.0 transformers==5.24.0 sentence-transformers==6.2.0
venv/bin/python -W ignore - <<'EOF'
import torch, sentence_transformers, transformers
from sentence_transformers import CrossEncoder
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast, pipeline

print("transformers", transformers.__version__, "sentence-transformers", sentence_transformers.__version__,
      "torch", torch.__version__)
words = "? pad tell a story fox hen sea".split()
tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="?"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?", pad_token="pad").save_pretrained("reward")
torch.manual_seed(0)
model = LlamaForSequenceClassification(LlamaConfig(
    vocab_size=8, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
    num_labels=1, pad_token_id=1)).eval()
pairs = [("tell a story", answer) for answer in ("fox", "hen", "sea")]
texts = [" ".join(pair) for pair in pairs]

def rewards():
    with torch.no_grad():
        return [model(torch.tensor([tokenizer.encode(t).ids])).logits.item() for t in texts]

# Spread the head's three values to about 5, 25 and 40, the range of common reward models.
low, middle, high = sorted(range(3), key=rewards().__getitem__)
hidden = []
model.score.register_forward_pre_hook(lambda _, inputs: hidden.append(inputs[0][0, -1]))
rewards()
states = torch.stack(hidden[-3:])
wanted = torch.zeros(3, 1)
wanted[[low, middle, high], 0] = torch.tensor([5.0, 25.0, 40.0])
model.score.weight.data = torch.linalg.lstsq(states, wanted).solution.T
model.save_pretrained("reward")

raw = rewards()
classify = pipeline("text-classification", model="reward")
scores = [found["score"] for found in classify(texts)]
unsquashed = [found["score"] for found in classify(texts, function_to_apply="none")]
crossed = CrossEncoder("reward").predict(pairs).tolist()
identity = CrossEncoder("reward").predict(pairs, activation_fn=torch.nn.Identity()).tolist()
for name, values in (("model(...).logits", raw), ("pipeline", scores), ('pipeline, "none"', unsquashed),
                     ("CrossEncoder", crossed), ("CrossEncoder, Identity", identity)):
    print(f"{name:24}{[round(v, 4) for v in values]}")
assert scores[middle] == scores[high] == 1.0 == crossed[middle] == crossed[high]
assert all(abs(a - b) < 1e-2 for a, b in zip(raw + raw, unsquashed + identity))
EOF
