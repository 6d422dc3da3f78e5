"""Where the teacher of the automatic Chinese trees is not believed.

The trees of `silver_zh` teach grammar, but not attachment: their parser does not look at what a
classifier counts, nor at what a verb can act on, and takes every duration after a verb for a
part of the object. In the three constructions below a student should therefore learn the words
and tags only, and leave the brackets to better evidence:

* `Num CL … N1 … 的 N2`: the classifier counts N1 or N2 (两所大学的老师, 两位大学的老师);
* `V N1 的 N2`: an object with its modifier or a noun with its relative clause (咬死猎人的狗);
* `V 了 Num unit N`: a duration or a number of times beside an object (等了十分钟车).

They are found by words and tags, never by the brackets that are in doubt. In the first, the teacher
is believed where the classifier counts nearly everything (一个家庭的收入): there is nothing that it
could have overlooked, and what writers mostly mean by it only running text can tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from treenlp.trees.tree import Tree

__all__ = ["MAX_REGION_LEAVES", "distrusted_spans", "has_general_count"]

Span = tuple[int, int]

MAX_REGION_LEAVES = 16
"""Larger constituents are believed all the same: masking them would hide whole clauses."""

_GENERAL_CLASSIFIERS = frozenset("个 种 些 类".split())
"""Classifiers that say nearly nothing of what they count."""

_NOUNS = frozenset(["NN", "NR", "NT"])
_NUMERALS = frozenset(["CD", "OD", "DT"])
_MODIFIERS = frozenset(["JJ", "CD", "OD", "DT", "M", "VA", "AD", "PN"])
_VERBS = frozenset(["VV", "VE", "VC", "VA", "BA", "LB", "SB"])
_DE = frozenset(["DEC", "DEG"])
_NOMINAL = frozenset(["NP", "QP", "DP", "DNP", "CP", "LCP", "PP", "CLP", "ADJP"])
_UNITS = frozenset(
    "秒 秒钟 分 分钟 刻钟 小时 钟头 天 夜 日 周 星期 礼拜 月 年 学期 世纪 上午 下午 晚上 晚 "
    "阵 阵子 阵儿 会儿 会 辈子 次 遍 回 趟 下 番 声 口 眼 脚 顿 场".split()
)


def distrusted_spans(tree: Tree) -> tuple[Span, ...]:
    """Return the regions of an automatic Chinese tree whose brackets are not believed.

    Args:
        tree: a tree in the style of the Penn Chinese Treebank.

    Returns:
        Half-open spans of leaves, from left to right; none holds or crosses another. Each is
        the extent of the smallest constituent that contains a whole pattern, so the brackets
        outside stay a tree. Regions of more than `MAX_REGION_LEAVES` leaves are left out.

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> distrusted_spans(parse_brackets(
        ...     "(NP (QP (CD 两) (CLP (M 位))) (DNP (NP (NN 大学)) (DEG 的)) (NP (NN 老师)))"))
        ((0, 5),)
    """
    words, tags = tree.leaves, tree.tags
    if not _DE.isdisjoint(tags) or not _UNITS.isdisjoint(words):
        enclosing = _Enclosing(tree)
        found = {
            region
            for start, end, must_be_nominal in _patterns(words, tags)
            if (region := enclosing.region(start, end, must_be_nominal=must_be_nominal))
        }
        return _outermost(found)
    return ()


def has_general_count(tree: Tree) -> bool:
    """Return whether a tree holds `Num CL … N1 … 的 N2` with a classifier that decides nothing.

    Example:
        >>> from treenlp.trees.brackets import parse_brackets
        >>> has_general_count(parse_brackets(
        ...     "(NP (DNP (NP (DT 这) (M 个) (NN 词)) (DEG 的)) (NP (NN 意思)))"))
        True
    """
    words, tags = tree.leaves, tree.tags
    return any(
        tag in _NUMERALS
        and words[i + 1] in _GENERAL_CLASSIFIERS
        and any(True for _ in _classifier_patterns(tags, i))
        for i, tag in enumerate(tags[:-1])
    )


def _patterns(words: Sequence[str], tags: Sequence[str]) -> Iterator[tuple[int, int, bool]]:
    """Yield start, end, and whether the pattern only counts inside a noun phrase."""
    for i, tag in enumerate(tags):
        if tag in _NUMERALS and i + 1 < len(tags) and tags[i + 1] == "M":
            if words[i + 1] not in _GENERAL_CLASSIFIERS:
                yield from _classifier_patterns(tags, i)
        elif tag == "VV":
            end = _noun_de_noun(tags, _skip_counted(tags, i + 1))
            if end is not None:
                yield i, end, False
            end = _duration_object(words, tags, i)
            if end is not None:
                yield i, end, False


def _classifier_patterns(tags: Sequence[str], numeral: int) -> Iterator[tuple[int, int, bool]]:
    """`Num CL … N1 … 的 N2`, for every such 的 before the next punctuation mark."""
    has_noun = has_verb = False
    for at in range(numeral + 2, len(tags)):
        tag = tags[at]
        if tag == "PU" or (not has_noun and (tag == "P" or tag in _VERBS)):
            # A verb or preposition first opens a relative clause: nothing is in doubt.
            return
        has_noun = has_noun or tag in _NOUNS
        if tag in _DE and has_noun:
            end = _noun_end(tags, at + 1)
            if end is not None:
                yield numeral, end, has_verb
        has_verb = has_verb or (tag in _VERBS and tag != "VA")


def _skip_counted(tags: Sequence[str], at: int) -> int:
    """Position after an aspect particle, numeral and classifier, if they stand here."""
    if at < len(tags) and tags[at] == "AS":
        at += 1
    while at < len(tags) and tags[at] in ("CD", "OD", "DT", "M"):
        at += 1
    return at


def _noun_de_noun(tags: Sequence[str], at: int) -> int | None:
    """Position after `N1 的 N2` that begins here, or None."""
    start = at
    while at < len(tags) and (tags[at] in _NOUNS or tags[at] in ("JJ", "LC", "CC")):
        at += 1
    if at == start or not any(tag in _NOUNS for tag in tags[start:at]):
        return None
    if at >= len(tags) or tags[at] not in _DE:
        return None
    return _noun_end(tags, at + 1)


def _noun_end(tags: Sequence[str], at: int) -> int | None:
    """Position after the run of nouns that begins here, maybe after modifiers, or None."""
    while at < len(tags) and tags[at] in _MODIFIERS:
        at += 1
    start = at
    while at < len(tags) and tags[at] in _NOUNS:
        at += 1
    return at if at > start else None


def _duration_object(words: Sequence[str], tags: Sequence[str], verb: int) -> int | None:
    """Position after `V 了 Num unit (的) N` that begins with this verb, or None."""
    at = verb + 1
    if at < len(tags) and tags[at] == "AS":
        at += 1
    start = at
    while at < len(tags) and (tags[at] == "CD" or words[at] in ("个", "多", "半")):
        at += 1
    has_unit = at < len(tags) and words[at] in _UNITS
    if at == start or at >= len(tags):
        return None
    if not has_unit and not any(word.endswith(unit) for word in words[start:at] for unit in _UNITS):
        return None
    at += has_unit
    if at < len(tags) and tags[at] in _DE:
        at += 1
    return _noun_end(tags, at)


class _Enclosing:
    """Finds the smallest constituent over a span of leaves."""

    def __init__(self, tree: Tree) -> None:
        self._labels = tree.node_labels
        self._spans = tree.node_spans()
        self._parents = tree.node_parents()
        self._leaf_nodes = [n for n, size in enumerate(tree.node_sizes) if size == 1]

    def region(self, start: int, end: int, *, must_be_nominal: bool) -> Span | None:
        """Return the extent of that constituent, or None if it is believed."""
        node = self._leaf_nodes[start]
        while self._spans[node][1] < end:
            node = self._parents[node]
        first, last = self._spans[node]
        if last - first > MAX_REGION_LEAVES:
            return None
        return None if must_be_nominal and self._labels[node] not in _NOMINAL else (first, last)


def _outermost(spans: set[Span]) -> tuple[Span, ...]:
    kept: list[Span] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not kept or end > kept[-1][1]:
            kept.append((start, end))
    return tuple(kept)
