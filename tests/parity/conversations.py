"""fixtures/conversations: what TRL's trainers make of plain and conversational rows, for tokenizers of five styles.

The rows go through the trainers' own preparation and collation; no model is needed for that.
"""

from functools import partial
from types import SimpleNamespace

from fixture import folder, save_json, versions  # first: it silences the others

from datasets import Dataset
from styles import ENDS_IN_EOS, ENDS_TWICE, STYLES, save
from trl import DPOTrainer, SFTTrainer
from trl.data_utils import _tokenize, maybe_apply_chat_template, maybe_extract_prompt
from trl.experimental.orpo import ORPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference


def user(text: str) -> dict:
    return {"role": "user", "content": text}


def answer(text: str) -> dict:
    return {"role": "assistant", "content": text}


SYSTEM = {"role": "system", "content": "You tell stories."}

# `{eos}` stands for the tokenizer's own.
PLAIN = [
    ("Tell me a story:", " The fox went.", " The hen and the lamp in the house."),
    ("Write!\n", "A lamp in the house.", "Nothing."),
    ("", "A story", "Another"),
    ("The s", "ea was calm", "un was low"),  # tokens merge across the boundary
    ("Ends in space ", "word", " word"),
    ("Écris : ", "l’été 🌞", "日本"),
    ("Ended:", " yes{eos}", ""),
]
CHATS = [
    ([user("Tell me a story.")], [answer("The fox.")], [answer("The hen and the lamp.")]),
    ([SYSTEM, user("One"), answer("Two"), user("Three?")], [answer("Four.")], [answer("")]),
    ([user("Über façades 🦊")], [answer("  Море — 🌊  ")], [answer("sea\n")]),
    # Of a completion's turns, the user's is learned too.
    ([user("Go on")], [answer("The sea."), user("And?"), answer("The end.")], [answer("No.")]),
]
# Of these the prompt is what both sides have in common.
IMPLICIT = [CHATS[0], CHATS[1], CHATS[3]]
CONVERSATIONS = [
    [user("Tell me a story."), answer("The fox.")],
    [SYSTEM, user("One"), answer("Two"), user("Three?"), answer("Four and the sea 🌊")],
]
LIMITS = [(None, "keep_start"), (14, "keep_start"), (14, "keep_end"), (4, "keep_start"), (4, "keep_end")]


def limits(style: str, conversational: bool) -> list[tuple[int | None, str]]:
    """Where rarebit drops what follows the last end of a turn, cuts cannot agree."""
    agree = style in ENDS_IN_EOS if conversational else style not in ENDS_TWICE
    return LIMITS if agree else LIMITS[:1]


def trainer(tokenizer, **fields) -> SimpleNamespace:
    """As much of a trainer as preparing rows needs."""
    return SimpleNamespace(_tokenizer=tokenizer, processing_class=tokenizer, is_encoder_decoder=False, chat_template=None, **fields)


def arguments(max_length: int | None, mode: str, **more) -> SimpleNamespace:
    settings = dict(max_length=max_length, truncation_mode=mode, dataset_num_proc=None, dataset_text_field="text", shuffle_dataset=False)
    return SimpleNamespace(**(settings | {"assistant_only_loss": False} | more))


def sides(collated: dict) -> list[dict]:
    """Chosen and rejected without their padding, and where the completion begins."""
    return [
        {"ids": ids[mask == 1].tolist(), "start": int((completion[mask == 1] == 0).sum())}
        for ids, mask, completion in zip(*(collated[key] for key in ("input_ids", "attention_mask", "completion_mask")))
    ]


def dpo(tokenizer, row: dict, limit: tuple) -> list[dict] | None:
    """Both sides as DPOTrainer batches them, or none where it drops the row."""
    rows = DPOTrainer._prepare_dataset(trainer(tokenizer), Dataset.from_list([row]), tokenizer, arguments(*limit), "train")
    if len(rows) == 0:
        return None
    return sides(DataCollatorForPreference(pad_token_id=0, max_length=limit[0], truncation_mode=limit[1])([rows[0]]))


def orpo(tokenizer, row: dict, limit: tuple) -> list[dict]:
    """Both sides as ORPOTrainer tokenises them; the start is that of the side itself."""
    row = maybe_apply_chat_template(maybe_extract_prompt(row), tokenizer)
    peer = trainer(tokenizer, max_length=limit[0] or 1_000_000)
    peer.build_tokenized_answer = partial(ORPOTrainer.build_tokenized_answer, peer)
    out = ORPOTrainer.tokenize_row(peer, row)
    return [
        {"ids": out[f"{side}_input_ids"], "start": sum(label == -100 for label in out[f"{side}_labels"])}
        for side in ("chosen", "rejected")
    ]


def sft(tokenizer, row: dict, limit: tuple, completion_only: bool | None, assistant_only: bool) -> dict | None:
    """Ids and the labelled ones of them, or none where SFTTrainer drops the row."""
    completion_only = "prompt" in row if completion_only is None else completion_only
    rows = SFTTrainer._prepare_dataset(
        trainer(tokenizer, completion_only_loss=completion_only),
        Dataset.from_list([row]),
        tokenizer,
        arguments(*limit, assistant_only_loss=assistant_only),
        packing=False,
        formatting_func=None,
        dataset_name="train",
    )
    if len(rows) == 0:
        return None
    return {"ids": rows[0]["input_ids"], "labelled": [int(label != -100) for label in rows[0]["labels"]]}


def pairs(style: str, tokenizer) -> list[dict]:
    """Preference rows with what DPO and ORPO make of them under each limit."""
    keys = ("prompt", "chosen", "rejected")
    plain = [{key: text.format(eos=tokenizer.eos_token) for key, text in zip(keys, row)} for row in PLAIN]
    chats = [dict(zip(keys, row)) for row in CHATS]
    implicit = [{"chosen": prompt + chosen, "rejected": prompt + rejected} for prompt, chosen, rejected in IMPLICIT]
    out = []
    for row in plain + chats + implicit:
        conversational = not isinstance(row["chosen"], str)
        prompt = maybe_extract_prompt(row)["prompt"]
        alone = _tokenize(tokenizer, prompt, **({"add_generation_prompt": True} if conversational else {}))["input_ids"]
        cases = [
            {"max_length": limit[0], "truncation_mode": limit[1], "dpo": dpo(tokenizer, row, limit)}
            # ORPOTrainer knows no other mode.
            | ({"orpo": orpo(tokenizer, row, limit)} if limit[1] == "keep_start" else {})
            for limit in limits(style, conversational)
        ]
        out.append({"row": row, "prompt_alone_ids": alone, "cases": cases})
    return out


def supervised(style: str, tokenizer) -> list[dict]:
    """Rows for supervised fine-tuning with what SFTTrainer makes of them under each setting."""
    plain = [{"prompt": prompt, "completion": text.format(eos=tokenizer.eos_token)} for prompt, text, _ in PLAIN]
    chats = [{"prompt": prompt, "completion": chosen} for prompt, chosen, _ in CHATS]
    whole = [{"messages": messages} for messages in CONVERSATIONS]
    out = []
    for row in plain + chats + whole:
        conversational = not isinstance(row.get("prompt"), str)
        settings = [(None, False)]
        if "prompt" in row:
            settings.append((False, False))
        if conversational:
            settings += [(None, True), (False, True)] if "prompt" in row else [(None, True)]
        cases = [
            {
                "max_length": limit[0],
                "truncation_mode": limit[1],
                "completion_only_loss": setting[0],
                "assistant_only_loss": setting[1],
                "sft": sft(tokenizer, row, limit, *setting),
            }
            for setting in settings
            for limit in limits(style, conversational)
        ]
        out.append({"row": row, "cases": cases})
    return out


TEXTS = ["", " ", "\n\n", "a", "The fox and the hen.", " it's 12345", "naïve 🦊 日本 e\u0301", "{bos}x{eos} y", "tabs\tand\r\nlines  "]


def encoded(tokenizer, text: str) -> dict:
    """A text's ids with and without what the post-processor adds."""
    text = text.format(bos=tokenizer.bos_token or "", eos=tokenizer.eos_token)
    return {"text": text, "ids": tokenizer(text)["input_ids"], "ids_without_special": tokenizer(text, add_special_tokens=False)["input_ids"]}


def main() -> None:
    for style in STYLES:
        path = folder(f"conversations/{style}")
        tokenizer = save(path, style)
        save_json(
            path / "cases.json",
            {
                "versions": versions("tokenizers", "transformers", "trl"),
                "encode": [encoded(tokenizer, text) for text in TEXTS],
                "pairs": pairs(style, tokenizer),
                "supervised": supervised(style, tokenizer),
            },
        )


if __name__ == "__main__":
    main()
