"""Syntactic heads: which child of a phrase is its head, and so which word each word depends on.

Sources of the facts, in our own layout:

- English (Penn Treebank labels): Collins (1999), "Head-Driven Statistical Models for Natural
  Language Parsing", appendix A, itself after Magerman (1995), "Statistical Decision-Tree Models
  for Parsing"; the rule for noun phrases and that for coordination are his, too.
- Chinese (Penn Chinese Treebank labels): Sun and Jurafsky (2004), "Shallow Semantic Parsing of
  Chinese", which follows the annotation guidelines of Xue et al. (2005), "The Penn Chinese
  TreeBank".

Departures: marks of punctuation are heads only where there is nothing else; labels of later
English treebanks (NML, NX, HYPH, AFX ...) are treated as their nearest relatives; in Chinese a
clause is headed before its sentence-final particle (`去 吧` by `去`), so that the particle's
attachment changes no other word's; a short passive (SB) leaves the head to its verb; in a phrase
of a class that has no rule the side given by `_FALLBACK` decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from treenlp.errors import InputError
from treenlp.text.characters import Lang
from treenlp.trees.tree import Tree

__all__ = ["base_label", "dependencies", "head_child", "head_leaves"]

_Side = Literal["left", "right"]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Step:
    """Look from one side for the first child that has any of the labels."""

    side: _Side
    labels: frozenset[str]


def _any_of(side: _Side, labels: str) -> tuple[_Step, ...]:
    """Take the child nearest to a side among several labels of equal rank."""
    return (_Step(side=side, labels=frozenset(labels.split())),)


def _in_order(side: _Side, labels: str) -> tuple[_Step, ...]:
    """Take the first label that occurs at all, nearest to a side."""
    return tuple(_Step(side=side, labels=frozenset((label,))) for label in labels.split())


_ENGLISH_NOMINAL = (
    *_any_of("right", "NN NNP NNPS NNS NX NML POS JJR"),
    *_any_of("left", "NP"),
    *_any_of("right", "$ ADJP PRN"),
    *_any_of("right", "CD"),
    *_any_of("right", "JJ JJS RB QP"),
)

_ENGLISH: dict[str, tuple[_Step, ...]] = {
    "ADJP": _in_order("left", "NNS QP NN $ ADVP JJ VBN VBG ADJP JJR NP JJS DT FW RBR RBS SBAR RB"),
    "ADVP": _in_order("right", "RB RBR RBS FW ADVP TO CD JJR JJ IN NP JJS NN"),
    "CONJP": _in_order("right", "CC RB IN"),
    "LST": _in_order("right", "LS :"),
    "NAC": _in_order("left", "NN NNS NNP NNPS NP NAC EX $ CD QP PRP VBG JJ JJS JJR ADJP FW"),
    "NML": _ENGLISH_NOMINAL,
    "NP": _ENGLISH_NOMINAL,
    "NX": _ENGLISH_NOMINAL,
    "PP": _in_order("right", "IN TO VBG VBN RP FW"),
    "PRT": _in_order("right", "RP"),
    "QP": _in_order("left", "$ IN NNS NN JJ RB DT CD NCD QP JJR JJS"),
    "RRC": _in_order("right", "VP NP ADVP ADJP PP"),
    "S": _in_order("left", "TO IN VP S SBAR ADJP UCP NP"),
    "SBAR": _in_order("left", "WHNP WHPP WHADVP WHADJP IN DT S SQ SINV SBAR FRAG"),
    "SBARQ": _in_order("left", "SQ S SINV SBARQ FRAG"),
    "SINV": _in_order("left", "VBZ VBD VBP VB MD VP S SINV ADJP NP"),
    "SQ": _in_order("left", "VBZ VBD VBP VB MD VP SQ"),
    "VP": _in_order("left", "TO VBD VBN MD VBZ VB VBG VBP VP ADJP NN NNS NP"),
    "WHADJP": _in_order("left", "CC WRB JJ ADJP"),
    "WHADVP": _in_order("right", "CC WRB"),
    "WHNP": _in_order("left", "WDT WP WP$ WHADJP WHPP WHNP"),
    "WHPP": _in_order("right", "IN TO FW"),
}

_CHINESE_VERBS = "VP VV VA VC VE VCD VSB VRD VNV VCP VPT BA LB"

_CHINESE: dict[str, tuple[_Step, ...]] = {
    "ADJP": _any_of("right", "ADJP JJ VA AD") + _any_of("right", "NN CS"),
    "ADVP": _any_of("right", "ADVP AD CS"),
    "CLP": _any_of("right", "CLP M"),
    "CP": _any_of("right", "DEC") + _any_of("right", "CP IP") + _any_of("right", "SP ADVP CS"),
    "DNP": _any_of("right", "DNP DEG DEC"),
    "DP": _any_of("left", "DP DT") + _any_of("left", "OD QP CLP"),
    "DVP": _any_of("right", "DVP DEV DEC"),
    "FRAG": _any_of("right", "VV NR NN"),
    "INTJ": _any_of("right", "INTJ IJ"),
    "IP": _any_of("right", "IP VP") + _any_of("right", "CP NP") + _any_of("right", "VV VA VC VE"),
    "LCP": _any_of("right", "LCP LC"),
    "LST": _any_of("left", "LST CD OD"),
    "NP": _any_of("right", "NP NN NT NR PN") + _any_of("right", "QP DP CP IP DNP"),
    "PP": _any_of("left", "PP P"),
    "PRN": _any_of("right", "NP IP VP NT NR NN"),
    "QP": _any_of("right", "QP CLP CD OD"),
    "VCD": _any_of("left", "VCD VV VA VC VE"),
    "VCP": _any_of("left", "VCP VV VA VC VE"),
    "VNV": _any_of("left", "VNV VV VA VC VE"),
    "VP": _any_of("left", _CHINESE_VERBS) + _any_of("left", "P") + _any_of("right", "IP NP QP PP"),
    "VPT": _any_of("left", "VPT VV VA VC VE"),
    "VRD": _any_of("left", "VRD VV VA VC VE"),
    "VSB": _any_of("right", "VSB VV VA VC VE"),
}

_RULES: dict[Lang, dict[str, tuple[_Step, ...]]] = {"en": _ENGLISH, "zh": _CHINESE}

# Phrases in which the last child counts where no rule applies; in all others the first does.
_FALLBACK: dict[Lang, frozenset[str]] = {
    "en": frozenset("ADVP CONJP FRAG LST NML NP NX PP PRT RRC UCP WHADVP WHPP".split()),
    "zh": frozenset("ADJP ADVP CLP CP DNP DVP FRAG INTJ IP LCP NP PRN QP UCP VSB".split()),
}

_PUNCTUATION: dict[Lang, frozenset[str]] = {
    "en": frozenset(", : `` '' . -LRB- -RRB- HYPH NFP".split()),
    "zh": frozenset(("PU",)),
}


def base_label(label: str) -> str:
    """Return the class of a label: no function tags, no index, the bottom of a unary chain.

    Example:
        >>> base_label("S::NP-SBJ-1"), base_label("-NONE-"), base_label("PRP$")
        ('NP', '-NONE-', 'PRP$')
    """
    if "::" in label:
        label = label.split("::")[-1]
    for mark in "-=":
        cut = label.find(mark, 1)
        if cut > 0 and not label.startswith("-"):
            label = label[:cut]
    return label


def head_child(label: str, child_labels: Sequence[str], lang: Lang) -> int:
    """Choose the head among the children of one phrase.

    Args:
        label: label of the phrase.
        child_labels: labels of its children from left to right, at least one.
        lang: "zh" for Penn Chinese Treebank labels, "en" for Penn Treebank labels.

    Returns:
        Index of the head child.

    Raises:
        InputError: if there are no children or the language is another.

    Example:
        >>> head_child("NP", ["QP", "DNP", "NP"], "zh"), head_child("PP", ["IN", "NP"], "en")
        (2, 0)
    """
    if lang not in _RULES:
        raise InputError(f"found the language {lang!r}; expected one of {sorted(_RULES)}")
    if not child_labels:
        raise InputError(f"found no children of {label!r}; expected at least one")
    if len(child_labels) == 1:
        return 0
    # A chain shows its top to the parent and its bottom to its children.
    own = base_label(label)
    classes = [base_label(child.split("::")[0]) for child in child_labels]
    punctuation = _PUNCTUATION[lang]
    content = [i for i, child in enumerate(classes) if child not in punctuation]
    if not content:
        return 0
    if lang == "en" and own in ("NP", "NX", "NML") and classes[content[-1]] == "POS":
        return content[-1]
    head = _search(_RULES[lang].get(own, ()), classes, content)
    if head is None:
        head = content[-1] if own in _FALLBACK[lang] else content[0]
    if lang == "en":
        head = _first_conjunct(own, classes, content, head)
    return head


def head_leaves(tree: Tree, lang: Lang) -> tuple[int, ...]:
    """Find the head word of every node.

    Args:
        tree: a tree; function tags and joined unary chains are allowed.
        lang: "zh" or "en": whose labels these are.

    Returns:
        For every node in preorder the index of its head leaf.

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> head_leaves(parse_brackets("(VP (VV 看) (NP (CD 两) (NN 人)))"), "zh")
        (0, 0, 2, 1, 2)
    """
    labels = tree.node_labels
    starts = [start for start, _ in tree.node_spans()]
    heads = [0] * len(labels)
    chosen: dict[tuple[str, ...], int] = {}
    for node, children in reversed([*enumerate(tree.node_children())]):
        if not children:
            heads[node] = starts[node]
            continue
        if len(children) == 1:
            heads[node] = heads[children[0]]
            continue
        key = (labels[node], *(labels[child] for child in children))
        index = chosen.get(key)
        if index is None:
            index = chosen[key] = head_child(key[0], key[1:], lang)
        heads[node] = heads[children[index]]
    return tuple(heads)


def dependencies(tree: Tree, lang: Lang) -> tuple[int, ...]:
    """Turn a constituency tree into an unlabelled dependency tree by the head rules.

    Args:
        tree: a tree with Penn Chinese Treebank or Penn Treebank labels.
        lang: "zh" or "en": whose labels these are.

    Returns:
        For every leaf the index of the leaf it depends on; -1 for the root, of which there is
        exactly one.

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> text = "(NP (QP (CD 两) (CLP (M 个))) (DNP (NP (NN 大学)) (DEG 的)) (NP (NN 老师)))"
        >>> dependencies(parse_brackets(text), "zh")
        (1, 4, 3, 4, -1)
    """
    node_heads = head_leaves(tree, lang)
    parents = tree.node_parents()
    result = [-1] * tree.num_leaves
    for node in range(1, len(node_heads)):
        head, above = node_heads[node], node_heads[parents[node]]
        if head != above:
            result[head] = above
    return tuple(result)


def _search(steps: tuple[_Step, ...], classes: Sequence[str], content: Sequence[int]) -> int | None:
    for step in steps:
        for i in content if step.side == "left" else reversed(content):
            if classes[i] in step.labels:
                return i
    return None


def _first_conjunct(own: str, classes: Sequence[str], content: Sequence[int], head: int) -> int:
    """Move the head of an English coordination from a later conjunct to the one before it."""
    place = content.index(head)
    while (
        place >= 2
        and own != "CONJP"
        and classes[content[place - 1]] in ("CC", "CONJP")
        and _are_alike(classes[content[place - 2]], classes[head])
    ):
        place -= 2
    return content[place]


def _are_alike(one: str, other: str) -> bool:
    """Tell whether two labels may be conjuncts: both phrases, or words of one word class."""
    return one == other or (one[:2] == other[:2] and one[:2] in ("NN", "VB", "JJ", "RB"))
