"""Items of an experiment: leaf vectors made once, trees of several kinds, classes of phrases.

Leaves are frozen, so a run takes minutes: of the sentiment treebank "static" ones are the means of
a word's piece embeddings, "contextual" ones the means of its pieces after the trunk's lower layers,
which no task has tuned. The made-up tasks have one vector for each word of a small vocabulary.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from treenlp.composition import ControlName, TreeShape, control_shape
from treenlp.data.sentiment import SentimentTree, read_sst
from treenlp.errors import ConfigError, DataError
from treenlp.experiment.lab.config import DataConfig
from treenlp.experiment.meaning_stage import PieceStore, parse_cached
from treenlp.parsing.parser import load_parser, load_trunk
from treenlp.tasks.meaning import leaf_piece_ranges
from treenlp.tasks.reader import leaf_offsets
from treenlp.tasks.sentiment import LABELS, span_labels
from treenlp.text import Sentence

__all__ = ["Corpus", "Item", "Part", "make_recall", "read_corpus", "read_sst_corpus"]

Part = Literal["train", "dev", "test"]
PARTS: tuple[Part, ...] = ("train", "dev", "test")
FROZEN_LAYERS = 6
"""Trunk layers under contextual leaves; those above were tuned to tasks, one of them this one."""

_CONTROLS: tuple[ControlName, ...] = ("right", "left", "balanced", "random")


@dataclass(frozen=True, kw_only=True, eq=False)
class Item:
    """A sentence.

    Attributes:
        start: row of its first leaf in the corpus's vectors.
        size: number of leaves.
        shapes: its trees by kind; control trees are made when they are asked for.
        labels: class by span of leaves.
        root: class of the whole.
    """

    start: int
    size: int
    shapes: Mapping[str, TreeShape] = field(default_factory=dict)
    labels: Mapping[tuple[int, int], int] = field(default_factory=dict)
    root: int

    def shape(self, kind: str) -> TreeShape:
        """Return the tree of a kind; a random one is the same for the same place in the corpus."""
        if kind in self.shapes:
            return self.shapes[kind]
        for control in _CONTROLS:
            if control == kind:
                return control_shape(control, self.size, seed=self.start)
        raise DataError(
            f"found no trees of the kind {kind!r}, expected one of: "
            f"{', '.join((*self.shapes, *_CONTROLS))}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """Items in three parts.

    Attributes:
        vectors: (N, D) float16 leaf vectors, by the kind of leaves.
        parts: items of each part.
        classes: names of the classes.
        digest: SHA-256 of texts and classes.
    """

    vectors: Mapping[str, NDArray[np.float16]]
    parts: Mapping[Part, Sequence[Item]]
    classes: tuple[str, ...]
    digest: str


def read_corpus(
    config: DataConfig,
    cache: Path,
    *,
    leaves: Sequence[str],
    trees: Sequence[str],
    gap: int,
    model: Path | None,
    say: Callable[[str], None],
) -> Corpus:
    """Make the corpus of an experiment.

    Args:
        config: which task.
        cache: folder of what is made once.
        leaves: kinds of leaf vectors that are needed (sst).
        trees: kinds of trees that are needed (sst).
        gap: of the made-up tasks.
        model: folder whose trunk and parser are used (sst).
        say: gets a line about long work.

    Raises:
        DataError: if the data are not there.
        ConfigError: if a model is needed and none is given.
    """
    if config.task == "sst":
        if model is None:
            raise ConfigError("found no model, expected the folder of one: sst needs its trunk")
        return read_sst_corpus(cache, model, leaves=leaves, trees=trees, say=say)
    return make_recall(config.items, gap, agreement=config.task == "agreement")


def read_sst_corpus(
    cache: Path,
    model: Path,
    *,
    leaves: Sequence[str],
    trees: Sequence[str],
    say: Callable[[str], None] = lambda text: None,
) -> Corpus:
    """Read the sentiment treebank with leaf vectors and, if asked for, the parser's trees."""
    found: list[SentimentTree] = [item for part in PARTS for item in read_sst(part)]
    sentences = [
        Sentence(text=item.text, start=0, end=len(item.text), lang="en", atoms=tuple(item.words))
        for item in found
    ]
    trunk = load_trunk(model).float()
    parser = load_parser(model, trunk=trunk)
    shapes: list[dict[str, TreeShape]] = [
        {"gold": TreeShape.from_tree(item.tree)} if "gold" in trees else {} for item in found
    ]
    if "parsed" in trees:
        say("parsing the treebank")
        parsed = parse_cached(cache / "trees.txt", sentences, parser)
        for own, tree, sentence in zip(shapes, parsed, sentences, strict=True):
            if leaf_offsets(tree, sentence) == list(sentence.atoms):
                own["parsed"] = TreeShape.from_tree(tree)
            else:  # words of the treebank are atoms, so this never happens
                raise DataError(f"found {tree} over other words than {sentence.surface!r}")
    say("reading the leaves' vectors")
    store = PieceStore.build(
        cache / "pieces",
        [sentence.model_text for sentence in sentences],
        parser.tokenizer,
        trunk,
        fork=FROZEN_LAYERS,
    )
    starts = np.concatenate([[0], np.cumsum([len(s.atoms) for s in sentences])])
    vectors = {
        kind: np.zeros((int(starts[-1]), store.hidden.shape[1]), dtype=np.float16)
        for kind in leaves
    }
    for n, sentence in enumerate(sentences):
        first, last = int(store.starts[n]) + 1, int(store.starts[n + 1]) - 1
        ranges = leaf_piece_ranges(sentence.atoms, store.offsets[first:last])
        ids = torch.from_numpy(store.ids[first:last].astype(np.int64))
        rows = {"contextual": np.asarray(store.hidden[first:last], dtype=np.float32)}
        if "static" in leaves:
            rows["static"] = trunk.pieces(ids).float().numpy()
        for kind, table in vectors.items():
            for leaf, (start, end) in enumerate(ranges.tolist()):
                if end > start:
                    table[starts[n] + leaf] = rows[kind][start:end].mean(0)
    items = [
        Item(
            start=int(starts[n]),
            size=len(sentences[n].atoms),
            shapes=shapes[n],
            labels=span_labels(item.tree),
            root=item.label,
        )
        for n, item in enumerate(found)
    ]
    text = "\n".join(str(item.tree) for item in found)
    return Corpus(
        vectors=vectors,
        parts={
            part: [item for item, tree in zip(items, found, strict=True) if tree.part == part]
            for part in PARTS
        },
        classes=LABELS,
        digest=hashlib.sha256(text.encode()).hexdigest(),
    )


_MARKS = 4
_FILLERS = 20


def make_recall(items: int, gap: int, *, agreement: bool = False, seed: int = 0) -> Corpus:
    """Make sequences whose class stands `gap` words before their end.

    Hochreiter & Schmidhuber (1997), section 5.2, in spirit. "Recall": the first word is one of
    four marks, then come `gap` words that say nothing. "Agreement": the first noun is singular or
    plural, other nouns of either number stand among the words between, and the class is the
    number of the first.

    Args:
        items: training items; a fifth as many are in each of the other parts.
        gap: words after the one that counts.
        agreement: which of the two.
        seed: of the draws.
    """
    rng = random.Random(f"{seed} {gap} {agreement}")
    vocabulary = _MARKS + _FILLERS
    table = np.random.default_rng(seed).normal(size=(vocabulary, 32)).astype(np.float16)
    classes = ("singular", "plural") if agreement else ("first", "second", "third", "fourth")
    rows: list[int] = []
    parts: dict[Part, list[Item]] = {}
    for part in PARTS:
        parts[part] = []
        for _ in range(items if part == "train" else max(items // 5, 1)):
            label = rng.randrange(len(classes))
            between = [rng.randrange(_MARKS, vocabulary) for _ in range(gap)]
            if agreement:  # other nouns on the way, of either number
                for place in range(2, gap, 5):
                    between[place] = rng.randrange(2)
            start = len(rows)
            rows += [label, *between]
            parts[part].append(Item(start=start, size=gap + 1, root=label))
    digest = hashlib.sha256(np.array(rows, dtype=np.int32).tobytes()).hexdigest()
    return Corpus(
        vectors={kind: table[np.array(rows)] for kind in ("static", "contextual")},
        parts=parts,
        classes=classes,
        digest=digest,
    )
