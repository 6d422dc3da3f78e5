"""Texts, and pairs of texts, as items over the parser's own words and trees.

A text of several sentences is their trees, joined from the first to the last. All networks read the
words that the parser found, so that only the structure over them differs.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np

from treenlp.data.pairs import LabelledPair, read_pairs
from treenlp.data.parts import Part
from treenlp.data.structure_pairs import StructurePair, read_structure_pairs
from treenlp.data.texts import LabelledText, read_texts
from treenlp.errors import ConfigError
from treenlp.experiment.lab.config import DataConfig
from treenlp.experiment.lab.items import Corpus, Item
from treenlp.experiment.lab.leaves import SentenceLeaves
from treenlp.experiment.meaning_stage import parse_cached
from treenlp.parsing.parser import load_parser, load_trunk
from treenlp.tasks.reader import leaf_offsets
from treenlp.text import Document

__all__ = ["choose_texts", "read_pair_corpus", "read_text_corpus"]

_GRADES = ("0", "1/4", "1/2", "3/4", "1")
_T = TypeVar("_T", LabelledText, LabelledPair)


def choose_texts(
    parts: Mapping[Part, Sequence[_T]], *, items: int, seed: int = 0
) -> dict[Part, list[_T]]:
    """Draw so many for training, or take all if there are fewer; what is measured on stays whole.

    Args:
        parts: texts or pairs of a corpus.
        items: of training, at least 1.
        seed: of the draw.
    """
    chosen = {part: list(found) for part, found in parts.items()}
    train = chosen["train"]
    places = random.Random(f"{seed} train").sample(range(len(train)), min(items, len(train)))
    chosen["train"] = [train[n] for n in sorted(places)]
    return chosen


def read_text_corpus(
    config: DataConfig,
    cache: Path,
    model: Path,
    *,
    leaves: Sequence[str],
    say: Callable[[str], None] = lambda text: None,
) -> Corpus:
    """Read the texts of `config.source`; those without any sentence are left out.

    Args:
        config: whose source and columns are read.
        cache: folder of trees and leaf vectors.
        model: folder of the trunk and the parser.
        leaves: kinds of leaf vectors.
        say: gets a line about long work.
    """
    found = read_texts(config.source, text=config.text_column, label=config.label_column)
    chosen = choose_texts(found.parts, items=config.items)
    texts = [text.text for own in chosen.values() for text in own]
    read = _Texts.read(texts, cache, model, leaves=leaves, say=say)
    items = iter(read.items)
    parts: dict[Part, list[Item]] = {}
    for part, own in chosen.items():
        pairs = [(text, next(items)) for text in own]
        parts[part] = [replace(item, root=text.label) for text, item in pairs if item.size]
    return Corpus(
        vectors=read.leaves.vectors,
        tuned=read.leaves.tuned,
        parts=parts,
        classes=found.classes,
        digest=_digest(chosen.items()),
    )


def read_pair_corpus(
    config: DataConfig,
    cache: Path,
    model: Path,
    *,
    leaves: Sequence[str],
    say: Callable[[str], None] = lambda text: None,
) -> Corpus:
    """Read the pairs of `config.source`; those of which a side has no sentence are left out.

    Args:
        config: whose source is read.
        cache: folder of trees and leaf vectors.
        model: folder of the trunk and the parser.
        leaves: kinds of leaf vectors.
        say: gets a line about long work.
    """
    found = read_pairs(config.source)
    if config.transfer and len(found.classes) not in (0, 2):
        raise ConfigError(
            f"found transfer = {config.transfer!r} with the source {config.source!r}, whose "
            f"classes are {', '.join(found.classes)}; expected one that says whether two sentences "
            "mean the same"
        )
    chosen = choose_texts(found.parts, items=config.items)
    own_pairs = read_structure_pairs(Path(config.transfer)) if config.transfer else ()
    pairs: list[LabelledPair | StructurePair] = [pair for own in chosen.values() for pair in own]
    pairs += own_pairs
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.first, pair.second)))
    read = _Texts.read(texts, cache, model, leaves=leaves, say=say)
    item_of = dict(zip(texts, read.items, strict=True))

    def item(pair: LabelledPair | StructurePair, answer: float, kind: str = "") -> Item:
        root = int(answer) if found.classes else answer  # classes are whole numbers
        return replace(item_of[pair.first], root=root, second=item_of[pair.second], kind=kind)

    def has_leaves(pair: LabelledPair) -> bool:
        return bool(item_of[pair.first].size and item_of[pair.second].size)

    return Corpus(
        vectors=read.leaves.vectors,
        tuned=read.leaves.tuned,
        parts={
            part: [item(pair, pair.answer) for pair in own if has_leaves(pair)]
            for part, own in chosen.items()
        },
        transfer=[item(pair, pair.label, pair.kind) for pair in own_pairs],
        classes=found.classes or _GRADES,
        digest=_digest([*chosen.items(), *([("transfer", own_pairs)] if own_pairs else [])]),
        is_graded=not found.classes,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Texts:
    """Texts as items without an answer.

    Attributes:
        leaves: of all their sentences.
        items: one for each text, of no leaf if it has no sentence.
    """

    leaves: SentenceLeaves
    items: Sequence[Item]

    @classmethod
    def read(
        cls,
        texts: Sequence[str],
        cache: Path,
        model: Path,
        *,
        leaves: Sequence[str],
        say: Callable[[str], None],
    ) -> _Texts:
        by_text = [tuple(Document.from_text(text)) for text in texts]
        sentences = [sentence for own in by_text for sentence in own]
        trunk = load_trunk(model).float()
        # in 32 bits everywhere: experiments of two processors are to have the same trees
        parser = load_parser(model, trunk=trunk, bf16=False)
        say(f"parsing {len(sentences):,} sentences of {len(texts):,} texts")
        trees = parse_cached(
            cache / "trees.txt",
            sentences,
            parser,
            report=lambda done, total: say(f"parsed {done:,} of {total:,}"),
        )
        say("reading the leaves' vectors")
        read = SentenceLeaves.read(
            cache / "pieces",
            sentences,
            [leaf_offsets(t, s) for t, s in zip(trees, sentences, strict=True)],
            kinds=leaves,
            tokenizer=parser.tokenizer,
            trunk=trunk,
        )
        ends = np.cumsum([0] + [len(own) for own in by_text]).tolist()
        langs = [sentence.lang for sentence in sentences]
        items = [
            Item.from_trees(trees[a:b], langs[a:b], int(read.starts[a])) for a, b in pairwise(ends)
        ]
        return cls(leaves=read, items=items)


def _digest(
    chosen: Iterable[tuple[str, Sequence[LabelledText | LabelledPair | StructurePair]]],
) -> str:
    values = {part: [asdict(found) for found in own] for part, own in chosen}
    written = json.dumps(values, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()
