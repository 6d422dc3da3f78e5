"""Glosses: one line that says how a stretch of a sentence groups, as ``[两个大学]的|老师``.

Parts stand between bars, phrases in brackets. A number with its classifier is left without
brackets, and a particle goes with what is before it and stands outside brackets. Trees that are set
against each other show as much of their phrases as it takes to tell them apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from treenlp.parsing.skeleton import Skeleton, coarse_class, is_function_tag
from treenlp.text import Sentence
from treenlp.trees.heads import base_label
from treenlp.trees.tree import Tree

__all__ = ["contrast", "gloss"]

Span = tuple[int, int]

_COUNTING = frozenset("QP DP CLP".split())  # phrases that a gloss shows without brackets


def contrast(
    trees: Sequence[tuple[Tree, Sequence[Span]]], sentence: Sentence, place: Span | None = None
) -> list[str]:
    """Gloss several trees at one place so that what tells them apart is seen.

    Where glosses would be equal, phrases that the trees group differently are shown by their
    parts, ``量了|[四扇|[窗户]的|高度]``. Where they group all alike, the first difference in what
    they take it for is added, ``学习|文件 (nominal)``, or in what a word depends on.

    Args:
        trees: of the sentence, each with the atoms of its leaves.
        sentence: the sentence.
        place: half-open atoms; None for the whole sentence.

    Returns:
        A gloss for each tree; equal ones only of trees with equal labels and spans there.
    """
    views = [_View(tree, words, sentence) for tree, words in trees]
    place = place or views[0].whole
    opened: list[frozenset[Span]] = [frozenset()] * len(views)
    glosses = [view.gloss(place) for view in views]
    pending = _equals(glosses, range(len(views)))
    while pending:
        group = pending.pop()
        parts = [*views[group[0]].closed_parts(place, opened[group[0]])]
        contested = {
            part
            for part in set(parts).difference(opened[group[0]])
            if len({views[n].spans_in(part) for n in group}) > 1
        }
        if contested:
            for n in group:
                opened[n] |= contested
                glosses[n] = views[n].gloss(place, opened[n])
            pending += _equals(glosses, group)
        else:
            shown = min(start for start, _ in parts), max(end for _, end in parts)
            for n, name in zip(group, _names([views[n] for n in group], shown), strict=True):
                glosses[n] += name
            pending += [rest for rest in _equals(glosses, group) if len(rest) < len(group)]
    return glosses


def gloss(tree: Tree, words: Sequence[Span], sentence: Sentence, place: Span | None = None) -> str:
    """Say how a stretch of a sentence groups: ``等了|十分钟|车``.

    Args:
        tree: a tree of the sentence.
        words: atoms of each leaf.
        sentence: the sentence.
        place: half-open atoms; None for the whole sentence.
    """
    return contrast([(tree, words)], sentence, place)[0]


@dataclass(frozen=True, slots=True)
class _Part:
    """What stands between two bars; a tail of particles follows a phrase."""

    inner: Span
    tail_end: int
    is_bracketed: bool
    is_particle: bool


class _View:
    """A tree of a sentence with the atoms of its nodes."""

    def __init__(self, tree: Tree, words: Sequence[Span], sentence: Sentence) -> None:
        self.sentence, self._tree = sentence, tree
        self._labels, self._tags, self._children = tree.node_labels, tree.tags, tree.node_children()
        self._words, self._leaves = words, tree.node_spans()
        self._spans = [(words[first][0], words[last - 1][1]) for first, last in self._leaves]
        self.whole = self._spans[0]

    def gloss(self, place: Span, opened: frozenset[Span] = frozenset()) -> str:
        """The smallest phrase that covers a place by its parts, and so those in `opened`."""
        joint = "" if self.sentence.lang == "zh" else " "
        shown: list[str] = []
        for part in self._parts(place):
            is_open = part.inner in opened and part.inner != place  # a word has no parts
            text = self.gloss(part.inner, opened) if is_open else self.surface(part.inner)
            if is_open or part.is_bracketed:
                text = f"[{text}]"
            if part.tail_end > part.inner[1]:
                text += self._gap(part.inner[1]) + self.surface((part.inner[1], part.tail_end))
            if shown and part.is_particle:
                shown[-1] += joint + text
            else:
                shown.append(text)
        return "|".join(shown)

    def closed_parts(self, place: Span, opened: frozenset[Span]) -> Iterator[Span]:
        """Atoms of the parts that `gloss` shows undivided."""
        for part in self._parts(place):
            if part.inner in opened and part.inner != place:
                yield from self.closed_parts(part.inner, opened)
            else:
                yield part.inner

    def spans_in(self, place: Span) -> frozenset[Span]:
        """Atoms of all nodes inside a place."""
        return frozenset(span for span in self._spans if _is_within(span, place))

    def remarks(self, place: Span) -> Iterator[dict[Span, str]]:
        """What there is to say inside a place, by atoms, what matters most first.

        Classes of phrases; classes of words with what depends on them, and what they depend on,
        which may be outside; and labels, which are of no matter to the meaning.
        """
        labels: dict[Span, list[str]] = defaultdict(list)  # the upper first
        for label, span in zip(self._labels, self._spans, strict=True):
            if _is_within(span, place):
                labels[span].append(label)
        labels[place] = labels[place] or [self._labels[self._covering(place)]]
        of = {span: "" if span == place else f"{self.surface(span)}: " for span in labels}
        lang = self.sentence.lang
        yield {span: of[span] + coarse_class(own[-1], lang) for span, own in labels.items()}
        facts = [
            fact
            for fact in Skeleton.of(self._tree, self._words, lang).facts
            if _is_within(fact[0], place)
        ]
        yield {word: f"{self.surface(word)}: {own}" for word, _, own in facts if own}
        yield {
            word: f"{self.surface(word)} → {self.surface(head) if head else 'root'}"
            for word, head, _ in facts
        }
        yield {span: of[span] + " ".join(map(base_label, own)) for span, own in labels.items()}

    def surface(self, atoms: Span) -> str:
        """The caller's text of some atoms, white space made one space (none in Chinese)."""
        first, last = self.sentence.atoms[atoms[0]], self.sentence.atoms[atoms[1] - 1]
        pieces = self.sentence.text[first[0] : last[1]].split()
        return ("" if self.sentence.lang == "zh" else " ").join(pieces)

    def _gap(self, atom: int) -> str:
        """What the caller has before an atom: a space or nothing; in Chinese nothing."""
        before, after = self.sentence.atoms[atom - 1], self.sentence.atoms[atom]
        return " " if self.sentence.lang == "en" and before[1] < after[0] else ""

    def _parts(self, place: Span) -> Iterator[_Part]:
        node = self._covering(place)
        for child in self._children[node] or [node]:
            start, end = self._spans[child]
            if start < place[1] and place[0] < end:
                yield self._part(child)

    def _part(self, node: int) -> _Part:
        first, last = self._leaves[node]
        middle = last
        while middle > first + 1 and self._is_particle(middle - 1):
            middle -= 1
        start, end = self._spans[node]
        is_counting = middle == last and self._labels[node].split("::")[0] in _COUNTING
        return _Part(
            inner=(start, self._words[middle - 1][1]),
            tail_end=end,
            is_bracketed=last > first + 1 and not is_counting,
            is_particle=last == first + 1 and self._is_particle(first),
        )

    def _is_particle(self, leaf: int) -> bool:
        """Whether a word goes with what is before it; a conjunction goes with neither side."""
        tag = self._tags[leaf]
        return tag != "CC" and is_function_tag(tag, self.sentence.lang)

    def _covering(self, place: Span) -> int:
        """Node of the smallest phrase that covers some atoms; the last of a unary chain."""
        node = 0
        while True:
            inside = [c for c in self._children[node] if _is_within(place, self._spans[c])]
            if not inside or not self._children[inside[0]]:
                return node
            node = inside[0]


def _equals(glosses: Sequence[str], numbers: Iterable[int]) -> list[list[int]]:
    """Groups of two or more trees with equal glosses."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number in numbers:
        groups[glosses[number]].append(number)
    return [group for group in groups.values() if len(group) > 1]


def _names(views: Sequence[_View], place: Span) -> list[str]:
    """What each of some trees says of the first word or phrase that they differ about."""
    for kinds in zip(*(view.remarks(place) for view in views), strict=True):
        common = set(kinds[0]).intersection(*kinds)
        for span in sorted(common, key=lambda span: (span[0], -span[1])):
            found = [remarks[span] for remarks in kinds]
            if len(set(found)) > 1:
                return [f" ({remark})" for remark in found]
    return [""] * len(views)


def _is_within(span: Span, place: Span) -> bool:
    return place[0] <= span[0] and span[1] <= place[1]
