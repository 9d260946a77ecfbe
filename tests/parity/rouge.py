"""Text-overlap metrics: ROUGE-L by rouge-score, and set metrics as the paper's reference code takes them.

The `reference` values follow PyPI `diversity` 0.2.0 (a double gzip into a named file, the last
text's score left out, n-grams across texts). It is spelled out here because that package pins old
dependencies; the values were compared once with the package itself.
"""

import gzip
import statistics
import tempfile
from itertools import permutations
from pathlib import Path

from rouge_score.rouge_scorer import RougeScorer

from fixture import folder, save_json, versions

SCORER = RougeScorer(["rougeL"], use_stemmer=False)

TALES = [
    "The keeper lit the lamp and rowed into the storm. She found the sailor on a raft.",
    "The keeper lit the lamp, but the storm had taken the raft before she rowed out.",
    "Nobody rowed that night; the lamp was out, and the sailor found his own way home.",
    "A baker burned the bread on the morning of the wedding, and the village laughed.",
]
PAIRS = [
    (TALES[0], TALES[1]),
    (TALES[0], TALES[3]),
    (TALES[2], TALES[1]),
    ("the fox ran home", "home ran the fox"),
    ("a b a b a b", "b a b a"),
    ("Don’t stop—not now!", "don't stop, not now"),
    ("Élan vital", "elan vital"),
    ("In 1984 it was 20°C", "it was 1984, 20 c"),
    ("", "anything"),
    ("狐狸跑回家了", "狐狸"),
    (" ".join(TALES * 9), " ".join(reversed(TALES * 7))),
]
SETS = [
    TALES,
    TALES[:2],
    [TALES[0], TALES[1], TALES[0]],
    [TALES[0], TALES[0], TALES[2], TALES[3]],
    [TALES[0], TALES[0]],
    ["two\nlines of  verse", "two lines of verse", "no more than that"],
]


def f1(a: str, b: str) -> float:
    """ROUGE-L F1 of two texts."""
    return SCORER.score(a, b)["rougeL"].fmeasure


def reference_homogenisation(texts: list[str]) -> float:
    """The running sum is added whenever the first text of the pair changes: never for the last."""
    total = running = 0.0
    current = texts[0]
    for i, j in permutations(range(len(texts)), 2):
        if texts[i] != current:
            total += running / (len(texts) - 1)
            current, running = texts[i], 0.0
        running += 1.0 if texts[i] == texts[j] else f1(texts[i], texts[j])
    return (total or running) / len(texts)


def reference_compression_ratio(texts: list[str]) -> float:
    """Raw size over the size of a gzip file that holds a gzip stream."""
    raw = " ".join(texts).encode()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "compressed.gz")
        with gzip.GzipFile(path, "w") as file:
            file.write(gzip.compress(raw))
        return len(raw) / path.stat().st_size


def reference_ngram_diversity(texts: list[str]) -> float:
    """Distinct over all n-grams of the joined text, for n = 1 to 4."""
    words = " ".join(texts).split(" ")
    ngrams = [[tuple(words[i : i + n]) for i in range(len(words) - n + 1)] for n in range(1, 5)]
    return sum(len(set(found)) / len(found) for found in ngrams)


def measured(texts: list[str]) -> dict:
    """A set of texts with every value."""
    raw = " ".join(texts).encode()
    return {
        "texts": texts,
        "rouge_l": statistics.fmean(f1(a, b) for a, b in permutations(texts, 2)),
        "compression_ratio": len(raw) / len(gzip.compress(raw)),
        "reference": {
            "homogenisation": reference_homogenisation(texts),
            "compression_ratio": reference_compression_ratio(texts),
            "ngram_diversity": reference_ngram_diversity(texts),
        },
    }


if __name__ == "__main__":
    save_json(
        folder("rouge") / "rouge_l.json",
        {
            "versions": versions("rouge-score"),
            "pairs": [{"a": a, "b": b, "f1": f1(a, b)} for a, b in PAIRS],
            "sets": [measured(texts) for texts in SETS],
        },
    )
