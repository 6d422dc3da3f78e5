"""Ask the shipped model which sentences of the same words say the same, and write the results here.

python experiments/same_words/run.py
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

import treenlp
from treenlp.data.structure_pairs import (
    StructureKind,
    StructurePair,
    bare_words,
    read_structure_pairs,
)
from treenlp.encoder import PieceTokenizer, Trunk
from treenlp.experiment.scores import bootstrap_units, digest_texts, weight_digests
from treenlp.parsing.parser import load_parser, load_trunk
from treenlp.tasks.reader import load_meaning
from treenlp.text import Document

HERE = Path(__file__).parent
PAIRS = HERE.parents[1] / "corpora" / "structure"
MODEL = "zh-en-1"
FOLDER = Path(treenlp.__file__).parent / "models" / MODEL
SCORERS = {
    "words": "bag of words",
    "pieces": "mean of pieces",
    "neighbours": "shared neighbours",
    "sequence": "sequence vector",
    "tree": "tree vector",
    "similarity": "`nlp.similarity`",
}
DIFFERENCES = (("similarity", "sequence"), ("tree", "sequence"), ("similarity", "neighbours"))
Lang = Literal["en", "zh"]
Scores = Mapping[str, NDArray[np.float64]]


def main() -> int:
    """Run, print and write."""
    result: dict[str, object] = {"model": MODEL, "weights": weight_digests(FOLDER)}
    parts = []
    for lang in get_args(Lang):
        pairs = read_structure_pairs(PAIRS / f"{lang}.tsv")
        scores = score(pairs, lang)
        labels = np.array([pair.label for pair in pairs])
        rows = []
        for kind in ("all", *get_args(StructureKind)):
            chosen = np.array([kind in ("all", pair.kind) for pair in pairs])
            own = {name: values[chosen] for name, values in scores.items()}
            rows.append({"kind": kind, "n": int(chosen.sum()), "auc": measure(own, labels[chosen])})
        part = {
            "pairs": digest_texts(f"{p.label} {p.kind} {p.first} {p.second}" for p in pairs),
            "figures": rows,
            "differences": differences(scores, labels),
            "mean_similarity": {
                str(label): round(float(scores["similarity"][labels == label].mean()), 4)
                for label in (1, 0)
            },
        }
        result[lang] = part
        parts.append(show(lang, rows, part))
    text = "\n".join(parts)
    (HERE / "results.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (HERE / "results.md").write_text(text, encoding="utf-8")
    print(text, end="")
    return 0


def score(pairs: Sequence[StructurePair], lang: Lang) -> Scores:
    """Say of each pair how alike its sides are, in every way that is compared."""
    texts = [text for pair in pairs for text in (pair.first, pair.second)]
    trunk, tokenizer = load_trunk(FOLDER), PieceTokenizer.load(FOLDER / "tokenizer.json")
    words = [" ".join(sorted(bare_words(text))) for text in texts]
    sequence, tree = vectors(texts, lang, trunk)
    outcomes = treenlp.load(MODEL).pipe_similarity(
        [(pair.first, pair.second) for pair in pairs], lang=lang
    )
    answers = {
        "words": cosines(embed(words, tokenizer, trunk)),
        "pieces": cosines(embed(texts, tokenizer, trunk)),
        "neighbours": np.array([shared_neighbours(pair) for pair in pairs]),
        "sequence": cosines(sequence),
        "tree": cosines(tree),
        "similarity": np.array([outcome.value for outcome in outcomes], dtype=np.float64),
    }
    # So that equal vectors, summed in another order, tie.
    return {name: values.round(6) for name, values in answers.items()}


@torch.inference_mode()
def embed(texts: Sequence[str], tokenizer: PieceTokenizer, trunk: Trunk) -> torch.Tensor:
    """Return (B, H): the mean of the embeddings of each text's pieces, which no layer has read."""
    return torch.stack(
        [trunk.pieces(torch.tensor(found.ids)).mean(0) for found in tokenizer.encode_batch(texts)]
    )


def vectors(
    texts: Sequence[str], lang: Lang, trunk: Trunk, *, batch: int = 32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (B, H) means of the trunk's last layer and (B, R) roots of the best trees."""
    parser = load_parser(FOLDER, trunk=trunk)
    reader = load_meaning(FOLDER, trunk=trunk, tokenizer=parser.tokenizer)
    sentences = [Document.from_text(text, lang=lang).sentences[0] for text in texts]
    found = []
    for at in range(0, len(sentences), batch):
        own = sentences[at : at + batch]
        found += [meanings[0] for meanings in reader.judge(own, [[t] for t in parser.parse(own)])]
    return torch.stack([m.pooled for m in found]), torch.stack([m.root for m in found])


def cosines(sides: torch.Tensor) -> NDArray[np.float64]:
    """Cosines of (2 N, H) rows, two and two."""
    values = torch.cosine_similarity(sides[0::2].double(), sides[1::2].double(), dim=-1)
    return np.asarray(values.numpy(), dtype=np.float64)


def shared_neighbours(pair: StructurePair) -> float:
    """Share of the pairs of neighbouring words of either side that both sides have."""
    first, second = (set(pairwise(bare_words(text))) for text in (pair.first, pair.second))
    return len(first & second) / len(first | second)


def area(
    labels: NDArray[np.int64], values: NDArray[np.float64], chosen: NDArray[np.int64]
) -> float:
    """Area under the curve: how often a pair labelled 1 scores above one labelled 0."""
    return float(roc_auc_score(labels[chosen], values[chosen]))


def measure(scores: Scores, labels: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """Area of each way to compare."""
    return {
        name: over_frames(labels, partial(area, labels, values)) for name, values in scores.items()
    }


def differences(scores: Scores, labels: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """How much larger one area is than another, on the same draws."""

    def gap(more: str, less: str, chosen: NDArray[np.int64]) -> float:
        return area(labels, scores[more], chosen) - area(labels, scores[less], chosen)

    return {
        f"{more} - {less}": over_frames(labels, partial(gap, more, less))
        for more, less in DIFFERENCES
    }


def over_frames(
    labels: NDArray[np.int64], figure: Callable[[NDArray[np.int64]], float]
) -> dict[str, float]:
    """Measure with a 95 % interval over frames: two lines each, one of each label."""
    value, low, high = bootstrap_units(
        len(labels) // 2,
        lambda frames: figure(np.concatenate([2 * frames, 2 * frames + 1])),
    )
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4)}


def show(lang: Lang, rows: Sequence[Mapping[str, Any]], part: Mapping[str, Any]) -> str:
    """The results of one language as Markdown."""
    name = {"en": "English", "zh": "Chinese"}[lang]

    def cell(found: Mapping[str, float]) -> str:
        value, low, high = (100 * found[key] for key in ("value", "low", "high"))
        return f"{value:.1f} ({low:.0f} to {high:.0f})"

    lines = [
        f"| {name} | n | {' | '.join(SCORERS.values())} |",
        "|---|---|" + "---|" * len(SCORERS),
    ]
    lines += [
        f"| {row['kind']} | {row['n']} | {' | '.join(cell(row['auc'][s]) for s in SCORERS)} |"
        for row in rows
    ]
    gaps = [
        f"{SCORERS[more]} less {SCORERS[less]}: {cell(part['differences'][f'{more} - {less}'])}"
        for more, less in DIFFERENCES
    ]
    means = part["mean_similarity"]
    lines += [
        "",
        f"{'; '.join(gaps)}. Mean `nlp.similarity` where the two say the same: {means['1']:.3f}; "
        f"where they do not: {means['0']:.3f}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
