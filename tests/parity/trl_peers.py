"""TRL's own trainers on the tiny model, so that formulas are checked against code that others trust."""

import tempfile

import torch
from datasets import Dataset
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

from objectives import BETA, LAMBDA, Batch
from pairs import TEXTS

PLAIN = dict(
    bf16=False,
    use_cpu=True,
    gradient_checkpointing=False,
    report_to=[],
    save_strategy="no",
    disable_tqdm=True,
    logging_steps=1,
    train_sampling_strategy="sequential",
    dataloader_pin_memory=False,
    max_length=None,
)


def dataset(order: list[int]) -> Dataset:
    """The text pairs in the order of training."""
    keys = ("prompt", "chosen", "rejected")
    return Dataset.from_list([dict(zip(keys, TEXTS[i])) for i in order])


def dpo_trainer(model, reference, tokenizer, order: list[int], **settings) -> DPOTrainer:
    """DPOTrainer without dropout, mixed precision or shuffling."""
    args = DPOConfig(tempfile.mkdtemp(), **({"beta": BETA} | PLAIN | settings))
    return DPOTrainer(model, reference, args=args, train_dataset=dataset(order), processing_class=tokenizer)


def orpo_trainer(model, tokenizer, order: list[int], **settings) -> ORPOTrainer:
    """ORPOTrainer likewise; TRL calls lambda `beta` here."""
    args = ORPOConfig(tempfile.mkdtemp(), beta=LAMBDA, **(PLAIN | {"max_length": 512} | settings))
    return ORPOTrainer(model, args=args, train_dataset=dataset(order), processing_class=tokenizer)


def cpo_trainer(model, tokenizer, order: list[int], **settings) -> CPOTrainer:
    """CPOTrainer with SimPO's loss and without the NLL that CPO adds to it."""
    simpo = {"loss_type": "simpo", "cpo_alpha": 0.0, "max_length": 512}
    args = CPOConfig(tempfile.mkdtemp(), **(PLAIN | simpo | settings))
    return CPOTrainer(model, args=args, train_dataset=dataset(order), processing_class=tokenizer)


def kto_trainer(model, reference, tokenizer, rows: Dataset, **settings) -> KTOTrainer:
    """KTOTrainer on labelled completions, in the order of training."""
    args = KTOConfig(tempfile.mkdtemp(), **({"beta": BETA} | PLAIN | settings))
    return KTOTrainer(model, reference, args=args, train_dataset=rows, processing_class=tokenizer)


def dpo_inputs(batch: Batch) -> dict[str, torch.Tensor]:
    """The batch as DPOTrainer.compute_loss takes it."""
    return {
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
        "completion_mask": batch.completion_mask,
    }


def orpo_inputs(batch: Batch) -> dict[str, torch.Tensor]:
    """The batch as ORPOTrainer takes it, and CPOTrainer."""
    labels = batch.input_ids.masked_fill(batch.completion_mask == 0, -100)
    parts = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, "labels": labels}
    return {f"{side}_{key}": half for key, value in parts.items() for side, half in zip(("chosen", "rejected"), value.chunk(2))}


cpo_inputs = orpo_inputs
