"""The label inventory of one language and the coarse classes that parents and children agree on.

A label is a whole unary chain joined with ``::`` and read from the top (``IP::VP``), so a chain is
one atomic decision. How a parent sees a constituent depends on the top of its chain, and which
children a phrase takes depends on the bottom; both are mapped to a few classes, so that the chart
can afford a parent-child compatibility inside its recursion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from treenlp.errors import GrammarError
from treenlp.text import Lang
from treenlp.trees.tree import Tree

__all__ = ["CHAIN_SEPARATOR", "Grammar", "child_class", "parent_class"]

CHAIN_SEPARATOR = "::"
OTHER = "X"

_ZH_CHILD = {
    "N": "NN NR NT PN",
    "NP": "NP",
    "QP": "QP",
    "CLP": "CLP",
    "M": "M",
    "CD": "CD OD",
    "DT": "DT",
    "DP": "DP",
    "JJ": "JJ",
    "ADJP": "ADJP",
    "AD": "AD",
    "ADVP": "ADVP",
    "V": "VV VC VE VA VRD VCD VSB VPT VNV VCP",
    "VP": "VP",
    "IP": "IP",
    "CP": "CP",
    "DNP": "DNP",
    "DVP": "DVP",
    "DE": "DEC DEG DER DEV",
    "LC": "LC",
    "LCP": "LCP",
    "P": "P BA LB SB",
    "PP": "PP",
    "AS": "AS",
    "SP": "SP",
    "CC": "CC",
    "PU": "PU",
}
_ZH_PARENT = {
    "NP": "NP",
    "VP": "VP",
    "IP": "IP",
    "CP": "CP",
    "DNP": "DNP DVP",
    "QP": "QP CLP DP",
    "PP": "PP",
    "LCP": "LCP",
    "V": "VRD VCD VSB VPT VNV VCP",
}
_EN_CHILD = {
    "N": "NN NNS NNP NNPS",
    "NP": "NP NX NAC WHNP",
    "DT": "DT PDT PRP$ WP$ WDT",
    "JJ": "JJ JJR JJS",
    "ADJP": "ADJP WHADJP",
    "RB": "RB RBR RBS WRB",
    "ADVP": "ADVP WHADVP",
    "PRT": "PRT",
    "CD": "CD",
    "QP": "QP",
    "V": "VB VBD VBG VBN VBP VBZ MD",
    "VP": "VP",
    "TO": "TO",
    "IN": "IN",
    "PP": "PP WHPP",
    "POS": "POS",
    "S": "S SQ SINV",
    "SBAR": "SBAR SBARQ",
    "CC": "CC CONJP",
    "PU": ". , : `` '' -LRB- -RRB- HYPH",
}
_EN_PARENT = {
    "NP": "NP NX NAC WHNP",
    "VP": "VP",
    "S": "S SQ SINV",
    "SBAR": "SBAR SBARQ",
    "PP": "PP WHPP",
    "ADJP": "ADJP WHADJP",
    "ADVP": "ADVP WHADVP",
    "QP": "QP",
}


def _invert(classes: Mapping[str, str]) -> dict[str, str]:
    return {label: name for name, labels in classes.items() for label in labels.split()}


_CHILD: dict[Lang, dict[str, str]] = {"zh": _invert(_ZH_CHILD), "en": _invert(_EN_CHILD)}
_PARENT: dict[Lang, dict[str, str]] = {"zh": _invert(_ZH_PARENT), "en": _invert(_EN_PARENT)}
_CHILD_NAMES: dict[Lang, tuple[str, ...]] = {
    "zh": (*_ZH_CHILD, OTHER),
    "en": (*_EN_CHILD, OTHER),
}
_PARENT_NAMES: dict[Lang, tuple[str, ...]] = {
    "zh": (*_ZH_PARENT, OTHER),
    "en": (*_EN_PARENT, OTHER),
}


def child_class(label: str, lang: Lang) -> str:
    """Class by which a parent sees a constituent: that of the top of its unary chain.

    >>> child_class("IP::VP", "zh"), child_class("NP::NN", "zh"), child_class("NN", "zh")
    ('IP', 'NP', 'N')
    """
    return _CHILD[lang].get(label.split(CHAIN_SEPARATOR)[0], OTHER)


def parent_class(label: str, lang: Lang) -> str:
    """Class that decides which children a phrase takes: that of the bottom of its unary chain.

    >>> parent_class("IP::VP", "zh")
    'VP'
    """
    return _PARENT[lang].get(label.split(CHAIN_SEPARATOR)[-1], OTHER)


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """Labels and classes of one language.

    Attributes:
        phrase_labels: labels of phrases (two children or more), chains collapsed.
        word_labels: labels of words: the tag, with the unary chain above it.
        parent_classes: names of the P inner classes.
        child_classes: names of the C outer classes.
        phrase_inner: per phrase label, its index in `parent_classes`.
        phrase_outer: per phrase label, its index in `child_classes`.
        word_outer: per word label, its index in `child_classes`.
        max_word_units: longest word in chart units (1: units are words).
    """

    phrase_labels: tuple[str, ...]
    word_labels: tuple[str, ...]
    parent_classes: tuple[str, ...]
    child_classes: tuple[str, ...]
    phrase_inner: tuple[int, ...]
    phrase_outer: tuple[int, ...]
    word_outer: tuple[int, ...]
    max_word_units: int

    def __post_init__(self) -> None:
        """Check that every label has its classes."""
        for name, labels, classes, size in (
            ("phrase_inner", self.phrase_labels, self.phrase_inner, len(self.parent_classes)),
            ("phrase_outer", self.phrase_labels, self.phrase_outer, len(self.child_classes)),
            ("word_outer", self.word_labels, self.word_outer, len(self.child_classes)),
        ):
            if len(labels) != len(classes):
                raise GrammarError(
                    f"{name} has {len(classes)} entries for {len(labels)} labels; give one each"
                )
            for label, index in zip(labels, classes, strict=True):
                if not 0 <= index < size:
                    raise GrammarError(f"{name} of {label!r} is {index}, expected 0 to {size - 1}")
        if self.max_word_units < 1:
            raise GrammarError(f"max_word_units is {self.max_word_units}, expected at least 1")

    @classmethod
    def from_labels(
        cls,
        phrase_labels: Iterable[str],
        word_labels: Iterable[str],
        *,
        lang: Lang,
        max_word_units: int,
    ) -> Grammar:
        """Grammar over given labels with the coarse classes of `lang`."""
        phrases, words = tuple(phrase_labels), tuple(word_labels)
        parents, children = _PARENT_NAMES[lang], _CHILD_NAMES[lang]
        return cls(
            phrase_labels=phrases,
            word_labels=words,
            parent_classes=parents,
            child_classes=children,
            phrase_inner=tuple(parents.index(parent_class(x, lang)) for x in phrases),
            phrase_outer=tuple(children.index(child_class(x, lang)) for x in phrases),
            word_outer=tuple(children.index(child_class(x, lang)) for x in words),
            max_word_units=max_word_units,
        )

    @classmethod
    def from_trees(
        cls, trees: Iterable[Tree], *, lang: Lang, max_word_units: int, min_count: int = 1
    ) -> Grammar:
        """Collect the labels of trees whose unary chains are collapsed, most frequent first.

        Args:
            trees: trees with chains joined by ``::`` (`treenlp.trees.collapse_unary`).
            lang: language of the labels.
            max_word_units: longest word in chart units.
            min_count: rarer labels are left out.
        """
        phrases: Counter[str] = Counter()
        words: Counter[str] = Counter()
        for tree in trees:
            for node in tree.preorder():
                (words if node.is_preterminal else phrases)[node.label] += 1
        return cls.from_labels(
            (label for label, n in phrases.most_common() if n >= min_count),
            (label for label, n in words.most_common() if n >= min_count),
            lang=lang,
            max_word_units=max_word_units,
        )

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The Q distinct (inner, outer) class pairs of phrase labels, in order of first label."""
        return tuple(dict.fromkeys(zip(self.phrase_inner, self.phrase_outer, strict=True)))

    @cached_property
    def phrase_pair(self) -> tuple[int, ...]:
        """Per phrase label, the index of its class pair in `pairs`."""
        index = {pair: q for q, pair in enumerate(self.pairs)}
        return tuple(index[pair] for pair in zip(self.phrase_inner, self.phrase_outer, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Grammar:
        """Inverse of `to_dict`."""
        tuples: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**tuples)
