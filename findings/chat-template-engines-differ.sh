#!/usr/bin/env bash
# One chat template, three engines, three prompts, no error.
#
# Good guess:  a chat template gives the same prompt wherever it is rendered: transformers (Jinja2),
#              transformers.js (@huggingface/jinja), servers built on minijinja.
# What happens: @huggingface/jinja ignores the argument of strip, lstrip and rstrip, so lstrip('\n'), which
#              reasoning templates use behind </think>, also eats the indentation of code. It
#              prints none as nothing and true as "true", where Jinja2 prints None and True. minijinja
#              escapes <, >, & and ' in tojson, so tool descriptions read "\u003c".
# Seen with:   transformers 5.24.0 (Jinja2 3.1.6), minijinja 3.1.0, @huggingface/jinja 0.5.11.
# Hurts:       models that are trained with one engine and served with another: prompts that the model
#              never saw, only for some messages.
# Do:          render the same conversations (indented code, None, booleans, tools with < in their
#              descriptions) in both engines and compare before deploying.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HF_HOME="$dir/hf" HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1
python3 -m venv venv
venv/bin/pip install -q uv==0.13.9
venv/bin/python -m uv pip install -q transformers==5.24.0 jinja2==3.1.6 minijinja==3.1.0
npm install --silent --no-audit --no-fund @huggingface/jinja@0.5.11
cat >render.mjs <<'EOF'
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";
const { templates, context } = JSON.parse(readFileSync("cases.json"));
console.log(JSON.stringify(templates.map((template) => new Template(template).render(context))));
EOF
venv/bin/python - <<'EOF'
import json, subprocess, minijinja, transformers
from importlib.metadata import version
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

print("transformers", transformers.__version__, "Jinja2", version("jinja2"), "minijinja", version("minijinja"))
templates = [
    "{{ (messages[0].content.split('</think>')[-1]).lstrip('\\n') }}",
    "date={{ date }} thinking={{ thinking }}",
    "{{ tool | tojson }}",
]
messages = [{"role": "assistant", "content": "<think>\nhm\n</think>\n\n    return x"}]
context = {"messages": messages, "date": None, "thinking": True, "tool": {"description": "true if a < b"}}
json.dump({"templates": templates, "context": context}, open("cases.json", "w"))

tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"x": 0}, unk_token="x")))
python = [tokenizer.apply_chat_template(messages, chat_template=t, tokenize=False, date=None, thinking=True,
                                        tool=context["tool"]) for t in templates]
mini = minijinja.Environment(trim_blocks=True, lstrip_blocks=True, pycompat=True)
rust = [mini.render_str(t, **context) for t in templates]
js = json.loads(subprocess.run(["node", "render.mjs"], capture_output=True, text=True, check=True).stdout)
for template, *found in zip(templates, python, rust, js):
    print(template)
    for engine, text in zip(("transformers", "minijinja", "transformers.js"), found):
        print(f"    {engine:16}{text!r}")
assert python == ["    return x", "date=None thinking=True", '{"description": "true if a < b"}'], python
assert rust == python[:2] + ['{"description": "true if a \\u003c b"}'], rust
assert js == ["return x", "date= thinking=true", python[2]], js
EOF
