#!/usr/bin/env bash
# AutoTokenizer overrules tokenizer.json by the class that is named beside it.
#
# Good guess:  a folder's tokenizer.json is complete, so its normalizer and pre-tokenizer are what
#              AutoTokenizer runs; tokenizer_class in tokenizer_config.json is little more than a label.
# What happens: for classes such as GPT2Tokenizer, GPTNeoXTokenizer and RobertaTokenizer transformers 5 keeps
#              the vocabulary and the merges and rebuilds the rest in code. A byte-level BPE that splits
#              digits no longer does so: "1999" becomes one token that the model never saw.
#              transformers 4 ran that file as it is. (BertTokenizer lowercased a cased
#              file without do_lower_case in 4 already.) No message in either version.
# Seen with:   transformers 5.24.0 against 4.57.3, the same folders.
# Hurts:       whoever upgrades to transformers 5, or compares it with any reader of tokenizer.json
#              (the tokenizers library itself, candle, text-embeddings-inference, rarebit).
# Do:          compare AutoTokenizer with tokenizers.Tokenizer.from_file on a few texts with digits
#              and capitals; set tokenizer_class to PreTrainedTokenizerFast where they differ.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv five
five/bin/pip install -q uv==0.13.9
five/bin/python -m uv pip install -q transformers==5.24.0
python3 -m venv four
four/bin/pip install -q uv==0.13.9
four/bin/python -m uv pip install -q transformers==4.57.3
cat >make.py <<'EOF'
import json, os
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

def save(folder, tokenizer, **settings):
    os.makedirs(folder)
    tokenizer.save(f"{folder}/tokenizer.json")
    tokenizer.model.save(folder)
    json.dump(settings, open(f"{folder}/tokenizer_config.json", "w"))

bpe = Tokenizer(models.BPE())
bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
alphabet = pre_tokenizers.ByteLevel.alphabet()
bpe.train_from_iterator(["in 1999 in 1999"] * 9, trainers.BpeTrainer(
    vocab_size=300, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False))
bpe.pre_tokenizer = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), bpe.pre_tokenizer])
save("bpe", bpe, tokenizer_class="GPT2Tokenizer", eos_token="<|endoftext|>")

words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Rose", "rose"]
cased = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
cased.normalizer = normalizers.BertNormalizer(lowercase=False)
cased.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
save("cased", cased, tokenizer_class="BertTokenizer")
EOF
cat >show.py <<'EOF'
import json, sys, transformers
from tokenizers import Tokenizer
from transformers import AutoTokenizer

major = transformers.__version__.split(".")[0]
print("transformers", transformers.__version__)
for folder, text in ("bpe", "in 1999"), ("cased", "Rose rose"):
    file = Tokenizer.from_file(f"{folder}/tokenizer.json").encode(text).tokens
    auto = AutoTokenizer.from_pretrained(folder)
    found = auto.convert_ids_to_tokens(auto(text, add_special_tokens=False)["input_ids"])
    print(f"  {text!r:12} tokenizer.json {file}  {type(auto).__name__} {found}")
    assert (file == found) == (folder == "bpe" and major == "4"), folder
EOF
five/bin/python make.py
four/bin/python show.py
five/bin/python show.py
