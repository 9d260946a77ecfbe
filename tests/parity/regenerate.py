"""Writes every fixture again, or with --check compares a fresh set with the committed one."""

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.torch import load_file

HERE = Path(__file__).parent
FIXTURES = HERE.parent / "fixtures"
# Later scripts read what earlier ones wrote.
SCRIPTS = ["llama", "continued", "losses", "train", "families", "generate", "reward", "reward_train", "minilm", "embedders", "rouge", "measures", "human", "kto", "adapters", "deviation", "additive", "conversations"]
# Another processor sums in another order; what AdamW makes of that after ten steps stays below this.
TOLERANCE = 1e-4
NOISE = ("versions", "__version__", "transformers_version", "peft_version")


def write(target: Path) -> None:
    """Runs every script into a folder."""
    for script in SCRIPTS:
        print(f"{script}.py", file=sys.stderr)
        subprocess.run(
            [sys.executable, "-W", "ignore", HERE / f"{script}.py"],
            env=os.environ | {"RAREBIT_FIXTURES": str(target)},
            stdout=subprocess.DEVNULL,
            check=True,
        )


def same(old: object, new: object) -> bool:
    """Equal JSON, numbers within the tolerance; versions and noise measurements may differ."""
    match old, new:
        case dict(), dict():
            keys = [key for key in old if key not in NOISE and not key.endswith("_difference") and key != "differences"]
            return old.keys() == new.keys() and all(same(old[key], new[key]) for key in keys)
        case list(), list():
            return len(old) == len(new) and all(map(same, old, new))
        case float() | int(), float() | int():
            return math.isclose(old, new, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return old == new


def differs(old: Path, new: Path) -> bool:
    """Whether two files say something else."""
    if not (old.exists() and new.exists()):
        return True
    if old.read_bytes() == new.read_bytes():
        return False
    if old.suffix == ".json":
        return not same(json.loads(old.read_text()), json.loads(new.read_text()))
    if old.suffix == ".safetensors":
        a, b = load_file(old), load_file(new)
        return a.keys() != b.keys() or any(
            a[k].shape != b[k].shape or not a[k].double().allclose(b[k].double(), atol=TOLERANCE) for k in a
        )
    return True


def check() -> int:
    """Names every file that drifted."""
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch))
        files = {path.relative_to(root) for root in (FIXTURES, Path(scratch)) for path in root.rglob("*.*") if path.is_file()}
        drifted = sorted(name for name in files if name.suffix != ".md" and differs(FIXTURES / name, Path(scratch) / name))
    for name in drifted:
        print(name)
    return 1 if drifted else 0


if __name__ == "__main__":
    sys.exit(check() if "--check" in sys.argv[1:] else write(FIXTURES))
