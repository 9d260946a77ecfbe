"""fixtures/llama/continued.json: prompts that end in the assistant's turn, continued by transformers under every chat template."""

from unittest.mock import patch

from fixture import FIXTURES, save_json, versions  # first: it silences the others

from templates import NOW, TEMPLATES
from tiny import load_tokenizer

USER = {"role": "user", "content": "A lamp."}
TEXTS = ["Once upon a time", "Once, ", "  The\n\n", "", " ", "A lamp.", "<think>\nhm\n</think>\n\nTwo", "<think>\nhm"]
# Templates that keep the text, trim it, repeat it, change it and leave it out.
MORE = {
    "chatml": "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "trims": "{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}{{ eos_token }}\n{% endfor %}",
    "twice": "{% for m in messages %}{{ m.content }}|{{ m.content.strip() }};{% endfor %}",
    "upper": "{% for m in messages %}{{ m.content | upper }}{% endfor %}",
    "absent": "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}",
}


def continued(tokenizer, template: str, text: str) -> dict:
    """The text to continue and its ids, or nothing where transformers or the template refuses."""
    messages = [USER, {"role": "assistant", "content": text}]
    case = {"messages": messages}
    try:
        with patch("transformers.utils.chat_template_utils.datetime") as clock:
            clock.now.return_value = NOW
            out = [
                tokenizer.apply_chat_template(
                    messages, chat_template=template, tokenize=tokenize, continue_final_message=True, return_dict=False
                )
                for tokenize in (False, True)
            ]
        return case | dict(zip(("text", "ids"), out))
    except Exception:  # the class depends on the Jinja release
        return case


def main() -> None:
    path = FIXTURES / "llama"
    tokenizer = load_tokenizer(path)
    templates = [
        {"name": name, "template": template, "cases": [continued(tokenizer, template, text) for text in TEXTS]}
        for name, template in (TEMPLATES | MORE).items()
    ]
    save_json(path / "continued.json", {"versions": versions("transformers", "Jinja2"), "now": NOW.isoformat(), "templates": templates})


if __name__ == "__main__":
    main()
