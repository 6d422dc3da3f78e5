"""Baselines of blanks as cells among the networks: the same items, but counted, not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from treenlp.errors import ConfigError
from treenlp.experiment.lab.blank_items import BLANK_ROW
from treenlp.experiment.lab.classifier import Answers
from treenlp.experiment.lab.config import BASELINES
from treenlp.experiment.lab.items import Corpus, Item
from treenlp.tasks.cloze import Gap, NeighbourModel

__all__ = ["Counted", "count_neighbours", "gap_of"]

_REACH = {"majority": 0, "trigram": 2}


@dataclass(frozen=True, kw_only=True, eq=False)
class Counted:
    """What a baseline said.

    Attributes:
        dev: of the items that its prior was tuned on.
        test: of those that are measured on.
        size: counts that it keeps.
    """

    dev: Answers
    test: Answers
    size: int


def gap_of(corpus: Corpus, item: Item) -> Gap:
    """Read the neighbours of an item's blank; those beyond it come first in an item."""
    if corpus.symbols is None:
        raise ConfigError("found items without a blank, expected a task that has blanks")
    shown = corpus.symbols[item.start : item.start + item.size].tolist()
    place = shown.index(BLANK_ROW)
    return Gap(
        before=tuple(reversed(shown[place + 1 :][-2:])),
        after=tuple(shown[:place][:2]),
        candidates=item.candidates or tuple(range(len(corpus.classes))),
    )


def count_neighbours(name: str, corpus: Corpus, items: Sequence[Item]) -> Counted:
    """Count on some items, tune the prior on dev and answer dev and test.

    Args:
        name: of `BASELINES`.
        corpus: that the items are of.
        items: to learn from.

    Raises:
        ConfigError: if there is no such baseline, or the items have no blank.
    """
    if name not in BASELINES:
        raise ConfigError(f"found the baseline {name!r}, expected one of: {', '.join(BASELINES)}")
    gaps = [gap_of(corpus, item) for item in items]
    model = NeighbourModel(gaps, [int(item.root) for item in items], reach=_REACH[name])
    dev = corpus.parts["dev"]
    model.tune([gap_of(corpus, item) for item in dev], [int(item.root) for item in dev])
    return Counted(
        dev=_answer(model, corpus, dev),
        test=_answer(model, corpus, corpus.parts["test"]),
        size=model.size,
    )


def _answer(model: NeighbourModel, corpus: Corpus, items: Sequence[Item]) -> Answers:
    roots = np.array([model.answer(gap_of(corpus, item)) for item in items])
    targets = np.array([item.root for item in items])
    return Answers(
        roots=roots,
        targets=targets,
        right=(roots == targets).astype(np.int64),
        total=np.ones(len(items), dtype=np.int64),
    )
