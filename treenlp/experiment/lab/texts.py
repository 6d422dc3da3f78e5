"""Texts of several sentences as items: the parser's trees, joined from the first to the last."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import pairwise
from pathlib import Path

import numpy as np

from treenlp.composition import TreeShape
from treenlp.data.texts import LabelledText, TextSplit, read_texts
from treenlp.experiment.lab.config import DataConfig
from treenlp.experiment.lab.items import Corpus, Item
from treenlp.experiment.lab.leaves import sentence_vectors
from treenlp.experiment.meaning_stage import parse_cached
from treenlp.parsing.parser import load_parser, load_trunk
from treenlp.tasks.reader import leaf_offsets
from treenlp.text import Document
from treenlp.trees.tree import Tree

__all__ = ["choose_texts", "read_text_corpus"]

_TOP = "TEXT"


def choose_texts(
    parts: Mapping[TextSplit, Sequence[LabelledText]], *, items: int, seed: int = 0
) -> dict[TextSplit, list[LabelledText]]:
    """Draw so many training texts, and a fifth as many of each other part; all if there are fewer.

    Args:
        parts: of a corpus.
        items: training texts; 0 means all, of the other parts, too.
        seed: of the draw.
    """
    chosen: dict[TextSplit, list[LabelledText]] = {}
    for part, texts in parts.items():
        most = len(texts) if not items else items if part == "train" else max(items // 5, 1)
        rng = random.Random(f"{seed} {part}")
        places = sorted(rng.sample(range(len(texts)), min(most, len(texts))))
        chosen[part] = [texts[n] for n in places]
    return chosen


def read_text_corpus(
    config: DataConfig,
    cache: Path,
    model: Path,
    *,
    leaves: Sequence[str],
    say: Callable[[str], None] = lambda text: None,
) -> Corpus:
    """Read texts with the parser's words and trees; a text is the trees of its sentences in a row.

    All networks read the words that the parser found, so that only the structure over them differs.

    Args:
        config: whose source and columns are read.
        cache: folder of trees and leaf vectors.
        model: folder of the trunk and the parser.
        leaves: kinds of leaf vectors.
        say: gets a line about long work.
    """
    found = read_texts(config.source, text=config.text_column, label=config.label_column)
    chosen = choose_texts(found.parts, items=config.items)
    texts = [(part, text) for part, own in chosen.items() for text in own]
    by_text = [tuple(Document.from_text(text.text)) for _, text in texts]
    sentences = [sentence for own in by_text for sentence in own]
    trunk = load_trunk(model).float()
    parser = load_parser(model, trunk=trunk)
    say(f"parsing {len(sentences):,} sentences of {len(texts):,} texts")
    trees = parse_cached(
        cache / "trees.txt",
        sentences,
        parser,
        report=lambda done, total: say(f"parsed {done:,} of {total:,}"),
    )
    say("reading the leaves' vectors")
    vectors, starts = sentence_vectors(
        cache / "pieces",
        sentences,
        [leaf_offsets(t, s) for t, s in zip(trees, sentences, strict=True)],
        kinds=leaves,
        tokenizer=parser.tokenizer,
        trunk=trunk,
    )
    ends = np.cumsum([0] + [len(own) for own in by_text]).tolist()
    parts: dict[TextSplit, list[Item]] = {part: [] for part in chosen}
    for (part, text), (first, last) in zip(texts, pairwise(ends), strict=True):
        if first < last:
            parts[part].append(_item(text.label, trees[first:last], int(starts[first])))
    written = json.dumps(
        {part: [(text.text, text.label) for text in own] for part, own in chosen.items()},
        ensure_ascii=False,
    )
    return Corpus(
        vectors=vectors,
        parts=parts,
        classes=found.classes,
        digest=hashlib.sha256(written.encode()).hexdigest(),
    )


def _item(label: int, trees: Sequence[Tree], start: int) -> Item:
    """Sentences are joined from the left: what was read first is deepest."""
    tree = reduce(lambda before, after: Tree.build(_TOP, [before, after]), trees)
    return Item(
        start=start,
        size=tree.num_leaves,
        shapes={"parsed": TreeShape.from_tree(tree)},
        root=label,
    )
