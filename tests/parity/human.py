"""Statistics of human judgements: Krippendorff's alpha by its package, the sign test by SciPy."""

import krippendorff
import numpy as np
from scipy.stats import binomtest

from fixture import folder, save_json, versions


def ratings(draw: np.random.Generator, annotators: int, units: int, missing: float, faithful: float) -> list[list[int | None]]:
    """A row per annotator: the unit's own value with some probability, another or none otherwise."""
    truth = draw.integers(0, 3, size=units)
    given = np.where(draw.random((annotators, units)) < faithful, truth, draw.integers(0, 3, size=(annotators, units)))
    absent = draw.random((annotators, units)) < missing
    return [[None if gone else int(value) for value, gone in zip(*row)] for row in zip(given, absent)]


def tables() -> list[list[list[int | None]]]:
    """Made up, from the literature, and odd."""
    draw = np.random.default_rng(3)
    # Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C: alpha 0.743.
    textbook = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    return [
        textbook,
        [[0, 0, 1, 1], [1, 1, 0, 0]],
        [[0, 1, 2, 0], [0, 1, 2, 0]],
        [[0, 1, None], [1, None, None], [None, 1, 2]],
        ratings(draw, 3, 20, 0.0, 0.7),
        ratings(draw, 3, 40, 0.2, 0.5),
        ratings(draw, 5, 60, 0.5, 0.9),
        ratings(draw, 2, 30, 0.1, 0.0),
    ]


def alpha(table: list[list[int | None]]) -> float:
    """Nominal alpha with missing values."""
    data = np.array([[np.nan if value is None else value for value in row] for row in table], dtype=float)
    return float(krippendorff.alpha(data, level_of_measurement="nominal"))


COUNTS = [(0, 0), (1, 0), (3, 3), (5, 0), (0, 6), (9, 1), (2, 7), (14, 6), (60, 40), (100, 61), (700, 600), (3000, 1)]


def sign(wins: int, losses: int) -> float:
    """The two-sided p of the sign test."""
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


if __name__ == "__main__":
    save_json(
        folder("human") / "statistics.json",
        {
            "versions": versions("krippendorff", "scipy", "numpy"),
            "alpha": [{"ratings": table, "alpha": alpha(table)} for table in tables()],
            "sign": [{"wins": wins, "losses": losses, "p": sign(wins, losses)} for wins, losses in COUNTS],
        },
    )
