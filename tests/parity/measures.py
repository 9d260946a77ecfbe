"""Measures of a set of responses: self-BLEU by sacrebleu, Vendi by vendi-score, distances by scikit-learn, n-grams by NLTK.

NoveltyBench's classes and utility and the effective diversity have no package; they are spelled out
here from their definitions, in another form than the Rust code's.
"""

from itertools import combinations

import numpy as np
from nltk import ngrams
from sacrebleu import sentence_bleu
from sklearn.metrics.pairwise import cosine_distances
from vendi_score import vendi

from fixture import folder, save_json, versions
from rouge import TALES

SETS = [
    TALES,
    TALES[:2],
    [TALES[0], TALES[0], TALES[2], TALES[3]],
    [TALES[0]] * 3,
    ["", TALES[0], " \n"],
    ["yes", "yes no", "no", "yes yes yes yes yes"],
    ["Well-known: 3.14-ish, 1,000 (or 2-3) … isn't it?", "Well-\nknown: 3.14 ish; 1,000, or 2 - 3.", 'He said: "Go!" &amp; went.'],
    ["„Ach“, sagte sie, „ach.“", "Ach, sagte er... ach!", "狐狸跑回家了。", "狐狸 跑 回家 了"],
    ["a b a b a b a b", "b a b a", "a a a a a a", "b"],
    ["x.y,z 1.2,3 .5 5. ,5 5, a..b 1..2", "x . y , z 1.2,3 .5 5. a . . b", "1-2 a-b 1- -2 $5 50% a/b [c] {d}"],
    [" ".join(TALES * 3), " ".join(reversed(TALES * 2)), TALES[1]],
]


def distinct(texts: list[str], n: int) -> float | None:
    """Distinct over all n-grams of words between white space, within texts."""
    found = [gram for text in texts for gram in ngrams(text.split(), n)]
    return len(set(found)) / len(found) if found else None


def measured_texts(texts: list[str]) -> dict:
    """A set of texts with its values."""
    others = [texts[:i] + texts[i + 1 :] for i in range(len(texts))]
    bleu = [sentence_bleu(text, rest).score / 100 for text, rest in zip(texts, others)]
    return {"texts": texts, "self_bleu": sum(bleu) / len(bleu), "bleu": bleu, "distinct": [distinct(texts, n) for n in range(1, 5)]}


def embeddings() -> list[np.ndarray]:
    """Rows of several lengths: plain, more rows than dimensions, repeats, near repeats, opposites."""
    draw = np.random.default_rng(7)
    plain = draw.normal(size=(8, 6))
    around = np.abs(draw.normal(size=6)) + 0.3 * draw.normal(size=(12, 6))
    repeats = plain[[0, 1, 0, 2, 1, 0]]
    near = np.concatenate([plain[:4], plain[:4] + 0.05 * draw.normal(size=(4, 6))])
    return [plain, around, draw.normal(size=(40, 3)), repeats, near, np.stack([plain[0], -plain[0]]), plain[[0, 0]]]


def classes(distances: np.ndarray, threshold: float) -> list[int]:
    """NoveltyBench's partition: the first response without a class takes in all later ones that are like it."""
    label = [-1] * len(distances)
    while -1 in label:
        founder, number = label.index(-1), max(label) + 1
        for j in range(founder, len(label)):
            if label[j] == -1 and (j == founder or distances[founder, j] <= threshold):
                label[j] = number
    return label


def measured_rows(rows: np.ndarray, index: int) -> dict:
    """A set of embeddings, with scores, and its values."""
    rows = rows.astype(np.float32).astype(np.float64)
    distances, n = cosine_distances(rows), len(rows)
    threshold, quality = 0.3, 4.0
    scores = np.random.default_rng(index).integers(1, 11, size=n)
    label = classes(distances, threshold)
    first = [label.index(c) == i for i, c in enumerate(label)]
    score = float(vendi.score_dual(rows))
    assert abs(score - vendi.score_K(1 - distances)) < 1e-6
    pairs = list(combinations(range(n), 2))
    good = [distances[i, j] if min(scores[i], scores[j]) >= quality else 0.0 for i, j in pairs]
    assert all(abs(distances[i, j] * 20 - round(distances[i, j] * 20)) > 1e-4 or distances[i, j] < 1e-9 for i, j in pairs if distances[i, j] < 1.999)
    counts, _ = np.histogram([max(distances[i, j], 0.0) for i, j in pairs], bins=40, range=(0, 2))
    return {
        "rows": rows.astype(np.float32).tolist(),
        "scores": scores.tolist(),
        "threshold": threshold,
        "quality": quality,
        "vendi": score,
        "nearest": float(np.mean(np.min(distances + 1e9 * np.eye(n), axis=1))),
        "classes": label,
        "utility": float(np.average(scores * first, weights=0.8 ** np.arange(n))),
        "effective": float(np.sum(good) / len(pairs)),
        "histogram": (counts / len(pairs)).tolist(),
    }


if __name__ == "__main__":
    save_json(
        folder("measures") / "measures.json",
        {
            "versions": versions("sacrebleu", "vendi-score", "scikit-learn", "nltk", "numpy"),
            "texts": [measured_texts(texts) for texts in SETS],
            "rows": [measured_rows(rows, index) for index, rows in enumerate(embeddings())],
        },
    )
