"""Items of an experiment: leaf vectors made once, trees of several kinds, classes of phrases.

Leaves are frozen, so a run takes minutes: of the sentiment treebank "static" ones are the means of
a word's piece embeddings, "contextual" ones the means of its pieces after the trunk's lower layers,
which no task has tuned. The made-up tasks have one vector for each word of a small vocabulary.
Around a blank stand static ones, and what a cell is not to see is not in its items.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from treenlp.composition import ControlName, TreeShape, control_shape
from treenlp.data.blanks import BLANK, Blank, character_blanks, sentences_by_part, word_blanks
from treenlp.data.homophones import read_homophones
from treenlp.data.pku import read_pku
from treenlp.data.sentiment import SentimentTree, read_sst
from treenlp.encoder import PieceTokenizer
from treenlp.errors import ConfigError, DataError
from treenlp.experiment.lab.config import BLANK_TASKS, DataConfig
from treenlp.experiment.meaning_stage import PieceStore, parse_cached
from treenlp.parsing.parser import load_parser, load_trunk
from treenlp.tasks.meaning import leaf_piece_ranges
from treenlp.tasks.reader import leaf_offsets
from treenlp.tasks.sentiment import LABELS, span_labels
from treenlp.text import Sentence

__all__ = [
    "BLANK_ROW",
    "Corpus",
    "Item",
    "Part",
    "make_blanks",
    "make_recall",
    "piece_vectors",
    "read_blanks",
    "read_corpus",
    "read_sst_corpus",
]

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
        candidates: classes that it is chosen from; empty means all.
    """

    start: int
    size: int
    shapes: Mapping[str, TreeShape] = field(default_factory=dict)
    labels: Mapping[tuple[int, int], int] = field(default_factory=dict)
    root: int
    candidates: tuple[int, ...] = ()

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
        symbols: row of each leaf's vector, where leaves recur; None where each leaf has its own.
        parts: items of each part.
        classes: names of the classes.
        digest: SHA-256 of texts and classes.
    """

    vectors: Mapping[str, NDArray[np.float16]]
    parts: Mapping[Part, Sequence[Item]]
    classes: tuple[str, ...]
    digest: str
    symbols: NDArray[np.int32] | None = None


def read_corpus(
    config: DataConfig,
    cache: Path,
    *,
    leaves: Sequence[str],
    trees: Sequence[str],
    gap: int,
    sides: str,
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
        sides: of a blank that are shown.
        model: folder whose trunk and parser are used (sst; its trunk alone around blanks).
        say: gets a line about long work.

    Raises:
        DataError: if the data are not there.
        ConfigError: if a model is needed and none is given.
    """
    if config.task == "sst":
        return read_sst_corpus(
            cache, _needed(model, config.task), leaves=leaves, trees=trees, say=say
        )
    if config.task in BLANK_TASKS:
        say("leaving out what is to be found")
        blanks, classes = read_blanks(config)
        table = partial(piece_vectors, model=_needed(model, config.task))
        return make_blanks(blanks, classes, sides=sides, table=table)
    return make_recall(config.items, gap, agreement=config.task == "agreement")


def _needed(model: Path | None, task: str) -> Path:
    if model is None:
        raise ConfigError(f"found no model, expected the folder of one: {task} needs its trunk")
    return model


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


BLANK_ROW = 0
"""Row of the vectors, and so the symbol, that stands for what is left out."""


def read_blanks(config: DataConfig) -> tuple[dict[Part, list[Blank]], tuple[str, ...]]:
    """Leave out characters or words of the newspaper.

    Returns:
        The blanks of each part, and what may be left out: the classes.
    """
    sentences = sentences_by_part(read_pku())
    if config.task == "homophones":
        sets = read_homophones(Path(config.homophones))
        blanks = character_blanks(sentences, sets, items=config.items, window=config.window)
        return blanks, tuple(character for own in sets for character in own.characters)
    blanks = word_blanks(sentences, words=config.words, items=config.items, window=config.window)
    return blanks, blanks["train"][0].candidates


def make_blanks(
    blanks: Mapping[Part, Sequence[Blank]],
    classes: Sequence[str],
    *,
    sides: str,
    table: Callable[[Sequence[str]], NDArray[np.float16]],
) -> Corpus:
    """Make items of which one side of the blank, or neither, is hidden.

    Items go round the blank, so that networks need not know of it: first what follows it, then a
    leaf for the blank, then what precedes it. A reader of either direction ends beside the blank,
    having read its own side last. (In the order of the text the two last states are a window
    away from it.) Of one side alone items begin with the blank and end beside it, so what
    follows it is read backwards.

    Args:
        blanks: of each part.
        classes: what may be left out.
        sides: "both", "left" or "right"; whichever it is, items and their order are the same.
        table: makes the vectors (W, D) of symbols.
    """
    number = {name: n for n, name in enumerate(classes)}
    rows: dict[str, int] = {BLANK: BLANK_ROW}
    symbols: list[int] = []
    parts: dict[Part, list[Item]] = {}
    for part, own in blanks.items():
        parts[part] = []
        for blank in own:
            shown = {
                "both": [*blank.after, BLANK, *blank.before],
                "left": [BLANK, *blank.before],
                "right": [BLANK, *reversed(blank.after)],
            }[sides]
            parts[part].append(
                Item(
                    start=len(symbols),
                    size=len(shown),
                    root=number[blank.answer],
                    candidates=tuple(number[name] for name in blank.candidates),
                )
            )
            symbols += [rows.setdefault(leaf, len(rows)) for leaf in shown]
    vectors = table(list(rows)[1:])
    drawn = np.random.default_rng(0).normal(size=(1, vectors.shape[1]))  # of the blank
    scale = vectors.std() if len(vectors) else 1.0
    text = {part: [asdict(blank) for blank in own] for part, own in blanks.items()}
    written = json.dumps([list(classes), text], ensure_ascii=False, sort_keys=True)
    return Corpus(
        vectors={"static": np.concatenate([drawn * scale, vectors]).astype(np.float16)},
        parts=parts,
        classes=tuple(classes),
        digest=hashlib.sha256(written.encode()).hexdigest(),
        symbols=np.array(symbols, dtype=np.int32),
    )


def piece_vectors(leaves: Sequence[str], *, model: Path) -> NDArray[np.float16]:
    """Means (W, D) of the piece embeddings of characters or words, each by itself."""
    tokenizer = PieceTokenizer.load(model / "tokenizer.json")
    trunk = load_trunk(model).float()
    found = np.zeros((len(leaves), trunk.config.hidden_size), dtype=np.float16)
    for n, (leaf, pieces) in enumerate(zip(leaves, tokenizer.encode_batch(leaves), strict=True)):
        ids = [i for i, (start, end) in zip(pieces.ids, pieces.offsets, strict=True) if end > start]
        if len(leaf) == 1:
            ids = [tokenizer.character(leaf)]
        if ids:
            found[n] = trunk.pieces(torch.tensor(ids)).float().mean(0).numpy()
    return found
