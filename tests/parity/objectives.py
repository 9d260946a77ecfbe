"""The objectives as formulas: one value per pair, from a model and a padded batch. `trl_peers.py` holds TRL's answers to the same."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

BETA, LAMBDA = 0.1, 0.25
# Where the loss reads means over tokens, which are as many times smaller as completions are long.
MEAN_BETA = 2.0
SPL_ALPHA, SIMPO_GAMMA = 0.15, 0.5
DESIRABLE_WEIGHT, UNDESIRABLE_WEIGHT = 1.2, 0.8
# TRL's `loss_type` of each variant of DPO, and TRL's `beta` for it; `spl` is not TRL's.
VARIANTS = {"hinge": BETA, "ipo": BETA, "sigmoid_norm": MEAN_BETA, "simpo": MEAN_BETA, "spl": BETA}


@dataclass
class Batch:
    """Right-padded rows, chosen first and rejected after them, as TRL's collator lays them out."""

    input_ids: torch.Tensor  # [2 * pairs, seq]
    attention_mask: torch.Tensor
    completion_mask: torch.Tensor
    weight: torch.Tensor  # [pairs]


def collate(pairs: list[dict]) -> Batch:
    """Pads pairs of token ids to the longest row."""
    rows = [(pair["prompt_ids"], pair[side]) for side in ("chosen_ids", "rejected_ids") for pair in pairs]
    seq = max(len(prompt) + len(completion) for prompt, completion in rows)
    ids, attention, completion_mask = (torch.zeros(len(rows), seq, dtype=torch.long) for _ in range(3))
    for i, (prompt, completion) in enumerate(rows):
        end = len(prompt) + len(completion)
        ids[i, :end] = torch.tensor(prompt + completion)
        attention[i, :end] = 1
        completion_mask[i, len(prompt) : end] = 1
    return Batch(ids, attention, completion_mask, torch.tensor([pair["weight"] for pair in pairs]))


@dataclass
class Logps:
    """What a forward pass says about one side of the pairs, each `[pairs]`."""

    summed: torch.Tensor  # over completion tokens
    mean: torch.Tensor
    mean_sequence: torch.Tensor  # over prompt and completion


def logps(model, batch: Batch) -> tuple[Logps, Logps]:
    """Log-probabilities of chosen and rejected."""
    logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    token = logits[:, :-1].log_softmax(-1).gather(2, batch.input_ids[:, 1:, None])[..., 0]
    completion, sequence = batch.completion_mask[:, 1:], batch.attention_mask[:, 1:]
    summed = (token * completion).sum(1)
    sides = zip(
        summed.chunk(2),
        (summed / completion.sum(1)).chunk(2),
        ((token * sequence).sum(1) / sequence.sum(1)).chunk(2),
    )
    chosen, rejected = (Logps(*side) for side in sides)
    return chosen, rejected


def log_odds(m: torch.Tensor) -> torch.Tensor:
    """log(p / (1 - p)) at p = exp(m)."""
    return m - torch.log(-torch.expm1(m))


def per_pair(objective: str, policy: tuple[Logps, Logps], reference: tuple[Logps, Logps], weight: torch.Tensor) -> torch.Tensor:
    """The loss of each pair; the batch loss is its plain mean.

    - `dpo`, `ddpo`: sigmoid loss on summed log-probabilities, times the weight for `ddpo`
    - `hinge`, `ipo`, `sigmoid_norm`, `simpo`: TRL's loss types of these names; `d` before a name: times the weight
    - `spl`: soft preference learning, the policy's log-ratio times another coefficient than the reference's
    - `orpo`: NLL of the chosen completion plus the odds-ratio term
    - `orpo_sequence`: the same with the NLL over prompt and completion, as TRL has it
    - `dorpo`: weight times `orpo`, the paper's form
    - `dorpo_reference`: the weight on the NLL and inside the sigmoid, the reference code's form
    - `sft`: NLL of the chosen completion; `sft_sequence`: of prompt and completion; `dsft`: times the weight
    """
    chosen, rejected = policy
    if objective.removeprefix("d") in VARIANTS or objective == "dsft":
        weighted = objective.startswith("d")
        loss = per_pair(objective.removeprefix("d"), policy, reference, weight) if weighted else variant(objective, policy, reference)
        return loss * weight if weighted else loss
    if objective in ("dpo", "ddpo"):
        loss = -F.logsigmoid(BETA * (log_ratio(policy) - log_ratio(reference)))
        return loss * weight if objective == "ddpo" else loss
    nll = -(chosen.mean_sequence if objective.endswith("_sequence") else chosen.mean)
    if objective.startswith("sft"):
        return nll
    odds = log_odds(chosen.mean) - log_odds(rejected.mean)
    match objective:
        case "orpo" | "orpo_sequence":
            return nll - LAMBDA * F.logsigmoid(odds)
        case "dorpo" | "dorpo_sequence":
            return weight * (nll - LAMBDA * F.logsigmoid(odds))
        case "dorpo_reference":
            return weight * nll - LAMBDA * F.logsigmoid(weight * odds)
    raise ValueError(objective)


def log_ratio(sides: tuple[Logps, Logps], kind: str = "summed") -> torch.Tensor:
    """log p(chosen) - log p(rejected)."""
    chosen, rejected = (getattr(side, kind) for side in sides)
    return chosen - rejected


def variant(name: str, policy: tuple[Logps, Logps], reference: tuple[Logps, Logps]) -> torch.Tensor:
    """The loss of each pair for a variant of DPO."""
    summed, mean = (log_ratio(policy, kind) - log_ratio(reference, kind) for kind in ("summed", "mean"))
    match name:
        case "hinge":
            return F.relu(1 - BETA * summed)
        case "ipo":
            return (mean - 1 / (2 * BETA)) ** 2
        case "sigmoid_norm":
            return -F.logsigmoid(MEAN_BETA * mean)
        case "simpo":
            return -F.logsigmoid(MEAN_BETA * log_ratio(policy, "mean") - SIMPO_GAMMA)
        case "spl":
            return -F.logsigmoid(SPL_ALPHA * log_ratio(policy) - BETA * log_ratio(reference))
    raise ValueError(name)


def kto(policy: tuple[Logps, Logps], reference: tuple[Logps, Logps], desirable: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(KTO's loss of each labelled completion, its estimate of the KL divergence).

    The second of the two sides holds completions of other prompts, from which TRL estimates the KL divergence.
    """
    (own, other), (own_reference, other_reference) = policy, reference
    kl = (other.summed - other_reference.summed).mean().clamp(min=0).detach()
    sign = torch.where(desirable, 1.0, -1.0).to(weight.dtype)
    side_weight = torch.where(desirable, DESIRABLE_WEIGHT, UNDESIRABLE_WEIGHT).to(weight.dtype)
    return weight * side_weight * (1 - torch.sigmoid(BETA * sign * (own.summed - own_reference.summed - kl))), kl
