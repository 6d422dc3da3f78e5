"""The sentiment treebank as items: gold and our own trees, classes of sentences and phrases."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from treenlp.composition import TreeShape
from treenlp.data.parts import PARTS
from treenlp.data.phrases import read_phrases
from treenlp.data.sentiment import SentimentTree, read_sst
from treenlp.errors import DataError
from treenlp.experiment.lab.config import DataConfig
from treenlp.experiment.lab.items import Corpus, Item, preorder_spans
from treenlp.experiment.lab.leaves import SentenceLeaves
from treenlp.experiment.meaning_stage import parse_cached
from treenlp.parsing.parser import load_parser, load_trunk
from treenlp.tasks.reader import leaf_offsets
from treenlp.tasks.sentiment import LABELS, span_labels
from treenlp.text import Document, Sentence
from treenlp.trees import dependencies

__all__ = ["read_sst_corpus"]


def read_sst_corpus(
    config: DataConfig,
    cache: Path,
    model: Path,
    *,
    leaves: Sequence[str],
    trees: Sequence[str],
    say: Callable[[str], None] = lambda text: None,
) -> Corpus:
    """Read the sentiment treebank with leaf vectors and, if asked for, the parser's trees.

    Args:
        config: whose phrases for transfer are read; they are Chinese.
        cache: folder of trees and leaf vectors.
        model: folder of the trunk and the parser.
        leaves: kinds of leaf vectors.
        trees: kinds of trees.
        say: gets a line about long work.
    """
    found: list[SentimentTree] = [item for part in PARTS for item in read_sst(part)]
    sentences = [
        Sentence(text=item.text, start=0, end=len(item.text), lang="en", atoms=tuple(item.words))
        for item in found
    ]
    phrases = read_phrases(Path(config.transfer)) if config.transfer else ()
    by_phrase = [tuple(Document.from_text(phrase.text, lang="zh")) for phrase in phrases]
    added = [sentence for own in by_phrase for sentence in own]
    trunk = load_trunk(model).float()
    # in 32 bits everywhere: experiments of two processors are to have the same trees
    parser = load_parser(model, trunk=trunk, bf16=False)
    shapes: list[dict[str, TreeShape]] = [
        {"gold": TreeShape.from_tree(item.tree)} if "gold" in trees else {} for item in found
    ]
    heads: list[tuple[int, ...]] = [() for _ in found]
    by_parser: list[tuple[tuple[int, int], ...]] = [() for _ in found]
    if "parsed" in trees:
        say("parsing the treebank")
        parsed = parse_cached(cache / "trees.txt", sentences, parser)
        heads = [dependencies(tree, "en") for tree in parsed]
        by_parser = [preorder_spans(tree) for tree in parsed]
        for own, tree, sentence in zip(shapes, parsed, sentences, strict=True):
            if leaf_offsets(tree, sentence) == list(sentence.atoms):
                own["parsed"] = TreeShape.from_tree(tree)
            else:  # words of the treebank are atoms, so this never happens
                raise DataError(f"found {tree} over other words than {sentence.surface!r}")
    added_trees = parse_cached(cache / "transfer.txt", added, parser) if added else []
    say("reading the leaves' vectors")
    read = SentenceLeaves.read(
        cache / "pieces",
        [*sentences, *added],
        [
            *(sentence.atoms for sentence in sentences),
            *(leaf_offsets(t, s) for t, s in zip(added_trees, added, strict=True)),
        ],
        kinds=leaves,
        tokenizer=parser.tokenizer,
        trunk=trunk,
    )
    items = [
        Item(
            start=int(read.starts[n]),
            size=len(sentences[n].atoms),
            shapes=shapes[n],
            labels=span_labels(sentence.tree),
            root=sentence.label,
            heads=heads[n],
            phrases=by_parser[n],
        )
        for n, sentence in enumerate(found)
    ]
    ends = np.cumsum([0] + [len(own) for own in by_phrase]).tolist()
    transfer = []
    for phrase, (a, b) in zip(phrases, pairwise(ends), strict=True):
        start = int(read.starts[len(sentences) + a])
        item = Item.from_trees(added_trees[a:b], ["zh"] * (b - a), start)
        by_kind = dict.fromkeys(("gold", "parsed"), item.shapes["parsed"])
        transfer.append(replace(item, root=phrase.label, kind=phrase.kind, shapes=by_kind))
    lines = [str(item.tree) for item in found] + [f"{p.label} {p.text}" for p in phrases]
    return Corpus(
        vectors=read.vectors,
        tuned=read.tuned,
        parts={
            part: [item for item, tree in zip(items, found, strict=True) if tree.part == part]
            for part in PARTS
        },
        transfer=transfer,
        classes=LABELS,
        digest=hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    )
