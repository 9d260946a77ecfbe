"""fixtures/deviation/additive.json: novelty and additive weights as CrPO defines them (arXiv 2505.14442), in numpy alone, pair by pair as its code takes them."""

import re
from itertools import permutations

import numpy as np

from deviation import deviations, unit_scores
from fixture import folder, save_json, versions

WORDS = "a an the fox hen sea rain ran slept home dark old it's deep night".split()
ALL = {"diversity": 1.0, "novelty": 1.0, "surprise": 1.0, "quality": 1.0}
SETTINGS = [
    {"kinds": "semantic", "mix": {"diversity": 1.0}},
    {"kinds": "none", "mix": {"novelty": 2.0}},
    {"kinds": "none", "mix": {"surprise": 0.3}},
    {"kinds": "none", "mix": {"quality": 1.0}},
    {"kinds": "semantic", "mix": ALL},
    {"kinds": "semantic", "mix": ALL | {"surprise": 0.5, "quality": 2.0}},
    {"kinds": "both", "mix": {"diversity": 1.5, "novelty": 0.5}},
    {"kinds": "semantic", "mix": ALL, "rank": True},
    {"kinds": "semantic", "mix": ALL, "floor": 0.3, "tau": 2.0, "shrinkage": 4.0},
]


def words_of(text: str) -> set[str]:
    """Distinct words in lower case, without punctuation."""
    return set(re.findall(r"[\w']+", text.lower()))


def dsi(words: set[str], vectors: dict[str, np.ndarray]) -> float:
    """Mean over the words of each one's mean distance to the others; 0 for a word alone."""
    if len(words) < 2:
        return 0.0
    unit = {word: vectors[word] / np.linalg.norm(vectors[word]) for word in words}
    return float(np.mean([1 - unit[a] @ unit[b] for a, b in permutations(sorted(words), 2)]))


def novelty(texts: list[str], vectors: dict[str, np.ndarray]) -> np.ndarray:
    """2 |DSI(y) - DSI(all)|, all being the texts joined by blanks."""
    everything = dsi(words_of(" ".join(texts)), vectors)
    return np.array([2 * abs(dsi(words_of(text), vectors) - everything) for text in texts])


def diversity(raw: dict[str, np.ndarray], kinds: str, rank: bool) -> np.ndarray:
    """One kind's deviations, or both mixed by the geometric mean."""
    chosen = [unit_scores(values, rank) for kind, values in raw.items() if kinds in ("both", kind)]
    return np.prod(chosen, axis=0) ** (1 / max(len(chosen), 1))


def weights(
    raw: dict[str, np.ndarray],
    signals: dict[str, np.ndarray],
    mix: dict[str, float],
    kinds: str,
    floor: float = 0.0,
    rank: bool = False,
    shrinkage: float = 0.0,
    tau: float = 1.0,
) -> np.ndarray:
    """sum_k lambda_k u_k over its mean; the floor is on the sum over that of the lambdas."""
    signals = signals | {"diversity": diversity(raw, kinds, rank)}
    n = len(signals["quality"])
    total = sum(lam * unit_scores(signals[name], rank) for name, lam in mix.items())
    score = np.maximum(total / sum(mix.values()), floor) ** tau
    weight = score / score.mean() if score.mean() > 0 else np.ones(n)
    return np.ones(n) if n == 1 else 1 + (weight - 1) * n / (n + shrinkage)


def prompts(random: np.random.Generator) -> list[dict[str, list]]:
    """1, 2, 4 and 7 responses; of the last, two are one text with all that belongs to it, and all scores are equal."""
    out = []
    for n in (1, 2, 4, 7):
        lengths = random.integers(1, 12, n)
        texts = [", ".join(random.choice(WORDS, length)).capitalize() + "." for length in lengths]
        rows = {"semantic": random.normal(0.3, 1.0, (n, 6)), "style": random.normal(0.3, 1.0, (n, 4))}
        surprise = np.exp(random.normal(3.0, 1.0, n))
        quality = random.integers(1, 60, n).astype(float)
        if n == 7:
            texts[4], surprise[4], quality[:] = texts[1], surprise[1], 3.0
            for values in rows.values():
                values[4] = values[1]
        out.append({"texts": texts, "rows": rows, "surprise": surprise, "quality": quality})
    return out


def main() -> None:
    random = np.random.default_rng(2505)
    vectors = {word: random.normal(0.2, 1.0, 5).astype(np.float32).astype(np.float64) for word in WORDS}
    out = []
    for prompt in prompts(random):
        raw = {kind: deviations(rows) for kind, rows in prompt["rows"].items()}
        signals = {"novelty": novelty(prompt["texts"], vectors), "surprise": prompt["surprise"], "quality": prompt["quality"]}
        out.append(
            {
                "texts": prompt["texts"],
                "deviations": {kind: values.tolist() for kind, values in raw.items()},
                **{name: values.tolist() for name, values in signals.items()},
                "weights": [weights(raw, signals, **setting).tolist() for setting in SETTINGS],
            }
        )
    fixture = {
        "versions": versions("numpy"),
        "words": {word: vector.tolist() for word, vector in vectors.items()},
        "settings": SETTINGS,
        "prompts": out,
    }
    save_json(folder("deviation") / "additive.json", fixture)


if __name__ == "__main__":
    main()
