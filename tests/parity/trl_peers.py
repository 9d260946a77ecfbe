"""TRL's own trainers on the tiny models, so that formulas are checked against code that others trust."""

import tempfile

import torch
from datasets import Dataset
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

from objectives import BETA, LAMBDA, Batch

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
    remove_unused_columns=False,
    max_length=None,
)


class Weighted:
    """A trainer of TRL whose batch loss is the mean of weight times TRL's loss of each pair alone.

    TRL averages over the pairs before anyone could weigh them, so its own loss is asked pair by pair;
    collator, reference, optimizer, schedule, accumulation, clipping and logs stay TRL's.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        collate = self.data_collator
        self.data_collator = lambda rows: collate(rows) | {"weight": torch.tensor([row["weight"] for row in rows])}

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        weight = inputs.pop("weight")
        pairs = len(weight)
        total = 0.0
        for i in range(pairs):
            # A row of each pair, or, with chosen and rejected rows in one tensor, both of them.
            alone = {key: value[i::pairs] for key, value in inputs.items()}
            total = total + weight[i] * super().compute_loss(model, alone)
        return total / pairs


class DDPOTrainer(Weighted, DPOTrainer):
    """DPO, weighted."""


class DORPOTrainer(Weighted, ORPOTrainer):
    """ORPO, weighted, with the NLL over the completion.

    TRL takes the NLL over prompt and completion; rarebit does not. Here it is taken from TRL's mean
    log-probability of the chosen completion.
    """

    def concatenated_forward(self, model, batch):
        chosen_logps, *rest, _ = super().concatenated_forward(model, batch)
        return chosen_logps, *rest, -chosen_logps.mean()


class DSimPOTrainer(Weighted, CPOTrainer):
    """SimPO, weighted."""


def dataset(texts: list[tuple[str, str, str, float]]) -> Dataset:
    """Text pairs in the order of training."""
    return Dataset.from_list([dict(zip(("prompt", "chosen", "rejected", "weight"), text)) for text in texts])


def dpo_trainer(model, reference, tokenizer, texts: list, trainer: type[DPOTrainer] = DPOTrainer, **settings) -> DPOTrainer:
    """DPOTrainer without dropout, mixed precision or shuffling."""
    args = DPOConfig(tempfile.mkdtemp(), **({"beta": BETA} | PLAIN | settings))
    return trainer(model, reference, args=args, train_dataset=dataset(texts), processing_class=tokenizer)


def orpo_trainer(model, tokenizer, texts: list, trainer: type[ORPOTrainer] = ORPOTrainer, **settings) -> ORPOTrainer:
    """ORPOTrainer likewise; TRL calls lambda `beta` here."""
    args = ORPOConfig(tempfile.mkdtemp(), beta=LAMBDA, **(PLAIN | {"max_length": 512} | settings))
    return trainer(model, args=args, train_dataset=dataset(texts), processing_class=tokenizer)


def cpo_trainer(model, tokenizer, texts: list, trainer: type[CPOTrainer] = CPOTrainer, **settings) -> CPOTrainer:
    """CPOTrainer with SimPO's loss and without the NLL that CPO adds to it."""
    simpo = {"loss_type": "simpo", "cpo_alpha": 0.0, "max_length": 512}
    args = CPOConfig(tempfile.mkdtemp(), **(PLAIN | simpo | settings))
    return trainer(model, args=args, train_dataset=dataset(texts), processing_class=tokenizer)


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
