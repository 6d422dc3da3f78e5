"""The sentiment treebank as items: gold and our own trees, classes of sentences and phrases."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from treenlp.composition import TreeShape
from treenlp.data.sentiment import SentimentTree, read_sst
from treenlp.errors import DataError
from treenlp.experiment.lab.items import PARTS, Corpus, Item
from treenlp.experiment.lab.leaves import SentenceLeaves
from treenlp.experiment.meaning_stage import parse_cached
from treenlp.parsing.parser import load_parser, load_trunk
from treenlp.tasks.reader import leaf_offsets
from treenlp.tasks.sentiment import LABELS, span_labels
from treenlp.text import Sentence
from treenlp.trees import dependencies

__all__ = ["read_sst_corpus"]


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
    heads: list[tuple[int, ...]] = [() for _ in found]
    if "parsed" in trees:
        say("parsing the treebank")
        parsed = parse_cached(cache / "trees.txt", sentences, parser)
        heads = [dependencies(tree, "en") for tree in parsed]
        for own, tree, sentence in zip(shapes, parsed, sentences, strict=True):
            if leaf_offsets(tree, sentence) == list(sentence.atoms):
                own["parsed"] = TreeShape.from_tree(tree)
            else:  # words of the treebank are atoms, so this never happens
                raise DataError(f"found {tree} over other words than {sentence.surface!r}")
    say("reading the leaves' vectors")
    read = SentenceLeaves.read(
        cache / "pieces",
        sentences,
        [sentence.atoms for sentence in sentences],
        kinds=leaves,
        tokenizer=parser.tokenizer,
        trunk=trunk,
    )
    items = [
        Item(
            start=int(read.starts[n]),
            size=len(sentences[n].atoms),
            shapes=shapes[n],
            labels=span_labels(item.tree),
            root=item.label,
            heads=heads[n],
        )
        for n, item in enumerate(found)
    ]
    text = "\n".join(str(item.tree) for item in found)
    return Corpus(
        vectors=read.vectors,
        tuned=read.tuned,
        parts={
            part: [item for item, tree in zip(items, found, strict=True) if tree.part == part]
            for part in PARTS
        },
        classes=LABELS,
        digest=hashlib.sha256(text.encode()).hexdigest(),
    )
