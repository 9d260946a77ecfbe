"""Where fixtures go and how they are written: safetensors for tensors, JSON for the rest."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

# Fixtures are made offline, on the CPU, without telemetry, and with one thread,
# so that sums are taken in the same order on every run.
os.environ.update(
    HF_HUB_OFFLINE="1",
    TRANSFORMERS_OFFLINE="1",
    HF_DATASETS_DISABLE_PROGRESS_BARS="1",
    TOKENIZERS_PARALLELISM="false",
    CUDA_VISIBLE_DEVICES="",
    TQDM_DISABLE="1",
    TRL_EXPERIMENTAL_SILENCE="1",
    TRANSFORMERS_VERBOSITY="error",
)

import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

# `regenerate.py --check` points this at a scratch folder.
FIXTURES = Path(os.environ.get("RAREBIT_FIXTURES", Path(__file__).parent.parent / "fixtures"))


def versions(*packages: str) -> dict[str, str]:
    """The versions a fixture depends on, kept in its metadata."""
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def folder(name: str) -> Path:
    """A folder below the fixtures, made if missing."""
    path = FIXTURES / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def save_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Writes tensors in name order; f64 and NaN are never written."""
    assert all(t.dtype in (torch.float32, torch.int64) and not t.isnan().any() for t in tensors.values())
    save_file({name: tensors[name].detach().contiguous().clone() for name in sorted(tensors)}, path)
    path.chmod(0o644)


def save_json(path: Path, value: object) -> None:
    """Writes readable JSON: three levels are broken over lines, lists of numbers and what is deeper stay on one."""

    def inline(node: object) -> str:
        return json.dumps(node, ensure_ascii=False, allow_nan=False)

    def broken(node: object, depth: int) -> str:
        numbers = isinstance(node, list) and all(isinstance(item, (int, float)) for item in node)
        if depth == 0 or numbers or not isinstance(node, (dict, list)) or len(inline(node)) < 100:
            return inline(node)
        pad = "\n" + "  " * (4 - depth)
        if isinstance(node, dict):
            items = [f"{inline(k)}: {broken(v, depth - 1)}" for k, v in node.items()]
            return "{" + pad + ("," + pad).join(items) + pad[:-2] + "}"
        return "[" + pad + ("," + pad).join(broken(v, depth - 1) for v in node) + pad[:-2] + "]"

    path.write_text(broken(value, 3) + "\n", encoding="utf-8")


def f32_list(tensor: torch.Tensor) -> list:
    """Numbers as the shortest decimals that read back to the same f32 (nested as the tensor is)."""
    if tensor.dim() == 0:
        return float(str(tensor.numpy().astype("float32")))
    return [f32_list(row) for row in tensor]


def worst(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest absolute difference, rounded up to one digit: what a tolerance is based on."""
    return float(f"{(a.double() - b.double()).abs().max().item():.1e}")
