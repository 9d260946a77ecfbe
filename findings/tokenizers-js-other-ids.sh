#!/usr/bin/env bash
# transformers.js passes over settings of a tokenizer.json and returns other ids.
#
# Good guess:  a tokenizer.json is portable: the JavaScript tokenizer gives the ids of the Rust one, or
#              refuses what it does not know.
# What happens: the Whitespace pre-tokenizer cuts words at every letter that is not ASCII; Split's
#              merged_with_previous and merged_with_next cut the delimiter off as "isolated" would;
#              single_word of an added token is ignored, so "cat" is found in "concat". No message.
# Seen with:   @huggingface/tokenizers 0.2.0 against tokenizers 0.23.3, the same files.
# Hurts:       models with tokenizers of one's own (domain vocabularies, added words) in the browser or
#              Node; retrieval where documents are embedded in Python and queries in JavaScript.
# Do:          compare ids of both on a few hundred texts with accents and added words; Rust tokenizers
#              compiled to WebAssembly agree.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q tokenizers==0.23.3
npm install --silent --no-audit --no-fund @huggingface/tokenizers@0.2.0
cat >ids.mjs <<'EOF'
import { readFileSync } from "node:fs";
import { Tokenizer } from "@huggingface/tokenizers";
const [file, text] = process.argv.slice(2);
const tokenizer = new Tokenizer(JSON.parse(readFileSync(file)), {});
console.log(JSON.stringify(tokenizer.encode(text).tokens));
EOF
venv/bin/python - <<'EOF'
import json, subprocess, tokenizers
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

print("tokenizers", tokenizers.__version__)

def words(vocabulary, pre_tokenizer):
    model = models.WordLevel({w: i for i, w in enumerate(["?", *vocabulary])}, unk_token="?")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    return tokenizer

accents = words(["naïve", "na", "ve", "ï"], pre_tokenizers.Whitespace())
previous = words(["the_", "old_", "king", "the", "old", "_"],
                 pre_tokenizers.Split("_", "merged_with_previous"))
single = words(["con", "concat", "a"], pre_tokenizers.WhitespaceSplit())
single.add_tokens([AddedToken("cat", single_word=True)])
for name, tokenizer, text, right, seen in (
    ("Whitespace", accents, "naïve", ["naïve"], ["na", "ï", "ve"]),
    ("merged_with_previous", previous, "the_old_king", ["the_", "old_", "king"], ["the", "_", "old", "_", "king"]),
    ("single_word", single, "a concat", ["a", "concat"], ["a", "con", "cat"]),
):
    tokenizer.save("file.json")
    rust = tokenizer.encode(text).tokens
    run = subprocess.run(["node", "ids.mjs", "file.json", text], capture_output=True, text=True, check=True)
    js = json.loads(run.stdout)
    print(f"{name:21}{text!r:15} Rust {rust}  JavaScript {js}")
    assert rust == right and js == seen
EOF
