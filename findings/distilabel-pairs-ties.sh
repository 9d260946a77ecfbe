#!/usr/bin/env bash
# distilabel pairs a response with itself when all ratings are equal.
#
# Good guess:  FormatTextGenerationDPO and FormatChatGenerationDPO skip a prompt whose responses tie, or mark
#              it; chosen and rejected are different responses.
# What happens: chosen is the first maximum and rejected the first minimum. With equal ratings, or one
#              response, both are response 0: the same text, the same rating, no warning.
# Seen with:   distilabel 1.5.3.
# Hurts:       preference sets rated 1 to 5 by a judge, where ties are common: such pairs have a margin of 0,
#              drag down reported accuracies and waste compute, and the row count looks fine.
# Do:          drop rows where chosen_rating <= rejected_rating.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q distilabel==1.5.3 datasets==5.2.0 requests==2.34.2
venv/bin/python -W ignore - <<'EOF'
import distilabel
from distilabel.steps import FormatChatGenerationDPO, FormatTextGenerationDPO

print("distilabel", distilabel.__version__)
shared = {"generations": ["a", "b", "c"], "generation_models": ["m"] * 3}
text, chat = FormatTextGenerationDPO(), FormatChatGenerationDPO()
text.load()
chat.load()
for step, prompt in ((text, {"instruction": "q"}), (chat, {"messages": [{"role": "user", "content": "q"}]})):
    for ratings, wanted in (([2, 5, 1], ("b", "c")), ([4, 4, 4], ("a", "a"))):
        row = next(step.process([prompt | shared | {"ratings": ratings}]))[0]
        found = tuple(row[side][-1]["content"] for side in ("chosen", "rejected"))
        print(f"{type(step).__name__} ratings {ratings}: chosen {found[0]!r}, rejected {found[1]!r}")
        assert found == wanted
EOF
