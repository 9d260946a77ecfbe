"""fixtures/deviation: deviations and weights of random embeddings, from the paper's formulas in numpy alone (arXiv 2503.17126, section 3)."""

import numpy as np

from fixture import folder, save_json, versions

KINDS = {"semantic": 12, "style": 8}
SETTINGS = [
    {},
    {"kinds": "semantic"},
    {"kinds": "style"},
    {"floor": 0.1},
    {"rank": True},
    {"shrinkage": 4.0},
    {"kinds": "style", "floor": 0.25, "rank": True, "shrinkage": 2.5},
    {"tau": 2.0},
    {"kinds": "semantic", "tau": 0.5, "floor": 0.1, "shrinkage": 4.0},
    {"semantic_share": 0.25},
    {"semantic_share": 0.8, "rank": True, "tau": 3.0},
]


def prompts() -> list[dict[str, np.ndarray]]:
    """Embeddings in f32 for 1, 2, 3, 5 and 9 responses, and for 5 of which two are the same text; not of length 1."""
    random = np.random.default_rng(51)
    out = [{kind: random.normal(0.3, 1.0, (n, width)).astype(np.float32) for kind, width in KINDS.items()} for n in (1, 2, 3, 5, 9, 5)]
    for rows in out[-1].values():
        rows[3] = rows[1]
    return out


def similarities(rows: np.ndarray) -> np.ndarray:
    """<e_i, e_j>, rows of length 1."""
    unit = rows.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return unit @ unit.T


def deviations(rows: np.ndarray) -> np.ndarray:
    """d_i = 1/(n-1) sum_{j != i} (1 - <e_i, e_j>)."""
    distances = 1.0 - similarities(rows)
    np.fill_diagonal(distances, 0.0)
    return distances.sum(1) / max(len(rows) - 1, 1)


def nearest(rows: np.ndarray) -> np.ndarray:
    """min_{j != i} (1 - <e_i, e_j>); 0 for a response alone."""
    distances = 1.0 - similarities(rows)
    np.fill_diagonal(distances, np.inf)
    return distances.min(1) if len(rows) > 1 else np.zeros(1)


def logdet(rows: np.ndarray) -> np.ndarray:
    """log det(L + I) - log det(L_{-i} + I), determinants with and without the response; 0 for a response alone."""
    kernel = similarities(rows) + np.eye(len(rows))
    without = [np.linalg.slogdet(np.delete(np.delete(kernel, i, 0), i, 1))[1] for i in range(len(rows))]
    return np.linalg.slogdet(kernel)[1] - np.array(without) if len(rows) > 1 else np.zeros(1)


def marginals(rows: np.ndarray) -> np.ndarray:
    """P(i in Y) of the determinantal point process with kernel L: the diagonal of L (L + I)^-1."""
    kernel = similarities(rows)
    return np.diag(kernel @ np.linalg.inv(kernel + np.eye(len(rows))))


def unit_scores(raw: np.ndarray, rank: bool) -> np.ndarray:
    """Min-max, or (rank - 1/2) / n; equal deviations get the same."""
    raw = raw.round(9)
    if rank:
        below, upto = ((raw[None] < raw[:, None]).sum(1), (raw[None] <= raw[:, None]).sum(1))
        return ((below + upto) / 2) / len(raw)
    if raw.max() == raw.min():
        return np.full(len(raw), 0.5)
    return (raw - raw.min()) / (raw.max() - raw.min())


def weights(
    raw: dict[str, np.ndarray],
    kinds: str = "both",
    floor: float = 0.0,
    rank: bool = False,
    shrinkage: float = 0.0,
    tau: float = 1.0,
    semantic_share: float = 0.5,
) -> np.ndarray:
    """The geometric mean over the kinds, over its mean; 1 where nothing stands out."""
    chosen = [values for kind, values in raw.items() if kinds in ("both", kind)]
    shares = [semantic_share, 1 - semantic_share] if kinds == "both" else [1.0]
    score = np.prod([unit_scores(values, rank) ** share for values, share in zip(chosen, shares)], axis=0)
    score = np.maximum(score, floor) ** tau
    n = len(score)
    weight = score / score.mean() if score.mean() > 0 else np.ones(n)
    return 1 + (weight - 1) * n / (n + shrinkage)


def main() -> None:
    out = []
    for prompt in prompts():
        raw = {kind: deviations(rows) for kind, rows in prompt.items()}
        out.append(
            {
                "embeddings": {kind: rows.tolist() for kind, rows in prompt.items()},
                "deviations": {kind: values.tolist() for kind, values in raw.items()},
                "nearest": {kind: nearest(rows).tolist() for kind, rows in prompt.items()},
                "logdet": {kind: logdet(rows).tolist() for kind, rows in prompt.items()},
                "marginals": {kind: marginals(rows).tolist() for kind, rows in prompt.items()},
                "weights": [weights(raw, **settings).tolist() for settings in SETTINGS],
            }
        )
    save_json(folder("deviation") / "weights.json", {"versions": versions("numpy"), "settings": SETTINGS, "prompts": out})


if __name__ == "__main__":
    main()
