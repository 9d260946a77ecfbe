#!/usr/bin/env bash
# len() of a tokenized chat is 2, however long the chat is.
#
# Good guess:  tokenizer.apply_chat_template(messages) returns a list of token ids, so its len() is the
#              number of tokens, as in transformers 4 and in most scripts that filter by length.
# What happens: in transformers 5 it returns a BatchEncoding by default, whose len() is the number of
#              its keys: input_ids and attention_mask, 2. `len(...) <= max_length` is then always
#              true, averages of lengths are 2.0, and no error says so.
# Seen with:   transformers 5.24.0 against 4.57.3.
# Hurts:       length filters, token budgets and length statistics written for transformers 4.
# Do:          pass return_dict=False, or take ["input_ids"].
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv five
five/bin/pip install -q uv==0.13.9
five/bin/python -m uv pip install -q transformers==5.24.0 jinja2==3.1.6
python3 -m venv four
four/bin/pip install -q uv==0.13.9
four/bin/python -m uv pip install -q transformers==4.57.3 jinja2==3.1.6
cat >chat.py <<'EOF'
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

words = Tokenizer(models.WordLevel({"[UNK]": 0, "user": 1, "tea": 2}, unk_token="[UNK]"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]")
tokenizer.chat_template = "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}"
chats = [[{"role": "user", "content": "tea " * n}] for n in (1, 10, 5000)]
lengths = [len(tokenizer.apply_chat_template(chat)) for chat in chats]
plain = [len(tokenizer.apply_chat_template(chat, return_dict=False)) for chat in chats]
kept = sum(n <= 1024 for n in lengths)
print(f"transformers {transformers.__version__}: len() {lengths}, return_dict=False {plain}, "
      f"{kept} of 3 chats are within 1024 tokens")
assert plain == [2, 11, 5001]
assert lengths == (plain if transformers.__version__.startswith("4.") else [2, 2, 2])
EOF
four/bin/python chat.py
five/bin/python chat.py
