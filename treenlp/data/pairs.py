"""Pairs of sentences with one answer each, by the name of their corpus, for experiments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from treenlp.data.parts import Part
from treenlp.data.similarity import (
    SentencePair,
    SickPart,
    divide_pairs,
    read_paraphrases,
    read_sick,
    read_sts,
)
from treenlp.errors import DataError

__all__ = ["PAIR_SOURCES", "LabelledPair", "LabelledPairs", "read_pairs"]

_SICK_PARTS: Mapping[SickPart, Part] = {"train": "train", "trial": "dev", "test": "test"}
_ENTAILMENTS = ("CONTRADICTION", "NEUTRAL", "ENTAILMENT")
_TEST_SEED = "treenlp pairs 1, test"


@dataclass(frozen=True, kw_only=True)
class LabelledPair:
    """Two sentences.

    Attributes:
        first: one of them.
        second: the other.
        answer: place among the classes; where pairs are graded a number in [0, 1], 1 for the same
            meaning.
    """

    first: str
    second: str
    answer: float


@dataclass(frozen=True, kw_only=True)
class LabelledPairs:
    """A corpus.

    Attributes:
        parts: pairs of each part.
        classes: names of the classes; empty where pairs are graded.
    """

    parts: Mapping[Part, tuple[LabelledPair, ...]]
    classes: tuple[str, ...] = ()


def read_pairs(source: str) -> LabelledPairs:
    """Read a corpus of sentence pairs.

    SICK has its official parts. Of the others no test part may be had: what `divide_pairs` gives
    for tuning is dev here, and test is a tenth of the rest, divided in the same way, so that no
    sentence stands in two parts.

    Args:
        source: a name from `PAIR_SOURCES`.

    Raises:
        DataError: if the source is unknown or its files cannot be read.
    """
    if source not in PAIR_SOURCES:
        raise DataError(f"found the source {source!r}, expected one of: {', '.join(PAIR_SOURCES)}")
    return PAIR_SOURCES[source]()


def _sick(*, graded: bool) -> LabelledPairs:
    parts: dict[Part, tuple[LabelledPair, ...]] = {}
    for part, own in _SICK_PARTS.items():
        parts[own] = tuple(
            LabelledPair(
                first=pair.first,
                second=pair.second,
                answer=pair.score if graded else _ENTAILMENTS.index(str(pair.entailment)),
            )
            for pair in read_sick(part)
        )
    names = () if graded else tuple(name.lower() for name in _ENTAILMENTS)
    return LabelledPairs(parts=parts, classes=names)


def _divided(read: Callable[[], Iterable[SentencePair]], classes: tuple[str, ...]) -> LabelledPairs:
    pairs = list(read())
    parts: dict[Part, list[LabelledPair]] = {"train": [], "dev": [], "test": []}
    rest: list[SentencePair] = []
    for pair, part in zip(pairs, divide_pairs(pairs), strict=True):
        if part == "tune":
            parts["dev"].append(_labelled(pair))
        else:
            rest.append(pair)
    for pair, part in zip(rest, divide_pairs(rest, seed=_TEST_SEED), strict=True):
        parts["test" if part == "tune" else "train"].append(_labelled(pair))
    return LabelledPairs(
        parts={part: tuple(found) for part, found in parts.items()}, classes=classes
    )


def _labelled(pair: SentencePair) -> LabelledPair:
    return LabelledPair(first=pair.first, second=pair.second, answer=pair.score)


_ASKS_THE_SAME = ("another", "the same")

PAIR_SOURCES: Mapping[str, Callable[[], LabelledPairs]] = {
    "sick-relatedness": partial(_sick, graded=True),
    "sick-entailment": partial(_sick, graded=False),
    "sts": partial(_divided, read_sts, ()),
    "lcqmc": partial(_divided, partial(read_paraphrases, "lcqmc"), _ASKS_THE_SAME),
    "bq": partial(_divided, partial(read_paraphrases, "bq"), _ASKS_THE_SAME),
}
"""Corpora that the registry describes, by name and question."""
