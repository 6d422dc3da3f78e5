"""What is measured on, and a check that nothing of it is trained on.

Texts are compared by `leak_key`: letters, digits and characters only, in one width, case and
script. Pairs of sentences are compared as pairs, in either order. A set may well share texts
with another (reviews and sentences cut from them, graded sentences that repeat): what is
measured on is then left out of training, never the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from treenlp.data.dependencies import UD_ZH_PARTS, read_ud_zh
from treenlp.data.keys import text_key
from treenlp.data.parts import Part
from treenlp.data.pku import read_pku
from treenlp.data.sentiment import read_reviews, read_sst
from treenlp.data.similarity import (
    PARAPHRASE_SETS,
    SentencePair,
    TrainOrTune,
    read_paraphrases,
    read_sick,
    read_sts,
    read_stsb_en_zh,
)
from treenlp.data.sinica import read_sinica
from treenlp.data.treebanks import (
    SILVER_EN_PARTS,
    SILVER_ZH_PARTS,
    MctbPart,
    read_mctb_en,
    read_silver_en,
    read_silver_zh,
    read_wsj_sample,
)
from treenlp.errors import DataError, TreeFormatError
from treenlp.text import to_simplified
from treenlp.trees.tree import Tree

__all__ = [
    "Leak",
    "MeasuredTexts",
    "check_training_texts",
    "find_leaks",
    "leak_key",
    "pair_key",
    "training_texts",
]


def leak_key(text: str) -> str:
    """Return what two copies of a text have in common: see `text_key`; script is unified, too.

    Example:
        >>> leak_key("兩個 大學。") == leak_key("两个大学")
        True
    """
    return text_key(to_simplified(text))


def pair_key(first: str, second: str) -> str:
    """Return the key of a pair of sentences, the same in either order.

    Example:
        >>> pair_key("A cat.", "A dog.") == pair_key("a dog", "a cat")
        True
    """
    return "\t".join(sorted((leak_key(first), leak_key(second))))


@dataclass(frozen=True, kw_only=True)
class Leak:
    """A text that is measured on and stands in a training set.

    Attributes:
        training: name of the training set.
        measured: name of the set that is measured on.
        key: the text's key, or that of a pair.
    """

    training: str
    measured: str
    key: str


@dataclass(frozen=True, kw_only=True)
class MeasuredTexts:
    """The keys of everything that is tuned or measured on.

    Attributes:
        sets: keys of texts or pairs by set and part, for instance "sst test".
    """

    sets: Mapping[str, Set[str]]

    @classmethod
    def read(cls, own: Mapping[str, Iterable[str]] | None = None) -> MeasuredTexts:
        """Read the reference sets.

        Args:
            own: further texts that are measured on, by name, such as this project's own cases.

        Raises:
            DataError: if a set is missing or not the one recorded.
        """
        sets: dict[str, Set[str]] = {}
        for name, texts in (own or {}).items():
            sets[name] = _filled(map(leak_key, texts))
        for name, keys in _MEASURED.items():
            sets[name] = _filled(keys())
        return cls(sets=sets)

    def holds(self, text: str) -> bool:
        """Return whether a text is measured on.

        Example:
            >>> MeasuredTexts(sets={"own": {leak_key("两所大学的老师")}}).holds("两所大学的老师。")
            True
        """
        key = leak_key(text)
        return any(key in keys for keys in self.sets.values())

    def holds_pair(self, first: str, second: str) -> bool:
        """Return whether a pair of sentences is measured on, in either order."""
        key = pair_key(first, second)
        return any(key in keys for keys in self.sets.values())


def training_texts() -> dict[str, Callable[[], Iterable[str]]]:
    """Return, by name, what reads the keys of each set that may be trained on."""
    return dict(_TRAINING)


def find_leaks(training: Mapping[str, Iterable[str]], measured: MeasuredTexts) -> tuple[Leak, ...]:
    """Return every text that stands in a training set and is measured on.

    Args:
        training: keys of texts (`leak_key`) or pairs (`pair_key`) by name of the set.
        measured: what is measured on.

    Returns:
        One entry for each training set, measured set and key, sorted.

    Example:
        >>> measured = MeasuredTexts(sets={"b": {leak_key("猫")}})
        >>> [leak.training for leak in find_leaks({"a": [leak_key("猫！")]}, measured)]
        ['a']
    """
    found: set[tuple[str, str, str]] = set()
    for name, keys in training.items():
        for key in keys:
            for other, theirs in measured.sets.items():
                if key in theirs:
                    found.add((name, other, key))
    return tuple(Leak(training=name, measured=other, key=key) for name, other, key in sorted(found))


def check_training_texts(training: Mapping[str, Iterable[str]], measured: MeasuredTexts) -> None:
    """Make sure that no training set holds a text that is measured on.

    Args:
        training: keys by name, of what is about to be trained on.
        measured: what is measured on.

    Raises:
        DataError: naming the sets and the first texts, if one does.
    """
    leaks = find_leaks(training, measured)
    if leaks:
        examples = "; ".join(
            f"{leak.key[:40]!r} of {leak.measured!r} in {leak.training!r}" for leak in leaks[:3]
        )
        raise DataError(
            f"found {len(leaks)} texts in training that are measured on, expected none: "
            f"{examples}; leave out of training whatever MeasuredTexts.holds"
        )


def _filled(keys: Iterable[str]) -> frozenset[str]:
    return frozenset(key for key in keys if key.strip())


def _trees(trees: Iterable[Tree]) -> Iterator[str]:
    return (leak_key("".join(tree.leaves)) for tree in trees)


def _pairs(pairs: Iterable[SentencePair]) -> Iterator[str]:
    return (pair_key(pair.first, pair.second) for pair in pairs)


def _ignore(error: TreeFormatError) -> None:
    """A malformed tree is no text."""


def _ud(part: str) -> Callable[[], Iterator[str]]:
    return lambda: (leak_key(sentence.text) for sentence in read_ud_zh([part]))


def _mctb(part: MctbPart) -> Callable[[], Iterator[str]]:
    return lambda: _trees(read_mctb_en(part, on_skip=_ignore))


def _sst(part: Part) -> Callable[[], Iterator[str]]:
    return lambda: _trees(sentence.tree for sentence in read_sst(part))


def _paraphrases(name: str, part: TrainOrTune) -> Callable[[], Iterator[str]]:
    return lambda: _pairs(read_paraphrases(name, part))


def _silver_zh(part: str) -> Callable[[], Iterator[str]]:
    return lambda: _trees(read_silver_zh([part]))


def _silver_en(part: str) -> Callable[[], Iterator[str]]:
    return lambda: _trees(read_silver_en([part], on_skip=_ignore))


_Sources = dict[str, Callable[[], Iterable[str]]]

_MEASURED: _Sources = {
    **{f"ud_zh {part.name}": _ud(part.name) for part in UD_ZH_PARTS if part.use != "train"},
    "mctb_en tune": _mctb("tune"),
    "mctb_en held_out": _mctb("held_out"),
    "sst dev": _sst("dev"),
    "sst test": _sst("test"),
    "reviews tune": lambda: (leak_key(review.text) for review in read_reviews("tune")),
    "reviews held_out": lambda: (leak_key(review.text) for review in read_reviews("held_out")),
    "sick trial": lambda: _pairs(read_sick("trial")),
    "sick test": lambda: _pairs(read_sick("test")),
    "sts tune": lambda: _pairs(read_sts("tune")),
    "stsb_en_zh": lambda: _pairs(read_stsb_en_zh()),
    **{f"{name} tune": _paraphrases(name, "tune") for name in PARAPHRASE_SETS},
}

_TRAINING: _Sources = {
    **{f"silver_zh {part}": _silver_zh(part) for part in SILVER_ZH_PARTS},
    **{f"ud_zh {part.name}": _ud(part.name) for part in UD_ZH_PARTS if part.use == "train"},
    "sinica": lambda: (leak_key(clause.text) for clause in read_sinica(on_skip=_ignore)),
    "pku": lambda: (leak_key(text.text) for text in read_pku()),
    **{f"silver_en {part}": _silver_en(part) for part in SILVER_EN_PARTS},
    "mctb_en train": _mctb("train"),
    "wsj_sample": lambda: _trees(read_wsj_sample()),
    "sst train": _sst("train"),
    "reviews train": lambda: (leak_key(review.text) for review in read_reviews("train")),
    "sick train": lambda: _pairs(read_sick("train")),
    "sts train": lambda: _pairs(read_sts("train")),
    **{f"{name} train": _paraphrases(name, "train") for name in PARAPHRASE_SETS},
}
