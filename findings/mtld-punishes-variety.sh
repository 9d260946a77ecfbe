#!/usr/bin/env bash
# By MTLD eleven different words are poorer than one word eleven times.
#
# Good guess:  MTLD, a measure of lexical diversity, is high for a text that repeats no word, and two packages
#              that implement it agree.
# What happens: a text without a repeated word completes no factor. lexical-diversity then returns 0, the least
#              possible value; lexicalrichness returns the number of words. One word eleven times is 11.0
#              in lexical-diversity, where a factor has at least 10 words, and 2.2 in lexicalrichness; longer
#              texts differ for the same reason.
# Seen with:   lexical-diversity 0.1.1, lexicalrichness 0.5.1.
# Hurts:       short responses (haiku, titles, slogans): the most varied count as the poorest, and the mean
#              over a set falls as diversity rises. Published values do not compare across packages.
# Do:          leave texts without a repetition out and say how many; name the package beside the number.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q 'setuptools<81' lexical-diversity==0.1.1 lexicalrichness==0.5.1
venv/bin/python -W ignore - <<'EOF'
from importlib.metadata import version
from lexical_diversity import lex_div
from lexicalrichness import LexicalRichness

print(*(f"{name} {version(name)}" for name in ("lexical-diversity", "lexicalrichness")))
long = "the old man went to the sea and the sea was dark and the man was old and he saw the boat " * 3
texts = {"no word twice": "an old silent pond where frogs jump into cold green water",
         "one word twice": "an old silent pond where frogs jump into cold old green water",
         "one word eleven times": "pond " * 11, "a long text": long}
found = {name: (lex_div.mtld(text.split()), LexicalRichness(text).mtld()) for name, text in texts.items()}
for name, (first, second) in found.items():
    print(f"{name:22} lexical-diversity {first:6.2f}   lexicalrichness {second:6.2f}")
assert found["no word twice"] == (0, 11)
assert found["one word eleven times"][0] == 11 and round(found["one word eleven times"][1], 1) == 2.2
assert found["a long text"][0] != found["a long text"][1]
EOF
